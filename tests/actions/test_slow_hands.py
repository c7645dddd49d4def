"""Somebody is slow between looking at a row and writing it; by then the row is gone and another has its number.

The tests give the number again themselves: as SQLite did, and as any database may after a restore.
"""

import contextlib
from collections.abc import Callable

import pytest

from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import mailboxes
from actions.sessions import links, sessions
from actions.users import imports, offboarding, preferences, users
from actions.webmails import handoffs
from database import is_sqlite
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Device,
    DeviceInvitation,
    Mailbox,
    OneTimeLink,
    OutboxItem,
    UserImport,
    WebSession,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import ADDRESS, BROWSER, PASSWORD, People
from tests.numbers import a_row, give_again
from tests.signing import SigningWebmail

PHONE = WantedDevice("Phone", "smartphone", Device.IMAP | Device.SENDING)
NEW = "Other-Garden-8"
ROUNDS = 200


def content(row) -> dict:
    return type(row).select().where(type(row).id == row.id).dicts().get()


@pytest.fixture
def eve(settings, database) -> Account:
    """Somebody in another organisation."""
    return People(settings, "Another Ltd", "example.net").add("eve")


def meanwhile(monkeypatch: pytest.MonkeyPatch, module: object, name: str, deed: Callable[[], object]) -> None:
    """Once, when this function is called next, the deed happens before it returns."""
    real, deeds = getattr(module, name), [deed]

    def slow(*arguments, **named):
        outcome = real(*arguments, **named)
        if deeds:
            deeds.pop()()
        return outcome

    monkeypatch.setattr(module, name, slow)


# --- the device of somebody in another organisation ---


def test_a_new_password_never_goes_to_the_device_that_has_the_number_now(ports, eve, anna):
    attacker, victim = acting(eve), acting(anna)
    bait = devices.make(UnitOfWork(ports, attacker), eve, PHONE, "bait").device
    # What was loaded before, as a second request's is.
    devices.disconnect(UnitOfWork(ports, attacker), Device.get_by_id(bait.id))
    give_again(Device, bait.id)
    theirs = devices.make(UnitOfWork(ports, victim), anna, PHONE, "a form")
    with pytest.raises(Refused, match="has just been disconnected"):
        devices.change_password(UnitOfWork(ports, attacker), bait)
    assert theirs.device.id == bait.id
    assert content(theirs.device)["verifier"] == theirs.device.verifier
    assert not AuditEvent.select().where(AuditEvent.action == "web:device:password-changed").exists()


def test_in_none_of_many_races_either(ports, eve, anna):
    if not is_sqlite():
        pytest.skip("MariaDB gives no number again while others write")
    attacker, victim = acting(eve), acting(anna)
    taken = 0
    for turn in range(ROUNDS):
        bait = devices.make(UnitOfWork(ports, attacker), eve, PHONE, f"bait {turn}").device

        def make_theirs(bait=bait, turn=turn):
            give_again(Device, bait.id)
            return devices.make(UnitOfWork(ports, victim), anna, PHONE, f"form {turn}")

        _, _, theirs = at_the_same_instant(
            lambda bait=bait: devices.change_password(UnitOfWork(ports, attacker), bait),
            lambda bait=bait: devices.disconnect(UnitOfWork(ports, attacker), Device.get_by_id(bait.id)),
            make_theirs,
        )
        taken += content(theirs.device)["verifier"] != theirs.device.verifier
        devices.disconnect_all(UnitOfWork(ports, attacker), eve)
        devices.disconnect_all(UnitOfWork(ports, victim), anna)
    assert taken == 0


def test_two_new_passwords_at_once_are_one(ports, anna):
    """A person who sees a password has the one that opens the mailbox."""
    actor = acting(anna)
    device = devices.make(UnitOfWork(ports, actor), anna, PHONE, "a form").device
    again = Device.get_by_id(device.id)
    made = devices.change_password(UnitOfWork(ports, actor), device)
    with pytest.raises(Refused):
        devices.change_password(UnitOfWork(ports, actor), again)
    assert content(device)["verifier"] == made.device.verifier


# --- the session of somebody else ---


@pytest.fixture
def webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports)


def handed_over(ports, webmail: SigningWebmail, account: Account) -> WebSession:
    stranger = Actor(address=ADDRESS, user_agent=BROWSER)
    session, _ = handoffs.enter(
        UnitOfWork(ports, stranger), handoffs.examine(UnitOfWork(ports, stranger), webmail.handoff(account.login))
    )
    return session


