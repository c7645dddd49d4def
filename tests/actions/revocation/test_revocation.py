"""What ends with what: each row of the table, brought about by the action that people press, on both databases."""

from dataclasses import dataclass, field, replace

import pytest

import worker
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection, Ports
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.revocation import revocation
from actions.revocation.table import ENDS, NAMES, Access, Cause
from actions.sessions import links, sessions
from actions.users import contacts, managers, offboarding, renaming, users
from actions.webmails import webmail_credentials
from actions.webmails.webmail_credentials import WantedCredential
from adapters.memory import MemoryMailServer
from lab.actors import acting
from models import (
    Account,
    Device,
    DeviceInvitation,
    KnownBrowser,
    OneTimeLink,
    PasswordChange,
    WebmailCredential,
    WebSession,
)
from tests.actions.office import WANTED
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

NEW = "Other-Garden-8"
PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)
AT_HOME = "192.0.2.9"
GUEST = "guest@elsewhere.example.com"


@dataclass
class Held:
    """An account that has every kind of access."""

    ports: Ports
    mail_server: MemoryMailServer
    account: Account
    acting: Actor
    manager: Actor
    password_hash: str
    link_hashes: list[str] = field(default_factory=list)

    @property
    def left(self) -> Access:
        """The kinds of access that are still there."""
        account, mail = self.account, self.mail_server.connected
        present = {
            Access.BROWSERS: self.sessions().where(WebSession.token_hash != self.acting.session.token_hash),
            Access.KNOWN_BROWSERS: KnownBrowser.select().where(KnownBrowser.account == account),
            Access.WEBMAILS: WebmailCredential.select().where(
                WebmailCredential.account == account, WebmailCredential.ended_at.is_null()
            ),
            Access.PASSWORD_LINKS: self.links(*links.SETS_PASSWORD),
            Access.NOT_ME_LINKS: self.links(links.DISOWN),
            Access.NOT_MY_DEVICE_LINKS: self.links(links.DISOWN_DEVICE),
            Access.CONTACT_LINKS: self.links(links.CONFIRM_CONTACT),
            Access.NOT_MY_CONTACT_LINKS: self.links(links.DISOWN_CONTACT),
            Access.OWN_DEVICES: [*account.devices, *DeviceInvitation.pending(account)],
            Access.DEVICES_OF_OTHERS: [*devices.of_others_known_to(account), *devices.invitations_about(account)],
            Access.CONNECTIONS: [each for each in mail if each.user == account.session_name and not each.device_id],
            Access.DEVICE_CONNECTIONS: [each for each in mail if each.user == account.session_name and each.device_id],
            Access.PASSWORD: Account.select().where(Account.id == account.id, Account.password_hash.is_null(False)),
        }
        assert present.keys() == NAMES.keys()
        return Access(sum(access.value for access, found in present.items() if list(found)))

    def sessions(self):
        return WebSession.select().where(WebSession.account == self.account)

    def links(self, *purposes: str):
        return OneTimeLink.select().where(
            OneTimeLink.account == self.account,
            OneTimeLink.purpose.in_(purposes),
            OneTimeLink.used_at.is_null(),
            OneTimeLink.token_hash.in_(self.link_hashes),
        )


class Ways:
    """Gives an account every kind of access."""

    def __init__(self, ports, mail_server, people, manager):
        self.ports, self.mail_server, self.people = ports, mail_server, people
        self.manager = acting(manager)
        self.webmail = SigningWebmail(ports).row

    def of(self, account: Account, other: Account) -> Held:
        ports, actor = self.ports, acting(account)
        acting(account)
        sessions.remember_browser(account, None)
        wanted = WantedCredential(account.login, PASSWORD, "session-1", AT_HOME, "Firefox")
        credential = webmail_credentials.make(ports, self.webmail, wanted).credential
        own = devices.make(UnitOfWork(ports, actor), account, PHONE, f"own {account.id}").device
        invitations.invite(UnitOfWork(ports, actor), account, PHONE, GUEST, mailed=False)
        for_it = WantedDevice("Given", "tablet", Device.IMAP, account.login)
        devices.make(UnitOfWork(ports, acting(other)), other, for_it, f"given {account.id}")
        invitations.invite(UnitOfWork(ports, acting(other)), other, PHONE, account.login, mailed=False)
        for purpose in (links.RESET, links.DISOWN):
            links.create(account, purpose)
        links.create(account, links.DISOWN_DEVICE, own)
        for purpose in (links.CONFIRM_CONTACT, links.DISOWN_CONTACT):
            links.create_for_contact(account, purpose, GUEST)
        name = account.session_name
        self.mail_server.connected += [
            Connection(name, "imap", AT_HOME),
            Connection(name, "imap", AT_HOME, credential_id=credential.id),
            Connection(name, "imap", AT_HOME, device_id=own.id),
        ]
        held = Held(ports, self.mail_server, account, actor, self.manager, account.password_hash)
        held.link_hashes = [link.token_hash for link in OneTimeLink.select().where(OneTimeLink.account == account)]
        return held


