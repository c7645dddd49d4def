"""The doctor on an installation in which one thing is wrong: it names that, and nothing else.

Dovecot, the SMTP server, the panel behind TLS, the certificates and Postfix's configuration are real ones.
"""

import contextlib
import json
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

import adapters
import database as db
import doctor
import models
import sender_check
from actions.upkeep import installation
from adapters import milter
from adapters.dovecot import config as dovecot_config
from doctor import certificates, mail_server
from doctor.findings import Finding
from lab import dovecots
from lab.servers import (
    HOST,
    IS_ROOT,
    REFUSE_QUICKLY,
    BlackHole,
    Dovecot,
    MailSink,
    ScriptedSmtp,
    free_port,
    mail_settings,
    new_directory,
)
from models import Account, OutboxItem, Webmail, WorkerSign
from settings import DOVECOT_VERSIONS, Settings, SettingsError
from tests.conftest import app_of

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="only root can share a database with another system user")

# Dovecot reads the database as somebody who may read no key of the panel's.
READER = "nobody"
NAME = "localhost"
DAY = timedelta(days=1)
FAIL2BAN = Path(__file__).parents[1] / "integrations" / "fail2ban"


# --- certificates ---


@dataclass(frozen=True)
class Authority:
    """It signs the certificates of a test, and the doctor trusts it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def sign(self, directory: Path, *names: str, days: int = 90, begins: int = -1) -> tuple[Path, Path]:
        """The files of a certificate for these names and of its key; valid for so many days from now."""
        directory.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        moment = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_name("server"))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment + min(begins, days - 1) * DAY)
            .not_valid_after(moment + days * DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )
        files = directory / "certificate.pem", directory / "key.pem"
        files[0].write_bytes(made.public_bytes(Encoding.PEM))
        files[1].touch(0o600)
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@pytest.fixture(scope="module")
def authority(place: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    moment = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name("Authority"))
        .issuer_name(_name("Authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - DAY)
        .not_valid_after(moment + 365 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )
    (place / "authority.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return Authority(made, key)


# --- an installation in which all is well ---


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory through which other system users may pass; the database's is shared with one of them."""
    directory = new_directory("doctor")
    (directory / "instance").mkdir(mode=0o700)
    (directory / "shared").mkdir()
    shutil.chown(directory / "shared", group=dovecot_config._group_of(READER))
    (directory / "shared").chmod(0o2770)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def module_database_url(place: Path) -> str:
    return f"sqlite:///{place / 'shared' / 'postern.db'}"


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def base(place: Path, module_database_url: str, smtp_server: MailSink, authority: Authority) -> Settings:
    certificate, key = authority.sign(place / "mail", NAME)
    return mail_settings(
        module_database_url,
        place / "instance",
        base_url=f"https://{NAME}:{free_port()}",
        smtp_url=smtp_server.url,
        mail_from="postern@example.org",
        mail_host=NAME,
        submission_host=NAME,
        tls_certificate=str(certificate),
        tls_key=str(key),
        dovecot_database_user=READER,
        dovecot_policy_url="no",
        dovecot_version=dovecots.native_version(),
        argon2_memory=7168,
        argon2_time=1,
    )


@pytest.fixture(scope="module")
def dovecot(base: Settings) -> Iterator[Dovecot]:
    with db.open_database(base.database_url).connection_context():
        db.router().run()
    with Dovecot(base, REFUSE_QUICKLY) as running:
        yield running


@pytest.fixture(scope="module")
def sender_checks() -> Iterator[int]:
    """The port on which it answers."""
    port = free_port()
    with milter.serving((sender_check.HOST, port), sender_check.SenderCheck()):
        yield port


@contextlib.contextmanager
def serving(app: Callable, port: int, files: tuple[Path, Path], seconds_ahead: int) -> Iterator[None]:
    """Behind TLS, with a clock that is so many seconds ahead."""

    class Handler(WSGIRequestHandler):
        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() + seconds_ahead)

    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(*files)
    server = make_server(HOST, port, app, threaded=True, request_handler=Handler, ssl_context=trusted)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def port_of(settings: Settings) -> int:
    return int(settings.base_url.rpartition(":")[2])


