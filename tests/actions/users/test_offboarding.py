"""Offboarding: what opens a mailbox, and that nothing does afterwards."""

import pytest

import worker
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.outbox import outbox
from actions.passwords import sign_in
from actions.passwords.recovery import ask_for_link
from actions.sessions import connections, links
from actions.trail.events import Event
from actions.users import offboarding
from actions.webmails import webmail_credentials
from database import database
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    DeviceInvitation,
    Mailbox,
    OneTimeLink,
    Organisation,
    OutboxItem,
    WebSession,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)


@pytest.fixture
def mailbox(anna) -> Mailbox:
    return anna.mailbox


@pytest.fixture
def opened(ports, people, anna, mail_server) -> Account:
    """Anna, whose mailbox is opened in every way there is."""
    own = acting(anna)
    devices.make(UnitOfWork(ports, own), anna, PHONE, "1")
    invitations.invite(UnitOfWork(ports, own), anna, PHONE, "lia@elsewhere.example.com", mailed=False)
    mario = people.add_collaborator(anna, "mario", Collaboration.READ | Collaboration.SETTINGS)
    acting(mario)
    person = collaborations.Person("Pia", "Neri", "pia@elsewhere.example.com", "pia")
    collaborations.make(UnitOfWork(ports, own), anna.mailbox, person, Collaboration.READ)
    people.add_collaborator(anna, "gone", state=Account.DISABLED, password=None)
    links.create(anna, links.RESET)
    webmail = SigningWebmail(ports).row
    for login in (anna.login, mario.login):
        in_webmail = webmail_credentials.WantedCredential(login, PASSWORD, "session-1", "192.0.2.9", "Firefox")
        webmail_credentials.make(ports, webmail, in_webmail)
    mail_server.connected = [Connection(anna.login, "imap", "192.0.2.8"), Connection(mario.session_name, "imap", "::1")]
    return anna


def letters_to(ports, mailer, address: str) -> list[str]:
    while outbox.deliver_due(ports, worker.OTHERS):
        pass
    return [message["Subject"] for recipient, message in mailer.sent if recipient == address]


def test_the_page_knows_everyone_and_everything(ports, opened, mailbox):
    access = offboarding.access(ports, mailbox)
    assert [len(access.browsers), len(access.devices), len(access.invitations), len(access.links)] == [1, 1, 1, 1]
    assert {guest.row.account.login for guest in access.guests} == {"mario/anna@example.org", "pia/anna@example.org"}
    mario = next(guest for guest in access.guests if guest.row.state == collaborations.ACTIVE)
    assert (len(mario.browsers), [each.address for each in mario.connected.programs]) == (1, ["::1"])
    assert [each.address for each in access.connected.programs] == ["192.0.2.8"]
    assert [len(access.webmails), len(mario.webmails)] == [1, 1]
    assert access.has_password
    assert not access.is_shut


def test_afterwards_nothing_opens_the_mailbox(ports, opened, mailbox, manager, mail_server, stranger):
    boss = acting(manager)
    event = offboarding.end(UnitOfWork(ports, boss), mailbox)
    mailbox = Mailbox.get_by_id(mailbox.id)
    after = offboarding.access(ports, mailbox)
    assert after.is_shut
    assert mail_server.connected == []
    assert [Device.select().count(), WebSession.select().count()] == [0, 1]
    assert not DeviceInvitation.select().where(DeviceInvitation.withdrawn_at.is_null()).exists()
    assert not OneTimeLink.select().where(OneTimeLink.account == opened, OneTimeLink.used_at.is_null()).exists()
    assert {each.account.state for each in Collaboration.select()} == {Account.DISABLED}
    rows = database.execute_sql("SELECT login, password, refusal FROM mail_login").fetchall()
    assert [row for row in rows if row[2] is None or row[1]] == []
    with pytest.raises(Refused):
        sign_in.sign_in(UnitOfWork(ports, stranger), opened.login, PASSWORD, None)
    assert event.organisation == opened.organisation


def test_mail_is_still_received(ports, opened, mailbox, manager):
    offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    assert database.execute_sql("SELECT address FROM mail_user").fetchone() == (mailbox.address,)


def test_a_forgotten_password_is_no_way_back(ports, mailer, opened, mailbox, manager, stranger):
    offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    letters_to(ports, mailer, opened.contact_email)
    mailer.sent.clear()
    for state in (Account.SUSPENDED, Account.ACTIVE):
        Account.update(state=state).where(Account.id == opened.id).execute()
        ask_for_link(UnitOfWork(ports, stranger), opened.login)
        assert letters_to(ports, mailer, opened.contact_email) == []


def test_the_report_says_what_was_ended(ports, opened, mailbox, manager):
    event = offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    report = offboarding.report(mailbox, event.id)
    assert (report.devices, report.links, report.browsers, report.webmails) == (["Anna's phone"], 1, 2, 2)
    assert report.invitations == ["Anna's phone (lia@elsewhere.example.com)"]
    assert report.collaborators == ["Pia Neri (pia/anna@example.org)", "Mario Rossi (mario/anna@example.org)"]
    assert sorted(report.programs) == ["IMAP, 192.0.2.8", "IMAP, ::1"]
    assert (report.password, report.contact, report.is_pending) == (True, "anna@elsewhere.example.com", False)
    assert report.event.actor_login == manager.login


