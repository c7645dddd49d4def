"""A mailbox gets another address within its service, and what becomes of the mail to the address that it had.

The messages stay where they are on the disk, and so does everything that belongs to the account: password, devices,
collaborators, quota, links. What logs in by the address logs in by the new one from then on: the owner, devices and
collaborators. Whatever is signed in or connected under the former address ends, because the mail server knows it by
that name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from peewee import IntegrityError

from actions.authority import authority
from actions.collaborations import collaborations, user_names
from actions.ground.addresses import canonical_login
from actions.ground.holding import hold, related
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.outbox import mail
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.services import mailboxes, search_words
from actions.sessions import links
from actions.trail import audit
from actions.trail.events import Event
from actions.users import _import_lines, users
from models import Account, Device, Domain, FormerAddress, Mailbox, now

DAY = 24 * 3600
USUAL_DAYS, MOST_DAYS = 90, 3650


@dataclass(frozen=True)
class Forwarding:
    """Mail to the former address still arrives: for so many days, or with None until somebody ends it."""

    days: int | None = None


def set_up_again(mailbox: Mailbox) -> list[Device]:
    """The devices of the mailbox's owner and collaborators: each needs the new user name, and keeps its password."""
    logins = [mailbox.account_id, *(each.account_id for each in collaborations.of(mailbox))]
    query = Device.select(Device, Account).join(Account, on=Device.account).where(Device.account.in_(logins))
    return list(query.order_by(Account.role.desc(), Account.login, Device.id))


def rename(
    unit: UnitOfWork, mailbox: Mailbox, revision: int, typed: str, forwarding: Forwarding | None = None
) -> Account:
    """Give a mailbox another address in a domain of its service. Mail to the former address is refused from then on, or
    still arrives where a `forwarding` says so.

    `revision` is the account's revision when the form was shown. Returns the account with its new login. Raises
    `Refused` with the field that is wrong.
    """
    if forwarding and forwarding.days is not None:
        checked_days(forwarding.days)
    return _rename(unit, mailbox, revision, mailboxes.new_address(unit.ports, typed), forwarding)


def checked_days(days: int | None) -> int:
    """For how many days mail may be forwarded; raises `Refused` when that is no such number."""
    if days is None or not 1 <= days <= MOST_DAYS:
        raise Refused(N_("Enter a number of days between 1 and %(most)s."), "days", most=MOST_DAYS)
    return days


@unit_of_work
def _rename(unit: UnitOfWork, mailbox: Mailbox, revision: int, address: str, forwarding: Forwarding | None) -> Account:
    account = users.held(unit, mailbox)
    users.refuse_if_saved_since(account, revision)
    mailbox, guests = account.mailbox, [each.account for each in collaborations.of(account.mailbox)]
    domain = _domain_of(unit, mailbox, address)
    _refuse(unit, mailbox, [account, *guests], address)
    former, former_domain = mailbox.address, mailbox.domain
    _record(unit, account, Event.USER_RENAMED, Event.OPERATOR_MAILBOX_RENAMED, **_facts(former, address, forwarding))
    # Connections are known by the former address, so this comes first.
    revocation.revoke(unit, Cause.RENAMING, account, *guests)
    still_open = [(each, links.open_links(each)) for each in (account, *guests)]
    _write(account, guests, domain, address)
    for each, theirs in still_open:
        links.bind_again(each, theirs)
    _answer_for(former, former_domain, mailbox, forwarding)
    _import_lines.follow(domain.service, former, address)
    mail.redirect(unit.ports, account, former, address)
    _tell(unit, account, guests, former, forwarding)
    return account


def find_former(mailbox: Mailbox, former_id: int) -> FormerAddress | None:
    """The mailbox's former address with this id, if mail to it still arrives."""
    return FormerAddress.living(FormerAddress.mailbox == mailbox, FormerAddress.id == former_id).first()


def former_addresses(mailbox: Mailbox) -> list[FormerAddress]:
    """The addresses that the mailbox had before and whose mail still arrives, the latest first."""
    return list(FormerAddress.living(FormerAddress.mailbox == mailbox))


def former_address(address: str) -> FormerAddress:
    """The former address whose mail still arrives; raises `Refused` when there is none."""
    found = FormerAddress.living(FormerAddress.address == canonical_login(address)).first()
    if found is None:
        raise Refused(N_("Mail to %(address)s is not forwarded."), address=address)
    return found


