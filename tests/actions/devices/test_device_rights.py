"""Who may hand out a device's password, who gets an e-mail about it, and with whom it ends."""

from collections.abc import Callable

import pytest

import worker
from actions.authority import permissions
from actions.authority.permissions import IMAP, POP3, READ, SETTINGS
from actions.collaborations import collaborations
from actions.devices import devices, invitations
from actions.devices.devices import MadeDevice, WantedDevice
from actions.ground.actor import Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.sessions import links
from actions.upkeep import housekeeping
from actions.users import offboarding, users
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, DeviceInvitation, OutboxItem, WebSession, now
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)
TABLET = WantedDevice("Eve's tablet", "tablet", Device.IMAP)
EVE = "eve@elsewhere.example.com"
DAY = 24 * 3600


@pytest.fixture
def owner(anna) -> Actor:
    return acting(anna)


@pytest.fixture
def clerk(people, anna) -> Actor:
    """A collaborator who keeps the mailbox's settings, and otherwise reads."""
    return acting(people.add_collaborator(anna, "clerk", READ | SETTINGS))


@pytest.fixture
def keeper(people, anna) -> Actor:
    """A collaborator who may all that a collaborator may."""
    return acting(people.add_collaborator(anna, "keeper", permissions.ALL))


@pytest.fixture
def carla(people, anna) -> Account:
    """A collaborator who uses mail programs."""
    return people.add_collaborator(anna, "carla", permissions.completed(IMAP))


@pytest.fixture
def guest() -> Actor:
    return Actor(address="198.51.100.7", user_agent="Mozilla/5.0 (iPhone)")


@pytest.fixture
def phone(ports, owner, anna) -> Device:
    return devices.make(UnitOfWork(ports, owner), anna, PHONE, "the owner's").device


@pytest.fixture
def invited(ports, owner, anna) -> invitations.Invited:
    return invitations.invite(UnitOfWork(ports, owner), anna, TABLET, EVE, mailed=False)


def of(account: Account) -> Collaboration:
    return Collaboration.get(Collaboration.account == account)


def present(row):
    """The row as it is now; None when it is gone."""
    return type(row).get_or_none(type(row).id == row.id)


def letters(ports, mailer, to: str) -> list[str]:
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail")):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [message.get_body(("plain",)).get_content() for recipient, message in mailer.sent if recipient == to]


def is_open(invitation: DeviceInvitation) -> bool:
    return invitation.id in [each.id for each in invitations.pending(Account.get_by_id(invitation.account_id))]


def token_of(invited: invitations.Invited) -> str:
    return invited.link.rpartition("/")[2]


# --- sent again ---


def test_who_may_not_hand_a_device_out_does_not_get_its_invitation_by_sending_it_again(ports, clerk, invited):
    for mailed in (False, True):
        with pytest.raises(Refused) as refusal:
            invitations.resend(UnitOfWork(ports, clerk), DeviceInvitation.get(), mailed)
        assert refusal.value.field == "protocols"
    assert invitations.find(token_of(invited)) == invited.invitation
    assert DeviceInvitation.get().inviter_code_hash == invited.invitation.inviter_code_hash
    assert not AuditEvent.select().where(AuditEvent.action == "web:invitation:renewed").exists()


def test_another_protocol_than_ones_own_is_not_enough(ports, people, anna, invited):
    fetcher = people.add_collaborator(anna, "fetcher", permissions.completed(POP3 | SETTINGS))
    with pytest.raises(Refused):
        invitations.resend(UnitOfWork(ports, acting(fetcher)), DeviceInvitation.get(), mailed=False)
    assert invitations.find(token_of(invited))


def test_who_sends_an_invitation_again_is_who_invites(ports, keeper, owner, invited, guest):
    again = invitations.resend(UnitOfWork(ports, keeper), DeviceInvitation.get(), mailed=False)
    assert DeviceInvitation.get().invited_by == keeper.account
    made = invitations.accept(UnitOfWork(ports, guest), invitations.find(token_of(again)), proved=True)
    assert Device.get().password_by == keeper.account
    collaborations.disable(UnitOfWork(ports, owner), of(keeper.account))
    assert present(made.device) is None


