"""What the plugin costs in Roundcube, against Roundcube's own password plugin and against a session that holds the
password itself."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from bench.measure import WARM_UP, Ratio, compare
from bench.page import CHROMIUM
from lab.chromium import ARGUMENTS
from lab.journeys import log_in, settle
from lab.served_panel import PASSWORD
from lab.visitor import FRAME, Chromium
from lab.web_servers import PLUGINS
from lab.webmail_client import WebmailClient
from lab.whole_host import Site, WholeHost

SITE = Site("webmail.example.test", "account.example.test")
LOGIN = "anna@example.org"
VIEWS, LISTS = 30, 60
OURS, THEIRS = "plugin.postern-password", "plugin.password"


@dataclass(frozen=True)
class Views:
    """From the click on “Password” to a form that can be filled in, ours over Roundcube's own; and how many bytes ours
    takes more, headers included, the first time in a browser that has shown inbox and settings, and the next time."""

    seconds: Ratio
    first_bytes: int
    next_bytes: int


@contextlib.contextmanager
def mail_host() -> Iterator[WholeHost]:
    """With Roundcube's own password plugin beside ours; passwords cost what they cost by default."""
    with WholeHost([SITE], plugins=(*PLUGINS, "password"), POSTERN_DEMO_PASSWORD=PASSWORD) as host:
        yield host


def views(host: WholeHost) -> Views:
    with sync_playwright() as playwright:
        mapped = ["--host-resolver-rules=MAP *.test 127.0.0.1", "--ignore-certificate-errors"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *mapped])
        first, later = {}, {}
        for action in (OURS, THEIRS):
            visitor = _visitor(browser, host)
            first[action], later[action] = _bytes(visitor, action), _bytes(visitor, action)
        visitor = _visitor(browser, host)
        turns = [(_seconds(visitor, OURS), _seconds(visitor, THEIRS)) for _ in range(WARM_UP + VIEWS)]
        browser.close()
    ours, theirs = zip(*turns[WARM_UP:], strict=True)
    return Views(Ratio(median(ours), median(theirs)), first[OURS] - first[THEIRS], later[OURS] - later[THEIRS])


def _visitor(browser: Browser, host: WholeHost) -> Chromium:
    """Somebody on the inbox, in a browser with an empty cache."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1200, "height": 900})
    visitor = Chromium(context)
    log_in(visitor, host, SITE, LOGIN)
    return visitor


def mail_list(host: WholeHost) -> Ratio:
    """Roundcube's request for the inbox, with the session's credential over the same with an argon2 password."""
    panel = host.panels[SITE]
    traded = WebmailClient(host, SITE).logged_in(LOGIN, PASSWORD)
    panel.stop()
    with_password = WebmailClient(host, SITE).logged_in(LOGIN, PASSWORD)
    panel.start()
    return compare(traded.list_mail, with_password.list_mail, LISTS)


def _seconds(visitor: Chromium, action: str) -> float:
    _open_settings(visitor)
    started = time.perf_counter()
    _open(visitor.page, action)
    return time.perf_counter() - started


def _bytes(visitor: Chromium, action: str) -> int:
    """What comes over the wire until the page is at rest."""
    _open_settings(visitor)
    network = visitor.page.context.new_cdp_session(visitor.page)
    network.send("Network.enable")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    _open(visitor.page, action)
    visitor.page.wait_for_load_state("networkidle")
    network.detach()
    return int(sum(sizes))


def _open_settings(visitor: Chromium) -> None:
    visitor.page.goto(visitor.page.url.partition("?")[0] + "?_task=settings", wait_until="networkidle")
    settle(visitor)


def _open(page: Page, action: str) -> None:
    page.locator(f"#settings-menu a[href$='_action={action}']").click()
    if action == OURS:
        page.frame_locator(FRAME).locator("#current_password").wait_for()
    else:
        page.locator("#newpasswd").wait_for()
