"""Signed-in browsers: each a row that decides; the cookie holds only its token."""

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
# A password that was given so lately need not be given again for a dangerous action.
RECENT_PASSWORD = 5 * MINUTE
# Being seen is written down at most this often: reading a page need not write.
SEEN_EVERY = 30
BROWSER_REMEMBERED = 180 * DAY


@dataclass(frozen=True)
class InWebmail:
    """Somebody's session in a webmail, as the list of sessions shows it: what it opens the mailbox with, if that is not
    the password itself, and the frames of ours that it began."""

    webmail: Webmail
    credential: WebmailCredential | None
    keeps_password: bool
    browsers: list[WebSession]

    @property
    def host(self) -> str:
        """How people know the webmail."""
        return self.webmail.origin.partition("://")[2]

    @property
    def seen(self) -> WebSession | WebmailCredential:
        """What tells the browser and where it is."""
        return self.browsers[0] if self.browsers else self.credential

    @property
    def used_at(self) -> int:
        return self.browsers[0].seen_at if self.browsers else self.credential.created_at


@dataclass(frozen=True)
class Lifetime:
    """How long a session lasts, in seconds: since it was last used, and in all."""

    idle: int
    absolute: int


PERSON = Lifetime(idle=15 * MINUTE, absolute=8 * HOUR)
MANAGER = Lifetime(idle=10 * MINUTE, absolute=1 * HOUR)


def lifetime_of(account: Account) -> Lifetime:
    """How long this account's sessions last: managers' are shorter, for more depends on them."""
    return MANAGER if account.is_manager else PERSON


def is_alive(session: WebSession, account: Account) -> bool:
    """Whether this account's session still counts: not too old, not left idle, and the account may sign in. What a
    clock wrote that was ahead would count for too long, and does not count at all."""
    lifetime, moment = lifetime_of(account), now()
    return (
        account.may_enter
        and max(session.seen_at, session.created_at) <= moment + CLOCKS_DIFFER
        and moment < session.seen_at + lifetime.idle
        and moment < session.created_at + lifetime.absolute
    )


def start(
    account: Account, address: str, user_agent: str, password_given: bool = True, **begun_by: object
) -> tuple[WebSession, str]:
    """A new session and the token for its cookie, within the caller's transaction. `begun_by`: the `webmail` that
    handed its person over, and its `webmail_session`."""
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
    """The living session of this token."""
    session = WebSession.select(WebSession, Account).join(Account).where(WebSession.token_hash == digest(token)).first()
    return session if session and is_alive(session, session.account) else None


def exists(session: WebSession) -> bool:
    """Whether nobody has ended the session."""
    return WebSession.select().where(session.itself()).exists()


def seen(session: WebSession, address: str) -> None:
    """Note that the session is in use, from this address."""
    moment = now()
    if moment >= session.seen_at + SEEN_EVERY or address != session.address:
        session.write(seen_at=moment, address=address)


def password_is_recent(session: WebSession) -> bool:
    """Whether the password was given in this session within the last five minutes."""
    return -CLOCKS_DIFFER <= now() - session.password_at < RECENT_PASSWORD


@unit_of_work
def renew(unit: UnitOfWork) -> tuple[WebSession, str]:
    """The acting session, in which the password was given just now, goes on in this new row, with the token for its
    cookie: whoever got hold of the old one is signed out. What the session holds stays
    as it is, and so do the webmail that began it and the moment at which it ends at the latest. Raises `Refused` when
    it was ended meanwhile, or the password is another by now."""
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
    """The account's signed-in browsers, the one used last first."""
    return [
        session
        for session in WebSession.select()
        .where(WebSession.account == account)
        .order_by(WebSession.seen_at.desc(), WebSession.id.desc())
        if is_alive(session, account)
    ]


def in_webmails(account: Account) -> list[InWebmail]:
    """The account's sessions in webmails, the one used last first."""
    credentials = WebmailCredential.select(WebmailCredential, Webmail).join(Webmail)
    credentials = credentials.where(WebmailCredential.account == account).order_by(WebmailCredential.id)
    known = {(each.webmail_id, each.webmail_session): each for each in credentials}
    browsers: dict[tuple[int, str], list[WebSession]] = {}
    for session in living(account):
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
    """End the session that is acting."""
    audit.record(unit.actor, Event.SESSION_SIGNED_OUT)
    WebSession.delete().where(unit.actor.session.itself()).execute()


