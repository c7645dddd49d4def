"""Invitations to set up a device: the invited person gets its password directly, and nobody else sees it.

The link alone opens nothing. Recipients prove who they are in one of three ways: they are signed in as the chosen user,
they give the six-digit code that was sent to the invited address, or they give the code that the inviter saw once.

A manager invites the mailbox's owner alone, at the mailbox or the contact address, and sees neither link nor code: with
both, a manager could set up the device and read the mail.
"""

import hmac
import secrets
from dataclasses import dataclass, replace

from actions.authority import authority
from actions.devices import devices
from actions.devices.device_passwords import ALPHABET
from actions.devices.devices import MadeDevice, WantedDevice
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_contact, canonical_login
from actions.ground.encryption import derived_key
from actions.ground.holding import hold, related
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import Limit, TooManyAttempts
from actions.ground.tokens import digest, new_token
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.outbox import mail
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, DeviceInvitation, Domain, has_come, now
from settings import Settings

MINUTE, DAY = 60, 24 * 3600
LIFETIME = 30 * DAY
CODE_LIFETIME = 10 * MINUTE
CODE_EVERY = MINUTE
# How long people have to continue after they proved who they are.
PROOF_LIFETIME = 10 * MINUTE
INVITER_CODE_LENGTH = 8
MOST_PENDING = 20

TRIES_OF_CODE = Limit("tries of one mailed code", free=5, ceiling=5, window=DAY)
# A person who needs more tries has no code: the invitation is withdrawn.
TRIES_A_DAY = Limit("tries of an invitation's codes", free=20, ceiling=20, window=DAY)
CODES_A_DAY = Limit("codes mailed for an invitation", free=20, ceiling=20, window=DAY)
LETTERS_A_DAY = Limit("invitations mailed by an account", free=20, ceiling=20, window=DAY)


@dataclass(frozen=True)
class Invited:
    """An invitation with its link and the inviter's code, which are available nowhere else; both are empty for a
    manager."""

    invitation: DeviceInvitation
    link: str
    code: str
    was_mailed: bool


def pending(account: Account) -> list[DeviceInvitation]:
    """The account's invitations that can still be accepted, newest first."""
    return [invitation for invitation in DeviceInvitation.pending(account) if _is_open(invitation)]


def invite(unit: UnitOfWork, account: Account, wanted: WantedDevice, email: str, mailed: bool) -> Invited:
    """Invite somebody to set up a device for the account's mailbox: a user of its organisation, who may sign in instead
    of asking for a code, or anyone with an e-mail address. `mailed`: also send the link to that address; a manager's
    invitation is always sent.

    Raises `Refused` with the field that is wrong, or `throttle.TooManyAttempts`.
    """
    wanted, _ = devices.checked(account, wanted)
    try:
        # Users' addresses are in lower case. So is every other one here: otherwise capitals in the list would reveal
        # that an address belongs to no user.
        recipient = canonical_contact(email).lower()
    except Refused as refusal:
        raise Refused(refusal.sentence, "email", **refusal.facts) from None
    return _invite(unit, account, wanted, recipient, mailed)


@unit_of_work
def _invite(unit: UnitOfWork, account: Account, wanted: WantedDevice, email: str, mailed: bool) -> Invited:
    inviter = _inviter(unit, account, wanted.protocols)
    devices.refuse_too_many(account)
    if DeviceInvitation.pending(account).count() >= MOST_PENDING:
        raise Refused(
            N_("%(count)s invitations are already pending, which is the maximum. Withdraw one first."),
            "email",
            count=MOST_PENDING,
        )
    user = _user(account, email)
    _refuse_strangers(inviter, account, user.login if user else email)
    if any(
        other.recipient == (user.login if user else email) and other.name == wanted.name for other in pending(account)
    ):
        raise Refused(
            N_("An invitation to %(address)s for a device with this name is already pending."), "email", address=email
        )
    invitation = DeviceInvitation(
        account=account,
        invited_by=inviter,
        user=user,
        # The next person with a user's address does not inherit that user's invitations.
        email="" if user else email,
        **devices.described(wanted),
        protocols=wanted.protocols,
        device_expires_at=wanted.expires_at,
    )
    invited = _renew(unit.ports, invitation)
    _record(unit, invitation, Event.INVITATION_MADE)
    return _sent(unit.ports, invited, mailed)


