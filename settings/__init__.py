"""Typed settings from `POSTERN_…` environment variables and `postern.toml` in the instance directory.

The environment wins over the file. A missing, misspelt or unsafe value stops the start: all findings at once, each
with the way to fix it.
"""

import contextlib
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import idna

from settings import face, sms

PREFIX = "POSTERN_"
LANGUAGES = {
    "en": "English",
    "it": "Italiano",
    "ru": "Русский",
    "es": "Español",
    "tr": "Türkçe",
    "fr": "Français",
    "uk": "Українська",
    "pt": "Português (Brasil)",
    "pl": "Polski",
    "de": "Deutsch",
}
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
DOVECOT_VERSIONS = ("2.3", "2.4")
DEFAULT_DOVECOT_VERSION = "2.4"
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
# Where the shipped nginx takes Dovecot's questions; a panel without nginx takes them on its own port.
DOVECOT_POLICY_URL = "http://127.0.0.1:8100"
NO_POLICY = "no"
DEFAULT_ACCENT = "#0b6e6e"
# One address, and what a login by SMTP is made of: text without control characters.
MAIL_FROM = re.compile(r"(?:.* <)?[!-~]+@[!-~]+")
SMTP_LOGIN = re.compile(r"[^\x00-\x1f\x7f\ufffd\ud800-\udfff]*")
# Nothing that would need quotes; what follows it before the @ needs 41 of the 64 characters that may stand there.
BOUNCE_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,21}[A-Za-z0-9])?@[A-Za-z0-9.-]{1,253}")
NO_DELIMITER = "no"
DELIMITERS = "+-_."
MAIL_PORTS = {
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
    "submission": 587,
    "submissions": 465,
    "sieve": 4190,
    "lmtp": 24,
}


class SettingsError(Exception):
    """Postern cannot start with these settings. The text lists every finding, one sentence a line."""


def _text(value: str) -> str:
    return value.strip()


def _switch(value: str) -> bool:
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("is neither yes nor no")


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.replace(",", " ").split())


def _url(value: str) -> str:
    return _whole_url(value.strip().rstrip("/"))


def _address(value: str) -> str:
    """An e-mail address, its domain in ASCII, as every mail server takes it; what cannot be stays as it is."""
    before, at, domain = value.strip().rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    return f"{before}{at}{domain}"


def _whole_url(value: str) -> str:
    """An address whose last slash may matter."""
    address = value.strip()
    try:
        _ = urlsplit(address).port
    except ValueError:
        raise ValueError("is no address") from None
    return address


def _delimiter(value: str) -> str:
    """The sign, or the empty text for none."""
    sign = value.strip()
    if sign == NO_DELIMITER:
        return ""
    if len(sign) != 1 or sign not in DELIMITERS:
        raise ValueError(f"must be one of the signs {' '.join(DELIMITERS)} or “{NO_DELIMITER}”")
    return sign


def _ports(value: str) -> dict[str, int]:
    """`imap=1143,imaps=0`: what differs from the standard ports; 0 switches a listener off."""
    ports = dict(MAIL_PORTS)
    for word in _words(value):
        name, _, number = word.partition("=")
        if name not in MAIL_PORTS or not number.isdigit() or int(number) > 65535:
            raise ValueError(f"does not know “{word}”; write for example imap=1143,imaps=0")
        ports[name] = int(number)
    return ports


