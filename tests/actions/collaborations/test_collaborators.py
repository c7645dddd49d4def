"""The life of a collaborator, and what others may not do with it."""

import re

import pytest

import worker
from actions.authority import permissions
from actions.authority.permissions import IMAP, READ, SEND, SETTINGS, WRITE
from actions.collaborations import collaborations, user_names
from actions.collaborations.collaborations import Person
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import recovery, sign_in
from actions.sessions import links, sessions
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    KnownBrowser,
    LastLogin,
    OneTimeLink,
    OutboxItem,
    WebSession,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once
from tests.numbers import give_again

CARLA = Person("Carla", "Rossi", "carla@elsewhere.example.com", "carla.rossi", "it")
LOGIN = "carla.rossi/anna@example.org"
FIRST = "Quiet-Harbour-71"
PHONE = WantedDevice("Phone", "smartphone", Device.IMAP | Device.SENDING)


@pytest.fixture
def owner(anna):
    return acting(anna)


@pytest.fixture
def invited(ports, owner, anna) -> Collaboration:
    return collaborations.make(UnitOfWork(ports, owner), anna.mailbox, CARLA, IMAP)


@pytest.fixture
def carla(ports, invited, mailer, stranger) -> Account:
    """A collaborator who set a password, and has IMAP."""
    recovery.set_password(UnitOfWork(ports, stranger), link_in(last_letter(ports, mailer)), FIRST)
    return Account.by_login(LOGIN)


def of(account: Account) -> Collaboration:
    return Collaboration.get(Collaboration.account == account)


def letters(ports, mailer, to: str = CARLA.reference_email) -> list:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail").order_by(OutboxItem.id)):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [message for recipient, message in mailer.sent if recipient == to]


def last_letter(ports, mailer, to: str = CARLA.reference_email) -> str:
    return letters(ports, mailer, to)[-1].get_body(("plain",)).get_content()


def token_in(text: str) -> str:
    return re.search(r"/links/password/(\S+)", text)[1]


def link_in(text: str) -> OneTimeLink | None:
    return links.find(token_in(text), links.SETS_PASSWORD)


def opens(ports, stranger, password: str) -> bool:
    try:
        sign_in.sign_in(UnitOfWork(ports, stranger), LOGIN, password, None)
    except Refused:
        return False
    return True


# --- the invitation ---


def test_the_invitation_goes_to_the_reference_email_in_the_collaborators_language(ports, mailer, invited):
    [letter] = letters(ports, mailer)
    text = letter.get_body(("plain",)).get_content()
    assert LOGIN in text
    assert "Buongiorno Carla Rossi" in text
    assert link_in(text).account.login == LOGIN
    assert collaborations.state(invited) == collaborations.PENDING
    assert invited.permissions == READ | WRITE | SEND | IMAP


def test_it_is_used_once_and_makes_the_collaborator_active(ports, mailer, invited, stranger):
    link = link_in(last_letter(ports, mailer))
    recovery.set_password(UnitOfWork(ports, stranger), link, FIRST)
    assert collaborations.state(Collaboration.get()) == collaborations.ACTIVE
    assert opens(ports, stranger, FIRST)
    assert LOGIN in last_letter(ports, mailer)
    with pytest.raises(Refused):
        recovery.set_password(UnitOfWork(ports, stranger), link, "Windy-Orchard-82")
    assert opens(ports, stranger, FIRST)


def test_two_who_use_it_at_the_same_instant(ports, mailer, invited, stranger):
    link = link_in(last_letter(ports, mailer))
    passwords = ("Quiet-Harbour-71", "Windy-Orchard-82")
    outcomes = at_the_same_instant(
        *(lambda each=each: recovery.set_password(UnitOfWork(ports, stranger), link, each) for each in passwords)
    )
    assert sorted(isinstance(outcome, Refused) for outcome in outcomes) == [False, True]


def test_after_seven_days_it_lapses_and_can_be_sent_anew(clock, ports, mailer, owner, invited):
    old = token_in(last_letter(ports, mailer))
    clock.pass_by(7 * 24 * 3600 - 1)
    assert links.find(old, links.SETS_PASSWORD)
    clock.pass_by(1)
    assert links.find(old, links.SETS_PASSWORD) is None
    assert collaborations.state(invited) == collaborations.EXPIRED
    collaborations.send_link_again(UnitOfWork(ports, owner), invited)
    assert collaborations.state(invited) == collaborations.PENDING
    assert link_in(last_letter(ports, mailer))


