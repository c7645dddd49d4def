"""The pages of an invitation, as its inviter and as its recipient see them."""

import re

import pytest

import worker
from actions.devices import device_passwords, devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from lab.actors import acting
from models import Account, Attempts, Device, DeviceInvitation, Mailbox, OutboxItem, WebSession
from tests.client import Client, Page
from tests.conftest import PASSWORD

EVE = "eve@elsewhere.example.com"
SHAPE = device_passwords.SHAPE


@pytest.fixture
def invited(ports, anna) -> invitations.Invited:
    return invite(ports, anna)


@pytest.fixture
def guest(new_client) -> Client:
    """The recipient's browser."""
    return new_client(address="198.51.100.7")


def invite(ports, anna, email: str = EVE, mailed: bool = False) -> invitations.Invited:
    wanted = WantedDevice("Eve's tablet", "tablet", Device.IMAP | Device.SENDING)
    return invitations.invite(UnitOfWork(ports, acting(anna)), anna, wanted, email, mailed)


def address_of(invited: invitations.Invited) -> str:
    return "/set-up/" + invited.link.rpartition("/")[2]


def proved(guest: Client, invited: invitations.Invited) -> Page:
    """The page that somebody sees who gave the inviter's code."""
    return guest.open(address_of(invited)).fill({"Code": invited.code}).press("Continue")


def secret_on(page: Page) -> str | None:
    found = SHAPE.search(page.text)
    return found and found[0]


def last_code(ports, mailer) -> str:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail")):
        outbox.deliver(ports, item, worker.HANDLERS)
    text = mailer.sent[-1][1].get_body(("plain",)).get_content()
    return re.search(r"^\d{6}$", text, re.MULTILINE)[0]


# --- the inviter ---


def new_form(client: Client) -> Page:
    return client.open("/devices/invitations/new").fill({"E-mail address": EVE, "Name": "Eve's tablet"})


def test_an_invitation_is_made_shown_once_and_listed(signed_in, anna):
    page = new_form(signed_in).press("Invite")
    link = re.search(r"http://\S+/set-up/(\S+)", page.text)
    signed_in.secrets |= {link[1], re.search(r"\b[a-z2-9]{4}-[a-z2-9]{4}\b", page.text)[0]}
    listed = page.follow("Finish")
    assert EVE in listed.text
    assert "Eve's tablet" in listed.text
    invitation = anna.device_invitations.get()
    signed_in.open(f"/devices/invitations/{invitation.id}/letter")


@pytest.mark.parametrize(("ticked", "letters"), [(True, 1), (False, 0)])
def test_it_is_mailed_where_that_is_ticked(signed_in, ticked, letters):
    new_form(signed_in).tick("Send the link to this address", ticked).press("Invite")
    assert OutboxItem.select().where(OutboxItem.kind == "mail").count() == letters


@pytest.mark.parametrize("email", ["", "eve", "eve@example.com\r\nBcc: x@example.com", "x" * 2000])
def test_an_address_that_is_none_stands_beside_its_field(signed_in, anna, email):
    content = dict(new_form(signed_in).content_of("Invite")) | {"email": email}
    page = signed_in.post("/devices/invitations/", content)
    assert page.status == 422
    assert page.error_of("E-mail address")
    assert anna.device_invitations.count() == 0


def test_the_same_form_again_makes_no_second_one(signed_in, anna):
    form = new_form(signed_in)
    form.press("Invite")
    assert form.press("Invite").status == 422
    assert anna.device_invitations.count() == 1


def test_sent_again_the_old_link_is_dead(signed_in, guest, invited):
    page = signed_in.open(f"/devices/invitations/{invited.invitation.id}/letter").press("Create a new link")
    assert guest.open(address_of(invited)).status == 410
    fresh = re.search(r"/set-up/\S+", page.text)[0]
    assert guest.open(fresh).status == 200


def test_withdrawn_it_opens_nothing_and_is_not_listed(signed_in, guest, invited):
    page = signed_in.open(f"/devices/invitations/{invited.invitation.id}/withdrawal").press("Withdraw the invitation")
    assert EVE not in page.text
    assert guest.open(address_of(invited)).status == 410


def test_anothers_invitations_are_not_there(client, invited, boris):
    client.sign_in(boris.login, PASSWORD)
    token = dict(new_form(client).content_of("Invite"))["csrf_token"]
    for number in (invited.invitation.id, 0, 2**31 - 1, 2**31, 10**30):
        for part in ("letter", "withdrawal"):
            assert client.request("GET", f"/devices/invitations/{number}/{part}").status == 404
            assert client.post(f"/devices/invitations/{number}/{part}", {"csrf_token": token}).status in (404, 405)
    assert invitations.find(invited.link.rpartition("/")[2]) is not None


