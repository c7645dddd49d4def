"""A gateway that the settings describe: what it is asked, what its answers mean, and what nobody gets to see."""

import json
import logging
import re
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import adapters
from actions.ground.ports import PerhapsDelivered, SmsRefused, SmsSender, SmsUnavailable
from lab.installation import environment_of
from lab.servers import HOST, BlackHole, free_port
from settings import Settings
from settings.sms import SmsBody, headers_of

NUMBER, KEY = "+393331234567", "run:17:sms"
JSON = '{"recipient": "{to}", "sms": {"body": "{text}", "tags": ["{key}", "x"]}, "flash": false, "n": 1}'
FORM = "to={digits}&text={text}&from={from}&id={key}&dlr={report_url}&type=sms"
HOSTILE = 'İğş Пароль "quoted" \\ \\" {key} {to} {text} & = + % %0D%0A \r\nX-Evil: 1\r\n\r\n</b> \x00 \ud800 😀'


@dataclass
class Gateway:
    """What came, and what is answered."""

    status: int = 200
    answer: str = '{"status": "ok"}'
    location: str = ""
    hangs_up: bool = False
    came: list[tuple] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def gateway(request) -> Iterator[Gateway]:
    gateway = Gateway()
    speaks_tls = hasattr(request, "param")

    class Handler(BaseHTTPRequestHandler):
        def take(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            gateway.came.append((self.command, self.path, dict(self.headers), body))
            if gateway.hangs_up:
                self.close_connection = True
                return
            self.send_response(gateway.status)
            if gateway.location:
                self.send_header("Location", gateway.location)
            self.end_headers()
            self.wfile.write(gateway.answer.encode())

        do_GET = do_POST = do_PUT = take

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    if speaks_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*request.getfixturevalue("certificate"))
        # Each visitor's own thread shakes hands, not the one that listens.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    gateway.url = f"{'https' if speaks_tls else 'http'}://{HOST}:{server.server_port}/v1/messages/"
    yield gateway
    server.shutdown()
    server.server_close()


@pytest.fixture
def sender_of(tmp_path) -> Callable[..., SmsSender]:
    def make(url: str, body: str = JSON, **changes: str) -> SmsSender:
        environment = environment_of(tmp_path / "instance", f"sqlite:///{tmp_path / 'postern.db'}")
        named = {f"POSTERN_SMS_{name.upper()}": value for name, value in changes.items()}
        return adapters.build(
            Settings.load(environment | {"POSTERN_SMS_URL": url, "POSTERN_SMS_BODY": body} | named)
        ).sms

    return make


def test_json_is_filled_in_its_values(sender_of, gateway):
    sender_of(gateway.url, headers="Authorization: Bearer s3cr,et=\nX-Account:  7 ").send(NUMBER, HOSTILE, KEY)
    ((method, path, headers, body),) = gateway.came
    assert (method, path, headers["Content-Type"]) == ("POST", "/v1/messages/", "application/json")
    assert (headers["Authorization"], headers["X-Account"]) == ("Bearer s3cr,et=", "7")
    assert "X-Evil" not in headers
    expected = {"recipient": NUMBER, "sms": {"body": HOSTILE, "tags": [KEY, "x"]}, "flash": False, "n": 1}
    assert json.loads(body) == expected


def test_a_form_is_filled_in_its_values(sender_of, gateway):
    sms = sender_of(gateway.url, FORM, method="PUT", **{"from": "Example"})
    sms.send(NUMBER, HOSTILE, KEY, "https://panel.example.org/r/1?s=a&b=c")
    ((method, _, headers, body),) = gateway.came
    assert (method, headers["Content-Type"]) == ("PUT", "application/x-www-form-urlencoded")
    assert parse_qs(body.decode(), keep_blank_values=True) == {
        "to": [NUMBER[1:]],
        # What no text can hold is a question mark.
        "text": [HOSTILE.replace("\ud800", "?")],
        "from": ["Example"],
        "id": [KEY],
        "dlr": ["https://panel.example.org/r/1?s=a&b=c"],
        "type": ["sms"],
    }


