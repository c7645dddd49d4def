"""What the tests share: an installation of its own for each test, on SQLite and again on MariaDB."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

import app as composition
import database as db
import models
from actions.ground.actor import Actor
from actions.ground.ports import Ports
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import search_words, services
from adapters.letters import TemplateLetters
from adapters.memory import MemoryArchiver, MemoryMailer, MemoryMailServer, MemorySms, NoBreachedPasswords
from blueprints.web.errors import Panel
from lab.actors import ADDRESS, BROWSER
from lab.installation import environment_of
from lab.migrated import migrate
from models import Account, Collaboration, Domain, Mailbox, Organisation, Service
from settings import Settings
from tests.client import Client
from tests.numbers import refuse_bare_numbers

pytest_plugins = ["lab.fixtures"]

PASSWORD = "Correct-Horse-7"
TESTS = Path(__file__).parent

# One process runs a whole file. What takes long, or waits for servers and browsers more than it computes, begins first
# and leaves the quick ones for the end.
BEGIN_FIRST = (
    "roundcube/",
    "mailhost/",
    "browser/",
    "test_doctor.py",
    "setup_host/",
    "test_old_version.py",
    "test_cli.py",
    "blueprints/test_every_form.py",
    "faults/",
    "sms/",
    "test_backup.py",
    "test_upgrades.py",
    "test_database_copy.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest itself goes by the alphabet, whatever order its arguments have."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(TESTS).as_posix()
    return next((place for place, start in enumerate(BEGIN_FIRST) if path.startswith(start)), len(BEGIN_FIRST))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-pictures", action="store_true", help="take over what pages look like, to be compared with")


@pytest.fixture
def keeps_pictures(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--keep-pictures")


class Clock:
    """In place of the module `time` where Postern tells the time."""

    def __init__(self, started_at: int):
        self.moment = started_at

    def time(self) -> int:
        return self.moment

    def pass_by(self, seconds: int) -> None:
        self.moment += seconds


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates in memory, for all the apps of a run: otherwise each would compile them again."""

    def __init__(self):
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if kept := self._kept.get((bucket.environment.language, bucket.key)):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.environment.language, bucket.key] = bucket.bytecode_to_string()


COMPILED_TEMPLATES = CompiledTemplates()


