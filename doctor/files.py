"""The settings, and who may read and change the files."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from actions.ground.ports import Ports
from database import sqlite_file, sqlite_mode
from doctor.findings import Finding, fine, judged, wrong
from settings import Settings, file_rights, is_open_to_others, unknown_variables

SECRETS = ("secret.key", "doveadm.key", "postern.toml", "demo-accounts.txt")


def settings(ports: Ports) -> Iterator[Finding]:
    of_panel = ports.settings
    problems = of_panel.findings()
    yield judged(
        "settings", " ".join(problems), "Correct them and restart Postern.", "The settings are complete and safe."
    )
    unknown = ", ".join(unknown_variables(os.environ))
    if unknown:
        yield wrong("environment", f"There is no such setting: {unknown}.", "Correct the name or remove it.")
    if of_panel.is_https or of_panel.is_loopback:
        kind = "uses https" if of_panel.is_https else "is a loopback address: fine for trying things out"
        yield fine("https", f"{of_panel.base_url} {kind}.")
    else:
        mend = "Let POSTERN_BASE_URL begin with https://."
        yield wrong("https", f"Passwords are sent unencrypted to {of_panel.base_url}.", mend)


def modes(ports: Ports) -> Iterator[Finding]:
    of_panel = ports.settings
    yield _instance(of_panel.instance)
    for file in secrets(of_panel):
        readers = _readers(of_panel, file)
        trouble = readers and f"{readers} may read it."
        yield judged(str(file), trouble, f"chmod 600 {file}", "Only its owner may read it.")
    if of_panel.logo:
        yield _logo(of_panel)
    if of_panel.database_url.startswith("sqlite:"):
        file = sqlite_file(of_panel.database_url)
        if file.exists():
            yield from _database_file(file)


def secrets(of_panel: Settings) -> list[Path]:
    """The files of the instance directory that nobody else may read."""
    return [file for file in map(of_panel.instance.joinpath, SECRETS) if file.exists()]


def _instance(directory: Path) -> Finding:
    mode = stat.S_IMODE(directory.stat().st_mode)
    trouble = ""
    if mode & 0o022:
        trouble = f"Others may replace the keys and settings in it (its mode is {mode:o})."
    elif mode & 0o007:
        trouble = f"Others on this machine may enter or list the directory of the keys (its mode is {mode:o})."
    return judged(str(directory), trouble, f"chmod 700 {directory}", "Nobody else may enter the directory.")


def _readers(of_panel: Settings, file: Path) -> str:
    """Who besides the panel may read a file, in words; the empty text for nobody."""
    if is_open_to_others(file):
        return "Others on this machine"
    return ", ".join(file_rights.shared_with(file, besides=of_panel.instance.stat().st_uid))


def _logo(of_panel: Settings) -> Finding:
    """Whoever runs the doctor may read more than the panel."""
    file, user = Path(of_panel.logo), pwd.getpwuid(of_panel.instance.stat().st_uid).pw_name
    if not file_rights.may(user, file_rights.groups_of(user), file, file_rights.READ):
        sentence = f"{user}, as whom the panel runs, may not read it."
        return wrong("logo", sentence, f"chmod a+r {file}, and let {user} enter the directories above it.")
    is_anybodys = file.stat().st_mode & 0o002
    trouble = "Everybody on this machine may change what people see in its place." if is_anybodys else ""
    return judged("logo", trouble, f"chmod o-w {file}", "The panel may read it.")


def _database_file(file: Path) -> Iterator[Finding]:
    trouble = "Others on this machine may read it." if is_open_to_others(file) else ""
    yield judged(str(file), trouble, f"chmod {sqlite_mode(file):o} {file}", "Only its owner and group may read it.")
    directory = file.parent
    if directory.stat().st_mode & 0o002:
        sentence = "Everybody on this machine may put other files into the place of the database."
        yield wrong(str(directory), sentence, f"chmod o-w {directory}")
