"""Users for real: what a manager changes in the panel is true in Dovecot at once, on SQLite and on MariaDB."""

import itertools
import smtplib

import pytest

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.sizes import MEGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.users import managers, offboarding, removals, users
from lab.mail_host import OWN_PASSWORD, Login, MailHost
from lab.servers import HOST
from models import Account, Device, Domain, Service
from tests.conftest import cuts_at_once

NEW = "Other-Garden-8"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def host(mail_host: MailHost) -> MailHost:
    return mail_host


@pytest.fixture(scope="module")
def manager(host: MailHost) -> Actor:
    with host.accounts.connected():
        service = Service.get()
        account = Account.create(login="manager@example.org", role=Account.OWNER, organisation=service.organisation)
        return Actor(account=account, address="192.0.2.1")


class User(Login):
    """Somebody whom the manager looks after."""

    def __init__(self, host: MailHost, manager: Actor, address: str = "", quota_bytes: int = 0):
        super().__init__(host, address or f"user{next(numbers)}@example.org")
        self.manager = manager
        with host.accounts.connected():
            profile = users.Profile("Una", "Lind", "far@example.net", quota_bytes=quota_bytes)
            users.add(
                UnitOfWork(host.ports, manager), Service.get(), self.address, profile, users.Password(OWN_PASSWORD)
            )

    def act(self, action, *arguments) -> object:
        """What the manager does to them in the panel."""
        with self.host.accounts.connected():
            return action(UnitOfWork(self.host.ports, self.manager), self.account.mailbox, *arguments)

    def cuts_at_once(self, action, *arguments) -> bool:
        with self.host.accounts.connected():
            return cuts_at_once(action, UnitOfWork(self.host.ports, self.manager), self.account.mailbox, *arguments)

    def edit(self, password: str | None = None, **changes: object) -> object:
        with self.host.accounts.connected():
            account = self.account
            known = {name: getattr(account, name) for name in users.PROFILE}
            known["quota_bytes"] = account.mailbox.quota_bytes
        given = password and users.Password(password)
        return self.cuts_at_once(users.edit, account.revision, users.Profile(**known | changes), given)

    def quota(self) -> str:
        """What IMAP says of it."""
        imap = self.imap(OWN_PASSWORD)
        answer = str(imap.getquotaroot("INBOX"))
        imap.logout()
        return answer

    def receives(self, size: int = 100) -> bool:
        """Whether LMTP takes a message for this address."""
        with smtplib.LMTP(HOST, self.host.port("lmtp"), timeout=10) as lmtp:
            try:
                lmtp.sendmail("far@example.net", [self.address], f"Subject: x\r\n\r\n{'y' * size}\r\n".encode())
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError):
                return False
        return True

    def messages(self, password: str = OWN_PASSWORD) -> int:
        imap = self.imap(password)
        _, [count] = imap.select("INBOX")
        imap.logout()
        return int(count)


@pytest.fixture
def user(host: MailHost, manager: Actor) -> User:
    return User(host, manager, quota_bytes=5 * MEGABYTE)


