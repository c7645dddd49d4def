"""What remains to be done in the outside world: e-mails and text messages to send, connections to cut.

An item is written in the transaction of its cause and delivered after the commit: at once by the web process where a
person is watching, otherwise and again after every failure by the worker. Delivery is at least once; an item is done
only when the outside world said so. One that was handed over without an answer is perhaps delivered: it is tried again
a few times, far apart. Payloads are encrypted, and erased when they are done.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping

from cryptography.fernet import InvalidToken
from peewee import PeeweeException

from actions.ground.encryption import seal, unseal
from actions.ground.ports import (
    MailerUnavailable,
    MailServerUnavailable,
    MessageRefused,
    PerhapsDelivered,
    Ports,
    SmsRefused,
    SmsUnavailable,
)
from database import database, insert_all
from models import Account, OutboxItem, now

log = logging.getLogger(__name__)

# Seconds; renewed while a delivery lasts, so that another worker waits no longer for one that was killed.
LEASE, RENEWED_EVERY = 60, 20
# The process that writes an item for immediate delivery has it to itself for so long.
HEAD_START = 5
DAY = 24 * 3600
# E-mails of last week help nobody; connections are cut however late it is.
GIVEN_UP_AFTER = 7 * DAY
# The kind that is never given up.
CONNECTIONS = "connections"
LONGEST_PAUSE = {CONNECTIONS: 5}
LONGEST_PAUSE_OTHERWISE = OutboxItem.LONGEST_WAIT
# How often something is handed over that nobody answers for: each time may be once too often.
MOST_UNANSWERED = 3

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


def change(ports: Ports, kind: str, account: Account, change_of: Callable[[dict], dict | None]) -> None:
    """Give an account's waiting items of a kind another payload, within the caller's transaction; None leaves one as it
    is. What is being delivered at this moment may be delivered as it was."""
    key = ports.settings.secret_key
    for item in OutboxItem.open_items().where(OutboxItem.kind == kind, OutboxItem.account == account):
        with contextlib.suppress(InvalidToken):
            if payload := change_of(unseal(key, "outbox", item.payload)):
                item.write(OutboxItem.payload == item.payload, payload=seal(key, "outbox", payload))


def join(ports: Ports, kind: str, account: Account, joined: Callable[[dict], dict | None]) -> bool:
    """Let an account's item that nobody tried yet take something more, within the caller's transaction; None says that
    this one does not. False when none took it."""
    key = ports.settings.secret_key
    untried = OutboxItem.open_items().where(
        OutboxItem.kind == kind, OutboxItem.account == account, OutboxItem.attempts == 0
    )
    for item in untried.order_by(OutboxItem.id):
        with contextlib.suppress(InvalidToken):
            # Whoever delivers it took it before and leaves it untouched no more, or reads what is written here.
            if (payload := joined(unseal(key, "outbox", item.payload))) and item.write(
                item.is_untouched, OutboxItem.payload == item.payload, payload=seal(key, "outbox", payload)
            ):
                return True
    return False


def find(key: str) -> OutboxItem:
    """The item that was put under this key."""
    return OutboxItem.get(OutboxItem.key == key)


def deliver(ports: Ports, item: OutboxItem, handlers: Handlers, *conditions: object) -> bool:
    """Try this item now, as long as the conditions hold; True when it is done. A failure is noted in the row and tried
    again later by the worker."""
    if not item.lease(LEASE, *conditions):
        return False
    item = OutboxItem.get_by_id(item.id)
    try:
        with _kept(item):
            handlers[item.kind](ports, item, unseal(ports.settings.secret_key, "outbox", item.payload))
    except PerhapsDelivered as silence:
        _perhaps(item, str(silence))
        return False
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
        # What another worker tried since then is not due any more.
        deliver(ports, item, handlers, item.is_untouched)
    return len(due)


def settle(key: str) -> None:
    """Take note, within the caller's transaction, that what was put under this key was delivered, as somebody else
    says."""
    is_open = OutboxItem.delivered_at.is_null() & OutboxItem.given_up_at.is_null()
    OutboxItem.update(delivered_at=now(), payload="", last_error="").where(OutboxItem.key == key, is_open).execute()


@contextlib.contextmanager
def _kept(item: OutboxItem) -> Iterator[None]:
    """Keep the item leased, for however long its delivery lasts."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(item, over), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(item: OutboxItem, over: threading.Event) -> None:
    while not over.wait(RENEWED_EVERY):
        # Without the database nobody else takes it either.
        with contextlib.suppress(PeeweeException), database.connection_context():
            item.write(item.is_untouched, leased_until=now() + LEASE)


def _done(item: OutboxItem) -> None:
    item.write(delivered_at=now(), payload="", last_error="")


def _perhaps(item: OutboxItem, why: str) -> None:
    log.warning("outbox item %s (%s) is perhaps delivered: %s", item.id, item.kind, why)
    item.write(unanswered=item.unanswered + 1)
    if item.unanswered >= MOST_UNANSWERED:
        _give_up(item, why)
    else:
        _try_later(item, why)


def _give_up(item: OutboxItem, why: str) -> None:
    log.warning("outbox item %s (%s) is given up: %s", item.id, item.kind, why)
    item.write(item.is_untouched, given_up_at=now(), payload="", last_error=why[:500])


def _try_later(item: OutboxItem, why: str) -> None:
    if item.kind != CONNECTIONS and now() > item.created_at + GIVEN_UP_AFTER:
        _give_up(item, why)
        return
    pause = min(2**item.attempts, LONGEST_PAUSE.get(item.kind, LONGEST_PAUSE_OTHERWISE))
    if item.unanswered:
        pause = OutboxItem.FAR_APART
    item.write(item.is_untouched, next_try_at=now() + pause, leased_until=0, last_error=why[:500])
