"""Dovecot's configuration, generated from Postern's own settings, and the rights of Dovecot's database user.

Dovecot reads the views of `mail_views.py`: `mail_login` (people with a login and a password), `mail_device`
(passwords of single mail programs), `mail_webmail` (webmails' credentials), `mail_former_address` and `mail_user`
(deliveries and administration). It writes one table, `last_login`. The templates are
`integrations/dovecot/<version>/<file>.jinja` and, for both versions, `common/`. What Dovecot 2.3
and 2.4 do with them is tested against running servers.
"""

import contextlib
import functools
import grp
import os
import pwd
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import mail_views
from actions.passwords import mail_policy
from mail_views import SELECTOR_LENGTH, SEPARATOR, ProtocolBits
from settings import DOVECOT_VERSIONS, MAIL_PORTS, Settings, is_loopback_host
from settings.file_rights import READ, WRITE, may, own_group

DIRECTORY = "/etc/dovecot"
# With this in its first line Postern knows a file of its own.
WRITTEN = "# Written by `flask dovecot config`"
TEMPLATES = Path(__file__).resolve().parents[2] / "integrations" / "dovecot"

# These contain the doveadm key or a database password. Dovecot opens them as root, before it drops its rights.
SECRET_FILES = frozenset({"postern-secrets.conf", "postern-sql.conf.ext", "postern-smtp-login.conf.ext"})
# This one contains a database password as well, and Dovecot 2.3 opens it after it dropped its rights.
GROUP_FILES = frozenset({"postern-last-login.conf.ext"})
# Debian's and Dovecot's own default for default_internal_group.
DOVECOT_GROUP = "dovecot"

# What a login may be made of. Not * and ?, which doveadm reads as wildcards, nor what Dovecot's configuration gives a
# meaning to. The slash parts a collaborator's name from the mailbox.
USER_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@/_-+=!&'^~#"

PROTOCOL_PORTS = {
    "imap": ("imap", "imaps"),
    "pop3": ("pop3", "pop3s"),
    "submission": ("submission", "submissions"),
    "sieve": ("sieve",),
    "lmtp": ("lmtp",),
}
TLS_PORTS = ("imaps", "pop3s", "submissions")
RIGHTS = dict.fromkeys(mail_views.NAMES, "SELECT") | {"last_login": "SELECT, INSERT, UPDATE"}

# What Dovecot calls the protocols: Postfix asks for "smtp", and ManageSieve is called "sieve" at its login.
PROTOCOL_BITS = {
    "imap": ProtocolBits.IMAP,
    "pop3": ProtocolBits.POP3,
    "submission": ProtocolBits.SENDING,
    "smtp": ProtocolBits.SENDING,
    "sieve": ProtocolBits.SIEVE,
}

# Stands for "this is no device password" where its selector is expected: as long as one, and none of its alphabet.
NO_SELECTOR = SEPARATOR * SELECTOR_LENGTH
# The selector is taken of a password that has exactly the shape of a device password. Never take the bare beginning of
# any password: 2.3 escapes before it cuts, so that seven letters and a quote would break the query, and SQL logs
# would contain the beginnings of people's passwords.
_SHAPE = f"^{mail_views.SHAPE}$"
VARIABLES = {
    "2.3": {
        "login": "%Lu",
        "protocol": "%Ls",
        "peer": "%{real_rip}",
        "person": "%r",
        "selector": f"%{{if;%w;~;{_SHAPE};%{SELECTOR_LENGTH}w;{NO_SELECTOR}}}",
    },
    "2.4": {
        "login": "%{user | lower}",
        "protocol": "%{protocol | lower}",
        "peer": "%{real_remote_ip}",
        "person": "%{remote_ip}",
        "selector": f"%{{password | if('~', '{_SHAPE}', password, '{NO_SELECTOR}') | substr(0, {SELECTOR_LENGTH})}}",
    },
}
# The panel learns the shape of the password, and nothing else of it.
SHAPES = {
    "2.3": f"%{{if;%w;~;{_SHAPE};{mail_policy.DEVICE_SHAPED};own}}",
    "2.4": f"%{{password | if('~', '{_SHAPE}', '{mail_policy.DEVICE_SHAPED}', 'own')}}",
}
# The query lists a network of IPv6 addresses address by address.
MOST_ADDRESSES = 256

