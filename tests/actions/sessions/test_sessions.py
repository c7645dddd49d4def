"""Signed-in browsers."""

import pytest

from actions.ground.ports import Connection
from actions.ground.unit_of_work import UnitOfWork
from actions.revocation import revocation
from actions.sessions import sessions
from lab.actors import acting
from models import Account, AuditEvent, OutboxItem
from tests.conftest import cuts_at_once


def started(account):
    return sessions.start(account, "192.0.2.1", "a browser")[1]


def use(token):
    session = sessions.find(token)
    if session:
        sessions.seen(session, "192.0.2.1")
    return session is not None


@pytest.mark.parametrize("role", [Account.PERSON, Account.ADMINISTRATOR, Account.OWNER, Account.OPERATOR])
def test_an_idle_session_ends(people, clock, role):
    account = people.add("somebody", role=role)
    token = started(account)
    clock.pass_by(sessions.lifetime_of(account).idle - 1)
    assert use(token)
    clock.pass_by(sessions.lifetime_of(account).idle - 1)
    assert use(token)
    clock.pass_by(sessions.lifetime_of(account).idle)
    assert not use(token)


def test_a_session_in_use_ends_after_its_whole_time(anna, clock):
    token, began = started(anna), clock.moment
    while use(token):
        clock.pass_by(60)
    assert clock.moment == began + 8 * 3600


def test_managers_sessions_are_shorter(manager, clock):
    token, began = started(manager), clock.moment
    while use(token):
        clock.pass_by(60)
    assert clock.moment == began + 3600
    token = started(manager)
    clock.pass_by(600)
    assert not use(token)


@pytest.mark.parametrize("state", [Account.SUSPENDED, Account.LOCKED])
def test_a_stopped_accounts_sessions_count_no_more(anna, state):
    token = started(anna)
    Account.update(state=state).execute()
    assert sessions.find(token) is None
    assert sessions.living(Account.get_by_id(anna.id)) == []


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "' OR 1=1 --", "é" * 5000])
def test_a_made_up_token_is_nobodys(anna, token):
    started(anna)
    assert sessions.find(token) is None


def test_tokens_are_all_different(anna):
    assert len({started(anna) for _ in range(20)}) == 20


def test_being_seen_is_written_down_now_and_then(anna, clock, statements):
    session = sessions.find(started(anna))
    del statements[:]
    sessions.seen(session, "192.0.2.1")
    assert statements == []
    sessions.seen(session, "192.0.2.2")
    assert sessions.living(anna)[0].address == "192.0.2.2"


def test_ending_one_leaves_the_others(ports, anna):
    first, second = acting(anna), acting(anna)
    sessions.end(UnitOfWork(ports, first), second.session)
    assert sessions.living(anna) == [first.session]


def test_signing_out_ends_the_own_session(ports, anna):
    first, second = acting(anna), acting(anna)
    sessions.sign_out(UnitOfWork(ports, first))
    assert sessions.living(anna) == [second.session]


def test_ending_all_others_keeps_this_one_and_other_people(ports, mail_server, anna, boris):
    mail_server.connected = [Connection(each.login, "imap", "198.51.100.7") for each in (anna, boris)]
    mine, others = acting(anna), [acting(anna), acting(anna)]
    his = acting(boris)
    assert cuts_at_once(revocation.end_others, UnitOfWork(ports, mine))
    assert sessions.living(anna) == [mine.session]
    assert sessions.living(boris) == [his.session]
    assert [each.user for each in mail_server.connected] == [boris.login]
    event = AuditEvent.select().order_by(AuditEvent.id.desc()).get()
    assert event.details["browsers"] == len(others)


def test_what_the_mail_server_did_not_hear_waits_in_the_outbox(ports, mail_server, anna):
    mail_server.is_down = True
    assert not cuts_at_once(revocation.end_others, UnitOfWork(ports, acting(anna)))
    assert OutboxItem.open_items().count()


def test_the_password_counts_as_recent_for_five_minutes(ports, anna, clock):
    actor = acting(anna)
    clock.pass_by(299)
    assert sessions.password_is_recent(actor.session)
    clock.pass_by(1)
    assert not sessions.password_is_recent(actor.session)
    renewed, _ = sessions.renew(UnitOfWork(ports, actor))
    assert sessions.password_is_recent(renewed)
    assert sessions.living(anna) == [renewed]


def test_one_token_makes_a_browser_known_to_each_account_by_itself(anna, boris):
    token = sessions.remember_browser(anna, None)
    assert not sessions.is_known_browser(boris, token)
    assert sessions.remember_browser(boris, token) == token
    sessions.forget_browsers([anna])
    assert not sessions.is_known_browser(anna, token)
    assert sessions.is_known_browser(boris, token)
    assert not sessions.is_known_browser(None, token)