@unit_of_work
def resend(unit: UnitOfWork, invitation: DeviceInvitation, mailed: bool) -> Invited:
    """Replace the link and the code; the old ones are void from now on. `mailed` is as in `invite`.

    The acting person receives the new link and code, and becomes the inviter. Raises `Refused`, with a field when the
    device is more than they may hand out themselves, or `throttle.TooManyAttempts`.
    """
    inviter = _inviter(unit, related(invitation, "account", _void()), invitation.protocols)
    _refuse_strangers(inviter, invitation.account, invitation.recipient)
    present = DeviceInvitation.get_or_none(invitation.itself())
    if present is None or not _is_open(present):
        raise Refused(N_("This invitation has just been accepted or withdrawn."))
    present.invited_by = inviter
    invited = _renew(unit.ports, present)
    _record(unit, present, Event.INVITATION_RENEWED)
    return _sent(unit.ports, invited, mailed)


@unit_of_work
def withdraw(unit: UnitOfWork, invitation: DeviceInvitation) -> bool:
    """Withdraw the invitation; False when it was accepted or withdrawn a moment before. Raises `Refused`."""
    devices.lock_to_keep(unit, related(invitation, "account", _void()), takes_away=True)
    withdrawn = invitation.withdraw()
    if withdrawn:
        _record(unit, invitation, Event.INVITATION_WITHDRAWN)
    return withdrawn


def find(token: str) -> DeviceInvitation | None:
    """The invitation with this token, if it can still be accepted."""
    invitation = DeviceInvitation.get_or_none(DeviceInvitation.token_hash == digest(token))
    return invitation if invitation is not None and _is_open(invitation) else None


def accepted_by_token(token: str) -> DeviceInvitation | None:
    """The accepted invitation with this token, as long as its device exists."""
    invitation = DeviceInvitation.get_or_none(DeviceInvitation.token_hash == digest(token))
    return invitation if invitation is not None and invitation.accepted_at and invitation.device else None


def may_be_user(invitation: DeviceInvitation) -> bool:
    """Whether the invited address is in a domain of the mailbox's organisation. This checks nothing else: a person with
    the link must not learn whether a user has this address."""
    domain = Domain.get_or_none(Domain.name == invitation.recipient.rpartition("@")[2])
    return domain is not None and domain.service.organisation_id == invitation.account.organisation_id


def is_user(actor: Actor, invitation: DeviceInvitation) -> bool:
    """Whether the acting person is signed in as the invited user."""
    return actor.account is not None and actor.account.id == invitation.user_id


def send_code(unit: UnitOfWork, invitation: DeviceInvitation) -> None:
    """Send a code to the invited address. It replaces the previous code and is valid for ten minutes.

    Raises `throttle.TooManyAttempts` within a minute of the previous code, or `Refused` when the invitation can no
    longer be accepted.
    """
    code = f"{secrets.randbelow(1_000_000):06}"
    _send_code(unit, invitation, code)


