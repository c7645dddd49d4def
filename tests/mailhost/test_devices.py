"""Device passwords for real: Dovecot and Postfix judge what Postern's own actions made, on SQLite and on MariaDB."""

import contextlib
import imaplib
import itertools
import poplib
import smtplib
from concurrent.futures import ThreadPoolExecutor

import pytest

from actions.devices import devices
from actions.devices.devices import MadeDevice, WantedDevice
from actions.ground import undo
from actions.ground.actor import Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.users import taking_back
from lab.actors import acting
from lab.mail_host import ELSEWHERE, OWN_PASSWORD, WEBMAIL, Login, MailHost, plain
from lab.servers import HOST, Idle, pop3_login, wait_until
from models import Account, Device, LastLogin, now
from tests.conftest import cuts_at_once

EVERYTHING = Device.IMAP | Device.POP3 | Device.SENDING
MEGABYTE = 1024 * 1024

# What Dovecot calls ManageSieve where it writes down the last logins.
SIEVE = {"2.3": "managesieve", "2.4": "sieve"}

numbers = itertools.count(1)


class Person(Login):
    """Somebody with a mailbox and devices."""

    def make(self, protocols: int = EVERYTHING, expires_at: int | None = None) -> MadeDevice:
        """A new device, made as the panel makes it."""
        number = next(numbers)
        wanted = WantedDevice(f"Device {number}", "smartphone", protocols, expires_at=expires_at)
        with self.host.accounts.connected():
            return devices.make(UnitOfWork(self.host.ports, self.actor), self.account, wanted, f"form {number}")

    def change(self, made: MadeDevice) -> MadeDevice:
        with self.host.accounts.connected():
            return devices.change_password(UnitOfWork(self.host.ports, self.actor), made.device)

    def disconnect(self, made: MadeDevice) -> None:
        with self.host.accounts.connected():
            assert cuts_at_once(devices.disconnect, UnitOfWork(self.host.ports, self.actor), made.device)

    def require_devices(self) -> None:
        with self.host.accounts.connected():
            assert cuts_at_once(devices.require, UnitOfWork(self.host.ports, self.actor), self.account.mailbox, True)

    def set_state(self, state: str) -> None:
        self.host.accounts.set_state(self.address, state)

    def last_logins(self) -> set[tuple[int, str, str]]:
        """Device, protocol and address of each."""
        with self.host.accounts.connected():
            rows = list(LastLogin.select().where(LastLogin.login_id == self.account.id))
        assert all(abs(row.last_access - now()) < 60 for row in rows)
        return {(row.device_id, row.service, row.ip) for row in rows}


@pytest.fixture(scope="module")
def host(mail_host: MailHost) -> MailHost:
    return mail_host


@pytest.fixture
def person(host: MailHost) -> Person:
    return new_person(host)


def new_person(host: MailHost, **named: int) -> Person:
    return Person(host, host.add(**named))


def at_once(function, *arguments) -> list:
    """All calls at the same time."""
    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(function, *arguments))


def refusal_text(login, *arguments, **named) -> str:
    """What the server says to this login; the empty text if it lets it in."""
    try:
        login(*arguments, **named)
    except (imaplib.IMAP4.error, poplib.error_proto, ConnectionError) as error:
        return str(error) or "hung up"
    return ""


def test_fifty_devices_on_one_mailbox(host: MailHost, person: Person):
    made = [person.make() for _ in range(devices.MOST_DEVICES)]
    assert all(at_once(person.opens_imap, [each.password for each in made]))
    changed, disconnected, *others = made
    waiting = {each.device.id: person.waits_in_idle(each.password) for each in made[:6]}
    own = person.waits_in_idle(OWN_PASSWORD)

    new = person.change(changed)
    assert waiting.pop(changed.device.id).seconds_until_dropped(2) < 2
    person.disconnect(disconnected)
    assert waiting.pop(disconnected.device.id).seconds_until_dropped(2) < 2
    assert all(at_once(Idle.is_open, [*waiting.values(), own]))

    right = [new.password, OWN_PASSWORD, *(each.password for each in others)]
    assert all(at_once(person.opens_imap, right))
    assert not any(at_once(person.opens_imap, [changed.password, disconnected.password]))


