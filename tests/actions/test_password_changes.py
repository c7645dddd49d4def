"""New passwords for several mailboxes at once: what is refused, in which order it happens, and what is left behind."""

import csv
import io
import os
import re
import threading
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from postern import models
from postern.actions import (
    credentials,
    housekeeping,
    links,
    outbox,
    password_change_run,
    password_changes,
    passwords,
    random_passwords,
    recovery,
    throttle,
)
from postern.actions.password_change_run import Runner
from postern.actions.password_changes import Choice, Wanted
from postern.actions.ports import ArchiveEntry, Connection, MessageRefused
from postern.actions.text import Refused
from postern.models import (
    Account,
    AuditEvent,
    CredentialsArchive,
    Domain,
    KnownBrowser,
    Mailbox,
    OneTimeLink,
    Organisation,
    OutboxItem,
    PasswordChange,
    PasswordChangeItem,
    Service,
    WebSession,
)
from tests.actions.conftest import acting, at_the_same_instant
from tests.conftest import PASSWORD

WANTED = Wanted("+39 333 123 4567", "Mara Lind", "mara@elsewhere.example.com")
EVERYONE = Choice(everyone=True)
NAMES = ("anna", "boris", "chiara")
STEPS = 200
DELIVERED, FAILED = 1, 2


@pytest.fixture
def ports(ports):
    """With a gateway for text messages."""
    return replace(ports, settings=replace(ports.settings, sms_url="demo:"))


@pytest.fixture
def mara(people, manager):
    """The manager, who acts."""
    for name in NAMES:
        people.add(name)
    return acting(manager)


class Office:
    """What a manager and the worker do."""

    def __init__(self, ports, domain, actor):
        self.ports, self.domain, self.actor, self.runner = ports, domain, actor, Runner()

    def draft(self, wanted=WANTED, choice=EVERYONE, actor=None) -> PasswordChange:
        return password_changes.draft(self.ports, actor or self.actor, self.domain, choice, wanted)

    def start(self, wanted=WANTED, choice=EVERYONE, actor=None) -> PasswordChange:
        change = self.draft(wanted, choice, actor)
        password_changes.start(self.ports, actor or self.actor, change, PASSWORD)
        return change

    def step(self) -> int:
        return self.runner.work(self.ports)

    def deliver(self) -> None:
        outbox.deliver_due(self.ports, outbox.CREDENTIALS + outbox.MESSAGES)

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
        return credentials.reported(self.ports, token, state)


@pytest.fixture
def office(ports, people, mara) -> Office:
    return Office(ports, people.domain, mara)


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


def sentence_of(call) -> str:
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.sentence


def field_of(call) -> str | None:
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.field


# --- what comes out ---


def test_every_mailbox_gets_the_password_that_stands_in_the_archive(office, mailer):
    change = office.run()
    assert change.state == PasswordChange.DONE
    assert set(office.archive) == {f"{name}@example.org" for name in NAMES}
    for name in NAMES:
        assert matches(name, office.archive[f"{name}@example.org"])
        assert not has_old(name)
    assert len(set(office.archive.values())) == len(NAMES)
    assert [recipient for recipient, _ in mailer.sent] == [WANTED.email]


def test_the_archive_and_its_key_go_different_ways(office, mailer):
    office.run()
    (_, letter), (message,) = mailer.sent[0], office.ports.sms.sent
    attachments = list(letter.iter_attachments())
    assert [each.get_content() for each in attachments] == [b"zip 1"]
    assert [each.get_filename() for each in attachments] == ["documents.zip"]
    assert office.key in message.text
    assert office.key not in letter.as_string()
    assert message.to == "+393331234567"
    assert letter["Subject"] == "Documents for you"


def test_the_key_has_a_hundred_bits_that_nobody_mistakes():
    keys = {random_passwords.archive_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){4}", key) for key in keys)


