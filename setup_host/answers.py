"""What the operator says about the host, and the settings that follow from it."""

import re
import secrets
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from idna import IDNAError

from actions.ground.domain_names import in_ascii
from settings import Settings, SettingsError
from setup_host import edits
from setup_host.host import SetupError

INSTANCE = "/var/lib/postern"
SETTINGS_FILE = f"{INSTANCE}/postern.toml"
SQLITE_DIRECTORY = "/var/lib/postern-mail"
SQLITE_URL = f"sqlite:///{SQLITE_DIRECTORY}/postern.db"
READER = "postern-mail"
# Where Debian's nginx shows files, and so where certbot proves whose name it is.
WEB_ROOT = "/var/www/html"
CERTBOT = "/etc/letsencrypt/live/postern"

# The database that setup makes, with a password that setup made.
_MADE = re.compile(r"mysql://postern:[0-9a-f]{48}@127\.0\.0\.1:3306/postern")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
# What needs quotes in no file where it is written.
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]+")
_ADDRESS = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")


@dataclass(frozen=True)
class Answers:
    base_url: str
    mail_host: str
    domain: str
    organisation: str
    manager: str
    mailbox: str
    # "sqlite", "mariadb" (on this machine, made by setup), or the URL of a database that is there.
    database: str = "sqlite"
    service: str = "Mail"
    mail_from: str = ""
    webmails: tuple[str, ...] = ()
    webmail_hosts: tuple[str, ...] = ()
    # Without them certbot is asked.
    certificate: str = ""
    key: str = ""
    mail_certificate: str = ""
    mail_key: str = ""

    @property
    def panel(self) -> str:
        """The panel's host name."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def uses_sqlite(self) -> bool:
        return self.database == "sqlite"

    @property
    def makes_database(self) -> bool:
        return self.database == "mariadb"

    @property
    def uses_certbot(self) -> bool:
        return not self.certificate

    def checked(self) -> "Answers":
        """The answers in the form in which files have them. Raises `SetupError` with every finding."""
        parts, domain = urlsplit(self.base_url), _stored(self.domain.strip())
        complete = replace(
            self,
            base_url=self.base_url.rstrip("/"),
            domain=domain,
            mail_host=self.mail_host.strip().lower(),
            mail_from=self.mail_from or f"postern@{domain}",
            mail_certificate=self.mail_certificate or self.certificate,
            mail_key=self.mail_key or self.key,
        )
        paths = (complete.certificate, complete.key, complete.mail_certificate, complete.mail_key)
        rules = (
            (
                parts.scheme != "https" or parts.netloc != parts.hostname or parts.path.strip("/") or parts.query,
                "The base URL must be https:// and a name, such as https://account.example.org. For another port follow"
                " the steps by hand in docs/operating.md.",
            ),
            (not _NAME.fullmatch(self.panel), "The base URL holds no host name."),
            (not _NAME.fullmatch(complete.mail_host), "The mail host must be a name, such as mail.example.org."),
            (not _NAME.fullmatch(complete.domain), "The domain must be a name, such as example.org."),
            (
                self.database not in ("sqlite", "mariadb") and not self.database.startswith("mysql://"),
                "The database is sqlite, mariadb, or the address of one: mysql://user:password@host/name.",
            ),
            (
                not all(_ADDRESS.fullmatch(each) for each in (self.manager, self.mailbox, complete.mail_from)),
                "Manager, mailbox and sender are e-mail addresses.",
            ),
            (
                _stored(self.mailbox.rpartition("@")[2]) != domain,
                "The first mailbox must belong to the domain.",
            ),
            (
                len({bool(path) for path in paths}) > 1,
                "A certificate and its key belong together: give both or neither.",
            ),
            (
                not all(_PATH.fullmatch(path) for path in paths if path),
                "Certificates and keys are absolute paths of letters, digits and . _ / @ + - only.",
            ),
        )
        if findings := [sentence for wrong, sentence in rules if wrong]:
            raise SetupError("\n".join(findings))
        return complete

    def with_certbots(self) -> "Answers":
        """With the certificate that certbot is going to make."""
        chain, key = f"{CERTBOT}/fullchain.pem", f"{CERTBOT}/privkey.pem"
        return replace(self, certificate=chain, key=key, mail_certificate=chain, mail_key=key)


def known_from(text: str) -> dict[str, object]:
    """The answers that an existing `postern.toml` gives."""
    has = edits.read_toml(text)
    found = {name: has[name] for name in ("base_url", "mail_host", "mail_from") if has.get(name)}
    if url := str(has.get("database_url", "")):
        found["database"] = "sqlite" if url == SQLITE_URL else "mariadb" if _MADE.fullmatch(url) else url
    if has.get("webmail_origins"):
        found["webmails"] = tuple(has["webmail_origins"])
    if has.get("webmail_hosts"):
        found["webmail_hosts"] = tuple(has["webmail_hosts"])
    return found


def written_settings(answers: Answers, present: str) -> str:
    """`postern.toml` with what follows from the answers; passwords that it has stay, others are made."""
    values: dict[str, object] = {"base_url": answers.base_url, **_database(answers, edits.read_toml(present))}
    values |= {
        "mail_from": answers.mail_from,
        "doveadm_url": "http://127.0.0.1:8080",
        "tls_certificate": answers.mail_certificate,
        "tls_key": answers.mail_key,
        "mail_host": answers.mail_host,
        "submission_relay": "127.0.0.1:10587",
        "postfix_sasl_socket": "/var/spool/postfix/private/auth",
    }
    if answers.webmails:
        values["webmail_origins"] = list(answers.webmails)
    if answers.webmail_hosts:
        values["webmail_hosts"] = list(answers.webmail_hosts)
    return edits.toml(present, values)


def settings_of(text: str, secret_key: str, doveadm_key: str) -> Settings:
    """The settings as Postern is going to read them from this `postern.toml`. Raises `SetupError` with its findings."""
    with tempfile.TemporaryDirectory(prefix="postern-") as directory:
        written = {"postern.toml": text, "secret.key": secret_key, "doveadm.key": doveadm_key}
        for name, content in written.items():
            file = Path(directory) / name
            file.touch(mode=0o600)
            file.write_text(content, encoding="utf-8")
        try:
            settings = Settings.load({"POSTERN_INSTANCE": directory})
        except SettingsError as findings:
            raise SetupError(str(findings)) from None
    return replace(settings, instance=Path(INSTANCE))


def password_in(url: str) -> str:
    return unquote(urlsplit(url).password or "")


def _database(answers: Answers, has: dict[str, object]) -> dict[str, object]:
    if answers.uses_sqlite:
        return {"database_url": SQLITE_URL, "dovecot_database_user": READER}
    url = answers.database
    if answers.makes_database:
        url = str(has.get("database_url", ""))
        url = url if _MADE.fullmatch(url) else f"mysql://postern:{secrets.token_hex(24)}@127.0.0.1:3306/postern"
    return {
        "database_url": url,
        "dovecot_mysql_user": has.get("dovecot_mysql_user") or "dovecot",
        "dovecot_mysql_password": has.get("dovecot_mysql_password") or secrets.token_hex(24),
    }


def _stored(domain: str) -> str:
    """A domain as it is stored; empty for what is none."""
    try:
        return in_ascii(domain.lower())
    except IDNAError:
        return ""
