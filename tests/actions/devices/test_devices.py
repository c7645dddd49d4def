"""Device passwords: made, changed, taken back; what they can never do."""

import base64
import hashlib
import itertools
import unicodedata

import pytest

import worker
from actions.devices import device_passwords, devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground import unit_of_work
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.passwords import sign_in as ways_in
from actions.sessions import connections, links
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Device,
    DeviceInvitation,
    LastLogin,
    Mailbox,
    OneTimeLink,
    Organisation,
    OutboxItem,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once
from tests.numbers import give_again

IMAP, SENDING = Device.IMAP, Device.SENDING
PHONE = WantedDevice("Anna's phone", "smartphone", IMAP | SENDING)
DAY = 24 * 3600


@pytest.fixture
def actor(anna):
    return acting(anna)


@pytest.fixture
def make(ports, actor, anna):
    """`make("name")` makes a device of Anna's."""
    count = iter(range(1000))

    def make(name="Anna's phone", **changes) -> devices.MadeDevice:
        wanted = WantedDevice(**{"name": name, "icon": "smartphone", "protocols": IMAP | SENDING} | changes)
        return devices.make(UnitOfWork(ports, actor), anna, wanted, f"form {next(count)}")

    return make


def opens(device: Device, password: str) -> bool:
    """Whether the stored verifier accepts the password, by the rule that Dovecot follows."""
    stored = Device.get_by_id(device.id)
    scheme, _, encoded = stored.verifier.partition("}")
    content = base64.b64decode(encoded)
    assert scheme == "{SSHA256"
    return stored.selector == password[:8] and hashlib.sha256(password.encode() + content[32:]).digest() == content[:32]


def letters(ports, mailer) -> list[str]:
    """The text of every e-mail in the outbox."""
    for item in list(OutboxItem.open_items().where(OutboxItem.kind == "mail")):
        outbox.deliver(ports, item, worker.HANDLERS)
    return [message.get_body(("plain",)).get_content() for _, message in mailer.sent]


def connected(device_id: int, address: str = "192.0.2.7", login: str = "anna@example.org") -> Connection:
    return Connection(login, "imap", address, device_id=device_id)


# --- made ---


def test_a_device_gets_a_password_that_is_stored_nowhere(make):
    made = make()
    assert device_passwords.has_shape(made.password)
    assert opens(made.device, made.password)
    assert made.password not in str(Device.get_by_id(made.device.id).__data__)
    secret = made.password[9:]
    rows = [*AuditEvent.select().dicts(), *OutboxItem.select().dicts(), *OneTimeLink.select().dicts()]
    assert all(secret not in str(row) for row in rows)


def test_every_password_is_another_one(make):
    assert len({make(f"Device {number}").password for number in range(20)}) == 20


def test_its_creator_and_day_are_kept(make, anna, actor):
    device = Device.get_by_id(make().device.id)
    assert (device.account, device.created_by, device.created_by_login) == (anna, anna, anna.login)
    assert abs(device.created_at - now()) < 5


def test_the_same_form_makes_one_device(ports, actor, anna):
    assert devices.make(UnitOfWork(ports, actor), anna, PHONE, "same") is not None
    assert devices.make(UnitOfWork(ports, actor), anna, PHONE, "same") is None
    assert anna.devices.count() == 1


def test_the_same_form_sent_twice_at_the_same_instant_makes_one_device(ports, actor, anna):
    outcomes = at_the_same_instant(*[lambda: devices.make(UnitOfWork(ports, actor), anna, PHONE, "same")] * 2)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MadeDevice", "NoneType"]
    assert anna.devices.count() == 1