def test_new_passwords_are_strong_and_survive_a_spreadsheet(people):
    anna = people.add("anna", first_name="Anna")
    drawn = [random_passwords.for_account(anna, "classic") for _ in range(300)]
    assert len(set(drawn)) == 300
    for password in drawn:
        assert len(password) == 20
        assert password[0].isalpha()
        assert not set(password) & set("\"';,\\0O1lI ")
        assert any(c.isupper() for c in password)
        assert any(c.islower() for c in password)
        assert any(c.isdigit() for c in password)
        assert any(not c.isalnum() for c in password)


def test_each_mailbox_has_a_readable_text_with_a_neutral_name(office):
    office.run(replace(WANTED, language="ru", must_change=True))
    entries = office.ports.archiver.made[0].entries
    assert [entry.name for entry in entries] == ["0001.txt", "0002.txt", "0003.txt", "list.csv"]
    text = entries[0].content.decode("utf-8-sig")
    for part in ("anna@example.org", office.archive["anna@example.org"], "IMAP", "143", "http://127.0.0.1:8123"):
        assert part in text
    assert "\r\n" in text
    assert "next sign-in" in text


def test_a_document_in_place_of_the_files(office, mailer):
    office.run(replace(WANTED, archive_format="pdf"))
    made = office.ports.archiver.made[0]
    assert made.kind == "pdf"
    assert [heading for heading, _ in made.sections] == [f"{name}@example.org" for name in NAMES]
    shown = dict(made.sections[1][1])["Password"]
    assert matches("boris", shown)
    assert [each.get_content_type() for each in mailer.sent[0][1].iter_attachments()] == ["application/pdf"]


def test_links_leave_the_password_until_they_are_used(office, stranger):
    change = office.run(replace(WANTED, kind="links", must_change=True, everywhere=True))
    assert (change.must_change, change.everywhere) == (False, False)
    assert all(has_old(name) for name in NAMES)
    token = office.archive["boris@example.org"].rpartition("/")[2]
    link = links.find(token, links.SETS_PASSWORD)
    assert link.account == account("boris")
    assert link.expires_at - link.created_at == 7 * links.DAY
    recovery.set_password(office.ports, stranger, link, "Other-Garden-8")
    assert matches("boris", "Other-Garden-8")
    assert links.find(token, links.SETS_PASSWORD) is None


def test_what_the_options_say(office, mail_server):
    boris = account("boris")
    acting(boris)
    KnownBrowser.create(account=boris, token_hash="0" * 64)
    mail_server.connected = [Connection("boris@example.org", "imap", "192.0.2.9")]
    office.run(replace(WANTED, everywhere=True, must_change=True), Choice(mailbox_ids=ids_of("boris")))
    assert account("boris").must_change_password
    assert not WebSession.select().where(WebSession.account == boris).exists()
    assert not KnownBrowser.select().exists()
    OutboxItem.update(next_try_at=0).execute()
    outbox.deliver_due(office.ports, outbox.CONNECTIONS)
    assert mail_server.connected == []
    assert not account("anna").must_change_password
    assert has_old("anna")


def test_without_everywhere_sessions_stay(office):
    acting(account("boris"))
    office.run()
    assert WebSession.select().where(WebSession.account == account("boris")).exists()


def test_a_mailbox_without_a_password_gets_its_first(office):
    Account.update(password_hash=None).where(Account.login == "boris@example.org").execute()
    office.run()
    assert matches("boris", office.archive["boris@example.org"])


def test_people_are_told_at_their_contact_address_alone(office, mailer):
    Account.update(contact_email="").where(Account.login == "anna@example.org").execute()
    Account.update(contact_email="chiara@example.org").where(Account.login == "chiara@example.org").execute()
    office.run()
    outbox.deliver_due(office.ports)
    assert [recipient for recipient, _ in mailer.sent[1:]] == ["boris@elsewhere.example.com"]
    assert office.archive["boris@example.org"] not in mailer.sent[1][1].as_string()


def test_it_is_written_down_who_did_what_to_whom(office, manager):
    change = office.run()
    events = list(AuditEvent.select().order_by(AuditEvent.id))
    told = [(event.action, event.actor_login, event.account_login) for event in events]
    assert told == [
        ("web:password-change:started", manager.login, manager.login),
        *[("web:password:issued", manager.login, f"{name}@example.org") for name in NAMES],
        ("web:password-change:finished", manager.login, manager.login),
    ]
    assert {event.address for event in events} == {"192.0.2.1"}
    assert (events[-1].details["changed"], change.items.count()) == (3, 3)


