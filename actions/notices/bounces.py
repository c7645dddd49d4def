"""E-mails that come back: an account whose contact address takes none says so, until a new attempt is made.

An e-mail comes back at once, when the SMTP server refuses the address, or later, when another server returns it to the
address of its own that each e-mail has (`return_path`). Both are noted with the account, for the address that the
e-mail went to. A test e-mail, a new link and another contact address take the note away; if that comes back as well, it
is noted again. What was sent before is no news then, however often somebody returns it.
"""

import functools
from collections.abc import Callable

from actions.authority import authority
from actions.ground.actor import Actor
from actions.ground.addresses import with_ascii_domain
from actions.ground.holding import hold
from actions.ground.ports import Ports, RecipientRefused
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import Limit, attempt
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.notices._reports import Failure, failure_in
from actions.outbox import return_path
from actions.trail import audit
from actions.trail.events import Event
from models import Account, OutboxItem, now

DAY = 24 * 3600
TESTS = Limit("test e-mails of account", free=3, ceiling=3, window=DAY)
# Of a message that was returned, so much is read; reports stand before the e-mail that they are about.
MOST_READ = 1024 * 1024

Handler = Callable[[Ports, OutboxItem, dict], None]


def noting(handler: Handler) -> Handler:
    """What delivers an item of the outbox, and notes with its account that the address was refused."""

    @functools.wraps(handler)
    def deliver(ports: Ports, item: OutboxItem, payload: dict) -> None:
        try:
            handler(ports, item, payload)
        except RecipientRefused as refusal:
            _note_refusal(ports, item, refusal)
            raise

    return deliver


def _note_refusal(ports: Ports, item: OutboxItem, refusal: RecipientRefused) -> None:
    account = Account.get_or_none(Account.id == item.account_id)
    if account is None:
        return
    for address in account.outside_addresses:
        if with_ascii_domain(address) == refusal.recipient:
            _note(UnitOfWork(ports, Actor()), account, address, item.created_at, Failure(refusal.status, ""))


def receive(ports: Ports, recipient: str, content: bytes) -> str:
    """Take a message that was returned to this address; what became of it, as words for the log. It changes nothing
    unless the address is one that an e-mail of ours had, and the message says that it came back for good."""
    token = return_path.token_in(ports.settings, recipient)
    account = token and Account.get_or_none(Account.id == token.account_id)
    if token is None or account is None:
        return "ignored: no e-mail of ours is returned to this address, or not any more"
    address = return_path.address_of(ports.settings, token, account, account.outside_addresses)
    if not address:
        return "ignored: its address is forged, or the account has another contact address now"
    failure = failure_in(content[:MOST_READ])
    if failure is None:
        return "ignored: it does not say that an e-mail came back for good"
    is_news = _note(UnitOfWork(ports, Actor()), account, address, token.written_at, failure)
    return f"account {account.id}: e-mails come back ({failure.status})" if is_news else "ignored: known, or outdated"


@unit_of_work
def _note(unit: UnitOfWork, account: Account, address: str, written_at: int, failure: Failure) -> bool:
    """Note it with the account, as long as it has this address and nobody has tried again since; whether that was
    new."""
    try:
        account = hold(account)
    except Refused:
        return False
    is_outdated = address not in account.outside_addresses or written_at < account.contact_tried_at
    if is_outdated or account.bounced_address == address:
        return False
    account.write(bounced_address=address, bounce_status=failure.status, bounced_at=now())
    audit.record(
        unit.actor, Event.MAIL_CONTACT_BOUNCED, account, contact=address, status=failure.status, reason=failure.reason
    )
    return True


def tested(account: Account) -> str:
    """The address to which a test e-mail would go: the one from which e-mails come back, or else the contact address;
    empty for an account that has none."""
    return account.returned_from or next(iter(account.outside_addresses), "")


@unit_of_work
def send_test(unit: UnitOfWork, account: Account | None = None) -> str:
    """Send a test e-mail to the contact address of the acting person, or of an `account` on which they may act, and
    forget that e-mails to it came back; returns the address. Raises `Refused` when they have none, or
    `throttle.TooManyAttempts`."""
    if account is not None:
        authority.refuse_unless_may_act(unit.actor, account)
    account = hold(account or unit.actor.account)
    address = tested(account)
    if not address:
        raise Refused(N_("There is no contact e-mail."))
    attempt([TESTS.on(account.id, account.created_at)])
    forget(account)
    audit.record(unit.actor, Event.CONTACT_TESTED, account)
    notices.contact_test(unit, account, address)
    return address


def forget(account: Account) -> None:
    """Forget, within the caller's transaction, that e-mails came back: there is a new attempt, or a new address. What
    was sent before does not count any more."""
    account.write(bounced_address="", bounce_status="", bounced_at=0, contact_tried_at=now())
