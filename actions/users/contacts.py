"""A person's contact e-mail, as the person changes it.

Links to set a new password and warnings go to it, so a new one counts only once somebody has opened it there, by a
one-time link. Until then the present one stays in force. The present one and the mailbox are told, with a link that
locks the account and puts the present one back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.ground.addresses import canonical_contact
from actions.ground.holding import hold, related
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import Limit, attempt
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import bounces, notices
from actions.outbox import mail
from actions.passwords import recovery
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.services import mailboxes
from actions.sessions import links, sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, OneTimeLink, now

DAY = 24 * 3600
CONFIRMATIONS = Limit("confirmations of a contact e-mail", free=5, ceiling=5, window=DAY)


@dataclass(frozen=True)
class Unconfirmed:
    """A contact e-mail that nobody has confirmed yet: until when its link can be used, in seconds since the epoch."""

    address: str
    expires_at: int

    @property
    def has_expired(self) -> bool:
        return now() >= self.expires_at


def may_change(account: Account) -> bool:
    """Whether an account changes its contact e-mail itself. A collaborator's is what the mailbox's owner entered: a
    wrong one is mended by another collaborator."""
    return not account.is_collaborator


def unconfirmed(account: Account) -> Unconfirmed | None:
    """The contact e-mail that waits for its confirmation, also when its link has expired since."""
    link = links.latest_unused(account, links.CONFIRM_CONTACT)
    return Unconfirmed(link.address, link.expires_at) if link else None


@unit_of_work
def ask(unit: UnitOfWork, address: str) -> str:
    """Send a link to another contact e-mail of the acting person, by which somebody there confirms it; earlier links
    are void. Returns the address in stored form. Raises `Refused`, or `throttle.TooManyAttempts`."""
    account = _held(unit)
    if not may_change(account):
        raise Refused(N_("You are not allowed to do this."), "contact_email")
    contact = canonical_contact(address)
    _refuse_own(unit, account, contact)
    if contact == account.contact_email:
        raise Refused(N_("This is your contact e-mail already."), "contact_email")
    attempt([CONFIRMATIONS.on(account.id, account.created_at)])
    token = links.create_for_contact(account, links.CONFIRM_CONTACT, contact)
    audit.record(unit.actor, Event.CONTACT_WANTED, contact=contact)
    notices.contact_confirmation(unit, account, contact, token)
    return contact


@unit_of_work
def cancel(unit: UnitOfWork) -> None:
    """Void the link that would confirm another contact e-mail of the acting person. Raises `Refused`."""
    account = _held(unit)
    if links.latest_unused(account, links.CONFIRM_CONTACT) is None:
        return
    links.revoke([account], (links.CONFIRM_CONTACT,))
    audit.record(unit.actor, Event.CONTACT_CANCELLED)


@unit_of_work
def confirm(unit: UnitOfWork, link: OneTimeLink) -> None:
    """Let the contact e-mail that a link is about take the place of the present one, which uses the link up. Links to
    set a password, which went to the present one, are void. Raises `Refused`."""
    account = _held_by(link)
    links.use(link)
    _refuse_own(unit, account, link.address)
    told, former = mail.addresses_of(account), account.contact_email
    _put(account, link.address)
    revocation.revoke(unit, Cause.CONTACT_CONFIRMED, account)
    audit.record(unit.actor, Event.LINK_CONTACT_CONFIRMED, account, contact=link.address, former=former)
    _tell(unit, account, former, told)


@unit_of_work
def disown(unit: UnitOfWork, link: OneTimeLink) -> None:
    """Handle “This wasn't me” for a contact e-mail: put back the one that the link names, lock the account and end
    everything. Raises `Refused` when the link was used a moment before."""
    account = _held_by(link)
    _put(account, link.address)
    recovery.lock(unit, link)
    audit.record(unit.actor, Event.LINK_CONTACT_DISOWNED, account, contact=link.address)


def _tell(unit: UnitOfWork, account: Account, former: str, told: Sequence[str]) -> None:
    """Notify the addresses that the account had before. Of several changes within the time in which one can be
    disowned, whoever disowns any puts back the address from before the first: no address that came later counts more
    than that one."""
    first = links.first_open(account, links.DISOWN_CONTACT)
    token = links.create_for_contact(account, links.DISOWN_CONTACT, first.address if first else former)
    notices.contact_changed(unit, account, token, told)


def _put(account: Account, contact: str) -> None:
    account.write(contact_email=contact, revision=account.revision + 1)
    bounces.forget(account)


def _held(unit: UnitOfWork) -> Account:
    """The acting account, held. Refused where its session or its password is another one than when it was asked."""
    ended = Refused(N_("You are signed out, and nothing was changed. Sign in and try again."), "contact_email")
    asking, account = unit.actor.account, hold(unit.actor.account, ended)
    if unit.actor.session is not None and not sessions.exists(unit.actor.session):
        raise ended
    if account.password_hash != asking.password_hash:
        raise Refused(N_("The password was changed in another window a moment ago. Start again."), "contact_email")
    return account


def _held_by(link: OneTimeLink) -> Account:
    return hold(related(link, "account", links.void()), links.void())


def _refuse_own(unit: UnitOfWork, account: Account, contact: str) -> None:
    own = account.mailbox.addresses if account.owns_mailbox else [account.login]
    mailboxes.refuse_own_address(unit.ports, contact, *own)
