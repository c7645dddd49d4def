"""A backup holds everything, tells nothing without its passphrase, and is restored whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
from flask import Flask
from peewee import OperationalError

import database as db
import models
import upgrades
import worker
from actions.ground.refusals import Refused
from actions.outbox import outbox
from actions.sessions import links, sessions
from actions.trail import trail
from actions.trail.events import Event
from actions.webmails import webmail_credentials
from backups import _envelope, _rows, backup, restore
from lab.fixtures import fresh_database
from lab.installation import environment_of
from lab.servers import wait_until
from mail_views import NAMES as VIEWS
from models import Account, AuditEvent, Device, Organisation, OutboxItem, PasswordChange, UsedToken, UserImport, Webmail
from settings import Settings
from tests.client import Client
from tests.conftest import Clock, app_of, ports_of
from tests.test_mail_views import as_they_stand_in_the_module, views
from tests.test_old_version import ANNA, BORIS, LINKS, MINUTE, NOTES, PASSWORD, fill
from tests.test_upgrades import LATER, ROOT, definitions, rows

PASSPHRASE = "quiet harbour nine"
# What is ended when a database is restored.
ENDED = {
    "web_session", "known_browser", "one_time_link", "webmail_credential", "device_invitation", "password_change",
    "password_change_item", "credentials_archive", "outbox_item", "user_import", "audit_event",
}  # fmt: skip

# What has nothing to do with the kind of database.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """The cost stands in the file's head."""
    monkeypatch.setattr(_envelope, "COST", 4)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """A minute after the old version stopped: its links and invitations are still good."""
    clock = Clock(NOTES["moment"] + MINUTE)
    monkeypatch.setattr(models, "time", clock)
    return clock


@pytest.fixture
def settings(tmp_path, database_url):
    """An installation with somebody in every table."""
    (tmp_path / "rows").mkdir()
    fill(database_url, tmp_path / "rows")
    if database_url.startswith("mysql:"):
        let_go()
    (tmp_path / "instance").mkdir(mode=0o700)
    keep(tmp_path / "instance" / "secret.key", NOTES["secret_key"])
    keep(tmp_path / "instance" / "postern.toml", f'webmail_origins = ["{NOTES["webmail"]["origin"]}"]\n')
    settings = Settings.load(environment_of(tmp_path / "instance", database_url))
    db.open_database(database_url)
    upgrades.upgrade(print)
    let_go()
    return settings


@pytest.fixture
def file(settings, tmp_path):
    file = tmp_path / "postern.backup"
    backup.write(settings, file, PASSPHRASE)
    let_go()
    return file


@pytest.fixture(params=["sqlite", "mariadb"])
def elsewhere(request, tmp_path, file) -> Settings:
    """An installation on another host, of either kind, with nothing in it."""
    (tmp_path / "elsewhere").mkdir()
    with fresh_database(request, tmp_path / "elsewhere") as url:
        yield Settings.load(environment_of(tmp_path / "other", url))


@pytest.fixture
def app(settings, file, mail_server, mailer) -> Flask:
    return app_for(settings, mail_server, mailer)


def app_for(settings, mail_server, mailer) -> Flask:
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    let_go()
    return app


def let_go() -> None:
    """The server names all who are connected, and those whose connection the pool keeps."""
    db.database.close() if db.is_sqlite() else db.database.close_all()


