"""A clock that was wrong and is right again, and nodes whose clocks differ, lock nobody out and keep nothing open."""

import pytest

import worker
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.throttle import Limit, TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import mail, outbox
from actions.passwords import sign_in as ways_in
from actions.services import fullness
from actions.sessions import sessions
from actions.upkeep import housekeeping
from actions.users import imports
from lab.actors import acting
from models import Attempts, Device, OutboxItem, PasswordChange, Service, UserImport, WebSession, now
from tests.conftest import PASSWORD

AHEAD = 10 * 3600
SKEW = 3
GUESSES = Limit("guesses of a test", free=5, ceiling=8, window=900)


def seconds_to_wait(*counters: throttle.Counter) -> int:
    try:
        throttle.attempt(list(counters))
    except TooManyAttempts as refusal:
        return refusal.wait
    return 0


@pytest.fixture
def guesses(database) -> throttle.Counter:
    return GUESSES.on("somebody")


# --- the throttle ---


def test_after_a_clock_was_wrong_nobody_waits_below_what_is_free(guesses, clock):
    clock.pass_by(AHEAD)
    seconds_to_wait(guesses)
    clock.pass_by(-AHEAD)
    assert [seconds_to_wait(guesses) for _ in range(4)] == [0] * 4


def test_after_a_clock_was_wrong_nobody_waits_longer_than_the_pause(guesses, clock):
    clock.pass_by(AHEAD)
    for _ in range(6):
        seconds_to_wait(guesses)
        clock.pass_by(1)
    clock.pass_by(-AHEAD)
    assert seconds_to_wait(guesses) == 2
    clock.pass_by(2)
    assert seconds_to_wait(guesses) == 0


def test_after_a_clock_was_wrong_the_ceiling_holds_for_one_window(guesses, clock):
    clock.pass_by(AHEAD)
    for _ in range(GUESSES.ceiling):
        assert seconds_to_wait(guesses) == 0
        clock.pass_by(GUESSES.longest_wait)
    clock.pass_by(-AHEAD)
    assert seconds_to_wait(guesses) == GUESSES.window
    clock.pass_by(60)
    assert seconds_to_wait(guesses) == GUESSES.window - 60
    clock.pass_by(GUESSES.window - 60)
    assert seconds_to_wait(guesses) == 0


def test_who_is_only_asked_about_is_brought_back_into_the_present_too(guesses, clock):
    clock.pass_by(AHEAD)
    for _ in range(6):
        seconds_to_wait(guesses)
        clock.pass_by(1)
    clock.pass_by(-AHEAD)
    with pytest.raises(TooManyAttempts) as refusal:
        throttle.refuse_waiting([guesses])
    assert refusal.value.wait == 2
    clock.pass_by(2)
    throttle.refuse_waiting([guesses])


def test_housekeeping_brings_attempts_back_into_the_present(guesses, clock):
    clock.pass_by(AHEAD)
    seconds_to_wait(guesses)
    clock.pass_by(-AHEAD)
    housekeeping.clear_away()
    assert (Attempts.get().first_at, Attempts.get().last_at) == (clock.moment, clock.moment)


def test_of_two_nodes_whose_clocks_differ_neither_refuses_right_passwords(ports, people, clock):
    everybody = [people.add(f"person{number}") for number in range(15)]
    for account in everybody:
        clock.pass_by(SKEW)
        ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.1")), account.login, PASSWORD, None)
        clock.pass_by(-SKEW)
        ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.1")), account.login, PASSWORD, None)


def test_after_a_clock_was_wrong_a_neighbour_signs_in(ports, anna, boris, clock):
    clock.pass_by(AHEAD)
    ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.1")), anna.login, PASSWORD, None)
    with pytest.raises(Refused):
        ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.2")), boris.login, "wrong", None)
    clock.pass_by(-AHEAD)
    assert ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.2")), boris.login, PASSWORD, None)


def test_a_new_code_is_waited_for_as_long_as_always(ports, anna, clock):
    wanted = WantedDevice("Phone", devices.ICONS[0], Device.IMAP)
    found = invitations.invite(
        UnitOfWork(ports, acting(anna)), anna, wanted, "somebody@example.com", mailed=False
    ).invitation
    clock.pass_by(AHEAD)
    invitations.send_code(UnitOfWork(ports, Actor()), found)
    clock.pass_by(-AHEAD)
    invitations.send_code(UnitOfWork(ports, Actor()), found)
    with pytest.raises(TooManyAttempts) as refusal:
        invitations.send_code(UnitOfWork(ports, Actor()), found)
    assert refusal.value.wait == invitations.CODE_EVERY


# --- sessions ---


def test_a_session_of_a_wrong_clock_does_not_outlive_it(anna, clock):
    clock.pass_by(AHEAD)
    _, token = sessions.start(anna, "192.0.2.1", "Firefox")
    clock.pass_by(-AHEAD)
    assert sessions.find(token) is None
    housekeeping.clear_away()
    assert not WebSession.select().exists()


def test_a_session_that_a_wrong_clock_saw_is_not_kept_open_by_it(anna, clock):
    session, token = sessions.start(anna, "192.0.2.1", "Firefox")
    clock.pass_by(AHEAD)
    sessions.seen(session, "192.0.2.1")
    clock.pass_by(-AHEAD)
    assert sessions.find(token) is None


