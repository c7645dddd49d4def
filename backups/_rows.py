"""The rows of all tables, as plain numbers and texts, whatever database keeps them."""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence

import pymysql

import mail_views
from database import MOST_PARAMETERS, UNFINISHED_RESTORE, database, is_mysql, is_sqlite
from models import TABLES

AT_ONCE = 500
NAME = re.compile(r"[a-z_]+")
NEXT_NUMBER = re.compile(r" AUTO_INCREMENT=(\d+)")
HISTORY = "migratehistory"
NAMES = tuple(table._meta.table_name for table in TABLES)

Rows = list[tuple]


@contextlib.contextmanager
def snapshot() -> Iterator[None]:
    """Inside, everything is read as it is at one moment, whatever others write meanwhile, and nobody waits for it."""
    if is_mysql():
        database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        database.execute_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    else:
        database.execute_sql("BEGIN DEFERRED")
        # The first look decides what is seen.
        database.execute_sql("SELECT COUNT(*) FROM sqlite_master").fetchone()
    try:
        yield
    finally:
        database.execute_sql("ROLLBACK")


def columns_of(table: str) -> list[str]:
    return [column.name for column in database.get_columns(table)]


def read(table: str, columns: Sequence[str]) -> Iterator[Rows]:
    """The rows of a table, some at a time."""
    names = ", ".join(map(_quoted, columns))
    # Of MySQL's cursors only this one does not fetch all rows at once.
    cursor = database.connection().cursor(*[pymysql.cursors.SSCursor] * is_mysql())
    with contextlib.closing(cursor):
        cursor.execute(f"SELECT {names} FROM {_quoted(table)}")
        while some := cursor.fetchmany(AT_ONCE):
            yield list(some)


def write(table: str, columns: Sequence[str], rows: Rows) -> None:
    at_once = max(1, MOST_PARAMETERS // len(columns))
    names = ", ".join(map(_quoted, columns))
    marks = f"({', '.join([database.param] * len(columns))})"
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        statement = f"INSERT INTO {_quoted(table)} ({names}) VALUES {', '.join([marks] * len(some))}"
        database.execute_sql(statement, list(itertools.chain.from_iterable(some)))


def next_numbers() -> dict[str, int]:
    """The number that the next row of each table gets: those of rows that are gone never come again."""
    if is_sqlite():
        reached = database.execute_sql("SELECT name, seq FROM sqlite_sequence")
        return {name: number + 1 for name, number in reached if name in NAMES}
    made = {name: database.execute_sql(f"SHOW CREATE TABLE {_quoted(name)}").fetchone()[1] for name in NAMES}
    return {name: int(found[1]) for name, text in made.items() if (found := NEXT_NUMBER.search(text))}


def begin_numbers_at(numbers: dict[str, int]) -> None:
    """Each table's next number is this one, or a higher one that it had reached. On MySQL this ends a transaction."""
    for table, number in numbers.items():
        if is_mysql():
            database.execute_sql(f"ALTER TABLE {_quoted(table)} AUTO_INCREMENT = {int(number)}")
            continue
        changed = database.execute_sql(
            "UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = ?", (number - 1, table)
        ).rowcount
        if not changed:
            database.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number - 1))


@contextlib.contextmanager
def in_any_order() -> Iterator[None]:
    """Inside, a row may be written before those that it points to. It begins and ends outside a transaction."""
    statement = "SET FOREIGN_KEY_CHECKS = " if is_mysql() else "PRAGMA foreign_keys = "
    database.execute_sql(f"{statement}0")
    try:
        yield
    finally:
        database.execute_sql(f"{statement}1")


def strange_tables() -> list[str]:
    """Those in the database that this version does not know."""
    return sorted({*database.get_tables()} - {*NAMES, HISTORY, UNFINISHED_RESTORE})


def make_views() -> None:
    """The present ones, where there are none."""
    for statement in mail_views.statements(mail_views.MYSQL if is_mysql() else mail_views.SQLITE).values():
        database.execute_sql(statement)


def drop_all() -> None:
    """Drop our views and tables, those that are there."""
    for view in mail_views.NAMES:
        database.execute_sql(f"DROP VIEW IF EXISTS {view}")
    with in_any_order():
        for table in (*reversed(NAMES), HISTORY):
            database.execute_sql(f"DROP TABLE IF EXISTS {_quoted(table)}")


def _quoted(name: str) -> str:
    """Some names, such as `key`, are MySQL's own words. Raises `ValueError` for what is no name of ours."""
    if not NAME.fullmatch(name):
        raise ValueError(f"no name of a table or column: {name}")
    left, right = database.quote
    return f"{left}{name}{right}"