# What survives unquoted in Dovecot's own syntax, in its space-separated MySQL connect string and between the quotes of
# an SQL literal, on both versions. Stricter than needed: a wrong guess about quoting would fail at the first login.
_PLAIN = re.compile(r"[A-Za-z0-9._~!@^*+=:,/-]+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ConfigurationError(Exception):
    """No working configuration can be written from these settings. The text is a sentence that says how to fix it."""


@dataclass(frozen=True)
class Database:
    """Where Dovecot finds the views. For SQLite only `path` counts, for MySQL all the others."""

    kind: str
    path: str = ""
    host: str = ""
    port: int = 3306
    socket: str = ""
    name: str = ""
    user: str = ""
    password: str = ""


def render(settings: Settings, version: str, directory: str | os.PathLike = DIRECTORY) -> dict[str, str]:
    """The files of a complete Dovecot configuration: text by file name.

    `directory` is where Dovecot will read them, because 2.3 wants the whole path of its SQL file.
    Raises `ConfigurationError`.
    """
    if version not in DOVECOT_VERSIONS:
        raise ConfigurationError(
            f"There is no configuration for Dovecot {version}: choose {' or '.join(DOVECOT_VERSIONS)}."
        )
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES / version, TEMPLATES / "common"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no markup: every value was checked to be plain in Dovecot's syntax
    )
    facts = _facts(settings, version, Path(directory).absolute())
    texts = {
        template.stem: environment.get_template(template.name).render(facts)
        for template in sorted((TEMPLATES / version).glob("*.jinja"))
    }
    return {name: text for name, text in texts.items() if text.strip()}


