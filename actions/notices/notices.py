"""E-mails about what happened to an account, with a link for "This wasn't me"."""

from collections.abc import Callable, Sequence

from actions.authority import authority, permissions
from actions.ground.actor import Actor
from actions.ground.addresses import unmistakable
from actions.ground.ports import Ports
from actions.ground.tokens import new_token
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import mail, outbox
from actions.sessions import links
from actions.sessions.user_agents import browser_name
from actions.trail.events import Event
from models import Account, Collaboration, Device, now

# `mail.put`, or another way into the outbox.
Put = Callable[..., None]


def password_changed(unit: UnitOfWork, account: Account, everywhere: bool) -> None:
    """Notify the mailbox and the contact address that the password was changed."""
    token = links.create(account, links.DISOWN)
    facts = {"everywhere": everywhere, **_way_in(unit.ports, links.DISOWN, token)}
    _tell(unit, account, "password_changed", facts)


def password_guessed(unit: UnitOfWork, account: Account) -> None:
    """Notify an account that somebody signed in to it gave wrong passwords until the session was ended."""
    _tell(unit, account, "password_guessed", {})


def device_made(unit: UnitOfWork, device: Device, invited: str = "") -> None:
    """Notify the device's owner that its password was made; `invited` is the address that received it by invitation.
    One e-mail tells of all that are made within two minutes."""
    _tell_of_device(unit, device, "device_made", mail.gather, invited=invited)


def device_password_changed(unit: UnitOfWork, device: Device) -> None:
    """Notify the device's owner that its password was changed."""
    _tell_of_device(unit, device, "device_password_changed")


def device_in_new_network(ports: Ports, device: Device, address: str, protocol: str) -> None:
    """Notify the device's owner that it was used from a network that is new for it."""
    _tell_of_device(
        UnitOfWork(ports, Actor(address=address, user_agent=protocol.upper())), device, "device_in_new_network"
    )


def done_by_another(
    unit: UnitOfWork,
    account: Account,
    event: Event,
    names: Sequence[str] = (),
    addresses: Sequence[str] | None = None,
) -> None:
    """Notify an account that another signed-in account did this to it; do nothing when the account did it itself.

    `names` states which devices or people are concerned; `addresses` replaces the account's usual addresses.
    """
    if unit.actor.account is None or unit.actor.account.id == account.id:
        return
    facts = {"by": unit.actor.login, "what": event.sentence, "names": list(names)}
    _tell(unit, account, "done_by_another", facts, addresses)


def mailbox_renamed(unit: UnitOfWork, account: Account, former: str, forwards: bool, days: int | None) -> None:
    """Notify an account, at its mailbox and its contact address, of its mailbox's new address, and of what becomes of
    mail to the former one: refused, or forwarded for so many days (None: until somebody ends it)."""
    names = [device.name for device in account.devices]
    facts = {"by": unit.actor.login, "former": former, "devices": names, "forwards": forwards, "days": days or 0}
    _tell(unit, account, "mailbox_renamed", facts)


