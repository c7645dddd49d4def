"""Devices: each mail program has its own password, which can be handed out and revoked individually."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from peewee import JOIN

from actions.authority import authority, permissions
from actions.devices import device_passwords
from actions.ground import throttle, undo
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login, checked_name, refuse_invisible
from actions.ground.holding import hold, related, removed
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.tokens import digest
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.sessions import connections, links, sessions
from actions.trail import audit
from actions.trail.events import Event
from database import insert_all, transactional
from models import Account, Device, DeviceInvitation, DeviceNetwork, LastLogin, Mailbox, OneTimeLink, now

ICONS = ("smartphone", "tablet", "laptop", "monitor", "printer", "server", "mail")
MOST_DEVICES = 50
DAY = 24 * 3600
UNUSED_AFTER = 90 * DAY
LONGEST_LIFE = 10 * 365 * DAY
# What can be taken back.
DISCONNECTED = "device"
# The first look for new networks goes back this far, because the worker may have been stopped.
LOOK_BACK = 7 * DAY
# Dovecot records a login a little after it happened.
LATE_WRITES = 10


@dataclass(frozen=True)
class WantedDevice:
    """The data for a new device. `protocols` is a sum of `Device.IMAP`, `.POP3` and `.SENDING`; `expires_at` is in
    seconds since the epoch, None for never; `user` is the login that the device is for, or empty."""

    name: str
    icon: str
    protocols: int
    user: str = ""
    expires_at: int | None = None


# What a device is known by: an invitation to it has the same columns, and forms have fields of these names.
DESCRIBED = ("name", "icon")


def described(thing: WantedDevice | Device | DeviceInvitation) -> dict[str, str]:
    """What the device is known by; whoever keeps the device can change it later."""
    return {each: getattr(thing, each) for each in DESCRIBED}


@dataclass(frozen=True)
class MadeDevice:
    """A device and its password, which is available nowhere else."""

    device: Device
    password: str


@dataclass(frozen=True)
class Row:
    """A device as the list shows it."""

    device: Device
    # The person it was made for: a user's name or the invited address; empty for nobody in particular.
    recipient: str
    last_login: LastLogin | None
    is_connected: bool

    @property
    def is_expired(self) -> bool:
        return self.device.expires_at is not None and now() >= self.device.expires_at

    @property
    def is_long_unused(self) -> bool:
        """Whether the device has been unused for 90 days: perhaps nobody needs it."""
        used_at = self.last_login.last_access if self.last_login else self.device.created_at
        return now() >= used_at + UNUSED_AFTER


def rows(account: Account, connected: connections.Connected) -> list[Row]:
    """The account's devices with their last use, newest first."""
    devices = list(
        Device.select(Device, Account)
        .join(Account, JOIN.LEFT_OUTER, on=Device.user)
        .where(Device.account == account)
        .order_by(Device.id.desc())
    )
    invited = _invited(account)
    latest = _last_logins(account)
    now_connected = {program.device_id for program in connected.programs}
    return [
        Row(
            device,
            device.user.display_name if device.user else invited.get(device.id, ""),
            # Dovecot may write late about a deleted device: logins from before this device was made are not its own.
            latest[device.id] if device.id in latest and latest[device.id].last_access >= device.created_at else None,
            device.id in now_connected,
        )
        for device in devices
    ]


def _last_logins(account: Account) -> dict[int, LastLogin]:
    """The last use of each of the account's devices, by device id."""
    uses = LastLogin.select().where(LastLogin.login_id == account.id, LastLogin.device_id > 0)
    return {login.device_id: login for login in uses.order_by(LastLogin.last_access)}


def _invited(account: Account) -> dict[int, str]:
    """The addresses that were invited to set up the account's devices, by device id."""
    accepted = DeviceInvitation.select(DeviceInvitation.device, DeviceInvitation.email).where(
        DeviceInvitation.account == account, DeviceInvitation.device.is_null(False)
    )
    return {invitation.device_id: invitation.email for invitation in accepted}


def first_login(device: Device) -> LastLogin | None:
    """How the device signed in with its current password; None if it has not signed in yet."""
    return LastLogin.of_device(device).where(LastLogin.last_access > device.password_at).first()


def protocols_for(account: Account) -> int:
    """The protocols that a device may use when this account hands it out, as a sum; 0 if it may have no device."""
    return permissions.device_protocols(permissions.of(account))


