"""A manager with a mailbox is one account: what each half may, who may act on it, and how either is taken away."""

from functools import partial

import pytest

import worker
from actions.authority import authority
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import password_changes
from actions.passwords import passwords
from actions.services import mailboxes, search_words, services, user_list
from actions.services.mailboxes import NewMailbox
from actions.sessions import links, sessions
from actions.trail import trail
from actions.users import managers, users
from lab.actors import acting
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Collaboration,
    Device,
    KnownBrowser,
    LastLogin,
    Mailbox,
    OneTimeLink,
    Organisation,
    PasswordChange,
    Service,
    Webmail,
    WebSession,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.actions.office import Office
from tests.conftest import PASSWORD, People

PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)


@pytest.fixture
def operator(ports) -> UnitOfWork:
    """The operator at the command line."""
    return UnitOfWork(ports, OPERATOR)


@pytest.fixture
def both(people: People) -> Account:
    """An administrator with a mailbox."""
    return people.add("both", role=Account.ADMINISTRATOR, first_name="Bo", last_name="Thalberg")


def handed_over(account: Account) -> Actor:
    """The same person, as a webmail's session brings them."""
    webmail, _ = Webmail.get_or_create(
        origin="https://webmail.example.org", defaults={"key_id": "", "algorithm": Webmail.HS256, "key": ""}
    )
    row, token = sessions.start(account, "192.0.2.1", "", False, webmail=webmail, webmail_session="s")
    found = sessions.find(token)
    return Actor(found.account, row, "192.0.2.1", "")


def read(account: Account) -> Account:
    return Account.get_by_id(account.id)


# --- becoming both ---


def test_somebody_with_a_mailbox_becomes_a_manager_too(operator, people, anna, settings):
    acting(anna)
    sessions.remember_browser(anna, None)
    made = managers.add(operator, "Anna@example.org", None, Account.ADMINISTRATOR)
    assert (made.account, made.link, made.is_new) == (anna, None, False)
    anna = read(anna)
    assert (anna.role, anna.organisation, anna.mailbox.address) == (
        Account.ADMINISTRATOR,
        people.organisation,
        anna.login,
    )
    assert passwords.verify(settings, anna.password_hash, PASSWORD)
    # A browser of the person is not one of the manager.
    assert WebSession.select().count() == KnownBrowser.select().count() == 0
    assert AuditEvent.get().action == "operator:manager:role-given"
    assert list(services.looked_after(anna)) == [people.service]


def test_whoever_got_a_link_to_the_users_password_does_not_have_one_to_the_managers(operator, anna):
    tokens = {purpose: links.create(anna, purpose, replaces=()) for purpose in (links.RESET, links.HANDED_OUT)}
    managers.add(operator, anna.login, None, Account.OWNER)
    for purpose, token in tokens.items():
        assert links.find(token, (purpose,)) is None


def test_a_password_that_somebody_else_set_does_not_become_a_managers(operator, anna):
    anna.write(must_change_password=True)
    with pytest.raises(Refused, match="must choose another password"):
        managers.add(operator, anna.login, None, Account.OWNER)
    assert read(anna).role == Account.PERSON


def test_an_operator_can_have_a_mailbox_and_sees_everything(operator, people, anna):
    foreign = Organisation.create(name="Other Ltd")
    other = Service.create(organisation=foreign, name="Other")
    AuditEvent.create(action="x", organisation=foreign)
    managers.add(operator, anna.login, None, Account.OPERATOR)
    anna = read(anna)
    assert other in list(services.looked_after(anna))
    assert "x" in {event.action for event in trail.events(anna)}


