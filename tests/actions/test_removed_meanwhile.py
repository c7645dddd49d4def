"""What an action is about was removed between the page and the press: a sentence says so, and nothing is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import database as db
from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR
from actions.ground.holding import hold, hold_account, related
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, recovery, sign_in
from actions.sessions import sessions
from actions.users import imports_at_once, offboarding, renaming, users
from lab.actors import acting
from models import Account, Collaboration, Device, DeviceInvitation, Mailbox, Service
from tests.conftest import PASSWORD

NEW = "Other-Garden-8"
PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)
CARLA = Person("Carla", "Rossi", "carla.rossi@elsewhere.example.com", "carla.rossi")


@dataclass
class Page:
    """What a page had loaded: rows that ask for what they refer to when the action does."""

    account: Account
    mailbox: Mailbox
    device: Device
    invitation: DeviceInvitation
    collaboration: Collaboration


Deed = Callable[[UnitOfWork, Page], object]

ABOUT_DEVICES: dict[str, Deed] = {
    "a device": lambda unit, page: devices.make(unit, page.account, PHONE, "a form"),
    "another password for it": lambda unit, page: devices.change_password(unit, page.device),
    "another name for it": lambda unit, page: devices.rename(unit, page.device, "Mine", "tablet"),
    "its end": lambda unit, page: devices.disconnect(unit, page.device),
    "the end of all": lambda unit, page: devices.disconnect_all(unit, page.account),
    "device passwords only": lambda unit, page: devices.require(unit, page.mailbox, True),
    "an invitation": lambda unit, page: invitations.invite(unit, page.account, PHONE, "lia@x.example.com", False),
    "another link for it": lambda unit, page: invitations.resend(unit, page.invitation, False),
    "its withdrawal": lambda unit, page: invitations.withdraw(unit, page.invitation),
}
ABOUT_USERS: dict[str, Deed] = {
    "an invitation's acceptance": lambda unit, page: invitations.accept(unit, page.invitation, proved=True),
    "another profile": lambda unit, page: users.edit(unit, page.mailbox, 1, users.Profile("Nora")),
    "a link": lambda unit, page: users.send_link(unit, page.mailbox),
    "a suspension": lambda unit, page: users.suspend(unit, page.mailbox),
    "its resumption": lambda unit, page: users.resume(unit, page.mailbox),
    "another address": lambda unit, page: renaming.rename(unit, page.mailbox, 1, "new@example.org"),
    "a removal": lambda unit, page: users.remove(unit, page.mailbox, page.mailbox.address),
    "an offboarding": lambda unit, page: offboarding.end(unit, page.mailbox),
    "a lock": lambda unit, page: recovery.lock_by_operator(unit, page.account),
}
BY_THEMSELVES: dict[str, Deed] = {
    "a password": lambda unit, page: passwords.change(unit, PASSWORD, NEW),
    "the password once more": lambda unit, page: passwords.confirm_again(unit, PASSWORD),
    "a session that goes on": lambda unit, page: sessions.renew(unit),
    "a sign-in": lambda unit, page: sign_in.refuse_if_changed(page.account),
}
ABOUT_COLLABORATORS: dict[str, Deed] = {
    "a collaborator": lambda unit, page: collaborations.make(unit, page.mailbox, CARLA, permissions.READ),
    "the invitation again": lambda unit, page: collaborations.send_link_again(unit, page.collaboration),
    "a reset": lambda unit, page: collaborations.reset(unit, page.collaboration),
    "permissions": lambda unit, page: collaborations.change_permissions(unit, page.collaboration, permissions.ALL),
    "a disabling": lambda unit, page: collaborations.disable(unit, page.collaboration),
    "a collaborator's removal": lambda unit, page: collaborations.remove(unit, page.collaboration),
}


@pytest.fixture
def keeper(people, anna) -> Account:
    """Who may do with the mailbox what its owner may."""
    return people.add_collaborator(anna, "keeper", permissions.ALL)


@pytest.fixture
def collaborator(people, anna) -> Account:
    return people.add_collaborator(anna)


@pytest.fixture
def load(ports, anna, collaborator) -> Callable[[], Page]:
    unit = UnitOfWork(ports, acting(anna))
    device = devices.make(unit, anna, PHONE, "the first form").device
    invitation = invitations.invite(unit, anna, PHONE, "mara@x.example.com", mailed=False).invitation
    return lambda: Page(
        Account.get_by_id(anna.id),
        Mailbox.get(Mailbox.account == anna),
        Device.get_by_id(device.id),
        DeviceInvitation.get_by_id(invitation.id),
        Collaboration.get(Collaboration.account == collaborator),
    )


@contextmanager
def undone() -> Iterator[None]:
    with db.database.atomic() as transaction:
        yield
        transaction.rollback()


def remove(account: Account) -> None:
    """As a removal does, with what hangs on it."""
    Mailbox.delete().where(Mailbox.account == account.id).execute()
    Account.delete().where(account.itself()).execute()


def unanswered(deeds: dict[str, Deed], unit: UnitOfWork, load: Callable[[], Page], gone: Callable) -> dict[str, object]:
    """The deeds that end in anything but a refusal when this is gone."""
    found = {}
    for name, deed in deeds.items():
        with undone():
            page = load()
            gone()
            try:
                found[name] = deed(unit, page)
            except Refused:
                continue
            except Exception as failure:
                found[name] = repr(failure)
    return found


def test_the_user_is_gone(ports, manager, anna, load):
    unit = UnitOfWork(ports, acting(manager))
    assert unanswered(ABOUT_DEVICES | ABOUT_USERS, unit, load, lambda: remove(anna)) == {}


def test_the_acting_person_is_gone(ports, anna, load):
    unit = UnitOfWork(ports, acting(anna))
    assert unanswered(BY_THEMSELVES | ABOUT_COLLABORATORS, unit, load, lambda: remove(anna)) == {}


def test_the_owner_of_the_mailbox_is_gone(ports, anna, keeper, load):
    unit = UnitOfWork(ports, acting(keeper))
    assert unanswered(ABOUT_COLLABORATORS, unit, load, lambda: remove(anna)) == {}


@pytest.mark.parametrize("what", ["account", "collaboration"])
def test_the_collaborator_is_gone(ports, anna, collaborator, load, what):
    """Their account with all that hangs on it, or only what they may do in this mailbox."""
    theirs = Collaboration.get(Collaboration.account == collaborator)
    deeds = {name: deed for name, deed in ABOUT_COLLABORATORS.items() if name != "a collaborator"}
    gone = collaborator.delete_instance if what == "account" else theirs.delete_instance
    assert unanswered(deeds, UnitOfWork(ports, acting(anna)), load, gone) == {}


def test_whoever_hands_out_is_gone(ports, anna, keeper, load):
    unit = UnitOfWork(ports, acting(keeper))
    assert unanswered(ABOUT_DEVICES, unit, load, keeper.delete_instance) == {}


def test_the_service_of_a_file_is_gone(ports, people, database):
    plan = imports_at_once.plan(ports, ["address\n", "nora@example.org\n"])
    assert plan.is_in_order
    with undone():
        people.domain.delete_instance()
        Service.delete().where(Service.id == people.service.id).execute()
        with pytest.raises(Refused, match="There is no service"):
            imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)


# --- the one way itself ---


@db.transactional
def held_by(*given) -> Account:
    return hold(*given)


def test_a_row_is_read_as_it_is_now(anna):
    Account.update(first_name="Nora").where(Account.id == anna.id).execute()
    assert anna.first_name != "Nora" == held_by(anna).first_name


def test_what_is_gone_is_refused_in_the_words_of_its_kind_or_in_the_callers(people, anna):
    service = Service.create(organisation=people.organisation, name="Former")
    service.delete_instance()
    remove(anna)
    own = Refused("Not here.")
    for given, words in (
        ((anna,), "This user has just been removed"),
        ((service,), "no service “Former”"),
        ((anna, own), "Not"),
    ):
        with pytest.raises(Refused, match=words):
            held_by(*given)


def test_an_account_is_held_by_its_number_and_its_login(anna, boris):
    assert hold_account(anna.id, anna.login) == anna
    for number, login in ((anna.id, boris.login), (None, anna.login), (0, "")):
        with pytest.raises(Refused, match="has just been removed"):
            hold_account(number, login)


def test_what_a_row_refers_to_may_be_gone(anna, boris):
    loaded, late = Mailbox.get(Mailbox.account == anna), Mailbox.get(Mailbox.account == anna)
    assert related(loaded, "account") == anna
    remove(anna)
    assert related(loaded, "account") == anna, "it was read before"
    with pytest.raises(Refused, match="has just been removed"):
        related(late, "account")