def write(files: dict[str, str], directory: str | os.PathLike) -> list[Path]:
    """Put the files into a directory, each replaced as a whole; those with secrets may be read by their owner only.

    What Dovecot's own group has to read is given to it if this process may do that; root may.

    Returns the paths written. Raises `ConfigurationError`.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [_replace(directory / name, text, _mode(name)) for name, text in files.items()]
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def on_trial(files: dict[str, str], directory: str | os.PathLike) -> Iterator[Path]:
    """The `dovecot.conf` of these files, in a directory of its own for a while, with the operator's `local.conf` of
    `directory`. Raises `ConfigurationError`."""
    local = Path(directory).absolute() / "local.conf"
    text = files["dovecot.conf"].replace("!include_try local.conf", f"!include_try {local}")
    with tempfile.TemporaryDirectory(prefix="postern-") as trial:
        write(files | {"dovecot.conf": text}, trial)
        yield Path(trial) / "dovecot.conf"


def keep_what_stood_there(directory: str | os.PathLike) -> Path | None:
    """Copy a `dovecot.conf` that Postern did not write to a name with the present time; the copy, or None."""
    file = Path(directory) / "dovecot.conf"
    try:
        if not file.exists() or WRITTEN in file.read_text(encoding="utf-8", errors="replace"):
            return None
        copy = file.with_name(f"{file.name}.before-postern-{time.strftime('%Y-%m-%dT%H%M%S')}")
        shutil.copy2(file, copy)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or file} cannot be copied: {error.strerror}.") from error
    return copy


def missing_certificates(settings: Settings) -> list[str]:
    """What the settings name and is not there. Dovecot finds that out at the first connection only."""
    named = (settings.tls_certificate, settings.tls_key)
    return [name for name in named if name and not Path(name).is_file()]


def grants(settings: Settings) -> str:
    """SQL for a MySQL administrator: Dovecot's own account: it reads the views, writes `last_login`, and that is all.

    The views must run with their definer's rights (SQL SECURITY DEFINER, MySQL's default). Running it again sets the
    password again. Raises `ConfigurationError`.
    """
    database = _database(settings)
    if database.kind != "mysql":
        raise ConfigurationError("Dovecot needs a database account of its own on MySQL or MariaDB only, not on SQLite.")
    if not settings.dovecot_mysql_user or not settings.dovecot_mysql_password:
        raise ConfigurationError(
            "Set POSTERN_DOVECOT_MYSQL_USER and POSTERN_DOVECOT_MYSQL_PASSWORD: the account to be made for Dovecot."
        )
    return "\n".join(_grants_for(database, host) for host in _hosts_of_dovecot(database))


def database_user(settings: Settings) -> str:
    """The system user that Dovecot's workers read and write the SQLite file as; the empty text for MySQL and MariaDB.

    Raises `ConfigurationError`.
    """
    database = _database(settings)
    if database.kind != "sqlite":
        return ""
    if settings.dovecot_database_user:
        return _name("POSTERN_DOVECOT_DATABASE_USER", settings.dovecot_database_user)
    try:
        return Path(database.path).owner()
    except FileNotFoundError:
        raise ConfigurationError(
            f"The database {database.path} does not exist yet: run `flask db upgrade` first, or set"
            " POSTERN_DOVECOT_DATABASE_USER to the system user that is going to read it for Dovecot."
        ) from None
    except (PermissionError, KeyError):
        raise ConfigurationError(
            f"The owner of {database.path} cannot be found out: set POSTERN_DOVECOT_DATABASE_USER."
        ) from None


# --- the facts that the templates are filled with ---


def _facts(settings: Settings, version: str, directory: Path) -> dict[str, object]:
    database = _database(settings)
    ports = _ports(settings)
    return {
        "directory": _path("the output directory", directory),
        "base_dir": _path("POSTERN_DOVECOT_BASE_DIR", settings.dovecot_base_dir),
        "protocols": [name for name, its_ports in PROTOCOL_PORTS.items() if any(ports[port] for port in its_ports)],
        "ports": ports,
        "listen": _listen(settings),
        "tls_certificate": _path("POSTERN_TLS_CERTIFICATE", settings.tls_certificate),
        "tls_key": _path("POSTERN_TLS_KEY", settings.tls_key),
        "recipient_delimiter": settings.recipient_delimiter,
        "connections": settings.mail_connections,
        "user_name_characters": USER_NAME_CHARACTERS,
        "webmail_hosts": [_network(host) for host in settings.webmail_hosts],
        "database": database,
        "database_user": _user_with_rights(settings, database),
        "mail_user": _mail_user(settings),
        "mail_group": _group_of(settings.mail_user),
        "variables": VARIABLES[version],
        "no_selector": NO_SELECTOR,
        "access_list": _access_list(),
        **_queries(settings, version, database),
        **_doveadm(settings),
        **_policy(settings, version),
        **_relay(settings),
        **_sasl(settings),
    }


def _access_list() -> list[tuple[str, str]]:
    """Who may do what in every folder, as Dovecot's access lists call them: the owner, or a group."""
    return [(who if who == "owner" else f"group={who}", rights) for who, rights in mail_views.FOLDER_RIGHTS.items()]