def test_what_nobody_can_become_is_refused(operator, people, anna, manager):
    Organisation.create(name="Other Ltd")
    for wanted in (
        partial(managers.add, operator, anna.login, "Other Ltd", Account.OWNER),
        partial(managers.add, operator, anna.login, "Nobody Ltd", Account.OWNER),
        partial(managers.add, operator, anna.login, "Example Ltd", Account.OPERATOR),
        partial(managers.add, operator, anna.login, None, Account.OWNER, "Other-Garden-8"),
        partial(managers.add, operator, anna.login, None, Account.OWNER, first_name="X"),
        partial(managers.add, operator, manager.login, "Example Ltd", Account.OWNER),
        partial(mailboxes.add_mailbox, operator, NewMailbox(manager.login, password="Other-Garden-8")),
        partial(mailboxes.add_mailbox, operator, NewMailbox(manager.login, contact_email="m@elsewhere.example.com")),
    ):
        with pytest.raises(Refused):
            wanted()
    assert (read(anna).role, read(manager).role, Mailbox.select().count()) == (Account.PERSON, Account.OWNER, 1)


def test_a_manager_gets_a_mailbox(operator, people, manager):
    actor = acting(manager)
    made = mailboxes.add_mailbox(operator, NewMailbox(manager.login, quota_bytes=10))
    assert (made.account, made.link, made.is_new) == (manager, None, False)
    manager = read(manager)
    assert (manager.role, manager.owns_mailbox, manager.mailbox.quota_bytes) == (Account.OWNER, True, 10)
    assert sessions.exists(actor.session)
    service = Service.get()
    assert (service.mailboxes_made, service.quota_given_bytes) == (1, 10)
    listed = user_list.page(people.service, user_list.WantedUsers(text="manager")).mailboxes
    assert [each.account for each in listed] == [manager]
    assert manager.sort_name == search_words.sort_name(manager.login, "", "")


def test_an_operator_who_gets_a_mailbox_belongs_to_its_organisation_as_long_as_it_is_there(operator, people):
    boss = people.add_manager("boss@example.org", Account.OPERATOR, organisation=None)
    mailboxes.add_mailbox(operator, NewMailbox(boss.login))
    assert (read(boss).organisation, read(boss).role) == (people.organisation, Account.OPERATOR)
    users.remove(operator, read(boss).mailbox, boss.login)
    assert (read(boss).organisation, read(boss).role) == (None, Account.OPERATOR)


def test_a_manager_gets_no_mailbox_of_another_organisation(operator, people):
    foreign = Organisation.create(name="Other Ltd")
    other = people.add_manager("other@example.org", organisation=foreign)
    with pytest.raises(Refused, match="Other Ltd"):
        mailboxes.add_mailbox(operator, NewMailbox(other.login))
    assert not Mailbox.select().exists()


def test_no_page_gives_a_manager_a_mailbox_and_says_so(ports, people, manager):
    """Whoever adds a user chooses the contact e-mail, to which a forgotten password is sent."""
    administrator = acting(people.add_manager("a@example.org", Account.ADMINISTRATOR))
    profile = users.Profile(contact_email="x@elsewhere.example.com")
    with pytest.raises(Refused, match="is a manager's login") as refusal:
        users.add(UnitOfWork(ports, administrator), people.service, manager.login, profile, None)
    assert refusal.value.field == "address"
    assert (read(manager).contact_email, Mailbox.select().count()) == ("", 0)


# --- who may ---


def test_a_manager_with_a_mailbox_is_protected_by_their_rank(ports, people, both):
    """Their row in the list of users is no way around it."""
    for role, may in {Account.ADMINISTRATOR: False, Account.OWNER: True, Account.OPERATOR: True}.items():
        actor = acting(people.add_manager(f"{role}@example.net", role))
        assert authority.may_act_on(actor.account, both) is may
        if not may:
            for deed in (users.send_link, users.suspend):
                with pytest.raises(Refused):
                    deed(UnitOfWork(ports, actor), both.mailbox)
            assert not password_changes.choosable(actor.account, people.domain).exists()
    assert not OneTimeLink.select().exists()


def test_nobody_acts_on_their_own_row(ports, both):
    with pytest.raises(Refused):
        users.remove(UnitOfWork(ports, acting(both)), both.mailbox, both.login)


