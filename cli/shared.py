"""What the commands have in common: how they ask, refuse and say what they did."""

import functools
import sys

import click
from flask import current_app
from peewee import PeeweeException

from actions.ground.domain_names import readable
from actions.ground.ports import Ports
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from adapters.dovecot.config import ConfigurationError
from database import take_time
from upgrades import Unsuitable, refuse_newer

from . import completion

ORGANISATION = click.option(
    "--organisation", help="Its name; needed where several organisations have a service of that name."
)
YES = click.option("--yes", is_flag=True, help="Do it; without this, only name what goes along.")
WITH_MAILBOXES = click.option("--with-mailboxes", is_flag=True, help="The mailboxes too, with all that opens them.")
WITHOUT_YES = "Nothing has been changed. Say --yes to do it."
PASSWORD = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)
# Arguments that a shell completes.
ADDRESS = click.argument("address", shell_complete=completion.addresses)
LOGIN = click.argument("login", shell_complete=completion.logins)
SERVICE_NAME = click.argument("name", shell_complete=completion.services)
DOMAIN_NAME = click.argument("name", shell_complete=completion.domains)


def in_sentences(command, *, on_any_version=False):
    """Let a command take its time, and tell what went wrong in a sentence and an exit code, never in a traceback. On a
    database that is newer than this program it refuses, unless said otherwise."""

    @functools.wraps(command)
    def run(*arguments, **named):
        take_time()
        try:
            if not on_any_version:
                refuse_newer()
            return command(*arguments, **named)
        except (Refused, ConfigurationError, Unsuitable) as refusal:
            raise click.ClickException(readable(str(refusal))) from None
        except PeeweeException as trouble:
            raise click.ClickException(
                f"Database error: {trouble}. Is the database up to date (flask db upgrade)?"
            ) from None
        except UnicodeDecodeError:
            raise click.ClickException("The file is not UTF-8 text.") from None
        except BrokenPipeError:
            # Whoever read the list has read enough.
            raise
        except OSError as trouble:
            raise click.ClickException(f"{trouble.filename or 'The system'}: {trouble.strerror or trouble}.") from None

    return run


# For a command that writes nothing into the database, or decides for itself.
in_sentences_on_any_version = functools.partial(in_sentences, on_any_version=True)


def ports() -> Ports:
    return current_app.extensions["ports"]


def unit() -> UnitOfWork:
    """What an action of the operator at the command line takes first."""
    return UnitOfWork(ports())


def password_from(stdin: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if stdin else None


def sentence_and_pending(sentence: str, done: UnitOfWork) -> str:
    later = " The mail server has not answered yet; the worker tries again."
    return sentence + later if done.is_pending else sentence


def is_meant(what: str, losses: list[str], yes: bool) -> bool:
    """Name what goes along with something; whether the operator said that it is to go."""
    click.echo(f"With {readable(what)}:")
    for loss in losses:
        click.echo(f"  {readable(loss)}")
    if not yes:
        click.echo(WITHOUT_YES)
    return yes


def refuse_without_terminal(may_print: bool) -> None:
    """Before a password is made that is shown this once: it goes to a person, and not into somebody's log."""
    if not may_print and not sys.stdout.isatty():
        raise click.ClickException("The password would not be shown on a terminal. Say --print-password to print it.")
