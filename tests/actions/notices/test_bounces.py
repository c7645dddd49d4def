"""E-mails that come back: who can say so, what counts, and how the account learns of it and forgets it."""

import base64
import itertools
from dataclasses import replace

import pytest

import worker
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.notices import _reports, bounces
from actions.outbox import mail, outbox, return_path
from actions.trail.events import Event
from actions.users import users
from actions.users.users import Profile
from lab.actors import acting
from models import Account, AuditEvent, OutboxItem

DAY = 24 * 3600
BOUNCES = "bounces@mail.example.org"
FACTS = {"login": "anna@example.org", "at": 0, "address": "192.0.2.1"}
SECRET = "Zx3-" + "aB9_" * 9 + "end"
LINK = f"https://account.example.org/links/password/{SECRET}"

POSTFIX = f"""\
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4BQ2d.1/mx.example.com"

This is a MIME-encapsulated message.

--4BQ2d.1/mx.example.com
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

<anna@elsewhere.example.com>: host mx2.example.com said: 550 5.1.1 no such user

--4BQ2d.1/mx.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4BQ2d
Arrival-Date: Tue, 1 Dec 2026 00:00:00 +0000 (UTC)

Final-Recipient: rfc822; anna@elsewhere.example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx2.example.com
Diagnostic-Code: smtp; 550 5.1.1 <anna@elsewhere.example.com>: no such user,
    see {LINK}

--4BQ2d.1/mx.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822

Subject: Set your password

{LINK}

--4BQ2d.1/mx.example.com--
"""
EXCHANGE = """\
From: postmaster@example.com
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="_000_a"

--_000_a
Content-Type: multipart/alternative; boundary="_001_b"

--_001_b
Content-Type: text/html

<p>Your message couldn't be delivered.</p>
--_001_b--

--_000_a
Content-Type: message/delivery-status

Reporting-MTA: dns;mail.example.com
Received-From-MTA: dns;mx.example.com

Original-Recipient: rfc822;anna@elsewhere.example.com
Final-Recipient: rfc822;anna@elsewhere.example.com
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address lookup

--_000_a--
"""
EXIM = """\
From: Mail Delivery System <Mailer-Daemon@mx.example.com>
X-Failed-Recipients: anna@elsewhere.example.com
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its recipients.
"""
QMAIL = """\
From: MAILER-DAEMON@mx.example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<anna@elsewhere.example.com>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.
"""
VACATION = """\
From: anna@elsewhere.example.com
Auto-Submitted: auto-replied (vacation)
Subject: I am away

I am back on Monday. Status: 5.1.1
"""
RECEIVED = {
    "Postfix": (POSTFIX, "5.1.1"),
    "with the line ends of SMTP": (POSTFIX.replace("\n", "\r\n"), "5.1.1"),
    "Exchange": (EXCHANGE, "5.1.10"),
    "a full mailbox": (POSTFIX.replace("Status: 5.1.1", "Status: 5.2.2 (mailbox full)"), "5.2.2"),
    "in capitals": (POSTFIX.replace("Action: failed", "ACTION: Failed"), "5.1.1"),
    "Exim without a report": (EXIM, "5.0.0"),
    "qmail": (QMAIL, "5.1.1"),
    "late": (POSTFIX.replace("Action: failed\nStatus: 5.1.1", "Action: delayed\nStatus: 4.4.1"), None),
    "given up for now": (POSTFIX.replace("Status: 5.1.1", "Status: 4.4.1"), None),
    "delivered": (POSTFIX.replace("Action: failed\nStatus: 5.1.1", "Action: delivered\nStatus: 2.0.0"), None),
    "a number that is none": (POSTFIX.replace("Status: 5.1.1", "Status: 5.1111.1"), None),
    "no status": (POSTFIX.replace("Status: 5.1.1\n", ""), None),
    "an automatic reply": (VACATION, None),
    "qmail in somebody's words": (f"Subject: x\n\nShe wrote:\n{QMAIL}", None),
    "nothing": ("", None),
}


@pytest.fixture
def ports(ports):
    return replace(ports, settings=replace(ports.settings, bounce_address=BOUNCES))


