"""The one database behind the tables: engine, pool, transactions, and statements for many rows."""

import contextlib
import functools
import logging
import operator
import os
import re
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from peewee import (
    DatabaseError,
    DatabaseProxy,
    InterfaceError,
    Model,
    MySQLDatabase,
    OperationalError,
    PeeweeException,
    SqliteDatabase,
)
from pymysql.constants import CLIENT

if TYPE_CHECKING:
    from peewee_migrate import Router

    from migrations.steps import Steps

database = DatabaseProxy()
MIGRATIONS = Path(__file__).parent / "migrations"
# The files of the numbered steps, and the table of those that were taken: peewee-migrate's.
STEP, HISTORY = re.compile(r"[0-9]{3}_[^.]+\.py"), "migratehistory"

Result = TypeVar("Result")

SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "busy_timeout": 5000,
}

# Seconds for which a connection to MySQL is used at most.
LONGEST_CONNECTION = 60

# Seconds that MySQL is waited for: until there is a connection; for the first answer on it; for one on a connection
# that was left idle; and for a statement, of which a page waits for 5 as it does on SQLite: it says within 8 that
# the server is silent. The worker and the command line have long statements, and InnoDB alone waits 50 for a lock.
TO_CONNECT, FIRST_ANSWER, SIGN_OF_LIFE, LONGEST_STATEMENT, LONGEST_WORK = 3, 4, 2, 5, 300

# Seconds for which a server that was silent is not asked again.
SILENT_FOR = 2

# A transaction that lost against another one is repeated: deadlock and lock wait time-out in MySQL's numbering; a
# Galera node reports a certification conflict as a deadlock.
LOST_TRANSACTIONS = (1205, 1213)
TRANSACTION_TRIES = 5

# What a database says that cannot do what it is asked: it does not answer, is locked, full or damaged. One of them,
# `IntegrityError`, says that somebody else was quicker.
TROUBLE = (DatabaseError, InterfaceError)

# Of one statement; SQLite takes 32,766.
MOST_PARAMETERS = 30_000

# A table that is there while the database is being restored, and stays where that was interrupted.
UNFINISHED_RESTORE = "unfinished_restore"
UNFINISHED_ON_SQLITE = f"SELECT 1 FROM sqlite_master WHERE name = '{UNFINISHED_RESTORE}'"  # noqa: S608 - our name
UNFINISHED_ON_MYSQL = f"""
SELECT COUNT(*) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = '{UNFINISHED_RESTORE}'
"""  # noqa: S608 - our name

# Whatever the server's own configuration says: what does not fit is refused, and never cut.
STRICT_MODE = "TRADITIONAL"
STRICT = {"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"}


class UnfinishedRestore(OperationalError):
    """The database is being restored, or that was interrupted: what stands in it is not to be used."""

    def __init__(self):
        super().__init__("The database is being restored; where that was interrupted, run it again (flask restore)")


class _Admitted(threading.local):
    """Whether this thread may use a database that is being restored."""

    to_restores = False


_admitted = _Admitted()


@contextlib.contextmanager
def admitted_to_restores() -> Iterator[None]:
    """Inside, this thread may use a database that is being restored; everybody else is refused a connection."""
    _admitted.to_restores = True
    try:
        yield
    finally:
        _admitted.to_restores = False
        discard_connection()


def _refuse_unfinished(is_unfinished: bool) -> None:
    if is_unfinished and not _admitted.to_restores:
        raise UnfinishedRestore


class PrivateSqliteDatabase(SqliteDatabase):
    """An SQLite database whose file is made, where there is none, so that only its owner may read it, and the group
    that the operator shares its directory with; SQLite gives the file's companions the same mode. SQLite itself
    reports what prevents it."""

    field_types: ClassVar[dict[str, str]] = SqliteDatabase.field_types | {"UNLIMITED_TEXT": "TEXT"}

    def _connect(self):
        with contextlib.suppress(OSError):
            # Only where there is none: to close a file that SQLite has open in this process drops all its locks on it,
            # and the next program that closes the database throws away what others are still writing.
            descriptor = os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                # Not by the mode above: the umask would take the group's share away.
                os.fchmod(descriptor, sqlite_mode(Path(self.database)))
            finally:
                os.close(descriptor)
        connection = super()._connect()
        try:
            _refuse_unfinished(bool(connection.execute(UNFINISHED_ON_SQLITE).fetchone()))
        except BaseException:
            connection.close()
            raise
        return connection


