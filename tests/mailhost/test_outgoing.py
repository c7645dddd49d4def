"""Our own e-mails through a real Postfix that asks Dovecot who we are."""

from urllib.parse import quote

import pytest

from actions.ground.ports import MailerUnavailable
from adapters.smtp import SmtpMailer
from lab.mail_host import MailHost
from lab.servers import HOST

MESSAGE = b"Subject: Hello\r\nFrom: %s\r\nTo: eve@example.com\r\n\r\nFrom the address\r\n.\r\n"


def mailer_of(host: MailHost, address: str, password: str) -> SmtpMailer:
    login = f"{quote(address, safe='')}:{password}"
    return SmtpMailer(f"smtp://{login}@{HOST}:{host.postfix.port}", address)


@pytest.mark.parametrize(
    ("password", "written"),
    [("pässwörd-Ж-1", "pässwörd-Ж-1"), ("pässwörd-Ж-1", quote("pässwörd-Ж-1")), ("secret", "secret")],
)
def test_it_signs_in_with_any_password_and_the_message_goes_on(mail_host, password, written):
    address = mail_host.add()
    mail_host.accounts.set_password(address, password)
    before = len(mail_host.relay.messages)
    mailer_of(mail_host, address, written).send(MESSAGE % address.encode(), "eve@example.com")
    received = mail_host.relay.wait_for(before + 1)[-1]
    assert (received.sender, received.recipients) == (address, ("eve@example.com",))
    assert received.content.endswith(b"\r\n\r\nFrom the address\r\n.\r\n")


def test_a_wrong_password_is_told(mail_host):
    with pytest.raises(MailerUnavailable, match="535"):
        mailer_of(mail_host, mail_host.add(), "fälsch").send(MESSAGE % b"x@example.org", "eve@example.com")


def test_whether_it_takes_every_address(mail_host):
    assert mailer_of(mail_host, mail_host.add(), "Right-Password-1").takes_every_address()