def looked_after(account: Account) -> list[Account]:
    """The accounts whose devices this account sees and manages: its own if it may have devices and, for a collaborator
    who manages the mailbox's settings, the owner's."""
    own = [account] if protocols_for(account) else []
    keeps = account.is_collaborator and authority.may_keep_mailbox(account)
    return [*own, account.mailbox.account] if keeps else own


def may_look_after(by: Account, account: Account) -> bool:
    """Whether an account may rename and revoke another account's devices, or its own, and invite people to set them
    up."""
    return authority.may_act_on(by, account) or may_know_passwords(by, account)


def may_know_passwords(by: Account, account: Account) -> bool:
    """Whether an account may be shown a password that opens another account's mailbox, or its own. A manager may not:
    managers invite the user."""
    return by.may_enter and account in looked_after(by)


def checked(account: Account, wanted: WantedDevice) -> tuple[WantedDevice, Account | None]:
    """The wanted device with its name in stored form, and the account it is for; raises `Refused` with the field."""
    user = _user(account, wanted.user)
    if wanted.icon not in ICONS:
        raise Refused(N_("Choose an icon."), "icon")
    if not 0 < wanted.protocols <= Device.OF_DEVICES:
        raise Refused(N_("Choose at least one protocol."), "protocols")
    if wanted.expires_at is not None and not now() < wanted.expires_at < now() + LONGEST_LIFE:
        raise Refused(N_("The expiry must be a day in the future, within ten years."), "expires_at")
    return replace(wanted, name=checked_name(wanted.name, "name")), user


def may_hand_out(by: Account | None, account: Account) -> int:
    """The protocols, as a sum, that a device of this account may use when `by` hands it out now: no more than the
    account may use, or the person who hands it out. A manager of the account, and the operator at the command line
    (None), may hand out whatever its owner could."""
    hands = account if by is None or authority.may_act_on(by, account) else by
    return protocols_for(account) & protocols_for(hands)


def are_beyond(by: Account | None, account: Account, protocols: int) -> bool:
    """Whether a device of this account with these protocols could do more than `may_hand_out`."""
    return bool(protocols & ~may_hand_out(by, account))


def refuse_beyond(by: Account | None, account: Account, protocols: int) -> None:
    """Raises `Refused` when a device with these protocols is more than may be handed out (`are_beyond`)."""
    if are_beyond(by, account, protocols):
        raise Refused(N_("You can allow only what you are allowed to do in mail programs yourself."), "protocols")


def make(unit: UnitOfWork, account: Account, wanted: WantedDevice, request_id: str) -> MadeDevice | None:
    """Make a device for the account's mailbox; None when this same form has already made one.

    Raises `Refused` with the field that is wrong.
    """
    wanted, user = checked(account, wanted)
    return _make(unit, account, wanted, user, digest(f"{account.id}:{request_id}"))


@unit_of_work
def _make(
    unit: UnitOfWork, account: Account, wanted: WantedDevice, user: Account | None, request_id: str
) -> MadeDevice | None:
    by = lock_to_hand_out(unit, account, wanted.protocols)
    _refuse_to_show(by, account)
    if user is not None and not may_be_for(hold(user, _nobody()), account):
        raise _nobody()
    if Device.get_or_none(Device.request_id == request_id):
        return None
    made = make_checked(unit, account, by, wanted, user, request_id)
    notices.device_made(unit, made.device)
    tell_of_own(unit, account, Event.DEVICE_MADE, [made.device.name])
    return made


def lock(unit: UnitOfWork, account: Account, takes_away: bool = False) -> Account:
    """Hold the account's row until the caller's transaction ends: two simultaneous forms cannot both take the last
    place. Returns the account as it is now.

    Raises `Refused` if the account has just been locked or suspended, the acting session has ended, or the acting
    account's permissions have changed. A request that waited behind "log me out from everywhere" gets no device.
    `takes_away`: the action gives nobody access, so a manager may take it on a user who is locked or suspended.
    """
    shut = Refused(N_("This account is locked or suspended."))
    present = hold(account, shut)
    if present.state != Account.ACTIVE and not (takes_away and _is_by_manager(unit, present)):
        raise shut
    if unit.actor.session is not None and not sessions.exists(unit.actor.session):
        raise Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
    if unit.actor.account is not None and permissions.have_changed(unit.actor.account):
        raise Refused(N_("Your permissions have just changed, and nothing was done. Reload the page."))
    return present


