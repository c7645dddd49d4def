"""The milter protocol with a client that is no mail server; Postfix itself speaks it in tests/mailhost."""

import socket
import struct
from collections.abc import Iterator

import pytest

from adapters import milter
from lab.servers import HOST, free_port

NEGOTIATION = b"O" + struct.pack("!3I", 6, 0x1FF, 0x1FFFFF)


class OnlyAnna:
    headers_wanted = ("from",)

    def refusal_of_envelope(self, login: str, sender: str) -> str:
        return "" if sender == login else f"100% {login}"

    def refusal_of_headers(self, login: str, headers: list[tuple[str, str]]) -> str:
        return "" if headers == [("From", login)] else f"{headers}"


@pytest.fixture
def port() -> Iterator[int]:
    chosen = free_port()
    with milter.serving((HOST, chosen), OnlyAnna()):
        yield chosen


def answers(port: int, *sent: bytes) -> list[bytes]:
    """What comes back until the other side closes, which it does after a quit."""
    with socket.create_connection((HOST, port), 10) as connection, connection.makefile("rwb") as stream:
        stream.write(b"".join(map(milter.packet, sent)))
        stream.flush()
        return [command + content for command, content in milter.packets(stream)]


def test_a_session(port):
    login = b"DM{auth_type}\0PLAIN\0{auth_authen}\0anna\0"
    sent = [login, b"M<anna>\0SIZE=7\0", b"LFrom\0anna\0", b"LTo\0eve\0", b"N", b"E", b"A"]
    sent += [login, b"M<eve>\0", b"A", b"DM\0", b"M<eve>\0", b"LFrom\0eve\0", b"N", b"M<eve>\0", b"Q"]
    agreed, *said = answers(port, NEGOTIATION, *sent)
    assert struct.unpack_from("!3I", agreed, 1)[:2] == (6, 0x100)
    assert agreed[13:] == struct.pack("!I", 2) + b"{auth_authen}\0"
    assert said == [b"c", b"c", b"c", b"y550 5.7.1 100%% anna\0", b"a", b"a", b"a"]


def test_a_login_counts_for_one_message(port):
    login = b"DM{auth_authen}\0anna\0"
    assert answers(port, NEGOTIATION, login, b"M<eve>\0", b"M<eve>\0", b"Q")[1:] == [b"y550 5.7.1 100%% anna\0", b"a"]


@pytest.mark.parametrize(
    "sent",
    [
        b"O",
        b"O" + struct.pack("!3I", 2, 0x1FF, 0x1FFFFF),
        b"O" + struct.pack("!3I", 6, 0x0FF, 0x1FFFFF),
        b"x",
        b"",
        b"M" * (milter.LONGEST_PACKET + 1),
    ],
    ids=["nothing agreed", "old", "without macros", "unknown", "empty", "too long"],
)
def test_what_is_not_understood_ends_the_connection(port, sent):
    try:
        assert answers(port, sent[: milter.LONGEST_PACKET + 1]) == []
    except ConnectionError:
        assert len(sent) > milter.LONGEST_PACKET
    assert len(answers(port, NEGOTIATION, b"Q")) == 1


def test_of_too_many_connections_the_last_is_closed(port, monkeypatch):
    monkeypatch.setattr(milter, "MOST_CONNECTIONS", 2)
    chosen = free_port()
    with milter.serving((HOST, chosen), OnlyAnna()):
        first = [socket.create_connection((HOST, chosen), 10) for _ in range(2)]
        for each in first:
            each.sendall(milter.packet(NEGOTIATION))
            assert each.recv(100)
        with pytest.raises((AssertionError, ConnectionError)):
            assert answers(chosen, NEGOTIATION, b"Q")
        for each in first:
            each.close()
