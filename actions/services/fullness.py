"""How much storage each service's mailboxes use together: a few queries to Dovecot at a time, with the sums stored for
the pages."""

from collections import Counter
from time import monotonic

from actions.ground.ports import MailServerUnavailable, Ports
from models import Domain, Mailbox, Service, now

# Dovecot counts this many in a quarter of a second, and has other work to do.
ASKED_AT_ONCE = 50
REST = 600


class StorageCount:
    """Goes through all mailboxes, a batch at each look, and stores the sums at the end. When Dovecot does not answer,
    the count waits at the same mailbox; the last sums remain, with their age."""

    def __init__(self):
        self._begin()
        self._resting_until = 0

    def look(self, ports: Ports) -> None:
        """Count the next mailboxes."""
        if monotonic() < self._resting_until:
            return
        mailboxes = list(self._following())
        if not mailboxes:
            self._write_down()
            return
        try:
            held = ports.mail_server.quotas([mailbox.address for mailbox in mailboxes])
        except MailServerUnavailable:
            return
        for mailbox in mailboxes:
            self._sums[mailbox.domain.service_id] += held[mailbox.address].used if mailbox.address in held else 0
        self._last_id = mailboxes[-1].id

    def _following(self):
        return (
            Mailbox.select(Mailbox.id, Mailbox.address, Domain.service)
            .join(Domain)
            .where(Mailbox.id > self._last_id)
            .order_by(Mailbox.id)
            .limit(ASKED_AT_ONCE)
        )

    def _write_down(self) -> None:
        for service in list(Service.select()):
            service.write(used_bytes=self._sums[service.id], used_at=now())
        self._resting_until = monotonic() + REST
        self._begin()

    def _begin(self) -> None:
        self._sums: Counter[int] = Counter()
        self._last_id = 0
