"""One mail host for all tests of this folder, with two webmails; a fresh person and fresh browsers for each test."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from lab import dovecots
from lab.chromium import ARGUMENTS, CHROMIUM
from lab.served_panel import CHEAP_HASHES, PASSWORD
from lab.visitor import PATIENCE_SECONDS, Chromium, Visitor
from lab.webmail_client import WebmailClient
from lab.whole_host import Site, WholeHost
from models import Webmail
from settings import DOVECOT_VERSIONS
from tests.roundcube.firefox import BLOCK_ALL_CROSS_SITE_COOKIES, Firefox

SAME_SITE = Site("webmail.example.test", "account.example.test", falls_back=True)
CROSS_SITE = Site("webmail.elsewhere.test", "panel.example.test", is_cross_site=True, algorithm=Webmail.HS256)
STRANGER = "stranger.test"
WHOLE_CHROMIUM = "/usr/bin/chromium"
BLOCK_THIRD_PARTY_COOKIES = "--test-third-party-cookie-phaseout"
PEOPLE_AT_ONCE = 40


@dataclass
class People:
    """Somebody new for each test. Many are made at a time, because each process start takes as long as all of them."""

    host: WholeHost
    made: int = 0
    spare: list[str] = field(default_factory=list)

    def person(self) -> str:
        if not self.spare:
            self.spare = [f"vera.{self.made + number:04}@example.org" for number in range(PEOPLE_AT_ONCE)]
            self.made += PEOPLE_AT_ONCE
            self.host.make_people(*self.spare)
        return self.spare.pop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Most is the same whichever Dovecot there is: with the one that is not this machine's own it is for the full size.
    What the mail server judges is marked `every_dovecot`."""
    if "dovecot_version" in metafunc.fixturenames:
        is_judged_by_dovecot = metafunc.definition.get_closest_marker("every_dovecot")
        marks = {} if is_judged_by_dovecot else {dovecots.other_version(): pytest.mark.long}
        versions = [pytest.param(version, marks=marks.get(version, ())) for version in DOVECOT_VERSIONS]
        metafunc.parametrize("dovecot_version", versions, indirect=True, ids="dovecot-{}".format)


@pytest.fixture(scope="package")
def dovecot_version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="package")
def host(dovecot_version: str) -> Iterator[WholeHost]:
    named = {"POSTERN_DEMO_PASSWORD": PASSWORD, "POSTERN_DOVECOT_VERSION": dovecot_version}
    with WholeHost([SAME_SITE, CROSS_SITE], **named, **CHEAP_HASHES) as running:
        yield running


@pytest.fixture(scope="package")
def people(host: WholeHost) -> People:
    return People(host)


@pytest.fixture
def person(people: People) -> str:
    """The address of somebody whose password is `PASSWORD`, and whom no other test uses."""
    return people.person()


@pytest.fixture
def new_client(host: WholeHost) -> Callable[..., WebmailClient]:
    """`new_client()` is another browser, as far as a program needs one."""
    return lambda site=SAME_SITE, **named: WebmailClient(host, site, **named)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def start_chromium(playwright: Playwright) -> Iterator[Callable[..., Browser]]:
    """`start_chromium(blocks_cookies)`; what was started like this before is the same."""
    started: dict[bool, Browser] = {}
    mapped = ("--host-resolver-rules=MAP *.test 127.0.0.1", "--ignore-certificate-errors")

    def start(blocks_cookies: bool) -> Browser:
        if blocks_cookies not in started:
            # Which cookies are blocked is part of what surrounds a page.
            program, blocking = (WHOLE_CHROMIUM, [BLOCK_THIRD_PARTY_COOKIES]) if blocks_cookies else (CHROMIUM, [])
            options = [*ARGUMENTS, *mapped, *blocking]
            started[blocks_cookies] = playwright.chromium.launch(executable_path=program, args=options)
        return started[blocks_cookies]

    yield start
    for browser in started.values():
        browser.close()


@pytest.fixture
def new_visitor(host: WholeHost, start_chromium) -> Iterator[Callable[..., Visitor]]:
    """`new_visitor("chromium" or "firefox", …)` is another browser of somebody's."""
    names = [name for site in host.sites for name in (site.webmail, site.panel)] + [STRANGER]
    opened = contextlib.ExitStack()

    def visit(browser: str, language: str = "en-GB", width: int = 1200, blocks_cookies: bool = False) -> Visitor:
        if browser == "firefox":
            prefs = BLOCK_ALL_CROSS_SITE_COOKIES if blocks_cookies else {}
            return opened.enter_context(Firefox(names, language, width, prefs))
        chromium = start_chromium(blocks_cookies)
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, locale=language, ignore_https_errors=True
        )
        opened.callback(context.close)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        return Chromium(context)

    with opened:
        yield visit
