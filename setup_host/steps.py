"""The plan: what the steps by hand of docs/operating.md do, in their order. Making it reads the host and changes
nothing."""

import json
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from adapters.dovecot import config as dovecot_config
from adapters.dovecot import installed
from settings import Settings
from setup_host import edits
from setup_host.answers import (
    CERTBOT,
    INSTANCE,
    READER,
    SETTINGS_FILE,
    SQLITE_DIRECTORY,
    WEB_ROOT,
    Answers,
    password_in,
    settings_of,
    written_settings,
)
from setup_host.host import Host, SetupError
from setup_host.record import DIRECTORY, File

CODE = Path(__file__).resolve().parents[1]
INTEGRATIONS = CODE / "integrations"
# Where the shipped files say that the code is.
SHIPPED_FOR = "/opt/postern"
# What the administrator of a database on another host has to run.
GRANTS = f"{DIRECTORY}/dovecot-account.sql"
NGINX_SITE = "/etc/nginx/conf.d/postern.conf"
NGINX_DEFAULT = "/etc/nginx/sites-enabled/default"
UNITS = ("postern", "postern-sender-check")
# Where the Debian package has put them already.
PACKAGED_UNITS = "/usr/lib/systemd/system"
# What follows a change of files, in this order.
AFTER: dict[str, tuple[tuple[str, ...], ...]] = {
    "systemd": (("systemctl", "daemon-reload"),),
    **{unit: (("systemctl", "enable", unit), ("systemctl", "restart", unit)) for unit in UNITS},
    # Its first start makes the directory of the socket by which it asks Dovecot.
    "postfix": (("postfix", "check"), ("systemctl", "restart", "postfix")),
    "dovecot": (("systemctl", "restart", "dovecot"),),
    "nginx": (("nginx", "-t"), ("systemctl", "reload-or-restart", "nginx")),
    "fail2ban": (("systemctl", "restart", "fail2ban"),),
}


@dataclass(frozen=True)
class Directory:
    path: str
    owner: str
    group: str
    mode: int


@dataclass(frozen=True)
class Command:
    """A command of this machine. What is `given` on its standard input may be secret."""

    words: tuple[str, ...]
    given: str = ""
    # It prints what the operator has to read.
    shown: bool = False
    is_done: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Check:
    """What must hold before the next steps; raises `SetupError`."""

    says: str
    look: Callable[[], None]


Step = Directory | Command | Check | File


def plan(answers: Answers, host: Host) -> list[Step]:
    """Every step, whether or not it is done already. Raises `SetupError`."""
    wanted = answers.with_certbots() if answers.uses_certbot else answers
    keys = [_key(host, name) for name in ("secret.key", "doveadm.key")]
    text = written_settings(wanted, host.text(SETTINGS_FILE))
    settings = settings_of(text, *(key.text for key in keys))
    return [
        *_users(answers, host),
        *keys,
        File(SETTINGS_FILE, text, "postern", "postern", 0o600, UNITS, secret=True, belongs_to_data=True),
        *_tables(answers, settings, host),
        _first_people(answers, host),
        *_certificate(answers, host),
        *_dovecot(settings, host),
        *_postfix(answers, host),
        *_units(host),
        *_nginx(wanted, answers.uses_certbot, host),
        *_fail2ban(answers),
    ]


def as_postern(*words: str, host: Host) -> tuple[str, ...]:
    """A command that Postern's own user runs in the code's directory."""
    code = _code(host)
    return ("runuser", "-u", "postern", "--", "env", f"--chdir={code}", f"POSTERN_INSTANCE={INSTANCE}", *words)


def flask(*words: str, host: Host) -> tuple[str, ...]:
    return as_postern(f"{_code(host)}/.venv/bin/flask", "--app", "wsgi", *words, host=host)


def _code(host: Host) -> str:
    return str(CODE) if host.is_this_machine else SHIPPED_FOR


def _shipped(name: str, host: Host) -> str:
    return (INTEGRATIONS / name).read_text(encoding="utf-8").replace(SHIPPED_FOR, _code(host))


# --- Postern ---


def _users(answers: Answers, host: Host) -> list[Step]:
    steps: list[Step] = [
        _user(host, "postern", "--home", INSTANCE),
        _user(host, "vmail", "--home", "/var/vmail"),
        Directory(INSTANCE, "postern", "postern", 0o700),
        Directory("/var/vmail", "vmail", "vmail", 0o700),
    ]
    if answers.uses_sqlite:
        joined = Command(("adduser", "postern", READER), is_done=lambda: host.is_member("postern", READER))
        steps += [
            _user(host, READER, "--no-create-home", "--home", "/nonexistent"),
            joined,
            Directory(SQLITE_DIRECTORY, "root", READER, 0o2770),
        ]
    return steps


