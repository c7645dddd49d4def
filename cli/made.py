"""Telling of an account that was made."""

import click

from actions.ground.domain_names import readable
from actions.services import mailboxes


def tell(made: mailboxes.MadeMailbox) -> None:
    login = readable(made.account.login)
    if made.is_new:
        click.echo(f"{login} has been added.")
    else:
        click.echo(f"{login} was there, and is both now: a manager, and the owner of a mailbox.")
    if made.link:
        click.echo(f"Its owner sets the password with this link, which works once:\n{made.link}")
