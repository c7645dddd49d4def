"""The days of a person's zone, in seconds since the epoch."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from flask_babel import get_timezone


def first_second(day: date) -> int:
    """When the day begins; where its midnight comes twice, the first time."""
    return _moment(day, time.min)


def last_second(day: date) -> int:
    """When the day is over; where its last second comes twice, the second time."""
    return _moment(day, time(23, 59, 59, fold=1))


def day_of(moment: int) -> date:
    """The day on which a moment is."""
    return datetime.fromtimestamp(moment, ZoneInfo(str(get_timezone()))).date()


def _moment(day: date, at: time) -> int:
    # By the rules of the zone's name: the object of Flask-Babel has one midnight in a day.
    return int(datetime.combine(day, at, ZoneInfo(str(get_timezone()))).timestamp())