def open_database(url: str):
    """Point every model at the database of this URL (`sqlite:////path/file.db`, `mysql://user:password@host/name`)."""
    opened = database_of(url)
    database.initialize(opened)
    return opened


def database_of(url: str) -> "PrivateSqliteDatabase | Pool":
    """The database of this URL, which no model uses yet."""
    return _sqlite(url) if url.startswith("sqlite:") else _mysql(url)


@contextlib.contextmanager
def using(another: "PrivateSqliteDatabase | Pool") -> Iterator[None]:
    """Inside, the models, and what is here, use another database. For a process that has one thread."""
    present = database.obj
    database.initialize(another)
    try:
        yield
    finally:
        database.initialize(present)


def _sqlite(url: str) -> SqliteDatabase:
    return PrivateSqliteDatabase(str(sqlite_file(url)), pragmas=SQLITE_PRAGMAS, lock_type="IMMEDIATE", timeout=5)


class Connection(pymysql.connections.Connection):
    """A connection to MySQL. Whether the server lives at all is waited for shortly, and longer for a statement."""

    def __init__(self, **named: object):
        super().__init__(read_timeout=FIRST_ANSWER, write_timeout=FIRST_ANSWER, **named)
        self.made_at = time.monotonic()

    def wait_for_statements(self, seconds: float | None) -> None:
        self._read_timeout = self._write_timeout = seconds

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.made_at > LONGEST_CONNECTION

    def lives(self) -> bool:
        """False once it has ended. Raises `OperationalError` where the server is silent."""
        self.wait_for_statements(SIGN_OF_LIFE)
        try:
            self.ping(reconnect=False)
        except pymysql.err.Error as failure:
            if is_silence(failure):
                raise
            return False
        return True

    def settle(self) -> bool:
        """Leave no transaction open. False where that cannot be, and then the connection has ended."""
        self.wait_for_statements(SIGN_OF_LIFE)
        try:
            self.rollback()
        except pymysql.err.Error:
            self.end()
        return self.open

    def end(self) -> None:
        with contextlib.suppress(pymysql.err.Error):
            self.close()


def is_silence(trouble: BaseException) -> bool:
    """Whether the database was waited for in vain. To ask it something else would be to wait once more."""
    return any(isinstance(cause, TimeoutError | SilentServer) for cause in _contexts(trouble))


def is_unfinished_restore(trouble: BaseException) -> bool:
    """Whether the database was refused because it is being restored."""
    return any(isinstance(cause, UnfinishedRestore) for cause in _contexts(trouble))


class SilentServer(OperationalError):
    """The server was silent a moment ago, and is not asked again yet."""


