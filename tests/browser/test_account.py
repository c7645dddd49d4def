"""Activity and preferences, with JavaScript and without."""

import pytest
from playwright.sync_api import expect

from .people import fill_in, press, says, sign_in

LANGUAGES = {"en": "English", "it": "Italiano", "ru": "Русский", "es": "Español", "tr": "Türkçe"}


def test_activity_tells_what_happened_the_newest_first(any_page, person):
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password)
    press(any_page, "Change")
    says(any_page)
    any_page.get_by_role("link", name="Activity").click()
    events = any_page.get_by_role("rowheader")
    expect(events.first).to_contain_text("The password was changed")
    expect(events.nth(1)).to_contain_text("Signed in")


def test_each_language_can_be_chosen_and_is_kept(any_page, person):
    sign_in(any_page, person, "/account/preferences")
    for code, name in LANGUAGES.items():
        any_page.locator("#language").select_option(name)
        any_page.locator("main button[type=submit]").click()
        says(any_page)
        expect(any_page.locator("html")).to_have_attribute("lang", code)
        expect(any_page.locator("#language")).to_have_value(code)


def test_a_time_zone_is_kept(any_page, person):
    sign_in(any_page, person, "/account/preferences")
    any_page.get_by_label("Time zone").select_option("Europe/Istanbul")
    press(any_page, "Save")
    says(any_page)
    expect(any_page.get_by_label("Time zone")).to_have_value("Europe/Istanbul")


@pytest.mark.parametrize("asked, code", [("it-IT", "it"), ("tr-TR", "tr"), ("pl-PL", "en")])
def test_visitors_are_spoken_to_as_their_browser_asks(new_context, asked, code):
    page = new_context(locale=asked).new_page()
    page.goto("/sign-in")
    expect(page.locator("html")).to_have_attribute("lang", code)
