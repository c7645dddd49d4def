"""The worker's part of a change of several passwords, in steps: if the worker is killed, the change goes on from there.

The order guarantees that no mailbox gets a password that was not sent:

1. *preparing*: draws and hashes the new passwords, which takes most of the time, and makes the archive of them.
2. *sending*: stores the archive and its key, and puts the e-mail and the text message into the outbox, in one
   transaction. Then waits until both are accepted. If one is refused for good, the change stops with nothing changed.
3. *changing*: puts each password into force, if the mailbox still has the password that it replaces.
"""

import contextlib
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from peewee import JOIN, PeeweeException

from actions.authority import authority
from actions.ground.actor import Actor
from actions.ground.ports import Ports
from actions.ground.refusals import N_
from actions.ground.tokens import digest, new_token
from actions.ground.unit_of_work import UnitOfWork
from actions.notices import notices
from actions.password_changes import archive as credentials
from actions.password_changes import password_changes
from actions.password_changes.archive import Credential, Sealed
from actions.passwords import passwords, random_passwords
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import links
from actions.trail import audit
from actions.trail.events import Event
from database import transactional, update_each
from models import Account, Mailbox, PasswordChange, PasswordChangeItem, now

log = logging.getLogger(__name__)

# An item, and the column of it to write.
Hashed = tuple[PasswordChangeItem, dict[str, str]]

# Seconds for which a worker, even a killed one, keeps its changes. A step must take less than half of that on the
# slowest host.
LEASE = 15
DRAWN_AT_ONCE, WRITTEN_AT_ONCE, CHANGED_AT_ONCE = 250, 32, 40
# The panel has priority: people wait seconds for a page, but watch a progress bar for this.
NICENESS = 19

GONE = N_("This mailbox was removed meanwhile.")
RENAMED = N_("It got another address meanwhile.")
CLOSED = N_("It was locked or suspended meanwhile.")
NOT_YOURS = N_("Its role has changed in the meantime: you are no longer allowed to change it.")
CHANGED_MEANWHILE = N_("Its password was changed by somebody else meanwhile, and stays as it is.")
NO_RIGHT = N_("The administrator who started it is no longer allowed to do this.")
MAIL_REFUSED = N_("The e-mail with the archive was refused permanently.")
FAILED = N_("Something went wrong on our side. The operator finds it in the log.")
MESSAGE_REFUSED = N_("The text message with the archive's password was refused permanently.")
MAIL_UNANSWERED = N_(
    "The mail server did not say what became of the e-mail with the archive: perhaps it was delivered."
)
MESSAGE_UNANSWERED = N_(
    "The gateway did not say what became of the text message with the archive's password: perhaps it was delivered."
)


class Runner:
    """Does the next work on open changes, oldest first."""

    def __init__(self):
        self._name = secrets.token_hex(8)
        self._preparation: Preparation | None = None

    def work(self, ports: Ports) -> int:
        """Do one step and return how much was done; 0 when there is nothing to do at the moment."""
        open_changes = PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN))
        for change in list(open_changes.order_by(PasswordChange.id)):
            if change.state == PasswordChange.SENDING and not is_answered(change):
                continue
            if change.lease(self._name, LEASE) and (done := self._try_step(ports, change)):
                return done
        return 0

    def _try_step(self, ports: Ports, change: PasswordChange) -> int:
        """Do a step, or end the change: an unexpected failure would happen again, and block the changes behind it."""
        try:
            return self._step(ports, change)
        except PeeweeException:
            # The computed hashes may not have been written.
            self._preparation = None
            raise
        except Exception:
            log.exception("password change %s failed unexpectedly", change.id)
            give_up(change)
            return 1

    def _step(self, ports: Ports, change: PasswordChange) -> int:
        if change.state == PasswordChange.PREPARING:
            return self._prepare(ports, change)
        if change.state == PasswordChange.SENDING:
            return go_on_when_sent(change)
        return put_into_force(ports, change)

    def _prepare(self, ports: Ports, change: PasswordChange) -> int:
        """Draw passwords and write their hashes. When nothing is left to do, send the archive made meanwhile."""
        if self._preparation is None or self._preparation.change_id != change.id:
            self._preparation = Preparation(ports, change)
        preparation = self._preparation
        drawn = 0 if preparation.archive else draw(ports, change)
        if not (drawn or preparation.archive):
            preparation.archive = begin_archive(ports, change)
        hashed = next(preparation.hashes)
        if hashed and not _keep_hashes(change, hashed):
            preparation.hashes.close()
            self._preparation = None
        elif not (hashed or drawn):
            self._preparation = None
            send(ports, change, preparation.archive.result())
        return len(hashed) + drawn or 1


