"""The account's password: hashing, verifying, changing."""

import functools
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from actions.devices import devices
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.ports import Connection, Ports
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.passwords import guesses, policy
from actions.revocation import revocation
from actions.revocation.revocation import Spared
from actions.revocation.table import Cause
from actions.sessions import connections, sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, Device, WebSession
from settings import Settings

DAY = 24 * 3600
# Guesses at the current password inside a session: slower from the sixth, none after twenty in the session's life.
CONFIRMATIONS = throttle.Limit("confirm password", free=5, ceiling=20, window=sessions.PERSON.absolute)
# A webmail may hand a person over any number of times, each time into a new session. Guesses in all of them together
# count for the account and for the network, except in a browser that is known to the account.
CONFIRMATIONS_TO_ACCOUNT = throttle.Limit("confirm password of account", free=10, ceiling=30, window=DAY)
CONFIRMATIONS_FROM_NETWORK = throttle.Limit("confirm password from network", free=100, ceiling=300, window=900)
NOTICES = throttle.Limit("notices of guesses to account", free=1, ceiling=1, window=DAY)


@dataclass(frozen=True)
class Consequences:
    """What ends when the person logs out everywhere."""

    browsers: int
    webmails: list[sessions.InWebmail]
    programs: list[Connection]
    programs_unknown: bool
    devices: list[Device]


def hasher(settings: Settings) -> PasswordHasher:
    """A hasher with the cost from the settings."""
    return _hasher(settings.argon2_time, settings.argon2_memory, settings.argon2_parallelism)


def hash_password(settings: Settings, password: str) -> str:
    """The argon2id hash of a prepared password, as Dovecot reads it after `{ARGON2ID}`."""
    return hasher(settings).hash(password)


def verify(settings: Settings, stored: str | None, password: object) -> bool:
    """Whether this is the password of the stored hash. Takes the same time without a stored hash."""
    try:
        given = policy.prepared(password)
    except Refused:
        given = ""
    try:
        right = hasher(settings).verify(stored or _nobodys_hash(hasher(settings)), given)
    except (VerificationError, InvalidHashError):
        return False
    return right and bool(stored) and bool(given)


def renew_hash(settings: Settings, account: Account, password: str) -> None:
    """Hash the password again when the stored hash has another cost than the settings require."""
    stored = account.password_hash
    if not hasher(settings).check_needs_rehash(stored):
        return
    renewed = hash_password(settings, policy.prepared(password))
    account.write(Account.password_hash == stored, password_hash=renewed)


def confirm(unit: UnitOfWork, password: object, browser: str | None = None) -> None:
    """Check the acting person's current password; raises `Refused`, or `throttle.TooManyAttempts`. `browser` is the
    token of a browser that may be known. Too many guesses end the session. A caller that lets the person go on must
    `sessions.renew` the session."""
    throttle.settle(_guess(unit, password, browser))


def confirm_again(unit: UnitOfWork, password: object, browser: str | None = None) -> tuple[WebSession, str]:
    """Check the password before a dangerous action. Returns the renewed session for it, and the token for its
    cookie."""
    confirm(unit, password, browser)
    return sessions.renew(unit)


def _guess(unit: UnitOfWork, password: object, browser: str | None) -> list[throttle.Counter]:
    """Check the password, and leave the counters of the guess for the caller to settle. An empty field is no guess."""
    if not password:
        raise Refused(N_("This field is empty."), "current_password")
    counters = _counters(unit.actor, browser)
    throttle.attempt(counters)
    if verify(unit.ports.settings, unit.actor.account.password_hash, password):
        return counters
    if _refusal_ends_session(unit, counters):
        raise Refused(N_("Too many wrong passwords: this session has ended. Sign in again."), "current_password")
    raise Refused(N_("This is not your current password."), "current_password")


def _counters(actor: Actor, browser: str | None) -> list[throttle.Counter]:
    own = CONFIRMATIONS.on(actor.session.token_hash)
    if sessions.is_known_browser(actor.account, browser):
        return [own, guesses.KNOWN_BROWSER.on(actor.account.id, browser)]
    to_account = CONFIRMATIONS_TO_ACCOUNT.on(actor.account.login)
    return [own, to_account, *CONFIRMATIONS_FROM_NETWORK.from_address(actor.address)]


