"""One-time links, and what they are for: getting back in, and keeping somebody else out."""

import re

import pytest

import worker
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.passwords import sign_in as ways_in
from actions.services import mailboxes
from actions.sessions import links, sessions
from actions.users import users
from database import database
from lab.actors import acting
from models import Account, AuditEvent, OneTimeLink, OutboxItem, WebSession
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once

NEW = "Other-Garden-8"
EVERY = tuple(links.LIFETIMES)


def link_of(account, purpose):
    return links.find(links.create(account, purpose), (purpose,))


def opens(settings, account, password):
    return passwords.verify(settings, Account.get_by_id(account.id).password_hash, password)


def refusal_in_mail(account):
    return database.execute_sql(f"SELECT refusal FROM mail_login WHERE login_id = {account.id}").fetchone()[0]


def letters(mailer):
    return [(recipient, message["Subject"]) for recipient, message in mailer.sent]


# --- links ---


def test_every_link_that_sets_a_password_has_an_event_for_it():
    assert set(recovery.SET_BY) == set(links.SETS_PASSWORD)


@pytest.mark.parametrize("purpose", EVERY)
def test_a_link_opens_until_its_time_is_over(anna, clock, purpose):
    token = links.create(anna, purpose)
    clock.pass_by(links.LIFETIMES[purpose] - 1)
    assert links.find(token, (purpose,))
    clock.pass_by(1)
    assert links.find(token, (purpose,)) is None


def test_a_link_that_expires_while_its_form_is_open_is_not_used(ports, anna, stranger, clock):
    link = link_of(anna, links.RESET)
    clock.pass_by(links.LIFETIMES[links.RESET])
    with pytest.raises(Refused):
        recovery.set_password(UnitOfWork(ports, stranger), link, NEW)


def test_a_clock_that_is_set_back_revives_no_used_link(anna, clock):
    token = links.create(anna, links.RESET)
    links.find(token, (links.RESET,)).use()
    clock.pass_by(-86400)
    assert links.find(token, (links.RESET,)) is None


@pytest.mark.parametrize("purpose", EVERY)
def test_a_link_serves_its_own_purpose_only(anna, purpose):
    token = links.create(anna, purpose)
    assert links.find(token, tuple(other for other in EVERY if other != purpose)) is None


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "' OR 1=1 --", "é" * 5000])
def test_a_made_up_token_opens_nothing(anna, token):
    links.create(anna, links.RESET)
    assert links.find(token, EVERY) is None


def test_a_token_is_kept_only_as_its_hash(anna):
    token = links.create(anna, links.RESET)
    assert token not in str(list(OneTimeLink.select().dicts()))


def test_a_newer_link_replaces_the_older_one_of_the_same_account(anna, boris):
    older, his = links.create(anna, links.WELCOME), links.create(boris, links.RESET)
    newer = links.create(anna, links.RESET)
    assert links.find(older, EVERY) is None
    assert links.find(newer, EVERY)
    assert links.find(his, EVERY)


def test_links_that_set_a_password_are_void_after_a_change(ports, anna):
    token = links.create(anna, links.RESET)
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    assert links.find(token, EVERY) is None


def test_a_link_that_was_open_while_the_password_changed_is_not_used(ports, settings, anna, stranger):
    link = link_of(anna, links.RESET)
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    with pytest.raises(Refused):
        recovery.set_password(UnitOfWork(ports, stranger), link, "Third-Garden-9")
    assert opens(settings, anna, NEW)


def test_this_was_not_me_outlives_further_changes(ports, anna, stranger):
    token = links.create(anna, links.DISOWN)
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    passwords.change(UnitOfWork(ports, acting(anna)), NEW, "Third-Garden-9")
    recovery.lock(UnitOfWork(ports, stranger), links.find(token, (links.DISOWN,)))
    assert Account.get_by_id(anna.id).state == Account.LOCKED


