"""What leaves as an e-mail, byte for byte: headers that people's words cannot leave, whatever version of Python."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import worker
from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground import message
from actions.ground.actor import OPERATOR
from actions.ground.addresses import NOT_PLAIN, canonical_contact, checked_name, is_same_mailbox, with_ascii_domain
from actions.ground.message import Attachment, written
from actions.ground.ports import Letter, MessageRefused, Picture
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.notices import notices
from actions.outbox import mail, outbox
from actions.password_changes import password_changes
from actions.password_changes.password_changes import Choice
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from actions.sessions.user_agents import browser_name
from actions.users import imports, imports_at_once, users
from actions.users.users import Password, Profile
from adapters.smtp import SmtpMailer
from lab.actors import acting
from models import Account, Device, DeviceInvitation, OutboxItem, PasswordChange, Service
from tests.actions.office import WANTED, has_old
from tests.conftest import PASSWORD

SPEAKS_IN_HEADERS = (
    "=?utf-8?q?Hi=0D=0AReply-To:=20x@evil.example=0D=0A=0D=0A<h1>Pay</h1>?=",
    "=?utf-8?b?SGkNClJlcGx5LVRvOiB4QGV2aWwuZXhhbXBsZQ0KDQo8aDE+UGF5PC9oMT4=?=",
    "=?utf-8?q?Hi=0ABcc:=20x@evil.example?=",
    "=?us-ascii?q?Hi=0DSubject:=20Pay?= =?us-ascii?q?_now?=",
    "=?utf-8*en?q?=00?=",
    "=?utf-8?b?!!!?=",
    "a =?utf-8?q?=0D=0A?= b",
)
BILLBOARDS = (
    "URGENT: https://evil.example/login",
    "HTTP://EVIL.EXAMPLE",
    "ftp://x",
    "WwW.evil.example",
    "see www.evil.example",
    "ｈｔｔｐｓ：／／evil.example",
    "ｗｗｗ．evil.example",
    "https:\\\\evil.example",
    "ww\u200bw.evil.example",
)
CODE = {"code": "123456", "minutes": 10, "address": "192.0.2.1"}
TABLET = WantedDevice("Tablet", "tablet", Device.IMAP)
EVE = "eve@elsewhere.example.com"
HEADERS = {
    "From": "Postern <postern@example.org>",
    "Date": "Thu, 01 Jan 1970 00:00:00 -0000",
    "Message-ID": "<outbox.1.1@example.org>",
    "Auto-Submitted": "auto-generated",
}
NAMES = ["Subject", *HEADERS, "To", "MIME-Version", "Content-Type"]
# What stands in names, encoded words and line ends, more often than chance would have it.
TEXT = st.lists(
    st.one_of(
        st.sampled_from([*SPEAKS_IN_HEADERS, "=?", "?=", "?q?", "=0D=0A", "\r\n", "\n", " ", ":", "é", "Привет", "😀"]),
        st.text(max_size=20),
    ),
    max_size=8,
).map("".join)


def subject_is(subject: str) -> Letter:
    return Letter(subject, "The text.\n", "<p>The text.</p>\n")


def header_of(content: bytes) -> list[tuple[str, str]]:
    """Names and values as a mail server splits them, without a mail package's help."""
    head = content.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\r\n[ \t]*\r\n", head)
    lines = re.sub(rb"\r\n(?=[ \t])", b"", head).decode().split("\r\n")
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def read(value: str) -> str:
    return str(make_header(decode_header(value)))


def assert_is_as_asked(content: bytes, recipient: str, subject: str) -> None:
    header = header_of(content)
    assert sorted(name for name, _ in header) == sorted(NAMES)
    values = dict(header)
    assert (values["To"], values["From"]) == (recipient, HEADERS["From"])
    assert read(values["Subject"]) == subject
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(map(read, values.values())))


# --- what is written ---


@settings(deadline=None)
@given(TEXT, TEXT)
def test_whatever_people_write_stays_in_its_place(subject, text):
    letter = Letter(" ".join(subject.split()), f"{text}\n", f"<p>{text}</p>\n")
    try:
        content = written(EVE, HEADERS, letter)
    except MessageRefused as refusal:
        # What was always refused as a name: control characters and halves of pairs.
        assert re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]", subject + text)
        assert "=?" not in str(refusal)
        return
    assert_is_as_asked(content, EVE, letter.subject)
    body = message_from_bytes(content, policy=policy.default)
    assert [part.get_content().split() for part in body.walk() if part.get_content_maintype() == "text"] == [
        letter.text.split(),
        letter.html.split(),
    ]


