"""Devices, from the first to "Disconnect all", and an invitation that is accepted in a browser of its recipient."""

import plistlib
import re

import pytest
from playwright.sync_api import Page, expect

from actions.devices import device_passwords

from .accessibility import examine
from .panel import until
from .people import EVERYWHERE, fill_in, letter_link, press, says, sign_in

SECRET = device_passwords.SHAPE
EVE = "eve@elsewhere.example.com"
IPHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
OF_NEWEST = (
    "FROM device WHERE id = (SELECT max(id) FROM device WHERE account_id = (SELECT id FROM account WHERE login = ?))"
)


@pytest.fixture
def devices_page(page, person) -> Page:
    return sign_in(page, person, "/devices/")


def follow(page: Page, link: str) -> None:
    page.get_by_role("link", name=link, exact=True).click()


def add(page: Page, name: str = "Phone", icon: str = "Smartphone", program: str = "Another mail program") -> str:
    """Add a device; its password, on the page that shows it."""
    page.goto("/devices/")
    follow(page, "Add a device")
    page.get_by_label(program).check()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label(icon, exact=True).check()
    press(page, "Continue")
    return page.locator("#device-password").text_content()


def row(page: Page, name: str):
    return page.get_by_role("row").filter(has_text=name)


def choose(page: Page, device: str, item: str) -> None:
    """Choose from the menu of a device or an invitation."""
    row(page, device).get_by_role("button", name="Actions for").click()
    page.locator("[popover]:popover-open").get_by_role("link", name=item).click()


def use(panel, person, address: str = "198.51.100.9") -> None:
    """The person's newest device signs in: the row that Dovecot would write."""
    panel._execute(
        "INSERT OR REPLACE INTO last_login (login_id, device_id, service, ip, last_access)"
        f" SELECT account_id, id, 'imap', '{address}', password_at + 1 {OF_NEWEST}",
        person.login,
    )


def count(panel, person) -> int:
    statement = "SELECT count(*) FROM device WHERE account_id = (SELECT id FROM account WHERE login = ?)"
    return panel._execute(statement, person.login)


def invite(page: Page, email: str = EVE) -> tuple[str, str]:
    """Invite somebody; the link, and the inviter's code."""
    page.goto("/devices/")
    follow(page, "Invite somebody")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Name", exact=True).fill("Eve's tablet")
    press(page, "Invite")
    return page.locator("#invitation-link").text_content(), page.locator("#invitation-code").text_content()


# --- the journey ---


def test_a_device_from_the_first_step_to_the_last(any_page, panel, person):
    page = sign_in(any_page, person, "/devices/")
    secret = add(page, "Anna's phone")
    assert SECRET.fullmatch(secret)
    expect(page.get_by_role("row").filter(has_text="IMAP")).to_be_visible()
    follow(page, "Finish")
    expect(row(page, "Anna's phone")).to_contain_text("by you")
    assert secret not in page.content()
    choose(page, "Anna's phone", "Change the password")
    press(page, "Change the password")
    changed = page.locator("#device-password").text_content()
    assert changed != secret
    follow(page, "Finish")
    choose(page, "Anna's phone", "Rename")
    page.get_by_label("Name", exact=True).fill("Kitchen radio")
    press(page, "Rename")
    choose(page, "Kitchen radio", "Disconnect the device")
    press(page, "Disconnect the device")
    says(page)
    expect(row(page, "Kitchen radio")).to_have_count(0)
    assert count(panel, person) == 0


