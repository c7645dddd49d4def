"""The panel inside a webmail's page."""

import pytest
from playwright.sync_api import expect

from .people import enter, fill_in, press
from .webmail import Webmail


@pytest.fixture
def show_in(page, panel):
    """`show_in(webmail)` opens the webmail's page that frames the panel, and returns the frame."""

    def show(webmail: Webmail):
        page.goto(f"{webmail.origin}/frame/{panel.url}/")
        return page.frame_locator("iframe")

    return show


def test_a_listed_webmail_shows_the_panel(show_in, webmail, panel, person):
    frame = show_in(webmail)
    enter(frame, person.login, person.password)
    fill_in(frame, person.password, person.new_password)
    press(frame, "Change")
    expect(frame.locator("#flashes .success")).to_be_visible()
    assert panel.events(person, "web:password:changed") == 1


def test_the_dialog_opens_inside_the_frame(show_in, webmail, person):
    frame = show_in(webmail)
    enter(frame, person.login, person.password)
    frame.get_by_role("link", name="Sessions").click()
    frame.get_by_role("link", name="End all others").click()
    expect(frame.get_by_role("dialog")).to_be_visible()


def test_the_webmails_back_button_does_not_step_through_the_form(show_in, webmail, page, person):
    frame = show_in(webmail)
    enter(frame, person.login, person.password)
    expect(frame.get_by_role("heading", name="Password")).to_be_visible()
    steps = page.evaluate("history.length")
    fill_in(frame, "Wrong-Secret-0", person.new_password)
    press(frame, "Change")
    expect(frame.locator("#current_password-error")).to_be_visible()
    assert page.evaluate("history.length") == steps


def test_any_other_origin_is_refused(show_in, page):
    with Webmail() as stranger, page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        frame = show_in(stranger)
    assert page.frames[1].url.startswith("chrome-error:")
    expect(frame.get_by_label("E-mail address")).to_have_count(0)
