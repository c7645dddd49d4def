"""What the server needs for a change of password and for the password page, in this process and through uWSGI."""

import contextlib
import http.client
import os
import subprocess
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient

from actions.passwords import passwords
from actions.upkeep import demo
from app import create_app
from bench import bare
from bench.measure import Ratio, compare
from database import router
from lab.served_panel import PASSWORD, PROGRAMS, ROOT, Person, ServedPanel, csrf_token
from lab.servers import HOST, Dovecot, free_port, is_listening, mail_settings, wait_until
from settings import Settings

LOGIN = "anna@example.org"
PAGE, SIGN_IN = "/account/password", "/sign-in"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CHANGES, PAGES = 60, 400
STOP_SECONDS = 20


class Passwords:
    """The password in force, and the form's fields that put the next one in its place."""

    def __init__(self):
        self.present, self._count = PASSWORD, 0

    def change(self, token: str, **choices: str) -> dict[str, str]:
        current = self.present
        self._count += 1
        self.present = f"Vexing-Horse-{self._count}!"
        fields = {"current_password": current, "new_password": self.present, "confirm_password": self.present}
        return {"csrf_token": token} | fields | choices


class Browser:
    """A signed-in browser that opens a connection for each request and keeps nothing of the answer but its cookies."""

    def __init__(self, port: int, cookies: str):
        self._port, self._cookies = port, SimpleCookie(cookies)

    def get(self, path: str) -> bytes:
        return self._request("GET", path, 200)

    def post(self, path: str, fields: dict[str, str]) -> bytes:
        return self._request("POST", path, 303, urlencode(fields))

    def _request(self, method: str, path: str, expected: int, content: str | None = None) -> bytes:
        with contextlib.closing(http.client.HTTPConnection(HOST, self._port, timeout=30)) as connection:
            connection.request(method, path, content, {"Cookie": self._sent()} | FORM)
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status == expected, f"{answer.status} {body.decode()}"
        assert SIGN_IN not in answer.headers.get("Location", ""), "the session has ended"
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self._cookies.load(cookie)
        return body

    def _sent(self) -> str:
        return "; ".join(f"{name}={cookie.coded_value}" for name, cookie in self._cookies.items())


def change_in_process(directory: Path) -> Ratio:
    """A POST of the password form over one verify and one hash."""
    settings = demo_settings(directory)
    client = signed_in(panel(settings))
    token, known = token_of(client), Passwords()
    return compare(lambda: post(client, known.change(token)), argon2(settings), CHANGES)


def change_everywhere_with_dovecot(directory: Path) -> Ratio:
    """The same with “log me out from everywhere”, which asks a real doveadm to end the connections."""
    settings = mail_settings(f"sqlite:///{directory / 'postern.db'}", directory, demo_password=PASSWORD)
    app, known, tokens = panel(settings), Passwords(), []
    client = app.test_client()

    def sign_in_again() -> None:
        sign_in(client, known.present)
        tokens.append(token_of(client))

    with Dovecot(settings):
        return compare(
            lambda: post(client, known.change(tokens.pop(), everywhere="yes")),
            argon2(settings),
            CHANGES,
            before=sign_in_again,
        )


def change_through_uwsgi(directory: Path) -> Ratio:
    with ServedPanel(directory) as served:
        browser, known = browser_of(served), Passwords()
        token = csrf_token(browser.get(PAGE).decode())
        change = lambda: browser.post(PAGE, known.change(token))  # noqa: E731
        return compare(change, argon2(demo_settings(directory)), CHANGES)


def page_in_process(directory: Path) -> Ratio:
    """A GET of the password page over a bare route that returns the same bytes."""
    client = signed_in(panel(demo_settings(directory)))
    base = bare.create_app(client.get(PAGE).data).test_client()
    return compare(lambda: client.get(PAGE), lambda: base.get("/"), PAGES)


def page_through_uwsgi(directory: Path) -> Ratio:
    with ServedPanel(directory) as served:
        browser = browser_of(served)
        with bare_server(directory, browser.get(PAGE)) as port:
            base = Browser(port, "")
            return compare(lambda: browser.get(PAGE), lambda: base.get("/"), PAGES)


def argon2(settings: Settings) -> Callable[[], None]:
    """One verify and one hash at the panel's cost."""
    hasher = passwords.hasher(settings)
    stored = hasher.hash(PASSWORD)

    def verify_and_hash() -> None:
        hasher.verify(stored, PASSWORD)
        hasher.hash(PASSWORD)

    return verify_and_hash


def demo_settings(directory: Path) -> Settings:
    environment = {"POSTERN_INSTANCE": str(directory), "POSTERN_DEMO": "yes", "POSTERN_DEMO_PASSWORD": PASSWORD}
    return Settings.load(environment)


def panel(settings: Settings) -> Flask:
    app = create_app(settings)
    with app.app_context():
        router().run()
        demo.prepare(app.extensions["ports"])
    return app


def signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    sign_in(client, PASSWORD)
    return client


def sign_in(client: FlaskClient, password: str) -> None:
    token = csrf_token(client.get(SIGN_IN).text)
    answer = client.post(SIGN_IN, data={"csrf_token": token, "login": LOGIN, "password": password})
    assert answer.status_code == 303, answer.text


def token_of(client: FlaskClient) -> str:
    return csrf_token(client.get(PAGE).text)


def post(client: FlaskClient, fields: dict[str, str]) -> None:
    answer = client.post(PAGE, data=fields)
    assert answer.status_code == 303, answer.text
    assert SIGN_IN not in answer.location or "everywhere" in fields, "the session has ended"


def browser_of(served: ServedPanel) -> Browser:
    person = Person(served.url, LOGIN)
    assert person.sign_in()
    return Browser(served.port, person.cookies)


@contextlib.contextmanager
def bare_server(directory: Path, page: bytes) -> Iterator[int]:
    """The bare route behind a uWSGI with the panel's processes and threads; its port."""
    port, file = free_port(), directory / "page.html"
    file.write_bytes(page)
    command = (
        f"uwsgi --http-socket {HOST}:{port} --module bench.bare:app --master --processes 2 --threads 4 --lazy-apps"
    )
    command += " --die-on-term --disable-logging --post-buffering 65536"
    process = subprocess.Popen(
        [*command.split(), "--add-header", "Connection: close"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "BENCH_PAGE": str(file)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: is_listening(port), "the bare route is served")
        yield port
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
