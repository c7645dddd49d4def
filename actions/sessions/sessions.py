"""Signed-in browsers: each is a row, which decides; the cookie holds only its token."""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.ground.actor import USER_AGENT_LENGTH
from actions.ground.holding import hold
from actions.ground.refusals import N_, Refused
from actions.ground.tokens import digest, new_token
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.sessions import connections
from actions.trail import audit
from actions.trail.events import Event
from database import insert_all
from models import CLOCKS_DIFFER, Account, KnownBrowser, Webmail, WebmailCredential, WebSession, now

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
# A password given within this time need not be given again for a dangerous action.
RECENT_PASSWORD = 5 * MINUTE
# A session's last use is written at most this often: reading a page need not write.
SEEN_EVERY = 30
BROWSER_REMEMBERED = 180 * DAY


@dataclass(frozen=True)
class InWebmail:
    """An account's session in a webmail, as the list of sessions shows it: the credential that it uses, unless it keeps
    the password itself, and the panel's browser sessions that it began."""

    webmail: Webmail
    credential: WebmailCredential | None
    keeps_password: bool
    browsers: list[WebSession]

    @property
    def host(self) -> str:
        """The name by which people know the webmail."""
        return self.webmail.origin.partition("://")[2]

    @property
    def seen(self) -> WebSession | WebmailCredential:
        """The row that identifies the browser and its location."""
        return self.browsers[0] if self.browsers else self.credential

    @property
    def used_at(self) -> int:
        return self.browsers[0].seen_at if self.browsers else self.credential.created_at


@dataclass(frozen=True)
class Lifetime:
    """How long a session lasts, in seconds: after its last use, and in total."""

    idle: int
    absolute: int


PERSON = Lifetime(idle=15 * MINUTE, absolute=8 * HOUR)
MANAGER = Lifetime(idle=10 * MINUTE, absolute=1 * HOUR)


def lifetime_of(account: Account) -> Lifetime:
    """How long this account's sessions last: managers' sessions are shorter, because more depends on them."""
    return MANAGER if account.is_manager else PERSON


def is_of_person(session: WebSession | None) -> bool:
    """Whether its account acts as a person with a mailbox alone: a webmail began it, which knows no more of anybody."""
    return session is not None and session.webmail_id is not None


def is_alive(session: WebSession, account: Account) -> bool:
    """Whether this account's session still counts: it is not too old or idle too long, and the account may sign in. A
    session dated by a clock that was ahead would last too long, so it does not count at all."""
    lifetime, moment = PERSON if is_of_person(session) else lifetime_of(account), now()
    return (
        account.may_enter
        and max(session.seen_at, session.created_at) <= moment + CLOCKS_DIFFER
        and moment < session.seen_at + lifetime.idle
        and moment < session.created_at + lifetime.absolute
    )


def start(
    account: Account, address: str, user_agent: str, password_given: bool = True, **begun_by: object
) -> tuple[WebSession, str]:
    """Start a session within the caller's transaction; returns it and the token for its cookie. `begun_by` is the
    `webmail` that handed its person over, and its `webmail_session`."""
    token = new_token()
    session = WebSession.create(
        account=account,
        token_hash=digest(token),
        password_at=now() if password_given else 0,
        address=address,
        user_agent=user_agent[:USER_AGENT_LENGTH],
        **begun_by,
    )
    return session, token


def find(token: str) -> WebSession | None:
    """The living session with this token."""
    session = WebSession.with_token.first(digest(token))
    if session is None or not is_alive(session, session.account):
        return None
    session.account.acts_as_person = is_of_person(session)
    return session


def exists(session: WebSession) -> bool:
    """Whether the session has not been ended."""
    return WebSession.select().where(session.itself()).exists()


def seen(session: WebSession, address: str) -> None:
    """Record that the session is in use, from this address."""
    moment = now()
    if moment >= session.seen_at + SEEN_EVERY or address != session.address:
        session.write(seen_at=moment, address=address)


def password_is_recent(session: WebSession) -> bool:
    """Whether the password was given in this session within the last five minutes."""
    return -CLOCKS_DIFFER <= now() - session.password_at < RECENT_PASSWORD


@unit_of_work
def renew(unit: UnitOfWork) -> tuple[WebSession, str]:
    """Replace the acting session, in which the password has just been given, with a new row; returns it and the token
    for its cookie. Anyone who obtained the old token is signed out. The session's data, the webmail that began it and
    its latest end stay the same. Raises `Refused` when the session has been ended or the password changed meanwhile."""
    ended = Refused(N_("You are signed out, and nothing was changed. Sign in and try again."), "current_password")
    account, former = hold(unit.actor.account, ended), WebSession.get_or_none(unit.actor.session.itself())
    if former is None or not is_alive(former, account):
        raise ended
    if account.password_hash != unit.actor.account.password_hash:
        raise Refused(N_("The password was changed in another window a moment ago. Start again."), "current_password")
    WebSession.delete().where(former.itself()).execute()
    token = new_token()
    session = WebSession.create(
        account=unit.actor.account,
        token_hash=digest(token),
        data=former.data,
        created_at=former.created_at,
        password_at=now(),
        address=former.address,
        user_agent=former.user_agent,
        webmail=former.webmail_id,
        webmail_session=former.webmail_session,
    )
    return session, token


def living(account: Account) -> list[WebSession]:
    """The account's signed-in browsers, last used first."""
    return [session for session in WebSession.of_account(account) if is_alive(session, account)]


