"""Guesses through mail programs count with those in the panel: Dovecot asks a panel under uWSGI."""

import contextlib
import dataclasses
import imaplib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import doctor
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.throttle import Counter, TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import guesses, mail_policy
from actions.passwords import sign_in as ways_in
from lab.accounts import DOVECOT_ACCOUNT, Accounts, grant
from lab.mail_host import OWN_PASSWORD, WEBMAIL, MailHost, ports_of
from lab.served_panel import ServedPanel
from lab.servers import HOST, REFUSE_QUICKLY, Dovecot, ImapFrom, MailSink, Postfix, free_port, mail_settings, wait_until
from models import Attempts, LastLogin
from tests.mailhost.test_devices import Person

HOME, AWAY, STRANGER = "127.1.1.1", "127.2.2.2", "127.3.3.3"
WRONG = "Wrong-Password-1"
PATIENCE = 30


@dataclasses.dataclass
class AskedHost:
    host: MailHost
    panel: ServedPanel

    def person(self) -> Person:
        return Person(self.host, self.host.add())


@pytest.fixture(scope="module")
def asked(request, module_database_url, dovecot_version, tmp_path_factory) -> Iterator[AskedHost]:
    """A mail host whose Dovecot asks a panel."""
    instance = tmp_path_factory.mktemp("instance")
    accounts = Accounts(module_database_url)
    with contextlib.ExitStack() as running:
        relay = running.enter_context(MailSink())
        settings = mail_settings(
            module_database_url,
            instance,
            submission_relay=f"{HOST}:{relay.port}",
            postfix_sasl_socket=f"{HOST}:{free_port()}",
            webmail_hosts=(WEBMAIL,),
            dovecot_version=dovecot_version,
            **DOVECOT_ACCOUNT,
        )
        if module_database_url.startswith("mysql:"):
            grant(request.getfixturevalue("mariadb_server"), settings)
        panel = ServedPanel(
            instance,
            POSTERN_DATABASE_URL=module_database_url,
            POSTERN_SECRET_KEY=settings.secret_key,
            POSTERN_DOVEADM_URL=settings.doveadm_url,
            POSTERN_DOVECOT_VERSION=dovecot_version,
            POSTERN_WEBMAIL_HOSTS=WEBMAIL,
        )
        panel.start()
        running.callback(panel.stop)
        settings = dataclasses.replace(settings, dovecot_policy_url=panel.url)
        dovecot = running.enter_context(Dovecot(settings, REFUSE_QUICKLY))
        postfix = running.enter_context(Postfix(f"inet:{settings.postfix_sasl_socket}", relay.port))
        yield AskedHost(MailHost(dovecot, postfix, relay, accounts, ports_of(settings)), panel)


@pytest.fixture
def anna(asked: AskedHost) -> Person:
    """Somebody who is at home at `HOME`."""
    person = asked.person()
    assert person.opens_imap(OWN_PASSWORD, source=HOME)
    wait_until(lambda: last_logins(person), "the last login is written down", PATIENCE)
    return person


def last_logins(person: Person) -> int:
    with person.host.accounts.connected():
        return LastLogin.select().where(LastLogin.login_id == person.account.id).count()


def guess(person: Person, source: str, times: int, connections: int = 1) -> None:
    """Wrong passwords by IMAP, over this many connections at once."""

    def over_one(_number: int) -> None:
        connection = ImapFrom(person.host.port("imap"), source)
        for _ in range(times // connections):
            with pytest.raises(imaplib.IMAP4.error):
                connection.login(person.address, WRONG)
        connection.shutdown()

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(over_one, range(connections)))


def counted(person: Person, counter: Counter) -> int:
    with person.host.accounts.connected():
        row = Attempts.get_or_none(Attempts.key == counter.key)
        return row.count if row else 0


def wait_until_counted(person: Person, counter: Counter, count: int, seconds: int = PATIENCE) -> None:
    """Dovecot does not wait until what it reports is written down."""
    wait_until(lambda: counted(person, counter) >= count, f"{count} guesses are counted", seconds)


