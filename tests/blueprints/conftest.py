"""What the tests of the pages share. They run on SQLite; `on_both_databases` asks for MariaDB as well."""

from pathlib import Path

import pytest

from tests.client import Client, Page
from tests.conftest import PASSWORD, Clock

NEW, WRONG = "Other-Garden-8", "Guessed-Garden-9"


@pytest.fixture(scope="module")
def module_database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory: Path = tmp_path_factory.mktemp("database")
    return f"sqlite:///{directory / 'postern.db'}"


@pytest.fixture(autouse=True)
def _time_stands_still(clock: Clock) -> None:
    """However slow the machine is, no attempt is forgiven and no session grows old while a test runs."""


@pytest.fixture
def signed_in(client: Client, anna) -> Client:
    assert client.sign_in(anna.login, PASSWORD).title == "Overview"
    return client


def change_form(page: Page, current: str = PASSWORD, new: str = NEW, confirm: str | None = None) -> Page:
    """The password page, filled in."""
    return page.fill(
        {"Current password": current, "New password": new, "Confirm new password": new if confirm is None else confirm}
    )