def setting(read: Callable[[str], object], default: object = "") -> object:
    """A settings field with the function that reads it from text."""
    if callable(default):
        return field(default_factory=default, metadata={"read": read})
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, repr=False)
class Settings:
    """Every setting, each read from `POSTERN_` and its name in capitals. Never printed: it holds secrets."""

    # the panel
    instance: Path = setting(Path, Path("instance"))
    base_url: str = setting(_url, "http://127.0.0.1:8000")
    database_url: str = setting(_text)
    secret_key: str = setting(_text)
    proxies: int = setting(_number, 0)
    cross_site: bool = setting(_switch, False)
    webmail_origins: tuple[str, ...] = setting(_words, ())
    product_name: str = setting(_text, "Postern")
    accent: str = setting(_text, DEFAULT_ACCENT)
    accent_dark: str = setting(_text)
    logo: str = setting(_text)
    support_url: str = setting(_whole_url)
    support_phone: str = setting(_text)
    webmail_url: str = setting(_whole_url)
    imprint_url: str = setting(_whole_url)
    privacy_url: str = setting(_whole_url)
    mail_foot: str = setting(_text)
    geoip_file: str = setting(_text)
    default_language: str = setting(_text, "en")
    default_timezone: str = setting(_text, "UTC")
    demo: bool = setting(_switch, False)
    demo_password: str = setting(_text)

    # passwords
    argon2_memory: int = setting(_number, 19456)
    argon2_time: int = setting(_number, 2)
    argon2_parallelism: int = setting(_number, 1)
    password_blocklist: str = setting(_text)
    pwned_passwords: bool = setting(_switch, False)
    pwned_passwords_url: str = setting(_url, "https://api.pwnedpasswords.com")

    # outgoing mail
    smtp_url: str = setting(_url, "smtp://127.0.0.1:25")
    mail_from: str = setting(_address)
    bounce_address: str = setting(_address)

    # text messages and archives
    sms_url: str = setting(_whole_url)
    sms_from: str = setting(_text)
    sms_method: str = setting(_text, "POST")
    sms_headers: str = setting(_text)
    sms_body: str = setting(_text)
    sms_success: str = setting(_text)
    sms_refusal: str = setting(_text)
    phone_region: str = setting(_text)
    phone_allow: tuple[str, ...] = setting(_words, ())
    archive_fonts: Path = setting(Path, Path("/usr/share/fonts/truetype/dejavu"))

    # the mail server
    mail_host: str = setting(_text)
    submission_host: str = setting(_text)
    doveadm_url: str = setting(_url)
    doveadm_key: str = setting(_text)
    mail_root: Path = setting(Path, Path("/var/vmail"))
    mail_user: str = setting(_text, "vmail")
    mail_listen: str = setting(_text, "*")
    mail_ports: dict[str, int] = setting(_ports, lambda: dict(MAIL_PORTS))
    mail_connections: int = setting(_number, 50)
    recipient_delimiter: str = setting(_delimiter, "+")
    tls_certificate: str = setting(_text)
    tls_key: str = setting(_text)
    webmail_hosts: tuple[str, ...] = setting(_words, ())
    submission_relay: str = setting(_text, "127.0.0.1:25")
    postfix_sasl_socket: str = setting(_text)
    dovecot_version: str = setting(_text)
    dovecot_policy_url: str = setting(_url)
    dovecot_base_dir: str = setting(_text)
    dovecot_database_user: str = setting(_text)
    dovecot_mysql_user: str = setting(_text)
    dovecot_mysql_password: str = setting(_text)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read, complete and check the settings; raises `SettingsError` with every finding."""
        environment = os.environ if environment is None else environment
        instance = Path(environment.get(PREFIX + "INSTANCE") or "instance").absolute()
        findings: list[str] = []
        texts = _texts(environment, instance, findings)
        values = {"instance": instance}
        for entry in fields(cls):
            if entry.name in texts and entry.name != "instance":
                try:
                    values[entry.name] = entry.metadata["read"](texts[entry.name])
                except ValueError as error:
                    findings.append(f"{PREFIX}{entry.name.upper()} {error}.")
        if not findings:
            try:
                settings = cls(**_completed(values, findings))
                findings += settings.findings()
            except OSError as trouble:
                findings.append(f"{trouble.filename} cannot be read or written: {trouble.strerror}.")
        if findings:
            raise SettingsError("\n".join(findings))
        return settings

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def origin(self) -> str:
        """Scheme, host and port of the panel, as browsers send them."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_loopback(self) -> bool:
        """Whether the base URL can be reached from this machine only."""
        return is_loopback_host(urlsplit(self.base_url).hostname or "")

    @property
    def sender_address(self) -> str:
        """The address that sends e-mails, without a name."""
        return self.mail_from.rpartition(" <")[2].removesuffix(">")

    @property
    def sender_name(self) -> str:
        """Who sends e-mails, as mail programs show it: the name in `mail_from`, or else the product's."""
        name = self.mail_from.rpartition(" <")[0].strip(' "') or self.product_name
        return "".join(filter(str.isprintable, " ".join(name.split())))

    @property
    def has_mail_server(self) -> bool:
        """Only a demo may run without one."""
        return bool(self.doveadm_url)

    @property
    def dovecot_asks(self) -> bool:
        """Whether Dovecot is to ask the panel about attempts to sign in."""
        return self.dovecot_policy_url not in ("", NO_POLICY)

    @property
    def keeps_mail(self) -> bool:
        """A demo without an SMTP server keeps its mail in the instance directory, to be read at /outbox."""
        return self.smtp_url == "demo:"

    @property
    def has_sms(self) -> bool:
        """Whether there is a gateway for text messages; what needs one says so where there is none."""
        return bool(self.sms_url)

    @property
    def keeps_sms(self) -> bool:
        """A demo keeps its text messages beside its mail, to be read at /outbox."""
        return self.sms_url == "demo:"

    def findings(self) -> list[str]:
        """What is unsafe or impossible, a sentence each; empty when all is well."""
        return [sentence for wrong, sentence in self._rules() if wrong]

    def _rules(self):
        base = urlsplit(self.base_url)
        yield (
            base.scheme not in ("http", "https") or not base.hostname,
            "POSTERN_BASE_URL must be the address of the panel, such as https://account.example.org.",
        )
        yield (
            base.scheme == "http" and not self.is_loopback,
            "POSTERN_BASE_URL must begin with https:// unless it is a loopback address.",
        )
        yield (
            not self.database_url.startswith(("sqlite:///", "mysql://")),
            "POSTERN_DATABASE_URL must begin with sqlite:/// or mysql://.",
        )
        yield (
            len(self.secret_key) < 32,
            "POSTERN_SECRET_KEY must have at least 32 characters; left out, one is made in the instance directory.",
        )
        yield (
            self.demo and not self.is_loopback,
            "POSTERN_DEMO shows outgoing mail to everybody: it is allowed on a loopback base URL only.",
        )
        yield (
            self.keeps_mail and not self.demo,
            "POSTERN_SMTP_URL=demo: keeps mail instead of sending it: it is allowed with POSTERN_DEMO only.",
        )
        yield (
            not self.keeps_mail and urlsplit(self.smtp_url).scheme not in ("smtp", "smtps", "smtp+starttls"),
            "POSTERN_SMTP_URL must begin with smtp://, smtps:// or smtp+starttls://.",
        )
        yield (
            not self.keeps_mail and not all(map(SMTP_LOGIN.fullmatch, _login_of(self.smtp_url))),
            "POSTERN_SMTP_URL holds a user or password that is no text; what is written with percent signs must be"
            " UTF-8, such as p%C3%A4ssword.",
        )
        yield (
            not MAIL_FROM.fullmatch(self.mail_from),
            "POSTERN_MAIL_FROM must be an e-mail address, such as postern@example.org, with plain ASCII before the @.",
        )
        yield (
            bool(self.bounce_address) and not BOUNCE_ADDRESS.fullmatch(self.bounce_address),
            "POSTERN_BOUNCE_ADDRESS must be an e-mail address, such as bounces@example.org, with at most 23 letters,"
            " digits and . _ - before the @.",
        )
        yield (
            not self.demo and not self.doveadm_url,
            "POSTERN_DOVEADM_URL is missing: give the address of Dovecot's doveadm listener, such as http://127.0.0.1:8080.",
        )
        yield (
            not all(HOST.fullmatch(host) for host in (self.mail_host, self.submission_host)),
            "POSTERN_MAIL_HOST and POSTERN_SUBMISSION_HOST take a host name only, such as mail.example.org.",
        )
        yield (
            self.has_mail_server and urlsplit(self.doveadm_url).scheme not in ("http", "https"),
            "POSTERN_DOVEADM_URL must begin with http:// or https://.",
        )
        yield (
            self.dovecot_version not in ("", *DOVECOT_VERSIONS),
            f"POSTERN_DOVECOT_VERSION must be one of: {', '.join(DOVECOT_VERSIONS)}.",
        )
        yield (
            self.dovecot_asks and not _is_private(self.dovecot_policy_url),
            "POSTERN_DOVECOT_POLICY_URL must begin with https://, or with http:// and a loopback address, such as"
            f" {DOVECOT_POLICY_URL}; or be “{NO_POLICY}”.",
        )
        yield (
            self.cross_site and not self.is_https,
            "POSTERN_CROSS_SITE needs an https base URL: browsers refuse partitioned cookies without it.",
        )
        yield (
            not all(ORIGIN.fullmatch(origin) for origin in self.webmail_origins),
            "POSTERN_WEBMAIL_ORIGINS takes origins only, such as https://mail.example.org, without a path.",
        )
        yield (
            self.default_language not in LANGUAGES,
            f"POSTERN_DEFAULT_LANGUAGE must be one of: {', '.join(LANGUAGES)}.",
        )
        yield (
            not _is_timezone(self.default_timezone),
            "POSTERN_DEFAULT_TIMEZONE must be a time zone, such as UTC or Europe/Rome.",
        )
        yield (self.proxies < 0, "POSTERN_PROXIES must be the number of proxies in front of Postern, 0 for none.")
        yield (
            self.argon2_memory < 7168 or self.argon2_time < 1 or self.argon2_parallelism < 1,
            "POSTERN_ARGON2_MEMORY must be at least 7168 (KiB), POSTERN_ARGON2_TIME and POSTERN_ARGON2_PARALLELISM at"
            " least 1.",
        )
        yield (
            self.argon2_memory > 235_000,
            "POSTERN_ARGON2_MEMORY must be at most 235000 (KiB): Dovecot's auth workers refuse a hash that needs more.",
        )
        yield (
            self.mail_connections < 1,
            "POSTERN_MAIL_CONNECTIONS must be the number of connections that a mailbox may have at a time, at least 1.",
        )
        yield (
            bool(self.tls_certificate) != bool(self.tls_key),
            "POSTERN_TLS_CERTIFICATE and POSTERN_TLS_KEY belong together: give both or neither.",
        )
        yield (
            bool(self.password_blocklist) and not Path(self.password_blocklist).is_file(),
            f"POSTERN_PASSWORD_BLOCKLIST names {self.password_blocklist}, which is no file.",
        )
        yield (
            bool(self.geoip_file) and not Path(self.geoip_file).is_file(),
            f"POSTERN_GEOIP_FILE names {self.geoip_file}, which is no file.",
        )
        yield from face.rules(self, is_loopback_host)
        yield from sms.rules(self, is_loopback_host)


