"""Copy the whole database into another one: from SQLite to MariaDB, or back.

The source's own lock keeps everybody from writing there meanwhile. Each table is compared with the target piece by
piece, and the target gets the pieces in which it differs: so an interrupted copy goes on, whatever was changed in the
source since. At the end all rows of both are counted and summed up.

Columns hold numbers, text and bytes, which both databases give back alike; times are numbers.
"""

# ruff: noqa: S608 - the names in the statements are our own

import contextlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from peewee import (
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    Field,
    FixedCharField,
    ForeignKeyField,
    IntegerField,
    OperationalError,
    TextField,
)
from pymysql.cursors import SSCursor

import models
from database import (
    HISTORY,
    MOST_PARAMETERS,
    Pool,
    Table,
    database,
    database_of,
    differing_migrations,
    router,
    using,
)
from models import CLOCKS_DIFFER, LongText, UnlimitedText, now
from upgrades import COPYING, Tell, Unsuitable, alone, refuse_newer, take_any_time

# Of one piece, which is in memory: rows, and characters of text.
MOST_ROWS, MOST_LENGTH = 1000, 1_000_000
# Seconds for which something that writes is waited for.
PATIENCE = 5
# A worker gives a sign of life every minute: one that is younger than so many seconds comes from a worker that runs.
AT_WORK = 120
# How many rows a refusal names.
MOST_NAMED = 10

# What SQLite calls the values of columns that hold no text.
KINDS = {(IntegerField, BooleanField): "integer", (BlobField,): "blob"}

MYSQL_NAME = re.compile(r"[\w$-]{1,64}")
# What columns of MariaDB hold at most: bytes of TEXT and BLOB, and numbers of INTEGER.
LONGEST_TEXT, LARGEST_NUMBER = 65_535, 2**31 - 1


@dataclass(frozen=True)
class Copied:
    """A copy that is finished: from where to where, and how many rows of how many tables."""

    source: str
    target: str
    tables: int
    rows: int


def copy_to(url: str, tell: Tell) -> Copied:
    """Copy the database that is in use into the one of this URL, which must be empty, or an unfinished copy of this
    very one; if it is the same already, leave it as it is. Raises `Unsuitable`, and what databases raise; no text of
    either has the URL's password."""
    source, target = database.obj, _target(url)
    if _place(source) == _place(target):
        raise Unsuitable("This is the database itself.")
    mark = COPYING + sha256(_place(source).encode()).hexdigest()[:32]
    with closing(target), using(target), _alone(tell):
        filled = _prepare(target, mark)
        with _unchanging(source):
            _refuse_source(source)
            if not filled:
                _fill(source, target, mark, tell)
            elif _differing(source, target):
                raise Unsuitable(f"{_place(target)} is not empty: there are rows in {_named(filled)}.")
            counts = [_first(source, f"SELECT COUNT(*) FROM `{table._meta.table_name}`") for table in models.TABLES]
    return Copied(_place(source), _place(target), len(counts), sum(counts))


def _fill(source: Database, target: Database, mark: str, tell: Tell) -> None:
    _refuse_what_does_not_fit(source, target)
    _check_nothing(target)
    router().model.get_or_create(name=mark)
    for table in models.TABLES:
        _copy(source, target, _Rows(table), tell)
    if differing := _differing(source, target):
        named = _named(differing)
        raise Unsuitable(f"The copy differs from {_place(source)} in {named}. Do not use it; run this again.")
    for table in _numbered():
        _continue_numbers(source, target, table)
    router().model.delete().where(router().model.name == mark).execute()


@contextlib.contextmanager
def _alone(tell: Tell) -> Iterator[None]:
    take_any_time()
    with alone(tell):
        yield


# --- the two databases ---


def _target(url: str) -> Database:
    """The database of a URL that somebody typed; nothing of it is repeated, because it holds a password."""
    with contextlib.suppress(ValueError, TypeError):
        parts = urlsplit(url)
        is_server = parts.scheme == "mysql" and parts.hostname and MYSQL_NAME.fullmatch(parts.path[1:])
        is_file = url.startswith("sqlite:///") and len(parts.path) > 1
        if (is_server or is_file) and not parts.fragment:
            target = database_of(url)
            # The driver, too, may not understand the query of the URL.
            target.connection()
            return target
    raise Unsuitable(
        "The URL must be sqlite:////path/file.db or mysql://user:password@host:port/name, with characters that have a"
        " meaning in URLs percent-encoded (@ is %40)."
    )


