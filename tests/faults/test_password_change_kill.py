"""`kill -9` of the worker in the midst of a change of several passwords, and a database that is locked: afterwards each
mailbox has its old password or the one in the archive that was sent, and nothing was sent but once."""

import csv
import io
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import pyzipper
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

import database as db
import worker
from actions.ground.unit_of_work import UnitOfWork
from actions.password_changes import password_changes
from actions.password_changes.password_changes import Choice, WantedChange
from adapters.demo_mail import Kept
from lab.actors import acting
from lab.served_panel import ROOT
from lab.servers import wait_until
from models import PasswordChange
from tests.conftest import PASSWORD

KEY = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){4}")
WANTED = WantedChange("+39 333 123 4567", "Mara Lind", "mara@elsewhere.example.com", everywhere=True)
PATIENCE = 120
# So dear that a kill falls into it, and not so dear that a run of two hundred takes long.
HASHING = {"POSTERN_ARGON2_MEMORY": "19456", "POSTERN_ARGON2_TIME": "2"}
# How long a worker lives at most once it has the change: about as long as a few of its steps take in that state. What
# waits to be sent is not the worker's to take: there it lives long enough to start and to send.
LONGEST_RESPITE = {PasswordChange.PREPARING: 0.5, PasswordChange.SENDING: 1, PasswordChange.CHANGING: 0.05}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | HASHING | {"POSTERN_DEMO": "yes", "POSTERN_SMS_URL": "demo:", "POSTERN_DOVEADM_URL": ""}


