"""Pages on paper: what they say is there, and nothing that is to be pressed; and the colours of a host, whatever they
are, can be read on the screen."""

import itertools

from playwright.sync_api import Page, expect

from settings import face

from .panel import MANAGER, Person
from .people import press, sign_in
from .test_devices import add

PRESSED = ":is(button, .button, select, nav, footer, dialog, [popover], input:not([type=hidden])):visible"
SURFACES = ("canvas", "surface", "sunken", "accent-wash")
# The colours as they are drawn, whatever they are written as.
DRAWN = """([colours, names]) => {
    const root = document.documentElement, probe = document.body.appendChild(document.createElement("i"));
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const drawn = colour => {
        probe.style.color = colour;
        pixel.fillStyle = getComputedStyle(probe).color;
        pixel.fillRect(0, 0, 1, 1);
        const parts = [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
        return "#" + parts.map(part => part.toString(16).padStart(2, "0")).join("");
    };
    return colours.map(([accent, dark]) => {
        root.style.setProperty("--accent", accent);
        root.style.setProperty("--accent-fill", `light-dark(${accent}, ${dark})`);
        const hovered = "oklch(from var(--accent-fill) calc(l - .06) c h)";
        return {hovered: drawn(hovered), ...Object.fromEntries(names.map(name => [name, drawn(`var(--${name})`)]))};
    });
}"""


def on_paper(page: Page) -> Page:
    """The page as it is printed."""
    page.emulate_media(media="print")
    expect(page.locator(PRESSED)).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def test_what_is_filed_is_printed_without_what_is_pressed(signed_in: Page, new_context, person: Person):
    page = signed_in
    page.goto("/devices/")
    add(page, "Vera's phone")
    password = page.locator("#device-password").inner_text()
    on_paper(page)
    expect(page.get_by_text(password)).to_be_visible()
    # The settings are folded away on the screen.
    expect(page.locator("#user-name")).to_be_visible()
    expect(page.get_by_alt_text("QR code")).to_be_visible()
    for address, said in (("/devices/", "Vera's phone"), ("/account/activity", "A device was added")):
        page.goto(address)
        expect(on_paper(page).get_by_role("row", name=said).first).to_be_visible()
    boss = sign_in(new_context().new_page(), Person(MANAGER), "/services/")
    boss.goto(f"/services/1/mailboxes/?text={person.login}")
    boss.get_by_role("link", name=person.login).first.click()
    boss.get_by_role("link", name="Access", exact=True).click()
    expect(on_paper(boss).get_by_text("Vera's phone")).to_be_visible()
    boss.emulate_media(media="screen")
    boss.get_by_role("link", name="End all access").click()
    press(boss, f"End all access to {person.login}")
    expect(boss.get_by_role("heading", level=1)).to_have_text(f"Access ended for {person.login}")
    expect(on_paper(boss).get_by_text("Vera's phone")).to_be_visible()
    expect(boss.get_by_text("No collaborator.")).to_be_visible()


def test_every_colour_that_is_accepted_can_be_read(page: Page):
    parts = ("00", "44", "88", "cc", "ff")
    colours = ["#" + "".join(each) for each in itertools.product(parts, repeat=3)]
    accepted = [each for each in colours if face.contrast(each, face.WHITE) >= face.FOR_TEXT]
    page.goto("/sign-in")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        pairs = [[each, face.fill_in_dark(each)] for each in accepted]
        found = page.evaluate(DRAWN, [pairs, [*SURFACES, "accent-text", "accent-fill", "on-accent"]])
        for accent, drawn in zip(accepted, found, strict=True):
            said = f"{accent} in the {scheme} theme: {drawn}"
            assert all(face.contrast(drawn["accent-text"], drawn[each]) >= face.FOR_TEXT for each in SURFACES), said
            assert face.contrast(drawn["on-accent"], drawn["accent-fill"]) >= face.FOR_TEXT, said
            assert face.contrast(drawn["on-accent"], drawn["hovered"]) >= face.FOR_TEXT, said
            assert face.contrast(drawn["accent-fill"], drawn["surface"]) >= face.FOR_SHAPES, said
            if scheme == "light":
                assert drawn["accent-fill"] == accent
            else:
                # What settings/face.py takes for the surfaces is what the style sheet draws.
                assert drawn["surface"] == face.DARK_CARD
                grounds = [face.contrast(face.WHITE, drawn[each]) for each in SURFACES]
                assert min(grounds) >= face.contrast(face.WHITE, face.LIGHTEST_DARK), said