@settings(deadline=None)
@given(TEXT)
def test_no_recipient_is_more_than_one(recipient):
    address = f"{recipient}@example.org"
    try:
        content = written(address, HEADERS, subject_is("Hello"))
    except MessageRefused:
        return
    assert_is_as_asked(content, address, "Hello")
    assert not set(recipient) & set(' ,;:<>()"\\\r\n')


@pytest.mark.parametrize("recipient", ["пётр@пример.example", "anna@example.org"])
@pytest.mark.parametrize("subject", [*SPEAKS_IN_HEADERS, "Plain words", "x" * 500, "Приглашение " * 30], ids=ascii)
def test_a_subject_is_read_as_it_was_written(subject, recipient):
    subject = subject.strip()
    assert_is_as_asked(written(recipient, HEADERS, subject_is(subject)), recipient, subject)


def test_a_plain_subject_stays_readable():
    assert b"Subject: Your mailbox anna@example.org\r\n" in written(
        EVE, HEADERS, subject_is("Your mailbox anna@example.org")
    )


def test_a_file_goes_along_as_it_is():
    file = Attachment("documents.zip", "application/zip", bytes(range(256)) * 50)
    content = written(EVE, HEADERS, subject_is("Documents"), file)
    assert_is_as_asked(content, EVE, "Documents")
    (found,) = message_from_bytes(content, policy=policy.default).iter_attachments()
    assert (found.get_filename(), found.get_content()) == (file.name, file.content)


@pytest.mark.parametrize(
    "name",
    ["Example Mail", "Müller, Söhne & Co.", 'Почта "Пример"', "a@example.com <b>", *SPEAKS_IN_HEADERS],
    ids=ascii,
)
def test_the_senders_name_is_read_as_it_was_written(name):
    content = written(EVE, HEADERS | {"From": f"{name} <postern@example.org>"}, subject_is("Hello"))
    assert read(dict(header_of(content))["From"]) == f"{name} <postern@example.org>"
    (sender,) = message_from_bytes(content, policy=policy.default)["From"].addresses
    assert sender.addr_spec == "postern@example.org"


def test_a_picture_goes_along_within_the_html():
    picture = Picture("1@logo", "image/png", bytes(range(256)))
    file = Attachment("a.pdf", "application/pdf", b"%PDF")
    for attachment in (None, file):
        content = written(EVE, HEADERS, replace(subject_is("Hello"), picture=picture), attachment)
        assert_is_as_asked(content, EVE, "Hello")
        message = message_from_bytes(content, policy=policy.default)
        (shown,) = [part for part in message.walk() if part.get_content_maintype() == "image"]
        assert (shown["Content-ID"], shown.get_content()) == ("<1@logo>", picture.content)
        assert shown["Content-Disposition"] == "inline"
        # No mail program lists it among the files.
        assert [each.get_filename() for each in message.iter_attachments()] == ([file.name] if attachment else [])
        assert message.get_body(("plain",)).get_content().strip() == "The text."


def test_a_picture_that_is_none_of_ours_is_not_sent():
    with pytest.raises(MessageRefused):
        written(EVE, HEADERS, replace(subject_is("x"), picture=Picture("a>\r\nX-Y: z", "image/png", b"x")))


def test_a_file_whose_name_is_none_of_ours_is_not_sent():
    with pytest.raises(MessageRefused):
        written(EVE, HEADERS, subject_is("x"), Attachment("a\r\nX-Y: z", "application/zip", b"x"))