def _place(either: Database) -> str:
    """Where a database is, as people may read it."""
    if isinstance(either, Pool):
        known = either.connect_params
        return f"{either.database} on {known.get('unix_socket') or '{host}:{port}'.format(**known)}"
    return str(Path(either.database).resolve())


def _prepare(target: Database, mark: str) -> list[str]:
    """Bring the target to the present step. The tables with rows that no unfinished copy of this source left: perhaps
    a finished one did. Refuses a database that is used for anything else."""
    present = {name for name in target.get_tables() if not name.startswith("sqlite_")}
    ours = {table._meta.table_name for table in models.TABLES}
    if others := present - ours - {HISTORY}:
        raise Unsuitable(f"{_place(target)} is not empty: it has tables of something else ({_named(others)}).")
    if HISTORY in present and mark in router().done:
        if differing_migrations()[0]:
            raise Unsuitable(f"{_place(target)} has a copy that another version began. Give an empty database.")
        return []
    refuse_newer()
    filled = [name for name in ours & present if _first(target, f"SELECT 1 FROM `{name}` LIMIT 1")]
    if filled and differing_migrations()[0]:
        raise Unsuitable(f"{_place(target)} is not empty: there are rows in {_named(filled)}.")
    router().run()
    return filled


def _check_nothing(target: Database) -> None:
    """Rows come in any order, and one that is replaced takes no other along."""
    if _is_mysql(target):
        target.execute_sql(f"SET SESSION foreign_key_checks = 0, lock_wait_timeout = {PATIENCE}")
    else:
        target.execute_sql("PRAGMA foreign_keys = 0")


@contextlib.contextmanager
def _unchanging(source: Database) -> Iterator[None]:
    """Inside, nobody else writes into the source. Its own lock sees to that, and ends with this process."""
    with using(source):
        take_any_time()
    begin, end = ["BEGIN IMMEDIATE"], "ROLLBACK"
    if _is_mysql(source):
        names = [*(table._meta.table_name for table in models.TABLES), HISTORY]
        locked = ", ".join(f"`{name}` READ" for name in names if source.table_exists(name))
        begin, end = [f"SET SESSION lock_wait_timeout = {PATIENCE}", f"LOCK TABLES {locked}"], "UNLOCK TABLES"
    try:
        for statement in begin:
            source.execute_sql(statement)
    except OperationalError as trouble:
        raise Unsuitable(f"Something is writing into {_place(source)}: stop Postern first ({trouble}).") from None
    try:
        yield
    finally:
        with contextlib.suppress(OperationalError):
            source.execute_sql(end)


def _refuse_source(source: Database) -> None:
    """What is written once the copy is finished would be lost: Postern must have stopped."""
    seen = {name for (name,) in _rows(source, f"SELECT name FROM {HISTORY}")}
    if seen != set(router().todo):
        raise Unsuitable("The database is not of this version. Run “flask db upgrade” first.")
    moment = now()
    found = "SELECT node, ? - seen_at FROM worker_sign WHERE seen_at > ? AND seen_at <= ? ORDER BY seen_at DESC"
    for node, age in _rows(source, found, moment, moment - AT_WORK, moment + CLOCKS_DIFFER):
        raise Unsuitable(
            f"The worker on {node} was at work {max(age, 0)} seconds ago. Stop Postern on every node; when its workers"
            f" have been silent for {AT_WORK} seconds, run this again."
        )


# --- what MariaDB cannot hold ---


def _refuse_what_does_not_fit(source: Database, target: Database) -> None:
    """SQLite keeps whatever it is given, and tells all texts apart. What its rows refer to is there as well."""
    if _is_mysql(source):
        return
    found = [f"{table} {row} refers to a row of {to} that is not there" for table, row, to in _torn(source)]
    if _is_mysql(target):
        for table in models.TABLES:
            found += _too_long(source, table)
            found += _alike(source, table)
    if found:
        named = "".join(f"\n  {each}" for each in found[:MOST_NAMED]) + ("\n  …" if found[MOST_NAMED:] else "")
        raise Unsuitable(f"{_place(target)} cannot hold what is here, so nothing was copied:{named}")


def _torn(sqlite: Database) -> list[tuple]:
    return [each[:3] for each in _rows(sqlite, "PRAGMA foreign_key_check")]


def _too_long(source: Database, table: type[Table]) -> Iterator[str]:
    """The values that are larger than their columns, or of another kind: rows that no version of today wrote."""
    rows = _Rows(table)
    for field in table._meta.sorted_fields:
        unfit = _unfit(field, f"`{field.column_name}`")
        for found in _rows(source, f"SELECT {rows.keys} FROM `{rows.name}` WHERE {unfit} LIMIT {MOST_NAMED}"):
            yield f"{rows.name} {_key(found)}: {field.column_name} does not fit into its column"