def test_a_device_opens_its_mailbox_by_every_protocol_but_sieve(host: MailHost):
    person = new_person(host, quota_bytes=5 * MEGABYTE)
    password = person.make().password
    with smtplib.LMTP(HOST, host.port("lmtp"), timeout=10) as lmtp:
        lmtp.sendmail("far@example.net", [person.address], b"Subject: waiting\r\n\r\nHello\r\n")
    imap = person.imap(password)
    assert imap.select("INBOX") == ("OK", [b"1"])
    assert f"(STORAGE 1 {5 * 1024})" in str(imap.getquotaroot("INBOX"))
    imap.logout()
    pop3 = pop3_login(host.port("pop3"), person.address, password)
    assert pop3.stat()[0] == 1
    pop3.quit()
    assert person.opens_postfix(password)
    assert person.opens_sieve(OWN_PASSWORD)
    assert not person.opens_sieve(password)


@pytest.mark.parametrize("listener", ["submission", "postfix"])
def test_a_device_sends_mail(host: MailHost, person: Person, listener: str):
    password, subject = person.make(Device.SENDING).password, f"by {listener} {next(numbers)}"
    port = host.postfix.port if listener == "postfix" else host.port(listener)
    with smtplib.SMTP(HOST, port, timeout=10) as smtp:
        smtp.login(person.address, password)
        smtp.sendmail(person.address, ["far@example.net"], f"Subject: {subject}\r\n\r\nHello\r\n".encode())
    wait_until(lambda: subject in [each.message["Subject"] for each in host.relay.messages], "the mail is sent")


def test_who_is_connected_is_told_device_by_device(host: MailHost, person: Person):
    first, second = person.make(), person.make()
    waiting = [person.waits_in_idle(password) for password in (OWN_PASSWORD, first.password, second.password)]
    connections = host.ports.mail_server.connections
    # Dovecot counts a program a moment after it has let it in.
    wait_until(lambda: len(connections(person.address)) == 3, "Dovecot counts all three")
    assert {(each.device_id, each.protocol, each.address) for each in connections(person.address)} == {
        (device_id, "imap", HOST) for device_id in (0, first.device.id, second.device.id)
    }
    host.ports.mail_server.end_connections(person.address)
    assert waiting[0].seconds_until_dropped(2) < 2
    assert all(at_once(Idle.is_open, waiting[1:]))
    host.ports.mail_server.end_connections(person.address, None)
    assert all(seconds < 2 for seconds in at_once(lambda each: each.seconds_until_dropped(2), waiting[1:]))


def test_a_lost_phone_that_a_manager_disconnects_is_out_and_no_other(host: MailHost, person: Person):
    lost, kept = person.make(), person.make()
    connected, other = (person.waits_in_idle(each.password) for each in (lost, kept))
    with host.accounts.connected():
        manager = Account.create(login=f"manager.{next(numbers)}@example.com", role=Account.OPERATOR)
        assert cuts_at_once(devices.disconnect, UnitOfWork(host.ports, Actor(account=manager)), lost.device)
    assert connected.seconds_until_dropped(2) < 2
    assert not person.opens_imap(lost.password)
    assert other.is_open()
    assert person.opens_imap(kept.password)


# --- what a device's password does not open ---


def test_a_disconnection_that_is_undone_leaves_the_device_its_password(host: MailHost, person: Person):
    phone = person.make()
    with host.accounts.connected():
        unit = UnitOfWork(host.ports, acting(person.account))
        devices.disconnect(unit, phone.device)
    assert not person.opens_imap(phone.password)
    with host.accounts.connected():
        taking_back.take_back(unit, undo.offered(unit))
    assert person.opens_imap(phone.password)