# --- in which order ---


def test_no_password_changes_before_archive_and_key_were_accepted(office, mailer):
    mailer.is_down = office.ports.sms.is_down = True
    change = office.start()
    for _ in range(20):
        office.step()
        office.deliver()
    assert present(change).state == PasswordChange.SENDING
    assert all(has_old(name) for name in NAMES)
    mailer.is_down = False
    OutboxItem.update(next_try_at=0).execute()
    office.deliver()
    office.step()
    assert present(change).state == PasswordChange.SENDING
    assert all(has_old(name) for name in NAMES)
    office.ports.sms.is_down = False
    OutboxItem.update(next_try_at=0).execute()
    assert office.until(change, PasswordChange.DONE)
    assert all(matches(name, office.archive[f"{name}@example.org"]) for name in NAMES)
    assert (len(mailer.sent), len(office.ports.sms.sent)) == (1, 1)


def test_a_letter_that_is_refused_stops_it_and_nothing_is_changed(office, mailer, monkeypatch):
    def refuse(message, recipient):
        raise MessageRefused("550 no such user")

    monkeypatch.setattr(mailer, "send", refuse)
    change = office.until(office.start(), *PasswordChange.OVER)
    assert (change.state, change.reason) == (PasswordChange.STOPPED, password_change_run.MAIL_REFUSED)
    assert all(has_old(name) for name in NAMES)
    assert not CredentialsArchive.select().exists()


def test_a_phone_that_is_refused_stops_it_too(office):
    office.ports.sms.refuses_all = True
    change = office.until(office.start(), *PasswordChange.OVER)
    assert (change.state, change.reason) == (PasswordChange.STOPPED, password_change_run.MESSAGE_REFUSED)
    assert all(has_old(name) for name in NAMES)


def test_once_the_archive_is_kept_no_password_is_left_elsewhere(office):
    change = office.start()
    while present(change).state == PasswordChange.PREPARING:
        office.step()
    assert [item.secret for item in change.items] == ["", "", ""]
    assert all(item.new_hash for item in change.items)


def test_a_worker_that_dies_anywhere_is_followed_by_another(office, clock, monkeypatch):
    """Each step once more than needed, each time by a new worker that knows nothing of the one before."""
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.start()
    for _ in range(STEPS):
        if present(change).state in PasswordChange.OVER:
            break
        office.runner = Runner()
        clock.pass_by(password_change_run.LEASE)
        office.step()
        office.deliver()
    assert present(change).state == PasswordChange.DONE
    assert all(matches(name, office.archive[f"{name}@example.org"]) for name in NAMES)


def test_what_fails_half_way_is_done_wholly_or_not_at_all(office, monkeypatch):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.until(office.start(), PasswordChange.CHANGING)
    real, calls = password_change_run.notices.password_issued, []

    def die_at_the_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(password_change_run.notices, "password_issued", die_at_the_second)
    office.step()
    with pytest.raises(KeyboardInterrupt):
        office.step()
    assert matches("anna", office.archive["anna@example.org"])
    assert has_old("boris")
    assert AuditEvent.select().where(AuditEvent.action == "web:password:issued").count() == 1
    office.until(change, PasswordChange.DONE)
    assert matches("boris", office.archive["boris@example.org"])


def test_two_workers_share_nothing(office, monkeypatch):
    change = office.start()
    other = Runner()
    assert office.step()
    assert other.work(office.ports) == 0
    assert present(change).leased_by == office.runner._name