def test_an_invitation_that_was_sent_again_ends_with_whoever_did(ports, keeper, owner, invited, guest):
    again = invitations.resend(UnitOfWork(ports, keeper), DeviceInvitation.get(), mailed=False)
    opened = invitations.find(token_of(again))
    collaborations.disable(UnitOfWork(ports, owner), of(keeper.account))
    assert invitations.find(token_of(again)) is None
    with pytest.raises(Refused):
        invitations.accept(UnitOfWork(ports, guest), opened, proved=True)
    assert Device.select().count() == 0


def test_an_invitation_that_the_owner_sends_again_is_the_owners(ports, keeper, owner, anna):
    theirs = invitations.invite(UnitOfWork(ports, keeper), anna, TABLET, EVE, mailed=False)
    again = invitations.resend(UnitOfWork(ports, owner), theirs.invitation, mailed=False)
    collaborations.disable(UnitOfWork(ports, owner), of(keeper.account))
    assert invitations.find(token_of(again)).invited_by == anna


def test_the_letter_that_is_sent_again_names_who_sends_it(ports, mailer, keeper, invited):
    invitations.resend(UnitOfWork(ports, keeper), DeviceInvitation.get(), mailed=True)
    assert keeper.account.login in letters(ports, mailer, EVE)[-1]


def test_a_manager_who_sends_it_again_is_who_invites_and_the_owner_is_told(ports, mailer, manager, owner, anna):
    own = invitations.invite(UnitOfWork(ports, owner), anna, TABLET, anna.login, mailed=False)
    invitations.resend(UnitOfWork(ports, acting(manager)), own.invitation, mailed=False)
    assert DeviceInvitation.get().invited_by == manager
    assert invitations.find(token_of(own)) is None
    assert any("An invitation to set up a device was sent again" in each for each in letters(ports, mailer, anna.login))
    assert is_open(own.invitation)
    Account.update(state=Account.SUSPENDED).where(Account.id == manager.id).execute()
    assert not is_open(own.invitation)


def test_a_manager_does_not_send_an_invitation_of_somebody_else_again(ports, manager, invited):
    with pytest.raises(Refused):
        invitations.resend(UnitOfWork(ports, acting(manager)), DeviceInvitation.get(), mailed=True)
    assert invitations.find(token_of(invited)) == invited.invitation
    assert invitations.withdraw(UnitOfWork(ports, acting(manager)), invited.invitation)


def test_no_code_is_mailed_for_an_invitation_that_is_over(ports, owner, invited, guest):
    opened = invitations.find(token_of(invited))
    invitations.resend(UnitOfWork(ports, owner), DeviceInvitation.get(), mailed=False)
    with pytest.raises(Refused):
        invitations.send_code(UnitOfWork(ports, guest), opened)
    assert not OutboxItem.select().where(OutboxItem.key.startswith("device-code")).exists()


def test_an_invitation_that_was_sent_again_a_moment_ago_is_withdrawn_all_the_same(ports, owner, keeper, invited):
    seen = DeviceInvitation.get()
    again = invitations.resend(UnitOfWork(ports, keeper), DeviceInvitation.get(), mailed=False)
    assert invitations.withdraw(UnitOfWork(ports, owner), seen)
    assert invitations.find(token_of(again)) is None


# --- rights are looked at again inside of each transaction ---

Action = Callable[[object, Actor, Account, Device, DeviceInvitation], object]

ACTIONS: dict[str, Action] = {
    "web:device:made": lambda ports, by, anna, phone, _: devices.make(
        UnitOfWork(ports, by), anna, TABLET, f"by {by.login}"
    ),
    "web:device:password-changed": lambda ports, by, anna, phone, _: devices.change_password(
        UnitOfWork(ports, by), phone
    ),
    "web:device:renamed": lambda ports, by, anna, phone, _: devices.rename(
        UnitOfWork(ports, by), phone, "Mine", "tablet"
    ),
    "web:device:disconnected": lambda ports, by, anna, phone, _: devices.disconnect(UnitOfWork(ports, by), phone),
    "web:devices:disconnected": lambda ports, by, anna, phone, _: devices.disconnect_all(UnitOfWork(ports, by), anna),
    "web:devices:required": lambda ports, by, anna, phone, _: devices.require(
        UnitOfWork(ports, by), anna.mailbox, True
    ),
    "web:devices:not-required": lambda ports, by, anna, phone, _: devices.require(
        UnitOfWork(ports, by), anna.mailbox, False
    ),
    "web:invitation:made": lambda ports, by, anna, phone, _: invitations.invite(
        UnitOfWork(ports, by), anna, PHONE, "lia@elsewhere.example.com", mailed=False
    ),
    "web:invitation:renewed": lambda ports, by, anna, phone, invitation: invitations.resend(
        UnitOfWork(ports, by), invitation, mailed=False
    ),
    "web:invitation:withdrawn": lambda ports, by, anna, phone, invitation: invitations.withdraw(
        UnitOfWork(ports, by), invitation
    ),
}
LOSSES = {
    "the permission": lambda account: Collaboration.update(permissions=permissions.ALL & ~SETTINGS).execute(),
    "the collaboration": lambda account: Collaboration.delete().execute(),
    "the account's state": lambda account: (
        Account.update(state=Account.DISABLED).where(Account.id == account.id).execute()
    ),
    "the session": lambda account: WebSession.delete().where(WebSession.account == account).execute(),
    "the owner's state": lambda account: (
        Account.update(state=Account.SUSPENDED).where(Account.login == "anna@example.org").execute()
    ),
}


