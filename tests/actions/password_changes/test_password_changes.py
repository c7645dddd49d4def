"""New passwords for several mailboxes at once: in which order it happens, and what happens meanwhile."""

import os
import re
import threading
from dataclasses import replace

import pytest
from peewee import OperationalError

import worker
from actions.ground.ports import Connection, MessageRefused
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import archive, password_change_run, password_changes
from actions.password_changes.password_change_run import Runner
from actions.password_changes.password_changes import Choice
from actions.passwords import passwords, random_passwords, recovery
from actions.sessions import links
from actions.users import renaming
from adapters.smtp import SmtpMailer
from lab.servers import ScriptedSmtp
from models import (
    Account,
    AuditEvent,
    CredentialsArchive,
    KnownBrowser,
    Mailbox,
    OutboxItem,
    PasswordChange,
    PasswordChangeItem,
    WebSession,
)
from tests.actions.conftest import LONGEST_WAIT, acting, at_the_same_instant
from tests.actions.office import (
    DELIVERED,
    EVERYONE,
    NAMES,
    STEPS,
    WANTED,
    account,
    has_old,
    ids_of,
    matches,
    present,
    results,
    set_state,
)
from tests.conftest import PASSWORD

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
    assert [each.get_filename() for each in attachments] == ["credentials.zip"]
    assert office.key in message.text
    assert office.key not in letter.as_string()
    assert message.to == "+393331234567"
    assert letter["Subject"] == "Encrypted credentials for example.org"


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
    assert "При следующем входе" in text


def test_a_document_in_place_of_the_files(office, mailer):
    Account.update(first_name="Boris", last_name="Orlov").where(Account.login == "boris@example.org").execute()
    office.run(replace(WANTED, archive_format="pdf"))
    made = office.ports.archiver.made[0]
    assert made.kind == "pdf"
    assert [heading for heading, _ in made.sections] == [f"{name}@example.org" for name in NAMES]
    shown = dict(made.sections[1][1])
    assert matches("boris", shown["Password"])
    assert shown["Full name"] == "Boris Orlov"
    assert "Full name" not in dict(made.sections[0][1])
    assert [each.get_content_type() for each in mailer.sent[0][1].iter_attachments()] == ["application/pdf"]


def test_links_leave_the_password_until_they_are_used(office, stranger):
    change = office.run(replace(WANTED, kind="links", must_change=True, everywhere=True))
    assert (change.must_change, change.everywhere) == (False, False)
    assert all(has_old(name) for name in NAMES)
    token = office.archive["boris@example.org"].rpartition("/")[2]
    link = links.find(token, links.SETS_PASSWORD)
    assert link.account == account("boris")
    assert link.expires_at - link.created_at == 7 * links.DAY
    recovery.set_password(UnitOfWork(office.ports, stranger), link, "Other-Garden-8")
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
    outbox.deliver_due(office.ports, worker.CONNECTIONS)
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
    outbox.deliver_due(office.ports, worker.HANDLERS)
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


def test_the_largest_archive_is_kept_and_sent_as_it_is(office, mailer, monkeypatch):
    content = os.urandom(7_000_000)
    monkeypatch.setattr(office.ports.archiver, "_keep", lambda made: office.ports.archiver.made.append(made) or content)
    office.run()
    assert next(mailer.sent[0][1].iter_attachments()).get_content() == content


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


def test_waiting_for_others_writes_nothing(office, mailer, statements):
    mailer.is_down = True
    change = office.until(office.start(), PasswordChange.SENDING)
    statements.clear()
    assert [office.step() for _ in range(3)] == [0, 0, 0]
    assert not [each for each in statements if not each.startswith("SELECT")]
    assert present(change).state == PasswordChange.SENDING


def test_a_letter_that_is_refused_stops_it_and_nothing_is_changed(office, mailer, monkeypatch):
    def refuse(message, recipient, sender=""):
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


@pytest.mark.parametrize(
    ("silent", "reason"),
    [("mailer", password_change_run.MAIL_UNANSWERED), ("sms", password_change_run.MESSAGE_UNANSWERED)],
)
def test_what_nobody_answers_for_stops_it_in_the_end_and_nothing_is_changed(office, clock, silent, reason):
    getattr(office.ports, silent).is_silent = True
    change = office.until(office.start(), PasswordChange.SENDING)
    for _ in range(outbox.MOST_UNANSWERED):
        office.deliver()
        office.step()
        clock.pass_by(OutboxItem.FAR_APART)
    assert (present(change).state, present(change).reason) == (PasswordChange.STOPPED, reason)
    assert all(has_old(name) for name in NAMES)
    assert len(getattr(office.ports, silent).sent) == outbox.MOST_UNANSWERED