def _is_by_manager(unit: UnitOfWork, account: Account) -> bool:
    return unit.actor.account is not None and authority.may_act_on(unit.actor.account, account)


def lock_to_keep(
    unit: UnitOfWork, account: Account, by: Account | None = None, takes_away: bool = False
) -> Account | None:
    """`lock`, and check that the account's devices may be managed now. Every change to devices and invitations needs
    this.

    The check applies to the acting account, or to `by` when the acting person accepted an invitation from `by`. Returns
    that account as it is now. It is held too: a simultaneous lock also ends what it makes. Raises `Refused`. The
    operator at the command line may manage them, and has no account: None.
    """
    account = lock(unit, account, takes_away)
    if by is None and unit.actor.is_operator_at_command_line:
        return None
    doer = by or unit.actor.account
    present = hold(doer, authority.not_allowed()) if doer else None
    if present is None or not may_look_after(present, account):
        raise authority.not_allowed()
    return present


def lock_to_hand_out(unit: UnitOfWork, account: Account, protocols: int, by: Account | None = None) -> Account | None:
    """`lock_to_keep` for an action that makes or renews a secret that opens the account's mailbox by these protocols.
    Also raises `Refused` when the account that hands it out may not hand out that much."""
    present = lock_to_keep(unit, account, by)
    refuse_beyond(present, account, protocols)
    return present


def _refuse_to_show(by: Account | None, account: Account) -> None:
    """Raises `Refused` when the account that would be shown a password of this account may not know it."""
    if by is not None and not may_know_passwords(by, account):
        raise authority.not_allowed()


def who_knows(by: Account | None, account: Account) -> Account | None:
    """Whose knowledge of a device's password ends with them: that of `by`, who hands it out; None for a manager, who
    never sees it."""
    return by if by is not None and may_know_passwords(by, account) else None


def make_checked(
    unit: UnitOfWork,
    account: Account,
    created_by: Account | None,
    wanted: WantedDevice,
    user: Account | None,
    request_id: str,
) -> MadeDevice:
    """Make the device itself within the caller's transaction, which holds the `lock`. This is also the last step of an
    invitation."""
    refuse_too_many(account)
    password = device_passwords.new_password()
    device = Device.create(
        account=account,
        **described(wanted),
        user=user,
        created_by=created_by,
        created_by_login=created_by.login if created_by else "",
        protocols=wanted.protocols,
        selector=password.selector,
        verifier=password.verifier(),
        expires_at=wanted.expires_at,
        request_id=request_id,
        password_by=who_knows(created_by, account),
    )
    _know_network(device, unit.actor.address)
    audit.record(unit.actor, Event.DEVICE_MADE, account, device=device.name)
    return MadeDevice(device, password.text)


def refuse_too_many(account: Account) -> None:
    """Raises `Refused` when the account has the maximum number of devices."""
    if account.devices.count() >= MOST_DEVICES:
        raise Refused(
            N_(
                "This mailbox already has %(count)s devices, which is the maximum. Disconnect one that is not used"
                " first."
            ),
            "name",
            count=MOST_DEVICES,
        )


@unit_of_work
def change_password(unit: UnitOfWork, device: Device, by: Account | None = None) -> MadeDevice:
    """Give the device a new password; the old one and its open connections end at once. `by` is the account whose
    invitation the acting person accepted. Raises `Refused`."""
    hands_out = lock_to_hand_out(unit, related(device, "account"), device.protocols, by)
    if by is None:
        _refuse_to_show(hands_out, device.account)
    password, knows = device_passwords.new_password(), who_knows(hands_out, device.account)
    fresh = {"selector": password.selector, "verifier": password.verifier(), "password_at": now(), "password_by": knows}
    if not device.write(Device.selector == device.selector, **fresh):
        raise disconnected()
    audit.record(unit.actor, Event.DEVICE_PASSWORD_CHANGED, device.account, device=device.name)
    notices.device_password_changed(unit, device)
    tell_of_own(unit, device.account, Event.DEVICE_PASSWORD_CHANGED, [device.name])
    connections.end(unit, device.account, device.id)
    return MadeDevice(device, password.text)


