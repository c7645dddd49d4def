"""Holding a row: the one way to act on what a page showed a moment ago.

Between the page and the press anybody may have removed it. An action holds it inside its transaction: read again as it
is then, and nobody else's until the transaction ends. What is gone is refused with a sentence, whose words are those of
its kind unless the caller has others. Whoever holds several rows begins with the owner of the mailbox, so that no two
wait for each other.

It stands on the ground because rows know no sentences, and every room above acts on rows.
"""

from typing import TypeVar

from peewee import DoesNotExist

from actions.ground.refusals import N_, Refused
from database import Table
from models import Account, Service

Row = TypeVar("Row", bound=Table)


def hold(row: Row, gone: Refused | None = None) -> Row:
    """This very row as it is now, held; raises `gone` when it was removed."""
    return _held(type(row), row.itself(), gone or _removed(row))


def hold_account(number: int | None, login: str, gone: Refused | None = None) -> Account:
    """The account of this number that has this login, as it is now, held; raises `gone` when there is none."""
    this_one = (Account.id == number) & (Account.login == login)
    return _held(Account, this_one, gone or removed())


def related(row: Table, name: str, gone: Refused | None = None) -> Table:
    """What a row refers to by this column, which is read only when it is first asked for; raises `gone` when it was
    removed since."""
    try:
        return getattr(row, name)
    except DoesNotExist:
        raise gone or removed() from None


def removed() -> Refused:
    """The refusal of a user who is gone."""
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
