"""What the plugin does on Roundcube's server: trade the password at login, keep the credential only, end it."""

import base64
import re
import subprocess

import pytest

from tests.faults.served_panel import PASSWORD
from tests.mailhost.servers import imap_accepts
from tests.roundcube.conftest import CROSS_SITE, SAME_SITE
from tests.roundcube.journeys import ELSEWHERE
from tests.roundcube.web_servers import PLUGIN
from tests.roundcube.webmail_client import WebmailClient, messages, shows_mail
from tests.roundcube.whole_host import WEBMAIL_ADDRESS, Site

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
    """`stop_panel(site)` until the test ends."""
    stopped = []

    def stop(site: Site) -> None:
        host.panels[site].stop()
        stopped.append(site)

    yield stop
    for site in stopped:
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


def test_roundcube_keeps_a_credential_that_opens_mail_from_the_webmail_only(host, client, person):
    session, kept = kept_by(host, client)
    assert kept != PASSWORD
    assert PASSWORD not in session
    assert opens_imap(host, person, kept)
    assert not opens_imap(host, person, kept, source=ELSEWHERE)


def test_logging_out_ends_the_credential(host, client, person):
    _, kept = kept_by(host, client)
    client.log_out()
    assert not client.opens_mail()
    assert not opens_imap(host, person, kept)


def test_the_credential_sends_mail_and_opens_filters(host, client, person):
    assert "Message sent successfully." in client.send_mail(person, "To myself")
    client.waits_for_mail("To myself")
    filters = client.get(_task="settings", _action="plugin.managesieve")
    assert "filtersetslist" in filters.text
    assert messages(filters) == ""


def test_dovecot_is_told_the_persons_address(host, client, person):
    client.list_mail()
    logins = [line for line in host.dovecot.log.splitlines() if f"Login: user=<{person}" in line]
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


def test_without_postern_the_password_itself_opens_the_webmail(host, new_client, person, stop_panel):
    stop_panel(SAME_SITE)
    client = new_client().logged_in(person, PASSWORD)
    assert kept_by(host, client)[1] == PASSWORD
    assert client.list_mail().ok
    client.log_out()
    assert not client.opens_mail()


def test_a_webmail_may_rather_let_nobody_in_without_postern(new_client, person, stop_panel):
    stop_panel(CROSS_SITE)
    answer = new_client(CROSS_SITE).log_in(person, PASSWORD)
    assert not shows_mail(answer)
    assert "the account service does not answer" in messages(answer)


def test_a_session_with_the_password_itself_ends_with_that_password(host, new_client, person, stop_panel):
    stop_panel(SAME_SITE)
    client = new_client().logged_in(person, PASSWORD)
    host.flask("account", "lock", person)
    answer = client.get(_task="mail")
    assert not shows_mail(answer)
    assert "session was ended" in messages(answer)


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


def test_an_ended_session_is_told_in_the_background_too(host, client, person):
    host.flask("account", "lock", person)
    answer = client.list_mail()
    assert "session_error" in answer.text
    assert "_postern=ended" in answer.text


def test_settings_list_what_the_account_can_open(host, new_client, client, person):
    collaborator = f"carla/{person}"
    host.make_people(collaborator)
    assert pages(client) == ["password", "devices", "collaborations"]
    assert pages(new_client().logged_in(collaborator, PASSWORD)) == ["permissions", "password"]


def pages(client: WebmailClient) -> list[str]:
    """Ours in the menu of Settings."""
    return re.findall(r'_action=plugin\.postern-(\w+)"', client.get(_task="settings").text)


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
    assert [file.stem for file in files] == ["en_US", "es_ES", "it_IT", "ru_RU", "tr_TR"]
    keys = [re.findall(r"^\$labels\['(\w+)'\] = '.+';$", file.read_text(), re.MULTILINE) for file in files]
    assert all(each == keys[0] for each in keys)


def test_a_visitor_without_a_session_gets_no_hand_off(new_client):
    for action in ("plugin.postern-password", "plugin.postern-tab"):
        answer = new_client().get(_task="settings", _action=action)
        assert "handoff" not in answer.text
        assert "rcmloginuser" in answer.text
