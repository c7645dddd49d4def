"""Collaborators for real: Dovecot and Postfix hold them to their permissions, on SQLite and on MariaDB."""

import contextlib
import imaplib
import itertools
import poplib
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.authority import permissions
from actions.authority.permissions import IMAP, POP3, READ, SEND, SETTINGS, WRITE
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.users import offboarding
from lab.accounts import CHEAP
from lab.mail_host import ELSEWHERE, OWN_PASSWORD, WEBMAIL, Login, MailHost
from lab.servers import HOST, Idle, Postfix, wait_until
from models import Account, Collaboration, Device, Organisation, Service
from tests.conftest import cuts_at_once

PASSWORD = "Collaborator-1"
SHIPPED = Path(__file__).parents[2] / "integrations" / "postfix"
READING, WRITING, FETCHING, SENDING = (
    {"read"},
    {"read", "flag", "append", "copy", "create", "delete", "expunge"},
    {"fetch by POP3", "delete by POP3"},
    {"submission", "postfix"},
)

# What each set of permissions opens from anywhere, and what besides from the webmail's host.
TABLE = {
    READ: (set(), READING),
    READ | WRITE: (set(), WRITING),
    READ | WRITE | SEND: (set(), WRITING | SENDING),
    READ | WRITE | SEND | IMAP: (WRITING | SENDING, WRITING | SENDING),
    READ | WRITE | SEND | POP3: (FETCHING | SENDING, FETCHING | SENDING | WRITING),
    READ | WRITE | SEND | IMAP | POP3: (WRITING | FETCHING | SENDING, WRITING | FETCHING | SENDING),
}
# Managing settings is the panel's business: the mail server knows nothing of it.
TABLE |= {granted | SETTINGS: opened for granted, opened in TABLE.items()}

numbers = itertools.count(1)


class Collaborator(Login):
    """Somebody who opens another's mailbox, written straight into the tables."""

    def __init__(self, host: MailHost, owner: Login, granted: int, password: str = PASSWORD):
        super().__init__(host, f"c{next(numbers)}/{owner.address}")
        self.owner = owner
        with host.accounts.connected():
            account = Account.create(
                login=self.address,
                role=Account.COLLABORATOR,
                contact_email="far@example.net",
                password_hash=CHEAP.hash(password),
            )
            mailbox = owner.account.mailbox
            Collaboration.create(account=account, mailbox=mailbox, permissions=granted, created_by_login=owner.address)

    @property
    def collaboration(self) -> Collaboration:
        return self.account.collaboration

    def act(self, action, *arguments) -> object:
        """What the owner does to them in the panel."""
        with self.host.accounts.connected():
            return cuts_at_once(action, UnitOfWork(self.host.ports, self.owner.actor), self.collaboration, *arguments)

    def add_device(self, protocols: int) -> str:
        with self.host.accounts.connected():
            account = self.account
            wanted = WantedDevice("Phone", "smartphone", protocols)
            return devices.make(UnitOfWork(self.host.ports, self.actor), account, wanted, f"{self.address}").password


@pytest.fixture(scope="module")
def host(mail_host: MailHost) -> MailHost:
    return mail_host


@pytest.fixture
def owner(host: MailHost) -> Login:
    return Login(host, host.add())


def deliver(host: MailHost, address: str) -> str:
    """A message by LMTP; its subject."""
    subject = f"message {next(numbers)}"
    with smtplib.LMTP(HOST, host.port("lmtp"), timeout=10) as lmtp:
        lmtp.sendmail("far@example.net", [address], f"Subject: {subject}\r\n\r\nHello\r\n".encode())
    return subject


class Mailbox:
    """What the owner sees."""

    def __init__(self, owner: Login):
        self.imap = owner.imap(OWN_PASSWORD)

    def count(self, folder: str = "INBOX") -> int:
        answer, [count] = self.imap.select(folder)
        return int(count) if answer == "OK" else 0

    def flagged(self) -> int:
        self.imap.select("INBOX")
        return len(self.imap.search(None, "FLAGGED")[1][0].split())

    def has_folder(self, name: str) -> bool:
        return bool(self.imap.list('""', name)[1][0])


