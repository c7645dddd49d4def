"""The outside world as the actions see it: what a mail server, a mailer, an SMS gateway … must be able to do.

The adapters implement these protocols; `adapters.build` wires them, and tests pass in-memory twins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from settings import Settings


@dataclass(frozen=True)
class Connection:
    """Mail programs that are connected now under one login and password, from one address, by one protocol.

    `user` is the account's name for the mail server (`Account.session_name`).
    """

    user: str
    protocol: str
    address: str
    count: int = 1
    # The device whose password opened them; 0 for the account's password.
    device_id: int = 0
    # The webmail credential that opened them in place of the account's password; 0 for none.
    credential_id: int = 0


@dataclass(frozen=True)
class Quota:
    """A mailbox's usage and limit, in bytes as the mail server counts them; a limit of 0 means no limit."""

    used: int
    limit: int


class MailServerUnavailable(Exception):
    """The mail server gave no answer, or none that can be trusted. The text is a sentence for the operator."""


class MailerUnavailable(Exception):
    """The message was not accepted; another attempt later may succeed. The text is a sentence for the operator."""


class MessageRefused(Exception):
    """The message was refused for good (SMTP 5xx), or could not be written safely; another attempt cannot succeed."""


class RecipientRefused(MessageRefused):
    """The message was refused for good because of the address that it went to. `status` is the reason as a number
    (RFC 3463), such as "5.1.1"."""

    def __init__(self, sentence: str, recipient: str, status: str):
        super().__init__(sentence)
        self.recipient, self.status = recipient, status


class PerhapsDelivered(Exception):
    """An e-mail or a text message was handed over whole, and what became of it was not answered: it may have been
    delivered, and sending it again may deliver it twice. The text is a sentence for the operator."""


class MailServer(Protocol):
    """What Postern needs from Dovecot. Every method raises `MailServerUnavailable`, after 2 seconds at the latest.

    A login is the mail server's name for an account: a mailbox's address, or `address/c4` for a collaborator.
    """

    def connections(self, login: str) -> list[Connection]:
        """The mail programs that are connected now under this login."""

    def end_connections(self, login: str, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> None:
        """Cut connections of this login: those by the account's password and by webmails in its place (0), those of one
        device, or all (None). A credential's number limits this to that webmail session, an address to connections from
        there. It is a success when nobody is connected, and a failure when somebody is whom the server does not end."""

    def version(self) -> str:
        """The release series of the server, such as "2.3"."""

    def user(self, address: str) -> dict[str, str] | None:
        """The entry for a mailbox in the mail server's user database (`home` …); None when there is none."""

    def quotas(self, addresses: Sequence[str]) -> dict[str, Quota]:
        """The quota of each of these mailboxes, a hundred at a time; omits those that the mail server does not know."""


class Mailer(Protocol):
    """What Postern needs from SMTP."""

    def send(self, message: bytes, recipient: str, sender: str = "") -> None:
        """Hand one message over for one recipient, byte for byte; raises `MailerUnavailable`, `MessageRefused` (or
        `RecipientRefused`, which is one) or `PerhapsDelivered`. `sender` is where it is returned to if it cannot be
        delivered; empty for the sender in the settings. It may wait for an answer for as long as SMTP allows: ten
        minutes, and more."""

    def takes_every_address(self) -> bool:
        """Whether the server takes addresses whose part before the @ is not ASCII (SMTPUTF8); raises
        `MailerUnavailable`."""

    def refusal_of(self, sender: str, recipient: str) -> str:
        """What the server says when it does not take mail from this address to that one; empty when it would take it.
        Nothing is sent. Raises `MailerUnavailable`."""


@dataclass(frozen=True)
class Picture:
    """A picture that an e-mail carries with it; its HTML shows it as `cid:` and this id."""

    content_id: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """A rendered e-mail: what its recipient reads."""

    subject: str
    text: str
    html: str
    picture: Picture | None = None


class BreachedPasswords(Protocol):
    """A collection of passwords known from breaches."""

    def contain(self, password: str) -> bool:
        """Whether the password is known. False when the collection cannot be queried: an outage must stop nobody."""


class LetterWriter(Protocol):
    """Renders `templates/messages/<name>.jinja` in a recipient's language."""

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        """The e-mail called `name`, filled with `facts`. Facts are data, never template source."""

    def part(self, name: str, part: str, language: str, facts: Mapping[str, object]) -> str:
        """One block of a message as plain text, such as its `sms`."""


@dataclass(frozen=True)
class ArchiveEntry:
    """A file in an archive. Its name is readable without the password, so it must reveal nothing."""

    name: str
    content: bytes


class ArchiveImpossible(Exception):
    """This kind of archive cannot be made on this host. The text is a sentence for the operator."""


# A heading, and labels with their values; a value may have several lines.
Section = tuple[str, Sequence[tuple[str, str]]]


class Archiver(Protocol):
    """Makes encrypted archives, and documents. A password must be hard to guess to protect them: 100 random bits or
    more."""

    def zip(self, entries: Iterable[ArchiveEntry], password: str) -> bytes:
        """A ZIP archive of these files in this order, encrypted with AES-256. It takes entries one by one: thousands of
        them need not be in memory together."""

    def pdf(self, title: str, sections: Sequence[Section], password: str) -> bytes:
        """A PDF document, encrypted with AES-256: a title, then sections with a heading and lines of label and value.

        Raises `ArchiveImpossible` where `makes_pdf` says so.
        """

    def document(self, title: str, sections: Sequence[Section]) -> bytes:
        """The same, for everybody to open: it is not encrypted. Raises as `pdf` does."""

    def makes_pdf(self) -> bool:
        """Whether this host can make PDF documents, which need fonts."""


class SmsUnavailable(Exception):
    """The message was not accepted; another attempt later may succeed. The text is a sentence for the operator."""


class SmsRefused(Exception):
    """The message was refused for good; another attempt cannot succeed. The text is a sentence for the operator."""


class SmsSender(Protocol):
    """What Postern needs from an SMS gateway."""

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        """Hand one message over; raises `SmsUnavailable`, `SmsRefused` or `PerhapsDelivered`.

        `to` is in the form of `phone_numbers.canonical`. `key` identifies the message for a gateway that removes
        duplicates. The gateway reports the delivery by a GET of `report_url`, with `state` added to its query: 1
        delivered, 2 failed, 4 waiting, 8 accepted by the network, 16 refused by it (Kannel's numbers). The address must
        not contain a percent sign. A gateway may report nothing, or several times, and in any order.
        """

    def check(self) -> None:
        """Check whether the gateway would accept a message, as far as possible without sending one; raises
        `SmsUnavailable`."""


@dataclass(frozen=True)
class Ports:
    """Everything outside that an action may use."""

    settings: Settings
    mail_server: MailServer
    mailer: Mailer
    letters: LetterWriter
    breaches: BreachedPasswords
    archiver: Archiver
    sms: SmsSender
