"""Looking through the audit trail: what an account may see of it, narrowed down, page by page or as a whole.

Pages go on below the number of an event, so that the ten-thousandth costs what the first does. Days are turned into
numbers too: the lowest and the highest of their events, wherever in the trail a clock that was wrong has put them.
"""

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from peewee import fn

from models import Account, AuditEvent, Mailbox

from .events import codes_of

READ_AT_A_TIME = 1000


@dataclass(frozen=True)
class Filter:
    """What to look for; empty and None set no condition. `action` is an event's code, `group`
    the word of a group of events. Logins and the mailbox's address
    are complete and in lower case; `since` and `until` are in seconds since the epoch, both inclusive."""

    action: str = ""
    by: str = ""
    about: str = ""
    mailbox: str = ""
    since: int | None = None
    until: int | None = None
    group: str = ""


EVERYTHING = Filter()


def events(account: Account, wanted: Filter = EVERYTHING, before: int | None = None):
    """The events that the account may see, newest first, and below the event with the number `before`."""
    found = AuditEvent.of(account, before, narrowed=bool(wanted.mailbox))
    for condition in _conditions(account, wanted):
        found = found.where(condition)
    return found


def page(
    account: Account, wanted: Filter = EVERYTHING, before: int | None = None, length: int = 30
) -> list[AuditEvent]:
    """Up to `length` of these events. An index alone finds their numbers first: if asked for whole rows, MariaDB starts
    at the organisation's newest event, no matter how far back the page is."""
    numbers = heapq.nlargest(length, _numbers(account, wanted, before, length))
    return list(AuditEvent.select().where(AuditEvent.id.in_(numbers)).order_by(AuditEvent.id.desc()))


def _numbers(account: Account, wanted: Filter, before: int | None, length: int) -> Iterator[int]:
    """The highest `length` numbers of these events, and perhaps more. In an organisation each kind of a group is looked
    for alone, in its own index: one that happened twice among a million events costs no more than a frequent one. A
    mailbox has few events, and no such index."""
    apart = wanted.group and account.is_manager and not (wanted.action or wanted.mailbox)
    kinds = codes_of(wanted.group) if apart else []
    for each in [replace(wanted, action=code, group="") for code in kinds] or [wanted]:
        found = events(account, each, before).select(AuditEvent.id).limit(length)
        yield from (number for (number,) in found.tuples())


def _conditions(account: Account, wanted: Filter) -> Iterator:
    if wanted.action:
        yield AuditEvent.action == wanted.action
    if wanted.group:
        yield AuditEvent.action.in_(codes_of(wanted.group))
    if wanted.by:
        yield AuditEvent.actor_login == wanted.by
    if wanted.about:
        yield AuditEvent.account_login == wanted.about
    if wanted.mailbox:
        mailbox = Mailbox.by_address(wanted.mailbox)
        yield AuditEvent.mailbox == (mailbox.id if mailbox else 0)
    yield from _days(account, wanted.since, wanted.until)


def _days(account: Account, since: int | None, until: int | None) -> Iterator:
    """That an event is of these days; and between which numbers that is, for the index that a page is read by."""
    of_them = [AuditEvent.at >= since] if since is not None else []
    of_them += [AuditEvent.at <= until] if until is not None else []
    if of_them:
        yield from of_them
        # Every one of them counts, in an index alone: a wrong date may stand anywhere.
        lowest, highest = fn.MIN(AuditEvent.id), fn.MAX(AuditEvent.id)
        seen = AuditEvent.of(account).select(lowest, highest).where(*of_them).order_by()
        first, last = seen.tuples().get()
        yield AuditEvent.id.between(first or 0, last or 0)


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
