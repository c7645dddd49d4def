"""Outgoing mail that fails for a while: the change does not wait for it, and the notice comes exactly once."""

import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask

import worker
from actions.ground.addresses import with_ascii_domain
from actions.ground.ports import Ports
from adapters.letters import TemplateLetters
from adapters.memory import MemoryArchiver, MemoryMailServer, MemorySms, NoBreachedPasswords
from adapters.smtp import SmtpMailer
from lab.servers import BlackHole, MailSink, wait_until
from models import Account, OutboxItem
from settings import Settings
from tests.client import Client
from tests.conftest import PASSWORD, app_of
from tests.faults.test_database import change_password

LONGEST_ANSWER = 2


@pytest.fixture
def sink() -> MailSink:
    """An SMTP server that is down until the test starts it."""
    return MailSink()


@pytest.fixture
def ports(settings: Settings, sink: MailSink) -> Ports:
    mailer = SmtpMailer(sink.url, settings.mail_from)
    letters, breaches = TemplateLetters(settings), NoBreachedPasswords()
    return Ports(settings, MemoryMailServer(), mailer, letters, breaches, MemoryArchiver(), MemorySms())


@pytest.fixture
def app(database: None, settings: Settings, ports: Ports) -> Iterator[Flask]:
    """The panel with its worker beside it."""
    app = app_of(settings, ports)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=[ports, stop])
    thread.start()
    yield app
    stop.set()
    thread.join()


def test_a_notice_waits_for_the_mail_server(client: Client, anna: Account, sink: MailSink):
    seconds = seconds_to_change(client, anna)
    wait_until(was_tried_in_vain, "the worker has tried in vain")
    with sink:
        assert_each_notice_came_once(sink, anna)
    assert seconds < LONGEST_ANSWER


def test_a_mail_server_that_never_answers_holds_nobody_up(client: Client, anna: Account, sink: MailSink):
    with BlackHole(sink.port):
        wait = seconds_to_change(client, anna)
        wait_until(is_being_tried, "the worker is trying")
        assert client.open("/account/password").status == 200
    with sink:
        assert_each_notice_came_once(sink, anna)
    assert wait < LONGEST_ANSWER


def test_a_notice_refused_for_now_is_sent_again(client: Client, anna: Account, sink: MailSink):
    sink.refusal = "451 4.3.0 come back later"
    with sink:
        seconds_to_change(client, anna)
        wait_until(was_tried_in_vain, "the worker has tried in vain")
        sink.refusal = ""
        assert_each_notice_came_once(sink, anna)


def test_an_address_that_is_not_ascii_gets_its_notice(client: Client, anna: Account, sink: MailSink):
    Account.update(contact_email="анна@пример.example").execute()
    with sink:
        seconds_to_change(client, anna)
        assert_each_notice_came_once(sink, Account.get_by_id(anna.id))


def seconds_to_change(client: Client, account: Account) -> float:
    """How long the change of password takes, from opening its page to the answer."""
    client.sign_in(account.login, PASSWORD)
    started = time.monotonic()
    assert change_password(client).status == 200
    return time.monotonic() - started


def was_tried_in_vain() -> bool:
    return OutboxItem.select().where(OutboxItem.last_error != "").exists()


def is_being_tried() -> bool:
    return OutboxItem.select().where(OutboxItem.attempts > 0).exists()


def assert_each_notice_came_once(sink: MailSink, account: Account) -> None:
    wait_until(lambda: not OutboxItem.open_items().exists(), "everything is delivered")
    recipients = sorted(recipient for received in sink.messages for recipient in received.recipients)
    assert recipients == sorted([account.login, with_ascii_domain(account.contact_email)])