def test_who_waited_behind_log_me_out_from_everywhere_gets_no_device(ports, actor, make, anna):
    """A request that was let in while its session lived, and had to wait for the change to be written."""
    kept = make("Kept").device
    owner = acting(Account.get_by_id(anna.id), "192.0.2.99")
    passwords.change(UnitOfWork(ports, owner), PASSWORD, "Other-Garden-8", everywhere=True)
    for late in (
        lambda: make("Late"),
        lambda: devices.change_password(UnitOfWork(ports, actor), kept),
        lambda: invitations.invite(UnitOfWork(ports, actor), anna, PHONE, "eve@elsewhere.example.com", False),
    ):
        with pytest.raises(Refused):
            late()
    assert [device.name for device in Device.select()] == ["Kept"]
    assert not invitations.pending(anna)


def test_anothers_form_of_the_same_number_is_another_form(ports, actor, anna, boris):
    assert devices.make(UnitOfWork(ports, actor), anna, PHONE, "same") is not None
    assert devices.make(UnitOfWork(ports, acting(boris)), boris, PHONE, "same") is not None


def test_there_is_no_device_beyond_the_fiftieth(make, anna):
    for number in range(devices.MOST_DEVICES):
        make(f"Device {number}")
    with pytest.raises(Refused):
        make("One more")
    assert anna.devices.count() == devices.MOST_DEVICES


def test_the_last_place_is_given_once(ports, actor, make, anna):
    for number in range(devices.MOST_DEVICES - 1):
        make(f"Device {number}")
    calls = [
        lambda name=name: devices.make(UnitOfWork(ports, actor), anna, PHONE, name) for name in ("one", "two", "three")
    ]
    outcomes = at_the_same_instant(*calls)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MadeDevice", "Refused", "Refused"]
    assert anna.devices.count() == devices.MOST_DEVICES


@pytest.mark.parametrize("name", ["📱", "<script>alert(1)</script>", "{{ 7*7 }}", "Ноутбук Анны", "e\u0301", "x" * 120])
def test_names_of_all_kinds_are_kept(make, name):
    assert Device.get_by_id(make(name).device.id).name == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "x" * 1000, "a\r\nSubject: b", "a\0b", "a\u2028b", "\x1b[31m"])
def test_names_that_are_none_are_refused(make, anna, name):
    with pytest.raises(Refused) as refusal:
        make(name)
    assert refusal.value.field == "name"
    assert anna.devices.count() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"icon": "skull"}, "icon"),
        ({"icon": ""}, "icon"),
        ({"protocols": 0}, "protocols"),
        ({"protocols": 8}, "protocols"),
        ({"protocols": -1}, "protocols"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": now() + 11 * 365 * DAY}, "expires_at"),
        ({"user": "nobody@example.org"}, "user"),
    ],
)
def test_what_is_wrong_is_named(make, anna, changes, field):
    with pytest.raises(Refused) as refusal:
        make(**changes)
    assert refusal.value.field == field
    assert anna.devices.count() == 0


def test_a_device_may_be_for_a_user_of_the_same_organisation(make, boris):
    assert make(user=" Boris@Example.org ").device.user == boris


def test_it_may_not_be_for_somebody_elsewhere(make, people):
    people.add("zoe", organisation=Organisation.create(name="Another Ltd"))
    with pytest.raises(Refused):
        make(user="zoe@example.org")


def test_a_locked_account_gets_no_device_even_in_the_same_instant(ports, actor, anna):
    Account.update(state=Account.LOCKED).where(Account.id == anna.id).execute()
    with pytest.raises(Refused):
        devices.make(UnitOfWork(ports, actor), anna, PHONE, "form")
    assert anna.devices.count() == 0


def test_its_owner_is_told_with_a_way_out(ports, make, mailer, anna):
    make()
    [letter, other] = letters(ports, mailer)
    assert {to for to, _ in mailer.sent} == {anna.login, anna.contact_email}
    assert "Anna's phone" in letter
    assert "/links/not-my-device/" in letter
    assert letter == other


# --- changed, renamed, disconnected ---


