"""A browser without JavaScript, for tests, that finds things as a person does and checks every page it is shown.

Fields are found by their labels and buttons by their words. Whatever is answered must carry the security headers;
every HTML page must be well-formed in the ways that `Page.check` lists; and no secret that was typed or handed out may
stand in any answer.
"""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlencode, urljoin, urlsplit
from xml.etree.ElementTree import Element

from flask import Flask
from werkzeug.test import TestResponse

from lab.actors import BROWSER
from lab.html_tree import TreeReader, words

FOCUSABLE = frozenset(("input", "select", "textarea", "output", "button", "meter", "progress"))
BUTTONS_WITHOUT_FORM = ("button", "reset")
LONGEST_JOURNEY = 5
REDIRECTS = (301, 302, 303, 307, 308)


class Page:
    """An answer, as a person sees it."""

    def __init__(self, client: "Client", address: str, response: TestResponse):
        self.client, self.address, self.response = client, address, response
        self.status = response.status_code
        self.headers = response.headers
        # The body of a redirect is the framework's, and nobody reads it.
        self.is_html = response.mimetype == "text/html" and bool(response.data) and self.status not in REDIRECTS
        self.tree = TreeReader().tree(response.text) if self.is_html else Element("document")
        self._typed: dict[Element, str] = {}

    @property
    def path(self) -> str:
        return urlsplit(self.address).path

    @property
    def title(self) -> str:
        return words(self.tree.find(".//h1"))

    @property
    def text(self) -> str:
        """The words of the page's own part, without header and dialog."""
        main = self.tree.find(".//main")
        return words(self.tree if main is None else main)

    @property
    def flashes(self) -> list[str]:
        region = self.tree.find(".//*[@id='flashes']")
        return [] if region is None else [words(flash) for flash in self._with_class("flash", region)]

    @property
    def errors(self) -> list[str]:
        """The sentences beside the fields."""
        return [words(error) for error in self._with_class("error") if error.tag == "p"]

    @property
    def links(self) -> dict[str, str]:
        """The addresses of the page's links by their words."""
        return {words(link): link.get("href") for link in self.tree.iter("a")}

    @property
    def buttons(self) -> list[str]:
        return [words(button) for form in self.tree.iter("form") for button in self._submitters(form)]

    def value(self, label: str) -> str:
        """What stands in a field."""
        return _value(self._field(label))

    def error_of(self, label: str) -> str:
        """The sentence beside a field, found as a screen reader does; empty when there is none."""
        described = self._field(label).get("aria-describedby", "").split()
        return " ".join(words(self._by_id(each)) for each in described if each.endswith("-error"))

    def fill(self, values: dict[str, str]) -> "Page":
        """Type into the fields with these labels."""
        for label, value in values.items():
            field = self._field(label)
            self._typed[field] = value
            if field.get("type") == "password" and value:
                self.client.secrets.add(value)
        return self

    def choose(self, label: str) -> "Page":
        """Choose the radio button with this label."""
        chosen = self._field(label)
        for other in self._fields_of(self._form_of(chosen)):
            if other.get("name") == chosen.get("name"):
                other.attrib.pop("checked", None)
        chosen.set("checked", "")
        return self

    def tick(self, label: str, ticked: bool = True) -> "Page":
        """Tick the box with this label, or untick it."""
        box = self._field(label)
        box.attrib.pop("checked", None)
        if ticked:
            box.set("checked", "")
        return self

    def press(self, text: str, **headers: str) -> "Page":
        """Press the button with these words; the page that it leads to."""
        form, button = self._button(text)
        if form.get("role") == "search":
            address = urljoin(self.address, form.get("action", ""))
            return self.client.open(f"{address}?{urlencode(self._content(form, button))}", **self._from_here(headers))
        assert form.get("method", "get") == "post"
        action = button.get("formaction") or form.get("action", "")
        return self.client.post(urljoin(self.address, action), self._content(form, button), **self._from_here(headers))

    def follow(self, text: str) -> "Page":
        """Follow the link with these words."""
        return self.client.open(urljoin(self.address, self.links[text]), **self._from_here())

    def _from_here(self, headers: dict[str, str] | None = None) -> dict[str, str]:
        """With the address of this page, as our policy has browsers say."""
        return {"Referer": urljoin(self.client.base_url, self.address).partition("#")[0]} | (headers or {})

    def content_of(self, button: str) -> list[tuple[str, str]]:
        """What pressing this button would send."""
        return self._content(*self._button(button))

    def check(self, secrets: frozenset[str] | set[str]) -> None:
        """Raise `AssertionError` for what no answer of Postern may be."""
        self._check_headers()
        for secret in secrets:
            assert secret.encode() not in self.response.data, "a secret stands in the answer"
        assert b"$argon2" not in self.response.data
        if self.is_html:
            self._check_markup()
            if self.response.text.lstrip().lower().startswith("<!doctype"):
                self._check_page()

    def _check_headers(self) -> None:
        policy = self.headers["Content-Security-Policy"]
        assert ("frame-ancestors 'none'" in policy) == (self.headers.get("X-Frame-Options") == "DENY")
        assert "frame-ancestors " in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert self.headers["X-Content-Type-Options"] == "nosniff"
        assert self.headers["Referrer-Policy"] == "same-origin"
        kept = self.headers["Cache-Control"]
        may_be_kept = self.path.startswith(("/assets/", "/static/")) and self.status in (200, 304)
        assert may_be_kept or kept == "no-store", kept

    def _check_markup(self) -> None:
        ids = Counter(element.get("id") for element in self.tree.iter() if element.get("id"))
        assert not [each for each, count in ids.items() if count > 1], ids
        nonce = re.search(r"'nonce-([^']+)'", self.headers["Content-Security-Policy"])[1]
        for element in self.tree.iter():
            self._check_element(element, nonce)
        for form in self.tree.iter("form"):
            if form.get("role") == "search":
                self._check_search(form)
                continue
            assert form.get("method") == "post", "a form without a method puts what was typed into the address"
            names = [field.get("name") for field in self._fields_of(form)]
            assert names.count("csrf_token") == 1, f"{names}: a form without its token"
        for label in self.tree.iter("label"):
            assert self._by_id(label.get("for")).tag in FOCUSABLE, f"{words(label)} is the label of nothing"

    def _check_search(self, form: Element) -> None:
        """What is searched for may stand in an address; a secret or a token may not."""
        assert form.get("method") == "get"
        kinds = {field.get("type", field.tag) for field in self._fields_of(form)}
        assert kinds <= {"search", "text", "select", "date"}, kinds

    @staticmethod
    def _check_element(element: Element, nonce: str) -> None:
        assert element.tag != "style"
        assert not [name for name in element.attrib if name == "style" or name.startswith(("on", "hx-on"))]
        assert not (element.tag == "script" and words(element)), "a script in the page"
        if element.tag == "script" or element.get("rel") == "stylesheet":
            assert element.get("nonce") == nonce
        # <hx-partial> is htmx's own element: what it holds is checked, its target is not the page's.
        if element.tag != "hx-partial" and any(name.startswith("hx-") for name in element.attrib):
            assert element.get("hx-nonce") == nonce

    def _check_page(self) -> None:
        headings = list(self.tree.iter("h1"))
        assert len(headings) == 1
        assert words(headings[0])
        assert words(self.tree.find(".//title")).startswith(words(headings[0]))
        assert self.tree.find("html").get("lang")
        for field in self._visible_fields():
            assert self._label_of(field) is not None, f"{field.attrib} has no label"

    def _visible_fields(self) -> Iterator[Element]:
        for field in self.tree.iter():
            if field.tag in ("select", "textarea") or (field.tag == "input" and field.get("type") != "hidden"):
                yield field

    def _label_of(self, field: Element) -> Element | None:
        return self.tree.find(f".//label[@for='{field.get('id')}']")

    def _with_class(self, name: str, within: Element | None = None) -> list[Element]:
        within = self.tree if within is None else within
        return [element for element in within.iter() if name in element.get("class", "").split()]

    def _by_id(self, name: str | None) -> Element:
        found = self.tree.find(f".//*[@id='{name}']")
        assert found is not None, f"there is no #{name}"
        return found

    def _field(self, label: str) -> Element:
        found = [each for each in self.tree.iter("label") if words(each) == label]
        assert len(found) == 1, f"{len(found)} labels say “{label}”"
        return self._by_id(found[0].get("for"))

    def _fields_of(self, form: Element) -> Iterator[Element]:
        for element in self.tree.iter():
            if element.tag in ("input", "select", "textarea") and self._form_of(element) is form:
                yield element

    def _submitters(self, form: Element) -> Iterator[Element]:
        for button in self.tree.iter("button"):
            if button.get("type") not in BUTTONS_WITHOUT_FORM and self._form_of(button) is form:
                yield button

    def _form_of(self, element: Element) -> Element | None:
        if element.get("form"):
            return self._by_id(element.get("form"))
        return next((form for form in self.tree.iter("form") if element in form.iter()), None)

    def _button(self, text: str) -> tuple[Element, Element]:
        found = [(form, b) for form in self.tree.iter("form") for b in self._submitters(form) if words(b) == text]
        assert len(found) == 1, f"{len(found)} buttons say “{text}”; there are {self.buttons}"
        return found[0]

    def _content(self, form: Element, button: Element) -> list[tuple[str, str]]:
        fields = [
            (field.get("name"), self._typed.get(field, _value(field)))
            for field in self._fields_of(form)
            if field.get("name") and (field.get("type") not in ("checkbox", "radio") or "checked" in field.attrib)
        ]
        return fields + ([(button.get("name"), button.get("value", ""))] if button.get("name") else [])


