"""Undo: what was disconnected, suspended or disabled a moment ago is as it was, for who did it, once, and only while
nothing else has changed."""

import pytest

from actions.authority.permissions import IMAP, completed
from actions.collaborations import collaborations
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground import undo
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import sessions
from actions.users import offboarding, taking_back, users
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, DeviceNetwork, LastLogin, Undoable, now
from tests.actions.conftest import at_the_same_instant

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)


@pytest.fixture
def unit(ports, anna) -> UnitOfWork:
    """Anna's browser."""
    return UnitOfWork(ports, acting(anna))


@pytest.fixture
def phone(unit, anna) -> Device:
    device = devices.make(unit, anna, PHONE, "a form").device
    LastLogin.create(login_id=anna.id, device_id=device.id, service="imap", ip="192.0.2.9", last_access=now())
    return device


@pytest.fixture
def carla(people, anna) -> Collaboration:
    """A collaborator of Anna's who may use IMAP."""
    return Collaboration.get(Collaboration.account == people.add_collaborator(anna, "carla", completed(IMAP)))


def row(device: Device) -> dict | None:
    return Device.select().where(Device.id == device.id).dicts().first()


def take_back(unit: UnitOfWork) -> str:
    return taking_back.take_back(unit, undo.offered(unit))


def disconnected(unit: UnitOfWork, device: Device) -> int:
    """The number under which the disconnection can be taken back."""
    devices.disconnect(unit, device)
    assert row(device) is None
    return undo.offered(unit)


def test_a_disconnected_device_is_as_it_was(unit, phone):
    before, networks = row(phone), DeviceNetwork.select().count()
    number = disconnected(unit, phone)
    sealed = Undoable.get_by_id(number).sealed
    assert before["verifier"] not in sealed
    assert before["selector"] not in sealed
    assert taking_back.take_back(unit, number) == devices.DISCONNECTED
    assert row(phone) == before
    assert DeviceNetwork.select().count() == networks
    assert LastLogin.of_device(phone).count() == 1
    assert Undoable.select().count() == 0
    assert AuditEvent.select().where(AuditEvent.action == "web:device:restored").count() == 1


def test_it_is_over_after_ten_seconds_and_erased(unit, phone, clock):
    number = disconnected(unit, phone)
    clock.pass_by(undo.SECONDS - 1)
    undo.erase_old()
    assert undo.offered(unit) == number
    clock.pass_by(1)
    assert undo.offered(unit) is None
    with pytest.raises(Refused):
        taking_back.take_back(unit, number)
    assert row(phone) is None
    undo.erase_old()
    assert Undoable.select().count() == 0


def test_two_tabs_take_it_back_once(ports, unit, phone):
    number = disconnected(unit, phone)
    outcomes = at_the_same_instant(*[lambda: taking_back.take_back(UnitOfWork(ports, unit.actor), number)] * 2)
    assert sorted(map(type, outcomes), key=str) == sorted([str, Refused], key=str)
    assert row(phone) is not None


def test_another_browser_and_another_person_take_nothing_back(ports, people, manager, unit, anna, phone):
    number = disconnected(unit, phone)
    for account in (anna, manager, people.add("boris")):
        with pytest.raises(Refused):
            taking_back.take_back(UnitOfWork(ports, acting(account)), number)
    assert row(phone) is None


def test_a_browser_that_was_signed_out_takes_nothing_back(unit, phone):
    number = disconnected(unit, phone)
    sessions.end(unit, unit.actor.session)
    assert Undoable.select().count() == 0
    with pytest.raises(Refused):
        taking_back.take_back(unit, number)
    assert row(phone) is None


# Whatever restricts access between the two presses.
BETWEEN = {
    "another password": lambda unit, anna, _manager: anna.replace_password(anna.password_hash, "another"),
    "all devices disconnected": lambda unit, anna, _manager: devices.disconnect_all(unit, anna),
    "locked": lambda unit, anna, _manager: anna.put_into_state(Account.LOCKED),
    "suspended": lambda unit, anna, manager: users.suspend(manager, anna.mailbox),
    "all access ended": lambda unit, anna, manager: offboarding.end(manager, anna.mailbox),
    "removed": lambda unit, anna, _manager: Account.update(role=Account.ADMINISTRATOR).where(anna.itself()).execute(),
    "devices revoked": lambda unit, anna, _manager: revocation.revoke(
        unit, Cause.OWN_CHANGE_EVERYWHERE_AND_DEVICES, anna, spared=revocation.Spared(session=unit.actor.session)
    ),
}


@pytest.mark.parametrize("what", BETWEEN)
def test_what_was_restricted_meanwhile_is_not_given_back(ports, manager, unit, anna, phone, what):
    number = disconnected(unit, phone)
    BETWEEN[what](unit, anna, UnitOfWork(ports, acting(manager)))
    with pytest.raises(Refused):
        taking_back.take_back(unit, number)
    assert row(phone) is None


def test_a_device_that_a_collaborator_knows_does_not_outlive_the_collaborator(ports, people, unit, anna):
    keeper = people.add_collaborator(anna, "keeper", completed(IMAP))
    device = devices.make(unit, anna, WantedDevice("Tablet", "tablet", Device.IMAP, user=keeper.login), "theirs").device
    number = disconnected(unit, device)
    collaborations.disable(unit, Collaboration.get(Collaboration.account == keeper))
    with pytest.raises(Refused):
        taking_back.take_back(unit, number)
    assert row(device) is None


def test_a_suspended_user_is_resumed(ports, manager, anna):
    unit = UnitOfWork(ports, acting(manager))
    users.suspend(unit, anna.mailbox)
    assert Account.get_by_id(anna.id).state == Account.SUSPENDED
    assert take_back(unit) == users.SUSPENDED
    assert Account.get_by_id(anna.id).state == Account.ACTIVE


def test_a_disabled_collaborator_has_password_and_devices_again(ports, unit, carla):
    account = carla.account
    device = devices.make(UnitOfWork(ports, acting(account)), account, WantedDevice("PC", "monitor", 1), "pc").device
    before, password_hash = row(device), account.password_hash
    collaborations.disable(unit, carla)
    assert (row(device), Account.get_by_id(account.id).password_hash) == (None, None)
    assert take_back(unit) == collaborations.DISABLED_BY_MISTAKE
    present = Account.get_by_id(account.id)
    assert (row(device), present.password_hash, present.state) == (before, password_hash, Account.ACTIVE)
    assert sessions.living(account) == []


def test_a_collaborator_without_a_password_is_invited_again_instead(unit, people, anna):
    invited = people.add_collaborator(anna, "mario", completed(IMAP), password=None, state=Account.PENDING)
    collaborations.disable(unit, Collaboration.get(Collaboration.account == invited))
    assert undo.offered(unit) is None


def test_a_removed_collaborator_does_not_come_back(unit, carla):
    collaborations.disable(unit, carla)
    number = undo.offered(unit)
    collaborations.remove(unit, carla)
    with pytest.raises(Refused):
        taking_back.take_back(unit, number)
    assert Account.get_or_none(Account.id == carla.account_id) is None