def test_a_session_without_a_recent_password_invites_nobody(signed_in, invited, anna):
    form = new_form(signed_in)
    again = signed_in.open(f"/devices/invitations/{invited.invitation.id}/letter")
    hashes = [each.token_hash for each in DeviceInvitation.select()]
    WebSession.update(password_at=0).execute()
    assert form.press("Invite").status == 422
    assert again.press("Create a new link").status == 422
    assert [each.token_hash for each in DeviceInvitation.select()] == hashes


# --- the recipient ---


def test_reading_the_link_changes_and_reveals_nothing(guest, invited, anna):
    guest.secrets |= {anna.login, EVE, "Eve's tablet", invited.code}
    before = [*DeviceInvitation.select().dicts(), *Device.select().dicts(), *OutboxItem.select().dicts()]
    for method in ("GET", "HEAD", "OPTIONS", "GET"):
        assert guest.request(method, address_of(invited)).status == 200
    assert [*DeviceInvitation.select().dicts(), *Device.select().dicts(), *OutboxItem.select().dicts()] == before


def test_the_inviters_code_leads_to_the_password_which_is_shown_once(guest, signed_in, invited, anna):
    page = proved(guest, invited).choose("Another mail program").press("Continue")
    secret = secret_on(page)
    assert secret[:8] == anna.devices.get().selector
    assert anna.login in page.text
    for browser in (guest, signed_in):
        browser.secrets.add(secret)
    listed = signed_in.open("/devices/")
    assert f"For {EVE}" in listed.text
    assert guest.open(address_of(invited)).status == 410
    signed_in.open(f"/devices/{anna.devices.get().id}/password")


def test_the_mailed_code_leads_there_too(guest, ports, mailer, invited, anna):
    page = guest.open(address_of(invited)).press("Send me a code")
    assert EVE not in page.text
    assert page.flashes
    page = page.fill({"Code": last_code(ports, mailer)}).press("Continue")
    assert secret_on(page.choose("Outlook").press("Continue"))


def test_a_second_code_within_a_minute_is_not_sent(guest, invited):
    guest.open(address_of(invited)).press("Send me a code").press("Send me a code")
    assert OutboxItem.select().where(OutboxItem.key.startswith("device-code")).count() == 1


def test_a_wrong_code_stands_beside_its_field(guest, invited, anna):
    page = guest.open(address_of(invited)).fill({"Code": "000000"}).press("Continue")
    assert page.status == 422
    assert page.error_of("Code")
    assert anna.devices.count() == 0


def test_junk_from_the_same_network_keeps_nobody_from_an_invitation(guest, invited):
    assert {guest.open(f"/set-up/{number}").status for number in range(110)} == {410}
    assert Attempts.select().count() == 0
    assert guest.open(address_of(invited)).status == 200


def test_a_hundred_wrong_codes_end_it(guest, invited, anna):
    token = dict(guest.open(address_of(invited)).content_of("Continue"))["csrf_token"]
    statuses = [
        guest.post(f"{address_of(invited)}/proof", {"csrf_token": token, "code": f"{number:06}"}).status
        for number in range(100)
    ]
    assert set(statuses) <= {422, 410, 429}
    assert statuses.count(422) <= 21
    assert invitations.find(address_of(invited).rpartition("/")[2]) is None
    assert anna.devices.count() == 0


def test_without_proof_nothing_is_handed_out(guest, invited, anna):
    token = dict(guest.open(address_of(invited)).content_of("Continue"))["csrf_token"]
    for part in ("", "/profile"):
        page = guest.post(address_of(invited) + part, {"csrf_token": token, "program": "other"})
        assert page.status in (410, 422)
        assert not SHAPE.search(page.response.text)
    assert anna.devices.count() == 0


def test_a_proof_is_for_one_browser_and_one_invitation_and_ten_minutes(
    guest, new_client, ports, people, invited, clock
):
    other = invite(ports, people.add("chiara"))
    form = proved(guest, invited).choose("Outlook")
    content = dict(form.content_of("Continue"))
    assert guest.open(address_of(other)).buttons.count("Send me a code") == 1
    foreign = guest.post(address_of(other), content)
    assert foreign.status == 422
    assert new_client().open(address_of(invited)).buttons.count("Send me a code") == 1
    clock.pass_by(600)
    assert secret_on(form.press("Continue")) is None
    assert Device.select().count() == 0


@pytest.mark.parametrize("program", ["", "all", "{{ 7*7 }}"])
def test_a_program_that_is_not_offered_is_refused_and_uses_nothing_up(guest, invited, program):
    content = dict(proved(guest, invited).content_of("Continue")) | {"program": program}
    assert guest.post(address_of(invited), content).status == 422
    assert guest.open(address_of(invited)).status == 200


