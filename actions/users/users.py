"""The users of a service, as their managers administer them: add, edit, suspend, resume, remove.

The acting person is the operator or a manager of the service's organisation. The users are people with a mailbox. Each
action first holds the user's row, then checks the acting person's rank again. Dovecot applies a change as soon as it is
committed; connections that the change must end are cut right after. The user is notified by e-mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actions.authority import authority
from actions.collaborations import collaborations
from actions.ground import phone_numbers, throttle, undo
from actions.ground.addresses import canonical_login, optional_contact, optional_name, trimmed
from actions.ground.holding import hold_account, related, removed
from actions.ground.ports import MailServerUnavailable, Ports, Quota
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import bounces, notices
from actions.outbox import mail
from actions.passwords import passwords
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.services import mailboxes, search_words, services, user_list
from actions.services.mailboxes import NewMailbox
from actions.sessions import connections, links, sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, Collaboration, Device, Domain, LastLogin, Mailbox, Service

# What can be taken back.
SUSPENDED = "user"
DAY = 24 * 3600
LETTERS_TO_ONE = throttle.Limit("letters to a user", free=10, ceiling=10, window=DAY)
# The columns of a profile, and those by which a list finds a user.
PROFILE = ("first_name", "last_name", "contact_email", "phone")
NAMES = {"first_name", "last_name"}


@dataclass(frozen=True)
class Profile:
    """What a manager edits of a user. Quota in bytes, 0 for no limit. A state of None leaves the state unchanged."""

    first_name: str = ""
    last_name: str = ""
    contact_email: str = ""
    phone: str = ""
    quota_bytes: int = 0
    state: str | None = None


@dataclass(frozen=True)
class Password:
    """A password that a manager sets, and whether the user must choose another at the next sign-in."""

    text: object
    must_change: bool = True


@dataclass(frozen=True)
class Losses:
    """What a removal deletes."""

    devices: list[Device]
    collaborators: list[Account]
    browsers: int
    connected: connections.Connected
    used: Quota | None


def add(unit: UnitOfWork, service: Service, address: str, profile: Profile, password: Password | None) -> Account:
    """A new user of the service. Without a password, an invitation goes to the contact e-mail, and the user sets a
    password that nobody else knows. Raises `Refused` with all fields that are wrong."""
    new = check_new(unit, service, address, profile, password)
    new_hash = None if new.password is None else passwords.hash_password(unit.ports.settings, new.password)
    return _add(unit, service, replace(new, password=None), new_hash)


def check_new(
    unit: UnitOfWork, service: Service, address: str, profile: Profile, password: Password | None
) -> NewMailbox:
    """The user that `add` would make, in stored form; raises what it would raise, and changes nothing."""
    faults, stored = Faults(), ""
    with faults:
        stored = _new_address(unit.ports, service, address)
    with faults:
        profile = _checked(unit.ports, Account(login=stored), [stored] if stored else [], profile)
    with faults:
        services.refuse_without_quota(service, profile.quota_bytes)
    with faults:
        if password is None and not trimmed(profile.contact_email):
            raise Refused(N_("The invitation needs an address outside this mailbox."), "contact_email")
    with faults:
        accepted = _accepted(unit.ports, stored, service, profile, password)
    faults.refuse()
    must_change = password is not None and password.must_change
    names = {name: getattr(profile, name) for name in PROFILE}
    quota = profile.quota_bytes
    return NewMailbox(stored, quota_bytes=quota, password=accepted, must_change_password=must_change, **names)


@unit_of_work
def _add(unit: UnitOfWork, service: Service, new: NewMailbox, new_hash: str | None) -> Account:
    authority.refuse_unless_may_manage(unit.actor, service)
    account = mailboxes.create(new, new_hash)
    audit.record(unit.actor, Event.USER_ADDED, account)
    if new_hash is None:
        _send_link(unit, account, links.WELCOME)
    else:
        notices.done_by_another(unit, account, Event.USER_ADDED)
    return account


def edit(unit: UnitOfWork, mailbox: Mailbox, revision: int, profile: Profile, password: Password | None = None) -> None:
    """Change what differs in the profile, and the password where one is given. A new password ends the user's sessions
    and the connections that use the old one.

    `revision` is the account's revision when the form was shown. Raises `Refused`, with nothing changed, when somebody
    has saved the account since, or with all fields that are wrong.
    """
    profile, accepted = check_edit(unit, mailbox, profile, password)
    new_hash = None if accepted is None else passwords.hash_password(unit.ports.settings, accepted)
    must_change = password is not None and password.must_change
    _edit(unit, mailbox, revision, profile, new_hash, must_change)


def check_edit(
    unit: UnitOfWork, mailbox: Mailbox, profile: Profile, password: Password | None
) -> tuple[Profile, str | None]:
    """Profile and password as `edit` would store them; raises what it would raise, and changes nothing."""
    faults, accepted = Faults(), None
    with faults:
        profile = _checked(unit.ports, related(mailbox, "account"), mailbox.addresses, profile)
    with faults:
        accepted = _accepted(unit.ports, mailbox.address, mailbox.domain.service, profile, password)
    faults.refuse()
    return profile, accepted


@unit_of_work
def _edit(
    unit: UnitOfWork,
    mailbox: Mailbox,
    revision: int,
    profile: Profile,
    new_hash: str | None,
    must_change: bool,
) -> None:
    account = held(unit, mailbox)
    refuse_if_saved_since(account, revision)
    if account.state == Account.LOCKED and profile.state == Account.ACTIVE and new_hash is None:
        raise Refused(N_("To unlock the account, set a new password here or send a link."), "state")
    _keep_profile(unit, mailbox, account, profile)
    if new_hash is not None:
        set_password(unit, account, new_hash, must_change)
    if profile.state not in (None, account.state):
        _change_state(unit, account, profile.state)


def set_password(unit: UnitOfWork, account: Account, new_hash: str, must_change: bool) -> None:
    """Set another password for a user whose row is `held`, within the caller's transaction. Signs browsers out and
    forgets them, voids links, cuts the connections that used the old password, and notifies the user."""
    if not account.replace_password(account.password_hash, new_hash):
        raise _changed_meanwhile()
    account.write(must_change_password=must_change, revision=account.revision + 1)
    revocation.revoke(unit, Cause.SET_BY_MANAGER, account)
    audit.record(unit.actor, Event.USER_PASSWORD_SET, account, must_change=must_change)
    notices.done_by_another(unit, account, Event.USER_PASSWORD_SET)


@unit_of_work
def change_quota(unit: UnitOfWork, mailbox: Mailbox, quota_bytes: int) -> None:
    """Give the mailbox another quota, in bytes, 0 for no limit; all else of the profile stays. Raises `Refused`."""
    account = held(unit, mailbox)
    profile = Profile(quota_bytes=quota_bytes, **{name: getattr(account, name) for name in PROFILE})
    _keep_profile(unit, mailbox, account, profile)


@unit_of_work
def send_link(unit: UnitOfWork, mailbox: Mailbox) -> None:
    """Send a link by which the user sets the password: the first one, a new one, or the one that reopens a locked
    account. Earlier links become void. Raises `Refused`, or `throttle.TooManyAttempts`."""
    account = held(unit, mailbox)
    if account.state == Account.SUSPENDED:
        raise Refused(N_("%(name)s is suspended."), name=account.display_name)
    if not account.contact_email:
        raise Refused(N_("%(name)s has no contact e-mail to send it to."), name=account.display_name)
    throttle.attempt([LETTERS_TO_ONE.on(account.id, account.created_at)])
    bounces.forget(account)
    audit.record(unit.actor, Event.USER_LINK_SENT, account)
    _send_link(unit, account, link_purpose(account))


def with_state(profile: Profile, state: str) -> Profile:
    """The same profile with this state."""
    return replace(profile, state=state)


def link_hours(account: Account) -> int:
    """For how many hours such a link is valid."""
    return links.LIFETIMES[link_purpose(account)] // links.HOUR


def link_purpose(account: Account) -> str:
    """The purpose of a link that sets this account's password."""
    if account.state == Account.LOCKED:
        return links.RECOVER
    return links.RESET if account.password_hash else links.WELCOME


