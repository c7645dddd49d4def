"""The generated configuration, run by a real Dovecot over the migrated database, on SQLite and on MariaDB."""

import base64
import contextlib
import dataclasses
import datetime
import imaplib
import ipaddress
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest
from argon2 import PasswordHasher
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actions.passwords import mail_policy
from adapters.dovecot import config as dovecot_config
from adapters.dovecot.config import ConfigurationError
from adapters.dovecot.doveadm import DoveadmMailServer
from lab import dovecots
from lab.accounts import DOVECOT_ACCOUNT, Accounts, grant
from lab.servers import (
    HOST,
    IS_ROOT,
    REFUSE_QUICKLY,
    Dovecot,
    ImapFrom,
    MailSink,
    free_port,
    idle,
    imap_accepts,
    imap_login,
    mail_settings,
    pop3_login,
    wait_until,
)
from settings import DOVECOT_VERSIONS

ANNA, BORIS, CHIARA = "anna@example.org", "boris@example.org", "chiara@example.org"
PASSWORD = "Right-Pässword 1"
MEGABYTE = 1024 * 1024

pytestmark = pytest.mark.every_pair

# At its defaults Dovecot's login penalty makes the next right password wait 15 s.
PROMPTLY = 2


@dataclasses.dataclass
class MailHost:
    dovecot: Dovecot
    accounts: Accounts
    relay: MailSink

    def port(self, name: str) -> int:
        return self.dovecot.port(name)

    def accepts(self, address: str, password: str) -> bool:
        return imap_accepts(self.port("imap"), address, password)


@pytest.fixture(scope="module")
def host(request, module_database_url, dovecot_version, tmp_path_factory) -> Iterator[MailHost]:
    """Anna with a quota, Boris without; on MariaDB, Dovecot reads with the account that `grants` makes."""
    accounts = Accounts(module_database_url)
    accounts.add(ANNA, PASSWORD, quota_bytes=25 * MEGABYTE)
    accounts.add(BORIS, PASSWORD)
    with MailSink() as relay:
        settings = mail_settings(
            module_database_url,
            tmp_path_factory.mktemp("instance"),
            submission_relay=f"{HOST}:{relay.port}",
            postfix_sasl_socket=f"{HOST}:{free_port()}",
            webmail_hosts=("127.0.0.2", "192.0.2.0/28"),
            dovecot_version=dovecot_version,
            **DOVECOT_ACCOUNT,
        )
        if module_database_url.startswith("mysql:"):
            grant(request.getfixturevalue("mariadb_server"), settings)
        with Dovecot(settings, REFUSE_QUICKLY) as dovecot:
            yield MailHost(dovecot, accounts, relay)


def at_once(function, *arguments) -> list:
    """All calls at the same time."""
    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(function, *arguments))


def refusal_text(port: int, user, password) -> str:
    """What the server says to this login by IMAP; the empty text if it lets it in."""
    try:
        imap_login(port, user, password).logout()
    except (imaplib.IMAP4.error, ConnectionError) as error:
        return str(error) or "hung up"
    return ""


# --- logging in ---


def test_the_right_password_opens_imap_pop3_and_submission(host: MailHost):
    imap = imap_login(host.port("imap"), ANNA, PASSWORD)
    assert imap.select("INBOX")[0] == "OK"
    imap.logout()
    pop3_login(host.port("pop3"), BORIS, "Right-Pässword 1").quit()
    with smtplib.SMTP(HOST, host.port("submission"), timeout=10) as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH PLAIN", plain(ANNA, PASSWORD))[0] == 235
        smtp.sendmail(ANNA, ["far@example.net"], b"Subject: sent\r\n\r\nHello\r\n")
    assert host.relay.wait_for(1)[0].message["Subject"] == "sent"


def test_the_login_is_typed_in_any_case(host: MailHost):
    assert host.accepts("Anna@Example.ORG", PASSWORD)


