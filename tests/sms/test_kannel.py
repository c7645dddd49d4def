"""Text messages through Debian's Kannel to its fake phone network: what arrives, what is refused, what logs keep."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

import adapters
from actions.ground.ports import PerhapsDelivered, SmsRefused, SmsSender, SmsUnavailable
from lab.installation import environment_of
from lab.kannel import Arrived, Kannel
from lab.servers import HOST, BlackHole, free_port, wait_until
from settings import Settings

KEY = "run:17:sms"
NUMBERS = (f"+3933312{number:05}" for number in itertools.count())


@pytest.fixture
def number() -> str:
    """A phone of the test's own, so that tests do not read each other's messages."""
    return next(NUMBERS)


@pytest.fixture
def sender_of(tmp_path) -> Callable[..., SmsSender]:
    """The port that the settings make for a gateway's address."""

    def make(url: str, **changes: str) -> SmsSender:
        environment = environment_of(tmp_path / "instance", f"sqlite:///{tmp_path / 'postern.db'}", POSTERN_SMS_URL=url)
        return adapters.build(Settings.load(environment | changes)).sms

    return make


@pytest.fixture
def sms(sender_of, kannel) -> SmsSender:
    return sender_of(kannel.url)


def shown_on(kannel: Kannel, number: str, count: int = 1) -> list[Arrived]:
    def there() -> list[Arrived]:
        return [each for each in kannel.arrived() if each.receiver == number]

    wait_until(lambda: len(there()) >= count, f"{count} messages for {number} arrive", 10)
    return there()


# --- what arrives ---


@pytest.mark.parametrize(
    "text",
    [
        "The password of the archive: ABCDE-FGHJK-LMNPQ-RSTUV",
        "Пароль архива: ABCDE-FGHJK-LMNPQ-RSTUV",
        "Arşivin parolası: ABCDE-FGHJK (İıĞğŞş ÖöÜüÇç)",
        "La contraseña del archivo: ¿ABCDE-FGHJK? àèéìòù ¡ñÑ!",
        "£ $ € [ ] { } ~ | ^ \\ @ _ § < > & % + = ; : ' \" #",
        "first line\nsecond line\n\nfourth: ABCDE",
        "%p %P %d %s {text} {to} \\n <ABCDE>",
        "😀 ABCDE",
    ],
    ids=["English", "Russian", "Turkish", "Spanish", "signs", "lines", "placeholders", "emoji"],
)
def test_a_text_arrives_as_it_was_written(sms, kannel, number, text):
    sms.send(number, text, KEY)
    (arrived,) = shown_on(kannel, number)
    assert (arrived.text, arrived.parts) == (text, 1)


@pytest.mark.parametrize(("letters", "parts"), [("abcdefgh " * 50, 4), ("пароль " * 50, 6)], ids=["plain", "UCS-2"])
def test_a_long_text_arrives_whole(sms, kannel, number, letters, parts):
    text = f"{letters}ABCDE-FGHJK"
    sms.send(number, text, KEY)
    wait_until(lambda: shown_on(kannel, number)[0].parts == parts, "all parts arrive", 10)
    assert shown_on(kannel, number)[0].text == text


def test_the_sender_is_the_gateways_own_or_the_settings(sms, sender_of, kannel, number):
    sms.send(number, "one", KEY)
    shown_on(kannel, number)
    sender_of(kannel.url, POSTERN_SMS_FROM="Example Ltd").send(number, "two", KEY)
    assert [each.sender for each in shown_on(kannel, number, 2)] == ["13013", "Example Ltd"]


def test_a_number_that_holds_several_reaches_nobody(sms, kannel, number):
    before = len(kannel.arrived())
    for several in (f"{number} {next(NUMBERS)}", f"{number}+{number}", f"{number}\t{number}", f"{number}\n{number}"):
        with pytest.raises(SmsRefused):
            sms.send(several, "hello", KEY)
    sms.send(number, "the last", KEY)
    shown_on(kannel, number)
    assert len(kannel.arrived()) == before + 1


# --- what is refused, and what may be tried again ---


@pytest.mark.parametrize(
    "number",
    ["", "+", "anna", "+39 333 1234567", "+39333123456789012", "+39333x", "+393331234567\r\nX-Kannel-To: +15005550006"],
)
def test_what_is_no_number_is_refused_for_good(sms, number):
    with pytest.raises(SmsRefused):
        sms.send(number, "hello", KEY)


def test_a_number_that_the_gateway_refuses_is_refused_for_good(sms, kannel):
    assert kannel.refused_number.startswith("+")
    with pytest.raises(SmsRefused, match="refuses this number"):
        sms.send(kannel.refused_number, "hello", KEY)


def test_a_wrong_password_is_told_and_may_be_mended(sender_of, kannel):
    sms = sender_of(f"kannel://postern:wrong@{HOST}:{kannel.port}/")
    for attempt in (sms.check, lambda: sms.send(next(NUMBERS), "hello", KEY)):
        with pytest.raises(SmsUnavailable, match="refuses the login"):
            attempt()


