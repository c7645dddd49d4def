"""`flask mailbox …`: mailboxes, and the accounts of their owners."""

import itertools
from dataclasses import replace

import click
from flask.cli import AppGroup

from actions.devices import devices
from actions.ground.domain_names import readable
from actions.ground.sizes import MEGABYTE
from actions.services import mailboxes, user_list
from actions.services.mailboxes import NewMailbox
from actions.services.user_list import WantedUsers
from actions.users import imports_at_once, offboarding, removals, renaming, user_files, users
from actions.users.offboarding import Access
from actions.users.users import Password, Profile
from models import Account, Mailbox, Service

from . import completion
from .account import in_use
from .losses import lost_with_mailbox
from .made import tell
from .output import JSON, Facts, both, listed, moment, shown
from .service import of_organisation
from .shared import (
    ADDRESS,
    PASSWORD,
    WITHOUT_YES,
    YES,
    in_sentences,
    is_meant,
    password_from,
    ports,
    sentence_and_pending,
    unit,
)

mailbox = AppGroup("mailbox", help="Mailboxes and the accounts that open them.")
COLUMNS = ("address_readable", "first_name", "last_name", "state", "quota_bytes", "service")
QUOTA = click.option("--quota", type=click.IntRange(0, 2**30), help="In megabytes; 0 for no limit.")


@mailbox.command("list")
@click.option("--service", help="Only this service's.", shell_complete=completion.services)
@click.option("--organisation", help="Only this organisation's.")
@click.option("--domain", help="Only this domain's.", shell_complete=completion.domains)
@click.option("--state", type=click.Choice(user_list.STATES), help="Only those in this state.")
@click.option("--text", default="", help="Only those with a word in address or name that begins so.")
@JSON
@in_sentences
def list_mailboxes(service, organisation, domain, state, text, as_json):
    """List the mailboxes, service by service."""
    wanted = WantedUsers(text=text, state=state or "", domain=removals.find_domain(domain).name if domain else "")
    found = (_of(each, wanted) for each in _services(service, organisation, domain))
    listed(itertools.chain.from_iterable(found), COLUMNS, as_json)


def _services(service: str | None, organisation: str | None, domain: str | None) -> list[Service]:
    if service:
        return [mailboxes.find_service(service, organisation)]
    return [removals.find_domain(domain).service] if domain else list(of_organisation(organisation))


def _of(service: Service, wanted: WantedUsers):
    return (_facts(each, service) for each in user_list.every(service, wanted))


@mailbox.command("show")
@ADDRESS
@JSON
@in_sentences
def show_mailbox(address, as_json):
    """Show the mailbox ADDRESS and its owner's account."""
    found = mailboxes.mailbox_named(address)
    used = users.storage_used(ports(), found)
    former = [{"address": each.address, "until": moment(each.expires_at)} for each in renaming.former_addresses(found)]
    more = {"used_bytes": used and used.used, "former_addresses": former}
    shown(_facts(found, found.domain.service) | more, as_json)


def _facts(mailbox: Mailbox, service: Service) -> Facts:
    account = mailbox.account
    return {
        **both("address", mailbox.address),
        "service": service.name,
        "organisation": service.organisation.name,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "contact_email": account.contact_email,
        "e_mails_come_back": bool(account.returned_from),
        "phone": account.phone,
        "language": account.language,
        "role": account.role,
        "state": account.state,
        "has_password": account.password_hash is not None,
        "must_change_password": account.must_change_password,
        "device_passwords_only": mailbox.device_passwords_only,
        "quota_bytes": mailbox.quota_bytes,
        "created_at": moment(mailbox.created_at),
    }


