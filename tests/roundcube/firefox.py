"""Debian's Firefox, driven by Marionette: a new profile each, without a screen."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from marionette_driver.errors import MarionetteException
from marionette_driver.marionette import Marionette, WebElement

from lab.servers import STOP_SECONDS, free_port, wait_until
from lab.visitor import FRAME, PATIENCE_SECONDS, Visitor

FIREFOX = "/usr/bin/firefox-esr"
START_SECONDS = 60
BLOCK_ALL_CROSS_SITE_COOKIES = {"network.cookie.cookieBehavior": 1}
QUIET = {
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.disable_open_during_load": True,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "signon.rememberSignons": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox(Visitor):
    """One person's Firefox. `names` are the hosts that it finds on this machine."""

    def __init__(self, names: list[str], language: str, width: int, prefs: dict[str, object] | None = None):
        self._profile = Path(tempfile.mkdtemp(prefix="postern-firefox-"))
        self._port = free_port()
        self._width = width
        self._prefs = QUIET | {
            "intl.accept_languages": language,
            "marionette.port": self._port,
            "network.dns.localDomains": ",".join(names),
        }
        self._prefs |= prefs or {}
        self._in_frame = False

    def __enter__(self) -> Self:
        lines = (f"user_pref({_js(name)}, {_js(value)});" for name, value in self._prefs.items())
        (self._profile / "user.js").write_text("\n".join(lines))
        with (self._profile / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(self._profile)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._marionette = Marionette(host="127.0.0.1", port=self._port, socket_timeout=START_SECONDS)
            self._marionette.start_session({"acceptInsecureCerts": True}, timeout=START_SECONDS)
            self._marionette.timeout.page_load = START_SECONDS
            self._marionette.set_window_rect(width=self._width, height=900)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self._process.terminate()
        self._process.wait(STOP_SECONDS)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, url: str) -> None:
        self._marionette.switch_to_default_content()
        self._marionette.navigate(url)

    @property
    def url(self) -> str:
        self._marionette.switch_to_default_content()
        return self._marionette.get_url()

    @property
    def frame_url(self) -> str:
        with self.frame():
            return self.script("return location.href")

    @contextlib.contextmanager
    def frame(self):
        self._in_frame = True
        try:
            yield self
        finally:
            self._in_frame = False

    def click(self, selector: str) -> None:
        def scroll_and_click(element: WebElement) -> None:
            # By itself it scrolls to the edge, where in a frame something of the page around it may lie on top.
            middle = "arguments[0].scrollIntoView({block: 'center'})"
            self._marionette.execute_script(middle, script_args=[element], sandbox=None)
            element.click()

        self._with(selector, scroll_and_click)

    def type(self, selector: str, text: str) -> None:
        def fill(element: WebElement) -> None:
            element.clear()
            element.send_keys(text)

        self._with(selector, fill)

    def text(self, selector: str) -> str:
        return self._with(selector, lambda element: element.text)

    def sees(self, selector: str) -> bool:
        with contextlib.suppress(MarionetteException):
            self._enter()
            return any(element.is_displayed() for element in self._find(selector))
        return False

    def script(self, code: str, *values: object) -> object:
        self._enter()
        return self._marionette.execute_script(code, script_args=list(values), sandbox=None)

    def in_new_tab(self, selector: str) -> None:
        before = set(self._marionette.window_handles)
        self.click(selector)
        wait_until(lambda: set(self._marionette.window_handles) - before, "a tab opens", PATIENCE_SECONDS)
        (opened,) = set(self._marionette.window_handles) - before
        self._marionette.switch_to_window(opened)

    def save_picture(self, file: Path) -> None:
        self._marionette.switch_to_default_content()
        file.write_bytes(self._marionette.screenshot(format="binary", full=False))

    def _with(self, selector: str, act) -> object:
        """Do this with the first element that is to be seen, as soon as there is one and it can be done."""
        result = []

        def done() -> bool:
            try:
                self._enter()
                element = next(element for element in self._find(selector) if element.is_displayed())
                result.append(act(element))
            except (MarionetteException, StopIteration):
                return False
            return True

        wait_until(done, f"{selector} is there", PATIENCE_SECONDS)
        return result[0]

    def _enter(self) -> None:
        self._marionette.switch_to_default_content()
        if self._in_frame:
            self._marionette.switch_to_frame(self._marionette.find_element("css selector", FRAME))

    def _find(self, selector: str) -> list[WebElement]:
        method = "xpath" if selector.startswith("//") else "css selector"
        return self._marionette.find_elements(method, selector)


def _js(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'
