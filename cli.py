"""The operator's commands (`flask …`). Each is thin: it reads words, calls one action, prints a sentence."""

import functools
import logging
import os
import sys
from typing import BinaryIO

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from peewee import PeeweeException

import worker
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
from actions.users import imports_at_once, user_files
from actions.webmails import webmails
from adapters.dovecot import config as mail_server_config
from database import pending_migrations, router
from doctor import examine
from models import Account, Webmail
from settings import DOVECOT_VERSIONS

ORGANISATION = click.option(
    "--organisation", help="Its name; needed where several organisations have a service of that name."
)
PASSWORD = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


def in_sentences(command):
    """Tell what went wrong in a sentence and an exit code, never in a traceback."""

    @functools.wraps(command)
    def run(*arguments, **named):
        try:
            return command(*arguments, **named)
        except (Refused, mail_server_config.ConfigurationError) as refusal:
            raise click.ClickException(str(refusal)) from None
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
    for group in (db, service, domain, mailbox, manager, account, dovecot, run_worker, run_doctor, run_demo):
        app.cli.add_command(group)
    app.cli.add_command(webmail)
    app.cli.add_command(bounce)


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


@domain.command("add")
@click.argument("name")
@click.option("--service", required=True, help="The service to which the domain belongs.")
@ORGANISATION
@in_sentences
def add_domain(name, service, organisation):
    """Add the domain NAME to a service."""
    added = mailboxes.add_domain(unit(), name, service, organisation)
    click.echo(f"{added.name} now belongs to “{service}”.")


@mailbox.command("add")
@click.argument("address")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--contact", default="", help="An e-mail address elsewhere, for forgotten passwords and notices.")
@click.option("--quota", default=0, type=click.IntRange(0), help="In megabytes; 0 for no limit.")
@PASSWORD
@in_sentences
def add_mailbox(address, first_name, last_name, contact, quota, password_stdin):
    """Add the mailbox ADDRESS. Without a password, print a one-time link for its owner to set one."""
    new = NewMailbox(address, first_name, last_name, contact, quota * MEGABYTE, password=_password(password_stdin))
    _tell(mailboxes.add_mailbox(unit(), new))


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
        click.echo(f"line {line}: {problem}", err=True)
    for service, problem in plan.too_many:
        click.echo(f"{service.name}: {problem}", err=True)
    if not plan.is_in_order:
        raise click.ClickException("Nothing was imported.")
    if dry_run:
        return click.echo(f"{len(plan.lines)} mailboxes would be added.")
    for made in imports_at_once.carry_out(unit(), plan):
        click.echo(f"{made.account.login}\t{made.link or made.account.state}")
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
    """Add a manager, who signs in with the e-mail address LOGIN."""
    names = {"first_name": first_name, "last_name": last_name}
    _tell(mailboxes.add_manager(unit(), login, organisation, role, _password(password_stdin), **names))


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
    click.echo(_sentence_and_pending(f"{login} is locked.", doing))


@dovecot.command("config")
@click.option("--dovecot-version", type=click.Choice(DOVECOT_VERSIONS), help="The default is POSTERN_DOVECOT_VERSION.")
@click.option("--output", default=mail_server_config.DIRECTORY, show_default=True, type=click.Path(file_okay=False))
@in_sentences
def dovecot_config(dovecot_version, output):
    """Write a complete Dovecot configuration for the storage in use into the directory OUTPUT."""
    settings = ports().settings
    files = mail_server_config.render(settings, dovecot_version or settings.dovecot_version, output)
    mail_server_config.write(files, output)
    for name in files:
        click.echo(f"{output}/{name}")
    if settings.database_url.startswith("mysql:") and settings.dovecot_mysql_user:
        grants = mail_server_config.grants(settings)
        click.echo(f"\nDovecot's own database account needs these rights:\n\n{grants}")


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


@click.command("doctor")
@with_appcontext
@in_sentences
def run_doctor():
    """Check the whole installation; the exit code is 1 if something needs attention."""
    findings = list(examine(ports()))
    for finding in findings:
        click.echo(f"{'ok  ' if finding.well else 'MEND'}  {finding.subject}: {finding.sentence}")
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
    click.echo(f"{made.account.login} has been added.")
    if made.link:
        click.echo(f"Its owner sets the password with this link, which works once:\n{made.link}")
