"""`flask --app setup_host setup`: asks, shows the plan, carries it out or puts everything back."""

import contextlib
import difflib
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import click

from setup_host import answers as said
from setup_host import steps
from setup_host.answers import SETTINGS_FILE, Answers
from setup_host.host import (
    PACKAGES,
    PACKAGES_OF_MARIADB,
    PACKAGES_OF_MYSQL,
    PACKAGES_OF_SQLITE,
    Host,
    SetupError,
    run,
)
from setup_host.record import DIRECTORY, File, Record, write
from setup_host.steps import AFTER, UNITS, Check, Command, Directory, Step

QUESTIONS = {
    "base_url": ("Where people reach the panel, such as https://account.example.org", ""),
    "mail_host": ("Name of the mail server, such as mail.example.org", ""),
    "domain": ("The first mail domain", ""),
    "organisation": ("Name of the organisation that it belongs to", ""),
    "manager": ("E-mail address of the first manager, outside this server", ""),
    "mailbox": ("The first mailbox", ""),
    "database": ("Database: sqlite, mariadb, or mysql://user:password@host/name", "sqlite"),
    "webmails": ("Addresses of webmails, such as https://webmail.example.org, or nothing", " "),
    "webmail_hosts": ("IP addresses of the webmails' servers, or nothing", " "),
    "certificate": ("Certificate chain (PEM) for both names, or nothing for certbot's", " "),
    "key": ("Its key, or nothing for certbot's", " "),
}
LISTS = ("webmails", "webmail_hosts")
REQUIRED = ("base_url", "mail_host", "domain", "organisation", "manager", "mailbox")
# Settings whose values nobody is shown.
_SECRETS = re.compile(
    r"^(database_url|\w*password|sms_headers|secret_key|doveadm_key|smtp_url|sms_url)([ \t]*=).*$", re.MULTILINE
)
AGAIN = f"Run the command again when that is mended; --undo puts back what was replaced. See {DIRECTORY}."


@click.command("setup")
@click.option("--base-url", help="Where people reach the panel: https:// and a name.")
@click.option("--mail-host", help="Name of the IMAP and POP3 server.")
@click.option("--domain", help="The first mail domain.")
@click.option("--organisation", help="The organisation that it belongs to.")
@click.option("--service", help="The organisation's mail service.  [default: Mail]")
@click.option("--manager", help="E-mail address of the first manager.")
@click.option("--mailbox", help="The first mailbox.")
@click.option(
    "--database",
    envvar="POSTERN_DATABASE_URL",
    help="sqlite, mariadb (made on this machine) or the mysql:// address of one; also from POSTERN_DATABASE_URL.",
)
@click.option("--mail-from", help="Sender of Postern's e-mails.")
@click.option("--webmail", "webmails", multiple=True, help="Origin of a webmail. Repeatable.")
@click.option("--webmail-host", "webmail_hosts", multiple=True, help="Address of a webmail's server. Repeatable.")
@click.option("--certificate", help="Certificate chain (PEM). Without it, certbot makes one.")
@click.option("--key", help="Its key.")
@click.option("--mail-certificate", help="Dovecot's certificate chain, if it is another one.")
@click.option("--mail-key", help="Its key.")
@click.option("--install", is_flag=True, help="Install the Debian packages that are missing.")
@click.option("--dry-run", is_flag=True, help="Show each change as a diff and each command; change nothing.")
@click.option("--undo", is_flag=True, help="Put back what setup replaced. Database, keys and mail stay.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option(
    "--root",
    default="/",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write the files below this directory, which is going to be the root of a machine, and run no command.",
)
def setup(install, dry_run, undo, yes, root, **given):
    """Make this machine a running Postern, as root, on Debian 12 or 13.

    Whatever is replaced is kept. Run again, it changes nothing; interrupted, it goes on.
    """
    host = Host(root.resolve())
    try:
        _refuse_elsewhere(host)
        if undo:
            return _undo(host, yes)
        answers = _answers(host, given, may_ask=not yes and sys.stdin.isatty())
        _packages(host, answers, install, dry_run)
        plan = steps.plan(answers, host)
        if dry_run:
            return _show(plan, host, with_texts=True)
        _show(plan, host, with_texts=False)
        if not yes:
            click.confirm("Go on?", abort=True)
        return _carry_out(plan, answers, host)
    except SetupError as trouble:
        raise click.ClickException(str(trouble)) from None
    except OSError as trouble:
        raise click.ClickException(f"{trouble.filename}: {trouble.strerror}. {AGAIN}") from None


# --- before ---


