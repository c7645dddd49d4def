"""What is judged by a mail server is judged by each Dovecot, on each database.

The table of who gets in, and other tests that are marked `every_pair`, ask all four pairs. The rest asks two of them,
in which each server and each database is; the long run asks the others as well.
"""

from collections.abc import Iterator

import pytest

from lab.fixtures import DATABASES, fresh_database

PAIRS_IN_EVERY_RUN = {("sqlite", "2.4"), ("mariadb", "2.3")}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        chosen = item.callspec.params if hasattr(item, "callspec") else {}
        pair = chosen.get("module_database_url"), chosen.get("dovecot_version")
        if None not in pair and pair not in PAIRS_IN_EVERY_RUN and not item.get_closest_marker("every_pair"):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(request: pytest.FixtureRequest, dovecot_version: str, tmp_path_factory) -> Iterator[str]:
    """A fresh, empty database for all tests of a module with one Dovecot, on SQLite and again on MariaDB."""
    with fresh_database(request, tmp_path_factory.mktemp("database")) as url:
        yield url
