"""The unit of work: the actor, the ports, one transaction, and the effects that follow its commit (the term is Martin
Fowler's: "Patterns of Enterprise Application Architecture").

An action that changes something takes its unit first and is decorated with `unit_of_work`. It reaches nothing outside
while the transaction is open; `after_commit` takes what must be done at once, such as cutting connections.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Concatenate, ParamSpec, TypeVar

from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Ports
from database import transactional

# After this many seconds no further effect starts, because somebody is waiting for the answer.
LONGEST_WAIT = 2

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
# Performs an effect that is in the outbox as well; False when the outbox must continue it.
Effect = Callable[[], bool]


@dataclass
class _Aftermath:
    effects: list[Effect] = field(default_factory=list)
    is_open: bool = False
    is_pending: bool = False


@dataclass(frozen=True)
class UnitOfWork:
    """Who acts, and with which ports. One unit may run several actions, in sequence or nested."""

    ports: Ports
    actor: Actor = OPERATOR
    _aftermath: _Aftermath = field(default_factory=_Aftermath, repr=False, compare=False)

    def by(self, actor: Actor) -> "UnitOfWork":
        """The same unit, for a part that another actor does."""
        return replace(self, actor=actor)

    def after_commit(self, effect: Effect) -> None:
        """Run this effect once the outermost transaction is committed, and not at all if it is rolled back."""
        self._aftermath.effects.append(effect)

    @property
    def is_pending(self) -> bool:
        """Whether the outbox must finish something that should have been done at once, because the mail server did not
        answer in time."""
        return self._aftermath.is_pending

    def _conclude(self) -> None:
        """Run the effects that follow the commit. Somebody is waiting, so effects for which a silent or slow server
        leaves no time remain for the outbox."""
        effects, self._aftermath.effects = self._aftermath.effects, []
        until = monotonic() + LONGEST_WAIT
        if not all(monotonic() < until and effect() for effect in effects):
            self._aftermath.is_pending = True


def unit_of_work(
    action: Callable[Concatenate[UnitOfWork, Parameters], Result],
) -> Callable[Concatenate[UnitOfWork, Parameters], Result]:
    """Run an action in one transaction, and run it again if it lost against another. After the outermost commit, run
    its effects. An action within another is part of the outer transaction."""

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
