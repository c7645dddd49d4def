"""The worker: delivers the outbox and clears away what can no longer matter, until it is told to stop."""

import logging
import signal
import threading

from peewee import PeeweeException

from postern.actions import housekeeping, outbox, recovery  # noqa: F401 (recovery declares what it delivers)
from postern.actions.ports import Ports
from postern.models import database

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
AFTER_TROUBLE = 5
CLEAR_EVERY = 3600


def run(ports: Ports, stop: threading.Event) -> None:
    """Work until `stop` is set. Trouble with the database is logged and waited out."""
    ticks_until_clearing = 0
    while not stop.is_set():
        try:
            tried = outbox.deliver_due(ports)
            if ticks_until_clearing <= 0:
                housekeeping.clear_away()
                ticks_until_clearing = CLEAR_EVERY / LOOK_EVERY
            ticks_until_clearing -= 1
        except PeeweeException as trouble:
            log.error("the database did not answer, next try in %s s: %s", AFTER_TROUBLE, trouble)
            database.close()
            stop.wait(AFTER_TROUBLE)
        else:
            stop.wait(0 if tried else LOOK_EVERY)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the item in hand is finished, the next one is not begun."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
