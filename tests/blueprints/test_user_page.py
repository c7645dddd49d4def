"""A user's page for managers: its tabs, the owner's pages about devices and collaborators, and what they never show."""

import re

import pytest

import worker
from actions.authority import permissions
from actions.authority.permissions import IMAP
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, DeviceInvitation, OutboxItem, WebSession
from tests.client import Client, Page
from tests.conftest import PASSWORD

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)
PRIVATE = "anna.private@elsewhere.example.com"
TABS = ["Edit", "Devices", "Collaborators", "Access", "Activity"]


class Things:
    """Somebody's device, invitation and collaborator."""

    def __init__(self, ports, people, owner: Account):
        unit = UnitOfWork(ports, acting(owner))
        self.made = devices.make(unit, owner, PHONE, f"{owner.login}'s")
        self.invited = invitations.invite(unit, owner, PHONE, owner.login, mailed=False)
        carla = people.add_collaborator(owner, "carla", permissions.completed(IMAP))
        self.collaboration = Collaboration.get(Collaboration.account == carla)


@pytest.fixture
def hers(ports, people, anna) -> Things:
    Account.update(contact_email=PRIVATE).where(Account.id == anna.id).execute()
    return Things(ports, people, Account.get_by_id(anna.id))


@pytest.fixture
def boss(client: Client, manager, hers: Things) -> Client:
    client.secrets |= {hers.made.password, hers.invited.link, hers.invited.code}
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.fixture
def user(people, anna) -> str:
    return f"/services/{people.service.id}/mailboxes/{anna.mailbox.id}"


def send(browser: Client, address: str, **content: object) -> Page:
    page = browser.open("/account/preferences")
    token = page.tree.find(".//input[@name='csrf_token']").get("value")
    return browser.post(address, {"csrf_token": token, **content})


def below(user: str, things: Things) -> list[str]:
    """The addresses of somebody's things on a user's page."""
    device, invitation, collaboration = things.made.device.id, things.invited.invitation.id, things.collaboration.id
    return [
        *(f"{user}/devices/{device}/{each}" for each in ("name", "disconnection")),
        *(f"{user}/devices/invitations/{invitation}/{each}" for each in ("letter", "withdrawal")),
        *(f"{user}/collaborators/{collaboration}/{each}" for each in ("permissions", "reset", "disabling", "removal")),
    ]


def letters(ports, mailer) -> list[tuple[str, str]]:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail").order_by(OutboxItem.id)):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [(to, message.get_body(("plain",)).get_content()) for to, message in mailer.sent]


def current(page: Page) -> list[str]:
    tabs = page.tree.find(".//nav[@class='tabs']")
    return ["".join(each.itertext()) for each in tabs.iter("a") if each.get("aria-current")]


def test_each_tab_leads_to_every_other(boss, user, anna, hers):
    page = boss.open(user)
    for tab in [*TABS[1:], TABS[0]]:
        page = page.follow(tab) if tab != "Activity" else boss.open(f"{user}/activity")
        assert current(page) == [tab] and anna.login in page.title
        assert [each for each in page.links if each in TABS[:4]] == TABS[:4]
    page = boss.open(f"{user}/collaborators/{hers.collaboration.id}")
    assert current(page) == ["Collaborators"]


def test_a_lost_phone_is_disconnected_and_its_owner_is_told(boss, ports, mailer, mail_server, manager, anna, user):
    page = boss.open(f"{user}/devices/")
    assert "Add a device" not in page.links and "Change the password" not in page.text
    page = page.follow("Disconnect “Anna's phone”").press("Disconnect the device")
    assert page.path == f"{user}/devices/"
    assert page.flashes == ["“Anna's phone” is disconnected. Its password no longer works. Undo"]
    assert anna.devices.count() == 0
    [told] = [text for to, text in letters(ports, mailer) if to == PRIVATE and manager.login in text]
    assert "A device was disconnected: Anna's phone" in told
    events = boss.open(f"{user}/activity").text
    assert "A device was disconnected" in events and f"{manager.login} did this." in events


def test_the_rest_of_what_the_owner_does_with_devices(boss, anna, user, hers):
    page = boss.open(f"{user}/devices/").follow("Rename “Anna's phone”").fill({"Name": "Old phone"}).press("Rename")
    assert page.flashes == ["The device is now called “Old phone”."]
    page = page.follow("Withdraw").press("Withdraw the invitation")
    assert invitations.pending(anna) == []
    page = page.follow("Disconnect all devices").press("Disconnect all devices")
    assert page.path == f"{user}/devices/" and anna.devices.count() == 0