def _value(field: Element) -> str:
    if field.tag == "select":
        options = list(field.iter("option"))
        chosen = next((option for option in options if "selected" in option.attrib), options[0])
        return chosen.get("value", words(chosen))
    if field.tag == "textarea":
        return "".join(field.itertext())
    return field.get("value", "")


class Client:
    """A browser at one address; it keeps its cookies."""

    def __init__(
        self, app: Flask, base_url: str, address: str = "192.0.2.1", user_agent: str = BROWSER, **headers: str
    ):
        self._client = app.test_client()
        self.base_url = base_url
        self.address = address
        self._headers = {"User-Agent": user_agent} | headers
        # What must never stand in an answer: whatever is typed into a password field, and what tests add.
        self.secrets: set[str] = set()

    def request(self, method: str, address: str, content: object = None, **headers: str) -> Page:
        """One request, without following a redirect; header names are written with underscores."""
        response = self._client.open(
            address,
            method=method,
            data=_as_form(content),
            base_url=self.base_url,
            headers=self._headers | {name.replace("_", "-"): value for name, value in headers.items()},
            environ_base={"REMOTE_ADDR": self.address},
        )
        page = Page(self, address, response)
        page.check(self.secrets)
        return page

    def open(self, address: str, **headers: str) -> Page:
        """Go to an address, and on to where it redirects."""
        return self._arrive(self.request("GET", address, **headers), **headers)

    def post(self, address: str, content: object, **headers: str) -> Page:
        """Send a form as this site's own page does, and go to where that redirects."""
        answer = self.request("POST", address, content, **{"Sec_Fetch_Site": "same-origin"} | headers)
        return self._arrive(answer, **headers)

    def sign_in(self, login: str, password: str) -> Page:
        page = self.open("/sign-in").fill({"E-mail address": login, "Password": password})
        return page.press("Sign in")

    def cookie(self, name: str) -> str | None:
        found = self._client.get_cookie(name, domain=urlsplit(self.base_url).hostname)
        return found.value if found else None

    def set_cookie(self, name: str, value: str, domain: str = "") -> None:
        parts = urlsplit(self.base_url)
        self._client.set_cookie(name, value, domain=domain or parts.hostname, secure=parts.scheme == "https")

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self._client._cookies.values()}

    def _arrive(self, page: Page, **headers: str) -> Page:
        for _ in range(LONGEST_JOURNEY):
            if page.status not in REDIRECTS:
                return page
            onward = page.headers["Location"]
            # Written as a path of this site: browsers read //host, /\host and ///host as another one.
            assert re.match(r"/(?![/\\])", onward), onward
            page = self.request("GET", onward, **headers)
        raise AssertionError(f"redirected in a circle, at last to {page.address}")


def _as_form(content: object) -> object:
    """Pairs may name a field several times, which the test client expects as lists."""
    if not isinstance(content, list):
        return content
    form: dict[str, list[str]] = {}
    for name, value in content:
        form.setdefault(name, []).append(value)
    return form