@pytest.mark.parametrize("purpose", [links.RESET, links.WELCOME, links.RECOVER])
def test_a_link_is_used_once_however_many_come_at_the_same_instant(ports, settings, anna, stranger, purpose):
    token = links.create(anna, purpose)
    found = [links.find(token, (purpose,)) for _ in range(5)]
    outcomes = at_the_same_instant(
        *(
            lambda link=link, n=n: recovery.set_password(UnitOfWork(ports, stranger), link, f"{n}-Other-Garden")
            for n, link in enumerate(found)
        )
    )
    won = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(won) == 1
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 4
    assert opens(settings, anna, f"{won[0]}-Other-Garden")


def test_this_was_not_me_locks_once_however_many_come_at_the_same_instant(ports, anna, stranger):
    token = links.create(anna, links.DISOWN)
    found = [links.find(token, (links.DISOWN,)) for _ in range(4)]
    outcomes = at_the_same_instant(
        *(lambda link=link: recovery.lock(UnitOfWork(ports, stranger), link) for link in found)
    )
    assert outcomes.count(None) == 1
    assert AuditEvent.select().where(AuditEvent.action == "link:account:locked").count() == 1


def test_addresses_are_built_from_the_base_url(settings, anna):
    for purpose in EVERY:
        token = links.create(anna, purpose)
        address = links.address(settings, purpose, token)
        assert address.startswith(settings.base_url + "/links/")
        assert address.endswith("/" + token)


# --- a new password through a link ---


def test_a_new_password_through_a_link_ends_everything(ports, settings, mail_server, anna, stranger):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    acting(anna)
    sessions.remember_browser(anna, "a browser")
    unit = UnitOfWork(ports, stranger)
    browser = recovery.set_password(unit, link_of(anna, links.RESET), NEW)
    assert not unit.is_pending
    assert opens(settings, anna, NEW)
    assert mail_server.connected == []
    assert WebSession.select().count() == 0
    assert not sessions.is_known_browser(anna, "a browser")
    assert sessions.is_known_browser(anna, browser)


@pytest.mark.parametrize("unfit", [None, "", [], "short", "Password1!", "x" * 129, NEW + "\0"])
def test_a_password_that_is_not_accepted_leaves_the_link_as_it_is(ports, anna, stranger, unfit):
    link = link_of(anna, links.RESET)
    with pytest.raises(Refused):
        recovery.set_password(UnitOfWork(ports, stranger), link, unfit)
    assert cuts_at_once(recovery.set_password, UnitOfWork(ports, stranger), link, NEW)


@pytest.mark.parametrize(("purpose", "notices"), [(links.RESET, 2), (links.RECOVER, 2), (links.WELCOME, 0)])
def test_the_owner_is_told_unless_it_is_the_first_password(ports, mailer, anna, stranger, purpose, notices):
    recovery.set_password(UnitOfWork(ports, stranger), link_of(anna, purpose), NEW)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert len(mailer.sent) == notices


def test_when_the_mail_server_is_down_the_new_password_is_set(ports, settings, mail_server, anna, stranger):
    mail_server.is_down = True
    assert not cuts_at_once(recovery.set_password, UnitOfWork(ports, stranger), link_of(anna, links.RESET), NEW)
    assert opens(settings, anna, NEW)


# --- forgotten ---


def test_the_link_goes_to_the_contact_address_only(ports, settings, mailer, anna, stranger):
    recovery.ask_for_link(UnitOfWork(ports, stranger), "  Anna@Example.org ")
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    ((recipient, message),) = mailer.sent
    assert recipient == anna.contact_email
    assert f"{settings.base_url}/links/password/" in message.get_body(("plain",)).get_content()


def test_asking_does_the_same_for_every_login(ports, people, stranger, statements):
    people.add("anna")
    people.add("nocontact", contact_email="")
    people.add("locked", state=Account.LOCKED)
    work = set()
    for name in ("anna", "nobody", "nocontact", "locked"):
        del statements[:]
        assert recovery.ask_for_link(UnitOfWork(ports, stranger), f"{name}@example.org") is None
        work.add(tuple(statement.split()[0] for statement in statements))
    assert len(work) == 1