def test_two_workers_of_which_each_thinks_it_is_alone(office, monkeypatch):
    """The lease ran out while both were at it: one archive counts, and what stands in it."""
    monkeypatch.setattr(PasswordChange, "lease", lambda *_: True)
    runners = [Runner(), Runner()]
    change = office.start()
    for _ in range(STEPS):
        if present(change).state in PasswordChange.OVER:
            break
        outcomes = at_the_same_instant(*[lambda each=each: each.work(office.ports) for each in runners])
        assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
        office.deliver()
    assert present(change).state == PasswordChange.DONE
    assert len(office.ports.sms.sent) == 1
    assert all(matches(name, office.archive[f"{name}@example.org"]) for name in NAMES)
    assert AuditEvent.select().where(AuditEvent.action == "web:password:issued").count() == len(NAMES)


def test_hashing_lets_everything_else_go_first():
    with password_change_run.hashing() as pool:
        niceness = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert niceness == password_change_run.NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) < password_change_run.NICENESS


# --- what happens meanwhile ---


def meanwhile(office, do, state=PasswordChange.CHANGING, choice=EVERYONE) -> PasswordChange:
    """Run a change, and do something once it is in this state."""
    change = office.until(office.start(choice=choice), state)
    do()
    return office.until(change, *PasswordChange.OVER)


def set_state(name: str, state: str) -> None:
    Account.update(state=state).where(Account.login == f"{name}@example.org").execute()


@pytest.mark.parametrize("when", [PasswordChange.PREPARING, PasswordChange.SENDING, PasswordChange.CHANGING])
def test_whoever_changed_their_own_password_meanwhile_keeps_it(office, when):
    boris = acting(account("boris"))
    change = meanwhile(office, lambda: passwords.change(office.ports, boris, PASSWORD, "Other-Garden-8"), state=when)
    assert results(change) == {"anna": "", "boris": password_change_run.CHANGED_MEANWHILE, "chiara": ""}
    assert matches("boris", "Other-Garden-8")
    assert change.items.where(PasswordChangeItem.address.startswith("boris")).get().in_archive == (
        when != PasswordChange.PREPARING
    )


def test_who_is_suspended_or_removed_meanwhile_is_left_out(office):
    def happen():
        set_state("anna", Account.SUSPENDED)
        boris = account("boris")
        Mailbox.delete().where(Mailbox.account == boris).execute()
        Account.delete().where(Account.id == boris.id).execute()

    change = meanwhile(office, happen)
    assert results(change) == {"anna": password_change_run.CLOSED, "boris": password_change_run.GONE, "chiara": ""}
    assert has_old("anna")


def test_who_rose_to_the_managers_rank_meanwhile_is_left_out(office):
    def rise():
        Account.update(role=Account.OWNER).where(Account.login == "anna@example.org").execute()

    assert results(meanwhile(office, rise))["anna"] == password_change_run.NOT_YOURS
    assert has_old("anna")


@pytest.mark.parametrize(
    "fall",
    [{"role": Account.PERSON}, {"state": Account.SUSPENDED}, {"state": Account.LOCKED}, {"organisation": None}],
    ids=str,
)
def test_a_manager_who_falls_meanwhile_stops_it(office, manager, fall):
    falls_meanwhile(office, manager, fall, PasswordChange.CHANGING)


@pytest.mark.parametrize("when", [PasswordChange.PREPARING, PasswordChange.SENDING])
def test_however_early_a_manager_falls(office, manager, when):
    falls_meanwhile(office, manager, {"role": Account.PERSON}, when)


def falls_meanwhile(office, manager, fall, when):
    def happen():
        Account.update(**fall).where(Account.id == manager.id).execute()

    change = meanwhile(office, happen, state=when)
    assert (change.state, change.reason) == (PasswordChange.STOPPED, password_change_run.NO_RIGHT)
    assert all(has_old(name) for name in NAMES)
    assert set(results(change).values()) == {password_change_run.NO_RIGHT}


def test_a_manager_who_falls_in_the_middle_stops_it_before_the_next_mailbox(office, manager, monkeypatch):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.until(office.start(), PasswordChange.CHANGING)
    office.step()
    Account.update(role=Account.PERSON).where(Account.id == manager.id).execute()
    change = office.until(change, *PasswordChange.OVER)
    assert results(change) == {
        "anna": "",
        "boris": password_change_run.NO_RIGHT,
        "chiara": password_change_run.NO_RIGHT,
    }
    assert credentials.is_kept(change), "what was changed has to reach somebody"