@dataclass
class World:
    """An installation, and what a test may spoil. `files` is the certificate of the panel with its key, `panel` what
    answers there, in place of what `panel_settings` change."""

    settings: Settings
    place: Path
    conf: Path
    fail2ban: Path
    postfix: Path
    authority: Authority
    files: tuple[Path, Path]
    sender_checks: int
    panel: Callable | None = None
    panel_settings: dict[str, object] = field(default_factory=dict)
    seconds_ahead: int = 0
    is_stale: bool = False
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def change(self, **settings: object) -> None:
        self.settings = replace(self.settings, **settings)

    def serve_postfix(self, *options: str, port: int = 0) -> None:
        """Postfix's configuration, with one service for what Dovecot hands on."""
        port = port or int(self.settings.submission_relay.rpartition(":")[2])
        lines = [f"{HOST}:{port} inet n - n - - smtpd", *(f"    -o {option}" for option in options)]
        (self.postfix / "master.cf").write_text("\n".join(lines) + "\n")
        (self.postfix / "main.cf").write_text("compatibility_level = 3.6\n")

    def is_asked(self) -> list[str]:
        return [f"smtpd_milters=inet:{HOST}:{self.sender_checks}", f"smtpd_authorized_xclient_hosts={HOST}"]

    def write_configuration(self) -> None:
        with contextlib.suppress(dovecot_config.ConfigurationError):
            files = dovecot_config.render(self.settings, self.settings.dovecot_version, self.conf)
            dovecot_config.write(files, self.conf)

    def examine(self) -> list[Finding]:
        if not self.is_stale:
            self.write_configuration()
        ports = adapters.build(self.settings)
        panel = self.panel
        if panel is None:
            of_panel = replace(self.settings, **self.panel_settings)
            panel = app_of(of_panel, replace(ports, settings=of_panel))
        with self.running, serving(panel, port_of(self.settings), self.files, self.seconds_ahead):
            return list(doctor.examine(ports))


@pytest.fixture
def world(place, base, dovecot, database, people, authority, sender_checks, tmp_path, monkeypatch) -> Iterator[World]:
    people.add("anna")
    installation.give_a_sign(base)
    fail2ban, postfix, conf = tmp_path / "fail2ban", tmp_path / "postfix", tmp_path / "conf"
    shutil.copytree(dovecot.conf.parent, conf)
    (fail2ban / "jail.d").mkdir(parents=True)
    shutil.copy(FAIL2BAN / "postern.conf", fail2ban / "jail.d")
    shutil.copytree(FAIL2BAN / "filter.d", fail2ban / "filter.d")
    postfix.mkdir()
    for name in ("secret.key", "doveadm.key"):
        (place / "instance" / name).touch(0o600)
    monkeypatch.setattr(mail_server, "DOVECOT", conf)
    monkeypatch.setattr(mail_server, "FAIL2BAN", fail2ban)
    monkeypatch.setenv("MAIL_CONFIG", str(postfix))
    monkeypatch.setenv("SSL_CERT_FILE", str(place / "authority.pem"))
    files = authority.sign(tmp_path / "web", NAME)
    world = World(dovecot.settings, place, conf, fail2ban, postfix, authority, files, sender_checks)
    world.serve_postfix(*world.is_asked())
    yield world
    for path, mode in (("instance", 0o700), ("shared", 0o2770), ("shared/postern.db", 0o660), ("mail/key.pem", 0o600)):
        (place / path).chmod(mode)
    for name in ("secret.key", "doveadm.key", "postern.toml"):
        (place / "instance" / name).unlink(missing_ok=True)


def mends(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.well]


def test_where_all_is_well_nothing_is_to_be_mended_and_nothing_is_unknown(world):
    assert [finding for finding in world.examine() if finding.state != "ok"] == []


# --- one thing is wrong ---

WRONG: dict[str, tuple[str, str, Callable[[World], object]]] = {}


def wrong(subject: str, said: str) -> Callable:
    """A misconfiguration: how the finding is called, a part of what it says, and the function that spoils a world."""

    def enter(spoil: Callable[[World], object]) -> Callable:
        WRONG[spoil.__name__] = subject, said, spoil
        return spoil

    return enter


# settings and files


@wrong("settings", "POSTERN_MAIL_CONNECTIONS")
def impossible_setting(world):
    world.change(mail_connections=0)


@wrong("settings", "POSTERN_MAIL_FROM must be an e-mail address")
def sender_without_at(world):
    world.change(mail_from="postern.example.org")


