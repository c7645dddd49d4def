"""The doveadm adapter against a real Dovecot, and against what else may answer, or not, at its address."""

import contextlib
import dataclasses
import http.server
import json
import threading
import time
from collections.abc import Iterator

import pytest

import adapters
from actions.ground.ports import Connection, MailServerUnavailable, Quota
from adapters.dovecot.doveadm import DoveadmMailServer
from lab.accounts import Accounts
from lab.servers import HOST, BlackHole, Dovecot, free_port, idle, imap_login, mail_settings, pop3_login, wait_until
from settings import DOVECOT_VERSIONS

ANNA, BORIS = "anna@example.org", "boris@example.org"
PASSWORD = "Right-Password-1"
ELSEWHERE = "127.0.0.3"
LIMIT = 2.5


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory, dovecot_version) -> Iterator[Dovecot]:
    directory = tmp_path_factory.mktemp("dovecot")
    accounts = Accounts(url := f"sqlite:///{directory / 'postern.db'}")
    accounts.add(ANNA, PASSWORD, quota_bytes=1024 * 1024)
    accounts.add(BORIS, PASSWORD)
    with Dovecot(mail_settings(url, directory, dovecot_version=dovecot_version)) as running:
        yield running


@pytest.fixture
def server(dovecot: Dovecot, dovecot_version: str) -> DoveadmMailServer:
    return DoveadmMailServer(dovecot.settings.doveadm_url, dovecot.settings.doveadm_key, dovecot_version)


@pytest.fixture
def connected(dovecot: Dovecot, server: DoveadmMailServer):
    """`connected(login)` waits in IDLE from then on; every connection ends with the test."""
    waiting = []

    def connect(login: str, source: str = HOST):
        waiting.append(idle(imap_login(dovecot.port("imap"), login, PASSWORD, source=source)))
        return waiting[-1]

    yield connect
    for connection in waiting:
        connection.connection.shutdown()
    for login in (ANNA, BORIS):
        server.end_connections(login)


def test_who_is_connected_and_how(dovecot, server, connected):
    assert server.connections(ANNA) == []
    connected(ANNA), connected(ANNA), connected(BORIS)
    pop3 = pop3_login(dovecot.port("pop3"), ANNA, PASSWORD)
    # Dovecot counts a program a moment after it has let it in.
    wait_until(lambda: sum(each.count for each in server.connections(ANNA)) == 3, "Dovecot counts all three", 5)
    assert server.connections(ANNA) == [Connection(ANNA, "imap", HOST, 2), Connection(ANNA, "pop3", HOST, 1)]
    assert server.connections(BORIS) == [Connection(BORIS, "imap", HOST, 1)]
    pop3.quit()


def test_ending_a_logins_connections_leaves_others_alone(server, connected):
    first, second, boris = connected(ANNA), connected(ANNA), connected(BORIS)
    server.end_connections(ANNA)
    assert first.seconds_until_dropped(2) < 2
    assert second.seconds_until_dropped(2) < 2
    assert boris.is_open()


def test_ending_when_nobody_is_connected_is_success(server):
    server.end_connections("nobody@example.org")
    server.end_connections("nobody@example.org", None, HOST)


def test_ending_the_connections_from_one_address(server, connected):
    anna, elsewhere, boris = connected(ANNA), connected(ANNA, ELSEWHERE), connected(BORIS)
    server.end_connections(ANNA, 0, "192.0.2.1")
    assert anna.is_open()
    server.end_connections(ANNA, 0, HOST)
    assert anna.seconds_until_dropped(2) < 2
    assert elsewhere.is_open()
    assert boris.is_open()
    server.end_connections(ANNA, None, ELSEWHERE)
    assert elsewhere.seconds_until_dropped(2) < 2


MASKS = ("*", "*@example.org", "????@example.org", "anna@example.or?", HOST, "127.0.0.0/8", "")


