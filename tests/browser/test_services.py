"""A manager and the users of a service, each in a browser of their own: the steps of the customer panel's guide."""

import re
import sys

import pytest
from playwright.sync_api import Page, expect

from tests.languages import FEW_LANGUAGES

from .accessibility import examine, fits
from .panel import MANAGER, Panel, Person, until
from .people import (
    confirm_field,
    current_field,
    enter,
    in_sections,
    is_refused,
    is_signed_out,
    letter_link,
    new_field,
    press,
    says,
    sign_in,
)

BOSS = Person(MANAGER)
ADMINISTRATOR = Person("administrator@example.org")
SET, CHOSEN = "Quiet-Harbour-71", "Windy-Orchard-82"


@pytest.fixture
def boss(any_page: Page) -> Page:
    return sign_in(any_page, BOSS, "/services/")


@pytest.fixture
def other(new_context, any_page: Page) -> Page:
    """The user's browser."""
    return new_context(java_script_enabled=any_page.has_script).new_page()


def find(page: Page, login: str) -> None:
    """Search for somebody in the list, with the button where there is no script."""
    page.get_by_label("Search by name or address").fill(login)
    if not getattr(page, "has_script", True):
        press(page, "Search")
    expect(page.get_by_role("row")).to_have_count(2)


def to_users(page: Page, service: str = "Mail Light") -> None:
    page.get_by_role("link", name="Active orders").first.click()
    page.get_by_role("link", name=service, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Manage users")


def choose(page: Page, login: str, action: str) -> None:
    find(page, login)
    page.get_by_role("button", name=f"Actions for {login}").click()
    page.get_by_role("link", name=action, exact=True).click()


def test_the_guides_way_to_a_new_password(boss: Page, other: Page, person: Person):
    sign_in(other, person)
    boss.get_by_role("link", name="Info about Mail Light").click()
    expect(boss.get_by_text("General information")).to_be_visible()
    boss.get_by_role("link", name="Manage users").click()
    find(boss, person.login)
    boss.get_by_role("link", name=person.login, exact=True).click()
    expect(new_field(boss)).to_be_hidden()
    boss.get_by_label("First name").fill("Viola")
    boss.get_by_label("Quota", exact=True).fill("2")
    boss.get_by_label("Change password").check()
    new_field(boss).fill(SET)
    press(boss, "Save")
    says(boss)
    find(boss, "viola lind")
    expect(boss.get_by_role("row").filter(has_text=person.login)).to_contain_text("2 GB")
    assert is_signed_out(other)
    assert is_refused(other, person.login, person.password)
    enter(other, person.login, SET)
    expect(other.get_by_text("Choose a password of your own first.")).to_have_count(0)
    other.goto("/devices/")
    expect(other.get_by_role("heading", level=1)).to_have_text("Password")
    current_field(other).fill(SET)
    new_field(other).fill(CHOSEN)
    confirm_field(other).fill(CHOSEN)
    press(other, "Change")
    says(other)
    other.goto("/devices/")
    expect(other.get_by_role("heading", level=1)).to_have_text("Devices")
    # Found by a name that no other run of the test has.
    boss.goto("/services/")
    to_users(boss)
    choose(boss, person.login, "Edit")
    boss.get_by_label("First name").fill("Vera")
    press(boss, "Save")
    says(boss)


def test_the_life_of_an_invited_user(boss: Page, other: Page, person: Person):
    login = person.login.replace("vera", "nina" if boss.has_script else "nora")
    to_users(boss)
    boss.get_by_role("link", name="Add a user").click()
    boss.get_by_label("E-mail address").fill(login)
    boss.get_by_label("First name").fill("Nina")
    boss.get_by_label("Quota", exact=True).fill("1")
    press(boss, "Add the user")
    expect(boss.locator("#contact_email-error")).to_be_visible()
    assert boss.get_by_label("First name").input_value() == "Nina"
    boss.get_by_label("Contact e-mail").fill("nina@contact.example.com")
    press(boss, "Add the user")
    says(boss)
    other.goto(until(lambda: letter_link(other, login, "/links/password/")))
    new_field(other).fill(CHOSEN)
    confirm_field(other).fill(CHOSEN)
    press(other, "Set password")
    enter(other, login, CHOSEN)
    expect(in_sections(other, "Devices")).to_be_visible()

    choose(boss, login, "Suspend")
    press(boss, f"Suspend {login}")
    says(boss)
    assert is_signed_out(other)
    assert is_refused(other, login, CHOSEN)
    choose(boss, login, "Resume")
    press(boss, f"Resume {login}")
    says(boss)
    other.goto("/sign-in")
    enter(other, login, CHOSEN)
    expect(in_sections(other, "Devices")).to_be_visible()

    choose(boss, login, "Remove")
    press(boss, f"Remove {login}")
    expect(boss.get_by_text(f"Type {login} to confirm.").first).to_be_visible()
    boss.get_by_label("Mailbox address").fill(login)
    press(boss, f"Remove {login}")
    says(boss)
    assert is_signed_out(other)
    assert is_refused(other, login, CHOSEN)


def test_users_are_found_as_a_name_is_typed(page: Page):
    sign_in(page, BOSS, "/services/")
    to_users(page, "Mail Pro")
    page.get_by_label("Search by name or address").press_sequentially("özde")
    rows = page.get_by_role("rowheader")
    expect(page.get_by_role("row").filter(has_text="Keller")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text=re.compile("Özdemir"))).not_to_have_count(0)
    page.get_by_label("State").select_option("Suspended")
    expect(page.get_by_text(re.compile(r"^\d+ users?$|No user matches"))).not_to_have_count(0)
    page.get_by_label("State").select_option("All")
    page.get_by_label("Search by name or address").fill("nobody-has-this")
    expect(page.get_by_text("No user matches “nobody-has-this”.")).to_be_visible()
    page.get_by_label("Search by name or address").fill("")
    page.get_by_label("Domain").select_option("example.net")
    expect(page.get_by_role("rowheader").filter(has_text="example.com")).to_have_count(0)
    expect(rows.first).to_contain_text("example.net")
    first = rows.first.inner_text()
    page.get_by_role("link", name="Next").click()
    expect(rows.first).not_to_have_text(first)
    page.get_by_role("link", name="Previous").click()
    expect(rows.first).to_have_text(first)


