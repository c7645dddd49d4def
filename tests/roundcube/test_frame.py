"""The frame in Roundcube's page: look, language, size, cookies, messages, and who else may show the panel."""

import re

import pytest

from actions.upkeep.demo import MANAGER
from lab.journeys import (
    MENU_ITEMS,
    NEW_PASSWORD,
    PAGES,
    add_device,
    begin_device,
    change_password,
    fill_in,
    go_to_task,
    log_in,
    open_page,
    page_in_frame,
    sees_inbox,
)
from lab.served_panel import PASSWORD
from lab.servers import wait_until
from lab.visitor import FRAME, PATIENCE_SECONDS, Visitor
from lab.web_servers import PLUGIN
from settings import LANGUAGES
from tests.browser.webmail import Webmail
from tests.roundcube.conftest import CROSS_SITE, SAME_SITE

PHONE = 360
BROWSERS = [pytest.param("chromium"), pytest.param("firefox", marks=pytest.mark.long)]
EACH_LANGUAGE = [pytest.param(code, marks=() if code == "it" else pytest.mark.long) for code in LANGUAGES]
COLOUR = "return getComputedStyle(document.body).color"
CAN_SET_COOKIE = "document.cookie = arguments[0]; return document.cookie.includes(arguments[0].split(';')[0])"
ICON = "return getComputedStyle(document.querySelector(arguments[0]), '::before').content"
TEXT = """
    const {fontSize, fontFamily} = getComputedStyle(document.body);
    return [fontSize, fontFamily.split(",")[0]];
"""
STRANGE_SKIN = """
    body { font-family: "x;}body{display:none" !important; font-size: 99px !important; }
    #postern .btn-primary { background: rgb(0 0 0 / .5) !important; }
"""
# Another window of the page tries to speak for the frame, and to it.
PRETEND = """
    const stranger = document.createElement("iframe");
    stranger.srcdoc = `<script>
        parent.postMessage({type: "postern:height", v: 1, height: 4321}, "*");
        parent.postMessage({type: "postern:password-changed", v: 1, everywhere: true}, "*");
        parent.frames.postern.postMessage({type: "postern:theme", v: 1, theme: "dark"}, "*");
        parent.postMessage("done", "*");
    </` + "script>";
    stranger.sandbox = "allow-scripts";
    window.addEventListener("message", event => { window.strangerIsDone ||= event.data === "done"; });
    window.postMessage({type: "postern:height", v: 1, height: 4321}, "*");
    document.body.append(stranger);
"""
SPEAK_AS_THE_FRAME = """
    for (const message of [{height: -5}, {height: 1e9}, {height: "600"}, {v: 2, height: 4321}, null]) {
        parent.postMessage(message && {type: "postern:height", v: 1, ...message}, "*");
    }
"""
# A page on the webmail's origin that frames what it likes.
FRAME_IT = """
    const place = document.createElement("div");
    place.id = "postern";
    place.innerHTML = "<iframe></iframe>";
    window.hasLoaded = false;
    place.firstChild.addEventListener("load", () => { window.hasLoaded = true; });
    place.firstChild.src = arguments[0];
    document.body.replaceChildren(place);
"""


@pytest.fixture
def visitor(new_visitor, host, person) -> Visitor:
    return log_in(new_visitor("chromium"), host, SAME_SITE, person)


def theme(visitor: Visitor) -> str:
    with visitor.frame():
        return visitor.script(COLOUR)


def frame_height(visitor: Visitor) -> int:
    return visitor.script(f"return document.querySelector('{FRAME}').clientHeight")


@pytest.mark.parametrize("site", [pytest.param(SAME_SITE, marks=pytest.mark.long), CROSS_SITE], ids=["same", "cross"])
@pytest.mark.parametrize("browser", BROWSERS)
def test_the_frame_follows_dark_mode_while_it_is_switched(new_visitor, host, site, person, browser):
    visitor = log_in(new_visitor(browser), host, site, person)
    open_page(visitor, "password")
    light = theme(visitor)
    visitor.click("#taskmenu a.theme")
    wait_until(lambda: theme(visitor) != light, "the frame is dark", PATIENCE_SECONDS)
    open_page(visitor, "devices")
    assert theme(visitor) != light
    visitor.click("#taskmenu a.theme")
    wait_until(lambda: theme(visitor) == light, "the frame is light", PATIENCE_SECONDS)


