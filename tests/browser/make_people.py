"""Makes mailboxes in the panel's database: addresses on standard input, all with the password in the argument.

It runs in a process of its own, so that the tests' process never has this database open.
"""

import sys

from postern.actions import mailboxes
from postern.actions.actor import OPERATOR
from postern.actions.mailboxes import NewMailbox
from wsgi import app

with app.app_context():
    for address in sys.stdin.read().split():
        contact = address.replace("@example.org", "@contact.example.com")
        mailboxes.add_mailbox(
            app.extensions["ports"],
            OPERATOR,
            NewMailbox(address, "Vera", "Lindqvist", contact, password=sys.argv[1]),
        )