def in_webmails(account: Account, signed_in: Sequence[WebSession] | None = None) -> list[InWebmail]:
    """The account's sessions in webmails, last used first. `signed_in` are its living ones, where these are known."""
    known = {(each.webmail_id, each.webmail_session): each for each in WebmailCredential.of_account(account)}
    browsers: dict[tuple[int, str], list[WebSession]] = {}
    for session in living(account) if signed_in is None else signed_in:
        if session.webmail_id is not None:
            browsers.setdefault((session.webmail_id, session.webmail_session), []).append(session)
    alive = {key: credential for key, credential in known.items() if credential.is_alive}
    found = [
        InWebmail(
            (browsers[key][0] if key in browsers else alive[key]).webmail,
            alive.get(key),
            key not in known,
            browsers.get(key, []),
        )
        for key in {**browsers, **alive}
    ]
    return sorted(found, key=lambda each: each.used_at, reverse=True)


@unit_of_work
def sign_out(unit: UnitOfWork) -> None:
    """End the acting session."""
    audit.record(unit.actor, Event.SESSION_SIGNED_OUT)
    WebSession.delete().where(unit.actor.session.itself()).execute()


@unit_of_work
def end(unit: UnitOfWork, session: WebSession) -> None:
    """End one of the actor's own sessions, and those that the same webmail session began."""
    audit.record(unit.actor, Event.SESSION_ENDED, browser=session.user_agent, from_address=session.address)
    end_of_webmail(session)
    WebSession.delete().where(session.itself()).execute()


@unit_of_work
def end_program(unit: UnitOfWork, device_id: int, address: str) -> None:
    """Cut the acting account's mail programs that are connected from this address with one password: that of a device,
    or that of the account (0)."""
    audit.record(unit.actor, Event.CONNECTIONS_ENDED, from_address=address)
    connections.end(unit, unit.actor.account, device_id, address)


def count(account: Account, but: WebSession | None = None) -> int:
    """How many browsers are signed in, except `but`."""
    others = WebSession.select().where(WebSession.account == account)
    return (others.where(WebSession.token_hash != but.token_hash) if but else others).count()


def end_browsers(accounts: Sequence[Account], keep: WebSession | None = None) -> None:
    """End the accounts' browser sessions except `keep`, within the caller's transaction."""
    theirs = WebSession.account.in_(_numbers(accounts))
    if keep is not None:
        theirs &= WebSession.token_hash != keep.token_hash
    WebSession.delete().where(theirs).execute()


def end_webmails(accounts: Sequence[Account], keep: WebSession | None = None) -> None:
    """End the credentials with which webmails open the accounts' mailboxes, within the caller's transaction. The
    webmail session that began `keep` continues."""
    theirs = WebmailCredential.account.in_(_numbers(accounts)) & WebmailCredential.ended_at.is_null()
    if keep is not None:
        theirs &= ~_are_of(WebmailCredential, keep)
    WebmailCredential.update(ended_at=now()).where(theirs).execute()


def end_with_webmail(unit: UnitOfWork, session: WebSession) -> None:
    """End a session within the caller's transaction. If a webmail began it, end that webmail session too, with
    everything that it opened here and at the mail server."""
    credentials = WebmailCredential.select().where(
        WebmailCredential.account == session.account_id,
        _are_of(WebmailCredential, session),
        WebmailCredential.ended_at.is_null(),
    )
    for each in credentials:
        connections.end(unit, each.account, credential_id=each.id)
    WebmailCredential.update(ended_at=now()).where(
        WebmailCredential.account == session.account_id,
        _are_of(WebmailCredential, session),
        WebmailCredential.ended_at.is_null(),
    ).execute()
    end_of_webmail(session)
    WebSession.delete().where(session.itself()).execute()


def end_of_webmail(other: WebSession | WebmailCredential) -> None:
    """End the browser sessions that the same webmail session began, within the caller's transaction."""
    WebSession.delete().where(WebSession.account == other.account_id, _are_of(WebSession, other)).execute()


def _are_of(table: type[WebSession] | type[WebmailCredential], other: WebSession | WebmailCredential):
    """The condition that rows belong to the same webmail session as `other`; it matches no row if `other` has no
    webmail."""
    return (table.webmail == (other.webmail_id or 0)) & (table.webmail_session == other.webmail_session)


def remember_browser(account: Account, token: str | None) -> str:
    """Remember that the account signed in with this browser; returns the token for the browser's cookie."""
    token = token or new_token()
    token_hash = _browser_digest(account, token)
    # The row may already exist: known, forgotten by age, or just made by the same browser in another tab.
    insert_all(KnownBrowser, [{"account": account, "token_hash": token_hash}], ignore=True)
    KnownBrowser.update(seen_at=now()).where(KnownBrowser.token_hash == token_hash).execute()
    return token


def is_known_browser(account: Account | None, token: str | None) -> bool:
    """Whether this account signed in with this browser before. The cost is the same for an account that does not
    exist."""
    found = KnownBrowser.get_or_none(KnownBrowser.token_hash == _browser_digest(account, token or ""))
    return found is not None and now() < found.seen_at + BROWSER_REMEMBERED


def forget_browsers(accounts: Sequence[Account], but: str | None = None) -> None:
    """Forget the accounts' known browsers, except the one that holds the token `but`."""
    known = KnownBrowser.account.in_(_numbers(accounts))
    if but:
        known &= KnownBrowser.token_hash.not_in([_browser_digest(account, but) for account in accounts])
    KnownBrowser.delete().where(known).execute()


def _numbers(accounts: Sequence[Account]) -> list[int]:
    return [account.id for account in accounts]


def _browser_digest(account: Account | None, token: str) -> str:
    """One cookie serves every account of a shared browser; the digests keep the accounts' rows unlinkable to one
    another."""
    return digest(f"{account.id if account else 0}:{token}")
