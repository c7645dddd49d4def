"""Completion in the shell: of commands, options, and the names that the database knows.

`completion bash` prints a script for the command by which an installation is called. The script asks that command again
for what fits, with the words typed so far in its environment, as Click's own does.
"""

import os
import shlex

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete
from flask import current_app
from flask.cli import with_appcontext
from peewee import PeeweeException

from models import Account, Domain, Mailbox, Service

ASKED = "_POSTERN_COMPLETE"
MOST = 50
# Greater than any character that an address in stored form has.
AFTER_ALL_THAT_BEGIN_SO = "\x7f"
OF_FLASK = ("--app", "-A", "--env-file", "-e")


def addresses(_context, _parameter, typed: str) -> list[str]:
    return _beginning_with(Mailbox.address, typed)


def logins(_context, _parameter, typed: str) -> list[str]:
    return _beginning_with(Account.login, typed)


def domains(_context, _parameter, typed: str) -> list[str]:
    return _beginning_with(Domain.name, typed)


def services(_context, _parameter, typed: str) -> list[str]:
    return _beginning_with(Service.name, typed, above="\U0010ffff")


def _beginning_with(column, typed: str, above: str = AFTER_ALL_THAT_BEGIN_SO) -> list[str]:
    """The first values that begin with a text, along an index; none where the database does not answer: whoever types
    is not interrupted."""
    query = column.model.select(column).where(column >= typed, column < typed + above).distinct()
    try:
        return [value for (value,) in query.order_by(column).limit(MOST).tuples() if value.startswith(typed)]
    except PeeweeException:
        return []


def _without_flasks_own(words: list[str]) -> list[str]:
    """The words after `--app wsgi` and the like."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in OF_FLASK else words[1:]
    return words


class _Ours(ShellComplete):
    """Completes our commands, whatever the command that runs them is called."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        return _without_flasks_own(words), incomplete


class _Bash(_Ours, BashComplete):
    # Bash takes an @ for the end of a word, in the middle of an address.
    source_template = "COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}\n" + BashComplete.source_template.replace(
        "bash_complete $1)", "bash_complete $1 %(again)s)"
    )

    def format_completion(self, item: CompletionItem) -> str:
        """Bash takes what is completed as if it had been typed."""
        return f"{item.type},{shlex.quote(item.value)}"

    @staticmethod
    def _check_version() -> None:
        """The script is often written by another shell than the one that reads it."""


class _Zsh(_Ours, ZshComplete):
    source_template = ZshComplete.source_template.replace(
        "zsh_complete %(prog_name)s)", "zsh_complete %(prog_name)s %(again)s)"
    )


class _Fish(_Ours, FishComplete):
    source_template = FishComplete.source_template.replace(
        "COMP_CWORD=(commandline -t) %(prog_name)s)", "COMP_CWORD=(commandline -t) %(prog_name)s %(again)s)"
    )


SHELLS = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.option("--command", default="postern", show_default=True, help="The command that runs `flask --app wsgi`.")
@with_appcontext
def print_completion(shell, command):
    """Print a script that completes the commands in the shell SHELL."""
    completes = SHELLS[shell](current_app.cli, {}, command, ASKED)
    if os.environ.get(ASKED) == f"{shell}_complete":
        click.echo(completes.complete())
    else:
        facts = completes.source_vars() | {"again": f"completion {shell}"}
        click.echo(completes.source_template % facts)
