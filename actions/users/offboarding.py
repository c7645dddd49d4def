"""Offboarding: everyone and everything that can open a mailbox, and how to end all of it.

When somebody leaves, a manager sees on one page what opens their mailbox, and revokes all of it at once: browsers,
webmails, mail programs, devices, invitations, collaborators, links, the password, and the contact address, to which
“Forgot password” would write. The account is suspended. Mail still arrives, and none is lost.
"""

import itertools
from dataclasses import dataclass, field

from actions.authority import authority
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.ground.holding import hold, related
from actions.ground.ports import Ports
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import connections, links, sessions
from actions.sessions.connections import Connected
from actions.trail import audit
from actions.trail.events import Event
from actions.users import users
from models import Account, AuditEvent, Device, DeviceInvitation, Mailbox, OneTimeLink, WebSession

# A report names up to MOST_NAMED of each kind, within MOST_BYTES, and counts the rest. The person concerned may have
# chosen the names, so their length must not matter.
MOST_NAMED, MOST_BYTES = 100, 16_000


@dataclass(frozen=True)
class Guest:
    """A collaborator who can open the mailbox or is invited to, and everything with which they can."""

    row: collaborations.Row
    browsers: list[WebSession]
    webmails: list[sessions.InWebmail]
    devices: list[Device]
    connected: Connected


@dataclass(frozen=True)
class Access:
    """Everyone and everything that can open a mailbox."""

    account: Account
    browsers: list[WebSession]
    webmails: list[sessions.InWebmail]
    connected: Connected
    devices: list[devices.Row]
    guests: list[Guest]
    invitations: list[DeviceInvitation]
    # One-time links that set a password and are still valid.
    links: list[OneTimeLink]
    # Devices of other mailboxes that were made for its owner, who knows their passwords.
    given: list[Device]

    @property
    def has_password(self) -> bool:
        return self.account.password_hash is not None

    @property
    def mail_server_is_silent(self) -> bool:
        return self.connected.unknown or any(guest.connected.unknown for guest in self.guests)

    @property
    def is_shut(self) -> bool:
        """Whether nobody and nothing can open it."""
        in_use = (self.browsers, self.webmails, self.connected.programs)
        ways = (*in_use, self.devices, self.guests, self.invitations, self.links)
        by_itself = self.account.state == Account.ACTIVE and (self.has_password or self.account.contact_email)
        return not any(ways) and not by_itself


@dataclass(frozen=True)
class Report:
    """What was ended, by whom and when. `is_pending`: the mail server has not answered yet, and open connections stay
    open until it does."""

    event: AuditEvent
    password: bool
    contact: str
    browsers: int
    programs: list[str]
    programs_unknown: bool
    devices: list[str] = field(default_factory=list)
    collaborators: list[str] = field(default_factory=list)
    invitations: list[str] = field(default_factory=list)
    webmails: int = 0
    links: int = 0
    more: dict[str, int] = field(default_factory=dict)
    is_pending: bool = False


def access(ports: Ports, mailbox: Mailbox) -> Access:
    """Who and what can open the mailbox now; raises `Refused` when the mailbox was removed."""
    account = related(mailbox, "account")
    connected, browsers = connections.of(ports, account), sessions.living(account)
    return Access(
        account,
        browsers,
        sessions.in_webmails(account, browsers),
        connected,
        devices.rows(account, connected),
        _guests(ports, mailbox, connected.unknown),
        invitations.pending(account),
        _open_links(account),
        devices.made_for(account),
    )


def _guests(ports: Ports, mailbox: Mailbox, is_silent: bool) -> list[Guest]:
    guests = []
    for row in collaborations.rows(mailbox):
        if row.state != collaborations.DISABLED:
            # After one failure to answer, the mail server is not asked again.
            connected = Connected([], unknown=True) if is_silent else connections.of(ports, row.account)
            is_silent = connected.unknown
            guests.append(_guest(row, connected))
    return guests


def _guest(row: collaborations.Row, connected: Connected) -> Guest:
    account = row.account
    browsers = sessions.living(account)
    return Guest(row, browsers, sessions.in_webmails(account, browsers), list(account.devices), connected)


