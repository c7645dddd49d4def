"""My account → Sessions, with JavaScript and without."""

import re

import pytest
from playwright.sync_api import expect

from .people import is_signed_out, once_more, press, says, sign_in

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


@pytest.fixture
def phone(new_context, person):
    """The person's phone, signed in."""
    return sign_in(new_context(user_agent=PHONE).new_page(), person)


def row(page, text):
    return page.get_by_role("row").filter(has_text=text)


def test_one_browser_is_ended(any_page, phone, person):
    sign_in(any_page, person, "/account/sessions")
    expect(row(any_page, "This browser")).to_have_count(1)
    row(any_page, "Safari, iPhone").get_by_role("button", name="End").click()
    expect(row(any_page, "Safari, iPhone")).to_have_count(0)
    assert is_signed_out(phone)
    assert not is_signed_out(any_page)


def test_this_browser_is_ended(any_page, phone, person):
    sign_in(any_page, person, "/account/sessions")
    row(any_page, "This browser").get_by_role("button", name="Sign out").click()
    any_page.wait_for_url("**/sign-in")
    assert not is_signed_out(phone)


def test_the_mail_programs_of_one_address_are_ended(any_page, person, mail_server):
    mail_server.connect(person.login, "imap", "192.0.2.17")
    mail_server.connect(person.login, "pop3", "198.51.100.4")
    sign_in(any_page, person, "/account/sessions")
    row(any_page, "192.0.2.17").get_by_role("button", name="End").click()
    expect(row(any_page, "192.0.2.17")).to_have_count(0)
    expect(row(any_page, "198.51.100.4")).to_have_count(1)


def test_all_others_are_ended_after_the_password_was_asked_for(any_page, phone, panel, person, mail_server):
    mail_server.connect(person.login)
    sign_in(any_page, person, "/account/sessions")
    panel.password_was_given_long_ago(person)
    any_page.get_by_role("link", name="End all others").click()
    once_more(any_page).fill(person.password)
    press(any_page, "End all others")
    any_page.wait_for_url(re.compile("/account/sessions(#.*)?$"))
    says(any_page)
    assert panel.sessions(person) == 1
    assert mail_server.logins() == []
    assert is_signed_out(phone)
    assert not is_signed_out(any_page)


def test_all_others_are_ended_at_once_when_the_password_is_fresh(any_page, phone, panel, person):
    sign_in(any_page, person, "/account/sessions")
    any_page.get_by_role("link", name="End all others").click()
    question = any_page.get_by_role("dialog") if any_page.has_script else any_page.get_by_role("main")
    expect(question).to_contain_text("Safari, iPhone")
    press(any_page, "End all others")
    says(any_page)
    assert panel.sessions(person) == 1
    assert is_signed_out(phone)


def test_a_mail_server_that_does_not_answer_is_said(any_page, person, mail_server):
    mail_server.is_down = True
    sign_in(any_page, person, "/account/sessions")
    expect(any_page.get_by_text("The mail server does not answer")).to_be_visible()
