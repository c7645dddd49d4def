"""Commands for the database."""

import sys

import click
from flask.cli import AppGroup

import database_copy
import upgrades

from .shared import in_sentences, in_sentences_on_any_version

db = AppGroup("db", help="The database.")

WHAT_NEXT = """
What is written into {source} from now on is not in the copy. So, before you start Postern again:
  1. On every node, change database_url in postern.toml (or POSTERN_DATABASE_URL, where that is set) to the new URL, and
     for MariaDB set dovecot_mysql_user and dovecot_mysql_password.
  2. Run “flask dovecot config” as root, run the SQL that it prints for MariaDB, and restart Dovecot.
  3. Start Postern, and run “flask doctor”.
Keep {source} until all of it works. Then delete it: it has the same secrets."""


@db.command("upgrade")
@in_sentences
def upgrade():
    """Upgrade the database to the current version. If another upgrade is under way, wait until it is over."""
    applied = upgrades.upgrade(click.echo)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")


@db.command("downgrade")
@in_sentences_on_any_version
def downgrade():
    """Take back the last step of the upgrades, if nothing is lost by that. Stop Postern first."""
    step, before = upgrades.downgrade(click.echo)
    click.echo(f"Took back {step}. The last step is now {before}: start the version of Postern that ends with it.")


@db.command("copy-to")
@click.argument("url")
@in_sentences
def copy_to(url):
    """Copy everything into the empty database at URL, from SQLite to MariaDB or back. Stop Postern first.

    URL is as in POSTERN_DATABASE_URL; “-” reads it from standard input, where nobody sees its password. Nobody can
    write into the present database meanwhile. A copy that was interrupted goes on when it is run again.
    """
    copied = database_copy.copy_to(sys.stdin.readline().strip() if url == "-" else url, click.echo)
    click.echo(
        f"Copied {copied.rows} rows of {copied.tables} tables from {copied.source} to {copied.target}. Counts and"
        f" checksums of both are equal.\n{WHAT_NEXT.format(source=copied.source)}"
    )