class Silence:
    """Whether the server is silent: it takes connections and gives no answer. While it is, one thread at a time asks
    it, and what the others want is refused at once, so that they can say so."""

    def __init__(self):
        self._lock = threading.Lock()
        self._refused_until: float | None = None

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Inside, the server is asked for a sign of life. Raises `SilentServer` where that is not to be done now."""
        self._begin()
        try:
            yield
        except BaseException as failure:
            self._refused_until = time.monotonic() + SILENT_FOR if is_silence(failure) else None
            raise
        self._refused_until = None

    def _begin(self) -> None:
        with self._lock:
            if self._refused_until is None:
                return
            if time.monotonic() < self._refused_until:
                raise SilentServer("it was silent a moment ago")
            self._refused_until = time.monotonic() + TO_CONNECT + FIRST_ANSWER


class Pool(MySQLDatabase):
    """Connections to MySQL that requests leave to one another: to make one costs more than most pages, because Python
    reads all the certificates of the machine for it. Each is asked whether it still lives before it is used again, so
    that a server that was restarted is not noticed; an old one is not even asked, because what is between here and
    there may have forgotten it, and the question would be waited for.

    There is one for each thread, and no thread waits for another's. A server that would cut what does not fit into a
    column is not used.
    """

    field_types: ClassVar[dict[str, str]] = MySQLDatabase.field_types | {"UNLIMITED_TEXT": "LONGTEXT"}

    def __init__(self, name: str, **named: object):
        super().__init__(name, **named)
        # Peewee's lock would be held while a thread waits for the server; what it guards is each thread's own.
        self._lock = contextlib.nullcontext()
        self._idle: deque[Connection] = deque()
        self._silence = Silence()
        self.longest_statement: float | None = LONGEST_STATEMENT

    def manual_close(self) -> None:
        """End this thread's connection, instead of leaving it to the next request."""
        if not self.is_closed():
            self.connection().end()
            self.close()

    def close_all(self) -> None:
        """End this thread's connection and those that nobody uses."""
        self.manual_close()
        while self._idle:
            self._idle.popleft().end()

    def _connect(self) -> Connection:
        with self._silence.asking():
            connection = self._kept() or self._made()
        connection.wait_for_statements(self.longest_statement)
        return connection

    def _kept(self) -> Connection | None:
        # Another thread may take the last one between a look and the grasp.
        with contextlib.suppress(IndexError):
            while True:
                connection = self._idle.popleft()
                if not connection.is_old and connection.lives():
                    return connection
                connection.end()
        return None

    def _made(self) -> Connection:
        connection = Connection(database=self.database, autocommit=True, **self.connect_params)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT @@SESSION.sql_mode, ({UNFINISHED_ON_MYSQL})")
            modes, unfinished = cursor.fetchone()
        try:
            _refuse_unfinished(bool(unfinished))
        except UnfinishedRestore:
            connection.end()
            raise
        if not STRICT & set(modes.split(",")):
            connection.end()
            raise OperationalError("it would cut what does not fit: its sql_mode lacks STRICT_TRANS_TABLES")
        return connection

    def _close(self, connection: Connection) -> None:
        if connection.open and connection.settle():
            self._idle.append(connection)


def _mysql(url: str) -> Pool:
    """The query of the URL goes to PyMySQL unchanged, such as `unix_socket`.

    An UPDATE tells how many rows it found, as SQLite does, also where it left them as they were.
    """
    parts = urlsplit(url)
    return Pool(
        parts.path.removeprefix("/"),
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        charset="utf8mb4",
        client_flag=CLIENT.FOUND_ROWS,
        sql_mode=STRICT_MODE,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        connect_timeout=TO_CONNECT,
        **dict(parse_qsl(parts.query)),
    )


def take_time(longest: float | None = LONGEST_WORK) -> None:
    """Nobody waits for a page of this process: it may do long work in one statement, of at most so many seconds, or of
    any length (None)."""
    if is_mysql():
        database.obj.longest_statement = longest


def sqlite_file(url: str) -> Path:
    """The file of an SQLite URL: three slashes before a relative path, four before an absolute one."""
    return Path(unquote(urlsplit(url).path[1:]))


def sqlite_mode(file: Path) -> int:
    """The mode of an SQLite file: for its group as well if the operator gave that group the directory (setgid)."""
    directory = file.parent.stat().st_mode
    return 0o660 if directory & stat.S_ISGID and directory & stat.S_IWGRP else 0o600


def release_connection() -> None:
    """Give up the connection of a request that is over.

    A connection to SQLite stays open for the thread's next request: it cannot go stale, and opening it again would cost
    five statements and, whenever nobody else has the file open, a checkpoint. One to MySQL goes back to the pool, which
    knows whether it is still one when the next request asks.
    """
    if not is_sqlite() and not database.is_closed():
        database.close()


def discard_connection() -> None:
    """End the connection after trouble: nobody knows what state it is in, nor whether its server still takes part."""
    if is_sqlite():
        database.close()
    else:
        database.manual_close()


def transactional(action: Callable[..., Result]) -> Callable[..., Result]:
    """Run the function in one transaction, or in a part of the one that is open; begin it again when it lost against
    another.

    On SQLite the transaction takes the write lock at once (`BEGIN IMMEDIATE`), so that it never fails half-way. Where
    nothing is committed, the rows that were written are in memory again as they were.
    """

    @functools.wraps(action)
    def run(*arguments, **named) -> Result:
        for tries_left in reversed(range(TRANSACTION_TRIES)):
            try:
                with _whole_or_not_at_all():
                    return action(*arguments, **named)
            except OperationalError as failure:
                lost = failure.args and failure.args[0] in LOST_TRANSACTIONS
                if not lost or not tries_left or database.in_transaction():
                    raise
        raise AssertionError("unreachable")

    return run


