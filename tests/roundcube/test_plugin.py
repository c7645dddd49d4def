"""What the plugin does on Roundcube's server: exchange the password at login, keep only the credential, end it."""

import base64
import contextlib
import re
import socketserver
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from actions.authority import permissions
from actions.ground.tokens import digest
from lab.journeys import ELSEWHERE
from lab.served_panel import PASSWORD
from lab.servers import HOST, imap_accepts, wait_until
from lab.web_servers import PLUGIN
from lab.webmail_client import WebmailClient, messages, shows_mail
from lab.whole_host import WEBMAIL_ADDRESS, Site
from settings import LANGUAGES
from tests.roundcube.conftest import CROSS_SITE, SAME_SITE

DECRYPT = """
[, $kept, $key] = $argv;
$kept = base64_decode($kept);
echo openssl_decrypt(substr($kept, 8), 'DES-EDE3-CBC', $key, OPENSSL_RAW_DATA, substr($kept, 0, 8));
"""


@pytest.fixture
def client(new_client, person) -> WebmailClient:
    return new_client().logged_in(person, PASSWORD)


@pytest.fixture
def stop_panel(host):
    """`stop_panel(site)` until the test starts it again, or ends."""
    stopped = []

    def stop(site: Site) -> None:
        host.panels[site].stop()
        stopped.append(site)

    yield stop
    for site in stopped:
        if not host.panels[site].is_well():
            host.panels[site].start()


def kept_by(host, client: WebmailClient) -> tuple[str, str]:
    """Roundcube's session as it is stored, and the password in it."""
    ((stored,),) = host.roundcube.query("SELECT vars FROM session WHERE sess_id = ?", client.session_id)
    session = base64.b64decode(stored).decode()
    encrypted = re.search(r'password\|s:\d+:"([^"]+)"', session)[1]
    command = ["php", "-r", DECRYPT, encrypted, host.roundcube.key]
    return session, subprocess.run(command, check=True, capture_output=True, text=True).stdout


def opens_imap(host, login: str, password: str, source: str = WEBMAIL_ADDRESS) -> bool:
    return imap_accepts(host.dovecot.port("imap"), login, password, source=source)


@pytest.mark.every_dovecot
def test_roundcube_keeps_a_credential_that_opens_mail_from_the_webmail_only(host, client, person):
    session, kept = kept_by(host, client)
    assert kept != PASSWORD
    assert PASSWORD not in session
    assert opens_imap(host, person, kept)
    assert not opens_imap(host, person, kept, source=ELSEWHERE)


@pytest.mark.every_dovecot
def test_logging_out_ends_the_credential(host, client, person):
    _, kept = kept_by(host, client)
    client.log_out()
    assert not client.opens_mail()
    assert not opens_imap(host, person, kept)


def test_each_request_says_what_it_is_for(host, client):
    client.log_out()
    with contextlib.closing(sqlite3.connect(host.panels[SAME_SITE].database)) as database:
        numbers = [number for (number,) in database.execute("SELECT key_id FROM webmail")]
        used = {key for (key,) in database.execute("SELECT key FROM used_token")}
    assert used
    assert not used & {digest(f"{number}:unbound") for number in numbers}


@pytest.mark.every_dovecot
def test_the_credential_sends_mail_and_opens_filters(host, client, person):
    assert "Message sent successfully." in client.send_mail(person, "To myself")
    client.waits_for_mail("To myself")
    filters = client.get(_task="settings", _action="plugin.managesieve")
    assert "filtersetslist" in filters.text
    assert messages(filters) == ""


@pytest.mark.every_dovecot
def test_dovecot_is_told_the_persons_address(host, client, person):
    client.list_mail()
    # As 2.3 words it, and as 2.4 does.
    logins = re.findall(rf"(?:Login|Logged in): user=<{re.escape(person)}.*", host.dovecot.log)
    assert logins
    assert all("rip=127.0.0.1," in line for line in logins)


def test_a_wrong_password_is_refused_without_asking_the_mail_server(host, new_client, person):
    answer = new_client().log_in(person, "Wrong-Secret-0")
    assert answer.status_code == 401
    assert "Login failed" in messages(answer)
    assert f"user=<{person}>" not in host.dovecot.log


def test_many_guesses_are_told_to_wait(new_client, person):
    guesser = new_client()
    said = [messages(guesser.log_in(person, f"Wrong-Secret-{number}")) for number in range(12)]
    # On a slow machine the pause after one guess may be over before the next.
    assert any("Too many attempts" in each for each in said)


# --- while Postern cannot be reached ---

