"""Accounts for the mail server's tests, and Dovecot's own account in their database."""

import contextlib
import secrets
from collections.abc import Iterator

from argon2 import PasswordHasher

import database as db
import models
from adapters.dovecot import config as dovecot_config
from lab.migrated import migrate
from lab.servers import MariaDB
from settings import Settings

DOVECOT_ACCOUNT = {"dovecot_mysql_user": "dovecot_reads", "dovecot_mysql_password": "Views-only.1"}
CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


class Accounts:
    """Mailboxes written straight into freshly migrated tables, as far as Dovecot's views are concerned."""

    def __init__(self, database_url: str):
        self._database = db.open_database(database_url)
        with self.connected():
            migrate()
            organisation = models.Organisation.create(name="Example Ltd")
            self.service = models.Service.create(organisation=organisation, name="Mail Light")
            self.domain = models.Domain.create(service=self.service, name="example.org")

    def add(self, address: str, password: str | None, quota_bytes: int = 0, hasher: PasswordHasher = CHEAP) -> str:
        """A mailbox with its account; returns its home, relative to the mail root."""
        home = f"example.org/{secrets.token_hex(4)}"
        with self.connected():
            account = models.Account.create(login=address, password_hash=password and hasher.hash(password))
            models.Mailbox.create(
                domain=self.domain, account=account, address=address, home=home, quota_bytes=quota_bytes
            )
        return home

    def set_password(self, address: str, password: str, hasher: PasswordHasher = CHEAP) -> None:
        self._update(address, password_hash=hasher.hash(password))

    def set_state(self, address: str, state: str) -> None:
        self._update(address, state=state)

    def set_home(self, address: str, home: str) -> None:
        with self.connected():
            models.Mailbox.update(home=home).where(models.Mailbox.address == address).execute()

    def hash_of(self, address: str) -> str:
        with self.connected():
            return models.Account.by_login(address).password_hash

    def _update(self, address: str, **columns: object) -> None:
        with self.connected():
            models.Account.update(**columns).where(models.Account.login == address).execute()

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Postern's models work on this database, in this thread."""
        db.database.initialize(self._database)
        with self._database.connection_context():
            yield


def grant(server: MariaDB, settings: Settings) -> None:
    """Make Dovecot's own account, as the operator does."""
    server.execute(*filter(str.strip, dovecot_config.grants(settings).split(";")))
