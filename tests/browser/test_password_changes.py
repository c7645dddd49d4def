"""A manager changes the passwords of several mailboxes at once; the e-mail and the text message are the demo's."""

import csv
import io
import re
import sqlite3
from contextlib import closing

import pytest
import pyzipper
from playwright.sync_api import Page, expect

from .accessibility import PHONE, examine
from .panel import MANAGER, PASSWORD, Panel, Person, until
from .people import enter, is_refused, press, sign_in

NUMBER, RECIPIENT = "+39 333 123 4567", "mara@contact.example.com"


@pytest.fixture
def manager() -> Person:
    return Person(MANAGER, PASSWORD)


@pytest.fixture
def persons(panel: Panel) -> list[Person]:
    return [panel.person(), panel.person()]


@pytest.fixture
def form(panel: Panel) -> str:
    """The address of the form for example.org."""
    with closing(sqlite3.connect(panel.database, timeout=10)) as database:
        query = "SELECT service_id, id FROM domain WHERE name = 'example.org'"
        service, domain = database.execute(query).fetchone()
    return f"/services/{service}/password-change?domain={domain}"


def arrive(page: Page, manager: Person, address: str) -> None:
    """Sign in, and give the password again if it was given too long ago."""
    page.goto(address)
    enter(page, manager.login, manager.password)
    page.wait_for_url(f"**{address}")


def choose(page: Page, person: Person, has_script: bool = True) -> None:
    """Find a mailbox in the drop-down, and tick it."""
    search = page.get_by_label("Search", exact=True)
    if not search.is_visible():
        page.locator(".picker > summary").click()
    search.fill(person.login.partition("@")[0])
    if not has_script:
        press(page, "Search")
    page.get_by_label(person.login).check()


def fill_in(page: Page) -> None:
    page.get_by_label("Phone").fill(NUMBER)
    page.get_by_label("Full name").fill("Mara Lind")
    page.get_by_label("E-mail for the credentials").fill(RECIPIENT)
    page.get_by_label("ZIP archive").check()


def confirm(page: Page, words: str) -> str:
    """Give the manager's password on the preview; the address of the page that follows."""
    page.get_by_label("Your password").fill(PASSWORD)
    press(page, words)
    expect(page.get_by_role("heading", level=1)).to_have_text("New passwords")
    return page.url


def opened_archive(page: Page, count: int) -> dict[str, str]:
    """The newest e-mail's archive, opened with the key of the text message: password by address."""
    page.goto("/outbox")
    letter = page.locator("article").filter(has_text=f"archive for {count} mailbox").first
    address = letter.get_by_role("link", name="credentials.zip").get_attribute("href")
    message = page.locator("article").filter(has_text="Archive for example.org").first.inner_text()
    key = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){4}", message)[0]
    with pyzipper.AESZipFile(io.BytesIO(page.request.get(address).body())) as archive:
        archive.setpassword(key.encode())
        table = archive.read("list.csv").decode("utf-8-sig")
    return dict(list(csv.reader(io.StringIO(table)))[1:])


def is_done(page: Page, address: str) -> bool:
    """Whether the page says so once it is reloaded."""
    page.goto(address)
    return page.get_by_text("Done", exact=True).count() > 0


def test_the_whole_way(any_page, panel, manager, persons, form):
    page = any_page
    arrive(page, manager, form)
    for person in persons:
        choose(page, person, page.has_script)
    fill_in(page)
    if page.has_script:
        expect(page.locator(".picker > summary")).to_have_text("2 mailboxes are selected")
    press(page, "Change")
    expect(page.get_by_role("heading", level=1)).to_have_text("Change the passwords of 2 mailboxes?")
    for words in (NUMBER, RECIPIENT, *(person.login for person in persons)):
        expect(page.get_by_role("main")).to_contain_text(words)
    address = confirm(page, "Change 2 passwords")
    page.goto("/account/password")
    until(lambda: is_done(page, address), 30)
    expect(page.get_by_role("main")).to_contain_text("2 of 2 mailboxes done")
    credentials = opened_archive(page, 2)
    assert set(credentials) == {person.login for person in persons}
    for person in persons:
        other = page.context.browser.new_context(base_url=panel.url).new_page()
        assert is_refused(other, person.login, person.password)
        sign_in(other, Person(person.login, credentials[person.login]))
        other.context.close()


def test_the_page_moves_by_itself_and_keeps_the_focus(page, panel, manager, persons, form):
    arrive(page, manager, form)
    choose(page, persons[0])
    fill_in(page)
    press(page, "Change")
    confirm(page, "Change 1 password")
    if page.locator("#cancel").count():
        page.locator("#cancel").focus()
    expect(page.locator("#state")).to_contain_text("Done", timeout=30_000)
    expect(page.locator("#results")).to_contain_text("New password")
    expect(page.locator("#cancel")).to_have_count(0)


def test_the_drop_down(page, manager, persons, form):
    arrive(page, manager, form)
    summary = page.locator(".picker > summary")
    expect(summary).to_have_text("Choose mailboxes")
    choose(page, persons[0])
    expect(summary).to_have_text("1 mailbox is selected")
    choose(page, persons[1])
    expect(summary).to_have_text("2 mailboxes are selected")
    page.get_by_label("Search", exact=True).fill("nobody at all")
    expect(page.locator("#choice")).to_contain_text("No other mailboxes found")
    expect(page.get_by_label(persons[0].login)).to_be_checked()
    page.get_by_label(persons[0].login).uncheck()
    expect(summary).to_have_text("1 mailbox is selected")
    page.locator("#everyone").check()
    expect(summary).to_contain_text("All ")
    page.locator("#everyone").uncheck()
    expect(summary).to_have_text("1 mailbox is selected")


def test_enter_in_a_field_means_change_and_not_the_search(page, manager, persons, form):
    arrive(page, manager, form)
    choose(page, persons[0])
    fill_in(page)
    page.get_by_label("Phone").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Change the password of 1 mailbox?")


def test_everybody_can_use_it(new_context, manager, persons, form):
    page = new_context(reduced_motion="reduce").new_page()
    arrive(page, manager, form)
    choose(page, persons[0])
    fill_in(page)
    page.get_by_label("Phone").fill("CALL-ME-NOW")
    press(page, "Change")
    expect(page.locator(".error").first).to_be_visible()
    examine(page)
    fill_in(page)
    press(page, "Change")
    examine(page)
    page.set_viewport_size(dict(zip(("width", "height"), PHONE, strict=True)))
    address = confirm(page, "Change 1 password")
    until(lambda: is_done(page, address), 30)
    examine(page)
    page.goto(address.rpartition("/")[0] + "/")
    examine(page)
