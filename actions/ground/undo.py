"""Taking an action back: for ten seconds, by the person who did it, in the browser in which they did it.

The action is in force meanwhile. What it deleted is kept sealed, and erased when it is taken back or the time is over.
Who signs out, or is signed out, takes nothing back: the row goes with the session.
"""

from dataclasses import dataclass

from actions.ground.encryption import seal, unseal
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork
from models import Account, Undoable, has_come, now

SECONDS = 10
SEALED_FOR = "undo"


@dataclass(frozen=True)
class Taken:
    """An action that is being taken back: its kind, the account that it was done to, and what it deleted."""

    kind: str
    account: Account
    kept: dict


def offer(unit: UnitOfWork, kind: str, account: Account, kept: dict) -> None:
    """Let the acting browser take this action back, within the caller's transaction. `kept` holds what gives back what
    it deleted. The operator at the command line has no browser, and is offered nothing."""
    if unit.actor.session is None:
        return
    sealed = seal(unit.ports.settings.secret_key, SEALED_FOR, kept)
    Undoable.create(session=unit.actor.session, account=account, kind=kind, sealed=sealed, until=now() + SECONDS)


def offered(unit: UnitOfWork) -> int | None:
    """The number of what the acting browser did last and can still take back."""
    return next((each.id for each in Undoable.of(unit.actor.session) if not _is_over(each)), None)


def take(unit: UnitOfWork, number: int) -> Taken:
    """Use the offer up, within the caller's transaction: once, however many come at the same moment. Raises `Refused`
    when the time is over, or it is another browser's."""
    row = _offer_of(unit, number)
    if row is None or _is_over(row) or not Undoable.delete().where(row.itself()).execute():
        raise Refused(N_("It is too late to undo this."))
    return Taken(row.kind, row.account, unseal(unit.ports.settings.secret_key, SEALED_FOR, row.sealed))


def withdraw(account: Account) -> None:
    """Nothing that was done to this account can be taken back any more, within the caller's transaction."""
    Undoable.delete().where(Undoable.account == account).execute()


def changed() -> Refused:
    """The refusal to give access back that somebody has restricted meanwhile."""
    return Refused(N_("This cannot be undone: something else has changed meanwhile."))


def erase_old() -> None:
    """Erase what nobody can take back any more."""
    Undoable.delete().where((Undoable.until <= now()) | (Undoable.until > now() + SECONDS)).execute()


def _offer_of(unit: UnitOfWork, number: int) -> Undoable | None:
    return Undoable.get_or_none(Undoable.id == number, Undoable.session == unit.actor.session)


def _is_over(row: Undoable) -> bool:
    return has_come(row.until, now(), SECONDS)