class Worker:
    """The worker as a process of its own, which is killed and started again."""

    def __init__(self, environment: dict[str, str], records: "Records"):
        self._environment = environment | {"PATH": os.environ["PATH"]}
        self._records = records
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Begin; returns when it is at work on the change, or that is over."""
        self._records.let_go()
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._records.is_taken, "the worker takes the change", PATIENCE)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class Records:
    """What stands in the database, read from outside."""

    def __init__(self, file: Path):
        self._file = file

    def state(self) -> str:
        return self._rows("SELECT state FROM password_change")[0][0]

    def is_over(self) -> bool:
        return self.state() in PasswordChange.OVER

    def is_past_preparing(self) -> bool:
        return self.state() != PasswordChange.PREPARING

    def is_past_sending(self) -> bool:
        return self.state() not in (PasswordChange.PREPARING, PasswordChange.SENDING)

    def is_taken(self) -> bool:
        return (
            self.is_over()
            or self.state() == PasswordChange.SENDING
            or self._rows("SELECT leased_by FROM password_change")[0][0] != ""
        )

    def let_go(self) -> None:
        """As if the leases of a killed worker on the change and its e-mails had run out."""
        with closing(sqlite3.connect(self._file, timeout=30)) as connection, connection:
            connection.execute("UPDATE password_change SET leased_until = 0, leased_by = ''")
            connection.execute("UPDATE outbox_item SET leased_until = 0, next_try_at = 0 WHERE delivered_at IS NULL")

    def hashes(self) -> dict[str, str]:
        return {address: stored for address, stored, _ in self.hashes_and_issued()}

    def hashes_and_issued(self) -> list[tuple[str, str, int]]:
        """Of each mailbox what opens it and how often a password was issued, both as they were at one moment."""
        issued = "action = 'web:password:issued' AND account_login = a.login"
        return self._rows(
            f"SELECT address, password_hash, (SELECT count(*) FROM audit_event WHERE {issued})"
            " FROM mailbox JOIN account a ON a.id = account_id"
        )

    def undelivered(self) -> int:
        return self._rows("SELECT count(*) FROM outbox_item WHERE delivered_at IS NULL")[0][0]

    def is_sound(self) -> bool:
        return self._rows("PRAGMA integrity_check") == [("ok",)] and not self._rows("PRAGMA foreign_key_check")

    def _rows(self, query: str) -> list[tuple]:
        with closing(sqlite3.connect(self._file, timeout=30)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def records(environment) -> Records:
    return Records(Path(environment["POSTERN_INSTANCE"]) / "postern.db")


def matches(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except VerifyMismatchError:
        return False


def started_change(ports, people, count: int) -> PasswordChange:
    """A change of this many mailboxes, confirmed by its manager, before any worker has seen it."""
    for number in range(count):
        people.add(f"person{number:03}")
    actor = acting(people.add_manager())
    change = password_changes.draft(UnitOfWork(ports, actor), people.domain, Choice(everyone=True), WANTED)
    password_changes.start(UnitOfWork(ports, actor), change, PASSWORD)
    return change


def sent_archives(instance: Path) -> list[dict[str, str]]:
    """What was sent: each archive that a sent key opens, password by address."""
    keys = {KEY.search(message.get_content())[0] for message in Kept(instance / "demo-sms").messages()}
    assert len(keys) == 1, "keys of several archives were sent"
    found = []
    for letter in Kept(instance / "demo-mail").messages():
        for file in letter.iter_attachments():
            with pyzipper.AESZipFile(io.BytesIO(file.get_content())) as archive:
                archive.setpassword(next(iter(keys)).encode())
                found.append(dict(list(csv.reader(io.StringIO(archive.read("list.csv").decode("utf-8-sig"))))[1:]))
    return found


def test_a_few_kills(ports, people, environment, records):
    kill_and_compare(ports, people, environment, records, kills=4, count=50)


@pytest.mark.long
def test_fifty_kills(ports, people, environment, records):
    states = kill_and_compare(ports, people, environment, records, kills=50, count=200)
    assert states[PasswordChange.PREPARING] >= 5
    assert states[PasswordChange.CHANGING] >= 3


def kill_and_compare(ports, people, environment, records, kills: int, count: int) -> Counter:
    """Kill at moments that nobody chose, check what holds at each, and let it come to its end; the states in which
    the kills fell."""
    old = started_change(ports, people, count) and records.hashes()
    db.database.close()
    running, fell, seen = Worker(environment, records), Counter(), {}
    try:
        for number in range(kills):
            running.start()
            if number >= kills // 2:
                wait_until(records.is_past_preparing, "everything is prepared", PATIENCE)
            if number > kills // 2:
                wait_until(records.is_past_sending, "everything is sent", PATIENCE)
            # The moment of the kill is what is drawn here; nothing is waited for.
            threading.Event().wait(random.uniform(0, LONGEST_RESPITE.get(records.state(), 0)))
            running.kill()
            fell[records.state()] += 1
            compare(old, records, seen)
        running.start()
        wait_until(records.is_over, "the change comes to its end", PATIENCE)
        wait_until(lambda: not records.undelivered(), "everything is delivered", PATIENCE)
    finally:
        running.kill()
    assert records.state() == PasswordChange.DONE
    compare(old, records, seen)
    archives = sent_archives(Path(environment["POSTERN_INSTANCE"]))
    assert all(archive == archives[0] for archive in archives)
    assert len(archives) <= 1 + kills
    assert records.hashes().keys() == archives[0].keys()
    assert all(matches(stored, archives[0][address]) for address, stored in records.hashes().items())
    assert all(issued == 1 for _, _, issued in records.hashes_and_issued())
    assert fell.total() - fell[PasswordChange.DONE] >= kills / 2, f"the kills fell beside the change: {fell}"
    assert records.is_sound()
    return fell


def compare(old: dict[str, str], records: Records, seen: dict[str, str]) -> None:
    """Whatever is not the old password was written down as issued in the same breath, and never changes again."""
    for address, stored, issued in records.hashes_and_issued():
        assert (stored != old[address]) == bool(issued), address
        if stored != old[address]:
            assert seen.setdefault(address, stored) == stored


def test_a_locked_database_is_waited_out(ports, people, records, environment, monkeypatch):
    monkeypatch.setitem(db.SQLITE_PRAGMAS, "busy_timeout", 50)
    monkeypatch.setattr(worker, "AFTER_TROUBLE", 0.05)
    ports = replace(ports, settings=replace(ports.settings, argon2_memory=7168, argon2_time=1))
    change = started_change(ports, people, 30)
    old = records.hashes()
    db.database.close()
    db.open_database(ports.settings.database_url)
    stop = threading.Event()
    running = threading.Thread(target=worker.run, args=(ports, stop))
    running.start()
    try:
        for _ in range(6):
            hold_the_database(Path(environment["POSTERN_INSTANCE"]) / "postern.db", random.uniform(0.1, 0.3))
            threading.Event().wait(random.uniform(0, 0.1))
            compare(old, records, {})
        wait_until(records.is_over, "the change comes to its end", PATIENCE)
    finally:
        stop.set()
        running.join()
    assert records.state() == PasswordChange.DONE
    key = KEY.search(ports.sms.sent[0].text)[0]
    (made,) = [made for made in ports.archiver.made if made.password == key]
    archive = dict(list(csv.reader(io.StringIO(made.entries[-1].content.decode("utf-8-sig"))))[1:])
    assert all(matches(stored, archive[address]) for address, stored in records.hashes().items())
    assert change.items.count() == 30


def hold_the_database(file: Path, seconds: float) -> None:
    """Nobody else writes for so long."""
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        threading.Event().wait(seconds)
        connection.execute("ROLLBACK")