@unit_of_work
def _send_code(unit: UnitOfWork, invitation: DeviceInvitation, code: str) -> None:
    _present(invitation)
    throttle.attempt([CODES_A_DAY.on(invitation.id)])
    expires_at = now() + CODE_LIFETIME
    replaced = invitation.write(
        DeviceInvitation.token_hash == invitation.token_hash,
        has_come(DeviceInvitation.mailed_code_expires_at, expires_at - CODE_EVERY, CODE_EVERY),
        mailed_code_hash=_code_hash(unit.ports.settings, invitation, code),
        mailed_code_expires_at=expires_at,
    )
    if not replaced:
        present = DeviceInvitation.get_or_none(DeviceInvitation.token_hash == invitation.token_hash)
        if present is None:
            raise _void()
        sent_at = present.mailed_code_expires_at - CODE_LIFETIME
        raise TooManyAttempts(min(sent_at + CODE_EVERY - now(), CODE_EVERY))
    facts = {"code": code, "minutes": CODE_LIFETIME // MINUTE, "address": unit.actor.address}
    key = f"device-code:{invitation.id}:{new_token()}"
    mail.put(unit.ports, key, "device_code", invitation.recipient, _language(invitation), facts, invitation.account)


def prove(unit: UnitOfWork, invitation: DeviceInvitation, typed: str) -> None:
    """Compare a typed code with the mailed one and the inviter's; raises `Refused` when it matches neither."""
    code = "".join(typed.lower().split()).replace("-", "")
    tries = TRIES_A_DAY.on(invitation.id)
    try:
        throttle.attempt([tries])
    except TooManyAttempts:
        _give_up(unit, invitation)
        raise Refused(
            N_("Too many wrong codes. The invitation has been withdrawn: ask for a new one."), "code"
        ) from None
    given = _code_hash(unit.ports.settings, invitation, code)
    if not _is_inviters_code(invitation, given) and not _is_mailed_code(invitation, given):
        raise Refused(N_("This code is wrong or no longer valid."), "code")
    throttle.forgive([tries])


def accept(unit: UnitOfWork, invitation: DeviceInvitation, proved: bool) -> MadeDevice:
    """Make the device and use the invitation up: once, even if several people accept at the same instant.

    `proved`: the acting person gave one of the codes a moment ago. The invited user needs no code if they are signed in
    and gave their password recently. Raises `Refused`, and leaves the invitation unchanged, when it cannot be accepted.
    """
    if not proved and not (is_user(unit.actor, invitation) and sessions.password_is_recent(unit.actor.session)):
        raise Refused(N_("First confirm that the invitation is for you."))
    return _accept(unit, invitation)


@unit_of_work
def _accept(unit: UnitOfWork, invitation: DeviceInvitation) -> MadeDevice:
    devices.lock(unit, related(invitation, "account", _void()))
    # An account that is locked at the same moment loses what this gives it.
    for concerned in filter(None, (related(invitation, name, _void()) for name in ("invited_by", "user"))):
        hold(concerned, _void())
    present = _present(invitation)
    if not present.accept():
        raise _void()
    wanted = WantedDevice(
        **devices.described(present), protocols=present.protocols, expires_at=present.device_expires_at
    )
    request_id = digest(f"invitation:{present.id}")
    made = devices.make_checked(unit, present.account, present.invited_by, wanted, present.user, request_id)
    present.write(device=made.device)
    audit.record(
        unit.actor, Event.LINK_INVITATION_ACCEPTED, present.account, device=made.device.name, invited=present.recipient
    )
    # Whom a manager invited is the owner, who invited nobody.
    invited = present.recipient if devices.may_know_passwords(present.invited_by, present.account) else ""
    notices.device_made(unit, made.device, invited=invited)
    inviting = replace(unit.actor, account=present.invited_by)
    devices.tell_of_own(unit.by(inviting), present.account, Event.DEVICE_MADE, [made.device.name])
    return made


def _present(invitation: DeviceInvitation) -> DeviceInvitation:
    """The invitation as it is now; raises `Refused` when its link was replaced or it can no longer be accepted."""
    present = DeviceInvitation.get_or_none(DeviceInvitation.token_hash == invitation.token_hash)
    if present is None or not _is_open(present):
        raise _void()
    return present


def _void() -> Refused:
    return Refused(N_("This invitation has been used or withdrawn, or has expired."))


def _is_open(invitation: DeviceInvitation) -> bool:
    """Whether it can still be accepted: it is not used, withdrawn or expired, and everyone involved still qualifies."""
    moment = now()
    return (
        invitation.accepted_at is None
        and invitation.withdrawn_at is None
        and moment < invitation.expires_at
        and (invitation.device_expires_at is None or moment < invitation.device_expires_at)
        and invitation.account.may_enter
        and invitation.account.mailbox is not None
        and _may_invite(invitation)
        and (bool(invitation.email) or devices.may_be_for(invitation.user, invitation.account))
    )


def _may_invite(invitation: DeviceInvitation) -> bool:
    """Whether the inviter may still hand out this device of this account to this recipient. The inviter is the account
    itself, a collaborator who manages the mailbox's settings, or a manager of the account."""
    inviter, account = invitation.invited_by, invitation.account
    return may_be_invited_by(inviter, account, invitation.recipient) and not devices.are_beyond(
        inviter, account, invitation.protocols
    )


def may_be_invited_by(inviter: Account, account: Account, recipient: str) -> bool:
    """Whether an account may invite this address to set up a device of another account, or its own: those who may know
    its password anybody, a manager the addresses of the user alone."""
    if devices.may_know_passwords(inviter, account):
        return True
    return authority.may_act_on(inviter, account) and recipient in addresses_of(account)


def addresses_of(account: Account) -> list[str]:
    """The addresses at which a manager may invite a user, as invitations have them: the mailbox, then the contact
    address."""
    return [address.lower() for address in mail.addresses_of(account)]


def _refuse_strangers(inviter: Account, account: Account, recipient: str) -> None:
    """Raises `Refused` when the inviter may not invite this address."""
    if not may_be_invited_by(inviter, account, recipient):
        raise Refused(N_("You can invite only the user, at the mailbox or the contact e-mail."), "email")


def _inviter(unit: UnitOfWork, account: Account, protocols: int) -> Account:
    """Who hands the device out, and answers for it until the invitation is accepted: nobody without an account."""
    inviter = devices.lock_to_hand_out(unit, account, protocols)
    if inviter is None:
        raise authority.not_allowed()
    return inviter


def _user(account: Account, email: str) -> Account | None:
    """The user in the account's organisation whose login is this address."""
    user = Account.by_login(canonical_login(email))
    return user if devices.may_be_for(user, account) else None


def _renew(ports: Ports, invitation: DeviceInvitation) -> Invited:
    """Give the invitation a new link, a new code and a new lifetime, and save it."""
    token, code = new_token(), "".join(secrets.choice(ALPHABET) for _ in range(INVITER_CODE_LENGTH))
    invitation.token_hash, invitation.expires_at = digest(token), now() + LIFETIME
    invitation.inviter_code_hash = _code_hash(ports.settings, invitation, code)
    invitation.mailed_code_hash, invitation.mailed_code_expires_at = "", 0
    if not invitation.save():
        raise _void()
    half = INVITER_CODE_LENGTH // 2
    return Invited(invitation, f"{ports.settings.base_url}/set-up/{token}", f"{code[:half]}-{code[half:]}", False)


def _sent(ports: Ports, invited: Invited, mailed: bool) -> Invited:
    """The invitation as its inviter sees it, and put into the outbox where it is to be sent."""
    inviter, account = invited.invitation.invited_by, invited.invitation.account
    if devices.may_know_passwords(inviter, account):
        return _mail(ports, invited) if mailed else invited
    return replace(_mail(ports, invited), link="", code="")


def _mail(ports: Ports, invited: Invited) -> Invited:
    """Put the e-mail with the link into the outbox, within the caller's transaction."""
    invitation = invited.invitation
    throttle.attempt([LETTERS_A_DAY.on(invitation.account_id)])
    inviter = invitation.invited_by
    facts = {
        "inviter": inviter.display_name,
        "inviter_login": inviter.login,
        "login": invitation.account.login,
        "device": invitation.name,
        "link": invited.link,
        "days": LIFETIME // DAY,
    }
    key = f"device-invitation:{invitation.token_hash[:32]}"
    mail.put(ports, key, "device_invitation", invitation.recipient, _language(invitation), facts, invitation.account)
    return Invited(invitation, invited.link, invited.code, True)


def _language(invitation: DeviceInvitation) -> str:
    """The recipient's language if it is known, otherwise the inviter's."""
    return invitation.user.language if invitation.user else invitation.invited_by.language


@unit_of_work
def _give_up(unit: UnitOfWork, invitation: DeviceInvitation) -> None:
    if invitation.withdraw():
        _write_down(unit, invitation, Event.LINK_INVITATION_GUESSED)


def _record(unit: UnitOfWork, invitation: DeviceInvitation, event: Event) -> None:
    """Record the event, and notify the mailbox's owner when somebody else caused it."""
    _write_down(unit, invitation, event)
    devices.tell_owner(unit, invitation.account, event, [invitation.name, invitation.recipient])


def _write_down(unit: UnitOfWork, invitation: DeviceInvitation, event: Event) -> None:
    audit.record(unit.actor, event, invitation.account, device=invitation.name, to=invitation.recipient)


def _is_inviters_code(invitation: DeviceInvitation, given: str) -> bool:
    return hmac.compare_digest(invitation.inviter_code_hash, given)


def _is_mailed_code(invitation: DeviceInvitation, given: str) -> bool:
    """Whether this is the last mailed code and still valid. Raises `Refused` after too many tries."""
    expected = invitation.mailed_code_hash
    if not expected or has_come(invitation.mailed_code_expires_at, now(), CODE_LIFETIME):
        return False
    tries = TRIES_OF_CODE.on(invitation.id, expected)
    try:
        throttle.attempt([tries])
    except TooManyAttempts:
        raise Refused(N_("Too many wrong codes. Ask for a new one."), "code") from None
    return hmac.compare_digest(expected, given)


def _code_hash(settings: Settings, invitation: DeviceInvitation, code: str) -> str:
    """What is stored of a code, bound to the link. The hash needs a key: without one, all codes of this length could be
    tried."""
    key = derived_key(settings.secret_key, "invitation codes")
    return hmac.new(key, f"{invitation.token_hash}:{code}".encode("utf-8", "surrogatepass"), "sha256").hexdigest()
