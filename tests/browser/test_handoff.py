"""The panel in the frame of a webmail that hands people over: the same site, another origin."""

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from .accessibility import AXE, RUN, examine
from .panel import until
from .people import EVERYWHERE, enter, fill_in, press
from .webmail import Webmail

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture
def hand_over(page: Page, webmail: Webmail, person):
    """`hand_over(onward)` opens the webmail's page about the person, and returns the frame in it."""

    def show(onward: str = "/account/password", origin: str = webmail.origin, **look: str) -> FrameLocator:
        page.goto(origin + webmail.settings(person.login, onward, **look))
        return page.frame_locator("iframe")

    return show


def told(page: Page, kind: str) -> list[dict]:
    return [message for message in page.evaluate("told") if message["type"] == f"postern:{kind}"]


def test_the_frame_has_the_webmails_look_and_the_height_of_its_content(hand_over, page):
    frame = hand_over(locale="it_IT", theme="dark")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Password")
    expect(frame.locator("html")).to_have_attribute("lang", "it")
    expect(frame.get_by_role("navigation")).to_have_count(0)
    assert scheme(page) == "dark"
    until(lambda: 0 <= page.frames[1].evaluate("innerHeight - document.body.getBoundingClientRect().height") < 1)
    assert page.locator("iframe").evaluate("frame => frame.clientHeight") > 500
    assert told(page, "ready") == [{"type": "postern:ready", "v": 1}]


def test_the_theme_follows_the_webmails(hand_over, page):
    html = hand_over(theme="light").locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    for nonsense in ('{...theme, theme: "url(x)"}', "{...theme, v: 2}", '{...theme, type: "theme"}', "7", "null"):
        page.evaluate(f'() => {{ const theme = {{type: "postern:theme", v: 1, theme: "dark"}}; say({nonsense}); }}')
    assert scheme(page) == "light"
    page.evaluate('say({type: "postern:theme", v: 1, theme: "dark"})')
    expect(html).to_have_attribute("data-theme", "dark")
    assert scheme(page) == "dark"


def test_the_frame_can_be_read_whatever_the_webmails_colour(hand_over, page):
    page.emulate_media(reduced_motion="reduce")
    frame = hand_over(accent="#ffff00", size="14", font="Verdana, sans-serif", titled="yes", theme="light")
    expect(frame.get_by_role("button", name=EVERYWHERE)).to_be_visible()
    inside = page.frames[1]
    drawn = "(({fontSize, fontFamily}) => `${fontSize} ${fontFamily}`)(getComputedStyle(document.body))"
    assert inside.evaluate(drawn) == "14px Verdana, sans-serif"
    inside.evaluate(AXE)
    for accent in ("#ffff00", "#00ff00", "#ffffff", "#000000"):
        inside.evaluate("accent => document.documentElement.style.setProperty('--accent', accent)", accent)
        for theme in ("light", "dark"):
            page.evaluate("theme => say({type: 'postern:theme', v: 1, theme})", theme)
            until(lambda theme=theme: scheme(page) == theme)
            assert inside.evaluate(RUN, ["color-contrast"]) == [], (accent, theme)


def test_another_window_has_no_say_in_it(page, webmail, person):
    """A page of another origin that opened the webmail reaches the frame in it."""
    page.goto(f"{webmail.far_origin}/frame/about:blank")
    address = webmail.origin + webmail.settings(person.login, theme="light")
    with page.expect_popup() as opened:
        page.evaluate(f'window.opened = open("{address}")')
    html = opened.value.frame_locator("iframe").locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    until(lambda: told(opened.value, "ready"))
    page.evaluate("""opened.frames[0].postMessage({type: "postern:theme", v: 1, theme: "dark"}, "*")""")
    opened.value.evaluate('say({type: "postern:theme", v: 1, theme: "nonsense"})')
    assert html.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert [message["type"] for message in page.evaluate("told")] == []


def scheme(page: Page) -> str:
    return page.frames[1].evaluate("getComputedStyle(document.documentElement).colorScheme")