def _unfit(field: Field, column: str) -> str:
    """The condition, on SQLite, for a value that MariaDB refuses or gives back otherwise. NULL fulfils none."""
    while isinstance(field, ForeignKeyField):
        field = field.rel_field
    kind = (
        "integer"
        if isinstance(field, IntegerField | BooleanField)
        else "blob"
        if isinstance(field, BlobField)
        else "text"
    )
    conditions = [f"typeof({column}) NOT IN ('{kind}', 'null')"]
    if isinstance(field, CharField):
        conditions.append(f"length({column}) > {field.max_length}")
    elif isinstance(field, TextField | BlobField) and not isinstance(field, UnlimitedText | LongText):
        conditions.append(f"length(CAST({column} AS BLOB)) > {LONGEST_TEXT}")
    elif isinstance(field, IntegerField) and not isinstance(field, BigIntegerField):
        conditions.append(f"abs({column}) > {LARGEST_NUMBER}")
    if isinstance(field, FixedCharField):
        # It would lose the spaces at its end.
        conditions.append(f"{column} <> rtrim({column}, ' ')")
    return " OR ".join(conditions)


def _alike(source: Database, table: type[Table]) -> Iterator[str]:
    """Texts of unique columns that MariaDB takes for one: it does not see spaces at the end. Cases and accents it tells
    apart, in the collation that our first step gives it (`utf8mb4_bin`)."""
    for fields in _unique(table):
        columns = [f"`{field.column_name}`" for field in fields]
        name = table._meta.table_name
        ends_so = " OR ".join(f"{column} LIKE '% '" for column in columns)
        if not _first(source, f"SELECT 1 FROM `{name}` WHERE {ends_so} LIMIT 1"):
            continue
        compared = ", ".join(f"rtrim({column}, ' ')" for column in columns)
        there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        found = f"SELECT {compared} FROM `{name}` WHERE {there} GROUP BY {compared} HAVING COUNT(*) > 1"
        for values in _rows(source, f"{found} LIMIT {MOST_NAMED}"):
            called = ", ".join(field.column_name for field in fields)
            yield f"{name}: several rows have the {called} {_key(values)}, but for spaces at its end"


def _unique(table: type[Table]) -> Iterator[list[Field]]:
    """The sets of columns whose values are all different."""
    known = table._meta
    if isinstance(known.primary_key, CompositeKey):
        yield [known.fields[name] for name in known.primary_key.field_names]
    yield from ([field] for field in known.sorted_fields if field.unique or field.primary_key)
    yield from ([known.fields[name] for name in names] for names, is_unique in known.indexes if is_unique)


# --- the rows ---


@dataclass(frozen=True)
class _Rows:
    """A table as SQL of both databases names it. Pieces of it begin and end between two values of the first column of
    its key, in which rows are in the same order on both."""

    table: type[Table]

    @cached_property
    def name(self) -> str:
        return self.table._meta.table_name

    @cached_property
    def fields(self) -> list[Field]:
        """The columns of the key first."""
        key = self.table._meta.primary_key
        names = key.field_names if isinstance(key, CompositeKey) else [key.name]
        others = [field.name for field in self.table._meta.sorted_fields if field.name not in names]
        return [self.table._meta.fields[name] for name in (*names, *others)]

    @cached_property
    def key_length(self) -> int:
        key = self.table._meta.primary_key
        return len(key.field_names) if isinstance(key, CompositeKey) else 1

    @cached_property
    def columns(self) -> str:
        return ", ".join(f"`{field.column_name}`" for field in self.fields)

    @cached_property
    def keys(self) -> str:
        return ", ".join(f"`{field.column_name}`" for field in self.fields[: self.key_length])

    @cached_property
    def first(self) -> str:
        return f"`{self.fields[0].column_name}`"

    def in_order(self, rows: list[tuple]) -> list[tuple]:
        return sorted(rows, key=lambda row: row[: self.key_length])


def _copy(source: Database, target: Database, rows: _Rows, tell: Tell) -> None:
    """Make a table of the target what it is in the source."""
    count, after = 0, None
    for piece in _pieces(_stream(source, rows)):
        beyond, until = _beyond(rows, after), piece[-1][0]
        within = f"FROM `{rows.name}` WHERE {beyond[0]} AND {rows.first} <= ?", *beyond[1], until
        present = _rows(target, f"SELECT {rows.columns} {within[0]} LIMIT {len(piece) + 1}", *within[1:])
        if rows.in_order(present) != rows.in_order(piece):
            with target.atomic():
                _run(target, f"DELETE {within[0]}", *within[1:])
                _insert(target, rows, piece)
        count, after = count + len(piece), until
    beyond, known = _beyond(rows, after)
    _run(target, f"DELETE FROM `{rows.name}` WHERE {beyond}", *known)
    tell(f"{rows.name}: {count}")