@unit_of_work
def rename(unit: UnitOfWork, device: Device, name: str, icon: str) -> None:
    """Change the name and icon; the password stays."""
    if icon not in ICONS:
        raise Refused(N_("Choose an icon."), "icon")
    lock_to_keep(unit, related(device, "account"))
    old = device.name
    if not device.write(name=checked_name(name, "name"), icon=icon):
        raise disconnected()
    audit.record(unit.actor, Event.DEVICE_RENAMED, device.account, device=device.name, before=old)
    tell_owner(unit, device.account, Event.DEVICE_RENAMED, [old, device.name])


@unit_of_work
def disconnect(unit: UnitOfWork, device: Device) -> None:
    """Revoke the device's password and cut its connections. Raises `Refused`."""
    lock_to_keep(unit, related(device, "account"), takes_away=True)
    kept = kept_of([device])
    if not forget(device):
        return
    undo.offer(unit, DISCONNECTED, device.account, kept)
    audit.record(unit.actor, Event.DEVICE_DISCONNECTED, device.account, device=device.name)
    tell_owner(unit, device.account, Event.DEVICE_DISCONNECTED, [device.name])
    connections.end(unit, device.account, device.id)


def connect_again(unit: UnitOfWork, taken: undo.Taken) -> None:
    """Let a device that was disconnected a moment ago use its password again, within the caller's transaction. Raises
    `Refused`, also when any account that the device concerns is not as it was."""
    lock_to_keep(unit, taken.account)
    for device in restore(taken.kept):
        audit.record(unit.actor, Event.DEVICE_RESTORED, device.account, device=device.name)
        tell_owner(unit, device.account, Event.DEVICE_RESTORED, [device.name])


def kept_of(devices: Sequence[Device]) -> dict:
    """What `restore` needs to make these devices again: for the sealed part of an undo alone."""
    return {
        "devices": [device.__data__ for device in devices],
        "networks": [network.__data__ for device in devices for network in device.networks],
        "logins": [login.__data__ for device in devices for login in LastLogin.of_device(device)],
        "invitations": {str(each.id): device.id for device in devices for each in device.invitation},
        "standing": {str(account.id): _standing(account) for device in devices for account in _concerned(device)},
    }


def restore(kept: dict) -> list[Device]:
    """Make these devices again, within the caller's transaction, with the passwords that they had. Raises `Refused`
    when that would give somebody more than they have now: an account that they concern was locked, suspended or removed
    meanwhile, or has another password or other permissions."""
    if not all(_stands(int(number), standing) for number, standing in kept["standing"].items()):
        raise undo.changed()
    again = [Device(**row) for row in kept["devices"]]
    for device in again:
        refuse_too_many(device.account)
        if _is_there(device):
            raise undo.changed()
        Device.insert(**device.__data__).execute()
    insert_all(DeviceNetwork, kept["networks"])
    for login in kept["logins"]:
        LastLogin.insert(**login).on_conflict_ignore().execute()
    for invitation in DeviceInvitation.select().where(DeviceInvitation.id.in_(list(kept["invitations"]))):
        invitation.write(DeviceInvitation.device.is_null(), device=kept["invitations"][str(invitation.id)])
    return again


def _stands(number: int, standing: str) -> bool:
    """Whether the account with this number is as it was; held, so that it stays so."""
    account = Account.get_or_none(Account.id == number)
    return account is not None and _standing(hold(account, undo.changed())) == standing


def _is_there(device: Device) -> bool:
    return Device.get_or_none((Device.id == device.id) | (Device.request_id == device.request_id)) is not None


def _concerned(device: Device) -> list[Account]:
    """Whose access a device's password is: the mailbox's owner with it, and who made, was given or knows it."""
    accounts = (device.account, device.account.mailbox.account, device.user, device.created_by, device.password_by)
    return [account for account in accounts if account is not None]


def _standing(account: Account) -> str:
    """What an account may do, and by which password: if it changes, nothing is given back."""
    return digest(f"{account.state} {account.password_hash} {account.role} {permissions.of(account)}")


@unit_of_work
def disconnect_all(unit: UnitOfWork, account: Account) -> None:
    """Revoke every device's password, cut its connections and withdraw every invitation. Raises `Refused`."""
    lock_to_keep(unit, account, takes_away=True)
    names = [each.name for each in (*account.devices, *DeviceInvitation.pending(account))]
    tell_owner(unit, account, Event.DEVICES_DISCONNECTED, names)
    for device in forget_all(unit, account):
        connections.end(unit, account, device.id)