@unit_of_work
def suspend(unit: UnitOfWork, mailbox: Mailbox) -> None:
    """Close the mailbox to everyone until it is resumed: ends sessions, connections and links, its collaborators' too.
    Mail still arrives. Raises `Refused`."""
    if _put_into(unit, mailbox, Account.SUSPENDED):
        undo.offer(unit, SUSPENDED, mailbox.account, {})


def resume_again(unit: UnitOfWork, taken: undo.Taken) -> None:
    """Resume a user who was suspended a moment ago, within the caller's transaction. Raises `Refused`."""
    resume(unit, taken.account.mailbox)


def resume(unit: UnitOfWork, mailbox: Mailbox) -> None:
    """Let a suspended user in again, with the same password. Raises `Refused`."""
    _put_into(unit, mailbox, Account.ACTIVE)


@unit_of_work
def _put_into(unit: UnitOfWork, mailbox: Mailbox, state: str) -> bool:
    """False where the account is in that state already."""
    account = held(unit, mailbox)
    if account.state == state:
        return False
    if account.state == Account.LOCKED and state == Account.ACTIVE:
        raise _locked()
    _change_state(unit, account, state)
    return True


def _change_state(unit: UnitOfWork, account: Account, state: str) -> None:
    event = Event.USER_SUSPENDED if state == Account.SUSPENDED else Event.USER_RESUMED
    account.put_into_state(state)
    audit.record(unit.actor, event, account)
    notices.done_by_another(unit, account, event)
    if state == Account.SUSPENDED:
        revocation.revoke(unit, Cause.SUSPENSION, account)
        guests = [each.account for each in collaborations.of(account.mailbox)]
        revocation.revoke(unit, Cause.SUSPENSION_OF_OWNER, *guests)