@wrong("logo", "may change what people see")
def logo_that_everybody_may_change(world):
    file = world.place / "logo.svg"
    file.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    file.chmod(0o646)
    world.change(logo=str(file))


@wrong("{instance}", "chmod 700")
def directory_of_the_keys_open_to_others(world):
    world.settings.instance.chmod(0o755)


@wrong("{instance}", "may replace the keys")
def directory_of_the_keys_that_a_group_may_change(world):
    world.settings.instance.chmod(0o770)


@wrong("{instance}/secret.key", "chmod 600")
def key_that_others_may_read(world):
    (world.settings.instance / "secret.key").chmod(0o644)


@wrong("{instance}/postern.toml", "chmod 600")
def settings_that_others_may_read(world):
    (world.settings.instance / "postern.toml").touch()
    (world.settings.instance / "postern.toml").chmod(0o604)


@wrong("{place}/shared/postern.db", "chmod 660")
def database_that_others_may_read(world):
    (world.place / "shared" / "postern.db").chmod(0o664)


@wrong("{place}/shared", "into the place of the database")
def directory_of_the_database_that_everybody_may_change(world):
    (world.place / "shared").chmod(0o2777)


# the database


@wrong("secret key", "another secret key")
def another_nodes_secret_key(world):
    installation.give_a_sign(world.settings)
    WorkerSign.update(node="node-2").execute()
    installation.give_a_sign(replace(world.settings, secret_key="another-" * 8))
    WorkerSign.update(node="node-1").where(WorkerSign.node != "node-2").execute()


@wrong("migrations", "A later version")
def database_of_a_later_version(world):
    db.database.execute_sql("INSERT INTO migratehistory (name, migrated_at) VALUES ('999_later', '2026-01-01')")
    world.running.callback(db.database.execute_sql, "DELETE FROM migratehistory WHERE name = '999_later'")


@wrong("addresses", "anna+work@example.org")
def mailbox_with_the_delimiter(world):
    models.Mailbox.get().write(address="anna+work@example.org")


@wrong("phone numbers", "anna@example.org")
def landline(world):
    Account.get().write(phone="+390612345678")


# Dovecot


@wrong("Dovecot", "POSTERN_DOVEADM_URL")
def dovecot_that_does_not_answer(world):
    world.change(doveadm_url=f"http://{HOST}:{free_port()}")


@wrong("Dovecot", "POSTERN_DOVEADM_URL")
def dovecot_that_hangs(world):
    hole = world.running.enter_context(BlackHole())
    world.change(doveadm_url=f"http://{HOST}:{hole.port}")


@wrong("Dovecot", "POSTERN_DOVEADM_URL")
def another_doveadm_key(world):
    world.change(doveadm_key="another-" * 4)


@wrong("Dovecot's version", "no connection can be ended")
def wrong_dovecot_version(world):
    (other,) = set(DOVECOT_VERSIONS) - {world.settings.dovecot_version}
    world.change(dovecot_version=other)


@wrong("Dovecot's database", "reads another database")
def dovecot_that_reads_another_database(world):
    copy = world.place / "shared" / "copy.db"
    db.database.execute_sql(f"VACUUM INTO '{copy}'")
    copy.chmod(0o660)
    world.change(database_url=f"sqlite:///{copy}")
    world.running.callback(copy.unlink)
    db.open_database(world.settings.database_url)
    models.Mailbox.update(home="example.org/another").execute()


@wrong("Dovecot's configuration", "postern-secrets.conf")
def stale_configuration(world):
    world.write_configuration()
    world.is_stale = True
    file = world.conf / "postern-secrets.conf"
    file.write_text(file.read_text().replace(world.settings.doveadm_key, "former-key-of-doveadm"))


@wrong("Dovecot's configuration", "dovecot.conf")
def setting_changed_after_the_configuration_was_written(world):
    world.write_configuration()
    world.is_stale = True
    world.change(mail_connections=7)


@wrong("Dovecot's configuration", "may not read and write")
def database_that_dovecot_may_not_write(world):
    (world.place / "shared").chmod(0o2750)


@wrong("Dovecot's configuration", "postern-acl")
def missing_file_of_the_configuration(world):
    world.write_configuration()
    world.is_stale = True
    (world.conf / "postern-acl").unlink()