def test_a_password_is_suggested_and_checked_as_it_is_typed(page: Page, person: Person):
    sign_in(page, BOSS, "/services/")
    to_users(page)
    choose(page, person.login, "Edit")
    page.get_by_label("Change password").check()
    new_field(page).press_sequentially("Winter7")
    expect(page.locator(".strength")).to_be_visible()
    press(page, "Suggest a strong password")
    assert len(new_field(page).input_value()) == 20
    expect(page.locator(".checklist .met")).to_have_count(7)
    page.get_by_label("Kind of suggestion").select_option("Passphrase")
    press(page, "Suggest a strong password")
    expect(new_field(page)).to_have_value(re.compile("-.*-"))


def test_a_refused_password_stays_and_what_it_is_compared_with_is_what_was_typed(boss: Page, person: Person):
    to_users(boss)
    boss.get_by_role("link", name="Add a user").click()
    boss.get_by_label("E-mail address").fill(person.login.replace("vera", "rosa"))
    boss.get_by_label("Set it here").check()
    new_field(boss).fill("Rosa-Bridge-77-xq")
    if boss.has_script:
        named = boss.locator(".checklist li").filter(has_text="without name or address")
        expect(named).to_contain_text("not yet met")
        boss.get_by_label("Phone").fill("12")
    press(boss, "Add the user")
    expect(boss.locator("#new_password-error")).to_contain_text("“rosa”")
    expect(new_field(boss)).to_have_value("Rosa-Bridge-77-xq" if boss.has_script else "")
    boss.get_by_label("Phone").fill("")
    new_field(boss).fill(SET)
    press(boss, "Add the user")
    says(boss)


def test_the_second_of_two_managers_is_told(page: Page, new_context, person: Person):
    second = new_context().new_page()
    for browser, who in ((page, BOSS), (second, ADMINISTRATOR)):
        sign_in(browser, who, "/services/")
        to_users(browser)
        choose(browser, person.login, "Edit")
    page.get_by_label("Last name").fill("First")
    press(page, "Save")
    says(page)
    second.get_by_label("Last name").fill("Second")
    press(second, "Save")
    expect(second.locator("#revision-error")).to_be_visible()
    assert second.get_by_label("Last name").input_value() == "Second"
    second.get_by_role("link", name="Show the saved values").click()
    expect(second.get_by_label("Last name")).to_have_value("First")


def test_the_pages(new_context, mail_server, person: Person):
    page = new_context(reduced_motion="reduce").new_page()
    mail_server.connect(person.login)
    sign_in(page, BOSS, "/services/")
    examine(page)
    page.goto("/services/1")
    examine(page)
    to_users(page)
    examine(page)
    find(page, person.login)
    examine(page)
    number = page.get_by_role("row").nth(1).get_attribute("id").rpartition("-")[2]
    for address in (
        "new",
        number,
        f"{number}/link",
        f"{number}/suspension",
        f"{number}/resumption",
        f"{number}/removal",
    ):
        page.goto(f"/services/1/mailboxes/{address}")
        examine(page)
    page.goto(f"/services/1/mailboxes/{number}")
    page.get_by_label("Change password").check()
    page.get_by_label("Quota", exact=True).fill("-1")
    press(page, "Save")
    expect(page.locator("#quota-error")).to_be_visible()
    examine(page)
    to_users(page)
    choose(page, person.login, "Remove")
    page.locator("dialog[open]").wait_for()
    examine(page)


