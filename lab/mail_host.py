"""A whole mail host: Dovecot with the generated configuration, Postfix that asks it about every login, and a relay."""

import base64
import contextlib
import dataclasses
import imaplib
import itertools
import poplib
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

from actions.ground.actor import Actor
from actions.ground.ports import Ports
from adapters.dovecot.doveadm import DoveadmMailServer
from adapters.letters import TemplateLetters
from adapters.memory import MemoryArchiver, MemoryMailer, MemorySms, NoBreachedPasswords
from lab.accounts import DOVECOT_ACCOUNT, Accounts, grant
from lab.servers import (
    HOST,
    REFUSE_QUICKLY,
    Dovecot,
    Idle,
    MailSink,
    MariaDB,
    Pop3From,
    Postfix,
    free_port,
    idle,
    imap_accepts,
    imap_login,
    mail_settings,
)
from models import Account
from settings import Settings

OWN_PASSWORD = "Right-Password-1"
WEBMAIL, ELSEWHERE = "127.0.0.2", "127.0.0.3"
WAYS = ("imap", "pop3", "submission", "postfix", "sieve")

numbers = itertools.count(1)


@dataclasses.dataclass
class MailHost:
    dovecot: Dovecot
    postfix: Postfix
    relay: MailSink
    accounts: Accounts
    ports: Ports

    def port(self, name: str) -> int:
        return self.dovecot.port(name)

    def add(self, quota_bytes: int = 0) -> str:
        """The address of a new mailbox with `OWN_PASSWORD`."""
        address = f"person{next(numbers)}@example.org"
        self.accounts.add(address, OWN_PASSWORD, quota_bytes=quota_bytes)
        return address


class Login:
    """What somebody signs in with, and what it opens with which password."""

    def __init__(self, host: MailHost, address: str):
        self.host, self.address = host, address

    @property
    def account(self) -> Account:
        return Account.by_login(self.address)

    @property
    def actor(self) -> Actor:
        return Actor(account=self.account, address="192.0.2.1")

    def imap(self, password: str | bytes, **named: str) -> imaplib.IMAP4:
        return imap_login(self.host.port("imap"), self.address, password, **named)

    def waits_in_idle(self, password: str, **named: str) -> Idle:
        return idle(self.imap(password, **named))

    def opens_imap(self, password: str | bytes, **named: str) -> bool:
        return imap_accepts(self.host.port("imap"), self.address, password, **named)

    def pop3(self, password: str, source: str = HOST) -> poplib.POP3:
        connection = Pop3From(self.host.port("pop3"), source)
        connection.user(self.address)
        connection.pass_(password)
        return connection

    def opens_pop3(self, password: str, source: str = HOST) -> bool:
        try:
            self.pop3(password, source).quit()
        except poplib.error_proto:
            return False
        return True

    def opens_submission(self, password: str, source: str = HOST) -> bool:
        return self._opens_smtp(self.host.port("submission"), password, source)

    def opens_postfix(self, password: str, source: str = HOST) -> bool:
        return self._opens_smtp(self.host.postfix.port, password, source)

    def opens_sieve(self, password: str, source: str = HOST) -> bool:
        with socket.create_connection((HOST, self.host.port("sieve")), 10, source_address=(source, 0)) as connection:
            stream = connection.makefile("rwb")
            answers = (line.split()[0] for line in stream)
            assert b"OK" in answers
            stream.write(b'AUTHENTICATE "PLAIN" "%s"\r\n' % plain(self.address, password))
            stream.flush()
            return next(answers) == b"OK"

    def openings(self, password: str, source: str = HOST) -> set[str]:
        """The protocols that let this password in."""
        return {way for way in WAYS if getattr(self, f"opens_{way}")(password, source=source)}

    def _opens_smtp(self, port: int, password: str, source: str) -> bool:
        with smtplib.SMTP(HOST, port, timeout=10, source_address=(source, 0)) as smtp:
            smtp.ehlo()
            return smtp.docmd("AUTH PLAIN", plain(self.address, password).decode())[0] == 235


def plain(address: str, password: str) -> bytes:
    """The secret of SASL PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{address}\0{password}".encode())


def ports_of(settings: Settings) -> Ports:
    """The real mail server, and twins of all else."""
    return Ports(
        settings,
        DoveadmMailServer(settings.doveadm_url, settings.doveadm_key, settings.dovecot_version),
        MemoryMailer(),
        TemplateLetters(settings),
        NoBreachedPasswords(),
        MemoryArchiver(),
        MemorySms(),
    )


@contextlib.contextmanager
def running_mail_host(
    database_url: str, server: MariaDB | None, instance: Path, submission_relay: str = "", **changes: object
) -> Iterator[MailHost]:
    """On MariaDB, Dovecot reads and writes with the account that `grants` makes. Its submission service hands mail to
    the relay, or to `submission_relay`. `changes` are settings that differ."""
    accounts = Accounts(database_url)
    with MailSink() as relay:
        settings = mail_settings(
            database_url,
            instance,
            mail_from="postern@example.org",
            submission_relay=submission_relay or f"{HOST}:{relay.port}",
            postfix_sasl_socket=f"{HOST}:{free_port()}",
            webmail_hosts=(WEBMAIL, "127.16.0.0/14", "127.0.4.32/29", "2001:db8::/126"),
            **DOVECOT_ACCOUNT | changes,
        )
        if server is not None:
            grant(server, settings)
        with (
            Dovecot(settings, REFUSE_QUICKLY) as dovecot,
            Postfix(f"inet:{settings.postfix_sasl_socket}", relay.port) as postfix,
        ):
            yield MailHost(dovecot, postfix, relay, accounts, ports_of(settings))