def test_all_devices_are_disconnected_after_a_dialog_that_lists_them(any_page, panel, person):
    page = sign_in(any_page, person, "/devices/")
    for name in ("Phone", "Laptop"):
        add(page, name)
    follow(page, "Finish")
    follow(page, "Disconnect all devices")
    expect(page.get_by_role("listitem").filter(has_text="Phone")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Laptop")).to_be_visible()
    press(page, "Disconnect all devices")
    says(page)
    assert count(panel, person) == 0


def test_the_waiting_line_tells_of_the_first_sign_in_and_stops(devices_page, panel, person):
    devices_page.clock.install()
    add(devices_page)
    line = devices_page.locator(".waiting")
    devices_page.clock.run_for(3_000)
    expect(line).to_have_attribute("hx-get", re.compile("waiting"))
    use(panel, person)
    devices_page.clock.run_for(3_000)
    expect(line).to_contain_text("198.51.100.9")
    expect(line).not_to_have_attribute("hx-get", re.compile(""))
    asked: list[str] = []
    devices_page.on("request", lambda request: asked.append(request.url))
    devices_page.clock.run_for(60_000)
    assert asked == []


def test_the_password_does_not_come_back(devices_page, person, panel):
    secret = add(devices_page)
    follow(devices_page, "Finish")
    devices_page.wait_for_url("**/devices/")
    devices_page.go_back()
    devices_page.wait_for_load_state()
    assert secret not in devices_page.content()
    devices_page.goto("/devices/")
    assert secret not in devices_page.content()
    assert count(panel, person) == 1


def test_reloading_makes_no_second_device_and_shows_nothing(devices_page, panel, person):
    secret = add(devices_page)
    devices_page.reload()
    expect(devices_page.get_by_role("heading", level=1)).to_have_text("The password was shown already")
    assert secret not in devices_page.content()
    assert count(panel, person) == 1


def test_copy_copies_the_password(new_context, person):
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = sign_in(context.new_page(), person, "/devices/")
    secret = add(page)
    press(page, "Copy")
    expect(page.locator("output.copied").first).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_the_profile_is_downloaded_with_a_password_of_its_own(any_page, person):
    page = sign_in(any_page, person, "/devices/")
    secret = add(page, program="iPhone, iPad or Mac")
    with page.expect_download() as download:
        press(page, "Download the profile")
    profile = plistlib.loads(download.value.path().read_bytes())
    inside = profile["PayloadContent"][0]["IncomingPassword"]
    assert SECRET.fullmatch(inside)
    assert inside != secret


def test_the_address_of_a_user_is_asked_for_where_one_is_chosen(any_page, person):
    page = sign_in(any_page, person, "/devices/new")
    address = page.get_by_label("The user's e-mail address")
    expect(address).to_be_hidden()
    page.get_by_label("Somebody else").check()
    address.fill("nobody@example.org")
    page.get_by_label("Name", exact=True).fill("Phone")
    press(page, "Continue")
    expect(page.locator(".error")).to_be_visible()
    expect(address).to_have_value("nobody@example.org")


def test_the_switch(any_page, panel, person, mail_server):
    mail_server.connect(person.login, "imap", "203.0.113.5")
    page = sign_in(any_page, person, "/devices/")
    follow(page, "Switch on")
    expect(page.get_by_role("listitem").filter(has_text="203.0.113.5")).to_be_visible()
    press(page, "Require device passwords")
    says(page)
    assert mail_server.logins() == []
    follow(page, "Switch off")
    press(page, "Allow my account password")
    expect(page.get_by_role("link", name="Switch on")).to_be_visible()


def test_logging_out_from_everywhere_names_the_devices(any_page, panel, person):
    page = sign_in(any_page, person, "/devices/")
    add(page, "Anna's phone")
    page.goto("/account/password")
    stays, goes = page.locator(".unless-decided").first, page.locator(".when-decided").first
    expect(stays).to_contain_text("Anna's phone")
    expect(goes).to_be_hidden()
    page.get_by_label("Also disconnect all devices").check()
    expect(stays).to_be_hidden()
    expect(goes).to_contain_text("Anna's phone")
    fill_in(page, person.password, person.new_password)
    press(page, EVERYWHERE)
    if page.has_script:
        expect(page.get_by_role("dialog").locator(".when-decided")).to_contain_text("Anna's phone")
        press(page, "Update and log out everywhere")
    page.wait_for_url("**/sign-in")
    assert count(panel, person) == 0


def test_by_keyboard_alone(devices_page, panel, person):
    add(devices_page, "Phone")
    follow(devices_page, "Finish")
    menu = row(devices_page, "Phone").get_by_role("button", name="Actions for")
    menu.focus()
    devices_page.keyboard.press("Enter")
    for _ in range(4):
        devices_page.keyboard.press("Tab")
    devices_page.keyboard.press("Enter")
    expect(devices_page.get_by_role("dialog")).to_be_visible()
    devices_page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    follow(devices_page, "Add a device")
    devices_page.get_by_label("Smartphone").focus()
    devices_page.keyboard.press("ArrowRight")
    expect(devices_page.get_by_label("Tablet", exact=True)).to_be_checked()


# --- this wasn't me ---


def test_this_wasnt_me_ends_the_device(any_page, panel, person):
    page = sign_in(any_page, person, "/devices/")
    add(page)
    panel.let_e_mails_go()
    page.goto(letter_link(page, person.login, "/links/not-my-device/"))
    press(page, "Disconnect the device")
    expect(page.get_by_role("heading", level=1)).to_have_text("The device is disconnected")
    assert count(panel, person) == 0


def test_a_new_network_is_told_by_a_letter(devices_page, panel, person):
    add(devices_page)
    use(panel, person, "203.0.113.50")

    def told() -> bool:
        devices_page.goto("/outbox")
        return devices_page.locator("article").filter(has_text=person.login).filter(has_text="203.0.113.50").count() > 0

    assert until(told, 20)


# --- an invitation, in a second browser ---


@pytest.mark.parametrize("script", [True, False], ids=["htmx", "no-script"])
def test_somebody_else_gets_the_password_in_their_own_hands(page, new_context, panel, person, script):
    sign_in(page, person, "/devices/")
    link, _ = invite(page)
    guest = new_context(java_script_enabled=script, **IPHONE).new_page()
    guest.goto(link)
    outbox = new_context().new_page()
    earlier = mailed_codes(outbox)
    press(guest, "Send me a code")
    says(guest)
    [code] = until(lambda: mailed_codes(outbox) - earlier, 10)
    guest.get_by_label("Code", exact=True).fill(code)
    press(guest, "Continue")
    guest.get_by_label("iPhone, iPad or Mac").check()
    press(guest, "Continue")
    secret = guest.locator("#device-password").text_content()
    assert SECRET.fullmatch(secret)
    with guest.expect_download() as download:
        press(guest, "Download the profile")
    assert plistlib.loads(download.value.path().read_bytes())["PayloadContent"][0]["EmailAddress"] == person.login
    page.goto("/devices/")
    expect(row(page, "Eve's tablet")).to_contain_text(EVE)
    assert secret not in page.content()
    assert guest.goto(link).status == 410
    assert count(panel, person) == 1


def mailed_codes(page: Page) -> set[str]:
    """The codes in the e-mails to Eve, who is invited by others as well."""
    page.goto("/outbox")
    letters = page.locator("article").filter(has_text=EVE).filter(has_text="Your code")
    texts = letters.locator(".letter").all_text_contents()
    return {found for text in texts for found in re.findall(r"\b\d{6}\b", text)}


def test_the_invited_user_signs_in_on_the_way(page, new_context, panel, person):
    friend = panel.person()
    sign_in(page, person, "/devices/")
    link, _ = invite(page, friend.login)
    guest = new_context().new_page()
    guest.goto(link)
    follow(guest, "Sign in with your mailbox")
    guest.get_by_label("E-mail address").fill(friend.login)
    guest.get_by_label("Password", exact=True).fill(friend.password)
    press(guest, "Sign in")
    guest.get_by_label("Thunderbird on a computer").check()
    press(guest, "Continue")
    expect(guest.locator("#device-password")).to_be_visible()
    assert (count(panel, person), count(panel, friend)) == (1, 0)


def test_a_withdrawn_invitation_opens_nothing(any_page, new_context, person):
    page = sign_in(any_page, person, "/devices/")
    link, _ = invite(page)
    page.goto("/devices/")
    choose(page, "Eve's tablet", "Withdraw")
    press(page, "Withdraw the invitation")
    expect(row(page, "Eve's tablet")).to_have_count(0)
    assert new_context().new_page().goto(link).status == 410


# --- what every page has to fulfil ---


@pytest.fixture
def calm(new_context, person) -> Page:
    """A page on which nothing moves, for axe to look at."""
    return sign_in(new_context(reduced_motion="reduce").new_page(), person, "/devices/")


def test_the_pages_of_a_device(calm, panel, person, mail_server):
    examine(calm)
    add(calm, "A phone with a name that is so long that it needs more than one line on a narrow page")
    calm.get_by_text("Show the recommended settings").click()
    examine(calm)
    use(panel, person)
    expect(calm.locator(".waiting")).to_contain_text("198.51.100.9")
    examine(calm)
    calm.reload()
    examine(calm)
    panel._execute(f"UPDATE device SET expires_at = 1 WHERE id = (SELECT id {OF_NEWEST})", person.login)
    calm.goto("/devices/")
    examine(calm)
    row(calm, "A phone").get_by_role("button", name="Actions for").click()
    examine(calm)


def test_the_questions_about_a_device(calm, panel, person, mail_server):
    mail_server.connect(person.login, "imap", "2001:db8:85a3:1234:5678:8a2e:370:7334")
    add(calm)
    number = panel._execute(f"SELECT id {OF_NEWEST}", person.login)
    questions = [f"{number}/{part}" for part in ("password", "profile", "name", "disconnection")]
    for address in (*questions, "disconnection", "requirement"):
        calm.goto(f"/devices/{address}")
        examine(calm)
    calm.goto("/devices/")
    choose(calm, "Phone", "Rename")
    expect(calm.get_by_role("dialog")).to_be_visible()
    examine(calm)


def test_a_form_with_errors(calm):
    follow(calm, "Add a device")
    calm.get_by_label("Somebody else").check()
    calm.get_by_label("IMAP").uncheck()
    calm.locator("main form").evaluate("form => form.noValidate = true")
    press(calm, "Continue")
    expect(calm.locator(".error").first).to_be_visible()
    examine(calm)


def test_the_pages_of_an_invitation(calm, new_context, panel, person):
    calm.goto("/devices/invitations/new")
    examine(calm)
    link, code = invite(calm)
    examine(calm)
    calm.goto("/devices/")
    examine(calm)
    number = panel._execute("SELECT max(id) FROM device_invitation")
    for part in ("letter", "withdrawal"):
        calm.goto(f"/devices/invitations/{number}/{part}")
        examine(calm)
    guest = new_context(reduced_motion="reduce").new_page()
    guest.goto(link)
    examine(guest)
    guest.get_by_label("Code", exact=True).fill("000000")
    press(guest, "Continue")
    examine(guest)
    guest.get_by_label("Code", exact=True).fill(code)
    press(guest, "Continue")
    examine(guest)
    guest.get_by_label("Another mail program").check()
    press(guest, "Continue")
    expect(guest.locator("#device-password")).to_be_visible()
    examine(guest)
    guest.reload()
    examine(guest)


def test_the_pages_of_this_wasnt_me(calm, panel, person):
    add(calm)
    panel.let_e_mails_go()
    calm.goto(letter_link(calm, person.login, "/links/not-my-device/"))
    examine(calm)
    press(calm, "Disconnect the device")
    examine(calm)


# --- undo ---


def test_a_disconnection_is_undone_by_one_press(any_page, panel, person):
    page = sign_in(any_page, person, "/devices/")
    add(page)
    verifier = panel._execute(f"SELECT verifier {OF_NEWEST}", person.login)
    page.goto("/devices/")
    choose(page, "Phone", "Disconnect the device")
    press(page, "Disconnect the device")
    says(page)
    assert count(panel, person) == 0
    press(page, "Undo")
    expect(page.get_by_text("Undone.")).to_be_visible()
    expect(row(page, "Phone")).to_be_visible()
    assert panel._execute(f"SELECT verifier {OF_NEWEST}", person.login) == verifier


def test_undo_leaves_when_it_is_too_late_and_keeps_the_focus(calm, panel, person):
    calm.clock.install()
    add(calm)
    calm.goto("/devices/")
    choose(calm, "Phone", "Disconnect the device")
    press(calm, "Disconnect the device")
    undo = calm.get_by_role("button", name="Undo")
    undo.focus()
    calm.clock.run_for(9_000)
    expect(undo).to_be_visible()
    examine(calm)
    calm.clock.run_for(2_000)
    expect(undo).to_have_count(0)
    expect(calm.locator("#flashes .flash")).to_be_focused()