def forget_all(unit: UnitOfWork, account: Account) -> list[Device]:
    """Delete every device and withdraw every invitation, within the caller's transaction. Returns the deleted devices;
    the caller must cut their connections."""
    undo.withdraw(account)
    withdraw_these(unit, DeviceInvitation.pending(account))
    devices = list(account.devices)
    for device in devices:
        forget(device)
    if devices:
        audit.record(unit.actor, Event.DEVICES_DISCONNECTED, account, devices=[device.name for device in devices])
    return devices


def handed_out_by(account: Account) -> list[Device]:
    """The devices of a mailbox's owner whose passwords this collaborator handed out, and may know."""
    return list(Device.select().where(Device.password_by == account, Device.account != account))


def made_for(account: Account) -> list[Device]:
    """Other accounts' devices that were made for this account: those for its login and, if it is a collaborator's,
    those that the mailbox's owner offered by invitation to the reference e-mail. The collaborator reads that e-mail and
    has the password."""
    by_email = [each.device_id for each in _invited_by_email(account) if each.device_id]
    for_it = (Device.user == account) | Device.id.in_(by_email)
    return list(Device.select().where(for_it, Device.account != account))


def of_others_known_to(account: Account) -> list[Device]:
    """Other accounts' devices whose passwords this account handed out or received."""
    return unique([*handed_out_by(account), *made_for(account)])


def known_to(account: Account) -> list[Device]:
    """The account's own devices, then those of others whose passwords it handed out or received."""
    if account.is_collaborator:
        return [*account.devices, *of_others_known_to(account)]
    return sorted(Device.concerning(account), key=lambda each: (each.account_id != account.id, each.id))


def invitations_about(account: Account) -> list[DeviceInvitation]:
    """The pending invitations in which this account invites others to set up a device, or is invited itself."""
    by_email = [each.id for each in _invited_by_email(account)]
    concerned = (DeviceInvitation.invited_by == account) | (DeviceInvitation.user == account)
    return list(
        DeviceInvitation.select().where(
            concerned | DeviceInvitation.id.in_(by_email),
            DeviceInvitation.undecided(),
        )
    )


def _invited_by_email(account: Account) -> list[DeviceInvitation]:
    """The mailbox owner's invitations that went to a collaborator's reference e-mail."""
    if not account.is_collaborator or account.mailbox is None:
        return []
    matters = DeviceInvitation.undecided() | DeviceInvitation.device.is_null(False)
    theirs = DeviceInvitation.select().where(DeviceInvitation.account == account.mailbox.account_id, matters)
    return [each for each in theirs if each.email.casefold() == account.contact_email.casefold()]


def forget_of_others(unit: UnitOfWork, account: Account) -> None:
    """Revoke the passwords of other accounts' devices that this account may know, within the caller's transaction: it
    handed them out for a mailbox's owner, or others made them for it. Cut their connections, and withdraw the account's
    invitations and those addressed to it."""
    withdraw_these(unit, invitations_about(account))
    # A person who arrives by a link of the account acts as that account.
    teller = (
        unit.actor
        if unit.actor.account or unit.actor.is_operator_at_command_line
        else replace(unit.actor, account=account)
    )
    forget_these(unit, of_others_known_to(account), teller)


def forget_these(unit: UnitOfWork, taken: Sequence[Device], teller: Actor | None = None) -> None:
    """Revoke these devices' passwords within the caller's transaction, cut their connections, and notify the mailboxes'
    owners. The notice names `teller` as the person who did it, or else the acting person."""
    for device in taken:
        forget(device)
        audit.record(unit.actor, Event.DEVICE_DISCONNECTED, device.account, device=device.name)
    for account in {device.account_id: device.account for device in taken}.values():
        names = [device.name for device in taken if device.account_id == account.id]
        tell_owner(unit.by(teller or unit.actor), account, Event.DEVICE_DISCONNECTED, names)
    for device in taken:
        connections.end(unit, device.account, device.id)


def unique(devices: Iterable[Device]) -> list[Device]:
    """The devices without duplicates."""
    return list({device.id: device for device in devices}.values())


def withdraw_these(unit: UnitOfWork, pending: Iterable[DeviceInvitation]) -> None:
    """Withdraw these invitations and record each one, within the caller's transaction."""
    for invitation in list(pending):
        if invitation.withdraw():
            facts = {"device": invitation.name, "to": invitation.recipient}
            audit.record(unit.actor, Event.INVITATION_WITHDRAWN, invitation.account, **facts)


