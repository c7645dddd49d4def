"""`flask domain …`: domains of services."""

import itertools

import click
from flask.cli import AppGroup

from actions.ground.domain_names import readable
from actions.services import mailboxes, services
from actions.users import removals
from models import Domain, Mailbox

from . import completion
from .losses import lost_with_domains
from .output import JSON, Facts, both, listed, moment, shown
from .service import of_organisation
from .shared import (
    DOMAIN_NAME,
    ORGANISATION,
    WITH_MAILBOXES,
    YES,
    in_sentences,
    is_meant,
    sentence_and_pending,
    unit,
)

domain = AppGroup("domain", help="Domains of a service.")
COLUMNS = ("name_readable", "service", "organisation")


@domain.command("list")
@click.option("--service", help="Only this service's.", shell_complete=completion.services)
@click.option("--organisation", help="Only this organisation's.")
@JSON
@in_sentences
def list_domains(service, organisation, as_json):
    """List the domains."""
    if organisation and not service:
        found = itertools.chain.from_iterable(map(services.every_domain, of_organisation(organisation)))
    else:
        found = services.every_domain(mailboxes.find_service(service, organisation) if service else None)
    listed(map(_facts, found), COLUMNS, as_json)


@domain.command("show")
@DOMAIN_NAME
@JSON
@in_sentences
def show_domain(name, as_json):
    """Show the domain NAME: whose it is, and how many mailboxes it has."""
    found = removals.find_domain(name)
    count = Mailbox.select().where(Mailbox.domain == found).count()
    shown(_facts(found) | {"mailboxes": count}, as_json)


def _facts(domain: Domain) -> Facts:
    service = domain.service
    return {
        **both("name", domain.name),
        "service": service.name,
        "organisation": service.organisation.name,
        "created_at": moment(domain.created_at),
    }


@domain.command("add")
@click.argument("name")
@click.option(
    "--service", required=True, shell_complete=completion.services, help="The service to which the domain belongs."
)
@ORGANISATION
@in_sentences
def add_domain(name, service, organisation):
    """Add the domain NAME to a service."""
    added = mailboxes.add_domain(unit(), name, service, organisation)
    click.echo(f"{readable(added.name)} now belongs to “{service}”.")
    if readable(added.name) != added.name:
        click.echo(f"In the DNS and in the mail server's configuration it is called {added.name}.")


@domain.command("remove")
@DOMAIN_NAME
@WITH_MAILBOXES
@YES
@in_sentences
def remove_domain(name, with_mailboxes, yes):
    """Remove the domain NAME. Without --yes, only name what goes along.

    A domain that has mailboxes is removed only --with-mailboxes. An interrupted removal can be run again.
    """
    doing, domain = unit(), removals.find_domain(name)
    if is_meant(domain.name, lost_with_domains(removals.losses_of_domain(domain)), yes):
        removals.remove_domain(doing, domain, with_mailboxes)
        click.echo(sentence_and_pending(f"{readable(domain.name)} has been removed.", doing))