def _open_links(account: Account) -> list[OneTimeLink]:
    return [link for purpose in links.SETS_PASSWORD if (link := links.open_link(account, purpose))]


def end(unit: UnitOfWork, mailbox: Mailbox) -> AuditEvent:
    """End everyone and everything that can open the mailbox, void its password, delete its contact address and suspend
    its account. Returns the event for the `report`. Raises `Refused` when the acting person may not act on the
    account."""
    return _end(unit, mailbox, access(unit.ports, mailbox))


@unit_of_work
def _end(unit: UnitOfWork, mailbox: Mailbox, seen: Access) -> AuditEvent:
    account = users.held(unit, mailbox)
    facts = _facts(mailbox, account, seen)
    notices.done_by_another(unit, account, Event.ACCESS_ENDED, [*facts["devices"], *facts["collaborators"]])
    revocation.revoke(unit, Cause.OFFBOARDING, account)
    collaborations.disable_all(unit, account)
    account.write(contact_email="")
    account.put_into_state(Account.SUSPENDED)
    return audit.record(unit.actor, Event.ACCESS_ENDED, account, **facts)


def _facts(mailbox: Mailbox, account: Account, seen: Access) -> dict[str, object]:
    """The report's facts as they are within the transaction, except for those that only the mail server knew before
    it."""
    guests = [row for row in collaborations.rows(mailbox) if row.state != collaborations.DISABLED]
    everybody = [account, *(row.account for row in guests)]
    named = {
        "devices": [
            *(device.name for device in account.devices.order_by(Device.name)),
            *(f"{device.name} ({device.account.login})" for device in devices.made_for(account)),
        ],
        "collaborators": [f"{row.account.display_name} ({row.account.login})" for row in guests],
        "invitations": [f"{invitation.name} ({invitation.recipient})" for invitation in invitations.pending(account)],
        "programs": _programs(seen),
    }
    told = {kind: _first(names) for kind, names in named.items()}
    return {
        **told,
        "more": {kind: len(names) - len(told[kind]) for kind, names in named.items() if len(names) > len(told[kind])},
        "password": account.password_hash is not None,
        "contact": account.contact_email,
        "browsers": sum(len(sessions.living(each)) for each in everybody),
        "webmails": sum(len(sessions.in_webmails(each)) for each in everybody),
        "links": len(_open_links(account)),
        "programs_unknown": seen.mail_server_is_silent,
    }


def _first(names: list[str]) -> list[str]:
    """The first names, as many as a report has room for."""
    sizes = itertools.accumulate(len(name.encode()) for name in names[:MOST_NAMED])
    return [name for name, size in zip(names, sizes, strict=False) if size <= MOST_BYTES]


def _programs(seen: Access) -> list[str]:
    connected = [seen.connected, *(guest.connected for guest in seen.guests)]
    return [f"{program.protocol.upper()}, {program.address}" for each in connected for program in each.programs]


@unit_of_work
def sign_out(unit: UnitOfWork, account: Account) -> None:
    """End an account's browsers, its webmail sessions and all its connected mail programs; the passwords stay. Raises
    `Refused` when the acting person may not act on the account."""
    account = hold(account)
    authority.refuse_unless_may_act(unit.actor, account)
    audit.record(unit.actor, Event.SESSIONS_ENDED_OTHERS, account, browsers=sessions.count(account))
    revocation.revoke(unit, Cause.OTHERS_ENDED, account)


def reports(mailbox: Mailbox):
    """The events of earlier offboardings of this mailbox, newest first."""
    return (
        AuditEvent.select()
        .where(AuditEvent.mailbox == mailbox, AuditEvent.action == Event.ACCESS_ENDED.code)
        .order_by(AuditEvent.id.desc())
    )


def report(mailbox: Mailbox, event_id: int) -> Report | None:
    """What an offboarding of this mailbox ended; None when this mailbox has no such event."""
    event = reports(mailbox).where(AuditEvent.id == event_id).first()
    if event is None:
        return None
    accounts = [mailbox.account, *(each.account for each in collaborations.of(mailbox))]
    return Report(event, is_pending=connections.are_pending(accounts, event.at), **event.details)
