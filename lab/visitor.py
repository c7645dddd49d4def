"""What a person does in a browser, whichever it is. Selectors are CSS, or XPath when they begin with two slashes."""

import contextlib
from abc import ABC, abstractmethod
from pathlib import Path

from playwright.sync_api import BrowserContext, Error, Frame, Page

from lab.servers import wait_until

FRAME = "#postern iframe"
PATIENCE_SECONDS = 20


class Visitor(ABC):
    """One person's browser. Whatever is done waits until it can be done; inside `with visitor.frame():` it is done in
    Postern's frame."""

    @abstractmethod
    def open(self, url: str) -> None: ...

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def frame_url(self) -> str: ...

    @abstractmethod
    def frame(self) -> contextlib.AbstractContextManager["Visitor"]: ...

    @abstractmethod
    def click(self, selector: str) -> None: ...

    @abstractmethod
    def type(self, selector: str, text: str) -> None: ...

    @abstractmethod
    def text(self, selector: str) -> str: ...

    @abstractmethod
    def sees(self, selector: str) -> bool:
        """Whether it is there at this moment, without waiting."""

    @abstractmethod
    def script(self, code: str, *values: object) -> object:
        """What a function with this body returns; `arguments` are the values."""

    @abstractmethod
    def in_new_tab(self, selector: str) -> None:
        """Click on what opens a tab, and go on in that one."""

    @abstractmethod
    def save_picture(self, file: Path) -> None: ...

    def waits_for(self, selector: str) -> None:
        """Raises `TimeoutError` when it does not come."""
        wait_until(lambda: self.sees(selector), f"{selector} is there", PATIENCE_SECONDS)

    def waits_until_at(self, part: str) -> None:
        wait_until(lambda: part in self.url, f"the page is at {part}", PATIENCE_SECONDS)


class Chromium(Visitor):
    """A page of Playwright's."""

    def __init__(self, context: BrowserContext):
        self._context = context
        self.page = context.new_page()
        self._scope: Page | Frame = self.page

    def open(self, url: str) -> None:
        self.page.goto(url)

    @property
    def url(self) -> str:
        return self.page.url

    @property
    def frame_url(self) -> str:
        return self._frame().url

    @contextlib.contextmanager
    def frame(self):
        self._scope = self._frame()
        try:
            yield self
        finally:
            self._scope = self.page

    def click(self, selector: str) -> None:
        self._scope.locator(selector).filter(visible=True).first.click()

    def type(self, selector: str, text: str) -> None:
        self._scope.locator(selector).filter(visible=True).first.fill(text)

    def text(self, selector: str) -> str:
        return self._scope.locator(selector).filter(visible=True).first.inner_text()

    def sees(self, selector: str) -> bool:
        with contextlib.suppress(Error):  # the page is just being left
            return self._scope.locator(selector).filter(visible=True).count() > 0
        return False

    def script(self, code: str, *values: object) -> object:
        return self._scope.evaluate(f"values => (function () {{ {code} }}).apply(null, values)", list(values))

    def in_new_tab(self, selector: str) -> None:
        with self._context.expect_page() as opened:
            self.click(selector)
        self.page = self._scope = opened.value

    def save_picture(self, file: Path) -> None:
        self.page.screenshot(path=str(file))

    def _frame(self) -> Frame:
        element = self.page.wait_for_selector(FRAME, state="attached")
        return element.content_frame()
