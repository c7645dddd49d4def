"""The demo's organisation, domains and people."""

import os
import secrets
from pathlib import Path

from postern.actions import mailboxes, passwords, policy
from postern.actions.actor import OPERATOR
from postern.actions.mailboxes import MEGABYTE, NewMailbox
from postern.actions.ports import Ports
from postern.models import Account, Organisation

ORGANISATION, SERVICE = "Example Ltd", "Mail Light"
DOMAINS = ("example.org", "example.net")
PEOPLE = (("anna", "Anna", "Keller"), ("boris", "Boris", "Orlov"), ("chiara", "Chiara", "Rossi"))
MANAGER = "manager@example.org"
ACCOUNTS_FILE = "demo-accounts.txt"


def prepare(ports: Ports) -> dict[str, str]:
    """Make the demo's accounts where there are none yet; login and password of those that were made."""
    if Organisation.get_or_none(Organisation.name == ORGANISATION):
        return {}
    mailboxes.add_service(OPERATOR, ORGANISATION, SERVICE)
    for domain in DOMAINS:
        mailboxes.add_domain(OPERATOR, domain, SERVICE)
    mailboxes.add_manager(ports, OPERATOR, MANAGER, ORGANISATION, Account.OWNER, first_name="Mara", last_name="Lind")
    for domain in DOMAINS:
        for name, first_name, last_name in PEOPLE:
            mailboxes.add_mailbox(ports, OPERATOR, _person(f"{name}@{domain}", first_name, last_name))
    made = {account.login: _set_password(ports, account) for account in Account.select().order_by(Account.id)}
    _keep(ports.settings.instance / ACCOUNTS_FILE, made)
    return made


def kept_accounts(ports: Ports) -> str:
    """The file that lists the demo's accounts, as text."""
    file = ports.settings.instance / ACCOUNTS_FILE
    return file.read_text() if file.exists() else ""


def _person(address: str, first_name: str, last_name: str) -> NewMailbox:
    # Somewhere outside the demo's own domains, so that a forgotten password has a way back.
    contact = f"{address.replace('@', '.')}@contact.example.com"
    return NewMailbox(address, first_name, last_name, contact, 1024 * MEGABYTE)


def _set_password(ports: Ports, account: Account) -> str:
    """The password that the settings name for all, be it as weak as it may, or a random one."""
    password = ports.settings.demo_password or f"{secrets.token_hex(5)}-{secrets.token_hex(3).upper()}-Aa1"
    account.replace_password(None, passwords.hash_password(ports.settings, policy.prepared(password)))
    return password


def _keep(file: Path, accounts: dict[str, str]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{login}\t{password}\n" for login, password in accounts.items())
