"""What is still to be done in the outside world."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

import models
import worker
from actions.ground.ports import Connection, MailerUnavailable, MessageRefused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import mail, outbox
from actions.passwords import passwords
from actions.sessions import connections, links
from actions.upkeep import housekeeping
from adapters.smtp import SmtpMailer
from lab.actors import acting
from lab.servers import MailSink, ScriptedSmtp, wait_until
from models import OutboxItem
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD

NEW = "Other-Garden-8"
DEADLINE = 20
FACTS = {"login": "anna@example.org", "at": 0, "address": "192.0.2.1"}


@pytest.fixture
def item(ports, database, clock):
    """A waiting e-mail."""
    mail.put(ports, "a letter", "account_locked", "anna@example.org", "", FACTS, None)
    return OutboxItem.get()


def present(item):
    return OutboxItem.get_by_id(item.id)


def test_what_is_due_is_delivered_once(ports, mailer, item):
    assert [outbox.deliver_due(ports, worker.HANDLERS), outbox.deliver_due(ports, worker.HANDLERS)] == [1, 0]
    assert [recipient for recipient, _ in mailer.sent] == ["anna@example.org"]
    assert present(item).delivered_at


def test_the_same_key_is_put_in_once(ports, item):
    mail.put(ports, "a letter", "account_locked", "anna@example.org", "", FACTS, None)
    mail.put(ports, "a letter", "account_locked", "boris@example.org", "", FACTS, None)
    assert OutboxItem.select().count() == 2


def test_a_worker_that_dies_while_delivering_loses_nothing(ports, mailer, item, clock):
    class Killed(BaseException):
        pass

    class DyingMailer:
        def send(self, message, recipient, sender):
            raise Killed

    with pytest.raises(Killed):
        outbox.deliver(replace(ports, mailer=DyingMailer()), item, worker.HANDLERS)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0
    clock.pass_by(outbox.LEASE)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    assert len(mailer.sent) == 1


def test_several_workers_at_the_same_instant_deliver_once(ports, mailer, item):
    outcomes = at_the_same_instant(*[lambda: outbox.deliver(ports, OutboxItem.get_by_id(item.id), worker.HANDLERS)] * 5)
    assert outcomes.count(True) == 1
    assert len(mailer.sent) == 1


def test_a_letter_that_is_sent_twice_is_the_same_letter(ports, mailer, item):
    payload = {"letter": "account_locked", "to": "anna@example.org", "language": "", "facts": FACTS}
    for _ in range(2):
        mail.send(ports, item, payload)
    assert len({message["Message-ID"] for _, message in mailer.sent}) == 1


def test_failures_are_tried_again_after_growing_pauses(ports, mailer, item, clock):
    mailer.is_down = True
    pauses = []
    for _ in range(14):
        assert not outbox.deliver(ports, item, worker.HANDLERS)
        pauses.append(present(item).next_try_at - clock.moment)
        clock.pass_by(pauses[-1])
    assert pauses == sorted(pauses)
    assert pauses[0] <= 2
    assert pauses[-1] == outbox.LONGEST_PAUSE_OTHERWISE
    assert present(item).last_error
    mailer.is_down = False
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    assert present(item).delivered_at


def test_cutting_connections_is_tried_again_soon_and_never_given_up(ports, mail_server, anna, clock):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    mail_server.is_down = True
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW, everywhere=True)
    for _ in range(30):
        clock.pass_by(6)
        outbox.deliver_due(ports, worker.HANDLERS)
    clock.pass_by(30 * outbox.DAY)
    outbox.deliver_due(ports, worker.HANDLERS)
    waiting = OutboxItem.open_items().where(OutboxItem.kind == "connections")
    assert [each.next_try_at - clock.moment for each in waiting] == [outbox.LONGEST_PAUSE["connections"]] * 2
    mail_server.is_down = False
    clock.pass_by(5)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert mail_server.connected == []


def test_who_connects_while_the_password_changes_is_cut_a_moment_later(ports, mail_server, anna, clock):
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW, everywhere=True)
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    clock.pass_by(connections.STRAGGLERS_AFTER)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert mail_server.connected == []


def test_a_letter_that_is_refused_for_good_is_given_up(ports, item):
    class Refusing:
        def send(self, message, recipient, sender):
            raise MessageRefused("550 no such user")

    assert not outbox.deliver(replace(ports, mailer=Refusing()), item, worker.HANDLERS)
    given_up = present(item)
    assert given_up.given_up_at
    assert given_up.payload == ""
    assert "550" in given_up.last_error
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0


def test_a_letter_that_nobody_takes_is_given_up_after_a_week(ports, mailer, item, clock):
    mailer.is_down = True
    clock.pass_by(outbox.GIVEN_UP_AFTER)
    outbox.deliver(ports, item, worker.HANDLERS)
    assert not present(item).given_up_at
    clock.pass_by(outbox.LONGEST_PAUSE_OTHERWISE)
    outbox.deliver(ports, item, worker.HANDLERS)
    assert present(item).given_up_at


def test_a_surprise_is_no_loss(ports, mailer, item, clock):
    class Surprising:
        def send(self, message, recipient, sender):
            raise KeyError("surprise")

    assert not outbox.deliver(replace(ports, mailer=Surprising()), item, worker.HANDLERS)
    clock.pass_by(outbox.LONGEST_PAUSE_OTHERWISE)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    assert len(mailer.sent) == 1


def test_one_that_fails_does_not_hold_up_the_others(ports, mailer, item):
    outbox.put(ports, "unheard of", "key", {})
    mail.put(ports, "another", "account_locked", "boris@example.org", "", FACTS, None)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert len(mailer.sent) == 2


def test_with_another_secret_key_it_is_given_up_and_said_so(ports, settings, item):
    assert not outbox.deliver(replace(ports, settings=replace(settings, secret_key="k" * 64)), item, worker.HANDLERS)
    assert present(item).given_up_at
    assert "secret key" in present(item).last_error


# --- perhaps delivered ---


def test_what_nobody_answers_for_is_sent_a_few_times_far_apart_and_then_given_up(ports, mailer, item, clock):
    mailer.is_silent = True
    for count in range(1, outbox.MOST_UNANSWERED):
        assert outbox.deliver_due(ports, worker.HANDLERS) == 1
        assert (present(item).unanswered, present(item).next_try_at) == (count, clock.moment + OutboxItem.FAR_APART)
        clock.pass_by(OutboxItem.FAR_APART - 1)
        assert outbox.deliver_due(ports, worker.HANDLERS) == 0
        clock.pass_by(1)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    given_up = present(item)
    assert (given_up.unanswered, given_up.payload) == (outbox.MOST_UNANSWERED, "")
    assert given_up.given_up_at
    assert not given_up.delivered_at
    clock.pass_by(outbox.GIVEN_UP_AFTER)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0
    assert len(mailer.sent) == outbox.MOST_UNANSWERED <= 5


def test_what_was_perhaps_delivered_is_tried_far_apart_whatever_comes_next(ports, mailer, item, clock):
    mailer.is_silent = True
    outbox.deliver_due(ports, worker.HANDLERS)
    mailer.is_silent, mailer.is_down = False, True
    clock.pass_by(OutboxItem.FAR_APART)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert present(item).next_try_at == clock.moment + OutboxItem.FAR_APART
    mailer.is_down = False
    clock.pass_by(OutboxItem.FAR_APART)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert present(item).delivered_at


def test_a_clock_that_was_wrong_does_not_keep_it_waiting_longer(ports, mailer, item, clock):
    mailer.is_silent = True
    clock.pass_by(10 * 3600)
    outbox.deliver_due(ports, worker.HANDLERS)
    clock.pass_by(-10 * 3600)
    mailer.is_silent = False
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    assert present(item).delivered_at


class Crossing:
    """A step of a server's, which tells that it was reached and waits until it may go on."""

    def __init__(self, answer):
        self.answer, self.was_reached, self.may_go_on = answer, threading.Event(), threading.Event()

    def __call__(self):
        self.was_reached.set()
        self.may_go_on.wait(DEADLINE)
        return self.answer


