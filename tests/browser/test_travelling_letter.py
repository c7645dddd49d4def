"""An invitation that really travels: panel, worker, Postfix, LMTP, a Dovecot mailbox, IMAP, and back into a browser."""

import email
import imaplib
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from lab.servers import HOST, Dovecot, Postfix, free_port, imap_accepts, imap_login, mail_settings

from .mail_server import MailServer
from .panel import PASSWORD, Panel, Person, until
from .people import confirm_field, enter, in_sections, is_signed_out, new_field, press, says, sign_in
from .webmail import Webmail

OWNER, RECIPIENT = Person("anna@example.org"), "boris@example.net"
LOGIN, CHOSEN = f"boris/{OWNER.login}", "Quiet-Harbour-71"


@pytest.fixture
def mail_host(tmp_path, mail_server: MailServer, webmail: Webmail) -> Iterator[tuple[Panel, Dovecot]]:
    """A panel of its own whose e-mails go to Postfix, and whose mail server is Dovecot."""
    settings = mail_settings(f"sqlite:///{tmp_path}/postern.db", tmp_path)
    lmtp = settings.mail_ports["lmtp"]
    with Postfix(f"inet:{HOST}:{free_port()}", free_port(), lmtp) as postfix:
        own = {
            "POSTERN_SMTP_URL": f"smtp://{HOST}:{postfix.port}",
            "POSTERN_MAIL_FROM": "postern@example.org",
            "POSTERN_DOVEADM_URL": settings.doveadm_url,
            "POSTERN_DOVEADM_KEY": settings.doveadm_key,
        }
        with Panel(tmp_path, mail_server, [webmail], **own) as panel, Dovecot(settings) as dovecot:
            yield panel, dovecot


def mailed_link(dovecot: Dovecot) -> str:
    """The link in the newest e-mail, read by IMAP."""
    imap = imap_login(dovecot.port("imap"), RECIPIENT, PASSWORD)
    try:
        return until(lambda: _newest_link(imap), 30)
    finally:
        imap.logout()


def _newest_link(imap: imaplib.IMAP4) -> str | None:
    count = int(imap.select("INBOX")[1][0])
    if not count:
        return None
    letter = email.message_from_bytes(imap.fetch(str(count), "(RFC822)")[1][0][1])
    text = letter.get_payload(0).get_payload(decode=True).decode()
    found = re.search(r"http\S+/links/password/\S+", text)
    return found and found[0]


def test_the_letter_arrives_and_its_link_opens_the_mailbox(mail_host: tuple[Panel, Dovecot], new_context: Callable):
    panel, dovecot = mail_host
    owner, other = (new_context(base_url=panel.url).new_page() for _ in range(2))
    sign_in(owner, OWNER, "/collaborations/new")
    for label, text in (("First name", "Boris"), ("Last name", "Orlov"), ("Reference e-mail", RECIPIENT)):
        owner.get_by_label(label).fill(text)
    owner.get_by_label("User name").fill("boris")
    press(owner, "Continue")
    owner.get_by_label("Use in mail programs, by IMAP").check()
    press(owner, "Create account")
    says(owner)
    assert not imap_accepts(dovecot.port("imap"), LOGIN, CHOSEN)

    other.goto(mailed_link(dovecot))
    new_field(other).fill(CHOSEN)
    confirm_field(other).fill(CHOSEN)
    press(other, "Set password")
    other.wait_for_url("**/sign-in")
    enter(other, LOGIN, CHOSEN)
    expect(in_sections(other, "My permissions")).to_be_visible()
    imap = imap_login(dovecot.port("imap"), LOGIN, CHOSEN)
    assert imap.select("INBOX")[0] == "OK"

    owner.goto("/collaborations/")
    owner.get_by_role("button", name="Actions for Boris Orlov").click()
    owner.get_by_role("link", name="Disable", exact=True).click()
    press(owner, "Disable Boris Orlov")
    says(owner)
    assert not imap_accepts(dovecot.port("imap"), LOGIN, CHOSEN)
    assert is_signed_out(other)
