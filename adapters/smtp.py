"""Sending mail by SMTP."""

import smtplib
import ssl
from urllib.parse import unquote, urlsplit

from actions.ground.ports import MailerUnavailable, MessageRefused

TIMEOUT = 10
# For an address that is not ASCII (RFC 6531).
INTERNATIONAL = ("SMTPUTF8", "BODY=8BITMIME")
STANDARD_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpMailer:
    """A mailer for `smtp://`, `smtp+starttls://` and `smtps://` URLs; `user:password@` signs in."""

    def __init__(self, url: str, sender: str):
        self._parts = urlsplit(url)
        self._sender = sender

    def send(self, message: bytes, recipient: str) -> None:
        """Hand the message over; a refusal for good (5xx) differs from trouble that may pass."""
        options = () if f"{self._sender}{recipient}".isascii() else INTERNATIONAL
        try:
            with self._connect() as connection:
                connection.sendmail(self._sender, [recipient], message, options)
        except smtplib.SMTPRecipientsRefused as refusal:
            self._refused(*refusal.recipients[recipient])
        except smtplib.SMTPResponseException as refusal:
            if isinstance(refusal, smtplib.SMTPAuthenticationError):
                raise MailerUnavailable(f"The SMTP server refused our login ({refusal.smtp_code}).") from None
            self._refused(refusal.smtp_code, refusal.smtp_error)
        except (OSError, smtplib.SMTPException, UnicodeEncodeError) as trouble:
            raise MailerUnavailable(f"The SMTP server did not take the message: {trouble}") from None

    def _connect(self) -> smtplib.SMTP:
        scheme, host = self._parts.scheme, self._parts.hostname or "127.0.0.1"
        port = self._parts.port or STANDARD_PORTS[scheme]
        if scheme == "smtps":
            connection = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            connection = smtplib.SMTP(host, port, timeout=TIMEOUT)
        if scheme == "smtp+starttls":
            connection.starttls(context=ssl.create_default_context())
        if self._parts.username:
            connection.login(unquote(self._parts.username), unquote(self._parts.password or ""))
        return connection

    def _refused(self, code: int, answer: bytes):
        sentence = f"The SMTP server answered {code} {answer.decode(errors='replace')}"[:400]
        raise (MessageRefused if code >= 500 else MailerUnavailable)(sentence)
