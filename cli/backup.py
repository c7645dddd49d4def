"""Back up the installation, and restore it."""

from pathlib import Path

import click
from flask.cli import with_appcontext

import upgrades
from actions.trail import trail
from backups import backup, restore

from .shared import WITHOUT_YES, in_sentences, in_sentences_on_any_version, ports

PASSPHRASE_FILE = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the passphrase from the first line of this file; otherwise it is asked for.",
)


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@PASSPHRASE_FILE
@with_appcontext
@in_sentences
def write_backup(file, passphrase_file):
    """Write the database, the keys and the settings into FILE, encrypted to a passphrase. Postern may run meanwhile.

    It holds postern.toml, secret.key and doveadm.key of the instance directory. Without the passphrase nobody can
    read it, and nobody can restore it.
    """
    counts = backup.write(ports().settings, file, _passphrase(passphrase_file, twice=True))
    click.echo(f"{file} holds {sum(counts.values())} rows of {len(counts)} tables, the keys and the settings.")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@PASSPHRASE_FILE
@click.option("--yes", is_flag=True, help="Do it; without this, only say what it brings back.")
@with_appcontext
@in_sentences_on_any_version
def restore_backup(file, passphrase_file, yes):
    """Go back to the backup FILE: the database that the settings name, SQLite or MySQL, and the keys.

    Stop Postern first. All that stands in the database now is replaced. Browsers, webmails, links and invitations of
    that time stay ended. If it is interrupted, nobody can use the database until it is run again.
    """
    settings, passphrase = ports().settings, _passphrase(passphrase_file)
    found = restore.look(file, passphrase)
    with upgrades.while_nothing_runs():
        restore.refuse_what_does_not_fit(settings, found)
        click.echo(f"This goes back to {trail.exact(found.made_at)}, with {sum(found.counts.values())} rows:")
        for sentence in restore.consequences(settings, found):
            click.echo(f"  {sentence}")
        if not yes:
            click.echo(WITHOUT_YES)
            return
        restore.carry_out(settings, file, passphrase, found, click.echo)
    click.echo("Restored. Start Postern, run “flask doctor”, and tell people which passwords are valid.")


def _passphrase(file: Path | None, twice: bool = False) -> str:
    if file:
        with file.open(encoding="utf-8") as lines:
            return lines.readline().rstrip("\r\n")
    return click.prompt("Passphrase", hide_input=True, confirmation_prompt=twice)