@pytest.mark.parametrize("language", EACH_LANGUAGE)
@pytest.mark.parametrize("browser", BROWSERS)
def test_the_frame_speaks_roundcubes_language(new_visitor, host, person, browser, language):
    texts = min((PLUGIN / "localization").glob(f"{language}_*.inc"))
    devices = re.search(r"^\$labels\['devices'\] = '(.+)';$", texts.read_text("utf-8"), re.MULTILINE)[1]
    visitor = log_in(new_visitor(browser, texts.stem.replace("_", "-")), host, SAME_SITE, person)
    open_page(visitor, "devices")
    assert visitor.text("#settings-menu li.postern-devices") == devices
    assert visitor.script(f"return document.querySelector('{FRAME}').title") == devices
    with visitor.frame():
        assert visitor.script("return document.documentElement.lang") == language
        assert visitor.text("h1") == devices


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_phone_shows_the_whole_journey(new_visitor, host, person, browser):
    visitor = log_in(new_visitor(browser, width=PHONE), host, SAME_SITE, person)
    add_device(visitor, host, person)
    fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert visitor.script(fits)
    with visitor.frame():
        assert visitor.script(fits)


def test_the_frame_grows_with_its_content(visitor):
    open_page(visitor, "password")
    with visitor.frame():
        grown = "return document.documentElement.scrollHeight <= innerHeight"
        wait_until(lambda: visitor.script(grown), "all of the page is in the frame", PATIENCE_SECONDS)
        fill_in(visitor, "Wrong-Secret-0")
        visitor.click("#change")
        visitor.waits_for("#current_password-error")
        wait_until(lambda: visitor.script(grown), "the errors are in the frame", PATIENCE_SECONDS)


def test_back_leads_out_of_the_form_at_once(visitor):
    open_page(visitor, "password")
    steps = visitor.script("return history.length")
    with visitor.frame():
        fill_in(visitor, "Wrong-Secret-0")
        visitor.click("#change")
        visitor.waits_for("#current_password-error")
    assert visitor.script("return history.length") == steps


def test_each_page_is_in_settings_under_roundcubes_own_header(visitor):
    paths, icons = [], set()
    for page in PAGES:
        open_page(visitor, page)
        entry = f"#settings-menu li.{MENU_ITEMS[page]}"
        assert visitor.text(entry) == visitor.text("#layout-content > .header .header-title")
        icons.add(visitor.script(ICON, f"{entry} > a"))
        with visitor.frame():
            paths += visitor.script("return location.pathname.split('/').filter(Boolean).slice(-1)")
            assert visitor.script("return document.querySelector('main h1').clientHeight") == 1
            assert not visitor.sees("header.top")
    assert paths == list(PAGES)
    assert len(icons) == len(PAGES)


def test_the_frame_looks_like_roundcube(visitor):
    open_page(visitor, "password")
    around = visitor.script(TEXT)
    with visitor.frame():
        assert visitor.script(TEXT) == around == ["14px", "Roboto"]
        assert visitor.script("return document.documentElement.style.getPropertyValue('--accent')") == "#37beff"


def test_what_a_skin_has_beyond_that_does_not_reach_the_frame(visitor):
    visitor.page.route("**/postern*.css*", lambda route: route.fulfill(content_type="text/css", body=STRANGE_SKIN))
    open_page(visitor, "password")
    assert visitor.script(TEXT)[0] == "99px"
    with visitor.frame():
        assert visitor.script("return document.documentElement.style.length") == 0
        assert visitor.script("return document.documentElement.dataset.font") is None


def test_whoever_ends_this_webmail_in_sessions_leaves_it_at_once(visitor):
    with page_in_frame(visitor, "sessions"):
        visitor.click("form[action*='/sessions/webmails/'] button")
    visitor.waits_for("#rcmloginuser")
    assert "session was ended" in visitor.text("#messagestack")