def everything() -> list[dict]:
    """What the actions could change."""
    kept = (Device.id, Device.name, Device.icon, Device.selector, Device.verifier, Device.password_by)
    return [
        *Device.select(*kept).dicts(),
        *DeviceInvitation.select().dicts(),
        *({"required": each.mailbox.device_passwords_only} for each in Account.select() if each.owns_mailbox),
    ]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_who_lost_the_right_a_moment_ago_does_nothing_more(ports, keeper, anna, phone, invited, action, loss):
    assert devices.looked_after(keeper.account)
    invitation = DeviceInvitation.get()
    before = everything()
    LOSSES[loss](keeper.account)
    with pytest.raises(Refused):
        ACTIONS[action](ports, keeper, anna, phone, invitation)
    assert everything() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_acts_on_the_devices_of_others(ports, people, boris, anna, phone, invited, stranger, action):
    others = [
        acting(boris),
        acting(people.add_collaborator(boris, "keeper", permissions.ALL)),
        acting(people.add_collaborator(anna, "reader", permissions.ALL & ~SETTINGS)),
        stranger,
    ]
    before = everything()
    for other in others:
        with pytest.raises(Refused):
            ACTIONS[action](ports, other, anna, phone, DeviceInvitation.get())
    assert everything() == before


@pytest.mark.parametrize(
    "action", ["web:device:made", "web:device:password-changed", "web:invitation:made", "web:invitation:renewed"]
)
def test_whatever_hands_a_password_out_asks_for_what_it_opens(ports, clerk, anna, phone, invited, action):
    before = everything()
    with pytest.raises(Refused) as refusal:
        ACTIONS[action](ports, clerk, anna, phone, DeviceInvitation.get())
    assert refusal.value.field == "protocols"
    assert everything() == before


# --- the owner gets an e-mail ---


@pytest.mark.parametrize("action", ACTIONS)
def test_the_owner_is_told_of_all_that_a_collaborator_does(ports, mailer, keeper, anna, phone, invited, action):
    letters(ports, mailer, anna.login)
    mailer.sent.clear()
    ACTIONS[action](ports, keeper, anna, phone, DeviceInvitation.get())
    for address in (anna.login, anna.contact_email):
        assert any(keeper.login in letter for letter in letters(ports, mailer, address))
    assert any(event.action == action and event.actor_login == keeper.login for event in AuditEvent.of(anna))


@pytest.mark.parametrize("action", [each for each in ACTIONS if "required" not in each])
def test_the_owner_is_told_of_devices_that_are_the_collaborators_own(ports, mailer, keeper, anna, action):
    account = keeper.account
    phone = devices.make(UnitOfWork(ports, keeper), account, PHONE, "their own").device
    invited = invitations.invite(UnitOfWork(ports, keeper), account, TABLET, EVE, mailed=False)
    letters(ports, mailer, anna.login)
    mailer.sent.clear()
    ACTIONS[action](ports, keeper, account, phone, invited.invitation)
    assert any(keeper.login in letter for letter in letters(ports, mailer, anna.login))
    assert any(event.action == action and event.actor_login == keeper.login for event in AuditEvent.of(anna))


