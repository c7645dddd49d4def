"""Offboarding: everyone and everything that can open a mailbox, and the end of them all.

Somebody leaves. Whoever looks after the mailboxes sees on one page what opens this one, and takes it all back at once:
browsers, webmails, mail programs, devices, invitations, collaborators, links, the password, and the contact address, to
which “Forgot password” would write. The account is suspended; mail still arrives and nothing of it is lost.
"""

import itertools
from dataclasses import dataclass, field

from actions.authority import authority
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import connections, links, sessions
from actions.sessions.connections import Connected
from actions.trail import audit
from models import Account, AuditEvent, Device, DeviceInvitation, Mailbox, OneTimeLink, WebSession

ENDED = "web:access:ended"
# A report names so many of each kind, as long as they take no more than so many bytes, and counts the rest: no name,
# which the person concerned may have chosen, is too long for it.
MOST_NAMED, MOST_BYTES = 100, 16_000


@dataclass(frozen=True)
class Guest:
    """A collaborator who can open the mailbox, or is invited to, and by how much."""

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
    # One-time links that set a password and can still be used.
    links: list[OneTimeLink]
    # Devices of other mailboxes that were made for its owner: whoever leaves has their passwords.
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
    """What was ended, by whom and when. `is_pending`: the mail server has not answered yet; who is connected stays so
    until it does."""

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
    """Who and what can open the mailbox now."""
    account = mailbox.account
    connected = connections.of(ports, account)
    return Access(
        account,
        sessions.living(account),
        sessions.in_webmails(account),
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
            # A mail server that is silent once is not waited for again and again.
            connected = Connected([], unknown=True) if is_silent else connections.of(ports, row.account)
            is_silent = connected.unknown
            guests.append(_guest(row, connected))
    return guests


def _guest(row: collaborations.Row, connected: Connected) -> Guest:
    account = row.account
    return Guest(row, sessions.living(account), sessions.in_webmails(account), list(account.devices), connected)


def _open_links(account: Account) -> list[OneTimeLink]:
    return [link for purpose in links.SETS_PASSWORD if (link := links.open_link(account, purpose))]


def end(unit: UnitOfWork, mailbox: Mailbox) -> AuditEvent:
    """End everyone and everything that can open the mailbox, void its password, forget its contact address and suspend
    its account; the event that the `report` is about. Raises `Refused` when the acting person may not act on it."""
    return _end(unit, mailbox, access(unit.ports, mailbox))


@unit_of_work
def _end(unit: UnitOfWork, mailbox: Mailbox, seen: Access) -> AuditEvent:
    account = _held(unit, mailbox)
    facts = _facts(mailbox, account, seen)
    notices.done_by_another(unit, account, ENDED, [*facts["devices"], *facts["collaborators"]])
    revocation.revoke(unit, Cause.OFFBOARDING, account)
    collaborations.disable_all(unit, account)
    account.write(contact_email="")
    account.put_into_state(Account.SUSPENDED)
    return audit.record(unit.actor, ENDED, account, **facts)


def _held(unit: UnitOfWork, mailbox: Mailbox) -> Account:
    """The mailbox's account as it is now, and nobody else's until the transaction ends; raises `Refused` when the
    acting person may not act on it, or was signed out meanwhile."""
    account = Account.held_row(mailbox.account.itself())
    if account is None:
        raise Refused(N_("This user has just been removed."))
    authority.refuse_unless_may_act(unit.actor, account)
    return account


def _facts(mailbox: Mailbox, account: Account, seen: Access) -> dict[str, object]:
    """What the report says: as it is within the transaction, but for what only the mail server knew before it."""
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
    """As many of the names as a report has place for."""
    sizes = itertools.accumulate(len(name.encode()) for name in names[:MOST_NAMED])
    return [name for name, size in zip(names, sizes, strict=False) if size <= MOST_BYTES]


def _programs(seen: Access) -> list[str]:
    connected = [seen.connected, *(guest.connected for guest in seen.guests)]
    return [f"{program.protocol.upper()}, {program.address}" for each in connected for program in each.programs]


def reports(mailbox: Mailbox):
    """The events of earlier offboardings of this mailbox, the newest first."""
    return (
        AuditEvent.select()
        .where(AuditEvent.mailbox == mailbox, AuditEvent.action == ENDED)
        .order_by(AuditEvent.id.desc())
    )


def report(mailbox: Mailbox, event_id: int) -> Report | None:
    """What an offboarding of this mailbox ended; None when there is none of this number."""
    event = reports(mailbox).where(AuditEvent.id == event_id).first()
    if event is None:
        return None
    accounts = [mailbox.account, *(each.account for each in collaborations.of(mailbox))]
    return Report(event, is_pending=connections.are_pending(accounts, event.at), **event.details)
