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
    """Mail programs connected now under one session user name, from one address, by one protocol."""

    user: str
    protocol: str
    address: str
    count: int = 1


class MailServerUnavailable(Exception):
    """The mail server did not answer, or not in a way that can be trusted. The text is a sentence for the operator."""


class MailerUnavailable(Exception):
    """The message was not accepted; sending it again later may succeed. The text is a sentence for the operator."""


class MessageRefused(Exception):
    """The message was refused for good (SMTP 5xx); sending it again cannot succeed."""


class MailServer(Protocol):
    """What Postern asks of Dovecot. Every method raises `MailServerUnavailable`, at the latest after 2 seconds."""

    def connections(self, login: str) -> list[Connection]:
        """The mail programs connected now under this login."""

    def end_connections(self, login: str) -> None:
        """Cut every connection of this login. Nobody being connected is success."""

    def end_connections_from(self, login: str, address: str) -> None:
        """Cut this login's connections that come from one IP address."""


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
