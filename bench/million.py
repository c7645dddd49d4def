"""One million mailboxes in 2,000 domains, and what a manager's pages cost there, over the same with one thousand.

`python -m bench.million` makes both installations, first on SQLite and then on MariaDB, and measures; with `sqlite` or
`mariadb` behind it, on that one alone. The rows are those that making the users one by one writes, with one password
hash for all.

`python -m bench.million seed URL COUNT` only makes them, in an empty database that is named as POSTERN_DATABASE_URL is;
`python -m bench.million measure URL URL` measures over two that were made, the one with many and the one with few.
"""

import contextlib
import itertools
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from flask import Flask

import database as db
import models
from actions.ground.ports import Ports
from actions.passwords import passwords
from actions.services import search_words
from adapters.letters import TemplateLetters
from adapters.memory import MemoryArchiver, MemoryMailer, MemoryMailServer, MemorySms, NoBreachedPasswords
from app import create_app
from bench.measure import seconds
from database import Table
from lab.html_tree import TreeReader
from lab.installation import environment_of
from lab.servers import MariaDB
from models import Account, AccountWord, AuditEvent, Domain, Mailbox, Organisation, Service
from settings import Settings

KINDS = ("sqlite", "mariadb")
MANY, FEW = 1_000_000, 1_000
MAILBOXES_A_DOMAIN = 500
AIM, LARGEST_PAGE = 2.0, 60_000
TURNS, WARM_UP = 41, 5
MANAGER, PASSWORD = "manager@example.org", "Correct-Horse-7"
GIGABYTE = 1024**3
BATCH = 20_000
ACTIONS = ("web:session:started", "web:password:changed", "web:device:made", "mail:session:started")
RARE_NAME = ("Zyxwv", "Quince")
FIRST_SYLLABLES, LATER_SYLLABLES = (
    ("an", "bo", "chi", "da", "el", "fra", "gi", "ma", "ro", "sa"),
    ("na", "ris", "ra", "vid", "la"),
)


# --- making them ---


@dataclass(frozen=True)
class Person:
    """The number of an account and its mailbox, and whose it is."""

    number: int
    domain_id: int
    login: str
    first_name: str
    last_name: str


def people(count: int, domain_ids: list[int]) -> Iterator[Person]:
    """This many people, always the same, of whom many have the same names, and one a name of their own."""
    chance = random.Random(1)
    for number in range(1, count + 1):
        first, last = (
            "".join([chance.choice(FIRST_SYLLABLES), *chance.choices(LATER_SYLLABLES, k=chance.randint(1, 2))]).title()
            for _ in range(2)
        )
        if number == count // 3:
            first, last = RARE_NAME
        domain_id = domain_ids[number % len(domain_ids)]
        yield Person(number, domain_id, f"{first}.{last}.{number}@d{domain_id:04}.example.org".lower(), first, last)


