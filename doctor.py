"""Examine an installation: what is wrong, and how to fix it."""

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

import requests
from cryptography.fernet import InvalidToken
from peewee import PeeweeException

from actions.ground import phone_numbers
from actions.ground.addresses import receiver
from actions.ground.ports import MailerUnavailable, MailServerUnavailable, Ports, SmsUnavailable
from actions.outbox import return_path
from actions.passwords import mail_policy
from actions.webmails import webmail_tokens, webmails
from adapters import milter, postfix
from adapters.dovecot import config as dovecot_config
from adapters.dovecot.config import ConfigurationError
from adapters.postfix import PostfixUnknown
from blueprints.web.assets import missing_vendor_files
from database import first_damage, is_mysql, pending_migrations, sqlite_file, sqlite_mode
from models import Account, DeviceInvitation, FormerAddress, Mailbox, OutboxItem, Webmail, now
from settings import Settings, file_rights, is_loopback_host, is_open_to_others, unknown_variables

STUCK_AFTER = 600
MOST_NAMED = 10
RETURNED = (
    "With POSTERN_BOUNCE_ADDRESS, as “E-mails that come back” in docs/operating.md says, the panel shows whose contact"
    " address takes none."
)
# Seconds that the doctor waits for an answer: without one by then, Dovecot lets the person in.
DOVECOT_WAITS, PATIENCE = 0.2, 2
# Where Postfix takes submission when Dovecot does not.
POSTFIX_SUBMISSION = {587, 465}


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and the sentence that says how to fix it."""

    subject: str
    well: bool
    sentence: str


def examine(ports: Ports) -> Iterator[Finding]:
    """Every finding, in the order in which to fix them."""
    yield from _settings(ports.settings)
    yield from _files(ports.settings)
    database = list(_database())
    yield from database
    if all(finding.well for finding in database):
        if ports.settings.has_mail_server:
            yield _dovecots_account(ports.settings)
        yield from _mail_server(ports)
        yield from _policy(ports.settings)
        yield from _submission(ports.settings)
        yield from _delimited(ports.settings)
        yield from _without_messages()
        yield from _outbox()
        yield from _smtp(ports)
        yield from _webmails(ports.settings)
    yield from _sms(ports)
    yield _archives(ports)
    if missing := missing_vendor_files():
        yield Finding(
            "scripts",
            False,
            f"Missing: {', '.join(missing)}. Run scripts/vendor; without them, pages work in a plainer form.",
        )


def _settings(settings: Settings) -> Iterator[Finding]:
    problems = settings.findings()
    yield Finding("settings", not problems, " ".join(problems) or "The settings are complete and safe.")
    unknown = ", ".join(unknown_variables(os.environ))
    if unknown:
        yield Finding("environment", False, f"There is no such setting: {unknown}. Correct the name or remove it.")
    https = settings.is_https or settings.is_loopback
    yield Finding(
        "base URL",
        https,
        f"{settings.base_url} uses https."
        if settings.is_https
        else f"{settings.base_url} is a loopback address: fine for trying things out."
        if https
        else "POSTERN_BASE_URL must begin with https://, or passwords are sent unencrypted.",
    )


def _files(settings: Settings) -> Iterator[Finding]:
    for file in _secrets(settings):
        readers = _readers(settings, file)
        mend = f"{readers} may read it: chmod 600 {file}"
        yield Finding(str(file), not readers, mend if readers else "Only its owner may read it.")
    if settings.database_url.startswith("sqlite:"):
        file = sqlite_file(settings.database_url)
        if file.exists():
            open_to_others = is_open_to_others(file)
            mend = f"Others on this machine may read it: chmod {sqlite_mode(file):o} {file}"
            yield Finding(
                str(file), not open_to_others, mend if open_to_others else "Only its owner and group may read it."
            )


def _secrets(settings: Settings) -> list[Path]:
    names = ("secret.key", "doveadm.key", "postern.toml", "demo-accounts.txt")
    return [file for file in map(settings.instance.joinpath, names) if file.exists()]


def _readers(settings: Settings, file: Path) -> str:
    """Who besides the panel may read a file, in words; the empty text for nobody."""
    if is_open_to_others(file):
        return "Others on this machine"
    return ", ".join(file_rights.shared_with(file, besides=settings.instance.stat().st_uid))


def _dovecots_account(settings: Settings) -> Finding:
    """Whether what Dovecot reads the database as may do less than the panel."""
    try:
        mend = _mysql_account_trouble(settings) if is_mysql() else _system_user_trouble(settings)
    except ConfigurationError as trouble:
        mend = str(trouble)
    return Finding("Dovecot's account", not mend, mend or "Dovecot reads the database with its own account.")


def _mysql_account_trouble(settings: Settings) -> str:
    if settings.dovecot_mysql_user:
        return ""
    return (
        "Dovecot reads the database with Postern's own account, which has all rights: set"
        " POSTERN_DOVECOT_MYSQL_USER and _PASSWORD, and run “flask dovecot config”."
    )


def _system_user_trouble(settings: Settings) -> str:
    user = dovecot_config.database_user(settings)
    try:
        known = _known_to(user, settings)
    except KeyError:
        return f"Dovecot should read the database as {user}, but this machine has no such system user."
    return known and (
        f"Dovecot reads the database as {user}, who may read {known}: give Dovecot its own system user, as “Who reads"
        " and writes the SQLite file” in docs/operating.md says."
    )


def _known_to(user: str, settings: Settings) -> str:
    """What a system user may read of the panel's secrets, in words; the empty text for nothing."""
    if pwd.getpwnam(user).pw_uid == settings.instance.stat().st_uid:
        return "everything that the panel may read"
    groups = file_rights.groups_of(user)
    files = _secrets(settings)
    return ", ".join(file.name for file in files if file_rights.may(user, groups, file, file_rights.READ))