def overrides(world: World, *lines: str) -> None:
    with (world.conf / "local.conf").open("a") as file:
        file.write("\n".join(lines) + "\n")


@wrong("Dovecot's settings", "auth_cache_size")
def auth_cache_on(world):
    overrides(world, "auth_cache_size = 10M")


@wrong("Dovecot's settings", "auth_debug_passwords")
def passwords_in_dovecots_log(world):
    overrides(world, "auth_debug_passwords = yes")


@wrong("Dovecot's settings", "ssl = yes")
def mail_without_tls(world):
    overrides(world, "ssl = yes")


@wrong("Dovecot's account", "everything that the panel may read")
def dovecot_that_reads_as_the_panel(world):
    world.change(dovecot_database_user="root")


@wrong("Dovecot's account", "no such system user")
def dovecot_that_reads_as_nobody_at_all(world):
    world.change(dovecot_database_user="nobody-at-all")


@wrong("fail2ban", "nobody counts")
def penalty_off_without_fail2ban(world):
    (world.fail2ban / "jail.d" / "postern.conf").unlink()


@wrong("fail2ban", "nobody counts")
def jail_that_is_switched_off(world):
    (world.fail2ban / "jail.local").write_text("[postern-dovecot]\nenabled = false\n")


@wrong("fail2ban", "filter.d")
def jail_without_a_filter(world):
    (world.fail2ban / "filter.d" / "postern-dovecot.conf").unlink()


@wrong("guesses by mail", "does not answer Dovecot")
def panel_that_does_not_answer_dovecot(world):
    world.change(dovecot_policy_url=f"http://{HOST}:{free_port()}")


# certificates


def certified(world: World, *names: str, **days: int) -> None:
    """Mail programs get another certificate."""
    certificate, key = world.authority.sign(world.conf / "tls", *names, **days)
    world.change(tls_certificate=str(certificate), tls_key=str(key))


@wrong("mail certificate", "is not there")
def missing_certificate(world):
    world.change(tls_certificate="/nowhere/certificate.pem")


@wrong("mail certificate", "POSTERN_TLS_KEY")
def missing_key(world):
    world.change(tls_key="/nowhere/key.pem")


@wrong("mail certificate", "contains no certificate")
def certificate_that_is_none(world):
    world.change(tls_certificate=world.settings.tls_key)


@wrong("mail certificate", "is the key of another certificate")
def key_of_another_certificate(world):
    former = world.settings.tls_certificate
    certified(world, NAME)
    world.change(tls_certificate=former)


@wrong("mail certificate", "is not for localhost")
def mail_host_not_in_the_certificate(world):
    certified(world, "mail.example.org", "*.localhost")


@wrong("mail certificate", "in 9 days")
def mail_certificate_near_its_end(world):
    certified(world, NAME, days=10)


@wrong("mail certificate", "programs refuse it")
def mail_certificate_that_has_ended(world):
    certified(world, NAME, days=-1)


@wrong("mail certificate", "not valid yet")
def mail_certificate_of_the_future(world):
    certified(world, NAME, begins=3)


@wrong("{key}", "Everybody on this machine may read")
def key_of_the_certificate_that_everybody_may_read(world):
    Path(world.settings.tls_key).chmod(0o644)


@wrong("mail host", "cannot be resolved")
def mail_host_without_an_address(world):
    certified(world, "mail.example.invalid", NAME)
    world.change(mail_host="mail.example.invalid")


# who may write as whom


@wrong("sender addresses", "has no smtpd_milters")
def anybody_may_write_as_anybody(world):
    world.serve_postfix()


@wrong("sender addresses", "smtpd_authorized_xclient_hosts")
def postfix_that_does_not_learn_who_signed_in(world):
    world.serve_postfix(world.is_asked()[0])


@wrong("sender addresses", "milter_default_action=tempfail")
def everything_goes_while_the_check_is_down(world):
    world.serve_postfix(*world.is_asked(), "milter_default_action=accept")


@wrong("sender addresses", "does not answer")
def check_that_does_not_answer(world):
    world.serve_postfix(f"smtpd_milters=inet:{HOST}:{free_port()}", world.is_asked()[1])


# outgoing mail, the worker and the rest


@wrong("SMTP", "POSTERN_SMTP_URL")
def dead_smtp_host(world):
    world.change(smtp_url=f"smtp://{HOST}:{free_port()}")