def tell_owner(unit: UnitOfWork, account: Account, event: Event, names: Sequence[str] = ()) -> None:
    """Notify the owner of this account's mailbox of what somebody else did to the account's devices."""
    notices.done_by_another(unit, account.mailbox.account, event, names)


def tell_of_own(unit: UnitOfWork, account: Account, event: Event, names: Sequence[str]) -> None:
    """`tell_owner` for a collaborator's own devices only. An owner already gets a separate e-mail about their own
    devices, with a link that disconnects the device."""
    if account.is_collaborator:
        tell_owner(unit, account, event, names)


@unit_of_work
def disown(unit: UnitOfWork, link: OneTimeLink) -> None:
    """Handle “This wasn't me” for a device: revoke it. Raises `Refused` when the link was used a moment before."""
    links.use(link)
    device = disowned(link)
    if device is None or not forget(device):
        return
    audit.record(unit.actor, Event.LINK_DEVICE_DISOWNED, link.account, device=device.name)
    connections.end(unit, link.account, device.id)


def disowned(link: OneTimeLink) -> Device | None:
    """The device that a “This wasn't me” link is about; None when it no longer exists."""
    return Device.get_or_none(
        Device.id == link.subject_id, Device.account == link.account, Device.request_id == link.subject
    )


@unit_of_work
def require(unit: UnitOfWork, mailbox: Mailbox, required: bool) -> None:
    """Switch "Mail programs need a device password" for a mailbox. When it is on, the account's password opens only the
    webmail, and connections that use this password are cut. Raises `Refused`."""
    lock_to_keep(unit, related(mailbox, "account"))
    if not mailbox.write(device_passwords_only=required):
        raise removed()
    event = Event.DEVICES_REQUIRED if required else Event.DEVICES_NOT_REQUIRED
    audit.record(unit.actor, event, mailbox.account)
    notices.done_by_another(unit, mailbox.account, event)
    if required:
        connections.end(unit, mailbox.account)


def forget(device: Device) -> bool:
    """Delete the device and Dovecot's records of it, so nothing can inherit them; False when it no longer existed."""
    if not Device.delete().where(device.itself()).execute():
        return False
    LastLogin.delete().where(LastLogin.device_id == device.id).execute()
    return True


def disconnected() -> Refused:
    """The refusal of an action on a device that no longer exists."""
    return Refused(N_("This device has just been disconnected."))


class NetworkWatch:
    """Sends an e-mail to the owner of each device that was used, since the last look, from a network that is new for
    it."""

    def __init__(self):
        self._looked_at = now() - LOOK_BACK

    def look(self, ports: Ports) -> None:
        """Check the logins that Dovecot has recorded since the last look."""
        moment = now()
        since = self._looked_at - LATE_WRITES
        for login in list(LastLogin.select().where(LastLogin.last_access >= since, LastLogin.device_id > 0)):
            _tell_if_new(ports, login)
        self._looked_at = moment


@transactional
def _tell_if_new(ports: Ports, login: LastLogin) -> None:
    device = Device.get_or_none(Device.id == login.device_id)
    if device is not None and _know_network(device, login.ip):
        notices.device_in_new_network(ports, device, login.ip, login.service)


def _know_network(device: Device, address: str) -> bool:
    """Remember that the device uses this address's network; True when the network is new for the device."""
    network = throttle.network_of(address)
    known = DeviceNetwork.get_or_none(DeviceNetwork.device == device, DeviceNetwork.network == network)
    if known is None and network:
        insert_all(DeviceNetwork, [{"device": device, "network": network}], ignore=True)
    return known is None and bool(network)


def _user(account: Account, login: str) -> Account | None:
    """The account in the same organisation that a device is for."""
    login = canonical_login(login)
    if not login:
        return None
    refuse_invisible(login, "user")
    user = Account.by_login(login)
    if not may_be_for(user, account):
        raise _nobody()
    return user


def may_be_for(user: Account | None, account: Account) -> bool:
    """Whether a device of the account may be for this user: an active account in the same organisation."""
    return user is not None and user.state == Account.ACTIVE and authority.belong_together(user, account)


def _nobody() -> Refused:
    return Refused(N_("There is no user with this address in your organisation."), "user")