def test_sent_again_the_earlier_link_is_dead(ports, mailer, owner, invited):
    old = token_in(last_letter(ports, mailer))
    collaborations.send_link_again(UnitOfWork(ports, owner), invited)
    assert links.find(old, links.SETS_PASSWORD) is None
    assert token_in(last_letter(ports, mailer)) != old


def test_letters_are_not_sent_without_end(ports, owner, invited):
    with pytest.raises(TooManyAttempts):
        for _ in range(50):
            collaborations.send_link_again(UnitOfWork(ports, owner), invited)


# --- reset, disabling, removal ---


def test_a_reset_ends_everything_until_the_new_password_is_set(ports, mailer, mail_server, owner, carla, stranger):
    devices.make(UnitOfWork(ports, acting(carla)), carla, PHONE, "a form")
    session, _ = sessions.start(carla, "192.0.2.7", "x")
    assert cuts_at_once(collaborations.reset, UnitOfWork(ports, owner), of(carla))
    assert collaborations.state(of(carla)) == collaborations.SUSPENDED
    assert not opens(ports, stranger, FIRST)
    assert not sessions.exists(session)
    assert Device.select().count() == 0
    text = last_letter(ports, mailer)
    assert "Phone" in text
    recovery.set_password(UnitOfWork(ports, stranger), link_in(text), "Windy-Orchard-82")
    assert collaborations.state(of(carla)) == collaborations.ACTIVE
    assert opens(ports, stranger, "Windy-Orchard-82")


def test_a_link_from_before_is_void_after_reset_and_after_disabling(ports, mailer, owner, carla, stranger):
    recovery.ask_for_link(UnitOfWork(ports, stranger), LOGIN)
    outbox.deliver_due(ports, worker.HANDLERS)
    asked = token_in(last_letter(ports, mailer))
    collaborations.reset(UnitOfWork(ports, owner), of(carla))
    assert links.find(asked, links.SETS_PASSWORD) is None
    by_reset = token_in(last_letter(ports, mailer))
    collaborations.disable(UnitOfWork(ports, owner), of(carla))
    assert links.find(by_reset, links.SETS_PASSWORD) is None


def test_a_removed_name_made_anew_inherits_nothing(ports, mailer, owner, anna, carla, stranger):
    """Not even where its number comes again, as it may after a restore."""
    made = devices.make(UnitOfWork(ports, acting(carla)), carla, PHONE, "a form")
    LastLogin.create(login_id=carla.id, device_id=made.device.id, service="imap", ip="192.0.2.1", last_access=now())
    LastLogin.create(login_id=carla.id, device_id=0, service="imap", ip="192.0.2.1", last_access=now())
    _, token = sessions.start(carla, "192.0.2.7", "x")
    recovery.ask_for_link(UnitOfWork(ports, stranger), LOGIN)
    outbox.deliver_due(ports, worker.HANDLERS)
    old = token_in(last_letter(ports, mailer))
    collaborations.disable(UnitOfWork(ports, owner), of(carla))
    with pytest.raises(Refused):
        collaborations.make(UnitOfWork(ports, owner), anna.mailbox, CARLA, READ)
    collaborations.remove(UnitOfWork(ports, owner), of(carla))
    give_again(Account, carla.id)
    again = collaborations.make(UnitOfWork(ports, owner), anna.mailbox, CARLA, READ)
    assert again.account_id == carla.id
    assert again.permissions == READ
    assert [event.action for event in collaborations.history(again)] == ["web:collaboration:made"]
    assert not opens(ports, stranger, FIRST)
    assert sessions.find(token) is None
    assert links.find(old, links.SETS_PASSWORD) is None
    for table in (Device, LastLogin, WebSession, KnownBrowser):
        assert (
            table.select()
            .where(table.login_id == again.account_id if table is LastLogin else table.account == again.account)
            .count()
            == 0
        )
    assert collaborations.row(again).last_access is None


def test_who_has_access_is_not_removed(ports, owner, carla):
    with pytest.raises(Refused):
        collaborations.remove(UnitOfWork(ports, owner), of(carla))
    assert Account.by_login(LOGIN)


