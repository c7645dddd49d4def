"""Recovering an account, and keeping others out: forgotten passwords, first passwords, "This wasn't me"."""

from actions.collaborations import collaborations
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login, refuse_invisible
from actions.ground.holding import removed
from actions.ground.ports import Ports
from actions.ground.throttle import Limit
from actions.ground.tokens import digest
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.outbox import mail, outbox
from actions.passwords import passwords
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import links, sessions
from actions.trail import audit
from actions.trail.events import Event
from database import transactional
from models import Account, OneTimeLink, OutboxItem, now

REQUESTS_FROM_NETWORK = Limit("forgotten password from network", free=10, ceiling=30, window=3600)
# Strangers on the same network do not block a request from a browser in which the account signed in before.
REQUESTS_FROM_KNOWN_BROWSER = Limit("forgotten password from known browser", free=5, ceiling=10, window=3600)
# The event when a link of this purpose sets a password.
SET_BY = {
    links.WELCOME: Event.LINK_PASSWORD_WELCOME,
    links.RESET: Event.LINK_PASSWORD_RESET,
    links.RECOVER: Event.LINK_PASSWORD_RECOVER,
    links.HANDED_OUT: Event.LINK_PASSWORD_HANDED_OUT,
}


def ask_for_link(unit: UnitOfWork, login: str, browser: str | None = None) -> None:
    """Ask for a link to set a new password. This does the same for every login, known or not; the worker later finds
    the recipient, if there is one. Raises `Refused` for a login that no account can have, or
    `throttle.TooManyAttempts`."""
    login = canonical_login(login)
    refuse_invisible(login, "login")
    account = Account.by_login(login)
    is_known = sessions.is_known_browser(account, browser)
    counters = (
        [REQUESTS_FROM_KNOWN_BROWSER.on(login)] if is_known else REQUESTS_FROM_NETWORK.from_address(unit.actor.address)
    )
    throttle.attempt(counters)
    key = f"forgotten:{digest(login)[:32]}:{now() // 60}"
    outbox.put(unit.ports, "forgotten", key, {"login": login, "address": unit.actor.address})


def write_to_owner(ports: Ports, _item: OutboxItem, payload: dict) -> None:
    """Send a link to the account whose login an outbox item names, if it can receive one."""
    account = Account.by_login(payload["login"])
    if account is not None and account.may_enter and account.contact_email:
        _put_reset_link(ports, account, payload["address"])


@transactional
def _put_reset_link(ports: Ports, account: Account, address: str) -> None:
    """Put a link into the outbox. Anybody may have asked, so a link that somebody sent on purpose stays valid beside
    this one until one of them is used."""
    if links.open_link(account, links.RESET):
        return
    token = links.create(account, links.RESET, replaces=())
    facts = {
        "login": account.login,
        "link": links.address(ports.settings, links.RESET, token),
        "hours": links.LIFETIMES[links.RESET] // links.HOUR,
        "address": address,
        "name": mail.name_of(account),
    }
    key = f"reset:{digest(token)[:32]}"
    mail.put(ports, key, "password_reset", account.contact_email, account.language, facts, account)
    audit.record(Actor(address=address), Event.PASSWORD_LINK_REQUESTED, account)


def set_password(unit: UnitOfWork, link: OneTimeLink, new: object, browser: str | None = None) -> str:
    """Set a password through a link, which this uses up; ends every session and connection. Returns the token by which
    the browser is known from now on: strangers' guesses do not block the owner there.

    Raises `Refused`, and leaves the link valid, when the password is not accepted. Also raises it for a link that was
    used a moment before.
    """
    new_hash = passwords.hash_password(unit.ports.settings, check_new(unit, link, new))
    return _commit_password(unit, link, new_hash, browser)


def check_new(unit: UnitOfWork, link: OneTimeLink, new: object) -> str:
    """The password, if the link's account may have it; raises `Refused`, and changes nothing."""
    return passwords.acceptable(unit.ports, link.account, new)


@unit_of_work
def _commit_password(unit: UnitOfWork, link: OneTimeLink, new_hash: str, browser: str | None) -> str:
    account = links.use(link)
    if not account.replace_password(account.password_hash, new_hash):
        raise links.void()
    is_invited = account.state == Account.PENDING
    if link.purpose in links.OPENS_ACCOUNT:
        account.put_into_state(Account.ACTIVE)
    revocation.revoke(unit, Cause.SET_BY_LINK, account)
    audit.record(unit.actor, SET_BY[link.purpose], account)
    if is_invited:
        notices.collaboration_confirmed(unit.ports, account)
    elif link.purpose != links.WELCOME:
        notices.password_changed(unit, account, everywhere=True)
    return sessions.remember_browser(account, browser)


@unit_of_work
def lock(unit: UnitOfWork, link: OneTimeLink) -> None:
    """Lock the account after “This wasn't me”, end everything, and notify the managers."""
    account = links.use(link)
    notices.account_locked(unit, account)
    _lock(unit, account, Event.LINK_ACCOUNT_LOCKED)


@unit_of_work
def lock_by_operator(unit: UnitOfWork, account: Account) -> None:
    """Lock an account at the operator's request, as “This wasn't me” does."""
    _lock(unit, account, Event.OPERATOR_ACCOUNT_LOCKED)


def _lock(unit: UnitOfWork, account: Account, event: Event) -> None:
    if not account.put_into_state(Account.LOCKED):
        raise removed()
    audit.record(unit.actor, event, account)
    # Somebody who knew the password may have created devices and collaborators: none outlives the lock.
    revocation.revoke(unit, Cause.LOCK, account)
    collaborations.suspend_all(unit, account)
