"""Somebody leaves, many come: a manager at work, with JavaScript and without."""

import pytest
from playwright.sync_api import Page, expect

from actions.trail.events import codes_of

from .accessibility import examine
from .panel import MANAGER, Panel, Person
from .people import is_refused, is_signed_out, press, says, sign_in
from .test_collaborations import invite

BOSS = Person(MANAGER)


@pytest.fixture
def boss(any_page: Page) -> Page:
    return sign_in(any_page, BOSS, "/services/")


@pytest.fixture
def leaving(new_context, person: Person) -> Page:
    """The browser of somebody who shares the mailbox and uses a device."""
    page = new_context().new_page()
    sign_in(page, person, "/devices/new")
    page.get_by_label("Name", exact=True).fill("Vera's phone")
    press(page, "Continue")
    invite(page, person)
    return page


def to_access(page: Page, person: Person) -> None:
    page.get_by_role("link", name="Mail Light", exact=True).click()
    page.goto(f"{page.url}?text={person.login}")
    page.get_by_role("button", name=f"Actions for {person.login}").click()
    page.get_by_role("link", name="Who can open it").click()


def test_somebody_leaves(boss: Page, leaving: Page, person: Person, mail_server):
    mail_server.connect(person.login)
    to_access(boss, person)
    for each in ("Vera's phone", f"mario.rossi/{person.login}", "192.0.2.17"):
        expect(boss.get_by_text(each).first).to_be_visible()
    boss.get_by_role("link", name="End all access").click()
    if boss.has_script:
        boss.locator("dialog[open]").wait_for()
    expect(boss.get_by_text(f"mario.rossi/{person.login}").last).to_be_visible()
    press(boss, f"End all access to {person.login}")
    says(boss)
    expect(boss.get_by_role("heading", level=1)).to_have_text(f"Access ended for {person.login}")
    expect(boss.get_by_text("Vera's phone")).to_be_visible()
    assert mail_server.logins() == []
    assert is_signed_out(leaving)
    assert is_refused(leaving, person.login, person.password)


def test_a_silent_mail_server_is_waited_for_on_the_report(page: Page, person: Person, mail_server):
    mail_server.connect(person.login)
    sign_in(page, BOSS, "/services/")
    to_access(page, person)
    mail_server.is_down = True
    page.get_by_role("link", name="End all access").click()
    press(page, f"End all access to {person.login}")
    expect(page.locator("#pending")).to_contain_text("does not answer")
    mail_server.is_down = False
    expect(page.locator("#pending")).to_contain_text("All connections have been closed", timeout=20_000)
    assert mail_server.logins() == []


def file_of(name: str, count: int, *more: str) -> dict:
    rows = ["address,first_name,last_name,contact_email", *(f"{name}.{n}@example.org,Nina,Nord," for n in range(count))]
    return {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": "\n".join([*rows, *more, ""]).encode()}


def bring(page: Page, file: dict) -> None:
    page.goto("/services/")
    page.get_by_role("link", name="Info about Mail Light").click()
    page.get_by_role("link", name="Import and export users").click()
    page.get_by_label("Spreadsheet or CSV file").set_input_files(file)
    press(page, "Check the file")


def test_many_come(boss: Page, request):
    """More than are added while somebody waits: the page tells how far it is, and the users are there at once."""
    name = f"crowd-{'script' if boss.has_script else 'plain'}"
    bring(boss, file_of(name, 3, "nobody@elsewhere.example,,,"))
    expect(boss.get_by_role("row").filter(has_text="nobody@elsewhere.example")).to_contain_text("does not belong")
    press(boss, "Discard")
    says(boss)
    count = 1001
    bring(boss, file_of(name, count))
    add = boss.get_by_role("link", name=f"Add {count} users")
    wait_for(boss, add)
    add.click()
    press(boss, f"Add {count} users")
    wait_for(boss, boss.get_by_text(f"{count} users were added,"))
    boss.goto(f"{boss.get_by_role('link', name='Manage users').get_attribute('href')}?text={name}.1000")
    expect(boss.get_by_role("row").filter(has_text=f"{name}.1000@example.org")).to_be_visible()


def wait_for(page: Page, shown) -> None:
    """Until it is on the page: with a script it comes by itself, without one somebody asks for it."""
    progress, patience = page.get_by_role("progressbar"), 90_000
    if page.has_script:
        expect(shown).to_be_visible(timeout=patience)
        return
    again = page.get_by_role("link", name="See the progress")
    for _ in range(600):
        if shown.count():
            break
        expect(progress).to_be_visible()
        again.click()
        page.wait_for_timeout(100)
    expect(shown).to_be_visible()


def test_a_file_that_is_too_large_is_not_sent(page: Page, tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    sign_in(page, BOSS, "/services/")
    page.get_by_role("link", name="Info about Mail Light").click()
    page.get_by_role("link", name="Import and export users").click()
    field = page.get_by_label("Spreadsheet or CSV file")
    field.set_input_files(huge)
    press(page, "Check the file")
    assert "The maximum is 16 MB" in field.evaluate("field => field.validationMessage")
    assert page.url.endswith("/imports/new")


def test_the_pages(new_context, leaving: Page, person: Person):
    page = new_context(reduced_motion="reduce").new_page()
    sign_in(page, BOSS, "/services/")
    to_access(page, person)
    examine(page)
    access = page.url
    page.goto(f"{access}/offboarding")
    examine(page)
    page.goto(access)
    page.get_by_role("link", name="End all access").click()
    page.locator("dialog[open]").wait_for()
    examine(page)
    press(page, f"End all access to {person.login}")
    page.wait_for_url("**/offboarding/*")
    examine(page)
    bring(page, file_of("paper", 2, "nobody@elsewhere.example,,,"))
    examine(page)
    press(page, "Discard")
    bring(page, file_of("paper", 2))
    examine(page)
    page.get_by_role("link", name="Add 2 users").click()
    page.locator("dialog[open]").wait_for()
    examine(page)
    page.goto("/services/1/imports/new")
    examine(page)
    page.goto("/account/activity?action=web:access:ended")
    expect(page.get_by_label("Done by")).to_be_visible()
    examine(page)


def test_the_activity_is_filtered_and_taken_along(boss: Page, panel: Panel):
    boss.goto("/account/activity")
    boss.get_by_text("Filter", exact=True).click()
    boss.get_by_label("What", exact=True).select_option(label="Sign-ins")
    boss.get_by_label("Done by").fill(BOSS.login)
    press(boss, "Show")
    expect(boss.get_by_role("row").nth(2)).to_contain_text("Signed in")
    with boss.expect_download() as download:
        boss.get_by_role("link", name="Download as CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.splitlines()[0].startswith("When (UTC),What")
    kinds = {line.rpartition(",")[2] for line in text.splitlines()[1:]}
    assert "web:session:started" in kinds
    assert kinds <= set(codes_of("sign-ins"))
