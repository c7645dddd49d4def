"""What a webmail's session opens for real: Dovecot and Postfix judge it, on SQLite and on MariaDB."""

import itertools

import pytest

from actions.authority.permissions import READ, WRITE
from actions.collaborations import collaborations
from actions.ground.actor import OPERATOR, Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.sessions import sessions
from actions.webmails import webmail_credentials, webmails
from actions.webmails.webmail_credentials import MadeCredential, WantedCredential
from lab.mail_host import ELSEWHERE, OWN_PASSWORD, WEBMAIL, Login, MailHost
from lab.servers import HOST, wait_until
from models import Webmail
from tests.conftest import cuts_at_once
from tests.mailhost.test_collaborations import Collaborator
from tests.mailhost.test_devices import Person, at_once, refusal_text

PERSON_AT = "198.51.100.7"

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def webmail(mail_host: MailHost) -> Webmail:
    with mail_host.accounts.connected():
        return webmails.add(
            UnitOfWork(mail_host.ports, OPERATOR), "https://webmail.example.org", None, Webmail.EDDSA
        ).webmail


@pytest.fixture
def reader(mail_host: MailHost) -> Person:
    return Person(mail_host, mail_host.add())


def enter(login: Login, webmail: Webmail, password: str = OWN_PASSWORD) -> MadeCredential:
    """What the webmail gets for a person who signs in there."""
    wanted = WantedCredential(login.address, password, f"session {next(numbers)}", PERSON_AT, "Firefox")
    with login.host.accounts.connected():
        return webmail_credentials.make(login.host.ports, webmail, wanted)


def opens(login: Login, password: str, source: str = WEBMAIL) -> list[bool]:
    """Whether it opens IMAP, submission by Dovecot and by Postfix, and ManageSieve."""
    ways = (login.opens_imap, login.opens_submission, login.opens_postfix, login.opens_sieve)
    return at_once(lambda way: way(password, source=source), ways)


EVERYTHING, NOTHING = [True] * 4, [False] * 4


def test_it_reads_sends_and_filters_from_the_webmails_hosts_only(reader: Person, webmail):
    password = enter(reader, webmail).password
    assert opens(reader, password) == EVERYTHING
    assert opens(reader, password, ELSEWHERE) == NOTHING
    assert not reader.opens_pop3(password, WEBMAIL)
    assert "for the webmail only" in refusal_text(reader.imap, password, source=ELSEWHERE, originating_ip=WEBMAIL)
    assert "webmail only" not in refusal_text(reader.imap, password[:-1] + "!", source=ELSEWHERE)


def test_one_session_ends_at_once_and_alone(reader: Person, webmail, mail_host: MailHost):
    ended, other, device = enter(reader, webmail), enter(reader, webmail), reader.make()
    waiting = [reader.waits_in_idle(each.password, source=WEBMAIL) for each in (ended, other, device)]
    own = reader.waits_in_idle(OWN_PASSWORD)
    connections = mail_host.ports.mail_server.connections
    wait_until(lambda: len(connections(reader.address)) == 4, "Dovecot counts all four")
    assert {(each.device_id, each.credential_id) for each in connections(reader.address)} == {
        (0, 0),
        (device.device.id, 0),
        (0, ended.credential.id),
        (0, other.credential.id),
    }
    with mail_host.accounts.connected():
        assert cuts_at_once(webmail_credentials.end, UnitOfWork(mail_host.ports, reader.actor), ended.credential)
    assert waiting[0].seconds_until_dropped(2) < 2
    assert all(each.is_open() for each in (*waiting[1:], own))
    assert opens(reader, ended.password) == NOTHING
    assert reader.opens_imap(other.password, source=WEBMAIL)


def test_change_leaves_it_and_everywhere_ends_it(reader: Person, webmail, mail_host: MailHost):
    made = enter(reader, webmail)
    waiting = reader.waits_in_idle(made.password, source=WEBMAIL)
    assert _change(mail_host, reader, OWN_PASSWORD, "Second-Secret-2", everywhere=False)
    assert waiting.is_open()
    assert reader.opens_imap(made.password, source=WEBMAIL)
    assert _change(mail_host, reader, "Second-Secret-2", "Third-Secret-3", everywhere=True)
    assert waiting.seconds_until_dropped(2) < 2
    assert opens(reader, made.password) == NOTHING


def _change(host: MailHost, reader: Person, current: str, new: str, everywhere: bool) -> bool:
    with host.accounts.connected():
        session, _ = sessions.start(reader.account, HOST, "Firefox")
        actor = Actor(reader.account, session, HOST, "Firefox")
        goes_on = passwords.change(UnitOfWork(host.ports, actor), current, new, everywhere)
        return (goes_on is None) == everywhere


def test_its_use_is_the_persons(reader: Person, webmail):
    """As if it was the account's password, from the address that the webmail sends."""
    password = enter(reader, webmail).password
    assert reader.opens_imap(password, source=WEBMAIL, originating_ip=PERSON_AT)
    assert reader.opens_postfix(password, source=WEBMAIL)
    expected = {(0, "imap", PERSON_AT), (0, "smtp", WEBMAIL)}
    wait_until(lambda: reader.last_logins() == expected, "both are written down")


def test_a_collaborator_has_it_within_the_permissions(reader: Person, webmail):
    carla = Collaborator(reader.host, reader, READ | WRITE, OWN_PASSWORD)
    password = enter(carla, webmail).password
    assert opens(carla, password) == [True, False, False, False]
    assert opens(carla, password, ELSEWHERE) == NOTHING
    waiting, owners = carla.waits_in_idle(password, source=WEBMAIL), reader.waits_in_idle(OWN_PASSWORD)
    assert carla.act(collaborations.disable)
    assert waiting.seconds_until_dropped(2) < 2
    assert owners.is_open()
    assert opens(carla, password) == NOTHING


def test_a_webmail_that_is_removed_opens_nothing(reader: Person, mail_host: MailHost):
    origin = "https://former.example.org"
    with mail_host.accounts.connected():
        former = webmails.add(UnitOfWork(mail_host.ports, OPERATOR), origin, None, Webmail.HS256).webmail
    made = enter(reader, former)
    waiting = reader.waits_in_idle(made.password, source=WEBMAIL)
    with mail_host.accounts.connected():
        assert cuts_at_once(webmails.remove, UnitOfWork(mail_host.ports, OPERATOR), origin)
    assert waiting.seconds_until_dropped(2) < 2
    assert opens(reader, made.password) == NOTHING
