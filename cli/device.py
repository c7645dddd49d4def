"""`flask device …`: device passwords of a mailbox, or of a collaborator's account."""

from datetime import UTC, timedelta

import click
from flask.cli import AppGroup

from actions.devices import devices, invitations
from actions.devices.devices import ICONS, MadeDevice, Row, WantedDevice
from actions.ground.domain_names import readable
from actions.ground.tokens import new_token
from actions.services import mailboxes
from actions.sessions import connections
from models import Account, Device, DeviceInvitation

from . import completion
from .bits import Bits
from .output import JSON, Facts, both, listed, moment, shown
from .shared import (
    YES,
    in_sentences,
    is_meant,
    ports,
    refuse_without_terminal,
    sentence_and_pending,
    unit,
)

device = AppGroup("device", help="Devices: a password of its own for each mail program.")
PROTOCOLS = Bits(imap=Device.IMAP, pop3=Device.POP3, sending=Device.SENDING)
COLUMNS = ("number", "name", "protocols", "for", "last_used_at", "expires_at", "is_connected")
INVITATION_COLUMNS = ("number", "name", "recipient_readable", "protocols", "expires_at")
# Of a mailbox's owner, or of a collaborator.
ADDRESS = click.argument("address", shell_complete=completion.logins)
DEVICE = click.argument("device")
PRINT_PASSWORD = click.option("--print-password", is_flag=True, help="Print the password even if this is no terminal.")


@device.command("list")
@ADDRESS
@JSON
@in_sentences
def list_devices(address, as_json):
    """List the devices of ADDRESS: a mailbox's address, or a collaborator's login."""
    listed(map(_facts, _rows(mailboxes.account_named(address))), COLUMNS, as_json)


@device.command("show")
@ADDRESS
@DEVICE
@JSON
@in_sentences
def show_device(address, device, as_json):
    """Show the device DEVICE of ADDRESS: its number, or its name if there is one with this name."""
    _show(_device(mailboxes.account_named(address), device), as_json)


@device.command("add")
@ADDRESS
@click.argument("name")
@click.option("--icon", type=click.Choice(ICONS), default=ICONS[0], show_default=True)
@click.option(
    "--protocol",
    "protocols",
    type=PROTOCOLS.choice,
    multiple=True,
    default=("imap", "sending"),
    show_default=True,
    help="Several times for several.",
)
@click.option("--user", default="", help="The login of somebody else in the organisation whom it is for.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it works, in UTC.")
@PRINT_PASSWORD
@JSON
@in_sentences
def add_device(address, name, icon, protocols, user, expires, print_password, as_json):
    """Make the device NAME for ADDRESS, and print its password, this once. Where this is no terminal, nothing is made
    without --print-password."""
    refuse_without_terminal(print_password)
    until = int((expires.replace(tzinfo=UTC) + timedelta(days=1)).timestamp()) if expires else None
    wanted = WantedDevice(name, icon, PROTOCOLS.sum(protocols), user, until)
    _hand_over(devices.make(unit(), mailboxes.account_named(address), wanted, new_token()), as_json)


@device.command("change")
@ADDRESS
@DEVICE
@click.option("--name", help="Another name.")
@click.option("--icon", type=click.Choice(ICONS), help="Another icon.")
@click.option("--new-password", is_flag=True, help="Replace the password: the old one and its connections end.")
@PRINT_PASSWORD
@JSON
@in_sentences
def change_device(address, device, name, icon, new_password, print_password, as_json):
    """Change the device DEVICE of ADDRESS. What is not named stays."""
    if new_password:
        refuse_without_terminal(print_password)
    doing, found = unit(), _device(mailboxes.account_named(address), device)
    if name is not None or icon is not None:
        devices.rename(doing, found, found.name if name is None else name, icon or found.icon)
    if new_password:
        return _hand_over(devices.change_password(doing, found), as_json)
    return _show(found, as_json) if as_json else click.echo(f"“{found.name}” is saved.")


@device.command("remove")
@ADDRESS
@click.argument("device", required=False)
@click.option("--all", "every", is_flag=True, help="All of them, and the invitations.")
@YES
@in_sentences
def remove_device(address, device, every, yes):
    """Revoke the password of the device DEVICE of ADDRESS, and cut its connections. Without --yes, only name it."""
    if bool(device) == every:
        raise click.UsageError("Name a device, or say --all.")
    doing, account = unit(), mailboxes.account_named(address)
    taken = list(account.devices) if every else [_device(account, device)]
    invited = list(invitations.pending(account)) if every else []
    names = [f"{each.name} ({each.id})" for each in taken] + [f"the invitation of {each.recipient}" for each in invited]
    if is_meant(account.login, names or ["nothing"], yes):
        devices.disconnect_all(doing, account) if every else devices.disconnect(doing, taken[0])
        click.echo(sentence_and_pending("Disconnected.", doing))


@device.command("invitations")
@ADDRESS
@JSON
@in_sentences
def list_invitations(address, as_json):
    """List the invitations to set up a device for ADDRESS that nobody has accepted yet."""
    listed(map(_invitation, invitations.pending(mailboxes.account_named(address))), INVITATION_COLUMNS, as_json)


@device.command("withdraw")
@ADDRESS
@click.argument("number", type=int)
@in_sentences
def withdraw(address, number):
    """Withdraw the invitation NUMBER of ADDRESS."""
    pending = invitations.pending(mailboxes.account_named(address))
    found = next((each for each in pending if each.id == number), None)
    if found is None or not invitations.withdraw(unit(), found):
        raise click.ClickException(f"There is no invitation {number}.")
    click.echo(f"The invitation of {readable(found.recipient)} is withdrawn.")


def _show(device: Device, as_json: bool) -> None:
    shown(next(_facts(row) for row in _rows(device.account) if row.device.id == device.id), as_json)


def _rows(account: Account) -> list[Row]:
    return devices.rows(account, connections.of(ports(), account))


def _device(account: Account, named: str) -> Device:
    """One of the account's devices, by its number or by a name that only one of them has."""
    own = list(account.devices)
    found = [each for each in own if str(each.id) == named] or [each for each in own if each.name == named]
    if len(found) > 1:
        numbers = ", ".join(str(each.id) for each in found)
        raise click.ClickException(f"Several devices are called “{named}”: say which number ({numbers}).")
    if not found:
        raise click.ClickException(f"{readable(account.login)} has no device “{named}”.")
    return found[0]


def _facts(row: Row) -> Facts:
    device, used = row.device, row.last_login
    return {
        "number": device.id,
        "name": device.name,
        "icon": device.icon,
        "protocols": PROTOCOLS.words(device.protocols),
        "for": row.recipient,
        "made_by": device.created_by_login,
        "created_at": moment(device.created_at),
        "password_at": moment(device.password_at),
        "expires_at": moment(device.expires_at),
        "is_expired": row.is_expired,
        "last_used_at": moment(used and used.last_access),
        "last_used_by": used and used.service,
        "last_used_from": used and used.ip,
        "is_connected": row.is_connected,
    }


def _invitation(invitation: DeviceInvitation) -> Facts:
    return {
        "number": invitation.id,
        "name": invitation.name,
        **both("recipient", invitation.recipient),
        "protocols": PROTOCOLS.words(invitation.protocols),
        "invited_by": invitation.invited_by.login,
        "expires_at": moment(invitation.expires_at),
    }


def _hand_over(made: MadeDevice, as_json: bool) -> None:
    device = made.device
    login = device.account.login
    shown({"number": device.id, "name": device.name, **both("login", login), "password": made.password}, as_json)