def test_a_report_belongs_to_its_mailbox(ports, opened, mailbox, boris, manager):
    event = offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    assert offboarding.report(boris.mailbox, event.id) is None
    other = AuditEvent.select().where(AuditEvent.action != Event.ACCESS_ENDED.code).first()
    assert offboarding.report(mailbox, other.id) is None


def test_a_silent_mail_server_is_asked_once_and_said(ports, opened, mailbox, manager, mail_server, clock):
    mail_server.is_down = True
    event = offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    report = offboarding.report(mailbox, event.id)
    assert report.programs_unknown
    assert report.is_pending
    asked = OutboxItem.select().where(OutboxItem.kind == "connections", OutboxItem.attempts > 0).count()
    assert asked == 1
    mail_server.is_down = False
    clock.pass_by(60)
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert not offboarding.report(mailbox, event.id).is_pending
    assert mail_server.connected == []


def test_the_person_and_the_collaborators_are_told(ports, mailer, opened, mailbox, manager):
    letters_to(ports, mailer, "")
    mailer.sent.clear()
    offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    assert len(letters_to(ports, mailer, opened.login)) == 1
    assert len(letters_to(ports, mailer, "anna@elsewhere.example.com")) == 1
    assert len(letters_to(ports, mailer, "mario@elsewhere.example.com")) == 1
    # People who never got in get no e-mail about it.
    assert letters_to(ports, mailer, "pia@elsewhere.example.com") == []


@pytest.mark.parametrize("role", [Account.PERSON, Account.ADMINISTRATOR, Account.OWNER])
def test_only_who_outranks_the_person_in_their_organisation_may(ports, people, opened, mailbox, role):
    foreign = Organisation.create(name="Other Ltd")
    other = people.add_manager("x@example.net", role, organisation=foreign)
    with pytest.raises(Refused):
        offboarding.end(UnitOfWork(ports, acting(other)), mailbox)
    assert Device.select().count() == 1


def test_who_lost_the_rank_a_moment_ago_ends_nothing(ports, opened, mailbox, manager):
    boss = acting(manager)
    for change in ({"role": Account.PERSON}, {"role": Account.OWNER, "state": Account.SUSPENDED}):
        Account.update(**change).where(Account.id == manager.id).execute()
        with pytest.raises(Refused):
            offboarding.end(UnitOfWork(ports, boss), mailbox)
    assert Device.select().count() == 1


def test_who_was_signed_out_a_moment_ago_ends_nothing(ports, opened, mailbox, manager):
    boss = acting(manager)
    WebSession.delete().where(WebSession.account == manager).execute()
    with pytest.raises(Refused):
        offboarding.end(UnitOfWork(ports, boss), mailbox)
    assert Device.select().count() == 1


def test_a_new_way_in_at_the_same_moment_does_not_survive(ports, opened, manager, mail_server):
    own, boss, mailbox = acting(opened), acting(manager), opened.mailbox
    tablet = WantedDevice("Tablet", "tablet", Device.IMAP)
    person = collaborations.Person("Zoe", "Blu", "zoe@elsewhere.example.com", "zoe")
    at_the_same_instant(
        lambda: offboarding.end(UnitOfWork(ports, boss), mailbox),
        lambda: devices.make(UnitOfWork(ports, own), opened, tablet, "2"),
        lambda: collaborations.make(UnitOfWork(ports, own), mailbox, person, Collaboration.READ),
    )
    assert Device.select().count() == 0
    assert {each.account.state for each in Collaboration.select()} == {Account.DISABLED}


def test_very_many_are_counted_and_not_all_named(ports, people, anna, manager, monkeypatch):
    monkeypatch.setattr(offboarding, "MOST_NAMED", 3)
    for number in range(5):
        people.add_collaborator(anna, f"c{number}", password=None)
    event = offboarding.end(UnitOfWork(ports, acting(manager)), anna.mailbox)
    report = offboarding.report(anna.mailbox, event.id)
    assert (len(report.collaborators), report.more) == (3, {"collaborators": 2})


def test_a_second_time_finds_nothing(ports, opened, mailbox, manager):
    first = offboarding.end(UnitOfWork(ports, acting(manager)), mailbox)
    second = offboarding.end(UnitOfWork(ports, acting(manager)), Mailbox.get_by_id(mailbox.id))
    report = offboarding.report(mailbox, second.id)
    assert (report.password, report.browsers, report.devices, report.collaborators) == (False, 0, [], [])
    assert [event.id for event in offboarding.reports(mailbox)] == [second.id, first.id]


def test_nothing_pending_of_others_is_told(ports, anna, boris, clock, mail_server):
    mail_server.is_down = True
    unit_of_work(connections.end)(UnitOfWork(ports), boris)
    assert not connections.are_pending([anna], 0)
    assert connections.are_pending([boris], 0)
    assert not connections.are_pending([boris], clock.moment + 1)
