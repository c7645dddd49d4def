"""Ratios of times. Subject and base take turns, so that whatever else the machine does falls on both alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

WARM_UP = 3


@dataclass(frozen=True)
class Ratio:
    """Median times in seconds, and their ratio."""

    subject: float
    base: float

    @property
    def value(self) -> float:
        return self.subject / self.base


def compare(
    subject: Callable[[], object],
    base: Callable[[], object],
    repetitions: int,
    before: Callable[[], object] = lambda: None,
) -> Ratio:
    """Time both `repetitions` times, in turns. `before` prepares the subject each time, and is not timed."""

    def turn() -> tuple[float, float]:
        before()
        return seconds(subject), seconds(base)

    for _ in range(WARM_UP):
        turn()
    subjects, bases = zip(*(turn() for _ in range(repetitions)), strict=True)
    return Ratio(median(subjects), median(bases))


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
