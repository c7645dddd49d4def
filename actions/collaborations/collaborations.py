"""Collaborations: a person opens somebody else's mailbox with a login, a password and permissions of their own.

A collaboration is *pending* after the invitation (*expired* if the link was not used in time), *active* once the
password is set, *suspended* from a reset until the new password is set, and *disabled* for good. The steps follow Aruba
PEC's Collaborations. The acting person is the mailbox's owner, a collaborator who may manage its settings, or a manager
who outranks the owner; collaborators never act on themselves and never grant more than they may do themselves. Only who
opens the mailbox lets others in: managers add nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from peewee import fn

from actions.authority import authority, permissions
from actions.collaborations import user_names
from actions.devices import devices
from actions.ground import throttle, undo
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_contact, checked_name, is_same_mailbox
from actions.ground.holding import hold, related
from actions.ground.ports import Connection, Ports
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import bounces, notices
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.sessions import connections, links, sessions
from actions.trail import audit
from actions.trail.events import Event
from database import transactional
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    DeviceInvitation,
    LastLogin,
    Mailbox,
    WebSession,
    now,
)
from settings import LANGUAGES

PENDING, ACTIVE, SUSPENDED, EXPIRED, DISABLED = "pending", "active", "suspended", "expired", "disabled"
REMOVABLE = (PENDING, EXPIRED, DISABLED)
# What can be taken back.
DISABLED_BY_MISTAKE = "collaborator"
DAY = 24 * 3600
LETTERS_TO_ONE = throttle.Limit("letters to a collaborator", free=10, ceiling=10, window=DAY)
INVITED_A_DAY = throttle.Limit("collaborators invited to a mailbox", free=100, ceiling=100, window=DAY)


@dataclass(frozen=True)
class Person:
    """A future collaborator: the first of the two steps. `language` is the language of their e-mails, or empty."""

    first_name: str
    last_name: str
    reference_email: str
    user_name: str
    language: str = ""


@dataclass(frozen=True)
class Row:
    """A collaborator as the list shows it; `last_access` is in seconds since the epoch, None for never."""

    collaboration: Collaboration
    state: str
    last_access: int | None

    @property
    def account(self) -> Account:
        return self.collaboration.account


@dataclass(frozen=True)
class Consequences:
    """What ends together with a collaborator's password."""

    browsers: int
    programs: list[Connection]
    programs_unknown: bool
    devices: list[Device]
    # Devices of the mailbox's owner that the collaborator handed out and may know the passwords of.
    handed_out: list[Device]
    # Other accounts' devices that were made for the collaborator.
    given: list[Device]
    # Collaborators whom this one added: they stay.
    let_in: list[Account]


def of(mailbox: Mailbox):
    """The mailbox's collaborations, with their accounts."""
    return (
        Collaboration.select(Collaboration, Account)
        .join(Account, on=Collaboration.account)
        .where(Collaboration.mailbox == mailbox)
    )


def rows(mailbox: Mailbox) -> list[Row]:
    """The mailbox's collaborators by name, each with the time of their last access."""
    found = list(of(mailbox).order_by(Account.last_name, Account.first_name, Account.login))
    accesses = _last_accesses([each.account_id for each in found])
    return [Row(each, state(each), accesses.get(each.account_id)) for each in found]


def row(collaboration: Collaboration) -> Row:
    """One collaborator as a row of the list."""
    accesses = _last_accesses([collaboration.account_id])
    return Row(collaboration, state(collaboration), accesses.get(collaboration.account_id))


def state(collaboration: Collaboration) -> str:
    """One of the five states. Collaborators who locked their account with “This wasn't me” count as suspended: a reset
    opens it again."""
    stored = collaboration.account.state
    if stored == Account.PENDING:
        return EXPIRED if now() >= collaboration.link_expires_at else PENDING
    return {Account.ACTIVE: ACTIVE, Account.DISABLED: DISABLED}.get(stored, SUSPENDED)


def checked(unit: UnitOfWork, mailbox: Mailbox, person: Person) -> Person:
    """The person's data in stored form; raises `Refused` with all fields that are wrong."""
    faults, stored = Faults(), []
    with faults:
        stored.append(checked_name(person.first_name, "first_name"))
    with faults:
        stored.append(checked_name(person.last_name, "last_name"))
    with faults:
        stored.append(_checked_reference(unit, mailbox, person.reference_email))
    with faults:
        stored.append(user_names.checked(mailbox, person.user_name))
    with faults:
        if person.language not in ("", *LANGUAGES):
            raise Refused(N_("Not a valid choice."), "language")
    faults.refuse()
    return Person(*stored, person.language)


