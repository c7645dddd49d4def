"""The encrypted archive of new passwords, its key, and how both reach the person who hands the passwords out.

The archive goes by e-mail and its key by text message, so that neither channel alone reveals anything. The database
keeps both encrypted until both have arrived, or for seven days.
"""

import base64
import csv
import hmac
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actions.devices import mail_programs
from actions.ground.encryption import derived_key, seal, seal_bytes, unseal, unseal_bytes
from actions.ground.message import Attachment
from actions.ground.ports import ArchiveEntry, MessageRefused, Ports, SmsRefused
from actions.outbox import mail, outbox
from actions.passwords import random_passwords
from actions.sessions import links
from database import transactional
from models import CredentialsArchive, OutboxItem, PasswordChange, PasswordChangeItem, now

DAY = 24 * 3600
KEPT = 7 * DAY
SECRETS, KEYS, ARCHIVES = "new passwords", "archive keys", "archives"
MEDIA_TYPES = {PasswordChange.ZIP: "application/zip", PasswordChange.PDF: "application/pdf"}
# With a byte order mark and CRLF, so that every version of Windows shows all scripts and line breaks.
TEXT = "utf-8-sig"
REPORT = re.compile(r"([0-9]{1,10})-([0-9]{1,10})-([A-Za-z0-9_-]{43})")
# A gateway's reports, in Kannel's numbers.
DELIVERED, FAILED = (1,), (2, 16)
REPORTED = (1, 2, 4, 8, 16)

QUEUED, RETRYING, SENT, ARRIVED, REFUSED = "queued", "retrying", "sent", "arrived", "refused"
# Handed over without an answer; perhaps to be tried again.
PERHAPS = "perhaps"


@dataclass(frozen=True)
class Credential:
    """An entry of the archive for one mailbox: a new password, or the token of a link to set one."""

    address: str
    secret: str
    name: str = ""


@dataclass(frozen=True)
class Delivery:
    """The progress of an e-mail or a text message. `trouble` is the last failure, in English for the operator; `at` and
    `next_try_at` are in seconds since the epoch."""

    state: str
    at: int | None = None
    trouble: str = ""
    next_try_at: int | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is tried, or tried again."""
        return self.state in (QUEUED, RETRYING) or self.state == PERHAPS and self.next_try_at is not None


@dataclass(frozen=True)
class Sealed:
    """An archive and its key, both encrypted."""

    content: str
    key: str


def sealed_secret(ports: Ports, secret: str) -> str:
    """A new password or a link's token, encrypted until it goes into the archive."""
    return seal(ports.settings.secret_key, SECRETS, {"secret": secret})


def unsealed_secret(ports: Ports, sealed: str) -> str:
    return unseal(ports.settings.secret_key, SECRETS, sealed)["secret"]


def pack(ports: Ports, change: PasswordChange, credentials: Iterable[Credential]) -> Sealed:
    """The archive of these credentials, with a fresh key. Consumes the credentials one by one, needs no database, and
    takes long."""
    key = random_passwords.archive_key()
    if change.archive_format == PasswordChange.PDF:
        title = ports.letters.part("credentials", "title", change.language, {})
        content = ports.archiver.pdf(title, [_section(_told(ports, change, each)) for each in credentials], key)
    else:
        content = ports.archiver.zip(_files(ports, change, credentials), key)
    secret_key = ports.settings.secret_key
    return Sealed(seal_bytes(secret_key, ARCHIVES, content), seal(secret_key, KEYS, {"key": key}))


def _told(ports: Ports, change: PasswordChange, credential: Credential) -> list[tuple[str, str]]:
    """The archive's text about one mailbox: lines of a label and a value, or of a sentence without a label. The first
    line is the heading."""
    facts = {
        "address": credential.address,
        "name": credential.name,
        "secret": _shown(ports, change, credential),
        "is_link": change.kind == PasswordChange.LINKS,
        "days": links.LIFETIMES[links.HANDED_OUT] // links.DAY,
        "must_change": change.must_change,
        "servers": mail_programs.recommended(ports.settings, credential.address, mail_programs.ALL_PROTOCOLS),
    }
    text = ports.letters.part("credentials", "entry", change.language, facts)
    lines = (line.partition("\t") for line in text.splitlines())
    return [(label, value) if tab else ("", label) for label, tab, value in lines]


