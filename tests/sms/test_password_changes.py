"""A change of several passwords for real: the panel as it is deployed, Postfix and Dovecot that deliver the e-mail,
Kannel that carries the text message, 7-Zip that opens the archive, and logins with what stands in it."""

import contextlib
import csv
import email
import io
import re
import subprocess
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.policy import default
from pathlib import Path

import pytest

from actions.ground.message import written as written_mail
from actions.ground.ports import Letter
from adapters.smtp import SmtpMailer
from lab.kannel import Kannel
from lab.served_panel import CHEAP_HASHES, PASSWORD, Person, ServedPanel, csrf_token
from lab.servers import (
    HOST,
    REFUSE_QUICKLY,
    Dovecot,
    Postfix,
    free_port,
    idle,
    imap_accepts,
    imap_login,
    mail_settings,
    wait_until,
)
from settings import Settings

MANAGER = "manager@example.org"
CHANGED = ("anna@example.org", "boris@example.org", "chiara@example.org")
ENCODED_NAME = "=?utf-8?q?Hi=0D=0AReply-To:=20x@evil.example=0D=0A=0D=0A<h1>Pay</h1>?="
# Postfix takes mail for example.net to Dovecot.
RECIPIENT, NUMBER = "anna@example.net", "+39 333 123 4567"
KEY = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){4}")
PATIENCE = 60


class Manager(Person):
    """A manager with a browser without JavaScript."""

    def __init__(self, url: str):
        super().__init__(url, MANAGER)
        assert self.sign_in()
        listed = self._get("/services/").text
        self.services = sorted(set(re.findall(r'href="(/services/[0-9]+)"', listed)))
        self.seen: list[str] = []

    def start(self, domain: str, **choices: str) -> str:
        """Ask for new passwords for everybody in a domain, and confirm it; the address of the change's page."""
        form = next(each for each in self._forms() if f">{domain}</h2>" in self.open(each))
        fields = {
            "everyone": "yes",
            "phone": NUMBER,
            "full_name": "Mara Lind",
            "email": RECIPIENT,
            "language": "en",
            "kind": "passwords",
            "archive_format": "zip",
            "everywhere": "y",
        }
        preview = self.send(form, form, **fields | choices)
        self.send(preview, f"{preview}/start", current_password=PASSWORD)
        return preview

    def send(self, page: str, address: str, **fields: str) -> str:
        """Send a form that stands on a page; where it leads."""
        content = {"csrf_token": csrf_token(self.open(page))} | fields
        answer = self._browser.post(self._url + address, content, timeout=30, allow_redirects=False)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def open(self, address: str) -> str:
        answer = self._get(address)
        assert answer.status_code == 200, answer.status_code
        self.seen.append(answer.text)
        return answer.text

    def _forms(self) -> list[str]:
        return [f"{service}/password-change" for service in self.services]


@pytest.fixture(scope="module")
def settings(tmp_path_factory, kannel: Kannel) -> Settings:
    instance = tmp_path_factory.mktemp("instance")
    url = f"sqlite:///{instance / 'postern.db'}"
    return mail_settings(url, instance, sms_url=kannel.url, mail_from="postern@example.org", **DOVECOT)


DOVECOT = {"postfix_sasl_socket": f"{HOST}:{free_port()}"}


@pytest.fixture(scope="module")
def postfix(settings: Settings) -> Iterator[Postfix]:
    with Postfix(f"inet:{settings.postfix_sasl_socket}", free_port(), settings.mail_ports["lmtp"]) as running:
        yield running


@pytest.fixture(scope="module")
def panel(settings: Settings, postfix: Postfix) -> Iterator[ServedPanel]:
    variables = {
        "POSTERN_SECRET_KEY": settings.secret_key,
        "POSTERN_DOVEADM_URL": settings.doveadm_url,
        "POSTERN_DOVEADM_KEY": settings.doveadm_key,
        "POSTERN_MAIL_PORTS": ",".join(f"{name}={port}" for name, port in settings.mail_ports.items()),
        "POSTERN_MAIL_FROM": settings.mail_from,
        "POSTERN_SMTP_URL": f"smtp://{HOST}:{postfix.port}",
        "POSTERN_SMS_URL": settings.sms_url,
    }
    with ServedPanel(settings.instance, **CHEAP_HASHES, **variables) as running:
        yield running


@pytest.fixture(scope="module")
def dovecot(settings: Settings, panel: ServedPanel) -> Iterator[Dovecot]:
    with Dovecot(settings, REFUSE_QUICKLY) as running:
        yield running


@pytest.fixture
def mara(panel: ServedPanel, dovecot: Dovecot) -> Manager:
    return Manager(panel.url)


def letters(dovecot: Dovecot, password: str = PASSWORD) -> list:
    """What is in the recipient's inbox, the newest last."""
    connection = imap_login(dovecot.port("imap"), RECIPIENT, password)
    connection.select("INBOX", readonly=True)
    numbers = connection.search(None, "ALL")[1][0].split()
    found = [connection.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in numbers]
    connection.logout()
    return [email.message_from_bytes(each, policy=default) for each in found]


