"""Hand-offs: whoever is signed in to a webmail is signed in here too, by a token that the webmail signed.

It says who somebody is. It is no password: what is dangerous asks for that.
"""

from dataclasses import dataclass

from actions.ground.actor import Actor
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.passwords.sign_in import canonical_login, refuse_if_changed
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from actions.webmails import webmail_tokens
from actions.webmails.webmail_tokens import NotAccepted, Token
from models import Account, WebmailCredential, WebSession

# What browsers say of a page that they put into a frame, or into a tab.
FRAME, TAB = "iframe", "document"


@dataclass(frozen=True)
class Arrival:
    """Where the browser says that a hand-off comes from, and goes to: the headers `Origin` and `Sec-Fetch-Dest`."""

    origin: str | None
    destination: str | None


@dataclass(frozen=True)
class HandOff:
    """A hand-off that is good, and not used yet."""

    token: Token
    account: Account
    webmail_session: str


def examine(unit: UnitOfWork, text: object, arrival: Arrival | None = None) -> HandOff:
    """The hand-off that a browser brings, from the webmail's page or (no arrival) from our own question; raises
    `NotAccepted`, which is noted, or `throttle.TooManyAttempts`."""
    with webmail_tokens.refusals_noted(unit, Event.HANDOFF_SESSION_REFUSED):
        token = webmail_tokens.read(unit.ports, text, webmail_tokens.HANDOFF)
        account = Account.by_login(canonical_login(token.text("sub", 254)))
        if account is None or not token.webmail.speaks_for(account):
            raise NotAccepted("account", token.webmail)
        reason = _objection(token, account, arrival)
        if reason:
            raise NotAccepted(reason, token.webmail, account)
        return HandOff(token, account, token.text("sid"))


def enter(unit: UnitOfWork, handoff: HandOff) -> tuple[WebSession, str] | None:
    """Use the hand-off up: a fresh session and its cookie's token, or None where this very webmail handed the same
    account over before and the session that is acting goes on. Any other session ends: only what a webmail began is
    shown in its frame. Raises `NotAccepted` when the hand-off was used before, which is noted."""
    with webmail_tokens.refusals_noted(unit, Event.HANDOFF_SESSION_REFUSED):
        try:
            return _enter(unit, handoff)
        except NotAccepted as refusal:
            raise NotAccepted(refusal.reason, refusal.webmail, handoff.account) from None


@unit_of_work
def _enter(unit: UnitOfWork, handoff: HandOff) -> tuple[WebSession, str] | None:
    webmail_tokens.use(handoff.token)
    refuse_if_changed(handoff.account)
    begun_by = {"webmail": handoff.token.webmail, "webmail_session": handoff.webmail_session}
    if unit.actor.account == handoff.account and unit.actor.session.webmail_id == handoff.token.webmail.id:
        unit.actor.session.write(**begun_by)
        return None
    if unit.actor.session is not None:
        sessions.sign_out(unit)
    session, token = sessions.start(
        handoff.account, unit.actor.address, unit.actor.user_agent, password_given=False, **begun_by
    )
    now_acting = Actor(handoff.account, session, unit.actor.address, unit.actor.user_agent)
    audit.record(now_acting, Event.HANDOFF_SESSION_STARTED, webmail=handoff.token.webmail.origin)
    return session, token


def _objection(token: Token, account: Account, arrival: Arrival | None) -> str | None:
    """Why this account may not come in by this token, if so."""
    if arrival is not None and arrival.origin != token.webmail.origin:
        return "origin"
    if arrival is not None and arrival.destination not in (None, FRAME, TAB):
        return "destination"
    if not account.may_enter:
        return "state"
    if webmail_tokens.was_used(token):
        return webmail_tokens.REPLAY
    return "ended" if _has_ended(token, account) else None


def _has_ended(token: Token, account: Account) -> bool:
    """Whether the webmail's session was ended here, and the webmail has not noticed yet."""
    credential = (
        WebmailCredential.select()
        .where(
            WebmailCredential.account == account,
            WebmailCredential.webmail == token.webmail,
            WebmailCredential.webmail_session == token.text("sid"),
        )
        .order_by(WebmailCredential.id.desc())
        .first()
    )
    if credential is not None:
        return not credential.is_alive
    # One that keeps the password itself has ended with that password.
    signed_in_at = token.claims.get("auth_time")
    return type(signed_in_at) is int and signed_in_at < (account.password_changed_at or 0)