def _checked_reference(unit: UnitOfWork, mailbox: Mailbox, typed: str) -> str:
    try:
        reference = canonical_contact(typed)
    except Refused as refusal:
        raise Refused(refusal.sentence, "reference_email", **refusal.facts) from None
    delimiter = unit.ports.settings.recipient_delimiter
    if any(is_same_mailbox(reference, each, delimiter) for each in mailbox.addresses):
        raise Refused(
            N_(
                "The reference e-mail must be different from the mailbox address: otherwise, anybody who reads the"
                " mailbox could set the collaborator's password."
            ),
            "reference_email",
        )
    return reference


def make(unit: UnitOfWork, mailbox: Mailbox, person: Person, chosen: int) -> Collaboration:
    """Add a collaborator to a mailbox and send the invitation. Raises `Refused` with all fields that are wrong."""
    person, chosen = checked(unit, mailbox, person), permissions.completed(chosen)
    return _make(unit, mailbox, person, chosen)


@unit_of_work
def _make(unit: UnitOfWork, mailbox: Mailbox, person: Person, chosen: int) -> Collaboration:
    acting = _lock(unit, mailbox)
    if acting is not None and not authority.may_let_in(acting, mailbox):
        raise authority.not_allowed()
    _refuse_beyond(unit, mailbox, chosen)
    refuse_too_many(mailbox)
    user_names.checked(mailbox, person.user_name)
    throttle.attempt([INVITED_A_DAY.on(mailbox.id)])
    account = Account.create(
        login=user_names.login(mailbox, person.user_name),
        role=Account.COLLABORATOR,
        organisation=mailbox.account.organisation_id,
        first_name=person.first_name,
        last_name=person.last_name,
        contact_email=person.reference_email,
        language=person.language,
        timezone=mailbox.account.timezone,
        state=Account.PENDING,
    )
    collaboration = Collaboration.create(
        account=account,
        mailbox=mailbox,
        permissions=chosen,
        created_by=unit.actor.account,
        created_by_login=unit.actor.login,
    )
    _record(unit, collaboration, Event.COLLABORATION_MADE, reference_email=person.reference_email)
    notices.collaboration_invited(unit.ports, collaboration, _new_link(collaboration, links.WELCOME))
    return collaboration


def refuse_too_many(mailbox: Mailbox) -> None:
    """Raises `Refused` when the mailbox has as many collaborators as its service allows."""
    most = mailbox.domain.service.most_collaborators
    if mailbox.collaborations.count() >= most:
        raise Refused(
            N_(
                "This mailbox already has %(count)s collaborators, which is the maximum. Remove one that is not"
                " needed first."
            ),
            "user_name",
            count=most,
        )


@unit_of_work
def send_link_again(unit: UnitOfWork, collaboration: Collaboration) -> None:
    """Send a new link to set the password by e-mail; the previous link is void. Raises `Refused` if the collaborator
    has a password, is disabled or has more permissions than the acting person, or raises `throttle.TooManyAttempts`."""
    account = _held(unit, collaboration)
    _refuse_more(unit, collaboration)
    if account.password_hash or account.state not in (Account.PENDING, Account.SUSPENDED):
        raise Refused(N_("There is nothing to send: %(name)s already has a password."), name=account.display_name)
    throttle.attempt([LETTERS_TO_ONE.on(account.id, account.created_at)])
    bounces.forget(account)
    _record(unit, collaboration, Event.COLLABORATION_LINK_SENT)
    if account.state == Account.PENDING:
        notices.collaboration_invited(unit.ports, collaboration, _new_link(collaboration, links.WELCOME))
    else:
        notices.collaboration_reset(unit.ports, collaboration, _new_link(collaboration, links.RECOVER))


