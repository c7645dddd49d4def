"""Make an installation's database again from a backup: what the file holds is read to its end before anything changes.

On SQLite a new database is made beside the present one and then written over it in one transaction, whoever has the
file open. On MySQL the tables are dropped and made again; a mark in the database keeps everybody out until that is
done, so that an interrupted restore is run again.
"""

import contextlib
import gzip
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from peewee import PeeweeException

import upgrades
from actions.ground.refusals import Refused
from actions.password_changes import password_changes
from actions.trail.events import Event
from backups import _rows
from backups._envelope import Opening, Unreadable
from backups.backup import KEYS, SETTINGS_FILE
from database import database, is_sqlite, open_database, router, sqlite_file
from models import AuditEvent, DeviceInvitation, OneTimeLink, PasswordChange, WebmailCredential, WebSession, now
from settings import Settings

REASON = "The database was restored from a backup."
# What is undone by going back, by the events that tell of it.
BROUGHT_BACK = {
    "passwords that were replaced": (
        Event.PASSWORD_CHANGED, Event.LINK_PASSWORD_RESET, Event.LINK_PASSWORD_RECOVER, Event.USER_PASSWORD_SET,
        Event.PASSWORD_ISSUED, Event.COLLABORATION_RESET,
    ),
    "devices that were disconnected, or got another password": (
        Event.DEVICE_DISCONNECTED, Event.DEVICES_DISCONNECTED, Event.LINK_DEVICE_DISOWNED,
        Event.DEVICE_PASSWORD_CHANGED,
    ),
    "accounts that were locked or suspended, or whose access was ended": (
        Event.LINK_ACCOUNT_LOCKED, Event.OPERATOR_ACCOUNT_LOCKED, Event.USER_SUSPENDED, Event.ACCESS_ENDED,
    ),
    "users and collaborators that were removed": (
        Event.USER_REMOVED, Event.COLLABORATION_REMOVED, Event.COLLABORATION_DISABLED,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a backup holds."""

    made_at: int
    migrations: list[str]
    files: dict[str, str]
    numbers: dict[str, int]
    counts: dict[str, int]


def look(file: Path, passphrase: str) -> Found:
    """Read a backup to its end. Raises `Unreadable`, and `Refused` for one of a later version."""
    counts: dict[str, int] = {}
    with _opened(file, passphrase) as content:
        head = next(content)
        table = ""
        for each in content:
            if isinstance(each, dict):
                table = each["table"]
                counts[table] = 0
            else:
                counts[table] += len(each)
    known = router().todo
    if head["migrations"] != known[: len(head["migrations"])]:
        raise Refused("The backup is of another version of Postern: restore it with that one, or a later one.")
    return Found(**head, counts=counts)


def brought_back(found: Found) -> dict[str, int]:
    """How often each kind of thing happened since the backup, by the trail of the present database; nothing where that
    cannot be read."""
    try:
        since = AuditEvent.select().where(AuditEvent.at > found.made_at)
        counted = {
            what: since.where(AuditEvent.action.in_([event.code for event in events])).count()
            for what, events in BROUGHT_BACK.items()
        }
    except PeeweeException:
        return {}
    return {what: number for what, number in counted.items() if number}


def refuse_other_data() -> None:
    """Raises `Refused` where the database is in use already. What an interrupted restore left is nobody's."""
    if not upgrades.is_half_restored() and not _rows.is_empty():
        raise Refused("The database is not empty. Say --replace to replace all that stands in it.")


def refuse_other_keys(settings: Settings, found: Found) -> None:
    """Raises `Refused` where a key of the backup would not be used, because a setting has another one."""
    for name, key in zip(KEYS, (settings.secret_key, settings.doveadm_key), strict=True):
        if key not in (found.files[name], _kept(settings, name)):
            setting = f"POSTERN_{name.replace('.', '_').upper()}"
            raise Refused(f"The backup has another {name}: remove {setting} from the settings first.")


def carry_out(settings: Settings, file: Path, passphrase: str, found: Found, tell: upgrades.Tell) -> None:
    """Replace the database and the keys. The caller has made sure that nothing runs."""
    with upgrades.alone(tell):
        if is_sqlite():
            _write_over(settings, file, passphrase, found)
        else:
            upgrades.begin_restore()
            _rows.drop_all()
            _make(file, passphrase, found)
            upgrades.end_restore()
    for name in KEYS:
        if found.files[name] != getattr(settings, name.replace(".", "_")):
            _write_secret(settings.instance / name, found.files[name])
    text = found.files.get(SETTINGS_FILE)
    present = settings.instance / SETTINGS_FILE
    if text is not None and (not present.exists() or present.read_text(encoding="utf-8") != text):
        _write_secret(settings.instance / f"{SETTINGS_FILE}.of-backup", text)


def _write_over(settings: Settings, file: Path, passphrase: str, found: Found) -> None:
    target = sqlite_file(settings.database_url)
    beside = target.with_name(f".{target.name}-restoring")
    _remove(beside)
    try:
        database.close()
        with open_database(f"sqlite:///{quote(str(beside))}").connection_context():
            _make(file, passphrase, found)
            database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        present = open_database(settings.database_url)
        with contextlib.closing(sqlite3.connect(beside)) as made, present.connection_context():
            made.backup(present.connection())
    finally:
        open_database(settings.database_url)
        _remove(beside)


def _remove(beside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside.with_name(beside.name + suffix).unlink(missing_ok=True)


def _make(file: Path, passphrase: str, found: Found) -> None:
    """Make the tables of the backup's version with its rows, bring them to the present version, and end what must not
    come back to life."""
    router().run(found.migrations[-1])
    _rows.begin_numbers_at(found.numbers)
    with _rows.in_any_order(), database.atomic(), _opened(file, passphrase) as content:
        next(content)
        table, columns = "", []
        for each in content:
            if isinstance(each, dict):
                table, columns = each["table"], each["columns"]
            else:
                _rows.write(table, columns, each)
    router().run()
    with database.atomic():
        _end_what_was_open()


def _end_what_was_open() -> None:
    """What was ended, used or cancelled since may not come back to life, so nothing of its kind does."""
    WebSession.delete().execute()
    OneTimeLink.delete().execute()
    WebmailCredential.update(ended_at=now()).where(WebmailCredential.ended_at.is_null()).execute()
    DeviceInvitation.update(withdrawn_at=now()).where(DeviceInvitation.undecided()).execute()
    for change in PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN)):
        password_changes.end(change, PasswordChange.STOPPED, REASON)


@contextlib.contextmanager
def _opened(file: Path, passphrase: str) -> Iterator[Iterator]:
    with file.open("rb") as source:
        yield _lines(source, passphrase)


def _lines(source: BinaryIO, passphrase: str) -> Iterator:
    try:
        with gzip.GzipFile(fileobj=Opening(source, passphrase), mode="rb") as packed:
            for line in packed:
                yield json.loads(line)
    except (gzip.BadGzipFile, EOFError, ValueError):
        raise Unreadable("The file is damaged.") from None


def _kept(settings: Settings, name: str) -> str:
    try:
        return (settings.instance / name).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _write_secret(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}-restoring")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
