"""What a manager may do with a user's devices, which managers may, and that none learns a password."""

from collections.abc import Callable

import pytest

import worker
from actions.authority.permissions import IMAP, completed
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR, Actor
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.users import users
from lab.actors import acting
from models import Account, AuditEvent, Device, DeviceInvitation, OutboxItem
from tests.actions import intruders
from tests.conftest import PASSWORD

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)
TABLET = WantedDevice("Anna's tablet", "tablet", Device.IMAP)
PRIVATE = "anna.private@elsewhere.example.com"
EVE = "eve@elsewhere.example.com"

ACTIONS: dict[str, Callable] = {
    "rename": lambda unit, phone, _: devices.rename(unit, phone, "Mine", "tablet"),
    "disconnect": lambda unit, phone, _: devices.disconnect(unit, phone),
    "disconnect all": lambda unit, phone, _: devices.disconnect_all(unit, phone.account),
    "invite": lambda unit, phone, _: invitations.invite(unit, phone.account, TABLET, phone.account.login, True),
    "send again": lambda unit, _, invitation: invitations.resend(unit, invitation, True),
    "withdraw": lambda unit, _, invitation: invitations.withdraw(unit, invitation),
}


@pytest.fixture
def phone(ports, anna) -> Device:
    Account.update(contact_email=PRIVATE).where(Account.id == anna.id).execute()
    anna.contact_email = PRIVATE
    return devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "the owner's").device


@pytest.fixture
def invited(ports, anna, phone) -> DeviceInvitation:
    return invitations.invite(UnitOfWork(ports, acting(anna)), anna, PHONE, PRIVATE, mailed=False).invitation


def letters(ports, mailer) -> dict[str, list[str]]:
    """What was sent, by recipient."""
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail").order_by(OutboxItem.id)):
        outbox.deliver(ports, item, worker.HANDLERS)
    sent: dict[str, list[str]] = {}
    for recipient, message in mailer.sent:
        sent.setdefault(recipient, []).append(message.get_body(("plain",)).get_content())
    return sent


def stored() -> list:
    """All that the actions could have changed."""
    kept = (Device.id, Device.name, Device.icon, Device.verifier)
    pending = (DeviceInvitation.id, DeviceInvitation.token_hash, DeviceInvitation.withdrawn_at)
    return [*Device.select(*kept).tuples(), *DeviceInvitation.select(*pending).tuples(), AuditEvent.select().count()]


# --- who may not ---


@pytest.mark.parametrize("by", intruders.ALL)
def test_who_does_not_outrank_the_owner_now_does_nothing(ports, people, anna, phone, invited, by):
    actor = by(people, anna)
    before = stored()
    for name, action in ACTIONS.items():
        with pytest.raises(Refused):
            action(UnitOfWork(ports, actor), Device.get_by_id(phone.id), DeviceInvitation.get_by_id(invited.id))
        assert stored() == before, name


def test_a_page_that_was_open_while_the_user_became_a_manager_does_nothing(ports, people, anna, phone):
    administrator = acting(people.add_manager("administrator@example.org", Account.ADMINISTRATOR))
    seen = Device.get_by_id(phone.id)
    assert seen.account.role == Account.PERSON
    Account.update(role=Account.OWNER).where(Account.id == anna.id).execute()
    with pytest.raises(Refused):
        devices.disconnect(UnitOfWork(ports, administrator), seen)
    assert Device.select().count() == 1


def test_a_collaborators_device_is_protected_by_the_rank_of_the_mailboxs_owner(ports, people, anna):
    carla = people.add_collaborator(anna, "carla", completed(IMAP))
    device = devices.make(UnitOfWork(ports, acting(carla)), carla, TABLET, "carla's").device
    Account.update(role=Account.ADMINISTRATOR).where(Account.id == anna.id).execute()
    equal, person = people.add_manager("equal@example.org", Account.ADMINISTRATOR), people.add("colleague")
    for account in (equal, person):
        with pytest.raises(Refused):
            devices.disconnect(UnitOfWork(ports, acting(account)), Device.get_by_id(device.id))
    assert Device.select().count() == 1
    owner = people.add_manager("owner@example.org", Account.OWNER)
    devices.disconnect(UnitOfWork(ports, acting(owner)), Device.get_by_id(device.id))
    assert Device.select().count() == 0