def test_a_manager_with_a_mailbox_sees_the_organisation_and_their_own(both, people, anna):
    AuditEvent.create(action="hers", account=anna, organisation=people.organisation, mailbox=anna.mailbox)
    AuditEvent.create(action="own", account=both, organisation=people.organisation, mailbox=both.mailbox)
    assert {event.action for event in trail.events(both)} == {"hers", "own"}


def test_whom_a_webmail_signed_in_is_a_person(ports, people, both, anna):
    AuditEvent.create(action="hers", account=anna, organisation=people.organisation, mailbox=anna.mailbox)
    AuditEvent.create(action="own", account=both, organisation=people.organisation, mailbox=both.mailbox)
    actor = handed_over(both)
    assert not actor.account.is_manager
    assert list(services.looked_after(actor.account)) == []
    assert {event.action for event in trail.events(actor.account)} == {"own"}
    assert authority.roles_below(actor.account) == [Account.COLLABORATOR]
    unit, profile = UnitOfWork(ports, actor), users.Profile(contact_email="x@elsewhere.example.com")
    for deed in (
        lambda: users.suspend(unit, anna.mailbox),
        lambda: users.send_link(unit, anna.mailbox),
        lambda: users.remove(unit, anna.mailbox, anna.login),
        lambda: users.add(unit, people.service, "new@example.org", profile, None),
        lambda: devices.make(unit, anna, PHONE, "a form"),
    ):
        with pytest.raises(Refused):
            deed()
    assert read(anna).state == Account.ACTIVE
    # What is their own works.
    assert devices.make(unit, actor.account, PHONE, "another form").device.account == both
    assert actor.account.role == Account.ADMINISTRATOR


def test_the_account_that_acts_counts_as_its_session_says(ports, both, anna):
    """Also where an object was loaded without it."""
    actor = handed_over(both)
    with pytest.raises(Refused):
        users.suspend(UnitOfWork(ports, Actor(read(both), actor.session)), anna.mailbox)


def test_to_confirm_the_password_in_a_webmails_session_makes_no_manager(ports, both):
    _session, token = passwords.confirm_again(UnitOfWork(ports, handed_over(both)), PASSWORD)
    found = sessions.find(token)
    assert not found.account.is_manager
    assert sessions.lifetime_of(found.account) == sessions.PERSON


def test_a_managers_session_stays_short_beside_a_webmails(clock, both):
    own, of_webmail = acting(both).session, handed_over(both).session
    clock.pass_by(sessions.MANAGER.idle)
    assert sessions.living(read(both)) == [of_webmail] != [own]


# --- being one no more ---


def test_a_role_that_is_taken_away_leaves_the_mailbox(operator, ports, mail_server, people, manager, both):
    actor, device = acting(both), devices.make(UnitOfWork(ports, acting(both)), both, PHONE, "a form").device
    sessions.remember_browser(both, None)
    token = links.create(both, links.RESET)
    mail_server.connected = [Connection(both.login, "imap", "192.0.2.9")]
    losses = managers.losses(both)
    assert (losses.mailbox, losses.browsers, losses.known_browsers) == (both.mailbox, 2, 1)
    managers.remove(operator, both)
    left = read(both)
    assert (left.role, left.organisation, left.mailbox, left.password_hash) == (
        Account.PERSON, people.organisation, both.mailbox, both.password_hash,
    )  # fmt: skip
    assert not sessions.exists(actor.session) and links.find(token, (links.RESET,)) is None
    assert list(both.devices) == [device]
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert mail_server.connected
    with pytest.raises(Refused):
        users.suspend(UnitOfWork(ports, actor), people.add("dora").mailbox)