@unit_of_work
def reset(unit: UnitOfWork, collaboration: Collaboration) -> None:
    """Void the password at once, end everything that uses it, and send a link to set another. Raises `Refused` if the
    collaborator has no password yet, is disabled, or has more permissions than the acting person, who can then only
    disable them."""
    account = _held(unit, collaboration)
    _refuse_more(unit, collaboration)
    if account.state not in (Account.ACTIVE, Account.SUSPENDED, Account.LOCKED):
        raise Refused(N_("There is no password to reset."))
    throttle.attempt([LETTERS_TO_ONE.on(account.id, account.created_at)])
    stopped = [device.name for device in (*account.devices, *devices.made_for(account))]
    _end(unit, account, Account.SUSPENDED)
    bounces.forget(account)
    _record(unit, collaboration, Event.COLLABORATION_RESET)
    notices.collaboration_reset(unit.ports, collaboration, _new_link(collaboration, links.RECOVER), stopped)


@unit_of_work
def change_permissions(unit: UnitOfWork, collaboration: Collaboration, chosen: int) -> None:
    """Change the permissions and notify the collaborator. Open connections are cut, because the mail server checks
    permissions only when a program connects. Raises `Refused`."""
    chosen = permissions.completed(chosen)
    account = _held(unit, collaboration)
    before = collaboration.permissions
    if account.state == Account.DISABLED:
        raise Refused(N_("%(name)s is disabled."), name=account.display_name)
    if chosen == before:
        return
    _refuse_beyond(unit, collaboration.mailbox, chosen & ~before)
    collaboration.write(permissions=chosen)
    stopped, handed_out, withdrawn = _beyond(account, before, chosen)
    devices.withdraw_these(unit, withdrawn)
    connections.end(unit, account, connections.ALL)
    devices.forget_these(unit, devices.unique([*stopped, *handed_out]))
    _record(unit, collaboration, Event.COLLABORATION_PERMISSIONS_CHANGED, before=before, after=chosen)
    notices.collaboration_permissions(unit.ports, collaboration, [device.name for device in stopped])


def _beyond(account: Account, before: int, chosen: int) -> tuple[list[Device], list[Device], list[DeviceInvitation]]:
    """What ends when permissions are taken away: devices that the collaborator uses, devices of the mailbox's owner
    that they handed out, and invitations."""
    beyond = ~permissions.device_protocols(chosen)
    # Without "Manage settings" a collaborator may not hand out any of the owner's devices.
    beyond_owners = beyond if chosen & permissions.SETTINGS else ~0
    # The owner may have deliberately given them devices that exceed their own permissions.
    lost = permissions.device_protocols(before) & beyond

    def ends(invitation: DeviceInvitation) -> bool:
        if invitation.invited_by_id != account.id:
            return bool(invitation.protocols & lost)
        return bool(invitation.protocols & (beyond if invitation.account_id == account.id else beyond_owners))

    own = [device for device in account.devices if device.protocols & beyond]
    given = [device for device in devices.made_for(account) if device.protocols & lost]
    handed_out = [device for device in devices.handed_out_by(account) if device.protocols & beyond_owners]
    return [*own, *given], handed_out, [each for each in devices.invitations_about(account) if ends(each)]


@unit_of_work
def disable(unit: UnitOfWork, collaboration: Collaboration) -> None:
    """End the collaboration for good: password, sessions, connections, devices and links. The login stays taken until
    the collaborator is removed. Raises `Refused`."""
    account = _held(unit, collaboration, takes_away=True)
    if account.state == Account.DISABLED:
        return
    was_told = account.state != Account.PENDING
    had_password, kept = account.password_hash is not None, _kept_of(account)
    _end(unit, account, Account.DISABLED)
    # A link that was sent is not given back: who has no password yet is invited again.
    if had_password:
        undo.offer(unit, DISABLED_BY_MISTAKE, account, kept)
    _record(unit, collaboration, Event.COLLABORATION_DISABLED)
    if was_told:
        notices.collaboration_ended(unit.ports, collaboration)


def _kept_of(account: Account) -> dict:
    """What `enable_again` needs: the password, the state, and the devices that end with the collaborator."""
    own = {"state": account.state, "password_hash": account.password_hash}
    return {"account": own} | devices.kept_of(devices.known_to(account))


def enable_again(unit: UnitOfWork, taken: undo.Taken) -> None:
    """Give a collaborator who was disabled a moment ago the password and the devices back, within the caller's
    transaction. Sessions, links and invitations stay ended. Raises `Refused`."""
    collaboration = related(taken.account, "collaboration")
    account = _held(unit, collaboration)
    if account.state != Account.DISABLED or account.password_hash is not None:
        raise undo.changed()
    _refuse_more(unit, collaboration)
    account.write(password_hash=taken.kept["account"]["password_hash"])
    account.put_into_state(taken.kept["account"]["state"])
    devices.restore(taken.kept)
    _record(unit, collaboration, Event.COLLABORATION_RESTORED)
    notices.done_by_another(unit, account, Event.COLLABORATION_RESTORED, [account.login])