def tried_by_imap(collaborator: Collaborator, source: str) -> set[str]:
    """What a session can bring about, each looked at through the owner's eyes: Dovecot answers OK to a STORE that it
    does not carry out."""
    try:
        imap = collaborator.imap(PASSWORD, source=source)
    except imaplib.IMAP4.error:
        return set()
    seen, done = Mailbox(collaborator.owner), set()
    folder, doomed = f"Folder{next(numbers)}", f"Doomed{next(numbers)}"
    subject = deliver(collaborator.host, collaborator.owner.address)
    before, copies = seen.count(), seen.count("Trash")
    seen.imap.create(doomed)

    try:
        imap.select("INBOX")
    except imaplib.IMAP4.readonly:
        # What imaplib would refuse to send from now on is what has to be tried.
        imap.is_readonly = True
    newest = str(before)
    if subject.encode() in imap.fetch(newest, "(BODY.PEEK[HEADER])")[1][0][1]:
        done.add("read")
    imap.store(newest, "+FLAGS", r"(\Flagged)")
    if seen.flagged():
        done.add("flag")
    imap.copy(newest, "Trash")
    if seen.count("Trash") > copies:
        done.add("copy")
    imap.append("INBOX", None, None, b"Subject: appended\r\n\r\nHello\r\n")
    if seen.count() > before:
        done.add("append")
    imap.create(folder)
    if seen.has_folder(folder):
        done.add("create")
    imap.delete(doomed)
    if not seen.has_folder(doomed):
        done.add("delete")
    present = seen.count()
    imap.store(newest, "+FLAGS", r"(\Deleted)")
    imap.expunge()
    if seen.count() < present:
        done.add("expunge")
    imap.logout()
    seen.imap.logout()
    return done


def tried_by_pop3(collaborator: Collaborator, source: str) -> set[str]:
    deliver(collaborator.host, collaborator.owner.address)
    try:
        pop3 = collaborator.pop3(PASSWORD, source)
    except poplib.error_proto:
        return set()
    before = pop3.stat()[0]
    pop3.retr(before)
    pop3.dele(before)
    pop3.quit()
    seen = Mailbox(collaborator.owner)
    deleted = {"delete by POP3"} if seen.count() < before else set()
    seen.imap.logout()
    return {"fetch by POP3"} | deleted


def tried_by_sending(collaborator: Collaborator, source: str) -> set[str]:
    host, done = collaborator.host, set()
    for listener, port in (("submission", host.port("submission")), ("postfix", host.postfix.port)):
        subject = f"sent {next(numbers)}"
        with smtplib.SMTP(HOST, port, timeout=10, source_address=(source, 0)) as smtp:
            try:
                smtp.login(collaborator.address, PASSWORD)
                message = f"Subject: {subject}\r\n\r\nHello\r\n".encode()
                smtp.sendmail(collaborator.owner.address, ["far@example.net"], message)
            except (smtplib.SMTPAuthenticationError, smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused):
                continue
        wait_until(lambda subject=subject: _is_sent(host, subject), "the mail is sent")
        done.add(listener)
    return done


def _is_sent(host: MailHost, subject: str) -> bool:
    return subject in [each.message["Subject"] for each in host.relay.messages]


@pytest.mark.parametrize("granted", TABLE, ids=lambda granted: "-".join(_words(granted)))
def test_each_permission_opens_what_it_says_and_nothing_more(host: MailHost, owner: Login, granted: int):
    assert permissions.completed(granted) == granted
    collaborator = Collaborator(host, owner, granted)
    for source, expected in zip((HOST, WEBMAIL), TABLE[granted], strict=True):
        tried = (tried_by_imap, tried_by_pop3, tried_by_sending)
        assert set().union(*(each(collaborator, source) for each in tried)) == expected, source
        # Filters could send mail on: they are the owner's alone.
        assert not collaborator.opens_sieve(PASSWORD, source=source)


def _words(granted: int) -> list[str]:
    names = {READ: "read", WRITE: "write", SEND: "send", IMAP: "imap", POP3: "pop3", SETTINGS: "settings"}
    return [name for permission, name in names.items() if granted & permission]


def test_somebody_who_only_says_to_be_the_webmail_is_refused(host: MailHost, owner: Login):
    reader = Collaborator(host, owner, READ)
    with pytest.raises(imaplib.IMAP4.error, match="webmail only"):
        reader.imap(PASSWORD, source=ELSEWHERE, originating_ip=WEBMAIL)
    assert reader.opens_imap(PASSWORD, source=WEBMAIL, originating_ip="198.51.100.7")