class Preparation:
    """What a worker computes for one change in parallel with its steps."""

    def __init__(self, ports: Ports, change: PasswordChange):
        self.change_id = change.id
        self.hashes = hashed_ahead(ports, change)
        # Begun once all passwords are drawn.
        self.archive: Future[Sealed] | None = None


def hashed_ahead(ports: Ports, change: PasswordChange) -> Iterator[list[Hashed]]:
    """Hashes of what was drawn, in batches, while as many more are computed; an empty batch when there is nothing to
    hash."""
    ahead, last = deque(), 0
    with hashing() as pool:
        try:
            while True:
                for item in _unhashed(change, last, 2 * WRITTEN_AT_ONCE - len(ahead)):
                    ahead.append(pool.submit(_hashed, ports, change, item))
                    last = item.id
                yield [ahead.popleft().result() for _ in range(min(len(ahead), WRITTEN_AT_ONCE))]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def hashing() -> Iterator[ThreadPoolExecutor]:
    """A pool with one thread for each processor available to this process; argon2 runs outside the interpreter's
    lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "hashing", initializer=step_back) as pool:
        yield pool


def step_back() -> None:
    """Give this thread the lowest priority."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _prepared(change: PasswordChange):
    """The change's prepared items, in the order of their addresses."""
    return (
        PasswordChangeItem.select()
        .where(PasswordChangeItem.change == change, PasswordChangeItem.state == PasswordChangeItem.PREPARED)
        .order_by(PasswordChangeItem.id)
    )


def _unhashed(change: PasswordChange, last: int, most: int) -> list[PasswordChangeItem]:
    """The next items after `last` that have no hash yet."""
    beyond = PasswordChangeItem.new_hash.is_null() & (PasswordChangeItem.id > last)
    return list(_prepared(change).where(beyond).limit(most))


@transactional
def draw(ports: Ports, change: PasswordChange) -> int:
    """Draw new passwords, or tokens of links, for mailboxes that have none yet; returns how many it looked at."""
    if not _is_to_go_on(change):
        return 1
    waiting = (
        PasswordChangeItem.select()
        .where(PasswordChangeItem.change == change, PasswordChangeItem.state == PasswordChangeItem.WAITING)
        .order_by(PasswordChangeItem.id)
        .limit(DRAWN_AT_ONCE)
    )
    items, policy = list(waiting), change.service.password_policy
    accounts, drawn = _accounts(items), []
    for item in items:
        account = accounts.get(item.mailbox_id)
        why_not = _why_not(change, item, account)
        if why_not:
            _skip(item, why_not)
        else:
            secret = credentials.sealed_secret(ports, _drawn(ports, change, account, policy))
            drawn.append((item, {"secret": secret, "state": PasswordChangeItem.PREPARED}))
    update_each(drawn)
    return len(items)


def _accounts(items: list[PasswordChangeItem]) -> dict[int, Account]:
    """The accounts that open these items' mailboxes, by mailbox id."""
    mailboxes = (
        Mailbox.select(Mailbox, Account)
        .join(Account, on=Mailbox.account)
        .where(Mailbox.id.in_([item.mailbox_id for item in items if item.mailbox_id]))
    )
    found = {}
    for mailbox in mailboxes:
        # Caches the account's mailbox, which saves a query for each account.
        mailbox.account.__dict__["mailbox"] = mailbox
        found[mailbox.id] = mailbox.account
    return found


def _drawn(ports: Ports, change: PasswordChange, account: Account, policy: str) -> str:
    if change.kind == PasswordChange.LINKS:
        return new_token()
    return random_passwords.for_account(account, policy, ports.settings.password_blocklist)


def _is_to_go_on(change: PasswordChange) -> bool:
    """Whether the change is still in the same state, within a transaction that holds its row. Stops the change if its
    manager may no longer make it."""
    if not PasswordChange.hold(change.itself(), PasswordChange.state == change.state):
        return False
    if password_changes.may_go_on(change):
        return True
    stop(change, NO_RIGHT)
    return False


