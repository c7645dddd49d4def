"""The worker's part of a change of several passwords: a step at a time, so that it goes on wherever it was killed.

The order is such that nobody is left with a password that nobody was sent:

1. *preparing*: new passwords are drawn and hashed, which is what takes long; meanwhile the archive is made of them.
2. *sending*: archive and key are kept, and letter and text message put into the outbox, in one transaction. Then it
   waits until both were accepted; if one is refused for good, it stops, and nothing was changed.
3. *changing*: each password comes into force, if the mailbox still has the one that it is to replace.
"""

import contextlib
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from peewee import PeeweeException

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

# An item, and the column of it that is to be written.
Hashed = tuple[PasswordChangeItem, dict[str, str]]

# A worker that was killed has its changes to itself for so long; a step must take less than half, on the slowest host.
LEASE = 15
DRAWN_AT_ONCE, WRITTEN_AT_ONCE, CHANGED_AT_ONCE = 250, 32, 40
# The panel answers first: whoever waits for a page waits for seconds, whoever waits for this has a progress bar.
NICENESS = 19

GONE = N_("This mailbox was removed meanwhile.")
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
    """Does what is to be done for open changes, the oldest first."""

    def __init__(self):
        self._name = secrets.token_hex(8)
        self._preparation: Preparation | None = None

    def work(self, ports: Ports) -> int:
        """One step; how much was done: 0 when there is nothing to do at the moment."""
        open_changes = PasswordChange.select().where(PasswordChange.state.in_(PasswordChange.OPEN))
        for change in list(open_changes.order_by(PasswordChange.id)):
            if change.state == PasswordChange.SENDING and not is_answered(change):
                continue
            if change.lease(self._name, LEASE) and (done := self._try_step(ports, change)):
                return done
        return 0

    def _try_step(self, ports: Ports, change: PasswordChange) -> int:
        """A step, or the end: what fails unexpectedly would fail again, and hold up the changes behind it."""
        try:
            return self._step(ports, change)
        except PeeweeException:
            # What was computed may not have been written down.
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
        """Draw passwords and write down their hashes; when nothing is left, send what the archive became meanwhile."""
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
    """What a worker computes for one change beside its steps."""

    def __init__(self, ports: Ports, change: PasswordChange):
        self.change_id = change.id
        self.hashes = hashed_ahead(ports, change)
        # Begun when all passwords are drawn.
        self.archive: Future[Sealed] | None = None


def hashed_ahead(ports: Ports, change: PasswordChange) -> Iterator[list[Hashed]]:
    """Hashes of what was drawn, some at a time, while as many more are being computed; none while there is none."""
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
    """As many threads as there are processors for this one; argon2 runs outside of the interpreter's lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "hashing", initializer=step_back) as pool:
        yield pool


def step_back() -> None:
    """Let everything else go first, in this thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _prepared(change: PasswordChange):
    """The change's items that go on, in the order of their addresses."""
    return (
        PasswordChangeItem.select()
        .where(PasswordChangeItem.change == change, PasswordChangeItem.state == PasswordChangeItem.PREPARED)
        .order_by(PasswordChangeItem.id)
    )


def _unhashed(change: PasswordChange, last: int, most: int) -> list[PasswordChangeItem]:
    """The next items behind the last one that are to be hashed."""
    beyond = PasswordChangeItem.new_hash.is_null() & (PasswordChangeItem.id > last)
    return list(_prepared(change).where(beyond).limit(most))


@transactional
def draw(ports: Ports, change: PasswordChange) -> int:
    """Draw new passwords, or the tokens of links, for mailboxes that have none yet; how many were looked at."""
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
    """The accounts that open these items' mailboxes, by the mailbox's number."""
    mailboxes = (
        Mailbox.select(Mailbox, Account)
        .join(Account, on=Mailbox.account)
        .where(Mailbox.id.in_([item.mailbox_id for item in items if item.mailbox_id]))
    )
    found = {}
    for mailbox in mailboxes:
        # Saved for whoever asks for the account's mailbox: one query fewer for each.
        mailbox.account.__dict__["mailbox"] = mailbox
        found[mailbox.id] = mailbox.account
    return found


def _drawn(ports: Ports, change: PasswordChange, account: Account, policy: str) -> str:
    if change.kind == PasswordChange.LINKS:
        return new_token()
    return random_passwords.for_account(account, policy, ports.settings.password_blocklist)


def _is_to_go_on(change: PasswordChange) -> bool:
    """Whether the change is still where it was, within a transaction that holds its row; one whose manager may not do
    this any more is stopped."""
    if not PasswordChange.hold(change.itself(), PasswordChange.state == change.state):
        return False
    if password_changes.may_go_on(change):
        return True
    stop(change, NO_RIGHT)
    return False


