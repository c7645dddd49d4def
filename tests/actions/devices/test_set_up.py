"""What sets a mail program up by itself, read again as the mail programs read it."""

import base64
import io
import json
import plistlib
import re
import uuid
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as texts
from PIL import Image

from actions.devices import device_passwords, set_up
from actions.devices.mail_programs import ALL_PROTOCOLS
from lab.installation import environment_of
from models import Account, Device
from settings import Settings

PASSWORD = "k7pqx2m9-abcdef-ghjkmn-pqrstu-vwxyz2"
HOSTILE_NAMES = [
    'Anna\'s <phone> & "tablet"',
    "]]><key>EmailAddress</key><string>eve@example.com</string>",
    "👩‍💻 телефон \u202egnp.exe",
    "first line\r\nsecond line\x00\x07\ud800\uffff",
    '","eve@example.com"]]]]',
    "x" * 120,
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("instance"))


def settings_in(instance: Path, **changes: str) -> Settings:
    certificate = {"POSTERN_TLS_CERTIFICATE": "/etc/ssl/mail.pem", "POSTERN_TLS_KEY": "/etc/ssl/mail.key"}
    hosts = {"POSTERN_MAIL_HOST": "mail.example.org", "POSTERN_SUBMISSION_HOST": "smtp.example.org"}
    return Settings.load(environment_of(instance, f"sqlite:///{instance}/p.db", **(certificate | hosts | changes)))


def anna(**columns: str) -> Account:
    return Account(**({"login": "anna@example.org", "first_name": "Anna", "last_name": "Keller"} | columns))


# --- the QR code, scanned ---


def picture(uri: str) -> Image.Image:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("L")


def scanned(image: Image.Image) -> str:
    codes = zxingcpp.read_barcodes(image)
    assert len(codes) == 1
    return codes[0].bytes.decode("utf-8")


class Reader:
    """Reads a JSON array element by element, as Thunderbird for Android's `QrCodePayloadAdapter` does."""

    def __init__(self, elements: object):
        assert isinstance(elements, list)
        self._elements = list(elements)

    def has_next(self) -> bool:
        return bool(self._elements)

    def integer(self) -> int:
        value = self._elements.pop(0)
        assert type(value) is int
        return value

    def line(self) -> str:
        value = self._elements.pop(0)
        assert type(value) is str
        assert not re.search(r"[\r\n]", value)
        return value

    def array(self) -> "Reader":
        return Reader(self._elements.pop(0))

    def end(self) -> None:
        assert not self._elements, "a writer adds no element that its version does not know"


def read_as_thunderbird(text: str) -> dict:
    """The one account in the code; fails where the published reader and its validator refuse."""
    root = Reader(json.loads(text))
    assert root.integer() == 1
    sequence = root.array()
    assert (sequence.integer(), sequence.integer()) == (1, 1)
    sequence.end()
    incoming = read_server(root.array(), {0: "imap", 1: "pop3"}, names_account=True)
    groups = root.array()
    group = groups.array()
    outgoing = read_server(group.array(), {0: "smtp"}, names_account=False)
    identity = group.array()
    address, name = identity.line(), identity.line()
    for reader in (identity, group, groups, root):
        reader.end()
    assert re.fullmatch(r"[!-~]+@[a-z0-9.-]+", address)
    return {"incoming": incoming, "outgoing": outgoing, "address": address, "name": name}


def read_server(server: Reader, protocols: dict[int, str], names_account: bool) -> dict:
    read = {
        "protocol": protocols[server.integer()],
        "host": server.line(),
        "port": server.integer(),
        "security": {0: "none", 2: "starttls", 3: "tls"}[server.integer()],
        "authentication": {0: "none", 1: "password"}[server.integer()],
        "username": server.line(),
    }
    if names_account:
        read["account_name"] = server.line() if server.has_next() else ""
    read["password"] = server.line() if server.has_next() else ""
    server.end()
    assert re.fullmatch(r"[A-Za-z0-9.-]+", read["host"])
    assert 1 <= read["port"] <= 65535
    return read


def test_the_qr_code_says_servers_user_and_password(settings):
    account = read_as_thunderbird(scanned(picture(set_up.thunderbird_qr(settings, anna(), PASSWORD, ALL_PROTOCOLS))))
    assert account == {
        "incoming": {
            "protocol": "imap",
            "host": "mail.example.org",
            "port": 993,
            "security": "tls",
            "authentication": "password",
            "username": "anna@example.org",
            "account_name": "",
            "password": PASSWORD,
        },
        "outgoing": {
            "protocol": "smtp",
            "host": "smtp.example.org",
            "port": 465,
            "security": "tls",
            "authentication": "password",
            "username": "anna@example.org",
            "password": PASSWORD,
        },
        "address": "anna@example.org",
        "name": "Anna Keller",
    }


