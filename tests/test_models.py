"""Writing many rows at once, on both databases; and the connections to MySQL."""

from collections.abc import Iterator

import pymysql
import pytest
from peewee import DataError, IntegrityError, OperationalError

import database as db
from database import insert_all, update_each
from doctor import storage
from models import Account, KnownBrowser, OutboxItem, now
from tests.actions.conftest import at_the_same_instant
from tests.conftest import connection_in_use


def items(*keys: str) -> list[dict]:
    return [{"kind": "mail", "key": key, "payload": f"for {key}"} for key in keys]


def test_rows_that_say_little_get_what_the_model_gives_them(database):
    insert_all(OutboxItem, items("one", "two"))
    made = list(OutboxItem.select().order_by(OutboxItem.id))
    assert [(each.key, each.payload, each.attempts, each.last_error) for each in made] == [
        ("one", "for one", 0, ""),
        ("two", "for two", 0, ""),
    ]
    assert all(now() - 60 < each.created_at <= now() and each.account is None for each in made)
    assert [each.key for each in OutboxItem.due(now())] == ["one", "two"]


def test_what_is_there_already_stays_where_that_is_asked_for(database):
    insert_all(OutboxItem, items("one"))
    insert_all(OutboxItem, [{"kind": "mail", "key": "one", "payload": "another"}, *items("two")], ignore=True)
    assert sorted((each.key, each.payload) for each in OutboxItem) == [("one", "for one"), ("two", "for two")]


def test_otherwise_it_is_the_trouble_that_peewee_would_tell_of(database):
    """Code that repeats a lost transaction knows Peewee's exceptions, not those of the database's driver."""
    insert_all(OutboxItem, items("one"))
    with pytest.raises(IntegrityError):
        insert_all(OutboxItem, items("one"))
    with pytest.raises(IntegrityError):
        update_each([(OutboxItem.get(), {"key": None})])


def test_more_rows_than_one_statement_takes(database, monkeypatch):
    monkeypatch.setattr(db, "MOST_PARAMETERS", 40)
    insert_all(OutboxItem, items(*map(str, range(17))))
    assert sorted(int(each.key) for each in OutboxItem) == list(range(17))


def test_a_row_names_others_by_themselves_or_by_their_number(people, anna, boris):
    insert_all(
        KnownBrowser,
        [{"account": anna, "token_hash": "a" * 64}, {"account": boris.id, "token_hash": "b" * 64}],
    )
    assert {each.account.login: each.token_hash[0] for each in KnownBrowser} == {anna.login: "a", boris.login: "b"}


def test_each_row_is_written_its_own_and_no_other(people, anna, boris):
    chiara = people.add("chiara", first_name="Chiara")
    update_each(
        [
            (anna, {"first_name": "Änne", "must_change_password": True}),
            (boris, {"first_name": "'; DROP", "must_change_password": False}),
        ],
    )
    written = {each.id: (each.first_name, each.must_change_password) for each in Account}
    assert written == {anna.id: ("Änne", True), boris.id: ("'; DROP", False), chiara.id: ("Chiara", False)}


def test_no_rows_are_no_statement(database):
    insert_all(OutboxItem, [])
    update_each([])
    assert not OutboxItem.select().exists()


# --- connections to MySQL ---


@pytest.fixture
def pool(mariadb_server) -> Iterator[db.Pool]:
    """A database of its own on MariaDB, as a process of Postern opens it."""
    url = mariadb_server.create_database()
    pool = db.open_database(url)
    yield pool
    pool.close_all()
    mariadb_server.drop_database(url)


def test_one_request_leaves_its_connection_to_the_next(pool):
    assert connection_in_use() == connection_in_use()


def test_a_connection_that_the_server_has_ended_is_not_used_again(pool, mariadb_server):
    ended = connection_in_use()
    mariadb_server.execute(f"KILL {ended}")
    assert connection_in_use() != ended


def test_an_old_connection_is_not_even_asked_whether_it_lives(pool, monkeypatch):
    old = connection_in_use()
    monkeypatch.setattr(db, "LONGEST_CONNECTION", -1)
    asked = []
    monkeypatch.setattr(pymysql.connections.Connection, "ping", lambda *_: asked.append(True))
    assert connection_in_use() != old
    assert asked == []


def test_a_session_that_would_cut_what_does_not_fit_is_not_used(mariadb_server, monkeypatch):
    monkeypatch.setattr(db, "STRICT_MODE", "NO_ENGINE_SUBSTITUTION")
    url = mariadb_server.create_database()
    try:
        lax = db.open_database(url)
        with pytest.raises(OperationalError, match="STRICT_TRANS_TABLES"):
            lax.connect()
        (finding,) = [finding for finding in storage.answers(None) if not finding.well]
        assert "STRICT_TRANS_TABLES" in finding.sentence
    finally:
        mariadb_server.drop_database(url)


def test_a_server_that_is_lax_by_its_configuration_is_strict_for_us(mariadb_server):
    mariadb_server.execute("SET GLOBAL sql_mode = ''")
    try:
        url = mariadb_server.create_database()
        opened = db.open_database(url)
        opened.execute_sql("CREATE TABLE short (text VARCHAR(3))")
        with pytest.raises(DataError):
            opened.execute_sql("INSERT INTO short VALUES ('long')")
        opened.close_all()
        mariadb_server.drop_database(url)
    finally:
        mariadb_server.execute("SET GLOBAL sql_mode = DEFAULT")


def test_a_row_that_is_written_as_it_was_counts_as_written(people, anna):
    """On both databases, so that nobody takes it for one that is gone."""
    assert anna.write(first_name=anna.first_name)


def test_each_thread_has_a_connection_of_its_own(pool):
    numbers = at_the_same_instant(*[lambda: pool.execute_sql("SELECT connection_id()").fetchone()[0]] * 8)
    assert len(set(numbers)) == 8


def test_a_statement_of_the_worker_may_take_longer_than_a_page_waits(pool, monkeypatch):
    monkeypatch.setattr(pool, "longest_statement", 0.5)
    with pytest.raises(OperationalError, match="timed out"):
        pool.execute_sql("SELECT sleep(5)")
    pool.manual_close()
    db.take_time()
    assert pool.execute_sql("SELECT sleep(1)").fetchone() == (0,)