def stop(change: PasswordChange, reason: str) -> None:
    """End it early, within the caller's transaction, and write it down."""
    log.warning("password change %s is stopped: %s", change.id, reason)
    if password_changes.end(change, PasswordChange.STOPPED, reason):
        facts = password_changes.counts(change)
        audit.record(_actor(change), Event.PASSWORD_CHANGE_STOPPED, None, domain=change.domain.name, **facts)


@transactional
def give_up(change: PasswordChange) -> None:
    """Stop it where it stands."""
    stop(change, FAILED)


def _actor(change: PasswordChange) -> Actor:
    """The manager, from where they asked for it."""
    return Actor(change.manager, None, change.address, change.user_agent)


def begin_archive(ports: Ports, change: PasswordChange) -> Future[Sealed]:
    """Begin to make the archive of all that was drawn, in a thread of its own that asks nothing of the database."""
    sealed = list(_prepared(change).select(PasswordChangeItem.address, PasswordChangeItem.secret).tuples())
    told = (Credential(address, credentials.unsealed_secret(ports, secret)) for address, secret in sealed)
    thread = ThreadPoolExecutor(1, "archive", initializer=step_back)
    archive = thread.submit(credentials.pack, ports, change, told)
    thread.shutdown(wait=False)
    return archive


def _hashed(ports: Ports, change: PasswordChange, item: PasswordChangeItem) -> Hashed:
    """What will be stored: argon2 for a password, SHA-256 for the random token of a link."""
    secret, is_link = credentials.unsealed_secret(ports, item.secret), change.kind == PasswordChange.LINKS
    return item, {"new_hash": digest(secret) if is_link else passwords.hash_password(ports.settings, secret)}


@transactional
def _keep_hashes(change: PasswordChange, hashed: list[Hashed]) -> bool:
    """Write hashes down; False when the change is not to go on."""
    if not _is_to_go_on(change):
        return False
    update_each(hashed)
    return True


@transactional
def send(ports: Ports, change: PasswordChange, archive: Sealed) -> None:
    """Keep the archive, and put letter and text message on their way. From here on the passwords stand in it alone."""
    if not _is_to_go_on(change):
        return
    prepared = (PasswordChangeItem.change == change) & (PasswordChangeItem.state == PasswordChangeItem.PREPARED)
    if not PasswordChangeItem.select().where(prepared).exists():
        finish(change)
        return
    if PasswordChangeItem.select().where(prepared, PasswordChangeItem.new_hash.is_null()).exists():
        # Another worker, which took this one for dead, has just drawn them: the next step hashes them.
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
    """Change the next few mailboxes, each wholly or not at all; how many had their turn, 1 for the end."""
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
    """Keep the accounts of these mailboxes as they are for everybody else until the transaction ends."""
    owners = Mailbox.select(Mailbox.account).where(Mailbox.id.in_([item.mailbox_id for item in items])).tuples()
    # By their numbers: for a query within an update MariaDB would look at every account, and hold them all.
    Account.hold(Account.id.in_([number for (number,) in owners]))


def _why_not(change: PasswordChange, item: PasswordChangeItem, account: Account | None) -> str:
    """Why this mailbox is to stay as it is; empty when nothing speaks against it."""
    if account is None or account.mailbox.address != item.address or account.mailbox.domain_id != change.domain_id:
        return GONE
    if account.state != Account.ACTIVE:
        return CLOSED
    if not authority.may_act_on(change.manager, account):
        return NOT_YOURS
    return CHANGED_MEANWHILE if account.password_hash != item.old_hash else ""


def _skip(item: PasswordChangeItem, reason: str) -> None:
    item.write(state=PasswordChangeItem.SKIPPED, reason=reason, secret="", new_hash=None, old_hash=None)


def _replace(change: PasswordChange, items: list[PasswordChangeItem], accounts: dict[int, Account]) -> None:
    """Put the new passwords into force, or the links, of accounts that are held."""
    if change.kind == PasswordChange.LINKS:
        for item in items:
            links.create_for(accounts[item.mailbox_id], links.HANDED_OUT, item.new_hash)
        return
    fresh = {"password_changed_at": now(), "must_change_password": change.must_change}
    update_each([(accounts[item.mailbox_id], {"password_hash": item.new_hash, **fresh}) for item in items])


def _follow_up(ports: Ports, change: PasswordChange, items: list[PasswordChangeItem], accounts: list[Account]) -> None:
    """What comes with it, for all of them together: few statements, however many they are."""
    # The worker cuts the connections: nobody watches.
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
    """Every mailbox had its turn; within the caller's transaction."""
    if password_changes.end(change, PasswordChange.DONE):
        facts = password_changes.counts(change)
        audit.record(_actor(change), Event.PASSWORD_CHANGE_FINISHED, None, domain=change.domain.name, **facts)