def test_cancelling_before_anything_was_sent_leaves_nothing_behind(office, mara, mailer):
    change = office.start()
    office.step()
    password_changes.cancel(mara, change)
    office.until(change, PasswordChange.CANCELLED)
    for _ in range(5):
        assert office.step() == 0
    office.deliver()
    assert mailer.sent == []
    assert all(has_old(name) for name in NAMES)
    assert set(results(change).values()) == {password_changes.CANCELLED}
    assert not any(item.secret or item.new_hash or item.old_hash for item in change.items)


def test_cancelling_between_mailboxes(office, mara, monkeypatch):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.until(office.start(), PasswordChange.CHANGING)
    office.step()
    password_changes.cancel(mara, change)
    assert office.step() == 0
    assert matches("anna", office.archive["anna@example.org"])
    assert has_old("boris")
    assert has_old("chiara")
    assert results(change) == {"anna": "", "boris": password_changes.CANCELLED, "chiara": password_changes.CANCELLED}
    with pytest.raises(Refused):
        password_changes.cancel(mara, change)


def test_a_cancelled_change_in_whose_midst_the_worker_is(office, mara):
    """The worker read the change before it was cancelled."""
    change = office.until(office.start(), PasswordChange.CHANGING)
    password_changes.cancel(mara, present(change))
    password_change_run.put_into_force(office.ports, change)
    assert all(has_old(name) for name in NAMES)


def test_when_nobody_is_left_nothing_is_sent(office, mailer):
    change = office.start(choice=Choice(mailbox_ids=ids_of("anna")))
    set_state("anna", Account.LOCKED)
    change = office.until(change, *PasswordChange.OVER)
    assert (change.state, results(change)) == (PasswordChange.DONE, {"anna": password_change_run.CLOSED})
    assert (mailer.sent, office.ports.sms.sent) == ([], [])


# --- what is refused ---


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "CALL-ME-NOW",
        "+39 abc",
        "333 123 4567",
        "112",
        "4455",
        "+39 899 123 456",
        "+44 909 879 1234",
        "+1",
        "+999 1",
    ],
)
def test_phones_that_are_none(office, phone):
    assert field_of(lambda: office.draft(replace(WANTED, phone=phone))) == "phone"
    assert not PasswordChange.select().exists()


def test_a_country_may_be_the_settings_own(office):
    office.ports = replace(office.ports, settings=replace(office.ports.settings, phone_region="IT"))
    assert office.draft(replace(WANTED, phone="333 123 4567")).phone == "+393331234567"


@pytest.mark.parametrize(
    "email",
    ["", "nobody", "a@b", "mara@elsewhere.example.com\r\nBcc: eve@evil.example.com", "mara@elsewhere.example.com\n",
     "a@example.com, b@example.com", "<script>@example.com"],
)  # fmt: skip
def test_addresses_that_are_none(office, email):
    assert field_of(lambda: office.draft(replace(WANTED, email=email))) == "email"


@pytest.mark.parametrize("name", ["", "Mara\r\nBcc: eve@evil.example.com", "M" * 121])
def test_names_that_are_none(office, name):
    assert field_of(lambda: office.draft(replace(WANTED, full_name=name))) == "full_name"


@pytest.mark.parametrize(
    "changes", [{"kind": "both"}, {"archive_format": "rar"}, {"language": "xx"}], ids=lambda c: next(iter(c))
)
def test_choices_that_were_not_offered(office, changes):
    assert field_of(lambda: office.draft(replace(WANTED, **changes))) == next(iter(changes))


def test_without_a_gateway_or_fonts(office):
    office.ports.archiver.has_fonts = False
    assert field_of(lambda: office.draft(replace(WANTED, archive_format="pdf"))) == "archive_format"
    office.ports = replace(office.ports, settings=replace(office.ports.settings, sms_url=""))
    assert field_of(office.draft) == "phone"


