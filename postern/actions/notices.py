"""Letters about what happened to an account, with a way to say "This wasn't me"."""

from postern.actions import authority, links, mail
from postern.actions.actor import Actor
from postern.actions.ports import Ports
from postern.actions.tokens import new_token
from postern.models import Account, now


def password_changed(ports: Ports, actor: Actor, account: Account, everywhere: bool) -> None:
    """Tell mailbox and contact address that the password was changed."""
    _tell(ports, actor, account, "password_changed", everywhere=everywhere)


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


def _tell(ports: Ports, actor: Actor, account: Account, letter: str, **facts: object) -> None:
    token = links.create(account, links.DISOWN)
    facts |= {
        "login": account.login,
        "at": now(),
        "timezone": account.timezone,
        "address": actor.address,
        "browser": actor.user_agent,
        "link": links.address(ports.settings, links.DISOWN, token),
        "days": links.LIFETIMES[links.DISOWN] // links.DAY,
    }
    for recipient in mail.addresses_of(account):
        mail.put(ports, f"{letter}:{account.id}:{new_token()}", letter, recipient, account.language, facts, account)