@pytest.mark.parametrize("subject", SPEAKS_IN_HEADERS)
def test_a_python_that_writes_something_else_sends_nothing(monkeypatch, subject):
    """The e-mail package left to itself, as it was used before and as some version may do again."""

    def careless(headers, letter, _attachment):
        careless = EmailMessage(policy.SMTP)
        careless["Subject"] = letter.subject
        for name, value in headers.items():
            careless[name] = value
        careless.set_content(letter.text)
        careless.add_alternative(letter.html, subtype="html")
        return careless.as_bytes()

    monkeypatch.setattr(message, "_written", careless)
    with pytest.raises(MessageRefused):
        written(EVE, HEADERS, subject_is(subject))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"To: eve", b"Bcc: x@evil.example\r\nTo: eve"),
        (b"To: eve", b"To: x@evil.example, eve"),
        (b"To: eve", b"To: x@evil.example\r\nTo: eve"),
        (b"Auto-Submitted: ", b"Reply-To: "),
        (b"From: ", b"From: =?utf-8?q?x=0D=0A?= "),
        (b"\r\nMIME-Version", b"\r\n \r\nMIME-Version"),
        (b"\r\nMIME-Version", b"\r\n\r\nMIME-Version"),
        (b"\r\nMIME-Version", b"\nMIME-Version"),
        (b"\r\nMIME-Version", b"\r\n\tx\r\nMIME-Version"),
        (b"Subject: He", b"Subject: He\x00"),
        (b"The text.", b"Another text."),
        (b"<p>The text.", b"<h1>Pay</h1><p>The text."),
    ],
)
def test_bytes_that_differ_from_what_was_asked_do_not_leave(monkeypatch, before, after):
    honest = message._written

    def changed(*asked):
        content = honest(*asked)
        assert before in content
        return content.replace(before, after, 1)

    monkeypatch.setattr(message, "_written", changed)
    with pytest.raises(MessageRefused):
        written(EVE, HEADERS, subject_is("Hello"))


# --- what was kept before such names were refused ---


@pytest.mark.parametrize("name", SPEAKS_IN_HEADERS)
def test_an_old_name_is_sent_and_stays_a_name(ports, mail_sink, people, name):
    anna = people.add("anna", first_name=name)
    real = SmtpMailer(mail_sink.url, ports.settings.mail_from)
    invitations.invite(UnitOfWork(ports, acting(anna)), anna, TABLET, EVE, mailed=True)
    outbox.deliver_due(replace(ports, mailer=real), worker.HANDLERS)
    (received,) = [each for each in mail_sink.wait_for(1) if each.recipients == (EVE,)]
    assert_is_as_asked(received.content, EVE, f"{' '.join(name.split())} invites you to set up a mail program")
    assert name in received.message.get_body(("plain",)).get_content()


def test_an_old_address_that_speaks_in_headers_is_given_up(ports, mailer, people, stranger):
    hostile = "=?utf-8?q?x=0D=0ABcc=3A=20y=40evil.example?=@example.org"
    anna = people.add("anna", contact_email=hostile)
    notices.password_changed(UnitOfWork(ports, stranger), anna, everywhere=False)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert [recipient for recipient, _ in mailer.sent] == [anna.login]
    (item,) = OutboxItem.select().where(OutboxItem.delivered_at.is_null())
    assert item.given_up_at
    assert item.last_error
    assert "evil" not in item.last_error
    assert "=?" not in item.last_error
    assert item.payload == ""


def test_a_change_of_several_passwords_ends_where_its_letter_cannot_be_written(office, mailer):
    change = office.start()
    PasswordChange.update(email="=?utf-8?q?x=0D=0ABcc=3A=20y=40evil.example?=@example.org").execute()
    change = office.until(change, *PasswordChange.OVER)
    assert change.state == PasswordChange.STOPPED
    assert mailer.sent == []
    assert all(map(has_old, ("anna", "boris", "chiara")))


def test_a_recipient_with_a_line_break_is_given_up(ports, mailer, database):
    mail.put(ports, "key", "device_code", "a@example.org\r\nBcc: b@example.org", "", CODE, None)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert mailer.sent == []
    assert OutboxItem.get().given_up_at


# --- what is refused as a name ---


@pytest.mark.parametrize("name", [*SPEAKS_IN_HEADERS, *BILLBOARDS, "=?", "x=?y"], ids=ascii)
def test_a_name_that_is_more_than_a_name_is_refused(name):
    with pytest.raises(Refused) as refusal:
        checked_name(name, "first_name")
    assert refusal.value.field == "first_name"


@pytest.mark.parametrize(
    "name", ["Anna = Bob?", "Mr. W. W. Rossi", "A/B: C", "Wwwilma", "?=", "Anna 🙂 Keller", "O'Neil"]
)
def test_a_name_that_only_looks_odd_is_kept(name):
    assert checked_name(name, "name") == name


@pytest.mark.parametrize("local_part", ["=?utf-8?q?a=0D=0ABcc=3A=20x=40evil.example?=", "=?x", "a=?b"])
def test_an_address_that_speaks_in_headers_is_refused(local_part):
    with pytest.raises(Refused):
        canonical_contact(f"{local_part}@example.com")
    assert canonical_contact("a=b?c@example.com") == "a=b?c@example.com"


