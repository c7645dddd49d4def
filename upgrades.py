"""Bring the database to the present version or a step back, one process at a time; and notice one that this program
must not use."""

import contextlib
import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TextIO

from peewee import PeeweeException

from database import (
    UNFINISHED_RESTORE,
    admitted_to_restores,
    database,
    discard_connection,
    is_sqlite,
    is_unfinished_restore,
    router,
    sqlite_mode,
    take_time,
    unknown_migrations,
)

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
# What the names of the files for locks end with.
UPGRADE, RUNNING = "-upgrade", "-running"
_held_for_good: list[TextIO] = []
# Those of Postern's account; Dovecot has one of its own.
OTHER_CONNECTIONS = """
SELECT id, host FROM information_schema.processlist
WHERE db = DATABASE() AND user = SUBSTRING_INDEX(USER(), '@', 1) AND id <> CONNECTION_ID()
"""
# How often and after how many seconds it is asked again: the server notices a little later that a connection ended.
ASKED_FOR_OTHERS, ASKED_AFTER = 20, 0.1

Tell = Callable[[str], None]


class Unsuitable(Exception):
    """This cannot be done with this database. The text is sentences for the operator."""


class UnusableDatabase(Unsuitable):
    """The database was upgraded by a later version of Postern, is being restored, or something that was begun with it
    is unfinished."""


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
    """Raises `UnusableDatabase`, also for one that is being restored, and what an unreachable database raises."""
    try:
        unknown = unknown_migrations()
    except PeeweeException as trouble:
        if is_unfinished_restore(trouble):
            raise UnusableDatabase(f"{trouble}.") from None
        raise
    if unknown:
        raise UnusableDatabase(
            " ".join(unfinished(unknown))
            or f"The database is newer than this program, which does not know its step {', '.join(unknown)}."
            " Start the version that the database was upgraded to, or a later one."
        )


def unfinished(unknown: list[str]) -> tuple[str, ...]:
    """What is under way with a database that has these steps, and how to finish it; empty for nothing."""
    return next((told for mark, told in UNFINISHED.items() for name in unknown if name.startswith(mark)), ())


def refuse_to_start_on_newer() -> None:
    """Raises `UnusableDatabase`. A database that does not answer is no reason not to start: it is waited for."""
    try:
        # First: what a restore leaves is looked at when none can begin any more.
        say_that_it_runs()
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
    """Inside, no other process changes the tables; while another does, wait, and tell for whom."""
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
    from migrations.steps import Steps

    steps = Steps(database.obj)
    _migration(step).rollback(steps, database.obj)
    steps()


def _migration(step: str):
    return import_module(f"migrations.{step}")


def say_that_it_runs() -> None:
    """Until this process ends, no restore of an SQLite database begins. Raises `UnusableDatabase` while one is under
    way. MySQL's server knows by itself who is connected."""
    if not is_sqlite():
        return
    try:
        file = _file_beside(RUNNING)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UnusableDatabase("The database is being restored.") from None
    except OSError as trouble:
        log.warning("a restore will not notice that this process runs: %s", trouble)
    else:
        _held_for_good.append(file)


@contextlib.contextmanager
def while_nothing_runs() -> Iterator[None]:
    """Inside, no panel and no worker uses the database, and this thread may use one whose restore was interrupted.
    Raises `UnusableDatabase` where one does."""
    with admitted_to_restores(), _holding_the_running() if is_sqlite() else contextlib.nullcontext():
        if not is_sqlite():
            # Its own do not count.
            database.close_all()
            _refuse_others()
        yield


def begin_restore() -> None:
    """From here to `end_restore` nobody else gets a connection to the database, however the restore is interrupted.
    Raises `UnusableDatabase` where somebody got one since `while_nothing_runs` asked."""
    was_unfinished = is_half_restored()
    database.execute_sql(f"CREATE TABLE IF NOT EXISTS {UNFINISHED_RESTORE} (id INTEGER)")
    try:
        if not is_sqlite():
            _refuse_others()
    except UnusableDatabase:
        if not was_unfinished:
            end_restore()
        raise


def is_half_restored() -> bool:
    return database.table_exists(UNFINISHED_RESTORE)


def end_restore() -> None:
    database.execute_sql(f"DROP TABLE {UNFINISHED_RESTORE}")


@contextlib.contextmanager
def _holding_the_running() -> Iterator[None]:
    with contextlib.closing(_file_beside(RUNNING)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnusableDatabase("Postern is running. Stop it first (systemctl stop postern).") from None
        yield


def _refuse_others() -> None:
    for _time in range(ASKED_FOR_OTHERS):
        found = list(database.execute_sql(OTHER_CONNECTIONS))
        if not found:
            return
        time.sleep(ASKED_AFTER)
    named = ", ".join(f"{number} from {host}" for number, host in found)
    raise UnusableDatabase(f"Something uses the database (connection {named}). Stop Postern on every host first.")


def _file_beside(suffix: str) -> TextIO:
    """A file beside that of an SQLite database, for a lock, which ends with its process. It stays: to delete it would
    let two processes hold one each. Whoever may use the database may use it, and may write into its directory: a link
    that they put in its place is not followed."""
    file = Path(database.database)
    descriptor = os.open(file.with_name(f"{file.name}{suffix}"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, sqlite_mode(file))
        owner = (file if file.exists() else file.parent).stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return os.fdopen(descriptor, "r+", encoding="utf-8")


@contextlib.contextmanager
def _holding_the_file(tell: Tell) -> Iterator[None]:
    """The file says who holds the lock."""
    with contextlib.closing(_file_beside(UPGRADE)) as held:
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
