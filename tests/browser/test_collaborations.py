"""An owner and a collaborator, each in a browser of their own."""

import re

import pytest
from playwright.sync_api import Page, expect

from .accessibility import examine
from .panel import Person, until
from .people import (
    confirm_field,
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

FIRST, SECOND = "Quiet-Harbour-71", "Windy-Orchard-82"


@pytest.fixture
def owner(any_page: Page, person: Person) -> Page:
    return sign_in(any_page, person, "/collaborations/")


@pytest.fixture
def other(new_context, any_page: Page) -> Page:
    """The collaborator's browser."""
    return new_context(java_script_enabled=any_page.has_script).new_page()


def invite(page: Page, person: Person, user_name: str = "mario.rossi", permissions: tuple[str, ...] = ()) -> str:
    """Add a collaborator from the list on; the login."""
    page.goto("/collaborations/new")
    page.get_by_label("First name").fill("Mario")
    page.get_by_label("Last name").fill("Rossi")
    page.get_by_label("Reference e-mail").fill("mario@contact.example.com")
    page.get_by_label("User name").fill(user_name)
    press(page, "Continue")
    for permission in permissions:
        page.get_by_label(permission, exact=True).check()
        # What comes with it is written below, and moves the button while it is pressed.
        expect(page.locator(".htmx-request")).to_have_count(0)
    press(page, "Create account")
    says(page)
    return f"{user_name}/{person.login}"


def set_password(page: Page, login: str, password: str, known: str | None = None) -> str:
    """Follow the newest link in the e-mails to this login; its address."""
    link = until(lambda: (found := letter_link(page, login, "/links/password/")) != known and found)
    page.goto(link)
    new_field(page).fill(password)
    confirm_field(page).fill(password)
    press(page, "Set password")
    page.wait_for_url("**/sign-in")
    return link


def choose(page: Page, action: str, name: str = "Mario Rossi") -> None:
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("link", name=action, exact=True).click()


def state(page: Page, login: str) -> str:
    page.goto("/collaborations/")
    return page.get_by_role("row").filter(has_text=login).locator(".badge").inner_text()


def test_the_whole_life_of_a_collaborator(owner: Page, other: Page, person: Person):
    login = invite(owner, person, permissions=("Use in mail programs, by IMAP",))
    row = owner.get_by_role("row").filter(has_text=login)
    for granted in ("Read", "Write", "Send", "Use in mail programs, by IMAP"):
        expect(row.get_by_role("listitem").filter(has_text=re.compile(f"^{granted}$"))).to_have_count(1)
    assert state(owner, login) == "Pending"

    first_link = set_password(other, login, FIRST)
    assert state(owner, login) == "Active"
    enter(other, login, FIRST)
    in_sections(other, "My permissions").click()
    expect(other.get_by_role("heading", name=f"What you can do in {person.login}")).to_be_visible()
    expect(other.get_by_text("IMAP", exact=True)).to_be_visible()
    assert other.goto("/collaborations/").status == 404

    owner.goto("/collaborations/")
    choose(owner, "Reset password")
    expect(owner.get_by_text("mario@contact.example.com")).to_be_visible()
    press(owner, "Reset password")
    says(owner)
    assert state(owner, login) == "Suspended"
    assert is_signed_out(other)
    assert is_refused(other, login, FIRST)
    set_password(other, login, SECOND, known=first_link)
    assert state(owner, login) == "Active"

    choose(owner, "Disable")
    press(owner, "Disable Mario Rossi")
    says(owner)
    assert state(owner, login) == "Disabled"
    assert is_refused(other, login, SECOND)
    choose(owner, "Remove")
    press(owner, "Remove Mario Rossi")
    says(owner)
    assert owner.get_by_role("row").filter(has_text=login).count() == 0
    owner.goto("/account/activity")
    expect(owner.get_by_role("rowheader", name="A collaborator was removed")).to_be_visible()


def test_details_resend_and_other_permissions(owner: Page, other: Page, person: Person):
    login = invite(owner, person)
    first_link = until(lambda: letter_link(other, login, "/links/password/"))
    owner.goto("/collaborations/")
    owner.get_by_role("link", name="Mario Rossi").click()
    press(owner, "Resend the e-mail to set the password")
    says(owner)
    until(lambda: letter_link(other, login, "/links/password/") != first_link)
    assert other.goto(first_link).status == 410
    owner.get_by_role("link", name="Change permissions").click()
    owner.get_by_label("Manage settings").check()
    press(owner, "Save permissions")
    says(owner)
    set_password(other, login, FIRST, known=first_link)
    enter(other, login, FIRST)
    in_sections(other, "Collaborations").click()
    expect(other.get_by_role("row").filter(has_text=login)).to_be_visible()
    assert other.get_by_role("link", name="Reset password").count() == 0


def test_the_user_name_is_checked_as_it_is_typed(page: Page, person: Person):
    sign_in(page, person, "/collaborations/new")
    page.get_by_label("First name").fill("Борис")
    page.get_by_label("Last name").fill("Орлов")
    page.get_by_role("button", name="boris.orlov", exact=True).click()
    expect(page.get_by_text(f"boris.orlov/{person.login}")).to_be_visible()
    page.get_by_label("User name").fill("a b")
    expect(page.locator("#user_name-checks")).to_contain_text("Spaces, @ and / are not allowed")
    page.get_by_label("User name").fill("")
    page.get_by_label("Reference e-mail").fill(person.login)
    page.get_by_label("User name").fill("boris")
    press(page, "Continue")
    expect(page.locator("#reference_email-error")).to_be_visible()
    assert page.get_by_label("First name").input_value() == "Борис"


def test_the_first_proposal_stands_in_the_field_until_another_is_typed(page: Page, person: Person):
    sign_in(page, person, "/collaborations/new")
    page.get_by_label("First name").fill("Mario")
    expect(page.get_by_label("User name")).to_have_value("mario")
    page.get_by_label("Last name").fill("Rossi")
    expect(page.get_by_label("User name")).to_have_value("mario.rossi")
    page.get_by_label("User name").fill("mr")
    page.get_by_label("Last name").fill("Bianchi")
    expect(page.get_by_role("button", name="mario.bianchi")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("mr")


def test_back_brings_what_was_typed(any_page: Page, person: Person):
    """The page's own button does, and with JavaScript the browser's too."""
    sign_in(any_page, person, "/collaborations/new")
    typed = {
        "First name": "Lia",
        "Last name": "Verdi",
        "Reference e-mail": "lia@contact.example.com",
        "User name": "lia",
    }
    for label, text in typed.items():
        any_page.get_by_label(label).fill(text)
    press(any_page, "Continue")
    if any_page.has_script:
        any_page.go_back()
        expect(any_page.get_by_text("Step 1 of 2")).to_be_visible()
        expect(any_page.locator("#user_name-checks")).to_contain_text(f"lia/{person.login}")
        assert {label: any_page.get_by_label(label).input_value() for label in typed} == typed
        press(any_page, "Continue")
    press(any_page, "Back")
    assert {label: any_page.get_by_label(label).input_value() for label in typed} == typed
    press(any_page, "Continue")
    press(any_page, "Create account")
    says(any_page)


def test_the_page_shows_what_a_choice_implies(page: Page, person: Person):
    sign_in(page, person, "/collaborations/new")
    invite_form = page.get_by_label
    for label, text in (("First name", "Lia"), ("Last name", "Verdi"), ("Reference e-mail", "lia@contact.example.com")):
        invite_form(label).fill(text)
    page.get_by_label("User name").fill("lia")
    press(page, "Continue")
    page.get_by_label("Use in mail programs, by POP3").check()
    for implied in ("Write", "Send"):
        expect(page.get_by_label(implied, exact=True)).to_be_checked()
        expect(page.get_by_label(implied, exact=True)).to_be_disabled()
    page.get_by_label("Use in mail programs, by POP3").uncheck()
    expect(page.get_by_label("Send", exact=True)).not_to_be_checked()
    expect(page.get_by_label("Write", exact=True)).to_be_enabled()


def test_the_pages(new_context, person: Person):
    page = new_context(reduced_motion="reduce").new_page()
    sign_in(page, person, "/collaborations/")
    examine(page)
    page.goto("/collaborations/new")
    press(page, "Continue")
    examine(page)
    login = invite(page, person)
    examine(page)
    number = page.get_by_role("row").filter(has_text=login).get_attribute("id").rpartition("-")[2]
    for address in ("", "/permissions", "/disabling", "/removal"):
        page.goto(f"/collaborations/{number}{address}")
        examine(page)
    page.goto("/collaborations/")
    choose(page, "Disable")
    page.locator("dialog[open]").wait_for()
    examine(page)


def test_the_collaborators_own_pages(new_context, person: Person):
    owner, page = new_context().new_page(), new_context(reduced_motion="reduce").new_page()
    sign_in(owner, person, "/collaborations/")
    login = invite(owner, person, permissions=("Use in mail programs, by IMAP", "Manage settings"))
    set_password(page, login, FIRST)
    enter(page, login, FIRST)
    for address in ("/account/permissions", "/devices/", "/collaborations/", "/account/activity"):
        page.goto(address)
        examine(page)