@unit_of_work
def end(unit: UnitOfWork, session: WebSession) -> None:
    """End one of the actor's own sessions, and those that the same session of a webmail began."""
    audit.record(unit.actor, Event.SESSION_ENDED, browser=session.user_agent, from_address=session.address)
    end_of_webmail(session)
    WebSession.delete().where(session.itself()).execute()


@unit_of_work
def end_program(unit: UnitOfWork, device_id: int, address: str) -> None:
    """Cut the acting account's mail programs that are connected from this address with one password, a device's or the
    account's (0)."""
    audit.record(unit.actor, Event.CONNECTIONS_ENDED, from_address=address)
    connections.end(unit, unit.actor.account, device_id, address)


def count(account: Account, but: WebSession | None = None) -> int:
    """How many browsers are signed in, but for one."""
    others = WebSession.select().where(WebSession.account == account)
    return (others.where(WebSession.token_hash != but.token_hash) if but else others).count()


def end_browsers(accounts: Sequence[Account], keep: WebSession | None = None) -> None:
    """End the accounts' browser sessions but `keep`, within the caller's transaction."""
    theirs = WebSession.account.in_(_numbers(accounts))
    if keep is not None:
        theirs &= WebSession.token_hash != keep.token_hash
    WebSession.delete().where(theirs).execute()


def end_webmails(accounts: Sequence[Account], keep: WebSession | None = None) -> None:
    """End what webmails open the accounts' mailboxes with, but for the webmail's session that `keep` stands in, within
    the caller's transaction."""
    theirs = WebmailCredential.account.in_(_numbers(accounts)) & WebmailCredential.ended_at.is_null()
    if keep is not None:
        theirs &= ~_are_of(WebmailCredential, keep)
    WebmailCredential.update(ended_at=now()).where(theirs).execute()


def end_with_webmail(unit: UnitOfWork, session: WebSession) -> None:
    """End a session and, where a webmail began it, that webmail's session with all that it opens here and at the mail
    server, within the caller's transaction."""
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
    """End the browser sessions that the same session of a webmail began, within the caller's transaction."""
    WebSession.delete().where(WebSession.account == other.account_id, _are_of(WebSession, other)).execute()


def _are_of(table: type[WebSession] | type[WebmailCredential], other: WebSession | WebmailCredential):
    """The condition that rows are of the same webmail's same session; of none, where the other has no webmail."""
    return (table.webmail == (other.webmail_id or 0)) & (table.webmail_session == other.webmail_session)


def remember_browser(account: Account, token: str | None) -> str:
    """Remember that the account signed in with this browser; the token for the browser's cookie."""
    token = token or new_token()
    token_hash = _browser_digest(account, token)
    # Its row may be there: known, forgotten by age, or just made by the same browser in another tab.
    insert_all(KnownBrowser, [{"account": account, "token_hash": token_hash}], ignore=True)
    KnownBrowser.update(seen_at=now()).where(KnownBrowser.token_hash == token_hash).execute()
    return token


def is_known_browser(account: Account | None, token: str | None) -> bool:
    """Whether this account signed in with this browser before. Costs the same for an account that does not exist."""
    found = KnownBrowser.get_or_none(KnownBrowser.token_hash == _browser_digest(account, token or ""))
    return found is not None and now() < found.seen_at + BROWSER_REMEMBERED


def forget_browsers(accounts: Sequence[Account], but: str | None = None) -> None:
    """No browser counts as known any more, except the one that holds this token."""
    known = KnownBrowser.account.in_(_numbers(accounts))
    if but:
        known &= KnownBrowser.token_hash.not_in([_browser_digest(account, but) for account in accounts])
    KnownBrowser.delete().where(known).execute()


def _numbers(accounts: Sequence[Account]) -> list[int]:
    return [account.id for account in accounts]


def _browser_digest(account: Account | None, token: str) -> str:
    """One cookie serves every account of a shared browser; the rows of its accounts are not linked to one another."""
    return digest(f"{account.id if account else 0}:{token}")