@pytest.mark.parametrize("language", FEW_LANGUAGES)
def test_the_pages_fit_in_long_languages(page: Page, panel: Panel, language: str):
    sign_in(page, BOSS, "/services/")
    with panel.speaking_to(BOSS, language):
        for address in ("", "1", "1/mailboxes/", "1/mailboxes/new", "1/imports/new", "1/password-change"):
            page.goto(f"/services/{address}")
            assert page.locator("html").get_attribute("lang") == language
            fits(page)


def test_another_address_and_the_person_signs_in_by_it(boss: Page, other: Page, person: Person):
    sign_in(other, person)
    to_users(boss)
    choose(boss, person.login, "Edit")
    boss.get_by_role("link", name="Change the address").click()
    expect(boss.get_by_text(f"Change the address of {person.login}")).to_be_visible()
    if boss.has_script:
        examine(boss)
        fits(boss)
    expect(boss.get_by_label("Number of days")).to_be_hidden()
    renamed = person.login.replace("@", ".rossi@")
    boss.get_by_label("New address").fill(person.login)
    press(boss, "Change the address")
    expect(boss.get_by_text("The mailbox already has this address.")).to_be_visible()
    boss.get_by_label("New address").fill(renamed)
    boss.get_by_label("Still arrives for some days").check()
    boss.get_by_label("Number of days").fill("30")
    press(boss, "Change the address")
    says(boss)
    assert is_signed_out(other)
    assert is_refused(other, person.login, person.password)
    enter(other, renamed, person.password)
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    find(boss, renamed)
    boss.get_by_role("link", name=renamed, exact=True).click()
    boss.get_by_role("link", name=f"Refuse mail to {person.login}").click()
    press(boss, f"Refuse mail to {person.login}")
    says(boss)


def test_a_search_and_the_place_in_it_survive_an_edit(page: Page, person: Person):
    sign_in(page, BOSS, "/services/")
    to_users(page)
    find(page, person.login)
    row = page.get_by_role("row").filter(has_text=person.login)
    row.get_by_role("link", name=person.login, exact=True).click()
    page.get_by_label("First name").fill("Viola")
    press(page, "Save")
    says(page)
    expect(page.get_by_label("Search by name or address")).to_have_value(person.login)
    expect(page.get_by_role("row")).to_have_count(2)
    actions = row.get_by_role("button", name=f"Actions for {person.login}")
    expect(actions).to_be_focused()
    page.keyboard.press("Enter")
    row.get_by_role("link", name="Suspend", exact=True).click()
    press(page, f"Suspend {person.login}")
    says(page)
    expect(actions).to_be_focused()
    # What was typed without an action comes back as well.
    page.get_by_label("Search by name or address").fill("vera")
    page.wait_for_url("**text=vera&**")
    page.get_by_role("link", name="Active orders").first.click()
    page.go_back()
    expect(page.get_by_label("Search by name or address")).to_have_value("vera")


def test_five_are_ticked_and_suspended(any_page: Page, panel: Panel):
    boss = sign_in(any_page, BOSS, "/services/")
    to_users(boss)
    name = "tilda" if boss.has_script else "tosca"
    logins = [f"{name}.{number}@example.org" for number in range(5)]
    panel.run(sys.executable, "-m", "lab.make_people", typed="\n".join([*logins, f"{name}.more@example.org"]))
    boss.goto(f"{boss.url.partition('?')[0]}?text={name}")
    for login in logins:
        boss.get_by_role("checkbox", name=login).check()
    # Axe waits by timers, which a page without scripts does not have.
    if boss.has_script:
        boss.emulate_media(reduced_motion="reduce")
        examine(boss, at_the_end=True)
    boss.get_by_role("button", name="Actions for the selected users").click()
    press(boss, "Suspend")
    expect(boss.get_by_role("heading", level=1)).to_have_text("Suspend 5 users?")
    if boss.has_script:
        examine(boss)
    press(boss, "Suspend 5 users")
    says(boss)
    for login in logins:
        expect(boss.get_by_role("row").filter(has_text=login)).to_contain_text("Suspended")
    expect(boss.get_by_role("row").filter(has_text=f"{name}.more")).to_contain_text("Active")