def stop(change: PasswordChange, reason: str) -> None:
    """End the change early, within the caller's transaction, and record it."""
    log.warning("password change %s is stopped: %s", change.id, reason)
    if password_changes.end(change, PasswordChange.STOPPED, reason):
        facts = password_changes.counts(change)
        audit.record(_actor(change), Event.PASSWORD_CHANGE_STOPPED, None, domain=change.domain.name, **facts)


@transactional
def give_up(change: PasswordChange) -> None:
    """Stop the change in its present state."""
    stop(change, FAILED)


def _actor(change: PasswordChange) -> Actor:
    """The manager, with the network address and browser of the request."""
    return Actor(change.manager, None, change.address, change.user_agent)


def begin_archive(ports: Ports, change: PasswordChange) -> Future[Sealed]:
    """Begin to make the archive of all that was drawn, in a thread of its own that does not use the database."""
    columns = PasswordChangeItem.address, PasswordChangeItem.secret, Account.first_name, Account.last_name
    owned = _prepared(change).select(*columns).join(Mailbox, JOIN.LEFT_OUTER).join(Account, JOIN.LEFT_OUTER)
    told = (
        Credential(address, credentials.unsealed_secret(ports, secret), f"{first or ''} {last or ''}".strip())
        for address, secret, first, last in list(owned.tuples())
    )
    thread = ThreadPoolExecutor(1, "archive", initializer=step_back)
    archive = thread.submit(credentials.pack, ports, change, told)
    thread.shutdown(wait=False)
    return archive


def _hashed(ports: Ports, change: PasswordChange, item: PasswordChangeItem) -> Hashed:
    """The hash to store: argon2 for a password, SHA-256 for the random token of a link."""
    secret, is_link = credentials.unsealed_secret(ports, item.secret), change.kind == PasswordChange.LINKS
    return item, {"new_hash": digest(secret) if is_link else passwords.hash_password(ports.settings, secret)}


@transactional
def _keep_hashes(change: PasswordChange, hashed: list[Hashed]) -> bool:
    """Write hashes; False when the change must not go on."""
    if not _is_to_go_on(change):
        return False
    update_each(hashed)
    return True


@transactional
def send(ports: Ports, change: PasswordChange, archive: Sealed) -> None:
    """Store the archive, and put the e-mail and the text message into the outbox. From here on, only the archive has
    the passwords."""
    if not _is_to_go_on(change):
        return
    prepared = (PasswordChangeItem.change == change) & (PasswordChangeItem.state == PasswordChangeItem.PREPARED)
    if not PasswordChangeItem.select().where(prepared).exists():
        finish(change)
        return
    if PasswordChangeItem.select().where(prepared, PasswordChangeItem.new_hash.is_null()).exists():
        # Another worker, which took this one for dead, has just drawn more passwords: the next step hashes them.
        return
    change.proceed(PasswordChange.PREPARING, PasswordChange.SENDING, archived_at=now())
    PasswordChangeItem.update(in_archive=True, secret="").where(prepared).execute()
    credentials.keep(ports, change, archive)


def is_answered(change: PasswordChange) -> bool:
    """Whether letter and text message were accepted, or one of them is given up. Asked by reading alone: the answer may
    take hours."""
    return bool(_given_up(change) or change.mail_sent_at and change.message_sent_at)


def _given_up(change: PasswordChange) -> str:
    """Why letter or text message is not sent any more; empty while there is hope for both."""
    mail, message = credentials.mail_delivery(change), credentials.message_delivery(change)
    for delivery, refused, unanswered in (
        (mail, MAIL_REFUSED, MAIL_UNANSWERED),
        (message, MESSAGE_REFUSED, MESSAGE_UNANSWERED),
    ):
        if delivery.state == credentials.REFUSED:
            return refused
        if delivery.state == credentials.PERHAPS and not delivery.is_waiting:
            return unanswered
    return ""