def other_domain(people, own: bool) -> Domain:
    """Another domain, of the same organisation or of a stranger's, with one mailbox."""
    organisation = people.organisation if own else Organisation.create(name="Strangers")
    service = people.service if own else Service.create(organisation=organisation, name="Mail Light")
    domain = Domain.create(service=service, name="example.net")
    stranger = Account.create(
        login="eve@example.net", password_hash="x", organisation=organisation, service=service, domain=domain
    )
    Mailbox.create(domain=domain, account=stranger, address="eve@example.net", home="example.net/eve")
    return domain


@pytest.mark.parametrize("own", [True, False], ids=["of-the-organisation", "of-strangers"])
def test_mailboxes_of_another_domain(office, people, own):
    other_domain(people, own)
    ids = [*ids_of("anna"), Mailbox.by_address("eve@example.net").id]
    with pytest.raises(Refused) as refusal:
        office.draft(choice=Choice(mailbox_ids=ids))
    assert refusal.value.field == "mailboxes"
    assert "eve" not in str(refusal.value)
    assert not PasswordChange.select().exists()
    assert not PasswordChangeItem.select().exists()


@pytest.mark.parametrize("ids", [[2**31 - 1], [-1], [0, 10**30]])
def test_mailboxes_that_do_not_exist(office, ids):
    assert field_of(lambda: office.draft(choice=Choice(mailbox_ids=ids))) == "mailboxes"


def test_a_suspended_mailbox_is_named_and_everyone_leaves_it_out(office):
    set_state("boris", Account.SUSPENDED)
    with pytest.raises(Refused) as refusal:
        office.draft(choice=Choice(mailbox_ids=ids_of("anna", "boris")))
    assert "boris@example.org" in str(refusal.value)
    assert [item.address for item in office.draft().items] == ["anna@example.org", "chiara@example.org"]


def test_a_manager_cannot_change_their_own_mailbox_or_their_equals(office, people):
    anna = account("anna")
    Account.update(role=Account.OWNER).where(Account.id == anna.id).execute()
    other = acting(account("anna"))
    for actor in (other, office.actor):
        with pytest.raises(Refused):
            office.draft(choice=Choice(mailbox_ids=ids_of("anna")), actor=actor)
    assert "anna@example.org" not in [item.address for item in office.draft(actor=other).items]


def test_none_and_too_many(office, monkeypatch):
    assert field_of(lambda: office.draft(choice=Choice())) == "mailboxes"
    assert field_of(lambda: office.draft(choice=Choice(mailbox_ids=range(1, 100_002)))) == "mailboxes"
    monkeypatch.setattr(password_changes, "MOST_MAILBOXES", 2)
    assert field_of(office.draft) == "mailboxes"


def test_the_managers_own_password_confirms_it(office, mara):
    change = office.draft()
    for _ in range(2):
        with pytest.raises(Refused):
            password_changes.start(office.ports, mara, change, "Guessed-Garden-9")
    with pytest.raises(throttle.TooManyAttempts):
        for _ in range(20):
            with pytest.raises(Refused):
                password_changes.start(office.ports, mara, change, "Guessed-Garden-9")
    assert present(change).state == PasswordChange.DRAFT
    assert office.step() == 0


def test_a_form_that_is_sent_twice_starts_once(office, mara):
    change = office.draft()
    outcomes = at_the_same_instant(
        *[lambda: password_changes.start(office.ports, mara, PasswordChange.get_by_id(change.id), PASSWORD)] * 4
    )
    assert outcomes == [None] * 4
    office.until(change, PasswordChange.DONE)
    assert AuditEvent.select().where(AuditEvent.action == "web:password-change:started").count() == 1
    assert len(office.ports.sms.sent) == 1


def test_a_second_change_of_a_mailbox_waits_for_the_end_of_the_first(office, mara):
    first = office.start(choice=Choice(mailbox_ids=ids_of("anna", "boris")))
    second = office.draft(choice=Choice(mailbox_ids=ids_of("boris", "chiara")))
    with pytest.raises(Refused) as refusal:
        password_changes.start(office.ports, mara, second, PASSWORD)
    assert "under way" in str(refusal.value)
    assert present(second).state == PasswordChange.DRAFT
    office.until(first, PasswordChange.DONE)
    password_changes.start(office.ports, mara, second, PASSWORD)
    assert office.until(second, PasswordChange.DONE)


