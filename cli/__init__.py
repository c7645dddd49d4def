"""The operator's commands (`flask …`). Each is thin: it reads words, calls one action, prints a sentence.

A noun has a module; here is what runs and sets up the installation itself.
"""

import json
import logging
import os
import sys
from typing import BinaryIO

import click
from flask.cli import AppGroup, with_appcontext
from peewee import PeeweeException

import sender_check
import upgrades
import worker
from actions.ground.domain_names import readable
from actions.notices import bounces
from actions.upkeep import demo
from actions.webmails import webmails
from adapters import milter
from adapters.dovecot import config as mail_server_config
from adapters.dovecot import installed
from doctor import examine
from doctor.findings import MEND, OK, UNKNOWN
from models import Webmail
from settings import DOVECOT_VERSIONS

from .account import account
from .activity import list_activity
from .backup import restore_backup, write_backup
from .collaborator import collaborator
from .completion import print_completion
from .database import db
from .device import device
from .domain import domain
from .mailbox import mailbox
from .manager import manager
from .password_change import password_change
from .service import service
from .shared import in_sentences, in_sentences_on_any_version, ports, sentence_and_pending, unit

dovecot = AppGroup("dovecot", help="The mail server's configuration.")
bounce = AppGroup("bounce", help="E-mails that come back.")
webmail = AppGroup("webmail", help="Webmails whose users come here signed in.")
# How the doctor marks what it finds.
MARKS = {OK: "ok  ", MEND: "MEND", UNKNOWN: "?   "}
NOUNS = (service, domain, mailbox, manager, account, device, collaborator, password_change)


@dovecot.command("config")
@click.option(
    "--dovecot-version",
    type=click.Choice(DOVECOT_VERSIONS),
    help="The default is POSTERN_DOVECOT_VERSION or, without it, the version that is installed here.",
)
@click.option("--output", default=mail_server_config.DIRECTORY, show_default=True, type=click.Path(file_okay=False))
@click.option(
    "--elsewhere",
    is_flag=True,
    help="The files are for another host: look neither for a certificate nor for an installed Dovecot here.",
)
@in_sentences_on_any_version
def dovecot_config(dovecot_version, output, elsewhere):
    """Write a complete Dovecot configuration for the storage in use into the directory OUTPUT.

    Nothing is replaced unless the Dovecot that is installed here can read the new configuration.
    """
    settings = ports().settings
    present = "" if elsewhere else installed.version()
    version = dovecot_version or installed.version_for(settings, present)
    if not elsewhere:
        _refuse_missing_certificates(settings)
    if version == present:
        settings = _limited_to_what_is_installed(settings)
    files = mail_server_config.render(settings, version, output)
    if version == present:
        _refuse_what_dovecot_does_not_read(files, output)
    kept = mail_server_config.keep_what_stood_there(output)
    mail_server_config.write(files, output)
    for name in files:
        click.echo(f"{output}/{name}")
    if kept:
        click.echo(f"\nWhat stood there before is in {kept}.")
    _say_what_was_not_tried(version, present, elsewhere)
    if settings.database_url.startswith("mysql:") and settings.dovecot_mysql_user:
        grants = mail_server_config.grants(settings)
        click.echo(f"\nDovecot's own database account needs these rights:\n\n{grants}")


def _refuse_missing_certificates(settings):
    if missing := mail_server_config.missing_certificates(settings):
        raise click.ClickException(
            f"There is no {' and no '.join(missing)}: Dovecot could not accept connections. Correct"
            " POSTERN_TLS_CERTIFICATE and POSTERN_TLS_KEY; with --elsewhere, files for another host are written."
        )


def _limited_to_what_is_installed(settings):
    """Dovecot does not start with a protocol that is not installed."""
    if driver := installed.missing_driver(settings):
        raise click.ClickException(f"Dovecot cannot read this database: install {driver} first.")
    missing = installed.missing_protocols(settings)
    limited = installed.without(settings, missing)
    if missing and not any(limited.mail_ports.values()):
        raise click.ClickException(f"None of Dovecot's protocols is installed: install {' '.join(missing.values())}.")
    for protocol, package in missing.items():
        click.echo(f"Left out, because it is not installed: {protocol} (package {package}).", err=True)
    return limited


def _refuse_what_dovecot_does_not_read(files, output):
    with mail_server_config.on_trial(files, output) as file:
        refusal = installed.refusal(file).replace(str(file.parent), output)
    if refusal:
        raise click.ClickException(f"Dovecot cannot read this configuration, so nothing was replaced:\n{refusal}")


def _say_what_was_not_tried(version, present, elsewhere):
    if elsewhere or version == present:
        return
    reason = f"Dovecot {present} is installed here" if present else "no Dovecot is installed here"
    click.echo(f"\nThis configuration is for Dovecot {version}, and was not tried: {reason}.", err=True)


