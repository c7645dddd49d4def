"""Guesses of the current password inside a session: how they count, who gets an e-mail, and what they end."""

import pytest

import worker
from actions.ground.actor import Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import password_changes
from actions.passwords import guesses, passwords
from actions.passwords import sign_in as ways_in
from actions.sessions import sessions
from actions.webmails import webmail_credentials
from actions.webmails.webmail_credentials import WantedCredential
from lab.actors import acting
from models import Account, AuditEvent, WebSession
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

NEW = "Other-Garden-8"
AT_HOME, ELSEWHERE = "192.0.2.1", "203.0.113.7"


@pytest.fixture
def webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports)


def handed_over(webmail: SigningWebmail, account: Account, sid: str, address: str = ELSEWHERE) -> Actor:
    """Somebody whom a webmail handed over just now."""
    begun_by = {"webmail": webmail.row, "webmail_session": sid}
    session, _ = sessions.start(account, address, "Firefox", password_given=False, **begun_by)
    return Actor(account, session, address, "Firefox")


def confirm(ports, actor, password, browser=None) -> str:
    """ "right", "wrong" or "wait"."""
    try:
        passwords.confirm(UnitOfWork(ports, actor), password, browser)
    except Refused:
        return "wrong"
    except TooManyAttempts:
        return "wait"
    return "right"


def change(ports, actor, password, browser=None) -> str:
    try:
        passwords.change(UnitOfWork(ports, actor), password, NEW, browser=browser)
    except Refused:
        return "wrong"
    except TooManyAttempts:
        return "wait"
    return "right"


def use_up(ports, actor, clock, browser=None) -> None:
    """Guess until the session is at its end."""
    while WebSession.select().where(WebSession.token_hash == actor.session.token_hash).exists():
        confirm(ports, actor, "wrong", browser)
        clock.pass_by(passwords.CONFIRMATIONS.longest_wait)


def actions() -> list[str]:
    return [event.action for event in AuditEvent.select().order_by(AuditEvent.id)]


def letters(ports, mailer) -> list[str]:
    """The recipients of e-mails about guesses."""
    outbox.deliver_due(ports, worker.HANDLERS)
    return [recipient for recipient, message in mailer.sent if "guess" in str(message["Subject"]).lower()]


@pytest.mark.parametrize("way", [confirm, change], ids=["confirm", "change"])
def test_fresh_hand_offs_are_no_fresh_start_for_guesses(ports, webmail, anna, clock, way):
    outcomes = [
        way(ports, handed_over(webmail, anna, f"session-{number}", f"203.0.{number}.1"), "wrong")
        for number in range(12)
        for _ in range(5)
    ]
    assert outcomes.count("wrong") == passwords.CONFIRMATIONS_TO_ACCOUNT.free
    assert way(ports, handed_over(webmail, anna, "another"), PASSWORD) == "wait"


def test_a_day_of_hand_offs_guesses_so_often_and_no_more(ports, webmail, anna, clock):
    outcomes = []
    for number in range(100):
        outcomes.append(confirm(ports, handed_over(webmail, anna, f"session-{number}"), "wrong"))
        clock.pass_by(passwords.CONFIRMATIONS.longest_wait)
    assert outcomes.count("wrong") == passwords.CONFIRMATIONS_TO_ACCOUNT.ceiling


def test_guesses_at_many_accounts_from_one_network_are_counted_together(ports, webmail, people, clock):
    actors = [handed_over(webmail, people.add(f"person{number}"), "sid") for number in range(21)]
    outcomes = [confirm(ports, actor, "wrong") for actor in actors for _ in range(5)]
    assert outcomes.count("wrong") == passwords.CONFIRMATIONS_FROM_NETWORK.free


def test_whoever_guesses_by_hand_offs_does_not_lock_the_owner_out(ports, webmail, anna, clock):
    signed_in = ways_in.sign_in(UnitOfWork(ports, Actor(address=AT_HOME)), anna.login, PASSWORD, None)
    owner = Actor(anna, signed_in.session, AT_HOME, "Firefox")
    for number in range(100):
        confirm(ports, handed_over(webmail, anna, f"session-{number}", AT_HOME), "wrong")
        clock.pass_by(passwords.CONFIRMATIONS.longest_wait)
    assert confirm(ports, owner, "wrong", signed_in.browser) == "wrong"
    assert confirm(ports, owner, PASSWORD, signed_in.browser) == "right"
    in_the_frame = handed_over(webmail, anna, "the owner's", AT_HOME)
    assert confirm(ports, in_the_frame, PASSWORD, signed_in.browser) == "right"
    assert ways_in.sign_in(UnitOfWork(ports, Actor(address=ELSEWHERE)), anna.login, PASSWORD, None)