def _refuse_elsewhere(host: Host) -> None:
    if host.is_this_machine and os.geteuid() != 0:
        raise SetupError("Run setup as root.")
    if not host.dovecot_version():
        raise SetupError("Setup knows Debian 12 and 13 only: elsewhere follow the steps by hand in docs/operating.md.")
    closed = [each for each in (steps.CODE, *steps.CODE.parents) if not each.stat().st_mode & 0o001]
    if host.is_this_machine and closed:
        raise SetupError(f"Postern's own user could not enter {closed[0]}: unpack the tarball into /opt/postern.")


def _answers(host: Host, given: dict, may_ask: bool) -> Answers:
    """From the options, or what is known from before, or the person at the terminal."""
    known = said.known_from(host.text(SETTINGS_FILE)) | _remembered(host)
    known |= {name: value for name, value in given.items() if value}
    if may_ask:
        for name, (question, default) in QUESTIONS.items():
            if name not in known:
                typed = click.prompt(question, default=default or None, show_default=bool(default.strip()))
                known[name] = typed.strip()
    if missing := [f"--{name.replace('_', '-')}" for name in REQUIRED if not known.get(name)]:
        raise SetupError(f"Still to be said: {', '.join(missing)}.")
    for name in LISTS:
        value = known.get(name) or ()
        known[name] = tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)
    answers = Answers(**known).checked()
    if answers.uses_certbot and not host.path("/usr/bin/certbot").exists():
        raise SetupError("Give --certificate and --key, or install certbot (apt-get install certbot).")
    return answers


def _remembered(host: Host) -> dict[str, object]:
    """The answers of an earlier run that did not come to its end, or did."""
    names = {entry.name for entry in fields(Answers)}
    written = json.loads(host.text(f"{DIRECTORY}/answers.json") or "{}")
    return {name: value for name, value in written.items() if name in names and value}


def _packages(host: Host, answers: Answers, install: bool, dry_run: bool) -> None:
    of_database = PACKAGES_OF_SQLITE if answers.uses_sqlite else PACKAGES_OF_MYSQL
    wanted = PACKAGES | (PACKAGES_OF_MARIADB if answers.makes_database else of_database)
    missing = host.missing(wanted)
    if not missing:
        return
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if dry_run or not host.is_this_machine:
        click.echo(f"Packages that are missing: {command}\n", err=True)
    elif install:
        run(["apt-get", "-q", "update"], shown=True)
        run(["apt-get", "-q", "-y", *command.split()[1:]], shown=True)
    else:
        raise SetupError(f"Packages are missing: {command}\nOr let setup install them: --install.")


# --- what is shown ---


def _show(plan: list[Step], host: Host, with_texts: bool) -> None:
    record = Record(host)
    for step in plan:
        if line := _line(step, record):
            click.echo(line)
        if with_texts and isinstance(step, File) and _is_open(step, record):
            click.echo(_difference(step, host))
    for name in AFTER:
        if any(isinstance(step, File) and name in step.tells and _is_open(step, record) for step in plan):
            click.echo("\n".join(f"run    {' '.join(words)}" for words in AFTER[name]))


def _line(step: Step, record: Record) -> str:
    """A step in one line; the empty text if it is done."""
    if isinstance(step, Check):
        return f"check  {step.says}"
    if isinstance(step, Command):
        return "" if step.is_done() else f"run    {' '.join(step.words)}{' < (not shown)' if step.given else ''}"
    if isinstance(step, Directory):
        return "" if _is_as_wanted(step, record.host) else f"make   {step.path} {step.owner}:{step.group} {step.mode:o}"
    if not _is_open(step, record):
        return ""
    return f"remove {step.path}" if step.text is None else f"write  {step.path} {step.owner}:{step.group} {step.mode:o}"


def _is_open(file: File, record: Record) -> bool:
    try:
        return not record.is_in_order(file)
    except SetupError:
        return True  # its owner is still to be made


def _difference(file: File, host: Host) -> str:
    if file.secret and file.path != SETTINGS_FILE:
        return "       (holds secrets: not shown)"
    if host.path(file.path).is_symlink():
        return f"       (a link to {os.readlink(host.path(file.path))})"
    former, wanted = (_SECRETS.sub(r"\1\2 …", text).splitlines() for text in (host.text(file.path), file.text or ""))
    return "\n".join(difflib.unified_diff(former, wanted, file.path, file.path, lineterm=""))


# --- what is done ---


def _carry_out(plan: list[Step], answers: Answers, host: Host) -> None:
    with _alone(host):
        record = Record(host)
        _remember(answers, host)
        left = []
        for step in plan:
            left += carry_out(step, record)
        if host.path(steps.GRANTS).exists():
            click.echo(f"\nThe SQL of {steps.GRANTS} makes Dovecot's database account: let the administrator run it.")
        if not host.is_this_machine:
            return _say_what_is_left(left, record)
        if not host.has_systemd:
            return _say_how_to_start(record)
        tell(record)
    _doctor(host)
    return None


