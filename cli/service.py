"""`flask service …`: mail services."""

import click
from flask.cli import AppGroup

from actions.ground.sizes import MEGABYTE, Size
from actions.passwords.policy import POLICIES
from actions.services import mailboxes, services
from actions.users import removals
from models import Account, Organisation, Service

from .losses import lost_with_service
from .output import JSON, Facts, listed, moment, shown
from .shared import (
    ORGANISATION,
    SERVICE_NAME,
    WITH_MAILBOXES,
    YES,
    in_sentences,
    is_meant,
    sentence_and_pending,
    unit,
)

service = AppGroup("service", help="Mail services.")
COLUMNS = ("name", "organisation", "password_policy", "mailboxes", "most_mailboxes", "device_passwords_only")
OPERATOR = Account(role=Account.OPERATOR)


@service.command("list")
@click.option("--organisation", help="Only this organisation's.")
@JSON
@in_sentences
def list_services(organisation, as_json):
    """List the services."""
    listed(map(_facts, of_organisation(organisation)), COLUMNS, as_json)


def of_organisation(name: str | None):
    """The services of an organisation; of all of them where none is named."""
    found = services.looked_after(OPERATOR)
    return found.where(Organisation.name == name) if name else found


@service.command("show")
@SERVICE_NAME
@ORGANISATION
@JSON
@in_sentences
def show_service(name, organisation, as_json):
    """Show the service NAME: its rules, the order and how much of it is used."""
    found = mailboxes.find_service(name, organisation)
    shown(_facts(found) | {"domains": [each.name for each in services.every_domain(found)]}, as_json)


def _facts(service: Service) -> Facts:
    return {
        "name": service.name,
        "organisation": service.organisation.name,
        "password_policy": service.password_policy,
        "device_passwords_only": service.device_passwords_only,
        "most_collaborators": service.most_collaborators,
        "most_mailboxes": service.most_mailboxes,
        "mailboxes": service.mailboxes_made,
        "quota_bytes": service.quota_bytes,
        "quota_given_bytes": service.quota_given_bytes,
        "used_bytes": service.used_bytes if service.used_at else None,
        "used_at": moment(service.used_at),
        "created_at": moment(service.created_at),
    }


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
@SERVICE_NAME
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
@SERVICE_NAME
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
    if is_meant(f"“{service.name}” of {owner.name}", [*lost_with_service(service, losses), f"{owner.name} stays"], yes):
        removals.remove_service(doing, service, with_mailboxes)
        click.echo(sentence_and_pending(f"“{service.name}” has been removed.", doing))
