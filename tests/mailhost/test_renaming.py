"""Another address for real: what Dovecot and Postfix do under the new one and the former one, on SQLite and MariaDB."""

import itertools
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR
from actions.ground.sizes import MEGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.users import renaming
from actions.users.renaming import Forwarding
from doctor import mail_server
from lab.mail_host import OWN_PASSWORD, Login, MailHost
from lab.servers import HOST, Postfix, wait_until
from models import Account, Device, FormerAddress, now
from tests.conftest import cuts_at_once

SHIPPED = Path(__file__).parents[2] / "integrations" / "postfix" / "main.cf"
numbers = itertools.count(1)


class Renamed:
    """A mailbox with a device, a collaborator and one message, and what it is called before and afterwards."""

    def __init__(self, host: MailHost):
        self.host = host
        self.former = Login(host, host.add(quota_bytes=5 * MEGABYTE))
        self.login = Login(host, f"renamed{next(numbers)}@example.org")
        with host.accounts.connected():
            unit, account = UnitOfWork(host.ports, self.former.actor), self.former.account
            wanted = WantedDevice("Phone", "smartphone", Device.IMAP)
            self.phone = devices.make(unit, account, wanted, self.former.address).password
            person = Person("Mario", "Rossi", "mario@example.net", "mario")
            guest = collaborations.make(unit, account.mailbox, person, permissions.IMAP).account
            hashed = passwords.hash_password(host.ports.settings, OWN_PASSWORD)
            guest.write(password_hash=hashed, state=Account.ACTIVE)
        self.former_guest = Login(host, guest.login)
        self.guest = Login(host, f"mario/{self.login.address}")
        assert self.delivers(self.former.address)

    def rename(self, forwarding: Forwarding | None = None) -> bool:
        """Whether Dovecot ended all connections at once."""
        with self.host.accounts.connected():
            mailbox, revision = self.former.account.mailbox, self.former.account.revision
            unit = UnitOfWork(self.host.ports, OPERATOR)
            return cuts_at_once(renaming.rename, unit, mailbox, revision, self.login.address, forwarding)

    def delivers(self, address: str) -> bool:
        """Whether LMTP takes a message for this address."""
        with smtplib.LMTP(HOST, self.host.port("lmtp"), timeout=10) as lmtp:
            try:
                lmtp.sendmail("far@example.net", [address], b"Subject: x\r\n\r\ny\r\n")
            except smtplib.SMTPRecipientsRefused:
                return False
        return True

    def messages(self, login: Login, password: str = OWN_PASSWORD) -> int:
        imap = login.imap(password)
        _, [count] = imap.select("INBOX", readonly=True)
        imap.logout()
        return int(count)

    def quota(self, login: Login) -> str:
        imap = login.imap(OWN_PASSWORD)
        _, (_root, [answer]) = imap.getquotaroot("INBOX")
        imap.logout()
        return answer.decode().partition("(")[2]

    def former_accepts_nobody(self) -> bool:
        logins = [(self.former, OWN_PASSWORD), (self.former, self.phone), (self.former_guest, OWN_PASSWORD)]
        return not any(login.opens_imap(password) for login, password in logins)


@pytest.fixture
def renamed(mail_host: MailHost) -> Renamed:
    return Renamed(mail_host)


@pytest.fixture
def postfix(mail_host: MailHost) -> Iterator[Postfix]:
    """It takes mail for the mailboxes as the shipped configuration says, without the exceptions for this machine."""
    verified = "\n".join(re.findall(r"^(?:unverified|address_verify)_.*$", SHIPPED.read_text(), re.MULTILINE))
    restriction = "smtpd_recipient_restrictions = reject_unverified_recipient"
    local = f"virtual_mailbox_domains = example.org\n{restriction}\n{verified}\n"
    settings = mail_host.ports.settings
    with Postfix(
        f"inet:{settings.postfix_sasl_socket}", mail_host.relay.port, mail_host.port("lmtp"), local_cf=local
    ) as running:
        yield running


def accepts(postfix: Postfix, address: str) -> int:
    """What Postfix answers to a message for this address."""
    with smtplib.SMTP(HOST, postfix.port, timeout=60) as smtp:
        try:
            smtp.sendmail("far@example.net", [address], "Subject: by Postfix\r\n\r\ny\r\n")
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[address][0]
        return 250


def test_the_new_login_opens_the_same_mailbox_and_the_former_one_none(renamed):
    quota = renamed.quota(renamed.former)
    waiting = [
        renamed.former.waits_in_idle(OWN_PASSWORD),
        renamed.former.waits_in_idle(renamed.phone),
        renamed.former_guest.waits_in_idle(OWN_PASSWORD),
    ]
    assert renamed.rename()
    assert all(each.seconds_until_dropped(2) < 2 for each in waiting)
    assert renamed.former_accepts_nobody()
    assert renamed.messages(renamed.login) == renamed.messages(renamed.login, renamed.phone) == 1
    assert renamed.messages(renamed.guest) == 1
    assert renamed.quota(renamed.login) == quota
    assert f" {5 * 1024})" in quota
    assert renamed.delivers(renamed.login.address)
    assert not renamed.delivers(renamed.former.address)
    assert renamed.messages(renamed.login) == 2
    opens = (renamed.login.opens_submission, renamed.login.opens_postfix, renamed.login.opens_sieve)
    assert all(each(OWN_PASSWORD) for each in opens)
    assert not renamed.former.opens_submission(OWN_PASSWORD)
    assert not renamed.former.opens_postfix(OWN_PASSWORD)


def test_connections_under_the_new_name_can_be_ended(renamed):
    renamed.rename()
    waiting = renamed.login.waits_in_idle(renamed.phone)
    with renamed.host.accounts.connected():
        devices.disconnect_all(UnitOfWork(renamed.host.ports, renamed.login.actor), renamed.login.account)
    assert waiting.seconds_until_dropped(2) < 2


def test_mail_to_the_former_address_arrives_as_long_as_it_is_forwarded(renamed):
    renamed.rename(Forwarding(30))
    assert renamed.delivers(renamed.former.address)
    assert renamed.messages(renamed.login) == 2
    assert renamed.former_accepts_nobody()
    with renamed.host.accounts.connected():
        [former] = renamed.login.account.mailbox.former_addresses
        [finding] = mail_server.former_addresses(renamed.host.ports)
        assert finding.well
        FormerAddress.update(expires_at=now() - 1).where(former.itself()).execute()
    assert not renamed.delivers(renamed.former.address)
    assert renamed.messages(renamed.login) == 2


def test_mail_is_forwarded_until_somebody_ends_it(renamed):
    renamed.rename(Forwarding())
    assert renamed.delivers(renamed.former.address)
    with renamed.host.accounts.connected():
        former = renaming.former_address(renamed.former.address)
        renaming.end_forwarding(UnitOfWork(renamed.host.ports, OPERATOR), former)
    assert not renamed.delivers(renamed.former.address)


@pytest.mark.parametrize("forwarding", [None, Forwarding()], ids=["refused", "forwarded"])
def test_postfix_asks_dovecot_about_the_former_address(renamed, postfix, forwarding):
    renamed.rename(forwarding)
    assert accepts(postfix, renamed.login.address) == 250
    wait_until(lambda: renamed.messages(renamed.login) == 2, "the message arrives")
    if forwarding is None:
        assert accepts(postfix, renamed.former.address) == 550
    else:
        assert accepts(postfix, renamed.former.address) == 250
        wait_until(lambda: renamed.messages(renamed.login) == 3, "the forwarded message arrives")
