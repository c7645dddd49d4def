"""A database is copied from SQLite to MariaDB and back: all of it or, for everybody else, nothing."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path
from urllib.parse import unquote, urlsplit

import peewee
import pymysql
import pytest

import database as db
import database_copy
import models
import upgrades
from database_copy import copy_to
from lab.fixtures import fresh_database
from lab.installation import environment_of
from lab.mail_host import WEBMAIL
from lab.servers import imap_accepts
from models import Account, AuditEvent, Device, Domain, LastLogin, Organisation, Service, UserImportPart, WorkerSign
from settings import Settings
from tests.client import Client
from tests.conftest import app_of, ports_of
from tests.numbers import a_row
from tests.test_floors import indexes_of
from tests.test_mail_views import as_they_stand_in_the_module, views
from tests.test_old_version import ANNA, NOTES, PASSWORD, fill
from tests.test_upgrades import definitions, programs
from upgrades import COPYING, Unsuitable

ROOT = Path(__file__).parents[1]

# Twins for whoever compares without case, accents or plain bytes; and characters of four bytes.
NEAR = ("É@example.org", "é@example.org", "e\u0301@example.org", "e@example.org", "𝓮@example.org", "ß@example.org")
GONE = 4_000


@pytest.fixture
def another_url(database_url, request, tmp_path):
    """An empty database of the other kind."""
    (another := tmp_path / "another").mkdir()
    with fresh_database(request, another, "sqlite" if database_url.startswith("mysql:") else "mariadb") as url:
        yield url


@pytest.fixture
def source(database_url, tmp_path, monkeypatch):
    """A database in which every table has rows, in use."""
    monkeypatch.setitem(db.SQLITE_PRAGMAS, "synchronous", "off")
    fill(database_url, tmp_path)
    opened = db.open_database(database_url)
    upgrades.upgrade(print)
    fill_what_is_hard()
    yield opened
    opened.close()


def fill_what_is_hard() -> None:
    for table in models.TABLES:
        if table is not WorkerSign and not table.select().exists():
            a_row(table, table.__name__)
    service = Service.get()
    for number, name in enumerate(NEAR, start=1):
        Account.create(login=name, first_name="𝓐" * 120, last_name="a\\'\"\0%s?\t\n ", service=service, phone="")
        Domain.create(service=service, name=f"{name} {number}")
    UserImportPart.create(user_import=a_row(models.UserImport, "another"), content={"lines": "🙂" * 300_000})
    WorkerSign.create(node="gone.example.org", key_check="x" * 64, seen_at=0)
    # Of one account more than a piece.
    for number in range(database_copy.MOST_ROWS + 5):
        LastLogin.create(login_id=9, device_id=number, service="imap", ip="192.0.2.1", last_access=number)
    Organisation.create(id=GONE, name="Gone").delete_instance()


@contextlib.contextmanager
def opened(url: str):
    with db.using(db.database_of(url)):
        yield
        db.discard_connection()


def content(url: str) -> dict[str, list]:
    """All rows of a database, as the models load them."""
    with opened(url):
        return {table.__name__: sorted((row.__data__ for row in table.select()), key=repr) for table in models.TABLES}


def history(url: str) -> list[str]:
    with opened(url):
        return db.router().done


def raw(url: str):
    """A connection of another program."""
    if url.startswith("sqlite:"):
        return contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0, isolation_level=None))
    parts = urlsplit(url)
    named = {"user": parts.username, "password": unquote(parts.password), "database": parts.path[1:]}
    connection = pymysql.connect(host=parts.hostname, port=parts.port, charset="utf8mb4", **named)
    connection.query("SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
    return contextlib.closing(connection)


def change(url: str, statement: str) -> None:
    with raw(url) as connection:
        connection.cursor().execute(statement)
        connection.commit()


def refused(url: str, *words: str) -> str:
    """The sentence with which a copy is refused."""
    with pytest.raises(Unsuitable) as refusal:
        copy_to(url, print)
    assert [word for word in words if word not in str(refusal.value)] == [], refusal.value
    return str(refusal.value)


# --- what is copied ---


def test_each_row_index_view_and_number_is_there_as_in_a_database_of_its_own(source, database_url, another_url):
    before, seen, told = content(database_url), views(), []
    with opened(another_url):
        upgrades.upgrade(print)
        shape = definitions()
    copied = copy_to(another_url, told.append)
    assert min(len(rows) for rows in before.values()) > 0
    assert (copied.tables, copied.rows) == (len(models.TABLES), sum(map(len, before.values())))
    assert len(told) == copied.tables
    assert content(another_url) == content(database_url) == before
    assert views() == seen
    assert history(another_url) == history(database_url)
    given = max(Organisation.select(peewee.fn.MAX(Organisation.id)).scalar(), GONE)
    with opened(another_url):
        assert definitions() == shape
        assert views() == as_they_stand_in_the_module()
        assert Organisation.create(name="New").id > given
        with pytest.raises(peewee.IntegrityError):
            Domain.create(service=10**6, name="of no service")
        for table in (each for each in models.TABLES if each._meta.auto_increment):
            last = table.select(peewee.fn.MAX(table.id)).scalar()
            assert a_row(table, f"another {table.__name__}").id > last


def test_people_sign_in_and_mail_programs_open_their_mail(tmp_path, mariadb_server, start_dovecot, mail_server, mailer):
    source, target = f"sqlite:///{tmp_path / 'postern.db'}", mariadb_server.create_database()
    fill(source, tmp_path)
    db.open_database(source)
    upgrades.upgrade(print)
    copy_to(target, print)
    environment = environment_of(tmp_path / "instance", target, POSTERN_SECRET_KEY=NOTES["secret_key"])
    settings = Settings.load(environment)
    browser = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    assert browser.sign_in(ANNA, PASSWORD).title == "Overview"
    port = start_dovecot(target, webmail_hosts=(WEBMAIL,)).port("imap")
    known = [*NOTES["devices"].values(), {"login": ANNA, "password": PASSWORD}]
    assert [each for each in known if not imap_accepts(port, each["login"], each["password"])] == []
    assert not imap_accepts(port, ANNA, "wrong")
    db.discard_connection()
    mariadb_server.drop_database(target)


def test_there_and_back_again_is_the_same_database(source, database_url, another_url, tmp_path):
    if db.is_mysql():
        return
    copy_to(another_url, print)
    before, shape = content(database_url), definitions()
    db.open_database(another_url)
    copy_to(f"sqlite:///{tmp_path / 'back.db'}", print)
    assert content(f"sqlite:///{tmp_path / 'back.db'}") == before
    with opened(f"sqlite:///{tmp_path / 'back.db'}"):
        fresh = definitions()
    # What was upgraded has some columns at another place.
    assert fresh.keys() == shape.keys()


# --- while it runs, and when it ends ---


def test_nobody_writes_into_the_source_meanwhile_and_everybody_reads(source, database_url, another_url):
    outcomes = []

    def tell(_sentence: str) -> None:
        if outcomes:
            return
        with raw(database_url) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT COUNT(*) FROM mail_login")
            outcomes.append(cursor.fetchall()[0][0])
            try:
                cursor.execute("UPDATE account SET held = held + 1")
            except (sqlite3.OperationalError, pymysql.err.OperationalError) as refusal:
                outcomes.append(type(refusal).__name__)

    copy_to(another_url, tell)
    assert outcomes[0] > 0
    assert outcomes[1:] == ["OperationalError"]
    change(database_url, "UPDATE account SET held = held + 1")


def test_a_source_into_which_somebody_writes_is_not_copied(source, database_url, another_url, monkeypatch):
    monkeypatch.setattr(database_copy, "PATIENCE", 1)
    monkeypatch.setitem(db.SQLITE_PRAGMAS, "busy_timeout", 1)
    db.open_database(database_url)
    with raw(database_url) as writer:
        writer.cursor().execute("BEGIN")
        writer.cursor().execute("UPDATE account SET held = held + 1")
        refused(another_url, "Something is writing", "stop Postern")
    assert is_empty(another_url)
    copy_to(another_url, print)


def is_empty(url: str) -> bool:
    return not any(content(url).values()) and not any(name.startswith(COPYING) for name in history(url))


KILLED = """
import os, re, signal, sys
import database as db, database_copy

