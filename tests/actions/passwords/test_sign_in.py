"""Signing in, and what stands in the way of guessing."""

import pytest

from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import guesses, passwords, recovery
from actions.passwords import sign_in as ways_in
from actions.sessions import links, sessions
from lab.actors import acting
from models import Account, Attempts, AuditEvent, KnownBrowser, WebSession
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD


def try_to_sign_in(ports, login, password, address="192.0.2.1", browser=None):
    """ "in", "refused" or "wait"."""
    try:
        ways_in.sign_in(UnitOfWork(ports, Actor(address=address)), login, password, browser)
    except Refused:
        return "refused"
    except TooManyAttempts:
        return "wait"
    return "in"


@pytest.mark.parametrize("typed", ["anna@example.org", "  Anna@Example.ORG \n"])
def test_the_right_password_opens_a_session(ports, stranger, anna, typed):
    signed_in = ways_in.sign_in(UnitOfWork(ports, stranger), typed, PASSWORD, None)
    assert sessions.find(signed_in.token) == signed_in.session
    assert signed_in.session.account == anna
    assert sessions.password_is_recent(signed_in.session)
    assert sessions.is_known_browser(anna, signed_in.browser)


def test_the_token_is_kept_only_as_its_hash(ports, stranger, anna):
    signed_in = ways_in.sign_in(UnitOfWork(ports, stranger), anna.login, PASSWORD, None)
    kept = [str(row) for table in (WebSession, KnownBrowser) for row in table.select().dicts()]
    assert not [row for row in kept if signed_in.token in row or signed_in.browser in row]


@pytest.mark.parametrize("login", [None, [], "", "\0", "anna", "anna@example.org\0", "' OR 1=1 --", "x" * 9999, 7])
def test_a_login_that_is_none_is_refused(ports, anna, login):
    assert try_to_sign_in(ports, login, PASSWORD) == "refused"


@pytest.mark.parametrize("password", [None, [], [PASSWORD], "", 0, True, "wrong", PASSWORD + "\0", "x" * 100_000])
def test_a_password_that_is_wrong_is_refused(ports, anna, password):
    assert try_to_sign_in(ports, anna.login, password) == "refused"
    assert WebSession.select().count() == 0


@pytest.mark.parametrize("state", [Account.LOCKED, Account.SUSPENDED])
def test_who_is_locked_or_suspended_does_not_get_in(ports, people, state):
    account = people.add("stopped", state=state)
    assert try_to_sign_in(ports, account.login, PASSWORD) == "refused"


def test_an_account_without_a_password_is_opened_by_none(ports, people):
    account = people.add("new", None)
    assert [try_to_sign_in(ports, account.login, each) for each in ("", None, "x")] == ["refused"] * 3


@pytest.mark.parametrize("browser", [None, "some browser"])
def test_known_and_unknown_logins_are_told_the_same_after_the_same_work(
    ports, people, stranger, statements, monkeypatch, browser
):
    people.add("anna")
    people.add("new", None)
    people.add("locked", state=Account.LOCKED)
    verified = []
    real = passwords.verify
    monkeypatch.setattr(passwords, "verify", lambda *given: verified.append(given) or real(*given))
    told, work = set(), set()
    for login in ("anna@example.org", "nobody@example.org", "new@example.org", "locked@example.org"):
        del statements[:], verified[:]
        with pytest.raises(Refused) as refusal:
            ways_in.sign_in(UnitOfWork(ports, stranger), login, "wrong", browser)
        told.add((str(refusal.value), refusal.value.field))
        work.add((len(verified), tuple(statement.split()[0] for statement in statements)))
    assert len(told) == 1
    assert len(work) == 1


def test_every_password_is_verified_at_the_usual_cost(ports, people, monkeypatch):
    """Also where there is nothing to verify: another cost would tell known logins from unknown ones."""
    hashes = []
    hasher = passwords.hasher(ports.settings)
    real = type(hasher).verify
    monkeypatch.setattr(
        type(hasher), "verify", lambda self, stored, given: hashes.append(stored) or real(self, stored, given)
    )
    people.add("anna")
    people.add("new", None)
    for login in ("anna@example.org", "nobody@example.org", "new@example.org"):
        assert try_to_sign_in(ports, login, "wrong") == "refused"
    assert [hasher.check_needs_rehash(stored) for stored in hashes] == [False] * 3


def test_five_guesses_are_free_then_it_gets_slow_and_stops(ports, anna, clock):
    limit = guesses.FROM_NETWORK_TO_ACCOUNT
    assert [try_to_sign_in(ports, anna.login, "wrong") for _ in range(7)] == ["refused"] * 5 + ["wait"] * 2
    judged, began = 5, clock.moment
    while clock.moment < began + limit.window - 61:
        clock.pass_by(1)
        judged += try_to_sign_in(ports, anna.login, "wrong") == "refused"
    assert judged == limit.ceiling
    clock.pass_by(limit.window)
    assert try_to_sign_in(ports, anna.login, PASSWORD) == "in"


def test_waiting_is_the_same_for_an_unknown_login(ports, anna, clock):
    def tried(login, network):
        return [try_to_sign_in(ports, login, "wrong", f"198.51.{network}.1") for _ in range(8)]

    assert tried(anna.login, 1) == tried("nobody@example.org", 2)


def test_neighbours_in_one_network_are_one_guesser(ports, anna, clock):
    tries = [try_to_sign_in(ports, anna.login, "wrong", f"198.51.100.{host}") for host in range(1, 8)]
    assert tries.count("refused") == 5
    tries = [try_to_sign_in(ports, "b@example.org", "wrong", f"2001:db8:0:7:{host:x}::1") for host in range(1, 8)]
    assert tries.count("refused") == 5


