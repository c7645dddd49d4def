"""The ways in and out, with JavaScript and without."""

import re

from playwright.sync_api import expect

from .people import enter, sign_in


def test_wrong_then_right_lands_on_the_page_asked_for(any_page, person):
    any_page.goto("/account/activity")
    enter(any_page, person.login, "Wrong-Secret-0")
    password = any_page.get_by_label("Password", exact=True)
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(password).to_have_value("")
    expect(any_page.get_by_label("E-mail address")).to_have_value(person.login)
    if any_page.has_script:
        expect(password).to_be_focused()
    enter(any_page, person.login, person.password)
    any_page.wait_for_url("**/account/activity")
    expect(any_page.get_by_role("heading", level=1)).to_have_text("Activity")


def test_after_signing_out_the_back_button_shows_nothing_private(any_page, person):
    sign_in(any_page, person, "/account/activity")
    any_page.get_by_role("button", name="Account", exact=True).click()
    any_page.get_by_role("button", name="Sign out", exact=True).click()
    any_page.wait_for_url("**/sign-in")
    any_page.go_back()
    any_page.wait_for_url(re.compile("/sign-in"))
    expect(any_page.locator("body")).not_to_contain_text(person.login)


def test_whoever_is_signed_in_is_not_asked_again(any_page, person):
    sign_in(any_page, person)
    any_page.goto("/sign-in?next=/account/sessions")
    assert any_page.url.endswith("/account/sessions")


def test_each_browser_signs_in_for_itself(any_page, new_context, person):
    sign_in(any_page, person)
    other = new_context().new_page()
    other.goto("/account/password")
    assert "/sign-in" in other.url
