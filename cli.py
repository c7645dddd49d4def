"""The operator's commands (`flask …`). Each is thin: it reads words, calls one action, prints a sentence."""

import functools
import json
import logging
import os
import sys
from typing import BinaryIO

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from peewee import PeeweeException

import sender_check
import worker
from actions.ground.domain_names import readable
from actions.ground.ports import Ports
from actions.ground.refusals import Refused
from actions.ground.sizes import MEGABYTE, Size
from actions.ground.unit_of_work import UnitOfWork
from actions.notices import bounces
from actions.passwords import recovery
from actions.passwords.policy import POLICIES
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from actions.upkeep import demo
from actions.users import imports_at_once, managers, removals, renaming, user_files
from actions.webmails import webmails
from adapters import milter
from adapters.dovecot import config as mail_server_config
from adapters.dovecot import installed
from database import pending_migrations, router, take_time
from doctor import examine
from doctor.findings import MEND, OK, UNKNOWN
from models import Account, Service, Webmail
from settings import DEFAULT_DOVECOT_VERSION, DOVECOT_VERSIONS

ORGANISATION = click.option(
    "--organisation", help="Its name; needed where several organisations have a service of that name."
)
YES = click.option("--yes", is_flag=True, help="Do it; without this, only name what goes along.")
WITH_MAILBOXES = click.option("--with-mailboxes", is_flag=True, help="The mailboxes too, with all that opens them.")
# How the doctor marks what it finds.
MARKS = {OK: "ok  ", MEND: "MEND", UNKNOWN: "?   "}
WITHOUT_YES = "Nothing has been changed. Say --yes to do it."
PASSWORD = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


def in_sentences(command):
    """Let a command take its time, and tell what went wrong in a sentence and an exit code, never in a traceback."""

    @functools.wraps(command)
    def run(*arguments, **named):
        take_time()
        try:
            return command(*arguments, **named)
        except (Refused, mail_server_config.ConfigurationError) as refusal:
            raise click.ClickException(readable(str(refusal))) from None
        except PeeweeException as trouble:
            raise click.ClickException(
                f"Database error: {trouble}. Is the database up to date (flask db upgrade)?"
            ) from None
        except UnicodeDecodeError:
            raise click.ClickException("The file is not UTF-8 text.") from None
        except OSError as trouble:
            raise click.ClickException(f"{trouble.filename or 'The system'}: {trouble.strerror or trouble}.") from None

    return run


def ports() -> Ports:
    return current_app.extensions["ports"]


def unit() -> UnitOfWork:
    """What an action of the operator at the command line takes first."""
    return UnitOfWork(ports())


db = AppGroup("db", help="The database.")
service = AppGroup("service", help="Mail services.")
domain = AppGroup("domain", help="Domains of a service.")
mailbox = AppGroup("mailbox", help="Mailboxes and the accounts that open them.")
manager = AppGroup("manager", help="Managers of an organisation, and operators.")
account = AppGroup("account", help="Accounts of any kind.")
dovecot = AppGroup("dovecot", help="The mail server's configuration.")
bounce = AppGroup("bounce", help="E-mails that come back.")
webmail = AppGroup("webmail", help="Webmails whose users come here signed in.")


def init_app(app: Flask) -> None:
    for group in (db, service, domain, mailbox, manager, account, dovecot, webmail):
        app.cli.add_command(group)
    for command in (bounce, run_worker, run_sender_check, run_doctor, run_demo):
        app.cli.add_command(command)


@db.command("upgrade")
@in_sentences
def upgrade():
    """Upgrade the database to the current version."""
    missing = pending_migrations()
    router().run()
    click.echo(f"Applied {', '.join(missing)}." if missing else "The database is up to date.")


@service.command("add")
@click.argument("name")
@click.option("--organisation", required=True, help="The organisation that ordered it; created if it does not exist.")
@click.option(
    "--policy", type=click.Choice(POLICIES), default="classic", show_default=True, help="The password policy."
)
@in_sentences
def add_service(name, organisation, policy):
    """Add a mail service NAME."""
    mailboxes.add_service(unit(), organisation, name, policy)
    click.echo(f"{organisation} now has the service “{name}”.")