def keep(file, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def put_back(settings: Settings, file) -> None:
    db.open_database(settings.database_url)
    with upgrades.while_nothing_runs():
        restore.carry_out(settings, file, PASSPHRASE, restore.look(file, PASSPHRASE), print)


def kept() -> dict[str, list]:
    found = rows()
    # SQLite's numbers of the history had gone further in old versions.
    found["history"] = [name for _, name in found["history"]]
    return {name: each for name, each in found.items() if name not in ENDED}


def tables() -> dict[str, str]:
    """As they are defined. On MariaDB the first step gives the database its collation after the history was made."""
    return {name: each for name, each in definitions().items() if name not in (*VIEWS, _rows.HISTORY)}


def seen(settings: Settings, look=kept):
    db.open_database(settings.database_url)
    try:
        return look()
    finally:
        let_go()


def restoring(app: Flask, file, *words: str):
    keep(file.parent / "passphrase", f"{PASSPHRASE}\n")
    try:
        named = ["--passphrase-file", str(file.parent / "passphrase")]
        return app.test_cli_runner().invoke(args=["restore", str(file), *named, *words])
    finally:
        let_go()


def program(settings: Settings, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | environment_of(settings.instance, settings.database_url)
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


# --- all of it ---


def test_everything_is_restored_on_either_database(settings, file, elsewhere):
    before, numbers, events = (seen(settings, look) for look in (kept, _rows.next_numbers, AuditEvent.select().count))
    put_back(elsewhere, file)
    assert seen(elsewhere) == before
    restored = seen(elsewhere, _rows.next_numbers)
    assert {name: restored.get(name, 0) >= number for name, number in numbers.items()} == dict.fromkeys(numbers, True)
    if elsewhere.database_url.partition(":")[0] == settings.database_url.partition(":")[0]:
        assert seen(elsewhere, tables) == seen(settings, tables)
    with db.open_database(elsewhere.database_url).connection_context():
        assert views() == as_they_stand_in_the_module()
        assert Organisation.create(name="New").id >= numbers["organisation"]
        *_, restoration = AuditEvent.select().order_by(AuditEvent.id)
        assert restoration.action == Event.OPERATOR_DATABASE_RESTORED.code
        assert AuditEvent.select().count() == events + 1
    held = {each.name: each.read_text() for each in elsewhere.instance.iterdir()}
    names = ("secret.key", "doveadm.key", "postern.toml")
    assert held == {name: (settings.instance / name).read_text().strip("\n") + "\n" * (name == "postern.toml")
                    for name in names}  # fmt: skip
    assert {stat.S_IMODE(each.stat().st_mode) for each in elsewhere.instance.iterdir()} == {0o600}
    assert not list(elsewhere.instance.parent.rglob("*-restoring*"))


def test_a_backup_is_of_one_moment(settings):
    with db.open_database(settings.database_url).connection_context():
        with _rows.snapshot():
            before = list(_rows.read("organisation", ["id", "name"]))
            code = "import database as db, models, sys; db.open_database(sys.argv[1]);"
            code += "models.Organisation.create(name='Later')"
            subprocess.run([sys.executable, "-c", code, settings.database_url], cwd=ROOT, check=True)
            assert list(_rows.read("organisation", ["id", "name"])) == before
        assert Organisation.select().where(Organisation.name == "Later").exists()


# --- what comes back, and what does not ---


def test_passwords_and_devices_come_back_and_nothing_that_was_open(
    settings, file, clock, elsewhere, mail_server, mailer
):
    def page(app: Flask, address: str, cookies: dict | None = None):
        browser = Client(app, elsewhere.base_url)
        for cookie, value in (cookies or {}).items():
            browser.set_cookie(cookie, value)
        return browser.open(address)

    def state(app: Flask) -> dict[str, object]:
        anna = Account.by_login(ANNA)
        credential = NOTES["webmail"]["credential"]["password"]
        return {
            "links": {page(app, f"/links/{path}/{LINKS[name]}").status for name, path in paths.items()},
            "invitations": {page(app, f"/set-up/{each['token']}").status for each in NOTES["invitations"].values()},
            "browser": page(app, "/account/password", NOTES["sessions"]["anna"]).path,
            "known": sessions.is_known_browser(anna, NOTES["sessions"]["anna"]["postern-browser"]),
            "webmail": webmail_credentials.is_alive(Webmail.get(), credential),
            "open changes": PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN)).exists(),
            "imports": UserImport.select().where(UserImport.state == UserImport.WANTED).exists(),
            "waiting": OutboxItem.open_items().exists(),
        }

    app = app_for(settings, mail_server, mailer)
    paths = {name: path_of(name) for name in LINKS}
    assert state(app) == {
        "links": {200}, "invitations": {200}, "browser": "/account/password", "known": True, "webmail": True,
        "open changes": True, "imports": True, "waiting": True,
    }  # fmt: skip
    let_go()
    put_back(elsewhere, file)
    restored = Settings.load(environment_of(elsewhere.instance, elsewhere.database_url))
    app = app_for(restored, mail_server, mailer)
    assert state(app) == {
        "links": {410}, "invitations": {410}, "browser": "/sign-in", "known": False, "webmail": False,
        "open changes": False, "imports": False, "waiting": False,
    }  # fmt: skip
    clock.pass_by(MINUTE)
    outbox.deliver_due(ports_of(restored, mail_server, mailer), worker.HANDLERS)
    assert mailer.sent == []
    assert Client(app, elsewhere.base_url).sign_in(BORIS, PASSWORD).title == "Overview"
    assert Device.select().where(Device.name == "Anna's phone").exists()