def _login_of(url: str) -> tuple[str, str]:
    """User and password in an address, without their percent signs; U+FFFD where those make no text."""
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")


def _is_timezone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


def _is_private(address: str) -> bool:
    """Whether what travels to this address is read by nobody in between."""
    parts = urlsplit(address)
    if parts.scheme == "http":
        return is_loopback_host(parts.hostname or "")
    return parts.scheme == "https" and bool(parts.hostname)


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _texts(environment: Mapping[str, str], instance: Path, findings: list[str]) -> dict[str, str]:
    """The settings as text by field name, the environment before the file; names unknown in the file are findings."""
    known = {entry.name for entry in fields(Settings)}
    texts: dict[str, str] = {}
    file = instance / "postern.toml"
    if file.is_file():
        try:
            written = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            findings.append(f"{file} cannot be read: {error}.")
            written = {}
        for name, value in written.items():
            if name not in known:
                findings.append(f"{file} sets “{name}”, which is no setting.")
            texts[name] = _as_text(value)
        if written and is_open_to_others(file):
            findings.append(f"{file} may be read by others on this machine: chmod 600 {file}")
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and value:
            texts[variable.removeprefix(PREFIX).lower()] = value
    return texts


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none: perhaps misspelt, perhaps another program's. The doctor asks."""
    known = {PREFIX + entry.name.upper() for entry in fields(Settings)}
    return sorted(variable for variable in environment if variable.startswith(PREFIX) and variable not in known)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)