def carry_out(step: Step, record: Record) -> list[str]:
    """Do one step if it is not done; the commands that are left to whoever starts the machine. Raises `SetupError`."""
    host = record.host
    if isinstance(step, File):
        if record.put(step):
            click.echo(_done(step))
        unknown = -1 in host.owners(step.owner, step.group) and step.text is not None
        return [f"chown {step.owner}:{step.group} {step.path}"] if unknown else []
    if isinstance(step, Directory):
        return _make(step, host)
    if not host.is_this_machine:
        return [_line(step, record)] if isinstance(step, Command) and not step.is_done() else []
    if isinstance(step, Check):
        step.look()
    elif not step.is_done():
        run(list(step.words), step.given, step.shown)
    return []


def tell(record: Record) -> None:
    """Run what has to follow the changes, of an interrupted run as well."""
    for name, commands in AFTER.items():
        if name in record.due:
            for words in commands:
                run(list(words))
            record.is_done(name)


def _done(file: File) -> str:
    return f"removed {file.path}" if file.text is None else f"wrote {file.path}"


def _make(step: Directory, host: Host) -> list[str]:
    if _is_as_wanted(step, host):
        return []
    path, (owner, group) = host.path(step.path), host.owners(step.owner, step.group)
    if path.is_dir() and owner not in (-1, path.stat().st_uid) and any(path.iterdir()):
        raise SetupError(f"{step.path} is somebody else's, and not empty: it must belong to {step.owner}.")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(path, owner, group)
    path.chmod(step.mode)
    return [f"chown {step.owner}:{step.group} {step.path}"] if -1 in (owner, group) else []


def _is_as_wanted(step: Directory, host: Host) -> bool:
    path = host.path(step.path)
    try:
        owner, group = host.owners(step.owner, step.group)
    except SetupError:
        return False
    if not path.is_dir():
        return False
    seen = path.stat()
    return seen.st_mode & 0o7777 == step.mode and owner in (-1, seen.st_uid) and group in (-1, seen.st_gid)


def _remember(answers: Answers, host: Host) -> None:
    """For the next run. The address of a database holds a password, and stands in the settings."""
    facts = asdict(answers)
    if answers.database.startswith("mysql:"):
        del facts["database"]
    if (answers.mail_certificate, answers.mail_key) == (answers.certificate, answers.key):
        del facts["mail_certificate"], facts["mail_key"]
    write(host.path(f"{DIRECTORY}/answers.json"), json.dumps(facts, indent=2).encode(), 0o600)


def _say_what_is_left(left: list[str], record: Record) -> None:
    click.echo("\nLeft to do in the machine, in this order:")
    for line in left:
        click.echo(line.removeprefix("run    ").replace(" < (not shown)", " < (what setup gives it there)"))
    click.echo(f"Or run setup there: it does what is missing, and tells {', '.join(record.due) or 'nobody'}.")


def _say_how_to_start(record: Record) -> None:
    click.echo("\nsystemd does not run here, so nothing was started. Once it does, run setup again, or by hand:")
    for name in AFTER:
        if name in record.due:
            click.echo("\n".join(" ".join(words) for words in AFTER[name]))
    click.echo(f"Then: {' '.join(steps.flask('doctor', host=record.host))}")


def _doctor(host: Host) -> None:
    click.echo("\nPostern runs. What flask doctor finds:\n")
    done = subprocess.run(steps.flask("doctor", host=host), check=False)  # noqa: S603 - our own program
    click.echo("\nAnother link for a first person: “account link”. What registers a webmail: “webmail add”.")
    if done.returncode:
        sys.exit(done.returncode)


# --- undo ---


def _undo(host: Host, yes: bool) -> None:
    record = Record(host)
    if not record.entries and not record.due:
        return click.echo("Setup has replaced nothing here.")
    for name in record.entries:
        click.echo(f"put back {name}")
    if not yes:
        click.confirm("Go on?", abort=True)
    with _alone(host):
        record = Record(host)
        units = [
            unit
            for unit in UNITS
            if f"/etc/systemd/system/{unit}.service" in record.entries or steps.is_packaged(unit, host)
        ]
        if host.has_systemd and units:
            run(["systemctl", "disable", "--now", *units])
        for sentence in record.undo():
            click.echo(sentence)
        for unit in UNITS:
            if unit in record.due:
                record.is_done(unit)
        if host.has_systemd:
            tell(record)
        for name in list(record.due):
            record.is_done(name)
    return click.echo(f"Database, keys, settings, mail and users stay. What was taken away is in {DIRECTORY}.")


@contextlib.contextmanager
def _alone(host: Host) -> Iterator[None]:
    """One setup at a time."""
    directory = host.path(DIRECTORY)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SetupError("Another setup is running.") from None
    else:
        yield
    finally:
        os.close(descriptor)
