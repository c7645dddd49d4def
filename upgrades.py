"""Bring the database to the present version, one process at a time; and notice one that is ahead of this program."""

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from peewee import PeeweeException

from database import database, discard_connection, is_sqlite, router, sqlite_mode, take_time, unknown_migrations

log = logging.getLogger(__name__)

# Seconds of one statement that waits for the lock: fewer than a statement may take at all.
ASK_AGAIN = 2
LONGEST_LOCK_NAME = 64
HOST_OF_A_CONNECTION = "SELECT host FROM information_schema.processlist WHERE id = "

Tell = Callable[[str], None]


class NewerDatabase(Exception):
    """The database was upgraded by a later version of Postern. The text is a sentence for the operator."""


def upgrade(tell: Tell) -> list[str]:
    """Take every step that is missing; their names. While another process upgrades, wait, and tell for whom. What an
    interrupted upgrade left is gone on with. To change a large table may take hours, in one statement."""
    take_time(None)
    discard_connection()
    with _alone(tell):
        refuse_newer()
        return router().run()


def refuse_newer() -> None:
    """Raises `NewerDatabase`, and what an unreachable database raises."""
    if unknown := unknown_migrations():
        raise NewerDatabase(
            f"The database is newer than this program, which does not know its step {', '.join(unknown)}."
            " Start the version that the database was upgraded to, or a later one."
        )


def refuse_to_start_on_newer() -> None:
    """Raises `NewerDatabase`. A database that does not answer is no reason not to start: it is waited for."""
    try:
        refuse_newer()
    except PeeweeException as trouble:
        log.warning("the database does not answer yet: %s", trouble)
    finally:
        discard_connection()


@contextlib.contextmanager
def _alone(tell: Tell) -> Iterator[None]:
    with _holding_the_file(tell) if is_sqlite() else _holding_the_name(tell):
        yield


@contextlib.contextmanager
def _holding_the_file(tell: Tell) -> Iterator[None]:
    """A lock on a file beside the database, which ends with its process. The file stays: to delete it would let two
    processes hold one each. It says who holds the lock."""
    file = Path(database.database)
    descriptor = os.open(file.with_name(f"{file.name}-upgrade"), os.O_RDWR | os.O_CREAT, 0o600)
    with contextlib.closing(os.fdopen(descriptor, "r+", encoding="utf-8")) as held:
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, sqlite_mode(file))
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(_waiting(held.read().strip() or "another process"))
            fcntl.flock(held, fcntl.LOCK_EX)
        held.seek(0)
        held.truncate()
        held.write(f"process {os.getpid()} on {socket.gethostname()}")
        held.flush()
        yield


@contextlib.contextmanager
def _holding_the_name(tell: Tell) -> Iterator[None]:
    """A lock of the server's, which ends with the connection. Its names are those of the whole server."""
    name = f"postern upgrade {sha256(database.database.encode()).hexdigest()}"[:LONGEST_LOCK_NAME]
    mark = database.param
    if not _first_value(f"SELECT GET_LOCK({mark}, 0)", name):
        holder = _first_value(f"SELECT IS_USED_LOCK({mark})", name)
        host = _first_value(HOST_OF_A_CONNECTION + mark, holder)
        tell(_waiting(f"connection {holder} from {host or 'elsewhere'}"))
        while not _first_value(f"SELECT GET_LOCK({mark}, {ASK_AGAIN})", name):
            pass
    try:
        yield
    finally:
        with contextlib.suppress(PeeweeException):
            _first_value(f"SELECT RELEASE_LOCK({mark})", name)


def _first_value(query: str, *values: object) -> object:
    row = database.execute_sql(query, values).fetchone()
    return row[0] if row else None


def _waiting(holder: str) -> str:
    return f"Another upgrade of this database is under way ({holder}). Waiting until it is over."