@transactional
def go_on_when_sent(change: PasswordChange) -> int:
    """Begin to change when letter and text message were accepted, and stop when one is given up; 0 while neither is
    known."""
    if not _is_to_go_on(change):
        return 1
    change = PasswordChange.get_by_id(change.id)
    given_up = _given_up(change)
    if given_up:
        stop(change, given_up)
        return 1
    if not is_answered(change):
        return 0
    return int(change.proceed(PasswordChange.SENDING, PasswordChange.CHANGING))


@transactional
def put_into_force(ports: Ports, change: PasswordChange) -> int:
    """Change the next few mailboxes, each wholly or not at all; returns how many it handled, 1 for the end."""
    if not _is_to_go_on(change):
        return 1
    items = list(_prepared(change).limit(CHANGED_AT_ONCE))
    if not items:
        finish(change)
        return 1
    _hold(items)
    accounts, changed = _accounts(items), []
    for item in items:
        why_not = _why_not(change, item, accounts.get(item.mailbox_id))
        if why_not:
            _skip(item, why_not)
        else:
            changed.append(item)
    if changed:
        _replace(change, changed, accounts)
        _follow_up(ports, change, changed, [accounts[item.mailbox_id] for item in changed])
    return len(items)


def _hold(items: list[PasswordChangeItem]) -> None:
    """Hold the accounts of these mailboxes until the transaction ends."""
    owners = Mailbox.select(Mailbox.account).where(Mailbox.id.in_([item.mailbox_id for item in items])).tuples()
    # By id: for a subquery in an update, MariaDB would read and hold every account.
    Account.hold(Account.id.in_([number for (number,) in owners]))


def _why_not(change: PasswordChange, item: PasswordChangeItem, account: Account | None) -> str:
    """Why this mailbox must stay unchanged; empty when it may be changed."""
    if account is None:
        return GONE
    if account.mailbox.address != item.address or account.mailbox.domain_id != change.domain_id:
        return RENAMED
    if account.state != Account.ACTIVE:
        return CLOSED
    if not authority.may_act_on(change.manager, account):
        return NOT_YOURS
    return CHANGED_MEANWHILE if account.password_hash != item.old_hash else ""


def _skip(item: PasswordChangeItem, reason: str) -> None:
    item.write(state=PasswordChangeItem.SKIPPED, reason=reason, secret="", new_hash=None, old_hash=None)


def _replace(change: PasswordChange, items: list[PasswordChangeItem], accounts: dict[int, Account]) -> None:
    """Put the new passwords or links of accounts that are held into force."""
    if change.kind == PasswordChange.LINKS:
        for item in items:
            links.create_for(accounts[item.mailbox_id], links.HANDED_OUT, item.new_hash)
        return
    fresh = {"password_changed_at": now(), "must_change_password": change.must_change}
    update_each([(accounts[item.mailbox_id], {"password_hash": item.new_hash, **fresh}) for item in items])


def _follow_up(ports: Ports, change: PasswordChange, items: list[PasswordChangeItem], accounts: list[Account]) -> None:
    """Record, revoke and notify for all of them together, with few statements however many there are."""
    # The worker cuts the connections: nobody is watching.
    unit, is_link = UnitOfWork(ports, _actor(change)), change.kind == PasswordChange.LINKS
    mailboxes = [account.mailbox for account in accounts]
    if is_link:
        audit.record_of_mailboxes(unit.actor, Event.PASSWORD_LINK_ISSUED, mailboxes)
    else:
        choices = {"everywhere": change.everywhere, "must_change": change.must_change}
        audit.record_of_mailboxes(unit.actor, Event.PASSWORD_ISSUED, mailboxes, **choices)
    if change.everywhere:
        cause = Cause.BULK_CHANGE_AND_DEVICES if change.devices_too else Cause.BULK_CHANGE
        revocation.revoke(unit, cause, *accounts, at_once=False)
    notices.passwords_issued(unit, accounts, is_link)
    PasswordChangeItem.update(
        state=PasswordChangeItem.CHANGED, changed_at=now(), secret="", new_hash=None, old_hash=None
    ).where(PasswordChangeItem.these(items)).execute()


def finish(change: PasswordChange) -> None:
    """End the change after its last mailbox, within the caller's transaction."""
    if password_changes.end(change, PasswordChange.DONE):
        facts = password_changes.counts(change)
        audit.record(_actor(change), Event.PASSWORD_CHANGE_FINISHED, None, domain=change.domain.name, **facts)
