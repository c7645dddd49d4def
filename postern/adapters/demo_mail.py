"""The demo's mailer: keeps mail in the instance directory, where /outbox shows it."""

import mailbox
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path


class DemoMailer:
    """A mailer that puts every message into a Maildir."""

    def __init__(self, directory: Path):
        self._maildir = mailbox.Maildir(directory, factory=None, create=True)

    def send(self, message: EmailMessage, recipient: str) -> None:
        self._maildir.add(message)

    def messages(self) -> list[EmailMessage]:
        """What was sent, the newest first."""
        return [
            message_from_bytes(self._maildir.get_bytes(key), policy=default)
            for key in sorted(self._maildir.keys(), reverse=True)
        ]