def test_a_login_in_the_address_is_not_in_the_request_line(sender_of, gateway):
    sender_of(gateway.url.replace("http://", "http://us%3Aer:p%40ss@")).send(NUMBER, "hello", KEY)
    ((_, path, headers, _),) = gateway.came
    assert path == "/v1/messages/"
    assert headers["Authorization"] == "Basic dXM6ZXI6cEBzcw=="


@pytest.mark.parametrize("number", ["", "anna", "+39333 +39444", "+39\r\nX-Evil: 1", "+393331234567\n"])
def test_what_is_no_number_reaches_nobody(sender_of, gateway, number):
    with pytest.raises(SmsRefused):
        sender_of(gateway.url).send(number, "hello", KEY)
    assert gateway.came == []


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (200, '{"status": "ok"}', None),
        (201, '{"status": "ok"}', None),
        # Taken, and not as the settings say: each further try may be a further message.
        (202, '{"status": "queued"}', PerhapsDelivered),
        (200, '{"status": "no credit"}', PerhapsDelivered),
        (200, '{"status": "ok", "error": "unknown number"}', SmsRefused),
        (400, "", SmsRefused),
        (422, "", SmsRefused),
        (401, "", SmsUnavailable),
        (403, "", SmsUnavailable),
        (404, "", SmsUnavailable),
        (429, "", SmsUnavailable),
        (500, '{"status": "ok"}', SmsUnavailable),
        (502, "", PerhapsDelivered),
        (503, "", SmsUnavailable),
        (504, "", PerhapsDelivered),
    ],
)
def test_the_answer_decides(sender_of, gateway, status, answer, outcome):
    gateway.status, gateway.answer = status, answer
    sms = sender_of(gateway.url, success='"status": "ok"', refusal="unknown number|black.?list")
    if outcome is None:
        sms.send(NUMBER, "hello", KEY)
        return
    with pytest.raises(outcome):
        sms.send(NUMBER, "hello", KEY)


def test_without_a_pattern_the_status_alone_decides(sender_of, gateway):
    gateway.answer = "whatever"
    sender_of(gateway.url).send(NUMBER, "hello", KEY)


def test_a_redirect_is_not_followed(sender_of, gateway):
    gateway.status, gateway.location = 307, gateway.url
    with pytest.raises(SmsUnavailable):
        sender_of(gateway.url).send(NUMBER, "hello", KEY)
    assert len(gateway.came) == 1