def test_the_right_password_is_found_right_without_a_message(sms, kannel):
    before = kannel.arrived()
    sms.check()
    assert kannel.arrived() == before


def test_nobody_listens(sender_of):
    sms = sender_of(f"kannel://postern:secret@{HOST}:{free_port()}/")
    with pytest.raises(SmsUnavailable, match="cannot be reached"):
        sms.send(next(NUMBERS), "hello", KEY)


def test_somebody_listens_and_says_nothing(sender_of, monkeypatch):
    assert adapters.sms.CONNECT_SECONDS + adapters.sms.CHECK_SECONDS <= 7
    monkeypatch.setattr(adapters.sms, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr(adapters.sms, "ANSWER_SECONDS", 0.5)
    with BlackHole() as hole:
        sms = sender_of(f"kannel://postern:secret@{HOST}:{hole.port}/")
        # Nothing can have been delivered by a question, and a message perhaps was.
        for ask, outcome in (
            (sms.check, SmsUnavailable),
            (lambda: sms.send(next(NUMBERS), "hello", KEY), PerhapsDelivered),
        ):
            began = time.monotonic()
            with pytest.raises(outcome, match="in time"):
                ask()
            assert 0.4 < time.monotonic() - began < 3


def test_what_kannel_queues_while_the_phone_network_is_away_is_taken(sender_of):
    with Kannel() as kannel:
        kannel.stop_network()
        sender_of(kannel.url).send(next(NUMBERS), "waits", KEY)
        assert not kannel.arrived()
        assert "1 queued" in kannel.status()


def test_a_gateway_that_was_away_works_again(sender_of):
    with Kannel() as kannel:
        number, sms = next(NUMBERS), sender_of(kannel.url)
        kannel.stop()
        with pytest.raises(SmsUnavailable):
            sms.send(number, "lost", KEY)
        kannel.start()
        sms.send(number, "arrives", KEY)
        assert [each.text for each in shown_on(kannel, number)] == ["arrives"]


# --- reports ---


class Reports:
    """A place that gateways report to."""

    def __init__(self):
        self.paths: list[str] = []
        reports = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                reports.paths.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def states(self, path: str) -> set[str]:
        asked = [urlsplit(each) for each in self.paths]
        return {parse_qs(each.query)["state"][0] for each in asked if each.path == path}


@pytest.fixture
def reports() -> Iterator[Reports]:
    reports = Reports()
    yield reports
    reports.close()


@pytest.mark.parametrize("query", ["", "?signature=a-b_c~d.e"])
def test_the_delivery_is_reported_to_the_given_address(sms, number, reports, query):
    sms.send(number, "hello", KEY, f"{reports.url}/sms-reports/17-x.Y_z~{query}")
    # Accepted by the network, delivered.
    wait_until(lambda: reports.states("/sms-reports/17-x.Y_z~") == {"8", "1"}, "two reports come", 10)
    assert all(path.startswith(f"/sms-reports/17-x.Y_z~{query}") for path in reports.paths)


def test_without_an_address_nothing_is_reported(sms, kannel, number, reports):
    sms.send(number, "hello", KEY)
    shown_on(kannel, number)
    sms.send(number, "hello", KEY, f"{reports.url}/last")
    wait_until(lambda: reports.states("/last") == {"8", "1"}, "the last is reported", 10)
    assert len(reports.paths) == 2


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/%d", "http://127.0.0.1/a\r\nX-Kannel-To: +1", "ftp://127.0.0.1/", "http://127.0.0.1/a b"],
)
def test_an_address_that_would_mean_something_else_is_a_mistake(sms, number, address):
    with pytest.raises(ValueError):
        sms.send(number, "hello", KEY, address)


# --- what is left behind ---


def test_neither_text_nor_password_is_left_in_a_log(sender_of, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "QWERT-ZUIOP-ASDFG"
    with Kannel() as kannel:
        sms = sender_of(kannel.url)
        for text in (f"password {secret}", f"пароль {secret}", f"{'long ' * 60}{secret}"):
            sms.send(next(NUMBERS), text, KEY)
        kannel.wait_for(3)
        with pytest.raises(SmsUnavailable):
            sender_of(f"kannel://postern:{secret}@{HOST}:{kannel.port}/").send(next(NUMBERS), secret, KEY)
        wait_until(lambda: kannel.written().count("Sent SMS") == 3, "Kannel's access log has three lines", 10)
        kannel.stop()
        written = kannel.written() + caplog.text
    assert KEY in written
    for spelt in (secret, secret.encode("utf-16-be").hex(), kannel.password):
        assert spelt.lower() not in written.lower()


def test_a_key_that_kannel_would_refuse_is_sent_as_another(sms, kannel, number):
    sms.send(number, "hello", "key [with] blanks\r\nX-Kannel-To: +15005550006" * 9)
    assert [each.text for each in shown_on(kannel, number)] == ["hello"]