def test_every_refusal_says_the_same(host: MailHost):
    host.accounts.add("none@example.org", None)
    wrong = [
        (ANNA, "wrong"),
        (ANNA, PASSWORD.upper()),
        (ANNA, PASSWORD + " "),
        (ANNA, ""),
        (ANNA, host.accounts.hash_of(ANNA)),
        ("none@example.org", ""),
        ("none@example.org", "anything"),
        ("nobody@example.org", PASSWORD),
    ]
    texts = at_once(lambda login: refusal_text(host.port("imap"), *login), wrong)
    assert set(texts) == {"[AUTHENTICATIONFAILED] Authentication failed."}


@pytest.mark.parametrize("state", ["locked", "suspended"])
def test_a_refusal_is_explained_after_the_right_password_only(host: MailHost, state: str):
    address = f"{state}@example.org"
    host.accounts.add(address, PASSWORD)
    host.accounts.set_state(address, state)
    right = refusal_text(host.port("imap"), address, PASSWORD)
    assert f"This account is {state}." in right
    assert state not in refusal_text(host.port("imap"), address, "wrong")
    with pytest.raises(poplib.error_proto, match=f"This account is {state}"):
        pop3_login(host.port("pop3"), address, PASSWORD)


def test_postfix_gets_a_plain_failure_for_a_suspended_account(host: MailHost):
    host.accounts.add(CHIARA, PASSWORD)
    assert sasl_accepts(host, CHIARA)
    host.accounts.set_state(CHIARA, "suspended")
    assert not sasl_accepts(host, CHIARA)


def plain(address: str, password: str) -> str:
    """The secret of SASL PLAIN (RFC 4616); smtplib itself sends ASCII passwords only."""
    return base64.b64encode(f"\0{address}\0{password}".encode()).decode()


def sasl_accepts(host: MailHost, address: str) -> bool:
    """SMTP AUTH as Postfix asks for it, through Dovecot's SASL listener."""
    port = int(host.dovecot.settings.postfix_sasl_socket.rpartition(":")[2])
    with socket.create_connection((HOST, port), timeout=10) as connection, connection.makefile("rw") as stream:
        stream.write(f"VERSION\t1\t2\nCPID\t{os.getpid()}\n")
        stream.write(f"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp={plain(address, PASSWORD)}\n")
        stream.flush()
        answers = (line.split("\t")[0].strip() for line in stream)
        return next(answer for answer in answers if answer in ("OK", "FAIL")) == "OK"


@pytest.mark.parametrize(
    "hasher",
    [
        PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
        PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4),
        PasswordHasher(time_cost=1, memory_cost=235_000, parallelism=1),
    ],
    ids=["weaker", "stronger", "strongest"],
)
def test_hashes_of_any_cost_up_to_the_workers_limit(host: MailHost, hasher: PasswordHasher):
    address = f"cost{hasher.memory_cost}@example.org"
    host.accounts.add(address, PASSWORD, hasher=hasher)
    assert host.accepts(address, PASSWORD)


def test_a_changed_password_is_in_force_at_the_next_login(host: MailHost):
    host.accounts.add("changes@example.org", "Old-password 1")
    assert host.accepts("changes@example.org", "Old-password 1")
    host.accounts.set_password("changes@example.org", "New-password 1")
    # The old one first: a cache would still take it, and forget it as soon as the new one was used.
    assert not host.accepts("changes@example.org", "Old-password 1")
    assert host.accepts("changes@example.org", "New-password 1")


def test_somebody_elses_guesses_do_not_make_a_right_password_wait(host: MailHost):
    guesses = [f"guess {number}" for number in range(20)]
    assert not any(at_once(lambda guess: host.accepts(BORIS, guess), guesses))
    started = time.monotonic()
    assert host.accepts(ANNA, PASSWORD)
    pop3_login(host.port("pop3"), ANNA, PASSWORD).quit()
    assert time.monotonic() - started < PROMPTLY