@wrong("SMTP", "POSTERN_SMTP_URL")
def unresolvable_smtp_host(world):
    world.change(smtp_url="smtp://smtp.example.invalid")


@wrong("SMTP", "refused our login")
def wrong_smtp_password(world):
    server = world.running.enter_context(ScriptedSmtp(AUTH="535 no"))
    world.change(smtp_url=server.url.replace("//", "//postern:wrong@"))


@wrong("SMTP", "timed out")
def smtp_server_that_hangs(world):
    server = world.running.enter_context(BlackHole())
    world.change(smtp_url=f"smtp://{HOST}:{server.port}")


@wrong("returned e-mails", "550 5.1.1")
def sender_that_nobody_receives(world):
    server = world.running.enter_context(ScriptedSmtp(RCPT="550 5.1.1 nobody here"))
    world.change(smtp_url=server.url)


@wrong("returned e-mails", "also a mailbox")
def returned_emails_to_a_person(world):
    world.change(bounce_address="anna@example.org")


@wrong("contact addresses", "SMTPUTF8")
def smtputf8_missing(world):
    Account.get().write(contact_email="анна@example.com")
    world.change(smtp_url=world.running.enter_context(ScriptedSmtp()).url)


@wrong("worker", "stands still")
def worker_that_stands_still(world):
    WorkerSign.update(seen_at=models.now() - 600).execute()


@wrong("worker", "has ever shown itself")
def worker_that_was_never_started(world):
    WorkerSign.delete().execute()


@wrong("outbox", "the server said no")
def outbox_that_stands(world):
    moment = models.now() - 601
    OutboxItem.create(kind="mail", key="k", payload="", created_at=moment, last_error="the server said no")


@wrong("archives", "fonts-dejavu-core")
def no_fonts(world):
    world.change(archive_fonts=world.place)


@wrong("SMS", "POSTERN_SMS_URL")
def dead_sms_gateway(world):
    world.change(sms_url=f"kannel://postern:secret@{HOST}:{free_port()}/")


# the web


@wrong("base URL", "Somebody else answers")
def base_url_of_another_host(world):
    world.panel = Flask("somebody else")


@wrong("base URL", "another secret key answers")
def base_url_of_another_installation(world):
    world.panel_settings = {"secret_key": "another-" * 8}


@wrong("base URL", "cannot be resolved")
def base_url_without_an_address(world):
    world.change(base_url=f"https://account.example.invalid:{free_port()}")


@wrong("web certificate", "ostname mismatch")
def web_certificate_for_another_name(world):
    world.files = world.authority.sign(world.conf / "tls", "account.example.org")


@wrong("web certificate", "has expired")
def web_certificate_that_has_ended(world):
    world.files = world.authority.sign(world.conf / "tls", NAME, days=-1)


@wrong("web certificate", "in 9 days")
def web_certificate_near_its_end(world):
    world.files = world.authority.sign(world.conf / "tls", NAME, days=10)


@wrong("web certificate", "refuse the certificate")
def web_certificate_that_nobody_trusts(world):
    alone = Authority(world.authority.certificate, ec.generate_private_key(ec.SECP256R1()))
    world.files = alone.sign(world.conf / "tls", NAME)


@wrong("proxies", "POSTERN_PROXIES=2 is more than")
def too_many_proxies(world):
    world.change(proxies=2)


@wrong("clock of the web server", "seconds ahead of")
def clock_that_is_off(world):
    world.seconds_ahead = 600


@wrong("https://webmail.example.com", "POSTERN_WEBMAIL_ORIGINS")
def webmail_whose_frames_are_refused(world):
    Webmail.create(origin="https://webmail.example.com", key_id="k", key="", algorithm=Webmail.HS256)
    world.change(webmail_hosts=("192.0.2.1",))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_and_nothing_else(world, name):
    subject, said, spoil = WRONG[name]
    spoil(world)
    found = mends(world.examine())
    places = {"instance": world.settings.instance, "place": world.place, "key": world.settings.tls_key}
    assert [finding.subject for finding in found] == [subject.format(**places)], found
    assert said in found[0].text
    assert found[0].mend