def test_an_address_that_no_server_takes_stops_it_at_once(office, settings):
    """A draft of an earlier version: today's is refused beside the field."""
    draft = office.draft()
    draft.write(email="пётр@elsewhere.example.com")
    office.begin(draft)
    with ScriptedSmtp() as server:
        office.ports = replace(office.ports, mailer=SmtpMailer(server.url, settings.mail_from))
        change = office.until(draft, *PasswordChange.OVER)
    assert (change.state, change.reason) == (PasswordChange.STOPPED, password_change_run.MAIL_REFUSED)


@pytest.mark.parametrize("state", [DELIVERED, 4, 8])
def test_a_gateway_that_reports_has_taken_the_message_whatever_it_answered(office, clock, state):
    office.ports.sms.is_silent = True
    change = office.until(office.start(), PasswordChange.SENDING)
    office.deliver()
    assert archive.message_delivery(present(change)).state == archive.PERHAPS
    assert office.report(state)
    assert office.until(change, PasswordChange.DONE)
    clock.pass_by(OutboxItem.FAR_APART)
    office.deliver()
    assert len(office.ports.sms.sent) == 1


def test_an_archive_that_cannot_be_made_stops_it_and_nothing_else(office, monkeypatch):
    change = office.start(replace(WANTED, archive_format="pdf"), Choice(mailbox_ids=ids_of("anna")))
    office.ports.archiver.has_fonts = False
    other = office.start(choice=Choice(mailbox_ids=ids_of("boris")))
    change = office.until(change, *PasswordChange.OVER)
    assert (change.state, change.reason) == (PasswordChange.STOPPED, password_change_run.FAILED)
    assert has_old("anna")
    assert office.until(other, PasswordChange.DONE)


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
    real, calls = password_change_run.notices.passwords_issued, []

    def die_at_the_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(password_change_run.notices, "passwords_issued", die_at_the_second)
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


@pytest.mark.parametrize("at", ["_unhashed", "_keep_hashes", "draw", "begin_archive", "send", "put_into_force"])
def test_it_goes_on_where_it_was_when_the_database_fails_for_a_moment(office, monkeypatch, at):
    real, fails = getattr(password_change_run, at), [True]

    def fail_once(*arguments):
        if fails and fails.pop():
            raise OperationalError("gone away")
        return real(*arguments)

    monkeypatch.setattr(password_change_run, at, fail_once)
    change = office.start()
    with pytest.raises(OperationalError):
        office.until(change, *PasswordChange.OVER)
    change = office.until(change, *PasswordChange.OVER)
    assert change.state == PasswordChange.DONE
    assert len(office.ports.sms.sent) == 1
    assert all(matches(name, office.archive[f"{name}@example.org"]) for name in NAMES)


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


@pytest.mark.parametrize("when", [PasswordChange.PREPARING, PasswordChange.SENDING, PasswordChange.CHANGING])
def test_whoever_changed_their_own_password_meanwhile_keeps_it(office, when):
    boris = acting(account("boris"))
    change = meanwhile(
        office, lambda: passwords.change(UnitOfWork(office.ports, boris), PASSWORD, "Other-Garden-8"), state=when
    )
    assert results(change) == {"anna": "", "boris": password_change_run.CHANGED_MEANWHILE, "chiara": ""}
    assert matches("boris", "Other-Garden-8")
    assert change.items.where(PasswordChangeItem.address.startswith("boris")).get().in_archive == (
        when != PasswordChange.PREPARING
    )


def test_nobody_changes_their_password_between_the_look_at_it_and_the_new_one(office, monkeypatch):
    """A person who gets the notice of a changed password has it; at the last moment they are refused instead."""
    change = office.until(office.start(), PasswordChange.CHANGING)
    boris, looked, over = acting(account("boris")), threading.Event(), threading.Event()
    real = password_change_run._replace

    def by_themselves():
        assert looked.wait(LONGEST_WAIT)
        try:
            return passwords.change(UnitOfWork(office.ports, boris), PASSWORD, "Other-Garden-8")
        finally:
            over.set()

    def replace_later(*arguments):
        looked.set()
        over.wait(0.5)
        real(*arguments)

    monkeypatch.setattr(password_change_run, "_replace", replace_later)
    _, outcome = at_the_same_instant(office.step, by_themselves)
    change = office.until(change, *PasswordChange.OVER)
    assert isinstance(outcome, Refused)
    assert set(results(change).values()) == {""}
    assert matches("boris", office.archive["boris@example.org"])


