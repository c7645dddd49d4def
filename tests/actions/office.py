"""A manager and the worker, as the tests of changes of several passwords know them."""

import csv
import io
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

import worker
from actions.ground.ports import ArchiveEntry
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import archive, password_changes
from actions.password_changes.password_change_run import Runner
from actions.password_changes.password_changes import Choice, WantedChange
from models import Account, PasswordChange, PasswordChangeItem
from tests.conftest import PASSWORD

WANTED = WantedChange("+39 333 123 4567", "Mara Lind", "mara@elsewhere.example.com")
EVERYONE = Choice(everyone=True)
NAMES = ("anna", "boris", "chiara")
STEPS = 200
DELIVERED, FAILED = 1, 2


class Office:
    """What a manager and the worker do."""

    def __init__(self, ports, domain, actor):
        self.ports, self.domain, self.actor, self.runner = ports, domain, actor, Runner()

    def draft(self, wanted=WANTED, choice=EVERYONE, actor=None) -> PasswordChange:
        return password_changes.draft(UnitOfWork(self.ports, actor or self.actor), self.domain, choice, wanted)

    def start(self, wanted=WANTED, choice=EVERYONE, actor=None) -> PasswordChange:
        change = self.draft(wanted, choice, actor)
        self.begin(change, actor)
        return change

    def begin(self, change: PasswordChange, actor=None) -> None:
        """Start it, and go on in the session that the password gave."""
        acting = actor or self.actor
        session, _ = password_changes.start(UnitOfWork(self.ports, acting), change, PASSWORD)
        if acting is self.actor:
            self.actor = replace(acting, session=session)

    def step(self) -> int:
        return self.runner.work(self.ports)

    def deliver(self) -> None:
        outbox.deliver_due(self.ports, worker.CREDENTIALS | worker.MESSAGES)

    def until(self, change: PasswordChange, *states: str) -> PasswordChange:
        """Work and deliver until it is in one of these states."""
        for _ in range(STEPS):
            if present(change).state in states:
                return present(change)
            self.step()
            self.deliver()
        raise AssertionError(f"still {present(change).state}")

    def run(self, wanted=WANTED, choice=EVERYONE) -> PasswordChange:
        return self.until(self.start(wanted, choice), *PasswordChange.OVER)

    @property
    def archive(self) -> dict[str, str]:
        """What the table in the archive says whose key was sent: address and password, or link."""
        text = self.ports.sms.sent[0].text
        (sent,) = [made for made in self.ports.archiver.made if made.password in text]
        return table_of(sent.entries)

    @property
    def key(self) -> str:
        return self.ports.archiver.made[-1].password

    def report(self, state: int, number: int = -1) -> bool:
        token = self.ports.sms.sent[number].report_url.rpartition("/")[2]
        return archive.reported(self.ports, token, state)


def table_of(entries: tuple[ArchiveEntry, ...]) -> dict[str, str]:
    rows = csv.reader(io.StringIO(entries[-1].content.decode("utf-8-sig")))
    return dict(list(rows)[1:])


def present(change: PasswordChange) -> PasswordChange:
    return PasswordChange.get_by_id(change.id)


def account(name: str) -> Account:
    return Account.by_login(f"{name}@example.org")


def matches(name: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(account(name).password_hash, password)
    except VerifyMismatchError:
        return False


def has_old(name: str) -> bool:
    return matches(name, PASSWORD)


def ids_of(*names: str) -> list[int]:
    return [account(name).mailbox.id for name in names]


def results(change: PasswordChange) -> dict[str, str]:
    """For each mailbox the reason why it was left as it was; empty for a new password."""
    assert not change.items.where(PasswordChangeItem.state.in_(("waiting", "prepared"))).exists()
    return {item.address.partition("@")[0]: item.reason for item in change.items.order_by(PasswordChangeItem.id)}


def field_of(call) -> str | None:
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.field


def set_state(name: str, state: str) -> None:
    Account.update(state=state).where(Account.login == f"{name}@example.org").execute()