def path_of(name: str) -> str:
    return links.PATHS[models.OneTimeLink.get(models.OneTimeLink.token_hash == links.digest(LINKS[name])).purpose]


def test_a_token_of_a_webmail_that_was_used_since_stays_used(settings, file):
    with db.open_database(settings.database_url).connection_context():
        UsedToken.create(key="f" * 64, expires_at=models.now() + MINUTE)
        number = Organisation.create(name="Gone again").id
    let_go()
    put_back(settings, file)
    with db.database.connection_context():
        assert UsedToken.select().where(UsedToken.key == "f" * 64).exists()
        assert Organisation.create(name="New").id > number


def test_it_says_what_it_brings_back_and_does_nothing_without_yes(settings, file, app):
    with db.database.connection_context():
        made_at = restore.look(file, PASSPHRASE).made_at
        anna = Account.by_login(ANNA)
        for event in (Event.PASSWORD_CHANGED, Event.LINK_PASSWORD_RESET, Event.DEVICE_DISCONNECTED):
            AuditEvent.create(at=made_at + 60, action=event.code, account=anna, account_login=ANNA, details={})
        Account.create(login="new@example.org", created_at=made_at + 60)
        anna.write(first_name="Changed")
    let_go()
    asked = restoring(app, file)
    assert asked.exit_code == 0, asked.output
    for said in (
        trail.exact(made_at), "former ones are valid again: 2.", "open mailboxes again: 1.",
        "Accounts that were added since are gone: 1.", "browsers", "Say --yes",
    ):  # fmt: skip
        assert said in asked.output
    assert "secret.key" not in asked.output
    assert seen(settings, lambda: Account.by_login(ANNA).first_name) == "Changed"
    done = restoring(app, file, "--yes")
    assert done.exit_code == 0, done.output
    assert seen(settings, lambda: Account.by_login(ANNA).first_name) != "Changed"
    assert seen(settings, lambda: Account.by_login("new@example.org")) is None


# --- while something runs ---


def test_it_refuses_while_a_worker_runs(settings, file, app):
    environment = os.environ | environment_of(settings.instance, settings.database_url)
    words = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    with db.database.connection_context():
        models.WorkerSign.delete().execute()
    let_go()
    running = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        # By then it is at work.
        wait_until(lambda: seen(settings, models.WorkerSign.select().exists), "the worker gives a sign")
        refused = restoring(app, file, "--yes")
        assert (refused.exit_code, "top" in refused.output) == (1, True), refused.output
    finally:
        running.kill()
        running.wait()
    assert restoring(app, file, "--yes").exit_code == 0


def test_nothing_starts_while_it_is_restored_nor_after_that_was_interrupted(settings, app):
    def refuses(*words: str) -> bool:
        refused = program(settings, *words)
        assert "Traceback" not in refused.stderr
        return refused.returncode == 1 and "restored" in refused.stderr

    with upgrades.while_nothing_runs():
        upgrades.begin_restore()
        assert refuses("-c", "import wsgi")
    # From here on as when the restore was killed.
    assert refuses("-m", "flask", "--app", "wsgi", "worker")
    with pytest.raises(OperationalError, match="restored"):
        db.database.connect()
    run = app.test_cli_runner().invoke
    assert run(args=["bounce", "receive", "x@example.org"], input="x").exit_code == os.EX_TEMPFAIL
    for words in (["service", "list"], ["db", "upgrade"], ["doctor"]):
        said = run(args=words)
        assert (said.exit_code, "restore" in said.output) == (1, True), said.output
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, "restored" in answer.text) == (503, True)


def test_whoever_came_in_since_it_was_asked_is_found(request, tmp_path):
    request.param = "mariadb"
    with fresh_database(request, tmp_path) as url:
        db.open_database(url)
        with upgrades.while_nothing_runs():
            other = db._mysql(url)
            other.connect()
            with pytest.raises(upgrades.UnusableDatabase, match="uses the database"):
                upgrades.begin_restore()
            assert not upgrades.is_half_restored()
            other.manual_close()
            upgrades.begin_restore()
            upgrades.end_restore()


# --- killed ---


