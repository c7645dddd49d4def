"""Domains and services that are removed: nothing of them is left, nothing else goes, and an interrupted removal ends
right when it is run again."""

import pytest

import database as db
import worker
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import password_changes
from actions.services import mailboxes, services
from actions.services.mailboxes import NewMailbox
from actions.users import removals, users
from lab.actors import acting
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Collaboration,
    Device,
    Domain,
    LastLogin,
    Mailbox,
    Organisation,
    PasswordChange,
    PasswordChangeItem,
    Service,
    UserImport,
    UserImportLine,
    Webmail,
    WebSession,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.actions.office import Office

PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)


class Killed(Exception):
    """The process ends there."""


@pytest.fixture
def operator(ports) -> UnitOfWork:
    """The operator at the command line."""
    return UnitOfWork(ports, OPERATOR)


@pytest.fixture
def other(people) -> Domain:
    """Another domain of the same service, with a mailbox of its own."""
    domain = Domain.create(service=people.service, name="example.net")
    mailboxes.create(NewMailbox("zoe@example.net", quota_bytes=5), None)
    return domain


def logins() -> set[str]:
    return {login for (login,) in Account.select(Account.login).tuples()}


def test_a_domain_goes_with_all_that_is_in_it_and_nothing_else(
    operator, ports, mail_server, people, other, anna, boris
):
    people.add_collaborator(anna)
    actor = acting(anna)
    devices.make(UnitOfWork(ports, actor), anna, PHONE, "a form")
    LastLogin.create(login_id=anna.id, device_id=0, service="imap", ip="192.0.2.9", last_access=now())
    mail_server.connected = [Connection(each.login, "imap", "192.0.2.9") for each in (anna, boris)]
    UserImport.create(service=people.service, made_by_login="", state=UserImport.CHECKED)
    Webmail.create(origin="https://webmail.example.org:8443", key_id="k", algorithm=Webmail.HS256, key="")
    Webmail.create(origin="https://webmail.badexample.org", key_id="l", algorithm=Webmail.HS256, key="")
    losses = removals.losses_of_domain(people.domain)
    assert (losses.mailboxes, losses.collaborators, losses.devices, losses.imports) == (2, 1, 1, 1)
    assert losses.webmails == ["https://webmail.example.org:8443"]
    removals.remove_domain(operator, people.domain, with_mailboxes=True)
    assert logins() == {"zoe@example.net"}
    assert [each.name for each in Domain.select()] == ["example.net"]
    for gone in (WebSession, Device, Collaboration, LastLogin, UserImport):
        assert not gone.select().exists(), gone
    assert {word.account.login for word in AccountWord.select()} == {"zoe@example.net"}
    service = Service.get()
    assert (service.mailboxes_made, service.quota_given_bytes) == (1, 5)
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert mail_server.connected == []
    event = AuditEvent.get(AuditEvent.action == "operator:domain:removed")
    assert (event.details["domain"], event.organisation) == ("example.org", people.organisation)
    # Where the messages are stays on record.
    homes = AuditEvent.select().where(AuditEvent.action == "web:user:removed")
    assert {event.details["home"] for event in homes} == {"example.org/anna", "example.org/boris"}


def test_a_domain_with_mailboxes_is_not_removed_without_saying_so(operator, people, anna):
    with pytest.raises(Refused, match=r"example\.org has mailboxes"):
        removals.remove_domain(operator, people.domain)
    with pytest.raises(Refused, match=r"example\.org has mailboxes"):
        removals.remove_service(operator, people.service)
    assert logins() == {anna.login}
    assert not AuditEvent.select().exists()


def test_an_empty_domain_is_removed_and_can_be_added_again(operator, people):
    removals.remove_domain(operator, people.domain)
    assert not Domain.select().exists()
    mailboxes.add_domain(operator, "example.org", "Mail Light")
    mailboxes.add_mailbox(operator, NewMailbox("anna@example.org"))
    assert Mailbox.get().home != "example.org/anna"


def test_a_manager_there_loses_the_mailbox_and_stays(operator, people, anna):
    both = people.add("both", role=Account.ADMINISTRATOR)
    people.add_manager("login.only@example.org")
    people.add_manager("elsewhere@example.com")
    losses = removals.losses_of_domain(people.domain)
    assert (losses.managers, losses.signing_in) == ([both.login], ["login.only@example.org"])
    removals.remove_domain(operator, people.domain, with_mailboxes=True)
    left = Account.get_by_id(both.id)
    assert (left.role, left.mailbox, left.domain_id) == (Account.ADMINISTRATOR, None, None)
    assert logins() == {both.login, "login.only@example.org", "elsewhere@example.com"}


