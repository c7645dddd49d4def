"""Signing in with login and password."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login, refuse_invisible
from actions.ground.holding import hold
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import Counter
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.passwords import guesses, passwords
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, WebSession

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SignedIn:
    """A new session, the token for its cookie, and the token by which this browser is known from now on."""

    session: WebSession
    token: str
    browser: str


def sign_in(unit: UnitOfWork, login: object, password: object, browser: str | None) -> SignedIn:
    """Sign in; raises `Refused` with one sentence for every failure but an invisible character in the login, which no
    account has; or `throttle.TooManyAttempts`.

    Does the same work, and so takes the same time, for known and unknown logins.
    """
    login = canonical_login(login)
    refuse_invisible(login, "login")
    account = Account.by_login(login)
    counters = guesses.at_sign_in(login, account, unit.actor.address, browser)
    prove(unit, account, password, counters)
    return _commit(unit, account, browser, counters)


def prove(
    unit: UnitOfWork,
    account: Account | None,
    password: object,
    counters: list[Counter],
    admits: Callable[[Account], bool] = lambda _account: True,
) -> None:
    """Count an attempt and check it: the password must be right, and the account allowed to enter, in general and here
    (`admits`). Raises what `sign_in` raises. After a success, the caller must `throttle.settle` the counters."""
    throttle.attempt(counters)
    right = passwords.verify(unit.ports.settings, account.password_hash if account else None, password)
    if not right or not account.may_enter or not admits(account):
        _note_failure(unit, account)
        # fail2ban reads this line. It does not contain the login, which may be a password.
        log.warning("A sign-in from %s was refused.", unit.actor.address)
        raise wrong()
    passwords.renew_hash(unit.ports.settings, account, password)


@unit_of_work
def _commit(unit: UnitOfWork, account: Account, browser: str | None, counters: list[Counter]) -> SignedIn:
    throttle.settle(counters)
    refuse_if_changed(account)
    session, token = sessions.start(account, unit.actor.address, unit.actor.user_agent)
    audit.record(Actor(account, session, unit.actor.address, unit.actor.user_agent), Event.SESSION_STARTED)
    return SignedIn(session, token, sessions.remember_browser(account, browser))


def refuse_if_changed(account: Account) -> None:
    """Refuse if the password was changed, or the account locked or removed, while the password was being verified.
    Holds the account, so that a change on any node waits for this one, or this one for it."""
    present = hold(account, wrong())
    known = (account.password_changed_at, account.state)
    if (present.password_changed_at, present.state) != known:
        raise wrong()


def wrong() -> Refused:
    """The one refusal for every sign-in that fails."""
    return Refused(N_("The address or the password is wrong, or the account is locked or suspended."), "password")


@unit_of_work
def _note_failure(unit: UnitOfWork, account: Account | None) -> None:
    """Record a failure. Every failure writes one transaction, which makes known and unknown logins take the same time.
    An unknown login is not stored, because it may be a password typed into the wrong field."""
    audit.record(unit.actor, Event.SESSION_REFUSED, account)