def test_a_password_that_was_given_never_counts_for_another_session(ports, monkeypatch, eve, anna, webmail):
    attacker, stolen = acting(eve), []

    def sign_out_and_hand_over():
        sessions.sign_out(UnitOfWork(ports, attacker))
        give_again(WebSession, attacker.session.id)
        stolen.append(handed_over(ports, webmail, anna))

    meanwhile(monkeypatch, passwords, "verify", sign_out_and_hand_over)
    with pytest.raises(Refused, match="signed out"):
        passwords.confirm_again(UnitOfWork(ports, attacker), PASSWORD)
    assert stolen[0].id == attacker.session.id
    assert not sessions.password_is_recent(WebSession.get_by_id(stolen[0].id))
    assert WebSession.select().count() == 1


def test_nor_in_any_of_many_races(ports, eve, anna, webmail):
    if not is_sqlite():
        pytest.skip("MariaDB gives no number again while others write")
    counted = 0
    for _ in range(ROUNDS):
        attacker = acting(eve)

        def hand_over(attacker=attacker):
            give_again(WebSession, attacker.session.id)
            return handed_over(ports, webmail, anna)

        at_the_same_instant(
            lambda attacker=attacker: passwords.confirm_again(UnitOfWork(ports, attacker), PASSWORD),
            lambda attacker=attacker: sessions.sign_out(UnitOfWork(ports, attacker)),
            hand_over,
        )
        counted += sum(map(sessions.password_is_recent, sessions.living(anna)))
        sessions.end_browsers([eve])
        sessions.end_browsers([anna])
    assert counted == 0


def test_a_password_given_after_it_was_changed_elsewhere_does_not_count(ports, monkeypatch, anna):
    here, there = acting(anna), acting(Account.get_by_id(anna.id))
    meanwhile(monkeypatch, passwords, "verify", lambda: passwords.change(UnitOfWork(ports, there), PASSWORD, NEW))
    with pytest.raises(Refused):
        passwords.confirm_again(UnitOfWork(ports, here), PASSWORD)
    assert WebSession.select().where(here.session.itself()).exists(), "it goes on as it was"


def test_a_session_goes_on_with_another_token_and_ends_when_it_would_have(ports, anna, clock, webmail):
    """The cookie from before signs nobody in; what the session holds stays, and who began it."""
    session = handed_over(ports, webmail, anna)
    session.write(data={"csrf_token": "secret", "frame": {"origin": webmail.origin}})
    actor = Actor(anna, session, ADDRESS, BROWSER)
    clock.pass_by(60)
    renewed, token = passwords.confirm_again(UnitOfWork(ports, actor), PASSWORD)
    assert sessions.living(anna) == [renewed] == [sessions.find(token)]
    assert not sessions.exists(session)
    assert renewed.token_hash != session.token_hash and renewed.id != session.id
    for kept in ("data", "created_at", "webmail_id", "webmail_session", "user_agent"):
        assert getattr(WebSession.get_by_id(renewed.id), kept) == getattr(session, kept)
    assert sessions.password_is_recent(renewed)


# --- and everything else that is written ---


def moved_on(row) -> object:
    """The row is gone, and this one has its number."""
    type(row).delete().where(type(row).id == row.id).execute()
    return a_row(type(row), "another", id=row.id)


def test_another_name_for_a_device(ports, anna):
    actor = acting(anna)
    device = devices.make(UnitOfWork(ports, actor), anna, PHONE, "a form").device
    other = moved_on(device)
    before = content(other)
    with pytest.raises(Refused):
        devices.rename(UnitOfWork(ports, actor), device, "Mine now", "laptop")
    assert not devices.forget(device)
    assert content(other) == before


def test_this_wasnt_me_about_another_device(ports, stranger, anna):
    actor = acting(anna)
    device = devices.make(UnitOfWork(ports, actor), anna, PHONE, "a form").device
    token = links.create(anna, links.DISOWN_DEVICE, device)
    devices.disconnect(UnitOfWork(ports, actor), device)
    give_again(Device, device.id)
    later = devices.make(UnitOfWork(ports, actor), anna, PHONE, "another form").device
    assert later.id == device.id
    devices.disown(UnitOfWork(ports, stranger), links.find(token, (links.DISOWN_DEVICE,)))
    assert list(anna.devices) == [later]


@pytest.mark.parametrize(
    "deed",
    [
        lambda ports, actor, it: invitations.withdraw(UnitOfWork(ports, actor), it),
        lambda ports, actor, it: invitations.resend(UnitOfWork(ports, actor), it, mailed=False),
        lambda ports, actor, it: invitations.send_code(UnitOfWork(ports, actor), it),
        lambda ports, actor, it: invitations.accept(UnitOfWork(ports, actor), it, proved=True),
    ],
    ids=["withdraw", "renew", "code", "accept"],
)
def test_another_invitation(ports, anna, deed):
    actor = acting(anna)
    invited = invitations.invite(UnitOfWork(ports, actor), anna, PHONE, "lia@elsewhere.example.com", mailed=False)
    other = moved_on(invited.invitation)
    before = content(other)
    with contextlib.suppress(Refused):
        assert not deed(ports, actor, invited.invitation)
    assert content(other) == before
    assert not Device.select().exists()


