"""Reading the audit trail: what an account may see of it, filtered, page by page or in full.

Each page continues below an event's number, so the ten-thousandth page costs as much as the first. Days are converted
to numbers too: events are numbered as they happen, with an hour's allowance for clocks that differ.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from models import Account, AuditEvent, Mailbox

CLOCKS_DIFFER = 3600
READ_AT_A_TIME = 1000
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
    if wanted.since is not None:
        yield AuditEvent.id > _last_before(wanted.since - CLOCKS_DIFFER)
        yield AuditEvent.at >= wanted.since
    if wanted.until is not None:
        yield AuditEvent.id < _first_after(wanted.until + CLOCKS_DIFFER)
        yield AuditEvent.at <= wanted.until


def _last_before(moment: int) -> int:
    """The number of the last event before this moment; 0 if there is none."""
    earlier = AuditEvent.select(AuditEvent.id).where(AuditEvent.at < moment)
    return earlier.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(1).scalar() or 0


def _first_after(moment: int) -> int:
    """The number of the first event after this moment; a number beyond all events if there is none."""
    later = AuditEvent.select(AuditEvent.id).where(AuditEvent.at > moment)
    return later.order_by(AuditEvent.at, AuditEvent.id).limit(1).scalar() or BEYOND_ALL


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
