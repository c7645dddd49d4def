"""What stops somebody at once must not depend on how long the names are that they chose."""

import pytest

import worker
from actions.collaborations import collaborations
from actions.devices import devices
from actions.ground.actor import Actor
from actions.ground.encryption import unseal
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import mail, outbox
from actions.passwords import recovery
from actions.sessions import links
from actions.trail import audit
from actions.trail.events import Event
from actions.users import offboarding, users
from database import insert_all, is_sqlite
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, OutboxItem, now

# Four bytes each in UTF-8, twelve as JSON writes them.
LONG = "\N{POUTING FACE}" * 120
MANY = 50


@pytest.fixture
def hoarder(people) -> Account:
    """Somebody with as many devices and collaborators as there may be, whose names are as long as they may be."""
    account = people.add("hoarder", first_name=LONG, last_name=LONG)
    shared = {"icon": "laptop", "created_by_login": account.login, "protocols": 1, "verifier": "x"}
    insert_all(
        Device,
        [
            {"account": account, "name": LONG, "selector": f"{each:08}", "request_id": f"{each:064}", **shared}
            for each in range(MANY)
        ],
    )
    names = {"first_name": LONG, "last_name": LONG, "role": Account.COLLABORATOR, "state": Account.ACTIVE}
    logins = [f"guest{each}/{account.login}" for each in range(MANY)]
    insert_all(
        Account,
        [
            {"login": login, "organisation": account.organisation, "contact_email": f"{login[:7]}@example.com", **names}
            for login in logins
        ],
    )
    guests = Account.select().where(Account.login.in_(logins))
    insert_all(
        Collaboration,
        [{"account": guest, "mailbox": account.mailbox, "created_by_login": account.login} for guest in guests],
    )
    return account


def letters(ports) -> list[dict]:
    """What is in the outbox for people; each opens, whole."""
    waiting = OutboxItem.select().where(OutboxItem.kind == "mail")
    return [unseal(ports.settings.secret_key, "outbox", item.payload) for item in waiting]


def told(ports, letter: str) -> set[str]:
    return {each["to"] for each in letters(ports) if each["letter"] == letter}


def test_all_access_ends(ports, hoarder, manager, mailer):
    addresses = set(mail.addresses_of(hoarder))
    event = offboarding.end(UnitOfWork(ports, acting(manager)), hoarder.mailbox)
    assert told(ports, "done_by_another") == addresses
    assert len(told(ports, "collaboration_ended")) == MANY
    report = offboarding.report(hoarder.mailbox, event.id)
    for kind in ("devices", "collaborators"):
        named = getattr(report, kind)
        assert named
        assert set("".join(named)) >= {LONG[0]}
        assert len(named) + report.more[kind] == MANY
        assert len("".join(named).encode()) <= offboarding.MOST_BYTES
    assert not Device.select().exists()
    while outbox.deliver_due(ports, worker.OTHERS):
        pass
    assert len(mailer.sent) == len(addresses) + MANY
    assert not OutboxItem.select().where(OutboxItem.given_up_at.is_null(False)).exists()


@pytest.mark.parametrize(
    "control",
    [
        lambda ports, boss, account: users.suspend(UnitOfWork(ports, boss), account.mailbox),
        lambda ports, boss, account: users.remove(UnitOfWork(ports, boss), account.mailbox, account.login),
        lambda ports, boss, account: recovery.lock_by_operator(UnitOfWork(ports, Actor()), account),
        lambda ports, boss, account: recovery.lock(
            UnitOfWork(ports, Actor()), links.find(links.create(account, links.DISOWN), (links.DISOWN,))
        ),
        lambda ports, boss, account: devices.disconnect_all(UnitOfWork(ports, boss), account),
    ],
    ids=["suspend", "remove", "operators lock", "lock", "disconnect all"],
)
def test_every_control_for_emergencies_works(ports, hoarder, manager, control):
    events = AuditEvent.select().count()
    control(ports, acting(manager), hoarder)
    assert AuditEvent.select().count() > events
    for letter in letters(ports):
        assert letter["to"]


def test_a_collaborator_with_long_names_is_reset_and_disabled(ports, hoarder):
    owner = acting(hoarder)
    first, second = collaborations.of(hoarder.mailbox).limit(2)
    collaborations.reset(UnitOfWork(ports, owner), first)
    collaborations.disable(UnitOfWork(ports, owner), second)
    assert told(ports, "collaboration_reset") and told(ports, "collaboration_ended")


def test_the_trail_takes_whatever_it_is_told(ports, anna):
    """More than any action writes: what happened is not undone because it takes long to tell."""
    everything = [LONG] * 1000
    event = audit.record(acting(anna), Event.DEVICES_DISCONNECTED, anna, devices=everything)
    assert AuditEvent.get_by_id(event.id).details == {"devices": everything}
    outbox.put(ports, "mail", "one", {"letter": "x", "names": everything}, anna)
    outbox.put(ports, "mail", "one", {"letter": "another"}, anna)
    [letter] = letters(ports)
    assert letter == {"letter": "x", "names": everything}


def test_nothing_is_cut_in_silence(database):
    if is_sqlite():
        pytest.skip("SQLite's columns have no length")
    with pytest.raises(Exception, match=r"too long|Data too long") as refused:
        insert_all(OutboxItem, [{"kind": "mail", "key": "k" * 121, "payload": "x", "created_at": now()}], ignore=True)
    assert refused.value
