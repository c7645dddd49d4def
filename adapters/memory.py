"""In-memory twins of the ports, for tests and for a demo without a mail server."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from actions.ground.ports import (
    ArchiveEntry,
    ArchiveImpossible,
    Connection,
    MailerUnavailable,
    MailServerUnavailable,
    PerhapsDelivered,
    Quota,
    RecipientRefused,
    Section,
    SmsRefused,
    SmsUnavailable,
)


class MemoryMailServer:
    """A mail server whose connections are a list."""

    def __init__(self, connections: list[Connection] | None = None):
        self.connected = connections or []
        self.held: dict[str, Quota] = {}
        self.is_down = False

    def connections(self, login: str) -> list[Connection]:
        self._answer()
        return [each for each in self.connected if each.user == login]

    def end_connections(self, login: str, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> None:
        self._answer()
        self.connected = [
            each for each in self.connected if not self._is_meant(each, login, device_id, address, credential_id)
        ]

    def version(self) -> str:
        self._answer()
        return "memory"

    def user(self, address: str) -> dict[str, str] | None:
        self._answer()
        return None

    def quotas(self, addresses: Sequence[str]) -> dict[str, Quota]:
        self._answer()
        return {address: self.held[address] for address in addresses if address in self.held}

    @staticmethod
    def _is_meant(each: Connection, login: str, device_id: int | None, address: str, credential_id: int) -> bool:
        is_password = device_id in (None, each.device_id) and credential_id in (0, each.credential_id)
        return each.user == login and is_password and address in ("", each.address)

    def _answer(self) -> None:
        if self.is_down:
            raise MailServerUnavailable("The mail server is down.")


class MemoryMailer:
    """A mailer that keeps what was sent, as its recipient's mail program reads it."""

    def __init__(self):
        self.sent: list[tuple[str, EmailMessage]] = []
        # The envelope's sender of each.
        self.senders: list[str] = []
        self.is_down = False
        # Takes what it is given and does not say so.
        self.is_silent = False
        self.international = True
        # The status with which it refuses each of these addresses, and what it says about it when it is asked.
        self.refused: dict[str, str] = {}

    def send(self, message: bytes, recipient: str, sender: str = "") -> None:
        if self.is_down:
            raise MailerUnavailable("The mailer is down.")
        if recipient in self.refused:
            raise RecipientRefused(self.refusal_of(sender, recipient), recipient, self.refused[recipient])
        self.senders.append(sender)
        # With the line ends of a machine, as a mailbox keeps it.
        self.sent.append((recipient, message_from_bytes(message.replace(b"\r\n", b"\n"), policy=default)))
        if self.is_silent:
            raise PerhapsDelivered("The mailer does not answer.")

    def takes_every_address(self) -> bool:
        if self.is_down:
            raise MailerUnavailable("The mailer is down.")
        return self.international

    def refusal_of(self, sender: str, recipient: str) -> str:
        if self.is_down:
            raise MailerUnavailable("The mailer is down.")
        return f"550 {self.refused[recipient]} Refused" if recipient in self.refused else ""


class NoBreachedPasswords:
    """The collection where the host did not switch the look-up on: it contains nothing."""

    def contain(self, password: str) -> bool:
        return False


@dataclass(frozen=True)
class MadeArchive:
    """What was put into an archive. `kind` is "zip" or "pdf"; a PDF has a title and sections in place of entries."""

    kind: str
    password: str
    entries: tuple[ArchiveEntry, ...] = ()
    title: str = ""
    sections: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


class MemoryArchiver:
    """An archiver that keeps what it was given; its archives are empty names such as `zip 1`."""

    def __init__(self):
        self.made: list[MadeArchive] = []
        self.has_fonts = True

    def zip(self, entries: Iterable[ArchiveEntry], password: str) -> bytes:
        return self._keep(MadeArchive("zip", password, tuple(entries)))

    def pdf(self, title: str, sections: Sequence[Section], password: str) -> bytes:
        if not self.has_fonts:
            raise ArchiveImpossible("There are no fonts.")
        kept = tuple((heading, tuple(lines)) for heading, lines in sections)
        return self._keep(MadeArchive("pdf", password, title=title, sections=kept))

    def document(self, title: str, sections: Sequence[Section]) -> bytes:
        return self.pdf(title, sections, "")

    def makes_pdf(self) -> bool:
        return self.has_fonts

    def _keep(self, made: MadeArchive) -> bytes:
        self.made.append(made)
        return f"{made.kind} {len(self.made)}".encode()


@dataclass(frozen=True)
class Sms:
    """A message that was sent."""

    to: str
    text: str
    key: str
    report_url: str = ""


class MemorySms:
    """An SMS gateway that keeps what was sent."""

    def __init__(self):
        self.sent: list[Sms] = []
        self.is_down = False
        self.refuses_all = False
        # Takes what it is given and does not say so.
        self.is_silent = False

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        if self.is_down:
            raise SmsUnavailable("The SMS gateway is down.")
        if self.refuses_all:
            raise SmsRefused("The SMS gateway refuses this number.")
        self.sent.append(Sms(to, text, key, report_url))
        if self.is_silent:
            raise PerhapsDelivered("The SMS gateway does not answer.")

    def check(self) -> None:
        if self.is_down:
            raise SmsUnavailable("The SMS gateway is down.")


class NoSms:
    """The gateway where the host has none. Who asks the settings first never gets here."""

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        self.check()

    def check(self) -> None:
        raise SmsUnavailable("There is no SMS gateway: set POSTERN_SMS_URL.")
