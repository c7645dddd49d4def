"""Invitations to set up a device: who may accept them, how often, and when they are void."""

import re

import pytest

import worker
from actions.devices import device_passwords, devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from lab.actors import acting
from models import Account, AuditEvent, Device, DeviceInvitation, Mailbox, Organisation, OutboxItem, WebSession
from tests.actions.conftest import at_the_same_instant

TABLET = WantedDevice("Eve's tablet", "tablet", Device.IMAP)
EVE = "eve@elsewhere.example.com"
MINUTE, DAY = 60, 24 * 3600


@pytest.fixture
def inviter(anna):
    return acting(anna)


@pytest.fixture
def guest():
    """A holder of the link, in some browser."""
    return Actor(address="198.51.100.7", user_agent="Mozilla/5.0 (iPhone)")


@pytest.fixture
def invite(ports, inviter, anna):
    def invite(email=EVE, mailed=False, **changes) -> invitations.Invited:
        wanted = WantedDevice(**{"name": TABLET.name, "icon": TABLET.icon, "protocols": TABLET.protocols} | changes)
        return invitations.invite(UnitOfWork(ports, inviter), anna, wanted, email, mailed)

    return invite


def token_of(invited: invitations.Invited) -> str:
    return invited.link.rpartition("/")[2]


def found(invited: invitations.Invited) -> DeviceInvitation | None:
    return invitations.find(token_of(invited))


def letters(ports, mailer, subject: str = "") -> list:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail")):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [(to, message) for to, message in mailer.sent if subject in message["Subject"]]


def text_of(message) -> str:
    return message.get_body(("plain",)).get_content()


def mailed_code(ports, guest, mailer, invitation) -> str:
    invitations.send_code(UnitOfWork(ports, guest), invitation)
    _, message = letters(ports, mailer, "code")[-1]
    return re.search(r"^\d{6}$", text_of(message), re.MULTILINE)[0]


def wrong_code(right: str) -> str:
    return "000000" if right != "000000" else "000001"


# --- made ---


def test_an_invitation_is_a_link_and_a_code_and_no_secret_is_stored(invite, settings):
    invited = invite()
    assert invited.link.startswith(f"{settings.base_url}/set-up/")
    rows = [*DeviceInvitation.select().dicts(), *AuditEvent.select().dicts(), *OutboxItem.select().dicts()]
    for secret in (token_of(invited), invited.code, invited.code.replace("-", "")):
        assert all(secret not in str(row) for row in rows)


def test_by_itself_it_makes_nothing(ports, invite, guest, anna):
    invitation = found(invite())
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=False)
    assert anna.devices.count() == 0
    assert found_again(invitation)


def found_again(invitation: DeviceInvitation) -> bool:
    return DeviceInvitation.get_by_id(invitation.id).accepted_at is None


def test_it_is_sent_only_where_that_was_asked_for(ports, invite, mailer):
    invite(mailed=False)
    assert letters(ports, mailer) == []
    invited = invite(name="Another", mailed=True)
    [(to, message)] = letters(ports, mailer)
    assert to == EVE
    assert invited.link in text_of(message)
    assert invited.code not in message.as_string()


def test_a_user_of_the_organisation_is_recognised(invite, boris):
    assert invite("Boris@Example.org").invitation.user == boris


@pytest.mark.parametrize(
    "email", ["", "eve", "eve@", "a b@example.com", "eve@example.com\r\nBcc: x@example.com", "x" * 300]
)
def test_an_address_that_is_none_is_refused(invite, anna, email):
    with pytest.raises(Refused) as refusal:
        invite(email)
    assert refusal.value.field == "email"
    assert anna.device_invitations.count() == 0


def test_the_same_form_makes_one_invitation(invite, anna):
    invite()
    with pytest.raises(Refused):
        invite()
    assert anna.device_invitations.count() == 1


def test_there_is_an_end_to_pending_invitations(invite, anna):
    for number in range(invitations.MOST_PENDING):
        invite(name=f"Device {number}")
    with pytest.raises(Refused):
        invite(name="One more")
    assert anna.device_invitations.count() == invitations.MOST_PENDING


