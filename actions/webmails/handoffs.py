"""Hand-offs: a person who is signed in to a webmail is signed in here too, by a token that the webmail signed.

The token states who the person is. It does not replace the password, which dangerous actions require.
"""

from dataclasses import dataclass

from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.passwords.sign_in import refuse_if_changed
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from actions.webmails import webmail_tokens
from actions.webmails.webmail_tokens import NotAccepted, Token
from models import Account, WebmailCredential, WebSession

# What browsers send for a page in a frame, or in a tab.
FRAME, TAB = "iframe", "document"


@dataclass(frozen=True)
class Arrival:
    """The browser's statement of a hand-off's origin and destination: the headers `Origin` and `Sec-Fetch-Dest`."""

    origin: str | None
    destination: str | None


@dataclass(frozen=True)
class HandOff:
    """A valid hand-off that is not used yet."""

    token: Token
    account: Account
    webmail_session: str


def examine(unit: UnitOfWork, text: object, arrival: Arrival | None = None) -> HandOff:
    """The hand-off that a browser brings, from the webmail's page or, without an arrival, from our own question. Raises
    `NotAccepted`, which is recorded, or `throttle.TooManyAttempts`."""
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
    """Use up the hand-off. Returns a new session and its cookie's token, or None where the same webmail already handed
    over the same account and the acting session goes on. Any other session ends: the webmail's frame shows only
    sessions that the webmail began. Raises `NotAccepted` when the hand-off was used before, which is recorded."""
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
    """The reason why this account may not enter by this token, if there is one."""
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
    """Whether the webmail's session was ended here without the webmail noticing yet."""
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
    # The session of a webmail that keeps the password itself ended when that password was changed.
    signed_in_at = token.claims.get("auth_time")
    return type(signed_in_at) is int and signed_in_at < (account.password_changed_at or 0)