@pytest.mark.parametrize("typed", ["anna@bücher.example", "anna@BÜCHER.example", "anna@xn--bcher-kva.example"])
def test_a_domain_has_one_form_however_it_is_typed(typed):
    contact = canonical_contact(typed)
    assert (contact, with_ascii_domain(contact)) == ("anna@bücher.example", "anna@xn--bcher-kva.example")
    assert is_same_mailbox(contact, "anna@xn--bcher-kva.example", "+")


def test_what_follows_the_delimiter_makes_no_other_mailbox():
    for contact in ("anna@example.org", "Anna+shop@example.org", "anna++@example.org"):
        assert is_same_mailbox(contact, "anna@example.org", "+")
    assert not is_same_mailbox("anna+shop@example.org", "anna@example.org", "-")
    assert not is_same_mailbox("anna+shop@example.org", "anna@example.org", "")
    assert not is_same_mailbox("anna@example.com", "anna@example.org", ".")


def test_what_no_domain_can_be_stays_as_it_is():
    for address in ("anna@example.org", "anna", "", "anna@ü..example", f"anna@{'ü' * 80}.example", "пётр@example.org"):
        assert with_ascii_domain(address) == address


DOORS = {
    "mailbox": lambda on, bad: mailboxes.add_mailbox(UnitOfWork(on.ports, OPERATOR), NewMailbox("x@example.org", bad)),
    "mailbox, last name": lambda on, bad: mailboxes.add_mailbox(
        UnitOfWork(on.ports, OPERATOR), NewMailbox("x@example.org", "", bad)
    ),
    "manager": lambda on, bad: mailboxes.add_manager(
        UnitOfWork(on.ports, OPERATOR), "x@example.org", None, Account.OPERATOR, first_name=bad
    ),
    "organisation": lambda on, bad: mailboxes.add_service(UnitOfWork(on.ports, OPERATOR), bad, "Mail"),
    "service": lambda on, bad: mailboxes.add_service(UnitOfWork(on.ports, OPERATOR), "Example Ltd", bad),
    "user": lambda on, bad: users.add(
        UnitOfWork(on.ports, on.boss), on.service, "x@example.org", Profile(bad), Password(PASSWORD)
    ),
    "user, changed": lambda on, bad: users.edit(
        UnitOfWork(on.ports, on.boss), on.box, on.box.account.revision, Profile(bad)
    ),
    "user, changed last name": lambda on, bad: users.edit(
        UnitOfWork(on.ports, on.boss), on.box, on.box.account.revision, Profile("Anna", bad)
    ),
    "collaborator": lambda on, bad: collaborations.make(
        UnitOfWork(on.ports, on.anna), on.box, Person(bad, "Rossi", EVE, "carla"), permissions.READ
    ),
    "collaborator, last name": lambda on, bad: collaborations.make(
        UnitOfWork(on.ports, on.anna), on.box, Person("Carla", bad, EVE, "carla"), permissions.READ
    ),
    "device": lambda on, bad: devices.make(
        UnitOfWork(on.ports, on.anna), on.box.account, replace(TABLET, name=bad), "1"
    ),
    "device, renamed": lambda on, bad: devices.rename(UnitOfWork(on.ports, on.anna), on.device, bad, "tablet"),
    "invitation": lambda on, bad: invitations.invite(
        UnitOfWork(on.ports, on.anna), on.box.account, replace(TABLET, name=bad), EVE, mailed=True
    ),
    "several passwords": lambda on, bad: password_changes.draft(
        UnitOfWork(replace(on.ports, settings=replace(on.ports.settings, sms_url="demo:")), on.boss),
        on.box.domain,
        Choice(everyone=True),
        replace(WANTED, full_name=bad),
    ),
}
ADDRESS_DOORS = {
    "contact": lambda on, bad: mailboxes.add_mailbox(
        UnitOfWork(on.ports, OPERATOR), NewMailbox("x@example.org", contact_email=bad)
    ),
    "user": lambda on, bad: users.edit(
        UnitOfWork(on.ports, on.boss), on.box, on.box.account.revision, Profile("Anna", "Keller", bad)
    ),
    "collaborator": lambda on, bad: collaborations.make(
        UnitOfWork(on.ports, on.anna), on.box, Person("Carla", "Rossi", bad, "carla"), permissions.READ
    ),
    "invitation": lambda on, bad: invitations.invite(
        UnitOfWork(on.ports, on.anna), on.box.account, TABLET, bad, mailed=True
    ),
    "several passwords": lambda on, bad: password_changes.draft(
        UnitOfWork(replace(on.ports, settings=replace(on.ports.settings, sms_url="demo:")), on.boss),
        on.box.domain,
        Choice(everyone=True),
        replace(WANTED, email=bad),
    ),
}


