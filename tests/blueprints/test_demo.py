"""The demo's outgoing mail and text messages: shown where they are kept, on this machine, and nowhere else."""

from dataclasses import replace
from email.message import EmailMessage
from email.utils import formatdate

import pytest

import adapters
from actions.ground.encryption import unseal
from actions.outbox import mail
from adapters.smtp import SmtpMailer
from models import OutboxItem
from settings import Settings
from tests.client import Client, words
from tests.conftest import app_of


@pytest.fixture
def demo_of(environment, database):
    """A demo's ports, and a browser at its panel."""

    def make(**changes: str):
        changed = {"POSTERN_DEMO": "yes", "POSTERN_DOVEADM_URL": "", "POSTERN_SMTP_URL": ""} | changes
        settings = Settings.load(environment | changed)
        ports = adapters.build(settings)
        return ports, Client(app_of(settings, ports), settings.base_url, address="127.0.0.1")

    return make


def letter(subject: str, sent_at: int) -> bytes:
    message = EmailMessage()
    message["To"], message["Subject"], message["Date"] = "anna@example.org", subject, formatdate(sent_at)
    message.set_content("A letter.")
    return message.as_bytes()


def test_letters_and_text_messages_stand_there_the_newest_first(demo_of):
    ports, client = demo_of()
    ports.mailer.send(letter("An old letter", 1_000_000_000), "anna@example.org")
    ports.sms.send("+393331234567", "Пароль <b>ABCDE</b> İş\nline", "key", "https://panel.example.org/r/1")
    ports.mailer.send(letter("A letter of the future", 4_000_000_000), "anna@example.org")
    articles = [words(article) for article in client.open("/outbox").tree.iter("article")]
    headings = ("A letter of the future", "Text message (SMS)", "An old letter")
    assert [article.startswith(heading) for article, heading in zip(articles, headings, strict=True)] == [True] * 3
    assert "+393331234567 Пароль <b>ABCDE</b> İş line" in articles[1]


def test_what_is_shown_is_what_is_really_sent(demo_of, ports, people, mail_sink):
    demo, client = demo_of()
    mail.put(ports, "key", "account_locked", "anna@example.org", "", {"login": "anna", "at": 0, "address": "::1"}, None)
    item = OutboxItem.get()
    payload = unseal(ports.settings.secret_key, "outbox", item.payload)
    for mailer in (demo.mailer, SmtpMailer(mail_sink.url, ports.settings.mail_from)):
        mail.send(replace(ports, mailer=mailer), item, payload)
    (received,) = mail_sink.wait_for(1)
    assert b"\r\nFrom the address:" in received.content
    (article,) = client.open("/outbox").tree.iter("article")
    sent = received.message.get_body(("plain",)).get_content()
    assert " ".join(sent.split()) in words(article)


def test_text_messages_are_shown_although_mail_is_really_sent(demo_of):
    ports, client = demo_of(POSTERN_SMTP_URL="smtp://127.0.0.1:1")
    ports.sms.send("+393331234567", "hello", "key")
    assert "hello" in client.open("/outbox").text


def test_nothing_is_shown_where_all_is_really_sent(demo_of):
    gateway = "kannel://postern:secret@127.0.0.1:1/"
    _, client = demo_of(POSTERN_SMTP_URL="smtp://127.0.0.1:1", POSTERN_SMS_URL=gateway)
    assert client.open("/outbox").status == 404


def test_nothing_is_shown_to_another_machine(demo_of):
    ports, client = demo_of()
    ports.sms.send("+393331234567", "hello", "key")
    client.address = "192.0.2.9"
    assert client.open("/outbox").status == 404


def test_what_is_kept_is_for_its_owner_only(demo_of):
    ports, _ = demo_of()
    ports.sms.send("+393331234567", "hello", "key")
    assert (ports.settings.instance / "demo-sms").stat().st_mode & 0o077 == 0