def _database() -> Iterator[Finding]:
    try:
        missing, damage = pending_migrations(), first_damage()
    except PeeweeException as trouble:
        yield Finding("database", False, f"The database does not answer: {trouble}. Check POSTERN_DATABASE_URL.")
        return
    mend = f"The database file is damaged ({damage}): stop Postern and Dovecot, and restore a backup."
    yield Finding("database", not damage, mend if damage else "The database answers.")
    mend = f"{len(missing)} migration(s) are missing: run “flask db upgrade”."
    yield Finding("migrations", not missing, mend if missing else "The database is up to date.")


def _mail_server(ports: Ports) -> Iterator[Finding]:
    settings = ports.settings
    if not settings.has_mail_server:
        yield Finding("Dovecot", True, "This demo has no mail server: POSTERN_DOVEADM_URL is not set.")
        return
    try:
        yield from _dovecot_reads(ports)
    except MailServerUnavailable as trouble:
        yield Finding(
            "Dovecot",
            False,
            f"{trouble} Check that Dovecot runs with what “flask dovecot config” writes, and POSTERN_DOVEADM_URL.",
        )


def _dovecot_reads(ports: Ports) -> Iterator[Finding]:
    mailbox = Mailbox.select().order_by(Mailbox.id.desc()).first()
    known = ports.mail_server.user(mailbox.address) if mailbox else ports.mail_server.connections("nobody@example.org")
    yield Finding("Dovecot", True, "Dovecot answers.")
    yield _dovecot_version(ports)
    if mailbox is None:
        yield Finding("Dovecot's database", True, "There is no mailbox yet to look up; add one and run this again.")
        return
    home = str((known or {}).get("home", ""))
    reads = home.endswith(mailbox.home)
    mend = (
        f"Dovecot does not know {mailbox.address} as Postern does, so it reads another database. Write its"
        " configuration again with “flask dovecot config” and reload it."
    )
    yield Finding("Dovecot's database", reads, f"Dovecot knows {mailbox.address}." if reads else mend)
    yield from _former_addresses(ports)


