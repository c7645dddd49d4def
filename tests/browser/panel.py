"""The served panel with people, and with a mail server and a webmail that are played."""

import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.served_panel import CHEAP_HASHES, PASSWORD, ServedPanel

from .mail_server import MailServer
from .webmail import Webmail

NEW_PASSWORD = "Second-Secret-2"
MANAGER = "manager@example.org"
PEOPLE_AT_ONCE = 120


@dataclass(frozen=True)
class Person:
    """Somebody with a mailbox that no other test uses."""

    login: str
    password: str = PASSWORD
    new_password: str = NEW_PASSWORD


class Panel(ServedPanel):
    """A running panel, which these webmails alone may show in a frame."""

    def __init__(self, directory: Path, mail_server: MailServer, webmails: Sequence[Webmail], **settings: str):
        self.mail_server = mail_server
        self._people_made = 0
        self._spare: list[str] = []
        own = {
            "POSTERN_WEBMAIL_ORIGINS": " ".join(f"{each.origin} {each.far_origin}" for each in webmails),
            "POSTERN_DOVEADM_URL": mail_server.url,
            "POSTERN_DOVECOT_VERSION": "2.3",
        }
        super().__init__(directory, **CHEAP_HASHES | own | settings)

    def person(self) -> Person:
        """Somebody new. Many are made at a time, because each process start takes as long as all of them."""
        if not self._spare:
            self._spare = [f"vera.{self._people_made + number:04}@example.org" for number in range(PEOPLE_AT_ONCE)]
            self._people_made += PEOPLE_AT_ONCE
            self.run(sys.executable, "-m", "lab.make_people", typed="\n".join(self._spare))
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

    def let_e_mails_go(self) -> None:
        """As if the two minutes had passed for which an e-mail waits for others of its kind."""
        self._execute("UPDATE outbox_item SET next_try_at = created_at WHERE kind = 'mail' AND delivered_at IS NULL")

    def sessions(self, person: Person) -> int:
        return self._execute(f"SELECT count(*) FROM web_session WHERE {OF_PERSON}", person.login)

    def events(self, person: Person, action: str) -> int:
        """How often this stands in the person's audit trail."""
        return self._execute(f"SELECT count(*) FROM audit_event WHERE {OF_PERSON} AND action = ?", person.login, action)

    def end_sessions(self, person: Person) -> None:
        self._execute(f"DELETE FROM web_session WHERE {OF_PERSON}", person.login)

    def _execute(self, statement: str, *values: object) -> int | str | None:
        """What a query finds first; None for a change."""
        with closing(sqlite3.connect(self.database, timeout=10)) as database, database:
            row = database.execute(statement, values).fetchone()
        return row and row[0]


OF_PERSON = "account_id = (SELECT id FROM account WHERE login = ?)"


def until(holds, limit: float = 15):
    """Wait until `holds()` is true, and return what it returned; `TimeoutError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if result := holds():
            return result
        time.sleep(0.05)
    raise TimeoutError(f"not within {limit} s: {holds}")