# --- hostile input ---

HOSTILE = {
    "quote": b"'",
    "query": b"anna@example.org' OR '1'='1",
    "comment": b"anna@example.org'; DROP TABLE account; -- ",
    "backslash": b"anna@example.org\\",
    "double quote": b'"anna@example.org"',
    "percent": b"%u%w%%@example.org",
    "braces": b"%{if;a;eq;a;anna;b}@example.org",
    "wildcard": b"*@example.org",
    "dollar": b"$default_internal_user",
    "tab": b"anna@example.org\tuser=boris@example.org",
    "line break": b"anna@example.org\r\n",
    "long": b"a" * 3000 + b"@example.org",
    "no utf-8": b"\xff\xfe\x80@example.org",
    "other alphabet": "аnna@example.org".encode(),
    "nul": b"anna@example.org\0",
}


def test_hostile_logins_and_passwords_break_no_query(host: MailHost):
    port = host.port("imap")
    logins = [(text, PASSWORD) for text in HOSTILE.values()]
    passwords = [(ANNA, text) for text in HOSTILE.values()]
    texts = at_once(lambda login: refusal_text(port, *login), [*logins, *passwords])
    assert all(texts)
    # What Dovecot says when its query failed.
    assert not [text for text in texts if "UNAVAILABLE" in text or "Temporary" in text]
    assert not re.findall(r"auth.*(?:Error|Fatal|Panic).*", host.dovecot.log)
    assert host.accepts(ANNA, PASSWORD)


@pytest.mark.parametrize(
    "password",
    ["'", '"', "%w%u%%", "{PLAIN}x", "a\\' OR 1=1 --", "n" * 2500, "密码-пароль-🔑", " spaces around ", "${x}`x`"],
)
def test_every_character_of_a_password_counts(host: MailHost, password: str):
    address = "characters@example.org"
    with contextlib.suppress(Exception):
        host.accounts.add(address, "first")
    host.accounts.set_password(address, password)
    assert host.accepts(address, password)


def test_no_password_and_no_hash_is_logged_even_when_debugging(host: MailHost):
    right, wrong, typed = "Right-in-no-log-1", "Wrong-in-no-log-1", "Typed-'%w-in-no-log-1"
    host.accounts.add("logged@example.org", right)
    assert host.accepts("logged@example.org", right)
    pop3_login(host.port("pop3"), "logged@example.org", right).quit()
    at_once(lambda password: host.accepts("logged@example.org", password), [wrong, typed])
    log = host.dovecot.log
    assert "query: SELECT" in log  # it does debug
    assert "Password mismatch" in log
    for secret in (right, wrong, typed, host.accounts.hash_of("logged@example.org")):
        assert secret not in log
        assert base64.b64encode(secret.encode()).decode()[:-4] not in log
        assert plain("logged@example.org", secret) not in log
    assert host.dovecot.settings.doveadm_key not in log
    assert DOVECOT_ACCOUNT["dovecot_mysql_password"] not in log


# --- mail ---