@unit_of_work
def remove(unit: UnitOfWork, collaboration: Collaboration) -> None:
    """Remove a collaborator from the list. The user name is free again, and its next user inherits nothing. Raises
    `Refused` if the collaborator still has access: disable them first."""
    account = _held(unit, collaboration, takes_away=True)
    if state(collaboration) not in REMOVABLE:
        raise Refused(N_("%(name)s still has access: disable this collaborator first."), name=account.display_name)
    _record(unit, collaboration, Event.COLLABORATION_REMOVED)
    erase(unit, account)


def erase(unit: UnitOfWork, account: Account) -> None:
    """Delete a collaborator's account and everything that belongs to it, within the caller's transaction."""
    _end(unit, account, Account.DISABLED)
    # Dovecot's table has no foreign keys, only numbers.
    LastLogin.delete().where(LastLogin.login_id == account.id).execute()
    Account.delete().where(account.itself()).execute()


def suspend_all(unit: UnitOfWork, owner: Account) -> None:
    """Suspend every collaborator of a mailbox when its owner's account is locked, within the caller's transaction: a
    person who knew the owner's password may have let them in. The owner restores each of them by a reset."""
    if not owner.owns_mailbox:
        return
    for collaboration in of(owner.mailbox):
        if state(collaboration) != DISABLED:
            _end(unit, collaboration.account, Account.SUSPENDED)
            audit.record(unit.actor, Event.COLLABORATION_SUSPENDED, collaboration.account)


def disable_all(unit: UnitOfWork, owner: Account) -> None:
    """Disable every collaborator of a mailbox that is taken from its owner, within the caller's transaction, and notify
    those who had set a password."""
    for collaboration in of(owner.mailbox).where(Account.state != Account.DISABLED):
        was_told = collaboration.account.state != Account.PENDING
        _end(unit, collaboration.account, Account.DISABLED)
        audit.record(unit.actor, Event.COLLABORATION_DISABLED, collaboration.account)
        if was_told:
            notices.collaboration_ended(unit.ports, collaboration)


def consequences(ports: Ports, collaboration: Collaboration) -> Consequences:
    """What a reset, a disabling or a removal would end now."""
    account = collaboration.account
    connected = connections.of(ports, account)
    handed_out = devices.handed_out_by(account)
    let_in = Account.select().join(Collaboration, on=Collaboration.account).where(Collaboration.created_by == account)
    return Consequences(
        len(sessions.living(account)),
        connected.programs,
        connected.unknown,
        list(account.devices),
        handed_out,
        [device for device in devices.made_for(account) if device not in handed_out],
        list(let_in),
    )


def history(collaboration: Collaboration, limit: int = 20) -> list[AuditEvent]:
    """What the collaborator did and what was done to them, newest first."""
    account = collaboration.account
    concerned = (AuditEvent.account == account) | (AuditEvent.actor == account)
    return list(AuditEvent.select().where(concerned).order_by(AuditEvent.id.desc()).limit(limit))


def _lock(unit: UnitOfWork, mailbox: Mailbox, takes_away: bool = False) -> Account | None:
    """Hold the mailbox's owner, so that nothing else changes its collaborators meanwhile. Returns the acting account as
    it is now; None for the operator at the command line, who may manage all. Raises `Refused` when the acting person
    may no longer manage them, or the owner is locked or suspended, as `devices.lock` has it."""
    devices.lock(unit, related(mailbox, "account"), takes_away)
    if unit.actor.is_operator_at_command_line:
        return None
    if unit.actor.account is None:
        raise authority.not_allowed()
    acting = hold(unit.actor.account, authority.not_allowed())
    # Read again, because its owner may have become a manager since the page was shown.
    present = Mailbox.get_or_none(mailbox.itself())
    if present is None or not acting.may_enter or not authority.may_keep(acting, present):
        raise authority.not_allowed()
    return acting


