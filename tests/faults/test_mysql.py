"""A database server that is restarted while people use the panel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.installation import environment_of
from lab.servers import MariaDB
from models import Account
from tests.client import Client
from tests.conftest import PASSWORD, connection_in_use
from tests.faults.test_database import assert_said, change_password


@pytest.fixture
def server() -> Iterator[MariaDB]:
    """A server of the test's own, because it is stopped."""
    with MariaDB() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path, server: MariaDB) -> dict[str, str]:
    return environment_of(tmp_path / "instance", server.create_database())


def test_no_connection_is_kept_to_a_server_that_takes_nothing_any_more(client: Client, anna: Account, server: MariaDB):
    """As if another node of a cluster had taken its place: every new connection goes to that one."""
    client.sign_in(anna.login, PASSWORD)
    former = connection_in_use()
    server.execute("SET GLOBAL read_only = ON")
    try:
        assert_said(change_password(client))
    finally:
        server.execute("SET GLOBAL read_only = OFF")
    assert connection_in_use() != former
    assert change_password(client).status == 200


def test_a_server_that_is_down_is_said_and_its_return_is_not_noticed(client: Client, anna: Account, server: MariaDB):
    client.sign_in(anna.login, PASSWORD)
    server.stop()
    assert_said(client.open("/account/password"))
    server.start()
    assert change_password(client).status == 200
    server.stop()
    server.start()
    assert client.open("/account/password").status == 200