@unit_of_work
def end_forwarding(unit: UnitOfWork, former: FormerAddress) -> None:
    """Refuse mail to a former address from now on; the address is free again. Raises `Refused`."""
    account = users.held(unit, related(former, "mailbox"))
    if not FormerAddress.delete().where(former.itself()).execute():
        raise Refused(N_("Mail to %(address)s is not forwarded."), address=former.address)
    _record(
        unit,
        account,
        Event.USER_FORWARDING_ENDED,
        Event.OPERATOR_FORWARDING_ENDED,
        address=former.address,
    )
    notices.done_by_another(unit, account, Event.USER_FORWARDING_ENDED, [former.address])


def _domain_of(unit: UnitOfWork, mailbox: Mailbox, address: str) -> Domain:
    """The domain of the new address, in the mailbox's service, whose row this holds: whoever makes or renames a mailbox
    of the service waits until the transaction ends."""
    service = hold(mailbox.domain.service)
    authority.refuse_unless_may_manage(unit.actor, service)
    name = address.rpartition("@")[2]
    domain = service.domains.where(Domain.name == name).first()
    if domain is None:
        # The refusal does not say whether another service has the domain.
        raise Refused(N_("The domain %(domain)s does not belong to this service."), "address", domain=name)
    return domain


def _refuse(unit: UnitOfWork, mailbox: Mailbox, accounts: Sequence[Account], address: str) -> None:
    """Raises `Refused` for an address that the mailbox has already, that is taken, to which links of these accounts are
    sent, or with which a collaborator's login would be too long."""
    if address == mailbox.address:
        raise Refused(N_("The mailbox already has this address."), "address")
    mailboxes.refuse_taken(address, of=mailbox)
    for account in accounts:
        if mailboxes.is_own_address(unit.ports, account.contact_email, address):
            sentence = N_("Links for %(login)s are sent to this address. Change the contact e-mail first.")
            raise Refused(sentence, "address", login=account.login)
        if len(_login(account, address)) > user_names.LONGEST_LOGIN:
            sentence = N_("With this address, the login of %(login)s would have more than %(longest)s characters.")
            raise Refused(sentence, "address", login=account.login, longest=user_names.LONGEST_LOGIN)


def _login(account: Account, address: str) -> str:
    """The login of the mailbox's owner or collaborator once it has this address."""
    user_name, slash, _former = account.login.rpartition("/")
    return f"{user_name}{slash}{address}"


def _record(unit: UnitOfWork, account: Account, event: Event, by_operator: Event, **details: object) -> None:
    audit.record(unit.actor, event if unit.actor.account else by_operator, account, **details)


def _facts(former: str, address: str, forwarding: Forwarding | None) -> dict[str, object]:
    forwards = "no" if forwarding is None else forwarding.days or "until ended"
    return {"before": former, "after": address, "forwards_days": forwards}


def _write(account: Account, guests: Sequence[Account], domain: Domain, address: str) -> None:
    sort_name = search_words.sort_name(address, account.first_name, account.last_name)
    place = {"service": domain.service, "domain": domain, "sort_name": sort_name}
    try:
        account.mailbox.write(address=address, domain=domain)
        account.write(login=address, revision=account.revision + 1, **place)
        for guest in guests:
            guest.write(login=_login(guest, address))
    except IntegrityError:
        # A manager's login, which no service's row holds back.
        raise mailboxes.taken(address) from None
    search_words.enter(account)


def _answer_for(former: str, domain: Domain, mailbox: Mailbox, forwarding: Forwarding | None) -> None:
    """What becomes of mail to the former address. A mailbox that gets an address back, its own or one whose time is
    over, is no longer a former owner of it."""
    FormerAddress.delete().where(FormerAddress.address.in_((former, mailbox.address))).execute()
    if forwarding:
        until = None if forwarding.days is None else now() + forwarding.days * DAY
        FormerAddress.create(address=former, domain=domain, mailbox=mailbox, expires_at=until)


def _tell(
    unit: UnitOfWork, account: Account, guests: Sequence[Account], former: str, forwarding: Forwarding | None
) -> None:
    notices.mailbox_renamed(unit, account, former, forwarding is not None, forwarding and forwarding.days)
    for guest in guests:
        if guest.state != Account.DISABLED:
            notices.collaboration_renamed(unit.ports, guest, former)
