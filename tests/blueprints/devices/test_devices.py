"""The pages of the devices."""

import re

import pytest

from actions.devices import device_passwords, devices
from actions.devices.devices import WantedDevice
from actions.ground.ports import Connection
from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import links
from lab.actors import acting
from models import Account, AuditEvent, Device, LastLogin, Mailbox, OutboxItem, Service, WebSession, now
from tests.client import Client, Page
from tests.conftest import PASSWORD

SHAPE = device_passwords.SHAPE
IMAP, POP3, SENDING = Device.IMAP, Device.POP3, Device.SENDING


@pytest.fixture
def device(ports, anna) -> Device:
    return make_device(ports, anna)


def make_device(ports, account: Account, name: str = "Old phone", protocols: int = IMAP | SENDING) -> Device:
    wanted = WantedDevice(name, "smartphone", protocols)
    return devices.make(UnitOfWork(ports, acting(account)), account, wanted, f"form of {name}").device


def new_form(client: Client, name: str = "New phone") -> Page:
    return client.open("/devices/new").fill({"Name": name})


def secret_on(page: Page) -> str | None:
    """The device password that the page shows."""
    found = SHAPE.search(page.text)
    return found and found[0]


def password_was_long_ago() -> None:
    WebSession.update(password_at=0).execute()


# --- the list ---


def test_without_devices_the_page_says_why_one_is_better(signed_in):
    page = signed_in.open("/devices/")
    assert page.title == "Devices"
    assert "If you lose one, disconnect just that one." in page.text


def test_the_list_shows_what_is_known(signed_in, device, mail_server, anna):
    LastLogin.create(login_id=anna.id, device_id=device.id, service="imap", ip="198.51.100.9", last_access=now() + 1)
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.9", device_id=device.id)]
    page = signed_in.open("/devices/")
    for words in ("Old phone", "IMAP, Sending (SMTP)", "by you", "198.51.100.9", "Connected now"):
        assert words in page.text
    assert page.links["Disconnect all devices"]


def test_with_the_mail_server_down_the_list_is_shown_and_says_so(signed_in, device, mail_server):
    mail_server.is_down = True
    page = signed_in.open("/devices/")
    assert "Old phone" in page.text
    assert "does not answer" in page.text


def test_names_are_shown_as_they_are(signed_in, ports, anna):
    make_device(ports, anna, "<script>alert(1)</script> {{ 7*7 }}")
    page = signed_in.open("/devices/")
    assert "<script>alert(1)</script> {{ 7*7 }}" in page.text


def test_whoever_has_no_mailbox_has_no_devices(client, manager):
    client.sign_in(manager.login, PASSWORD)
    assert "Devices" not in client.open("/account/password").links
    assert client.open("/devices/new").status == 404
    assert client.open("/devices/requirement").status == 404
    assert client.open("/devices/invitations/new").status == 404


# --- a new one ---


def test_the_password_is_shown_once_and_opens_what_was_chosen(signed_in, anna):
    page = new_form(signed_in).choose("Tablet").tick("POP3").tick("Sending (SMTP)", False).press("Continue")
    secret = secret_on(page)
    device = anna.devices.get()
    assert secret[:8] == device.selector
    assert (device.name, device.icon, device.protocols, device.expires_at) == ("New phone", "tablet", IMAP | POP3, None)
    signed_in.secrets.add(secret)
    assert "New phone" in page.follow("Finish").text
    for address in ("/devices/", f"/devices/{device.id}/password", "/account/activity", "/devices/new", "/outbox"):
        signed_in.open(address)


def test_imap_and_sending_are_what_is_offered(signed_in, anna):
    new_form(signed_in).press("Continue")
    assert anna.devices.get().protocols == IMAP | SENDING


def test_the_page_shows_settings_and_a_code_to_scan(signed_in, anna):
    page = new_form(signed_in).press("Continue")
    assert anna.login in page.text
    assert page.tree.find(".//img").get("src").startswith("data:image/")


def test_a_device_that_only_sends_has_neither_code_nor_profile(signed_in, anna):
    page = new_form(signed_in).tick("IMAP", False).press("Continue")
    assert anna.devices.get().protocols == SENDING
    assert page.tree.find(".//img") is None
    assert "Download the profile" not in page.buttons
    assert signed_in.open(f"/devices/{anna.devices.get().id}/profile").status == 404


