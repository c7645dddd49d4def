"""Make an installation's database again from a backup: what the file holds is read to its end before anything changes.

On SQLite a new database is made in the instance directory and then written over the present one in one transaction,
whoever has the file open. On MySQL the tables are dropped and made again. There the mail server finds no views until
everything is in place, so that it asks again later instead of refusing mail to people whom it does not find. A mark in
the database keeps everybody else out until keys and settings are in place too: an interrupted restore is run again.
"""

import contextlib
import gzip
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from peewee import PeeweeException

import upgrades
from actions.ground.actor import OPERATOR
from actions.ground.refusals import N_, Refused
from actions.password_changes import password_changes
from actions.trail import audit, trail
from actions.trail.events import Event
from backups import _rows
from backups._envelope import Opening, Unreadable
from backups.backup import KEYS, SETTINGS_FILE
from database import (
    database,
    discard_connection,
    insert_all,
    is_sqlite,
    open_database,
    router,
    take_time,
    unknown_migrations,
)
from migrations.steps import Steps
from models import (
    Account,
    AuditEvent,
    Device,
    DeviceInvitation,
    OutboxItem,
    PasswordChange,
    UsedToken,
    UserImport,
    WebmailCredential,
    now,
)
from settings import Settings

REASON = N_("The database was restored from a backup.")
# The backup's rows of these stay out: what was ended, used or forgotten since would come to life again.
LEFT_OUT = ("web_session", "known_browser", "one_time_link")
# What going back undoes, by the events that tell of it.
UNDONE = {
    "Passwords that were set since are forgotten, and former ones are valid again": (
        Event.PASSWORD_CHANGED, Event.LINK_PASSWORD_WELCOME, Event.LINK_PASSWORD_RESET, Event.LINK_PASSWORD_RECOVER,
        Event.LINK_PASSWORD_HANDED_OUT, Event.USER_PASSWORD_SET, Event.PASSWORD_ISSUED, Event.COLLABORATION_RESET,
    ),
    "Devices that were disconnected, or got another password, open mailboxes again": (
        Event.DEVICE_DISCONNECTED, Event.DEVICES_DISCONNECTED, Event.LINK_DEVICE_DISOWNED,
        Event.DEVICE_PASSWORD_CHANGED,
    ),
    "Accounts that were locked, suspended or disabled, or whose access was ended, are open again": (
        Event.LINK_ACCOUNT_LOCKED, Event.OPERATOR_ACCOUNT_LOCKED, Event.USER_SUSPENDED, Event.ACCESS_ENDED,
        Event.COLLABORATION_DISABLED, Event.COLLABORATION_SUSPENDED,
    ),
    "Users, managers, collaborators and webmails that were removed are back": (
        Event.USER_REMOVED, Event.OPERATOR_MANAGER_REMOVED, Event.COLLABORATION_REMOVED,
        Event.OPERATOR_WEBMAIL_REMOVED, Event.OPERATOR_DOMAIN_REMOVED, Event.OPERATOR_SERVICE_REMOVED,
    ),
    "Roles, permissions and rules that were changed are as they were": (
        Event.OPERATOR_MANAGER_CHANGED, Event.OPERATOR_MANAGER_ROLE_GIVEN, Event.OPERATOR_MANAGER_ROLE_TAKEN,
        Event.COLLABORATION_PERMISSIONS_CHANGED, Event.DEVICES_REQUIRED, Event.DEVICES_NOT_REQUIRED,
        Event.OPERATOR_SERVICE_CHANGED,
    ),
}  # fmt: skip
# What was made since, by when it was.
LOST = {
    "Accounts that were added since are gone": Account.created_at,
    "Devices that were added since are gone": Device.created_at,
}


@dataclass(frozen=True)
class Found:
    """What a backup holds: when it was made, by which steps, the files of the instance directory, each table's next
    number, and how many rows of each."""

    made_at: int
    migrations: list[str]
    files: dict[str, str]
    numbers: dict[str, int]
    counts: dict[str, int]


@dataclass(frozen=True)
class Kept:
    """What a restore keeps of the database that it replaces: the numbers that were given, and the tokens of webmails
    that were used, so that none counts twice."""

    numbers: dict[str, int]
    used_tokens: list[dict]


class WithoutViews(Steps):
    """The steps as they are, but the mail server finds no view until all rows are there."""

    def ensure_view(self, name: str, statement: str) -> None:
        return


def look(file: Path, passphrase: str) -> Found:
    """Read a backup to its end. Raises `Unreadable`, and `Refused` for one of a later version."""
    counts: dict[str, int] = {}
    with _opened(file, passphrase) as content:
        head = next(content)
        for table, _columns, rows in _tables(content):
            counts[table] = counts.get(table, 0) + len(rows)
    migrations = head["migrations"]
    if migrations != router().todo[: len(migrations)]:
        raise Refused("The backup is of another version of Postern: restore it with that one, or a later one.")
    return Found(head["made_at"], migrations, head["files"], head["numbers"], counts)


def refuse_what_does_not_fit(settings: Settings, found: Found) -> None:
    """Raises `Refused` where a key of the backup would not be used, because a setting has another one, or where
    something of a later version would stay in the database."""
    for name, key in _keys(settings).items():
        if key not in (found.files[name], _text_of(settings.instance / name).strip()):
            setting = f"POSTERN_{name.replace('.', '_').upper()}"
            raise Refused(f"The backup has another {name}: remove {setting} from the settings first.")
    # An SQLite file is replaced as a whole.
    if not is_sqlite() and unknown_migrations() and (strange := _rows.strange_tables()):
        raise Refused(
            f"A later version of Postern made the tables {', '.join(strange)}, which this one does not know."
            " Restore into an empty database."
        )


