"""One-time links, as they arrive in e-mails and as the operator hands them out."""

from playwright.sync_api import expect

from .people import (
    confirm_field,
    enter,
    fill_in,
    is_refused,
    is_signed_out,
    letter_link,
    new_field,
    press,
    says,
    sign_in,
)


def set_password(page, link, password):
    page.goto(link)
    new_field(page).fill(password)
    confirm_field(page).fill(password)
    press(page, "Set password")
    page.wait_for_url("**/sign-in")
    says(page)


def is_void(page, link):
    return page.goto(link).status == 410 and not new_field(page).count()


def test_a_forgotten_password(any_page, new_context, person):
    elsewhere = sign_in(new_context().new_page(), person)
    any_page.goto("/sign-in")
    any_page.get_by_role("link", name="Forgot your password?").click()
    any_page.get_by_label("E-mail address").fill(person.login)
    press(any_page, "Send the link")
    expect(any_page.get_by_role("heading", name="Check your mail")).to_be_visible()
    link = letter_link(any_page, person.login, "/links/password/")
    set_password(any_page, link, person.new_password)
    assert is_signed_out(elsewhere)
    assert is_void(any_page, link)
    assert is_refused(any_page, person.login, person.password)
    enter(any_page, person.login, person.new_password)
    any_page.wait_for_url("**/overview/")


def test_a_first_password(any_page, panel):
    login = f"first.{'script' if any_page.has_script else 'plain'}@example.org"
    link = panel.first_password_link(login)
    set_password(any_page, link, "Quilted-Meadow-7")
    assert is_void(any_page, link)
    any_page.goto("/sign-in")
    enter(any_page, login, "Quilted-Meadow-7")
    any_page.wait_for_url("**/overview/")


def test_the_page_behind_a_link_helps_like_the_password_page(page, panel):
    page.goto(panel.first_password_link("helped@example.org"))
    new_field(page).press_sequentially("Meadow")
    expect(page.locator(".checklist .met")).to_have_count(3)
    press(page, "Suggest a strong password")
    expect(page.locator(".checklist .met")).to_have_count(7)
    press(page, "Set password")
    page.wait_for_url("**/sign-in")
    says(page)


def test_a_refused_password_leaves_the_link_as_it_is(any_page, panel):
    login = f"again.{'script' if any_page.has_script else 'plain'}@example.org"
    link = panel.first_password_link(login)
    any_page.goto(link)
    new_field(any_page).fill("Quilted-Meadow-7")
    confirm_field(any_page).fill("Quilted-Meadow-8")
    press(any_page, "Set password")
    expect(confirm_field(any_page)).to_have_attribute("aria-invalid", "true")
    set_password(any_page, link, "Quilted-Meadow-7")


def test_this_was_not_me(any_page, new_context, person):
    thief = sign_in(new_context().new_page(), person)
    fill_in(thief, person.password, person.new_password)
    press(thief, "Change")
    says(thief)
    link = letter_link(any_page, person.login, "/links/not-me/")
    any_page.goto(link)
    press(any_page, "Lock the account")
    expect(any_page.get_by_role("heading", level=1)).to_have_text("The account is locked")
    assert is_signed_out(thief)
    assert is_void(any_page, link)
    assert is_refused(any_page, person.login, person.new_password)
