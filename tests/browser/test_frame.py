"""The panel inside another page: a webmail shows whom it handed over, and nobody anything else."""

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from .panel import MANAGER, PASSWORD, Person, until
from .people import enter, press, sign_in
from .webmail import Webmail

MANAGERS_PAGE = "/services/1/mailboxes/1/access/offboarding"


pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture
def show_in(page, panel):
    """`show_in(webmail, path)` opens the webmail's page that frames a page of the panel, and returns the frame."""

    def show(webmail: Webmail, path: str = "/") -> FrameLocator:
        page.goto(f"{webmail.origin}/frame/{panel.url}{path}")
        return page.frame_locator("iframe")

    return show


def is_refused(page: Page) -> bool:
    """Whether the browser shows nothing of the panel in the frame."""
    return until(lambda: page.frames[1].url).startswith("chrome-error:")


def test_a_frame_without_a_hand_off_says_why_nobody_is_signed_in(show_in, webmail, page, panel, person):
    frame = show_in(webmail, "/account/password")
    expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(frame.get_by_role("button")).to_have_count(0)
    with page.expect_popup() as opened:
        frame.get_by_role("link", name="Open in a new tab").click()
    enter(opened.value, person.login, person.password)
    expect(opened.value.get_by_role("heading", name="Password", level=1)).to_be_visible()
    assert panel.sessions(person) == 1


def test_whoever_signed_in_by_password_is_shown_in_no_frame(show_in, webmail, page, person):
    """The browser brings the session along: webmail and panel are one site."""
    sign_in(page, person)
    for path in ("/account/password", "/account/sessions", "/nothing"):
        show_in(webmail, path)
        assert is_refused(page)


def test_a_manager_is_shown_in_no_frame(show_in, webmail, page):
    sign_in(page, Person(MANAGER, PASSWORD), MANAGERS_PAGE)
    expect(page.locator("main form")).to_be_visible()
    frame = show_in(webmail, MANAGERS_PAGE)
    assert is_refused(page)
    expect(frame.locator("main")).to_have_count(0)


def test_whoever_signs_in_by_password_leaves_the_frame_until_the_next_hand_off(page, webmail, person):
    page.goto(webmail.origin + webmail.settings(person.login, "/account/preferences"))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("button", name="Save")).to_be_visible()
    tab = page.context.new_page()
    tab.goto("/account/preferences")
    press(tab, "Account")
    press(tab, "Sign out")
    enter(tab, person.login, person.password)
    expect(tab.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.goto(f"{webmail.origin}/frame/{page.frames[1].url}")
    assert is_refused(page)
    page.goto(webmail.origin + webmail.settings(person.login, "/account/preferences"))
    expect(frame.get_by_role("button", name="Save")).to_be_visible()


def test_where_somebody_else_is_signed_in_the_frame_shows_no_question(page, webmail, panel, person):
    other = panel.person()
    sign_in(page, other)
    page.goto(webmail.origin + webmail.settings(person.login))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="This page needs its own tab")).to_be_visible()
    expect(frame.get_by_role("button")).to_have_count(0)
    assert (panel.sessions(other), panel.sessions(person)) == (1, 0)


def test_no_frame_shows_a_visitors_forms(show_in, webmail, page, panel):
    for path in ("/forgotten-password", "/links/password/x", "/outbox", "/healthz", "/static/favicon.svg"):
        show_in(webmail, path)
        assert is_refused(page), path


def test_any_other_origin_is_refused(show_in, page):
    with Webmail() as stranger, page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        frame = show_in(stranger)
    assert is_refused(page)
    expect(frame.get_by_label("E-mail address")).to_have_count(0)


def test_only_the_webmail_itself_shows_whom_it_handed_over(show_in, webmail, other_webmail, page, person):
    page.goto(webmail.origin + webmail.settings(person.login, "/account/preferences"))
    expect(page.frame_locator("iframe").get_by_role("button", name="Save")).to_be_visible()
    show_in(other_webmail, "/account/preferences")
    assert is_refused(page)
    expect(show_in(webmail, "/account/preferences").get_by_role("button", name="Save")).to_be_visible()
