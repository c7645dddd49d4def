"""The demo's mailer and its phone: sent messages stay in the instance directory, where /outbox shows them."""

import mailbox
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import formatdate
from pathlib import Path


class Kept:
    """A Maildir of messages."""

    def __init__(self, directory: Path):
        self._maildir = mailbox.Maildir(directory, factory=None, create=True)

    def messages(self) -> list[EmailMessage]:
        """The sent messages, the newest first."""
        return [
            message_from_bytes(self._maildir.get_bytes(key), policy=default)
            for key in sorted(self._maildir.keys(), reverse=True)
        ]


class DemoMailer(Kept):
    """A mailer that keeps every message."""

    def send(self, message: bytes, recipient: str, sender: str = "") -> None:
        self._maildir.add(message)

    def takes_every_address(self) -> bool:
        return True

    def refusal_of(self, sender: str, recipient: str) -> str:
        return ""


class DemoSms(Kept):
    """An SMS gateway that keeps every text message, as an e-mail without a subject."""

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        message = EmailMessage()
        message["To"], message["Date"] = to, formatdate()
        message.set_content(text)
        self._maildir.add(message)

    def check(self) -> None:
        """It is always there."""