def losses(ports: Ports, mailbox: Mailbox) -> Losses:
    """What a removal would delete now."""
    account = mailbox.account
    return Losses(
        list(account.devices),
        [each.account for each in collaborations.of(mailbox)],
        len(sessions.living(account)),
        connections.of(ports, account),
        storage_used(ports, mailbox),
    )


def find(actor: Account, service_id: int, mailbox_id: int) -> Mailbox | None:
    """One of the mailboxes of a service that an account manages, if it outranks the mailbox's owner: the others are in
    the list alone."""
    service = services.find(actor, service_id)
    mailbox = user_list.find(service, mailbox_id) if service else None
    return mailbox if mailbox and authority.may_act_on(actor, mailbox.account) else None


def storage_used(ports: Ports, mailbox: Mailbox) -> Quota | None:
    """The mailbox's use of storage, as Dovecot counts it; None when Dovecot does not answer."""
    try:
        return ports.mail_server.quotas([mailbox.address]).get(mailbox.address, Quota(0, 0))
    except MailServerUnavailable:
        return None


@unit_of_work
def remove(unit: UnitOfWork, mailbox: Mailbox, typed: str) -> None:
    """Remove a user for good: account, mailbox, devices, collaborators, sessions and links. Of a manager the account
    and its password stay, as they are without a mailbox. `typed` is the address, as a confirmation. The messages stay
    in their directory, which no other mailbox ever gets. Raises `Refused`."""
    if canonical_login(typed) != mailbox.address:
        raise Refused(N_("Type %(address)s to confirm."), "confirmation", address=mailbox.address)
    account = held(unit, mailbox)
    mailbox = account.mailbox
    outside = [each for each in mail.addresses_of(account) if each != mailbox.address]
    notices.done_by_another(unit, account, Event.USER_REMOVED, addresses=outside)
    is_manager = account.role in Account.MANAGERS
    revocation.revoke(unit, Cause.REMOVAL_OF_MANAGERS_MAILBOX if is_manager else Cause.REMOVAL, account)
    for collaboration in list(collaborations.of(mailbox)):
        _remove_collaborator(unit, collaboration)
    audit.record(unit.actor, Event.USER_REMOVED, account, home=mailbox.home)
    services.count_out(mailbox.domain.service, mailbox.quota_bytes)
    # Dovecot's table has ids only, and no foreign key.
    LastLogin.delete().where(LastLogin.login_id == account.id).execute()
    if is_manager:
        mailboxes.close_mailbox(mailbox, account)
        return
    Mailbox.delete().where(mailbox.itself()).execute()
    Account.delete().where(account.itself()).execute()


def _remove_collaborator(unit: UnitOfWork, collaboration: Collaboration) -> None:
    account = collaboration.account
    if account.state not in (Account.PENDING, Account.DISABLED):
        notices.collaboration_ended(unit.ports, collaboration)
    audit.record(unit.actor, Event.COLLABORATION_REMOVED, account, collaborator=account.login)
    collaborations.erase(unit, account)