def seed(settings: Settings, count: int) -> Service:
    """Fill a migrated, empty database."""
    organisation = Organisation.create(name="Example Ltd")
    service = Service.create(organisation=organisation, name="Mail Light", mailboxes_made=count)
    Account.create(
        login=MANAGER,
        role=Account.OWNER,
        organisation=organisation,
        password_hash=passwords.hash_password(settings, PASSWORD),
    )
    first = Account.get().id + 1
    domains = [
        Domain.create(service=service, name=f"seed{n}.example.org") for n in range(max(1, count // MAILBOXES_A_DOMAIN))
    ]
    for domain in domains:
        domain.name = f"d{domain.id:04}.example.org"
        domain.save()
    everybody = lambda: people(count, [domain.id for domain in domains])  # noqa: E731
    hashed, moment = passwords.hash_password(settings, PASSWORD), models.now()
    with fast_writes():
        write(Account, (account_of(each, first, service, hashed, moment) for each in everybody()))
        write(Mailbox, (mailbox_of(each, first, moment) for each in everybody()))
        write(AccountWord, (row for each in everybody() for row in words_of(each, first, service)))
        write(AuditEvent, (event_of(each, first, service, moment - count) for each in everybody()))
    analyse()
    return service


def account_of(person: Person, first: int, service: Service, password_hash: str, moment: int) -> dict:
    return {
        "id": first + person.number,
        "login": person.login,
        "role": Account.PERSON,
        "organisation": service.organisation_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "contact_email": f"c{person.number}@elsewhere.example.com",
        "phone": "",
        "language": "",
        "timezone": "",
        "password_hash": password_hash,
        "password_changed_at": moment,
        "must_change_password": False,
        "state": Account.SUSPENDED if person.number % 50 == 0 else Account.ACTIVE,
        "revision": person.number,
        "service": service.id,
        "domain": person.domain_id,
        "sort_name": search_words.sort_name(person.login, person.first_name, person.last_name),
        "created_at": moment,
    }


def mailbox_of(person: Person, first: int, moment: int) -> dict:
    return {
        "id": person.number,
        "domain": person.domain_id,
        "account": first + person.number,
        "address": person.login,
        "home": f"{person.domain_id}/{person.login}",
        "quota_bytes": GIGABYTE,
        "device_passwords_only": False,
        "created_at": moment,
    }


def words_of(person: Person, first: int, service: Service) -> Iterator[dict]:
    state = Account.SUSPENDED if person.number % 50 == 0 else Account.ACTIVE
    for word in search_words.words_of(person.login, person.first_name, person.last_name):
        yield {
            "account": first + person.number,
            "word": word,
            "service_id": service.id,
            "domain_id": person.domain_id,
            "state": state,
        }


def event_of(person: Person, first: int, service: Service, since: int) -> dict:
    """One in ten is something that the manager did, who is the account before the first."""
    rare, by_manager = person.number % 100_000 == 500, person.number % 10 == 0
    return {
        "at": since + person.number,
        "action": "web:user:removed" if rare else ACTIONS[person.number % len(ACTIONS)],
        "actor": first - 1 if by_manager else first + person.number,
        "actor_login": MANAGER if by_manager else person.login,
        "account": first + person.number,
        "account_login": person.login,
        "organisation": service.organisation_id,
        "mailbox": person.number,
        "address": "192.0.2.1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
        "details": {},
    }


def write(table: type[Table], rows: Iterable[dict]) -> None:
    """Write very many rows: in batches by one statement, or for MariaDB as a file that it loads."""
    rows = iter(rows)
    while batch := list(itertools.islice(rows, BATCH)):
        load(table, batch) if db.is_mysql() else db.insert_all(table, batch)


def load(table: type[Table], batch: list[dict]) -> None:
    fields = [getattr(table, name) for name in batch[0]]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
        for row in batch:
            file.write("\t".join(plain(each.db_value(row[each.name])) for each in fields) + "\n")
        file.flush()
        into = f"{table._meta.table_name} CHARACTER SET utf8mb4 ({', '.join(each.column_name for each in fields)})"
        db.database.execute_sql(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE {into}")


def plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


@contextlib.contextmanager
def fast_writes() -> Iterator[None]:
    """Nothing here need outlive the machine's power; what is written last is what counts."""
    if db.is_mysql():
        db.database.execute_sql("SET SESSION unique_checks = 0")
        db.database.execute_sql("SET SESSION foreign_key_checks = 0")
        yield
        db.database.manual_close()
        return
    for pragma in ("synchronous = off", "cache_size = -2000000", "foreign_keys = off"):
        db.database.execute_sql(f"PRAGMA {pragma}")
    with db.database.atomic():
        yield
    db.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.database.close()


def analyse() -> None:
    """What the database knows of the tables after a while anyway."""
    tables = ", ".join(table._meta.table_name for table in (Account, AccountWord, AuditEvent, Mailbox))
    if db.is_mysql():
        db.database.execute_sql(f"ANALYZE TABLE {tables}").fetchall()


# --- measuring ---


class Panel:
    """The panel over one of the databases, with a manager who is signed in. Only one is in use at a time."""

    def __init__(self, directory_: Path, url: str, count: int):
        self.settings = Settings.load(environment_of(directory_, url))
        self.ports = Ports(
            self.settings,
            MemoryMailServer(),
            MemoryMailer(),
            TemplateLetters(self.settings),
            NoBreachedPasswords(),
            MemoryArchiver(),
            MemorySms(),
        )
        self.app: Flask = create_app(self.settings, self.ports)
        self.database = db.database.obj
        db.router().run()
        self.seeded_in = seconds(lambda: Service.select().exists() or seed(self.settings, count))
        self.service = Service.get()
        self.count = self.service.mailboxes_made
        self.client = self.app.test_client()
        self._sign_in()

    def use(self) -> None:
        """Make this the panel that is in use, with the password given a moment ago."""
        db.database.initialize(self.database)
        moment = models.now()
        models.WebSession.update(password_at=moment, seen_at=moment, created_at=moment).execute()

    def get(self, address: str) -> str:
        answer = self.client.get(address)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        return answer.text

    def person(self, position: float) -> Account:
        """Somebody at this part of the list in the order of addresses, 0 for its beginning."""
        here = (Account.service == self.service.id) & (Account.state == Account.ACTIVE)
        # By the index alone: to pass over half a million whole rows takes longer than the connection waits.
        logins = Account.select(Account.login).where(here).order_by(Account.login)
        return Account.by_login(logins.offset(int(self.count * position * 0.98)).limit(1).scalar())

    def _sign_in(self) -> None:
        page = self.get("/sign-in")
        token = TreeReader().tree(page).find(".//input[@name='csrf_token']").get("value")
        self.client.post("/sign-in", data={"csrf_token": token, "login": MANAGER, "password": PASSWORD})


Request = Callable[[], str]


def users(panel: Panel, **asked: str) -> Request:
    address = f"/services/{panel.service.id}/mailboxes/?{urlencode(asked)}"
    return lambda: panel.get(address)


def deep(panel: Panel, order: str) -> Request:
    middle = panel.person(0.5)
    return users(panel, order=order, after=middle.login if order == "address" else middle.sort_name)


def edit(panel: Panel) -> Request:
    """Save another first name and quota for somebody in the middle."""
    mailbox = Mailbox.get(Mailbox.account == panel.person(0.4))
    address = f"/services/{panel.service.id}/mailboxes/{mailbox.id}"
    turn = itertools.count()

    def save() -> str:
        answer = panel.client.post(address, data=panel.form)
        assert answer.status_code == 303, answer.text
        return answer.text

    def prepare() -> None:
        tree = TreeReader().tree(panel.get(address))
        fields = {each.get("name"): each.get("value", "") for each in tree.findall(".//form[@id='user-form']//input")}
        panel.form = {name: fields[name] for name in ("csrf_token", "revision", "last_name", "contact_email", "phone")}
        panel.form |= {"first_name": f"Anna{next(turn)}", "quota": "2", "unit": "GB", "state": "active"}

    save.prepare = prepare
    return save


def trail(panel: Panel, **asked: str) -> Request:
    address = f"/account/activity?{urlencode(asked)}"
    return lambda: panel.get(address)


def deep_trail(panel: Panel, **asked: str) -> Request:
    """In the newer half: to come to there from the newest event down is what some databases like to do."""
    return trail(panel, before=str(event(panel, 0.7).id), **asked)


def event(panel: Panel, position: float) -> AuditEvent:
    """One that the manager did not cause, about this part of the trail, 0 for its beginning."""
    in_order = AuditEvent.select().order_by(AuditEvent.id)
    start = in_order.first().id + int(panel.count * position)
    return in_order.where(AuditEvent.id >= start, AuditEvent.actor_login != MANAGER).first()


def day_of(panel: Panel, position: float) -> str:
    return datetime.fromtimestamp(event(panel, position).at, UTC).date().isoformat()


SCENARIOS: dict[str, Callable[[Panel], Request]] = {
    "users, first page": users,
    "users, first page by name, descending": lambda panel: users(panel, order="name", descending="yes"),
    "users, deep page": lambda panel: deep(panel, "address"),
    "users, deep page by name": lambda panel: deep(panel, "name"),
    "users, one domain, suspended": lambda panel: users(panel, domain=domain_of(panel), state="suspended"),
    "search, rare": lambda panel: users(panel, text="zyxwv q"),
    "search, common prefix": lambda panel: users(panel, text="an"),
    "search, one letter": lambda panel: users(panel, text="m"),
    "search, a whole word": lambda panel: users(panel, text="anna"),
    "search, found by nobody": lambda panel: users(panel, text="qqqq"),
    "search within a domain": lambda panel: users(panel, text="ma", domain=domain_of(panel)),
    "service, general facts": lambda panel: lambda: panel.get(f"/services/{panel.service.id}"),
    "edit and save": edit,
    "trail, first page": trail,
    "trail, deep page": deep_trail,
    "trail, a rare kind": lambda panel: trail(panel, action="web:user:removed"),
    "trail, by whom": lambda panel: trail(panel, by=event(panel, 0.3).actor_login),
    "trail, one mailbox": lambda panel: trail(panel, mailbox=panel.person(0.3).login),
    "trail, up to a day": lambda panel: trail(panel, until=day_of(panel, 0.5)),
    "trail, since a day, deep page": lambda panel: deep_trail(panel, since=day_of(panel, 0.1)),
    "trail, up to a day, deep page": lambda panel: deep_trail(panel, until=day_of(panel, 0.9)),
    "trail, by the busiest, deep page": lambda panel: deep_trail(panel, by=MANAGER),
    "trail, by the busiest, up to a day": lambda panel: trail(panel, by=MANAGER, until=day_of(panel, 0.5)),
}


def domain_of(panel: Panel) -> str:
    return Domain.select().where(Domain.service == panel.service).order_by(Domain.id).first().name


@dataclass
class Measured:
    """Times in seconds with many and with few mailboxes, in turns; and the largest page that was seen."""

    many: list[float] = field(default_factory=list)
    few: list[float] = field(default_factory=list)
    largest: int = 0

    @property
    def ratio(self) -> float:
        return median(self.many) / median(self.few)

    def __str__(self) -> str:
        return f"{median(self.many) * 1000:.1f} ms / {median(self.few) * 1000:.1f} ms, {self.largest / 1000:.0f} KB"


def measure(
    scenario: Callable[[Panel], Request], many: Panel, few: Panel, turns: int = TURNS, warm_up: int = WARM_UP
) -> Measured:
    measured, requests = Measured(), {}
    for panel in (many, few):
        panel.use()
        requests[panel] = scenario(panel)
    for turn in range(turns + warm_up):
        for panel, times in ((many, measured.many), (few, measured.few)):
            panel.use()
            getattr(requests[panel], "prepare", lambda: None)()
            shown: list[str] = []
            took = seconds(lambda panel=panel, shown=shown: shown.append(requests[panel]()))
            measured.largest = max(measured.largest, len(shown[0].encode()))
            if turn >= warm_up:
                times.append(took)
    return measured


@contextlib.contextmanager
def both(kind: str, many: int = MANY, few: int = FEW) -> Iterator[tuple[Panel, Panel]]:
    """The panel over very many mailboxes, and over few."""
    with contextlib.ExitStack() as stack:
        directory_ = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postern-bench-")))
        if kind == "sqlite":
            urls = [f"sqlite:///{directory_ / name}.db" for name in ("many", "few")]
        else:
            server = stack.enter_context(MariaDB())
            server.execute("SET GLOBAL innodb_buffer_pool_size = 2147483648", "SET GLOBAL local_infile = 1")
            urls = [f"{server.create_database()}&local_infile=1" for _ in range(2)]
        yield tuple(
            Panel(directory_ / f"instance{count}", url, count) for url, count in zip(urls, (many, few), strict=True)
        )


def report(kind: str, many: Panel, few: Panel) -> None:
    print(f"{kind}: {many.count:,} mailboxes over {few.count:,}; made in {many.seeded_in:.0f} s", flush=True)
    for name, scenario in SCENARIOS.items():
        measured = measure(scenario, many, few)
        verdict = "met" if measured.ratio <= AIM and measured.largest <= LARGEST_PAGE else "MISSED"
        print(f"{kind + ', ' + name:<52} {AIM:>4g} {measured.ratio:>7.2f}  {verdict:<7} {measured}", flush=True)


def main() -> None:
    command, *words = sys.argv[1:] or [""]
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory_:
        if command == "seed":
            Panel(Path(directory_), words[0], int(words[1]))
        elif command == "measure":
            report("given", *(Panel(Path(directory_) / str(place), url, 0) for place, url in enumerate(words)))
        else:
            for kind in [command] if command else KINDS:
                with both(kind) as (many, few):
                    report(kind, many, few)


if __name__ == "__main__":
    main()