@pytest.mark.parametrize("login", MASKS)
def test_a_login_that_doveadm_reads_as_a_mask_ends_nobody(server, connected, login):
    anna = connected(ANNA)
    server.end_connections(login)
    server.end_connections(login, 0, HOST)
    assert server.connections(login) == []
    assert server.user(login) is None
    assert anna.is_open(0.2)


@pytest.mark.parametrize("address", ["*", "0.0.0.0/0", "::/0", "everywhere"])
def test_an_address_that_is_none_ends_nobody(server, connected, address):
    anna = connected(ANNA)
    server.end_connections(ANNA, 0, address)
    assert anna.is_open(0.2)


def test_what_dovecots_user_database_says(dovecot, server):
    anna = server.user(ANNA)
    assert anna["home"].startswith(f"{dovecot.settings.mail_root}/example.org/")
    limit = {"2.3": ("quota_rule", f"*:bytes={1024 * 1024}"), "2.4": ("quota_storage_size", f"{1024 * 1024}B")}
    assert limit[server.version()] in anna.items()
    assert server.user("nobody@example.org") is None


def test_what_mailboxes_hold(server):
    found = server.quotas([ANNA, "nobody@example.org", BORIS, "*"])
    assert found == {ANNA: Quota(0, 1024 * 1024), BORIS: Quota(0, 0)}
    assert server.quotas([]) == {}


@pytest.mark.parametrize("row", [{"value": "x", "limit": "-"}, {"limit": "-"}, {"value": None, "limit": "1"}], ids=str)
def test_a_quota_that_is_no_number_is_not_taken_for_one(row):
    rows = [{"root": "User quota", "type": "STORAGE", **row}]
    with (
        answering(200, json.dumps([["doveadmResponse", rows, "postern"]])) as url,
        pytest.raises(MailServerUnavailable),
    ):
        DoveadmMailServer(url, "key").quotas([ANNA])


def test_the_version(server, dovecot_version):
    assert server.version() == dovecot_version


# --- the sessions of devices and webmails ---


LISTED_ON_2_3 = [[ANNA], [f"{ANNA}/w*"], [f"{ANNA}/d*"]]


def test_devices_and_webmails_are_listed_and_ended_in_one_request_each():
    """What Dovecot 2.3 does with it is tested in tests/mailhost."""
    with answering(200, nobody_of(3), listed := []) as url:
        DoveadmMailServer(url, "key", "2.3").connections(ANNA)
    with answering(200, nobody_of(6), ended := []) as url:
        DoveadmMailServer(url, "key", "2.3").end_connections(ANNA, None)
    assert questions(listed) == [[("who", mask) for mask in LISTED_ON_2_3]]
    assert questions(ended) == [[(command, mask) for command in ("kick", "who") for mask in LISTED_ON_2_3]]


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ((17,), {"mask": [f"{ANNA}/d17"], "passdbField": "user_device"}),
        ((17, "192.0.2.1"), {"mask": [f"{ANNA}/d17/192.0.2.1"], "passdbField": "user_place"}),
        ((17, "2001:db8::1"), {"mask": [f"{ANNA}/d17/2001:db8::1"], "passdbField": "user_place"}),
        ((0, "", 12), {"mask": [f"{ANNA}/w12"], "passdbField": "user_device"}),
    ],
)
def test_2_4_is_told_by_a_field_whose_sessions_to_end(dovecot, arguments, parameters):
    with answering(200, nobody_of(2), asked := []) as url:
        settings = dataclasses.replace(dovecot.settings, doveadm_url=url, dovecot_version="2.4")
        adapters.build(settings).mail_server.end_connections(ANNA, *arguments)
    ((kick, _who),) = asked
    assert kick == ["kick", parameters, "postern"]


def nobody_of(questions: int) -> str:
    """The answer that neither lists nor ends anybody."""
    return json.dumps([["doveadmResponse", [], "postern"]] * questions)


def questions(asked: list) -> list:
    """What was asked in each request: commands and their masks."""
    return [[(command, parameters["mask"]) for command, parameters, _ in request] for request in asked]