def with_patience(person: Person, source: str, counter: Counter) -> None:
    """Guess until nothing more is let through, and wait as long as asked for before each: for this test at once."""
    for _guess in range(3 * counter.limit.ceiling):
        before = counted(person, counter)
        if before >= counter.limit.ceiling:
            return
        with person.host.accounts.connected():
            others = Attempts.key != mail_policy.ASKED
            Attempts.update(last_at=Attempts.last_at - counter.limit.longest_wait).where(others).execute()
        guess(person, source, 1)
        # Dovecot gives a report up that a busy panel does not take in 200 ms: the next guess counts.
        with contextlib.suppress(TimeoutError):
            wait_until_counted(person, counter, before + 1, 2)
    raise AssertionError("the ceiling is never reached")


def from_network(person: Person, address: str) -> Counter:
    return guesses.own_of(person.address, address)[0]


def panel_says_wait(person: Person, address: str) -> bool:
    with person.host.accounts.connected():
        try:
            ways_in.sign_in(UnitOfWork(person.host.ports, Actor(address=address)), person.address, OWN_PASSWORD, None)
        except TooManyAttempts:
            return True
        return False


def ways(person: Person, password: str, source: str) -> list[bool]:
    each = (person.opens_imap, person.opens_pop3, person.opens_submission, person.opens_sieve, person.opens_postfix)
    return [way(password, source=source) for way in each]


def test_after_many_wrong_passwords_the_right_one_opens_nothing_from_there(anna):
    device = anna.make().password
    guess(anna, STRANGER, 150, connections=20)
    with_patience(anna, STRANGER, from_network(anna, STRANGER))
    assert ways(anna, OWN_PASSWORD, STRANGER) == [False] * 5
    assert ways(anna, OWN_PASSWORD, HOME) == [True] * 5
    assert anna.opens_imap(device, source=AWAY)
    assert anna.opens_imap(device, source=STRANGER)
    with pytest.raises(imaplib.IMAP4.error, match="Too many wrong passwords"):
        anna.imap(OWN_PASSWORD, source=STRANGER)


def test_strangers_from_everywhere_stop_neither_home_nor_devices(asked, anna):
    device = anna.make().password
    with anna.host.accounts.connected():
        for _ in range(guesses.STRANGERS_TO_ACCOUNT.ceiling):
            throttle.count([guesses.STRANGERS_TO_ACCOUNT.on(anna.address)])
    assert not anna.opens_imap(OWN_PASSWORD, source=AWAY)
    assert anna.opens_imap(OWN_PASSWORD, source=HOME)
    assert anna.opens_postfix(OWN_PASSWORD, source=HOME)
    assert anna.opens_imap(device, source=AWAY)


def test_guesses_by_mail_count_in_the_panel(anna):
    with_patience(anna, AWAY, from_network(anna, AWAY))
    assert panel_says_wait(anna, AWAY)


def test_guesses_in_the_panel_count_by_mail(anna):
    with anna.host.accounts.connected():
        for _ in range(guesses.FROM_NETWORK_TO_ACCOUNT.ceiling):
            throttle.count(guesses.own_of(anna.address, AWAY))
    assert ways(anna, OWN_PASSWORD, AWAY) == [False] * 5
    assert anna.opens_imap(OWN_PASSWORD, source=STRANGER)


@pytest.mark.parametrize("way", ["opens_imap", "opens_pop3", "opens_submission", "opens_sieve", "opens_postfix"])
def test_each_protocol_counts(anna, way):
    getattr(anna, way)(WRONG, source=AWAY)
    wait_until_counted(anna, from_network(anna, AWAY), 1)


def test_the_right_password_forgets_the_wrong_ones_before(anna):
    guess(anna, AWAY, 4)
    wait_until_counted(anna, from_network(anna, AWAY), 4)
    assert anna.opens_imap(OWN_PASSWORD, source=AWAY)
    wait_until(lambda: not counted(anna, from_network(anna, AWAY)), "they are forgotten", PATIENCE)