def test_pop3_and_starttls_have_their_own_numbers(tmp_path):
    settings = settings_in(tmp_path, POSTERN_MAIL_PORTS="pop3s=0,submissions=0")
    protocols = Device.POP3 | Device.SENDING
    account = read_as_thunderbird(scanned(picture(set_up.thunderbird_qr(settings, anna(), PASSWORD, protocols))))
    assert (account["incoming"]["protocol"], account["incoming"]["security"]) == ("pop3", "starttls")
    assert (account["outgoing"]["port"], account["outgoing"]["security"]) == (587, "starttls")


def test_a_device_that_may_not_send_gets_no_password_for_sending(settings):
    account = read_as_thunderbird(scanned(picture(set_up.thunderbird_qr(settings, anna(), PASSWORD, Device.IMAP))))
    assert account["incoming"]["password"] == PASSWORD
    assert account["outgoing"]["authentication"] == "none"
    assert account["outgoing"]["username"] == account["outgoing"]["password"] == ""


def test_a_device_that_only_sends_has_no_code_and_no_profile(settings):
    assert set_up.thunderbird_qr(settings, anna(), PASSWORD, Device.SENDING) == ""
    assert set_up.apple_profile(settings, anna(), "Printer", PASSWORD, Device.SENDING) == b""


def test_the_code_is_scanned_from_a_dark_page(settings):
    code = picture(set_up.thunderbird_qr(settings, anna(), PASSWORD, ALL_PROTOCOLS))
    page = Image.new("L", (code.width + 200, code.height + 200), color=0)
    page.paste(code, (100, 100))
    assert read_as_thunderbird(scanned(page))["incoming"]["password"] == PASSWORD
    # The quiet zone of four modules, six pixels each, is part of the image.
    assert code.crop((0, 0, code.width, 24)).getextrema() == (255, 255)
    assert code.crop((0, 0, 24, code.height)).getextrema() == (255, 255)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_changes_what_the_code_says(settings, name):
    text = scanned(picture(set_up.thunderbird_qr(settings, anna(first_name=name), PASSWORD, ALL_PROTOCOLS)))
    account = read_as_thunderbird(text)
    assert account["address"] == account["incoming"]["username"] == "anna@example.org"
    assert account["incoming"]["password"] == account["outgoing"]["password"] == PASSWORD
    assert len(account["name"]) <= set_up.LONGEST_SHOWN_NAME


def test_the_longest_address_fits_into_a_code(settings):
    address = "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".org"
    uri = set_up.thunderbird_qr(settings, anna(login=address, first_name="😀" * 120), PASSWORD, ALL_PROTOCOLS)
    assert read_as_thunderbird(scanned(picture(uri)))["address"] == address


def test_every_device_password_travels_unchanged(settings):
    password = device_passwords.new_password().text
    account = read_as_thunderbird(scanned(picture(set_up.thunderbird_qr(settings, anna(), password, ALL_PROTOCOLS))))
    assert account["incoming"]["password"] == password


# --- the Apple profile, read by Apple's reference ---

AUTHENTICATION = (
    "EmailAuthNone",
    "EmailAuthPassword",
    "EmailAuthCRAMMD5",
    "EmailAuthNTLM",
    "EmailAuthHTTPMD5",
)
# Of com.apple.mail.managed.yaml: the type of each key, what it may say, and whether it must be there.
MAIL_KEYS = {
    "EmailAccountDescription": (str, None, False),
    "EmailAccountName": (str, None, False),
    "EmailAccountType": (str, ("EmailTypeIMAP", "EmailTypePOP"), True),
    "EmailAddress": (str, None, False),
    "IncomingMailServerAuthentication": (str, AUTHENTICATION, True),
    "IncomingMailServerHostName": (str, None, True),
    "IncomingMailServerPortNumber": (int, range(1, 65536), False),
    "IncomingMailServerUseSSL": (bool, None, False),
    "IncomingMailServerUsername": (str, None, False),
    "IncomingPassword": (str, None, False),
    "OutgoingPassword": (str, None, False),
    "OutgoingPasswordSameAsIncomingPassword": (bool, None, False),
    "OutgoingMailServerAuthentication": (str, AUTHENTICATION, True),
    "OutgoingMailServerHostName": (str, None, True),
    "OutgoingMailServerPortNumber": (int, range(1, 65536), False),
    "OutgoingMailServerUseSSL": (bool, None, False),
    "OutgoingMailServerUsername": (str, None, False),
}
COMMON_KEYS = {
    "PayloadType": (str, None, True),
    "PayloadVersion": (int, (1,), True),
    "PayloadIdentifier": (str, None, True),
    "PayloadUUID": (str, None, True),
    "PayloadDisplayName": (str, None, False),
    "PayloadOrganization": (str, None, False),
    "PayloadDescription": (str, None, False),
}


