"""Undo: what was done to a device, a user or a collaborator in the last seconds is taken back."""

from actions.collaborations import collaborations
from actions.devices import devices
from actions.ground import undo
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.users import users


@unit_of_work
def take_back(unit: UnitOfWork, number: int) -> str:
    """Take back what the acting browser did (`undo.offer`); the kind of action that it was. Raises `Refused` when it is
    too late, was done already, or would give back what somebody took away meanwhile."""
    taken = undo.take(unit, number)
    _WAYS[taken.kind](unit, taken)
    return taken.kind


_WAYS = {
    devices.DISCONNECTED: devices.connect_again,
    users.SUSPENDED: users.resume_again,
    collaborations.DISABLED_BY_MISTAKE: collaborations.enable_again,
}