def test_the_owner_is_told_when_the_invitation_of_a_collaborator_is_accepted(ports, mailer, keeper, anna, guest):
    invited = invitations.invite(UnitOfWork(ports, keeper), keeper.account, TABLET, EVE, mailed=False)
    letters(ports, mailer, anna.login)
    mailer.sent.clear()
    invitations.accept(UnitOfWork(ports, guest), invited.invitation, proved=True)
    assert any(TABLET.name in letter for letter in letters(ports, mailer, anna.login))


def test_the_owner_is_not_told_of_what_the_owner_does(ports, mailer, owner, anna, phone, invited):
    for action in ("web:device:renamed", "web:invitation:renewed", "web:invitation:withdrawn"):
        ACTIONS[action](ports, owner, anna, phone, DeviceInvitation.get())
    assert not any("Done by:" in letter and phone.name not in letter for letter in letters(ports, mailer, anna.login))


def test_invitations_that_end_with_all_devices_stand_in_the_trail(ports, mailer, keeper, anna, invited):
    devices.disconnect_all(UnitOfWork(ports, keeper), anna)
    assert not is_open(invited.invitation)
    [event] = AuditEvent.select().where(AuditEvent.action == "web:invitation:withdrawn")
    assert (event.actor_login, event.details["to"]) == (keeper.login, EVE)
    assert any(TABLET.name in letter for letter in letters(ports, mailer, anna.login))


# --- what was made for somebody ends with them ---


def made_by_the_owner(ports, owner, anna, carla) -> MadeDevice:
    wanted = WantedDevice("Carla's phone", "smartphone", Device.IMAP, carla.login)
    return devices.make(UnitOfWork(ports, owner), anna, wanted, "for carla")


def accepted_signed_in(ports, owner, anna, carla) -> MadeDevice:
    invited = invitations.invite(UnitOfWork(ports, owner), anna, TABLET, carla.login, mailed=False)
    return invitations.accept(UnitOfWork(ports, acting(carla)), invited.invitation, proved=False)


def accepted_by_reference_email(ports, owner, anna, carla) -> MadeDevice:
    invited = invitations.invite(UnitOfWork(ports, owner), anna, TABLET, carla.contact_email.title(), mailed=False)
    return invitations.accept(UnitOfWork(ports, Actor(address="198.51.100.7")), invited.invitation, proved=True)


GIVEN = [made_by_the_owner, accepted_signed_in, accepted_by_reference_email]


def reset(ports, owner, manager, carla):
    assert cuts_at_once(collaborations.reset, UnitOfWork(ports, owner), of(carla))


def disable(ports, owner, manager, carla):
    assert cuts_at_once(collaborations.disable, UnitOfWork(ports, owner), of(carla))


def disown(ports, owner, manager, carla):
    recovery.lock(
        UnitOfWork(ports, Actor(address="198.51.100.9")), links.find(links.create(carla, links.DISOWN), (links.DISOWN,))
    )


def disown_the_owner(ports, owner, manager, carla):
    token = links.create(owner.account, links.DISOWN)
    recovery.lock(UnitOfWork(ports, Actor(address="198.51.100.9")), links.find(token, (links.DISOWN,)))


def offboard_the_owner(ports, owner, manager, carla):
    offboarding.end(UnitOfWork(ports, acting(manager)), owner.account.mailbox)


@pytest.mark.parametrize("given", GIVEN, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "ends", [reset, disable, disown, disown_the_owner, offboard_the_owner], ids=lambda each: each.__name__
)
def test_a_device_for_a_collaborator_ends_with_them(ports, owner, anna, carla, manager, mail_server, given, ends):
    made = given(ports, owner, anna, carla)
    hers = devices.make(UnitOfWork(ports, owner), anna, PHONE, "hers").device
    mail_server.connected = [Connection(anna.login, "imap", "192.0.2.8", device_id=made.device.id)]
    ends(ports, owner, manager, carla)
    assert present(made.device) is None
    assert mail_server.connected == []
    assert (present(hers) is not None) == (ends in (reset, disable, disown))


@pytest.mark.parametrize(
    "email", ["carla/anna@example.org", "carla@elsewhere.example.com", "Carla@Elsewhere.Example.COM"]
)
@pytest.mark.parametrize("ends", [reset, disable, disown], ids=lambda each: each.__name__)
def test_an_invitation_of_a_collaborator_ends_with_them(ports, owner, anna, carla, manager, invited, email, ends):
    pending = invitations.invite(UnitOfWork(ports, owner), anna, PHONE, email, mailed=False)
    ends(ports, owner, manager, carla)
    Account.update(state=Account.ACTIVE).where(Account.id == carla.id).execute()
    assert not is_open(pending.invitation)
    assert is_open(invited.invitation)
    assert AuditEvent.select().where(AuditEvent.action == "web:invitation:withdrawn").count() == 1