def test_a_new_password_stops_the_old_one_and_cuts_this_device_only(ports, actor, make, mail_server):
    phone, laptop = make("Phone"), make("Laptop")
    mail_server.connected = [connected(0), connected(phone.device.id), connected(laptop.device.id)]
    unit = UnitOfWork(ports, actor)
    changed = devices.change_password(unit, phone.device)
    assert not unit.is_pending
    assert opens(phone.device, changed.password)
    assert not opens(phone.device, phone.password)
    assert opens(laptop.device, laptop.password)
    assert [each.device_id for each in mail_server.connected] == [0, laptop.device.id]


def test_a_disconnected_device_is_gone_and_cut_alone(ports, actor, make, mail_server, anna):
    phone, laptop = make("Phone"), make("Laptop")
    mail_server.connected = [connected(0), connected(phone.device.id), connected(laptop.device.id)]
    assert cuts_at_once(devices.disconnect, UnitOfWork(ports, actor), phone.device)
    assert list(anna.devices) == [laptop.device]
    assert [each.device_id for each in mail_server.connected] == [0, laptop.device.id]


def test_with_the_mail_server_down_it_is_in_force_and_the_cut_is_still_to_come(ports, actor, make, mail_server, anna):
    phone = make()
    mail_server.connected, mail_server.is_down = [connected(phone.device.id)], True
    assert not cuts_at_once(devices.disconnect, UnitOfWork(ports, actor), phone.device)
    assert anna.devices.count() == 0
    assert OutboxItem.open_items().where(OutboxItem.kind == "connections").count() > 0


def test_a_device_that_is_gone_gets_no_new_password(ports, actor, make):
    phone = make().device
    devices.disconnect(UnitOfWork(ports, actor), phone)
    with pytest.raises(Refused):
        devices.change_password(UnitOfWork(ports, actor), phone)


def test_all_devices_are_disconnected_with_their_invitations(ports, actor, make, mail_server, anna):
    made = [make(f"Device {number}") for number in range(3)]
    invited = invitations.invite(UnitOfWork(ports, actor), anna, PHONE, "eve@elsewhere.example.com", mailed=False)
    mail_server.connected = [connected(0), *(connected(each.device.id) for each in made)]
    assert cuts_at_once(devices.disconnect_all, UnitOfWork(ports, actor), anna)
    assert anna.devices.count() == 0
    assert [each.device_id for each in mail_server.connected] == [0]
    assert DeviceInvitation.get_by_id(invited.invitation.id).withdrawn_at is not None


@pytest.fixture
def cuts_asked_for(mail_server, monkeypatch) -> list[tuple]:
    """What the mail server was asked to cut, answered or not."""
    asked, end = [], mail_server.end_connections

    def end_and_note(*which, **named):
        asked.append(which)
        return end(*which, **named)

    monkeypatch.setattr(mail_server, "end_connections", end_and_note)
    return asked


@pytest.mark.parametrize("is_down", [True, False], ids=["silent", "slow"])
def test_a_mail_server_that_keeps_people_waiting_is_waited_for_once(
    ports, actor, make, mail_server, monkeypatch, cuts_asked_for, anna, is_down
):
    for number in range(10):
        make(f"Device {number}")
    mail_server.is_down = is_down
    moments = itertools.count(step=1.9)
    monkeypatch.setattr(unit_of_work, "monotonic", lambda: next(moments))
    assert not cuts_at_once(devices.disconnect_all, UnitOfWork(ports, actor), anna)
    assert len(cuts_asked_for) == 1
    still_to_be_cut = [each.key for each in OutboxItem.open_items() if each.kind == "connections"]
    assert len([key for key in still_to_be_cut if not key.endswith(connections.STRAGGLERS)]) == 10 - 1 + is_down


def test_renaming_leaves_the_password(ports, actor, make):
    phone = make()
    devices.rename(UnitOfWork(ports, actor), phone.device, "Old phone", "tablet")
    stored = Device.get_by_id(phone.device.id)
    assert (stored.name, stored.icon) == ("Old phone", "tablet")
    assert opens(phone.device, phone.password)


