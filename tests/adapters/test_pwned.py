"""The look-up of breached passwords, against a server on this machine that answers as the real one, or worse."""

import gzip
import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adapters import pwned
from adapters.pwned import PwnedPasswords
from lab.servers import HOST, BlackHole, free_port

PASSWORD = "Correct-Horse-7"
DIGEST = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
OTHERS = "".join(f"{number:035X}:{number}\r\n" for number in range(1000))


@dataclass
class Collection:
    """What it answers, and what it was asked."""

    answer: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drips: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def holds(self, password: str) -> bool:
        return PwnedPasswords(self.url).contain(password)


@pytest.fixture
def collection() -> Iterator[Collection]:
    collection = Collection()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            collection.asked.append(self.path)
            self.send_response(collection.status)
            for header in collection.headers.items():
                self.send_header(*header)
            self.end_headers()
            parts = [bytes([byte]) for byte in collection.answer] if collection.drips else [collection.answer]
            try:
                for part in parts:
                    self.wfile.write(part)
                    ended.wait(0.1 if collection.drips else 0)
            except OSError:
                return

        def log_message(self, *_arguments: object) -> None:
            pass

    ended = threading.Event()
    server = ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    collection.url = f"http://{HOST}:{server.server_port}"
    yield collection
    ended.set()
    server.shutdown()
    server.server_close()


def line(count: str) -> bytes:
    return f"{OTHERS}{DIGEST[5:]}:{count}\r\n".encode()


def test_a_breached_password_is_found_by_five_characters_of_its_hash(collection):
    collection.answer = line("37")
    assert collection.holds(PASSWORD)
    assert not collection.holds("Another-Horse-7")
    assert collection.asked[0] == f"/range/{DIGEST[:5]}"


def test_padding_is_no_breach(collection):
    collection.answer = line("0")
    assert not collection.holds(PASSWORD)


def test_a_compressed_answer_is_read(collection):
    collection.answer, collection.headers = gzip.compress(line("37"), mtime=0), {"Content-Encoding": "gzip"}
    assert collection.holds(PASSWORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"Location": "https://elsewhere.example.org/"}},
        {"status": 204, "answer": b""},
        {"answer": b"<!doctype html><title>Sign in to this network</title>"},
        {"answer": b""},
        {"answer": "é".encode() + line("37")},
        {"answer": gzip.compress(b"0" * 10_000_000, mtime=0), "headers": {"Content-Encoding": "gzip"}},
        {"answer": b"no gzip", "headers": {"Content-Encoding": "gzip"}},
        {"answer": line("37") * 40},
    ],
    ids=lambda changes: f"{changes.get('status', 200)} {changes.get('answer', b'')[:12]!r}",
)
def test_what_is_no_range_stops_nobody_and_is_logged(collection, caplog, changes):
    for name, value in changes.items():
        setattr(collection, name, value)
    with caplog.at_level(logging.WARNING):
        assert not collection.holds(PASSWORD)
    (record,) = caplog.records
    assert "did not answer" in record.message
    assert PASSWORD not in record.message


def test_nobody_waits_for_long(collection, caplog):
    collection.answer, collection.drips = line("37"), True
    began = time.monotonic()
    assert not collection.holds(PASSWORD)
    with BlackHole() as silent:
        assert not PwnedPasswords(f"http://{HOST}:{silent.port}").contain(PASSWORD)
    assert not PwnedPasswords(f"http://{HOST}:{free_port()}").contain(PASSWORD)
    assert time.monotonic() - began < 3 * (pwned.WHOLE_ANSWER + pwned.TIMEOUT)
    assert len(caplog.records) == 3