@pytest.fixture
def ways(ports, mail_server, people, manager) -> Ways:
    return Ways(ports, mail_server, people, manager)


@pytest.fixture
def held(ways, anna, boris) -> Held:
    """A mailbox's owner."""
    return ways.of(anna, boris)


@pytest.fixture
def guest(ways, people, anna, boris) -> Held:
    """A collaborator of the mailbox."""
    everything = 2**6 - 1
    return ways.of(people.add_collaborator(anna, permissions=everything), boris)


def change(held: Held, everywhere: bool, devices_too: bool = False) -> None:
    passwords.change(UnitOfWork(held.ports, held.acting), PASSWORD, NEW, everywhere, devices_too, browser=None)


def set_by_link(held: Held) -> None:
    token = links.create(held.account, links.RESET, replaces=())
    recovery.set_password(UnitOfWork(held.ports), links.find(token, (links.RESET,)), NEW)


def edit(held: Held, **changed: object) -> None:
    present = Account.get_by_id(held.account.id)
    known = {name: getattr(present, name) for name in users.PROFILE}
    password = changed.pop("password", None)
    profile = users.Profile(**known | changed)
    users.edit(UnitOfWork(held.ports, held.manager), present.mailbox, present.revision, profile, password)


def remove_managers_mailbox(held: Held) -> None:
    Account.update(role=Account.ADMINISTRATOR).where(held.account.itself()).execute()
    users.remove(UnitOfWork(held.ports, OPERATOR), held.account.mailbox, held.account.login)


def promote(held: Held) -> None:
    managers.add(UnitOfWork(held.ports, OPERATOR), held.account.login, None, Account.OWNER)


def confirm_contact(held: Held) -> None:
    token = links.create_for_contact(held.account, links.CONFIRM_CONTACT, "new@elsewhere.example.com")
    contacts.confirm(UnitOfWork(held.ports), links.find(token, (links.CONFIRM_CONTACT,)))


BY_ACTION = {
    Cause.OWN_CHANGE: lambda held: change(held, False),
    Cause.OWN_CHANGE_EVERYWHERE: lambda held: change(held, True),
    Cause.OWN_CHANGE_EVERYWHERE_AND_DEVICES: lambda held: change(held, True, True),
    Cause.OTHERS_ENDED: lambda held: revocation.end_others(UnitOfWork(held.ports, held.acting)),
    Cause.SET_BY_LINK: set_by_link,
    Cause.SET_BY_MANAGER: lambda held: edit(held, password=users.Password(NEW)),
    Cause.CONTACT_CHANGED: lambda held: edit(held, contact_email="new@elsewhere.example.com"),
    Cause.CONTACT_CONFIRMED: confirm_contact,
    Cause.RENAMING: lambda held: renaming.rename(
        UnitOfWork(held.ports, held.manager), held.account.mailbox, held.account.revision, "new@example.org"
    ),
    Cause.SUSPENSION: lambda held: users.suspend(UnitOfWork(held.ports, held.manager), held.account.mailbox),
    Cause.LOCK: lambda held: recovery.lock_by_operator(UnitOfWork(held.ports, OPERATOR), held.account),
    Cause.OFFBOARDING: lambda held: offboarding.end(UnitOfWork(held.ports, held.manager), held.account.mailbox),
    Cause.REMOVAL: lambda held: users.remove(
        UnitOfWork(held.ports, held.manager), held.account.mailbox, held.account.login
    ),
    Cause.REMOVAL_OF_MANAGERS_MAILBOX: remove_managers_mailbox,
    Cause.ROLE_CHANGED: promote,
}
# A password that another one takes the place of is gone as well.
REPLACED = {
    Cause.OWN_CHANGE,
    Cause.OWN_CHANGE_EVERYWHERE,
    Cause.OWN_CHANGE_EVERYWHERE_AND_DEVICES,
    Cause.SET_BY_LINK,
    Cause.SET_BY_MANAGER,
}
EVERY = Access(sum(access.value for access in Access))