def row(username: str, device: str, address: str = "192.0.2.1") -> dict:
    """A session as Dovecot 2.4 lists it."""
    return {"username": username, "service": "imap", "pid": "7", "ip": address, "user_device": device}


@pytest.mark.parametrize(
    ("login", "device_id", "names"),
    [
        (ANNA, None, ["d0", "d17", "w12"]),
        (ANNA, 0, ["d0", "w12"]),
        (f"{ANNA}/c4", None, ["c4/d0", "c4/d18", "c4/w13"]),
        (f"{ANNA}/c4", 0, ["c4/d0", "c4/w13"]),
        (f"{ANNA}/c5", None, []),
    ],
)
def test_2_4_ends_the_sessions_of_a_login_and_nobody_elses(login, device_id, names):
    """A mailbox and its collaborators share one name there."""
    own_names = ("d0", "d17", "w12", "c4/d0", "c4/d18", "c4/w13", "c44/d0", "c44/w14")
    sessions = [row(ANNA, f"{ANNA}/{name}") for name in own_names]
    with answering(200, json.dumps([["doveadmResponse", sessions, "postern"]]), asked := []) as url:
        server = DoveadmMailServer(url, "key", "2.4")
        with contextlib.suppress(MailServerUnavailable):  # one canned answer serves both questions
            server.end_connections(login, device_id)
    ended = [mask for request in questions(asked) for command, mask in request if command == "kick"]
    assert ended == [[f"{ANNA}/{name}"] for name in names]


def test_2_4_lists_device_and_webmail_in_a_field():
    rows = [
        row(ANNA, f"{ANNA}/d17"),
        row(ANNA, f"{ANNA}/d0"),
        row(ANNA, f"{ANNA}/d17"),
        row(ANNA, f"{ANNA}/d17", "192.0.2.2"),
        row(ANNA, f"{ANNA}/w12"),
        row(BORIS, f"{BORIS}/d3"),
        row(ANNA, ""),
    ]
    with answering(200, json.dumps([["doveadmResponse", rows, "postern"]])) as url:
        assert DoveadmMailServer(url, "key", "2.4").connections(ANNA) == [
            Connection(ANNA, "imap", "192.0.2.1", 1, 0),
            Connection(ANNA, "imap", "192.0.2.1", 1, 0, 12),
            Connection(ANNA, "imap", "192.0.2.1", 2, 17),
            Connection(ANNA, "imap", "192.0.2.2", 1, 17),
        ]


# --- whom it does not end ---

NOBODY_ENDED = {
    "2.3": [["error", {"type": "exitCode", "exitCode": 68}, "postern"]],
    "2.4": [["doveadmResponse", [{"count": "0"}], "postern"]],
}
NAMED = {
    "2.3": lambda name: {"username": f"{ANNA}{name}", "service": "imap", "pid": "7", "ip": "192.0.2.1"},
    "2.4": lambda name: row(ANNA, f"{ANNA}{name}"),
}


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
@pytest.mark.parametrize(
    ("name", "meant", "others"),
    [
        ("/d17", (17,), [(18,), (0, "", 12)]),
        ("/d17", (17, "192.0.2.1"), [(17, "192.0.2.2"), (18, "192.0.2.1")]),
        ("/w12", (0, "", 12), [(0, "", 13), (18,)]),
    ],
    ids=["device", "address", "webmail"],
)
def test_an_end_that_ends_nobody_who_is_listed_is_not_done(version, name, meant, others):
    listed = [["doveadmResponse", [NAMED[version](name)], "postern"]]
    listed += [["doveadmResponse", [], "postern"]] * (2 if version == "2.3" else 0)
    with answering(200, json.dumps(NOBODY_ENDED[version] + listed)) as url:
        server = DoveadmMailServer(url, "key", version)
        with pytest.raises(MailServerUnavailable, match="did not end connections that it lists"):
            server.end_connections(ANNA, *meant)
        for arguments in others:
            server.end_connections(ANNA, *arguments)


