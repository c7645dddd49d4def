"""An upgrade that is interrupted anywhere can be run again; two of them wait for one another; and a program that is
older than the database says so."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import database as db
import models
import upgrades
from lab.installation import environment_of
from settings import Settings
from tests.conftest import app_of, ports_of
from tests.test_old_version import fill

ROOT = Path(__file__).parents[1]

# What changes something, as both databases write it.
CHANGES = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|PRAGMA (schema_version|writable_schema) =)")


class Interrupted(Exception):
    """The upgrade ends here."""


class Interruptions:
    """Ends an upgrade right after each statement that changes something, one for each upgrade; what was interrupted
    before passes, so that each upgrade comes a statement further."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._monkeypatch = monkeypatch
        self.after: set[str] = set()

    def upgrade(self) -> None:
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
            upgrades.upgrade(print)

    def upgrade_to_the_end(self) -> None:
        while True:
            try:
                return self.upgrade()
            except Interrupted:
                pass
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
    if database_url.startswith("sqlite:"):
        yield f"sqlite:///{tmp_path / 'second.db'}"
        return
    server = request.getfixturevalue("mariadb_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.mark.parametrize("begin", ["with the rows of an old version", "from nothing"])
def test_an_upgrade_that_is_interrupted_after_each_statement_can_be_run_again(
    begin, database_url, second_database_url, tmp_path, monkeypatch
):
    interruptions = Interruptions(monkeypatch)
    ways = {database_url: lambda: upgrades.upgrade(print), second_database_url: interruptions.upgrade_to_the_end}
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
