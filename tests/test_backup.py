"""A backup holds everything, tells nothing without its passphrase, and is restored whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest
from flask import Flask

import database as db
import models
import upgrades
from backups import _envelope, _rows, backup, restore
from lab.fixtures import fresh_database
from lab.installation import environment_of
from lab.servers import wait_until
from mail_views import NAMES as VIEWS
from models import Account, OneTimeLink, Organisation, PasswordChange, WebSession
from settings import Settings
from tests.conftest import app_of, ports_of
from tests.test_old_version import fill
from tests.test_upgrades import ROOT, Interruptions, definitions, rows

PASSPHRASE = "quiet harbour nine"
# What is ended when a database is restored.
ENDED = {
    "web_session", "one_time_link", "webmail_credential", "device_invitation", "password_change",
    "password_change_item", "credentials_archive", "outbox_item",
}  # fmt: skip


@pytest.fixture
def settings(tmp_path, database_url):
    """An installation with somebody in every table."""
    (tmp_path / "rows").mkdir()
    fill(database_url, tmp_path / "rows")
    settings = Settings.load(environment_of(tmp_path / "instance", database_url))
    db.open_database(database_url)
    upgrades.upgrade(print)
    # The pool would keep it, and the server names all who are connected.
    db.discard_connection()
    return settings


@pytest.fixture
def file(settings, tmp_path):
    file = tmp_path / "postern.backup"
    backup.write(settings, file, PASSPHRASE)
    db.discard_connection()
    return file


@pytest.fixture(params=["sqlite", "mariadb"])
def elsewhere(request, tmp_path, file) -> Settings:
    """An installation on another host, of either kind, with nothing in it."""
    (tmp_path / "elsewhere").mkdir()
    with fresh_database(request, tmp_path / "elsewhere") as url:
        yield Settings.load(environment_of(tmp_path / "other", url))


def put_back(settings: Settings, file) -> None:
    db.open_database(settings.database_url)
    restore.carry_out(settings, file, PASSPHRASE, restore.look(file, PASSPHRASE), print)


def kept() -> dict[str, list]:
    found = rows()
    # SQLite's numbers of the history had gone further in old versions.
    found["history"] = [name for _, name in found["history"]]
    return {name: each for name, each in found.items() if name not in ENDED}


def seen(settings: Settings, look=kept):
    db.open_database(settings.database_url)
    try:
        return look()
    finally:
        db.discard_connection()


def restoring(app: Flask, file, *words: str, given: str | None = None):
    (file.parent / "passphrase").write_text(f"{PASSPHRASE}\n")
    try:
        named = ["--passphrase-file", str(file.parent / "passphrase")]
        return app.test_cli_runner().invoke(args=["restore", str(file), *named, *words], input=given)
    finally:
        db.discard_connection()


def open_changes() -> int:
    return PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN)).count()


def test_everything_is_restored_on_either_database(settings, file, elsewhere):
    before, numbers = seen(settings), seen(settings, _rows.next_numbers)
    assert seen(settings, open_changes)
    put_back(elsewhere, file)
    assert seen(elsewhere) == before
    restored = seen(elsewhere, _rows.next_numbers)
    assert {name: restored.get(name, 0) >= number for name, number in numbers.items()} == dict.fromkeys(numbers, True)
    with db.open_database(elsewhere.database_url).connection_context():
        assert {view.name for view in db.database.get_views()} == set(VIEWS)
        assert Organisation.create(name="New").id >= numbers["organisation"]
        assert not WebSession.select().exists()
        assert not OneTimeLink.select().exists()
        assert not open_changes()
        assert not upgrades.is_half_restored()
    assert (elsewhere.instance / "secret.key").read_text() == settings.secret_key
    assert stat.S_IMODE((elsewhere.instance / "secret.key").stat().st_mode) == 0o600
    assert not list(elsewhere.instance.parent.rglob("*-restoring*"))


def test_a_restore_that_is_interrupted_here_and_there_is_run_again(settings, file, elsewhere, monkeypatch):
    before = seen(settings)
    interruptions = Interruptions(monkeypatch, every=25)
    interruptions.to_the_end(lambda: put_back(elsewhere, file))
    assert len(interruptions.after) > 50
    db.discard_connection()
    assert seen(elsewhere) == before
    restored = seen(elsewhere, definitions)
    with db.open_database(elsewhere.database_url).connection_context():
        _rows.drop_all()
        upgrades.upgrade(print)
        assert definitions() == restored


def test_a_backup_that_is_interrupted_leaves_the_former_one(settings, file, monkeypatch):
    former = file.read_bytes()
    monkeypatch.setattr(_rows, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup.write(settings, file, PASSPHRASE)
    assert (file.read_bytes(), list(file.parent.glob(".postern.backup*"))) == (former, [])


def test_a_backup_is_of_one_moment(settings):
    with db.open_database(settings.database_url).connection_context():
        with _rows.snapshot():
            before = list(_rows.read("organisation", ["id", "name"]))
            code = "import database as db, models, sys; db.open_database(sys.argv[1]);"
            code += "models.Organisation.create(name='Later')"
            subprocess.run([sys.executable, "-c", code, settings.database_url], cwd=ROOT, check=True)
            assert list(_rows.read("organisation", ["id", "name"])) == before
        assert Organisation.select().where(Organisation.name == "Later").exists()


def test_the_file_is_its_owners_and_tells_nothing(settings, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert not [secret for secret in (settings.secret_key, "anna@example.org") if secret.encode() in content]


def test_a_wrong_passphrase_or_a_damaged_file_changes_nothing(settings, file, monkeypatch):
    before, whole = seen(settings, rows), file.read_bytes()
    pieces = range(_envelope.HEAD, len(whole), _envelope.PIECE + _envelope.TAG)
    damaged = [whole[:at] for at in (0, 20, *pieces, len(whole) - 1)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 17, 30, 60, len(whole) - 1)]
    damaged.append(whole + b"x")
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(restore.Unreadable):
            restore.look(file, PASSPHRASE)
    file.write_bytes(whole)
    with pytest.raises(restore.Unreadable):
        restore.look(file, "another passphrase")
    assert seen(settings, rows) == before


@pytest.mark.parametrize("size", [0, 1, 3 * 1024, 3 * 1024 - 1, 3 * 1024 + 1, 10_000])
def test_what_is_sealed_is_opened(size, tmp_path, monkeypatch):
    monkeypatch.setattr(_envelope, "PIECE", 1024)
    monkeypatch.setattr(_envelope, "COST", 4)
    content = os.urandom(size)
    with (tmp_path / "f").open("wb") as target:
        sealing = _envelope.Sealing(target, PASSPHRASE)
        sealing.write(content)
        sealing.seal()
    with (tmp_path / "f").open("rb") as source:
        assert _envelope.Opening(source, PASSPHRASE).readall() == content
    with (tmp_path / "f").open("r+b") as source:
        source.truncate(max(0, (tmp_path / "f").stat().st_size - 1024 - _envelope.TAG))
        source.seek(0)
        with pytest.raises(_envelope.Unreadable):
            _envelope.Opening(source, PASSPHRASE).readall()


def test_it_says_what_it_brings_back_and_asks(settings, file, mail_server, mailer):
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    anna = Account.by_login("anna@example.org")
    models.AuditEvent.create(
        at=models.now() + 60, action="web:password:changed", account=anna, account_login=anna.login, details={}
    )
    anna.write(first_name="Changed")
    db.discard_connection()
    refused = restoring(app, file, "--yes")
    assert (refused.exit_code, "--replace" in refused.output) == (1, True)
    asked = restoring(app, file, "--replace", given="n\n")
    assert "passwords that were replaced: 1" in asked.output
    assert seen(settings, lambda: Account.by_login("anna@example.org").first_name) == "Changed"
    done = restoring(app, file, "--replace", given="y\n")
    assert done.exit_code == 0, done.output
    assert seen(settings, lambda: Account.by_login("anna@example.org").first_name) != "Changed"


def test_it_refuses_while_a_worker_runs(settings, file, database_url, mail_server, mailer):
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    db.discard_connection()
    environment = os.environ | environment_of(settings.instance, database_url)
    words = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    running = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)

    def is_refused() -> bool:
        with db.database.connection_context():
            try:
                with upgrades.while_nothing_runs():
                    return False
            except upgrades.UnusableDatabase:
                return True

    try:
        # By then it is at work.
        wait_until(lambda: seen(settings, models.WorkerSign.select().exists), "the worker gives a sign")
        refused = restoring(app, file, "--replace", "--yes")
        assert (refused.exit_code, "top" in refused.output) == (1, True), refused.output
    finally:
        running.kill()
        running.wait()
    wait_until(lambda: not is_refused(), "the worker is gone")
    assert restoring(app, file, "--replace", "--yes").exit_code == 0