def test_an_invitation_reaches_the_user_and_shows_the_manager_nothing(boss, ports, mailer, anna, user, caplog):
    page = boss.open(f"{user}/devices/").follow("Invite the user")
    page = page.choose(PRIVATE).fill({"Name": "New phone"}).press("Invite")
    assert page.path == f"{user}/devices/"
    assert page.flashes == [f"An invitation is on its way to {PRIVATE}. It is valid for 30 days."]
    again = page.follow("Send again").press("Create a new link")
    sent = [(to, token) for to, text in letters(ports, mailer) for token in re.findall(r"/set-up/(\S+)", text)]
    # The one that the owner made is the last in the list.
    assert [to for to, _ in sent] == [PRIVATE, anna.login]
    boss.secrets |= {token for _, token in sent}
    pages = [page, again, boss.open(f"{user}/devices/"), boss.open(f"{user}/activity"), boss.open(f"{user}/access")]
    details = [str(event.details) for event in AuditEvent.select()]
    for _, token in sent:
        assert not [each for each in (caplog.text, *details, *(each.response.text for each in pages)) if token in each]
    refused = send(
        boss, f"{user}/devices/invitations/", email="eve@elsewhere.example.com", name="X", icon="mail", protocols="1"
    )
    assert refused.status == 422
    assert {each.recipient for each in invitations.pending(anna)} == {anna.login, PRIVATE}


def test_what_the_owner_does_with_a_collaborator(boss, ports, mailer, anna, user, hers):
    carla = hers.collaboration.account
    page = boss.open(f"{user}/collaborators/")
    assert "Add a collaborator" not in page.links
    page = page.follow("Change permissions").tick("Manage settings").press("Save permissions")
    assert page.path == f"{user}/collaborators/"
    assert Collaboration.get_by_id(hers.collaboration.id).permissions & permissions.SETTINGS
    page = page.follow("Reset password").press("Reset password")
    page = page.follow("Details").press("Resend the e-mail to set the password")
    assert page.path == f"{user}/collaborators/{hers.collaboration.id}"
    assert {to for to, text in letters(ports, mailer) if "/links/password/" in text} == {carla.contact_email}
    page = page.follow("Disable").press("Disable Carla Rossi")
    page = page.follow("Remove").press("Remove Carla Rossi")
    assert page.path == f"{user}/collaborators/" and Collaboration.select().count() == 0


def test_the_things_of_another_mailbox_are_not_there(boss, ports, people, boris, user, hers):
    his = Things(ports, people, boris)
    for address in below(user, his):
        assert boss.open(address).status == send(boss, address).status == 404, address
    for address in below(user, hers):
        assert boss.open(address).status == 200, address
    assert (Device.select().count(), DeviceInvitation.pending(boris).count(), Collaboration.select().count()) == (
        2,
        1,
        2,
    )


def test_a_page_of_somebody_who_became_a_manager_is_not_there(boss, new_client, people, anna, user, hers):
    administrator = people.add_manager("administrator@example.org", Account.ADMINISTRATOR)
    browser = new_client()
    browser.sign_in(administrator.login, PASSWORD)
    pages = [*below(user, hers), f"{user}/devices/", f"{user}/collaborators/", f"{user}/activity"]
    Account.update(role=Account.ADMINISTRATOR).where(Account.id == anna.id).execute()
    for address in pages:
        assert browser.open(address).status == 404, address
    assert boss.open(f"{user}/devices/").status == 200


def test_everything_that_changes_something_asks_for_a_recent_password(boss, user, hers):
    WebSession.update(password_at=0).execute()
    for address in [*below(user, hers), f"{user}/devices/disconnection", f"{user}/devices/invitations/new"]:
        assert "Enter your password to continue" in boss.open(address).text, address
    for address in (*below(user, hers), f"{user}/devices/disconnection", f"{user}/devices/invitations/"):
        assert send(boss, address).status == 422, address
    for address in ("devices/", "collaborators/", "activity"):
        assert boss.open(f"{user}/{address}").status == 200
    assert Device.select().count() == 1


def test_no_page_of_a_user_shows_a_password_to_a_manager(boss, user, hers):
    device = hers.made.device.id
    for address in ("new", f"{device}/password", f"{device}/profile", f"{device}/waiting"):
        assert boss.open(f"{user}/devices/{address}").status == 404
        assert send(boss, f"{user}/devices/{address}").status == 404
        assert boss.open(f"/devices/{address}").status == 404
    assert send(boss, f"{user}/devices/", name="X", icon="mail", protocols="1", request_id="x").status in (404, 405)
    assert Device.get().verifier == hers.made.device.verifier


def test_a_user_without_anything(boss, people, user):
    other = people.add("other")
    page = boss.open(f"/services/{people.service.id}/mailboxes/{other.mailbox.id}/devices/")
    assert "No device yet." in page.text
    assert "Nobody else can open this mailbox." in page.follow("Collaborators").text