@webmail.command("add")
@click.argument("origin")
@click.option(
    "--organisation", help="Allow the webmail only for this organisation's mailboxes; otherwise for all mailboxes."
)
@click.option(
    "--algorithm", type=click.Choice([Webmail.EDDSA, Webmail.HS256]), default=Webmail.EDDSA, show_default=True
)
@in_sentences
def add_webmail(origin, organisation, algorithm):
    """Register the webmail at ORIGIN, and print the configuration of its plugin. The key is not shown again."""
    settings = ports().settings
    added = webmails.add(unit(), origin, organisation, algorithm)
    known = added.webmail
    facts = {
        "url": settings.base_url,
        "server_url": settings.base_url,
        "origin": known.origin,
        "key_id": known.key_id,
        "key": added.key,
        "algorithm": known.algorithm,
    }
    for name, value in facts.items():
        click.echo(f"$config['postern_{name}'] = '{value}';")
    if known.origin not in settings.webmail_origins:
        origins = ", ".join(f'"{each}"' for each in (*settings.webmail_origins, known.origin))
        line = f"webmail_origins = [{origins}]"
        click.echo(
            f"\nBrowsers do not allow it to show the panel yet. Add this line to postern.toml:\n\n{line}", err=True
        )


@webmail.command("list")
@in_sentences
def list_webmails():
    """List the registered webmails."""
    for known in webmails.every():
        speaks_for = known.organisation.name if known.organisation else "all mailboxes"
        click.echo(f"{known.origin}\t{known.algorithm}\t{known.key_id}\t{speaks_for}")


@webmail.command("remove")
@click.argument("origin")
@in_sentences
def remove_webmail(origin):
    """Remove the webmail at ORIGIN: delete its key, and end every session that it started."""
    doing = unit()
    webmails.remove(doing, origin)
    click.echo(sentence_and_pending(f"{origin} has been removed.", doing))


@bounce.command("receive")
@click.argument("recipient")
def receive_bounce(recipient):
    """Read one returned e-mail from standard input, as a mail server passes it on; RECIPIENT is the address that it was
    returned to. The exit code is 0 for whatever was read, and 75 when the mail server must try again later."""
    try:
        upgrades.refuse_newer()
        content = _head_of(sys.stdin.buffer, bounces.MOST_READ)
        outcome = bounces.receive(ports(), recipient, content) if ports().settings.bounce_address else ""
    except (PeeweeException, OSError, upgrades.UnusableDatabase) as trouble:
        click.echo(f"Try again later: {type(trouble).__name__}", err=True)
        sys.exit(os.EX_TEMPFAIL)
    if not outcome:
        click.echo("POSTERN_BOUNCE_ADDRESS is not set.", err=True)
        sys.exit(os.EX_TEMPFAIL)
    click.echo(outcome)


def _head_of(stream: BinaryIO, most: int) -> bytes:
    """The beginning of a stream, which is read to its end: who writes it must not be cut off."""
    head = stream.read(most)
    while stream.read(most):
        pass
    return head


@click.command("worker")
@with_appcontext
@in_sentences_on_any_version
def run_worker():
    """Deliver the items in the outbox, until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s postern worker %(levelname)s %(message)s", force=True)
    upgrades.refuse_to_start_on_newer()
    worker.run(ports(), worker.stop_on_signals())


@click.command("sender-check")
@click.option("--port", default=sender_check.PORT, show_default=True, type=click.IntRange(1, 65535))
@with_appcontext
@in_sentences_on_any_version
def run_sender_check(port):
    """Tell Postfix as whom people may write (as a milter, on a loopback port), until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s postern senders %(levelname)s %(message)s", force=True)
    stop = worker.stop_on_signals()
    with milter.serving((sender_check.HOST, port), sender_check.SenderCheck()):
        stop.wait()


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For monitoring: a list of check, state, sentence and mend.")
@with_appcontext
@in_sentences_on_any_version
def run_doctor(as_json):
    """Check the whole installation; the exit code is 1 if something needs attention."""
    findings = list(examine(ports()))
    if as_json:
        click.echo(json.dumps([finding.facts for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.state]}  {finding.subject}: {readable(finding.text)}")
    if not all(finding.well for finding in findings):
        sys.exit(1)


@click.command("demo")
@with_appcontext
@in_sentences
def run_demo():
    """Create the demo accounts if they do not exist, and print how to sign in."""
    settings = ports().settings
    if not settings.demo:
        raise click.ClickException("Demo accounts are created only with POSTERN_DEMO=yes.")
    upgrades.upgrade(click.echo)
    demo.prepare(ports())
    click.echo(f"\nSign in at {settings.base_url}/sign-in with one of these accounts:\n\n{demo.kept_accounts(ports())}")
    if settings.keeps_mail:
        click.echo(f"Outgoing mail is kept, and you can read it at {settings.base_url}/outbox\n")


RUNNING = (run_worker, run_sender_check, run_doctor, run_demo)
ALL = (
    *(*NOUNS, db, dovecot, webmail),
    *(write_backup, restore_backup, list_activity, print_completion, bounce, *RUNNING),
)
