"""A change of the passwords of thousands of mailboxes by the worker as it is deployed: how long it takes over hashing
alone, how pages are answered meanwhile, and how much memory the worker takes."""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import adapters
import database as db
from actions.ground.unit_of_work import UnitOfWork
from actions.password_changes import password_change_run, password_changes
from actions.password_changes.password_changes import Choice, WantedChange
from actions.passwords import passwords
from actions.services import search_words
from bench.measure import seconds
from bench.server import PAGE, browser_of, demo_settings
from lab.actors import acting
from lab.served_panel import PASSWORD, ServedPanel
from models import Account, Domain, Mailbox, Organisation, PasswordChange, Service
from settings import Settings

MANY, FEW = 5000, 500
PAGES_MEANWHILE_OF = 1000
IDLE_PAGES, PAUSE = 200, 0.02
LOOKED_EVERY = 0.25
SAMPLE = 800


@dataclass(frozen=True)
class Run:
    """How many seconds a change took, and its base; and the worker's memory at most, in MB."""

    whole: float
    hashing_alone: float
    memory: float

    @property
    def over_hashing(self) -> float:
        return self.whole / self.hashing_alone

    def __str__(self) -> str:
        return f"{self.whole:.1f} s / {self.hashing_alone:.1f} s"


@dataclass(frozen=True)
class Pages:
    """How many seconds a page takes at the 95th percentile, without a change and during one."""

    idle: float
    busy: float

    @property
    def busy_over_idle(self) -> float:
        return self.busy / self.idle

    def __str__(self) -> str:
        return f"{self.busy * 1000:.1f} ms / {self.idle * 1000:.1f} ms"


def run(count: int = MANY) -> Run:
    """One change of this many mailboxes, with “log everybody out from everywhere”, between two samples of its base."""
    with served_demo() as (served, settings):
        worker, before = served.worker_process(), hashing_alone(settings)
        begin(settings, count)
        started, memory = time.perf_counter(), 0.0
        while not is_over(served.database):
            memory = max(memory, memory_of(worker))
            time.sleep(LOOKED_EVERY)
        whole = time.perf_counter() - started
    # Not before the worker has delivered the e-mails of the change.
    return Run(whole, (before + hashing_alone(settings)) / 2 * count, memory)


def pages(count: int = PAGES_MEANWHILE_OF) -> Pages:
    """A page again and again, first with nothing else to do and then during a change of this many mailboxes."""
    with served_demo() as (served, settings):
        browser, busy = browser_of(served), []
        idle = [timed(browser.get) for _ in range(IDLE_PAGES)]
        begin(settings, count)
        while not is_over(served.database):
            busy.append(timed(browser.get))
            time.sleep(PAUSE)
    return Pages(p95(idle), p95(busy))


@contextmanager
def served_demo() -> Iterator[tuple[ServedPanel, Settings]]:
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        instance = Path(directory)
        with ServedPanel(instance) as served:
            yield served, demo_settings(instance)


def begin(settings: Settings, count: int) -> None:
    """Have a manager confirm the change of this many mailboxes, in a domain of their own."""
    ports = adapters.build(settings)
    with db.open_database(settings.database_url).connection_context():
        domain = filled_domain(count)
        manager = acting(Account.get(Account.role == Account.OWNER))
        wanted = WantedChange("+39 333 123 4567", "Mara Lind", "mara@contact.example.com", everywhere=True)
        change = password_changes.draft(UnitOfWork(ports, manager), domain, Choice(everyone=True), wanted)
        password_changes.start(UnitOfWork(ports, manager), change, PASSWORD)


@db.transactional
def filled_domain(count: int) -> Domain:
    """A domain with this many mailboxes, whose people get notices at a contact address."""
    organisation = Organisation.get()
    service = Service.create(organisation=organisation, name="Bench")
    domain = Domain.create(service=service, name="bench.example")
    for number in range(count):
        login = f"person{number:05}@bench.example"
        contact = f"person{number:05}@contact.example.com"
        account = Account(login=login, password_hash="none", organisation=organisation, contact_email=contact)
        search_words.place(account, domain)
        account.save(force_insert=True)
        Mailbox.create(domain=domain, account=account, address=login, home=login)
    return domain


def is_over(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        (state,) = connection.execute("SELECT state FROM password_change").fetchone()
    if state in (PasswordChange.CANCELLED, PasswordChange.STOPPED):
        raise RuntimeError(f"the change is {state}")
    return state == PasswordChange.DONE


def hashing_alone(settings: Settings) -> float:
    """The seconds that a hash takes on all cores, from a sample."""
    with password_change_run.hashing() as pool:
        took = seconds(lambda: list(pool.map(lambda _: passwords.hash_password(settings, PASSWORD), range(SAMPLE))))
    return took / SAMPLE


def timed(get: Callable[[str], bytes]) -> float:
    return seconds(lambda: get(PAGE))


def p95(times: list[float]) -> float:
    return quantiles(times, n=20)[-1]


def memory_of(process: int) -> float:
    """What a process holds in memory, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


def main() -> None:
    many = run(int(sys.argv[1]) if len(sys.argv) > 1 else MANY)
    print(f"{many} = {many.over_hashing:.2f}", flush=True)
    few = run(FEW)
    print(f"{many.memory:.0f} MB / {few.memory:.0f} MB = {many.memory / few.memory:.2f}", flush=True)
    asked = pages()
    print(f"{asked} = {asked.busy_over_idle:.2f}")


if __name__ == "__main__":
    main()