def test_of_two_changes_that_start_at_the_same_instant_one_wins(office, mara):
    drafts = [office.draft(), office.draft()]
    outcomes = at_the_same_instant(
        *[lambda each=each: password_changes.start(office.ports, mara, each, PASSWORD) for each in drafts]
    )
    assert sorted(type(each) for each in outcomes if each is not None) == [Refused]
    assert [present(each).state for each in drafts].count(PasswordChange.PREPARING) == 1


def test_a_draft_of_an_hour_ago_and_of_a_manager_who_fell(office, mara, manager, clock):
    change = office.draft()
    clock.pass_by(password_changes.DRAFT_KEPT)
    with pytest.raises(Refused):
        password_changes.start(office.ports, mara, change, PASSWORD)
    fresh = office.draft()
    Account.update(role=Account.PERSON).where(Account.id == manager.id).execute()
    with pytest.raises(Refused):
        password_changes.start(office.ports, mara, fresh, PASSWORD)
    assert present(fresh).state == PasswordChange.DRAFT


def test_who_sees_it(office, people, manager):
    change = office.draft()
    colleague = people.add_manager("colleague@example.org", Account.ADMINISTRATOR)
    service = people.service.id
    assert password_changes.find(manager, service, change.id) == change
    assert password_changes.find(colleague, service, change.id) is None
    password_changes.start(office.ports, office.actor, change, PASSWORD)
    assert password_changes.find(colleague, service, change.id) == change
    assert password_changes.find(account("anna"), service, change.id) is None
    other = other_domain(people, own=False)
    foreign = people.add_manager("foreign@example.net", organisation=other.service.organisation)
    assert password_changes.find(foreign, service, change.id) is None
    assert password_changes.find(foreign, other.service.id, change.id) is None


def test_searching(office, manager, people):
    people.add("dmitri", first_name="Борис", last_name="Орлов")
    found = lambda typed: [m.address.partition("@")[0] for m in password_changes.search(manager, people.domain, typed)]  # noqa: E731
    assert found("bor") == ["boris", "dmitri"]
    assert found("orlov") == ["dmitri"]
    assert found("") == ["anna", "boris", "chiara", "dmitri"]
    assert found("%") == ["anna", "boris", "chiara", "dmitri"]
    assert found("nobody") == []


# --- what becomes of letter and message ---


def test_what_the_gateway_reports(office):
    change = office.run()
    assert credentials.message_delivery(change).state == credentials.SENT
    for state in (4, 8, 12345, -1):
        assert office.report(state)
    assert credentials.message_delivery(present(change)).state == credentials.SENT
    assert office.report(FAILED)
    assert credentials.message_delivery(present(change)).state == credentials.REFUSED
    assert office.report(DELIVERED)
    assert credentials.message_delivery(present(change)).state == credentials.ARRIVED
    assert office.report(FAILED)
    assert credentials.message_delivery(present(change)).state == credentials.ARRIVED


@pytest.mark.parametrize("change_token", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "2" + t[1:],
                                          lambda t: t.replace("-1-", "-2-"), lambda _: "", lambda _: "1-1-",
                                          lambda t: t + "x"])  # fmt: skip
def test_reports_that_nobody_signed(office, change_token):
    change = office.run()
    token = office.ports.sms.sent[0].report_url.rpartition("/")[2]
    assert not credentials.reported(office.ports, change_token(token), DELIVERED)
    assert present(change).message_delivered_at is None


def test_the_payload_is_erased_once_both_arrived(office):
    change = office.run()
    assert credentials.is_kept(change)
    office.report(DELIVERED)
    assert not credentials.is_kept(change)
    assert present(change).erased_at
    for again in (password_changes.send_mail_again, password_changes.send_message_again):
        with pytest.raises(Refused):
            again(office.actor, present(change), office.ports)


def test_a_report_that_comes_before_the_end_erases_at_the_end(office):
    change = office.until(office.start(), PasswordChange.CHANGING)
    office.report(DELIVERED)
    assert credentials.is_kept(change)
    office.until(change, PasswordChange.DONE)
    assert not credentials.is_kept(change)


