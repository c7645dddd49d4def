"""The unit of work: who acts, with which ports, in one transaction, and what follows its commit (the term is Martin
Fowler's: "Patterns of Enterprise Application Architecture").

An action that changes something takes its unit first and is decorated with `unit_of_work`. Nothing outside is reached
while the transaction is open; what is to be done at once, such as cutting connections, is handed to `after_commit`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Concatenate, ParamSpec, TypeVar

from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Ports
from database import transactional

# Seconds after which nothing more is begun while somebody waits for the answer.
LONGEST_WAIT = 2

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
# Does something outside that is in the outbox as well; False when the outbox has to go on with it.
Effect = Callable[[], bool]


@dataclass
class _Aftermath:
    effects: list[Effect] = field(default_factory=list)
    is_open: bool = False
    is_pending: bool = False


@dataclass(frozen=True)
class UnitOfWork:
    """Who acts, and with which ports. One unit may do several actions, one after another or one within another."""

    ports: Ports
    actor: Actor = OPERATOR
    _aftermath: _Aftermath = field(default_factory=_Aftermath, repr=False, compare=False)

    def by(self, actor: Actor) -> "UnitOfWork":
        """The same unit, of which this part is somebody else's doing."""
        return replace(self, actor=actor)

    def after_commit(self, effect: Effect) -> None:
        """Have this done once the outermost transaction is committed, and not at all when it is rolled back."""
        self._aftermath.effects.append(effect)

    @property
    def is_pending(self) -> bool:
        """Whether something that was to be done at once is left to the outbox, because the mail server did not answer
        in time."""
        return self._aftermath.is_pending

    def _conclude(self) -> None:
        """Do what follows the commit. Somebody is waiting: what a silent or slow neighbour leaves no time for is the
        outbox's."""
        effects, self._aftermath.effects = self._aftermath.effects, []
        until = monotonic() + LONGEST_WAIT
        if not all(monotonic() < until and effect() for effect in effects):
            self._aftermath.is_pending = True


def unit_of_work(
    action: Callable[Concatenate[UnitOfWork, Parameters], Result],
) -> Callable[Concatenate[UnitOfWork, Parameters], Result]:
    """Run an action in one transaction, begin it again when it lost against another one, and do after the outermost
    commit what it left to be done. An action within another one is part of that one's transaction."""

    @functools.wraps(action)
    def run(unit: UnitOfWork, *arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        aftermath = unit._aftermath
        is_outermost, kept = not aftermath.is_open, len(aftermath.effects)

        def attempt() -> Result:
            del aftermath.effects[kept:]
            return action(unit, *arguments, **named)

        aftermath.is_open = True
        try:
            result = transactional(attempt)()
        except BaseException:
            del aftermath.effects[kept:]
            raise
        finally:
            aftermath.is_open = not is_outermost
        if is_outermost:
            unit._conclude()
        return result

    return run
