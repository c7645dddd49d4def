"""The outside world as the actions see it: what a mail server, a mailer, an SMS gateway … must be able to do.

The adapters implement these; `adapters.build` wires them and tests pass in-memory twins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from settings import Settings


@dataclass(frozen=True)
class Connection:
    """Mail programs connected now under one login and password, from one address, by one protocol.

    `user` is the account's name for the mail server (`Account.session_name`).
    """

    user: str
    protocol: str
    address: str
    count: int = 1
    # The device whose password opened them; 0 for the account's own password.
    device_id: int = 0
    # The webmail's session that opened them in place of the own password; 0 for none.
    credential_id: int = 0


@dataclass(frozen=True)
class Quota:
    """What a mailbox holds and may hold, in bytes as the mail server counts them; a limit of 0 means none."""

    used: int
    limit: int


class MailServerUnavailable(Exception):
    """The mail server did not answer, or not in a way that can be trusted. The text is a sentence for the operator."""


class MailerUnavailable(Exception):
    """The message was not accepted; sending it again later may succeed. The text is a sentence for the operator."""


class MessageRefused(Exception):
    """The message was refused for good (SMTP 5xx), or could not be written safely; sending it again cannot succeed."""


class PerhapsDelivered(Exception):
    """An e-mail or a text message was handed over whole, and what became of it was not answered: it may have been
    delivered, and sending it again may deliver it twice. The text is a sentence for the operator."""


class MailServer(Protocol):
    """What Postern asks of Dovecot. Every method raises `MailServerUnavailable`, at the latest after 2 seconds.

    A login is the mail server's name for an account: the address of a mailbox, or `address/c4` for a collaborator.
    """

    def connections(self, login: str) -> list[Connection]:
        """The mail programs connected now under this login."""

    def end_connections(self, login: str, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> None:
        """Cut connections of this login: those of its own password (0) with those that webmails opened in its place, of
        one device, or all of them (None); with a credential's number only those of that session of a webmail, with an
        address only those that come from there. Nobody being connected is success."""

    def version(self) -> str:
        """The release series that answers, such as "2.3"."""

    def user(self, address: str) -> dict[str, str] | None:
        """What the mail server's user database says of a mailbox (`home` …); None when it knows none."""

    def quotas(self, addresses: Sequence[str]) -> dict[str, Quota]:
        """What each of these mailboxes holds; without those that the mail server does not know. A hundred at a time."""


class Mailer(Protocol):
    """What Postern asks of SMTP."""

    def send(self, message: bytes, recipient: str) -> None:
        """Hand one message over for one recipient, byte for byte; raises `MailerUnavailable`, `MessageRefused` or
        `PerhapsDelivered`. It may wait for an answer for as long as SMTP allows: ten minutes, and more."""

    def takes_every_address(self) -> bool:
        """Whether the server takes addresses whose part before the @ is not ASCII (SMTPUTF8); raises
        `MailerUnavailable`."""


@dataclass(frozen=True)
class Letter:
    """A rendered message: what its recipient reads."""

    subject: str
    text: str
    html: str


class BreachedPasswords(Protocol):
    """A collection of passwords known from breaches."""

    def contain(self, password: str) -> bool:
        """Whether the password is known. False when the collection cannot be asked: its absence stops nobody."""


class LetterWriter(Protocol):
    """Renders `templates/messages/<name>.jinja` in a recipient's language."""

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        """The letter called `name`, filled with `facts`. Facts are data, never template source."""

    def part(self, name: str, part: str, language: str, facts: Mapping[str, object]) -> str:
        """One block of a message alone as plain text, such as its `sms`."""


@dataclass(frozen=True)
class ArchiveEntry:
    """A file in an archive. Its name can be read without the password: it must tell nothing."""

    name: str
    content: bytes


class ArchiveImpossible(Exception):
    """This kind of archive cannot be made on this host. The text is a sentence for the operator."""


class Archiver(Protocol):
    """Makes encrypted archives. A password protects only as much as it is hard to guess: 100 random bits or more."""

    def zip(self, entries: Iterable[ArchiveEntry], password: str) -> bytes:
        """A ZIP archive of these files in this order, encrypted with AES-256. They are taken one by one: thousands need
        not be in memory together."""

    def pdf(self, title: str, sections: Sequence[tuple[str, Sequence[tuple[str, str]]]], password: str) -> bytes:
        """A PDF document, encrypted with AES-256: a title, then sections with a heading and lines of label and value.

        Raises `ArchiveImpossible` where `makes_pdf` says so.
        """

    def makes_pdf(self) -> bool:
        """Whether this host can make PDF documents: they need fonts."""


class SmsUnavailable(Exception):
    """The message was not accepted; sending it again later may succeed. The text is a sentence for the operator."""


class SmsRefused(Exception):
    """The message was refused for good; sending it again cannot succeed. The text is a sentence for the operator."""


class SmsSender(Protocol):
    """What Postern asks of an SMS gateway."""

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        """Hand one message over; raises `SmsUnavailable`, `SmsRefused` or `PerhapsDelivered`.

        `to` is in the form of `phone_numbers.canonical`. `key` names the message for a gateway that sends none twice.
        The gateway reports the delivery by a GET of `report_url`, with `state` added to its query: 1 delivered,
        2 failed, 4 waiting, 8 accepted by the network, 16 refused by it (Kannel's numbers). The address must hold no
        percent sign. A gateway may report nothing, or several times, and in any order.
        """

    def check(self) -> None:
        """Whether it would take a message, as far as that can be told without sending one; raises `SmsUnavailable`."""


@dataclass(frozen=True)
class Ports:
    """Everything outside that an action may reach."""

    settings: Settings
    mail_server: MailServer
    mailer: Mailer
    letters: LetterWriter
    breaches: BreachedPasswords
    archiver: Archiver
    sms: SmsSender