NO_LOGIN = "the account service does not answer"
WRONG = "Wrong-Secret-0"
ODD_BYTE = "x\xff"
ANSWERS = {
    "refuses": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "does not understand": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "finds it too large": b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    "has trouble": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "is behind a proxy that does not reach it": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "has no database": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "makes a credential of nothing": b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
    "leads elsewhere": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "speaks something else": b"220 mail.example.org ESMTP\r\n",
    "says nothing": b"",
}


@contextlib.contextmanager
def answering(port: int, answer: bytes) -> Iterator[None]:
    """Something in the panel's place that says this to everybody."""

    class Says(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    def in_its_place() -> Server | None:
        # What ended a moment ago may still hold the port.
        with contextlib.suppress(OSError):
            return Server((HOST, port), Says)

    with wait_until(in_its_place, "the panel's port is free") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def told(host, person: str) -> list[tuple[str, str]]:
    """What the panel's trail says of sign-ins that it was not asked about: action and address."""
    asked = "SELECT action, address FROM audit_event WHERE action LIKE 'webmail:session:unasked%' AND account_login = ?"
    with contextlib.closing(sqlite3.connect(host.panels[SAME_SITE].database)) as database:
        return database.execute(asked + " ORDER BY id", (person,)).fetchall()


def untold(host) -> list[str]:
    """What the webmail keeps until the panel answers."""
    return [data for (data,) in host.roundcube.query("SELECT data FROM cache_shared WHERE cache_key LIKE 'postern.%'")]


@pytest.fixture
def tells_all(host, new_client, people):
    """Afterwards: the webmail tells the panel, when anybody logs in, whatever it kept."""

    def tell() -> None:
        # Each login reports twenty.
        for _ in range(20):
            if not untold(host):
                return
            new_client().logged_in(people.person(), PASSWORD)
        assert untold(host) == []

    return tell


def test_an_odd_byte_in_the_browsers_name_changes_nothing(host, new_client, person):
    guesser = new_client(user_agent=ODD_BYTE)
    said = [messages(guesser.log_in(person, f"Wrong-Secret-{number}")) for number in range(12)]
    assert any("Too many attempts" in each for each in said)
    assert f"user=<{person}>" not in host.dovecot.log
    owner = new_client(user_agent=ODD_BYTE, source="127.0.97.1").logged_in(person, PASSWORD)
    assert kept_by(host, owner)[1] != PASSWORD


def test_an_odd_byte_in_what_is_typed_changes_nothing(host, new_client, person):
    """Roundcube leaves out what is no UTF-8."""
    for login, password in ((person + "\udcff", PASSWORD), (person, PASSWORD + "\udcff")):
        client = new_client()
        page = client.log_in(*(each.encode("utf-8", "surrogateescape") for each in (login, password)))
        assert not shows_mail(page) or kept_by(host, client)[1] != PASSWORD
    for login, password in ((person, "\0"), ("\0", WRONG), (person, WRONG + "\udcff"), (person, "x" * 300_000)):
        page = new_client().log_in(*(each.encode("utf-8", "surrogateescape") for each in (login, password)))
        assert not shows_mail(page)
    assert "auth failed" not in "".join(line for line in host.dovecot.log.splitlines() if person in line)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whatever_answers_the_password_itself_opens_nothing(host, new_client, person, stop_panel, answer):
    stop_panel(SAME_SITE)
    with answering(host.panels[SAME_SITE].port, answer):
        page = new_client().log_in(person, PASSWORD)
    assert not shows_mail(page)
    assert NO_LOGIN in messages(page)
    assert f"user=<{person}>" not in host.dovecot.log


def test_a_panel_that_is_slow_is_no_reason_either(host, new_client, person):
    with host.panels[SAME_SITE].frozen():
        page = new_client().log_in(person, PASSWORD)
    assert not shows_mail(page)
    assert NO_LOGIN in messages(page)
    assert f"user=<{person}>" not in host.dovecot.log


def test_a_webmail_lets_nobody_in_without_postern(new_client, person, stop_panel):
    """It is so unless the configuration says otherwise."""
    stop_panel(CROSS_SITE)
    page = new_client(CROSS_SITE).log_in(person, PASSWORD)
    assert not shows_mail(page)
    assert NO_LOGIN in messages(page)


@pytest.mark.every_dovecot
def test_where_no_connection_can_be_made_the_password_itself_may_open_the_webmail(
    host, new_client, person, stop_panel, tells_all
):
    stop_panel(SAME_SITE)
    client = new_client().logged_in(person, PASSWORD)
    assert kept_by(host, client)[1] == PASSWORD
    assert client.list_mail().ok
    client.log_out()
    assert not client.opens_mail()
    assert told(host, person) == []
    host.panels[SAME_SITE].start()
    tells_all()
    assert told(host, person) == [("webmail:session:unasked", HOST)]


def test_meanwhile_there_are_few_tries_and_each_is_told_afterwards(
    host, new_client, person, people, stop_panel, tells_all
):
    stop_panel(SAME_SITE)
    guesses = [f"Guessed-Secret-{number}" for number in range(8)]
    spellings = [person, person.upper(), person.title(), person]
    pages = [
        # No cookie is kept from one to the next; addresses of one network are one.
        new_client(source=f"127.0.97.{number}").log_in(spellings[number % 4], guess)
        for number, guess in enumerate(guesses, 1)
    ]
    said = [messages(page) for page in pages]
    assert [NO_LOGIN in each for each in said] == [False] * 5 + [True] * 3
    assert NO_LOGIN in messages(new_client(source="127.0.97.200").log_in(person, PASSWORD))
    kept = untold(host)
    assert len(kept) == 6
    assert not any(guess in each for guess in guesses for each in kept)
    # The owner is elsewhere, and others are not kept out by it.
    new_client(source="127.0.98.1").logged_in(person, PASSWORD)
    new_client(source="127.0.97.1").logged_in(people.person(), PASSWORD)
    host.panels[SAME_SITE].start()
    tells_all()
    refused = [("webmail:session:unasked-refused", f"127.0.97.{number}") for number in range(1, 7)]
    assert sorted(told(host, person)) == sorted([*refused, ("webmail:session:unasked", "127.0.98.1")])
    assert not any(guess.encode() in host.panels[SAME_SITE].database.read_bytes() for guess in guesses)


def test_tries_of_the_same_moment_are_all_counted(host, new_client, person, stop_panel, tells_all):
    stop_panel(SAME_SITE)
    clients = [new_client(source="127.0.97.1") for _ in range(16)]
    with ThreadPoolExecutor(len(clients)) as pool:
        pages = list(pool.map(lambda client: client.log_in(person, WRONG), clients))
    assert sum(NO_LOGIN not in messages(page) for page in pages) <= 5
    host.panels[SAME_SITE].start()
    tells_all()


def test_one_network_tries_few_passwords_of_many_people(host, new_client, people, stop_panel, tells_all):
    stop_panel(SAME_SITE)
    pages = [new_client(source="127.0.97.1").log_in(people.person(), WRONG) for _ in range(22)]
    assert [NO_LOGIN in messages(page) for page in pages] == [False] * 20 + [True] * 2
    host.panels[SAME_SITE].start()
    tells_all()


def test_what_happened_meanwhile_is_not_lost_by_trouble_or_odd_bytes(host, new_client, person, stop_panel, tells_all):
    stop_panel(SAME_SITE)
    new_client(user_agent=ODD_BYTE).log_in(person, WRONG)
    new_client(user_agent=ODD_BYTE).log_in(person.encode() + b"\xff", WRONG)
    with answering(host.panels[SAME_SITE].port, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"):
        new_client().log_in(person, WRONG)
    assert len(untold(host)) == 2
    host.panels[SAME_SITE].start()
    tells_all()
    assert told(host, person) == [("webmail:session:unasked-refused", HOST)] * 2


@pytest.mark.every_dovecot
def test_a_session_with_the_password_itself_ends_with_that_password(host, new_client, person, stop_panel):
    stop_panel(SAME_SITE)
    client = new_client().logged_in(person, PASSWORD)
    host.flask("account", "lock", person)
    answer = client.get(_task="mail")
    assert not shows_mail(answer)
    assert "session was ended" in messages(answer)


@pytest.mark.every_dovecot
def test_a_mail_server_that_is_down_ends_no_session(host, client):
    host.dovecot.stop()
    try:
        answer = client.get(_task="mail")
        assert shows_mail(answer)
        assert "storage server failed" in messages(answer)
    finally:
        host.dovecot.start()
    assert "Connection to storage" not in client.list_mail().text
    assert client.opens_mail()


@pytest.mark.every_dovecot
def test_an_ended_session_is_told_in_the_background_too(host, client, person):
    host.flask("account", "lock", person)
    answer = client.list_mail()
    assert "session_error" in answer.text
    assert "_postern=ended" in answer.text


def test_settings_list_what_the_account_can_open(host, new_client, client, person):
    collaborator = f"carla/{person}"
    host.make_people(collaborator)
    of_everybody = ["sessions", "activity", "preferences"]
    assert pages(client) == ["password", "devices", "collaborations", *of_everybody]
    collaborators = new_client().logged_in(collaborator, PASSWORD)
    assert pages(collaborators) == ["permissions", "password", *of_everybody]
    assert entry(client) == "password"
    assert entry(collaborators) == "permissions"


def identities(host, login: str) -> list[tuple[str, str]]:
    return host.roundcube.query(
        "SELECT name, email FROM identities JOIN users ON users.user_id = identities.user_id WHERE username = ?", login
    )


def test_the_first_identity_has_the_name_that_the_panel_knows(host, client, person):
    assert identities(host, person) == [("Vera Lindqvist", person)]


@pytest.mark.every_dovecot
def test_a_collaborator_writes_as_the_mailbox(host, new_client, person):
    collaborator = f"carla/{person}"
    host.make_people(collaborator)
    with contextlib.closing(sqlite3.connect(host.panels[SAME_SITE].database)) as database, database:
        granted = permissions.completed(permissions.SEND)
        where = "account_id = (SELECT id FROM account WHERE login = ?)"
        database.execute(f"UPDATE collaboration SET permissions = ? WHERE {where}", (granted, collaborator))
    client = new_client().logged_in(collaborator, PASSWORD)
    assert identities(host, collaborator) == [("Carla Rossi", person)]
    for sender in (None, "eve@example.org", collaborator):
        subject = f"As {sender}"
        assert "Message sent successfully." in client.send_mail(person, subject, sender)
        client.waits_for_mail(subject)
        query = ("mailbox", "INBOX", "subject", subject)
        header = host.dovecot.doveadm("fetch", "-u", person, "hdr", *query)
        assert f"From: Carla Rossi <{person}>" in header
        assert f"Return-Path: <{person}>" in header


def test_older_identities_of_a_collaborator_are_mended(host, new_client, person):
    collaborator = f"carla/{person}"
    host.make_people(collaborator)
    client = new_client().logged_in(collaborator, PASSWORD)
    host.roundcube.query("UPDATE identities SET name = '', email = ? WHERE email = ?", collaborator, person)
    client.log_out()
    new_client().logged_in(collaborator, PASSWORD)
    assert identities(host, collaborator) == [("Carla Rossi", person)]


def pages(client: WebmailClient) -> list[str]:
    """Ours in the menu of Settings."""
    menu = client.get(_task="settings").text.partition('id="settings-menu"')[2]
    return re.findall(r'_action=plugin\.postern-(\w+)"', menu)


def entry(client: WebmailClient) -> str:
    """The page to which the main menu leads, from the inbox."""
    (link,) = re.findall(r"<a [^>]*postern-account[^>]*>", client.get(_task="mail").text)
    return re.search(r'_action=plugin\.postern-(\w+)"', link)[1]


def test_only_the_pages_with_the_frame_tell_where_they_are_from(client):
    page = client.get(_task="settings", _action="plugin.postern-password")
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert client.get(_task="settings").headers["Referrer-Policy"] == "same-origin"


def test_each_view_has_a_hand_off_of_its_own(client):
    pages = [client.get(_task="settings", _action="plugin.postern-devices").text for _ in range(2)]
    first, second = (re.search(r'"token":"([^"]+)"', page)[1] for page in pages)
    assert first != second


def test_every_language_has_every_sentence():
    files = sorted((PLUGIN / "localization").glob("*.inc"))
    assert {file.stem.partition("_")[0] for file in files} >= set(LANGUAGES)
    keys = [re.findall(r"^\$labels\['(\w+)'\] = '.+';$", file.read_text(), re.MULTILINE) for file in files]
    assert all(each == keys[0] for each in keys)


def test_a_visitor_without_a_session_gets_no_hand_off(new_client):
    for action in ("plugin.postern-password", "plugin.postern-tab"):
        answer = new_client().get(_task="settings", _action=action)
        assert "handoff" not in answer.text
        assert "rcmloginuser" in answer.text


@pytest.mark.every_dovecot
def test_each_spelling_of_an_address_is_one_person(host, new_client, stop_panel):
    address, readable = "o'neil&co@xn--bcher-kva.example", "O'Neil&Co@BÜCHER.example"
    with contextlib.closing(sqlite3.connect(host.panels[SAME_SITE].database)) as database, database:
        database.execute(
            "INSERT INTO domain (service_id, name, created_at) SELECT service_id, ?, created_at FROM domain"
            " WHERE name = 'example.org'",
            (address.partition("@")[2],),
        )
    host.make_people(address)
    for typed in (address, readable, f"\u200b {readable}\u00a0"):
        client = new_client().logged_in(typed, PASSWORD)
        assert "Message sent successfully." in client.send_mail("vera@example.org", "Hello")
    assert identities(host, address) == [("Vera Lindqvist", address)]
    stop_panel(SAME_SITE)
    assert kept_by(host, new_client().logged_in(f" {readable}", PASSWORD))[1] == PASSWORD
