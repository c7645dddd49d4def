"""The outside world as the actions see it: what a mail server, a mailer and a letter-writer must be able to do.

The adapters implement these; `postern.adapters.build` wires them and tests pass in-memory twins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from postern.settings import Settings


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


class MailServerUnavailable(Exception):
    """The mail server did not answer, or not in a way that can be trusted. The text is a sentence for the operator."""


class MailerUnavailable(Exception):
    """The message was not accepted; sending it again later may succeed. The text is a sentence for the operator."""


class MessageRefused(Exception):
    """The message was refused for good (SMTP 5xx); sending it again cannot succeed."""


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


class Mailer(Protocol):
    """What Postern asks of SMTP."""

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand one message over for one recipient; raises `MailerUnavailable` or `MessageRefused`."""


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
    """Renders `templates/messages/<name>/` in a recipient's language."""

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        """The letter called `name`, filled with `facts`. Facts are data, never template source."""


@dataclass(frozen=True)
class Ports:
    """Everything outside that an action may reach."""

    settings: Settings
    mail_server: MailServer
    mailer: Mailer
    letters: LetterWriter
    breaches: BreachedPasswords
