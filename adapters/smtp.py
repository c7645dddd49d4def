"""Sending mail by SMTP."""

import base64
import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from actions.ground.ports import MailerUnavailable, MessageRefused, PerhapsDelivered, RecipientRefused

# How long an answer is waited for, at least what RFC 5321 (4.5.3.2) says: to a command, and to a whole message, which
# the server may look through and deliver before it answers.
COMMAND_SECONDS, ACCEPTANCE_SECONDS = 300, 600
# Nothing depends on the answer to QUIT.
FAREWELL_SECONDS = 5
# For whoever only asks whether the server is there.
CHECK_SECONDS = 10
# For an address that is not ASCII (RFC 6531).
INTERNATIONAL = ("SMTPUTF8", "BODY=8BITMIME")
STANDARD_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
END = b".\r\n"
# The enhanced status at the beginning of an answer (RFC 2034), and its subject: an address, or a mailbox.
ENHANCED_STATUS = re.compile(rb"5\.([0-9]{1,3})\.[0-9]{1,3}(?![0-9.])")
ABOUT_THE_ADDRESS = (b"1", b"2")
# Those of them that are about who sends.
ABOUT_THE_SENDER = ("5.1.7", "5.1.8")
# The answers to RCPT that are about the address where no enhanced status says more (RFC 5321, 4.2.3).
ADDRESS_REFUSED, UNTOLD_STATUS = (550, 551, 553), "5.1.0"


class SmtpMailer:
    """A mailer for `smtp://`, `smtp+starttls://` and `smtps://` URLs; `user:password@` signs in."""

    def __init__(self, url: str, sender: str):
        self._parts = urlsplit(url)
        self._sender = sender

    def send(self, message: bytes, recipient: str, sender: str = "") -> None:
        """Hand the message over; a refusal for good (5xx) differs from trouble that may pass. Nothing that
        follows the server's answer to the message changes its outcome."""
        with self._connected(COMMAND_SECONDS) as connection:
            options = self._options(connection, message, recipient)
            _expect(250, *connection.mail(sender or self._sender, options))
            _expect_recipient(recipient, *connection.rcpt(recipient))
            _expect(354, *connection.docmd("DATA"))
            connection.send(_with_dots(message))
            _expect(250, *_handed_over(connection))

    def takes_every_address(self) -> bool:
        """Whether the server takes addresses that are not ASCII; raises `MailerUnavailable`."""
        with self._connected(CHECK_SECONDS) as connection:
            return connection.has_extn("smtputf8")

    def refusal_of(self, sender: str, recipient: str) -> str:
        """What the server says when it does not take mail from this address to that one; empty when it would take it.
        Nothing is sent. Raises `MailerUnavailable`."""
        with self._connected(CHECK_SECONDS) as connection:
            for code, answer in _asked(connection, sender, recipient):
                if code not in (250, 251):
                    return _quoted(code, answer)
        return ""

    def _options(self, connection: smtplib.SMTP, message: bytes, recipient: str) -> list[str]:
        options = [f"size={len(message)}"] if connection.has_extn("size") else []
        if f"{self._sender}{recipient}".isascii():
            return options
        if not connection.has_extn("smtputf8"):
            raise MessageRefused("The SMTP server takes no address that is not plain ASCII (it has no SMTPUTF8).")
        return [*options, *INTERNATIONAL]

    @contextlib.contextmanager
    def _connected(self, seconds: int) -> Iterator[smtplib.SMTP]:
        """A connection that is signed in; `seconds` is how long each answer is waited for."""
        try:
            connection = self._connect(seconds)
        except smtplib.SMTPAuthenticationError as refusal:
            raise MailerUnavailable(f"The SMTP server refused our login ({refusal.smtp_code}).") from None
        except OSError as trouble:
            raise MailerUnavailable(f"The SMTP server did not let us in: {trouble}") from None
        try:
            yield connection
        except OSError as trouble:
            raise MailerUnavailable(f"The SMTP server did not take the message: {trouble}") from None
        finally:
            _leave(connection)

    def _connect(self, seconds: int) -> smtplib.SMTP:
        scheme, host = self._parts.scheme, self._parts.hostname or "127.0.0.1"
        port = self._parts.port or STANDARD_PORTS[scheme]
        if scheme == "smtps":
            connection = smtplib.SMTP_SSL(host, port, timeout=seconds, context=ssl.create_default_context())
        else:
            connection = smtplib.SMTP(host, port, timeout=seconds)
        if scheme == "smtp+starttls":
            connection.starttls(context=ssl.create_default_context())
        connection.ehlo_or_helo_if_needed()
        if self._parts.username:
            _sign_in(connection, unquote(self._parts.username), unquote(self._parts.password or ""))
        return connection