@service.command("change")
@click.argument("name")
@ORGANISATION
@click.option("--policy", type=click.Choice(POLICIES), help="The password policy.")
@click.option(
    "--device-passwords/--own-passwords",
    default=None,
    help="Whether mail programs need a device password, or may also use the account's password.",
)
@click.option("--most-collaborators", type=click.IntRange(0, 1000), help="How many collaborators a mailbox may have.")
@click.option(
    "--most-mailboxes", type=click.IntRange(0, 10**9), help="How many mailboxes were ordered; 0 for no limit."
)
@click.option(
    "--quota", type=click.IntRange(0, 10**9), help="For all mailboxes together, in megabytes; 0 for no limit."
)
@in_sentences
def change_service(name, organisation, policy, device_passwords, most_collaborators, most_mailboxes, quota):
    """Change the rules of the service NAME. Connected mail programs stay connected until they next sign in."""
    service = mailboxes.change_service(
        unit(),
        name,
        organisation,
        policy,
        device_passwords,
        most_collaborators,
        most_mailboxes,
        None if quota is None else quota * MEGABYTE,
    )
    opens = "device passwords only" if service.device_passwords_only else "device passwords and account passwords"
    click.echo(f"“{name}” has the policy {service.password_policy}; mail programs may use {opens}.")
    click.echo(f"A mailbox may have {service.most_collaborators} collaborators.")
    ordered = f"{service.most_mailboxes} mailboxes" if service.most_mailboxes else "any number of mailboxes"
    total = f"{Size(service.quota_bytes)} in all" if service.quota_bytes else "any size"
    click.echo(f"Ordered: {ordered}, {total}.")


@service.command("remove")
@click.argument("name")
@ORGANISATION
@WITH_MAILBOXES
@YES
@in_sentences
def remove_service(name, organisation, with_mailboxes, yes):
    """Remove the service NAME with its domains. Without --yes, only name what goes along.

    A service that has mailboxes is removed only --with-mailboxes. The organisation and its managers stay.
    """
    doing, service = unit(), mailboxes.find_service(name, organisation)
    owner, losses = service.organisation, removals.losses_of_service(service)
    _name_losses(f"“{service.name}” of {owner.name}", [*_lost_with_service(service, losses), f"{owner.name} stays"])
    if not yes:
        return click.echo(WITHOUT_YES)
    removals.remove_service(doing, service, with_mailboxes)
    return click.echo(_sentence_and_pending(f"“{service.name}” has been removed.", doing))


@domain.command("add")
@click.argument("name")
@click.option("--service", required=True, help="The service to which the domain belongs.")
@ORGANISATION
@in_sentences
def add_domain(name, service, organisation):
    """Add the domain NAME to a service."""
    added = mailboxes.add_domain(unit(), name, service, organisation)
    click.echo(f"{readable(added.name)} now belongs to “{service}”.")
    if readable(added.name) != added.name:
        click.echo(f"In the DNS and in the mail server's configuration it is called {added.name}.")


@domain.command("remove")
@click.argument("name")
@WITH_MAILBOXES
@YES
@in_sentences
def remove_domain(name, with_mailboxes, yes):
    """Remove the domain NAME. Without --yes, only name what goes along.

    A domain that has mailboxes is removed only --with-mailboxes. An interrupted removal can be run again.
    """
    doing, domain = unit(), removals.find_domain(name)
    _name_losses(domain.name, _lost_with_domains(removals.losses_of_domain(domain)))
    if not yes:
        return click.echo(WITHOUT_YES)
    removals.remove_domain(doing, domain, with_mailboxes)
    return click.echo(_sentence_and_pending(f"{readable(domain.name)} has been removed.", doing))


@mailbox.command("add")
@click.argument("address")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--contact", default="", help="An e-mail address elsewhere, for forgotten passwords and notices.")
@click.option("--quota", default=0, type=click.IntRange(0), help="In megabytes; 0 for no limit.")
@PASSWORD
@in_sentences
def add_mailbox(address, first_name, last_name, contact, quota, password_stdin):
    """Add the mailbox ADDRESS. Without a password, print a one-time link for its owner to set one.

    A manager who signs in with ADDRESS gets the mailbox, with the same password, names and contact e-mail.
    """
    new = NewMailbox(address, first_name, last_name, contact, quota * MEGABYTE, password=_password(password_stdin))
    _tell(mailboxes.add_mailbox(unit(), new))