def test_mail_reaches_a_suspended_mailbox(host: MailHost):
    home = host.accounts.add("away@example.org", PASSWORD)
    host.accounts.set_state("away@example.org", "suspended")
    with smtplib.LMTP(HOST, host.port("lmtp"), timeout=10) as lmtp:
        assert not lmtp.sendmail("far@example.net", ["away@example.org"], b"Subject: kept\r\n\r\nHello\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            lmtp.sendmail("far@example.net", ["nobody@example.org"], b"Subject: lost\r\n\r\nHello\r\n")
    host.accounts.set_state("away@example.org", "active")
    imap = imap_login(host.port("imap"), "away@example.org", PASSWORD)
    assert imap.select("INBOX") == ("OK", [b"1"])
    imap.logout()
    assert f"{host.dovecot.settings.mail_root}/{home}" in host.dovecot.doveadm("user", "away@example.org")


def test_mail_programs_have_as_many_connections_as_the_setting_says(database_url, start_dovecot):
    Accounts(database_url).add(ANNA, PASSWORD)
    port = start_dovecot(database_url, mail_connections=12).port("imap")
    with contextlib.ExitStack() as open_now:
        for _ in range(12):
            open_now.callback(imap_login(port, ANNA, PASSWORD).shutdown)
        assert "[LIMIT]" in refusal_text(port, ANNA, PASSWORD)


def test_processes_are_there_before_anybody_is_logged_out_everywhere(host: MailHost):
    """A person waits for the two answers that this takes."""
    master = host.dovecot._master_pid()

    def are_ready() -> bool:
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        processes = [Path(f"/proc/{child}") for child in children]
        return len([each for each in processes if each.exists() and "doveadm" in (each / "comm").read_text()]) >= 2

    wait_until(are_ready, "two processes wait for questions")


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_fifty_connections_are_permitted_unless_the_setting_says_more(settings, version):
    for changes, count in (({}, 50), ({"mail_connections": 200}, 200)):
        conf = dovecot_config.render(dataclasses.replace(settings, **changes), version)["dovecot.conf"]
        assert re.findall(r"^mail_max_userip_connections = (.*)$", conf, re.MULTILINE) == [str(count)]


@pytest.mark.parametrize(
    ("delimiter", "opens"),
    [
        ("+", {"anna": 2, "anna+work": 0, "boris-x": 1}),
        ("-", {"anna": 0, "anna+work": 1, "boris-x": 0}),
        ("", {"anna": 0, "anna+work": 1, "boris-x": 1}),
    ],
)
def test_what_follows_the_delimiter_is_left_out(database_url, start_dovecot, delimiter, opens):
    accounts = Accounts(database_url)
    for name in opens:
        accounts.add(f"{name}@example.org", PASSWORD)
    dovecot = start_dovecot(database_url, recipient_delimiter=delimiter)
    with smtplib.LMTP(HOST, dovecot.port("lmtp"), timeout=10) as lmtp:
        for name in ("anna+anything", "anna+work", "boris-x"):
            with contextlib.suppress(smtplib.SMTPRecipientsRefused):
                lmtp.sendmail("far@example.net", [f"{name}@example.org"], b"Subject: x\r\n\r\nHello\r\n")
    assert {name: received(dovecot.port("imap"), f"{name}@example.org") for name in opens} == opens


def received(port: int, address: str) -> int:
    imap = imap_login(port, address, PASSWORD)
    _, (count,) = imap.select("INBOX")
    imap.logout()
    return int(count)


def test_an_absolute_home_is_taken_as_it_is(host: MailHost):
    host.accounts.add("elsewhere@example.org", PASSWORD)
    home = f"{host.dovecot.settings.mail_root}/elsewhere/absolute"
    host.accounts.set_home("elsewhere@example.org", home)
    assert f"home\t{home}\n" in host.dovecot.doveadm("user", "elsewhere@example.org")


def test_the_quota_is_the_accounts_own(host: MailHost):
    assert quota(host, ANNA) == f'"User quota" (STORAGE 0 {25 * 1024})'
    assert quota(host, BORIS) is None  # without a limit Dovecot names no quota root


def quota(host: MailHost, address: str) -> str | None:
    imap = imap_login(host.port("imap"), address, PASSWORD)
    _, (_roots, limits) = imap.getquotaroot("INBOX")
    imap.logout()
    return limits[0] and limits[0].decode()


def test_ending_a_login_drops_its_idle_connections_only(host: MailHost):
    port, settings = host.port("imap"), host.dovecot.settings
    annas, boris = idle(imap_login(port, ANNA, PASSWORD)), idle(imap_login(port, BORIS, PASSWORD))
    DoveadmMailServer(settings.doveadm_url, settings.doveadm_key, settings.dovecot_version).end_connections(ANNA)
    assert annas.seconds_until_dropped(2) < 2
    assert boris.is_open()
    boris.connection.shutdown()


# --- the database ---


def test_dovecots_mysql_account_reads_the_views_writes_last_logins_and_nothing_else(mariadb_server, tmp_path):
    url = mariadb_server.create_database()
    Accounts(url).add(ANNA, PASSWORD)
    settings = mail_settings(url, tmp_path, **DOVECOT_ACCOUNT)
    grant(mariadb_server, settings)
    name = urlsplit(url).path.strip("/")
    with (
        contextlib.closing(
            pymysql.connect(
                host=HOST,
                port=mariadb_server.port,
                user=settings.dovecot_mysql_user,
                password=settings.dovecot_mysql_password,
                database=name,
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT login FROM mail_login")
        assert cursor.fetchall() == ((ANNA,),)
        for readable in ("mail_device", "mail_user"):
            cursor.execute(f"SELECT * FROM {readable}")
        cursor.execute("INSERT INTO last_login VALUES (1, 0, 'imap', '192.0.2.1', 1)")
        cursor.execute("UPDATE last_login SET last_access = 2")
        for statement in (
            "SELECT * FROM account",
            "SELECT * FROM device",
            "DELETE FROM mail_user",
            "DELETE FROM last_login",
            "UPDATE mail_login SET home = '/'",
            "UPDATE mail_device SET protocols = 7",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)
    mariadb_server.drop_database(url)


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a database to another system user")
def test_a_sqlite_database_of_another_system_user_is_read_by_that_user(tmp_path_factory, dovecot_version):
    directory = Path("/tmp") / f"postern-owned-{os.getpid()}"
    directory.mkdir(mode=0o700)
    try:
        url = f"sqlite:///{directory / 'postern.db'}"
        accounts = Accounts(url)
        accounts.add(ANNA, PASSWORD)
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody")
        settings = mail_settings(url, tmp_path_factory.mktemp("instance"), dovecot_version=dovecot_version)
        with Dovecot(settings) as dovecot:
            assert "user = nobody" in dovecot.conf.read_text()
            assert imap_accepts(dovecot.port("imap"), ANNA, PASSWORD)
            assert {path.owner() for path in directory.iterdir()} == {"nobody"}
    finally:
        shutil.rmtree(directory)


# --- encryption ---


def test_with_a_certificate_no_password_is_taken_in_the_clear(tmp_path, dovecot_version):
    Accounts(url := f"sqlite:///{tmp_path / 'postern.db'}").add(ANNA, PASSWORD)
    certificate, key = certificate_files(tmp_path)
    settings = mail_settings(
        url, tmp_path, tls_certificate=str(certificate), tls_key=str(key), dovecot_version=dovecot_version
    )
    settings.mail_ports["imaps"] = free_port()
    trusting = ssl.create_default_context(cafile=certificate)
    with Dovecot(settings) as dovecot:
        # The same address counts as secure for Dovecot.
        clear = ImapFrom(dovecot.port("imap"), "127.0.0.9")
        assert "LOGINDISABLED" in clear.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            clear.login(ANNA, "whatever")
        clear.starttls(trusting)
        clear.authenticate("PLAIN", lambda _: f"\0{ANNA}\0{PASSWORD}".encode())
        clear.logout()
        sealed = imaplib.IMAP4_SSL(HOST, dovecot.port("imaps"), ssl_context=trusting, timeout=10)
        sealed.authenticate("PLAIN", lambda _: f"\0{ANNA}\0{PASSWORD}".encode())
        sealed.logout()


def certificate_files(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


# --- what is written ---


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "postern.db").touch()
    return mail_settings(f"sqlite:///{tmp_path / 'postern.db'}", tmp_path)


@pytest.fixture
def mysql_settings(tmp_path):
    return mail_settings("mysql://postern:secret-1@127.0.0.1:3306/postern", tmp_path, **DOVECOT_ACCOUNT)


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_secrets_stand_in_files_of_their_own(mysql_settings, version, tmp_path):
    files = dovecot_config.render(mysql_settings, version, tmp_path)
    for name, text in files.items():
        if name not in dovecot_config.SECRET_FILES | dovecot_config.GROUP_FILES:
            assert mysql_settings.doveadm_key not in text
            assert mysql_settings.dovecot_mysql_password not in text
            assert "secret-1" not in text
    assert mysql_settings.doveadm_key in "".join(files.values())
    assert mysql_settings.dovecot_mysql_password in "".join(files.values())


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_files_are_replaced_as_a_whole_and_secrets_are_for_their_owner_only(settings, version, tmp_path):
    directory = tmp_path / "new" / "dovecot"
    files = dovecot_config.render(settings, version, directory)
    for _ in range(2):
        dovecot_config.write(files, directory)
    assert {path.name for path in directory.iterdir()} == set(files)
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == mode_of(path.name)
        assert path.read_text() == files[path.name]
        if path.name in dovecot_config.GROUP_FILES and IS_ROOT:
            assert path.group() == dovecot_config.DOVECOT_GROUP


def mode_of(name: str) -> int:
    """Only root can give a file to another group."""
    if name in dovecot_config.GROUP_FILES and IS_ROOT:
        return 0o640
    return 0o600 if name in dovecot_config.SECRET_FILES | dovecot_config.GROUP_FILES else 0o644


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mail_listen": "*"}, "POSTERN_TLS_CERTIFICATE"),
        ({"mail_listen": "127.0.0.1, 192.0.2.1"}, "POSTERN_TLS_CERTIFICATE"),
        ({"webmail_hosts": ("webmail.example.org",)}, "POSTERN_WEBMAIL_HOSTS"),
        ({"webmail_hosts": ("2001:db8::/64",)}, "POSTERN_WEBMAIL_HOSTS"),
        ({"doveadm_url": ""}, "POSTERN_DOVEADM_URL"),
        ({"doveadm_key": "short"}, "POSTERN_DOVEADM_KEY"),
        ({"dovecot_policy_url": "http://127.0.0.1:81 }"}, "POSTERN_DOVECOT_POLICY_URL"),
        ({"doveadm_key": "sixteen characters\n}"}, "POSTERN_DOVEADM_KEY"),
        ({"mail_user": "root"}, "POSTERN_MAIL_USER"),
        ({"mail_root": Path("relative")}, "POSTERN_MAIL_ROOT"),
        ({"mail_root": Path("/var/it's")}, "POSTERN_MAIL_ROOT"),
        ({"submission_relay": "mail.example.org"}, "POSTERN_SUBMISSION_RELAY"),
        ({"postfix_sasl_socket": "192.0.2.1:99"}, "POSTERN_POSTFIX_SASL_SOCKET"),
        ({"database_url": "sqlite:////nowhere/at.db"}, "flask db upgrade"),
        ({"database_url": "mysql://postern:two%20words@127.0.0.1/postern"}, "POSTERN_DOVECOT_MYSQL_PASSWORD"),
        ({"database_url": "postgresql://127.0.0.1/postern"}, "POSTERN_DATABASE_URL"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(settings, changes, named):
    with pytest.raises(ConfigurationError, match=named):
        dovecot_config.render(dataclasses.replace(settings, **changes), "2.3")


def test_a_version_that_is_not_known_is_refused(settings):
    with pytest.raises(ConfigurationError, match=r"2\.2"):
        dovecot_config.render(settings, "2.2")


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
def test_only_what_has_the_shape_of_a_device_password_reaches_a_query(settings, mysql_settings, kind, version):
    text = "\n".join(dovecot_config.render(settings if kind == "sqlite" else mysql_settings, version).values())
    guarded = {
        "2.3": "%{if;%w;~;^[a-z2-9]{8}(-[a-z2-9]{6}){4}$;%8w;--------}",
        "2.4": "%{password | if('~', '^[a-z2-9]{8}(-[a-z2-9]{6}){4}$', password, '--------') | substr(0, 8)}",
    }[version]
    assert guarded in text
    assert not re.search(r"%[0-9.]*w|%\{password|%\{if;", text.replace(guarded, ""))


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_what_the_panel_is_asked_with_stands_in_a_file_for_root_only(settings, version):
    asking = dataclasses.replace(settings, dovecot_policy_url="http://127.0.0.1:8100")
    files = dovecot_config.render(asking, version)
    for secret in (mail_policy.authorization(asking), mail_policy.nonce(asking)):
        assert {name for name, text in files.items() if secret in text} == {"postern-secrets.conf"}
    assert "http://127.0.0.1:8100/dovecot/policy" in files["dovecot.conf"]
    assert "200" in files["dovecot.conf"]
    assert "policy" not in "".join(dovecot_config.render(settings, version).values())


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
@pytest.mark.parametrize("has_tls", [True, False])
@pytest.mark.parametrize("asks_panel", [True, False])
def test_dovecot_reads_whatever_is_written(settings, mysql_settings, tmp_path, version, kind, has_tls, asks_panel):
    chosen = settings if kind == "sqlite" else mysql_settings
    if has_tls:
        certificate, key = certificate_files(tmp_path)
        chosen = dataclasses.replace(chosen, tls_certificate=str(certificate), tls_key=str(key))
    if asks_panel:
        chosen = dataclasses.replace(chosen, dovecot_policy_url="http://127.0.0.1:8100")
    directory = tmp_path / "conf"
    dovecot_config.write(dovecot_config.render(chosen, version, directory), directory)
    read = dovecots.command(version, "doveconf", "-n", "-c", str(directory / "dovecot.conf"))
    told = subprocess.run(read, capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
@pytest.mark.parametrize("has_tls", [True, False])
def test_the_configuration_for_2_4_has_the_form_of_2_4(settings, mysql_settings, kind, has_tls):
    chosen = settings if kind == "sqlite" else mysql_settings
    if has_tls:
        chosen = dataclasses.replace(chosen, tls_certificate="/etc/ssl/a.pem", tls_key="/etc/ssl/a.key")
    text = "\n".join(dovecot_config.render(chosen, "2.4").values())
    settings_only = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert_blocks_are_balanced(settings_only)
    assert settings_only.lstrip().startswith("dovecot_config_version = 2.4")
    for gone in (
        r"%L?[a-zA-Z]\b",
        r"plugin \{",
        r"^passdb \{",
        r"^userdb \{",
        r"^\s*args =",
        "quota_rule",
        r"\bmail_location\b",
        "disable_plaintext_auth",
        r"\bssl_(cert|key) =",
        r"= <",
        r"\$mail_plugins",
        r"^\s*address = ",
        r"\$default_internal_user",
    ):
        assert not re.search(gone, settings_only, re.MULTILINE), gone
    for needed in (
        "passdb sql {",
        "userdb prefetch {",
        "userdb sql {",
        "userdb_quota_storage_size",
        "userdb_user_device",
        "mail_driver =",
        "dict_server {",
        "last_login {",
    ):
        assert needed in settings_only
    assert f"sql_driver = {kind}" in settings_only
    assert ("ssl = required" in settings_only) == has_tls
    assert ("auth_allow_cleartext = yes" in settings_only) != has_tls


def assert_blocks_are_balanced(text: str) -> None:
    """Each line that ends in "{" opens a block, each "}" alone closes one."""
    depth = 0
    for line in text.splitlines():
        depth += line.endswith("{")
        depth -= line.strip() == "}"
        assert depth >= 0, line
    assert depth == 0
