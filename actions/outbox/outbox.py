"""What remains to be done in the outside world: e-mails and text messages to send, connections to cut.

The transaction of its cause writes an item; the delivery follows the commit. The web process delivers at once where a
person is watching. The worker delivers the others, and tries again after every failure. Delivery is at least once: an
item is done only when the outside world has confirmed it. Payloads are encrypted, and erased when they are done.
"""

import logging
from collections.abc import Callable, Mapping

from cryptography.fernet import InvalidToken

from actions.ground.encryption import seal, unseal
from actions.ground.ports import (
    MailerUnavailable,
    MailServerUnavailable,
    MessageRefused,
    Ports,
    SmsRefused,
    SmsUnavailable,
)
from database import insert_all
from models import Account, OutboxItem, now

log = logging.getLogger(__name__)

LEASE = 60
# Seconds for which an item belongs to the process that wrote it for immediate delivery.
HEAD_START = 5
DAY = 24 * 3600
# E-mails of last week help nobody; connections are cut however late it is.
GIVEN_UP_AFTER = 7 * DAY
# The kind that is never given up.
CONNECTIONS = "connections"
LONGEST_PAUSE = {CONNECTIONS: 5}
LONGEST_PAUSE_OTHERWISE = OutboxItem.LONGEST_WAIT

# What delivers an item of each kind, given its payload. `worker.py` has the whole table.
Handlers = Mapping[str, Callable[[Ports, OutboxItem, dict], None]]


def put(
    ports: Ports,
    kind: str,
    key: str,
    payload: dict,
    account: Account | None = None,
    delay: int = 0,
    head_start: bool = False,
) -> None:
    """Write an item, within the caller's transaction. An item whose key is already in the outbox stays as it is.

    With `head_start`, the caller will `deliver` the item itself (and `find` it by its key); the worker leaves it alone
    for `HEAD_START` seconds.
    """
    put_all([row(ports, kind, key, payload, account, delay, head_start)])


def row(
    ports: Ports,
    kind: str,
    key: str,
    payload: dict,
    account: Account | None = None,
    delay: int = 0,
    head_start: bool = False,
) -> dict:
    """The row that `put` writes, for `put_all`."""
    moment = now()
    return {
        "kind": kind,
        "key": key,
        "account": account,
        "payload": seal(ports.settings.secret_key, "outbox", payload),
        "created_at": moment,
        "next_try_at": moment + delay + (HEAD_START if head_start else 0),
    }


def put_all(rows: list[dict]) -> None:
    """Write several items at once, within the caller's transaction."""
    insert_all(OutboxItem, rows, ignore=True)


def find(key: str) -> OutboxItem:
    """The item that was put under this key."""
    return OutboxItem.get(OutboxItem.key == key)


def deliver(ports: Ports, item: OutboxItem, handlers: Handlers) -> bool:
    """Try this item now; True when it is done. A failure is recorded in the row, and the worker tries again later."""
    if not item.lease(LEASE):
        return False
    item = OutboxItem.get_by_id(item.id)
    try:
        handlers[item.kind](ports, item, unseal(ports.settings.secret_key, "outbox", item.payload))
    except (MailServerUnavailable, MailerUnavailable, SmsUnavailable) as failure:
        _try_later(item, str(failure))
        return False
    except (MessageRefused, SmsRefused, InvalidToken) as failure:
        _give_up(item, str(failure) or "The secret key has changed since this was written.")
        return False
    except Exception:
        log.exception("outbox item %s (%s) failed unexpectedly", item.id, item.kind)
        _try_later(item, "unexpected failure, see the log")
        return False
    _done(item)
    return True


def deliver_due(ports: Ports, handlers: Handlers, limit: int = 100) -> int:
    """Try everything that is due of the kinds that have a handler here; returns how many items it tried."""
    due = list(OutboxItem.due(now()).where(OutboxItem.kind.in_(tuple(handlers))).limit(limit))
    for item in due:
        deliver(ports, item, handlers)
    return len(due)


def _done(item: OutboxItem) -> None:
    item.write(delivered_at=now(), payload="", last_error="")


def _give_up(item: OutboxItem, why: str) -> None:
    log.warning("outbox item %s (%s) is given up: %s", item.id, item.kind, why)
    item.write(given_up_at=now(), payload="", last_error=why[:500])


def _try_later(item: OutboxItem, why: str) -> None:
    if item.kind != CONNECTIONS and now() > item.created_at + GIVEN_UP_AFTER:
        _give_up(item, why)
        return
    pause = min(2**item.attempts, LONGEST_PAUSE.get(item.kind, LONGEST_PAUSE_OTHERWISE))
    item.write(next_try_at=now() + pause, leased_until=0, last_error=why[:500])
