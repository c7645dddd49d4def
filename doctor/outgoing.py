"""Outgoing e-mail, text messages, and the archives that are sent."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from actions.ground.ports import MailerUnavailable, Ports, SmsUnavailable
from actions.outbox import return_path
from doctor.findings import Finding, fine, judged, wrong
from models import Account, DeviceInvitation, Mailbox, now
from settings import is_loopback_host

RETURNED = (
    "With POSTERN_BOUNCE_ADDRESS, as “E-mails that come back” in docs/operating.md says, the panel shows whose contact"
    " address takes none."
)


def smtp(ports: Ports) -> Iterator[Finding]:
    try:
        yield from _addresses(ports)
        yield _returned(ports)
    except MailerUnavailable as trouble:
        yield wrong("SMTP", str(trouble), "Check POSTERN_SMTP_URL, and whether the server runs.")


def login_in_clear(ports: Ports) -> Iterator[Finding]:
    """The password of the settings, on its way to another machine."""
    parts = urlsplit(ports.settings.smtp_url)
    if parts.scheme == "smtp" and parts.username and not is_loopback_host(parts.hostname or ""):
        yield wrong(
            "SMTP login",
            f"The password for {parts.hostname} is sent unencrypted.",
            "Let POSTERN_SMTP_URL begin with smtp+starttls:// or smtps://.",
        )


def sms(ports: Ports) -> Iterator[Finding]:
    if not ports.settings.has_sms:
        yield fine("SMS", "There is no SMS gateway: POSTERN_SMS_URL is not set.")
        return
    try:
        ports.sms.check()
    except SmsUnavailable as trouble:
        yield wrong("SMS", str(trouble), "Check the gateway and POSTERN_SMS_URL.")
        return
    yield fine("SMS", "The SMS gateway answers.")


def archives(ports: Ports) -> Iterator[Finding]:
    trouble = f"PDF archives need the DejaVu fonts, and {ports.settings.archive_fonts} does not have them."
    mend = "Install fonts-dejavu-core, or set POSTERN_ARCHIVE_FONTS. ZIP archives work without them."
    can = ports.archiver.makes_pdf()
    yield judged("archives", "" if can else trouble, mend, "Archives can be created as ZIP and as PDF.")


def _addresses(ports: Ports) -> Iterator[Finding]:
    """Whether the SMTP server takes every address that is stored: earlier versions took what not every server does."""
    affected = [address for address in _written_to() if not address.rpartition("@")[0].isascii()]
    if not affected:
        return
    trouble = (
        f"{len(affected)} contact address(es) or invitation(s) are not plain ASCII before the @, such as {affected[0]},"
        " and the SMTP server takes none of them (it has no SMTPUTF8)."
    )
    mend = "Give these people another contact e-mail, or let the SMTP server take SMTPUTF8."
    takes_them = ports.mailer.takes_every_address()
    yield judged("contact addresses", "" if takes_them else trouble, mend, "The SMTP server takes every one.")


def _written_to() -> Iterator[str]:
    """The addresses that people entered, to which e-mails go."""
    contacts = Account.select(Account.contact_email).where(Account.contact_email != "")
    invited = DeviceInvitation.select(DeviceInvitation.email).where(
        DeviceInvitation.email != "", DeviceInvitation.expires_at > now()
    )
    for query in (contacts, invited):
        yield from (address for (address,) in query.tuples().iterator())


def _returned(ports: Ports) -> Finding:
    """Whether e-mails that cannot be delivered come back to where somebody learns of it."""
    subject, settings = "returned e-mails", ports.settings
    if settings.keeps_mail:
        return fine(subject, "This demo keeps its e-mails, so none comes back.")
    plain = settings.bounce_address or settings.sender_address
    asked = return_path.with_token(settings, "test") if settings.bounce_address else plain
    if refusal := ports.mailer.refusal_of(asked, asked):
        sentence = f"They vanish, because the SMTP server takes no mail for {asked} (it says {refusal})."
        return wrong(subject, sentence, RETURNED)
    if settings.bounce_address and Mailbox.by_address(plain.lower()):
        return wrong(subject, f"{plain} is also a mailbox.", "Set POSTERN_BOUNCE_ADDRESS to an address of its own.")
    unread = "" if settings.bounce_address else f" Somebody must read them there. {RETURNED}"
    return fine(subject, f"The SMTP server takes mail for {asked}.{unread}")