CHANGES = re.compile("CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|REPLACE")
source, target, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
db.open_database(source)
open_target = database_copy._target

def fatal(url):
    opened = open_target(url)
    plain = opened.execute_sql

    def execute_sql(statement, *arguments, **named):
        global left
        cursor = plain(statement, *arguments, **named)
        if CHANGES.match(statement):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    opened.execute_sql = execute_sql
    return opened

database_copy._target = fatal
database_copy.copy_to(target, print)
"""


def test_a_copy_that_is_killed_anywhere_is_run_again_and_right(source, database_url, another_url, tmp_path):
    """Each run is killed some statements further, the first ones amid the steps of the target; between two of them the
    source goes on being used."""
    source.close()
    kills, unfinished = 0, 0
    for statements in range(8, 600, 6):
        words = ("-c", KILLED, database_url, another_url, str(statements))
        ended = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
        if not ended.returncode:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
        if kills == 2:
            with opened(another_url):
                upgrades.upgrade(print)
        if any(name.startswith(COPYING) for name in marks_of(another_url)):
            unfinished += 1
            go_on_with(kills)
            if unfinished == 1:
                assert_nobody_uses(another_url, tmp_path)
    assert kills > unfinished > 3
    assert content(another_url) == content(database_url)
    assert history(another_url) == history(database_url)


def marks_of(url: str) -> list[str]:
    with opened(url):
        return db.unknown_migrations()


def go_on_with(number: int) -> None:
    """What people do: a row with a number below all takes the unique text of one that was there."""
    last = Device.select().order_by(Device.id.desc()).get()
    text, owner = last.request_id, last.account_id
    last.delete_instance()
    first = Device.select().order_by(Device.id).get()
    Device.update(request_id=text, name=f"changed {number}").where(Device.id == first.id).execute()
    a_row(Device, f"device {number}", {Account: Account.get_by_id(owner)})
    AuditEvent.delete().where(
        AuditEvent.id.in_(AuditEvent.select(AuditEvent.id).limit(3).tuples().execute()[:])
    ).execute()


def assert_nobody_uses(url: str, tmp_path: Path) -> None:
    for words in (("-c", "import wsgi"), ("-m", "flask", "--app", "wsgi", "db", "upgrade")):
        ended = programs(*words, url=url, instance=tmp_path / "instance")
        assert (ended.returncode, "copy that is not finished" in ended.stderr) == (1, True)
    doctor = programs("-m", "flask", "--app", "wsgi", "doctor", url=url, instance=tmp_path / "instance")
    assert "copy that is not finished" in doctor.stdout


def test_a_copy_into_which_somebody_writes_is_not_finished(source, database_url, another_url):
    """The check at the end is a check: it sees a row more, and one column of one row."""
    another = "INSERT INTO organisation (name, created_at) VALUES ('Mallory', 1)"
    for statement in (another, "UPDATE account SET first_name = 'Mallory' WHERE role = 'owner'"):

        def tell(sentence: str, statement=statement) -> None:
            if sentence.startswith("worker_sign"):
                change(another_url, statement)

        with pytest.raises(Unsuitable, match="differs from .* in (account|organisation)"):
            copy_to(another_url, tell)
        assert any(name.startswith(COPYING) for name in history(another_url))
    copy_to(another_url, print)
    assert content(another_url) == content(database_url)


# --- what is refused ---


def test_only_an_empty_database_or_a_copy_of_this_one_is_written_into(source, database_url, another_url):
    refused(database_url, "the database itself")
    change(another_url, "CREATE TABLE something_else (id INTEGER PRIMARY KEY)")
    refused(another_url, "not empty", "something_else")
    change(another_url, "DROP TABLE something_else")
    with opened(another_url):
        upgrades.upgrade(print)
        Organisation.create(name="Another")
    refused(another_url, "not empty", "organisation")
    with opened(another_url):
        assert [each.name for each in Organisation.select()] == ["Another"]
        Organisation.delete().execute()
        db.router().model.create(name=f"{COPYING}another")
    with pytest.raises(upgrades.UnusableDatabase, match="copy that is not finished"):
        copy_to(another_url, print)
    change(another_url, f"DELETE FROM migratehistory WHERE name = '{COPYING}another'")
    copied = copy_to(another_url, print)
    assert copy_to(another_url, print) == copied
    with opened(another_url):
        a_row(Organisation, "made since")
    refused(another_url, "not empty")


def test_an_installation_that_works_is_not_copied(source, another_url):
    moment = models.now()
    WorkerSign.create(node="panel1.example.org", key_check="x" * 64, seen_at=moment - 30)
    refused(another_url, "The worker on panel1.example.org was at work", "Stop Postern")
    assert is_empty(another_url)
    WorkerSign.update(seen_at=moment - database_copy.AT_WORK - 1).execute()
    copy_to(another_url, print)


def test_a_database_that_is_not_up_to_date_is_not_copied(source, another_url):
    db.router().model.delete().where(db.router().model.name == db.router().done[-1]).execute()
    refused(another_url, "flask db upgrade")
    assert is_empty(another_url)


@pytest.fixture
def on_sqlite(tmp_path, mariadb_server):
    """A database on SQLite, and an empty one on MariaDB."""
    db.open_database(f"sqlite:///{tmp_path / 'postern.db'}")
    upgrades.upgrade(print)
    target = mariadb_server.create_database()
    yield target
    db.database.close()
    mariadb_server.drop_database(target)


def test_what_mariadb_would_take_for_one_or_cannot_hold_is_named_and_nothing_is_copied(on_sqlite):
    for name in ("Example", "example", "Éxample", "Example ", "Other"):
        Organisation.create(name=name)
    refused(on_sqlite, "nothing was copied", "organisation: several rows have the name Example,")
    Organisation.delete().where(Organisation.name == "Example ").execute()
    long = a_row(models.OneTimeLink, "a", purpose="x" * 33)
    wrong = a_row(models.Webmail, "b", key="é" * 33_000)
    large = a_row(Service, "c", most_collaborators=2**31)
    cut = a_row(models.UsedToken, "d")
    db.database.execute_sql("UPDATE used_token SET key = 'token '")
    mixed = a_row(models.Attempts, "e", count="many")
    told = refused(
        on_sqlite,
        f"one_time_link {long.id}: purpose",
        f"webmail {wrong.id}: key",
        f"service {large.id}: most_collaborators",
        f"used_token {cut.id}: key",
        f"attempts {mixed.id}: count",
    )
    assert "several rows" not in told
    for row in (long, wrong, large, mixed):
        row.delete_instance()
    models.UsedToken.delete().execute()
    db.database.execute_sql("PRAGMA foreign_keys = 0")
    db.database.execute_sql("UPDATE account SET organisation_id = 77")
    db.database.execute_sql("PRAGMA foreign_keys = 1")
    refused(on_sqlite, "account 1 refers to a row of organisation that is not there")
    Account.update(organisation=None).execute()
    assert is_empty(on_sqlite)
    copy_to(on_sqlite, print)


def test_no_password_is_ever_printed(on_sqlite, tmp_path):
    secret = "s3cr3t"
    there = on_sqlite.partition("@")[2]
    wrong = [
        f"mysql://postern:{secret}@{there}",
        f"mysql://nobody:{secret}@127.0.0.1:1/postern",
        f"mysql://postern:{secret}#x@{there}",
        f"mysql://postern:{secret}/x@{there}",
        f"mysql://postern:1/{secret}@{there}",
        f"mysql://postern:1?{secret}@{there}",
        f"mysql://postern:1?x={secret}@{there}",
        f"mysql://postern:{secret}@{there}&charset={secret}",
        f"mysql://postern:{secret}@{there}&unknown={secret}",
        f"postgres://postern:{secret}@{there}",
        secret,
    ]
    source = f"sqlite:///{tmp_path / 'postern.db'}"
    settings = Settings.load(environment_of(tmp_path / "instance", source))
    run = app_of(settings, ports_of(settings, None, None)).test_cli_runner()
    for url in wrong:
        for words, given in ((["db", "copy-to", url], ""), (["db", "copy-to", "-"], f"{url}\n")):
            ended = run.invoke(args=words, input=given)
            assert (ended.exit_code, ended.output.startswith("Error: "), secret in ended.output) == (1, True, False)
    done = run.invoke(args=["db", "copy-to", "-"], input=f"{on_sqlite}\n")
    assert done.exit_code == 0, done.output
    for word in ("database_url", "dovecot config", "Counts and checksums of both are equal", str(tmp_path)):
        assert word in done.output
    assert unquote(urlsplit(on_sqlite).password) not in done.output


# --- what is true of the tables ---


def test_columns_are_of_kinds_that_both_databases_give_back_alike():
    plain = (peewee.IntegerField, peewee.BooleanField, peewee.CharField, peewee.TextField, peewee.BlobField)
    columns = [(table.__name__, field) for table in models.TABLES for field in table._meta.sorted_fields]
    kept = (*plain, peewee.ForeignKeyField)
    assert [f"{table}.{field.name}" for table, field in columns if not isinstance(field, kept)] == []
    assert all(field.max_length for _, field in columns if isinstance(field, peewee.CharField))


def test_every_unique_index_is_looked_at(on_sqlite):
    for table in models.TABLES:
        known = {frozenset(field.column_name for field in fields) for fields in database_copy._unique(table)}
        there = {frozenset(columns) for columns, unique in indexes_of(table._meta.table_name) if unique}
        assert there <= known


def test_few_rows_are_in_memory_however_many_there_are(on_sqlite):
    """Ten megabytes of text come by in pieces of one."""
    db.database.execute_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO audit_event (at, action, actor_login, account_login, address, user_agent, details)"
        " SELECT i, 'x', 'x', 'x', 'x', 'x', printf('{\"x\": \"%.500c\"}', 'x') FROM n"
    )
    tracemalloc.start()
    try:
        assert copy_to(on_sqlite, print).rows == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