def test_the_owner_still_sees_what_a_removed_collaborator_did(ports, owner, anna, carla):
    collaborations.disable(UnitOfWork(ports, owner), of(carla))
    collaborations.remove(UnitOfWork(ports, owner), of(carla))
    seen = {(event.action, event.account_login) for event in AuditEvent.of(anna)}
    assert ("link:password:welcome", LOGIN) in seen
    assert ("web:collaboration:removed", LOGIN) in seen


# --- who may sign in ---


@pytest.mark.parametrize("state", [Account.SUSPENDED, Account.LOCKED])
def test_while_the_owner_is_shut_out_so_is_the_collaborator(ports, anna, carla, stranger, state):
    _, token = sessions.start(carla, "192.0.2.7", "x")
    Account.update(state=state).where(Account.id == anna.id).execute()
    assert not opens(ports, stranger, FIRST)
    assert sessions.find(token) is None
    Account.update(state=Account.ACTIVE).where(Account.id == anna.id).execute()
    assert opens(ports, stranger, FIRST)


def test_the_lock_of_the_owner_suspends_collaborators(ports, owner, anna, carla, stranger):
    recovery.lock(UnitOfWork(ports, stranger), links.find(links.create(anna, links.DISOWN), (links.DISOWN,)))
    Account.update(state=Account.ACTIVE).where(Account.id == anna.id).execute()
    assert collaborations.state(of(carla)) == collaborations.SUSPENDED
    assert not opens(ports, stranger, FIRST)


def test_forgotten_passwords_lead_to_the_reference_email_once(ports, mailer, carla, stranger, clock):
    for _ in range(2):
        recovery.ask_for_link(UnitOfWork(ports, stranger), LOGIN)
        outbox.deliver_due(ports, worker.HANDLERS)
        clock.pass_by(60)
    assert len([letter for letter in letters(ports, mailer) if "/links/password/" in letter.as_string()]) == 2
    assert all(recipient != LOGIN for recipient, _ in mailer.sent)


@pytest.mark.parametrize("state", [Account.PENDING, Account.SUSPENDED, Account.DISABLED])
def test_who_is_not_active_gets_no_link(ports, mailer, carla, stranger, state):
    Account.update(state=state).where(Account.id == carla.id).execute()
    before = len(letters(ports, mailer))
    recovery.ask_for_link(UnitOfWork(ports, stranger), LOGIN)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert len(letters(ports, mailer)) == before


# --- permissions ---


def test_other_permissions_are_told_and_take_devices_back(ports, mailer, owner, carla):
    devices.make(UnitOfWork(ports, acting(carla)), carla, PHONE, "a form")
    collaborations.change_permissions(UnitOfWork(ports, owner), of(carla), WRITE)
    assert of(carla).permissions == READ | WRITE
    assert Device.select().count() == 0
    assert "Phone" in last_letter(ports, mailer)


@pytest.mark.parametrize("chosen", [0, -1, 2**40, 64, IMAP | 2**20])
def test_nobody_gets_a_permission_that_there_is_not(ports, owner, carla, chosen):
    collaborations.change_permissions(UnitOfWork(ports, owner), of(carla), chosen)
    assert of(carla).permissions & ~permissions.ALL == 0
    assert permissions.completed(of(carla).permissions) == of(carla).permissions


def test_without_the_permission_there_are_no_devices(ports, people, anna):
    reader = people.add_collaborator(anna, "reader", READ | WRITE | SEND)
    with pytest.raises(Refused):
        devices.make(UnitOfWork(ports, acting(reader)), reader, PHONE, "a form")


def test_devices_stay_within_the_permissions(ports, carla):
    with pytest.raises(Refused):
        devices.make(UnitOfWork(ports, acting(carla)), carla, WantedDevice("Old", "laptop", Device.POP3), "a form")


# --- "Manage settings" ---


@pytest.fixture
def keeper(people, anna) -> Account:
    """Who manages the mailbox's settings, and otherwise reads only."""
    return people.add_collaborator(anna, "keeper", READ | SETTINGS)


def test_nobody_acts_on_themselves(ports, keeper):
    for act in (
        lambda: collaborations.change_permissions(UnitOfWork(ports, acting(keeper)), of(keeper), permissions.ALL),
        lambda: collaborations.reset(UnitOfWork(ports, acting(keeper)), of(keeper)),
        lambda: collaborations.disable(UnitOfWork(ports, acting(keeper)), of(keeper)),
    ):
        with pytest.raises(Refused):
            act()
    assert of(keeper).permissions == READ | SETTINGS