def test_a_login_that_does_not_exist_is_slowed_alike(asked):
    nobody = Person(asked.host, "nobody@example.org")
    guess(nobody, AWAY, guesses.FROM_NETWORK_TO_ACCOUNT.free + 1)
    wait_until_counted(nobody, from_network(nobody, AWAY), guesses.FROM_NETWORK_TO_ACCOUNT.free)


def test_who_signs_in_as_always_writes_nothing(asked, anna):
    with anna.host.accounts.connected():
        before = list(Attempts.select().where(Attempts.key != mail_policy.ASKED).order_by(Attempts.id).dicts())
    assert ways(anna, OWN_PASSWORD, HOME) == [True] * 5
    with anna.host.accounts.connected():
        after = list(Attempts.select().where(Attempts.key != mail_policy.ASKED).order_by(Attempts.id).dicts())
    assert after == before


def test_a_webmail_that_tells_the_persons_address_is_not_slowed_for_it(anna):
    with pytest.raises(imaplib.IMAP4.error):
        anna.imap(WRONG, source=WEBMAIL, originating_ip=AWAY)
    wait_until_counted(anna, from_network(anna, AWAY), 1)
    assert not counted(anna, from_network(anna, WEBMAIL))


def test_a_webmail_that_tells_no_address_is_no_network(anna):
    guess(anna, WEBMAIL, 10)
    wait_until_counted(anna, guesses.STRANGERS_TO_ACCOUNT.on(anna.address), 10)
    assert not counted(anna, from_network(anna, WEBMAIL))
    assert anna.opens_imap(OWN_PASSWORD, source=WEBMAIL)


def test_neither_a_password_nor_a_hash_of_one_is_asked_with(asked, anna):
    anna.opens_imap(WRONG, source=AWAY)
    asked_with = [line for line in asked.host.dovecot.log.splitlines() if "Policy server request JSON" in line]
    assert any(anna.address in line for line in asked_with)
    # Dovecot 2.4 names what its configuration leaves empty.
    told = "\n".join(asked_with).replace('"pwhash":""', "")
    assert not [secret for secret in (WRONG, OWN_PASSWORD, "pwhash") if secret in told]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer é".encode()}])
def test_nobody_else_is_answered(asked, header):
    answer = requests.post(f"{asked.panel.url}/dovecot/policy?command=allow", json={}, headers=header, timeout=5)
    assert answer.status_code == 403


def doctor_finds(asked: AskedHost) -> dict[str, bool]:
    """What the doctor says of guesses, and whether it is well."""
    with asked.host.accounts.connected():
        findings = {each.subject: each.well for each in doctor.examine(asked.host.ports)}
    return {subject: findings[subject] for subject in ("guesses by mail", "Dovecot's questions")}


def test_while_the_panel_is_down_logins_go_on_and_the_doctor_says_so(asked, anna):
    wait_until(lambda: all(doctor_finds(asked).values()), "all is well", PATIENCE)
    asked.panel.stop()
    try:
        assert ways(anna, OWN_PASSWORD, AWAY) == [True] * 5
        assert not anna.opens_imap(WRONG, source=AWAY)
        assert doctor_finds(asked)["guesses by mail"] is False
    finally:
        asked.panel.start()
    assert anna.opens_imap(OWN_PASSWORD, source=AWAY)


def test_a_panel_that_hangs_delays_nobody_for_long(asked, anna):
    """It takes connections and says nothing, as a busy one does."""
    asked.panel.stop()
    try:
        with socket.create_server((HOST, asked.panel.port), backlog=50):
            assert ways(anna, OWN_PASSWORD, AWAY) == [True] * 5
        assert "Absolute request timeout expired" in anna.host.dovecot.log
    finally:
        asked.panel.start()
