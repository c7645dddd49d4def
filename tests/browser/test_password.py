"""My account → Password, with JavaScript and without."""

import unicodedata

import pytest
from playwright.sync_api import expect

from .people import (
    EVERYWHERE,
    confirm_field,
    current_field,
    enter,
    fill_in,
    is_refused,
    is_signed_out,
    new_field,
    press,
    says,
    sign_in,
)


@pytest.fixture
def other_browser(new_context, person):
    """Another browser in which the same person is signed in."""
    return sign_in(new_context().new_page(), person)


def test_log_out_from_everywhere(any_page, other_browser, person, mail_server):
    mail_server.connect(person.login, "imap", "192.0.2.17")
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password)
    press(any_page, EVERYWHERE)
    if any_page.has_script:
        press(any_page, "Update and log out everywhere")
    any_page.wait_for_url("**/sign-in")
    says(any_page)
    assert mail_server.logins() == []
    assert is_signed_out(other_browser)
    assert is_refused(any_page, person.login, person.password)
    enter(any_page, person.login, person.new_password)
    any_page.wait_for_url("**/overview/")


def test_what_will_end_is_named_before_the_button_is_pressed(any_page, other_browser, person, mail_server):
    mail_server.connect(person.login, "imap", "192.0.2.17")
    mail_server.connect(person.login, "submission", "2001:db8::7")
    sign_in(any_page, person)
    if any_page.has_script:
        fill_in(any_page, person.password, person.new_password)
        press(any_page, EVERYWHERE)
    words = any_page.get_by_role("dialog") if any_page.has_script else any_page.locator(".note")
    expect(any_page.locator(".note")).to_be_visible(visible=not any_page.has_script)
    for named in ("2 browsers, this one included", "IMAP from 192.0.2.17", "SMTP from 2001:db8::7"):
        expect(words).to_contain_text(named)


def test_the_dialog_can_be_left_and_nothing_has_changed(signed_in, panel, person):
    fill_in(signed_in, person.password, person.new_password)
    press(signed_in, EVERYWHERE)
    signed_in.get_by_role("dialog").get_by_text("Cancel").click()
    expect(signed_in.get_by_role("dialog")).to_be_hidden()
    expect(new_field(signed_in)).to_have_value(person.new_password)
    assert panel.events(person, "web:password:changed") == 0


def test_change_leaves_the_others_signed_in(any_page, other_browser, person, mail_server):
    mail_server.connect(person.login)
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password)
    press(any_page, "Change")
    says(any_page)
    expect(current_field(any_page)).to_have_value("")
    assert not is_signed_out(any_page)
    assert not is_signed_out(other_browser)
    assert mail_server.logins() == [person.login]


def test_a_wrong_current_password_is_said_beside_its_field(any_page, panel, person):
    sign_in(any_page, person)
    fill_in(any_page, "Wrong-Secret-0", person.new_password)
    press(any_page, "Change")
    expect(current_field(any_page)).to_have_attribute("aria-invalid", "true")
    expect(any_page.locator("#current_password-error")).to_be_visible()
    if any_page.has_script:
        expect(current_field(any_page)).to_be_focused()
    expect(new_field(any_page)).not_to_have_attribute("aria-invalid", "true")
    assert panel.events(person, "web:password:changed") == 0


@pytest.mark.parametrize("button", [EVERYWHERE, "Change"])
def test_three_faults_are_said_in_one_round_and_only_the_wrong_password_goes(any_page, panel, person, button):
    """Without the script nothing stays: no page brings a password back."""
    sign_in(any_page, person)
    fill_in(any_page, "Wrong-Secret-0", "vera-7", "vera-8")
    press(any_page, button)
    for field, said in (("current", "not your current"), ("new", "“vera”"), ("confirm", "do not match")):
        expect(any_page.locator(f"#{field}_password-error")).to_contain_text(said)
    expect(any_page.get_by_role("dialog")).to_be_hidden()
    expect(current_field(any_page)).to_have_value("")
    expect(new_field(any_page)).to_have_value("vera-7" if any_page.has_script else "")
    expect(confirm_field(any_page)).to_have_value("vera-8" if any_page.has_script else "")
    assert "vera-7" not in any_page.content()
    expect(any_page.locator(".checklist .met")).not_to_have_count(0)
    if any_page.has_script:
        expect(current_field(any_page)).to_be_focused()
    fill_in(any_page, person.password, person.new_password)
    press(any_page, button)
    if any_page.has_script and button == EVERYWHERE:
        press(any_page, "Update and log out everywhere")
    says(any_page)
    assert panel.events(person, "web:password:changed") == 1


def test_a_right_current_password_stays_while_the_new_one_is_mended(signed_in, person):
    fill_in(signed_in, person.password, "Password1!")
    press(signed_in, EVERYWHERE)
    expect(new_field(signed_in)).to_be_focused()
    expect(current_field(signed_in)).to_have_value(person.password)
    expect(new_field(signed_in)).to_have_value("Password1!")
    expect(signed_in.locator(".checklist li").filter(has_text="not a common password")).not_to_have_class("met")
    for field in (new_field(signed_in), confirm_field(signed_in)):
        field.fill(person.new_password)
    press(signed_in, EVERYWHERE)
    expect(signed_in.get_by_role("dialog")).to_be_visible()


def test_a_press_is_not_lost_to_a_difference_that_is_said_meanwhile(signed_in, person):
    fill_in(signed_in, person.password, person.new_password, person.new_password[:-1])
    press(signed_in, "Change")
    expect(signed_in.locator("#confirm_password-error")).to_be_visible()


