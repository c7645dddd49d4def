"""A user's page for managers, in the browser: a lost phone in four clicks, and every tab."""

import sys

import pytest
from playwright.sync_api import Page, expect

from tests.languages import FEW_LANGUAGES

from .accessibility import examine, fits
from .panel import MANAGER, Panel, Person
from .people import enter, press, says, sign_in
from .test_collaborations import invite as add_collaborator
from .test_devices import add

BOSS = Person(MANAGER)
COUNT_CLICKS = """
    addEventListener("click", event => {
        if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
    }, true);
"""


@pytest.fixture(scope="module")
def office(panel: Panel) -> tuple[Person, Person]:
    """The manager of an organisation with one service, and a user of it."""
    chief, user = Person("chief@office.example"), Person("vera@office.example")
    panel.flask("service", "add", "Office Mail", "--organisation", "Office Ltd")
    panel.flask("domain", "add", "office.example", "--service", "Office Mail")
    panel.flask("manager", "add", chief.login, "--organisation", "Office Ltd")
    panel.run(sys.executable, "-m", "lab.make_people", typed=user.login)
    theirs = "(SELECT password_hash FROM account WHERE login = ?)"
    panel._execute(f"UPDATE account SET password_hash = {theirs} WHERE login = ?", user.login, chief.login)
    return chief, user


@pytest.fixture
def user(new_context, panel: Panel, person: Person) -> str:
    """The page of somebody who has a device, an invitation and a collaborator."""
    page = new_context().new_page()
    sign_in(page, person, "/devices/")
    add(page, "Vera's phone")
    page.goto("/devices/invitations/new")
    page.get_by_label("E-mail address").fill("lia@elsewhere.example.com")
    page.get_by_label("Name", exact=True).fill("Lia's tablet")
    press(page, "Invite")
    add_collaborator(page, person)
    return f"/services/1/mailboxes/{panel._execute('SELECT id FROM mailbox WHERE address = ?', person.login)}"


def clicks(page: Page) -> int:
    return page.evaluate("Number(sessionStorage.clicks ?? 0)")


def disconnect_phone(page: Page, person: Person) -> None:
    """From the list of users on."""
    page.get_by_role("link", name=person.login, exact=True).click()
    page.locator(".tabs").get_by_role("link", name="Devices").click()
    page.get_by_role("link", name="Disconnect “Vera's phone”").click()
    page.get_by_role("button", name="Disconnect the device").click()
    says(page)


def test_a_lost_phone_takes_four_clicks_from_the_sign_in(any_page: Page, new_context, office, mail_server):
    chief, person = office
    add(sign_in(new_context().new_page(), person, "/devices/"), "Vera's phone")
    mail_server.connect(person.login)
    any_page.add_init_script(COUNT_CLICKS)
    any_page.goto("/")
    enter(any_page, chief.login, chief.password)
    expect(any_page.get_by_role("heading", level=1)).to_have_text("Manage users")
    signed_in = clicks(any_page) if any_page.has_script else 0
    disconnect_phone(any_page, person)
    assert not any_page.has_script or clicks(any_page) - signed_in == 4
    expect(any_page.get_by_text("Vera's phone", exact=True)).to_have_count(0)


def test_the_pages(new_context, panel: Panel, user: str, person: Person):
    page = new_context(reduced_motion="reduce").new_page()
    sign_in(page, BOSS, "/services/")
    for address in ("", "/devices/", "/devices/invitations/new", "/collaborators/", "/access", "/activity"):
        page.goto(f"{user}{address}")
        examine(page)
    page.goto(f"{user}/devices/")
    page.get_by_role("link", name="Disconnect “Vera's phone”").click()
    page.locator("dialog[open]").wait_for()
    examine(page)
    page.goto(f"{user}/collaborators/")
    page.get_by_role("link", name="Mario Rossi").click()
    page.get_by_role("heading", level=1, name="Mario Rossi").wait_for()
    examine(page)
    for language in FEW_LANGUAGES:
        with panel.speaking_to(BOSS, language):
            for address in ("/devices/", "/devices/invitations/new", "/collaborators/", "/activity"):
                page.goto(f"{user}{address}")
                assert page.locator("html").get_attribute("lang") == language
                fits(page)