def _beyond(rows: _Rows, after: object) -> tuple[str, list]:
    return ("1 = 1", []) if after is None else (f"{rows.first} > ?", [after])


def _stream(either: Database, rows: _Rows) -> Iterator[tuple]:
    """All rows in the order of the key's first column, as they come: never all of them in memory."""
    statement = f"SELECT {rows.columns} FROM `{rows.name}` ORDER BY {rows.first}"
    if _is_mysql(either):
        with closing(either.connection().cursor(SSCursor)) as cursor:
            cursor.execute(statement)
            yield from cursor
    else:
        yield from either.execute_sql(statement)


def _pieces(rows: Iterator[tuple]) -> Iterator[list[tuple]]:
    """Rows that have the same first value stay together."""
    piece, length = [], 0
    for row in rows:
        if (len(piece) >= MOST_ROWS or length >= MOST_LENGTH) and row[0] != piece[-1][0]:
            yield piece
            piece, length = [], 0
        piece.append(row)
        length += sum(len(value) for value in row if isinstance(value, str | bytes))
    if piece:
        yield piece


def _insert(target: Database, rows: _Rows, piece: list[tuple]) -> None:
    """A row that is in the way has another number in the source by now, and comes with a later piece."""
    width = len(rows.fields)
    at_once = MOST_PARAMETERS // width
    for some in (piece[start : start + at_once] for start in range(0, len(piece), at_once)):
        marks = ", ".join([f"({', '.join('?' * width)})"] * len(some))
        values = [value for row in some for value in row]
        _run(target, f"REPLACE INTO `{rows.name}` ({rows.columns}) VALUES {marks}", *values)


# --- whether it is the same ---


def _differing(source: Database, target: Database) -> list[str]:
    """The tables that are not the same in both."""
    tables = [_Rows(table) for table in models.TABLES]
    differing = [rows.name for rows in tables if _sum(source, rows) != _sum(target, rows)]
    return differing + ([] if _is_mysql(target) else [f"{table} (row {row})" for table, row, _ in _torn(target)])


def _sum(either: Database, rows: _Rows) -> tuple[int, int]:
    """The number of rows, and the sum of their SHA-256."""
    count = total = 0
    for row in _stream(either, rows):
        count += 1
        total += int.from_bytes(sha256(repr(row).encode()).digest(), "big")
    return count, total


def _numbered() -> list[str]:
    return [each._meta.table_name for each in models.TABLES if isinstance(each._meta.primary_key, AutoField)]


def _continue_numbers(source: Database, target: Database, table: str) -> None:
    """No number comes again that the source has given, also to a row that is gone."""
    reached = max(_reached(source, table), _first(source, f"SELECT MAX(id) FROM `{table}`") or 0)
    if _is_mysql(target):
        target.execute_sql(f"ALTER TABLE `{table}` AUTO_INCREMENT = {reached + 1}")
        return
    with target.atomic():
        _run(target, "DELETE FROM sqlite_sequence WHERE name = ?", table)
        _run(target, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, reached)


def _reached(either: Database, table: str) -> int:
    """The highest number that a table has given."""
    if not _is_mysql(either):
        return _first(either, "SELECT MAX(seq) FROM sqlite_sequence WHERE name = ?", table) or 0
    with contextlib.suppress(OperationalError):
        # MySQL 8 answers with what it knew a day ago. MariaDB has no such thing.
        either.execute_sql("SET SESSION information_schema_stats_expiry = 0")
    found = "SELECT auto_increment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
    return (_first(either, found, table) or 1) - 1


# --- SQL ---


def _is_mysql(either: Database) -> bool:
    return isinstance(either, Pool)


def _run(either: Database, statement: str, *values: object):
    return either.execute_sql(statement.replace("?", either.param), values)


def _rows(either: Database, statement: str, *values: object) -> list[tuple]:
    return list(_run(either, statement, *values))


def _first(either: Database, statement: str, *values: object) -> object:
    rows = _rows(either, statement, *values)
    return rows[0][0] if rows else None


def _key(values: tuple) -> str:
    return ", ".join(map(str, values))


def _named(names) -> str:
    named = sorted(names)
    return ", ".join(named[:MOST_NAMED]) + (", …" if named[MOST_NAMED:] else "")
