"""Dovecot: whether it answers, reads this database and this configuration, and asks before it lets people in."""

import configparser
import contextlib
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from actions.ground.ports import MailServerUnavailable, Ports
from actions.passwords import mail_policy
from adapters.dovecot import config, installed
from adapters.dovecot.config import ConfigurationError
from database import is_mysql
from doctor import certificates
from doctor.clocks import compared_by_header
from doctor.files import secrets
from doctor.findings import Finding, fine, judged, not_known, wrong
from models import FormerAddress, Mailbox
from settings import Settings, file_rights, is_loopback_host

# Where the system's Dovecot and fail2ban look.
DOVECOT, FAIL2BAN = Path(config.DIRECTORY), Path("/etc/fail2ban")
JAIL = "postern-dovecot"
# Seconds that the doctor waits for an answer: without one by then, Dovecot lets the person in.
DOVECOT_WAITS, PATIENCE = 0.2, 2
WRITE_AGAIN = "Write its configuration again with “flask dovecot config” and reload it."
# What must stand in force whatever the operator's local.conf says, and why.
IN_FORCE = {
    "auth_cache_size": ("0", "It remembers passwords, so that one that was changed or ended still opens the mailbox."),
    "auth_verbose_passwords": ("no", "Its log contains passwords."),
    "auth_debug_passwords": ("no", "Its log contains passwords."),
}
IN_FORCE_WITH_TLS = {"ssl": ("required", "Passwords may be sent to it unencrypted.")}


def account(ports: Ports) -> Iterator[Finding]:
    """Whether what Dovecot reads the database as may do less than the panel."""
    settings = ports.settings
    if not settings.has_mail_server:
        return
    try:
        trouble, mend = _mysql_account_trouble(settings) if is_mysql() else _system_user_trouble(settings)
    except ConfigurationError as refusal:
        trouble, mend = str(refusal), "Correct the setting."
    yield judged("Dovecot's account", trouble, mend, "Dovecot reads the database with its own account.")


def answers(ports: Ports) -> Iterator[Finding]:
    settings = ports.settings
    if not settings.has_mail_server:
        yield fine("Dovecot", "This demo has no mail server: POSTERN_DOVEADM_URL is not set.")
        return
    try:
        yield from _reads(ports)
    except MailServerUnavailable as trouble:
        mend = "Check that Dovecot runs with what “flask dovecot config” writes, and POSTERN_DOVEADM_URL."
        yield wrong("Dovecot", str(trouble), mend)


def policy(ports: Ports) -> Iterator[Finding]:
    """Whether wrong passwords by mail programs are counted: everybody is let in while nobody answers."""
    subject, settings = "guesses by mail", ports.settings
    if not settings.has_mail_server or not settings.dovecot_asks:
        yield fine(subject, "Dovecot does not ask the panel: POSTERN_DOVECOT_POLICY_URL says no.")
        return
    mend = "See the nginx section of the guide, and POSTERN_DOVECOT_POLICY_URL."
    well = f"{mail_policy.address(settings)} answers as quickly as Dovecot requires."
    yield judged(subject, _policy_trouble(settings), mend, well)
    trouble = "Dovecot lets people in without asking the panel, so wrong passwords are not counted."
    mend = f"Look for “policy” in its log. {WRITE_AGAIN}"
    unasked = mail_policy.let_in_unasked()
    yield judged("Dovecot's questions", trouble if unasked else "", mend, "Dovecot asks before it lets people in.")


def configuration(ports: Ports) -> Iterator[Finding]:
    """Whether what Dovecot reads is what would be written now, and nothing important is changed after it."""
    subject, settings = "Dovecot's configuration", ports.settings
    if not settings.has_mail_server:
        return
    file = DOVECOT / "dovecot.conf"
    if reason := _out_of_sight(settings) or _not_ours(file):
        yield not_known(subject, reason)
        return
    try:
        different, unread = _compared(settings)
    except ConfigurationError as refusal:
        yield wrong(subject, "No working configuration can be written from the present settings.", str(refusal))
        return
    trouble = different and f"Dovecot reads an older configuration: {', '.join(different)}."
    well = f"{DOVECOT} is what “flask dovecot config” would write now."
    yield judged(subject, trouble, WRITE_AGAIN, well)
    if unread:
        yield not_known(subject, f"this user may not read {', '.join(unread)}.")
    yield from _in_force(settings, file)


