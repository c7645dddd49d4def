"""Examine an installation: what is wrong, and how to mend it.

Each module examines one part. An examination is a function that takes the ports and yields findings. They run at the
same time, each in a thread of its own: one that fails, or waits for a neighbour that does not answer, keeps no other.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from actions.ground.ports import Ports
from database import database, discard_connection
from doctor import files, mail_server, outgoing, storage, submission, web, workers
from doctor.findings import Finding, not_known, wrong

Examination = Callable[[Ports], Iterator[Finding]]

# Seconds for all examinations together; those of the database come first, because others need it.
FIRST_SECONDS, SECONDS = 10, 18

# In the order in which to mend what they find.
FIRST: dict[str, Examination] = {"settings": files.settings, "files": files.modes, "database": storage.answers}
OF_THE_DATABASE: dict[str, Examination] = {
    "damage": storage.damage,
    "secret key": storage.secret_key,
    "clocks": storage.clock,
    "Dovecot's account": mail_server.account,
    "Dovecot": mail_server.answers,
    "guesses by mail": mail_server.policy,
    "addresses": storage.delimited,
    "phone numbers": storage.without_messages,
    "worker": workers.alive,
    "outbox": workers.outbox,
    "SMTP": outgoing.smtp,
    "webmails": web.webmails_of,
}
OTHERS: dict[str, Examination] = {
    "Dovecot's configuration": mail_server.configuration,
    "penalty": mail_server.penalty,
    "mail certificate": mail_server.certificate,
    "mail host": mail_server.names,
    "sender addresses": submission.senders,
    "SMTP login": outgoing.login_in_clear,
    "base URL": web.base_url,
    "SMS": outgoing.sms,
    "archives": outgoing.archives,
    "scripts": web.scripts,
}
# To read a large database whole takes its time, and says nothing against it.
SLOW = {"damage"}


@dataclass
class _Running:
    """An examination in its thread, and what it found so far."""

    name: str
    examine: Examination
    found: list[Finding] = field(default_factory=list)

    def begin(self, ports: Ports) -> threading.Thread:
        # Nothing waits for such a thread at the end of the process.
        thread = threading.Thread(target=self._run, args=(ports,), name=self.name, daemon=True)
        thread.start()
        return thread

    def _run(self, ports: Ports) -> None:
        try:
            for finding in self.examine(ports):
                self.found.append(finding)
        except Exception as failure:
            # Its text might contain a password.
            reason = getattr(failure, "strerror", None) or type(failure).__name__
            self.found.append(not_known(self.name, f"the examination failed ({reason})."))
            discard_connection()
        else:
            database.close()


def examine(ports: Ports) -> Iterator[Finding]:
    """Every finding, in the order in which to mend them; in half a minute at most."""
    first = _at_once(ports, FIRST, FIRST_SECONDS)
    yield from first
    has_database = all(finding.well for finding in first if finding.subject in storage.NEEDED)
    yield from _at_once(ports, (OF_THE_DATABASE if has_database else {}) | OTHERS, SECONDS)


def _at_once(ports: Ports, examinations: dict[str, Examination], seconds: float) -> list[Finding]:
    running = [_Running(name, each) for name, each in examinations.items()]
    threads = [each.begin(ports) for each in running]
    deadline = time.monotonic() + seconds
    found: list[Finding] = []
    for each, thread in zip(running, threads, strict=True):
        thread.join(max(0, deadline - time.monotonic()))
        found += each.found
        if thread.is_alive():
            found.append(_late(each.name, seconds))
    return found


def _late(name: str, seconds: float) -> Finding:
    if name in SLOW:
        return not_known(name, f"it could not be looked at whole in {seconds} seconds.")
    sentence = f"This could not be examined within {seconds} seconds: what it asks does not answer."
    return wrong(name, sentence, "Look whether names are resolved and neighbours answer, and run this again.")