def test_a_known_browser_is_no_way_around_either(ports, webmail, anna, clock):
    known = ways_in.sign_in(UnitOfWork(ports, Actor(address=AT_HOME)), anna.login, PASSWORD, None).browser
    outcomes = [confirm(ports, handed_over(webmail, anna, f"session-{number}"), "wrong", known) for number in range(20)]
    assert outcomes.count("wrong") == guesses.KNOWN_BROWSER.free


def test_the_right_password_takes_back_its_own_attempt_only(ports, webmail, anna, clock):
    for number in range(passwords.CONFIRMATIONS_TO_ACCOUNT.free):
        confirm(ports, handed_over(webmail, anna, f"session-{number}"), "wrong")
        clock.pass_by(1)
    clock.pass_by(1)
    assert confirm(ports, handed_over(webmail, anna, "right"), PASSWORD) == "right"
    assert confirm(ports, handed_over(webmail, anna, "wrong"), "wrong") == "wait"


@pytest.mark.parametrize("way", [confirm, change], ids=["confirm", "change"])
def test_each_wrong_password_stands_in_the_trail(ports, webmail, anna, clock, way):
    guesser = handed_over(webmail, anna, "sid")
    assert [way(ports, guesser, "wrong-secret-1") for _ in range(7)] == ["wrong"] * 5 + ["wait"] * 2
    events = list(AuditEvent.select().where(AuditEvent.action == "web:password:refused").dicts())
    assert [(event["actor"], event["account"], event["address"]) for event in events] == [
        (anna.id, anna.id, ELSEWHERE)
    ] * 5
    assert "wrong-secret-1" not in str(events)


def test_a_wrong_password_for_a_change_of_several_stands_in_the_trail(office, mara, clock):
    with pytest.raises(Refused):
        password_changes.start(UnitOfWork(office.ports, mara), office.draft(), "wrong")
    assert actions()[-1] == "web:password:refused"


def test_at_the_ceiling_the_session_ends_and_the_owner_is_told_once(ports, mailer, anna, clock):
    guesser = acting(anna, ELSEWHERE)
    untouched = acting(anna, AT_HOME)
    use_up(ports, guesser, clock)
    assert actions().count("web:password:refused") == passwords.CONFIRMATIONS.ceiling
    assert actions()[-1] == "web:session:guessed"
    assert sessions.exists(untouched.session)
    assert letters(ports, mailer) == [anna.login, anna.contact_email]
    (message, *_) = [message for recipient, message in mailer.sent if recipient == anna.login]
    assert ELSEWHERE in message.get_body(("plain",)).get_content()


def test_of_one_incident_the_owner_is_told_once(ports, webmail, mailer, anna, clock):
    for number in range(2):
        use_up(ports, handed_over(webmail, anna, f"session-{number}"), clock)
        clock.pass_by(1)
    assert letters(ports, mailer) == [anna.login, anna.contact_email]
    clock.pass_by(passwords.DAY)
    use_up(ports, acting(anna), clock)
    assert len(letters(ports, mailer)) == 4


def test_the_session_of_the_webmail_that_began_it_ends_too(ports, webmail, mail_server, anna, clock):
    made = [
        webmail_credentials.make(ports, webmail.row, WantedCredential(anna.login, PASSWORD, sid, ELSEWHERE, "Firefox"))
        for sid in ("the guesser's", "the owner's")
    ]
    connected = [Connection(anna.login, "imap", ELSEWHERE, credential_id=each.credential.id) for each in made]
    mail_server.connected = connected
    guesser, beside = (handed_over(webmail, anna, "the guesser's") for _ in range(2))
    owner = handed_over(webmail, anna, "the owner's")
    use_up(ports, guesser, clock)
    assert [sessions.exists(each.session) for each in (guesser, beside, owner)] == [False, False, True]
    alive = [webmail_credentials.is_alive(webmail.row, each.password) for each in made]
    assert alive == [False, True]
    assert mail_server.connected == connected[1:]