@pytest.mark.parametrize("cause", BY_ACTION, ids=lambda cause: cause.name)
def test_what_an_action_ends_is_what_the_table_says(held, cause):
    assert held.left == EVERY
    BY_ACTION[cause](held)
    if cause is Cause.SET_BY_LINK:
        # The browser in which it was set is known from now on.
        assert KnownBrowser.select().count() == 1
        KnownBrowser.delete().execute()
    assert held.left == EVERY & ~ENDS[cause]
    assert (Account.get_or_none(Account.password_hash == held.password_hash) is None) == (
        cause in REPLACED or Access.PASSWORD in ENDS[cause]
    )


COLLABORATORS = {
    "reset": lambda guest, owner: collaborations.reset(
        UnitOfWork(guest.ports, acting(owner)), guest.account.collaboration
    ),
    "disabled": lambda guest, owner: collaborations.disable(
        UnitOfWork(guest.ports, acting(owner)), guest.account.collaboration
    ),
    "the owner is locked": lambda guest, owner: recovery.lock_by_operator(UnitOfWork(guest.ports, OPERATOR), owner),
    "the owner is offboarded": lambda guest, owner: offboarding.end(
        UnitOfWork(guest.ports, guest.manager), owner.mailbox
    ),
    "the owner is removed": lambda guest, owner: users.remove(
        UnitOfWork(guest.ports, guest.manager), owner.mailbox, owner.login
    ),
}


@pytest.mark.parametrize("action", COLLABORATORS.values(), ids=COLLABORATORS)
def test_everything_of_a_collaborator_ends_with_the_collaboration(guest, anna, action):
    assert guest.left == EVERY
    action(guest, anna)
    assert guest.left == EVERY & ~ENDS[Cause.COLLABORATION_ENDED] == Access(0)


def test_a_collaborator_of_a_suspended_mailbox_is_cut_and_keeps_the_rest(guest, anna):
    users.suspend(UnitOfWork(guest.ports, guest.manager), anna.mailbox)
    assert guest.left == EVERY & ~ENDS[Cause.SUSPENSION_OF_OWNER]


def test_a_collaborator_of_a_renamed_mailbox_is_cut_and_keeps_the_rest(guest, anna):
    renaming.rename(UnitOfWork(guest.ports, guest.manager), anna.mailbox, anna.revision, "new@example.org")
    assert guest.left == EVERY & ~ENDS[Cause.RENAMING]


@pytest.mark.parametrize("devices_too", [False, True])
def test_a_bulk_change_ends_what_the_table_says(office, mail_server, people, manager, devices_too):
    ways = Ways(office.ports, mail_server, people, manager)
    anna, boris = (Account.by_login(f"{name}@example.org") for name in ("anna", "boris"))
    held = ways.of(anna, boris)
    held.acting = Actor(anna, WebSession.select().where(WebSession.account == anna).order_by(WebSession.id).get())
    change = office.start(replace(WANTED, everywhere=True, devices_too=devices_too))
    office.until(change, PasswordChange.DONE)
    outbox.deliver_due(office.ports, worker.CONNECTIONS)
    assert held.left == EVERY & ~ENDS[Cause.BULK_CHANGE_AND_DEVICES if devices_too else Cause.BULK_CHANGE]


def test_every_cause_is_tried_and_every_kind_of_access_has_a_way_to_end_and_a_name():
    elsewhere = {Cause.COLLABORATION_ENDED, Cause.SUSPENSION_OF_OWNER, Cause.BULK_CHANGE, Cause.BULK_CHANGE_AND_DEVICES}
    assert BY_ACTION.keys() | elsewhere == set(Cause) == ENDS.keys()
    assert list(NAMES) == list(Access)
    assert revocation._WAYS.keys() | {Access.CONNECTIONS, Access.DEVICE_CONNECTIONS} == set(Access)