class CompiledRoute(Rule):
    """Keeps what builds its address, for all the apps of a run, for the same reason: most of what an app costs."""

    _kept: ClassVar[dict[tuple[str, bool], Callable]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable:
        named = self.rule, append_unknown
        if named not in self._kept:
            self._kept[named] = super()._compile_builder(append_unknown)
        return self._kept[named]


Panel.url_rule_class = CompiledRoute


class People:
    """Accounts for a test, each with `PASSWORD` unless said otherwise."""

    def __init__(self, settings: Settings, organisation: str = "Example Ltd", domain: str = "example.org"):
        self._settings = settings
        self.organisation = Organisation.create(name=organisation)
        self.service = Service.create(organisation=self.organisation, name="Mail Light")
        self.domain = Domain.create(service=self.service, name=domain)

    def add(self, name: str, password: str | None = PASSWORD, **columns: object) -> Account:
        """Somebody with a mailbox `name`@example.org."""
        address, quota = f"{name}@{self.domain.name}", columns.pop("quota_bytes", 0)
        columns.setdefault("contact_email", f"{name}@elsewhere.example.com")
        account = self._account(address, password, **columns)
        search_words.place(account, self.domain)
        account.save()
        search_words.enter(account)
        Mailbox.create(
            domain=self.domain, account=account, address=address, home=f"{self.domain.name}/{name}", quota_bytes=quota
        )
        services.count_in(self.service, quota)
        return account

    def add_collaborator(
        self, owner: Account, user_name: str = "carla", permissions: int = Collaboration.READ, **columns: object
    ) -> Account:
        """Somebody who opens the owner's mailbox as `user_name`/address; active and with `PASSWORD` unless said
        otherwise."""
        login = f"{user_name}/{owner.mailbox.address}"
        columns = {"first_name": user_name.title(), "last_name": "Rossi", "password": PASSWORD} | columns
        columns.setdefault("contact_email", f"{user_name}@elsewhere.example.com")
        account = self._account(login, columns.pop("password"), role=Account.COLLABORATOR, **columns)
        Collaboration.create(
            account=account,
            mailbox=owner.mailbox,
            permissions=permissions,
            created_by=owner,
            created_by_login=owner.login,
        )
        return account

    def add_manager(self, login: str = "manager@example.org", role: str = Account.OWNER, **columns: object) -> Account:
        return self._account(login, PASSWORD, role=role, **columns)

    def _account(self, login: str, password: str | None, **columns: object) -> Account:
        hashed = password and passwords.hash_password(self._settings, password)
        columns.setdefault("organisation", self.organisation)
        return Account.create(login=login, password_hash=hashed, **columns)


@pytest.fixture
def environment(tmp_path: Path, module_database_url: str) -> dict[str, str]:
    return environment_of(tmp_path / "instance", module_database_url)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.load(environment)


@pytest.fixture
def database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The migrated database, empty before and after the test; a module's tests share its tables."""
    # Nothing in these tests outlives the machine's power.
    monkeypatch.setitem(db.SQLITE_PRAGMAS, "synchronous", "off")
    db.open_database(settings.database_url)
    db.database.connect()
    migrate()
    refuse_bare_numbers(monkeypatch, db.database.obj)
    yield
    # A test may have closed it, or put another one in its place.
    opened = db.open_database(settings.database_url)
    with opened.connection_context():
        for table in reversed(models.TABLES):
            table.delete().execute()


@pytest.fixture
def mail_server() -> MemoryMailServer:
    return MemoryMailServer()


@pytest.fixture
def mailer() -> MemoryMailer:
    return MemoryMailer()


@pytest.fixture
def ports(settings: Settings, database: None, mail_server: MemoryMailServer, mailer: MemoryMailer) -> Ports:
    """Real e-mails; a mail server and a mailer in memory."""
    return ports_of(settings, mail_server, mailer)


def connection_in_use() -> int:
    """Its number with MariaDB; then it is given up, as at the end of a request."""
    (number,) = db.database.execute_sql("SELECT connection_id()").fetchone()
    db.release_connection()
    return number


def cuts_at_once(action: Callable[..., object], unit: UnitOfWork, *arguments: object, **named: object) -> bool:
    """Do this; whether nothing of what it ends is left to the outbox."""
    action(unit, *arguments, **named)
    return not unit.is_pending


def ports_of(settings: Settings, mail_server: MemoryMailServer, mailer: MemoryMailer) -> Ports:
    letters, breaches = TemplateLetters(settings), NoBreachedPasswords()
    return Ports(settings, mail_server, mailer, letters, breaches, MemoryArchiver(), MemorySms())


@pytest.fixture
def people(database: None, settings: Settings) -> People:
    return People(settings)


@pytest.fixture
def anna(people: People) -> Account:
    return people.add("anna", first_name="Anna", last_name="Keller")


@pytest.fixture
def boris(people: People) -> Account:
    return people.add("boris")


@pytest.fixture
def manager(people: People) -> Account:
    return people.add_manager()


@pytest.fixture
def stranger() -> Actor:
    """Nobody, from somewhere."""
    return Actor(address=ADDRESS, user_agent=BROWSER)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Postern's clock, which stands still until the test moves it."""
    clock = Clock(models.now())
    monkeypatch.setattr(models, "time", clock)
    return clock


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch, database: None) -> list[str]:
    """The SQL that is executed from now on."""
    executed: list[str] = []
    real = db.database.obj.execute_sql

    def execute(sql, *arguments, **named):
        executed.append(sql)
        return real(sql, *arguments, **named)

    monkeypatch.setattr(db.database.obj, "execute_sql", execute)
    return executed


@pytest.fixture
def app(database: None, settings: Settings, ports: Ports) -> Flask:
    return app_of(settings, ports)


def app_of(settings: Settings, ports: Ports) -> Flask:
    app = composition.create_app(settings, ports)
    app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
    return app


@pytest.fixture
def new_client(app: Flask, settings: Settings) -> Callable[..., Client]:
    """`new_client()` is another browser."""
    return lambda **named: Client(app, settings.base_url, **named)


@pytest.fixture
def client(new_client: Callable[..., Client]) -> Client:
    return new_client()
