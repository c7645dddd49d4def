"""Holding a row: the one way to act on what a page showed a moment ago.

Anybody may remove the row between the page and the request. An action holds the row inside its transaction: the row is
read again, and nobody else can change it until the transaction ends. If it no longer exists, the action is refused with
a sentence for that kind of row, unless the caller gives another. An action that holds several rows begins with the
mailbox's owner, because a common order prevents deadlocks.

This belongs to the ground because rows know no sentences, and every room above acts on rows.
"""

from typing import TypeVar

from peewee import DoesNotExist

from actions.ground.refusals import N_, Refused
from database import Table
from models import Account, Service

Row = TypeVar("Row", bound=Table)


def hold(row: Row, gone: Refused | None = None) -> Row:
    """This row as it is now, held; raises `gone` when it has been removed. An account goes on acting as it did."""
    present = _held(type(row), row.itself(), gone or _removed(row))
    if isinstance(row, Account):
        present.acts_as_person = row.acts_as_person
    return present


def hold_account(number: int | None, login: str, gone: Refused | None = None) -> Account:
    """The account with this number and login as it is now, held; raises `gone` when there is none."""
    this_one = (Account.id == number) & (Account.login == login)
    return _held(Account, this_one, gone or removed())


def related(row: Table, name: str, gone: Refused | None = None) -> Table:
    """The row that this column refers to, which is read only on first access; raises `gone` when it has been
    removed."""
    try:
        return getattr(row, name)
    except DoesNotExist:
        raise gone or removed() from None


def removed() -> Refused:
    """The refusal for a user who no longer exists."""
    return Refused(N_("This user has just been removed."))


def _removed(row: Table) -> Refused:
    if isinstance(row, Service):
        return Refused(N_("There is no service “%(name)s”."), name=row.name)
    return removed()


def _held(table: type[Row], this_one: object, gone: Refused) -> Row:
    present = table.get_or_none(this_one) if table.hold(this_one) else None
    if present is None:
        raise gone
    return present
