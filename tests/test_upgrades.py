"""An upgrade that is interrupted anywhere can be run again; two of them wait for one another; and a program that is
older than the database says so."""

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import database as db
import models
import upgrades
from lab.fixtures import fresh_database
from lab.installation import environment_of
from settings import Settings
from tests.conftest import app_of, ports_of
from tests.numbers import a_row
from tests.test_floors import columns_of
from tests.test_old_version import fill

ROOT = Path(__file__).parents[1]

# What changes something, as both databases write it.
CHANGES = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|PRAGMA (schema_version|writable_schema) =)")


class Interrupted(Exception):
    """The upgrade ends here."""


class Interruptions:
    """Ends an upgrade or a downgrade right after each statement that changes something, one for each run; what was
    interrupted before passes, so that each run comes a statement further."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._monkeypatch = monkeypatch
        self.after: set[str] = set()

    def once(self, work: Callable) -> None:
        """As a process of its own does it. Raises `Interrupted`."""
        opened = db.database.obj
        with self._monkeypatch.context() as patched:
            plain = opened.execute_sql

            def interrupting(statement, *arguments, **named):
                cursor = plain(statement, *arguments, **named)
                if CHANGES.match(statement) and statement not in self.after:
                    self.after.add(statement)
                    raise Interrupted(statement)
                return cursor

            patched.setattr(opened, "execute_sql", interrupting)
            work(print)

    def to_the_end(self, work: Callable, meanwhile: Callable = lambda: None) -> None:
        while True:
            try:
                return self.once(work)
            except Interrupted:
                db.discard_connection()
                meanwhile()
            finally:
                db.discard_connection()


def definitions() -> dict[str, str]:
    """Each table, index and view as the database itself defines it, down to the names of keys."""
    opened = db.database.obj
    if db.is_sqlite():
        return dict(opened.execute_sql("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    names = [name for (name,) in opened.execute_sql("SHOW TABLES")]
    made = {name: opened.execute_sql(f"SHOW CREATE TABLE `{name}`").fetchone()[1] for name in names}
    return {name: re.sub(r" AUTO_INCREMENT=\d+|DEFINER=\S+|`test_\w+`\.", "", text) for name, text in made.items()}


def rows() -> dict[str, list[tuple]]:
    tables = [table._meta.table_name for table in models.TABLES]
    found = {name: sorted(map(repr, db.database.execute_sql(f"SELECT * FROM {name}"))) for name in tables}
    return found | {"history": list(db.database.execute_sql("SELECT id, name FROM migratehistory ORDER BY id"))}


@pytest.fixture
def second_database_url(request, database_url, tmp_path):
    """Beside it, another one of the same kind."""
    (second := tmp_path / "second").mkdir()
    with fresh_database(request, second, "sqlite" if database_url.startswith("sqlite:") else "mariadb") as url:
        yield url


@pytest.mark.parametrize("begin", ["with the rows of an old version", "from nothing"])
def test_an_upgrade_that_is_interrupted_after_each_statement_can_be_run_again(
    begin, database_url, second_database_url, tmp_path, monkeypatch
):
    interruptions = Interruptions(monkeypatch)
    upgrade_to_the_end = functools.partial(interruptions.to_the_end, upgrades.upgrade)
    ways = {database_url: lambda: upgrades.upgrade(print), second_database_url: upgrade_to_the_end}
    came_to = []
    for number, (url, upgrade) in enumerate(ways.items()):
        if begin != "from nothing":
            (tmp_path / str(number)).mkdir()
            fill(url, tmp_path / str(number))
        opened = db.open_database(url)
        upgrade()
        db.discard_connection()
        with opened.connection_context():
            came_to.append((definitions(), rows()))
    assert len(interruptions.after) > 20
    assert came_to[0] == came_to[1]


def test_whoever_comes_second_says_so_and_waits(database_url):
    db.open_database(database_url)
    asked, told = threading.Event(), []

    def tell(sentence: str) -> None:
        told.append(sentence)
        asked.set()

    def second() -> None:
        told.append(upgrades.upgrade(tell))
        db.discard_connection()

    with db.database.connection_context(), upgrades.alone(print):
        other = threading.Thread(target=second)
        other.start()
        assert asked.wait(30)
        assert db.unknown_migrations() == []
        assert not db.database.table_exists("account")
        db.router().run()
    other.join(30)
    assert "under way" in told[0]
    assert told[1:] == [[]]


# --- the version before goes on meanwhile ---

# Types that hold what the other one held.
WIDER = {"text": "longtext"}


def test_each_step_leaves_what_the_version_before_reads_and_writes(database_url, tmp_path):
    """Its web and worker go on while the step is taken, and after: what they name is there, and what they do not know
    has a value of its own."""
    fill(database_url, tmp_path)
    offenders = []
    with db.open_database(database_url).connection_context():
        for step in db.pending_migrations():
            views = [view.name for view in db.database.get_views()]
            before = {name: columns_of(name) for name in (*db.database.get_tables(), *views)}
            db.router().run(step)
            for name, columns in before.items():
                after = {column.name: column for column in db.database.get_columns(name)}
                offenders += [f"{step}: {name}.{column} is gone" for column in columns.keys() - after.keys()]
                if name in views:
                    continue
                for column in columns.keys() & after.keys():
                    kind, present = columns[column][0], after[column].data_type.lower()
                    if present not in (kind, WIDER.get(kind)):
                        offenders.append(f"{step}: {name}.{column} is {present}")
                added = [after[column] for column in after.keys() - columns.keys()]
                offenders += [f"{step}: {name}.{each.name}" for each in added if not each.null and each.default is None]
    assert offenders == []


# --- a step back ---

# The last one that cannot be taken back, whatever the database has.
FINAL = "009_numbers_that_never_come_again"


def test_each_step_is_taken_back_to_what_was_before_and_taken_again(database_url, tmp_path):
    fill(database_url, tmp_path)
    with db.open_database(database_url).connection_context():
        db.router().run(FINAL)
        shapes, content = [(FINAL, definitions())], rows_of_tables()
        for step in db.pending_migrations():
            db.router().run(step)
            shapes.append((step, definitions()))
    whole = rows_of_tables()
    for (before, shape), (step, _) in reversed(list(zip(shapes, shapes[1:], strict=False))):
        assert upgrades.downgrade(print) == (step, before)
        assert (db.pending_migrations()[0], definitions()) == (step, shape)
    assert rows_of_tables() == content
    with pytest.raises(upgrades.Unsuitable, match="009.* cannot be taken back: what links are about"):
        upgrades.downgrade(print)
    assert definitions() == shapes[0][1]
    assert len(upgrades.upgrade(print)) == len(shapes) - 1
    assert (definitions(), rows_of_tables()) == (shapes[-1][1], whole)
    db.discard_connection()


def rows_of_tables() -> dict[str, list[tuple]]:
    """But for what a step writes again by itself."""
    own = ("migratehistory", "account_word", "sqlite_sequence")
    names = [name for name in db.database.get_tables() if name not in own]
    return {name: sorted(map(repr, db.database.execute_sql(f"SELECT * FROM {name}"))) for name in names}


def test_a_step_back_that_is_interrupted_after_each_statement_can_be_run_again(database_url, tmp_path, monkeypatch):
    """On MariaDB, where half of it stays, nobody uses what is left."""
    fill(database_url, tmp_path)
    db.open_database(database_url)
    with db.database.connection_context():
        db.router().run("013_former_addresses")
        shape = definitions()
        db.router().run("014_returned_emails")
    left = []

    def meanwhile() -> None:
        if unknown := db.unknown_migrations():
            left.append(len(columns_of("account")))
            assert unknown == [f"{upgrades.UNDOING}014_returned_emails"]
            with pytest.raises(upgrades.UnusableDatabase, match="“flask db downgrade” once more"):
                upgrades.upgrade(print)

    interruptions = Interruptions(monkeypatch)
    interruptions.to_the_end(upgrades.downgrade, meanwhile)
    assert definitions() == shape
    assert len(interruptions.after) > 5
    assert len(set(left)) == (4 if db.is_mysql() else 0)
    upgrades.upgrade(print)
    assert db.pending_migrations() == []
    db.discard_connection()


# For each step: a row that is not as it was without it, how the refusal calls what is lost, and how it goes away.
LOST = {
    "016": (models.Account, {"theme": "dark"}, "chosen theme", "UPDATE account SET theme = ''"),
    "014": (models.Account, {"bounced_at": 9}, "1 account", "UPDATE account SET bounced_at = 0, contact_tried_at = 0"),
    "013": (models.FormerAddress, {}, "1 former address", "DELETE FROM former_address"),
    "011": (models.UserImportLine, {"phone": "+393331234567"}, "1 user", "DELETE FROM user_import_line"),
    "010": (models.OutboxItem, {"unanswered": 1}, "1 message", "DELETE FROM outbox_item"),
}


def test_a_step_is_not_taken_back_where_something_would_be_lost(database_url):
    db.open_database(database_url)
    upgrades.upgrade(print)
    for step, (table, columns, *_) in LOST.items():
        a_row(table, step, **columns)
    db.database.execute_sql("UPDATE account SET bounced_at = 0, contact_tried_at = 0 WHERE bounced_at <> 9")
    for step, (_, _, named, put_right) in LOST.items():
        while db.router().done[-1][:3] > step:
            upgrades.downgrade(print)
        before = definitions()
        with pytest.raises(upgrades.Unsuitable, match=f"{step}_.*{named}.*Nothing has been changed"):
            upgrades.downgrade(print)
        assert definitions() == before
        db.database.execute_sql(put_right)
    db.discard_connection()


def test_later_steps_can_be_taken_back_and_the_first_ones_say_that_they_cannot(database_url):
    db.open_database(database_url)
    for step in db.router().todo:
        made = upgrades._migration(step)
        ways = {hasattr(made, "rollback"), hasattr(made, "would_lose")}
        assert ways == {step > "008"}, f"{step} says not how it is taken back, or not what that would lose"
    with pytest.raises(upgrades.Unsuitable, match="no tables"):
        upgrades.downgrade(print)
    db.router().run("003_collaborations")
    with pytest.raises(upgrades.Unsuitable, match="003_collaborations cannot be taken back"):
        upgrades.downgrade(print)
    db.discard_connection()


def test_the_command_takes_the_last_step_back(app_ahead):
    run = app_ahead.test_cli_runner().invoke
    refused = run(args=["db", "downgrade"])
    assert (refused.exit_code, LATER in refused.output) == (1, True)
    db.router().model.delete().where(db.router().model.name == LATER).execute()
    last, before = db.router().done[-1], db.router().done[-2]
    done = run(args=["db", "downgrade"])
    assert (done.exit_code, last in done.output, before in done.output) == (0, True, True)
    assert db.pending_migrations() == [last]


# --- a database that is ahead ---

LATER = "999_a_later_step"


@pytest.fixture
def ahead(database_url):
    """The present database, as a later version leaves it."""
    with db.open_database(database_url).connection_context():
        db.router().run()
        db.router().model.create(name=LATER)
    return database_url


@pytest.fixture
def app_ahead(ahead, tmp_path, mail_server, mailer):
    settings = Settings.load(environment_of(tmp_path / "instance", ahead))
    return app_of(settings, ports_of(settings, mail_server, mailer))


def programs(*words: str, url: str, instance: Path) -> subprocess.CompletedProcess:
    environment = os.environ | environment_of(instance, url)
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_program_does_not_start_on_a_database_that_is_ahead(ahead, tmp_path):
    for words in (("-c", "import wsgi"), ("-m", "flask", "--app", "wsgi", "worker")):
        ended = programs(*words, url=ahead, instance=tmp_path / "instance")
        assert ended.returncode == 1
        assert LATER in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_program_starts_on_a_database_of_its_version_and_on_none(database_url, tmp_path):
    """One that does not answer yet is waited for; one that is empty is to be upgraded."""
    for url in (database_url, "mysql://nobody:secret@127.0.0.1:1/none"):
        ended = programs("-c", "import wsgi", url=url, instance=tmp_path / "instance")
        assert ended.returncode == 0, ended.stderr
        assert "secret" not in ended.stderr


def test_commands_refuse_a_database_that_is_ahead_and_the_doctor_names_it(app_ahead):
    run = app_ahead.test_cli_runner().invoke
    for words in (["db", "upgrade"], ["service", "add", "Mail", "--organisation", "Example Ltd"], ["service", "list"]):
        refused = run(args=words)
        assert refused.exit_code == 1
        assert LATER in refused.output
    assert run(args=["bounce", "receive", "x@example.org"], input="x").exit_code == os.EX_TEMPFAIL
    assert models.Service.select().count() == 0
    assert LATER in run(args=["doctor"]).output


def test_a_monitor_is_told_that_the_database_is_ahead(app_ahead):
    answer = app_ahead.test_client().get("/healthz")
    assert (answer.status_code, LATER in answer.text) == (503, True)
