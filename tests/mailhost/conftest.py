"""What is judged by a mail server is judged by each Dovecot, on its own databases."""

from collections.abc import Iterator

import pytest

from lab.fixtures import DATABASES, fresh_database


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(request: pytest.FixtureRequest, dovecot_version: str, tmp_path_factory) -> Iterator[str]:
    """A fresh, empty database for all tests of a module with one Dovecot, on SQLite and again on MariaDB."""
    with fresh_database(request, tmp_path_factory.mktemp("database")) as url:
        yield url