def test_a_device_of_one_protocol_opens_no_other(person: Person):
    for_imap, for_pop3 = person.make(Device.IMAP).password, person.make(Device.POP3).password
    assert person.opens_imap(for_imap)
    assert person.opens_pop3(for_pop3)
    refused = [
        (person.opens_pop3, for_imap),
        (person.opens_submission, for_imap),
        (person.opens_postfix, for_imap),
        (person.opens_sieve, for_imap),
        (person.opens_postfix, for_pop3),
        (person.opens_submission, for_pop3),
    ]
    assert not any(at_once(lambda each: each[0](each[1]), refused))
    assert "for this protocol" in refusal_text(person.imap, for_pop3)


def test_a_selector_opens_nothing_with_the_verifier_of_another_device(person: Person):
    first, second = person.make().password, person.make().password
    mixed = [first[:8] + second[8:], second[:8] + first[8:], first[:8] + "-aaaaaa" * 4, first[:-1], first.upper()]
    assert not any(at_once(person.opens_imap, mixed))
    assert all(at_once(person.opens_imap, [first, second]))


@pytest.mark.parametrize("state", [Account.SUSPENDED, Account.LOCKED])
def test_a_closed_account_stops_all_its_devices(person: Person, state: str):
    made = [person.make().password for _ in range(3)]
    person.set_state(state)
    texts = at_once(lambda password: refusal_text(person.imap, password), made)
    assert all(f"This account is {state}." in text for text in texts)
    openings = (person.opens_pop3, person.opens_submission, person.opens_postfix)
    assert not any(at_once(lambda opens: opens(made[0]), openings))
    person.set_state(Account.ACTIVE)
    assert all(at_once(person.opens_imap, made))


# --- the account's password where device passwords are needed ---


def test_where_device_passwords_are_needed_the_own_one_opens_the_webmail_only(person: Person):
    person.require_devices()
    assert person.opens_imap(OWN_PASSWORD, source=WEBMAIL)
    assert person.opens_imap(OWN_PASSWORD, source=WEBMAIL, originating_ip="198.51.100.7")
    assert person.opens_sieve(OWN_PASSWORD, source=WEBMAIL)
    refused = refusal_text(person.imap, OWN_PASSWORD)
    assert "device password" in refused
    # Somebody who only says that the webmail's host is theirs.
    assert "device password" in refusal_text(person.imap, OWN_PASSWORD, source=ELSEWHERE, originating_ip=WEBMAIL)
    openings = (person.opens_pop3, person.opens_submission, person.opens_postfix, person.opens_sieve)
    assert not any(at_once(lambda opens: opens(OWN_PASSWORD), openings))
    assert "device password" not in refusal_text(person.imap, "wrong")
    password = person.make().password
    assert all(at_once(lambda source: person.opens_imap(password, source=source), [HOST, ELSEWHERE, WEBMAIL]))


def test_webmails_are_known_by_their_networks(person: Person):
    person.require_devices()
    inside, outside = ("127.16.0.0", "127.19.255.7", "127.0.4.39"), ("127.20.0.1", "127.0.4.40", "127.1.6.0")
    assert all(at_once(lambda source: person.opens_imap(OWN_PASSWORD, source=source), inside))
    texts = at_once(lambda source: refusal_text(person.imap, OWN_PASSWORD, source=source), outside)
    assert all("device password" in text for text in texts)


# --- hostile input ---

HOSTILE = {
    "seven letters and a quote": b"aaaaaaa'",
    "a quote where the selector ends": b"aaaaaaa'-aaaaaa-aaaaaa-aaaaaa-aaaaaa",
    "a backslash": b"aaaaaaa\\-aaaaaa-aaaaaa-aaaaaa-aaaaaa",
    "3,000 characters": b"a" * 3000,
    "bytes that are no UTF-8": b"\xff\xfe\x80aaaaa",
    "a device password and a byte that is no UTF-8": b"aaaaaaaa-aaaaaa-aaaaaa-aaaaaa-aaaaaa\xff",
    "a device password and a quote": b"aaaaaaaa-aaaaaa-aaaaaa-aaaaaa-aaaaaa'",
    "a query": b"' OR 1=1 -- ",
    "a variable": b"%{if;1;eq;1;a;b}%w",
    "what stands for none": b"--------",
    "an unknown device": b"aaaaaaaa-aaaaaa-aaaaaa-aaaaaa-aaaaaa",
}