def _first_cause(failure: BaseException) -> BaseException:
    """What went wrong when a transaction was to be committed: SQLite itself rolls back when the disk is full, and
    refuses the ROLLBACK that follows."""
    causes = [cause for cause in _contexts(failure) if isinstance(cause, PeeweeException)]
    return causes[-1] if causes else failure


def _contexts(failure: BaseException) -> Iterator[BaseException]:
    """The failure and what it was raised amid, the first of all last."""
    while failure is not None:
        yield failure
        failure = failure.__context__


class _Written(threading.local):
    """What the rows were that this thread has written in the transaction that is open."""

    def __init__(self):
        self.before: list[tuple[Model, dict]] = []


_written = _Written()


@contextlib.contextmanager
def _whole_or_not_at_all() -> Iterator[None]:
    kept, within = len(_written.before), None
    try:
        with database.atomic():
            try:
                yield
            except BaseException as failure:
                within = failure
                raise
    except BaseException as failure:
        for row, content in reversed(_written.before[kept:]):
            vars(row).clear()
            vars(row).update(content)
        del _written.before[kept:]
        # Not that the ROLLBACK was refused: MySQL has ended the whole transaction, its savepoints with it, when it was
        # lost, and SQLite when the disk was full.
        cause = within or _first_cause(failure)
        raise cause from cause.__cause__
    if not database.in_transaction():
        _written.before.clear()


def _remember(row: Model) -> None:
    """Note what a row is in memory before it is written, for the case that nothing is committed."""
    if database.in_transaction():
        content = {name: value.copy() if isinstance(value, dict | set) else value for name, value in vars(row).items()}
        _written.before.append((row, content))


class Table(Model):
    """A table that writes a row only while it is the one that was loaded, not another that has its number by then.

    Between loading and writing a row may be deleted, and its number may be another's: a database was restored, a table
    was rebuilt, or SQLite reused the number before its tables had `AUTOINCREMENT`.
    """

    # Given once, and different in whatever else gets the number.
    identity: ClassVar[tuple[str, ...]] = ()

    class Meta:
        database = database
        legacy_table_names = False

    def itself(self):
        """The condition that finds this very row, and none that has its number meanwhile."""
        known = [is_same(getattr(type(self), name), self.__data__[name]) for name in self.identity]
        return functools.reduce(operator.and_, known, self._meta.primary_key == self._pk)

    def _pk_expr(self):
        """What Peewee finds a row by that it is to save or to delete."""
        return self.itself()

    @classmethod
    def these(cls, rows: Sequence["Table"]):
        """The condition that finds these very rows."""
        columns = [cls._meta.primary_key, *(getattr(cls, name) for name in cls.identity)]
        return functools.reduce(
            operator.and_, [column.in_({row.__data__[column.name] for row in rows}) for column in columns]
        )

    def write(self, *conditions: object, **columns: object) -> bool:
        """Write these columns of this very row, as long as the conditions hold; False, and nothing is written, when
        they do not, or it is gone."""
        changed = bool(type(self).update(columns).where(self.itself(), *conditions).execute())
        if changed:
            _remember(self)
            for name, value in columns.items():
                setattr(self, name, value)
        return changed

    def save(self, *arguments, **named) -> int:
        _remember(self)
        return super().save(*arguments, **named)

    @classmethod
    def hold(cls, *conditions: object) -> int:
        """Hold the rows of these conditions until the caller's transaction ends; how many there are. Each is changed:
        one that is left as it was is held on its own server, and on no other node of a cluster."""
        return cls.update(held=cls.held + 1).where(*conditions).execute()


