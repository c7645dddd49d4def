"""The password once more, in the form or dialog that needs it: what was typed and meant is carried out.

That something was typed for longer than five minutes is played by making the session's password old.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from .accessibility import examine
from .panel import MANAGER, Panel, Person
from .people import new_field, once_more, press, says, sign_in

BOSS = Person(MANAGER)
WRONG = "Wrong-Secret-0"


@pytest.fixture
def device(any_page: Page, person: Person) -> Page:
    """The list of devices, with one."""
    page = sign_in(any_page, person, "/devices/new")
    page.get_by_label("Name", exact=True).fill("Phone")
    press(page, "Continue")
    page.get_by_role("link", name="Finish").click()
    page.wait_for_url("**/devices/")
    return page


def refused_then_given(page: Page, person: Person, button: str) -> None:
    """A wrong password is refused in the form, with the focus on its field; the right one sends it."""
    once_more(page).fill(WRONG)
    press(page, button)
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    expect(once_more(page)).to_be_focused()
    once_more(page).fill(person.password)
    press(page, button)


def disconnect(page: Page) -> None:
    page.get_by_role("button", name="Actions for Phone").click()
    page.get_by_role("link", name="Disconnect the device").click()


def test_a_user_is_typed_in_for_longer_than_five_minutes(any_page: Page, panel: Panel):
    page = sign_in(any_page, BOSS, "/services/1/mailboxes/new")
    login = f"slow.{'script' if page.has_script else 'plain'}@example.org"
    typed = {"E-mail address": login, "First name": "Nora", "Quota": "2", "Contact e-mail": "n@elsewhere.example.com"}
    for label, text in typed.items():
        page.get_by_label(label, exact=True).fill(text)
    panel.password_was_given_long_ago(BOSS)
    press(page, "Add the user")
    expect(page.get_by_text("What you entered is still here")).to_be_visible()
    expect(once_more(page)).to_be_focused()
    for label, text in typed.items():
        expect(page.get_by_label(label, exact=True)).to_have_value(text)
    if page.has_script:
        page.emulate_media(reduced_motion="reduce")
        examine(page)
    refused_then_given(page, BOSS, "Add the user")
    says(page)
    assert panel.events(Person(login), "web:user:added") == 1


def test_a_wrong_password_costs_no_other_one_that_was_typed(page: Page, panel: Panel):
    """No page may bring a secret back; the script sends the form only once the password is right."""
    sign_in(page, BOSS)
    panel.password_was_given_long_ago(BOSS)
    page.goto("/services/1/mailboxes/new")
    page.get_by_label("E-mail address").fill("kept@example.org")
    page.get_by_label("Quota", exact=True).fill("2")
    page.get_by_label("Set it here").check()
    new_field(page).fill("Quiet-Harbour-71")
    refused_then_given(page, BOSS, "Add the user")
    says(page)
    assert panel.events(Person("kept@example.org"), "web:user:added") == 1


def test_a_collaborator_in_two_steps(any_page: Page, panel: Panel, person: Person):
    page = sign_in(any_page, person, "/collaborations/new")
    for label, text in {"First name": "Mario", "Last name": "Rossi", "User name": "mario"}.items():
        page.get_by_label(label).fill(text)
    page.get_by_label("Reference e-mail").fill("mario@contact.example.com")
    press(page, "Continue")
    page.get_by_label("Send", exact=True).check()
    expect(page.locator(".htmx-request")).to_have_count(0)
    panel.password_was_given_long_ago(person)
    press(page, "Create account")
    expect(once_more(page)).to_be_focused()
    expect(page.get_by_label("Send", exact=True)).to_be_checked()
    refused_then_given(page, person, "Create account")
    says(page)
    assert panel.events(Person(f"mario/{person.login}"), "web:collaboration:made") == 1


def test_a_device_is_disconnected_with_the_password_in_the_dialog(device: Page, panel: Panel, person: Person):
    panel.password_was_given_long_ago(person)
    disconnect(device)
    expect(once_more(device)).to_be_focused()
    if device.has_script:
        expect(device.get_by_role("dialog")).to_be_visible()
        device.emulate_media(reduced_motion="reduce")
        examine(device)
    refused_then_given(device, person, "Disconnect the device")
    says(device)
    device.wait_for_url(re.compile("/devices/(#.*)?$"))
    assert panel.events(person, "web:device:disconnected") == 1


def test_a_dialog_that_was_open_for_too_long_comes_back_as_a_page(device: Page, panel: Panel, person: Person):
    disconnect(device)
    expect(device.get_by_role("button", name="Disconnect the device")).to_be_visible()
    panel.password_was_given_long_ago(person)
    press(device, "Disconnect the device")
    expect(once_more(device)).to_be_focused()
    refused_then_given(device, person, "Disconnect the device")
    says(device)
    assert panel.events(person, "web:device:disconnected") == 1