def test_the_payload_is_erased_after_seven_days(office, clock):
    change = office.run()
    clock.pass_by(credentials.KEPT)
    housekeeping.clear_away()
    assert credentials.is_kept(change)
    clock.pass_by(1)
    housekeeping.clear_away()
    assert not credentials.is_kept(change)


def test_what_is_open_after_seven_days_is_stopped_and_drafts_go(office, clock, mailer):
    mailer.is_down = True
    draft, change = office.draft(), office.start()
    office.until(change, PasswordChange.SENDING)
    clock.pass_by(credentials.KEPT + 1)
    housekeeping.clear_away()
    assert (present(change).state, present(change).reason) == (PasswordChange.STOPPED, password_changes.TOO_LONG)
    assert all(has_old(name) for name in NAMES)
    assert not PasswordChange.select().where(PasswordChange.id == draft.id).exists()


def test_sending_again_sends_the_same(office, mara, mailer):
    change = office.run()
    first = office.ports.sms.sent[0]
    password_changes.send_message_again(mara, present(change), office.ports)
    password_changes.send_mail_again(mara, present(change), office.ports)
    office.deliver()
    again = office.ports.sms.sent[1]
    assert (again.to, again.text) == (first.to, first.text)
    assert again.key != first.key
    letters = [letter for recipient, letter in mailer.sent if recipient == WANTED.email]
    assert [next(each.iter_attachments()).get_content() for each in letters] == [b"zip 1", b"zip 1"]
    # A failure of the first message says nothing about the second.
    assert office.report(FAILED, 0)
    assert credentials.message_delivery(present(change)).state == credentials.SENT
    assert office.report(DELIVERED, 0)
    assert credentials.message_delivery(present(change)).state == credentials.ARRIVED


def test_sending_again_what_still_waits_hurries_it(office, mara):
    office.ports.sms.is_down = True
    change = office.until(office.start(), PasswordChange.SENDING)
    office.deliver()
    delivery = credentials.message_delivery(present(change))
    assert (delivery.state, delivery.trouble) == (credentials.RETRYING, "The SMS gateway is down.")
    office.ports.sms.is_down = False
    password_changes.send_message_again(mara, present(change), office.ports)
    office.until(change, PasswordChange.DONE)
    assert len(office.ports.sms.sent) == 1


def test_sending_again_is_slowed_down_and_stops(office, mara, clock):
    change = office.run()
    sent = 0
    with pytest.raises(throttle.TooManyAttempts):
        for _ in range(20):
            password_changes.send_message_again(mara, present(change), office.ports)
            sent += 1
            clock.pass_by(61)
    assert sent == password_changes.SENT_AGAIN.ceiling


# --- what is found by whoever reads the database ---


def test_no_secret_lies_about_in_the_clear(office, settings, mailer):
    change = office.until(office.start(), PasswordChange.SENDING)
    secrets = [office.key, *table_of(office.ports.archiver.made[0].entries).values()]
    for _ in range(2):
        stored = [str(value) for table in models.TABLES for row in table.select().dicts() for value in row.values()]
        assert not [each for each in stored for secret in secrets if secret in each]
        office.until(change, PasswordChange.DONE)
        office.report(DELIVERED)
    assert not OneTimeLink.select().where(OneTimeLink.purpose == links.HANDED_OUT).exists()


def test_progress(office, monkeypatch, clock):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.start()
    shares = []
    for _ in range(STEPS):
        clock.pass_by(2)
        reached = password_changes.progress(present(change))
        assert reached.total == 3
        assert reached.left is None or 0 <= reached.left < 1000
        shares.append(reached.share)
        if present(change).state in PasswordChange.OVER:
            break
        office.step()
        office.deliver()
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(set(shares)) > 4


def test_the_recipient_inside_a_mailbox_that_is_changed(office):
    assert not password_changes.changes_its_recipient(office.draft())
    assert password_changes.changes_its_recipient(office.draft(replace(WANTED, email="Boris@example.org")))