def test_nobody_gives_what_they_do_not_have(ports, keeper, carla, anna, people):
    with pytest.raises(Refused):
        collaborations.make(
            UnitOfWork(ports, acting(keeper)), anna.mailbox, Person("A", "B", "a@b.example.com", "puppet"), WRITE
        )
    reader = people.add_collaborator(anna, "reader", READ)
    with pytest.raises(Refused):
        collaborations.change_permissions(UnitOfWork(ports, acting(keeper)), of(reader), WRITE)
    assert of(reader).permissions == READ
    assert not Account.by_login("puppet/anna@example.org")


def test_without_the_permission_nothing_is_managed(ports, carla, people, anna):
    reader = people.add_collaborator(anna, "reader", READ)
    with pytest.raises(Refused):
        collaborations.disable(UnitOfWork(ports, acting(carla)), of(reader))
    with pytest.raises(Refused):
        collaborations.make(
            UnitOfWork(ports, acting(carla)), anna.mailbox, Person("A", "B", "a@b.example.com", "puppet"), READ
        )


def test_nobody_acts_on_another_mailbox(ports, people, boris, carla):
    with pytest.raises(Refused):
        collaborations.disable(UnitOfWork(ports, acting(boris)), of(carla))
    keeper = people.add_collaborator(boris, "keeper", permissions.ALL)
    with pytest.raises(Refused):
        collaborations.reset(UnitOfWork(ports, acting(keeper)), of(carla))
    assert collaborations.state(of(carla)) == collaborations.ACTIVE


def test_the_owners_device_password_is_not_handed_to_who_may_do_less(ports, keeper, anna):
    made = devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "hers")
    with pytest.raises(Refused):
        devices.make(UnitOfWork(ports, acting(keeper)), anna, PHONE, "theirs")
    with pytest.raises(Refused):
        devices.change_password(UnitOfWork(ports, acting(keeper)), made.device)


def test_what_they_do_is_told_to_the_owner_and_dies_with_them(ports, mailer, owner, people, anna):
    keeper = people.add_collaborator(anna, "keeper", permissions.ALL)
    hers = devices.make(UnitOfWork(ports, owner), anna, PHONE, "hers").device
    handed_out = devices.make(
        UnitOfWork(ports, acting(keeper)), anna, WantedDevice("Handed out", "laptop", Device.IMAP), "theirs"
    ).device
    mailer.sent.clear()
    devices.disconnect(UnitOfWork(ports, acting(keeper)), hers)
    assert any(keeper.login in letter.as_string() for letter in letters(ports, mailer, anna.login))
    assert [device.id for device in collaborations.consequences(ports, of(keeper)).handed_out] == [handed_out.id]
    mailer.sent.clear()
    collaborations.disable(UnitOfWork(ports, owner), of(keeper))
    assert Device.select().count() == 0
    assert not [each for each in letters(ports, mailer, anna.login) if "Somebody else" in each["Subject"]]


def test_who_was_demoted_a_moment_ago_does_nothing_more(ports, owner, people, anna):
    keeper = people.add_collaborator(anna, "keeper", permissions.ALL)
    reader = people.add_collaborator(anna, "reader", READ)
    stale = acting(keeper)
    assert stale.account.collaboration.permissions == permissions.ALL
    collaborations.change_permissions(UnitOfWork(ports, owner), of(keeper), READ)
    with pytest.raises(Refused):
        collaborations.disable(UnitOfWork(ports, stale), of(reader))
    with pytest.raises(Refused):
        devices.make(UnitOfWork(ports, stale), anna, PHONE, "a form")
    assert Device.select().count() == 0


# --- names and addresses ---


HOSTILE_NAMES = ["", "a/b", "a@b", "..", "a..b", "a\0b", "a b", ".a", "a-", "x" * 300, "boris@example.org", "a\nb"]
LOOK_ALIKES = ["\u0441arla", "\uff43arla", "carl\u00e1"]


@pytest.mark.parametrize("user_name", [*HOSTILE_NAMES, *LOOK_ALIKES, "'--"], ids=ascii)
def test_hostile_user_names_are_refused(ports, owner, anna, user_name):
    wanted = Person("Carla", "Rossi", CARLA.reference_email, user_name)
    with pytest.raises(Refused) as refusal:
        collaborations.make(UnitOfWork(ports, owner), anna.mailbox, wanted, READ)
    assert refusal.value.field == "user_name"
    assert Collaboration.select().count() == 0


