"""The database locked or full, and the worker killed while it delivers."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

import database as db
from actions.ground.ports import Ports
from actions.passwords import passwords
from database import database
from doctor import storage
from lab.served_panel import PROGRAMS, ROOT
from lab.servers import BlackHole, MailSink, wait_until
from models import Account, AuditEvent, OneTimeLink, Organisation, OutboxItem, WebSession
from settings import Settings
from tests.client import Client, Page
from tests.conftest import PASSWORD, app_of
from tests.faults.conftest import BeforeCommit

NEW_PASSWORD = "Better-Horse-8"
SHORT_LOCK = 3
# The database waits for 5 seconds; what comes on top is the rest of the request.
LONGEST_ANSWER = 9


class Lock:
    """Another program that holds SQLite's write lock."""

    def __init__(self, file: Path):
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error) -> None:
        self._connection.close()

    def take(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()


@pytest.fixture
def lock(settings: Settings) -> Iterator[Lock]:
    with Lock(settings.instance / "postern.db") as lock:
        yield lock


def change_password(client: Client, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Page:
    fields = {"Current password": current, "New password": new, "Confirm new password": new}
    return client.open("/account/password").fill(fields).press("Change")


def assert_nothing_changed(settings: Settings, account: Account, password: str = PASSWORD, changes: int = 0) -> None:
    """The old password is in force, and there is no more of a change than of those that were acknowledged."""
    assert passwords.verify(settings, Account.get_by_id(account.id).password_hash, password)
    assert AuditEvent.select().where(AuditEvent.action == "web:password:changed").count() == changes
    assert OneTimeLink.select().count() == changes
    assert OutboxItem.select().count() == 2 * changes


def test_a_short_lock_is_waited_out(client: Client, settings: Settings, anna: Account, lock: Lock):
    client.sign_in(anna.login, PASSWORD)
    lock.take()
    started = time.monotonic()
    release = threading.Timer(SHORT_LOCK, lock.let_go)
    release.start()
    page = change_password(client)
    release.join()
    assert time.monotonic() - started >= SHORT_LOCK
    assert page.status == 200
    assert passwords.verify(settings, Account.get_by_id(anna.id).password_hash, NEW_PASSWORD)


def test_a_long_lock_changes_nothing_and_is_said(client: Client, settings: Settings, anna: Account, lock: Lock):
    client.sign_in(anna.login, PASSWORD)
    lock.take()
    started = time.monotonic()
    page = change_password(client)
    assert time.monotonic() - started < LONGEST_ANSWER
    assert_said(page)
    assert_nothing_changed(settings, anna)
    lock.let_go()
    assert change_password(client).status == 200


def test_a_long_lock_at_the_commit_changes_nothing(ports: Ports, settings: Settings, anna: Account, lock: Lock):
    client = Client(app_of(settings, replace(ports, breaches=BeforeCommit(lock.take))), settings.base_url)
    client.sign_in(anna.login, PASSWORD)
    assert_said(change_password(client))
    assert_nothing_changed(settings, anna)


def test_a_full_disk_changes_nothing_and_is_said(client: Client, settings: Settings, anna: Account):
    client.sign_in(anna.login, PASSWORD)
    current, changes = PASSWORD, 0
    with full_disk():
        # A page that is not quite full still takes a row or two.
        while (page := change_password(client, current, f"Better-Horse-{changes}!")).status == 200:
            current, changes = f"Better-Horse-{changes}!", changes + 1
        assert_said(page)
        assert_nothing_changed(settings, anna, current, changes)
        assert client.open("/account/password").status == 200
    assert change_password(client, current).status == 200


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Every connection finds that the file cannot grow."""
    pages = database.execute_sql("PRAGMA page_count").fetchone()[0]
    database.pragma("max_page_count", pages, permanent=True)
    yield
    database.pragma("max_page_count", 2**30, permanent=True)


def pend_a_flash() -> None:
    """The next page says a sentence once, which it has to write down."""
    WebSession.update(data={"_flashes": [["success", "Saved."]]}).execute()


def test_a_page_that_only_reads_is_shown_while_nothing_can_be_written(client: Client, anna: Account, lock: Lock):
    client.sign_in(anna.login, PASSWORD)
    pend_a_flash()
    lock.take()
    page = client.open("/account/password")
    assert (page.status, page.flashes) == (200, ["Saved."])
    # So is one of a session whose use is to be noted.
    lock.let_go()
    WebSession.update(seen_at=WebSession.seen_at - 60).execute()
    lock.take()
    started = time.monotonic()
    page = client.open("/account/password")
    assert (page.status, page.flashes) == (200, ["Saved."])
    assert time.monotonic() - started < LONGEST_ANSWER
    lock.let_go()
    assert client.open("/account/password").flashes == ["Saved."]
    assert client.open("/account/password").flashes == []


def test_a_page_that_only_reads_is_shown_on_a_full_disk(client: Client, anna: Account, caplog):
    client.sign_in(anna.login, PASSWORD)
    long = "x" * 20_000
    WebSession.update(data={"_flashes": [["success", "Saved."]], "long": long}).execute()
    with full_disk():
        WebSession.update(data={"_flashes": [["success", "Saved."]]}).execute()
        assert client.open("/account/password").flashes == ["Saved."]
        for number in range(50):
            page = change_password(client, PASSWORD, f"Better-Horse-{number}!")
            if page.status != 200:
                break
            change_password(client, f"Better-Horse-{number}!", PASSWORD)
    assert_said(page)
    assert "database or disk is full" in caplog.text
    assert "cannot rollback" not in caplog.text


@contextlib.contextmanager
def damaged(file: Path, *tables: str) -> Iterator[None]:
    """The pages that these tables, or all, begin at hold nonsense, and then again what they held."""
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    size = database.execute_sql("PRAGMA page_size").fetchone()[0]
    roots = dict(database.execute_sql("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'").fetchall())
    database.close()
    before = file.read_bytes()
    after = bytearray(before)
    for table in tables or roots:
        after[(roots[table] - 1) * size : roots[table] * size] = b"?" * size
    file.write_bytes(after)
    yield
    file.write_bytes(before)


@pytest.mark.parametrize("tables", [(), ("mailbox",), ("web_session",)], ids=["all", "navigation", "session"])
def test_a_damaged_file_is_said_and_well_again_once_it_is_put_back(
    client: Client, settings: Settings, anna: Account, tables: tuple[str, ...], caplog
):
    client.sign_in(anna.login, PASSWORD)
    with damaged(settings.instance / "postern.db", *tables):
        assert client.open("/nothing-here").status in (404, 503)
        for address in ("/account/password", "/devices/"):
            page = client.open(address)
            assert_said(page)
            (number,) = re.findall(r"number (\w{8})\b", page.text)
            assert f"number {number}: database disk image is malformed" in caplog.text
    assert client.open("/account/password").status == 200
    assert change_password(client).status == 200


@pytest.mark.parametrize("tables", [(), ("mailbox",), ("audit_event",)], ids=["all", "mailboxes", "events"])
def test_the_doctor_finds_damage_wherever_it_is(settings: Settings, anna: Account, tables: tuple[str, ...]):
    assert all(finding.well for finding in storage.damage(None))
    with damaged(settings.instance / "postern.db", *tables):
        assert not all(finding.well for finding in storage.damage(None))
        database.close()
    assert all(finding.well for finding in storage.damage(None))


def assert_said(page: Page) -> None:
    """A sentence of ours, with the status of something that passes."""
    assert page.status == 503
    assert page.title
    assert page.headers["Retry-After"]


@pytest.fixture
def start_worker(environment: dict[str, str], settings: Settings) -> Iterator[Callable[[str], subprocess.Popen]]:
    """`start_worker(smtp_url)` runs the operator's command `flask worker` until the test ends."""
    with contextlib.ExitStack() as running:

        def start(smtp_url: str) -> subprocess.Popen:
            worker = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
                cwd=ROOT,
                env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}"} | environment | {"POSTERN_SMTP_URL": smtp_url},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running.callback(kill, worker)
            return worker

        yield start


def kill(worker: subprocess.Popen) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait()


class DeafSink(MailSink):
    """Keeps what it gets, and never says so."""

    async def handle_DATA(self, server, session, envelope) -> str:
        await super().handle_DATA(server, session, envelope)
        return await asyncio.Event().wait()


def test_a_worker_killed_before_it_delivered_loses_nothing(
    client: Client, anna: Account, start_worker: Callable[[str], subprocess.Popen], mail_sink: MailSink
):
    client.sign_in(anna.login, PASSWORD)
    change_password(client)
    with BlackHole() as deaf:
        worker = start_worker(f"smtp://127.0.0.1:{deaf.port}")
        wait_until(is_leased, "the worker has taken a notice")
        kill(worker)
    let_leases_lapse()
    start_worker(mail_sink.url)
    assert recipients_when_delivered(mail_sink) == sorted([anna.login, anna.contact_email])


def test_a_worker_killed_after_it_delivered_sends_at_most_one_duplicate(
    client: Client, anna: Account, start_worker: Callable[[str], subprocess.Popen], mail_sink: MailSink
):
    client.sign_in(anna.login, PASSWORD)
    change_password(client)
    with DeafSink() as sink:
        worker = start_worker(sink.url)
        (taken,) = sink.wait_for(1, seconds=30)
        kill(worker)
    let_leases_lapse()
    start_worker(mail_sink.url)
    assert recipients_when_delivered(mail_sink) == sorted([anna.login, anna.contact_email])
    identities = [received.message["Message-ID"] for received in mail_sink.messages]
    assert identities.count(taken.message["Message-ID"]) == 1


def test_what_was_written_stays_when_another_program_closes_the_database(settings: Settings, database: None):
    """As when an operator reads it with `sqlite3` while Postern serves. A further connection of this process comes
    before, because SQLite's locks are those of the whole process."""
    file = settings.database_url.removeprefix("sqlite:///")
    in_another_thread(lambda: Account.select().count())
    in_another_program(file)
    Organisation.create(name="Written afterwards")
    assert "Written afterwards" in in_another_program(file)


def in_another_thread(read: Callable[[], object]) -> None:
    def run() -> None:
        with db.database.connection_context():
            read()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def in_another_program(file: str) -> str:
    """The organisations as another process reads them, which then closes the database."""
    program = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT name FROM organisation').fetchall())"
    )
    return subprocess.run([sys.executable, "-c", program, file], check=True, capture_output=True, text=True).stdout


def is_leased() -> bool:
    return OutboxItem.select().where(OutboxItem.leased_until > 0).exists()


def let_leases_lapse() -> None:
    """As if the minute had passed for which the killed worker had its item to itself."""
    OutboxItem.update(leased_until=0).execute()


def recipients_when_delivered(sink: MailSink) -> list[str]:
    """Who got what the sink received, once nothing is left in the outbox."""
    wait_until(lambda: not OutboxItem.open_items().exists(), "everything is delivered")
    return sorted(recipient for received in sink.messages for recipient in received.recipients)