def read_as_apple(profile: bytes) -> tuple[dict, dict]:
    """The profile and its one mail payload; fails on what the reference does not know."""
    outer = plistlib.loads(profile)
    (mail,) = outer.pop("PayloadContent")
    check_keys(outer, COMMON_KEYS)
    check_keys(mail, COMMON_KEYS | MAIL_KEYS)
    assert (outer["PayloadType"], mail["PayloadType"]) == ("Configuration", "com.apple.mail.managed")
    assert outer["PayloadUUID"] != mail["PayloadUUID"]
    assert outer["PayloadIdentifier"] != mail["PayloadIdentifier"]
    return outer, mail


def check_keys(payload: dict, reference: dict) -> None:
    assert not set(payload) - set(reference)
    assert not {key for key, (_, _, required) in reference.items() if required} - set(payload)
    for key, value in payload.items():
        kind, allowed, _ = reference[key]
        assert type(value) is kind, key
        assert allowed is None or value in allowed, key
    assert uuid.UUID(payload["PayloadUUID"])


def test_the_profile_says_servers_user_and_password(settings):
    outer, mail = read_as_apple(set_up.apple_profile(settings, anna(), "Anna's iPhone", PASSWORD, ALL_PROTOCOLS))
    assert "Anna's iPhone" in outer["PayloadDisplayName"]
    assert {key: value for key, value in mail.items() if not key.startswith("Payload")} == {
        "EmailAccountDescription": "anna@example.org",
        "EmailAccountName": "Anna Keller",
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAddress": "anna@example.org",
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": "mail.example.org",
        "IncomingMailServerPortNumber": 993,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": "anna@example.org",
        "IncomingPassword": PASSWORD,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": "smtp.example.org",
        "OutgoingMailServerPortNumber": 465,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": "anna@example.org",
        "OutgoingPassword": PASSWORD,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }


def test_a_profile_without_password_lets_the_device_ask(settings):
    _, mail = read_as_apple(set_up.apple_profile(settings, anna(), "Mac", None, ALL_PROTOCOLS))
    assert not {"IncomingPassword", "OutgoingPassword"} & set(mail)
    assert mail["OutgoingPasswordSameAsIncomingPassword"] is True


def test_a_profile_for_reading_only_signs_in_nowhere_else(settings):
    _, mail = read_as_apple(set_up.apple_profile(settings, anna(), "Mac", PASSWORD, Device.POP3))
    assert mail["EmailAccountType"] == "EmailTypePOP"
    assert mail["OutgoingMailServerAuthentication"] == "EmailAuthNone"
    assert not {"OutgoingPassword", "OutgoingMailServerUsername"} & set(mail)


def test_a_new_password_replaces_the_profile_of_the_same_device_only(settings):
    first, _ = read_as_apple(set_up.apple_profile(settings, anna(), "Mac", PASSWORD, ALL_PROTOCOLS))
    again, _ = read_as_apple(set_up.apple_profile(settings, anna(), "Mac", "another", ALL_PROTOCOLS))
    other, _ = read_as_apple(set_up.apple_profile(settings, anna(), "iPhone", PASSWORD, ALL_PROTOCOLS))
    boris, _ = read_as_apple(
        set_up.apple_profile(settings, anna(login="boris@example.org"), "Mac", PASSWORD, ALL_PROTOCOLS)
    )
    identities = [(each["PayloadIdentifier"], each["PayloadUUID"]) for each in (first, again, other, boris)]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_changes_what_the_profile_says(settings, name):
    _, mail = read_as_apple(set_up.apple_profile(settings, anna(first_name=name), name, PASSWORD, ALL_PROTOCOLS))
    assert mail["EmailAddress"] == mail["IncomingMailServerUsername"] == "anna@example.org"
    assert mail["IncomingPassword"] == PASSWORD
    assert "\n" not in mail["EmailAccountName"]


def test_the_profile_of_an_address_tells_nothing_of_the_person(settings):
    _, mail = read_as_apple(set_up.apple_profile_of_address(settings, "anna@example.org"))
    assert "EmailAccountName" not in mail
    assert not {"IncomingPassword", "OutgoingPassword"} & set(mail)


@given(text=texts.text())
def test_one_line_is_one_line_of_xml(text):
    line = set_up.one_line(text)
    assert plistlib.loads(plistlib.dumps({"name": line}))["name"] == line
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