def test_accepted_again_in_the_same_browser_shows_nothing(guest, invited, anna):
    form = proved(guest, invited)
    assert secret_on(form.press("Continue"))
    again = form.press("Continue")
    assert again.status == 409
    assert secret_on(again) is None
    assert anna.devices.count() == 1


def test_two_browsers_with_a_proof_one_gets_it(guest, new_client, invited, anna):
    forms = [proved(guest, invited), proved(new_client(), invited)]
    pages = [form.press("Continue") for form in forms]
    assert [bool(secret_on(page)) for page in pages] == [True, False]
    assert pages[1].status == 410
    assert anna.devices.count() == 1


def test_for_apple_there_is_a_profile_with_a_password_of_its_own(guest, new_client, invited, anna, clock):
    page = proved(guest, invited).choose("iPhone, iPad or Mac").press("Continue")
    shown = secret_on(page)
    profile = page.press("Download the profile")
    assert profile.headers["Content-Type"] == "application/x-apple-aspen-config"
    inside = SHAPE.search(profile.response.text)[0]
    assert inside != shown
    assert inside[:8] == anna.devices.get().selector
    token = dict(page.content_of("Download the profile"))["csrf_token"]
    assert new_client().post(f"{address_of(invited)}/profile", {"csrf_token": token}).status in (400, 410)
    clock.pass_by(601)
    assert page.press("Download the profile").status == 410


def test_the_invited_user_signs_in_and_is_let_through(guest, ports, anna, boris):
    invited = invite(ports, anna, boris.login)
    page = guest.open(address_of(invited)).follow("Sign in with your mailbox")
    page = page.fill({"E-mail address": boris.login, "Password": PASSWORD}).press("Sign in")
    assert page.path == address_of(invited)
    assert secret_on(page.choose("Thunderbird on a computer").press("Continue"))
    assert anna.devices.get().user == boris
    assert boris.devices.count() == 0


def test_the_invited_user_whose_password_was_long_ago_gives_it_once_more(guest, ports, anna, boris):
    invited = invite(ports, anna, boris.login)
    guest.sign_in(boris.login, PASSWORD)
    WebSession.update(password_at=0).execute()
    page = guest.open(address_of(invited)).follow("Confirm your password")
    page = page.fill({"Enter your password to continue": PASSWORD}).press("Continue")
    assert (page.path, page.title) == (address_of(invited), "Set up a mail program")
    assert secret_on(page.press("Continue"))


def test_somebody_else_signed_in_gets_nothing_by_that(guest, ports, people, anna, boris):
    invited = invite(ports, anna, boris.login)
    chiara = people.add("chiara")
    guest.sign_in(chiara.login, PASSWORD)
    assert "Send me a code" in guest.open(address_of(invited)).buttons


@pytest.mark.parametrize("what", ["mailbox", "account", "fifty"])
def test_what_changed_meanwhile_is_a_sentence_and_no_device(guest, ports, invited, anna, what):
    form = proved(guest, invited)
    if what == "mailbox":
        Mailbox.delete().where(Mailbox.account == anna).execute()
    elif what == "account":
        Account.update(state=Account.SUSPENDED).where(Account.id == anna.id).execute()
    else:
        for number in range(devices.MOST_DEVICES):
            devices.make(UnitOfWork(ports, acting(anna)), anna, WantedDevice("Device", "mail", 1), f"form {number}")
    before = anna.devices.count()
    page = form.press("Continue")
    assert page.status == (422 if what == "fifty" else 410)
    assert secret_on(page) is None
    assert anna.devices.count() == before


def test_wrong_links_say_so_and_nothing_more(guest, anna):
    for token in ("x", "x" * 300, "%00", "💥"):
        assert guest.open(f"/set-up/{token}").status == 410
    assert guest.open("/set-up/..%2f").status == 404


# --- whether there is such a user ---


@pytest.mark.parametrize("typed", ["boris@example.org", "Boris@Example.org", "manager@example.org"])
def test_neither_list_nor_page_tells_whether_there_is_such_a_user(ports, signed_in, guest, anna, boris, manager, typed):
    """An inviter has the link too. What is shown depends on the address alone."""
    nobody = typed.replace("oris", "ernard").replace("anager", "ildred")
    shown = []
    for email in (typed, nobody):
        invited = invite(ports, anna, email)
        page = guest.open(address_of(invited))
        listed = signed_in.open("/devices/").text
        words = [page.text, sorted(page.links), email.lower() in listed, email != email.lower() and email in listed]
        shown.append(words)
        invitations.withdraw(UnitOfWork(ports, acting(anna)), invited.invitation)
    assert shown[0] == shown[1]
    assert "Sign in with your mailbox" in page.links


def test_whoever_has_no_mailbox_here_is_offered_no_sign_in(ports, guest, anna):
    assert "Sign in with your mailbox" not in guest.open(address_of(invite(ports, anna, EVE))).links