@mailbox.command("rename")
@click.argument("address")
@click.argument("new")
@click.option("--forward", is_flag=True, help="Mail to ADDRESS still arrives, until “mailbox end-forwarding”.")
@click.option(
    "--forward-days",
    type=click.IntRange(1, renaming.MOST_DAYS),
    help="Mail to ADDRESS still arrives for so many days. Otherwise it is refused.",
)
@in_sentences
def rename_mailbox(address, new, forward, forward_days):
    """Give the mailbox ADDRESS the address NEW, in a domain of the same service. Everything that belongs to it goes
    along; who is signed in or connected signs in again by the new address."""
    if forward and forward_days:
        raise click.ClickException("Choose one of --forward and --forward-days.")
    doing, renamed = unit(), mailboxes.mailbox_named(address)
    forwarding = renaming.Forwarding(forward_days) if forward or forward_days else None
    account = renaming.rename(doing, renamed, renamed.account.revision, new, forwarding)
    click.echo(
        _sentence_and_pending(f"{readable(renamed.address)} is called {readable(account.login)} from now on.", doing)
    )


@mailbox.command("end-forwarding")
@click.argument("address")
@in_sentences
def end_forwarding(address):
    """Refuse mail to the former address ADDRESS from now on."""
    former = renaming.former_address(address)
    renaming.end_forwarding(unit(), former)
    click.echo(f"Mail to {readable(former.address)} is refused from now on.")


@mailbox.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only report errors, with their lines.")
@click.option("--skip-unknown-columns", is_flag=True, help="Read the known columns, whatever others there are.")
@in_sentences
def import_mailboxes(file, dry_run, skip_unknown_columns):
    """Add the mailboxes of a CSV FILE, all or none, and print a one-time link for each.

    The first line names the columns: address, and any of first_name, last_name, contact_email, quota_mb, language,
    phone, state (active, suspended or locked).
    """
    with open(file, "rb") as content:
        plan = imports_at_once.plan(ports(), user_files.text_of(content), skip_unknown_columns)
    for line, problem in plan.problems:
        click.echo(readable(f"line {line}: {problem}"), err=True)
    for service, problem in plan.too_many:
        click.echo(f"{service.name}: {problem}", err=True)
    if not plan.is_in_order:
        raise click.ClickException("Nothing was imported.")
    if dry_run:
        return click.echo(f"{len(plan.lines)} mailboxes would be added.")
    for made in imports_at_once.carry_out(unit(), plan):
        click.echo(f"{readable(made.account.login)}\t{made.link or made.account.state}")
    return None


@manager.command("add")
@click.argument("login")
@click.option("--organisation", help="The organisation to manage; an operator manages all of them.")
@click.option("--role", type=click.Choice(Account.MANAGERS), default=Account.OWNER, show_default=True)
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@PASSWORD
@in_sentences
def add_manager(login, organisation, role, first_name, last_name, password_stdin):
    """Add a manager, who signs in with the e-mail address LOGIN.

    Somebody whose mailbox is LOGIN becomes a manager too, with the same password and names.
    """
    names = {"first_name": first_name, "last_name": last_name}
    _tell(managers.add(unit(), login, organisation, role, _password(password_stdin), **names))


@manager.command("remove")
@click.argument("login")
@click.option("--last", is_flag=True, help="Even if nobody is left who manages the organisation, or no operator.")
@YES
@in_sentences
def remove_manager(login, last, yes):
    """Let LOGIN be a manager no more. Without --yes, only name what ends.

    The account is deleted, unless it has a mailbox: then it goes on as its owner's.
    """
    doing, account = unit(), managers.named(login)
    _name_losses(account.login, _lost_with_manager(managers.losses(account)))
    if not yes:
        return click.echo(WITHOUT_YES)
    managers.remove(doing, account, even_the_last=last)
    return click.echo(_sentence_and_pending(f"{readable(account.login)} is no manager any more.", doing))


@account.command("link")
@click.argument("login")
@in_sentences
def make_link(login):
    """Print a one-time link for the owner of LOGIN to set a new password; it also unlocks a locked account."""
    click.echo(mailboxes.make_link(unit(), login))