def test_the_same_address_invited_to_another_mailbox_is_not_theirs_to_lose(ports, owner, anna, boris, carla):
    elsewhere = invitations.invite(UnitOfWork(ports, acting(boris)), boris, TABLET, carla.contact_email, mailed=False)
    collaborations.disable(UnitOfWork(ports, owner), of(carla))
    assert is_open(elsewhere.invitation)


def test_what_a_collaborator_was_given_is_known_after_the_invitation_is_long_over(ports, owner, anna, carla, clock):
    made = accepted_by_reference_email(ports, owner, anna, carla)
    clock.pass_by(90 * DAY)
    housekeeping.clear_away()
    collaborations.disable(UnitOfWork(ports, acting(anna)), of(carla))
    assert present(made.device) is None


def test_the_page_that_asks_names_what_was_made_for_them(ports, owner, anna, carla):
    made = accepted_by_reference_email(ports, owner, anna, carla)
    assert made.device in collaborations.consequences(ports, of(carla)).given


def test_a_permission_that_is_taken_away_takes_what_was_given_with_it(ports, owner, anna, carla):
    for given in GIVEN:
        given(ports, owner, anna, carla)
    pending = invitations.invite(UnitOfWork(ports, owner), anna, PHONE, carla.login, mailed=False)
    hers = devices.make(UnitOfWork(ports, owner), anna, PHONE, "hers").device
    collaborations.change_permissions(UnitOfWork(ports, owner), of(carla), READ)
    assert list(Device.select()) == [hers]
    collaborations.change_permissions(UnitOfWork(ports, owner), of(carla), permissions.ALL)
    assert not is_open(pending.invitation)


def test_what_never_needed_the_permission_stays_without_it(ports, owner, people, anna):
    reader = people.add_collaborator(anna, "reader", READ)
    made = made_by_the_owner(ports, owner, anna, reader)
    collaborations.change_permissions(UnitOfWork(ports, owner), of(reader), READ | SETTINGS)
    assert present(made.device)


@pytest.mark.parametrize("left", [permissions.ALL & ~SETTINGS, READ | SETTINGS])
def test_an_invitation_of_theirs_does_not_come_back_with_the_permission(ports, owner, keeper, anna, left):
    pending = invitations.invite(UnitOfWork(ports, keeper), anna, TABLET, EVE, mailed=False)
    collaborations.change_permissions(UnitOfWork(ports, owner), of(keeper.account), left)
    collaborations.change_permissions(UnitOfWork(ports, owner), of(keeper.account), permissions.ALL)
    assert not is_open(pending.invitation)


def test_nothing_is_made_for_who_may_not_sign_in(ports, owner, anna, carla, boris):
    for account, state in ((carla, Account.DISABLED), (boris, Account.SUSPENDED)):
        Account.update(state=state).where(Account.id == account.id).execute()
        with pytest.raises(Refused) as refusal:
            made_by_the_owner(ports, owner, anna, account)
        assert refusal.value.field == "user"


# --- the same for persons: an intruder with their password gets what others made for them ---


@pytest.mark.parametrize("given", [made_by_the_owner, accepted_signed_in], ids=lambda each: each.__name__)
@pytest.mark.parametrize("ends", ["disown", "offboard", "remove", "lock"])
def test_a_device_that_another_made_for_a_person_ends_with_them(
    ports, owner, anna, boris, manager, mailer, mail_server, given, ends
):
    made = given(ports, owner, anna, boris)
    pending = invitations.invite(UnitOfWork(ports, owner), anna, PHONE, boris.login, mailed=False)
    mail_server.connected = [Connection(anna.login, "imap", "192.0.2.8", device_id=made.device.id)]
    letters(ports, mailer, anna.login)
    mailer.sent.clear()
    if ends == "disown":
        disown(ports, owner, manager, boris)
    elif ends == "offboard":
        offboarding.end(UnitOfWork(ports, acting(manager)), boris.mailbox)
    elif ends == "remove":
        users.remove(UnitOfWork(ports, acting(manager)), boris.mailbox, boris.login)
    else:
        recovery.lock_by_operator(UnitOfWork(ports, Actor()), boris)
    assert present(made.device) is None
    assert mail_server.connected == []
    assert DeviceInvitation.get_by_id(pending.invitation.id).withdrawn_at
    assert ends == "lock" or any(made.device.name in letter for letter in letters(ports, mailer, anna.login))