@mailbox.command("add")
@click.argument("address")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--contact", default="", help="An e-mail address elsewhere, for forgotten passwords and notices.")
@click.option("--quota", default=0, type=click.IntRange(0), help="In megabytes; 0 for no limit.")
@PASSWORD
@in_sentences
def add_mailbox(address, first_name, last_name, contact, quota, password_stdin):
    """Add the mailbox ADDRESS. Without a password, print a one-time link for its owner to set one.

    A manager who signs in with ADDRESS gets the mailbox, with the same password, names and contact e-mail.
    """
    new = NewMailbox(address, first_name, last_name, contact, quota * MEGABYTE, password=password_from(password_stdin))
    tell(mailboxes.add_mailbox(unit(), new))


@mailbox.command("change")
@ADDRESS
@click.option("--first-name")
@click.option("--last-name")
@click.option("--contact", help="An e-mail address elsewhere; empty for none.")
@click.option("--phone", help="With the country's number; empty for none.")
@QUOTA
@click.option(
    "--device-passwords/--own-passwords",
    default=None,
    help="Whether mail programs need a device password, or may also use the account's password.",
)
@PASSWORD
@click.option("--keep-password", is_flag=True, help="Its owner need not choose another one at the next sign-in.")
@in_sentences
def change_mailbox(address, quota, device_passwords, password_stdin, keep_password, **texts):
    """Change the mailbox ADDRESS and its owner's account. What is not named stays.

    A new password ends what the former one opened, and unlocks a locked account.
    """
    doing, found = unit(), mailboxes.mailbox_named(address)
    account, given = found.account, {name: value for name, value in _named(quota, **texts).items() if value is not None}
    password = Password(password_from(password_stdin), must_change=not keep_password) if password_stdin else None
    if given or password:
        state = Account.ACTIVE if password and account.state == Account.LOCKED else None
        wanted = replace(_profile(found), state=state, **given)
        users.edit(doing, found, account.revision, wanted, password)
    if device_passwords is not None:
        devices.require(doing, mailboxes.mailbox_named(address), device_passwords)
    click.echo(sentence_and_pending(f"{readable(found.address)} is saved.", doing))


def _named(quota: int | None, contact: str | None, **texts: str | None) -> dict[str, object]:
    return {**texts, "contact_email": contact, "quota_bytes": None if quota is None else quota * MEGABYTE}


def _profile(mailbox: Mailbox) -> Profile:
    texts = {name: getattr(mailbox.account, name) for name in users.PROFILE}
    return Profile(quota_bytes=mailbox.quota_bytes, **texts)


@mailbox.command("link")
@ADDRESS
@in_sentences
def send_link(address):
    """Send a link to set the password to the contact e-mail of ADDRESS. “account link” prints one instead."""
    found = mailboxes.mailbox_named(address)
    users.send_link(unit(), found)
    click.echo(f"A link is on its way to {readable(found.account.contact_email)}.")


@mailbox.command("suspend")
@ADDRESS
@in_sentences
def suspend(address):
    """Close the mailbox ADDRESS to everybody until “mailbox resume”. Mail still arrives."""
    doing, found = unit(), mailboxes.mailbox_named(address)
    users.suspend(doing, found)
    click.echo(sentence_and_pending(f"{readable(found.address)} is suspended.", doing))


@mailbox.command("resume")
@ADDRESS
@in_sentences
def resume(address):
    """Let the owner of the suspended mailbox ADDRESS in again, with the same password."""
    found = mailboxes.mailbox_named(address)
    users.resume(unit(), found)
    click.echo(f"{readable(found.address)} can be used again.")


@mailbox.command("remove")
@ADDRESS
@YES
@in_sentences
def remove_mailbox(address, yes):
    """Remove the mailbox ADDRESS. Without --yes, only name what goes along."""
    doing, found = unit(), mailboxes.mailbox_named(address)
    if is_meant(found.address, lost_with_mailbox(users.losses(ports(), found)), yes):
        users.remove(doing, found, found.address)
        click.echo(sentence_and_pending(f"{readable(found.address)} has been removed.", doing))


@mailbox.command("access")
@ADDRESS
@JSON
@in_sentences
def show_access(address, as_json):
    """Show who and what can open the mailbox ADDRESS."""
    shown(_access(offboarding.access(ports(), mailboxes.mailbox_named(address))), as_json)