def _user(host: Host, name: str, *options: str) -> Command:
    return Command(("adduser", "--system", "--group", *options, name), is_done=lambda: host.knows_user(name))


def _key(host: Host, name: str) -> File:
    """The key that is there, or a new one."""
    path = f"{INSTANCE}/{name}"
    text = host.text(path) or f"{secrets.token_hex(32)}\n"
    return File(path, text, "postern", "postern", 0o600, secret=True, belongs_to_data=True)


def _tables(answers: Answers, settings: Settings, host: Host) -> list[Step]:
    upgrade = Command(flask("db", "upgrade", host=host))
    if answers.uses_sqlite:
        return [upgrade]
    if not answers.makes_database:
        return [upgrade, File(GRANTS, dovecot_config.grants(settings), mode=0o600, secret=True)]
    # Its own words hold no quote: letters and digits only.
    password = password_in(settings.database_url)
    accounts = [f"'postern'@'{place}'" for place in ("localhost", "127.0.0.1")]
    lines = ["CREATE DATABASE IF NOT EXISTS postern CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;"]
    for account in accounts:
        lines += [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';",
            f"ALTER USER {account} IDENTIFIED BY '{password}';",
            f"GRANT ALL PRIVILEGES ON postern.* TO {account};",
        ]
    mariadb = ("mariadb", "--batch")
    return [
        Command(mariadb, "\n".join(lines)),
        upgrade,
        Command(mariadb, dovecot_config.grants(settings)),
    ]


def _first_people(answers: Answers, host: Host) -> Command:
    names = ("service", "organisation", "domain", "manager", "mailbox")
    facts = {name: value for name, value in asdict(answers).items() if name in names}
    python = sys.executable if host.is_this_machine else f"{SHIPPED_FOR}/.venv/bin/python"
    return Command(as_postern(python, "-m", "setup_host.first_people", host=host), json.dumps(facts), shown=True)


def _certificate(answers: Answers, host: Host) -> list[Step]:
    if not answers.uses_certbot:
        paths = {answers.certificate, answers.key, answers.mail_certificate, answers.mail_key}
        return [Check("The certificates are there.", lambda: _refuse_missing(host, paths))]
    names = [word for name in dict.fromkeys((answers.panel, answers.mail_host)) for word in ("--domain", name)]
    who = ("--non-interactive", "--agree-tos", "--email", answers.manager, "--cert-name", "postern")
    how = ("--webroot", "--webroot-path", WEB_ROOT, "--deploy-hook", "systemctl reload nginx dovecot")
    words = ("certbot", "certonly", *who, *how, *names)
    return [Command(words, is_done=lambda: host.path(f"{CERTBOT}/fullchain.pem").exists())]


def _refuse_missing(host: Host, paths: set[str]) -> None:
    if missing := sorted(path for path in paths if not host.path(path).is_file()):
        raise SetupError(f"There is no {' and no '.join(missing)}.")


# --- Dovecot and Postfix ---


def _dovecot(settings: Settings, host: Host) -> list[Step]:
    present = installed.version() if host.is_this_machine else ""
    version = installed.version_for(settings, present or host.dovecot_version())
    directory = dovecot_config.DIRECTORY
    try:
        texts = dovecot_config.render(settings, version, directory)
    except dovecot_config.ConfigurationError as trouble:
        raise SetupError(str(trouble)) from None
    files = [File(f"{directory}/{name}", text, **_rights(name), tells=("dovecot",)) for name, text in texts.items()]
    if not host.is_this_machine:
        return files
    return [Check("Dovecot reads its new configuration.", lambda: _refuse_unread(texts, version)), *files]


def _rights(name: str) -> dict[str, object]:
    """Who may read a file of Dovecot's, as `dovecot config` gives it."""
    if name in dovecot_config.SECRET_FILES:
        return {"mode": 0o600, "secret": True}
    if name in dovecot_config.GROUP_FILES:
        return {"mode": 0o640, "group": dovecot_config.DOVECOT_GROUP, "secret": True}
    return {}


def _refuse_unread(texts: dict[str, str], version: str) -> None:
    if installed.version() != version:
        raise SetupError(f"This is no Dovecot {version}: correct POSTERN_DOVECOT_VERSION.")
    with dovecot_config.on_trial(texts, dovecot_config.DIRECTORY) as file:
        if refusal := installed.refusal(file):
            raise SetupError(f"Dovecot cannot read this configuration, so nothing of its was replaced:\n{refusal}")


def _postfix(answers: Answers, host: Host) -> list[File]:
    main, master = (host.text(f"/etc/postfix/{name}") for name in ("main.cf", "master.cf"))
    if host.path("/usr/sbin/postfix").exists() and not master:
        raise SetupError("Postfix has no master.cf: run dpkg-reconfigure postfix first, and choose “Internet Site”.")
    return [
        File("/etc/postfix/main.cf", edits.main_cf(main, _parameters(answers, main, host)), tells=("postfix",)),
        File("/etc/postfix/master.cf", edits.master_cf(master, _relayed(host)), tells=("postfix",)),
    ]