@pytest.mark.parametrize("columns", [{"contact_email": ""}, {"state": Account.LOCKED}, {"state": Account.SUSPENDED}])
def test_who_cannot_be_helped_gets_no_letter(ports, mailer, people, stranger, columns):
    account = people.add("somebody", **columns)
    for login in (account.login, "nobody@example.org", "", None, [], "x" * 9999):
        recovery.ask_for_link(UnitOfWork(ports, stranger), login)
    with pytest.raises(Refused):
        recovery.ask_for_link(UnitOfWork(ports, stranger), "\0")
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    assert mailer.sent == []
    assert OneTimeLink.select().count() == 0
    assert OutboxItem.open_items().count() == 0


def test_there_is_no_second_link_within_three_hours(ports, mailer, anna, stranger, clock):
    def letters_after(seconds):
        clock.pass_by(seconds)
        recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login)
        while outbox.deliver_due(ports, worker.HANDLERS):
            pass
        return len(mailer.sent)

    assert [letters_after(seconds) for seconds in (0, 1, 61, 3600, 7000)] == [1, 1, 1, 1, 1]
    assert letters_after(3600) == 2


@pytest.mark.parametrize("purpose", [links.WELCOME, links.HANDED_OUT])
def test_a_stranger_who_asks_voids_no_link_that_others_sent(ports, settings, people, mailer, stranger, purpose):
    """A person who lost the e-mail asks for another; one who has it uses it. The first link used voids the other."""
    new = people.add("new", password=None)
    sent = links.create(new, purpose)
    recovery.ask_for_link(UnitOfWork(ports, stranger), new.login)
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    ((_, letter),) = mailer.sent
    asked_for = re.search(r"/links/password/(\S+)", letter.get_body(("plain",)).get_content())[1]
    link = links.find(sent, links.SETS_PASSWORD)
    assert link
    assert links.find(asked_for, links.SETS_PASSWORD)
    used, other = (sent, asked_for) if purpose == links.WELCOME else (asked_for, sent)
    recovery.set_password(UnitOfWork(ports, stranger), links.find(used, links.SETS_PASSWORD), NEW)
    assert links.find(other, EVERY) is None
    assert opens(settings, new, NEW)


def test_what_a_manager_sends_voids_what_was_asked_for(ports, anna, manager, mailer, stranger):
    recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login)
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    assert links.open_link(anna, links.RESET)
    before = OneTimeLink.get()
    users.send_link(UnitOfWork(ports, acting(manager)), anna.mailbox)
    assert OneTimeLink.get_by_id(before.id).used_at
    assert links.open_link(anna, links.RESET)


def test_asking_for_many_gets_slow(ports, stranger, clock):
    limit = recovery.REQUESTS_FROM_NETWORK
    for number in range(limit.free):
        recovery.ask_for_link(UnitOfWork(ports, stranger), f"nobody{number}@example.org")
    with pytest.raises(TooManyAttempts):
        recovery.ask_for_link(UnitOfWork(ports, stranger), "another@example.org")
    recovery.ask_for_link(UnitOfWork(ports, Actor(address="203.0.113.9")), "another@example.org")


def test_strangers_in_the_same_network_do_not_keep_the_owner_from_asking(ports, mailer, anna, stranger):
    browser = sessions.remember_browser(anna, None)
    for number in range(recovery.REQUESTS_FROM_NETWORK.free):
        recovery.ask_for_link(UnitOfWork(ports, stranger), f"nobody{number}@example.org")
    for another_browser in (None, "made up"):
        with pytest.raises(TooManyAttempts):
            recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login, another_browser)
    recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login, browser)
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    assert [recipient for recipient, _ in mailer.sent] == [anna.contact_email]