@mailbox.command("offboard")
@ADDRESS
@YES
@in_sentences
def offboard(address, yes):
    """End everyone and everything that can open the mailbox ADDRESS, void its password, delete its contact e-mail and
    suspend it. Mail still arrives. Without --yes, only show who and what that is."""
    doing, found = unit(), mailboxes.mailbox_named(address)
    if not yes:
        shown(_access(offboarding.access(ports(), found)), as_json=False)
        return click.echo(WITHOUT_YES)
    offboarding.end(doing, found)
    return click.echo(sentence_and_pending(f"Nobody and nothing opens {readable(found.address)} any more.", doing))


def _access(access: Access) -> Facts:
    account = access.account
    return {
        **both("address", account.login),
        "state": account.state,
        "has_password": access.has_password,
        "contact_email": account.contact_email,
        **in_use(access.browsers, access.webmails, access.connected),
        "devices": [row.device.name for row in access.devices],
        "devices_of_others": [f"{each.name} ({each.account.login})" for each in access.given],
        "collaborators": [guest.row.account.login for guest in access.guests],
        "invitations": [f"{each.name} ({each.recipient})" for each in access.invitations],
        "links": len(access.links),
        "is_shut": access.is_shut,
    }


@mailbox.command("rename")
@ADDRESS
@click.argument("new")
@click.option("--forward", is_flag=True, help="Mail to ADDRESS still arrives, until “mailbox end-forwarding”.")
@click.option(
    "--forward-days",
    type=click.IntRange(1, renaming.MOST_DAYS),
    help="Mail to ADDRESS still arrives for so many days. Otherwise it is refused.",
)
@in_sentences
def rename_mailbox(address, new, forward, forward_days):
    """Give the mailbox ADDRESS the address NEW, in a domain of the same service. Everything that belongs to it goes
    along; who is signed in or connected signs in again by the new address."""
    if forward and forward_days:
        raise click.ClickException("Choose one of --forward and --forward-days.")
    doing, renamed = unit(), mailboxes.mailbox_named(address)
    forwarding = renaming.Forwarding(forward_days) if forward or forward_days else None
    account = renaming.rename(doing, renamed, renamed.account.revision, new, forwarding)
    click.echo(
        sentence_and_pending(f"{readable(renamed.address)} is called {readable(account.login)} from now on.", doing)
    )


@mailbox.command("end-forwarding")
@click.argument("address")
@in_sentences
def end_forwarding(address):
    """Refuse mail to the former address ADDRESS from now on."""
    former = renaming.former_address(address)
    renaming.end_forwarding(unit(), former)
    click.echo(f"Mail to {readable(former.address)} is refused from now on.")


@mailbox.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only report errors, with their lines.")
@click.option("--skip-unknown-columns", is_flag=True, help="Read the known columns, whatever others there are.")
@in_sentences
def import_mailboxes(file, dry_run, skip_unknown_columns):
    """Add the mailboxes of a FILE (CSV, XLSX or ODS), all or none, and print a one-time link for each.

    The first line names the columns: address, and any of first_name, last_name, contact_email, quota_mb, language,
    phone, state (active, suspended or locked).
    """
    with open(file, "rb") as content:
        plan = imports_at_once.plan(ports(), user_files.text_of(content), skip_unknown_columns)
    for line, problem in plan.problems:
        click.echo(readable(f"line {line}: {problem}"), err=True)
    for service, problem in plan.too_many:
        click.echo(f"{service.name}: {problem}", err=True)
    if not plan.is_in_order:
        raise click.ClickException("Nothing was imported.")
    if dry_run:
        return click.echo(f"{len(plan.lines)} mailboxes would be added.")
    for made in imports_at_once.carry_out(unit(), plan):
        click.echo(f"{readable(made.account.login)}\t{made.link or made.account.state}")
    return None