def test_nothing_is_inherited_by_the_next_device(ports, actor, make, anna):
    first = make("First").device
    use(first, seconds=-60)
    devices.disconnect(UnitOfWork(ports, actor), first)
    # Dovecot wrote late of the device that was gone, whose number comes again, as it may after a restore.
    give_again(Device, first.id)
    second = make("Second").device
    assert second.id == first.id
    Device.update(created_at=now()).where(Device.id == second.id).execute()
    use(second, seconds=-60)
    [row] = devices.rows(anna, connections.Connected([]))
    assert row.last_login is None


# --- last use ---


def use(device: Device, seconds: int = 0, service: str = "imap", ip: str = "198.51.100.9") -> None:
    """What Dovecot records when the device is used, this many seconds from now."""
    LastLogin.replace(
        login_id=device.account_id, device_id=device.id, service=service, ip=ip, last_access=now() + seconds
    ).execute()


def test_the_list_shows_the_latest_use_and_who_is_connected(make, anna):
    phone, _ = make("Phone").device, make("Laptop").device
    use(phone, 5)
    use(phone, 20, "submission", "2001:db8::7")
    rows = devices.rows(anna, connections.Connected([connected(phone.id)]))
    assert [row.device.name for row in rows] == ["Laptop", "Phone"]
    assert rows[0].last_login is None
    assert (rows[1].last_login.service, rows[1].last_login.ip) == ("submission", "2001:db8::7")
    assert [row.is_connected for row in rows] == [False, True]


def test_a_device_that_nobody_used_for_ninety_days_is_marked(make, anna, clock):
    used, unused = make("Used").device, make("Unused").device
    clock.pass_by(60 * DAY)
    use(used)
    clock.pass_by(31 * DAY)
    marks = {row.device.id: row.is_long_unused for row in devices.rows(anna, connections.Connected([]))}
    assert marks == {used.id: False, unused.id: True}


def test_an_expired_device_is_marked(make, anna, clock):
    make(expires_at=clock.time() + DAY)
    assert [row.is_expired for row in devices.rows(anna, connections.Connected([]))] == [False]
    clock.pass_by(DAY)
    assert [row.is_expired for row in devices.rows(anna, connections.Connected([]))] == [True]


def test_fifty_devices_are_listed_with_few_statements(make, anna, boris, statements):
    for number in range(devices.MOST_DEVICES):
        make(f"Device {number}", user=boris.login)
    statements.clear()
    assert len(devices.rows(anna, connections.Connected([]))) == devices.MOST_DEVICES
    assert len(statements) <= 3


def test_the_first_sign_in_counts_for_the_present_password_only(ports, actor, make, clock):
    phone = make().device
    assert devices.first_login(phone) is None
    clock.pass_by(10)
    use(phone)
    assert devices.first_login(phone).ip == "198.51.100.9"
    clock.pass_by(10)
    devices.change_password(UnitOfWork(ports, actor), phone)
    assert devices.first_login(phone) is None


def test_a_new_network_is_told_once(ports, make, mailer, clock):
    watch = devices.NetworkWatch()
    phone = make().device
    before = OutboxItem.select().where(OutboxItem.kind == "mail").count()

    def told() -> int:
        watch.look(ports)
        return OutboxItem.select().where(OutboxItem.kind == "mail").count() - before

    use(phone, ip="192.0.2.200")
    assert told() == 0, "the network in which it was made is known"
    use(phone, ip="198.51.100.9")
    assert told() == 2
    clock.pass_by(60)
    use(phone, ip="198.51.100.77")
    assert told() == 2, "another address of the same network"


# --- this wasn't me ---


def disown_link(device: Device) -> OneTimeLink:
    return links.find(links.create(device.account, links.DISOWN_DEVICE, device), (links.DISOWN_DEVICE,))