def test_a_known_browser_asks_for_its_own_account_only_and_not_without_end(ports, anna, boris, stranger):
    browser = sessions.remember_browser(anna, None)
    for _ in range(recovery.REQUESTS_FROM_NETWORK.free):
        recovery.ask_for_link(UnitOfWork(ports, stranger), boris.login, browser)
    with pytest.raises(TooManyAttempts):
        recovery.ask_for_link(UnitOfWork(ports, stranger), boris.login, browser)
    for _ in range(recovery.REQUESTS_FROM_KNOWN_BROWSER.free):
        recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login, browser)
    with pytest.raises(TooManyAttempts):
        recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login, browser)


def test_asking_changes_nothing_for_the_owner(ports, settings, anna, stranger):
    recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert opens(settings, anna, PASSWORD)


# --- This wasn't me ---


def test_the_lock_ends_everything_and_tells_everybody(ports, mail_server, mailer, people, anna, stranger):
    people.add_manager("manager@example.org")
    people.add_manager("second@example.org", Account.ADMINISTRATOR)
    people.add_manager("gone@example.org", state=Account.LOCKED)
    people.add_manager("other@example.net", organisation=None)
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    acting(anna)
    sessions.remember_browser(anna, "a browser")
    reset = links.create(anna, links.RESET)
    assert cuts_at_once(recovery.lock, UnitOfWork(ports, stranger), link_of(anna, links.DISOWN))
    assert refusal_in_mail(anna)
    assert mail_server.connected == []
    assert WebSession.select().count() == 0
    assert not sessions.is_known_browser(anna, "a browser")
    assert links.find(reset, EVERY) is None
    outbox.deliver_due(ports, worker.HANDLERS)
    told = [anna.login, anna.contact_email, "manager@example.org", "second@example.org"]
    assert sorted(recipient for recipient, _ in mailer.sent) == sorted(told)


def test_an_address_that_begins_like_another_is_told_too(ports, mailer, people, stranger):
    name = "x" * 64
    account = people.add(name, contact_email=f"{name}@elsewhere.example.com")
    recovery.lock(UnitOfWork(ports, stranger), link_of(account, links.DISOWN))
    outbox.deliver_due(ports, worker.HANDLERS)
    assert len(mailer.sent) == 2


def test_a_locked_account_is_opened_by_nothing_but_the_operators_link(ports, settings, anna, stranger):
    assert not refusal_in_mail(anna)
    tokens = [links.create(anna, links.DISOWN), links.create(anna, links.DISOWN), links.create(anna, links.RESET)]
    recovery.lock(UnitOfWork(ports, stranger), links.find(tokens[0], EVERY))
    assert [links.find(token, EVERY) for token in tokens] == [None] * 3
    recovery.ask_for_link(UnitOfWork(ports, stranger), anna.login)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert OneTimeLink.select().where(OneTimeLink.used_at.is_null()).count() == 0
    with pytest.raises(Refused):
        ways_in.sign_in(UnitOfWork(ports, stranger), anna.login, PASSWORD, None)
    token = mailboxes.make_link(UnitOfWork(ports, OPERATOR), anna.login).rpartition("/")[2]
    recovery.set_password(UnitOfWork(ports, stranger), links.find(token, links.SETS_PASSWORD), NEW)
    assert ways_in.sign_in(UnitOfWork(ports, stranger), anna.login, NEW, None)
    assert refusal_in_mail(anna) is None


def test_the_operator_locks_an_account(ports, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    acting(anna)
    assert cuts_at_once(
        recovery.lock_by_operator, UnitOfWork(ports, OPERATOR), mailboxes.account_named(" Anna@example.org ")
    )
    assert refusal_in_mail(anna)
    assert (mail_server.connected, WebSession.select().count()) == ([], 0)


def test_the_operator_is_told_when_there_is_no_such_account(ports, database):
    with pytest.raises(Refused):
        mailboxes.make_link(UnitOfWork(ports, OPERATOR), "nobody@example.org")