def test_there_is_an_end_to_letters(ports, inviter, invite, clock):
    invited = invite(mailed=True)
    for _ in range(invitations.LETTERS_A_DAY.ceiling - 1):
        invited = invitations.resend(UnitOfWork(ports, inviter), invited.invitation, mailed=True)
    with pytest.raises(TooManyAttempts):
        invitations.resend(UnitOfWork(ports, inviter), invited.invitation, mailed=True)
    assert found(invited) is not None, "what could not be sent did not replace what was"


# --- proved ---


def test_the_inviters_code_proves_it(ports, invite, guest):
    invited = invite()
    invitations.prove(UnitOfWork(ports, guest), found(invited), f"  {invited.code.upper()} ")


def test_the_mailed_code_proves_it(ports, invite, guest, mailer):
    invited = invite()
    code = mailed_code(ports, guest, mailer, found(invited))
    assert letters(ports, mailer, "code")[-1][0] == EVE
    assert all(code not in message["Subject"] for _, message in mailer.sent)
    invitations.prove(UnitOfWork(ports, guest), found(invited), code)


@pytest.mark.parametrize("typed", ["", " ", "-", "000000", "\ud800", "١٢٣٤٥٦", "x" * 1000])
def test_other_codes_prove_nothing(ports, invite, guest, typed):
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), found(invite()), typed)


def test_a_code_of_another_invitation_proves_nothing(ports, invite, guest, mailer):
    first, second = invite(name="First"), invite(name="Second")
    code = mailed_code(ports, guest, mailer, found(first))
    for foreign in (first.code, code):
        with pytest.raises(Refused):
            invitations.prove(UnitOfWork(ports, guest), found(second), foreign)


def test_a_mailed_code_is_valid_for_ten_minutes(ports, invite, guest, mailer, clock):
    invited = invite()
    code = mailed_code(ports, guest, mailer, found(invited))
    clock.pass_by(10 * MINUTE - 1)
    invitations.prove(UnitOfWork(ports, guest), found(invited), code)
    clock.pass_by(1)
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), found(invited), code)


def test_a_new_code_replaces_the_old_one(ports, invite, guest, mailer, clock):
    invited = invite()
    first = mailed_code(ports, guest, mailer, found(invited))
    clock.pass_by(MINUTE)
    second = mailed_code(ports, guest, mailer, found(invited))
    if first != second:
        with pytest.raises(Refused):
            invitations.prove(UnitOfWork(ports, guest), found(invited), first)
    invitations.prove(UnitOfWork(ports, guest), found(invited), second)


def test_one_code_a_minute(ports, invite, guest, clock):
    invitation = found(invite())
    invitations.send_code(UnitOfWork(ports, guest), invitation)
    clock.pass_by(MINUTE - 1)
    with pytest.raises(TooManyAttempts) as refusal:
        invitations.send_code(UnitOfWork(ports, guest), invitation)
    assert refusal.value.wait == 1
    clock.pass_by(1)
    invitations.send_code(UnitOfWork(ports, guest), invitation)
    assert OutboxItem.select().where(OutboxItem.key.startswith("device-code")).count() == 2


def test_two_codes_asked_for_at_the_same_instant_are_one(ports, invite, guest):
    invitation = found(invite())
    outcomes = at_the_same_instant(*[lambda: invitations.send_code(UnitOfWork(ports, guest), invitation)] * 3)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "TooManyAttempts", "TooManyAttempts"]
    assert OutboxItem.select().where(OutboxItem.key.startswith("device-code")).count() == 1


def test_there_is_an_end_to_codes(ports, invite, guest, clock):
    invitation = found(invite())
    for _ in range(invitations.CODES_A_DAY.ceiling):
        invitations.send_code(UnitOfWork(ports, guest), invitation)
        clock.pass_by(MINUTE)
    with pytest.raises(TooManyAttempts):
        invitations.send_code(UnitOfWork(ports, guest), invitation)


def test_after_five_wrong_tries_a_mailed_code_is_void_and_a_new_one_serves(ports, invite, guest, mailer, clock):
    invited = invite()
    code = mailed_code(ports, guest, mailer, found(invited))
    for _ in range(5):
        with pytest.raises(Refused):
            invitations.prove(UnitOfWork(ports, guest), found(invited), wrong_code(code))
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), found(invited), code)
    clock.pass_by(MINUTE)
    fresh = mailed_code(ports, guest, mailer, found(invited))
    invitations.prove(UnitOfWork(ports, guest), found(invited), fresh)


