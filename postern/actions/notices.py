"""Letters about what happened to an account, with a way to say "This wasn't me"."""

from postern.actions import authority, links, mail
from postern.actions.actor import Actor
from postern.actions.ports import Ports
from postern.actions.tokens import new_token
from postern.actions.user_agents import browser_name
from postern.models import Account, Device, now


def password_changed(ports: Ports, actor: Actor, account: Account, everywhere: bool) -> None:
    """Tell mailbox and contact address that the password was changed."""
    token = links.create(account, links.DISOWN)
    facts = {"everywhere": everywhere, **_with_way_out(ports, links.DISOWN, token)}
    _tell(ports, actor, account, "password_changed", facts)


def device_made(ports: Ports, actor: Actor, device: Device, invited: str = "") -> None:
    """Tell the device's owner that its password was made; `invited` is the address of whoever got it by invitation."""
    _tell_of_device(ports, actor, device, "device_made", invited=invited)


def device_password_changed(ports: Ports, actor: Actor, device: Device) -> None:
    """Tell the device's owner that its password was changed."""
    _tell_of_device(ports, actor, device, "device_password_changed")


def device_in_new_network(ports: Ports, device: Device, address: str, protocol: str) -> None:
    """Tell the device's owner that it was used from a network that it was never used from."""
    _tell_of_device(ports, Actor(address=address, user_agent=protocol.upper()), device, "device_in_new_network")


def account_locked(ports: Ports, actor: Actor, account: Account) -> None:
    """Tell the account's own addresses and its managers that somebody said "This wasn't me"."""
    facts = {"login": account.login, "at": now(), "address": actor.address}
    managers = authority.managers_for(account)
    addresses = mail.addresses_of(account)
    key = f"locked:{account.id}:{new_token()}"
    for address in addresses:
        mail.put(ports, key, "account_locked", address, account.language, facts, account)
    for manager in managers:
        for address in mail.addresses_of(manager):
            if address not in addresses:
                mail.put(ports, key, "account_locked_manager", address, manager.language, facts, manager)


def _tell_of_device(ports: Ports, actor: Actor, device: Device, letter: str, **more: object) -> None:
    token = links.create(device.account, links.DISOWN_DEVICE, device.id)
    facts = {"device": device.name, "by": actor.login, **more, **_with_way_out(ports, links.DISOWN_DEVICE, token)}
    _tell(ports, actor, device.account, letter, facts)


def _with_way_out(ports: Ports, purpose: str, token: str) -> dict:
    """The facts of a "This wasn't me" link."""
    days = links.LIFETIMES[purpose] // links.DAY
    return {"link": links.address(ports.settings, purpose, token), "days": days}


def _tell(ports: Ports, actor: Actor, account: Account, letter: str, facts: dict) -> None:
    facts |= {
        "login": account.login,
        "at": now(),
        "timezone": account.timezone,
        "address": actor.address,
        "browser": browser_name(actor.user_agent),
    }
    key = f"{letter}:{account.id}:{new_token()}"
    for recipient in mail.addresses_of(account):
        mail.put(ports, key, letter, recipient, account.language, facts, account)
