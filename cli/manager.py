"""`flask manager …`: managers of organisations, and operators."""

import click
from flask.cli import AppGroup

from actions.ground.domain_names import readable
from actions.users import managers
from models import Account

from .losses import lost_with_manager
from .made import tell
from .output import JSON, Facts, both, listed, moment, shown
from .shared import (
    LOGIN,
    PASSWORD,
    YES,
    in_sentences,
    is_meant,
    password_from,
    sentence_and_pending,
    unit,
)

manager = AppGroup("manager", help="Managers of an organisation, and operators.")
COLUMNS = ("login_readable", "role", "organisation", "first_name", "last_name", "state")


@manager.command("list")
@click.option("--organisation", default="", help="Only this organisation's.")
@click.option("--role", type=click.Choice(Account.MANAGERS), help="Only those with this role.")
@JSON
@in_sentences
def list_managers(organisation, role, as_json):
    """List the managers and operators."""
    listed(map(_facts, managers.every(organisation, role or "")), COLUMNS, as_json)


@manager.command("show")
@LOGIN
@JSON
@in_sentences
def show_manager(login, as_json):
    """Show the manager LOGIN."""
    account = managers.named(login)
    shown(_facts(account) | {"has_mailbox": account.mailbox is not None}, as_json)


def _facts(account: Account) -> Facts:
    return {
        **both("login", account.login),
        "role": account.role,
        "organisation": account.organisation.name if account.organisation else None,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "contact_email": account.contact_email,
        "language": account.language,
        "timezone": account.timezone,
        "state": account.state,
        "has_password": account.password_hash is not None,
        "created_at": moment(account.created_at),
    }


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
    tell(managers.add(unit(), login, organisation, role, password_from(password_stdin), **names))


@manager.command("change")
@LOGIN
@click.option("--role", type=click.Choice((Account.OWNER, Account.ADMINISTRATOR)), help="It signs the manager out.")
@click.option("--first-name")
@click.option("--last-name")
@click.option("--contact", help="An e-mail address elsewhere; empty for none.")
@in_sentences
def change_manager(login, role, contact, **names):
    """Change the manager LOGIN. What is not named stays. “mailbox change” changes the names of one with a mailbox."""
    doing, account = unit(), managers.named(login)
    given = {name: value for name, value in {**names, "contact_email": contact}.items() if value is not None}
    managers.change(doing, account, role, **given)
    click.echo(sentence_and_pending(f"{readable(account.login)} is saved.", doing))


@manager.command("remove")
@LOGIN
@click.option("--last", is_flag=True, help="Even if nobody is left who manages the organisation, or no operator.")
@YES
@in_sentences
def remove_manager(login, last, yes):
    """Let LOGIN be a manager no more. Without --yes, only name what ends.

    The account is deleted, unless it has a mailbox: then it goes on as its owner's.
    """
    doing, account = unit(), managers.named(login)
    if is_meant(account.login, lost_with_manager(managers.losses(account)), yes):
        managers.remove(doing, account, even_the_last=last)
        click.echo(sentence_and_pending(f"{readable(account.login)} is no manager any more.", doing))
