"""`flask collaborator …`: people who open somebody else's mailbox, by their logins (`carla/anna@example.org`)."""

import click
from flask.cli import AppGroup

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Consequences, Person, Row
from actions.ground.domain_names import readable
from actions.services import mailboxes
from models import Collaboration
from settings import LANGUAGES

from .bits import Bits
from .output import JSON, Facts, both, listed, moment, shown
from .shared import ADDRESS, LOGIN, YES, in_sentences, is_meant, ports, sentence_and_pending, unit

collaborator = AppGroup("collaborator", help="Collaborators: they open a mailbox with a login of their own.")
PERMISSIONS = Bits(
    read=permissions.READ,
    write=permissions.WRITE,
    send=permissions.SEND,
    imap=permissions.IMAP,
    pop3=permissions.POP3,
    settings=permissions.SETTINGS,
)
COLUMNS = ("login_readable", "first_name", "last_name", "state", "permissions", "last_access_at")


def permission(**more):
    help_text = "Several times for several; what one implies comes along."
    return click.option("--permission", "chosen", type=PERMISSIONS.choice, multiple=True, help=help_text, **more)


@collaborator.command("list")
@ADDRESS
@JSON
@in_sentences
def list_collaborators(address, as_json):
    """List the collaborators of the mailbox ADDRESS."""
    listed(map(_facts, collaborations.rows(mailboxes.mailbox_named(address))), COLUMNS, as_json)


@collaborator.command("show")
@LOGIN
@JSON
@in_sentences
def show_collaborator(login, as_json):
    """Show the collaborator LOGIN."""
    shown(_facts(collaborations.row(_named(login))), as_json)


@collaborator.command("add")
@ADDRESS
@click.argument("user_name")
@click.option("--first-name", required=True)
@click.option("--last-name", required=True)
@click.option("--reference", required=True, help="The e-mail address to which the invitation goes.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), help="Of the e-mails.")
@permission()
@in_sentences
def add_collaborator(address, user_name, first_name, last_name, reference, language, chosen):
    """Invite somebody who opens the mailbox ADDRESS as USER_NAME/ADDRESS. Without a permission, they only read."""
    person = Person(first_name, last_name, reference, user_name, language or "")
    made = collaborations.make(unit(), mailboxes.mailbox_named(address), person, PERMISSIONS.sum(chosen))
    account = made.account
    click.echo(f"{readable(account.login)} is invited: a link is on its way to {readable(account.contact_email)}.")


@collaborator.command("change")
@LOGIN
@permission(required=True)
@in_sentences
def change_collaborator(login, chosen):
    """Give the collaborator LOGIN these permissions and no others. Open connections are cut."""
    doing, found = unit(), _named(login)
    collaborations.change_permissions(doing, found, PERMISSIONS.sum(chosen))
    words = ", ".join(PERMISSIONS.words(found.permissions))
    click.echo(sentence_and_pending(f"{readable(found.account.login)} may now: {words}.", doing))


@collaborator.command("link")
@LOGIN
@in_sentences
def send_link_again(login):
    """Send the link to set the password to the collaborator LOGIN again."""
    found = _named(login)
    collaborations.send_link_again(unit(), found)
    click.echo(f"A link is on its way to {readable(found.account.contact_email)}.")


@collaborator.command("reset")
@LOGIN
@YES
@in_sentences
def reset(login, yes):
    """Void the password of the collaborator LOGIN, end all that uses it, and send a link to set another. Without --yes,
    only name what ends."""
    doing, found = unit(), _named(login)
    if not _is_meant(found, yes):
        return
    collaborations.reset(doing, found)
    sentence = f"The password is void. A link is on its way to {readable(found.account.contact_email)}."
    click.echo(sentence_and_pending(sentence, doing))


@collaborator.command("disable")
@LOGIN
@YES
@in_sentences
def disable(login, yes):
    """End the access of the collaborator LOGIN for good. Without --yes, only name what ends."""
    doing, found = unit(), _named(login)
    if _is_meant(found, yes):
        collaborations.disable(doing, found)
        click.echo(sentence_and_pending(f"{readable(found.account.login)} is disabled.", doing))


@collaborator.command("remove")
@LOGIN
@YES
@in_sentences
def remove_collaborator(login, yes):
    """Remove the collaborator LOGIN from the list: one who still has access is disabled first. Without --yes, only name
    what ends."""
    doing, found = unit(), _named(login)
    if _is_meant(found, yes):
        collaborations.remove(doing, found)
        click.echo(sentence_and_pending(f"{readable(found.account.login)} has been removed.", doing))


def _named(login: str) -> Collaboration:
    account = mailboxes.account_named(login)
    if account.collaboration is None:
        raise click.ClickException(f"{readable(account.login)} is no collaborator.")
    return account.collaboration


def _is_meant(collaboration: Collaboration, yes: bool) -> bool:
    return is_meant(collaboration.account.login, _ends(collaborations.consequences(ports(), collaboration)), yes)


def _ends(consequences: Consequences) -> list[str]:
    devices = [*consequences.devices, *consequences.handed_out, *consequences.given]
    stay = ", ".join(each.login for each in consequences.let_in)
    return [
        f"{consequences.browsers} signed-in browser(s)",
        f"devices: {', '.join(each.name for each in devices) or 'none'}",
        *([f"stay, although this collaborator added them: {stay}"] if stay else []),
    ]


def _facts(row: Row) -> Facts:
    account, collaboration = row.account, row.collaboration
    return {
        **both("login", account.login),
        "first_name": account.first_name,
        "last_name": account.last_name,
        "reference_email": account.contact_email,
        "e_mails_come_back": bool(account.returned_from),
        "language": account.language,
        "state": row.state,
        "permissions": PERMISSIONS.words(collaboration.permissions),
        "added_by": collaboration.created_by_login,
        "created_at": moment(collaboration.created_at),
        "last_access_at": moment(row.last_access),
    }
