"""The settings that the pages recommend for a mail program."""

from pathlib import Path

import pytest

from actions.devices import mail_programs
from actions.devices.mail_programs import ALL_PROTOCOLS, Server
from lab.installation import environment_of
from models import Device
from settings import Settings, SettingsError

ADDRESS = "anna@example.org"
CERTIFICATE = {"POSTERN_TLS_CERTIFICATE": "/etc/ssl/mail.pem", "POSTERN_TLS_KEY": "/etc/ssl/mail.key"}


def recommended(directory: Path, protocols: int = ALL_PROTOCOLS, **changes: str) -> list[Server]:
    environment = environment_of(directory, f"sqlite:///{directory}/postern.db", **changes)
    return mail_programs.recommended(Settings.load(environment), ADDRESS, protocols)


def entrances(servers: list[Server]) -> list[tuple[str, str, int, str]]:
    return [(server.protocol, server.host, server.port, server.security) for server in servers]


def test_tls_from_the_first_byte_is_preferred_where_there_is_a_certificate(tmp_path):
    servers = recommended(tmp_path, **CERTIFICATE, POSTERN_MAIL_HOST="mail.example.org")
    assert entrances(servers) == [
        ("imap", "mail.example.org", 993, "tls"),
        ("pop3", "mail.example.org", 995, "tls"),
        ("smtp", "mail.example.org", 465, "tls"),
    ]
    assert {server.username for server in servers} == {ADDRESS}


def test_starttls_where_the_listener_that_begins_with_tls_is_off(tmp_path):
    servers = recommended(
        tmp_path,
        **CERTIFICATE,
        POSTERN_MAIL_PORTS="imaps=0,pop3s=0,submissions=0,imap=1143",
        POSTERN_MAIL_HOST="m.test",
    )
    assert entrances(servers) == [
        ("imap", "m.test", 1143, "starttls"),
        ("pop3", "m.test", 110, "starttls"),
        ("smtp", "m.test", 587, "starttls"),
    ]


def test_a_protocol_without_a_listener_is_not_recommended(tmp_path):
    servers = recommended(tmp_path, **CERTIFICATE, POSTERN_MAIL_PORTS="pop3=0,pop3s=0")
    assert [server.protocol for server in servers] == ["imap", "smtp"]


def test_sending_that_dovecot_leaves_to_postfix_is_at_the_standard_port(tmp_path):
    servers = recommended(
        tmp_path,
        **CERTIFICATE,
        POSTERN_MAIL_PORTS="submission=0,submissions=0",
        POSTERN_MAIL_HOST="mail.example.org",
        POSTERN_SUBMISSION_HOST="smtp.example.org",
    )
    assert entrances(servers)[-1] == ("smtp", "smtp.example.org", 587, "starttls")


def test_a_loopback_host_without_a_certificate_speaks_in_the_clear(tmp_path):
    servers = recommended(tmp_path, POSTERN_MAIL_PORTS="imap=1143,pop3=1110,submission=1587")
    assert entrances(servers) == [
        ("imap", "127.0.0.1", 1143, "none"),
        ("pop3", "127.0.0.1", 1110, "none"),
        ("smtp", "127.0.0.1", 1587, "none"),
    ]


def test_no_other_host_is_ever_announced_without_encryption(tmp_path):
    servers = recommended(tmp_path, POSTERN_BASE_URL="https://account.example.org")
    assert {(server.host, server.security) for server in servers} == {("account.example.org", "tls")}


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        (Device.IMAP, ["imap"]),
        (Device.POP3, ["pop3"]),
        (Device.SENDING, ["smtp"]),
        (Device.POP3 | Device.SENDING, ["pop3", "smtp"]),
        (0, []),
    ],
)
def test_only_the_wanted_protocols(tmp_path, protocols, expected):
    assert [server.protocol for server in recommended(tmp_path, protocols)] == expected


@pytest.mark.parametrize("host", ["mail.example.org:993", "https://mail.example.org", "mail example.org", "-x", "<b>"])
def test_what_is_no_host_name_is_refused_at_the_start(tmp_path, host):
    with pytest.raises(SettingsError):
        recommended(tmp_path, POSTERN_MAIL_HOST=host)
    with pytest.raises(SettingsError):
        recommended(tmp_path, POSTERN_SUBMISSION_HOST=host)