def test_the_same_form_again_makes_nothing_and_shows_nothing(signed_in, anna):
    form = new_form(signed_in)
    first = form.press("Continue")
    again = form.press("Continue")
    assert again.status == 409
    assert secret_on(first)
    assert secret_on(again) is None
    assert anna.devices.count() == 1


def test_a_device_for_a_user_names_them(signed_in, boris, anna):
    form = new_form(signed_in).choose("Somebody else")
    form.fill({"The user's e-mail address": boris.login}).press("Continue")
    assert anna.devices.get().user == boris
    assert f"For {boris.login}" in signed_in.open("/devices/").text


def test_an_address_that_was_typed_for_no_user_is_left_out(signed_in, boris, anna):
    new_form(signed_in).fill({"The user's e-mail address": boris.login}).press("Continue")
    assert anna.devices.get().user is None


@pytest.mark.parametrize(
    ("zone", "end"), [("Europe/Rome", 1767308400), ("America/New_York", 1767330000), ("UTC", 1767312000)]
)
def test_the_last_day_is_a_day_of_the_person(signed_in, anna, clock, zone, end):
    clock.moment = 1767000000  # 29 December 2025
    Account.update(timezone=zone).where(Account.id == anna.id).execute()
    WebSession.update(created_at=clock.moment, seen_at=clock.moment, password_at=clock.moment).execute()
    new_form(signed_in).fill({"Last day it works": "2026-01-01"}).press("Continue")
    assert anna.devices.get().expires_at == end


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "Name"),
        ({"name": "x" * 1000}, "Name"),
        ({"name": "a\r\nSubject: b"}, "Name"),
        ({"name": "x" * 100_000}, "Name"),
        ({"expires_at": "2001-01-01"}, "Last day it works"),
        ({"expires_at": "9999-12-31"}, "Last day it works"),
        ({"expires_at": "0001-01-01"}, "Last day it works"),
        ({"expires_at": "tomorrow"}, "Last day it works"),
        ({"whom": "user", "user": ""}, "The user's e-mail address"),
        ({"whom": "user", "user": "nobody@example.org"}, "The user's e-mail address"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_stands_beside_its_field(signed_in, anna, changes, field):
    content = dict(new_form(signed_in).content_of("Continue")) | changes
    page = signed_in.post("/devices/", content)
    assert page.status == 422
    assert page.error_of(field)
    assert page.value("Name") == content["name"].strip("\r\n") or "\n" in content["name"]
    assert anna.devices.count() == 0


@pytest.mark.parametrize(
    "changes",
    [{"icon": "skull"}, {"icon": "../x"}, {"protocols": "8"}, {"protocols": "x"}, {"whom": "all"}, {"request_id": ""}],
    ids=str,
)
def test_what_the_form_does_not_offer_is_refused(signed_in, anna, changes):
    content = dict(new_form(signed_in).content_of("Continue")) | changes
    assert signed_in.post("/devices/", content).status == 422
    assert anna.devices.count() == 0


def test_the_same_box_three_times_is_the_box_once(signed_in, anna):
    content = [pair for pair in new_form(signed_in).content_of("Continue") if pair[0] != "protocols"]
    signed_in.post("/devices/", [*content, ("protocols", "1"), ("protocols", "1"), ("protocols", "1")])
    assert anna.devices.get().protocols == IMAP


def test_there_is_no_fifty_first(signed_in, ports, anna):
    for number in range(devices.MOST_DEVICES):
        make_device(ports, anna, f"Device {number}")
    page = new_form(signed_in).press("Continue")
    assert page.status == 422
    assert secret_on(page) is None
    assert anna.devices.count() == devices.MOST_DEVICES


# --- the password first ---


def test_a_session_without_a_recent_password_changes_no_device(signed_in, device, anna):
    form = new_form(signed_in)
    token = dict(form.content_of("Continue"))["csrf_token"]
    before = [*Device.select().dicts(), *Mailbox.select().dicts()]
    password_was_long_ago()
    assert form.press("Continue").status == 422
    dangerous = ("password", "profile", "disconnection")
    for address in (
        "/devices/disconnection",
        "/devices/requirement",
        *(f"/devices/{device.id}/{each}" for each in dangerous),
    ):
        page = signed_in.post(address, {"csrf_token": token, "required": "yes"})
        assert (page.status, "Enter your password to continue" in page.text) == (422, True), address
    assert [*Device.select().dicts(), *Mailbox.select().dicts()] == before


# --- the menu ---


def test_changing_the_password_shows_a_new_one(signed_in, device, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "192.0.2.7", device_id=each) for each in (0, device.id)]
    page = signed_in.open(f"/devices/{device.id}/password").press("Change the password")
    stored = Device.get_by_id(device.id)
    assert secret_on(page)[:8] == stored.selector != device.selector
    assert [each.device_id for each in mail_server.connected] == [0]


