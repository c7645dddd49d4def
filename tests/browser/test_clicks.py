"""How many clicks a journey takes, from the page on which it begins: none takes more than it did."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .panel import MANAGER, Panel, Person
from .people import EVERYWHERE, fill_in, press, says, sign_in
from .test_devices import add, invite
from .test_user_page import COUNT_CLICKS, clicks

BOSS = Person(MANAGER)


def follow(page: Page, link: str) -> None:
    page.get_by_role("link", name=link, exact=True).click()


def password_everywhere(page: Page, person: Person) -> None:
    fill_in(page, person.password, person.new_password)
    press(page, EVERYWHERE)
    press(page, "Update and log out everywhere")
    page.wait_for_url("**/sign-in")


def add_a_device(page: Page, _person: Person) -> None:
    follow(page, "Add a device")
    page.get_by_label("Name", exact=True).fill("Phone")
    press(page, "Continue")
    press(page, "Copy")
    follow(page, "Finish")


def disconnect_a_device(page: Page, _person: Person) -> None:
    page.get_by_role("button", name="Actions for Phone").click()
    follow(page, "Disconnect the device")
    press(page, "Disconnect the device")
    says(page)


def invite_to_a_device(page: Page, _person: Person) -> None:
    follow(page, "Invite somebody")
    page.get_by_label("E-mail address").fill("eve@elsewhere.example.com")
    page.get_by_label("Name", exact=True).fill("Tablet")
    press(page, "Invite")
    press(page, "Copy The link")
    follow(page, "Finish")


def add_one_who_uses_imap(page: Page, _person: Person) -> None:
    follow(page, "Add a collaborator")
    page.get_by_label("First name").fill("Mario")
    page.get_by_label("Last name").fill("Rossi")
    page.get_by_label("Reference e-mail").fill("mario@contact.example.com")
    press(page, "Continue")
    page.get_by_label("Use in mail programs, by IMAP").check()
    expect(page.locator(".htmx-request")).to_have_count(0)
    press(page, "Create account")
    says(page)


def new_password_of_a_user(page: Page, person: Person) -> None:
    follow(page, "Active orders")
    follow(page, "Info about Mail Light")
    follow(page, "Manage users")
    page.get_by_label("Search by name or address").fill(person.login)
    follow(page, person.login)
    page.get_by_label("Change password").check()
    press(page, "Suggest a strong password")
    press(page, "Save")
    says(page)


def with_a_device(page: Page, person: Person) -> None:
    add(page)


# Where it begins, what is there before, the journey, and the most clicks.
JOURNEYS: dict[str, tuple[str, Callable | None, Callable, int]] = {
    "the password, everywhere": ("/account/password", None, password_everywhere, 2),
    "a device is added": ("/devices/", None, add_a_device, 4),
    "a device is disconnected": ("/devices/", with_a_device, disconnect_a_device, 3),
    "somebody is invited to a device": ("/devices/", None, invite_to_a_device, 4),
    "a collaborator who uses IMAP is added": ("/collaborations/", None, add_one_who_uses_imap, 4),
}


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_takes_no_more_clicks_than_it_did(page: Page, person: Person, name: str):
    begins, before, journey, most = JOURNEYS[name]
    page.add_init_script(COUNT_CLICKS)
    sign_in(page, person, begins)
    if before:
        before(page, person)
        page.goto(begins)
    already = clicks(page)
    journey(page, person)
    assert clicks(page) - already == most


def test_a_recipient_comes_from_the_link_to_the_password_in_four_clicks(page: Page, new_context, person: Person):
    sign_in(page, person, "/devices/")
    link, code = invite(page)
    guest = new_context(user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)").new_page()
    guest.add_init_script(COUNT_CLICKS)
    guest.goto(link)
    press(guest, "Send me a code")
    guest.get_by_label("Code", exact=True).fill(code)
    press(guest, "Continue")
    expect(guest.get_by_label("iPhone, iPad or Mac")).to_be_checked()
    press(guest, "Continue")
    with guest.expect_download():
        press(guest, "Download the profile")
    assert clicks(guest) == 4


def test_a_manager_sets_a_users_password_in_seven_clicks(page: Page, panel: Panel, person: Person):
    page.add_init_script(COUNT_CLICKS)
    sign_in(page, BOSS, "/overview/")
    already = clicks(page)
    new_password_of_a_user(page, person)
    assert clicks(page) - already == 7