def _former_addresses(ports: Ports) -> Iterator[Finding]:
    """Whether mail to former addresses arrives: Dovecot's configuration may be older than they are."""
    former = FormerAddress.living().first()
    if former is None:
        return
    known = ports.mail_server.user(former.address) or {}
    arrives = str(known.get("home", "")).endswith(former.mailbox.home)
    mend = (
        f"Mail to {former.address} should still arrive at {former.mailbox.address}, but Dovecot refuses it. Write its"
        " configuration again with “flask dovecot config”, with the rights that it prints, and reload Dovecot."
    )
    yield Finding("former addresses", arrives, f"Mail to {former.address} still arrives." if arrives else mend)


def _dovecot_version(ports: Ports) -> Finding:
    """With the wrong one no connection can be ended."""
    expected, present = ports.settings.dovecot_version, ports.mail_server.version()
    if not expected:
        return Finding("Dovecot's version", True, f"Dovecot {present} answers.")
    mend = f"Dovecot {present} answers: set POSTERN_DOVECOT_VERSION={present} and write its configuration again."
    well = present == expected
    return Finding("Dovecot's version", well, f"Dovecot {present}, as the settings say." if well else mend)


def _policy(settings: Settings) -> Iterator[Finding]:
    """Whether wrong passwords by mail programs are counted: everybody is let in while nobody answers."""
    subject = "guesses by mail"
    if not settings.has_mail_server or not settings.dovecot_asks:
        yield Finding(subject, True, "Dovecot does not ask the panel: POSTERN_DOVECOT_POLICY_URL says no.")
        return
    trouble = _policy_trouble(settings)
    url = mail_policy.address(settings)
    yield Finding(subject, not trouble, trouble or f"{url} answers as quickly as Dovecot requires.")
    unasked = mail_policy.let_in_unasked()
    mend = (
        "Dovecot lets people in without asking the panel, so wrong passwords are not counted: look for “policy” in its"
        " log, write its configuration again with “flask dovecot config” and reload it."
    )
    yield Finding("Dovecot's questions", not unasked, mend if unasked else "Dovecot asks before it lets people in.")


def _policy_trouble(settings: Settings) -> str:
    url, headers = mail_policy.address(settings), {"Authorization": mail_policy.authorization(settings)}
    asked = {"login": "", "remote": "", "shape": mail_policy.DEVICE_SHAPED}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answers = [session.post(url, json=asked, headers=headers, timeout=PATIENCE) for _ in range(3)]
            answers = [answer for answer in answers if answer.json() == {"status": 0, "msg": ""}]
        except requests.RequestException:
            answers = []
    if not answers:
        return (
            f"{url} does not answer Dovecot, so wrong passwords in mail programs are not counted: see the nginx section"
            " of the guide, and POSTERN_DOVECOT_POLICY_URL."
        )
    if min(answer.elapsed.total_seconds() for answer in answers) > DOVECOT_WAITS:
        return f"{url} takes longer than the 0.2 seconds that Dovecot waits: wrong passwords are counted late or never."
    return ""


def _submission(settings: Settings) -> Iterator[Finding]:
    """Whether those who submit mail are held to their own address, as far as Postfix's configuration tells."""
    if not settings.has_mail_server:
        return
    subject = "sender addresses"
    relay, _, port = settings.submission_relay.rpartition(":")
    by_dovecot = bool(settings.mail_ports["submission"] or settings.mail_ports["submissions"])
    asked = {int(port)} if by_dovecot and port.isdigit() else POSTFIX_SUBMISSION
    unknown = "Whether people can write as anybody is not known:"
    if by_dovecot and not is_loopback_host(relay.strip("[]")):
        yield Finding(subject, True, f"{unknown} Dovecot hands mail to {settings.submission_relay}, another machine.")
        return
    try:
        found = postfix.services(asked, "smtpd_milters", "milter_default_action", "smtpd_authorized_xclient_hosts")
    except PostfixUnknown as trouble:
        yield Finding(subject, True, f"{unknown} {trouble}")
        return
    if not found:
        listened = " or ".join(map(str, sorted(asked)))
        yield Finding(subject, True, f"{unknown} this machine's Postfix has no service on port {listened}.")
    for service in found:
        mend = _sender_trouble(service, by_dovecot)
        yield Finding(subject, not mend, mend or f"Postfix's service {service.name} asks who may write as whom.")