def test_the_password_is_changed_everywhere_by_three_clicks_from_the_inbox(visitor, host, person, new_client):
    """The button needs no scrolling, whatever it will end."""
    clicks = counted_clicks(visitor)
    add_device(visitor, host, person)
    new_client().logged_in(person, PASSWORD)
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
    sees_inbox(visitor)
    clicks.clear()
    visitor.click("#taskmenu a.postern-account")
    visitor.waits_until_at("plugin.postern-password")
    with visitor.frame():
        fill_in(visitor)
        button = visitor.page.frame_locator(FRAME).locator("#everywhere").bounding_box()
        visitor.click("#everywhere")
        visitor.click("dialog[open] button.primary")
    visitor.waits_for("#rcmloginuser")
    assert button["y"] + button["height"] < 800
    assert len(clicks) == 3


def counted_clicks(visitor: Visitor) -> list[str]:
    """Where the person clicks from now on, in pages that are opened from now on and in their frames."""
    clicks: list[str] = []
    visitor.page.expose_binding("noteClick", lambda _source, target: clicks.append(target))
    visitor.page.add_init_script("addEventListener('click', ({target}) => noteClick(target.outerHTML), true)")
    return clicks


def test_a_dialog_lies_in_the_part_of_the_frame_that_is_seen(new_visitor, host, person):
    visitor = log_in(new_visitor("chromium"), host, SAME_SITE, person)
    visitor.page.set_viewport_size({"width": 1200, "height": 520})
    open_page(visitor, "password")
    with visitor.frame():
        fill_in(visitor)
        visitor.click("#everywhere")
        visitor.waits_for("dialog[open] button.primary")
    in_frame = visitor.page.frame_locator(FRAME)
    for part in ("dialog[open] h2", "dialog[open] button.primary"):
        box = in_frame.locator(part).bounding_box()
        assert 0 <= box["y"] <= 520 - box["height"]


def test_what_is_copied_and_downloaded_in_the_frame_arrives(visitor):
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with page_in_frame(visitor, "devices"):
        begin_device(visitor)
        password = visitor.text("#device-password")
        visitor.click("[data-copy='#device-password']")
        wait_until(lambda: visitor.text("output.copied") == "Copied", "it is copied", PATIENCE_SECONDS)
        visitor.click("details.card > summary")
        with visitor.page.expect_download() as download:
            visitor.click("form[action*='/profile'] button")
    assert download.value.suggested_filename.endswith(".mobileconfig")
    assert visitor.page.evaluate("window.focus(), navigator.clipboard.readText()") == password


def test_roundcubes_own_token_stays_in_roundcube(visitor, host):
    sent = []
    visitor.page.on("request", lambda request: sent.append(request) if request.url.endswith("/handoff") else None)
    open_page(visitor, "password")
    (handoff,) = sent
    assert handoff.method == "POST"
    assert sorted(pair.partition("=")[0] for pair in handoff.post_data.split("&")) == [
        *("accent", "font", "next", "size", "titled", "token")
    ]
    assert handoff.all_headers()["origin"] == host.webmail_url(SAME_SITE)


def test_messages_from_anybody_else_are_ignored_by_both_sides(visitor):
    open_page(visitor, "password")
    light = theme(visitor)
    visitor.script(PRETEND)
    wait_until(lambda: visitor.script("return !!window.strangerIsDone"), "the stranger has spoken", PATIENCE_SECONDS)
    assert frame_height(visitor) != 4321
    assert theme(visitor) == light
    assert "plugin.postern-password" in visitor.url


def test_a_height_that_is_none_is_ignored_or_kept_in_bounds(visitor):
    open_page(visitor, "password")
    with visitor.frame():
        visitor.script(SPEAK_AS_THE_FRAME)
    wait_until(lambda: frame_height(visitor) == 20000, "the largest height is taken", PATIENCE_SECONDS)


def test_a_page_that_is_not_listed_may_not_show_the_panel(visitor, host):
    with Webmail() as stranger, visitor.page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        visitor.open(f"{stranger.origin}/frame/{host.panel_url(SAME_SITE)}/")
    visitor.page.frames[1].wait_for_url("chrome-error:**", wait_until="commit")