def _completed(values: dict, findings: list[str]) -> dict:
    """What can be derived, derived: database, keys kept in the instance directory, the demo's twins."""
    instance: Path = values["instance"]
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    values["database_url"] = values.get("database_url") or f"sqlite:///{instance / 'postern.db'}"
    values["secret_key"] = values.get("secret_key") or _kept_secret(instance / "secret.key", findings)
    values["doveadm_key"] = values.get("doveadm_key") or _kept_secret(instance / "doveadm.key", findings)
    if values.get("demo"):
        values.setdefault("smtp_url", "demo:")
        values.setdefault("sms_url", "demo:")
    values["smtp_url"] = values.get("smtp_url") or "smtp://127.0.0.1:25"
    base = urlsplit(values.get("base_url", ""))
    own_port = base.scheme == "http" and is_loopback_host(base.hostname or "")
    values["dovecot_policy_url"] = values.get("dovecot_policy_url") or (
        values["base_url"] if own_port else DOVECOT_POLICY_URL
    )
    values["mail_from"] = values.get("mail_from") or _address(f"postern@{base.hostname or 'localhost'}")
    values["mail_host"] = values.get("mail_host") or base.hostname or "localhost"
    values["submission_host"] = values.get("submission_host") or values["mail_host"]
    return values


def _kept_secret(file: Path, findings: list[str]) -> str:
    """The secret in this file; made at the first start. Several processes may start at once: the first one wins."""
    if not file.exists():
        fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    if is_open_to_others(file):
        findings.append(f"{file} may be read by others on this machine: chmod 600 {file}")
    return file.read_text().strip()


def is_open_to_others(file: Path) -> bool:
    """Whether anybody but the file's owner and group may read or change it."""
    return bool(stat.S_IMODE(file.stat().st_mode) & 0o007)
