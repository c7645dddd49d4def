"""Whoever submits mail writes as the own mailbox only: by Dovecot's submission and by Postfix's, with the shipped
services, on SQLite and on MariaDB."""

import contextlib
import re
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import database as db
import doctor
import mail_views
from actions.authority.permissions import IMAP, READ, SEND, WRITE
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from adapters import milter
from doctor import submission
from doctor.findings import Finding
from lab.mail_host import OWN_PASSWORD, WEBMAIL, Login, MailHost, plain, running_mail_host
from lab.servers import HOST, Postfix, ReceivedMessage, free_port, wait_until
from models import Account, Collaboration, Device
from sender_check import SenderCheck
from tests.mailhost.test_collaborations import PASSWORD, Collaborator

SHIPPED = Path(__file__).parents[2] / "integrations" / "postfix"
FAR = "far@example.net"
OTHER = "eve@example.org"
DOORS = ("dovecot", "postfix")


@dataclass
class Doors:
    """Where mail comes in: each server's submission, the port at which Postfix believes Dovecot, and one where mail
    comes from elsewhere."""

    host: MailHost
    ports: dict[str, int]
    check_port: int
    postfix: Postfix | None = None
    check: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start_check(self) -> None:
        self.check.enter_context(milter.serving((HOST, self.check_port), SenderCheck()))

    @contextlib.contextmanager
    def session(self, door: str, login: str, password: str, source: str = HOST) -> Iterator[smtplib.SMTP]:
        with smtplib.SMTP(HOST, self.ports[door], timeout=10, source_address=(source, 0)) as smtp:
            smtp.login(login, password)
            yield smtp

    def arrived(self, subject: str) -> ReceivedMessage:
        """The message that was taken, as it came through; raises `TimeoutError` when it does not."""
        messages = self.host.relay.messages
        return wait_until(
            lambda: next((each for each in messages if each.message["Subject"] == subject), None), "the mail arrives"
        )


@pytest.fixture(scope="module")
def doors(request, module_database_url: str, tmp_path_factory) -> Iterator[Doors]:
    server = request.getfixturevalue("mariadb_server") if module_database_url.startswith("mysql:") else None
    relayed, submission, incoming, check = (free_port() for _ in range(4))
    services = shipped_services(submission, relayed, check) + (
        f"{HOST}:{incoming} inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=no\n  -o mynetworks=127.0.0.0/8\n"
        f"  -o smtpd_relay_restrictions=permit_mynetworks,reject\n  -o smtpd_milters=inet:{HOST}:{check}\n"
    )
    lines = re.findall(r"^(?:smtpd_sender_login_maps|message_strip_characters) = .*$", shipped("main.cf"), re.MULTILINE)
    # The login is told to the check even where this says that it is not.
    local_cf = "\n".join([*lines, "milter_mail_macros = i", ""])
    instance = tmp_path_factory.mktemp("instance")
    with running_mail_host(module_database_url, server, instance, f"{HOST}:{relayed}") as host:
        sasl = f"inet:{host.ports.settings.postfix_sasl_socket}"
        ports = {
            "dovecot": host.port("submission"),
            "postfix": submission,
            "relayed": relayed,
            "incoming": incoming,
        }
        doors = Doors(host, ports, check)
        with doors.check, Postfix(sasl, host.relay.port, local_cf=local_cf, services=services) as doors.postfix:
            doors.start_check()
            yield doors


def shipped(file: str) -> str:
    return (SHIPPED / file).read_text(encoding="utf-8")


def shipped_services(submission: int, relayed: int, check: int) -> str:
    """The services of the shipped master.cf, with free ports and without TLS and a chroot."""
    services = shipped("master.cf")
    for old, new in (
        ("submission inet", f"{HOST}:{submission} inet"),
        ("127.0.0.1:10587", f"{HOST}:{relayed}"),
        ("127.0.0.1:8891", f"{HOST}:{check}"),
        ("  y  ", "  n  "),
        ("=encrypt", "=none"),
    ):
        assert old in services
        services = services.replace(old, new)
    return services


@pytest.fixture
def owner(doors: Doors) -> Login:
    return Login(doors.host, doors.host.add())


def outcome(smtp: smtplib.SMTP, sender: str, content: str | bytes) -> tuple[int, str]:
    """Code and text of the answer that ended the message, at whichever step it came."""
    content = content.encode() if isinstance(content, str) else content
    smtp.rset()
    for step in (lambda: smtp.mail(sender), lambda: smtp.rcpt(FAR), lambda: smtp.data(content)):
        try:
            code, text = step()
        except smtplib.SMTPDataError as refused:
            code, text = refused.smtp_code, refused.smtp_error
        if code >= 400:
            break
    return code, text.decode()