def test_this_wasnt_me_ends_that_device_once(ports, stranger, make, mail_server, anna):
    phone, laptop = make("Phone"), make("Laptop")
    mail_server.connected = [connected(phone.device.id), connected(laptop.device.id)]
    link = disown_link(phone.device)
    assert cuts_at_once(devices.disown, UnitOfWork(ports, stranger), link)
    assert list(anna.devices) == [laptop.device]
    assert [each.device_id for each in mail_server.connected] == [laptop.device.id]
    with pytest.raises(Refused):
        devices.disown(UnitOfWork(ports, stranger), link)


def test_this_wasnt_me_never_ends_a_later_device_of_the_same_number(ports, actor, stranger, make, clock, anna):
    first = make("First").device
    link = disown_link(first)
    devices.disconnect(UnitOfWork(ports, actor), first)
    clock.pass_by(60)
    second = make("Second").device
    OneTimeLink.update(subject_id=second.id).where(OneTimeLink.id == link.id).execute()
    link = OneTimeLink.get_by_id(link.id)
    assert devices.disowned(link) is None
    devices.disown(UnitOfWork(ports, stranger), link)
    assert list(anna.devices) == [second]


def test_locking_the_account_takes_every_device_and_invitation_back(ports, actor, stranger, make, anna):
    make()
    invited = invitations.invite(UnitOfWork(ports, actor), anna, PHONE, "eve@elsewhere.example.com", mailed=False)
    link = links.find(links.create(anna, links.DISOWN), (links.DISOWN,))
    recovery.lock(UnitOfWork(ports, stranger), link)
    assert anna.devices.count() == 0
    assert DeviceInvitation.get_by_id(invited.invitation.id).withdrawn_at is not None


# --- beside the account's password ---


def test_a_device_password_never_signs_in_to_the_panel(ports, stranger, make, anna):
    made = make()
    with pytest.raises(Refused):
        ways_in.sign_in(UnitOfWork(ports, stranger), anna.login, made.password, None)


def test_a_device_password_is_nobodys_current_password(ports, actor, make):
    made = make()
    with pytest.raises(Refused):
        passwords.confirm(UnitOfWork(ports, actor), made.password)


def test_a_password_of_a_devices_shape_is_refused_as_own(ports, actor):
    with pytest.raises(Refused) as refusal:
        passwords.change(UnitOfWork(ports, actor), PASSWORD, device_passwords.new_password().text)
    assert refusal.value.field == "new_password"


@pytest.mark.parametrize(("devices_too", "left"), [(False, 1), (True, 0)])
def test_logging_out_from_everywhere_leaves_devices_unless_asked(ports, actor, make, anna, devices_too, left):
    make()
    passwords.change(UnitOfWork(ports, actor), PASSWORD, "Other-Garden-8", everywhere=True, devices_too=devices_too)
    assert anna.devices.count() == left


def test_change_alone_leaves_devices_whatever_is_ticked(ports, actor, make, anna):
    make()
    passwords.change(UnitOfWork(ports, actor), PASSWORD, "Other-Garden-8", everywhere=False, devices_too=True)
    assert anna.devices.count() == 1


def test_demanding_device_passwords_cuts_the_own_password_and_no_device(ports, actor, make, mail_server, anna):
    phone = make().device
    mail_server.connected = [connected(0), connected(phone.id)]
    assert cuts_at_once(devices.require, UnitOfWork(ports, actor), anna.mailbox, True)
    assert Mailbox.by_address(anna.login).device_passwords_only
    assert [each.device_id for each in mail_server.connected] == [phone.id]
    assert cuts_at_once(devices.require, UnitOfWork(ports, actor), anna.mailbox, False)
    assert not Mailbox.by_address(anna.login).device_passwords_only
    assert [each.device_id for each in mail_server.connected] == [phone.id]
