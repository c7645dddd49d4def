"""Every address that is served, for real: Dovecot and Postfix let its owner in by each protocol, deliver to it, and end
what is ended, on SQLite and on MariaDB."""

import smtplib

import pytest

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.addresses import SERVED_SIGNS
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from lab.mail_host import OWN_PASSWORD, Login, MailHost
from lab.servers import HOST, Idle, wait_until
from models import Account, Device
from tests.conftest import cuts_at_once

DOMAIN = "xn--bcher-kva.example"
LOCAL_PARTS = {
    "apostrophe": "sean.o'connor",
    "ampersand": "this&that",
    "equals sign": "a=b",
    "number sign": "c#d",
    "tilde": "e~f",
    "caret": "g^h",
    "underscore in front": "_info",
    "hyphen": "jean-luc",
    "all of them": "_a'b&c=d#e~f^g-h.i",
}


@pytest.fixture(scope="module")
def host(mail_host: MailHost) -> MailHost:
    with mail_host.accounts.connected():
        mailboxes.add_domain(UnitOfWork(mail_host.ports, Actor()), "Bücher.example", "Mail Light")
    return mail_host


def owner_of(host: MailHost, typed: str) -> Login:
    """Somebody whose mailbox was made with this address as it was typed."""
    with host.accounts.connected():
        new = NewMailbox(typed, password=OWN_PASSWORD)
        return Login(host, mailboxes.add_mailbox(UnitOfWork(host.ports, Actor()), new).account.login)


def phone_of(owner: Login) -> devices.MadeDevice:
    with owner.host.accounts.connected():
        wanted = WantedDevice("Phone", "smartphone", Device.IMAP | Device.POP3 | Device.SENDING)
        return devices.make(UnitOfWork(owner.host.ports, owner.actor), owner.account, wanted, owner.address)


def collaborator_of(owner: Login) -> Login:
    with owner.host.accounts.connected():
        person = Person("Mario", "Rossi", "mario@example.net", "mario")
        unit, granted = UnitOfWork(owner.host.ports, owner.actor), permissions.completed(permissions.IMAP)
        made = collaborations.make(unit, owner.account.mailbox, person, granted)
        hashed = passwords.hash_password(owner.host.ports.settings, OWN_PASSWORD)
        Account.update(password_hash=hashed, state=Account.ACTIVE).where(made.account.itself()).execute()
        return Login(owner.host, made.account.login)


def deliver(host: MailHost, address: str) -> None:
    with smtplib.LMTP(HOST, host.port("lmtp"), timeout=10) as lmtp:
        lmtp.sendmail("far@example.net", [address], b"Subject: x\r\n\r\nHello\r\n")


def send(owner: Login, port: int, password: str) -> None:
    """Write from this address, and see what the relay receives."""
    relay = owner.host.relay
    before = len(relay.messages)
    with smtplib.SMTP(HOST, port, timeout=10) as smtp:
        smtp.login(owner.address, password)
        smtp.sendmail(owner.address, [owner.address], f"From: {owner.address}\r\n\r\nHello\r\n".encode())
    received = relay.wait_for(before + 1)[-1]
    assert (received.sender, received.recipients) == (owner.address, (owner.address,))


def counted(owner: Login, password: str) -> int:
    imap = owner.imap(password)
    _, [count] = imap.select("INBOX")
    imap.logout()
    return int(count)


ADDRESSES = {name: f"{local_part}@example.org" for name, local_part in LOCAL_PARTS.items()}
ADDRESSES["international domain"] = f"{LOCAL_PARTS['all of them']}@{DOMAIN}"


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_the_owner_of_each_address_gets_in_and_gets_mail(host, address):
    owner = owner_of(host, address)
    phone, mario = phone_of(owner), collaborator_of(owner)
    deliver(host, owner.address)
    assert counted(owner, OWN_PASSWORD) == counted(owner, phone.password) == counted(mario, OWN_PASSWORD) == 1
    for opens in (owner.opens_pop3, owner.opens_submission, owner.opens_postfix, owner.opens_sieve):
        assert opens(OWN_PASSWORD)
        assert not opens("Wrong-Password-1")
    send(owner, host.port("submission"), OWN_PASSWORD)
    send(owner, host.postfix.port, phone.password)
    assert owner.address in host.ports.mail_server.quotas([owner.address])

    own, by_phone = owner.waits_in_idle(OWN_PASSWORD), owner.waits_in_idle(phone.password)
    shared, neighbour = mario.waits_in_idle(OWN_PASSWORD), Login(host, host.add()).waits_in_idle(OWN_PASSWORD)
    connections = host.ports.mail_server.connections
    wait_until(lambda: len(connections(owner.address)) == 2, "Dovecot counts both")
    with host.accounts.connected():
        assert cuts_at_once(devices.disconnect, UnitOfWork(host.ports, owner.actor), phone.device)
    assert by_phone.seconds_until_dropped(2) < 2
    assert all(map(Idle.is_open, (own, shared, neighbour)))
    host.ports.mail_server.end_connections(owner.address)
    assert own.seconds_until_dropped(2) < 2
    assert shared.is_open()
    with host.accounts.connected():
        unit = UnitOfWork(host.ports, owner.actor)
        assert cuts_at_once(collaborations.disable, unit, mario.account.collaboration)
    assert shared.seconds_until_dropped(2) < 2
    assert neighbour.is_open()


def test_every_served_sign_was_tried():
    assert set(SERVED_SIGNS) - set("".join(LOCAL_PARTS.values())) == {"+"}


@pytest.mark.parametrize("sign", "!$%*/?`{|}")
def test_dovecot_lets_no_such_name_in_and_none_is_made(host, sign):
    address = f"a{sign}b@example.org"
    with pytest.raises(Refused, match="not served here"):
        owner_of(host, address)
    if sign not in "/!":
        host.accounts.add(address, OWN_PASSWORD)
        assert not Login(host, address).opens_imap(OWN_PASSWORD)


def test_a_mail_program_signs_in_with_the_encoded_name_alone(host):
    """That is why pages that set up mail programs show it."""
    owner = owner_of(host, "anna@BÜCHER.example")
    assert owner.address == f"anna@{DOMAIN}"
    assert owner.opens_sieve(OWN_PASSWORD)
    assert not Login(host, "anna@bücher.example").opens_sieve(OWN_PASSWORD)