@pytest.mark.parametrize("is_started", [False, True])
def test_who_gets_another_address_is_left_out_because_the_archive_names_the_former_one(office, is_started):
    boris = account("boris")

    def happen():
        renaming.rename(UnitOfWork(office.ports, office.actor), boris.mailbox, boris.revision, "new@example.org")

    if is_started:
        change = meanwhile(office, happen)
    else:
        draft = office.draft()
        happen()
        office.begin(draft)
        change = office.until(draft, *PasswordChange.OVER)
    assert results(change) == {"anna": "", "boris": password_change_run.RENAMED, "chiara": ""}
    assert has_old("new")
    assert not PasswordChangeItem.select().where(PasswordChangeItem.open_mailbox.is_null(False)).exists()


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
    assert archive.is_kept(change), "what was changed has to reach somebody"


def test_cancelling_before_anything_was_sent_leaves_nothing_behind(ports, office, mara, mailer):
    change = office.start()
    office.step()
    password_changes.cancel(UnitOfWork(ports, office.actor), change)
    office.until(change, PasswordChange.CANCELLED)
    for _ in range(5):
        assert office.step() == 0
    office.deliver()
    assert mailer.sent == []
    assert all(has_old(name) for name in NAMES)
    assert set(results(change).values()) == {password_changes.CANCELLED}
    assert not any(item.secret or item.new_hash or item.old_hash for item in change.items)


def test_cancelling_between_mailboxes(ports, office, mara, monkeypatch):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.until(office.start(), PasswordChange.CHANGING)
    office.step()
    password_changes.cancel(UnitOfWork(ports, office.actor), change)
    assert office.step() == 0
    assert matches("anna", office.archive["anna@example.org"])
    assert has_old("boris")
    assert has_old("chiara")
    assert results(change) == {"anna": "", "boris": password_changes.CANCELLED, "chiara": password_changes.CANCELLED}
    with pytest.raises(Refused):
        password_changes.cancel(UnitOfWork(ports, office.actor), change)


def test_a_cancelled_change_in_whose_midst_the_worker_is(ports, office, mara):
    """The worker read the change before it was cancelled."""
    change = office.until(office.start(), PasswordChange.CHANGING)
    password_changes.cancel(UnitOfWork(ports, office.actor), present(change))
    password_change_run.put_into_force(office.ports, change)
    assert all(has_old(name) for name in NAMES)


def test_when_nobody_is_left_nothing_is_sent(office, mailer):
    change = office.start(choice=Choice(mailbox_ids=ids_of("anna")))
    set_state("anna", Account.LOCKED)
    change = office.until(change, *PasswordChange.OVER)
    assert (change.state, results(change)) == (PasswordChange.DONE, {"anna": password_change_run.CLOSED})
    assert (mailer.sent, office.ports.sms.sent) == ([], [])


def test_a_form_that_is_sent_twice_starts_once(office, mara):
    change = office.draft()
    browsers = [acting(mara.account) for _ in range(4)]
    outcomes = at_the_same_instant(
        *[
            lambda each=each: password_changes.start(UnitOfWork(office.ports, each), present(change), PASSWORD)
            for each in browsers
        ]
    )
    assert not [each for each in outcomes if isinstance(each, Exception)]
    office.until(change, PasswordChange.DONE)
    assert AuditEvent.select().where(AuditEvent.action == "web:password-change:started").count() == 1
    assert len(office.ports.sms.sent) == 1


def test_a_second_change_of_a_mailbox_waits_for_the_end_of_the_first(office):
    first = office.start(choice=Choice(mailbox_ids=ids_of("anna", "boris")))
    second = office.draft(choice=Choice(mailbox_ids=ids_of("boris", "chiara")))
    with pytest.raises(Refused) as refusal:
        office.begin(second)
    assert "still running" in str(refusal.value)
    assert present(second).state == PasswordChange.DRAFT
    office.until(first, PasswordChange.DONE)
    office.begin(second)
    assert office.until(second, PasswordChange.DONE)


def test_of_two_changes_that_start_at_the_same_instant_one_wins(office, mara):
    drafts = [(office.draft(), acting(mara.account)) for _ in range(2)]
    outcomes = at_the_same_instant(
        *[
            lambda each=each, by=by: password_changes.start(UnitOfWork(office.ports, by), each, PASSWORD)
            for each, by in drafts
        ]
    )
    assert [type(each) for each in outcomes if isinstance(each, Exception)] == [Refused]
    assert [present(each).state for each, _ in drafts].count(PasswordChange.PREPARING) == 1