@pytest.fixture
def sent(ports, mailer, anna):
    """Write to Anna at one of her addresses; the address that the e-mail is returned to."""
    numbers = itertools.count()

    def send(recipient=anna.contact_email, account=anna):
        mail.put(ports, f"a letter {next(numbers)}", "account_locked", recipient, "", FACTS, account)
        outbox.deliver_due(ports, worker.HANDLERS)
        return mailer.senders[-1]

    return send


def present(account):
    return Account.get_by_id(account.id)


def receive(ports, recipient, content=POSTFIX):
    return bounces.receive(ports, recipient, content.encode("utf-8", "surrogateescape"))


def events_of(account):
    return [event.action for event in account.events.where(AuditEvent.action.contains("contact"))]


# --- where it is returned to ---


def test_each_e_mail_is_returned_to_an_address_of_its_own(sent, anna, clock):
    first, to_mailbox = sent(), sent(anna.login)
    clock.pass_by(1)
    addresses = [first, to_mailbox, sent(), sent(account=None)]
    assert len({*addresses}) == 4
    assert addresses[-1] == BOUNCES
    assert all(address.endswith("@mail.example.org") and len(address.partition("@")[0]) <= 64 for address in addresses)


def test_without_the_setting_it_is_the_sender_of_all_e_mails(ports, mailer, anna):
    plain = replace(ports, settings=replace(ports.settings, bounce_address=""))
    mail.put(plain, "a letter", "account_locked", anna.contact_email, "", FACTS, anna)
    outbox.deliver_due(plain, worker.HANDLERS)
    assert mailer.senders == [""]


def test_what_people_read_stays_as_it_is(sent, mailer, settings):
    sent()
    assert mailer.sent[-1][1]["From"] == f"Postern <{settings.mail_from}>"


# --- what counts ---


@pytest.mark.parametrize("name", RECEIVED)
def test_what_the_servers_of_others_write(ports, sent, anna, name):
    content, status = RECEIVED[name]
    receive(ports, sent(), content)
    anna = present(anna)
    assert (anna.returned_from, anna.bounce_status) == ((anna.contact_email, status) if status else ("", ""))
    assert events_of(anna) == ([Event.MAIL_CONTACT_BOUNCED.code] if status else [])


def test_our_own_e_mail_that_comes_along_is_kept_nowhere(ports, sent, anna):
    torn = f"{LINK[:-22]}\n {LINK[-22:]} {SECRET[:21]}\n {SECRET[21:]} https://x.example/a and so on"
    outcome = receive(ports, sent(), POSTFIX.replace(LINK, torn))
    (event,) = anna.events.where(AuditEvent.action == Event.MAIL_CONTACT_BOUNCED.code)
    assert event.details["reason"] == "550 5.1.1 … no such user, see … … … … … and so on"
    kept = [outcome, str(event.details), str(present(anna).__data__)]
    assert not [text for text in kept if SECRET[:21] in text or SECRET[22:] in text]


def test_what_the_server_says_is_shortened(ports, sent, anna):
    receive(ports, sent(), POSTFIX.replace("no such user", "no " * 300))
    (event,) = anna.events.where(AuditEvent.action == Event.MAIL_CONTACT_BOUNCED.code)
    assert len(event.details["reason"]) <= _reports.LONGEST_REASON


def test_what_is_known_is_no_news(ports, sent, anna):
    first, second = sent(), sent()
    for address in (first, first, second):
        receive(ports, address)
    assert events_of(anna) == [Event.MAIL_CONTACT_BOUNCED.code]


def test_the_mailbox_itself_is_no_contact_address(ports, sent, anna):
    assert "ignored" in receive(ports, sent(anna.login))
    assert not present(anna).returned_from


def test_a_managers_login_is_an_address_too(ports, sent, manager):
    receive(ports, sent(manager.login, manager))
    assert present(manager).returned_from == manager.login


def test_whoever_is_invited_says_nothing_about_who_invited_them(ports, sent, anna):
    """The e-mail belongs to Anna's account, and goes to a stranger."""
    assert "ignored" in receive(ports, sent("stranger@example.net"))
    assert not present(anna).returned_from


# --- who can say so ---


