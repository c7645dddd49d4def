"""Fixtures over `lab.servers`: load them with `pytest_plugins = ["lab.fixtures"]`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.mail_host import MailHost, running_mail_host
from lab.servers import Dovecot, MailSink, MariaDB, mail_settings
from settings import DOVECOT_VERSIONS

DATABASES = ("sqlite", "mariadb")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """One MariaDB for the whole run; it starts when the first test asks for it."""
    with MariaDB() as server:
        yield server


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database for each test, on SQLite and again on MariaDB."""
    with fresh_database(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh, empty database for all tests of a module, on SQLite and again on MariaDB."""
    with fresh_database(request, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="module", params=DOVECOT_VERSIONS, ids="dovecot-{}".format)
def dovecot_version(request: pytest.FixtureRequest) -> str:
    """The Dovecot of Debian 12, and again that of Debian 13, for all tests of a module."""
    return request.param


@pytest.fixture(scope="module")
def mail_host(
    request: pytest.FixtureRequest, module_database_url: str, dovecot_version: str, tmp_path_factory
) -> Iterator[MailHost]:
    """A mail host for all tests of a module, on SQLite and again on MariaDB, with each Dovecot."""
    server = request.getfixturevalue("mariadb_server") if module_database_url.startswith("mysql:") else None
    instance = tmp_path_factory.mktemp("instance")
    with running_mail_host(module_database_url, server, instance, dovecot_version=dovecot_version) as host:
        yield host


@pytest.fixture
def start_dovecot(tmp_path: Path, dovecot_version: str) -> Iterator[Callable[..., Dovecot]]:
    """`start_dovecot(database_url, **settings)` runs the generated configuration until the test ends, on each Dovecot.

    The database must be migrated before: for SQLite its owner is looked up.
    """
    with contextlib.ExitStack() as running:

        def start(database_url: str, **changes: object) -> Dovecot:
            settings = mail_settings(database_url, tmp_path, dovecot_version=dovecot_version, **changes)
            return running.enter_context(Dovecot(settings))

        yield start


@pytest.fixture
def mail_sink() -> Iterator[MailSink]:
    """An SMTP server that keeps what it gets."""
    with MailSink() as sink:
        yield sink


@contextlib.contextmanager
def fresh_database(request: pytest.FixtureRequest, directory: Path, kind: str = "") -> Iterator[str]:
    """An empty database of this kind, or of that which is the fixture's parameter: `sqlite`, its file in the directory,
    or `mariadb`."""
    if (kind or request.param) == "sqlite":
        yield f"sqlite:///{directory / 'postern.db'}"
        return
    server = request.getfixturevalue("mariadb_server")
    url = server.create_database()
    try:
        yield url
    finally:
        server.drop_database(url)
