"""A database server that is restarted, or stops answering, while people use the panel."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
from peewee import OperationalError

import database as db
from actions.ground.ports import Ports
from actions.sessions import sessions
from lab.installation import environment_of
from lab.servers import MariaDB, wait_until
from models import Account, WebSession
from settings import Settings
from tests.client import Client, Page
from tests.conftest import PASSWORD, app_of, connection_in_use
from tests.faults.conftest import BeforeCommit
from tests.faults.test_database import assert_said, change_password, pend_a_flash

BROWSERS = 8
# Of an answer that says that there is none. Whoever waits longer has waited for the silent server again and again.
LONGEST_ANSWER = 8


@pytest.fixture
def server() -> Iterator[MariaDB]:
    """A server of the test's own, because it is stopped."""
    with MariaDB() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path, server: MariaDB) -> dict[str, str]:
    return environment_of(tmp_path / "instance", server.create_database())


def test_no_connection_is_kept_to_a_server_that_takes_nothing_any_more(client: Client, anna: Account, server: MariaDB):
    """As if another node of a cluster had taken its place: every new connection goes to that one."""
    client.sign_in(anna.login, PASSWORD)
    former = connection_in_use()
    server.execute("SET GLOBAL read_only = ON")
    try:
        assert_said(change_password(client))
    finally:
        server.execute("SET GLOBAL read_only = OFF")
    assert connection_in_use() != former
    assert change_password(client).status == 200


def test_a_server_that_is_down_is_said_and_its_return_is_not_noticed(client: Client, anna: Account, server: MariaDB):
    client.sign_in(anna.login, PASSWORD)
    server.stop()
    assert_said(client.open("/account/password"))
    server.start()
    assert change_password(client).status == 200
    server.stop()
    server.start()
    assert client.open("/account/password").status == 200


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, shorter: a busy machine stays well below those of the test."""
    for limit in ("SIGN_OF_LIFE", "FIRST_ANSWER", "LONGEST_STATEMENT"):
        monkeypatch.setattr(db, limit, 1)


def at_once(requests: list[Callable[[], Page]]) -> list[Page]:
    """The answers to requests of as many threads, each within the time that a person is promised."""

    def timed(request: Callable[[], Page]) -> Page:
        started = time.monotonic()
        page = request()
        assert time.monotonic() - started < LONGEST_ANSWER
        return page

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(timed, requests))


def numbers_said(pages: list[Page]) -> set[str]:
    """The number that each page gives for the operator, who finds it in the log."""
    for page in pages:
        assert_said(page)
    return {re.search(r"number (\w{8})\b", page.text)[1] for page in pages}


def test_a_frozen_server_is_said_to_everybody_in_time_and_its_return_is_noticed(
    impatient: None, new_client: Callable[..., Client], anna: Account, server: MariaDB, caplog
):
    browsers = [new_client() for _ in range(BROWSERS)]
    for browser in browsers:
        browser.sign_in(anna.login, PASSWORD)
    pend_a_flash()
    db.release_connection()
    pages = at_once([lambda browser=browser: browser.open("/account/password") for browser in browsers])
    assert [page.status for page in pages] == [200] * BROWSERS
    fields = {"Current password": PASSWORD, "New password": "Better-Horse-8", "Confirm new password": "Better-Horse-8"}
    presses = [lambda page=page: page.fill(fields).press("Change") for page in pages[::2]]
    opens = [lambda browser=browser: browser.open("/devices/") for browser in browsers[1::2]]
    with server.frozen():
        first = at_once(presses + opens)
        again = at_once(presses + opens)
    numbers = numbers_said(first + again)
    assert len(numbers) == len(first + again)
    assert all(f"number {number}: " in caplog.text for number in numbers)
    page = wait_until(lambda: (page := browsers[0].open("/account/password")).status == 200 and page, "it is well")
    assert page.fill(fields).press("Change").status == 200


def test_a_server_that_freezes_amid_a_change_is_waited_for_once(
    impatient: None, ports: Ports, settings: Settings, anna: Account, server: MariaDB
):
    app = app_of(settings, replace(ports, breaches=BeforeCommit(server.freeze)))
    client = Client(app, settings.base_url)
    client.sign_in(anna.login, PASSWORD)
    try:
        (page,) = at_once([lambda: change_password(client)])
        assert_said(page)
    finally:
        server.thaw()
    wait_until(lambda: client.open("/account/password").status == 200, "it is well")
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_a_page_of_a_server_that_freezes_where_its_session_is_noted_is_not_waited_for_twice(
    impatient: None, client: Client, anna: Account, server: MariaDB, monkeypatch: pytest.MonkeyPatch
):
    client.sign_in(anna.login, PASSWORD)
    seen = sessions.seen

    def seen_by_a_frozen_server(*arguments) -> None:
        server.freeze()
        seen(*arguments)

    monkeypatch.setattr(sessions, "seen", seen_by_a_frozen_server)
    WebSession.update(seen_at=WebSession.seen_at - 60).execute()
    try:
        (page,) = at_once([lambda: client.open("/account/password")])
        assert_said(page)
    finally:
        server.thaw()


def test_while_a_server_is_silent_one_thread_at_a_time_asks_it(server: MariaDB, impatient: None, monkeypatch):
    pool = db.open_database(server.create_database())
    asked = []
    connect = pymysql.connections.Connection.connect
    monkeypatch.setattr(pymysql.connections.Connection, "connect", lambda self: asked.append(self) or connect(self))
    with server.frozen():
        for _ in range(3):
            with pytest.raises(OperationalError):
                pool.connect()
    assert len(asked) == 1
    wait_until(lambda: _connects(pool), "it is asked again")
    assert len(asked) == 2
    pool.close()


def _connects(pool: db.Pool) -> bool:
    with contextlib.suppress(OperationalError):
        return pool.connect()
    return False