def password_link(unit: UnitOfWork, account: Account, purpose: str, token: str) -> None:
    """Send a link to set the password to the contact address of a mailbox's owner; the first one also describes the
    mailbox."""
    facts = {
        "login": account.login,
        "name": account.display_name,
        "by": unit.actor.login,
        "is_first": purpose == links.WELCOME,
    }
    facts |= {**_way_in(unit.ports, purpose, token), "hours": links.LIFETIMES[purpose] // links.HOUR}
    key = f"password_link:{account.id}:{new_token()}"
    mail.put(unit.ports, key, "password_link", account.contact_email, account.language, facts, account)


def contact_confirmation(unit: UnitOfWork, account: Account, contact: str, token: str) -> None:
    """Send to an address a link that makes it the account's contact e-mail."""
    # Nobody knows yet whose address it is: it gets no words of the account's choice.
    facts = {"name": "", **_way_in(unit.ports, links.CONFIRM_CONTACT, token)}
    facts["hours"] = links.LIFETIMES[links.CONFIRM_CONTACT] // links.HOUR
    _tell(unit, account, "contact_confirmation", facts, [contact])


def contact_changed(unit: UnitOfWork, account: Account, token: str, addresses: Sequence[str]) -> None:
    """Notify the addresses that an account had before that its contact e-mail was changed, and how to undo it."""
    facts = {"contact": unmistakable(account.contact_email), **_way_in(unit.ports, links.DISOWN_CONTACT, token)}
    _tell(unit, account, "contact_changed", facts, addresses)


def contact_test(unit: UnitOfWork, account: Account, address: str) -> None:
    """Send an e-mail to one of an account's addresses, to find out whether it arrives."""
    _tell(unit, account, "contact_test", {}, [address])


def collaboration_invited(ports: Ports, collaboration: Collaboration, token: str) -> None:
    """Notify collaborators that they have access, and how to set a password."""
    _write_to_collaborator(ports, collaboration, "collaboration_invitation", **_way_in(ports, links.WELCOME, token))


def collaboration_reset(ports: Ports, collaboration: Collaboration, token: str, devices: Sequence[str] = ()) -> None:
    """Notify a collaborator that the password is void, how to set another, and which devices stopped."""
    facts = _way_in(ports, links.RECOVER, token)
    _write_to_collaborator(ports, collaboration, "collaboration_reset", devices=list(devices), **facts)


def collaboration_confirmed(ports: Ports, account: Account) -> None:
    """Tell a collaborator whose password is set how to sign in."""
    _write_to_collaborator(ports, account.collaboration, "collaboration_confirmed")


def collaboration_permissions(ports: Ports, collaboration: Collaboration, devices: Sequence[str] = ()) -> None:
    """Notify a collaborator of their new permissions, and of the devices that stopped."""
    _write_to_collaborator(ports, collaboration, "collaboration_permissions", devices=list(devices))


def collaboration_renamed(ports: Ports, account: Account, former: str) -> None:
    """Notify a collaborator of the new login, which ends with the mailbox's new address."""
    names = [device.name for device in account.devices]
    _write_to_collaborator(ports, account.collaboration, "collaboration_renamed", former=former, devices=names)


def collaboration_ended(ports: Ports, collaboration: Collaboration) -> None:
    """Notify collaborators that their access has ended."""
    _write_to_collaborator(ports, collaboration, "collaboration_ended")


def account_locked(unit: UnitOfWork, account: Account) -> None:
    """Notify the account's own addresses and its managers that somebody pressed "This wasn't me"."""
    facts = {"login": account.login, "at": now(), "address": unit.actor.address}
    managers = authority.managers_for(account)
    addresses = mail.addresses_of(account)
    key = f"locked:{account.id}:{new_token()}"
    for address in addresses:
        told = facts | {"name": mail.name_of(account)}
        mail.put(unit.ports, key, "account_locked", address, account.language, told, account)
    for manager in managers:
        told = facts | {"name": mail.name_of(manager)}
        for address in mail.addresses_of(manager):
            if address not in addresses:
                mail.put(unit.ports, key, "account_locked_manager", address, manager.language, told, manager)


def passwords_issued(unit: UnitOfWork, accounts: Sequence[Account], is_link: bool) -> None:
    """Notify accounts, at their contact addresses, that their manager has a new password for each of them or a link to
    set one: until they receive it, they may be unable to open their own mailbox."""
    told = [each for each in accounts if each.contact_email and each.contact_email != each.login]
    outbox.put_all([_password_issued(unit, each, is_link) for each in told])


def _password_issued(unit: UnitOfWork, account: Account, is_link: bool) -> dict:
    facts = {
        "login": account.login,
        "by": unit.actor.login,
        "is_link": is_link,
        "at": now(),
        "name": mail.name_of(account),
    }
    key = f"password_issued:{account.id}:{new_token()}"
    return mail.row(unit.ports, key, "password_issued", account.contact_email, account.language, facts, account)


def _write_to_collaborator(ports: Ports, collaboration: Collaboration, letter: str, **more: object) -> None:
    account, mailbox = collaboration.account, collaboration.mailbox
    facts = {
        "login": account.login,
        "name": account.display_name,
        "mailbox": mailbox.address,
        "owner": mailbox.account.display_name,
        "permissions": [each.word for each in permissions.named(collaboration.permissions)],
        "uses_mail_programs": collaboration.may(permissions.MAIL_PROGRAMS),
        **more,
    }
    key = f"{letter}:{account.id}:{new_token()}"
    mail.put(ports, key, letter, account.contact_email, account.language, facts, account)


def _way_in(ports: Ports, purpose: str, token: str) -> dict:
    """The facts about a link: its address, and how many days it is valid."""
    days = links.LIFETIMES[purpose] // links.DAY
    return {"link": links.address(ports.settings, purpose, token), "days": days}


def _tell_of_device(unit: UnitOfWork, device: Device, letter: str, put: Put = mail.put, **more: object) -> None:
    token = links.create(device.account, links.DISOWN_DEVICE, device)
    facts = {"device": device.name, "by": unit.actor.login, **more, **_way_in(unit.ports, links.DISOWN_DEVICE, token)}
    _tell(unit, device.account, letter, facts, put=put)


def _tell(
    unit: UnitOfWork,
    account: Account,
    letter: str,
    facts: dict,
    addresses: Sequence[str] | None = None,
    put: Put = mail.put,
) -> None:
    facts = {
        "name": mail.name_of(account),
        **facts,
        "login": account.login,
        "at": now(),
        "address": unit.actor.address,
        "browser": browser_name(unit.actor.user_agent),
    }
    key = f"{letter}:{account.id}:{new_token()}"
    for recipient in mail.addresses_of(account) if addresses is None else addresses:
        put(unit.ports, key, letter, recipient, account.language, facts, account)
