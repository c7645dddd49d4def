"""What a manager may do with a user's collaborators, and which managers may."""

from collections.abc import Callable

import pytest

import worker
from actions.authority.permissions import ALL, IMAP, READ, SEND, WRITE, completed
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import sign_in
from actions.users import users
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, OutboxItem
from tests.actions import intruders
from tests.conftest import PASSWORD

EVE = Person("Eve", "Mori", "eve@elsewhere.example.com", "eve")

ACTIONS: dict[str, Callable] = {
    "change": lambda unit, carla: collaborations.change_permissions(unit, carla, READ),
    "reset": collaborations.reset,
    "disable": collaborations.disable,
    "remove": collaborations.remove,
    "send again": collaborations.send_link_again,
    "add": lambda unit, carla: collaborations.make(unit, carla.mailbox, EVE, READ),
}


@pytest.fixture
def carla(people, anna) -> Collaboration:
    account = people.add_collaborator(anna, "carla", completed(IMAP))
    return Collaboration.get(Collaboration.account == account)


def letters(ports, mailer, to: str) -> list[str]:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail").order_by(OutboxItem.id)):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [message.get_body(("plain",)).get_content() for recipient, message in mailer.sent if recipient == to]


def stored() -> list:
    states = Account.select(Account.login, Account.state, Account.password_hash).order_by(Account.id)
    given = Collaboration.select(Collaboration.id, Collaboration.permissions)
    return [*states.tuples(), *given.tuples(), AuditEvent.select().count(), OutboxItem.select().count()]


@pytest.mark.parametrize("by", intruders.ALL)
def test_who_does_not_outrank_the_owner_now_does_nothing(ports, people, anna, carla, by):
    actor = by(people, anna)
    before = stored()
    for name, action in ACTIONS.items():
        with pytest.raises(Refused):
            action(UnitOfWork(ports, actor), Collaboration.get_by_id(carla.id))
        assert stored() == before, name


def test_a_page_that_was_open_while_the_owner_became_a_manager_does_nothing(ports, people, anna, carla):
    administrator = acting(people.add_manager("administrator@example.org", Account.ADMINISTRATOR))
    assert carla.mailbox.account.role == Account.PERSON
    Account.update(role=Account.OWNER).where(Account.id == anna.id).execute()
    with pytest.raises(Refused):
        collaborations.disable(UnitOfWork(ports, administrator), carla)
    assert Account.get_by_id(carla.account_id).state == Account.ACTIVE


def test_a_manager_resets_and_the_link_goes_to_the_collaborator_alone(ports, mailer, manager, anna, carla, stranger):
    collaborations.reset(UnitOfWork(ports, acting(manager)), carla)
    with pytest.raises(Refused):
        sign_in.sign_in(UnitOfWork(ports, stranger), carla.account.login, PASSWORD, None)
    [letter] = letters(ports, mailer, carla.account.contact_email)
    assert "/links/password/" in letter
    [told] = letters(ports, mailer, anna.login)
    assert manager.login in told and "/links/password/" not in told
    assert letters(ports, mailer, manager.login) == []
    event = AuditEvent.get(AuditEvent.action == "web:collaboration:reset")
    assert (event.actor, event.mailbox) == (manager, anna.mailbox)


def test_a_manager_gives_what_the_owner_could(ports, manager, carla):
    collaborations.change_permissions(UnitOfWork(ports, acting(manager)), carla, ALL)
    assert Collaboration.get_by_id(carla.id).permissions == ALL
    collaborations.change_permissions(UnitOfWork(ports, acting(manager)), carla, SEND)
    assert Collaboration.get_by_id(carla.id).permissions == READ | WRITE | SEND


def test_a_manager_adds_nobody_to_a_mailbox(ports, manager, anna):
    with pytest.raises(Refused):
        collaborations.make(UnitOfWork(ports, acting(manager)), anna.mailbox, EVE, READ)
    assert Collaboration.select().count() == 0


def test_collaborators_of_a_suspended_user_are_disabled_and_removed(ports, manager, anna, carla):
    users.suspend(UnitOfWork(ports, acting(manager)), anna.mailbox)
    unit = UnitOfWork(ports, acting(manager))
    for renews in ("reset", "change"):
        with pytest.raises(Refused):
            ACTIONS[renews](unit, Collaboration.get_by_id(carla.id))
    collaborations.disable(unit, Collaboration.get_by_id(carla.id))
    collaborations.remove(unit, Collaboration.get_by_id(carla.id))
    assert Collaboration.select().count() == 0