def test_a_logo_that_the_panels_own_user_may_not_read_is_named(place, base):
    own, file = place / "own", place / "own.svg"
    own.mkdir()
    file.touch(0o600)
    shutil.chown(own, READER)
    finding = doctor.files._logo(replace(base, instance=own, logo=str(file)))
    assert f"{READER}, as whom the panel runs, may not read it." in finding.text
    file.chmod(0o644)
    assert doctor.files._logo(replace(base, instance=own, logo=str(file))).well


def test_at_least_thirty_are_tried():
    assert len(WRONG) >= 30


# --- how it is said ---


def test_for_programs_there_is_json(world):
    world.change(smtp_url=f"smtp://{HOST}:{free_port()}")
    ports = adapters.build(replace(world.settings, doveadm_url="http://192.0.2.1:8080"))
    result = app_of(ports.settings, ports).test_cli_runner().invoke(args=["doctor", "--json"])
    assert result.exit_code == 1
    listed = json.loads(result.output)
    assert {tuple(each) for each in listed} == {("check", "state", "sentence", "mend")}
    states = {each["check"]: each["state"] for each in listed}
    assert (states["SMTP"], states["fail2ban"], states["worker"]) == ("mend", "unknown", "ok")
    assert all(each["mend"] for each in listed if each["state"] == "mend")
    assert all("Not known: " in each["sentence"] for each in listed if each["state"] == "unknown")


def test_an_examination_that_fails_keeps_no_other(world, monkeypatch):
    def fails(_ports):
        yield doctor.findings.fine("first", "This much is known.")
        raise RuntimeError("hunter2")

    monkeypatch.setitem(doctor.OTHERS, "SMS", fails)
    found = {finding.subject: finding for finding in world.examine()}
    assert found["SMS"].state == "unknown"
    assert "hunter2" not in found["SMS"].text
    assert found["first"].well
    assert {"archives", "base URL", "worker"} <= found.keys()


def test_an_examination_that_hangs_keeps_no_other():
    never = threading.Event()

    def hangs(_ports):
        yield Finding("first", "ok", "This much is known.")
        never.wait()

    first, late = doctor._at_once(None, {"hanging": hangs}, 0.5)
    never.set()
    assert (first.subject, late.subject, late.state) == ("first", "hanging", "mend")
    assert "within 0.5 seconds" in late.sentence


@pytest.mark.parametrize(
    ("names", "days", "said"), [((NAME,), 90, []), (("mail.example.org",), 10, ["not for", "ends"])]
)
def test_a_certificate_whose_file_is_out_of_sight_is_looked_at_where_it_is_shown(
    authority, tmp_path, names, days, said
):
    port = free_port()
    with serving(Flask("mail"), port, authority.sign(tmp_path, *names, days=days), 0):
        found = mends(list(certificates.served("mail certificate", (NAME, port), {NAME}, "Out of sight.")))
    assert len(found) == len(said)
    assert all(part in finding.sentence for part, finding in zip(said, found, strict=True))
    (unknown,) = certificates.served("mail certificate", (NAME, port), {NAME}, "Out of sight.")
    assert unknown.state == "unknown"


def test_no_secret_is_told(world):
    world.is_stale = True
    world.change(smtp_url=f"smtp://postern:hunter2@{HOST}:{free_port()}", doveadm_key="hunter2-hunter2-hunter2")
    said = "\n".join(finding.text for finding in world.examine())
    assert "hunter2" not in said
    assert world.settings.secret_key not in said


def test_without_the_key_the_panel_says_nothing_of_it(client, settings):
    assert installation.ANSWER not in client.request("GET", "/healthz").headers


def test_settings_with_which_nothing_starts_are_named_before():
    with pytest.raises(SettingsError, match="POSTERN_MAIL_FROM must be an e-mail address"):
        Settings.load({"POSTERN_MAIL_FROM": "postern.example.org", "POSTERN_DEMO": "yes"})


def test_a_new_key_is_no_other_nodes_after_a_while(database, settings, clock):
    former = replace(settings, secret_key="former-" * 8)
    WorkerSign.create(node="node-2", key_check=installation._proof(former, "worker"))
    assert installation.with_another_key(settings).node == "node-2"
    installation.give_a_sign(settings)
    assert installation.with_another_key(settings)
    clock.pass_by(3601)
    installation.give_a_sign(settings)
    assert installation.with_another_key(settings) is None
    assert installation.with_another_key(former)