def _queries(settings: Settings, version: str, database: Database) -> dict[str, object]:
    """SQL expressions over the views' columns `home`, `quota_bytes` and `mailbox`, and over Dovecot's variables."""
    root = _path("POSTERN_MAIL_ROOT", settings.mail_root)
    in_root = _concatenation(database, f"'{root}/'", "home")
    size = _concatenation(database, "quota_bytes", "'B'")
    login = VARIABLES[version]["login"]
    return {
        "home": f"CASE WHEN substr(home, 1, 1) = '/' THEN home ELSE {in_root} END",
        # 2.3: a limit of 0 bytes means none
        "quota_rule": _concatenation(database, "'*:bytes='", "quota_bytes"),
        "quota_size": f"CASE WHEN quota_bytes = 0 THEN 'unlimited' ELSE {size} END",
        "device_session_name": _concatenation(database, "session_name", "'/d'", "device_id"),
        "webmail_session_name": _concatenation(database, "session_name", "'/w'", "credential_id"),
        "address_of_session": f"substr('{login}/', 1, instr('{login}/', '/') - 1)",
        "protocol_bit": _protocol_bit(VARIABLES[version]["protocol"]),
        "webmail_protocols": ProtocolBits.IMAP | ProtocolBits.SENDING | ProtocolBits.SIEVE,
        "concatenation": functools.partial(_concatenation, database),
        "now": "unixepoch()" if database.kind == "sqlite" else "UNIX_TIMESTAMP()",
        "is_webmail": _is_webmail(settings, VARIABLES[version]["peer"]),
    }


def _protocol_bit(protocol: str) -> str:
    """What the protocol counts in the views' sums."""
    cases = " ".join(f"WHEN '{name}' THEN {bit}" for name, bit in PROTOCOL_BITS.items())
    return f"CASE '{protocol}' {cases} ELSE {ProtocolBits.OTHER} END"


def _concatenation(database: Database, *parts: str) -> str:
    return " || ".join(parts) if database.kind == "sqlite" else f"CONCAT({', '.join(parts)})"


def _is_webmail(settings: Settings, peer: str) -> str:
    """The SQL condition that a connection comes from one of the webmail's own hosts."""
    hosts = [start for host in settings.webmail_hosts for start in _addresses(_network(host))]
    conditions = [f"substr('{peer}', 1, {len(start)}) = '{start}'" for start in hosts if start.endswith(".")]
    if whole := [f"'{address}'" for address in hosts if not address.endswith(".")]:
        conditions.append(f"'{peer}' IN ({', '.join(whole)})")
    return f"({' OR '.join(conditions)})" if conditions else "1 = 0"