def forgeries(address, anna, boris):
    token = address.partition("+")[2].partition("@")[0]
    content = bytearray(base64.b32decode(token.upper()))

    def changed(place, bit=1):
        other = content[:]
        other[place] ^= bit
        return return_address(base64.b32encode(other).decode().lower())

    def return_address(text):
        return f"bounces+{text}@mail.example.org"

    other_account = content[:]
    other_account[:6] = boris.id.to_bytes(6)
    yield from (changed(place) for place in range(len(content)))
    yield return_address(base64.b32encode(other_account).decode())
    yield from map(return_address, ("", "test", token[:-8], token + "aaaaaaaa", "=" * 40, "ж" * 40, "\0", "a" * 10_000))
    yield from (BOUNCES, "", "@", "+", f"bounces-{token}@mail.example.org", f"bounces+{token}@example.org")
    yield f"other+{token}@mail.example.org"


def test_a_stranger_marks_nobody(ports, people, sent, anna):
    boris = people.add("boris")
    outcomes = {receive(ports, address) for address in forgeries(sent(), anna, boris)}
    assert all("ignored" in outcome for outcome in outcomes)
    assert not [account.login for account in Account.select() if account.bounced_address]


def test_another_secret_key_knows_none_of_them(ports, sent, anna):
    other = replace(ports, settings=replace(ports.settings, secret_key="x" * 40))
    assert "ignored" in receive(other, sent())


def test_the_case_of_an_address_does_not_matter(ports, sent, anna):
    receive(ports, sent().upper())
    assert present(anna).returned_from


@pytest.mark.parametrize(("seconds", "counts"), [(14 * DAY, True), (14 * DAY + 1, False), (-3600, False)])
def test_an_old_one_says_nothing(ports, sent, anna, clock, seconds, counts):
    address = sent()
    clock.pass_by(seconds)
    receive(ports, address)
    assert bool(present(anna).returned_from) == counts


def test_who_gets_the_number_of_a_removed_account_is_somebody_else(ports, people, sent, anna, clock):
    address, columns = sent(), dict(anna.__data__)
    OutboxItem.delete().execute()
    anna.mailbox.delete_instance()
    anna.delete_instance()
    clock.pass_by(1)
    Account.insert(columns | {"login": "zoe@example.org", "created_at": clock.moment}).execute()
    assert "ignored" in receive(ports, address)


# --- hostile messages ---


def nested(depth):
    """Parts in parts, each with a boundary of its own."""
    opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return f"{opened}Content-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n"


