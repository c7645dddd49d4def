"""The keyboard alone, and what people set in their system: more contrast, less motion."""

import pytest
from playwright.sync_api import expect

from .people import EVERYWHERE, sign_in

FOCUSED = """() => {
    const element = document.activeElement, ring = element.closest(".input-group:has(.control:focus)") ?? element;
    const {outlineStyle, outlineWidth} = getComputedStyle(ring);
    return {
        name: element.labels?.[0]?.textContent ?? element.textContent.trim().replace(/\\s+/g, " "),
        isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    };
}"""
MOST_STOPS = 40


def tab_to(page, name):
    """Press Tab until the element of this name has the focus; every stop on the way is marked visibly."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["isMarked"], f"the focus is not visible on {focused['name']!r}"
        if focused["name"] == name:
            return
    raise AssertionError(f"Tab never reached {name!r}")


def type_change(page, person):
    for name, text in (
        ("Current password", person.password),
        ("New password", person.new_password),
        ("Confirm new password", person.new_password),
    ):
        tab_to(page, name)
        page.keyboard.type(text)


def test_the_whole_change(page, person):
    page.goto("/sign-in")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(person.login)
    tab_to(page, "Password")
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/overview/")
    tab_to(page, "Password")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/password")
    type_change(page, person)
    tab_to(page, EVERYWHERE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name=EVERYWHERE)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-title")).to_be_focused()
    tab_to(page, "Update and log out everywhere")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")


def test_enter_in_a_field_asks_before_it_logs_out(signed_in, panel, person):
    type_change(signed_in, person)
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("dialog")).to_be_visible()
    assert panel.events(person, "web:password:changed") == 0


def test_the_focus_stays_in_the_dialog(signed_in, person):
    type_change(signed_in, person)
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("dialog")).to_be_visible()
    for _ in range(6):
        signed_in.keyboard.press("Tab")
        assert not signed_in.evaluate("document.activeElement.closest('main, header')")


def test_the_skip_link_leads_past_the_header(signed_in):
    tab_to(signed_in, "Skip to the content")
    signed_in.keyboard.press("Enter")
    tab_to(signed_in, "Current password")


def test_the_account_menu(page, person):
    sign_in(page, person, "/account/activity")
    tab_to(page, "Account")
    page.keyboard.press("Enter")
    tab_to(page, "Sign out")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="Account", exact=True)).to_be_focused()


@pytest.mark.parametrize("name", [EVERYWHERE, "Change"])
def test_buttons_keep_their_outline_in_forced_colours(new_context, person, name):
    page = sign_in(new_context(forced_colors="active").new_page(), person)
    border = "element => [getComputedStyle(element).borderTopColor, getComputedStyle(element).backgroundColor]"
    edge, fill = page.get_by_role("button", name=name, exact=True).evaluate(border)
    assert edge != fill


def test_nothing_moves_for_whoever_asked_for_less_motion(new_context, person):
    page = sign_in(new_context(reduced_motion="reduce").new_page(), person, "/account/sessions")
    page.get_by_role("link", name="End all others").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("element => getComputedStyle(element).animationName") == "none"
    assert page.evaluate("document.getAnimations().length") == 0


def test_tab_goes_through_the_page_as_it_is_read(signed_in):
    """The header from its first line to the second, and of the form what can be typed in."""
    places = signed_in.evaluate(
        """() => [...document.querySelectorAll("header :is(a, button):not([popover] *)")].map(each => {
            const {x, y, height} = each.getBoundingClientRect();
            return [Math.round((y + height / 2) / 30), x];
        })"""
    )
    assert places == sorted(places)
    signed_in.locator("main").focus()
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_label("Current password")).to_be_focused()


def test_in_forced_colours_the_chosen_tile_is_marked(new_context, person):
    page = sign_in(new_context(forced_colors="active").new_page(), person, "/devices/new")
    outlines = page.locator(".tile label").evaluate_all("all => all.map(each => getComputedStyle(each).outlineStyle)")
    assert sorted(outlines) == ["none"] * (len(outlines) - 1) + ["solid"]
