"""One panel and one Chromium for all tests of this folder; a fresh person and fresh browser contexts for each."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from lab.chromium import ARGUMENTS, CHROMIUM, FONTS

from .mail_server import MailServer
from .panel import Panel, Person
from .people import sign_in
from .webmail import Webmail

# Milliseconds: generous, because it is only waited out by what fails.
PATIENCE = 15_000
TELL_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", event =>
        tellViolation(`${event.violatedDirective}: ${event.blockedURI} ${event.sample} on ${location.pathname}`));
"""


@pytest.fixture(scope="package")
def webmail() -> Iterator[Webmail]:
    with Webmail() as running:
        yield running


@pytest.fixture(scope="package")
def other_webmail() -> Iterator[Webmail]:
    """Another webmail of the panel's site, which may show the panel too."""
    with Webmail() as running:
        yield running


@pytest.fixture(scope="package")
def panel(tmp_path_factory, webmail: Webmail, other_webmail: Webmail) -> Iterator[Panel]:
    directory = tmp_path_factory.mktemp("panel")
    with MailServer() as mail_server, Panel(directory, mail_server, [webmail, other_webmail]) as running:
        yield running


@pytest.fixture(scope="package")
def keys(panel: Panel, webmail: Webmail) -> None:
    """The panel knows the webmail, on its own site and on another."""
    for origin in (webmail.origin, webmail.far_origin):
        webmail.take_key(panel.flask("webmail", "add", origin))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        surroundings = os.environ | {"FONTCONFIG_FILE": str(FONTS)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS), env=surroundings)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def mail_server(panel: Panel) -> Iterator[MailServer]:
    yield panel.mail_server
    panel.mail_server.is_down = False
    panel.mail_server.connected = []


@pytest.fixture
def person(panel: Panel) -> Person:
    return panel.person()


@pytest.fixture
def new_context(chromium: Browser, panel: Panel) -> Iterator[Callable[..., BrowserContext]]:
    """`new_context(…)` is another browser of somebody's, with Playwright's options.

    Whatever happens in it, the content security policy has to hold and no script may fail.
    """
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def open_context(**options) -> BrowserContext:
        context = chromium.new_context(**{"base_url": panel.url, "locale": "en-GB"} | options)
        context.set_default_timeout(PATIENCE)
        context.expose_binding("tellViolation", lambda _, violation: complaints.append(violation))
        context.add_init_script(TELL_VIOLATIONS)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        opened.append(context)
        return context

    yield open_context
    for context in opened:
        context.close()
    assert complaints == []


@pytest.fixture
def context(new_context) -> BrowserContext:
    return new_context()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(params=[True, False], ids=["htmx", "no-script"])
def any_page(new_context, request) -> Page:
    """A page with JavaScript, and in a second run of the test one without."""
    page = new_context(java_script_enabled=request.param).new_page()
    page.has_script = request.param
    return page


@pytest.fixture
def signed_in(page: Page, person: Person) -> Page:
    """A page on which the person is signed in, on the password page."""
    return sign_in(page, person)