def _sign_in(connection: smtplib.SMTP, user: str, password: str) -> None:
    """Sign in, in UTF-8 (RFC 4616): smtplib knows ASCII alone."""
    if f"{user}{password}".isascii():
        connection.login(user, password)
        return
    mechanisms = connection.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in mechanisms:
        reply = connection.docmd("AUTH PLAIN", _base64(f"\0{user}\0{password}"))
    elif "LOGIN" in mechanisms:
        reply = connection.docmd("AUTH LOGIN", _base64(user))
        reply = connection.docmd(_base64(password)) if reply[0] == 334 else reply
    else:
        raise smtplib.SMTPNotSupportedError("it knows neither AUTH PLAIN nor LOGIN.")
    if reply[0] != 235:
        raise smtplib.SMTPAuthenticationError(*reply)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _with_dots(message: bytes) -> bytes:
    """The message as it travels (RFC 5321, 4.5.2), up to the line with the final dot."""
    message = re.sub(rb"(?m)^\.", b"..", message)
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def _handed_over(connection: smtplib.SMTP) -> tuple[int, bytes]:
    """Send the final dot; the server's answer. From here on no answer, or one that is none, leaves open what became of
    the message."""
    try:
        connection.sock.settimeout(ACCEPTANCE_SECONDS)
        connection.send(END)
        code, answer = connection.getreply()
    except OSError as trouble:
        raise PerhapsDelivered(f"The SMTP server took the message and did not answer: {trouble}") from None
    if not (code == 250 or 400 <= code < 600):
        raise PerhapsDelivered(f"The SMTP server took the message, and its answer is none: {_quoted(code, answer)}")
    return code, answer


def _expect(expected: int, code: int, answer: bytes) -> None:
    if code == expected or expected == 250 and code == 251:
        return
    is_for_good = 500 <= code < 600
    raise (MessageRefused if is_for_good else MailerUnavailable)(f"The SMTP server answered {_quoted(code, answer)}")


def _expect_recipient(recipient: str, code: int, answer: bytes) -> None:
    """`_expect` for RCPT: an answer that is about the address, and not about us, is a bounce that comes at once."""
    status = _about_the_address(code, answer)
    if status:
        raise RecipientRefused(f"The SMTP server answered {_quoted(code, answer)}", recipient, status)
    _expect(250, code, answer)


def _about_the_address(code: int, answer: bytes) -> str:
    """The enhanced status (RFC 3463) of an answer that refuses an address for good; empty for every other answer, also
    for one by which the server refuses to relay for us, or refuses our own address."""
    told = ENHANCED_STATUS.match(answer)
    if told is None:
        return UNTOLD_STATUS if code in ADDRESS_REFUSED else ""
    status = told[0].decode()
    is_about_it = told[1] in ABOUT_THE_ADDRESS and status not in ABOUT_THE_SENDER
    return status if 500 <= code < 600 and is_about_it else ""


def _asked(connection: smtplib.SMTP, sender: str, recipient: str) -> Iterator[tuple[int, bytes]]:
    yield connection.mail(sender)
    yield connection.rcpt(recipient)


def _quoted(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode(errors='replace')}"[:400]


def _leave(connection: smtplib.SMTP) -> None:
    """Say good-bye; what comes back, or does not, concerns nobody."""
    with contextlib.suppress(OSError):
        if connection.sock:
            connection.sock.settimeout(FAREWELL_SECONDS)
            connection.quit()
    connection.close()