HOSTILE = {
    "deep": nested(20_000),
    "a boundary a line": "Content-Type: multipart/report; boundary=b\n\n" + "--b\n" * 200_000,
    "an empty boundary": 'Content-Type: multipart/report; boundary=""\n\n--\n--\n',
    "a huge header": "Subject: " + "x" * 1_000_000,
    "very many headers": "X: y\n" * 200_000,
    "parameters without end": "Content-Type: multipart/report" + ';";' * 300_000 + "\n\nx",
    "a number without end": f"Content-Type: multipart/report; boundary*{'9' * 5000}*=x\n\nx",
    "an unknown character set": "Content-Type: multipart/report; boundary*=nonsense''%ff%00\n\nx",
    "a character set that is none": "Content-Type: multipart/report; boundary*=\0x''%ff\n\nx",
    "an encoded header": f"X-Failed-Recipients: {'=?utf-8?b?////?=' * 1000}\n\nx".replace("X-Failed", "X-F"),
    "no text at all": bytes(range(256)).decode("latin-1") * 1000,
    "only line ends": "\r\n" * 500_000,
    "qmail without end": "Subject: x\n\nHi. This is the\n" + "\n<" + "a" * 100_000 + "\n<a>:" * 100_000,
    "a report without end": "Content-Type: multipart/report; boundary=b\n\n--b\n"
    + ("Content-Type: message/delivery-status\n\n" + "Action: delayed\n\n" * 50_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_read_and_says_nothing(ports, sent, anna, name):
    assert "does not say" in receive(ports, sent(), HOSTILE[name])
    assert not present(anna).returned_from


def test_what_is_read_has_an_end(ports, sent, anna):
    receive(ports, sent(), "X: y\n" + "\n" * bounces.MOST_READ + POSTFIX)
    assert not present(anna).returned_from


# --- an address that is refused at once ---


def test_a_refusal_by_the_smtp_server_is_the_same(ports, mailer, anna):
    mailer.refused[anna.contact_email] = "5.1.1"
    for recipient in (anna.contact_email, anna.login):
        mail.put(ports, recipient, "account_locked", recipient, "", FACTS, anna)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert present(anna).returned_from == anna.contact_email
    assert OutboxItem.get(OutboxItem.given_up_at.is_null(False)).last_error == "550 5.1.1 Refused"
    assert [recipient for recipient, _ in mailer.sent] == [anna.login]


def test_an_address_with_another_alphabet_is_the_same_one(ports, mailer, people):
    account = people.add("boris", contact_email="boris@bücher.example")
    mailer.refused["boris@xn--bcher-kva.example"] = "5.1.1"
    mail.put(ports, "key", "account_locked", account.contact_email, "", FACTS, account)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert present(account).returned_from == "boris@bücher.example"


def test_a_refused_stranger_says_nothing_about_the_account(ports, mailer, anna):
    mailer.refused["stranger@example.net"] = "5.1.1"
    mail.put(ports, "key", "account_locked", "stranger@example.net", "", FACTS, anna)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert not present(anna).returned_from


# --- how it is forgotten ---


def changed_contact(ports, account, manager, contact):
    unit, account = UnitOfWork(ports, acting(manager)), present(account)
    profile = Profile(account.first_name, account.last_name, contact)
    users.edit(unit, account.mailbox, account.revision, profile)


def test_another_contact_address_has_no_past(ports, sent, anna, manager, clock):
    address, contact = sent(), anna.contact_email
    receive(ports, address)
    clock.pass_by(1)
    changed_contact(ports, anna, manager, "new@example.net")
    assert not present(anna).returned_from
    changed_contact(ports, anna, manager, contact)
    assert "outdated" in receive(ports, address)
    assert not present(anna).returned_from


def test_a_change_of_the_name_forgets_nothing(ports, sent, anna, manager):
    receive(ports, sent())
    anna.write(first_name="Anne")
    changed_contact(ports, anna, manager, anna.contact_email)
    assert present(anna).returned_from


def test_a_test_e_mail_finds_out_anew(ports, mailer, sent, anna, clock):
    old = sent()
    receive(ports, old)
    clock.pass_by(1)
    assert bounces.send_test(UnitOfWork(ports, acting(present(anna)))) == anna.contact_email
    assert not present(anna).returned_from
    outbox.deliver_due(ports, worker.HANDLERS)
    assert "outdated" in receive(ports, old)
    receive(ports, mailer.senders[-1])
    assert present(anna).returned_from == anna.contact_email
    assert events_of(anna) == [
        Event.MAIL_CONTACT_BOUNCED.code,
        Event.CONTACT_TESTED.code,
        Event.MAIL_CONTACT_BOUNCED.code,
    ]


def test_a_new_link_finds_out_anew(ports, mailer, sent, anna, manager, clock):
    receive(ports, sent())
    clock.pass_by(1)
    users.send_link(UnitOfWork(ports, acting(manager)), anna.mailbox)
    assert not present(anna).returned_from
    outbox.deliver_due(ports, worker.HANDLERS)
    receive(ports, mailer.senders[-1])
    assert present(anna).returned_from == anna.contact_email


def test_few_test_e_mails_a_day(ports, anna):
    for _ in range(bounces.TESTS.ceiling):
        bounces.send_test(UnitOfWork(ports, acting(anna)))
    with pytest.raises(TooManyAttempts):
        bounces.send_test(UnitOfWork(ports, acting(anna)))


def test_without_a_contact_address_there_is_nothing_to_test(ports, people):
    with pytest.raises(Refused):
        bounces.send_test(UnitOfWork(ports, acting(people.add("zoe", contact_email=""))))


def test_the_page_of_a_removed_account_marks_nobody(ports, sent, anna):
    token = return_path.token_in(ports.settings, sent())
    anna.mailbox.delete_instance()
    anna.delete_instance()
    failure = _reports.Failure("5.1.1", "")
    assert not bounces._note(UnitOfWork(ports), anna, anna.contact_email, token.written_at, failure)
