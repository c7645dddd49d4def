"""Activity and preferences, with JavaScript and without."""

import pytest
from playwright.sync_api import expect

from tests.languages import FEW_LANGUAGES

from .people import fill_in, in_sections, press, says, sign_in


def test_activity_tells_what_happened_the_newest_first(any_page, person):
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password)
    press(any_page, "Change")
    says(any_page)
    in_sections(any_page, "Activity").click()
    events = any_page.locator("tr[id^=event-] th")
    expect(events.first).to_contain_text("The password was changed")
    expect(events.nth(1)).to_contain_text("Signed in")


def test_a_language_can_be_chosen_and_is_kept(any_page, person):
    sign_in(any_page, person, "/account/preferences")
    for code, name in FEW_LANGUAGES.items():
        any_page.locator("#language").select_option(name)
        any_page.locator("form:has(#language) button[type=submit]").click()
        says(any_page)
        expect(any_page.locator("html")).to_have_attribute("lang", code)
        expect(any_page.locator("#language")).to_have_value(code)


def test_a_time_zone_is_kept(any_page, person):
    sign_in(any_page, person, "/account/preferences")
    any_page.get_by_label("Time zone").select_option("Europe/Istanbul")
    press(any_page, "Save")
    says(any_page)
    expect(any_page.get_by_label("Time zone")).to_have_value("Europe/Istanbul")


@pytest.mark.parametrize("asked, code", [("it-IT", "it"), ("tr-TR", "tr"), ("fi-FI", "en")])
def test_visitors_are_spoken_to_as_their_browser_asks(new_context, asked, code):
    page = new_context(locale=asked).new_page()
    page.goto("/sign-in")
    expect(page.locator("html")).to_have_attribute("lang", code)


def test_the_browsers_time_zone_is_proposed_and_saved_with_the_form_alone(new_context, person):
    page = new_context(timezone_id="Asia/Kolkata").new_page()
    sign_in(page, person, "/account/preferences")
    press(page, "Choose it")
    expect(page.get_by_role("button", name="Choose it")).to_be_hidden()
    page.reload()
    expect(page.get_by_label("Time zone")).to_have_value("")
    press(page, "Choose it")
    press(page, "Save")
    says(page)
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Kolkata")
    expect(page.get_by_role("button", name="Choose it")).to_be_hidden()


def test_the_overview_tells_who_is_connected_when_the_mail_server_has_answered(new_context, person, mail_server):
    mail_server.connect(person.login, "imap", "192.0.2.17")
    page = new_context().new_page()
    sign_in(page, person, "/overview/")
    told = page.locator("dd [role=status]")
    expect(told).to_contain_text("1 mail program")
    mail_server.is_down = True
    page.reload()
    expect(told).to_contain_text("The mail server does not answer")