# --- who may ---


def test_a_manager_disconnects_one_device_and_the_owner_learns_who_did(ports, mailer, manager, anna, phone):
    other = devices.make(UnitOfWork(ports, acting(anna)), anna, TABLET, "the other").device
    devices.disconnect(UnitOfWork(ports, acting(manager)), phone)
    assert list(anna.devices) == [other]
    event = AuditEvent.get(AuditEvent.action == "web:device:disconnected")
    assert (event.actor, event.account, event.details) == (manager, anna, {"device": phone.name})
    told = letters(ports, mailer)
    for address in (anna.login, PRIVATE):
        assert [manager.login in each and phone.name in each for each in told[address][-1:]] == [True]


def test_devices_of_a_suspended_user_can_be_taken_away_and_not_given(ports, manager, anna, phone, invited):
    users.suspend(UnitOfWork(ports, acting(manager)), anna.mailbox)
    unit = UnitOfWork(ports, acting(manager))
    for name in ("invite", "send again"):
        with pytest.raises(Refused):
            ACTIONS[name](unit, Device.get_by_id(phone.id), DeviceInvitation.get_by_id(invited.id))
    assert invitations.withdraw(unit, DeviceInvitation.get_by_id(invited.id))
    devices.disconnect(unit, Device.get_by_id(phone.id))
    assert Device.select().count() == 0


# --- what a manager never learns ---


def test_no_password_is_shown_to_a_manager(ports, manager, anna, phone):
    verifier = phone.verifier
    for renew in (
        lambda unit: devices.make(unit, anna, TABLET, "the manager's"),
        lambda unit: devices.change_password(unit, Device.get_by_id(phone.id)),
    ):
        with pytest.raises(Refused):
            renew(UnitOfWork(ports, acting(manager)))
    assert [each.verifier for each in Device.select()] == [verifier]


def test_a_managers_invitation_goes_to_the_user_and_shows_the_manager_nothing(ports, mailer, manager, anna, phone):
    for address in (EVE, manager.login, "colleague@example.org"):
        with pytest.raises(Refused) as refusal:
            invitations.invite(UnitOfWork(ports, acting(manager)), anna, TABLET, address, mailed=False)
        assert refusal.value.field == "email"
    for address in (anna.login, PRIVATE.title()):
        invited = invitations.invite(UnitOfWork(ports, acting(manager)), anna, TABLET, address, mailed=False)
        assert (invited.link, invited.code, invited.was_mailed) == ("", "", True)
    holding = [to for to, texts in letters(ports, mailer).items() if any("/set-up/" in each for each in texts)]
    assert holding == [anna.login, PRIVATE]


def test_an_invitation_ends_when_its_address_is_no_longer_the_users(ports, manager, anna, phone):
    invitation = invitations.invite(UnitOfWork(ports, acting(manager)), anna, TABLET, PRIVATE, mailed=True).invitation
    Account.update(contact_email=EVE).where(Account.id == anna.id).execute()
    assert invitations.pending(Account.get_by_id(anna.id)) == []
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, Actor()), invitation, proved=True)


def test_what_the_user_set_up_does_not_end_with_the_manager(ports, mailer, people, anna, phone):
    both = people.add("both", role=Account.ADMINISTRATOR)
    sent = invitations.invite(UnitOfWork(ports, acting(both)), anna, TABLET, anna.login, mailed=True).invitation
    made = invitations.accept(UnitOfWork(ports, acting(anna)), sent, proved=False)
    told = letters(ports, mailer)[anna.login]
    (warning,) = [each for each in told if "can now use" in each]
    assert f"Device: {TABLET.name}" in warning
    assert not any("accepted your invitation" in each for each in told)
    # As the profile for Apple devices does, a moment later.
    devices.change_password(UnitOfWork(ports, acting(anna)), made.device, by=sent.invited_by)
    tablet = Device.get_by_id(made.device.id)
    assert (tablet.created_by, tablet.password_by) == (both, None)
    assert devices.known_to(both) == []
    passwords.change(UnitOfWork(ports, acting(both)), PASSWORD, "Quiet-Harbour-71", everywhere=True, devices_too=True)
    recovery.lock_by_operator(UnitOfWork(ports, OPERATOR), both)
    assert set(anna.devices) == {phone, tablet}
