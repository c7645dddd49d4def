"""Looking through the audit trail: what an account may see of it, narrowed down, page by page or as a whole.

Pages go on below the number of an event, so that the ten-thousandth costs what the first does. Days are turned into
numbers too. Events are numbered as they happen, but for clocks that were wrong: one event may be dated a year ahead of
its neighbours. Of few events the numbers are those that they have; of many, those of a crowd beside them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from peewee import fn

from models import CLOCKS_DIFFER, Account, AuditEvent, Mailbox, now

READ_AT_A_TIME = 1000
# So many events are looked at one by one, in an index alone; and so many neighbours do not all have a wrong date.
FEW, CROWD = 20_000, 1000
BEYOND_ALL = 2**62


@dataclass(frozen=True)
class Filter:
    """What to look for; empty and None set no condition. `action` is an event's code. Logins and the mailbox's address
    are complete and in lower case; `since` and `until` are in seconds since the epoch, both inclusive."""

    action: str = ""
    by: str = ""
    about: str = ""
    mailbox: str = ""
    since: int | None = None
    until: int | None = None


EVERYTHING = Filter()


def events(account: Account, wanted: Filter = EVERYTHING, before: int | None = None):
    """The events that the account may see, newest first, and below the event with the number `before`."""
    found = AuditEvent.of(account, before, narrowed=bool(wanted.mailbox))
    for condition in _conditions(wanted):
        found = found.where(condition)
    return found


def page(
    account: Account, wanted: Filter = EVERYTHING, before: int | None = None, length: int = 30
) -> list[AuditEvent]:
    """Up to `length` of these events. An index alone finds their numbers first: if asked for whole rows, MariaDB starts
    at the organisation's newest event, no matter how far back the page is."""
    found = events(account, wanted, before).select(AuditEvent.id).limit(length)
    numbers = [number for (number,) in found.tuples()]
    return list(AuditEvent.select().where(AuditEvent.id.in_(numbers)).order_by(AuditEvent.id.desc()))


def _conditions(wanted: Filter) -> Iterator:
    if wanted.action:
        yield AuditEvent.action == wanted.action
    if wanted.by:
        yield AuditEvent.actor_login == wanted.by
    if wanted.about:
        yield AuditEvent.account_login == wanted.about
    if wanted.mailbox:
        mailbox = Mailbox.by_address(wanted.mailbox)
        yield AuditEvent.mailbox == (mailbox.id if mailbox else 0)
    yield from _days(wanted.since, wanted.until)


def _days(since: int | None, until: int | None) -> Iterator:
    """That an event is of these days; and between which numbers that is, for the index that a page is read by."""
    of_them = [AuditEvent.at >= since] if since is not None else []
    of_them += [AuditEvent.at <= until] if until is not None else []
    if not of_them:
        return
    yield from of_them
    first, last, count = _numbers(AuditEvent.at, of_them, FEW + 1)
    many = count > FEW
    if since is not None:
        yield AuditEvent.id >= (_first_of_many(since) if many else first)
    if until is not None:
        yield AuditEvent.id <= (_last_of_many(until) if many else last)


def _first_of_many(since: int) -> int:
    """Below the crowd before it, and not above an event that is dated ahead."""
    first, _last, count = _numbers(AuditEvent.at.desc(), [AuditEvent.at < since], CROWD)
    ahead, _last, _count = _numbers(AuditEvent.at, [AuditEvent.at > now() + CLOCKS_DIFFER], FEW)
    return min(first, ahead) if count == CROWD else 0


def _last_of_many(until: int) -> int:
    """Above the crowd after it: of those that are dated ahead, if any, nobody knows where they belong."""
    later = [AuditEvent.at > until, AuditEvent.at <= max(until, now()) + CLOCKS_DIFFER]
    _first, last, count = _numbers(AuditEvent.at, later, CROWD)
    return last if count == CROWD else BEYOND_ALL


def _numbers(order, conditions: list, most: int) -> tuple[int, int, int]:
    """The lowest and the highest number among the first events of this order, at most so many, and how many these are;
    the lowest is beyond all where there is none."""
    found = AuditEvent.select(AuditEvent.id).where(*conditions).order_by(order).limit(most).alias("found")
    lowest, highest, count = (
        AuditEvent.select(fn.MIN(found.c.id), fn.MAX(found.c.id), fn.COUNT(found.c.id)).from_(found).tuples().get()
    )
    return lowest or BEYOND_ALL, highest or 0, count


def whole(account: Account, wanted: Filter = EVERYTHING) -> Iterator[AuditEvent]:
    """All of these events, read piece by piece: a long trail then does not fill the memory, and a slow download does
    not keep the database busy."""
    before = None
    while piece := page(account, wanted, before, READ_AT_A_TIME):
        yield from piece
        before = piece[-1].id


def exact(moment: int) -> str:
    """A moment for a spreadsheet: date and time in UTC, in ISO 8601 format."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(details: dict) -> str:
    """An event's details on one line; lists and mappings as JSON."""
    return "; ".join(f"{name}: {_plain(fact)}" for name, fact in sorted((details or {}).items()))


def _plain(fact: object) -> str:
    return fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