def test_a_pending_cut_is_said(signed_in, device, mail_server):
    mail_server.is_down = True
    page = signed_in.open(f"/devices/{device.id}/password").press("Change the password")
    assert secret_on(page)
    assert any("does not answer" in flash for flash in page.flashes)


def test_renaming(signed_in, device):
    page = signed_in.open(f"/devices/{device.id}/name").fill({"Name": "Kitchen"}).choose("Laptop").press("Rename")
    assert "Kitchen" in page.text
    stored = Device.get_by_id(device.id)
    assert (stored.name, stored.icon, stored.verifier) == ("Kitchen", "laptop", device.verifier)


def test_a_name_that_is_none_stands_beside_its_field(signed_in, device):
    page = signed_in.open(f"/devices/{device.id}/name").fill({"Name": "x" * 500}).press("Rename")
    assert page.status == 422
    assert page.error_of("Name")
    assert Device.get_by_id(device.id).name == "Old phone"


def test_disconnecting_one(signed_in, device, ports, anna):
    other = make_device(ports, anna, "Laptop")
    page = signed_in.open(f"/devices/{device.id}/disconnection").press("Disconnect the device")
    assert list(anna.devices) == [other]
    assert "Old phone" not in page.tree.find(".//table").itertext()


def test_disconnecting_all_lists_them_first(signed_in, device, ports, anna):
    make_device(ports, anna, "Laptop")
    page = signed_in.open("/devices/disconnection")
    assert "Old phone" in page.text
    assert "Laptop" in page.text
    page.press("Disconnect all devices")
    assert anna.devices.count() == 0


def test_a_profile_has_a_password_of_its_own(signed_in, device):
    page = signed_in.open(f"/devices/{device.id}/profile").press("Download the profile")
    assert page.headers["Content-Type"] == "application/x-apple-aspen-config"
    assert page.headers["Content-Disposition"].startswith("attachment")
    secret = SHAPE.search(page.response.text)[0]
    assert secret[:8] == Device.get_by_id(device.id).selector != device.selector


def test_another_persons_devices_are_not_there(signed_in, ports, boris):
    his = make_device(ports, boris)
    token = dict(new_form(signed_in).content_of("Continue"))["csrf_token"]
    before = list(Device.select().dicts())
    for number in (his.id, 0, 2**31 - 1, 2**31, 10**30):
        for part in ("password", "profile", "name", "disconnection", "waiting"):
            assert signed_in.request("GET", f"/devices/{number}/{part}").status == 404
            content = {"csrf_token": token, "name": "Mine", "icon": "laptop"}
            assert signed_in.post(f"/devices/{number}/{part}", content).status in (404, 405)
    assert list(Device.select().dicts()) == before


# --- the waiting line ---


def waiting(client: Client, device: Device) -> Page:
    return client.request("GET", f"/devices/{device.id}/waiting", HX_Request="true")


def test_the_line_waits_until_the_device_signs_in_and_then_stops(signed_in, device, anna):
    assert waiting(signed_in, device).status == 204
    LastLogin.create(
        login_id=anna.id, device_id=device.id, service="imap", ip="198.51.100.9", last_access=device.password_at + 1
    )
    said = waiting(signed_in, device)
    assert "198.51.100.9" in said.text
    assert "hx-get" not in said.response.text


def test_an_earlier_sign_in_is_not_the_one_that_is_waited_for(signed_in, device, anna):
    LastLogin.create(
        login_id=anna.id, device_id=device.id, service="imap", ip="198.51.100.9", last_access=device.password_at
    )
    assert waiting(signed_in, device).status == 204