@pytest.mark.parametrize("typed", ["Carla.Rossi", " carla.rossi "])
def test_capitals_and_spaces_around_are_taken_as_small_letters(ports, owner, anna, typed):
    wanted = Person("Carla", "Rossi", CARLA.reference_email, typed)
    assert collaborations.make(UnitOfWork(ports, owner), anna.mailbox, wanted, READ).account.login == LOGIN


@pytest.mark.parametrize(
    "email",
    ["anna@example.org", "Anna@Example.ORG", "Anna+x@example.org"]
    + ["a@b\r\nBcc: c@d.example.com", "nonsense", "", "a@b"],
    ids=ascii,
)
def test_reference_emails_that_cannot_be(ports, owner, anna, email):
    with pytest.raises(Refused) as refusal:
        collaborations.make(UnitOfWork(ports, owner), anna.mailbox, Person("C", "R", email, "carla"), READ)
    assert refusal.value.field == "reference_email"


def test_a_reference_email_may_be_international(ports, owner, anna):
    made = collaborations.make(
        UnitOfWork(ports, owner), anna.mailbox, Person("C", "R", "carla@bücher.example.com", "carla"), READ
    )
    assert made.account.contact_email == "carla@bücher.example.com"


def test_two_who_take_the_same_name_at_the_same_instant(ports, anna):
    actors = [acting(anna), acting(anna)]
    outcomes = at_the_same_instant(
        *(
            lambda actor=actor: collaborations.make(UnitOfWork(ports, actor), anna.mailbox, CARLA, READ)
            for actor in actors
        )
    )
    assert sorted(isinstance(outcome, Refused) for outcome in outcomes) == [False, True]
    assert Collaboration.select().count() == 1


def test_there_is_a_limit_per_service(ports, owner, people, anna):
    service = anna.mailbox.domain.service
    service.most_collaborators = 2
    service.save()
    for number in range(2):
        people.add_collaborator(anna, f"c{number}")
    with pytest.raises(Refused, match="2 collaborators"):
        collaborations.make(UnitOfWork(ports, owner), anna.mailbox, CARLA, READ)


def test_a_thousand_collaborators_are_listed_by_few_statements(people, anna, statements):
    for number in range(200):
        people.add_collaborator(anna, f"c{number}", password=None)
    del statements[:]
    assert len(collaborations.rows(anna.mailbox)) == 200
    assert len(statements) < 10


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [("Anna", "Keller", "anna.keller"), ("Борис", "Орлов", "boris.orlov"), ("Ana María", "d'Arc", "ana-maria.darc")],
)
def test_proposals_are_free_and_plain(people, anna, first, last, expected):
    assert user_names.proposals(anna.mailbox, first, last)[0] == expected
    people.add_collaborator(anna, expected)
    assert user_names.proposals(anna.mailbox, first, last)[0] == f"{expected}2"


@pytest.mark.parametrize("name", ["", " ", "\0", "..", "😀", "x" * 10_000, "<script>"], ids=ascii)
def test_proposals_for_any_name_are_valid(anna, name):
    for proposal in user_names.proposals(anna.mailbox, name, name):
        assert user_names.checked(anna.mailbox, proposal) == proposal


# --- accesses ---


def test_sign_ins_to_the_mail_server_are_written_down_once_a_day(ports, anna, carla, clock):
    watch = collaborations.AccessWatch()
    for moment, service, ip in ((0, "imap", "192.0.2.1"), (60, "imap", "192.0.2.1"), (60, "pop3", "192.0.2.1")):
        LastLogin.insert(
            login_id=carla.id, device_id=0, service=service, ip=ip, last_access=now() + moment
        ).on_conflict_replace().execute()
        clock.pass_by(60)
        watch.look(ports)
    seen = [event for event in AuditEvent.of(anna) if event.action == "mail:session:started"]
    assert sorted((event.account_login, event.user_agent) for event in seen) == [(LOGIN, "IMAP"), (LOGIN, "POP3")]


def test_no_password_or_link_is_kept_in_the_clear(ports, mailer, carla):
    letters(ports, mailer)
    kept = "".join(str(row) for table in (AuditEvent, OutboxItem, OneTimeLink) for row in table.select().tuples())
    assert FIRST not in kept
    assert PASSWORD not in kept
