"""A transaction that is lost at any of its statements, as may happen on a cluster, is repeated and does what it would
have done: once, and with nothing left in memory of the time before."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from peewee import OperationalError

import database as db
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, recovery, sign_in
from actions.sessions import links, sessions
from actions.trail.events import Event
from actions.users import offboarding, preferences, renaming, users
from actions.users.renaming import Forwarding
from actions.users.users import Password, Profile
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, DeviceInvitation, Mailbox, WebSession
from tests.conftest import PASSWORD

PHONE = WantedDevice("Phone", "smartphone", Device.IMAP | Device.SENDING)
DEADLOCK = 1213
NEW = "Other-Garden-8"


class Losing:
    """Loses one transaction when it comes to its statement of this number, counted from the first that writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.at, self._written = None, 0
        database = db.database.obj
        real = database.execute_sql

        def execute_sql(sql, *arguments, **named):
            if self.at is not None and database.in_transaction() and sql.startswith(("UPDATE", "INSERT", "DELETE")):
                self._written += 1
                if self._written == self.at:
                    self.at = None
                    if db.is_mysql():
                        # The server has ended the whole transaction by then, and knows its savepoints no more.
                        real("ROLLBACK")
                    raise OperationalError(DEADLOCK, "Deadlock found when trying to get lock")
            return real(sql, *arguments, **named)

        monkeypatch.setattr(database, "execute_sql", execute_sql)

    def next(self, at: int) -> None:
        self.at, self._written = at, 0


@pytest.fixture
def losing(monkeypatch, database) -> Losing:
    return Losing(monkeypatch)


def times_lost(losing: Losing, deed: Callable[[int], object]) -> Iterator[int]:
    """Does the deed again and again, each time with its transaction lost one statement later, until it is not lost."""
    for at in itertools.count(1):
        losing.next(at)
        yield deed(at)
        if losing.at is not None:
            losing.at = None
            assert at > 3, "it writes several statements"
            return


def count(action: str) -> int:
    return AuditEvent.select().where(AuditEvent.action == action).count()


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_own_password(ports, losing, people, everywhere):
    fresh = {}

    def change(at: int) -> Account:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        actor = acting(account)
        devices.make(UnitOfWork(ports, actor), account, PHONE, "a form")
        fresh[account.id] = account.password_hash
        # The guess is counted in a transaction of its own, and the connections are cut afterwards.
        unit, counters = UnitOfWork(ports, actor), passwords._counters(actor, None)
        losing.next(at)
        renewed = passwords._commit_change(unit, counters, "new hash", everywhere, everywhere, None)
        assert (renewed is None) == everywhere
        return account

    for turn, account in enumerate(times_lost(losing, change), start=1):
        assert Account.get_by_id(account.id).password_hash == "new hash" == account.password_hash
        assert len(sessions.living(account)) == (0 if everywhere else 1)
        assert account.devices.count() == (0 if everywhere else 1)
        assert count("web:password:changed") == turn


def test_a_password_that_a_manager_sets(ports, losing, people, manager):
    boss = acting(manager)

    def edit(at: int) -> Mailbox:
        losing.at, at = None, losing.at
        mailbox = people.add(f"p{at}").mailbox
        revision = mailbox.account.revision
        losing.next(at)
        users._edit(UnitOfWork(ports, boss), mailbox, revision, Profile(first_name="Zoe"), "new hash", True)
        return mailbox

    for mailbox in times_lost(losing, edit):
        account = Account.get_by_id(mailbox.account_id)
        assert (account.password_hash, account.must_change_password, account.first_name) == ("new hash", True, "Zoe")


def test_another_address(ports, losing, people, manager):
    boss = acting(manager)

    def rename(at: int) -> tuple[str, Account]:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        guest, token = people.add_collaborator(account), links.create(account, links.DISOWN)
        losing.next(at)
        renaming.rename(UnitOfWork(ports, boss), account.mailbox, account.revision, f"n{at}@example.org", Forwarding(9))
        return token, guest

    for turn, (token, guest) in enumerate(times_lost(losing, rename), start=1):
        account, mailbox = (
            links.find(token, (links.DISOWN,)).account,
            Mailbox.get(Mailbox.address == f"n{turn}@example.org"),
        )
        assert (account, account.login) == (mailbox.account, mailbox.address)
        assert Account.get_by_id(guest.id).login == f"carla/n{turn}@example.org"
        assert [each.address for each in mailbox.former_addresses] == [f"p{turn}@example.org"]
        assert count("web:user:renamed") == turn


def test_a_password_that_a_link_sets(ports, losing, stranger, people):
    def use(at: int) -> Account:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        link = links.find(links.create(account, links.RESET), links.SETS_PASSWORD)
        losing.next(at)
        recovery.set_password(UnitOfWork(ports, stranger), link, NEW)
        return account

    for account in times_lost(losing, use):
        assert passwords.verify(ports.settings, Account.get_by_id(account.id).password_hash, NEW)


