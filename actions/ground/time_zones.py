"""Time zones by the names that people know them by: one for each place, without the names that it had before.

The names are those of the time zone database, in the order of the alphabet. What a place is called now stands in its
file `zone.tab`; what it was called before is a link in `tzdata.zi` (theory.html of the database).
"""

import zoneinfo
from functools import cache
from pathlib import Path

UTC = "UTC"


@cache
def places() -> tuple[str, ...]:
    """UTC, then the name of each place. Where the system has no list of places: every name that is not a former
    one."""
    lines = [line.split("\t") for line in _lines("zone.tab") if not line.startswith("#")]
    listed = {fields[2] for fields in lines if len(fields) > 2}
    named = listed or {each for each in _known() if "/" in each and each not in _present_names()}
    return (UTC, *sorted(each for each in named if not each.startswith(("Etc/", "SystemV/")) and is_known(each)))


def is_known(name: str) -> bool:
    """Whether it is the name of a time zone, even a former one."""
    return name in _known()


def present_name(name: str) -> str:
    """What a time zone is called now: `Asia/Kolkata` for `Asia/Calcutta`, as some browsers still call it. Any other
    name stays."""
    now_called = _present_names().get(name, name)
    return now_called if name not in places() and now_called in places() else name


@cache
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@cache
def _present_names() -> dict[str, str]:
    """What each former name stands for."""
    links = [line.split() for line in _lines("tzdata.zi") if line.startswith("L ")]
    return {former: present for _, present, former in links}


def _lines(name: str) -> list[str]:
    """The lines of a file of the database, in the first directory that has it."""
    found = next((path for each in zoneinfo.TZPATH if (path := Path(each) / name).is_file()), None)
    return found.read_text(encoding="utf-8").splitlines() if found else []
