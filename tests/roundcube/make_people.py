"""Makes people in the panel's database and writes their logins and passwords as JSON: the demo's people, or a mailbox
for each address on standard input.

It runs in a process of its own, so that the host's process never has this database open.
"""

import json
import sys

from postern.actions import demo, mailboxes
from postern.actions.actor import OPERATOR
from postern.actions.mailboxes import NewMailbox
from postern.actions.ports import Ports
from postern.models import router
from wsgi import app


def mailbox(ports: Ports, address: str) -> None:
    contact = f"{address.replace('@', '.')}@contact.example.com"
    new = NewMailbox(address, "Vera", "Lindqvist", contact, password=ports.settings.demo_password)
    mailboxes.add_mailbox(ports, OPERATOR, new)


with app.app_context():
    ports = app.extensions["ports"]
    addresses = sys.stdin.read().split()
    if addresses:
        for address in addresses:
            mailbox(ports, address)
        made = dict.fromkeys(addresses, ports.settings.demo_password)
    else:
        router().run()
        made = demo.prepare(ports)
    json.dump(made, sys.stdout)