def test_a_devices_password(ports, losing, people):
    def change(at: int) -> devices.MadeDevice:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        actor = acting(account)
        device = devices.make(UnitOfWork(ports, actor), account, PHONE, "a form").device
        losing.next(at)
        return devices.change_password(UnitOfWork(ports, actor), device)

    for made in times_lost(losing, change):
        assert Device.get_by_id(made.device.id).verifier == made.device.verifier


def test_a_renewed_invitation_and_its_acceptance(ports, losing, stranger, people):
    def renew(at: int) -> invitations.Invited:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        actor = acting(account)
        invitation = invitations.invite(
            UnitOfWork(ports, actor), account, PHONE, "lia@elsewhere.example.com", mailed=False
        ).invitation
        losing.next(at)
        invited = invitations.resend(UnitOfWork(ports, actor), invitation, mailed=True)
        if losing.at is None:
            losing.next(at)
        invitations.accept(UnitOfWork(ports, stranger), invited.invitation, proved=True)
        return invited

    for invited in times_lost(losing, renew):
        present = DeviceInvitation.get_by_id(invited.invitation.id)
        assert present.accepted_at
        assert present.device.account == present.account


def test_a_collaborators_reset(ports, losing, people):
    def reset(at: int) -> Account:
        losing.at, at = None, losing.at
        owner = people.add(f"p{at}")
        carla = people.add_collaborator(owner)
        losing.next(at)
        collaborations.reset(UnitOfWork(ports, acting(owner)), Collaboration.get(Collaboration.account == carla))
        return carla

    for carla in times_lost(losing, reset):
        present = Account.get_by_id(carla.id)
        assert (present.password_hash, present.state) == (None, Account.SUSPENDED)


def test_the_end_of_all_access(ports, losing, people, manager):
    boss = acting(manager)

    def end(at: int) -> Account:
        losing.at, at = None, losing.at
        account = people.add(f"p{at}")
        devices.make(UnitOfWork(ports, acting(account)), account, PHONE, "a form")
        people.add_collaborator(account)
        mailbox = account.mailbox
        losing.next(at)
        offboarding.end(UnitOfWork(ports, boss), mailbox)
        return account

    for turn, account in enumerate(times_lost(losing, end), start=1):
        present = Account.get_by_id(account.id)
        assert (present.state, present.password_hash) == (Account.SUSPENDED, None)
        assert not account.devices.exists()
        assert count(Event.ACCESS_ENDED.code) == turn


def test_what_is_refused_leaves_nothing_in_memory_either(ports, anna):
    actor = acting(anna)
    device = devices.make(UnitOfWork(ports, actor), anna, PHONE, "a form").device
    Device.delete().execute()
    with pytest.raises(Refused):
        devices.rename(UnitOfWork(ports, actor), device, "Other", "laptop")
    assert device.name == "Phone"
    WebSession.delete().execute()
    with pytest.raises(Refused):
        passwords.change(UnitOfWork(ports, actor), PASSWORD, NEW)
    assert passwords.verify(ports.settings, anna.password_hash, PASSWORD)
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_whatever_a_transaction_did_to_its_rows_is_undone_with_it(anna, boris):
    mailbox = anna.mailbox

    @db.transactional
    def spoil():
        for account in (anna, mailbox.account):
            account.write(first_name="Spoiled")
            account.put_into_state(Account.LOCKED)
        mailbox.write(quota_bytes=7)
        mailbox.write(account=boris)
        raise Refused("No.")

    owner = mailbox.account
    with pytest.raises(Refused):
        spoil()
    assert (mailbox.quota_bytes, mailbox.account_id, mailbox.account) == (0, anna.id, owner)
    assert {anna.first_name, owner.first_name} == {"Anna"}
    assert {anna.state, owner.state} == {Account.ACTIVE}


# --- holding ---


def test_a_row_that_is_held_is_changed(database, ports, people, manager, anna, statements):
    """One that is left as it was is held on its own server only, and on no other node of a cluster."""
    held = Account.get_by_id(anna.id).held
    devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "a form")
    users.suspend(UnitOfWork(ports, acting(manager)), anna.mailbox)
    assert Account.get_by_id(anna.id).held > held
    for statement in statements:
        for column in ("state", "mailboxes_made", "language"):
            assert f'SET "{column}" = "{column}"' not in statement.replace("`", '"')
            assert f'"{column}" = "account"."{column}"' not in statement.replace("`", '"').partition(" WHERE ")[0]


def test_who_signs_in_holds_the_account(ports, stranger, anna):

    held = Account.get_by_id(anna.id).held
    sign_in.sign_in(UnitOfWork(ports, stranger), anna.login, PASSWORD, None)
    assert Account.get_by_id(anna.id).held == held + 1


def test_preferences_are_what_was_saved(ports, anna):
    preferences.save(UnitOfWork(ports, acting(anna)), "it", "Europe/Rome")
    assert (Account.get_by_id(anna.id).language, anna.language) == ("it", "it")


def test_a_password_is_set_and_said_to_be_changed_soon(ports, people, manager):
    mailbox = people.add("zoe").mailbox
    profile = Profile(contact_email=mailbox.account.contact_email)
    users.edit(UnitOfWork(ports, acting(manager)), mailbox, mailbox.account.revision, profile, Password(NEW))
    assert Account.get_by_id(mailbox.account_id).must_change_password
