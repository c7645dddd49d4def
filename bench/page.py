"""What a browser fetches when it opens the password page for the first time."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from lab.served_panel import PASSWORD, ServedPanel

LOGIN = "anna@example.org"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@dataclass
class Load:
    """Requests and bytes on the wire, headers included."""

    requests: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def cold_load(directory: Path) -> Load:
    """Sign in, empty the cache, and open the page."""
    with ServedPanel(directory) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{served.url}/sign-in")
        page.get_by_label("E-mail address").fill(LOGIN)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/overview/", wait_until="networkidle")
        load = _watched(page, f"{served.url}/account/password")
        browser.close()
    return load


def _watched(page: Page, address: str) -> Load:
    load = Load()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.clearBrowserCache")
    network.on("Network.requestWillBeSent", lambda event: _note(load, event))
    network.on("Network.loadingFinished", lambda event: _weigh(load, event))
    page.goto(address, wait_until="networkidle")
    return load


def _note(load: Load, event: dict) -> None:
    if urlsplit(event["request"]["url"]).scheme in ("http", "https"):
        load.requests[event["requestId"]] = event["request"]["url"]


def _weigh(load: Load, event: dict) -> None:
    if event["requestId"] in load.requests:
        load.bytes += int(event["encodedDataLength"])