def frame_shows(visitor: Visitor, address: str, what: str) -> bool:
    """Whether the page that is open shows this in a frame of its own making."""
    visitor.script(FRAME_IT, address)
    wait_until(lambda: visitor.script("return window.hasLoaded"), "the frame has loaded", PATIENCE_SECONDS)
    with visitor.frame():
        return visitor.sees(what)


def sign_in_to_the_panel(visitor: Visitor, address: str, login: str, password: str, what: str) -> None:
    visitor.open(address)
    visitor.type("#login", login)
    visitor.type("#password", password)
    visitor.click("main form button.primary")
    visitor.waits_for(what)


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_webmails_own_pages_show_no_manager_and_nobody_who_gave_a_password(new_visitor, host, person, browser):
    """The browser brings their sessions along: webmail and panel are one site."""
    visitor, panel = new_visitor(browser), host.panel_url(SAME_SITE)
    access = f"{panel}/services/1/mailboxes/1/access/offboarding"
    form = "main form[method=post]"
    sign_in_to_the_panel(visitor, access, MANAGER, host.people[MANAGER], form)
    visitor.open(host.webmail_url(SAME_SITE))
    assert not frame_shows(visitor, access, form)
    visitor = new_visitor(browser)
    sign_in_to_the_panel(visitor, f"{panel}/account/preferences", person, PASSWORD, form)
    visitor.open(host.webmail_url(SAME_SITE))
    assert not frame_shows(visitor, f"{panel}/account/preferences", form)


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_webmail_shows_whom_it_handed_over(new_visitor, host, person, browser):
    """Even if the person gave the password in a tab before: the hand-off replaces that session."""
    visitor, preferences = new_visitor(browser), f"{host.panel_url(SAME_SITE)}/account/preferences"
    form = "main form[method=post]"
    sign_in_to_the_panel(visitor, preferences, person, PASSWORD, form)
    log_in(visitor, host, SAME_SITE, person)
    open_page(visitor, "password")
    assert frame_shows(visitor, preferences, form)


def test_that_postern_cannot_be_reached_is_said_and_can_be_tried_again(visitor, host):
    address = f"{host.panel_url(SAME_SITE)}/**"
    visitor.page.route(address, lambda route: route.abort())
    go_to_task(visitor, "settings")
    visitor.waits_until_at("_task=settings")
    visitor.click("#settings-menu li.password > a")
    visitor.waits_for("#postern-unreachable")
    assert not visitor.sees(FRAME)
    visitor.page.unroute(address)
    visitor.click("#postern-unreachable a")
    with visitor.frame():
        visitor.waits_for("#current_password")


# --- browsers that keep cookies of other sites apart, or refuse them ---


def test_without_third_party_cookies_the_partitioned_ones_suffice(new_visitor, host, person):
    visitor = log_in(new_visitor("chromium", blocks_cookies=True), host, CROSS_SITE, person)
    with page_in_frame(visitor, "password"):
        assert not visitor.script(CAN_SET_COOKIE, "plain=1; SameSite=None; Secure")
        assert visitor.script(CAN_SET_COOKIE, "apart=1; SameSite=None; Secure; Partitioned")
    change_password(visitor)


def test_without_any_cookie_of_another_site_the_panel_opens_in_a_tab_of_its_own(new_visitor, host, person):
    visitor = log_in(new_visitor("firefox", blocks_cookies=True), host, CROSS_SITE, person)
    go_to_task(visitor, "settings")
    visitor.waits_until_at("_task=settings")
    visitor.click("#settings-menu li.password > a")
    visitor.waits_for("#postern-blocked")
    visitor.in_new_tab("#postern-blocked a")
    visitor.click("main form button.primary")
    visitor.waits_until_at("/account/password")
    assert host.panel_url(CROSS_SITE) in visitor.url
    fill_in(visitor, PASSWORD, NEW_PASSWORD)
    visitor.click("#change")
    visitor.waits_for("#flashes .success")