def held(unit: UnitOfWork, mailbox: Mailbox) -> Account:
    """The user's account as it is now, held until the transaction ends. Raises `Refused` when the account is gone, or
    the acting person may no longer act on it."""
    account = hold_account(mailbox.account_id, mailbox.address)
    if account.mailbox is None or account.mailbox.home != mailbox.home:
        raise removed()
    authority.refuse_unless_may_act(unit.actor, account)
    return account


def refuse_if_saved_since(account: Account, revision: int) -> None:
    """Raises `Refused` when somebody has saved the account since it had this revision."""
    if account.revision != revision:
        raise Refused(N_("Somebody else saved this user while you were editing it. Your changes were not saved."))


def _keep_profile(unit: UnitOfWork, mailbox: Mailbox, account: Account, profile: Profile) -> None:
    """Write what differs, and notify every address that got e-mails before or gets them from now on."""
    changed = {name for name in PROFILE if getattr(account, name) != getattr(profile, name)}
    other_quota = account.mailbox.quota_bytes != profile.quota_bytes
    if not changed and not other_quota:
        return
    before = mail.addresses_of(account)
    account.write(
        **{name: getattr(profile, name) for name in changed},
        sort_name=search_words.sort_name(account.login, profile.first_name, profile.last_name),
        revision=account.revision + 1,
    )
    if changed & NAMES:
        search_words.enter(account)
    if "contact_email" in changed:
        revocation.revoke(unit, Cause.CONTACT_CHANGED, account)
        bounces.forget(account)
    quota = {}
    if other_quota:
        quota = {"quota_before": account.mailbox.quota_bytes, "quota_after": profile.quota_bytes}
        services.change_quota(account.mailbox, profile.quota_bytes)
    audit.record(unit.actor, Event.USER_CHANGED, account, fields=sorted(changed), **quota)
    _tell_changed(unit, account, before)


def _tell_changed(unit: UnitOfWork, account: Account, before: Sequence[str]) -> None:
    everywhere = list(dict.fromkeys([*before, *mail.addresses_of(account)]))
    notices.done_by_another(unit, account, Event.USER_CHANGED, addresses=everywhere)


def _new_address(ports: Ports, service: Service, typed: str) -> str:
    """A new user's address in stored form, in one of the service's domains; raises `Refused`."""
    address = mailboxes.new_address(ports, typed)
    name = address.rpartition("@")[2]
    # The refusal does not say whether another service has the domain.
    if not service.domains.where(Domain.name == name).exists():
        raise Refused(N_("The domain %(domain)s does not belong to this service."), "address", domain=name)
    mailboxes.refuse_taken(address)
    return address


def _checked(ports: Ports, account: Account, addresses: Sequence[str], profile: Profile) -> Profile:
    """The profile of an account whose mailbox has these addresses, in stored form; raises `Refused` with all fields
    that are wrong."""
    faults, stored = Faults(), {}
    with faults:
        stored["contact_email"] = contact = optional_contact(profile.contact_email)
        mailboxes.refuse_own_address(ports, contact, *addresses)
    with faults:
        if profile.state not in (None, Account.ACTIVE, Account.SUSPENDED, account.state):
            raise Refused(N_("Not a valid choice."), "state")
    for name in ("first_name", "last_name"):
        with faults:
            stored[name] = optional_name(getattr(profile, name), name)
    with faults:
        stored["phone"] = _phone(ports, profile.phone, account.phone)
    faults.refuse()
    return replace(profile, **stored)


def _phone(ports: Ports, typed: str, stored: str) -> str:
    return phone_numbers.accepted(ports.settings, typed, stored) if typed.strip() else ""


def _accepted(ports: Ports, address: str, service: Service, profile: Profile, password: Password | None) -> str | None:
    """The password for the account of this address, if there is one; raises `Refused`."""
    if password is None:
        return None
    account = Account(login=address, first_name=profile.first_name, last_name=profile.last_name)
    return passwords.acceptable(ports, account, password.text, service.password_policy)


def _send_link(unit: UnitOfWork, account: Account, purpose: str) -> None:
    notices.password_link(unit, account, purpose, links.create(account, purpose))


def _locked() -> Refused:
    return Refused(N_("To unlock the account, set a new password or send a link."), "state")


def _changed_meanwhile() -> Refused:
    return Refused(N_("The password was changed a moment ago. Start again."), "new_password")
