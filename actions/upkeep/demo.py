"""The demo's organisation, domains and people."""

import os
import secrets
from pathlib import Path

from anyascii import anyascii

from actions.ground.actor import OPERATOR
from actions.ground.ports import Ports
from actions.ground.sizes import GIGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, policy
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from models import Account, Organisation

ORGANISATION = "Example Ltd"
# One service with the defaults, and one with limits.
LIGHT, PRO = "Mail Light", "Mail Pro"
DOMAINS = {"example.org": LIGHT, "example.net": PRO, "example.com": PRO}
MOST_MAILBOXES, TOTAL = 100, 200 * GIGABYTE
PEOPLE = (("anna", "Anna", "Keller"), ("boris", "Boris", "Orlov"), ("chiara", "Chiara", "Rossi"))
MANAGER, PHONE = "manager@example.org", "+393331234567"
MANAGERS = (
    ("operator@example.org", Account.OPERATOR, "Olga", "Stein"),
    (MANAGER, Account.OWNER, "Mara", "Lind"),
    ("administrator@example.org", Account.ADMINISTRATOR, "Aldo", "Serra"),
)
# Enough users to fill several pages. Nobody signs in as one of them before a manager sets a password.
CROWDED, CROWD = ("example.net", "example.net", "example.net", "example.com"), 60
FIRST_NAMES = ("Ada", "Bruno", "Clara", "Dmitri", "Elif", "Franco", "Greta", "Hugo", "Inês", "Jan", "Katia", "Lorenzo")
LAST_NAMES = ("Marino", "Novak", "Özdemir", "Petrova", "Quirós", "Romano", "Sokolov")
ACCOUNTS_FILE = "demo-accounts.txt"


def prepare(ports: Ports) -> dict[str, str]:
    """Create the demo's accounts where they do not exist; returns login and password of the new ones."""
    if Organisation.get_or_none(Organisation.name == ORGANISATION):
        return {}
    for service in (LIGHT, PRO):
        mailboxes.add_service(UnitOfWork(ports, OPERATOR), ORGANISATION, service)
    mailboxes.change_service(UnitOfWork(ports, OPERATOR), PRO, most_mailboxes=MOST_MAILBOXES, quota_bytes=TOTAL)
    for domain, service in DOMAINS.items():
        mailboxes.add_domain(UnitOfWork(ports, OPERATOR), domain, service)
    for login, role, first_name, last_name in MANAGERS:
        employer = None if role == Account.OPERATOR else ORGANISATION
        mailboxes.add_manager(
            UnitOfWork(ports, OPERATOR), login, employer, role, first_name=first_name, last_name=last_name
        )
    # Gives credentials a phone to go to; the demo's gateway keeps the messages that it gets.
    Account.update(phone=PHONE).where(Account.login == MANAGER).execute()
    for domain in ("example.org", "example.net"):
        for name, first_name, last_name in PEOPLE:
            mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), _person(f"{name}@{domain}", first_name, last_name))
    made = {account.login: _set_password(ports, account) for account in Account.select().order_by(Account.id)}
    _keep(ports.settings.instance / ACCOUNTS_FILE, made)
    _add_crowd(ports)
    return made


def _add_crowd(ports: Ports) -> None:
    """Add users: most of them active, some not yet, a few suspended."""
    nobodys = passwords.hash_password(ports.settings, secrets.token_urlsafe(32))
    for number in range(CROWD):
        first_name = FIRST_NAMES[number % len(FIRST_NAMES)]
        last_name = LAST_NAMES[number % len(LAST_NAMES)]
        local_part = anyascii(f"{first_name}.{last_name}").lower()
        person = _person(f"{local_part}@{CROWDED[number % len(CROWDED)]}", first_name, last_name)
        account = mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), person).account
        if number % 9:
            account.replace_password(None, nobodys)
        if number % 14 == 13:
            account.put_into_state(Account.SUSPENDED)


def kept_accounts(ports: Ports) -> str:
    """The text of the file that lists the demo's accounts."""
    file = ports.settings.instance / ACCOUNTS_FILE
    return file.read_text() if file.exists() else ""


def _person(address: str, first_name: str, last_name: str) -> NewMailbox:
    # Outside the demo's own domains, which gives a forgotten password a way back.
    contact = f"{address.replace('@', '.')}@contact.example.com"
    return NewMailbox(address, first_name, last_name, contact, GIGABYTE)


def _set_password(ports: Ports, account: Account) -> str:
    """Set the password that the settings name for all, however weak, or a random one; returns it."""
    password = ports.settings.demo_password or f"{secrets.token_hex(5)}-{secrets.token_hex(3).upper()}-Aa1"
    account.replace_password(None, passwords.hash_password(ports.settings, policy.prepared(password)))
    return password


def _keep(file: Path, accounts: dict[str, str]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{login}\t{password}\n" for login, password in accounts.items())
