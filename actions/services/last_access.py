"""When each mailbox was used last, written where the list of users is ordered by it.

Dovecot writes down every login; a webmail signs in at every click. So an account's moment is written again only when it
is an hour behind.
"""

from peewee import fn

from actions.ground.ports import Ports
from database import transactional
from models import CLOCKS_DIFFER, Account, LastLogin, now

HOUR = 3600
# Dovecot may write a login this much later, and the worker may have been away for so long.
LATE_WRITES, LOOK_BACK = 60, 24 * HOUR


class LastAccessWatch:
    """Goes through the logins that Dovecot has written since the last look."""

    def __init__(self):
        self._looked_at = now() - LOOK_BACK

    def look(self, ports: Ports) -> None:
        """Note the latest logins of mailboxes' owners, by any password."""
        moment = now()
        latest = fn.MAX(LastLogin.last_access)
        fresh = (
            LastLogin.select(LastLogin.login_id, latest)
            .join(Account, on=Account.id == LastLogin.login_id)
            .where(LastLogin.last_access >= self._looked_at - LATE_WRITES, Account.service.is_null(False))
            .group_by(LastLogin.login_id, Account.last_access)
            .having(latest > Account.last_access + HOUR)
        )
        for account_id, accessed in list(fresh.tuples()):
            _note(account_id, min(accessed, moment + CLOCKS_DIFFER))
        self._looked_at = moment


@transactional
def _note(account_id: int, accessed: int) -> None:
    account = Account.get_or_none(Account.id == account_id)
    if account is not None and account.last_access < accessed:
        account.write(last_access=accessed)
