"""Write all that an installation knows into one encrypted file, while it runs.

The file holds, compressed and then encrypted, lines of JSON: a head (when, which migrations, the files of keys, each
table's next number), then for each table its name and columns, and its rows some at a time. It has no end mark of its
own: the encryption notices what is cut off.
"""

import contextlib
import fcntl
import glob
import gzip
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from actions.ground.refusals import Refused
from backups import _rows
from backups._envelope import Sealing
from database import HISTORY, database, pending_migrations
from models import now
from settings import Settings

SHORTEST_PASSPHRASE = 12
# What the name of a file ends with that is not whole yet.
UNFINISHED = ".unfinished"
# In the instance directory.
KEYS, SETTINGS_FILE = ("secret.key", "doveadm.key"), "postern.toml"


def write(settings: Settings, file: Path, passphrase: str) -> dict[str, int]:
    """How many rows of each table the backup holds. Raises `Refused`. A file that is there is replaced once the new
    one is whole. Nothing is written into the database: that may be full."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise Refused(f"The passphrase must have at least {SHORTEST_PASSPHRASE} characters.")
    counts = dict.fromkeys(_rows.NAMES, 0)
    with _written_whole(file) as target, _lines(target, passphrase) as lines, _rows.snapshot():
        if pending_migrations():
            raise Refused("The database is not up to date: run “flask db upgrade” first.")
        lines(_head(settings))
        for table in _rows.NAMES:
            columns = _rows.columns_of(table)
            lines({"table": table, "columns": columns})
            for rows in _rows.read(table, columns):
                lines(rows)
                counts[table] += len(rows)
    return counts


def _head(settings: Settings) -> dict:
    applied = [name for (name,) in database.execute_sql(f"SELECT name FROM {HISTORY} ORDER BY id")]
    keys = dict(zip(KEYS, (settings.secret_key, settings.doveadm_key), strict=True))
    written = settings.instance / SETTINGS_FILE
    files = keys | ({SETTINGS_FILE: written.read_text(encoding="utf-8")} if written.exists() else {})
    return {"made_at": now(), "migrations": applied, "files": files, "numbers": _rows.next_numbers()}


@contextlib.contextmanager
def _lines(target: BinaryIO, passphrase: str) -> Iterator:
    sealing = Sealing(target, passphrase)
    with gzip.GzipFile(fileobj=sealing, mode="wb", compresslevel=6, mtime=0) as packed:
        yield lambda content: packed.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    sealing.seal()


@contextlib.contextmanager
def _written_whole(file: Path) -> Iterator[BinaryIO]:
    """A file for its owner only that appears under its name when it is whole and on the disk."""
    file = file.resolve()
    if file.exists() and not file.is_file():
        raise Refused(f"{file} is no file.")
    _remove_interrupted(file)
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(8)}{UNFINISHED}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            fcntl.flock(target, fcntl.LOCK_EX)
            yield target
            target.flush()
            os.fsync(target.fileno())
            unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _remove_interrupted(file: Path) -> None:
    """What backups to this file left that were killed. Others may be at work on theirs: those hold it."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*{UNFINISHED}"):
        with contextlib.suppress(OSError), left.open("rb") as content:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