def test_a_difference_is_said_while_the_password_is_repeated(signed_in, person):
    said = signed_in.locator("[data-differs]")
    new_field(signed_in).fill(person.new_password)
    confirm_field(signed_in).press_sequentially(person.new_password[:4])
    expect(said).to_have_text("")
    confirm_field(signed_in).press_sequentially("x")
    expect(said).to_have_text("The two passwords do not match.")
    confirm_field(signed_in).fill(person.new_password)
    expect(said).to_have_text("")
    new_field(signed_in).fill("other")
    expect(said).not_to_have_text("")


def test_two_new_passwords_that_differ(any_page, panel, person):
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password, "Third-Secret-3")
    press(any_page, "Change")
    expect(confirm_field(any_page)).to_have_attribute("aria-invalid", "true")
    if any_page.has_script:
        expect(confirm_field(any_page)).to_be_focused()
    assert panel.events(person, "web:password:changed") == 0


def test_a_password_that_breaks_the_rules_is_refused(any_page, panel, person):
    sign_in(any_page, person)
    fill_in(any_page, person.password, "nodigitsnocapitals")
    press(any_page, "Change")
    expect(new_field(any_page)).to_have_attribute("aria-invalid", "true")
    assert panel.events(person, "web:password:changed") == 0


def test_letters_that_are_typed_in_parts_are_sent_composed(any_page, panel, person):
    """Without the script, the page refuses them and names the letter."""
    sign_in(any_page, person)
    fill_in(any_page, person.password, unicodedata.normalize("NFD", "Zoë-Gärten-8"))
    press(any_page, "Change")
    if not any_page.has_script:
        expect(any_page.locator("#new_password-error")).to_contain_text("“ë”")
        assert panel.events(person, "web:password:changed") == 0
        return
    says(any_page)
    assert panel.events(person, "web:password:changed") == 1


def test_the_checklist_names_what_mail_programs_cannot_send(signed_in):
    line = signed_in.locator(".checklist li", has_text="U+00A0")
    new_field(signed_in).fill("Winter\u00a0Quilt7")
    expect(line).to_be_visible()
    new_field(signed_in).fill("Winter Quilt7")
    expect(line).to_have_count(0)


def test_the_checklist_and_the_meter_follow_what_is_typed(signed_in):
    met, strength = signed_in.locator(".checklist .met"), signed_in.locator(".strength")
    expect(met).to_have_count(0)
    expect(strength).to_have_count(0)
    new_field(signed_in).press_sequentially("winter")
    expect(met).to_have_count(2)
    expect(strength).to_contain_text("Not accepted yet")
    weak = strength.get_attribute("data-score")
    new_field(signed_in).press_sequentially("-Quilt7-meadow")
    expect(met).to_have_count(7)
    expect(strength).not_to_have_attribute("data-score", weak)
    new_field(signed_in).fill("")
    expect(strength).to_have_count(0)
    expect(met).to_have_count(0)


def test_a_check_that_comes_after_the_log_out_leads_nowhere(signed_in, panel, person):
    """It may be under way while the password is changed: the page that follows the change must not be lost to it."""
    current_field(signed_in).fill(person.password)
    panel.end_sessions(person)
    with signed_in.expect_response("**/account/password/check") as answer:
        new_field(signed_in).fill(person.new_password)
    assert answer.value.status == 204
    expect(current_field(signed_in)).to_have_value(person.password)
    confirm_field(signed_in).fill(person.new_password)
    press(signed_in, "Change")
    signed_in.wait_for_url("**/sign-in?next=/account/password")


@pytest.mark.parametrize("kind", ["Random characters", "Passphrase"])
def test_the_button_makes_another_password_at_each_press(new_context, person, kind):
    page = sign_in(new_context(permissions=["clipboard-read", "clipboard-write"]).new_page(), person)
    page.get_by_label("Kind of suggestion").select_option(kind)
    press(page, "Suggest a strong password")
    expect(new_field(page)).not_to_have_value("")
    first = new_field(page).input_value()
    press(page, "Suggest a strong password")
    expect(new_field(page)).not_to_have_value(first)
    second = new_field(page).input_value()
    for field in (new_field(page), confirm_field(page)):
        expect(field).to_have_value(second)
        expect(field).to_have_attribute("type", "text")
    expect(page.locator(".checklist .met")).to_have_count(7)
    press(page, "Copy")
    expect(page.locator("output.copied")).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == second
    current_field(page).fill(person.password)
    press(page, "Change")
    says(page)


def test_show_and_hide(signed_in):
    field = signed_in.locator(".field").filter(has=current_field(signed_in))
    show, hide = (field.get_by_role("button", name=name, exact=True) for name in ("Show", "Hide"))
    current_field(signed_in).fill("visible")
    show.click()
    expect(current_field(signed_in)).to_have_attribute("type", "text")
    hide.click()
    expect(current_field(signed_in)).to_have_attribute("type", "password")
    expect(show).to_be_visible()


def test_without_script_no_button_is_offered_that_needs_it(new_context, person):
    page = sign_in(new_context(java_script_enabled=False).new_page(), person)
    for name in ("Show", "Hide", "Suggest a strong password", "Copy"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_password_managers_can_tell_the_fields_apart(signed_in, person):
    expect(signed_in.locator("[autocomplete=username]")).to_have_value(person.login)
    expect(current_field(signed_in)).to_have_attribute("autocomplete", "current-password")
    for field in (new_field(signed_in), confirm_field(signed_in)):
        expect(field).to_have_attribute("autocomplete", "new-password")