def _sender_trouble(service: postfix.Service, by_dovecot: bool) -> str:
    milters = service.parameters["smtpd_milters"].replace(",", " ").split()
    see = "see “Who may write as whom” in docs/operating.md."
    if not milters:
        return f"Whoever signs in can write as anybody: Postfix's service {service.name} has no smtpd_milters; {see}"
    if by_dovecot and not service.parameters["smtpd_authorized_xclient_hosts"]:
        return (
            "Whoever signs in can write as anybody: Dovecot hands mail to Postfix's service"
            f" {service.name}, which does not learn who signed in (smtpd_authorized_xclient_hosts); {see}"
        )
    if service.parameters["milter_default_action"] == "accept":
        return (
            f"Postfix's service {service.name} lets people write as anybody while “flask sender-check” does not answer:"
            " set milter_default_action=tempfail."
        )
    if not any(map(_is_sender_check, milters)):
        return (
            f"“flask sender-check” does not answer where Postfix's service {service.name} asks ({' '.join(milters)}):"
            f" start it, and name its port there; {see}"
        )
    return ""


def _is_sender_check(place: str) -> bool:
    kind, _, address = place.partition(":")
    host, _, port = address.rpartition(":")
    return kind == "inet" and port.isdigit() and milter.answers((host, int(port)))


def _delimited(settings: Settings) -> Iterator[Finding]:
    """Mailboxes that were made before the delimiter was known, or while it was another one: none of their mail reaches
    them."""
    delimiter = settings.recipient_delimiter
    every = Mailbox.select(Mailbox.address).order_by(Mailbox.address).tuples().iterator()
    affected = [address for (address,) in every if receiver(address, delimiter) != address]
    if not affected:
        return
    named = ", ".join(affected[:MOST_NAMED]) + (", …" if len(affected) > MOST_NAMED else "")
    mend = (
        f"{len(affected)} mailbox(es) contain “{delimiter}” before the @, so mail to them goes to the address without"
        f" what follows it: {named}. Give these people another address, or set POSTERN_RECIPIENT_DELIMITER to another"
        " sign and write Dovecot's configuration again."
    )
    yield Finding("addresses", False, mend)


def _without_messages() -> Iterator[Finding]:
    """Phone numbers that earlier versions took, and no text message can reach."""
    every = Account.select(Account.login, Account.phone).where(Account.phone != "").order_by(Account.login)
    affected = [login for login, phone in every.tuples().iterator() if not phone_numbers.takes_messages(phone)]
    if not affected:
        return
    named = ", ".join(affected[:MOST_NAMED]) + (", …" if len(affected) > MOST_NAMED else "")
    mend = (
        f"{len(affected)} account(s) have a landline or another number that no text message can reach: {named}. Give"
        " these people the number of a mobile phone."
    )
    yield Finding("phone numbers", False, mend)


def _outbox() -> Iterator[Finding]:
    late = OutboxItem.open_items().where(OutboxItem.created_at < now() - STUCK_AFTER)
    oldest = late.order_by(OutboxItem.created_at).first()
    if oldest is None:
        yield Finding("outbox", True, "Nothing has been waiting for long.")
        return
    reason = oldest.last_error or "No attempt was made: is “flask worker” running?"
    yield Finding(
        "outbox", False, f"{late.count()} item(s) have been waiting for more than ten minutes. The oldest: {reason}"
    )


def _smtp(ports: Ports) -> Iterator[Finding]:
    try:
        yield from _addresses(ports)
        yield _returned(ports)
    except MailerUnavailable as trouble:
        yield Finding("SMTP", False, f"{trouble} Check POSTERN_SMTP_URL.")


