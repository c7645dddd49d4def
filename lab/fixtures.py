"""Fixtures over `lab.servers`: load them with `pytest_plugins = ["lab.fixtures"]`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.mail_host import MailHost, running_mail_host
from lab.servers import Dovecot, MailSink, MariaDB, mail_settings

DATABASES = ("sqlite", "mariadb")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """One MariaDB for the whole run; it starts when the first test asks for it."""
    with MariaDB() as server:
        yield server


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database for each test, on SQLite and again on MariaDB."""
    with _fresh_database(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh, empty database for all tests of a module, on SQLite and again on MariaDB."""
    with _fresh_database(request, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="module")
def mail_host(request: pytest.FixtureRequest, module_database_url: str, tmp_path_factory) -> Iterator[MailHost]:
    """A mail host for all tests of a module, on SQLite and again on MariaDB."""
    server = request.getfixturevalue("mariadb_server") if module_database_url.startswith("mysql:") else None
    with running_mail_host(module_database_url, server, tmp_path_factory.mktemp("instance")) as host:
        yield host


@pytest.fixture
def start_dovecot(tmp_path: Path) -> Iterator[Callable[..., Dovecot]]:
    """`start_dovecot(database_url, **settings)` runs the generated configuration until the test ends.

    The database must be migrated before: for SQLite its owner is looked up.
    """
    with contextlib.ExitStack() as running:

        def start(database_url: str, **changes: object) -> Dovecot:
            return running.enter_context(Dovecot(mail_settings(database_url, tmp_path, **changes)))

        yield start


@pytest.fixture
def mail_sink() -> Iterator[MailSink]:
    """An SMTP server that keeps what it gets."""
    with MailSink() as sink:
        yield sink


@contextlib.contextmanager
def _fresh_database(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{directory / 'postern.db'}"
        return
    server = request.getfixturevalue("mariadb_server")
    url = server.create_database()
    try:
        yield url
    finally:
        server.drop_database(url)