@pytest.fixture
def at_the_doors(ports, people, anna, manager):
    """A person who types a name somewhere, and what it would be the name of."""
    owner = acting(anna)
    made = devices.make(UnitOfWork(ports, owner), anna, TABLET, "0")
    return SimpleNamespace(
        ports=ports, service=people.service, box=anna.mailbox, anna=owner, boss=acting(manager), device=made.device
    )


def counted() -> list[int]:
    return [table.select().count() for table in (Account, Device, DeviceInvitation, PasswordChange, Service)]


@pytest.mark.parametrize("name", [SPEAKS_IN_HEADERS[0], BILLBOARDS[0]])
@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_such_a_name_in(at_the_doors, door, name):
    before = counted()
    with pytest.raises(Refused) as refusal:
        DOORS[door](at_the_doors, name)
    assert counted() == before
    assert "evil" not in refusal.value.sentence
    assert not Account.select().where(Account.first_name.contains("evil") | Account.last_name.contains("evil")).exists()
    assert Device.get().name == TABLET.name


@pytest.mark.parametrize("door", ADDRESS_DOORS)
def test_no_door_lets_such_an_address_in(at_the_doors, door):
    before = counted()
    with pytest.raises(Refused):
        ADDRESS_DOORS[door](at_the_doors, "=?utf-8?q?x=0D=0ABcc=3A=20y=40evil.example?=@example.com")
    assert counted() == before


@pytest.mark.parametrize("door", ADDRESS_DOORS)
def test_no_door_lets_an_address_in_that_not_every_server_takes(at_the_doors, door):
    before = counted()
    with pytest.raises(Refused) as refusal:
        ADDRESS_DOORS[door](at_the_doors, "пётр@bücher.example")
    assert (counted(), refusal.value.sentence) == (before, NOT_PLAIN)
    assert refusal.value.field in ("contact_email", "reference_email", "email")


def test_no_file_lets_such_an_address_in(at_the_doors):
    lines = ["address,contact_email\r\n", "x@example.org,пётр@example.com\r\n", "y@example.org,p@bücher.example\r\n"]
    problems = imports_at_once.plan(at_the_doors.ports, lines).problems
    assert [(line, problem.sentence) for line, problem in problems] == [(2, NOT_PLAIN)]


def test_no_door_makes_a_mailbox_whose_mail_goes_to_another(at_the_doors):
    on, address = at_the_doors, "anna+work@example.org"
    before = counted()
    for make in (
        lambda: mailboxes.add_mailbox(UnitOfWork(on.ports, OPERATOR), NewMailbox(address)),
        lambda: users.add(UnitOfWork(on.ports, on.boss), on.service, address, Profile(), Password(PASSWORD)),
    ):
        with pytest.raises(Refused, match=r"Mail to anna\+work@example.org goes to anna@example.org") as refusal:
            make()
        assert (counted(), refusal.value.field) == (before, "address")
    lines = ["address\r\n", f"{address}\r\n", "nora-work@example.org\r\n"]
    assert [line for line, _ in imports_at_once.plan(on.ports, lines).problems] == [2]
    begun = imports.begin(UnitOfWork(on.ports, on.boss), on.service, lines, "x.csv", invites=True)
    assert [line.line for line in imports.lines(begun, with_problems=True)] == [2]
    others = replace(on.ports, settings=replace(on.ports.settings, recipient_delimiter="-"))
    assert [line for line, _ in imports_at_once.plan(others, lines).problems] == [3]


@pytest.mark.parametrize("name", [SPEAKS_IN_HEADERS[0], BILLBOARDS[0]])
def test_no_file_lets_such_a_name_in(at_the_doors, name):
    lines = ["address,first_name\r\n", f'x@example.org,"{name}"\r\n']
    assert [line for line, _ in imports_at_once.plan(at_the_doors.ports, lines).problems] == [2]
    begun = imports.begin(
        UnitOfWork(at_the_doors.ports, at_the_doors.boss), at_the_doors.service, lines, "x.csv", invites=True
    )
    assert (begun.line_count, begun.problem_count) == (1, 1)


def test_a_browser_that_calls_itself_a_web_address_is_not_quoted():
    assert browser_name("Pay at https://evil.example/login now") == "Pay at … now"
    assert browser_name("WWW.evil.example") == "…"
    assert browser_name("curl/8.5") == "curl/8.5"
