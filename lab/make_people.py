"""Makes people in the panel's database and writes their logins and passwords as JSON: the demo's people, or a mailbox
for each address on standard input. A login such as carla/anna@example.org becomes a collaborator, who may read.

It runs in a process of its own, so that the host's process never has this database open.
"""

import json
import sys

from actions.ground.actor import OPERATOR
from actions.ground.ports import Ports
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from actions.upkeep import demo
from database import router
from models import Account, Collaboration
from wsgi import app


def mailbox(ports: Ports, address: str) -> None:
    contact = f"{address.replace('@', '.')}@contact.example.com"
    new = NewMailbox(address, "Vera", "Lindqvist", contact, password=ports.settings.demo_password)
    mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), new)


def collaborator(ports: Ports, login: str) -> None:
    owner = Account.by_login(login.partition("/")[2])
    password_hash = passwords.hash_password(ports.settings, ports.settings.demo_password)
    names = {"first_name": "Carla", "last_name": "Rossi", "contact_email": "carla@contact.example.com"}
    account = Account.create(
        login=login,
        password_hash=password_hash,
        role=Account.COLLABORATOR,
        organisation=owner.organisation,
        **names,
    )
    facts = {"permissions": Collaboration.READ, "created_by": owner, "created_by_login": owner.login}
    Collaboration.create(account=account, mailbox=owner.mailbox, **facts)


with app.app_context():
    ports = app.extensions["ports"]
    addresses = sys.stdin.read().split()
    if addresses:
        for address in addresses:
            collaborator(ports, address) if "/" in address else mailbox(ports, address)
        made = dict.fromkeys(addresses, ports.settings.demo_password)
    else:
        router().run()
        made = demo.prepare(ports)
    json.dump(made, sys.stdout)
