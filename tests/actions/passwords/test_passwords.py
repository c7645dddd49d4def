"""Changing the account's password."""

from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from actions.ground import throttle
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, policy
from actions.passwords import sign_in as ways_in
from actions.sessions import sessions
from actions.trail import audit
from lab.actors import acting
from models import Account, AuditEvent, KnownBrowser, OneTimeLink, OutboxItem, WebSession
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once
from tests.numbers import give_again

NEW = "Other-Garden-8"


def opens(settings, account, password):
    return passwords.verify(settings, Account.get_by_id(account.id).password_hash, password)


def state_of_everything():
    """All but that wrong passwords were given, which stands in the trail."""
    told = AuditEvent.select().where(AuditEvent.action != "web:password:refused")
    return [list(table.select().order_by(*table._meta.sorted_fields).dicts()) for table in (Account, WebSession)] + [
        query.count() for query in (OneTimeLink.select(), OutboxItem.select(), KnownBrowser.select(), told)
    ]


def test_the_new_password_replaces_the_old_one(ports, settings, anna, clock):
    clock.pass_by(60)
    renewed = passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    assert opens(settings, anna, NEW)
    assert not opens(settings, anna, PASSWORD)
    assert Account.get_by_id(anna.id).password_changed_at == clock.moment
    assert sessions.living(anna) == [renewed[0]]


def test_a_change_leaves_sessions_and_connections_alone(ports, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    acting(anna)
    sessions.remember_browser(anna, "some browser")
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    assert len(sessions.living(anna)) == 2
    assert len(mail_server.connected) == 1
    assert sessions.is_known_browser(anna, "some browser")


def test_logging_out_from_everywhere_ends_what_used_the_old_password(ports, mail_server, anna, boris):
    others = [Connection(boris.login, "imap", "198.51.100.7")]
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7"), *others]
    acting(boris)
    acting(anna)
    for browser in ("own", "another"):
        sessions.remember_browser(anna, browser)
    unit = UnitOfWork(ports, acting(anna))
    assert passwords.change(unit, PASSWORD, NEW, everywhere=True, browser="own") is None
    assert not unit.is_pending
    assert sessions.living(anna) == []
    assert len(sessions.living(boris)) == 1
    assert mail_server.connected == others
    assert sessions.is_known_browser(anna, "own")
    assert not sessions.is_known_browser(anna, "another")


def test_when_the_mail_server_is_down_the_change_is_made_and_the_rest_waits(ports, mail_server, anna, settings):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    mail_server.is_down = True
    assert not cuts_at_once(passwords.change, UnitOfWork(ports, acting(anna)), PASSWORD, NEW, everywhere=True)
    assert opens(settings, anna, NEW)
    assert OutboxItem.open_items().where(OutboxItem.kind == "connections").count() == 2


def test_what_would_end_is_told_before(ports, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7", 3)]
    for _browser in range(2):
        acting(anna)
    told = passwords.consequences(ports, anna)
    assert (told.browsers, told.programs, told.programs_unknown) == (2, mail_server.connected, False)
    mail_server.is_down = True
    assert passwords.consequences(ports, anna).programs_unknown


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        [],
        [PASSWORD],
        {"password": PASSWORD},
        0,
        True,
        "0e1",
        "wrong",
        PASSWORD + "\0",
        PASSWORD.lower(),
        "\n",
    ],
)
def test_a_wrong_current_password_changes_nothing(ports, settings, anna, wrong):
    actor = acting(anna)
    before = state_of_everything()
    with pytest.raises(Refused) as refusal:
        passwords.change(UnitOfWork(ports, actor), wrong, NEW, everywhere=True)
    assert refusal.value.field == "current_password"
    assert state_of_everything() == before


def test_passwords_are_compared_as_text_and_never_as_numbers(ports, settings, people):
    account = people.add("numbers", "0e2")
    with pytest.raises(Refused):
        passwords.change(UnitOfWork(ports, acting(account)), "0e1", NEW)
    assert opens(settings, account, "0e2")


@pytest.mark.parametrize(
    "unfit",
    [None, "", [NEW], "short", PASSWORD, "Password1!", "Anna-Keller-7", NEW + "\0", NEW + "\n", NEW + "\u200f"]
    + [NEW + "x" * 115, NEW * 1_000_000],
    ids=lambda value: repr(value)[:24],
)
def test_an_unfit_new_password_changes_nothing(ports, anna, unfit):
    actor = acting(anna)
    before = state_of_everything()
    with pytest.raises(Refused) as refusal:
        passwords.change(UnitOfWork(ports, actor), PASSWORD, unfit, everywhere=True)
    assert refusal.value.field == "new_password"
    assert state_of_everything() == before


@pytest.mark.parametrize(
    "unusual", ["{PLAIN}x-Xyz9", "' OR 1=1; Or'--", "Vu7😀kqzw", "%s%(x)s{{7*7}}Aa", "\\'\"`$(id)Aa1"]
)
def test_an_unusual_password_is_taken_as_it_is(ports, settings, anna, unusual):
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, unusual)
    assert opens(settings, anna, unusual)
    assert Account.get_by_id(anna.id).password_hash.startswith("$argon2id$")


def test_a_password_opens_the_panel_in_every_form_in_which_browsers_send_it(ports, settings, anna):
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, "Z\u00e9bre Gr\u00fcn-8")
    assert PasswordHasher().verify(Account.get_by_id(anna.id).password_hash, "Z\u00e9bre Gr\u00fcn-8")
    for typed in ("Z\u00e9bre Gr\u00fcn-8", "Ze\u0301bre Gru\u0308n-8", "Z\u00e9bre\u00a0Gr\u00fcn-8"):
        assert opens(settings, anna, typed)