def test_a_proxy_of_the_environment_is_not_asked(sender_of, gateway, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{free_port()}")
    sender_of(gateway.url).send(NUMBER, "hello", KEY)
    assert len(gateway.came) == 1


def test_nobody_listens(sender_of):
    sms = sender_of(f"http://{HOST}:{free_port()}/")
    for attempt in (sms.check, lambda: sms.send(NUMBER, "hello", KEY)):
        with pytest.raises(SmsUnavailable, match="cannot be reached"):
            attempt()


def test_somebody_listens_and_says_nothing(sender_of, monkeypatch):
    monkeypatch.setattr(adapters.sms, "ANSWER_SECONDS", 0.3)
    with BlackHole() as hole:
        began = time.monotonic()
        with pytest.raises(PerhapsDelivered, match="in time"):
            sender_of(f"http://{HOST}:{hole.port}/").send(NUMBER, "hello", KEY)
        assert time.monotonic() - began < 3


def test_somebody_says_nothing_before_anything_was_handed_over(sender_of, monkeypatch):
    """The TLS handshake is waited for in vain: the request has not left."""
    monkeypatch.setattr(adapters.sms, "ANSWER_SECONDS", 0.3)
    with BlackHole() as hole, pytest.raises(SmsUnavailable):
        sender_of(f"https://{HOST}:{hole.port}/").send(NUMBER, "hello", KEY)


def test_a_connection_that_ends_without_an_answer_leaves_it_open(sender_of, gateway):
    gateway.hangs_up = True
    with pytest.raises(PerhapsDelivered):
        sender_of(gateway.url).send(NUMBER, "hello", KEY)
    assert len(gateway.came) == 1


@pytest.fixture
def certificate(tmp_path) -> tuple[str, str]:
    """One for this machine, from an authority that nobody knows, and its key."""
    certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-subj", "/CN=gateway", "-addext", f"subjectAltName=IP:{HOST}", "-days", "2"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.parametrize("gateway", ["TLS"], indirect=True)
def test_a_certificate_is_trusted_if_the_host_trusts_it(sender_of, gateway, certificate, monkeypatch):
    sms = sender_of(gateway.url)
    for attempt in (sms.check, lambda: sms.send(NUMBER, "hello", KEY)):
        with pytest.raises(SmsUnavailable, match="cannot be reached"):
            attempt()
    assert gateway.came == []
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    sms.check()
    sms.send(NUMBER, "hello", KEY)
    assert len(gateway.came) == 1
    with pytest.raises(SmsUnavailable, match="cannot be reached"):
        sender_of(gateway.url.replace(HOST, "localhost")).send(NUMBER, "hello", KEY)


def test_looking_whether_it_is_there_sends_nothing(sender_of, gateway):
    sender_of(gateway.url).check()
    assert gateway.came == []


def test_an_endless_answer_is_not_read_to_its_end(sender_of, gateway):
    gateway.answer = "x" * 3_000_000 + "ok"
    with pytest.raises(PerhapsDelivered):
        sender_of(gateway.url, success="ok").send(NUMBER, "hello", KEY)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_secret_is_logged_or_told(sender_of, gateway, caplog, status):
    caplog.set_level(logging.DEBUG)
    secret = "QWERT-ZUIOP"
    gateway.status, gateway.answer = status, f"you sent {secret}"
    sms = sender_of(gateway.url, headers=f"Authorization: Bearer {secret}", success="never")
    with pytest.raises((SmsUnavailable, SmsRefused, PerhapsDelivered)) as trouble:
        sms.send(NUMBER, secret, KEY)
    assert gateway.came
    assert secret not in caplog.text + "".join(traceback.format_exception(trouble.value))


# --- what the settings may say ---


def findings_of(tmp_path, **changes: str) -> list[str]:
    environment = environment_of(tmp_path / "instance", f"sqlite:///{tmp_path / 'postern.db'}")
    settings = Settings.load(environment)
    return type(settings)(**{**vars(settings), **changes}).findings()


@pytest.mark.parametrize(
    "changes",
    [
        {"sms_url": "https://sms.example.net/v1", "sms_body": JSON},
        {"sms_url": "https://sms.example.net/v1", "sms_body": FORM, "sms_headers": "\nX-Key: a b\n\n"},
        {"sms_url": "http://127.0.0.1:8080/", "sms_body": FORM},
        {"sms_url": "http://[::1]:8080/", "sms_body": FORM},
        {"sms_url": "https://sms.example.net/", "sms_body": '[{"to": "{to}", "text": "code: {text}"}]'},
        {"sms_url": "kannels://u:p@sms.example.net/", "sms_from": "Example Ltd"},
        {"sms_url": "kannel://u:p%40ss@127.0.0.1:13013/", "sms_from": "+393331234567"},
        {"phone_region": "TR", "phone_allow": ("premium", "short")},
    ],
)
def test_what_is_right_is_taken(tmp_path, changes):
    assert findings_of(tmp_path, **changes) == []


def test_the_guides_example_is_taken(tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(sms_url.*?)```", guide, re.DOTALL)
    environment = environment_of(tmp_path / "instance", f"sqlite:///{tmp_path / 'postern.db'}")
    file = Settings.load(environment).instance / "postern.toml"
    file.touch(0o600)
    file.write_text(example)
    settings = Settings.load(environment)
    assert headers_of(settings.sms_headers) == {"Authorization": "Bearer choose-your-key"}
    facts = {"to": NUMBER, "from": settings.sms_from, "text": HOSTILE, "key": KEY}
    filled = json.loads(SmsBody(settings.sms_body).filled(facts))
    assert filled == {"to": NUMBER, "from": "Example", "text": HOSTILE, "reference": KEY}
    assert re.search(settings.sms_success, '{"status": "queued"}')


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"sms_url": "sms.example.net"}, "SMS_URL"),
        ({"sms_url": "https:///x", "sms_body": FORM}, "SMS_URL"),
        ({"sms_url": "smpp://u:p@127.0.0.1/"}, "SMS_URL"),
        ({"sms_url": "demo:"}, "SMS_URL"),
        ({"sms_url": "http://sms.example.net/", "sms_body": FORM}, "SMS_URL"),
        ({"sms_url": "http://127.0.0.1.example.net/", "sms_body": FORM}, "SMS_URL"),
        ({"sms_url": "kannel://u:p@sms.example.net/"}, "SMS_URL"),
        ({"sms_url": "kannel://127.0.0.1:13013/"}, "SMS_URL"),
        ({"sms_url": "kannel://u@127.0.0.1:13013/"}, "SMS_URL"),
        ({"sms_url": "kannel://u:p%0d%0aX-Evil:1@127.0.0.1:13013/"}, "SMS_URL"),
        ({"sms_url": "kannel://u:%D0%BF@127.0.0.1:13013/"}, "SMS_URL"),
        ({"sms_from": "A name that is too long"}, "SMS_FROM"),
        ({"sms_from": "Ex\r\nX-Evil: 1"}, "SMS_FROM"),
        ({"sms_from": "Пример"}, "SMS_FROM"),
        ({"sms_method": "GET"}, "SMS_METHOD"),
        ({"sms_url": "https://sms.example.net/"}, "SMS_BODY"),
        ({"sms_body": '{"to": "{to}", "text": "{text}"'}, "SMS_BODY"),
        ({"sms_body": '{"to": "{to}"}'}, "SMS_BODY"),
        ({"sms_body": '{"text": "{text}"}'}, "SMS_BODY"),
        ({"sms_body": '{"{text}": "{to}"}'}, "SMS_BODY"),
        ({"sms_body": '{"to": "{to}", "text": "{text}", "x": "{password}"}'}, "SMS_BODY"),
        ({"sms_body": "just text"}, "SMS_BODY"),
        ({"sms_body": "[" * 100_000}, "SMS_BODY"),
        ({"sms_headers": "Authorization"}, "SMS_HEADERS"),
        ({"sms_headers": "X Key: 1"}, "SMS_HEADERS"),
        ({"sms_headers": "X-Key: ключ"}, "SMS_HEADERS"),
        ({"sms_headers": "Host: other.example.net"}, "SMS_HEADERS"),
        ({"sms_headers": "content-TYPE: text/plain"}, "SMS_HEADERS"),
        ({"sms_success": "("}, "SMS_SUCCESS"),
        ({"sms_refusal": "["}, "SMS_REFUSAL"),
        ({"phone_region": "ZZ"}, "PHONE_REGION"),
        ({"phone_region": "it"}, "PHONE_REGION"),
        ({"phone_allow": ("all",)}, "PHONE_ALLOW"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(tmp_path, changes, name):
    (told,) = findings_of(tmp_path, **changes)
    assert f"POSTERN_{name}" in told


def test_a_header_that_is_wrong_is_not_repeated(tmp_path):
    (told,) = findings_of(tmp_path, sms_headers="Bearer s3cret")
    assert "s3cret" not in told
