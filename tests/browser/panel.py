"""The real panel as it is deployed: uWSGI with its worker, on a free loopback port, with a database of its own."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.mailhost.servers import free_port
from tests.sandbox import CONFINED

from .mail_server import MailServer
from .webmail import Webmail

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PASSWORD = "First-Secret-1"
NEW_PASSWORD = "Second-Secret-2"
MANAGER = "manager@example.org"
PEOPLE_AT_ONCE = 120
START_LIMIT = 60


@dataclass(frozen=True)
class Person:
    """Somebody with a mailbox that no other test uses."""

    login: str
    password: str = PASSWORD
    new_password: str = NEW_PASSWORD


class Panel:
    """A running panel, which these webmails alone may show in a frame."""

    def __init__(self, directory: Path, mail_server: MailServer, webmails: Sequence[Webmail], **settings: str):
        self.mail_server = mail_server
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = directory
        self._people_made = 0
        self._spare: list[str] = []
        self._environment = (
            _environment_without_settings()
            | {
                "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "POSTERN_INSTANCE": str(directory),
                "POSTERN_BASE_URL": self.url,
                "POSTERN_WEBMAIL_ORIGINS": " ".join(f"{each.origin} {each.far_origin}" for each in webmails),
                "POSTERN_DEMO": "yes",
                "POSTERN_DEMO_PASSWORD": PASSWORD,
                "POSTERN_DOVEADM_URL": mail_server.url,
                "POSTERN_ARGON2_MEMORY": "7168",
                "POSTERN_ARGON2_TIME": "1",
            }
            | settings
        )

    def __enter__(self) -> "Panel":
        self.flask("demo")
        with (self._directory / "uwsgi.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*CONFINED, "uwsgi", "--ini", "wsgi.ini"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        try:
            until(self._answers, START_LIMIT)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def flask(self, *words: str) -> str:
        """What one of the operator's commands prints."""
        return self._run(["flask", "--app", "wsgi", *words])

    def person(self) -> Person:
        """Somebody new. Many are made at a time, because each process start takes as long as all of them."""
        if not self._spare:
            self._spare = [f"vera.{self._people_made + number:04}@example.org" for number in range(PEOPLE_AT_ONCE)]
            self._people_made += PEOPLE_AT_ONCE
            self._run([sys.executable, "-m", "tests.browser.make_people", PASSWORD], "\n".join(self._spare))
        return Person(self._spare.pop())

    def first_password_link(self, login: str) -> str:
        """The link that the operator gets for a mailbox without a password."""
        return self.flask("mailbox", "add", login).split()[-1]

    def password_was_given_long_ago(self, person: Person) -> None:
        self._execute(f"UPDATE web_session SET password_at = 0 WHERE {OF_PERSON}", person.login)

    @contextmanager
    def speaking_to(self, person: Person, language: str) -> Iterator[None]:
        """They have chosen this language, for a while."""
        former = self._execute("SELECT language FROM account WHERE login = ?", person.login)
        self._execute("UPDATE account SET language = ? WHERE login = ?", language, person.login)
        try:
            yield
        finally:
            self._execute("UPDATE account SET language = ? WHERE login = ?", former, person.login)

    def sessions(self, person: Person) -> int:
        return self._execute(f"SELECT count(*) FROM web_session WHERE {OF_PERSON}", person.login)

    def events(self, person: Person, action: str) -> int:
        """How often this stands in the person's audit trail."""
        return self._execute(f"SELECT count(*) FROM audit_event WHERE {OF_PERSON} AND action = ?", person.login, action)

    def end_sessions(self, person: Person) -> None:
        self._execute(f"DELETE FROM web_session WHERE {OF_PERSON}", person.login)

    def _run(self, command: list[str], typed: str = "") -> str:
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, input=typed, capture_output=True, text=True, check=True
        ).stdout

    def _execute(self, statement: str, *values: object) -> int | str | None:
        """What a query finds first; None for a change."""
        with closing(sqlite3.connect(self._directory / "postern.db", timeout=10)) as database, database:
            row = database.execute(statement, values).fetchone()
        return row and row[0]

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError((self._directory / "uwsgi.log").read_text())
        try:
            with urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


OF_PERSON = "account_id = (SELECT id FROM account WHERE login = ?)"


def until(holds, limit: float = 15):
    """Wait until `holds()` is true, and return what it returned; `TimeoutError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if result := holds():
            return result
        time.sleep(0.05)
    raise TimeoutError(f"not within {limit} s: {holds}")


def _environment_without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("POSTERN_", "UWSGI_"))}