def test_an_invitation_that_was_renewed_meanwhile_takes_no_code_for_the_link_before(ports, anna):
    actor = acting(anna)
    former = invitations.invite(
        UnitOfWork(ports, actor), anna, PHONE, "lia@elsewhere.example.com", mailed=False
    ).invitation
    invitations.resend(UnitOfWork(ports, actor), DeviceInvitation.get_by_id(former.id), mailed=False)
    with pytest.raises(Refused):
        invitations.send_code(UnitOfWork(ports, actor), former)


@pytest.mark.parametrize(
    ("state", "deed"),
    [
        (UserImport.CHECKED, lambda ports, actor, it: imports.want(UnitOfWork(ports, actor), it)),
        (UserImport.CHECKED, lambda ports, actor, it: imports.discard(UnitOfWork(ports, actor), it)),
    ],
    ids=["want", "discard"],
)
def test_another_file_of_users(ports, people, manager, state, deed):
    mine = UserImport.create(service=people.service, made_by_login="x", file_name="a.csv", state=state, created_at=1)
    other = moved_on(mine)
    other.write(state=state, service=people.service)
    before = content(other)
    with pytest.raises(Refused):
        deed(ports, acting(manager), mine)
    assert content(other) == before


@pytest.mark.parametrize(
    "deed",
    [
        lambda ports, actor, it: users.suspend(UnitOfWork(ports, actor), it),
        lambda ports, actor, it: users.remove(UnitOfWork(ports, actor), it, it.address),
        lambda ports, actor, it: offboarding.end(UnitOfWork(ports, actor), it),
        lambda ports, actor, it: devices.require(UnitOfWork(ports, actor), it, True),
    ],
    ids=["suspend", "remove", "offboard", "require"],
)
def test_the_user_of_another_organisation(ports, people, manager, boris, eve, deed):
    """Boris is removed; Eve, elsewhere, has his numbers."""
    mailbox = boris.mailbox
    assert mailbox.account == boris
    users.remove(UnitOfWork(ports, acting(manager)), Mailbox.get_by_id(mailbox.id), mailbox.address)
    with_numbers = {"id": mailbox.id, "domain": eve.mailbox.domain, "account": eve}
    Mailbox.delete().where(Mailbox.account == eve).execute()
    theirs = Mailbox.create(address="eve@example.net", home="example.net/eve-1", **with_numbers)
    before = content(theirs), content(eve)
    with pytest.raises(Refused):
        deed(ports, acting(manager), mailbox)
    assert (content(theirs), content(eve)) == before


def test_the_language_of_somebody_else(ports, anna, boris):
    actor = acting(anna)
    stale = Account(**{**anna.__data__, "login": "gone@example.org"})
    with pytest.raises(Refused):
        preferences.save(UnitOfWork(ports, Actor(stale, actor.session, ADDRESS, BROWSER)), "it", "")
    assert Account.get_by_id(anna.id).language == ""


def test_the_password_of_somebody_else(ports, anna):
    stale = Account(**{**anna.__data__, "login": "gone@example.org"})
    with pytest.raises(Refused):
        passwords.change(UnitOfWork(ports, Actor(stale, acting(anna).session, ADDRESS, BROWSER)), PASSWORD, NEW)
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_a_link_of_somebody_who_has_the_number_now(ports, anna):
    token = links.create(anna, links.RESET)
    Account.update(created_at=anna.created_at + 1).where(Account.id == anna.id).execute()
    assert links.find(token, links.SETS_PASSWORD) is None


def test_what_the_worker_leased(ports, anna):
    item = a_row(OutboxItem, "one", delivered_at=None, given_up_at=None, leased_until=0)
    other = moved_on(item)
    before = content(other)
    assert not item.lease(60)
    assert content(other) == before


def test_the_rules_of_a_service(ports, stranger, people):
    service = people.service
    mailboxes.change_service(UnitOfWork(ports, stranger), service.name, most_mailboxes=7)
    assert content(service)["most_mailboxes"] == 7
    mailboxes.change_service(UnitOfWork(ports, stranger), service.name)
    assert content(service)["most_mailboxes"] == 7


def test_a_link_that_was_used_for_an_account_that_is_gone(ports, anna):
    link = links.find(links.create(anna, links.RESET), links.SETS_PASSWORD)
    link.account_id = 10**6
    with pytest.raises(Refused):
        links.use(link)
    assert OneTimeLink.get_by_id(link.id).used_at is None
