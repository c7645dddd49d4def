"""Commands for the database."""

import click
from flask.cli import AppGroup

import upgrades

from .shared import in_sentences

db = AppGroup("db", help="The database.")


@db.command("upgrade")
@in_sentences
def upgrade():
    """Upgrade the database to the current version. If another upgrade is under way, wait until it is over."""
    applied = upgrades.upgrade(click.echo)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")