def penalty(ports: Ports) -> Iterator[Finding]:
    """What slows down those who guess through mail programs: Dovecot's own penalty is off."""
    subject, settings = "fail2ban", ports.settings
    if not settings.has_mail_server:
        return
    if reason := _out_of_sight(settings):
        yield not_known(subject, reason)
        return
    if _bans():
        missing = not (FAIL2BAN / "filter.d" / f"{JAIL}.conf").is_file()
        trouble = f"The jail {JAIL} has no filter, so fail2ban does not start it." if missing else ""
        mend = f"Copy the files of integrations/fail2ban/filter.d to {FAIL2BAN}/filter.d, and reload fail2ban."
        yield judged(subject, trouble, mend, f"fail2ban has the jail {JAIL}.")
    elif settings.dovecot_asks:
        yield fine(subject, f"There is no jail {JAIL}. The panel counts wrong passwords; fail2ban would ban sooner.")
    else:
        sentence = "Nothing stops those who guess through mail programs: Dovecot's penalty is off, and nobody counts."
        mend = "Set up fail2ban, as docs/operating.md says, or let Dovecot ask the panel (POSTERN_DOVECOT_POLICY_URL)."
        yield wrong(subject, sentence, mend)


def certificate(ports: Ports) -> Iterator[Finding]:
    settings, subject = ports.settings, "mail certificate"
    if not settings.has_mail_server or not settings.tls_certificate:
        return
    hosts = {settings.mail_host, settings.submission_host}
    if reason := _out_of_sight(settings) or certificates.unreadable(settings.tls_certificate):
        yield from certificates.served(subject, (settings.mail_host, settings.mail_ports["imaps"]), hosts, reason)
        return
    yield from certificates.pair(subject, settings.tls_certificate, settings.tls_key, hosts)


def names(ports: Ports) -> Iterator[Finding]:
    """Whether mail programs find the hosts that the panel tells people."""
    settings = ports.settings
    if not settings.has_mail_server:
        return
    for host in sorted({settings.mail_host, settings.submission_host}):
        trouble = ""
        try:
            socket.getaddrinfo(host, None)
        except socket.gaierror:
            trouble = f"The name {host}, which the panel tells people for their mail programs, cannot be resolved."
        mend = "Enter it in the DNS, or correct POSTERN_MAIL_HOST and POSTERN_SUBMISSION_HOST."
        yield judged("mail host", trouble, mend, f"{host} can be resolved.")


# --- what it reads the database as ---


def _mysql_account_trouble(settings: Settings) -> tuple[str, str]:
    if settings.dovecot_mysql_user:
        return "", ""
    return (
        "Dovecot reads the database with Postern's own account, which has all rights.",
        "Set POSTERN_DOVECOT_MYSQL_USER and _PASSWORD, and run “flask dovecot config”.",
    )


def _system_user_trouble(settings: Settings) -> tuple[str, str]:
    user = config.database_user(settings)
    try:
        known = _known_to(user, settings)
    except KeyError:
        sentence = f"Dovecot should read the database as {user}, but this machine has no such system user."
        return sentence, "Create it, or correct POSTERN_DOVECOT_DATABASE_USER."
    mend = "Give Dovecot its own system user, as “Who reads and writes the SQLite file” in docs/operating.md says."
    return known and f"Dovecot reads the database as {user}, who may read {known}.", mend


def _known_to(user: str, settings: Settings) -> str:
    """What a system user may read of the panel's secrets, in words; the empty text for nothing."""
    if pwd.getpwnam(user).pw_uid == settings.instance.stat().st_uid:
        return "everything that the panel may read"
    groups = file_rights.groups_of(user)
    files = secrets(settings)
    return ", ".join(file.name for file in files if file_rights.may(user, groups, file, file_rights.READ))


# --- what it knows ---


def _reads(ports: Ports) -> Iterator[Finding]:
    mailbox = Mailbox.select().order_by(Mailbox.id.desc()).first()
    known = ports.mail_server.user(mailbox.address) if mailbox else ports.mail_server.connections("nobody@example.org")
    yield fine("Dovecot", "Dovecot answers.")
    yield _version(ports)
    yield from _clock(ports.settings)
    if mailbox is None:
        yield not_known("Dovecot's database", "there is no mailbox yet to look up; add one and run this again.")
        return
    reads = str((known or {}).get("home", "")).endswith(mailbox.home)
    trouble = f"Dovecot does not know {mailbox.address} as Postern does, so it reads another database."
    yield judged("Dovecot's database", "" if reads else trouble, WRITE_AGAIN, f"Dovecot knows {mailbox.address}.")
    yield from former_addresses(ports)


