"""What a webmail's session opens the mailbox with: who gets it, how guessing is slowed down, and all that ends it."""

import base64

import pytest
from cryptography.fernet import InvalidToken

from actions.collaborations import collaborations
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, recovery
from actions.passwords.guesses import STRANGERS_TO_ACCOUNT
from actions.revocation import revocation
from actions.sessions import links, sessions
from actions.upkeep import housekeeping
from actions.users import offboarding, users
from actions.webmails import webmail_credentials, webmails
from actions.webmails.webmail_credentials import MadeCredential, WantedCredential
from lab.actors import acting
from models import Account, Attempts, AuditEvent, Organisation, Webmail, WebmailCredential, WebSession, now
from tests.conftest import PASSWORD
from tests.signing import ORIGIN, SigningWebmail

AT_HOME, ELSEWHERE = "192.0.2.9", "203.0.113.9"
NEW = "Other-Garden-8"


@pytest.fixture
def webmail(ports) -> Webmail:
    return SigningWebmail(ports).row


def make(ports, webmail, login: str, password: object = PASSWORD, sid="session-1", address=AT_HOME) -> MadeCredential:
    return webmail_credentials.make(ports, webmail, WantedCredential(login, password, sid, address, "Firefox"))


def refused(ports, webmail, login: str, password: object = PASSWORD, **named: str) -> str | None:
    """The field that the refusal names."""
    with pytest.raises(Refused) as raised:
        make(ports, webmail, login, password, **named)
    return raised.value.field


def is_alive(made: MadeCredential) -> bool:
    return webmail_credentials.is_alive(made.credential.webmail, made.password)


def test_it_has_the_form_of_a_devices_password_and_lasts_a_day(ports, webmail, anna, clock):
    made = make(ports, webmail, anna.login.upper())
    row = WebmailCredential.get()
    assert made.password.startswith(row.selector)
    assert made.password not in str(row.__data__)
    assert (row.account, row.address, row.expires_at) == (anna, AT_HOME, clock.moment + 24 * 3600)
    assert is_alive(made)
    clock.pass_by(24 * 3600)
    assert not is_alive(made)


def test_a_webmails_session_has_one_at_a_time(ports, webmail, anna):
    first, second = make(ports, webmail, anna.login), make(ports, webmail, anna.login)
    assert (is_alive(first), is_alive(second)) == (False, True)


@pytest.mark.parametrize(
    ("told", "known"), [("2001:DB8::1", "2001:db8::1"), ("fe80::1%" + "x" * 300, "fe80::1"), ("192.0.2.9", "192.0.2.9")]
)
def test_the_persons_address_is_kept_in_one_form(ports, webmail, anna, told, known):
    assert make(ports, webmail, anna.login, address=told).credential.address == known


def test_whoever_may_not_come_in_hears_the_same(ports, webmail, anna, boris, people, manager):
    Organisation.create(name="Another Ltd")
    foreign = SigningWebmail(ports, "https://other.example.com", organisation="Another Ltd").row
    Account.update(state=Account.LOCKED).where(Account.id == boris.id).execute()
    answers = [
        refused(ports, webmail, anna.login, "Wrong-Garden-1"),
        refused(ports, webmail, "nobody@example.org"),
        refused(ports, webmail, boris.login),
        refused(ports, webmail, manager.login),
        refused(ports, foreign, anna.login),
        refused(ports, webmail, anna.login, ""),
    ]
    assert set(answers) == {"password"}
    assert WebmailCredential.select().count() == 0


@pytest.mark.parametrize(
    ("named", "field"),
    [({"address": "here"}, "address"), ({"address": ""}, "address"), ({"sid": ""}, "sid"), ({"sid": "x" * 65}, "sid")],
)
def test_what_is_no_request_is_refused(ports, webmail, anna, named, field):
    assert refused(ports, webmail, anna.login, **named) == field


def test_guessing_through_a_webmail_is_slowed_down_by_the_guessers_address(ports, webmail, anna):
    with pytest.raises(TooManyAttempts):
        for _ in range(7):
            refused(ports, webmail, anna.login, "Wrong-Garden-1", address=ELSEWHERE)
    with pytest.raises(TooManyAttempts):
        make(ports, webmail, anna.login, address=ELSEWHERE)
    assert make(ports, webmail, anna.login)