def written_by(author: str, subject: str = "x") -> str:
    return f"From: {author}\r\nSubject: {subject}\r\n\r\nHello\r\n"


def passwords_of(doors: Doors, owner: Login) -> Iterator[tuple[str, str, str, str]]:
    """Who may send from the mailbox: a name, login, password, and from where."""
    host = doors.host
    with host.accounts.connected():
        wanted = WantedDevice("Phone", "smartphone", Device.SENDING)
        made = devices.make(UnitOfWork(host.ports, owner.actor), owner.account, wanted, owner.address)
    by_webmail, anywhere = (Collaborator(host, owner, READ | WRITE | SEND | more) for more in (0, IMAP))
    yield "owner", owner.address, OWN_PASSWORD, HOST
    yield "device", owner.address, made.password, HOST
    yield "collaborator", by_webmail.address, PASSWORD, WEBMAIL
    yield "collaborator's device", anywhere.address, anywhere.add_device(Device.SENDING), HOST


@pytest.mark.parametrize("door", DOORS)
def test_whoever_may_send_writes_as_the_mailbox_only(doors: Doors, owner: Login, door: str):
    for who, login, password, source in passwords_of(doors, owner):
        with doors.session(door, login, password, source) as smtp:
            subject = f"{who} of {owner.address}"
            assert outcome(smtp, owner.address, written_by(f"Anna <{owner.address}>", subject))[0] == 250
            assert doors.arrived(subject).sender == owner.address
            for other in {OTHER, login, f"x{owner.address}"} - {owner.address}:
                if "/" not in other:
                    assert outcome(smtp, other, written_by(owner.address))[0] in (550, 553), (who, other)
                code, text = outcome(smtp, owner.address, written_by(other))
                assert code == 550, (who, other)
                assert "5.7.1" in text
                assert owner.address in text
            # Bounces and receipts have no sender, and still an author.
            assert outcome(smtp, "", written_by(owner.address))[0] == 250
            assert outcome(smtp, "", written_by(OTHER))[0] == 550


@pytest.mark.parametrize("door", DOORS)
def test_who_may_not_send_does_not_come_in(doors: Doors, owner: Login, door: str):
    reader = Collaborator(doors.host, owner, READ | WRITE)
    with pytest.raises(smtplib.SMTPAuthenticationError), doors.session(door, reader.address, PASSWORD, WEBMAIL):
        pass


ROUNDABOUT = (
    "From: {other}",
    "From: {own}, {other}",
    "From: {own}\r\nFrom: {other}",
    "From: {own}\r\nFROM: {own}",
    "From: {own}\r\n ,{other}",
    "From: {own}\r\n\t{other}",
    "From: {own}\r\nFrom : {other}",
    "From: {own}\r\nfrom\t: {other}",
    "From: {own}\0 <{other}>",
    "From: {own} <{other}>",
    "From: <{own}> <{other}>",
    'From: "{own}" <{other}>',
    'From: "{other}" <{own}>',
    "From: {other} ({own})",
    "From: {own} ({other})",
    "From: Friends: {own};",
    "From: Friends: {own}, {other};",
    "From: {own}@example.com",
    "From: =?utf-8?q?eve=40example=2Eorg?= <{own}>",
    "From: =?utf-8?b?ZXZlQGV4YW1wbGUub3Jn?= <{own}>",
    "From: =?utf-7?q?eve+AEA-example.org?= <{own}>",
    "From: =?utf-8?q?eve?=\r\n =?utf-8?q?=40example.org?= <{own}>",
    "From: =?utf-8?q?=3Ceve=40example.org=3E?=",
    "From: eve\uff20example.org <{own}>",
    'From: "eve\u200b@\u200bexample.org" <{own}>',
    "From: eve@[192.0.2.1]",
    "From: Anna",
    "From:",
    "From: {own}\r\nSender: {other}",
    "From: {own}\r\nSender: {own}\r\nSender: {own}",
    "From: {other}\r\nSender: {own}",
    "From: {other}\r\nResent-From: {own}",
    "From: {own}\r\nResent-From: {other}",
    "From: {own}\r\nResent-From: {own}\r\nResent-Sender: {other}",
    "From: {own}\r\nResent-From: {own}\r\nResent-From: {other}",
)
# Postfix itself makes something else of them, before anybody is asked.
MENDED = ("From : {other}", "From: <@{other}:{own}>", "Comments: nobody wrote this")
PLAIN = (
    "From: {own}",
    "FROM:{own}",
    "From: <{own}>",
    "From: Anna Rossi <{own}>",
    'From: "Rossi, Anna (Office)" <{own}>',
    "From: Anna R. Rossi (Office) <{own}>",
    "From: {own} (Anna Rossi)",
    "From: =?utf-8?q?Anna_Z=C3=BCrich?=\r\n =?utf-8?q?_Keller?= <{own}>",
    "From: Анна <{own}>",
    'From: "Anna @ Work" <{own}>',
    "From: \"'{own}'\" <{own}>",
    "From: {own}\r\nSender: Anna <{own}>",
    "From: {own}\r\nReply-To: {other}\r\nDisposition-Notification-To: {other}",
    "From: {own}\r\nResent-From: {own}\r\nResent-Sender: {own}",
)