def test_a_hundred_wrong_codes_end_the_invitation(ports, invite, guest, anna):
    invited = invite()
    invitation = found(invited)
    for number in range(100):
        with pytest.raises(Refused):
            invitations.prove(UnitOfWork(ports, guest), invitation, f"{number:06}")
    assert found(invited) is None
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), invitation, invited.code)
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert AuditEvent.select().where(AuditEvent.action == "link:invitation:guessed").count() == 1


def test_guesses_that_come_together_are_all_counted(ports, invite, guest, mailer):
    invited = invite()
    code = mailed_code(ports, guest, mailer, found(invited))
    guesses = [lambda: invitations.prove(UnitOfWork(ports, guest), found(invited), wrong_code(code))] * 8
    assert all(isinstance(outcome, Refused) for outcome in at_the_same_instant(*guesses))
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), found(invited), code)


# --- accepted ---


def test_accepted_it_is_a_device_whose_password_only_its_recipient_has(ports, invite, guest, mailer, anna):
    invited = invite(expires_at=None)
    made = invitations.accept(UnitOfWork(ports, guest), found(invited), proved=True)
    device = Device.get_by_id(made.device.id)
    assert device_passwords.has_shape(made.password)
    assert (device.account, device.created_by, device.name, device.protocols) == (anna, anna, TABLET.name, Device.IMAP)
    told = letters(ports, mailer, "device password")
    assert {to for to, _ in told} == {anna.login, anna.contact_email}
    for _, message in told:
        assert EVE in text_of(message)
        assert "/links/not-my-device/" in text_of(message)
        assert made.password not in message.as_string()


def test_it_is_accepted_once(ports, invite, guest, anna):
    invited = invite()
    invitation = found(invited)
    invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert found(invited) is None
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert anna.devices.count() == 1


def test_accepted_at_the_same_instant_by_several_it_serves_one(ports, invite, guest, anna):
    invitation = found(invite())
    outcomes = at_the_same_instant(*[lambda: invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MadeDevice", "Refused", "Refused", "Refused"]
    assert anna.devices.count() == 1


def test_the_invited_user_accepts_signed_in(ports, invite, boris, anna):
    invited = invite(boris.login)
    made = invitations.accept(UnitOfWork(ports, acting(boris)), found(invited), proved=False)
    assert (made.device.account, made.device.user) == (anna, boris)


def test_a_session_without_a_recent_password_is_no_proof(ports, invite, boris, anna):
    invited, session = invite(boris.login), acting(boris)
    WebSession.update(password_at=0).execute()
    stolen = Actor(boris, WebSession.get_by_id(session.session.id), session.address, session.user_agent)
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, stolen), found(invited), proved=False)
    assert anna.devices.count() == 0


def test_somebody_else_signed_in_is_no_proof(ports, invite, boris, people, anna):
    invited = invite(boris.login)
    for other in (acting(people.add("chiara")), acting(anna)):
        with pytest.raises(Refused):
            invitations.accept(UnitOfWork(ports, other), found(invited), proved=False)
    assert anna.devices.count() == 0


def test_the_fifty_first_device_is_refused_and_the_invitation_waits(ports, inviter, invite, guest, anna):
    invitation = found(invite())
    for number in range(devices.MOST_DEVICES):
        devices.make(UnitOfWork(ports, inviter), anna, TABLET, f"form {number}")
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert anna.devices.count() == devices.MOST_DEVICES
    devices.disconnect(UnitOfWork(ports, inviter), anna.devices.first())
    assert invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)


# --- void ---


def withdraw(ports, inviter, anna, boris, clock, invitation):
    assert invitations.withdraw(UnitOfWork(ports, inviter), invitation)


def resend(ports, inviter, anna, boris, clock, invitation):
    invitations.resend(UnitOfWork(ports, inviter), DeviceInvitation.get_by_id(invitation.id), mailed=False)


def expire(ports, inviter, anna, boris, clock, invitation):
    clock.pass_by(30 * DAY)


def suspend_the_account(ports, inviter, anna, boris, clock, invitation):
    Account.update(state=Account.SUSPENDED).where(Account.id == anna.id).execute()


def suspend_the_user(ports, inviter, anna, boris, clock, invitation):
    Account.update(state=Account.LOCKED).where(Account.id == boris.id).execute()