@account.command("lock")
@click.argument("login")
@in_sentences
def lock(login):
    """Lock the account LOGIN: end all access, and let nobody in until a link of “account link” is used."""
    doing = unit()
    recovery.lock_by_operator(doing, mailboxes.account_named(login))
    click.echo(_sentence_and_pending(f"{readable(login)} is locked.", doing))


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
@in_sentences
def dovecot_config(dovecot_version, output, elsewhere):
    """Write a complete Dovecot configuration for the storage in use into the directory OUTPUT.

    Nothing is replaced unless the Dovecot that is installed here can read the new configuration.
    """
    settings = ports().settings
    present = "" if elsewhere else installed.version()
    version = dovecot_version or settings.dovecot_version or present or DEFAULT_DOVECOT_VERSION
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
    click.echo(_sentence_and_pending(f"{origin} has been removed.", doing))


@bounce.command("receive")
@click.argument("recipient")
def receive_bounce(recipient):
    """Read one returned e-mail from standard input, as a mail server passes it on; RECIPIENT is the address that it was
    returned to. The exit code is 0 for whatever was read, and 75 when the mail server must try again later."""
    try:
        content = _head_of(sys.stdin.buffer, bounces.MOST_READ)
        outcome = bounces.receive(ports(), recipient, content) if ports().settings.bounce_address else ""
    except (PeeweeException, OSError) as trouble:
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
@in_sentences
def run_worker():
    """Deliver the items in the outbox, until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s postern worker %(levelname)s %(message)s", force=True)
    worker.run(ports(), worker.stop_on_signals())


@click.command("sender-check")
@click.option("--port", default=sender_check.PORT, show_default=True, type=click.IntRange(1, 65535))
@with_appcontext
@in_sentences
def run_sender_check(port):
    """Tell Postfix as whom people may write (as a milter, on a loopback port), until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s postern senders %(levelname)s %(message)s", force=True)
    stop = worker.stop_on_signals()
    with milter.serving((sender_check.HOST, port), sender_check.SenderCheck()):
        stop.wait()


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For monitoring: a list of check, state, sentence and mend.")
@with_appcontext
@in_sentences
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
    router().run()
    demo.prepare(ports())
    click.echo(f"\nSign in at {settings.base_url}/sign-in with one of these accounts:\n\n{demo.kept_accounts(ports())}")
    if settings.keeps_mail:
        click.echo(f"Outgoing mail is kept, and you can read it at {settings.base_url}/outbox\n")


def _password(from_stdin: bool) -> str | None:
    if not from_stdin:
        return None
    return sys.stdin.readline().rstrip("\r\n")


def _sentence_and_pending(sentence: str, done: UnitOfWork) -> str:
    later = " The mail server has not answered yet; the worker tries again."
    return sentence + later if done.is_pending else sentence


def _tell(made: mailboxes.MadeMailbox) -> None:
    login = readable(made.account.login)
    if made.is_new:
        click.echo(f"{login} has been added.")
    else:
        click.echo(f"{login} was there, and is both now: a manager, and the owner of a mailbox.")
    if made.link:
        click.echo(f"Its owner sets the password with this link, which works once:\n{made.link}")


def _name_losses(what: str, losses: list[str]) -> None:
    click.echo(f"With {readable(what)}:")
    for loss in losses:
        click.echo(f"  {readable(loss)}")


def _lost_with_manager(losses: managers.Losses) -> list[str]:
    kept = f"the mailbox {losses.mailbox.address} stays, with its password" if losses.mailbox else "the account goes"
    return [
        kept,
        f"{losses.browsers} signed-in browser(s) and {losses.known_browsers} known one(s)",
        f"{losses.changes} change(s) of several passwords that are under way stop",
        "every link to set the password",
    ]


def _lost_with_service(service: Service, losses: removals.Losses) -> list[str]:
    domains = ", ".join(losses.domains) or "none"
    return [
        f"its domains: {domains}",
        f"its settings: the policy {service.password_policy}, the order, the limits",
        *_lost_with_domains(losses),
    ]


def _lost_with_domains(losses: removals.Losses) -> list[str]:
    return [
        f"{losses.mailboxes} mailbox(es), with their accounts; the messages stay in their directories",
        f"{losses.collaborators} collaborator(s) and {losses.devices} device(s)",
        "every signed-in browser and webmail, and every link",
        f"{losses.password_changes} change(s) of several passwords, with their archives",
        f"{losses.imports} file(s) of users",
        *(f"{login} loses the mailbox and stays a manager" for login in losses.managers),
        *(f"{login} stays a manager, and gets no more mail there" for login in losses.signing_in),
        *(f"the webmail {origin} stays registered: see “webmail remove”" for origin in losses.webmails),
    ]
