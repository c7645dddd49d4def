"""The first service, domain, manager and mailbox, from JSON on standard input; what is there already stays. Setup runs
this as Postern's own user: `python -m setup_host.first_people`."""

import json
import sys
from collections.abc import Callable, Mapping

from peewee import PeeweeException

from actions.ground.domain_names import readable
from actions.ground.ports import Ports
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.services import mailboxes
from actions.services.mailboxes import MadeMailbox, NewMailbox
from actions.users import managers, removals
from app import create_app
from cli.made import tell
from database import take_time
from models import Account


def add(ports: Ports, wanted: Mapping[str, str]) -> list[MadeMailbox]:
    """Add what is missing; the accounts that were made, with their links. Raises `Refused`."""
    service, organisation = wanted["service"], wanted["organisation"]
    manager, mailbox = wanted["manager"], wanted["mailbox"]
    if not _is_there(lambda: mailboxes.find_service(service, organisation)):
        mailboxes.add_service(UnitOfWork(ports), organisation, service)
    if not _is_there(lambda: removals.find_domain(wanted["domain"])):
        mailboxes.add_domain(UnitOfWork(ports), wanted["domain"], service, organisation)
    made = []
    if not _is_there(lambda: mailboxes.mailbox_named(mailbox)):
        made.append(mailboxes.add_mailbox(UnitOfWork(ports), NewMailbox(mailbox)))
    if not _is_there(lambda: managers.named(manager)):
        made.append(managers.add(UnitOfWork(ports), manager, organisation, Account.OWNER))
    return made


def _is_there(find: Callable[[], object]) -> bool:
    try:
        find()
    except Refused:
        return False
    return True


def main() -> None:
    wanted = json.load(sys.stdin)
    app = create_app()
    with app.app_context():
        take_time()
        try:
            made = add(app.extensions["ports"], wanted)
        except (Refused, PeeweeException) as trouble:
            sys.exit(readable(f"The first people could not be added: {trouble}"))
    for each in made:
        tell(each)


if __name__ == "__main__":
    main()