def test_a_password_that_was_given_by_a_wrong_clock_is_not_recent(anna, clock):
    session, _ = sessions.start(anna, "192.0.2.1", "Firefox", password_given=False)
    clock.pass_by(AHEAD)
    session.write(password_at=now())
    clock.pass_by(-AHEAD)
    assert not sessions.password_is_recent(WebSession.get_by_id(session.id))


def test_a_session_that_began_on_a_node_whose_clock_differs_works(anna, clock):
    clock.pass_by(SKEW)
    session, token = sessions.start(anna, "192.0.2.1", "Firefox")
    clock.pass_by(-SKEW)
    assert sessions.find(token) == session
    assert sessions.password_is_recent(session)


# --- what is to be done ---


def test_letters_of_a_wrong_clock_leave_when_it_is_right_again(ports, mailer, database, clock):
    clock.pass_by(AHEAD)
    mail.put(ports, "a", "account_locked", "anna@example.org", "", {"login": "a", "at": 0, "address": ""}, None)
    clock.pass_by(-AHEAD)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1
    assert len(mailer.sent) == 1


def test_a_letter_that_a_wrong_clock_leased_is_delivered(ports, mailer, database, clock):
    mail.put(ports, "a", "account_locked", "anna@example.org", "", {"login": "a", "at": 0, "address": ""}, None)
    clock.pass_by(AHEAD)
    OutboxItem.get().lease(outbox.LEASE)
    clock.pass_by(-AHEAD)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 1


def test_what_another_node_leased_a_moment_ago_is_left_alone(ports, database, clock):
    mail.put(ports, "a", "account_locked", "anna@example.org", "", {"login": "a", "at": 0, "address": ""}, None)
    clock.pass_by(SKEW)
    OutboxItem.get().lease(outbox.LEASE)
    clock.pass_by(-SKEW)
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0
    assert not OutboxItem.get().lease(outbox.LEASE)


def test_a_file_of_users_that_a_wrong_clock_leased_goes_on(ports, people, clock):
    begun = UserImport.create(service=people.service, made_by_login="manager@example.org", state=UserImport.WANTED)
    clock.pass_by(AHEAD)
    assert begun.lease(imports.LEASE)
    clock.pass_by(-AHEAD)
    assert imports.work(ports) == 1


def test_a_change_of_passwords_that_a_wrong_clock_leased_goes_on(people, clock):
    change = PasswordChange.create(
        service=people.service,
        domain=people.domain,
        manager_login="manager@example.org",
        kind=PasswordChange.PASSWORDS,
        archive_format=PasswordChange.ZIP,
        phone="+393331234567",
        full_name="Mara",
        email="mara@example.com",
        state=PasswordChange.PREPARING,
    )
    clock.pass_by(AHEAD)
    assert change.lease("the worker that died", 15)
    clock.pass_by(-AHEAD)
    assert PasswordChange.get_by_id(change.id).lease("another", 15)


def test_storage_is_counted_again_after_a_clock_was_wrong(ports, people, clock, monkeypatch):
    slept = []
    monkeypatch.setattr(fullness, "monotonic", lambda: sum(slept))
    count = fullness.StorageCount()
    clock.pass_by(AHEAD)
    count.look(ports)
    clock.pass_by(-AHEAD)
    slept.append(fullness.REST)
    count.look(ports)
    assert Service.get().used_at == clock.moment


# --- networks ---


def networks(address: str) -> list[str]:
    """The networks that an attempt from this address counts for, found by what else counts for them."""
    return [counter.key for counter in GUESSES.from_address(address)]


@pytest.mark.parametrize(
    "written",
    ["::ffff:192.0.2.7", "64:ff9b::192.0.2.7", "64:ff9b::c000:207", "2002:c000:207::1", "192.0.2.200"],
)
def test_ipv4_however_it_is_written_is_its_own_network(written):
    assert networks(written) == networks("192.0.2.1")
    assert networks(written) != networks("64:ff9b::198.51.100.7")
    assert throttle.network_of(written) == "192.0.2.0/24"


def test_of_ipv6_a_subnet_counts_and_so_does_all_that_one_party_may_hold():
    narrow, wide = networks("2001:db8:7:1::1")
    assert networks("2001:db8:7:1:ffff::2") == [narrow, wide]
    assert networks("2001:db8:7:2::1")[0] != narrow
    assert networks("2001:db8:7:ffff::1")[1] == wide
    assert wide not in networks("2001:db8:8:1::1")


def test_who_holds_a_wide_network_does_not_guess_from_each_subnet_anew(clock, database):
    subnets = [f"2001:db8:7:{number:x}::1" for number in range(GUESSES.free * (throttle.WIDER + 1))]
    waits = [seconds_to_wait(*GUESSES.from_address(address)) for address in subnets]
    assert waits.count(0) == GUESSES.free * throttle.WIDER


@pytest.mark.parametrize("address", ["", "unknown", "fe80::1%eth0", "2001:db8::1%a/b"])
def test_any_address_has_a_network(address):
    assert GUESSES.from_address(address)
    assert throttle.network_of(address) is not None
