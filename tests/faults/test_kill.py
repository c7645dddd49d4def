"""`kill -9` in the middle of password changes, under SQLite: what was acknowledged holds, and nothing is half done."""

import mailbox
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from email.policy import default
from pathlib import Path

import pytest
import requests
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from lab.served_panel import CHEAP_HASHES, Person, ServedPanel
from lab.servers import wait_until

LOGINS = ("anna@example.org", "boris@example.org", "chiara@example.org")
# Mailbox and contact address: both get an e-mail about each change.
NOTICES_A_CHANGE = 2
# Longer than a whole change takes, so that a kill falls anywhere in it.
LONGEST_RESPITE = 0.06
EVERYTHING_EVERY = 5
EVERYWHERE_EVERY = 7
DELIVERY_SECONDS = 120


class Changer(Person):
    """Somebody who keeps changing the password until the panel is killed under their hands."""

    def __init__(self, url: str, login: str):
        super().__init__(url, login)
        self.acknowledged = 0
        self.unanswered: str | None = None
        self._count = 0

    def change_until_cut_off(self, started: threading.Barrier, enough: threading.Event) -> None:
        """Change again and again; `unanswered` is then the password of the change whose answer never came."""
        started.wait()
        try:
            while not enough.is_set():
                self._change_once()
        except requests.ConnectionError:
            pass

    def _change_once(self) -> None:
        if not self.is_signed_in():
            assert self.sign_in(), f"{self.login}: an acknowledged password is refused"
        self._count += 1
        self.unanswered = f"Vexing-{self.login[0]}{self._count:05d}!"
        answer = self.change_password(self.unanswered, **self._button())
        assert answer.status_code == 303, f"{answer.status_code}: {answer.text}"
        assert "/sign-in?" not in answer.headers["Location"], "the session was lost and nothing was changed"
        self.password, self.unanswered = self.unanswered, None
        self.acknowledged += 1

    def _button(self) -> dict[str, str]:
        return {"everywhere": "yes"} if self._count % EVERYWHERE_EVERY == 0 else {}

    def settle(self, stored: str) -> bool:
        """Learn from the stored hash which password is in force; True when the unanswered change was made."""
        made = self.unanswered is not None and matches(stored, self.unanswered)
        assert made or matches(stored, self.password), f"{self.login}: the hash matches neither password"
        if made:
            self.password = self.unanswered
        self.unanswered = None
        return made


def matches(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except VerifyMismatchError:
        return False


class Records:
    """What stands in the panel's database, read from outside."""

    def __init__(self, file: Path):
        self._file = file

    def hashes(self) -> dict[str, str]:
        return dict(self._rows("SELECT login, password_hash FROM account"))

    def changes(self) -> Counter:
        return self._counted("SELECT account_login FROM audit_event WHERE action = 'web:password:changed'")

    def links(self) -> Counter:
        """The "This wasn't me" links."""
        query = "SELECT login FROM one_time_link l JOIN account a ON a.id = l.account_id WHERE purpose = 'disown'"
        return self._counted(query)

    def notices(self) -> Counter:
        """The notices that were sent or still can be."""
        return self._counted(
            "SELECT login FROM outbox_item o JOIN account a ON a.id = o.account_id WHERE kind = 'mail'"
            " AND given_up_at IS NULL AND (delivered_at IS NOT NULL OR payload != '')"
        )

    def undelivered(self) -> int:
        return self._rows("SELECT count(*) FROM outbox_item WHERE delivered_at IS NULL")[0][0]

    def is_sound(self) -> bool:
        return self._rows("PRAGMA integrity_check") == [("ok",)] and not self._rows("PRAGMA foreign_key_check")

    def make_due(self) -> None:
        """As if the minute had passed for which a killed worker had its items to itself."""
        with closing(sqlite3.connect(self._file, timeout=30)) as connection, connection:
            connection.execute("UPDATE outbox_item SET leased_until = 0, next_try_at = 0 WHERE delivered_at IS NULL")

    def _counted(self, query: str) -> Counter:
        return Counter(login for (login,) in self._rows(query))

    def _rows(self, query: str) -> list[tuple]:
        with closing(sqlite3.connect(self._file, timeout=30)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[ServedPanel]:
    with ServedPanel(tmp_path, **CHEAP_HASHES) as panel:
        yield panel


def test_nothing_is_lost_in_a_few_kills(panel: ServedPanel):
    kill_and_compare(panel, kills=12)


@pytest.mark.long
def test_nothing_is_lost_in_two_hundred_kills(panel: ServedPanel):
    kill_and_compare(panel, kills=200)


def kill_and_compare(panel: ServedPanel, kills: int) -> None:
    records = Records(panel.database)
    people = [Changer(panel.url, login) for login in LOGINS]
    expected, interrupted = Counter(), 0
    for number in range(kills):
        change_until_killed(panel, people, everything=number % EVERYTHING_EVERY == 0)
        interrupted += sum(person.unanswered is not None for person in people)
        settle(people, records, expected)
        assert records.changes() == expected
        assert records.links() == expected
        assert records.notices() == Counter({login: NOTICES_A_CHANGE * made for login, made in expected.items()})
    assert interrupted >= kills / 4, "the kills fell beside the changes"
    assert records.is_sound()
    records.make_due()
    wait_until(lambda: not records.undelivered(), "everything is delivered", DELIVERY_SECONDS)
    assert delivered_notices(panel.instance) == {login: NOTICES_A_CHANGE * made for login, made in expected.items()}


def change_until_killed(panel: ServedPanel, people: list[Changer], everything: bool) -> None:
    """Let everybody change passwords, kill at a moment that nobody chose, and have the panel answer again."""
    started, enough = threading.Barrier(len(people) + 1), threading.Event()
    failures: list[BaseException] = []

    def change(person: Changer) -> None:
        try:
            person.change_until_cut_off(started, enough)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=change, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    started.wait()
    changes = sum(person.acknowledged for person in people)
    wait_until(
        lambda: failures or sum(person.acknowledged for person in people) > changes, "somebody changed a password"
    )
    # The moment of the kill is what is drawn here; nothing is waited for.
    threading.Event().wait(random.uniform(0, LONGEST_RESPITE))
    if everything:
        panel.kill_everything()
    else:
        panel.kill_web_process(random.randrange(2))
    enough.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    if everything:
        panel.start()


def settle(people: list[Changer], records: Records, expected: Counter) -> None:
    """Add what was made since the last time: every acknowledged change, and of the unanswered ones those in force."""
    hashes = records.hashes()
    for person in people:
        expected[person.login] += person.acknowledged + person.settle(hashes[person.login])
        person.acknowledged = 0


def delivered_notices(instance: Path) -> dict[str, int]:
    """How many different notices about each account came out; one that was sent twice has one Message-ID."""
    notices = {}
    for message in mailbox.Maildir(instance / "demo-mail", factory=None, create=False):
        read = mailbox.email.message_from_bytes(message.as_bytes(), policy=default)
        notices[read["Message-ID"]] = login_in(read.get_body(("plain",)).get_content())
    return dict(Counter(notices.values()))


def login_in(text: str) -> str:
    return next(login for login in LOGINS if login in text)
