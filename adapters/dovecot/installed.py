"""The Dovecot that is installed on this host: what `flask dovecot config` asks it before it replaces anything."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

from adapters.dovecot.config import PROTOCOL_PORTS, ConfigurationError
from adapters.programs import path_of
from settings import DEFAULT_DOVECOT_VERSION, Settings

# The program that a protocol needs, and Debian's package of it.
PROGRAMS = {
    "imap": ("imap", "dovecot-imapd"),
    "pop3": ("pop3", "dovecot-pop3d"),
    "submission": ("submission", "dovecot-submissiond"),
    "sieve": ("managesieve", "dovecot-managesieved"),
    "lmtp": ("lmtp", "dovecot-lmtpd"),
}
DRIVERS = {"sqlite": "dovecot-sqlite", "mysql": "dovecot-mysql"}


def version() -> str:
    """Its release series, such as "2.4"; the empty text where there is none."""
    if not path_of("dovecot"):
        return ""
    found = re.match(r"\d+\.\d+", _told("dovecot", "--version"))
    return found.group() if found else ""


def version_for(settings: Settings, present: str) -> str:
    """The release series to write for: that of the settings, else the one that is `present`, else the default."""
    return settings.dovecot_version or present or DEFAULT_DOVECOT_VERSION


def missing_protocols(settings: Settings) -> dict[str, str]:
    """The protocols that the settings ask for and that are not installed, each with Debian's package of it."""
    libexec = Path(_built_with("libexec_dir"))
    wanted = [name for name, ports in PROTOCOL_PORTS.items() if any(settings.mail_ports.get(port) for port in ports)]
    return {name: PROGRAMS[name][1] for name in wanted if not (libexec / PROGRAMS[name][0]).exists()}


def without(settings: Settings, protocols: dict[str, str]) -> Settings:
    """The settings with these protocols' listeners switched off."""
    off = {port: 0 for name in protocols for port in PROTOCOL_PORTS[name]}
    return replace(settings, mail_ports=settings.mail_ports | off)


def missing_driver(settings: Settings) -> str:
    """Debian's package of the SQL driver that the settings need, if Dovecot was built with it as a plug-in and that is
    not installed."""
    kind = settings.database_url.partition(":")[0]
    plugins = re.search(r"^SQL driver plugins:(.*)$", _told("dovecot", "--build-options"), re.MULTILINE)
    if kind not in DRIVERS or not plugins or kind not in plugins.group(1).split():
        return ""
    directory = Path(_built_with("mail_plugin_dir"))
    return "" if (directory / "auth" / f"libdriver_{kind}.so").exists() else DRIVERS[kind]


def refusal(file: Path) -> str:
    """Why Dovecot does not read this configuration; the empty text if it does."""
    asked = _run("doveconf", "-n", "-c", str(file))
    if asked.returncode == 0:
        return ""
    words = [line for line in asked.stderr.strip().splitlines() if "Warning:" not in line]
    return "".join(words[-1:]) or f"doveconf ended with code {asked.returncode}"


def in_force(file: Path, *names: str) -> dict[str, str]:
    """The values of these settings that this configuration brings about, whichever of its files says so; raises
    `ConfigurationError`."""
    if not path_of("doveconf"):
        raise ConfigurationError("Dovecot is not installed here.")
    lines = _told("doveconf", "-c", str(file), *names).splitlines()
    return {name.strip(): value.strip() for name, equals, value in (line.partition("=") for line in lines) if equals}


def _built_with(setting: str) -> str:
    """The default of one of its settings."""
    return re.search(rf"^{setting} = (.*)$", _told("doveconf", "-d", setting), re.MULTILINE).group(1)


def _told(name: str, *arguments: str) -> str:
    asked = _run(name, *arguments)
    if asked.returncode:
        raise ConfigurationError(f"{name} {' '.join(arguments)} does not work here: {asked.stderr.strip()}")
    return asked.stdout.strip()


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(  # noqa: S603 - Dovecot's own programs, and no word of anybody else
        [path_of(name), *arguments], capture_output=True, text=True, errors="replace", check=False, timeout=30
    )