def test_nobody_gives_themselves_more_rights_in_the_mailbox(host: MailHost, owner: Login):
    reader = Collaborator(host, owner, READ)
    imap = reader.imap(PASSWORD, source=WEBMAIL)
    assert "ACL" not in imap.capabilities
    with pytest.raises(imaplib.IMAP4.error):
        imap.setacl("INBOX", reader.address, "lrwstipekxa")


def test_new_folders_make_no_error_in_the_log(host: MailHost, owner: Login):
    writer = Collaborator(host, owner, READ | WRITE)
    deliver(host, owner.address)
    for imap in (owner.imap(OWN_PASSWORD), writer.imap(PASSWORD, source=WEBMAIL)):
        folder = f"Folder{next(numbers)}"
        assert imap.create(folder)[0] == imap.create(f"{folder}/Below")[0] == "OK"
        imap.logout()
    assert not re.findall(r"Error: acl.*", host.dovecot.log)


def test_the_owner_is_held_to_nothing(host: MailHost, owner: Login):
    Collaborator(host, owner, READ)
    imap, subject = owner.imap(OWN_PASSWORD), deliver(host, owner.address)
    assert imap.select("INBOX") == ("OK", [b"1"])
    assert subject.encode() in imap.fetch("1", "(RFC822)")[1][0][1]
    imap.store("1", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    assert imap.select("INBOX") == ("OK", [b"0"])
    assert imap.create("Projects")[0] == imap.delete("Projects")[0] == "OK"


def test_passwords_do_not_open_the_logins_of_others(host: MailHost, owner: Login):
    collaborator, other = Collaborator(host, owner, READ | WRITE | SEND | IMAP), Login(host, host.add())
    assert not owner.opens_imap(PASSWORD)
    assert not collaborator.opens_imap(OWN_PASSWORD)
    stranger = Login(host, collaborator.address.replace(owner.address, other.address))
    assert not stranger.opens_imap(PASSWORD)


# --- who has no access ---

ALL = READ | WRITE | SEND | IMAP | POP3


@pytest.mark.parametrize("state", [Account.SUSPENDED, Account.LOCKED])
def test_while_the_owner_is_shut_out_so_are_the_collaborators(host: MailHost, owner: Login, state: str):
    collaborator = Collaborator(host, owner, ALL)
    host.accounts.set_state(owner.address, state)
    assert not collaborator.openings(PASSWORD, WEBMAIL)
    host.accounts.set_state(owner.address, Account.ACTIVE)
    assert collaborator.opens_imap(PASSWORD)


def test_a_suspended_service_shuts_them_out(host: MailHost, owner: Login):
    collaborator = Collaborator(host, owner, ALL)
    try:
        _set_service_state(host, Service.SUSPENDED)
        assert not collaborator.openings(PASSWORD, WEBMAIL)
    finally:
        _set_service_state(host, Service.ACTIVE)
    assert collaborator.opens_imap(PASSWORD)


def _set_service_state(host: MailHost, state: str) -> None:
    with host.accounts.connected():
        Service.update(state=state).execute()


# --- devices of collaborators ---


def test_a_collaborators_device_opens_the_mailbox_within_their_permissions(host: MailHost, owner: Login):
    collaborator = Collaborator(host, owner, READ | WRITE | SEND | IMAP)
    password, subject = collaborator.add_device(Device.IMAP | Device.SENDING), deliver(host, owner.address)
    imap = collaborator.imap(password, source=ELSEWHERE)
    imap.select("INBOX")
    assert subject.encode() in imap.fetch("1", "(RFC822)")[1][0][1]
    assert collaborator.openings(password) == {"imap", "submission", "postfix"}
    assert not owner.opens_imap(password)
    # A device that is left over when the permission goes would be of no use either.
    with host.accounts.connected():
        Collaboration.update(permissions=READ).where(Collaboration.id == collaborator.collaboration.id).execute()
    assert not collaborator.openings(password)


# --- in the middle of a session ---


def test_a_suspension_cuts_what_is_connected_and_leaves_others_alone(host: MailHost, owner: Login):
    collaborator, colleague = Collaborator(host, owner, ALL), Collaborator(host, owner, ALL)
    password = collaborator.add_device(Device.IMAP)
    own = [collaborator.waits_in_idle(PASSWORD), collaborator.waits_in_idle(password)]
    others = [owner.waits_in_idle(OWN_PASSWORD), colleague.waits_in_idle(PASSWORD)]
    smtp = smtplib.SMTP(HOST, host.port("submission"), timeout=10)
    smtp.login(collaborator.address, PASSWORD)
    smtp.mail(owner.address)

    assert collaborator.act(collaborations.reset)
    assert all(each.seconds_until_dropped(2) < 2 for each in own)
    with contextlib.suppress(smtplib.SMTPServerDisconnected):
        assert smtp.rcpt("far@example.net")[0] == 421
    assert all(map(Idle.is_open, others))
    assert not collaborator.openings(PASSWORD) | collaborator.openings(password)


@pytest.mark.parametrize("action", [collaborations.disable, collaborations.reset], ids=lambda each: each.__name__)
def test_postfix_lets_nobody_in_anew(host: MailHost, owner: Login, action):
    """A session that Postfix let in before goes on until it ends: nobody can end it from outside."""
    collaborator = Collaborator(host, owner, READ | WRITE | SEND | IMAP)
    assert collaborator.opens_postfix(PASSWORD)
    assert collaborator.act(action)
    assert not collaborator.opens_postfix(PASSWORD)


def test_other_permissions_are_in_force_at_once(host: MailHost, owner: Login):
    collaborator = Collaborator(host, owner, READ | WRITE | SEND | IMAP)
    waiting = collaborator.waits_in_idle(PASSWORD)
    assert collaborator.act(collaborations.change_permissions, READ)
    assert waiting.seconds_until_dropped(2) < 2
    assert not collaborator.openings(PASSWORD)
    assert tried_by_imap(collaborator, WEBMAIL) == READING


def test_the_panel_knows_what_a_collaborator_has_connected(host: MailHost, owner: Login):
    collaborator = Collaborator(host, owner, ALL)
    waiting = [collaborator.waits_in_idle(PASSWORD), owner.waits_in_idle(OWN_PASSWORD)]
    connections = host.ports.mail_server.connections
    with host.accounts.connected():
        names = [each.account.session_name for each in (collaborator, owner)]
    wait_until(lambda: all(connections(name) for name in names), "Dovecot counts both")
    for name, each in zip(names, waiting, strict=True):
        assert [(found.protocol, found.address, found.count) for found in connections(name)] == [("imap", HOST, 1)]
        host.ports.mail_server.end_connections(name, None)
        assert each.seconds_until_dropped(2) < 2


def test_nothing_of_a_password_is_logged(host: MailHost, owner: Login):
    collaborator = Collaborator(host, owner, ALL)
    collaborator.openings(PASSWORD)
    collaborator.openings("wrong-Password-9")
    assert PASSWORD not in host.dovecot.log + host.postfix.log
    assert "wrong-Password-9" not in host.dovecot.log + host.postfix.log


# --- devices of the mailbox's owner in a collaborator's hands ---


def put_into_one_organisation(owner: Login, other: Login) -> Organisation:
    """Only for somebody of the same organisation is a device made."""
    organisation = owner.account.mailbox.domain.service.organisation
    Account.update(organisation=organisation).where(Account.login.in_([owner.address, other.address])).execute()
    return organisation


def test_what_a_collaborator_knows_of_the_owners_devices_is_refused_once_they_are_disabled(
    host: MailHost, owner: Login
):
    collaborator = Collaborator(host, owner, READ | WRITE | SEND | IMAP | SETTINGS)
    by_mail = WantedDevice("Invited", "tablet", Device.IMAP)
    with host.accounts.connected():
        put_into_one_organisation(owner, collaborator)
        ports, anna, own, theirs = host.ports, owner.account, owner.actor, collaborator.actor
        hers = devices.make(
            UnitOfWork(ports, own), anna, WantedDevice("Hers", "laptop", Device.IMAP), f"{anna.login} hers"
        )
        taken = devices.make(
            UnitOfWork(ports, own), anna, WantedDevice("Taken", "laptop", Device.IMAP), f"{anna.login} taken"
        )
        taken = devices.change_password(UnitOfWork(ports, theirs), taken.device)
        invited = invitations.invite(UnitOfWork(ports, own), anna, by_mail, "x@elsewhere.example.com", mailed=False)
        invited = invitations.resend(UnitOfWork(ports, theirs), invited.invitation, mailed=False)
        accepted = invitations.accept(UnitOfWork(ports, Actor(address="192.0.2.1")), invited.invitation, proved=True)
        given = WantedDevice("Given", "smartphone", Device.IMAP, collaborator.address)
        given = devices.make(UnitOfWork(ports, own), anna, given, f"{anna.login} given")
    passwords = [taken.password, accepted.password, given.password]
    waiting = [owner.waits_in_idle(password) for password in passwords]
    others = [owner.waits_in_idle(hers.password), owner.waits_in_idle(OWN_PASSWORD)]

    assert collaborator.act(collaborations.disable)
    assert all(each.seconds_until_dropped(2) < 2 for each in waiting)
    assert not any(map(owner.opens_imap, passwords))
    assert all(map(Idle.is_open, others))
    assert owner.opens_imap(hers.password)


def test_who_only_reads_and_manages_settings_gets_no_password_that_imap_takes(host: MailHost, owner: Login):
    clerk = Collaborator(host, owner, READ | SETTINGS)
    with host.accounts.connected():
        wanted = WantedDevice("Assistant", "laptop", Device.IMAP | Device.SENDING)
        invited = invitations.invite(
            UnitOfWork(host.ports, owner.actor), owner.account, wanted, "x@elsewhere.example.com", mailed=False
        )
        made = devices.make(UnitOfWork(host.ports, owner.actor), owner.account, wanted, owner.address)
        for renew in (
            lambda: invitations.resend(UnitOfWork(host.ports, clerk.actor), invited.invitation, mailed=False),
            lambda: devices.change_password(UnitOfWork(host.ports, clerk.actor), made.device),
            lambda: devices.make(UnitOfWork(host.ports, clerk.actor), owner.account, wanted, clerk.address),
        ):
            with pytest.raises(Refused):
                renew()
        assert owner.account.devices.count() == 1
    assert owner.opens_imap(made.password)


def test_what_others_made_for_a_person_is_refused_once_all_access_of_theirs_is_ended(host: MailHost, owner: Login):
    leaver = Login(host, host.add())
    with host.accounts.connected():
        organisation = put_into_one_organisation(owner, leaver)
        manager = Account.create(login=f"manager-of-{leaver.address}", role=Account.OWNER, organisation=organisation)
        wanted = WantedDevice("For the leaver", "laptop", Device.IMAP, leaver.address)
        made = devices.make(UnitOfWork(host.ports, owner.actor), owner.account, wanted, leaver.address)
    waiting = owner.waits_in_idle(made.password)
    with host.accounts.connected():
        offboarding.end(UnitOfWork(host.ports, Actor(account=manager, address="192.0.2.1")), leaver.account.mailbox)
    assert waiting.seconds_until_dropped(2) < 2
    assert not owner.opens_imap(made.password)
    assert owner.opens_imap(OWN_PASSWORD)


@pytest.fixture(scope="module")
def submission_by_postfix(host: MailHost) -> Iterator[Postfix]:
    """Postfix with what the shipped files say of senders."""
    (owners,) = re.findall(r"^smtpd_sender_login_maps = .*$", (SHIPPED / "main.cf").read_text(), re.MULTILINE)
    (rule,) = re.findall(r"-o (smtpd_sender_restrictions=\S+)", (SHIPPED / "master.cf").read_text())
    sasl = f"inet:{host.ports.settings.postfix_sasl_socket}"
    with Postfix(sasl, host.relay.port, local_cf=f"{owners}\n{rule}\n") as postfix:
        yield postfix


def test_by_postfix_a_collaborator_sends_as_the_mailbox_only(host: MailHost, owner: Login, submission_by_postfix):
    sender = Collaborator(host, owner, READ | WRITE | SEND)
    for address, is_sent in ((owner.address, True), (sender.address, False), ("eve@example.org", False)):
        with smtplib.SMTP(HOST, submission_by_postfix.port, timeout=10, source_address=(WEBMAIL, 0)) as smtp:
            smtp.login(sender.address, PASSWORD)
            try:
                refused = smtp.sendmail(address, ["far@example.net"], b"Subject: x\r\n\r\nHello\r\n")
            except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused) as refusal:
                assert "not owned by" in str(refusal)
                refused = True
        assert (not refused) == is_sent