def insert_all(table: type[Table], rows: list[dict], ignore: bool = False) -> None:
    """Insert many rows, which all have the same columns, without Peewee, which takes longest to write the statement.
    Columns that they leave out get what the model gives them; with `ignore`, rows that are there already stay."""
    if not rows:
        return
    rows = [{**table._meta.get_default_dict(), **row} for row in rows]
    fields = [getattr(table, name) for name in rows[0]]
    columns = ", ".join(_quoted(field.column_name) for field in fields)
    marks_of_one = f"({', '.join([database.obj.param] * len(fields))})"
    unless_there = _unless_there() if ignore else ""
    at_once = MOST_PARAMETERS // len(fields)
    for batch in (rows[start : start + at_once] for start in range(0, len(rows), at_once)):
        marks = ", ".join([marks_of_one] * len(batch))
        values = [field.db_value(row[field.name]) for row in batch for field in fields]
        statement = f"INSERT INTO {table._meta.table_name} ({columns}) VALUES {marks}{unless_there}"  # noqa: S608
        database.execute_sql(statement, values)


def in_pieces(query, column, length: int = 1000) -> Iterator["Table"]:
    """All rows of a query in the order of this column, whose values are all different: read piece by piece, each from
    where the one before ended, so that they do not fill the memory."""
    after = None
    while True:
        piece = list((query if after is None else query.where(column > after)).order_by(column).limit(length))
        yield from piece
        if len(piece) < length:
            return
        after = getattr(piece[-1], column.name)


def _unless_there() -> str:
    """What leaves rows alone that are there already, and nothing else: MySQL's `INSERT IGNORE` would also cut what does
    not fit."""
    return " ON DUPLICATE KEY UPDATE id = id" if is_mysql() else " ON CONFLICT DO NOTHING"


def update_each(changes: Sequence[tuple[Table, dict[str, Any]]]) -> None:
    """Write the same columns of many rows of a table, each in its own way: Peewee would build the statement again for
    each. Each row is found as `Table.itself` finds it."""
    if not changes:
        return
    row, columns = changes[0]
    table = type(row)
    fields = [getattr(table, name) for name in columns]
    found_by = [table._meta.primary_key, *(getattr(table, name) for name in table.identity)]
    mark = f" = {database.obj.param}"
    written = ", ".join(_quoted(field.column_name) + mark for field in fields)
    where = " AND ".join(_quoted(field.column_name) + mark for field in found_by)
    statement = f"UPDATE {table._meta.table_name} SET {written} WHERE {where}"  # noqa: S608 - our names
    for row, columns in changes:
        values = [field.db_value(columns[field.name]) for field in fields]
        database.execute_sql(statement, values + [row.__data__[field.name] for field in found_by])


def _quoted(name: str) -> str:
    """Some names, such as `key`, are MySQL's own words."""
    left, right = database.obj.quote
    return f"{left}{name}{right}"


def is_mysql() -> bool:
    return isinstance(database.obj, Pool)


def is_sqlite() -> bool:
    return isinstance(database.obj, SqliteDatabase)


def first_damage() -> str:
    """What SQLite finds wrong in its file, which it reads whole; empty where all is well, or the database is a server.
    Some damage raises `DatabaseError` instead."""
    if not is_sqlite():
        return ""
    (found,) = database.execute_sql("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else found


def differing_migrations() -> tuple[list[str], list[str]]:
    """The names of the migrations that this database has not seen yet, and of those that it has seen and this program
    does not know; raises what an unreachable database raises."""
    known = sorted(file.stem for file in MIGRATIONS.iterdir() if STEP.fullmatch(file.name))
    seen = _steps_taken() if database.table_exists(HISTORY) else []
    return [name for name in known if name not in seen], [name for name in seen if name not in known]


def pending_migrations() -> list[str]:
    """The first of `differing_migrations`."""
    return differing_migrations()[0]


def unknown_migrations() -> list[str]:
    """The second of `differing_migrations`."""
    return differing_migrations()[1]


def _steps_taken() -> list[str]:
    return [name for (name,) in database.execute_sql(f"SELECT name FROM {HISTORY} ORDER BY id")]  # noqa: S608 - our name


def router(steps: type["Steps"] | None = None) -> "Router":
    """What applies the numbered steps in `migrations/`. `upgrades.upgrade` also sees to it that nobody else does."""
    # They are for whoever changes the tables: a process that serves pages needs neither.
    from peewee_migrate import Router

    from migrations.steps import Steps

    log = logging.getLogger("postern.migrations")
    return Router(database.obj, migrate_dir=MIGRATIONS, logger=log, migrator_class=steps or Steps)


def is_same(column, value):
    return column.is_null() if value is None else column == value
