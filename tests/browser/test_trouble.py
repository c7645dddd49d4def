"""What goes wrong in a person's browser: lost connections, second tabs, impatience."""

from playwright.sync_api import Page, Route, expect

from .panel import Person
from .people import EVERYWHERE, current_field, enter, fill_in, is_signed_out, new_field, press, says, sign_in
from .test_devices import add

SCRIPT = "**/app.*.js"
CHECK = "**/account/password/check"


def test_a_connection_lost_during_the_change_keeps_what_was_typed(context, signed_in, panel, person):
    fill_in(signed_in, person.password, person.new_password)
    context.set_offline(True)
    press(signed_in, "Change")
    says(signed_in, "error")
    expect(current_field(signed_in)).to_have_value(person.password)
    expect(new_field(signed_in)).to_have_value(person.new_password)
    assert panel.events(person, "web:password:changed") == 0
    context.set_offline(False)
    press(signed_in, "Change")
    says(signed_in)


def test_a_connection_lost_before_the_dialog_opens(context, signed_in, person):
    fill_in(signed_in, person.password, person.new_password)
    context.set_offline(True)
    press(signed_in, EVERYWHERE)
    says(signed_in, "error")
    expect(new_field(signed_in)).to_have_value(person.new_password)
    context.set_offline(False)
    press(signed_in, EVERYWHERE)
    expect(signed_in.get_by_role("dialog")).to_be_visible()


def test_a_connection_lost_in_the_dialog_is_said_there(context, signed_in, person):
    fill_in(signed_in, person.password, person.new_password)
    press(signed_in, EVERYWHERE)
    expect(signed_in.get_by_role("dialog")).to_be_visible()
    context.set_offline(True)
    press(signed_in, "Update and log out everywhere")
    expect(signed_in.get_by_role("dialog").locator(".flash.error")).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(new_field(signed_in)).to_have_value(person.new_password)


def test_a_double_click_makes_one_change(any_page, panel, person):
    sign_in(any_page, person)
    fill_in(any_page, person.password, person.new_password)
    any_page.get_by_role("button", name="Change", exact=True).dblclick()
    any_page.locator("#flashes .success, #current_password-error").first.wait_for()
    assert panel.events(person, "web:password:changed") == 1
    any_page.context.clear_cookies()
    any_page.goto("/sign-in")
    enter(any_page, person.login, person.new_password)
    any_page.wait_for_url("**/overview/")


def test_a_second_tab_after_a_change(any_page, panel, person):
    sign_in(any_page, person)
    second = any_page.context.new_page()
    second.goto("/account/password")
    fill_in(any_page, person.password, person.new_password)
    press(any_page, "Change")
    says(any_page)
    fill_in(second, person.password, "Third-Secret-3")
    press(second, "Change")
    expect(current_field(second)).to_have_attribute("aria-invalid", "true")
    assert panel.events(person, "web:password:changed") == 1


def test_a_second_tab_after_logging_out_everywhere(any_page, panel, person):
    sign_in(any_page, person)
    second = any_page.context.new_page()
    second.goto("/account/password")
    panel.end_sessions(person)
    fill_in(second, person.password, person.new_password)
    press(second, "Change")
    second.wait_for_load_state()
    assert is_signed_out(any_page)
    assert panel.events(person, "web:password:changed") == 0
    enter_again = second.get_by_role("heading", name="Sign in").or_(second.locator("#flashes .flash"))
    expect(enter_again.first).to_be_visible()


def test_a_mail_server_that_does_not_answer_delays_nothing_but_the_cut(any_page, person, mail_server):
    sign_in(any_page, person)
    mail_server.connect(person.login)
    mail_server.is_down = True
    fill_in(any_page, person.password, person.new_password)
    press(any_page, EVERYWHERE)
    if any_page.has_script:
        press(any_page, "Update and log out everywhere")
    any_page.wait_for_url("**/sign-in")
    says(any_page, "success")
    says(any_page, "warning")


def held(page: Page, address: str) -> list[Route]:
    """The next request of the page to this address, once it is there: it waits until the test lets it go."""
    routes = []
    page.route(address, lambda route: routes.append(route), times=1)
    return routes


def pressed_before_the_script(page: Page, person: Person) -> Route:
    """The script, still on its way after a press on what asks in the dialog."""
    sign_in(page, person)
    scripts = held(page, SCRIPT)
    with page.expect_request(SCRIPT):
        page.goto("/account/password", wait_until="commit")
    fill_in(page, person.password, person.new_password)
    press(page, EVERYWHERE)
    [script] = scripts
    return script


def test_a_press_before_the_script_is_there_opens_the_dialog(page, panel, person):
    pressed_before_the_script(page, person).continue_()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert panel.events(person, "web:password:changed") == 0
    press(page, "Update and log out everywhere")
    page.wait_for_url("**/sign-in")
    assert panel.events(person, "web:password:changed") == 1


def test_a_press_before_a_script_that_never_comes_works_as_without_one(page, panel, person):
    pressed_before_the_script(page, person).abort()
    page.wait_for_url("**/sign-in")
    assert panel.events(person, "web:password:changed") == 1


def test_an_answer_takes_no_button_away_while_it_is_pressed(signed_in, person):
    checks = held(signed_in, CHECK)
    with signed_in.expect_request(CHECK):
        fill_in(signed_in, person.password, person.new_password)
    button = signed_in.get_by_role("button", name=EVERYWHERE)
    button.hover()
    signed_in.mouse.down()
    with signed_in.expect_response(CHECK) as answer:
        checks[0].continue_()
    answer.value.finished()
    signed_in.evaluate("new Promise(drawn => setTimeout(() => requestAnimationFrame(drawn)))")
    signed_in.mouse.up()
    expect(signed_in.get_by_role("dialog")).to_be_visible()
    expect(signed_in.locator(".strength")).to_be_attached()


def is_turning(page: Page, selector: str) -> None:
    """Wait until a ring is drawn at this element, which is a moment after it was pressed."""
    page.wait_for_function(
        """selector => {
            const element = document.querySelector(selector);
            const {content, opacity} = element ? getComputedStyle(element, "::after") : {};
            return content === '""' && opacity === "1";
        }""",
        arg=selector,
    )


def test_a_server_that_takes_its_time_is_seen_to_be_asked(signed_in: Page):
    """By an ordinary form, whose answer never comes here, and by a link that opens the dialog."""
    page, held = signed_in, []
    add(page, "Vera's phone")
    page.route("**/name", lambda route: held.append(route))
    page.goto("/devices/")
    page.get_by_role("button", name="Actions for Vera's phone").click()
    page.get_by_role("link", name="Rename").click()
    is_turning(page, "a[aria-disabled=true]")
    held.pop().continue_()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("a[aria-disabled=true]")).to_have_count(0)
    page.goto("/account/preferences")
    page.evaluate("addEventListener('submit', event => event.preventDefault())")
    page.get_by_role("button", name="Save").first.click()
    is_turning(page, "[aria-busy=true]")