def test_ipv4_inside_ipv6_is_the_same_network_as_without(ports, anna, clock):
    tries = [try_to_sign_in(ports, anna.login, "wrong", f"::ffff:198.51.100.{host}") for host in range(1, 4)]
    tries += [try_to_sign_in(ports, anna.login, "wrong", f"198.51.100.{host}") for host in range(4, 8)]
    assert tries == ["refused"] * 5 + ["wait"] * 2
    assert try_to_sign_in(ports, anna.login, "wrong", "::ffff:203.0.113.1") == "refused"


def test_a_right_password_forgives_its_own_network_only(ports, anna, clock):
    for _ in range(4):
        try_to_sign_in(ports, anna.login, "wrong")
    assert try_to_sign_in(ports, anna.login, PASSWORD) == "in"
    assert [try_to_sign_in(ports, anna.login, "wrong") for _ in range(6)] == ["refused"] * 5 + ["wait"]


def test_a_thousand_guesses_from_everywhere_do_not_stand_in_the_owners_way(ports, anna, clock):
    known = ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.1")), anna.login, PASSWORD, None).browser
    outcomes = [
        try_to_sign_in(ports, anna.login, f"guess {number}", f"198.{18 + number % 2}.{number % 250}.{number % 7}")
        for number in range(1000)
        if not clock.pass_by(1)
    ]
    assert outcomes.count("refused") <= guesses.STRANGERS_TO_ACCOUNT.ceiling
    assert try_to_sign_in(ports, anna.login, PASSWORD, "203.0.113.1", known) == "in"
    assert try_to_sign_in(ports, anna.login, PASSWORD, "203.0.113.1", "a made-up browser") == "wait"


def test_a_known_browser_is_no_way_around_the_throttle(ports, anna, boris, clock):
    known = ways_in.sign_in(UnitOfWork(ports, Actor(address="192.0.2.1")), anna.login, PASSWORD, None).browser
    tries = [try_to_sign_in(ports, anna.login, "wrong", f"198.51.{n}.1", known) for n in range(8)]
    assert tries == ["refused"] * 5 + ["wait"] * 3
    assert not sessions.is_known_browser(boris, known)
    tries = [try_to_sign_in(ports, boris.login, "wrong", "198.51.100.1", known) for _ in range(8)]
    assert tries.count("refused") == 5


def test_guesses_against_many_accounts_from_one_network_stop_too(ports, people, clock):
    outcomes = [try_to_sign_in(ports, f"nobody{n}@example.org", "wrong") for n in range(guesses.FROM_NETWORK.free + 3)]
    assert outcomes == ["refused"] * guesses.FROM_NETWORK.free + ["wait"] * 3


def test_guesses_at_the_same_instant_are_counted_one_by_one(ports, anna, clock):
    outcomes = at_the_same_instant(*[lambda: try_to_sign_in(ports, anna.login, "wrong")] * 12)
    assert sorted(outcomes) == ["refused"] * 5 + ["wait"] * 7


def test_one_browser_in_two_tabs_at_the_same_instant_gets_in_twice(ports, anna):
    outcomes = at_the_same_instant(*[lambda: try_to_sign_in(ports, anna.login, PASSWORD, browser="own")] * 3)
    assert outcomes == ["in"] * 3
    assert KnownBrowser.select().count() == 1


def test_a_browser_that_was_forgotten_by_age_becomes_known_again(ports, anna, clock):
    assert try_to_sign_in(ports, anna.login, PASSWORD, browser="own") == "in"
    clock.pass_by(sessions.BROWSER_REMEMBERED)
    assert not sessions.is_known_browser(anna, "own")
    assert try_to_sign_in(ports, anna.login, PASSWORD, browser="own") == "in"
    assert sessions.is_known_browser(anna, "own")


@pytest.mark.parametrize("meanwhile", ["changed", "locked"])
def test_who_verified_the_old_password_just_before_a_change_does_not_get_in(
    ports, anna, stranger, clock, monkeypatch, meanwhile
):
    real = passwords.verify

    def verify(*given):
        right = real(*given)
        monkeypatch.setattr(passwords, "verify", real)
        clock.pass_by(1)
        if meanwhile == "changed":
            passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, "Other-Garden-8", everywhere=True)
        else:
            link = links.find(links.create(anna, links.DISOWN), (links.DISOWN,))
            recovery.lock(UnitOfWork(ports, stranger), link)
        return right

    monkeypatch.setattr(passwords, "verify", verify)
    assert try_to_sign_in(ports, anna.login, PASSWORD) == "refused"
    assert WebSession.select().count() == 0


def test_every_attempt_is_in_the_audit_trail_and_what_was_typed_is_not(ports, anna):
    try_to_sign_in(ports, anna.login, "wrong-secret-1")
    try_to_sign_in(ports, "typed-into-the-wrong-field", "x")
    try_to_sign_in(ports, anna.login, PASSWORD)
    events = list(AuditEvent.select().order_by(AuditEvent.id).dicts())
    assert [(event["action"], event["account"], event["address"]) for event in events] == [
        ("web:session:refused", anna.id, "192.0.2.1"),
        ("web:session:refused", None, "192.0.2.1"),
        ("web:session:started", anna.id, "192.0.2.1"),
    ]
    written = str(events) + str(list(Attempts.select().dicts()))
    assert not [each for each in ("wrong-secret-1", "typed-into", PASSWORD) if each in written]