def test_two_workers_beside_a_server_that_takes_its_time_deliver_once(ports, settings, item, clock, monkeypatch):
    """However long each step lasts: the lease is renewed meanwhile, and the other worker keeps away."""
    monkeypatch.setattr(outbox, "RENEWED_EVERY", 0.01)
    steps = {name: Crossing(ScriptedSmtp.USUAL[name]) for name in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", ".")}
    with ScriptedSmtp(**steps) as server:
        slow = replace(ports, mailer=SmtpMailer(server.url, settings.mail_from))

        def the_other_worker():
            tried = 0
            for step in steps.values():
                assert step.was_reached.wait(DEADLINE)
                for _ in range(3):
                    clock.pass_by(outbox.LEASE - 1)
                    wait_until(lambda: present(item).leased_until == clock.moment + outbox.LEASE, "it is renewed")
                    tried += outbox.deliver_due(ports, worker.HANDLERS)
                step.may_go_on.set()
            return tried

        outcomes = at_the_same_instant(lambda: outbox.deliver_due(slow, worker.HANDLERS), the_other_worker)
    assert outcomes == [1, 0]
    assert (len(server.handed), present(item).attempts) == (1, 1)
    assert present(item).delivered_at


def test_what_somebody_else_tried_meanwhile_is_left_to_its_pause(ports, mailer, item, clock):
    """A worker looks at what is due, and takes long over the first of it."""
    mail.put(ports, "another", "account_locked", "boris@example.org", "", FACTS, None)
    mailer.is_silent = True

    class Slow:
        def send(self, message, recipient, sender):
            assert outbox.deliver_due(ports, worker.HANDLERS) == 1

    assert outbox.deliver_due(replace(ports, mailer=Slow()), worker.HANDLERS) == 2
    assert len(mailer.sent) == 1
    assert sorted(each.attempts for each in OutboxItem.select()) == [1, 1]


def test_who_comes_back_after_somebody_else_took_it_leaves_it_to_them(ports, mailer, item, clock):
    """A machine that stood still for longer than the lease."""

    class Asleep:
        def send(self, message, recipient, sender):
            clock.pass_by(outbox.LEASE)
            assert OutboxItem.get_by_id(item.id).lease(outbox.LEASE)
            raise MailerUnavailable("421")

    outbox.deliver(replace(ports, mailer=Asleep()), item, worker.HANDLERS)
    assert present(item).leased_until == clock.moment + outbox.LEASE
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0


# --- addresses that are not ASCII ---


def test_a_domain_goes_out_in_ascii(ports, mailer, item):
    mail.put(ports, "another", "account_locked", "anna@bücher.example", "", FACTS, None)
    outbox.deliver_due(ports, worker.HANDLERS)
    recipient, message = mailer.sent[-1]
    assert recipient == message["To"] == "anna@xn--bcher-kva.example"


def test_what_no_server_takes_is_given_up_at_once(ports, settings, mailer, item):
    OutboxItem.delete().execute()
    mail.put(ports, "another", "account_locked", "пётр@example.org", "", FACTS, None)
    with ScriptedSmtp() as server:
        outbox.deliver_due(replace(ports, mailer=SmtpMailer(server.url, settings.mail_from)), worker.HANDLERS)
    assert OutboxItem.get().given_up_at
    assert "SMTPUTF8" in OutboxItem.get().last_error


def test_words_at_the_beginning_of_a_line_arrive_as_they_are(ports, settings, item):
    with MailSink() as sink:
        outbox.deliver_due(replace(ports, mailer=SmtpMailer(sink.url, settings.mail_from)), worker.HANDLERS)
        (received,) = sink.wait_for(1)
    assert b"\r\nFrom the address: 192.0.2.1" in received.content
    assert b"\n>From" not in received.content


def everything_stored(settings):
    """The database as an attacker would read it: every table, and for SQLite every byte of its files."""
    rows = [str(list(table.select().dicts())) for table in models.TABLES]
    if settings.database_url.startswith("sqlite:"):
        file = settings.database_url.removeprefix("sqlite:///")
        rows += [path.read_bytes().decode("latin-1") for path in map(Path, (file, file + "-wal")) if path.exists()]
    return rows


@pytest.mark.parametrize("delivered", [False, True])
def test_no_secret_of_a_letter_can_be_read_in_the_database(ports, settings, mailer, anna, monkeypatch, delivered):
    made = []
    real = links.new_token
    monkeypatch.setattr(links, "new_token", lambda: made.append(real()) or made[-1])
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    if delivered:
        outbox.deliver_due(ports, worker.HANDLERS)
        assert made[0] in mailer.sent[0][1].get_body(("plain",)).get_content()
        assert {item.payload for item in OutboxItem.select()} == {""}
    assert made
    stored = everything_stored(settings)
    assert not [text for text in stored for secret in (*made, PASSWORD, NEW) if secret in text]


def test_a_payload_tells_nobodys_login(ports, settings, database, stranger):
    from actions.passwords import recovery

    recovery.ask_for_link(UnitOfWork(ports, stranger), "somebody-secret@example.org")
    assert not [text for text in everything_stored(settings) if "somebody-secret" in text]


def test_what_is_done_is_cleared_away_in_the_end(ports, item, clock):
    outbox.deliver_due(ports, worker.HANDLERS)
    clock.pass_by(housekeeping.OUTBOX_KEPT)
    housekeeping.clear_away()
    assert OutboxItem.select().count() == 1
    clock.pass_by(1)
    housekeeping.clear_away()
    assert OutboxItem.select().count() == 0


def test_what_waits_is_never_cleared_away(ports, item, clock):
    clock.pass_by(400 * outbox.DAY)
    housekeeping.clear_away()
    assert OutboxItem.select().count() == 1


def test_the_worker_delivers_until_it_is_told_to_stop(ports, mailer, item):
    stop = threading.Event()
    running = threading.Thread(target=worker.run, args=(ports, stop))
    running.start()
    delivered = threading.Event()
    mailer_send = mailer.send
    mailer.send = lambda *given: (mailer_send(*given), delivered.set())
    mail.put(ports, "another", "account_locked", "boris@example.org", "", FACTS, None)
    assert delivered.wait(20)
    stop.set()
    running.join(20)
    assert not running.is_alive()