def killed(settings: Settings, step: int | str, *words: object) -> subprocess.CompletedProcess:
    """Before this step; before none with 0."""
    return program(settings, "-m", "tests.killed", str(step), *map(str, words))


def test_a_restore_that_is_killed_leaves_what_was_there_or_what_nobody_uses_and_is_run_again(settings, file):
    keep(file.parent / "passphrase", PASSPHRASE)
    words = ("restore", file, "--yes", "--passphrase-file", file.parent / "passphrase")
    key, before, defined = settings.instance / "secret.key", seen(settings), seen(settings, tables)

    def restored() -> int:
        """How many steps it took."""
        done = killed(settings, 0, *words)
        assert done.returncode == 0, done.stderr
        assert PASSPHRASE not in done.stderr
        assert (seen(settings), seen(settings, tables)) == (before, defined)
        assert key.read_text() == NOTES["secret_key"]
        return int(done.stdout)

    def is_former() -> bool:
        """False where nobody gets in."""
        try:
            found = seen(settings)
        except OperationalError as refusal:
            assert db.is_unfinished_restore(refusal)
            return False
        assert (found, key.read_text()) == (former, "k" * 64)
        return True

    keep(key, "k" * 64)
    steps = restored()
    keep(key, "k" * 64)
    with db.open_database(settings.database_url).connection_context():
        Account.by_login(ANNA).write(first_name="Changed")
    let_go()
    former, outcomes = seen(settings), []
    for step in (1, steps // 2, "rename", f"DROP TABLE {db.UNFINISHED_RESTORE}"):
        died = killed(settings, step, *words)
        assert died.returncode == -signal.SIGKILL, died.stderr
        outcomes.append(is_former())
    assert (outcomes[0], outcomes[-2:]) == (True, [False, False])
    restored()


@ON_SQLITE
def test_a_backup_that_is_killed_leaves_no_half_file_and_is_run_again(settings, file):
    keep(file.parent / "passphrase", PASSPHRASE)
    words = ("backup", file, "--passphrase-file", file.parent / "passphrase")
    former = file.read_bytes()
    whole = killed(settings, 0, *words)
    assert whole.returncode == 0, whole.stderr
    assert PASSPHRASE not in whole.stderr
    file.write_bytes(former)
    for step in (1, int(whole.stdout) // 2, "rename"):
        assert killed(settings, step, *words).returncode == -signal.SIGKILL
        assert file.read_bytes() == former
        left = [each.read_bytes() for each in file.parent.glob(f".{file.name}*")]
        assert not [secret for secret in (NOTES["secret_key"], ANNA) for each in left if secret.encode() in each]
    assert left
    assert killed(settings, 0, *words).returncode == 0
    assert list(file.parent.glob(f".{file.name}*")) == []
    assert restore.look(file, PASSPHRASE).counts == {
        table._meta.table_name: seen(settings, table.select().count) for table in models.TABLES
    }


# --- attacks ---


@ON_SQLITE
def test_the_file_is_its_owners_and_tells_nothing(settings, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert not [secret for secret in (settings.secret_key, ANNA) if secret.encode() in content]
    file.chmod(0o644)
    (file.parent / "link").symlink_to(file)
    former = os.umask(0)
    try:
        backup.write(settings, file.parent / "link", PASSPHRASE)
    finally:
        os.umask(former)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (file.parent / "link").is_symlink()
    os.mkfifo(file.parent / "pipe")
    for refused in (lambda: backup.write(settings, file.parent / "pipe", PASSPHRASE),
                    lambda: backup.write(settings, file, "elevenchars")):  # fmt: skip
        with pytest.raises(Refused):
            refused()


@ON_SQLITE
def test_a_wrong_passphrase_or_a_damaged_file_changes_nothing(settings, file, app):
    before, whole = seen(settings, rows), file.read_bytes()
    cost = len(_envelope.MAGIC)
    damaged = [whole[:at] for at in (0, 20, _envelope.HEAD, len(whole) - 1)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, cost, 30, 60, len(whole) - 1)]
    damaged += [whole + b"x", whole + whole, b"", b"x" * 1000]
    damaged += [whole[:cost] + bytes([asked]) + whole[cost + 1 :] for asked in (0, _envelope.MOST_COST + 1, 63, 255)]
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(restore.Unreadable):
            restore.look(file, PASSPHRASE)
    refused = restoring(app, file, "--yes")
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    file.write_bytes(whole)
    for wrong in ("another passphrase", PASSPHRASE[:-1], ""):
        with pytest.raises(restore.Unreadable):
            restore.look(file, wrong)
    assert seen(settings, rows) == before


def sealed(file, content: bytes, passphrase: str = PASSPHRASE) -> None:
    with file.open("wb") as target:
        sealing = _envelope.Sealing(target, passphrase)
        sealing.write(content)
        sealing.seal()


def opened(file, passphrase: str = PASSPHRASE) -> bytes:
    with file.open("rb") as source:
        return _envelope.Opening(source, passphrase).readall()


@pytest.mark.parametrize("size", [0, 1, 3 * 1024 - 1, 3 * 1024, 3 * 1024 + 1])
def test_what_is_sealed_is_opened_and_no_piece_is_changed_moved_repeated_or_left_out(size, tmp_path, monkeypatch):
    monkeypatch.setattr(_envelope, "PIECE", 1024)
    content, file = os.urandom(size), tmp_path / "f"
    sealed(file, content)
    assert opened(file) == content
    whole = file.read_bytes()
    head, step = whole[: _envelope.HEAD], 1024 + _envelope.TAG
    pieces = [whole[at : at + step] for at in range(_envelope.HEAD, len(whole), step)]
    sealed(file, content)
    others = file.read_bytes()[_envelope.HEAD :]
    attacks = [pieces[:-1], [*pieces, pieces[-1]], [pieces[0], *pieces], pieces[1:], [others]]
    if len(pieces) > 1:
        attacks += [[pieces[1], pieces[0], *pieces[2:]], [*pieces[:-2], pieces[-1]]]
    for attack in attacks:
        file.write_bytes(head + b"".join(attack))
        with pytest.raises(_envelope.Unreadable):
            opened(file)


@ON_SQLITE
def test_a_link_in_the_place_of_a_lock_is_not_followed(settings):
    """Dovecot's processes may write into the directory of the database, and may not touch the keys."""
    secret, file = settings.instance / "secret.key", db.sqlite_file(settings.database_url)
    for name in (f"{file.name}-running", f"{file.name}-upgrade"):
        file.with_name(name).unlink(missing_ok=True)
        file.with_name(name).symlink_to(secret)
    secret.chmod(0o400)
    upgrades.say_that_it_runs()
    for use in (lambda: upgrades.upgrade(print), upgrades.while_nothing_runs().__enter__):
        with pytest.raises(OSError, match="symbolic links"):
            use()
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == (NOTES["secret_key"], 0o400)


def test_a_passphrase_is_the_same_on_another_keyboard(tmp_path):
    sealed(tmp_path / "f", b"content", "caff\N{LATIN SMALL LETTER E WITH GRAVE} corretto")
    assert opened(tmp_path / "f", "caffe\N{COMBINING GRAVE ACCENT} corretto") == b"content"


def test_what_does_not_fit_is_refused_before_anything_changes(settings, file, monkeypatch):
    found = restore.look(file, PASSPHRASE)
    restore.refuse_what_does_not_fit(settings, found)
    # A key that the settings keep elsewhere would stay, and nothing could be decrypted.
    with pytest.raises(Refused, match="POSTERN_SECRET_KEY"):
        restore.refuse_what_does_not_fit(replace(settings, secret_key="k" * 64), found)
    with db.open_database(settings.database_url).connection_context():
        db.router().model.create(name=LATER)
        db.database.execute_sql("CREATE TABLE later (id INTEGER)")
        if db.is_mysql():
            with pytest.raises(Refused, match="later"):
                restore.refuse_what_does_not_fit(settings, found)
        else:
            restore.refuse_what_does_not_fit(settings, found)
        db.database.execute_sql("DROP TABLE later")
        db.router().model.delete().where(db.router().model.name == LATER).execute()


@ON_SQLITE
def test_a_backup_of_a_later_version_is_refused_and_one_of_an_earlier_version_is_brought_up_to_date(
    settings, file, monkeypatch
):
    before, steps = seen(settings), db.router().todo
    monkeypatch.setattr(type(db.router()), "todo", steps[:-1])
    with pytest.raises(Refused, match="version"):
        restore.look(file, PASSPHRASE)
    monkeypatch.undo()
    put_back(settings, file)
    assert seen(settings) == before
