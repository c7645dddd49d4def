"""Signing in with login and password."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from peewee import IntegrityError

from postern.actions import audit, passwords, sessions, throttle
from postern.actions.actor import Actor
from postern.actions.ports import Ports
from postern.actions.text import N_, Refused
from postern.actions.throttle import Counter, Limit
from postern.models import Account, WebSession, transactional

LONGEST_LOGIN = 254

# Strangers to an account share these; a browser in which the account signed in before has a count of its own, so that
# strangers' guesses never stand in its owner's way.
FROM_NETWORK_TO_ACCOUNT = Limit("sign-in from network to account", free=5, ceiling=20, window=900)
STRANGERS_TO_ACCOUNT = Limit("sign-in by strangers to account", free=20, ceiling=100, window=24 * 3600)
FROM_NETWORK = Limit("sign-in from network", free=100, ceiling=300, window=900)
KNOWN_BROWSER = Limit("sign-in from known browser", free=5, ceiling=50, window=24 * 3600)


@dataclass(frozen=True)
class SignedIn:
    """A fresh session, the token for its cookie, and the token by which this browser is known from now on."""

    session: WebSession
    token: str
    browser: str


def canonical_login(typed: object) -> str:
    """A login as it is stored: without spaces around it, composed, in small letters."""
    if not isinstance(typed, str):
        return ""
    return unicodedata.normalize("NFC", typed.strip()).lower()[:LONGEST_LOGIN]


def sign_in(ports: Ports, actor: Actor, login: object, password: object, browser: str | None) -> SignedIn:
    """Sign in; raises `Refused` with one sentence for every failure, or `throttle.TooManyAttempts`.

    The work done, and so the time taken, is the same for known and unknown logins.
    """
    login = canonical_login(login)
    account = Account.by_login(login)
    counters = _counters(login, account, actor.address, browser)
    prove(ports, actor, account, password, counters)
    return _commit(actor, account, browser, counters)


def prove(
    ports: Ports,
    actor: Actor,
    account: Account | None,
    password: object,
    counters: list[Counter],
    admits: Callable[[Account], bool] = lambda _account: True,
) -> None:
    """Count an attempt and see whether it is right: whether this is the account's password, and it may come in, here
    (`admits`) as anywhere. Raises what `sign_in` raises. Who was right `settle`s."""
    throttle.attempt(counters)
    right = passwords.verify(ports.settings, account.password_hash if account else None, password)
    if not right or not account.may_enter or not admits(account):
        _note_failure(actor, account)
        raise wrong()
    passwords.renew_hash(ports.settings, account, password)


def _counters(login: str, account: Account | None, address: str, browser: str | None) -> list[Counter]:
    if sessions.is_known_browser(account, browser):
        return [KNOWN_BROWSER.on(account.id, browser)]
    network = throttle.network_of(address)
    return [FROM_NETWORK_TO_ACCOUNT.on(network, login), STRANGERS_TO_ACCOUNT.on(login), FROM_NETWORK.on(network)]


@transactional
def _commit(actor: Actor, account: Account, browser: str | None, counters: list[Counter]) -> SignedIn:
    settle(counters)
    try:
        session, token = sessions.start(account, actor.address, actor.user_agent)
    except IntegrityError:
        # The account was removed while the password was being verified.
        raise wrong() from None
    refuse_if_changed(account)
    audit.record(Actor(account, session, actor.address, actor.user_agent), "web:session:started")
    return SignedIn(session, token, sessions.remember_browser(account, browser))


def settle(counters: list[Counter]) -> None:
    """Who was right takes the attempt back, within the caller's transaction; on the first counter, which is its own,
    the failures before as well."""
    own, *shared = counters
    throttle.forgive([own])
    throttle.take_back(shared)


def refuse_if_changed(account: Account) -> None:
    """While the password was being verified it may have been changed, or the account locked or removed, and every
    session ended.
    Read after the session's row was written, which waits for whoever is changing the account."""
    present = Account.get_or_none(Account.id == account.id)
    if present is None or (present.password_changed_at, present.state) != (account.password_changed_at, account.state):
        raise wrong()


def wrong() -> Refused:
    """The one refusal of every sign-in that fails."""
    return Refused(N_("The address or the password is wrong, or the account is locked or suspended."), "password")


@transactional
def _note_failure(actor: Actor, account: Account | None) -> None:
    """Every failure writes one transaction, so that known and unknown logins take the same time; what was typed as
    an unknown login is not kept, for it may be a password."""
    audit.record(actor, "web:session:refused", account)