def former_addresses(ports: Ports) -> Iterator[Finding]:
    """Whether mail to former addresses arrives: Dovecot's configuration may be older than they are."""
    former = FormerAddress.living().first()
    if former is None:
        return
    known = ports.mail_server.user(former.address) or {}
    arrives = str(known.get("home", "")).endswith(former.mailbox.home)
    trouble = f"Mail to {former.address} should still arrive at {former.mailbox.address}, but Dovecot refuses it."
    mend = (
        "Write its configuration again with “flask dovecot config”, with the rights that it prints, and reload Dovecot."
    )
    yield judged("former addresses", "" if arrives else trouble, mend, f"Mail to {former.address} still arrives.")


def _version(ports: Ports) -> Finding:
    """With the wrong one no connection can be ended."""
    subject, expected, present = "Dovecot's version", ports.settings.dovecot_version, ports.mail_server.version()
    if not expected:
        return fine(subject, f"Dovecot {present} answers.")
    trouble = f"Dovecot {present} answers, and the settings are for {expected}: no connection can be ended."
    mend = f"Set POSTERN_DOVECOT_VERSION={present} and write its configuration again."
    return judged(subject, "" if present == expected else trouble, mend, f"Dovecot {present}, as the settings say.")


def _clock(settings: Settings) -> Iterator[Finding]:
    """It says its time to whoever asks for anything; of this machine it is the same."""
    if is_loopback_host(urlsplit(settings.doveadm_url).hostname or ""):
        return
    with requests.Session() as session, contextlib.suppress(requests.RequestException):
        session.trust_env = False
        answer = session.get(settings.doveadm_url, timeout=PATIENCE, allow_redirects=False)
        yield compared_by_header("the mail host", answer.headers.get("Date"))


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
        return f"{url} does not answer Dovecot, so wrong passwords in mail programs are not counted."
    if min(answer.elapsed.total_seconds() for answer in answers) > DOVECOT_WAITS:
        return f"{url} takes longer than the 0.2 seconds that Dovecot waits: wrong passwords are counted late or never."
    return ""


# --- its files ---


def _out_of_sight(settings: Settings) -> str:
    """Why nothing can be told of Dovecot's files; empty where it runs on this machine."""
    host = urlsplit(settings.doveadm_url).hostname or ""
    return "" if is_loopback_host(host) else f"Dovecot runs on {host}, whose files cannot be seen from here."


def _not_ours(file: Path) -> str:
    """Why a file is not to be compared; empty where Postern wrote it."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as trouble:
        return f"{file} cannot be read ({trouble.strerror})."
    return "" if config.WRITTEN in text else f"“flask dovecot config” did not write {file}."


def _compared(settings: Settings) -> tuple[list[str], list[str]]:
    """The names of the files that differ from what would be written now, and of those that this user may not read."""
    different, unread = [], []
    for name, expected in _expected(settings).items():
        try:
            if (DOVECOT / name).read_text(encoding="utf-8") != expected:
                different.append(name)
        except PermissionError:
            unread.append(name)
        except (OSError, UnicodeDecodeError):
            different.append(name)
    return different, unread


def _expected(settings: Settings) -> dict[str, str]:
    """As “flask dovecot config” decides."""
    present = installed.version()
    version = installed.version_for(settings, present)
    if version == present:
        settings = installed.without(settings, installed.missing_protocols(settings))
    return config.render(settings, version, DOVECOT)


def _in_force(settings: Settings, file: Path) -> Iterator[Finding]:
    wanted = IN_FORCE | (IN_FORCE_WITH_TLS if settings.tls_certificate else {})
    try:
        present = installed.in_force(file, *wanted)
    except (ConfigurationError, OSError) as trouble:
        yield not_known("Dovecot's settings", str(trouble))
        return
    for name, (value, consequence) in wanted.items():
        if present.get(name) != value:
            sentence = f"Dovecot has {name} = {present.get(name)}. {consequence}"
            yield wrong(
                "Dovecot's settings", sentence, f"Remove {name} from {file.parent}/local.conf and reload Dovecot."
            )


def _bans() -> bool:
    """Whether fail2ban's files switch the jail for mail programs on."""
    files = [*sorted((FAIL2BAN / "jail.d").glob("*.conf")), FAIL2BAN / "jail.local"]
    files += sorted((FAIL2BAN / "jail.d").glob("*.local"))
    parser = configparser.RawConfigParser(strict=False)
    for file in files:
        with contextlib.suppress(configparser.Error, UnicodeDecodeError):
            parser.read(file, encoding="utf-8")
    return parser.has_section(JAIL) and parser.get(JAIL, "enabled", fallback="false").lower() in (
        "true",
        "yes",
        "1",
        "on",
    )