def archives(dovecot: Dovecot) -> list[bytes]:
    files = [file for letter in letters(dovecot) for file in letter.iter_attachments()]
    return [file.get_content() for file in files if file.get_filename() == "credentials.zip"]


def opened(archive: bytes, key: str, directory: Path) -> dict[str, str]:
    """What 7-Zip gets out of the archive: password by address; each stands in a text of its own too."""
    directory.mkdir()
    file = directory / "credentials.zip"
    file.write_bytes(archive)
    command = ["7z", "x", "-y", f"-p{key}", f"-o{directory / 'out'}", str(file)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert (
        "AES-256" in subprocess.run(["7z", "l", "-slt", str(file)], check=True, capture_output=True, text=True).stdout
    )
    table = (directory / "out" / "list.csv").read_text(encoding="utf-8-sig")
    credentials = dict(list(csv.reader(io.StringIO(table)))[1:])
    texts = [each.read_text(encoding="utf-8-sig") for each in sorted((directory / "out").glob("*.txt"))]
    assert all(
        address in text and secret in text for (address, secret), text in zip(credentials.items(), texts, strict=True)
    )
    return credentials


def written(panel: ServedPanel, dovecot: Dovecot, postfix: Postfix, kannel: Kannel) -> Iterator[bytes]:
    """Every file that the panel, Dovecot, Postfix and Kannel wrote but the e-mails themselves, with all their names."""
    for directory in (panel.instance, dovecot.directory, postfix.directory):
        for file in directory.rglob("*"):
            yield str(file).encode()
            if file.is_file() and "mail/" not in str(file):
                with contextlib.suppress(OSError):
                    yield file.read_bytes()
    yield kannel.written().encode()


def test_the_whole_way(mara, panel, dovecot, postfix, kannel, tmp_path):
    port = dovecot.port("imap")
    waiting = idle(imap_login(port, CHANGED[0], PASSWORD))
    address = mara.start("example.org")
    wait_until(lambda: ">Done</span>" in mara.open(address).replace("\n", ""), "the change is done", PATIENCE)
    (message,) = kannel.wait_for(1)
    assert message.receiver == "+393331234567"
    wait_until(lambda: archives(dovecot), "Postfix and Dovecot deliver the letter", PATIENCE)
    (archive,) = archives(dovecot)
    key = KEY.search(message.text)[0]
    credentials = opened(archive, key, tmp_path / "first")
    assert set(credentials) == set(CHANGED)
    for login, password in credentials.items():
        imap_login(port, login, password).logout()
        assert not imap_accepts(port, login, PASSWORD)
    assert waiting.seconds_until_dropped(PATIENCE) < PATIENCE
    wait_until(lambda: "Erased here" in mara.open(address), "Kannel reports, and the archive is erased", PATIENCE)
    assert "Delivered" in mara.open(address)
    mara.open("/account/activity")
    secrets = [key, *credentials.values()]
    everything = [*written(panel, dovecot, postfix, kannel), *(page.encode() for page in mara.seen)]
    assert sum(map(len, everything)) > 100_000
    assert not [secret for secret in secrets for text in everything if secret.encode() in text]


def test_a_name_that_was_written_to_speak_in_headers_arrives_as_a_name(settings, dovecot, postfix):
    letter = Letter(f"{ENCODED_NAME} invites you", "The text.\n", "<p>The text.</p>\n")
    headers = {"From": settings.mail_from, "Message-ID": "<1@example.org>", "Auto-Submitted": "auto-generated"}
    before = len(letters(dovecot))
    content = written_mail(RECIPIENT, headers, letter)
    SmtpMailer(f"smtp://{HOST}:{postfix.port}", settings.mail_from).send(content, RECIPIENT)
    wait_until(lambda: len(letters(dovecot)) > before, "Postfix and Dovecot deliver the letter", PATIENCE)
    arrived = letters(dovecot)[-1]
    assert arrived.get_all("Reply-To") is None
    assert str(make_header(decode_header(dict(arrived.raw_items())["Subject"]))) == letter.subject
    assert arrived.get_body(("plain",)).get_content().split() == ["The", "text."]


def test_kannel_down_for_a_while(mara, panel, dovecot, kannel, tmp_path):
    """Nothing is changed while the text message waits; afterwards everything is."""
    before, arrived = len(archives(dovecot)), len(kannel.arrived())
    kannel.stop()
    address = mara.start("example.org")
    wait_until(lambda: "Next try" in mara.open(address), "the failure is said", PATIENCE)
    assert "Nothing has changed yet" in mara.open(address)
    kannel.start()
    mara.send(address, f"{address}/message")
    wait_until(lambda: ">Done</span>" in mara.open(address).replace("\n", ""), "the change is done", PATIENCE)
    message = kannel.wait_for(arrived + 1)[-1]
    wait_until(lambda: len(archives(dovecot)) > before, "the letter arrives", PATIENCE)
    assert len(archives(dovecot)) == before + 1
    credentials = opened(archives(dovecot)[-1], KEY.search(message.text)[0], tmp_path / "second")
    for login, password in credentials.items():
        imap_login(dovecot.port("imap"), login, password).logout()