def _addresses(host: str) -> list[str]:
    """An address or network as texts: whole addresses, and beginnings such as `192.0.2.` for all that begin like that.

    No database compares networks on its own, so IPv4 networks are cut into such as end between two numbers.
    """
    network = ip_network(host, strict=False)
    if network.version == 4:
        numbers = max(1, -(-network.prefixlen // 8))
        parts = network.subnets(new_prefix=numbers * 8)
        return [".".join(str(part[0]).split(".")[:numbers]) + "." * (numbers < 4) for part in parts]
    if network.num_addresses > MOST_ADDRESSES:
        raise ConfigurationError(
            f"POSTERN_WEBMAIL_HOSTS names “{host}”: of IPv6, name single addresses or networks of at most"
            f" {MOST_ADDRESSES} addresses."
        )
    return [str(address) for address in network]


def _ports(settings: Settings) -> dict[str, int]:
    """The listeners; those that begin with TLS are off when there is no certificate."""
    ports = {name: settings.mail_ports.get(name, 0) for name in MAIL_PORTS}
    if not settings.tls_certificate:
        ports |= dict.fromkeys(TLS_PORTS, 0)
    return ports


def _listen(settings: Settings) -> str:
    addresses = settings.mail_listen.replace(",", " ").split()
    if not settings.tls_certificate and not all(map(is_loopback_host, addresses)):
        raise ConfigurationError(
            "Set POSTERN_TLS_CERTIFICATE and POSTERN_TLS_KEY, or POSTERN_MAIL_LISTEN to a loopback address such as"
            " 127.0.0.1: without a certificate passwords would cross the network in the clear."
        )
    if addresses == ["*"]:
        return "*, ::"
    return ", ".join(_plain("POSTERN_MAIL_LISTEN", address) for address in addresses)


def _network(host: str) -> str:
    try:
        ip_network(host, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"POSTERN_WEBMAIL_HOSTS names “{host}”: Dovecot trusts addresses and networks only, such as 192.0.2.7 or"
            " 192.0.2.0/28."
        ) from None
    return host


def _doveadm(settings: Settings) -> dict[str, object]:
    url = urlsplit(settings.doveadm_url)
    if not url.hostname:
        raise ConfigurationError(
            "Set POSTERN_DOVEADM_URL: where Dovecot is to listen for Postern, such as http://127.0.0.1:8080."
        )
    if url.scheme == "https" and not settings.tls_certificate:
        raise ConfigurationError("POSTERN_DOVEADM_URL begins with https://, which needs POSTERN_TLS_CERTIFICATE.")
    if len(settings.doveadm_key) < 16:
        raise ConfigurationError("POSTERN_DOVEADM_KEY must have at least 16 characters.")
    return {
        "doveadm_host": "127.0.0.1" if url.hostname == "localhost" else _plain("POSTERN_DOVEADM_URL", url.hostname),
        "doveadm_port": url.port or (443 if url.scheme == "https" else 80),
        "doveadm_tls": url.scheme == "https",
        "doveadm_key": _plain("POSTERN_DOVEADM_KEY", settings.doveadm_key),
    }


def _policy(settings: Settings, version: str) -> dict[str, str]:
    """Where Dovecot asks about attempts to sign in, and with which keys; nothing where it is not to ask."""
    if not settings.dovecot_asks:
        return dict.fromkeys(("policy_url", "policy_authorization", "policy_nonce", "policy_shape"), "")
    return {
        "policy_url": _plain("POSTERN_DOVECOT_POLICY_URL", mail_policy.address(settings)),
        "policy_authorization": mail_policy.authorization(settings),
        "policy_nonce": mail_policy.nonce(settings),
        "policy_shape": SHAPES[version],
    }


def _relay(settings: Settings) -> dict[str, object]:
    host, port = _host_and_port("POSTERN_SUBMISSION_RELAY", settings.submission_relay)
    return {"relay_host": host, "relay_port": port}


def _sasl(settings: Settings) -> dict[str, object]:
    socket = settings.postfix_sasl_socket
    if not socket or socket.startswith("/"):
        path = _path("POSTERN_POSTFIX_SASL_SOCKET", socket)
        return {"has_sasl": bool(path), "sasl_path": path, "sasl_host": "", "sasl_port": 0}
    host, port = _host_and_port("POSTERN_POSTFIX_SASL_SOCKET", socket)
    if not is_loopback_host(host):
        raise ConfigurationError(
            "POSTERN_POSTFIX_SASL_SOCKET must be a path or a loopback address: passwords pass through it in the clear."
        )
    return {"has_sasl": True, "sasl_path": "", "sasl_host": host, "sasl_port": port}


def _mail_user(settings: Settings) -> str:
    if settings.mail_user in ("", "root", "0"):
        raise ConfigurationError("POSTERN_MAIL_USER must be a system user of its own, such as vmail: never root.")
    return _name("POSTERN_MAIL_USER", settings.mail_user)


def _group_of(user: str) -> str:
    """The user's own group; by convention it has the same name where this machine does not know the user (yet)."""
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


# --- the database ---


def _database(settings: Settings) -> Database:
    url = urlsplit(settings.database_url)
    if url.scheme == "sqlite":
        file = Path(url.path.removeprefix("/")).absolute()
        return Database("sqlite", path=_path("POSTERN_DATABASE_URL", file))
    if url.scheme == "mysql":
        return _mysql(settings, url)
    raise ConfigurationError("POSTERN_DATABASE_URL must begin with sqlite:/// or mysql://.")


def _mysql(settings: Settings, url) -> Database:
    socket = parse_qs(url.query).get("unix_socket", [""])[0]
    if settings.dovecot_mysql_user:
        user, password = settings.dovecot_mysql_user, settings.dovecot_mysql_password
    else:
        user, password = unquote(url.username or ""), unquote(url.password or "")
    return Database(
        "mysql",
        host=_plain("POSTERN_DATABASE_URL", url.hostname or "127.0.0.1"),
        port=url.port or 3306,
        socket=_path("POSTERN_DATABASE_URL", socket),
        name=_name("POSTERN_DATABASE_URL", unquote(url.path.strip("/"))),
        user=_name("POSTERN_DOVECOT_MYSQL_USER", user),
        password=password and _plain("POSTERN_DOVECOT_MYSQL_PASSWORD", password),
    )


def _user_with_rights(settings: Settings, database: Database) -> str:
    """The user that reads the SQLite file. In WAL mode even a process that only reads must be able to write the file
    and to make others beside it."""
    user, file = database_user(settings), Path(database.path)
    if not user:
        return user
    try:
        groups = own_group(user)
        refused = [path for path in (file.parent, file) if not may(user, groups, path, READ | WRITE)]
    except (KeyError, OSError):
        return user  # a user of another machine, a file that is not there yet, or one that only others may look at
    if refused:
        raise ConfigurationError(
            f"Dovecot is to read the database as {user}, who may not read and write {refused[0]}: share it with that"
            " user's group, as “Who reads and writes the SQLite file” in docs/operating.md says."
        )
    return user


def _hosts_of_dovecot(database: Database) -> tuple[str, ...]:
    """Where Dovecot's connections seem to come from. On this machine MySQL sees a name or an address."""
    if database.socket or is_loopback_host(database.host):
        return ("localhost", "127.0.0.1", "::1")
    return ("%",)


def _grants_for(database: Database, host: str) -> str:
    account = f"'{database.user}'@'{host}'"
    lines = [
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{database.password}';",
        f"ALTER USER {account} IDENTIFIED BY '{database.password}';",
    ]
    lines += [f"GRANT {rights} ON `{database.name}`.`{name}` TO {account};" for name, rights in RIGHTS.items()]
    return "\n".join(lines) + "\n"


# --- values that are plain in every syntax they are written in ---


def _plain(setting: str, value: object) -> str:
    if not _PLAIN.fullmatch(str(value)):
        raise ConfigurationError(
            f"{setting} holds a character that Dovecot's configuration gives a meaning to: use letters, digits and"
            " . _ ~ ! @ ^ * + = : , / - only."
        )
    return str(value)


def _name(setting: str, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ConfigurationError(f"{setting} must be a name of letters, digits and . _ - only, and not empty.")
    return value


def _path(setting: str, value: object) -> str:
    """An absolute path without a trailing slash, or the empty text if there is none."""
    text = str(value)
    if not text:
        return ""
    if not text.startswith("/"):
        raise ConfigurationError(f"{setting} must be an absolute path.")
    return _plain(setting, text).rstrip("/")


def _host_and_port(setting: str, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"{setting} must be a host and a port, such as 127.0.0.1:25.")
    return _plain(setting, host), int(port)


# --- files ---


def _mode(name: str) -> int:
    if name in SECRET_FILES:
        return 0o600
    return 0o640 if name in GROUP_FILES else 0o644


def _replace(file: Path, text: str, mode: int) -> Path:
    """Written beside its place and renamed into it, so that Dovecot never reads half a file, nor others a secret."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if file.name in GROUP_FILES and not _is_given_to_dovecot(descriptor):
                mode = 0o600
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return file


def _is_given_to_dovecot(descriptor: int) -> bool:
    """Make Dovecot's group the file's; False where there is no such group, or this process may not do that."""
    try:
        os.fchown(descriptor, -1, grp.getgrnam(DOVECOT_GROUP).gr_gid)
    except (KeyError, PermissionError):
        return False
    return True