def test_the_quota_changed_here_is_what_imap_says_and_holds(host, user):
    assert f"(STORAGE 0 {5 * 1024})" in user.quota()
    assert user.receives(2 * MEGABYTE // 2)
    user.edit(quota_bytes=9 * MEGABYTE)
    assert f"{9 * 1024})" in user.quota()
    user.edit(quota_bytes=MEGABYTE)
    assert not user.receives(1000)
    user.edit(quota_bytes=0)
    assert user.receives(1000)


def test_what_the_page_shows_is_what_dovecot_counts(host, user, manager):
    user.receives(300 * 1024)
    with host.accounts.connected():
        used = users.storage_used(host.ports, user.account.mailbox)
    assert used.limit == 5 * MEGABYTE
    assert 300 * 1024 <= used.used <= 310 * 1024
    without_limit = User(host, manager)
    found = host.ports.mail_server.quotas([user.address, "nobody@example.org", without_limit.address, "*"])
    assert (set(found), found[without_limit.address].limit) == ({user.address, without_limit.address}, 0)


def test_a_password_set_here_is_in_force_and_cuts_the_old_one(user):
    waiting = user.waits_in_idle(OWN_PASSWORD)
    assert user.edit(NEW)
    assert waiting.seconds_until_dropped(2) < 2
    assert not user.opens_imap(OWN_PASSWORD)
    assert user.opens_imap(NEW)


def test_a_suspended_user_is_out_at_once_and_mail_goes_on_arriving(host, user):
    with host.accounts.connected():
        wanted = WantedDevice("Phone", "smartphone", Device.IMAP)
        phone = devices.make(UnitOfWork(host.ports, user.actor), user.account, wanted, user.address).password
    own, by_phone = user.waits_in_idle(OWN_PASSWORD), user.waits_in_idle(phone)
    assert user.cuts_at_once(users.suspend)
    assert own.seconds_until_dropped(2) < 2
    assert by_phone.seconds_until_dropped(2) < 2
    for opens in (user.opens_imap, user.opens_pop3, user.opens_submission, user.opens_postfix):
        assert not opens(OWN_PASSWORD)
    assert not user.opens_imap(phone)
    assert user.receives()
    user.act(users.resume)
    assert user.messages() == 1
    assert user.opens_imap(phone)


def test_a_removed_user_neither_gets_in_nor_receives_and_leaves_nothing_to_the_next(host, user, manager):
    user.receives()
    assert user.messages() == 1
    waiting = user.waits_in_idle(OWN_PASSWORD)
    assert user.cuts_at_once(users.remove, user.address)
    assert waiting.seconds_until_dropped(2) < 2
    for opens in (user.opens_imap, user.opens_pop3, user.opens_submission, user.opens_postfix):
        assert not opens(OWN_PASSWORD)
    assert not user.receives()
    again = User(host, manager, user.address)
    again.edit(NEW)
    assert not again.opens_imap(OWN_PASSWORD)
    assert again.messages(NEW) == 0
    assert again.receives()
    assert again.messages(NEW) == 1


def test_a_removed_domain_ends_everybody_in_it_and_nobody_else(host, user, manager):
    with host.accounts.connected():
        domain = Domain.create(service=Service.get(), name="gone.example")
    there = [User(host, manager, f"{name}@gone.example") for name in ("one", "two")]
    waiting = [each.waits_in_idle(OWN_PASSWORD) for each in there]
    stays = user.waits_in_idle(OWN_PASSWORD)
    with host.accounts.connected():
        assert cuts_at_once(removals.remove_domain, UnitOfWork(host.ports), domain, True)
    assert all(each.seconds_until_dropped(2) < 2 for each in waiting)
    for each in there:
        assert not each.opens_imap(OWN_PASSWORD) and not each.receives()
    assert user.opens_imap(OWN_PASSWORD) and user.receives()
    assert stays.is_open()


def promote(host: MailHost, user: User) -> None:
    """They become a manager too, with a password that they chose."""
    with host.accounts.connected():
        user.account.write(must_change_password=False)
        managers.add(UnitOfWork(host.ports), user.address, None, Account.ADMINISTRATOR)


def test_a_manager_with_a_mailbox_reads_it_and_goes_on_reading_without_the_role(host, user, manager):
    promote(host, user)
    waiting = user.waits_in_idle(OWN_PASSWORD)
    for opens in (user.opens_imap, user.opens_pop3, user.opens_submission):
        assert opens(OWN_PASSWORD)
    with host.accounts.connected():
        managers.remove(UnitOfWork(host.ports), user.account)
    assert waiting.is_open() and user.opens_imap(OWN_PASSWORD)


def test_a_mailbox_that_a_manager_loses_is_shut_at_once_and_the_account_stays(host, user, manager):
    promote(host, user)
    waiting = user.waits_in_idle(OWN_PASSWORD)
    assert user.cuts_at_once(users.remove, user.address)
    assert waiting.seconds_until_dropped(2) < 2
    for opens in (user.opens_imap, user.opens_pop3, user.opens_submission):
        assert not opens(OWN_PASSWORD)
    assert not user.receives()
    with host.accounts.connected():
        left = Account.by_login(user.address)
        assert passwords.verify(host.ports.settings, left.password_hash, OWN_PASSWORD)


def test_offboarding_ends_everybody_and_mail_goes_on_arriving(host, user):
    with host.accounts.connected():
        wanted = WantedDevice("Phone", "smartphone", Device.IMAP)
        phone = devices.make(UnitOfWork(host.ports, user.actor), user.account, wanted, user.address).password
        person = Person("Mario", "Rossi", "mario@example.net", "mario")
        made = collaborations.make(UnitOfWork(host.ports, user.actor), user.account.mailbox, person, permissions.IMAP)
        hashed = passwords.hash_password(host.ports.settings, OWN_PASSWORD)
        Account.update(password_hash=hashed, state=Account.ACTIVE).where(Account.id == made.account_id).execute()
    mario = Login(host, made.account.login)
    connected = [user.waits_in_idle(OWN_PASSWORD), user.waits_in_idle(phone), mario.waits_in_idle(OWN_PASSWORD)]
    event = user.act(offboarding.end)
    assert all(each.seconds_until_dropped(2) < 2 for each in connected)
    for opens in (user.opens_imap, user.opens_pop3, user.opens_submission, user.opens_postfix, mario.opens_imap):
        assert not opens(OWN_PASSWORD)
    assert not user.opens_imap(phone)
    with host.accounts.connected():
        report = offboarding.report(user.account.mailbox, event.id)
        assert (len(report.programs), report.is_pending) == (3, False)
    assert user.receives()
    user.act(users.resume)
    assert not user.opens_imap(OWN_PASSWORD)
    assert not user.opens_imap(phone)
    assert not mario.opens_imap(OWN_PASSWORD)