def test_the_wrong_version_is_not_taken_for_an_end(dovecot, server, connected):
    """Whichever runs here, the other one's questions do not end a device's connections, and do not seem to."""
    present = server.version()
    (other,) = set(DOVECOT_VERSIONS) - {present}
    wrong = DoveadmMailServer(dovecot.settings.doveadm_url, dovecot.settings.doveadm_key, other)
    for arguments in ((17,), (0,), (None,), (0, HOST), (0, "", 12)):
        connected(ANNA)
        with pytest.raises(MailServerUnavailable):
            wrong.end_connections(ANNA, *arguments)


# --- when it does not answer ---


def every_question(server: DoveadmMailServer):
    return (
        lambda: server.connections(ANNA),
        lambda: server.end_connections(ANNA),
        lambda: server.end_connections(ANNA, 0, HOST),
        lambda: server.user(ANNA),
        lambda: server.quotas([ANNA]),
        server.version,
    )


def assert_unavailable(server: DoveadmMailServer, sentence: str) -> None:
    for question in every_question(server):
        started = time.monotonic()
        with pytest.raises(MailServerUnavailable, match=sentence):
            question()
        assert time.monotonic() - started < LIMIT


def test_a_wrong_key(dovecot):
    assert_unavailable(DoveadmMailServer(dovecot.settings.doveadm_url, "wrong"), "refuses the key")


def test_a_stopped_dovecot_and_its_return(dovecot, server, connected):
    dovecot.stop()
    try:
        assert_unavailable(server, "cannot be reached")
    finally:
        dovecot.start()
    anna = connected(ANNA)
    server.end_connections(ANNA)
    assert anna.seconds_until_dropped(2) < 2


def test_a_listener_that_never_answers():
    with BlackHole() as hole:
        assert_unavailable(DoveadmMailServer(f"http://{HOST}:{hole.port}", "key"), "did not answer in time")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, "", "is not Dovecot"),
        (200, "<html>", "is not Dovecot"),
        (200, "null", "is not Dovecot"),
        (200, "[]", None),
        (200, '[["doveadmResponse", "text", "postern"]]', None),
        (200, '[["doveadmResponse", [{}], "another tag"]]', None),
        (200, '[["error", {"type": "exitCode", "exitCode": 75}, "postern"]]', None),
        (500, "[]", "status 500"),
        (302, "[]", "status 302"),
    ],
)
def test_an_answer_that_is_none_is_not_taken_for_success(status, body, sentence):
    with answering(status, body) as url:
        server = DoveadmMailServer(url, "key", "2.3")
        for question in (lambda: server.connections(ANNA), lambda: server.user(ANNA), lambda: server.quotas([ANNA])):
            with pytest.raises(MailServerUnavailable, match=sentence):
                question()


def test_the_error_of_a_command_is_told():
    failed = json.dumps([["error", {"type": "exitCode", "exitCode": 75}, "postern"]] * 5)
    with answering(200, failed) as url, pytest.raises(MailServerUnavailable, match="could not do “kick”: exitCode 75"):
        DoveadmMailServer(url, "key", "2.3").end_connections(ANNA)


def test_the_key_follows_no_redirect_and_no_proxy(monkeypatch):
    asked = []
    with answering(200, "[]", asked) as elsewhere:
        monkeypatch.setenv("http_proxy", elsewhere)
        monkeypatch.setenv("no_proxy", "")
        with answering(307, "[]", location=elsewhere + "/doveadm/v1") as url, pytest.raises(MailServerUnavailable):
            DoveadmMailServer(url, "key").end_connections(ANNA)
    assert asked == []


def test_an_address_that_is_wrong():
    for url in (f"http://{HOST}:{free_port()}", "http://nowhere.invalid:1", "ftp://x", "http://a b"):
        with pytest.raises(MailServerUnavailable):
            DoveadmMailServer(url, "key").end_connections(ANNA)


@contextlib.contextmanager
def answering(status: int, body: str, asked: list | None = None, location: str = "") -> Iterator[str]:
    """An HTTP server that answers everything alike; what it was asked is added to `asked`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            question = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if asked is not None:
                asked.append(json.loads(question))
            self.do_GET()

        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
