"""A change of the passwords of thousands of mailboxes by the worker as it is deployed: how long it takes over hashing
alone, how pages are answered meanwhile, and how much memory the worker takes."""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bench.measure import seconds
from bench.server import PAGE, browser_of, demo_settings
from postern import adapters, models
from postern.actions import directory, password_change_run, password_changes, passwords
from postern.actions.password_changes import Choice, Wanted
from postern.models import Account, Domain, Mailbox, Organisation, PasswordChange, Service
from postern.settings import Settings
from tests.actions.conftest import acting
from tests.faults.served_panel import PASSWORD, ServedPanel

COUNT = 5000
IDLE_PAGES, PAUSE = 200, 0.02
SAMPLE = 400
LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Result:
    """Seconds, except for the worker's memory, in MB: when it began, and at most."""

    whole: float
    hashing_alone: float
    idle_p95: float
    busy_p95: float
    memory_before: float
    memory_most: float

    @property
    def over_hashing(self) -> float:
        return self.whole / self.hashing_alone

    @property
    def busy_over_idle(self) -> float:
        return self.busy_p95 / self.idle_p95

    @property
    def more_memory(self) -> float:
        return self.memory_most - self.memory_before

    def __str__(self) -> str:
        pages = f"page p95 {self.idle_p95 * 1000:.1f} -> {self.busy_p95 * 1000:.1f} ms"
        memory = f"worker {self.memory_before:.0f} -> {self.memory_most:.0f} MB"
        return f"{self.whole:.1f} s / {self.hashing_alone:.1f} s; {pages}; {memory}"


def measured(instance: Path, count: int = COUNT) -> Result:
    """One change of so many mailboxes, with “log everybody out from everywhere”."""
    with ServedPanel(instance) as served:
        settings, browser = demo_settings(instance), browser_of(served)
        idle = [timed(browser.get) for _ in range(IDLE_PAGES)]
        before = memory_of(served.worker_process())
        begin(settings, count)
        started = time.perf_counter()
        busy, most = watched(served, browser.get)
        whole = time.perf_counter() - started
    return Result(whole, hashing_alone(settings, count), p95(idle), p95(busy), before, most)


def begin(settings: Settings, count: int) -> None:
    """Have a manager confirm the change of so many mailboxes, in a domain of their own."""
    ports = adapters.build(settings)
    with models.open_database(settings.database_url).connection_context():
        domain = filled_domain(count)
        manager = acting(Account.get(Account.role == Account.OWNER))
        wanted = Wanted("+39 333 123 4567", "Mara Lind", "mara@contact.example.com", everywhere=True)
        change = password_changes.draft(ports, manager, domain, Choice(everyone=True), wanted)
        password_changes.start(ports, manager, change, PASSWORD)


@models.transactional
def filled_domain(count: int) -> Domain:
    """A domain with so many mailboxes of people who are told at a contact address."""
    organisation = Organisation.get()
    service = Service.create(organisation=organisation, name="Bench")
    domain = Domain.create(service=service, name="bench.example")
    for number in range(count):
        login = f"person{number:05}@bench.example"
        contact = f"person{number:05}@contact.example.com"
        account = Account(login=login, password_hash="none", organisation=organisation, contact_email=contact)
        directory.place(account, domain)
        account.save(force_insert=True)
        Mailbox.create(domain=domain, account=account, address=login, home=login)
    return domain


def watched(served: ServedPanel, get: Callable[[str], bytes]) -> tuple[list[float], float]:
    """Ask for a page again and again until the change is over: how long each took, and the worker's memory at most."""
    worker, times, most = served.worker_process(), [], 0.0
    while not is_over(served.database):
        times.append(timed(get))
        most = max(most, memory_of(worker))
        time.sleep(PAUSE)
    return times, most


def is_over(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        (state,) = connection.execute("SELECT state FROM password_change").fetchone()
    if state in (PasswordChange.CANCELLED, PasswordChange.STOPPED):
        raise RuntimeError(f"the change is {state}")
    return state == PasswordChange.DONE


def hashing_alone(settings: Settings, count: int) -> float:
    """The seconds that so many hashes take on all cores, from a sample."""
    with password_change_run.hashing() as pool:
        took = seconds(lambda: list(pool.map(lambda _: passwords.hash_password(settings, PASSWORD), range(SAMPLE))))
    return took / SAMPLE * count


def timed(get: Callable[[str], bytes]) -> float:
    return seconds(lambda: get(PAGE))


def p95(times: list[float]) -> float:
    return quantiles(times, n=20)[-1]


def memory_of(process: int) -> float:
    """What a process holds in memory, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as instance:
        print(measured(Path(instance), int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