def test_strangers_do_not_keep_out_who_comes_from_a_known_network(ports, webmail, anna):
    make(ports, webmail, anna.login)
    strangers = STRANGERS_TO_ACCOUNT.on(anna.login)
    Attempts.update(count=strangers.limit.ceiling).where(Attempts.key == strangers.key).execute()
    with pytest.raises(TooManyAttempts):
        make(ports, webmail, anna.login, address="198.51.100.9")
    assert make(ports, webmail, anna.login, address="192.0.2.200")


def test_known_and_unknown_logins_cost_the_same_statements(ports, webmail, anna, statements):
    def asked(login: str) -> list[str]:
        statements.clear()
        refused(ports, webmail, login, "Wrong-Garden-1")
        return [statement.split()[0] for statement in statements]

    assert asked(anna.login) == asked("nobody@example.org")


# --- what ends it ---


def test_the_webmails_logout_ends_it_and_the_frames_it_began(ports, webmail, anna, mail_server):
    made, other = make(ports, webmail, anna.login), make(ports, webmail, anna.login, sid="session-2")
    mail_server.connected = [
        Connection(anna.login, "imap", AT_HOME, credential_id=each.credential.id) for each in (made, other)
    ]
    for sid in ("session-1", "session-2"):
        sessions.start(anna, AT_HOME, "Firefox", False, webmail=webmail, webmail_session=sid)
    for _ in range(2):
        webmail_credentials.sign_out(ports, webmail, made.password)
    assert (is_alive(made), is_alive(other)) == (False, True)
    assert [each.webmail_session for each in WebSession.select()] == ["session-2"]
    assert [each.credential_id for each in mail_server.connected] == [other.credential.id]
    assert AuditEvent.select().where(AuditEvent.action == "webmail:session:signed-out").count() == 1


def test_another_webmail_ends_nothing_and_learns_nothing(ports, webmail, anna):
    made, other = make(ports, webmail, anna.login), SigningWebmail(ports, "https://other.example.com").row
    webmail_credentials.sign_out(ports, other, made.password)
    assert not webmail_credentials.is_alive(other, made.password)
    wrong = [made.password[:-1] + "!", made.password[:8], "", "x" * 5000, "\0", "\ud800"]
    for password in wrong:
        webmail_credentials.sign_out(ports, webmail, password)
        assert not webmail_credentials.is_alive(webmail, password)
    assert is_alive(made)


def test_change_leaves_it(ports, webmail, anna):
    made = make(ports, webmail, anna.login)
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW)
    assert is_alive(made)


def everywhere(ports, anna):
    passwords.change(UnitOfWork(ports, acting(anna)), PASSWORD, NEW, everywhere=True)


def by_link(ports, anna):
    recovery.set_password(UnitOfWork(ports, Actor()), links.find(links.create(anna, links.RESET), (links.RESET,)), NEW)


def lock(ports, anna):
    recovery.lock_by_operator(UnitOfWork(ports, OPERATOR), anna)


def end_others(ports, anna):
    revocation.end_others(UnitOfWork(ports, acting(anna)))


def remove_webmail(ports, anna):
    webmails.remove(UnitOfWork(ports, OPERATOR), ORIGIN)


def suspend(ports, anna):
    users.suspend(UnitOfWork(ports, OPERATOR), anna.mailbox)


def password_by_manager(ports, anna):
    profile, password = users.Profile(), users.Password(NEW)
    users.edit(UnitOfWork(ports, OPERATOR), anna.mailbox, Account.get_by_id(anna.id).revision, profile, password)


def removal(ports, anna):
    users.remove(UnitOfWork(ports, OPERATOR), anna.mailbox, anna.login)


def offboard(ports, anna):
    offboarding.end(UnitOfWork(ports, OPERATOR), anna.mailbox)


ENDINGS = (everywhere, by_link, lock, end_others, remove_webmail, suspend, password_by_manager, removal, offboard)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda each: each.__name__)
def test_what_ends_everything_ends_it_and_its_connections(ports, webmail, anna, mail_server, ending):
    made = make(ports, webmail, anna.login)
    mail_server.connected = [Connection(anna.login, "imap", AT_HOME, credential_id=made.credential.id)]
    ending(ports, anna)
    assert not webmail_credentials.is_alive(webmail, made.password)
    assert mail_server.connected == []


@pytest.mark.parametrize("ending", [collaborations.reset, collaborations.disable], ids=lambda each: each.__name__)
def test_a_collaborators_ends_with_the_collaboration(ports, webmail, people, anna, ending):
    carla = people.add_collaborator(anna)
    made = make(ports, webmail, carla.login)
    ending(UnitOfWork(ports, acting(anna)), carla.collaboration)
    assert not is_alive(made)