def test_offboarding_shows_and_reports_what_others_made_for_the_leaver(ports, owner, anna, boris, manager):
    made = made_by_the_owner(ports, owner, anna, boris)
    assert offboarding.access(ports, boris.mailbox).given == [made.device]
    event = offboarding.end(UnitOfWork(ports, acting(manager)), boris.mailbox)
    assert offboarding.report(boris.mailbox, event.id).devices == [f"{made.device.name} ({anna.login})"]


@pytest.mark.parametrize("too", [True, False])
def test_who_changes_the_password_ends_what_others_made_for_them_with_their_devices(ports, owner, anna, boris, too):
    given = made_by_the_owner(ports, owner, anna, boris)
    own = devices.make(UnitOfWork(ports, acting(boris)), boris, PHONE, "his").device
    assert passwords.consequences(ports, boris).devices == [own, given.device]
    passwords.change(UnitOfWork(ports, acting(boris)), PASSWORD, "Other-Garden-8", everywhere=True, devices_too=too)
    assert list(Device.select()) == ([] if too else [given.device, own])


# --- the recipient's second password, that of the profile ---


def test_the_recipient_gets_no_second_password_after_the_inviter_lost_the_right(ports, keeper, anna, guest, invited):
    theirs = invitations.invite(UnitOfWork(ports, keeper), anna, PHONE, EVE, mailed=False)
    made = invitations.accept(UnitOfWork(ports, guest), theirs.invitation, proved=True)
    Collaboration.update(permissions=READ | SETTINGS).execute()
    before = Device.get().verifier
    with pytest.raises(Refused):
        devices.change_password(UnitOfWork(ports, guest), made.device, by=keeper.account)
    assert Device.get().verifier == before


# --- collaborators among themselves ---


@pytest.mark.parametrize("act", [collaborations.send_link_again, collaborations.reset])
def test_nobody_renews_the_access_of_who_may_do_more(ports, mailer, clerk, keeper, owner, anna, act):
    account = keeper.account
    if act is collaborations.send_link_again:
        collaborations.reset(UnitOfWork(ports, owner), of(account))
    before = OutboxItem.select().count()
    with pytest.raises(Refused) as refusal:
        act(UnitOfWork(ports, clerk), of(account))
    assert refusal.value.field == "permissions"
    assert OutboxItem.select().count() == before
    collaborations.disable(UnitOfWork(ports, clerk), of(account))
    assert collaborations.state(of(account)) == collaborations.DISABLED


def test_nobody_lets_collaborators_into_the_mailbox_of_others(ports, anna, boris):
    person = collaborations.Person("Mal", "Lory", "mal@elsewhere.example.com", "mal")
    with pytest.raises(Refused):
        collaborations.make(UnitOfWork(ports, acting(boris)), anna.mailbox, person, permissions.ALL)
    assert Collaboration.select().count() == 0


# --- at the same instant ---


def test_a_device_by_who_is_locked_at_the_same_instant_does_not_outlive_it(ports, owner, people, anna, guest, clock):
    for number in range(12):
        keeper = people.add_collaborator(anna, f"keeper{number}", permissions.ALL, password=None)
        invited = invitations.invite(UnitOfWork(ports, acting(keeper)), anna, TABLET, EVE, mailed=False)
        by = acting(keeper)
        link = links.find(links.create(keeper, links.DISOWN), (links.DISOWN,))
        at_the_same_instant(
            lambda link=link: recovery.lock(UnitOfWork(ports, Actor(address="198.51.100.9")), link),
            lambda invited=invited: invitations.accept(UnitOfWork(ports, guest), invited.invitation, proved=True),
            lambda by=by, number=number: devices.make(UnitOfWork(ports, by), anna, PHONE, f"form {number}"),
        )
        assert Account.get_by_id(keeper.id).state == Account.LOCKED
        assert Device.select().count() == 0
        assert now() == clock.time()
