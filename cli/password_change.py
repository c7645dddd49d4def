"""`flask password-change …`: new passwords for several mailboxes at once, which managers start in the panel."""

import click
from flask.cli import AppGroup

from actions.password_changes import archive, password_changes
from actions.services import mailboxes
from models import PasswordChange

from .output import JSON, Facts, listed, moment
from .service import OPERATOR
from .shared import ORGANISATION, SERVICE_NAME, in_sentences, unit

password_change = AppGroup("password-change", help="New passwords for several mailboxes at once.")
COLUMNS = ("number", "domain", "kind", "state", "started_by", "started_at", "mailboxes")
NUMBER = click.argument("number", type=int)


@password_change.command("list")
@SERVICE_NAME
@ORGANISATION
@JSON
@in_sentences
def list_changes(name, organisation, as_json):
    """List the changes of several passwords in the service NAME, the latest first."""
    found = password_changes.of(OPERATOR, mailboxes.find_service(name, organisation))
    started = found.where(PasswordChange.state != PasswordChange.DRAFT)
    listed(map(_facts, started.iterator()), COLUMNS, as_json)


@password_change.command("cancel")
@NUMBER
@in_sentences
def cancel(number):
    """Stop the change NUMBER before its next mailbox. Mailboxes with a new password keep it."""
    password_changes.cancel(unit(), _started(number))
    click.echo("Cancelled. No more mailboxes will be changed.")


@password_change.command("send-again")
@NUMBER
@click.argument("what", type=click.Choice(("archive", "key")))
@in_sentences
def send_again(number, what):
    """Send the archive of the change NUMBER again by e-mail, or its key by text message, to who has got it before."""
    again = password_changes.send_mail_again if what == "archive" else password_changes.send_message_again
    again(unit(), _started(number))
    click.echo("It is on its way.")


def _started(number: int) -> PasswordChange:
    found = PasswordChange.get_or_none(PasswordChange.id == number, PasswordChange.state != PasswordChange.DRAFT)
    if found is None:
        raise click.ClickException(f"There is no change {number}.")
    return found


def _facts(change: PasswordChange) -> Facts:
    return {
        "number": change.id,
        "domain": change.domain.name,
        "kind": change.kind,
        "state": change.state,
        "started_by": change.manager_login,
        "started_at": moment(change.started_at),
        "finished_at": moment(change.finished_at),
        "mailboxes": change.items.count(),
        "archive_is_kept": archive.is_kept(change),
    }
