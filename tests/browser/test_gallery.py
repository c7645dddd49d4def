"""Every page and state as it was last looked at: what is seen, and what screen readers are told. `make pictures` takes
over what has changed; look at it before it is committed.

Nothing moves while a page loads, either: `CLS` is Cumulative Layout Shift, as https://web.dev/articles/cls defines it.
"""

from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from lab.served_panel import ROOT
from settings import LANGUAGES

from .accessibility import DESKTOP, PHONE, examine
from .gallery import ANNA, CHANGING, NOBODY, SIGNED_IN, VIEWS, View, prepare
from .mail_server import MailServer
from .panel import Panel, Person
from .people import sign_in

PICTURES = ROOT / "tests" / "pictures" / "pages"
# Width, colours, and by how much the kept picture is smaller.
LOOKS = {"wide": (DESKTOP, "light", 2), "phone": (PHONE, "dark", 1)}
PALETTE = 32
# Antialiasing differs from machine to machine, and so does a line's height by a pixel. In a picture of an eighth of the
# size neither is seen; what is gone, moved or of another colour is.
COARSE, OTHER_COLOUR, MOST_DIFFERENT = 8, 24, 0.004
MOST_SHIFTED = 0.01
# What is reached by the words on buttons is looked at in English, here and in the other tests.
ADDRESSES = [view for view in VIEWS if view.is_at_once]
SHIFTED = """() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
    }).observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => setTimeout(() => resolve(sum)));
})"""


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> Iterator[Panel]:
    """One in which nothing has happened but what the pages show."""
    with MailServer() as mail_server, Panel(tmp_path_factory.mktemp("gallery"), mail_server, []) as running:
        yield running


@pytest.fixture(scope="module")
def cookies(panel: Panel, chromium) -> dict[Person | None, dict | None]:
    """Of everybody, signed in once, before the first page is shown: pages say who is signed in."""
    with chromium.new_context(base_url=panel.url, locale="en-GB") as context:
        prepare(panel, context.new_page())
    return {NOBODY: None} | {who: cookies_of(who, panel, chromium) for who in SIGNED_IN}


def cookies_of(who: Person, panel: Panel, chromium: Browser) -> dict:
    with chromium.new_context(base_url=panel.url, locale="en-GB") as context:
        sign_in(context.new_page(), who, "/account/preferences")
        return context.storage_state()


@pytest.fixture
def page(view: View, new_context, cookies, mail_server: MailServer) -> Page:
    mail_server.connect(ANNA.login, "imap", "192.0.2.17")
    return new_context(storage_state=cookies[view.who], reduced_motion="reduce").new_page()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_what_is_shown(view: View, page: Page, keeps_pictures: bool):
    page.set_viewport_size(dict(zip(("width", "height"), DESKTOP, strict=True)))
    view.show(page)
    shifted = page.evaluate(SHIFTED)
    page.evaluate(CHANGING)
    told = page.locator("body").aria_snapshot() + "\n"
    kept = PICTURES / f"{view.name}.yaml"
    if keeps_pictures:
        kept.write_text(told)
    differing = [name for name in LOOKS if is_other(page, view, name, keeps_pictures)]
    assert told == kept.read_text()
    assert differing == []
    assert shifted <= MOST_SHIFTED


def is_other(page: Page, view: View, look: str, keeps_pictures: bool) -> bool:
    """Whether the page does not look like its kept picture."""
    (width, height), colours, smaller = LOOKS[look]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=colours)
    file = PICTURES / f"{view.name}.{look}.png"
    taken = picture(page, smaller)
    if keeps_pictures:
        taken.save(file, optimize=True)
    return difference(taken, Image.open(file)) > MOST_DIFFERENT


def picture(page: Page, smaller: int) -> Image.Image:
    whole = Image.open(BytesIO(page.screenshot(full_page=True, animations="disabled", caret="hide")))
    return whole.convert("RGB").reduce(smaller).quantize(PALETTE)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The share of the coarse picture that has another colour, from 0 to 1; 1 for one of another height."""
    if one.width != other.width or abs(one.height - other.height) > COARSE:
        return 1
    size = (one.width, min(one.height, other.height))
    coarse = [each.convert("RGB").crop((0, 0, *size)).reduce(COARSE) for each in (one, other)]
    histogram = ImageChops.difference(*coarse).convert("L").histogram()
    return sum(histogram[OTHER_COLOUR:]) / sum(histogram)


def in_all_languages() -> Iterator:
    """Each page in each language; in the short run in one of them, the next page in the next."""
    for number, view in enumerate(ADDRESSES):
        for place, language in enumerate(LANGUAGES):
            is_short = number % len(LANGUAGES) == place
            yield pytest.param(view, language, id=f"{view.name}-{language}", marks=() if is_short else pytest.mark.long)


@pytest.mark.parametrize(("view", "language"), list(in_all_languages()))
def test_everybody_can_use_it(view: View, language: str, new_context, cookies, mail_server: MailServer):
    mail_server.connect(ANNA.login, "imap", "192.0.2.17")
    page = new_context(storage_state=cookies[view.who], locale=language, reduced_motion="reduce").new_page()
    page.goto(view.address)
    assert page.locator("html").get_attribute("lang") == language
    examine(page)