def test_a_mailbox_that_is_taken_away_leaves_the_manager(operator, ports, mail_server, people, both, boris, settings):
    actor = acting(both)
    devices.make(UnitOfWork(ports, actor), both, PHONE, "a form")
    guest = people.add_collaborator(both)
    LastLogin.create(login_id=both.id, device_id=0, service="imap", ip="192.0.2.9", last_access=now())
    mail_server.connected = [Connection(both.login, "imap", "192.0.2.9")]
    users.remove(operator, both.mailbox, both.login)
    left = read(both)
    assert (left.role, left.mailbox, left.organisation) == (Account.ADMINISTRATOR, None, people.organisation)
    assert (left.service_id, left.domain_id, left.sort_name) == (None, None, "")
    assert passwords.verify(settings, left.password_hash, PASSWORD)
    assert not sessions.exists(actor.session)
    for gone in (Device, Collaboration, LastLogin):
        assert not gone.select().exists()
    assert Account.get_or_none(Account.id == guest.id) is None
    assert not AccountWord.select().where(AccountWord.account == left).exists()
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert mail_server.connected == []
    assert [each.account for each in user_list.page(people.service, user_list.WantedUsers()).mailboxes] == [boris]
    assert Service.get().mailboxes_made == 1
    # And back again: nothing of the former one is there.
    mailboxes.add_mailbox(operator, NewMailbox(both.login))
    assert read(both).mailbox.home != both.mailbox.home


def test_a_manager_without_a_mailbox_goes_with_everything(operator, ports, people, manager):
    people.add_manager("other@example.org")
    actor = acting(manager)
    sessions.remember_browser(manager, None)
    links.create(manager, links.RESET)
    managers.remove(operator, manager)
    assert Account.get_or_none(Account.id == manager.id) is None
    for gone in (WebSession, KnownBrowser, OneTimeLink):
        assert not gone.select().exists()
    event = AuditEvent.get(AuditEvent.action == "operator:manager:removed")
    assert (event.account_login, event.organisation) == (manager.login, people.organisation)
    with pytest.raises(Refused):
        users.suspend(UnitOfWork(ports, actor), people.add("dora").mailbox)


def test_a_change_of_passwords_stops_with_its_manager(office: Office, people):
    people.add_manager("other@example.org")
    change = office.start()
    manager = office.actor.account
    assert managers.losses(manager).changes == 1
    managers.remove(UnitOfWork(office.ports, OPERATOR), manager)
    office.until(change, PasswordChange.STOPPED)


def test_the_last_one_is_removed_with_a_word_only(operator, people, manager):
    boss = people.add_manager("boss@example.net", Account.OPERATOR, organisation=None)
    # Somebody who cannot sign in is nobody to stay.
    people.add_manager("away@example.org", state=Account.SUSPENDED)
    for last in (manager, boss):
        with pytest.raises(Refused, match="is the last manager"):
            managers.remove(operator, last)
        managers.remove(operator, last, even_the_last=True)
    assert [account.login for account in Account.select()] == ["away@example.org"]


def test_of_the_last_two_that_are_removed_at_the_same_instant_one_stays(ports, people, manager):
    other = people.add_manager("other@example.org")
    outcomes = at_the_same_instant(
        *(partial(managers.remove, UnitOfWork(ports, OPERATOR), each) for each in (manager, other))
    )
    assert sorted(type(outcome) for outcome in outcomes if outcome is not None) == [Refused]
    assert Account.select().count() == 1


def test_nobody_removes_their_like_their_better_or_themselves(ports, people, manager, both):
    people.add_manager("other@example.org")
    for actor, target in ((both, both), (both, manager), (manager, manager)):
        with pytest.raises(Refused, match="not allowed"):
            managers.remove(UnitOfWork(ports, acting(actor)), target, even_the_last=True)


def test_who_is_no_manager_is_said_to_be_none(operator, anna):
    for login in (anna.login, "nobody@example.org"):
        with pytest.raises(Refused):
            managers.named(login)
    with pytest.raises(Refused, match="is no manager"):
        managers.remove(operator, anna)