def _held(unit: UnitOfWork, collaboration: Collaboration, takes_away: bool = False) -> Account:
    """The collaborator's account as it is now, held until the transaction ends; also refreshes the permissions. Raises
    `Refused` when the acting person may not act on it, or it no longer exists."""
    gone = Refused(N_("This collaborator has just been removed."))
    acting = _lock(unit, related(collaboration, "mailbox"), takes_away)
    if acting is not None and not authority.may_act_on_collaborator(acting, collaboration):
        raise authority.not_allowed()
    account = hold(related(collaboration, "account", gone), gone)
    present = Collaboration.get_or_none(collaboration.itself())
    if present is None:
        raise gone
    collaboration.account, collaboration.permissions = account, present.permissions
    return account


def _refuse_beyond(unit: UnitOfWork, mailbox: Mailbox, granted: int) -> None:
    by = unit.actor
    own = permissions.ALL if by.is_operator_at_command_line else authority.grantable(by.account, mailbox)
    if granted & ~own:
        raise Refused(N_("You can give only permissions that you have yourself."), "permissions")


def _refuse_more(unit: UnitOfWork, collaboration: Collaboration) -> None:
    """Raises `Refused` when the collaborator has permissions that the acting person lacks: to renew access is to grant
    it."""
    _refuse_beyond(unit, collaboration.mailbox, collaboration.permissions)


def _end(unit: UnitOfWork, account: Account, new_state: str) -> None:
    """Revoke everything that opens the mailbox for this account."""
    account.put_into_state(new_state)
    revocation.revoke(unit, Cause.COLLABORATION_ENDED, account)


def _new_link(collaboration: Collaboration, purpose: str) -> str:
    token = links.create(collaboration.account, purpose)
    collaboration.write(link_expires_at=now() + links.LIFETIMES[purpose])
    return token


def _record(unit: UnitOfWork, collaboration: Collaboration, event: Event, **details: object) -> None:
    """Record the event, and notify the mailbox's owner when somebody else caused it."""
    account = collaboration.account
    audit.record(unit.actor, event, account, collaborator=account.login, **details)
    notices.done_by_another(unit, collaboration.mailbox.account, event, [account.login])


def _last_accesses(account_ids: Iterable[int]) -> dict[int, int]:
    """When each account last signed in to the mail server or used the panel, by account id."""
    account_ids = list(account_ids)
    queries = (
        LastLogin.select(LastLogin.login_id, fn.MAX(LastLogin.last_access))
        .where(LastLogin.login_id.in_(account_ids))
        .group_by(LastLogin.login_id),
        WebSession.select(WebSession.account_id, fn.MAX(WebSession.seen_at))
        .where(WebSession.account.in_(account_ids))
        .group_by(WebSession.account_id),
        AuditEvent.select(AuditEvent.account_id, fn.MAX(AuditEvent.at))
        .where(AuditEvent.account.in_(account_ids), AuditEvent.action == Event.SESSION_STARTED.code)
        .group_by(AuditEvent.account_id),
    )
    latest: dict[int, int] = {}
    for query in queries:
        for account_id, moment in query.tuples():
            latest[account_id] = max(moment, latest.get(account_id, 0))
    return latest


class AccessWatch:
    """Records collaborators' sign-ins to the mail server in the audit trail, where the owner sees them: once a day for
    each password, protocol and address, because a webmail signs in at every click."""

    def __init__(self):
        self._looked_at = now() - devices.LOOK_BACK

    def look(self, ports: Ports) -> None:
        """Check the logins that Dovecot has recorded since the last look."""
        moment = now()
        fresh = (
            LastLogin.select(LastLogin, Account)
            .join(Account, on=(Account.id == LastLogin.login_id), attr="account")
            .where(LastLogin.last_access >= self._looked_at - devices.LATE_WRITES, Account.role == Account.COLLABORATOR)
        )
        for login in list(fresh):
            _record_access(login)
        self._looked_at = moment


@transactional
def _record_access(login: LastLogin) -> None:
    actor = Actor(login.account, None, login.ip, login.service.upper())
    known = AuditEvent.select().where(
        AuditEvent.account == login.account,
        AuditEvent.at > login.last_access - DAY,
        AuditEvent.action == Event.MAIL_SESSION_STARTED.code,
        AuditEvent.address == actor.address,
        AuditEvent.user_agent == actor.user_agent,
    )
    if not known.exists():
        audit.record(actor, Event.MAIL_SESSION_STARTED)
