"""The worker: delivers the outbox, reports devices in new networks, deletes what can no longer matter."""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from peewee import PeeweeException

from actions.collaborations import collaborations
from actions.devices import devices
from actions.ground import undo
from actions.ground.ports import Ports
from actions.notices import bounces
from actions.outbox import mail, outbox
from actions.password_changes import archive, password_change_run
from actions.passwords import recovery
from actions.services import fullness, last_access
from actions.sessions import connections
from actions.upkeep import housekeeping, installation
from actions.users import imports
from database import database, discard_connection, release_connection

log = logging.getLogger(__name__)

AFTER_TROUBLE = 5

# What delivers each kind of item in the outbox. Connections are cut apart from all else: who waits for that does not
# wait for e-mails; nor do credentials, which a manager waits for, wait behind the notices that go out with them.
CONNECTIONS = {outbox.CONNECTIONS: connections.cut}
OTHERS = {"mail": bounces.noting(mail.send), "forgotten": recovery.write_to_owner}
CREDENTIALS, MESSAGES = {"credentials": bounces.noting(archive.send_mail)}, {"credentials-sms": archive.send_message}
HANDLERS = CONNECTIONS | OTHERS | CREDENTIALS | MESSAGES


@dataclass(frozen=True)
class Duty:
    """Work to do at an interval in seconds; again at once while there is more to do."""

    name: str
    every: float
    work: Callable[[Ports], int | None]


# Each in a thread of its own: an SMTP server that is slow to answer must not keep connections open.
DUTIES = (
    Duty("connections", 0.5, lambda ports: outbox.deliver_due(ports, CONNECTIONS)),
    Duty("letters", 0.5, lambda ports: outbox.deliver_due(ports, OTHERS)),
    Duty("credentials", 0.5, lambda ports: outbox.deliver_due(ports, CREDENTIALS)),
    Duty("text messages", 0.5, lambda ports: outbox.deliver_due(ports, MESSAGES)),
    Duty("password changes", 0.5, password_change_run.Runner().work),
    Duty("new networks", 5, devices.NetworkWatch().look),
    Duty("collaborators' accesses", 5, collaborations.AccessWatch().look),
    Duty("users from files", 1, imports.work),
    Duty("last accesses", 60, last_access.LastAccessWatch().look),
    Duty("storage", 1, fullness.StorageCount().look),
    Duty("sign of life", 60, lambda ports: installation.give_a_sign(ports.settings)),
    Duty("undo", 5, lambda _ports: undo.erase_old()),
    Duty("housekeeping", 3600, lambda _ports: housekeeping.clear_away()),
)


def run(ports: Ports, stop: threading.Event) -> None:
    """Work until `stop` is set; what is in hand is finished."""
    threads = [threading.Thread(target=_attend, args=(duty, ports, stop), name=duty.name) for duty in DUTIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the item in hand is finished, the next one is not begun."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _attend(duty: Duty, ports: Ports, stop: threading.Event) -> None:
    """One duty until `stop` is set. Trouble is logged and waited out, whatever it is: nobody else would do it."""
    while not stop.is_set():
        try:
            done = duty.work(ports)
            release_connection()
        except Exception as trouble:
            _tell(duty, trouble)
            discard_connection()
            stop.wait(AFTER_TROUBLE)
        else:
            stop.wait(0 if done else duty.every)
    database.close()


def _tell(duty: Duty, trouble: Exception) -> None:
    if isinstance(trouble, PeeweeException):
        log.error("%s: the database did not answer, next try in %s s: %s", duty.name, AFTER_TROUBLE, trouble)
    else:
        log.error("%s failed unexpectedly, next try in %s s", duty.name, AFTER_TROUBLE, exc_info=trouble)
