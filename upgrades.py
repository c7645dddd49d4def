"""Bring the database to the present version or a step back, one process at a time; and notice one that this program
must not use."""

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from peewee import PeeweeException

from database import database, discard_connection, is_sqlite, router, sqlite_mode, take_time, unknown_migrations
from migrations.steps import Steps

log = logging.getLogger(__name__)

# Seconds of one statement that waits for the lock: fewer than a statement may take at all.
ASK_AGAIN = 2
LONGEST_LOCK_NAME = 64
HOST_OF_A_CONNECTION = "SELECT host FROM information_schema.processlist WHERE id = "

# What is under way stands in the history of steps, where every program finds it, also one of before, that must not use
# the database meanwhile. What it is called begins so.
COPYING, UNDOING = "unfinished copy of ", "unfinished downgrade of "
# What is wrong with such a database, and how to mend it.
UNFINISHED = {
    COPYING: ("This database is a copy that is not finished.", "Run the same “flask db copy-to” as before once more."),
    UNDOING: ("A downgrade of the database was interrupted.", "Run “flask db downgrade” once more."),
}

Tell = Callable[[str], None]


class Unsuitable(Exception):
    """This cannot be done with this database. The text is sentences for the operator."""


class NewerDatabase(Unsuitable):
    """The database was upgraded by a later version of Postern, or something that was begun with it is unfinished."""


def upgrade(tell: Tell) -> list[str]:
    """Take every step that is missing; their names. While another process upgrades, wait, and tell for whom. What an
    interrupted upgrade left is gone on with."""
    take_any_time()
    with alone(tell):
        refuse_newer()
        return router().run()


def downgrade(tell: Tell) -> tuple[str, str]:
    """Take back the step that was taken last; its name, and that of the step before it. What an interrupted downgrade
    left is gone on with. Raises `Unsuitable` where something would be lost."""
    take_any_time()
    with alone(tell):
        begun = [name.removeprefix(UNDOING) for name in unknown_migrations() if name.startswith(UNDOING)]
        if not begun:
            refuse_newer()
        history, done = router().model, [name for name in router().done if not name.startswith(UNDOING)]
        if not begun and not done:
            raise Unsuitable("The database has no tables yet.")
        step = begun[0] if begun else done[-1]
        # On SQLite all of it or nothing. MySQL keeps the mark with the first change of a table.
        with database.atomic():
            if not begun:
                _refuse_loss(step)
                history.create(name=UNDOING + step)
            _take_back(step)
            history.delete().where(history.name.in_((step, UNDOING + step))).execute()
        return step, max((name for name in done if name != step), default="nothing")


def refuse_newer() -> None:
    """Raises `NewerDatabase`, and what an unreachable database raises."""
    if unknown := unknown_migrations():
        raise NewerDatabase(
            " ".join(unfinished(unknown))
            or f"The database is newer than this program, which does not know its step {', '.join(unknown)}."
            " Start the version that the database was upgraded to, or a later one."
        )


def unfinished(unknown: list[str]) -> tuple[str, ...]:
    """What is under way with a database that has these steps, and how to finish it; empty for nothing."""
    return next((told for mark, told in UNFINISHED.items() for name in unknown if name.startswith(mark)), ())


def refuse_to_start_on_newer() -> None:
    """Raises `NewerDatabase`. A database that does not answer is no reason not to start: it is waited for."""
    try:
        refuse_newer()
    except PeeweeException as trouble:
        log.warning("the database does not answer yet: %s", trouble)
    finally:
        discard_connection()


def take_any_time() -> None:
    """To change a large table may take hours, in one statement."""
    take_time(None)
    discard_connection()


@contextlib.contextmanager
def alone(tell: Tell) -> Iterator[None]:
    """Inside, no other process upgrades the database. While one does, wait, and tell for whom."""
    with _holding_the_file(tell) if is_sqlite() else _holding_the_name(tell):
        yield


def _refuse_loss(step: str) -> None:
    would_lose = getattr(_migration(step), "would_lose", None)
    if would_lose is None:
        raise Unsuitable(
            f"The step {step} cannot be taken back: it would lose the tables or columns that it made, with what is in"
            " them. Nothing has been changed. A backup from before it is the way back."
        )
    if loss := would_lose(database.obj):
        raise Unsuitable(f"The step {step} cannot be taken back: {loss} would be lost. Nothing has been changed.")


def _take_back(step: str) -> None:
    steps = Steps(database.obj)
    _migration(step).rollback(steps, database.obj)
    steps()


def _migration(step: str):
    return import_module(f"migrations.{step}")


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