@pytest.mark.parametrize("door", DOORS)
def test_no_message_can_be_read_as_somebody_elses(doors: Doors, owner: Login, door: str):
    shown, codes = owner.address.title(), {}
    for headers in ROUNDABOUT + PLAIN:
        # Postfix ends a session in which much is refused.
        with doors.session(door, owner.address, OWN_PASSWORD) as smtp:
            content = f"{headers}\r\n\r\nHello\r\n".format(own=shown, other=OTHER)
            codes[headers] = outcome(smtp, owner.address, content)[0]
    assert [headers for headers in ROUNDABOUT if codes[headers] != 550] == []
    assert [headers for headers in PLAIN if codes[headers] != 250] == []


@pytest.mark.parametrize("door", DOORS)
def test_a_message_that_postfix_mends_is_still_the_mailboxs(doors: Doors, owner: Login, door: str):
    with doors.session(door, owner.address, OWN_PASSWORD) as smtp:
        for number, headers in enumerate(MENDED):
            subject = f"mended {number} {owner.address} {door}"
            content = f"{headers}\r\nSubject: {subject}\r\n\r\nHello\r\n".format(own=owner.address, other=OTHER)
            if outcome(smtp, owner.address, content)[0] == 250:
                received = doors.arrived(subject).message
                assert [each.addresses[0].addr_spec for each in received.get_all("From")] == [owner.address], headers


@pytest.mark.parametrize("door", DOORS)
def test_what_an_open_session_may_do_is_asked_with_each_message(doors: Doors, owner: Login, door: str):
    host = doors.host
    with doors.session(door, owner.address, OWN_PASSWORD) as smtp:
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 250
        host.accounts.set_state(owner.address, Account.SUSPENDED)
        assert outcome(smtp, owner.address, written_by(owner.address)) == (550, "5.7.1 This login may not send mail.")
        host.accounts.set_state(owner.address, Account.ACTIVE)
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 250


def test_a_collaborator_who_loses_the_permission_sends_no_more(doors: Doors, owner: Login):
    sender = Collaborator(doors.host, owner, READ | WRITE | SEND)
    with doors.session("dovecot", sender.address, PASSWORD, WEBMAIL) as smtp:
        with doors.host.accounts.connected():
            Collaboration.update(permissions=READ | WRITE).where(sender.collaboration.itself()).execute()
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 550


@pytest.mark.parametrize("door", DOORS)
def test_while_the_database_is_away_mail_has_to_come_again(doors: Doors, owner: Login, door: str):
    with doors.session(door, owner.address, OWN_PASSWORD) as smtp:
        with doors.host.accounts.connected():
            db.database.execute_sql("DROP VIEW mail_login")
        try:
            codes = [outcome(smtp, owner.address, written_by(author))[0] for author in (owner.address, OTHER)]
        finally:
            with doors.host.accounts.connected():
                kind = mail_views.MYSQL if db.is_mysql() else mail_views.SQLITE
                db.database.execute_sql(mail_views.statements(kind)["mail_login"])
        assert codes == [451, 451]
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 250


@pytest.mark.parametrize("door", DOORS)
def test_while_nobody_checks_no_mail_is_taken(doors: Doors, owner: Login, door: str):
    doors.check.close()
    try:
        with smtplib.SMTP(HOST, doors.ports[door], timeout=10) as smtp:
            smtp.ehlo()
            codes = [smtp.docmd("AUTH PLAIN", plain(owner.address, OWN_PASSWORD).decode())[0]]
            codes.append(outcome(smtp, owner.address, written_by(owner.address))[0])
        # Before that the login is put off, or may be.
        assert next(code for code in codes if code >= 400) in (451, 454)
        assert codes[-1] in (451, 530)
    finally:
        doors.start_check()
    with doors.session(door, owner.address, OWN_PASSWORD) as smtp:
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 250