def _shown(ports: Ports, change: PasswordChange, credential: Credential) -> str:
    if change.kind == PasswordChange.LINKS:
        return links.address(ports.settings, links.HANDED_OUT, credential.secret)
    return credential.secret


def _section(lines: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    (_, heading), *rest = lines
    return heading, [line for line in rest if any(line)]


def _files(ports: Ports, change: PasswordChange, credentials: Iterable[Credential]) -> Iterator[ArchiveEntry]:
    """A readable text for each mailbox, and one table of all mailboxes, in which no cell begins with a character that
    spreadsheets take for a formula. Archives do not encrypt file names, so the names are numbers."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["address", "link" if change.kind == PasswordChange.LINKS else "password"])
    for number, credential in enumerate(credentials, start=1):
        rows.writerow([credential.address, _shown(ports, change, credential)])
        yield ArchiveEntry(f"{number:04}.txt", _text(_told(ports, change, credential)))
    yield ArchiveEntry("list.csv", table.getvalue().encode(TEXT))


def _text(lines: list[tuple[str, str]]) -> bytes:
    return "".join(f"{label}: {value}\r\n" if label else f"{value}\r\n" for label, value in lines).encode(TEXT)


def keep(ports: Ports, change: PasswordChange, sealed: Sealed) -> None:
    """Store the archive, and put the e-mail and the text message into the outbox, within the caller's transaction."""
    CredentialsArchive.create(change=change, content=sealed.content, key=sealed.key)
    put_mail(ports, change)
    put_message(ports, change)


def put_mail(ports: Ports, change: PasswordChange) -> None:
    """Put the e-mail with the archive into the outbox, within the caller's transaction."""
    change.write(mails=change.mails + 1, mail_sent_at=None)
    outbox.put(ports, "credentials", _mail_key(change), {"change": change.id}, change.manager)


def put_message(ports: Ports, change: PasswordChange) -> None:
    """Put the text message with the archive's key into the outbox, within the caller's transaction."""
    change.write(messages=change.messages + 1, message_sent_at=None, message_delivered_at=None, message_failed_at=None)
    payload = {"change": change.id, "number": change.messages}
    outbox.put(ports, "credentials-sms", _message_key(change), payload, change.manager)


def _mail_key(change: PasswordChange) -> str:
    return f"credentials:{change.id}:{change.mails}"


def _message_key(change: PasswordChange) -> str:
    return f"credentials-sms:{change.id}:{change.messages}"


def send_mail(ports: Ports, item: OutboxItem, payload: dict) -> None:
    """Send the archive of the change that an outbox item names."""
    change, archive = _kept(payload["change"]) or _gone(MessageRefused)
    count = change.items.where(PasswordChangeItem.in_archive).count()
    facts = {
        "name": change.full_name,
        "domain": change.domain.name,
        "count": count,
        "phone": _masked(change.phone),
        "is_link": change.kind == PasswordChange.LINKS,
        "is_pdf": change.archive_format == PasswordChange.PDF,
        "by": change.manager_login,
    }
    letter = ports.letters.write("credentials", change.language, facts)
    content = unseal_bytes(ports.settings.secret_key, ARCHIVES, archive.content)
    file = Attachment(f"credentials.{change.archive_format}", MEDIA_TYPES[change.archive_format], content)
    mail.hand_over(ports, item, letter, change.email, file)
    _note(change, PasswordChange.mail_sent_at)


def send_message(ports: Ports, item: OutboxItem, payload: dict) -> None:
    """Send the archive's key by text message."""
    change, archive = _kept(payload["change"]) or _gone(SmsRefused)
    key = unseal(ports.settings.secret_key, KEYS, archive.key)["key"]
    text = ports.letters.part("credentials", "sms", change.language, {"key": key, "domain": change.domain.name})
    ports.sms.send(change.phone, text, item.key, report_address(ports, change, payload["number"]))
    _note(change, PasswordChange.message_sent_at)


def _kept(change_id: int) -> tuple[PasswordChange, CredentialsArchive] | None:
    change = PasswordChange.get_or_none(PasswordChange.id == change_id)
    archive = change and CredentialsArchive.get_or_none(CredentialsArchive.change == change)
    return (change, archive) if archive else None


def _gone(refusal: type[Exception]):
    raise refusal("The archive has been erased.")


def _masked(phone: str) -> str:
    """The last digits: enough to recognise the phone."""
    return f"••• {phone[-4:]}"


@transactional
def _note(change: PasswordChange, column) -> None:
    """Record that it was accepted, and erase what is no longer needed."""
    change.write(**{column.name: now()})
    erase_when_delivered(change)


def is_kept(change: PasswordChange) -> bool:
    """Whether the archive and its key can still be sent."""
    return CredentialsArchive.select().where(CredentialsArchive.change == change).exists()


def mail_delivery(change: PasswordChange) -> Delivery | None:
    """The progress of the e-mail; None before there is one."""
    if change.mail_sent_at:
        return Delivery(SENT, change.mail_sent_at)
    return _waiting(_mail_key(change)) if change.mails else None


def message_delivery(change: PasswordChange) -> Delivery | None:
    """The progress of the text message; None before there is one."""
    if change.message_delivered_at:
        return Delivery(ARRIVED, change.message_delivered_at)
    if change.message_failed_at:
        return Delivery(REFUSED, change.message_failed_at, "The network could not deliver it.")
    if change.message_sent_at:
        return Delivery(SENT, change.message_sent_at)
    return _waiting(_message_key(change)) if change.messages else None


def _waiting(key: str) -> Delivery:
    item = OutboxItem.get_or_none(OutboxItem.key == key)
    if item is None:
        return Delivery(REFUSED)
    if item.unanswered:
        return Delivery(PERHAPS, item.given_up_at, item.last_error, None if item.given_up_at else item.next_try_at)
    if item.given_up_at:
        return Delivery(REFUSED, item.given_up_at, item.last_error)
    if item.last_error:
        return Delivery(RETRYING, trouble=item.last_error, next_try_at=item.next_try_at)
    return Delivery(QUEUED)


def hurry(change: PasswordChange, delivery: Delivery | None, of_message: bool) -> bool:
    """Make a delivery that waits due at once, within the caller's transaction; False when nothing waits."""
    if delivery is None or not delivery.is_waiting:
        return False
    key = _message_key(change) if of_message else _mail_key(change)
    OutboxItem.update(next_try_at=now()).where(OutboxItem.key == key).execute()
    return True


def report_address(ports: Ports, change: PasswordChange, number: int) -> str:
    """The address to which the gateway reports the delivery of the text message with this number."""
    return f"{ports.settings.base_url}/sms/reports/{change.id}-{number}-{_signature(ports, change.id, number)}"


def _signature(ports: Ports, change_id: int, number: int) -> str:
    key = derived_key(ports.settings.secret_key, "delivery reports")
    made = hmac.new(key, f"{change_id}-{number}".encode(), "sha256").digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def reported(ports: Ports, token: str, state: int) -> bool:
    """Record a gateway's report about a text message; False for a token that was not made here.

    Reports come several times and in any order. What arrived has arrived, whichever message it was; a failure counts
    for the latest message only, and not after it arrived. Any report says that the gateway took the message, where it
    did not answer when it was handed over.
    """
    parts = REPORT.fullmatch(token)
    if parts is None or not hmac.compare_digest(parts[3], _signature(ports, int(parts[1]), int(parts[2]))):
        return False
    _take_note(int(parts[1]), int(parts[2]), state)
    return True


@transactional
def _take_note(change_id: int, number: int, state: int) -> None:
    change = PasswordChange.get_or_none(PasswordChange.id == change_id)
    if change is None or change.message_delivered_at:
        return
    if state in REPORTED:
        outbox.settle(f"credentials-sms:{change.id}:{number}")
        if number == change.messages and not change.message_sent_at:
            change.write(message_sent_at=now())
    if state in DELIVERED:
        change.write(message_delivered_at=now())
    elif state in FAILED and number == change.messages and not change.message_failed_at:
        change.write(message_failed_at=now())
    erase_when_delivered(change)


def erase_when_delivered(change: PasswordChange) -> None:
    """Erase the archive and its key once both have arrived and every mailbox is done, within the caller's
    transaction."""
    change = PasswordChange.get_by_id(change.id)
    if change.state in PasswordChange.OVER and change.mail_sent_at and change.message_delivered_at:
        erase(change)


def erase(change: PasswordChange) -> None:
    """Erase the archive, its key and every secret of the change, within the caller's transaction."""
    if not change.write(erased_at=now()):
        return
    CredentialsArchive.delete().where(CredentialsArchive.change == change).execute()
    PasswordChangeItem.update(secret="", new_hash=None, old_hash=None).where(
        PasswordChangeItem.change == change
    ).execute()