@unit_of_work
def _refusal_ends_session(unit: UnitOfWork, counters: list[throttle.Counter]) -> bool:
    """Record a wrong password. The last guess that is allowed also ends the session and, where a webmail began it, the
    webmail's session too, and notifies the account's owner."""
    audit.record(unit.actor, Event.PASSWORD_REFUSED)
    if not throttle.are_used_up(counters) or not sessions.exists(unit.actor.session):
        return False
    audit.record(unit.actor, Event.SESSION_GUESSED)
    try:
        throttle.attempt([NOTICES.on(unit.actor.account.login)])
        notices.password_guessed(unit, unit.actor.account)
    except throttle.TooManyAttempts:
        pass
    sessions.end_with_webmail(unit, unit.actor.session)
    return True


def consequences(ports: Ports, account: Account) -> Consequences:
    """What logging out everywhere would end now."""
    connected = connections.of(ports, account)
    browsers = sessions.living(account)
    in_webmails = sessions.in_webmails(account, browsers)
    known = devices.known_to(account)
    return Consequences(len(browsers), in_webmails, connected.by_own_password, connected.unknown, known)


def change(
    unit: UnitOfWork,
    current: object,
    new: object,
    everywhere: bool = False,
    devices_too: bool = False,
    browser: str | None = None,
) -> tuple[WebSession, str] | None:
    """Change the acting person's password. `everywhere` ends every session and every connection that used the old one;
    `devices_too` also revokes the device passwords, including those that others made for the account. Returns the
    renewed session and the token for its cookie; None when every session has ended.

    Raises `Refused` with all fields that are wrong, or `throttle.TooManyAttempts`; then nothing has changed. `browser`
    is the token of the known browser that may stay known.
    """
    accepted, counters = _checked(unit, current, new, browser)
    new_hash = hash_password(unit.ports.settings, accepted)
    return _commit_change(unit, counters, new_hash, everywhere, devices_too and everywhere, browser)


def check_change(unit: UnitOfWork, current: object, new: object, browser: str | None = None) -> None:
    """Raises what `change` would raise, and changes nothing: a wrong current password counts as a guess here too."""
    _, counters = _checked(unit, current, new, browser)
    throttle.settle(counters)


def _checked(unit: UnitOfWork, current: object, new: object, browser: str | None) -> tuple[str, list[throttle.Counter]]:
    """The new password if both are right, and the counters of the guess, for the caller to settle. The guess comes
    first: who has to wait learns nothing about the new password either."""
    faults, counters, accepted = Faults(), [], ""
    with faults:
        counters = _guess(unit, current, browser)
    with faults:
        accepted = acceptable(unit.ports, unit.actor.account, new)
    if accepted and accepted == current:
        same = N_("The new password is the same as the current one. Choose another.")
        faults.found.append(Refused(same, "new_password"))
    if faults.found and counters:
        throttle.settle(counters)
    faults.refuse()
    return accepted, counters


def acceptable(ports: Ports, account: Account, new: object, password_policy: str = "") -> str:
    """A new password that meets the policy and is known from no breach; raises `Refused`."""
    accepted = policy.accepted(account, new, ports.settings.password_blocklist, password_policy)
    refuse_breached(ports, accepted)
    return accepted


def refuse_breached(ports: Ports, password: str) -> None:
    """Raises `Refused` when the password is known from a breach; checks only where the host has enabled that."""
    if ports.breaches.contain(password):
        raise Refused(N_("This password is in a collection of stolen passwords. Choose another."), "new_password")


@unit_of_work
def _commit_change(
    unit: UnitOfWork,
    counters: list[throttle.Counter],
    new_hash: str,
    everywhere: bool,
    devices_too: bool,
    browser: str | None,
) -> tuple[WebSession, str] | None:
    account = unit.actor.account
    throttle.settle(counters)
    if not account.replace_password(account.password_hash, new_hash):
        raise Refused(N_("The password was changed in another window a moment ago. Start again."), "current_password")
    ended = sessions.count(account) if everywhere else 0
    audit.record(unit.actor, Event.PASSWORD_CHANGED, everywhere=everywhere, browsers=ended)
    revocation.revoke(unit, _cause(everywhere, devices_too), account, spared=Spared(browser=browser))
    notices.password_changed(unit, account, everywhere)
    return None if everywhere else sessions.renew(unit)


def _cause(everywhere: bool, devices_too: bool) -> Cause:
    if devices_too:
        return Cause.OWN_CHANGE_EVERYWHERE_AND_DEVICES
    return Cause.OWN_CHANGE_EVERYWHERE if everywhere else Cause.OWN_CHANGE


@functools.lru_cache(maxsize=8)
def _hasher(time_cost: int, memory_cost: int, parallelism: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)


@functools.lru_cache(maxsize=8)
def _nobodys_hash(usual: PasswordHasher) -> str:
    """A hash of the usual cost that no password matches."""
    return usual.hash(secrets.token_urlsafe(32))