def test_a_password_that_could_not_be_set_today_goes_on_opening_the_panel(ports, settings, anna):
    anna.write(password_hash=passwords.hash_password(settings, policy.prepared("Ze\u0301bre\u00a0Gru\u0308n-8 ")))
    assert opens(settings, anna, "Ze\u0301bre\u00a0Gru\u0308n-8 ")
    passwords.change(UnitOfWork(ports, acting(anna)), "Ze\u0301bre\u00a0Gru\u0308n-8 ", NEW)
    assert opens(settings, anna, NEW)


def test_a_breached_password_is_refused_where_the_host_asks(ports, anna):
    class Everything:
        def contain(self, password):
            return password == NEW

    with pytest.raises(Refused) as refusal:
        passwords.change(UnitOfWork(replace(ports, breaches=Everything()), acting(anna)), PASSWORD, NEW)
    assert refusal.value.field == "new_password"


def test_a_change_lifts_the_demand_for_one(ports, people):
    account = people.add("fresh", must_change_password=True)
    passwords.change(UnitOfWork(ports, acting(account)), PASSWORD, NEW)
    assert not Account.get_by_id(account.id).must_change_password


def test_a_second_tab_with_the_old_form_changes_nothing(ports, settings, anna):
    first, second = acting(Account.get_by_id(anna.id)), acting(Account.get_by_id(anna.id))
    passwords.change(UnitOfWork(ports, first), PASSWORD, NEW)
    with pytest.raises(Refused) as refusal:
        passwords.change(UnitOfWork(ports, second), PASSWORD, "Third-Garden-9")
    assert refusal.value.field == "current_password"
    assert opens(settings, anna, NEW)


def test_of_two_changes_at_the_same_instant_exactly_one_wins(ports, settings, anna):
    wanted = [NEW, "Third-Garden-9", "Fourth-Garden-1"]
    actors = [acting(Account.get_by_id(anna.id)) for _ in wanted]
    outcomes = at_the_same_instant(
        *(
            lambda a=a, w=w: passwords.change(UnitOfWork(ports, a), PASSWORD, w)
            for a, w in zip(actors, wanted, strict=True)
        )
    )
    won = [password for password, outcome in zip(wanted, outcomes, strict=True) if not isinstance(outcome, Refused)]
    assert len(won) == 1
    assert all(isinstance(outcome, tuple | Refused) for outcome in outcomes)
    assert opens(settings, anna, won[0])
    assert AuditEvent.select().where(AuditEvent.action == "web:password:changed").count() == 1
    assert OneTimeLink.select().count() == 1


def test_a_failure_in_the_middle_leaves_nothing_half_done(ports, settings, anna, monkeypatch):
    actor = acting(anna)
    before = state_of_everything()
    monkeypatch.setattr(audit, "record", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        passwords.change(UnitOfWork(ports, actor), PASSWORD, NEW, everywhere=True)
    assert state_of_everything() == before


def test_guessing_the_current_password_gets_slow_and_then_stops(ports, anna, clock):
    actor = acting(anna)
    outcomes = []
    for _ in range(60):
        try:
            passwords.change(UnitOfWork(ports, actor), "wrong", NEW)
        except Refused:
            outcomes.append("judged")
        except throttle.TooManyAttempts as refusal:
            outcomes.append(refusal.wait)
            clock.pass_by(min(refusal.wait, 60))
    limit = passwords.CONFIRMATIONS
    assert outcomes[: limit.free] == ["judged"] * limit.free
    assert outcomes[limit.free] != "judged"
    assert outcomes.count("judged") <= 2 * limit.ceiling


def test_guesses_in_a_session_that_ended_are_not_counted_against_the_next(ports, anna, boris, clock):
    """Not even where the next one has its number, as it may after a restore."""
    guesser = acting(anna)
    for _ in range(passwords.CONFIRMATIONS.free):
        with pytest.raises(Refused):
            passwords.change(UnitOfWork(ports, guesser), "wrong", NEW)
    sessions.sign_out(UnitOfWork(ports, guesser))
    give_again(WebSession, guesser.session.id)
    successor = acting(boris)
    assert successor.session.id == guesser.session.id
    passwords.change(UnitOfWork(ports, successor), PASSWORD, NEW)


@pytest.mark.parametrize(("time_cost", "memory_cost"), [(1, 1024), (2, 9000), (1, 8192)])
def test_a_hash_of_another_cost_is_good_and_renewed_at_sign_in(
    ports, settings, stranger, people, time_cost, memory_cost
):
    other = PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=1).hash(PASSWORD)
    account = people.add("other")
    Account.update(password_hash=other).execute()
    assert ways_in.sign_in(UnitOfWork(ports, stranger), account.login, PASSWORD, None).session.account == account
    renewed = Account.get_by_id(account.id).password_hash
    assert renewed != other
    assert not passwords.hasher(settings).check_needs_rehash(renewed)
    assert opens(settings, account, PASSWORD)


def test_a_hash_of_the_present_cost_stays_as_it_is(ports, anna, stranger):
    ways_in.sign_in(UnitOfWork(ports, stranger), anna.login, PASSWORD, None)
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


@pytest.mark.parametrize("stored", [None, "", "x", "{PLAIN}secret", "$argon2id$v=19$m=8,t=1,p=1$", "$1$abc$def"])
def test_what_is_no_hash_is_opened_by_nothing(settings, stored):
    assert not passwords.verify(settings, stored, PASSWORD)
    assert not passwords.verify(settings, stored, stored)