def _addresses(ports: Ports) -> Iterator[Finding]:
    """Whether the SMTP server takes every address that is stored: earlier versions took what not every server does."""
    affected = [address for address in _written_to() if not address.rpartition("@")[0].isascii()]
    if not affected:
        return
    takes_them = ports.mailer.takes_every_address()
    mend = (
        f"{len(affected)} contact address(es) or invitation(s) are not plain ASCII before the @, such as {affected[0]},"
        " and the SMTP server takes none of them (it has no SMTPUTF8): give these people another contact e-mail."
    )
    yield Finding("contact addresses", takes_them, "The SMTP server takes every one." if takes_them else mend)


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
        return Finding(subject, True, "This demo keeps its e-mails, so none comes back.")
    plain = settings.bounce_address or parseaddr(settings.mail_from)[1]
    asked = return_path.with_token(settings, "test") if settings.bounce_address else plain
    if refusal := ports.mailer.refusal_of(asked, asked):
        mend = f"They vanish, because the SMTP server takes no mail for {asked} (it says {refusal})."
        return Finding(subject, False, f"{mend} {RETURNED}")
    if settings.bounce_address and Mailbox.by_address(plain.lower()):
        mend = f"{plain} is also a mailbox: set POSTERN_BOUNCE_ADDRESS to an address of its own."
        return Finding(subject, False, mend)
    unread = "" if settings.bounce_address else f" Somebody must read them there. {RETURNED}"
    return Finding(subject, True, f"The SMTP server takes mail for {asked}.{unread}")


def _sms(ports: Ports) -> Iterator[Finding]:
    if not ports.settings.has_sms:
        yield Finding("SMS", True, "There is no SMS gateway: POSTERN_SMS_URL is not set.")
        return
    try:
        ports.sms.check()
    except SmsUnavailable as trouble:
        yield Finding("SMS", False, f"{trouble} Check the gateway and POSTERN_SMS_URL.")
        return
    yield Finding("SMS", True, "The SMS gateway answers.")


def _archives(ports: Ports) -> Finding:
    mend = (
        f"PDF archives need the DejaVu fonts, and {ports.settings.archive_fonts} does not have them: install"
        " fonts-dejavu-core, or set POSTERN_ARCHIVE_FONTS. ZIP archives work without them."
    )
    well = ports.archiver.makes_pdf()
    return Finding("archives", well, "Archives can be created as ZIP and as PDF." if well else mend)


def _webmails(settings: Settings) -> Iterator[Finding]:
    known = list(webmails.every())
    for webmail in known:
        mend = _webmail_trouble(settings, webmail)
        yield Finding(webmail.origin, not mend, mend or "This webmail is registered and may show the panel.")
        if webmail_tokens.names_no_purpose(webmail):
            mend = "In the last 24 hours its server sent requests that do not state their purpose: update its plugin."
            yield Finding(webmail.origin, False, mend)
    if known and not settings.webmail_hosts:
        mend = "Set POSTERN_WEBMAIL_HOSTS to the webmails' addresses, or Dovecot refuses their passwords."
        yield Finding("webmail hosts", False, mend)


def _webmail_trouble(settings: Settings, webmail: Webmail) -> str:
    if webmail.origin not in settings.webmail_origins:
        return f"Browsers refuse its frames: add {webmail.origin} to POSTERN_WEBMAIL_ORIGINS."
    if not settings.cross_site and _site_of(webmail.origin) != _site_of(settings.base_url):
        return "It is on another site, so browsers keep no cookies in its frames: set POSTERN_CROSS_SITE=yes."
    try:
        webmails.verifying_key(settings, webmail)
    except InvalidToken:
        return "Its key was encrypted with another secret key: remove the webmail and add it again."
    return ""


def _site_of(address: str) -> str:
    """Addresses whose hosts end differently are on different sites; those that end alike need not be on the same."""
    host = urlsplit(address).hostname or ""
    return ".".join(host.split(".")[-2:])