def test_an_account_that_is_suspended_is_not_let_in_by_it(ports, webmail, anna):
    made = make(ports, webmail, anna.login)
    Account.update(state=Account.SUSPENDED).execute()
    assert not is_alive(made)


def test_ending_all_others_in_the_webmail_leaves_that_webmail(ports, webmail, anna):
    own, other = make(ports, webmail, anna.login), make(ports, webmail, anna.login, sid="session-2")
    session, _ = sessions.start(anna, AT_HOME, "Firefox", False, webmail=webmail, webmail_session="session-1")
    revocation.end_others(UnitOfWork(ports, Actor(anna, session, AT_HOME, "Firefox")))
    assert (is_alive(own), is_alive(other)) == (True, False)
    assert list(WebSession.select()) == [session]


def test_a_password_that_changes_while_it_is_verified_gives_nothing(ports, webmail, anna, monkeypatch):
    real = passwords.verify

    def verify_and_change(*arguments):
        result = real(*arguments)
        Account.update(password_changed_at=now() + 1).execute()
        return result

    monkeypatch.setattr(passwords, "verify", verify_and_change)
    assert refused(ports, webmail, anna.login) == "password"
    assert WebmailCredential.select().count() == 0


def test_what_ended_is_forgotten_after_a_month(ports, webmail, anna, clock):
    make(ports, webmail, anna.login)
    clock.pass_by(30 * 24 * 3600)
    housekeeping.clear_away()
    assert WebmailCredential.select().count() == 1
    clock.pass_by(24 * 3600 + 1)
    housekeeping.clear_away()
    assert WebmailCredential.select().count() == 0


# --- the list of sessions ---


def test_sessions_tell_which_webmail_keeps_the_password_itself(ports, webmail, anna, clock):
    with_own = make(ports, webmail, anna.login)
    clock.pass_by(60)
    for sid in ("session-1", "session-2"):
        sessions.start(anna, AT_HOME, "Firefox", False, webmail=webmail, webmail_session=sid)
    acting(anna)
    found = {each.keeps_password: each for each in sessions.in_webmails(anna)}
    assert len(found) == 2
    assert found[False].credential == with_own.credential
    assert [each.webmail_session for each in found[True].browsers] == ["session-2"]
    webmail_credentials.end(UnitOfWork(ports, acting(anna)), with_own.credential)
    assert [each.keeps_password for each in sessions.in_webmails(anna)] == [True]


# --- the operator's part ---


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://Webmail.Example.org/", "https://webmail.example.org"),
        ("https://webmail.example.org:443", "https://webmail.example.org"),
        ("https://webmail.example.org:8443", "https://webmail.example.org:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_a_webmail_is_known_by_its_origin(ports, typed, origin):
    assert webmails.add(UnitOfWork(ports, OPERATOR), typed, None, Webmail.EDDSA).webmail.origin == origin


@pytest.mark.parametrize(
    "typed", ["webmail.example.org", "http://webmail.example.org", "https://x.example/mail", "https://*", "", "null"]
)
def test_what_is_no_origin_is_no_webmail(ports, typed):
    with pytest.raises(Refused):
        webmails.add(UnitOfWork(ports, OPERATOR), typed, None, Webmail.EDDSA)
    assert Webmail.select().count() == 0


def test_a_webmail_is_added_once_and_for_an_organisation_that_exists(ports, webmail):
    with pytest.raises(Refused):
        webmails.add(UnitOfWork(ports, OPERATOR), ORIGIN, None, Webmail.EDDSA)
    with pytest.raises(Refused):
        webmails.add(UnitOfWork(ports, OPERATOR), "https://other.example.com", "Nobody Ltd", Webmail.EDDSA)
    with pytest.raises(Refused):
        webmails.remove(UnitOfWork(ports, OPERATOR), "https://other.example.com")


def test_no_signing_key_is_kept_where_it_can_be_read(ports, settings):
    shared = webmails.add(UnitOfWork(ports, OPERATOR), ORIGIN, None, Webmail.HS256)
    pair = webmails.add(UnitOfWork(ports, OPERATOR), "https://other.example.com", None, Webmail.EDDSA)
    assert shared.key not in shared.webmail.key
    assert base64.b64decode(pair.webmail.key) == base64.b64decode(pair.key)[32:]
    assert webmails.verifying_key(settings, shared.webmail) == base64.b64decode(shared.key)
    shared.webmail.key = shared.webmail.key[:-4]
    with pytest.raises(InvalidToken):
        webmails.verifying_key(settings, shared.webmail)
