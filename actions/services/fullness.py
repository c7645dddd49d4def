"""How much storage each mailbox uses, and each service's mailboxes together: a few queries to Dovecot at a time, with
the answers stored for the pages."""

from collections import Counter
from time import monotonic

from actions.ground.ports import MailServerUnavailable, Ports
from database import transactional, update_each
from models import Account, Domain, Mailbox, Service, now

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
        used = {mailbox: held[mailbox.address].used if mailbox.address in held else 0 for mailbox in mailboxes}
        for mailbox, amount in used.items():
            self._sums[mailbox.domain.service_id] += amount
        _keep(used)
        self._last_id = mailboxes[-1].id

    def _following(self):
        return (
            Mailbox.select(Mailbox.id, Mailbox.address, Domain.service, Account)
            .join(Domain)
            .join_from(Mailbox, Account)
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


@transactional
def _keep(used: dict[Mailbox, int]) -> None:
    """Write what differs from the last answer, where the list of users is ordered by it."""
    owners = ((mailbox.account, amount) for mailbox, amount in used.items())
    update_each([(owner, {"used_bytes": amount}) for owner, amount in owners if owner.used_bytes != amount])
