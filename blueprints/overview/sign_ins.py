"""Sign-ins as a small picture: a column for each day."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from actions.users.overview import DAYS, SignIn
from blueprints.web import days

# In the picture's own units.
HEIGHT, COLUMN, GAP = 48, 14, 4
# A day with fewer sign-ins does not fill the picture's height.
FEW = 4


@dataclass(frozen=True)
class Column:
    """A day's sign-ins, and where they stand in the picture; those that were refused stand on top."""

    x: int
    started: float
    refused: float


@dataclass(frozen=True)
class Picture:
    """The sign-ins of the last days."""

    first_day: date
    last_day: date
    started: int
    refused: int
    columns: list[Column]


def picture(sign_ins: list[SignIn], today: date) -> Picture:
    """The picture of these sign-ins, in the days of the person's zone."""
    counted = Counter((days.day_of(each.at), each.is_refused) for each in sign_ins)
    shown = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    pairs = [(counted[day, False], counted[day, True]) for day in shown]
    unit = HEIGHT / max(FEW, *(sum(pair) for pair in pairs))
    columns = [
        Column(number * (COLUMN + GAP), round(started * unit, 1), round(refused * unit, 1))
        for number, (started, refused) in enumerate(pairs)
    ]
    return Picture(shown[0], today, sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs), columns)