def _parameters(answers: Answers, main: str, host: Host) -> dict[str, str]:
    """The shipped lines of main.cf, without those of bounces, whose address the operator chooses later."""
    wanted = edits.parameters(_shipped("postfix/main.cf", host))
    wanted = {name: value for name, value in wanted.items() if "bounces" not in name and "bounces" not in value}
    has = edits.parameters(main)
    domains = _words(has.get("virtual_mailbox_domains", ""))
    if any(character in domain for domain in domains for character in ":/$!"):
        raise SetupError(
            "Postfix takes virtual_mailbox_domains from elsewhere: add the lines of integrations/postfix by hand, as"
            " docs/operating.md says."
        )
    wanted["virtual_mailbox_domains"] = ", ".join(dict.fromkeys([*domains, answers.domain]))
    own = {answers.domain} | ({"$myhostname"} if has.get("myhostname") == answers.domain else set())
    local = _words(has.get("mydestination", ""))
    if own & set(local):
        # Otherwise Postfix would deliver the domain's mail to users of the system.
        wanted["mydestination"] = ", ".join(each for each in local if each not in own) or "localhost"
    return wanted


def _relayed(host: Host) -> dict[tuple[str, str], str]:
    name = ("127.0.0.1:10587", "inet")
    return {name: edits.services(_shipped("postfix/master.cf", host))[name]}


def _words(value: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", value) if word]


# --- systemd, nginx, fail2ban ---


def _units(host: Host) -> list[File]:
    """Those of the package stay its own: copies would win over them, also over the next version's."""
    return [
        File(f"/etc/systemd/system/{unit}.service", _shipped(f"systemd/{unit}.service", host), tells=("systemd", unit))
        for unit in UNITS
        if not is_packaged(unit, host)
    ]


def is_packaged(unit: str, host: Host) -> bool:
    return host.path(f"{PACKAGED_UNITS}/{unit}.service").exists()


def _nginx(answers: Answers, uses_certbot: bool, host: Host) -> list[File]:
    text = _shipped("nginx/postern.conf", host).replace("account.example.org", answers.panel)
    live = f"/etc/letsencrypt/live/{answers.panel}"
    text = text.replace(f"{live}/fullchain.pem", answers.certificate).replace(f"{live}/privkey.pem", answers.key)
    if uses_certbot:
        text = _with_proofs(text, answers)
    if _has_default_servers(host):
        return [File(NGINX_SITE, edits.without_default_servers(text), tells=("nginx",))]
    return [File(NGINX_SITE, text, tells=("nginx",)), File(NGINX_DEFAULT, None, tells=("nginx",))]


def _with_proofs(text: str, answers: Answers) -> str:
    """certbot proves the names at port 80, when it renews the certificate as well."""
    redirect = f"    return 301 https://{answers.panel}$request_uri;\n"
    names = " ".join(dict.fromkeys((answers.panel, answers.mail_host)))
    proofs = f"    location /.well-known/acme-challenge/ {{\n        root {WEB_ROOT};\n    }}\n"
    others = f"    location / {{\n    {redirect}    }}\n"
    return text.replace(f"    server_name {answers.panel};\n", f"    server_name {names};\n", 1).replace(
        redirect, proofs + others, 1
    )


def _has_default_servers(host: Host) -> bool:
    """Whether the operator has some of their own; Debian's default site is none."""
    directory = host.path("/etc/nginx")
    files = [*directory.glob("conf.d/*.conf"), *directory.glob("sites-enabled/*")]
    ours = (host.path(NGINX_SITE), host.path(NGINX_DEFAULT))
    return any(
        re.search(r"^\s*listen\s[^;#]*\bdefault_server\b", file.read_text(encoding="utf-8", errors="replace"), re.M)
        for file in files
        if file not in ours and file.is_file()
    )


def _fail2ban(answers: Answers) -> list[File]:
    shipped, nobody = INTEGRATIONS / "fail2ban", "ignoreip = 127.0.0.0/8 ::1"
    jail = (shipped / "postern.conf").read_text(encoding="utf-8")
    jail = jail.replace(nobody, " ".join([nobody, *answers.webmail_hosts]))
    filters = {file.name: file.read_text(encoding="utf-8") for file in sorted(shipped.glob("filter.d/*.conf"))}
    return [
        *(File(f"/etc/fail2ban/filter.d/{name}", text, tells=("fail2ban",)) for name, text in filters.items()),
        File("/etc/fail2ban/jail.d/postern.conf", jail, tells=("fail2ban",)),
    ]