def test_links_leave_no_steps_in_the_webmails_history(hand_over, page):
    frame = hand_over("/devices/")
    expect(frame.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    steps = page.evaluate("history.length")
    frame.get_by_role("link", name="Add a device").first.click()
    expect(frame.get_by_role("heading", name="Add a device")).to_be_visible()
    assert page.evaluate("history.length") == steps


def test_change_is_told_and_the_frame_goes_on(hand_over, page, panel, person):
    frame = hand_over()
    fill_in(frame, person.password, person.new_password)
    press(frame, "Change")
    expect(frame.locator("#flashes .success")).to_be_visible()
    until(lambda: told(page, "password-changed"))
    assert told(page, "password-changed") == [{"type": "postern:password-changed", "v": 1, "everywhere": False}]
    assert panel.sessions(person) == 1


def test_everywhere_is_told_so_that_the_webmail_can_sign_out(hand_over, page, panel, person):
    frame = hand_over()
    fill_in(frame, person.password, person.new_password)
    press(frame, EVERYWHERE)
    expect(frame.get_by_role("dialog")).to_be_in_viewport()
    press(frame, "Update and log out everywhere")
    expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
    until(lambda: told(page, "password-changed"))
    assert told(page, "password-changed") == [{"type": "postern:password-changed", "v": 1, "everywhere": True}]
    assert told(page, "signed-out") == []
    assert panel.sessions(person) == 0


@pytest.mark.parametrize(
    "viewport", [{"width": 900, "height": 500}, {"width": 360, "height": 640}], ids=["low", "phone"]
)
def test_the_dialog_opens_where_the_person_looks(hand_over, page, person, viewport):
    page.set_viewport_size(viewport)
    frame = hand_over()
    fill_in(frame, person.password, person.new_password)
    press(frame, EVERYWHERE)
    dialog = frame.get_by_role("dialog")
    expect(dialog).to_be_in_viewport(ratio=0.95)
    expect(dialog.get_by_role("heading")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("scrollY") > 0


def test_the_keyboard_goes_in_and_out(hand_over, page):
    frame = hand_over("/account/preferences")
    expect(frame.get_by_role("button", name="Save")).to_be_visible()
    page.locator("#before").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "after":
            break
    assert page.evaluate("document.activeElement.id") == "after"
    page.keyboard.press("Shift+Tab")
    expect(frame.get_by_role("button", name="Save")).to_be_focused()


def test_a_session_that_ran_out_is_told_and_the_way_in_is_there(hand_over, page, panel, person):
    frame = hand_over("/account/preferences")
    expect(frame.get_by_role("button", name="Save")).to_be_visible()
    panel.end_sessions(person)
    press(frame, "Save")
    expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
    until(lambda: told(page, "signed-out"))
    with page.expect_popup() as opened:
        frame.get_by_role("link", name="Open in a new tab").click()
    enter(opened.value, person.login, person.password)
    expect(opened.value.get_by_role("heading", name="Preferences")).to_be_visible()


def test_where_cookies_are_refused_a_tab_is_offered_and_the_webmail_told(hand_over, page, webmail):
    """Across sites these cookies are, as `POSTERN_CROSS_SITE` is off."""
    frame = hand_over("/devices/", webmail.far_origin)
    expect(frame.get_by_role("heading", name="This page needs its own tab")).to_be_visible()
    until(lambda: told(page, "need-top"))
    with page.expect_popup() as opened:
        frame.get_by_role("link", name="Open in a new tab").click()
    expect(opened.value.get_by_role("heading", name="Sign in")).to_be_visible()


def test_in_a_tab_of_its_own_one_button_is_pressed(page, webmail, person):
    with page.expect_popup() as opened:
        page.goto(webmail.origin + webmail.settings(person.login, "/devices/", target="_blank"))
    tab = opened.value
    press(tab, f"Continue as {person.login}")
    expect(tab.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    expect(tab.get_by_role("navigation")).to_be_visible()


def test_everybody_can_use_its_pages(hand_over, page, panel, webmail, person):
    page.emulate_media(reduced_motion="reduce")
    page.goto("/handoff/arrived?next=/devices/")
    examine(page)
    with page.expect_popup() as opened:
        page.goto(webmail.origin + webmail.settings(person.login, target="_blank"))
    opened.value.emulate_media(reduced_motion="reduce")
    expect(opened.value.get_by_role("heading", name="Continue as")).to_be_visible()
    examine(opened.value)
    opened.value.get_by_role("button", name="Continue as").click()
    expect(opened.value.get_by_role("heading", name="Password")).to_be_visible()
    page.goto("/account/sessions")
    expect(page.get_by_role("heading", name="Webmails")).to_be_visible()
    examine(page)
    page.goto("about:blank")
    page.set_content(f'<form method="post" action="{panel.url}/handoff"></form>')
    page.locator("form").evaluate("form => form.submit()")
    expect(page.get_by_role("heading", name="could not sign you in")).to_be_visible()
    examine(page)


def test_without_scripts_the_frame_works_too(new_context, webmail, person, panel):
    page = new_context(java_script_enabled=False).new_page()
    page.goto(webmail.origin + webmail.settings(person.login))
    press(page, "Continue")
    frame = page.frame_locator("iframe")
    fill_in(frame, person.password, person.new_password)
    press(frame, "Change")
    expect(frame.locator("#flashes .success")).to_be_visible()
    assert panel.events(person, "web:password:changed") == 1


def test_a_manager_with_a_mailbox_is_a_person_in_the_frame_and_manages_after_a_sign_in(hand_over, page, panel, person):
    panel.flask("manager", "add", person.login, "--role", "administrator")
    frame = hand_over("/devices/")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Devices")
    # The same browser brings the same session into a tab.
    page.goto(f"{panel.url}/devices/")
    expect(page.get_by_role("link", name="Active orders")).to_have_count(0)
    page.goto(f"{panel.url}/services/")
    expect(page.get_by_text("Sign in with your password to manage users.")).to_be_visible()
    examine(page)
    enter(page, person.login, person.password)
    page.wait_for_url("**/services/")
    page.get_by_role("link", name="Mail Light", exact=True).click()
    page.get_by_label("Search by name or address").fill(person.login)
    # Their own row is there, and nothing can be done to it.
    expect(page.get_by_role("row")).to_have_count(2)
    row = page.get_by_role("row").filter(has_text=person.login)
    expect(row.get_by_text("Manager")).to_be_visible()
    expect(row.get_by_role("link")).to_have_count(0)
    examine(page)
    for name in ("Password", "Devices", "Collaborations"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_count(1)
