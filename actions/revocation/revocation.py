"""Carries out the revocations in the `table`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actions.devices import devices
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.revocation.table import ENDS, Access, Cause
from actions.sessions import connections, links, sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, WebSession


@dataclass(frozen=True)
class Spared:
    """What continues: the acting person's browser session, with the webmail session around it, and the known browser
    with this token."""

    session: WebSession | None = None
    browser: str | None = None


End = Callable[[UnitOfWork, Sequence[Account], Spared], None]


def revoke(unit: UnitOfWork, cause: Cause, *accounts: Account, spared: Spared = Spared(), at_once: bool = True) -> None:
    """End the access that these accounts lose for this cause, within the caller's transaction. Connections end after
    its commit, or in the worker if not `at_once`."""
    ending = ENDS[cause]
    if at_once:
        for account in accounts:
            _end_connections(unit, account, ending)
    elif ending & Access.CONNECTIONS:
        connections.end_later(unit.ports, accounts, _scope(ending))
    for access, end in _WAYS.items():
        if access in ending:
            end(unit, accounts, spared)


def _end_connections(unit: UnitOfWork, account: Account, ending: Access) -> None:
    if ending & Access.CONNECTIONS:
        connections.end(unit, account, _scope(ending))


def _scope(ending: Access) -> int | None:
    return connections.ALL if ending & Access.DEVICE_CONNECTIONS else connections.OWN


def _links_for(*purposes: str) -> End:
    return lambda _unit, accounts, _spared: links.revoke(accounts, purposes)


def _void_passwords(_unit: UnitOfWork, accounts: Sequence[Account], _spared: Spared) -> None:
    for account in accounts:
        account.write(password_hash=None)


def _forget_own_devices(unit: UnitOfWork, accounts: Sequence[Account], _spared: Spared) -> None:
    for account in accounts:
        devices.forget_all(unit, account)


def _forget_devices_of_others(unit: UnitOfWork, accounts: Sequence[Account], _spared: Spared) -> None:
    for account in accounts:
        devices.forget_of_others(unit, account)


_WAYS: dict[Access, End] = {
    Access.PASSWORD: _void_passwords,
    Access.BROWSERS: lambda _unit, accounts, spared: sessions.end_browsers(accounts, spared.session),
    Access.WEBMAILS: lambda _unit, accounts, spared: sessions.end_webmails(accounts, spared.session),
    Access.KNOWN_BROWSERS: lambda _unit, accounts, spared: sessions.forget_browsers(accounts, spared.browser),
    Access.PASSWORD_LINKS: _links_for(*links.SETS_PASSWORD),
    Access.NOT_ME_LINKS: _links_for(links.DISOWN),
    Access.NOT_MY_DEVICE_LINKS: _links_for(links.DISOWN_DEVICE),
    Access.CONTACT_LINKS: _links_for(links.CONFIRM_CONTACT),
    Access.NOT_MY_CONTACT_LINKS: _links_for(links.DISOWN_CONTACT),
    Access.OWN_DEVICES: _forget_own_devices,
    Access.DEVICES_OF_OTHERS: _forget_devices_of_others,
}


@unit_of_work
def end_others(unit: UnitOfWork) -> None:
    """End the acting account's other browsers, its webmail sessions and all its connected mail programs."""
    account, own = unit.actor.account, unit.actor.session
    audit.record(unit.actor, Event.SESSIONS_ENDED_OTHERS, browsers=sessions.count(account, but=own))
    revoke(unit, Cause.OTHERS_ENDED, account, spared=Spared(session=own))