def test_hostile_passwords_break_neither_the_query_nor_the_logins_of_others(host: MailHost, person: Person):
    password = person.make().password
    with ThreadPoolExecutor(max_workers=20) as pool:
        wrong = [pool.submit(refusal_text, person.imap, text) for text in HOSTILE.values()]
        assert all(pool.map(person.opens_imap, [password, OWN_PASSWORD] * 3))
    texts = [each.result() for each in wrong]
    assert all(texts)
    # What Dovecot says when its query failed.
    assert not [text for text in texts if "UNAVAILABLE" in text or "Temporary" in text]


def test_nothing_of_a_verifier_is_logged_even_when_debugging(host: MailHost, person: Person):
    right, changed = person.make().password, person.make()
    wrong = right[:8] + changed.password[8:]
    person.change(changed)
    openings = (person.opens_imap, person.opens_pop3, person.opens_submission, person.opens_postfix)
    assert all(at_once(lambda opens: opens(right), openings))
    attempts = itertools.product((*openings, person.opens_sieve), (wrong, changed.password))
    assert not any(at_once(lambda attempt: attempt[0](attempt[1]), attempts))
    with host.accounts.connected():
        verifier = Device.get(Device.selector == right[:8]).verifier.removeprefix("{SSHA256}")
    logs = host.dovecot.log + host.postfix.log
    assert right[:8] in logs  # it does debug
    for password in (right, wrong, changed.password):
        assert not [group for group in password[9:].split("-") if group in logs]
        assert plain(person.address, password).decode() not in logs
    assert verifier not in logs


# --- the last login ---


def test_the_last_login_is_known_by_device_protocol_and_address(person: Person):
    first, second = person.make(), person.make()
    one, other = first.device.id, second.device.id
    assert person.opens_imap(OWN_PASSWORD)
    assert person.opens_imap(OWN_PASSWORD, source=WEBMAIL, originating_ip="198.51.100.7")
    assert person.opens_imap(first.password)
    assert person.opens_imap(second.password, source=ELSEWHERE)
    assert person.opens_pop3(first.password)
    assert person.opens_submission(first.password)
    assert person.opens_postfix(second.password)
    assert person.opens_postfix(OWN_PASSWORD)
    assert person.opens_sieve(OWN_PASSWORD)
    expected = {
        (0, "imap", HOST),
        (0, "imap", "198.51.100.7"),
        (0, SIEVE[person.host.ports.mail_server.version()], HOST),
        (0, "smtp", HOST),
        (one, "imap", HOST),
        (one, "pop3", HOST),
        (one, "submission", HOST),
        (other, "imap", ELSEWHERE),
        (other, "smtp", HOST),
    }
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: person.last_logins() == expected, "every login is written down")
    assert person.last_logins() == expected


def test_a_refused_login_is_not_written_down(person: Person):
    for_pop3, right = person.make(Device.POP3).password, person.make()
    person.require_devices()
    attempts = [(person.opens_postfix, for_pop3), (person.opens_postfix, OWN_PASSWORD), (person.opens_postfix, "wrong")]
    assert not any(at_once(lambda attempt: attempt[0](attempt[1]), attempts))
    assert person.opens_postfix(right.password)
    assert person.opens_postfix(right.password)
    assert person.last_logins() == {(right.device.id, "smtp", HOST)}


# --- Postfix ---


def test_postfix_lets_in_whom_dovecot_lets_in(person: Person):
    sending, reading = person.make(Device.SENDING).password, person.make(Device.IMAP | Device.POP3).password
    assert all(at_once(person.opens_postfix, [OWN_PASSWORD, sending]))
    assert not any(at_once(person.opens_postfix, [reading, "wrong", sending[:-1] + "!"]))
    person.set_state(Account.SUSPENDED)
    assert not any(at_once(person.opens_postfix, [OWN_PASSWORD, sending]))