def consequences(settings: Settings, found: Found) -> Iterator[str]:
    """What going back brings along, a sentence each; counted by what the present database tells of the time since."""
    try:
        for what, number in _counted(found).items():
            if number:
                yield f"{what}: {number}."
    except PeeweeException:
        yield "What happened since is not known: the present database does not tell."
    yield "Passwords of that time are valid again, those of devices too."
    yield "What was open then is ended: browsers, webmails, links, invitations to set up a device, e-mails that wait."
    for name in _other_keys(settings, found):
        yield f"{name} is replaced by that of the backup."


def carry_out(settings: Settings, file: Path, passphrase: str, found: Found, tell: upgrades.Tell) -> None:
    """Replace the database and the keys, inside `upgrades.while_nothing_runs`. Raises `UnusableDatabase` where
    something has begun to use the database since."""
    take_time(None)
    discard_connection()
    with upgrades.alone(tell):
        replace = _write_over if is_sqlite() else _replace_in_place
        replace(settings, lambda kept: _make(file, passphrase, found, kept))
        _put_back_files(settings, found, tell)
        upgrades.end_restore()


def _keys(settings: Settings) -> dict[str, str]:
    return dict(zip(KEYS, (settings.secret_key, settings.doveadm_key), strict=True))


def _other_keys(settings: Settings, found: Found) -> list[str]:
    return [name for name, key in _keys(settings).items() if key != found.files[name]]


def _counted(found: Found) -> dict[str, int]:
    if upgrades.is_half_restored():
        raise PeeweeException
    since = AuditEvent.select().where(AuditEvent.at > found.made_at)
    undone = {
        what: since.where(AuditEvent.action.in_([event.code for event in events])).count()
        for what, events in UNDONE.items()
    }
    return undone | {what: column.model.select().where(column > found.made_at).count() for what, column in LOST.items()}


def _write_over(settings: Settings, make) -> None:
    beside = settings.instance / ".postern.db-restoring"
    _remove(beside)
    kept = _kept()
    try:
        database.close()
        with open_database(f"sqlite:///{quote(str(beside))}").connection_context():
            make(kept)
            upgrades.begin_restore()
            database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        opened = open_database(settings.database_url)
        with contextlib.closing(sqlite3.connect(beside)) as made, opened.connection_context():
            made.backup(opened.connection())
    finally:
        open_database(settings.database_url)
        _remove(beside)


def _remove(beside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside.with_name(beside.name + suffix).unlink(missing_ok=True)


def _replace_in_place(_settings: Settings, make) -> None:
    upgrades.begin_restore()
    kept = _kept()
    _rows.drop_all()
    make(kept)


def _kept() -> Kept:
    try:
        tokens = list(UsedToken.select(UsedToken.key, UsedToken.expires_at).dicts())
        return Kept(_rows.next_numbers(), tokens)
    except PeeweeException:
        # It is empty, damaged, or what an interrupted restore left.
        return Kept({}, [])


def _make(file: Path, passphrase: str, found: Found, kept: Kept) -> None:
    """Make the tables of the backup's version with its rows, bring them to the present version, and end what must not
    come to life again."""
    router(WithoutViews).run(found.migrations[-1])
    _rows.begin_numbers_at(found.numbers)
    _rows.begin_numbers_at(kept.numbers)
    with _rows.in_any_order(), database.atomic(), _opened(file, passphrase) as content:
        next(content)
        for table, columns, rows in _tables(content):
            if table not in LEFT_OUT:
                _rows.write(table, columns, rows)
    router(WithoutViews).run()
    with database.atomic():
        insert_all(UsedToken, kept.used_tokens, ignore=True)
        _end_what_was_open()
        audit.record(OPERATOR, Event.OPERATOR_DATABASE_RESTORED, backup_of=trail.exact(found.made_at))
    _rows.make_views()


def _end_what_was_open() -> None:
    """What was ended, used, cancelled or delivered since may not come to life again, so nothing of its kind does."""
    WebmailCredential.update(ended_at=now()).where(WebmailCredential.ended_at.is_null()).execute()
    DeviceInvitation.update(withdrawn_at=now()).where(DeviceInvitation.undecided()).execute()
    UserImport.update(state=UserImport.CHECKED).where(UserImport.state == UserImport.WANTED).execute()
    for change in PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN)):
        password_changes.end(change, PasswordChange.STOPPED, REASON)
    waiting = OutboxItem.delivered_at.is_null() & OutboxItem.given_up_at.is_null()
    OutboxItem.update(given_up_at=now(), payload="", last_error=REASON).where(waiting).execute()


def _put_back_files(settings: Settings, found: Found, tell: upgrades.Tell) -> None:
    for name in _other_keys(settings, found):
        _write_secret(settings.instance / name, found.files[name])
    text = found.files.get(SETTINGS_FILE)
    file = settings.instance / SETTINGS_FILE
    if text is None or _text_of(file) == text:
        return
    # Settings that are there name this very database: they stay, and the others lie beside them.
    kept = file.with_name(f"{SETTINGS_FILE}.of-backup") if file.exists() else file
    _write_secret(kept, text)
    tell(f"The settings of the backup are in {kept}.")


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


def _tables(content: Iterator) -> Iterator[tuple[str, list[str], _rows.Rows]]:
    """Each table and its columns, with some of its rows at a time; with none at first."""
    table, columns = "", []
    for each in content:
        if isinstance(each, dict):
            table, columns = each["table"], each["columns"]
            yield table, columns, []
        else:
            yield table, columns, each


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


def _write_secret(file: Path, text: str) -> None:
    """Nobody but whoever owns the instance directory reads it, also where root restores."""
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            owner = file.parent.stat()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            target.write(text)
            target.flush()
            os.fsync(descriptor)
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
