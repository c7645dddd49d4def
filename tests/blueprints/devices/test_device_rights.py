"""Collaborators and the devices of the mailbox's owner, by requests made by hand: who is shown a password, and who is
told."""

from collections.abc import Callable

import pytest

import worker
from actions.authority import permissions
from actions.authority.permissions import IMAP, POP3, READ, SEND, SETTINGS, WRITE
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.device_passwords import SHAPE
from actions.devices.devices import WantedDevice
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from lab.actors import acting
from models import Account, Collaboration, Device, DeviceInvitation, OutboxItem
from tests.client import Client, Page
from tests.conftest import PASSWORD

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)
EVE = "eve@elsewhere.example.com"
# What is too little for a device that reads by IMAP and sends, beside managing the settings.
LESSER = [READ, READ | WRITE, READ | WRITE | SEND, permissions.completed(POP3)]


@pytest.fixture
def phone(ports, anna) -> Device:
    return devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "a form").device


@pytest.fixture
def invited(ports, anna) -> invitations.Invited:
    return invitations.invite(UnitOfWork(ports, acting(anna)), anna, PHONE, EVE, mailed=False)


@pytest.fixture
def collaborator(people, anna, new_client) -> Callable[[int], Client]:
    """The browser of a signed-in collaborator who manages the settings, and has these permissions besides."""

    def sign_in(granted: int) -> Client:
        account = people.add_collaborator(anna, "carla", granted | SETTINGS)
        browser = new_client()
        browser.sign_in(account.login, PASSWORD)
        return browser

    return sign_in


def send(browser: Client, address: str, **content: object) -> Page:
    page = browser.open("/account/preferences")
    token = page.tree.find(".//input[@name='csrf_token']").get("value")
    return browser.post(address, {"csrf_token": token, **content})


def hands_out(phone: Device, invited: invitations.Invited) -> dict[str, dict]:
    """Each request that could show a secret, with what its form holds."""
    device = {"name": "Mine", "icon": "laptop", "protocols": "1"}
    return {
        "/devices/?of=mailbox": {**device, "whom": "nobody", "request_id": "x" * 40},
        f"/devices/{phone.id}/password": {},
        f"/devices/{phone.id}/profile": {},
        "/devices/invitations/?of=mailbox": {**device, "email": "mal@elsewhere.example.com"},
        f"/devices/invitations/{invited.invitation.id}/letter": {},
        f"/devices/invitations/{invited.invitation.id}/letter?mailed=": {"mailed": "y"},
    }


def secrets_stored() -> list[dict]:
    return [
        *Device.select(Device.id, Device.selector, Device.verifier).dicts(),
        *DeviceInvitation.select(DeviceInvitation.token_hash, DeviceInvitation.inviter_code_hash).dicts(),
    ]


@pytest.mark.parametrize("granted", LESSER)
def test_no_request_shows_a_password_that_opens_more_than_one_may_oneself(collaborator, phone, invited, granted):
    browser, before = collaborator(granted), secrets_stored()
    for address, content in hands_out(phone, invited).items():
        page = send(browser, address, **content)
        assert "You can allow only what you are allowed to do in mail programs yourself." in page.response.text, address
        assert "/set-up/" not in page.response.text, address
        assert not SHAPE.search(page.response.text), address
    assert secrets_stored() == before
    assert not OutboxItem.select().where(OutboxItem.key.startswith("device-invitation")).exists()


def told(ports, mailer, address: str) -> list[str]:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail")):
        outbox.deliver(ports, item, worker.HANDLERS)
    found = [message.get_body(("plain",)).get_content() for to, message in mailer.sent if to == address]
    mailer.sent.clear()
    return found


def test_the_owner_is_told_of_each_request_and_all_ends_with_the_collaborator(
    ports, mailer, collaborator, phone, invited, anna
):
    browser = collaborator(permissions.completed(IMAP))
    told(ports, mailer, anna.login)
    for address, content in hands_out(phone, invited).items():
        assert send(browser, address, **content).status == 200, address
        assert any("carla/anna@example.org" in letter for letter in told(ports, mailer, anna.login)), address
    assert {device.name for device in anna.devices} == {PHONE.name, "Mine"}
    owner = acting(anna)
    hers = devices.make(
        UnitOfWork(ports, owner), anna, WantedDevice("Hers", "tablet", Device.IMAP), "another form"
    ).device
    collaborations.disable(UnitOfWork(ports, owner), Collaboration.get())
    assert list(anna.devices) == [hers]
    assert invitations.pending(anna) == []


def test_what_takes_away_needs_no_mail_programs_and_is_told(ports, mailer, collaborator, phone, invited, anna):
    browser = collaborator(READ)
    told(ports, mailer, anna.login)
    requests = {
        f"/devices/{phone.id}/name": {"name": "Lost phone", "icon": "smartphone"},
        "/devices/requirement": {"required": "y"},
        f"/devices/invitations/{invited.invitation.id}/withdrawal": {},
        f"/devices/{phone.id}/disconnection": {},
        "/devices/disconnection?of=mailbox": {},
    }
    for address, content in requests.items():
        assert send(browser, address, **content).path == "/devices/", address
        letters = told(ports, mailer, anna.login)
        assert len(letters) == 1, address
        assert "carla/anna@example.org" in letters[0], address
    assert (anna.devices.count(), invitations.pending(anna)) == (0, [])
    assert Account.get_by_id(anna.id).mailbox.device_passwords_only


def test_a_refusal_in_the_last_moment_is_a_sentence(client, anna, phone, invited, monkeypatch):
    """Between the page's own check and the action's, the account is locked."""
    client.sign_in(anna.login, PASSWORD)
    addresses = (
        f"/devices/{phone.id}/disconnection",
        "/devices/disconnection",
        "/devices/requirement",
        f"/devices/invitations/{invited.invitation.id}/withdrawal",
        f"/devices/invitations/{invited.invitation.id}/letter",
    )
    hold = devices.hold

    def locked_meanwhile(account: Account, *gone: Refused) -> Account:
        # The refusal undoes it, with the rest of the transaction.
        Account.update(state=Account.LOCKED).where(Account.id == account.id).execute()
        return hold(account, *gone)

    monkeypatch.setattr(devices, "hold", locked_meanwhile)
    for address in addresses:
        assert send(client, address).flashes == ["This account is locked or suspended."], address
    assert anna.devices.count() == 1
    assert len(invitations.pending(anna)) == 1


def test_who_set_up_a_device_gets_no_other_password_once_the_owner_changed_it(ports, new_client, invited, anna):
    guest = new_client(address="198.51.100.7")
    address = "/set-up/" + invited.link.rpartition("/")[2]
    page = guest.open(address).fill({"Code": invited.code}).press("Continue")
    page = page.choose("iPhone, iPad or Mac").press("Continue")
    devices.change_password(UnitOfWork(ports, acting(anna)), anna.devices.get())
    changed = anna.devices.get().verifier
    assert page.press("Download the profile").status == 410
    assert anna.devices.get().verifier == changed