def test_mail_from_elsewhere_is_left_alone(doors: Doors):
    with smtplib.SMTP(HOST, doors.ports["incoming"], timeout=10) as smtp:
        smtp.ehlo()
        assert outcome(smtp, OTHER, written_by("Anybody <somebody@example.com>"))[0] == 250
        assert outcome(smtp, OTHER, "Subject: without an author\r\n\r\nHello\r\n")[0] == 250


# --- XCLIENT ---


def test_nobody_sends_by_the_port_that_believes_dovecot_without_a_login(doors: Doors, owner: Login):
    with smtplib.SMTP(HOST, doors.ports["relayed"], timeout=10) as smtp:
        smtp.ehlo()
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 554
        # Who asserts to be somebody, which only programs on this machine can, writes as that mailbox and no other.
        smtp.rset()
        assert smtp.docmd(f"XCLIENT LOGIN={owner.address}")[0] == 220
        smtp.ehlo()
        assert outcome(smtp, OTHER, written_by(OTHER))[0] == 550
        smtp.rset()
        assert smtp.docmd("XCLIENT LOGIN=nobody/d1/d2")[0] == 220
        smtp.ehlo()
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 550


@pytest.mark.parametrize("door", DOORS)
def test_nobody_becomes_somebody_else_by_xclient(doors: Doors, owner: Login, door: str):
    """Not even from the webmail's host, which Dovecot believes about addresses."""
    other = Login(doors.host, doors.host.add())
    with smtplib.SMTP(HOST, doors.ports[door], timeout=10, source_address=(WEBMAIL, 0)) as smtp:
        smtp.ehlo()
        smtp.docmd(f"XCLIENT LOGIN={other.address} ADDR=192.0.2.7")
        smtp.ehlo()
        assert outcome(smtp, other.address, written_by(other.address))[0] >= 500
        smtp.rset()
        assert smtp.docmd("AUTH PLAIN", plain(owner.address, OWN_PASSWORD).decode())[0] == 235
        smtp.docmd(f"XCLIENT LOGIN={other.address}")
        smtp.ehlo(f"x LOGIN={other.address}")
        assert outcome(smtp, other.address, written_by(other.address))[0] in (550, 553)
        assert outcome(smtp, owner.address, written_by(other.address))[0] == 550
        assert outcome(smtp, owner.address, written_by(owner.address))[0] == 250


# --- doctor ---


def found_by_doctor(doors: Doors, monkeypatch, **settings: object) -> list[Finding]:
    monkeypatch.setenv("MAIL_CONFIG", str(doors.postfix.conf))
    ports = replace(doors.host.ports, settings=replace(doors.host.ports.settings, **settings))
    with doors.host.accounts.connected():
        return [finding for finding in doctor.examine(ports) if finding.subject == "sender addresses"]


def test_doctor_knows_whether_people_can_write_as_anybody(doors: Doors, monkeypatch):
    relayed, incoming, postfix = (doors.ports[name] for name in ("relayed", "incoming", "postfix"))
    no_submission = {"mail_ports": doors.host.ports.settings.mail_ports | {"submission": 0, "submissions": 0}}
    (held,) = found_by_doctor(doors, monkeypatch)
    assert held.well
    assert str(relayed) in held.sentence
    # The port asks, and does not learn who signed in; another does not ask at all.
    for port in (incoming, doors.postfix.port):
        (open_to_all,) = found_by_doctor(doors, monkeypatch, submission_relay=f"{HOST}:{port}")
        assert not open_to_all.well
        assert "can write as anybody" in open_to_all.sentence
    monkeypatch.setattr(submission, "POSTFIX_SUBMISSION", {postfix})
    (held,) = found_by_doctor(doors, monkeypatch, **no_submission)
    assert held.well
    assert str(postfix) in held.sentence
    for unknown in ({"submission_relay": "mail.example.net:25"}, {"submission_relay": f"{HOST}:1"}):
        (honest,) = found_by_doctor(doors, monkeypatch, **unknown)
        assert honest.well
        assert "Not known" in honest.sentence
    doors.check.close()
    try:
        (silent,) = found_by_doctor(doors, monkeypatch)
        assert not silent.well
        assert "does not answer" in silent.sentence
    finally:
        doors.start_check()
