"""What a person sees first: what is set, what is odd, and what waits. A few statements, however much there is; the mail
server is not asked."""

from collections import Counter
from dataclasses import dataclass, field

from peewee import JOIN, fn

from actions.authority import authority
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.services import services
from actions.sessions import sessions
from actions.trail.events import Event
from actions.users import contacts
from models import Account, AuditEvent, Device, LastLogin, PasswordChange, Service, UserImport, now

DAY = 24 * 3600
# The days whose sign-ins are shown, and so many of them are read: somebody may guess all day.
DAYS, MOST_SIGN_INS = 14, 1000
MOST_SERVICES = 10
# A file or a change that failed is told for so long.
TOLD = 7 * DAY
STARTED = (
    Event.SESSION_STARTED,
    Event.HANDOFF_SESSION_STARTED,
    Event.WEBMAIL_SESSION_STARTED,
    Event.WEBMAIL_SESSION_UNASKED,
)
REFUSED = (Event.SESSION_REFUSED, Event.WEBMAIL_SESSION_UNASKED_REFUSED)


@dataclass(frozen=True)
class SignIn:
    """A sign-in, or one that was refused; `at` in seconds since the epoch."""

    at: int
    is_refused: bool
    address: str
    user_agent: str


@dataclass(frozen=True)
class Devices:
    """How many devices an account has, how many of them nobody used for long, and when one was used last: in seconds
    since the epoch, None for never."""

    count: int
    unused: int
    used_at: int | None


@dataclass(frozen=True)
class Collaborators:
    """How many collaborators can open the mailbox, and how many have yet to set a password: in time, or too late."""

    active: int
    pending: int
    expired: int


@dataclass(frozen=True)
class Overview:
    """Of an account. What it has no use for is None."""

    browsers: int
    sign_ins: list[SignIn]
    unconfirmed: contacts.Unconfirmed | None
    devices: Devices | None
    invitations: int
    collaborators: Collaborators | None


@dataclass(frozen=True)
class Order:
    """A service for those who manage it: files of users and changes of passwords that somebody has to decide about,
    that go on, and that failed lately."""

    service: Service
    imports: Counter = field(default_factory=Counter)
    changes: Counter = field(default_factory=Counter)

    @property
    def is_full(self) -> bool:
        """Whether less than a tenth of its mailboxes, or of its storage, is left to give."""
        service = self.service
        limits = (service.most_mailboxes, service.mailboxes_made), (service.quota_bytes, service.quota_given_bytes)
        return any(most and used > most * 9 / 10 for most, used in limits)


WAITING, RUNNING, FAILED = "waiting", "running", "failed"


def of(account: Account) -> Overview:
    """An account's overview."""
    has_devices = bool(devices.protocols_for(account))
    keeps_mailbox = authority.may_keep_mailbox(account)
    return Overview(
        len(sessions.living(account)),
        _sign_ins(account),
        contacts.unconfirmed(account) if contacts.may_change(account) else None,
        _devices(account) if has_devices else None,
        len(invitations.pending(account)) if has_devices else 0,
        _collaborators(account) if keeps_mailbox else None,
    )


def orders(account: Account) -> list[Order]:
    """The first services that an account manages, by name."""
    listed = list(services.looked_after(account).limit(MOST_SERVICES))
    found = {service.id: Order(service) for service in listed}
    if found:
        _add_imports(found)
        _add_changes(found, account)
    return list(found.values())


def _sign_ins(account: Account) -> list[SignIn]:
    """The account's sign-ins of the last days, newest first."""
    kinds = [event.code for event in (*STARTED, *REFUSED)]
    refused = {event.code for event in REFUSED}
    found = (
        AuditEvent.select(AuditEvent.at, AuditEvent.action, AuditEvent.address, AuditEvent.user_agent)
        .where(AuditEvent.account == account, AuditEvent.at > now() - DAYS * DAY, AuditEvent.action.in_(kinds))
        .order_by(AuditEvent.at.desc())
        .limit(MOST_SIGN_INS)
    )
    return [SignIn(at, action in refused, address, browser) for at, action, address, browser in found.tuples()]


def _devices(account: Account) -> Devices:
    # Dovecot may write late about a deleted device: logins from before this device was made are not its own.
    own_use = (
        (LastLogin.login_id == Device.account)
        & (LastLogin.device_id == Device.id)
        & (LastLogin.last_access >= Device.created_at)
    )
    found = (
        Device.select(Device.created_at, fn.MAX(LastLogin.last_access))
        .join(LastLogin, JOIN.LEFT_OUTER, on=own_use)
        .where(Device.account == account)
        .group_by(Device.id, Device.created_at)
    )
    rows = list(found.tuples())
    used = [used_at for _, used_at in rows if used_at]
    unused = sum(now() >= (used_at or made_at) + devices.UNUSED_AFTER for made_at, used_at in rows)
    return Devices(len(rows), unused, max(used, default=None))


def _collaborators(account: Account) -> Collaborators:
    states = Counter(collaborations.state(each) for each in collaborations.of(account.mailbox))
    return Collaborators(*(states[each] for each in (Account.ACTIVE, Account.PENDING, collaborations.EXPIRED)))


def _add_imports(found: dict[int, Order]) -> None:
    rows = UserImport.select(UserImport.service_id, UserImport.state, UserImport.problem_count, UserImport.problem)
    theirs = rows.where(UserImport.service.in_(list(found)), UserImport.state != UserImport.DONE)
    for each in theirs:
        found[each.service_id].imports[_import_state(each)] += 1


def _import_state(user_import: UserImport) -> str:
    if user_import.is_in_hand:
        return RUNNING
    return WAITING if user_import.can_be_made else FAILED


def _add_changes(found: dict[int, Order], account: Account) -> None:
    """A draft waits for the manager who made it alone."""
    own_draft = (PasswordChange.state == PasswordChange.DRAFT) & (PasswordChange.manager == account)
    stopped = (PasswordChange.state == PasswordChange.STOPPED) & (PasswordChange.finished_at > now() - TOLD)
    told = own_draft | stopped | PasswordChange.state.in_(PasswordChange.OPEN)
    rows = PasswordChange.select(PasswordChange.service_id, PasswordChange.state)
    for service_id, state in rows.where(PasswordChange.service.in_(list(found)), told).tuples():
        kind = {PasswordChange.DRAFT: WAITING, PasswordChange.STOPPED: FAILED}.get(state, RUNNING)
        found[service_id].changes[kind] += 1