def test_the_line_stops_by_itself(signed_in, device, clock):
    clock.pass_by(601)
    said = waiting(signed_in, device)
    assert said.status == 200
    assert "hx-get" not in said.response.text


def test_without_script_the_line_leads_to_the_list(signed_in, device):
    assert signed_in.open(f"/devices/{device.id}/waiting").path == "/devices/"


# --- the switch ---


def test_the_switch_tells_who_uses_the_own_password(signed_in, device, mail_server, anna):
    mail_server.connected = [
        Connection(anna.login, "imap", "203.0.113.5"),
        Connection(anna.login, "imap", "203.0.113.99", device_id=device.id),
    ]
    page = signed_in.open("/devices/requirement")
    assert "203.0.113.5" in page.text
    assert "203.0.113.99" not in page.text
    page.press("Require device passwords")
    assert Mailbox.by_address(anna.login).device_passwords_only
    assert [each.device_id for each in mail_server.connected] == [device.id]
    signed_in.open("/devices/requirement").press("Allow my account password")
    assert not Mailbox.by_address(anna.login).device_passwords_only


def test_what_the_service_demands_cannot_be_switched_off(signed_in):
    Service.update(device_passwords_only=True).execute()
    page = signed_in.open("/devices/")
    assert "Your mail service requires this" in page.text
    assert not {"Switch on", "Switch off"} & page.links.keys()


# --- elsewhere ---


def test_a_device_password_does_not_sign_in(client, ports, anna):
    made = devices.make(UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "mail", IMAP), "form")
    WebSession.delete().execute()
    page = client.sign_in(anna.login, made.password)
    assert page.status == 422
    assert WebSession.select().count() == 0


def test_the_sessions_page_names_the_device(signed_in, device, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "203.0.113.99", device_id=device.id)]
    assert "Old phone" in signed_in.open("/account/sessions").text


def test_the_password_page_offers_to_disconnect_devices(signed_in, device, anna):
    page = signed_in.open("/account/password")
    assert "Old phone" in page.text
    page.fill(
        {"Current password": PASSWORD, "New password": "Other-Garden-8", "Confirm new password": "Other-Garden-8"}
    )
    page.tick("Also disconnect all devices").press("Update password and log me out from everywhere")
    assert anna.devices.count() == 0


def test_without_devices_the_password_page_offers_nothing(signed_in):
    assert not [
        each for each in signed_in.open("/account/password").tree.iter("input") if each.get("name") == "devices_too"
    ]


def disown_address(device: Device) -> str:
    return f"/links/not-my-device/{links.create(device.account, links.DISOWN_DEVICE, device)}"


def test_this_wasnt_me_disconnects_that_device(client, device, ports, anna):
    other = make_device(ports, anna, "Laptop")
    address = disown_address(device)
    for method in ("GET", "HEAD", "GET"):
        assert client.request(method, address).status == 200
    assert anna.devices.count() == 2
    page = client.open(address).press("Disconnect the device")
    assert page.title == "The device is disconnected"
    assert list(anna.devices) == [other]
    assert client.open(address).status == 410


def test_this_wasnt_me_about_a_device_that_is_gone_says_so(client, device, ports, anna):
    address = disown_address(device)
    devices.disconnect(UnitOfWork(ports, acting(anna)), device)
    page = client.open(address)
    assert page.status == 200
    # That of the language.
    assert page.buttons == ["Choose"]


def test_everything_is_in_the_audit_trail_without_a_secret(signed_in, anna):
    secret = secret_on(new_form(signed_in).press("Continue"))
    device = anna.devices.get()
    signed_in.open(f"/devices/{device.id}/password").press("Change the password")
    signed_in.open(f"/devices/{device.id}/name").fill({"Name": "Other"}).press("Rename")
    signed_in.open(f"/devices/{device.id}/disconnection").press("Disconnect the device")
    actions = [event.action for event in AuditEvent.of(anna) if ":device:" in event.action]
    assert actions == [f"web:device:{what}" for what in ("disconnected", "renamed", "password-changed", "made")]
    assert all(secret not in str(row) for row in (*AuditEvent.select().dicts(), *OutboxItem.select().dicts()))
    assert not re.search(r"web:device", signed_in.open("/account/activity").text), "every event has its words"
