"""A service's users as a table: what a manager sees of them, never a password or its hash; and a table of one user who
is not there, to be filled in."""

import itertools
from collections.abc import Iterator

from actions.ground.domain_names import readable
from actions.ground.refusals import Refused
from actions.ground.sizes import MEGABYTE
from actions.services import mailboxes, services
from actions.services.user_list import STATES
from actions.trail import trail
from models import Account, Mailbox, Service

# An import reads all of them but the last.
HEADER = ("address", "first_name", "last_name", "contact_email", "quota_mb", "language", "phone", "state", "created_at")
READ_AT_A_TIME = 1000
SAMPLE_HEADER = HEADER[:-1]
SAMPLE_QUOTA = 500 * MEGABYTE


def rows(service: Service) -> Iterator[tuple[object, ...]]:
    """The users, with columns in the order of `HEADER`, and domains as people read them. Reads in batches along an
    index, however many users there are."""
    for state in STATES:
        last = ""
        while piece := _piece(service, state, last):
            yield from map(_row, piece)
            last = piece[-1].account.login


def sample(service: Service, language: str) -> tuple[object, ...]:
    """A row that an import of this service takes as it is, with columns in the order of `SAMPLE_HEADER`."""
    quota = services.usual_quota(service) or SAMPLE_QUOTA
    contact, phone = "dora@contact.example.com", "+393331234567"
    return _free_address(service), "Dora", "Neri", contact, quota // MEGABYTE, language, phone, Account.ACTIVE


def _free_address(service: Service) -> str:
    domain = services.domains(service).first()
    names = (f"dora{number or ''}" for number in itertools.count())
    addresses = (f"{name}@{domain.name if domain else 'example.org'}" for name in names)
    return readable(next(address for address in addresses if not _is_taken(address)))


def _is_taken(address: str) -> bool:
    try:
        mailboxes.refuse_taken(address)
    except Refused:
        return True
    return False


def _piece(service: Service, state: str, after: str) -> list[Mailbox]:
    found = Mailbox.select(Mailbox, Account).join(Account)
    here = found.where(Account.service == service, Account.state == state, Account.login > after)
    return list(here.order_by(Account.login).limit(READ_AT_A_TIME))


def _row(mailbox: Mailbox) -> tuple[object, ...]:
    account = mailbox.account
    return (
        readable(mailbox.address),
        account.first_name,
        account.last_name,
        account.contact_email,
        mailbox.quota_bytes // MEGABYTE,
        account.language,
        account.phone,
        account.state,
        trail.exact(mailbox.created_at),
    )