def test_an_interrupted_removal_is_run_again_and_ends_right(operator, ports, people, other, monkeypatch):
    monkeypatch.setattr(removals, "MAILBOXES_AT_ONCE", 2)
    for number in range(5):
        people.add(f"p{number}", quota_bytes=10)
    real, calls = users.remove, []

    def killed_at_the_fourth(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise Killed
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(users, "remove", killed_at_the_fourth)
        with pytest.raises(Killed):
            removals.remove_domain(operator, people.domain, with_mailboxes=True)
    # What was whole is done, and counted; the domain is there, and serves those who are left.
    service = Service.get()
    assert (service.mailboxes_made, service.quota_given_bytes) == (4, 35)
    assert Mailbox.select().where(Mailbox.domain == people.domain).count() == 3
    removals.remove_domain(UnitOfWork(ports), removals.find_domain("example.org"), with_mailboxes=True)
    service = Service.get()
    assert (service.mailboxes_made, service.quota_given_bytes) == (1, 5)
    assert logins() == {"zoe@example.net"}


def test_many_mailboxes_go_in_short_transactions(operator, people, monkeypatch):
    """Each of a few mailboxes, however many there are."""
    monkeypatch.setattr(removals, "MAILBOXES_AT_ONCE", 3)
    for number in range(8):
        people.add(f"p{number}", password=None)
    begun: list[int] = []
    real = removals._remove_some

    def counted(unit, domain):
        assert not db.database.in_transaction()
        begun.append(real(unit, domain))
        return begun[-1]

    monkeypatch.setattr(removals, "_remove_some", counted)
    removals.remove_domain(operator, people.domain, with_mailboxes=True)
    assert begun == [3, 3, 2, 0]


def test_a_service_goes_with_its_domains_and_its_past(office: Office, people, other):
    unit = UnitOfWork(office.ports, OPERATOR)
    change = office.start()
    with pytest.raises(Refused, match="Passwords are being changed"):
        removals.remove_service(unit, people.service, with_mailboxes=True)
    office.until(change, PasswordChange.DONE)
    done = UserImport.create(service=people.service, made_by_login="", state=UserImport.DONE)
    UserImportLine.create(user_import=done, line=1, address="x@example.org")
    foreign = Organisation.create(name="Other Ltd")
    stays = Service.create(organisation=foreign, name="Mail Light")
    losses = removals.losses_of_service(people.service)
    assert (losses.domains, losses.mailboxes, losses.password_changes) == (["example.net", "example.org"], 4, 1)
    removals.remove_service(unit, people.service, with_mailboxes=True)
    assert list(Service.select()) == [stays]
    for gone in (Domain, Mailbox, PasswordChange, PasswordChangeItem, UserImport, UserImportLine):
        assert not gone.select().exists(), gone
    # The organisation and its manager stay.
    assert logins() == {office.actor.account.login}
    assert list(services.looked_after(office.actor.account)) == []
    with pytest.raises(Refused, match="There is no service"):
        removals.remove_service(unit, people.service)


@pytest.mark.parametrize("state", UserImport.IN_HAND)
def test_while_users_are_being_added_nothing_is_removed(operator, people, state):
    UserImport.create(service=people.service, made_by_login="", state=state)
    for remove, what in ((removals.remove_domain, people.domain), (removals.remove_service, people.service)):
        with pytest.raises(Refused, match="Users from a file"):
            remove(operator, what, True)
    assert Domain.select().exists()


def test_who_adds_a_mailbox_at_the_same_instant_has_one_or_hears_that_the_domain_is_gone(ports, people, manager):
    unit = UnitOfWork(ports, acting(manager))
    profile = users.Profile(contact_email="x@elsewhere.example.com")
    added, removed = at_the_same_instant(
        lambda: users.add(unit, people.service, "new@example.org", profile, None),
        lambda: removals.remove_domain(UnitOfWork(ports, OPERATOR), people.domain),
    )
    assert isinstance(added, Account) == isinstance(removed, Refused)
    assert isinstance(added, Account | Refused)
    assert Domain.select().exists() == Mailbox.select().exists() == isinstance(added, Account)


def test_no_page_removes_a_domain_or_a_service(ports, people):
    boss = acting(people.add_manager("boss@example.net", Account.OPERATOR, organisation=None))
    for remove, what in ((removals.remove_domain, people.domain), (removals.remove_service, people.service)):
        with pytest.raises(Refused, match="not allowed"):
            remove(UnitOfWork(ports, boss), what, True)


def test_drafts_of_password_changes_go_with_the_domain(office: Office, people):
    office.draft()
    assert password_changes.of(office.actor.account, people.service).exists()
    removals.remove_domain(UnitOfWork(office.ports, OPERATOR), people.domain, with_mailboxes=True)
    assert not PasswordChange.select().exists()
