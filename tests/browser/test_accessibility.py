"""axe, and no sideways scrolling, on every page and in every state that a person can bring it to."""

import re

import pytest
from playwright.sync_api import expect

from .accessibility import examine
from .people import EVERYWHERE, enter, fill_in, letter_link, new_field, once_more, press, says, sign_in

FOR_EVERYBODY = {
    "sign_in.sign_in": "/sign-in",
    "sign_in.forgotten": "/forgotten-password",
    "demo.outbox": "/outbox",
}
FOR_ACCOUNTS = {
    "overview.show": "/overview/",
    "account.password": "/account/password",
    "account.list_sessions": "/account/sessions",
    "account.confirm_end_others": "/account/sessions/others",
    "account.confirm_contact_test": "/account/contact-test",
    "account.activity": "/account/activity",
    "account.show_preferences": "/account/preferences",
    "account.contact": "/account/contact",
    "sign_in.confirm": "/confirm-password",
    "sign_in.confirm_sign_out": "/sign-out",
}
# Each has a test of its own below.
BEHIND_LINKS = ("links.password", "links.not_me", "links.contact", "links.not_my_contact")
# Redirections, files, what programs read, and the dialog's content, which is looked at with its page.
# Devices, invitations, collaborations and hand-offs are looked at by tests of their own, which know how to get there.
NO_PAGES = (
    "home", "overview.connected", "static", "panel.", "discovery.", "account.everywhere", "account.show_permissions",
    "collaborations.", "devices.", "invitations.", "set_up.", "password_changes.", "demo.attachment", "services.",
    "several.",
    "user_devices.", "user_invitations.", "user_collaborations.", "user_activity.",
    "links.not_my_device", "handoff.", "offboarding.", "user_imports.", "account.export_activity",
)  # fmt: skip


@pytest.fixture
def page(new_context):
    return new_context(reduced_motion="reduce").new_page()


def test_every_page_is_looked_at(panel):
    endpoints = re.findall(r"^(\S+) +\S*GET\b", panel.flask("routes"), re.MULTILINE)
    pages = {endpoint for endpoint in endpoints if not endpoint.startswith(NO_PAGES)}
    assert pages == {*FOR_EVERYBODY, *FOR_ACCOUNTS, *BEHIND_LINKS}


@pytest.mark.parametrize("address", [*FOR_EVERYBODY.values(), "/nowhere", "/links/password/unknown"])
def test_pages_for_everybody(page, address):
    page.goto(address)
    examine(page)


@pytest.mark.parametrize("address", [*FOR_ACCOUNTS.values(), "/nowhere"])
def test_pages_for_accounts(page, person, mail_server, address):
    mail_server.connect(person.login, "imap", "192.0.2.17")
    mail_server.connect(person.login, "pop3", "2001:db8:85a3:1234:5678:8a2e:370:7334")
    sign_in(page, person)
    page.goto(address)
    examine(page)


def test_a_refused_sign_in(page, person):
    page.goto("/sign-in")
    enter(page, person.login, "Wrong-Secret-0")
    expect(page.locator(".error")).to_be_visible()
    examine(page)


def test_a_form_with_errors_then_typed_in(page, person):
    sign_in(page, person)
    fill_in(page, "Wrong-Secret-0", "Winter", "Summer")
    press(page, "Change")
    expect(page.locator(".error").first).to_be_visible()
    examine(page)
    new_field(page).press_sequentially("Winter7")
    expect(page.locator(".strength")).to_be_visible()
    examine(page)
    press(page, "Suggest a strong password")
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    examine(page)


def test_the_dialog_of_the_password_page(page, person):
    sign_in(page, person)
    fill_in(page, person.password, person.new_password)
    press(page, EVERYWHERE)
    expect(page.get_by_role("dialog")).to_be_visible()
    examine(page)


def test_the_dialog_of_the_sessions_page(page, person):
    sign_in(page, person, "/account/sessions")
    page.get_by_role("link", name="End all others").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    examine(page)


def test_messages(page, person, mail_server):
    sign_in(page, person)
    mail_server.is_down = True
    fill_in(page, person.password, person.new_password)
    press(page, "Change")
    says(page)
    examine(page)
    page.context.set_offline(True)
    fill_in(page, person.new_password, person.password)
    press(page, "Change")
    says(page, "error")
    examine(page)
    page.context.set_offline(False)


def test_a_mail_server_that_does_not_answer(page, person, mail_server):
    mail_server.is_down = True
    sign_in(page, person, "/account/sessions")
    examine(page)


def test_the_open_account_menu(page, person):
    sign_in(page, person)
    press(page, "Account")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    examine(page)


def test_a_refused_confirmation(page, person):
    sign_in(page, person)
    page.goto("/confirm-password")
    once_more(page).fill("Wrong-Secret-0")
    press(page, "Continue")
    expect(page.locator(".error")).to_be_visible()
    examine(page)


def test_a_link_that_sets_a_password(page, panel):
    page.goto(panel.first_password_link("examined@example.org"))
    examine(page)
    new_field(page).fill("Winter7")
    page.get_by_label("Confirm new password").fill("Summer7")
    press(page, "Set password")
    expect(page.locator(".error").first).to_be_visible()
    examine(page)


def test_the_forgotten_passwords_answer(page, person):
    page.goto("/forgotten-password")
    page.get_by_label("E-mail address").fill(person.login)
    press(page, "Send the link")
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    examine(page)


def test_a_link_that_locks(page, person):
    sign_in(page, person)
    fill_in(page, person.password, person.new_password)
    press(page, "Change")
    says(page)
    page.goto(letter_link(page, person.login, "/links/not-me/"))
    examine(page)
    press(page, "Lock the account")
    expect(page.get_by_role("heading", level=1)).to_have_text("The account is locked")
    examine(page)


def test_the_links_about_a_contact_e_mail(page, person):
    sign_in(page, person, "/account/contact")
    page.get_by_label("New contact e-mail").fill("examined@new.example.com")
    press(page, "Send the link")
    says(page)
    examine(page)
    page.goto(letter_link(page, person.login, "/links/contact/"))
    examine(page)
    press(page, "Confirm this address")
    expect(page.get_by_role("heading", level=1)).to_have_text("The contact e-mail is confirmed")
    examine(page)
    page.goto(letter_link(page, person.login, "/links/not-my-contact/"))
    examine(page)
    press(page, "Lock the account")
    expect(page.get_by_role("heading", level=1)).to_have_text("The account is locked")


def test_a_form_that_is_out_of_date(page):
    page.goto("/sign-in")
    page.context.clear_cookies()
    enter(page, "vera@example.org", "Wrong-Secret-0")
    expect(page.get_by_text("Your browser keeps no cookies for this site.")).to_be_visible()
    expect(page.locator("input[name=login]")).to_have_value("vera@example.org")
    examine(page)
