"""The milter protocol, by which Postfix asks before it takes a message: version 6, as in Sendmail's libmilter.

Its source is `include/libmilter/mfdef.h` of Sendmail 8.14 and Postfix's `src/milter/milter8.c`. Of all that the
protocol can do, this asks for the envelope's sender and the headers of each message and answers whether it may go on;
it changes nothing. Each connection has a thread, and stands for one SMTP session.
"""

import contextlib
import logging
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

log = logging.getLogger(__name__)

VERSION = 6
# Commands of the mail server.
NEGOTIATE, MACROS, MAIL, HEADER, END_OF_HEADERS, ABORT = b"O", b"D", b"M", b"L", b"N", b"A"
QUIT, QUIT_NEW_CONNECTION = b"Q", b"K"
UNUSED = b"CHRTUBE"
# Answers.
CONTINUE, ACCEPT, REPLY = b"c", b"a", b"y"
# Actions: to name the macros that are wanted.
NAMES_MACROS = 0x100
# Steps that are left out: connection, HELO, recipients, body, unknown commands, DATA.
LEFT_OUT = 0x1 | 0x2 | 0x8 | 0x10 | 0x100 | 0x200
NO_ANSWER_TO_HEADERS = 0x80
OF_MAIL = 2
LOGIN = "{auth_authen}"
WANTED_MACROS = struct.pack("!I", OF_MAIL) + LOGIN.encode() + b"\0"

# Postfix cuts a header at 100 KiB (header_size_limit).
LONGEST_PACKET = 1 << 20
# Headers of a message that are kept for the judgement, which refuses far fewer.
MOST_HEADERS = 100
# Postfix has one connection for each SMTP session, 100 of each service by default.
MOST_CONNECTIONS = 500
# Seconds. A slow upload keeps the connection silent.
PATIENCE = 2 * 3600
ANSWER_SECONDS = 5


class Judge(Protocol):
    """Says why a message may not go on, in a sentence; the empty text means that it may. What it raises is taken for
    trouble of its own: the message is to come again later."""

    # The headers that it wants to see, in lower case.
    headers_wanted: tuple[str, ...]

    def refusal_of_envelope(self, login: str, sender: str) -> str: ...

    def refusal_of_headers(self, login: str, headers: list[tuple[str, str]]) -> str: ...


@dataclass
class Message:
    """What is known of the message that the SMTP session is about to send."""

    login: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


class Server(socketserver.ThreadingTCPServer):
    """Answers the mail server on a port."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, address: tuple[str, int], judge: Judge):
        self.judge = judge
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Session)

    def process_request(self, request, client_address) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            log.error("more than %s connections at a time", MOST_CONNECTIONS)
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


@contextlib.contextmanager
def serving(address: tuple[str, int], judge: Judge) -> Iterator[Server]:
    """The mail server is answered as long as the block runs; what it then waits for, it asks again later."""
    with Server(address, judge) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answers(address: tuple[str, int]) -> bool:
    """Whether this program answers there, and not another milter."""
    offer = struct.pack("!3I", VERSION, NAMES_MACROS, LEFT_OUT | NO_ANSWER_TO_HEADERS)
    with (
        contextlib.suppress(OSError),
        socket.create_connection(address, ANSWER_SECONDS) as connection,
        connection.makefile("rwb") as stream,
    ):
        stream.write(packet(NEGOTIATE + offer) + packet(QUIT))
        stream.flush()
        return list(packets(stream)) == [(NEGOTIATE, offer + WANTED_MACROS)]
    return False


class _Session(socketserver.StreamRequestHandler):
    timeout = PATIENCE

    def setup(self) -> None:
        super().setup()
        self._message, self._login, self._is_silent = Message(), "", False

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            for command, content in packets(self.rfile):
                if command in (QUIT, QUIT_NEW_CONNECTION):
                    return
                if answer := self._answer(command, content):
                    self.wfile.write(packet(answer))

    def _answer(self, command: bytes, content: bytes) -> bytes:
        """The packet to send back; empty for none. What is not understood is answered by the end of the connection."""
        if command == NEGOTIATE:
            return self._agreed(content)
        if command == MACROS:
            if content[:1] == MAIL:
                self._login = _pairs(content[1:]).get(LOGIN, "")
            return b""
        if command == MAIL:
            return self._begun(content)
        if command == HEADER:
            return self._told(content)
        if command == END_OF_HEADERS:
            return self._judged()
        if command == ABORT:
            self._message = Message()
            return b""
        if command in UNUSED:
            return CONTINUE
        raise ConnectionError("an unknown command")

    def _agreed(self, content: bytes) -> bytes:
        try:
            version, actions, steps = struct.unpack_from("!3I", content)
        except struct.error:
            raise ConnectionError("no negotiation") from None
        if version < VERSION or not actions & NAMES_MACROS:
            log.error("the mail server speaks version %s of the protocol: %s is needed", version, VERSION)
            raise ConnectionError("another version")
        self._is_silent = bool(steps & NO_ANSWER_TO_HEADERS)
        granted = steps & (LEFT_OUT | NO_ANSWER_TO_HEADERS)
        # Without its macro a login would look like none, whatever the mail server's configuration says.
        return NEGOTIATE + struct.pack("!3I", VERSION, NAMES_MACROS, granted) + WANTED_MACROS

    def _begun(self, content: bytes) -> bytes:
        """A new message. Without a login it is none of ours: Postfix relays such mail, or not, by rules of its own."""
        self._message, self._login = Message(self._login), ""
        if not self._message.login:
            return ACCEPT
        sender = _text(content.partition(b"\0")[0]).removeprefix("<").removesuffix(">")
        return self._reply(self.server.judge.refusal_of_envelope, sender)

    def _told(self, content: bytes) -> bytes:
        name, _, value = content.partition(b"\0")
        is_wanted = _text(name).strip().lower() in self.server.judge.headers_wanted
        if is_wanted and len(self._message.headers) < MOST_HEADERS:
            self._message.headers.append((_text(name), _text(value.removesuffix(b"\0"))))
        return b"" if self._is_silent else CONTINUE

    def _judged(self) -> bytes:
        if not self._message.login:
            return ACCEPT
        return self._reply(self.server.judge.refusal_of_headers, self._message.headers)

    def _reply(self, judgement, subject) -> bytes:
        try:
            refusal = judgement(self._message.login, subject)
        except Exception:
            log.exception("a message could not be judged")
            return _said("451 4.3.0 Whose address this is cannot be looked up at the moment. Try again later.")
        if not refusal:
            return CONTINUE
        log.info("refused to %s: %s", self._message.login, refusal)
        return _said(f"550 5.7.1 {refusal}")


def packet(content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + content


def packets(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Command and content of each packet, until the other side closes; raises `ConnectionError` for what is none."""
    while len(head := stream.read(4)) == 4:
        (length,) = struct.unpack("!I", head)
        if not 0 < length <= LONGEST_PACKET:
            raise ConnectionError("no packet")
        content = stream.read(length)
        if len(content) < length:
            return
        yield content[:1], content[1:]


def _pairs(content: bytes) -> dict[str, str]:
    """Names and values, each of which ends with a zero."""
    texts = [_text(each) for each in content.split(b"\0")]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _said(reply: str) -> bytes:
    """The mail server takes %% for %."""
    return REPLY + reply.replace("%", "%%").encode() + b"\0"