def remove_the_mailbox(ports, inviter, anna, boris, clock, invitation):
    Mailbox.delete().where(Mailbox.account == anna).execute()


def remove_the_user(ports, inviter, anna, boris, clock, invitation):
    Mailbox.delete().where(Mailbox.account == boris).execute()
    Account.delete().where(Account.id == boris.id).execute()


def move_the_user(ports, inviter, anna, boris, clock, invitation):
    elsewhere = Organisation.create(name="Another Ltd")
    Account.update(organisation=elsewhere).where(Account.id == boris.id).execute()


def disconnect_all(ports, inviter, anna, boris, clock, invitation):
    devices.disconnect_all(UnitOfWork(ports, inviter), anna)


@pytest.mark.parametrize(
    "happens",
    [
        withdraw,
        resend,
        expire,
        suspend_the_account,
        suspend_the_user,
        remove_the_mailbox,
        remove_the_user,
        move_the_user,
        disconnect_all,
    ],
)
def test_it_is_void_after(ports, inviter, invite, guest, anna, boris, clock, happens):
    invited = invite(boris.login)
    invitation = found(invited)
    happens(ports, inviter, anna, boris, clock, invitation)
    assert found(invited) is None
    # Even for a person who had the page open and had proved to be the recipient.
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert anna.devices.count() == 0


def test_it_is_void_once_the_device_would_have_expired(invite, clock):
    invited = invite(expires_at=clock.time() + DAY)
    clock.pass_by(DAY - 1)
    assert found(invited) is not None
    clock.pass_by(1)
    assert found(invited) is None


@pytest.mark.parametrize(
    "changes", [{"role": Account.PERSON}, {"state": Account.SUSPENDED}, {"organisation": None}], ids=str
)
def test_it_is_void_after_a_manager_lost_the_right_to_invite(ports, manager, guest, anna, changes):
    invitation = invitations.invite(UnitOfWork(ports, acting(manager)), anna, TABLET, anna.login, True).invitation
    assert invitations.pending(anna) == [invitation]
    Account.update(**changes).where(Account.id == manager.id).execute()
    assert invitations.pending(Account.get_by_id(anna.id)) == []
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert anna.devices.count() == 0


def test_sent_again_it_has_a_new_link_a_new_code_and_thirty_days(ports, inviter, invite, guest, clock):
    first = invite()
    clock.pass_by(20 * DAY)
    second = invitations.resend(
        UnitOfWork(ports, inviter), DeviceInvitation.get_by_id(first.invitation.id), mailed=False
    )
    assert found(first) is None
    with pytest.raises(Refused):
        invitations.prove(UnitOfWork(ports, guest), found(second), first.code)
    clock.pass_by(30 * DAY - 1)
    invitations.prove(UnitOfWork(ports, guest), found(second), second.code)


def test_what_was_accepted_can_be_neither_withdrawn_nor_sent_again(ports, inviter, invite, guest, anna):
    invitation = found(invite())
    invitations.accept(UnitOfWork(ports, guest), invitation, proved=True)
    assert not invitations.withdraw(UnitOfWork(ports, inviter), invitation)
    with pytest.raises(Refused):
        invitations.resend(UnitOfWork(ports, inviter), invitation, mailed=False)
    assert anna.devices.count() == 1


def test_withdrawn_and_accepted_at_the_same_instant_one_holds(ports, inviter, invite, guest, anna):
    invitation = found(invite())
    withdrawn, accepted = at_the_same_instant(
        lambda: invitations.withdraw(UnitOfWork(ports, inviter), invitation),
        lambda: invitations.accept(UnitOfWork(ports, guest), invitation, proved=True),
    )
    assert (withdrawn is True) == isinstance(accepted, Refused)
    assert anna.devices.count() == (0 if withdrawn else 1)


def test_the_list_of_pending_ones_leaves_out_what_is_void(ports, inviter, invite, guest, anna, boris, clock):
    kept = invite(name="Kept")
    accepted, withdrawn, orphaned = invite(name="A"), invite(name="W"), invite(boris.login, name="O")
    invitations.accept(UnitOfWork(ports, guest), found(accepted), proved=True)
    invitations.withdraw(UnitOfWork(ports, inviter), found(withdrawn))
    Account.update(state=Account.LOCKED).where(Account.id == boris.id).execute()
    assert found(orphaned) is None
    assert invitations.pending(anna) == [kept.invitation]
