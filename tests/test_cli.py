"""The operator's commands: errors are sentences and exit codes, never tracebacks."""

import base64
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import adapters
import doctor
import models
from actions.ground.actor import OPERATOR
from actions.ground.ports import MailServerUnavailable
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import return_path
from actions.passwords import passwords
from actions.sessions import links
from actions.upkeep import installation
from actions.webmails import webmails
from adapters import milter
from adapters.dovecot import installed
from adapters.memory import MemoryMailer, MemorySms
from lab.actors import acting
from lab.installation import environment_of
from lab.servers import HOST, free_port, is_listening, wait_until
from models import Account, AuditEvent, Domain, Mailbox, OutboxItem, Service, Webmail, WebSession
from settings import DEFAULT_DOVECOT_VERSION, DOVECOT_VERSIONS, Settings
from tests.actions.users.test_sheets import cell, ods, row
from tests.conftest import PASSWORD, app_of, ports_of
from tests.signing import ORIGIN

ROOT = Path(__file__).parents[1]
# Dovecot reads the database as somebody who may read no key of the panel's.
CONFINED = {"POSTERN_DOVECOT_DATABASE_USER": "nobody", "POSTERN_DOVECOT_MYSQL_USER": "dovecot"}


@pytest.fixture
def environment(environment, tmp_path, monkeypatch):
    """This machine's own Postfix, if it has one, is none of the tests' business."""
    monkeypatch.setenv("MAIL_CONFIG", str(tmp_path))
    return environment | CONFINED


@pytest.fixture
def run(app):
    """Run a command; its exit code and all that it said."""

    def run(*words, given=None):
        result = app.test_cli_runner().invoke(args=list(words), input=given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result.exit_code, result.output

    return run


def succeed(outcome):
    code, said = outcome
    assert code == 0, said
    return said


def fail(outcome):
    code, said = outcome
    assert code != 0
    assert said.strip()
    return said


def test_an_installation_from_the_first_command_to_the_first_mailbox(run, settings):
    succeed(run("db", "upgrade"))
    succeed(run("service", "add", "Mail Light", "--organisation", "Example Ltd", "--policy", "either"))
    succeed(run("domain", "add", "Example.org", "--service", "Mail Light"))
    said = succeed(
        run("mailbox", "add", "anna@example.org", "--first-name", "Anna", "--contact", "a@example.com", "--quota", "10")
    )
    token = said.strip().rpartition("/")[2]
    assert links.find(token, (links.WELCOME,)).account.display_name == "Anna"
    assert f"{settings.base_url}/links/" in said
    succeed(run("mailbox", "add", "boris@example.org", "--password-stdin", given=PASSWORD + "\n"))
    boris = Account.by_login("boris@example.org")
    assert passwords.verify(settings, boris.password_hash, PASSWORD)
    said = succeed(run("manager", "add", "m@example.org", "--organisation", "Example Ltd", "--role", "administrator"))
    assert "/links/" in said
    assert Account.by_login("m@example.org").role == Account.ADMINISTRATOR
    assert (Service.get().password_policy, Domain.get().name, Mailbox.select().count()) == ("either", "example.org", 2)
    assert AuditEvent.select().where(AuditEvent.action.startswith("operator:")).count() == 5


@pytest.mark.parametrize(
    "words",
    [
        ("service", "add", "Mail", "--organisation", "Example Ltd", "--policy", "none"),
        ("service", "add", "Mail Light", "--organisation", "Example Ltd"),
        ("service", "add", "", "--organisation", "Example Ltd"),
        ("domain", "add", "no domain", "--service", "Mail Light"),
        ("domain", "add", "example.org", "--service", "Mail Light"),
        ("domain", "add", "example.net", "--service", "None"),
        ("mailbox", "add", "nobody"),
        ("mailbox", "add", "anna@foreign.example"),
        ("mailbox", "add", "anna@example.org"),
        ("mailbox", "add", "dora@example.org", "--quota", "-1"),
        ("mailbox", "add", "dora@example.org", "--contact", "x"),
        ("mailbox", "import", "/nonexistent.csv"),
        ("mailbox", "import", "/"),
        ("mailbox", "rename", "nobody@example.org", "new@example.org"),
        ("mailbox", "rename", "anna@example.org", "anna@example.org"),
        ("mailbox", "rename", "anna@example.org", "anna@foreign.example"),
        ("mailbox", "rename", "anna@example.org", "new@example.org", "--forward", "--forward-days", "3"),
        ("mailbox", "rename", "anna@example.org", "new@example.org", "--forward-days", "0"),
        ("mailbox", "end-forwarding", "anna@example.org"),
        ("manager", "add", "m@example.org", "--organisation", "None"),
        ("manager", "add", "m@example.org", "--organisation", "Example Ltd", "--role", "operator"),
        ("account", "link", "nobody@example.org"),
        ("account", "lock", "nobody@example.org"),
        ("demo",),
        ("dovecot", "config", "--dovecot-version", "1.0"),
        ("dovecot", "config", "--output", "/proc/postern"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said(run, anna, words):
    before = (Account.select().count(), Domain.select().count(), Service.select().count())
    fail(run(*words))
    assert (Account.select().count(), Domain.select().count(), Service.select().count()) == before


def test_a_mailbox_is_renamed_and_mail_to_its_former_address_arrives_until_that_is_ended(run, anna):
    said = succeed(run("mailbox", "rename", "Anna@example.org", "anna.rossi@example.org", "--forward-days", "30"))
    assert said == "anna@example.org is called anna.rossi@example.org from now on.\n"
    assert Account.get_by_id(anna.id).login == "anna.rossi@example.org"
    fail(run("mailbox", "add", "anna@example.org"))
    assert succeed(run("mailbox", "end-forwarding", "anna@example.org"))
    assert succeed(run("mailbox", "add", "anna@example.org"))
    actions = [event.action for event in AuditEvent.select().order_by(AuditEvent.id)]
    assert actions[:2] == ["operator:mailbox:renamed", "operator:forwarding:ended"]
    assert succeed(run("mailbox", "rename", "anna@example.org", "anna.neri@example.org", "--forward"))


def test_an_operator_belongs_to_no_organisation(run, people):
    said = succeed(run("manager", "add", "boss@example.net", "--role", "operator"))
    operator = Account.by_login("boss@example.net")
    assert (operator.role, operator.organisation_id) == (Account.OPERATOR, None)
    assert links.find(said.rpartition("/")[2].strip(), (links.WELCOME,)).account == operator
    fail(run("manager", "add", "owner@example.net"))


def test_a_removal_names_what_goes_along_and_does_nothing_without_yes(run, people, anna):
    people.add_collaborator(anna)
    for words in (("domain", "remove", "example.org"), ("service", "remove", "Mail Light")):
        said = succeed(run(*words))
        assert "1 mailbox(es)" in said and "1 collaborator(s)" in said
        assert said.endswith("Nothing has been changed. Say --yes to do it.\n")
        assert "has mailboxes" in fail(run(*words, "--yes"))
    assert Account.select().count() == 2
    said = succeed(run("domain", "remove", "Example.org", "--with-mailboxes", "--yes"))
    assert said.endswith("example.org has been removed.\n")
    assert "has been removed" in succeed(run("service", "remove", "Mail Light", "--yes"))
    assert (Account.select().count(), Domain.select().count(), Service.select().count()) == (0, 0, 0)
    fail(run("domain", "remove", "example.org", "--yes"))
    fail(run("service", "remove", "Mail Light", "--yes"))


def test_a_manager_with_a_mailbox_by_command(run, anna):
    said = succeed(run("manager", "add", anna.login, "--role", "administrator"))
    assert "is both now" in said and "/links/" not in said
    assert Account.by_login(anna.login).role == Account.ADMINISTRATOR
    fail(run("manager", "add", anna.login))
    said = succeed(run("manager", "remove", anna.login))
    assert f"the mailbox {anna.login} stays" in said
    assert Account.by_login(anna.login).role == Account.ADMINISTRATOR
    assert "is the last manager" in fail(run("manager", "remove", anna.login, "--yes"))
    succeed(run("manager", "remove", anna.login, "--yes", "--last"))
    assert Account.by_login(anna.login).role == Account.PERSON
    fail(run("manager", "remove", anna.login, "--yes", "--last"))


def test_a_mailbox_for_a_manager_by_command(run, manager):
    fail(run("mailbox", "add", manager.login, "--password-stdin", given=PASSWORD + "\n"))
    assert "is both now" in succeed(run("mailbox", "add", manager.login, "--quota", "10"))
    assert Mailbox.get().account == manager
    assert "already exists" in fail(run("mailbox", "add", manager.login))


def test_what_was_ordered_is_written_down_and_said(run, people):
    said = succeed(run("service", "change", "Mail Light", "--most-mailboxes", "1", "--quota", "2048"))
    assert "1 mailboxes, 2 GB in all" in said
    fail(run("mailbox", "add", "dora@example.org", "--quota", "4096"))
    fail(run("mailbox", "add", "dora@example.org"))
    succeed(run("mailbox", "add", "dora@example.org", "--quota", "2048"))
    fail(run("mailbox", "add", "emil@example.org", "--quota", "1"))
    assert Service.get().mailboxes_made == Mailbox.select().count() == 1
    assert "any size" in succeed(run("service", "change", "Mail Light", "--quota", "0"))


@pytest.mark.parametrize(
    "given", ["", "\n", "short\n", "Dora-Garden-7\n", "Vu7!kq\0zw\n", "Vu7!kqzw \n", "Vu7!e\u0301kqzw\n"]
)
def test_a_password_that_is_not_accepted_makes_no_mailbox(run, people, given):
    fail(run("mailbox", "add", "dora@example.org", "--password-stdin", given=given))
    assert Account.select().count() == 0


def test_a_password_is_never_repeated(run, people):
    for given in (PASSWORD, "dora-Garden-7-secret"):
        assert given not in run("mailbox", "add", "dora@example.org", "--password-stdin", given=given + "\n")[1]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfaddress,first_name\r\ndora@example.org,D\xc3\xb3ra\r\nemil@example.org,\r\n",
        b'address,first_name\n"dora@example.org","D\xc3\xb3ra"\nemil@example.org,E\n',
        "address,first_name\r\ndora@example.org,Dóra\r\nemil@example.org,\r\n".encode("utf-16"),
        "address,first_name\r\ndora@example.org,Dóra\r\nemil@example.org,\r\n".encode("cp1252"),
        ods(
            row(cell("address"), cell("first_name"))
            + row(cell("dora@example.org"), cell("Dóra"))
            + row(cell("emil@example.org"))
        ),
    ],
    ids=["byte order mark", "quotes", "UTF-16", "Western Windows", "ODS"],
)
def test_a_file_of_mailboxes_is_imported(run, people, tmp_path, content):
    (tmp_path / "in.csv").write_bytes(content)
    succeed(run("mailbox", "import", str(tmp_path / "in.csv"), "--dry-run"))
    assert Account.select().count() == 0
    said = succeed(run("mailbox", "import", str(tmp_path / "in.csv")))
    rows = [line.split("\t") for line in said.splitlines()]
    assert [login for login, _ in rows] == ["dora@example.org", "emil@example.org"]
    assert all(links.find(link.rpartition("/")[2], (links.WELCOME,)) for _, link in rows)
    assert Account.by_login("dora@example.org").first_name == "Dóra"
    fail(run("mailbox", "import", str(tmp_path / "in.csv")))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"address\nnobody\ndora@example.org\n", b'"address\n', b'address\n"x', b"\0\0"]
)
def test_a_file_with_problems_imports_nothing(run, people, tmp_path, content):
    (tmp_path / "in.csv").write_bytes(content)
    fail(run("mailbox", "import", str(tmp_path / "in.csv")))
    assert Account.select().count() == 0


def test_each_wrong_line_of_a_file_is_said(run, people, tmp_path):
    (tmp_path / "in.csv").write_bytes(b'address,quota_mb\nnobody,\ndora@example.org,1\n"emil"x@example.org,1\n')
    said = fail(run("mailbox", "import", str(tmp_path / "in.csv"), "--dry-run"))
    assert "line 2: “nobody” is not a valid e-mail address." in said.splitlines()
    assert "line 4: This line is not CSV: a quote is missing or misplaced." in said.splitlines()
    assert said.endswith("Error: Nothing was imported.\n")


def test_unknown_columns_are_named_and_skipped_on_request(run, people, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"E-mail,badge\ndora@example.org,17\n")
    said = fail(run("mailbox", "import", str(tmp_path / "in.csv")))
    assert "line 1: These columns are unknown: badge." in said
    succeed(run("mailbox", "import", str(tmp_path / "in.csv"), "--skip-unknown-columns"))
    assert Account.select().count() == 1


def test_a_file_that_brings_more_than_was_ordered_is_said_to(run, people, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"address\ndora@example.org\nemil@example.org\n")
    Service.update(most_mailboxes=1).execute()
    for words in ((), ("--dry-run",)):
        said = fail(run("mailbox", "import", str(tmp_path / "in.csv"), *words))
        assert "Mail Light: The file adds 2 users, but the service has room for only 1 more." in said.splitlines()
    assert Account.select().count() == 0


def test_a_file_of_columns_alone_adds_nobody(run, people, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"address\n")
    assert succeed(run("mailbox", "import", str(tmp_path / "in.csv"), "--dry-run")) == "0 mailboxes would be added.\n"
    assert succeed(run("mailbox", "import", str(tmp_path / "in.csv"))) == ""


def test_locking_and_opening_again(run, anna, mail_server):
    acting(anna)
    succeed(run("account", "lock", anna.login))
    assert Account.get_by_id(anna.id).state == Account.LOCKED
    assert WebSession.select().count() == 0
    token = succeed(run("account", "link", anna.login)).strip().rpartition("/")[2]
    assert links.find(token, (links.RECOVER,))
    mail_server.is_down = True
    succeed(run("account", "lock", anna.login))
    assert OutboxItem.open_items().exists()


@pytest.fixture
def configure(environment, anna, tmp_path):
    """Run `dovecot config` with these words and settings, into this directory; its exit code and all that it said."""
    output = tmp_path / "dovecot"

    def configure(*words, **changes):
        mysql = {"POSTERN_DOVECOT_MYSQL_USER": "dovecot", "POSTERN_DOVECOT_MYSQL_PASSWORD": "x" * 20}
        base = {
            "POSTERN_DOVECOT_DATABASE_USER": "",
            "POSTERN_MAIL_USER": "nobody",
            "POSTERN_MAIL_LISTEN": "127.0.0.1",
            "POSTERN_MAIL_ROOT": str(tmp_path / "mail"),
        }
        settings = Settings.load(environment | mysql | base | changes)
        app = app_of(settings, adapters.build(settings))
        result = app.test_cli_runner().invoke(args=["dovecot", "config", "--output", str(output), *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert settings.doveadm_key not in result.output
        return result.exit_code, result.output

    configure.output = output
    return configure


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_dovecots_configuration_is_written_with_its_secrets_hidden(configure, version):
    succeed(configure("--dovecot-version", version))
    secret = [file for file in configure.output.iterdir() if "doveadm_api_key = " in file.read_text()]
    assert secret
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in secret)


def test_dovecots_configuration_is_for_the_version_that_is_installed(configure):
    present = installed.version()
    (other,) = set(DOVECOT_VERSIONS) - {present}
    conf = configure.output / "dovecot.conf"
    assert "was not tried" not in succeed(configure())
    assert f"for Dovecot {present}." in conf.read_text()
    assert f"Dovecot {present} is installed here" in succeed(configure(POSTERN_DOVECOT_VERSION=other))
    assert f"for Dovecot {other}." in conf.read_text()
    succeed(configure("--elsewhere"))
    assert f"for Dovecot {DEFAULT_DOVECOT_VERSION}." in conf.read_text()


def test_a_configuration_that_dovecot_cannot_read_replaces_nothing(configure):
    succeed(configure())
    before = {file.name: file.read_bytes() for file in configure.output.iterdir()}
    (configure.output / "local.conf").write_text("no_such_setting = yes\n")
    said = fail(configure(POSTERN_MAIL_CONNECTIONS="77"))
    assert f"{configure.output}/local.conf line 1: Unknown setting: no_such_setting" in said
    assert {name: (configure.output / name).read_bytes() for name in before} == before
    (configure.output / "local.conf").write_text("mail_max_userip_connections = 78\n")
    succeed(configure(POSTERN_MAIL_CONNECTIONS="77"))


def test_what_stood_there_before_the_first_time_is_kept(configure):
    configure.output.mkdir()
    (configure.output / "dovecot.conf").write_text("protocols = imap\n")
    for _ in range(2):
        succeed(configure())
    (kept,) = configure.output.glob("dovecot.conf.before-postern-*")
    assert kept.read_text() == "protocols = imap\n"


def test_only_what_is_installed_is_configured(configure, monkeypatch):
    """Dovecot does not start with a protocol that is not there."""
    monkeypatch.setitem(installed.PROGRAMS, "pop3", ("no-such-program", "dovecot-pop3d"))
    said = succeed(configure())
    assert "not installed: pop3 (package dovecot-pop3d)" in said
    assert "pop3-login" not in (configure.output / "dovecot.conf").read_text()
    succeed(configure("--elsewhere"))
    assert "pop3-login" in (configure.output / "dovecot.conf").read_text()
    for name in installed.PROGRAMS:
        monkeypatch.setitem(installed.PROGRAMS, name, ("no-such-program", f"package-of-{name}"))
    assert "package-of-imap" in fail(configure())


def test_a_certificate_that_is_not_there_is_refused(configure, tmp_path):
    files = {"POSTERN_TLS_CERTIFICATE": str(tmp_path / "a.pem"), "POSTERN_TLS_KEY": str(tmp_path / "a.key")}
    (tmp_path / "a.pem").touch()
    assert "There is no " + files["POSTERN_TLS_KEY"] in fail(configure(**files))
    assert not configure.output.exists()
    succeed(configure("--elsewhere", **files))
    (tmp_path / "a.key").touch()
    succeed(configure(**files))


def test_without_the_database_it_is_said(tmp_path, mail_server, mailer):
    settings = Settings.load(environment_of(tmp_path / "i", "mysql://nobody:hunter2@127.0.0.1:1/none"))
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    for words in (
        ["db", "upgrade"],
        ["mailbox", "add", "a@example.org"],
        ["account", "link", "a@example.org"],
        ["doctor"],
    ):
        result = app.test_cli_runner().invoke(args=words)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert "hunter2" not in result.output


def test_on_a_database_that_is_not_migrated_it_is_said(tmp_path, mail_server, mailer):
    settings = Settings.load(environment_of(tmp_path / "i", f"sqlite:///{tmp_path / 'new.db'}"))
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    result = app.test_cli_runner().invoke(args=["mailbox", "add", "a@example.org"])
    assert result.exit_code == 1
    assert "flask db upgrade" in result.output
    assert app.test_cli_runner().invoke(args=["db", "upgrade"]).exit_code == 0
    assert "up to date" in app.test_cli_runner().invoke(args=["db", "upgrade"]).output


# --- e-mails that come back ---

RETURNED = b"""\
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Action: failed
Status: 5.1.1
"""


@pytest.fixture
def received(settings, ports):
    """Give a message that was returned to an address; what the command says, and its exit code."""

    def receive(recipient, content, bounce_address="bounces@example.org"):
        named = replace(settings, bounce_address=bounce_address)
        app = app_of(named, replace(ports, settings=named))
        result = app.test_cli_runner().invoke(args=["bounce", "receive", recipient], input=content)
        return result.exit_code, result.output

    return receive


def test_a_returned_e_mail_is_taken(received, settings, anna):
    named = replace(settings, bounce_address="bounces@example.org")
    item = OutboxItem.create(kind="mail", key="k", payload="", account=anna)
    code, said = received(return_path.of(named, item, anna.contact_email), RETURNED)
    assert (code, "5.1.1" in said) == (0, True)
    assert Account.get_by_id(anna.id).returned_from == anna.contact_email


def test_what_is_none_is_taken_and_dropped(received, people):
    for recipient in ("bounces@example.org", "bounces+forged@example.org", "", "x"):
        for content in (b"", b"\xff\0" * 1000, RETURNED, RETURNED + b"x" * 3 * 1024 * 1024):
            assert received(recipient, content)[0] == 0


def test_a_message_waits_with_the_mail_server_while_it_cannot_be_taken(tmp_path, received, mail_server, mailer):
    assert received("bounces+x@example.org", RETURNED, bounce_address="")[0] == os.EX_TEMPFAIL
    away = environment_of(tmp_path / "i", "mysql://nobody:hunter2@127.0.0.1:1/none")
    settings = Settings.load(away | {"POSTERN_BOUNCE_ADDRESS": "bounces@example.org"})
    token = return_path._written(settings, Account(id=1, created_at=0), models.now(), "a@example.org")
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    words = ["bounce", "receive", return_path.with_token(settings, token)]
    result = app.test_cli_runner().invoke(args=words, input=RETURNED)
    assert result.exit_code == os.EX_TEMPFAIL
    assert "hunter2" not in result.output


# --- doctor ---


class AskedMailServer:
    """A mail server that knows what a test tells it."""

    def __init__(self, home="", version="2.3"):
        self._home, self._version = home, version

    def connections(self, login):
        return []

    def user(self, address):
        return {"home": self._home} if self._home else None

    def version(self):
        return self._version


class SilentMailServer:
    def connections(self, login):
        raise MailServerUnavailable("Dovecot did not answer.")

    user = connections


def findings_of(settings, mail_server, mailer):
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    result = app.test_cli_runner().invoke(args=["doctor"])
    assert isinstance(result.exception, SystemExit | None), result.exception
    mend = [line for line in result.output.splitlines() if line.startswith("MEND")]
    assert result.exit_code == (1 if mend else 0)
    return mend


@pytest.fixture
def host(settings, database, tmp_path, monkeypatch):
    """Its worker works, and fail2ban bans; this machine's own Dovecot is none of the tests' business."""
    installation.give_a_sign(settings)
    (tmp_path / "jail.d").mkdir()
    shutil.copy(ROOT / "integrations" / "fail2ban" / "postern.conf", tmp_path / "jail.d")
    shutil.copytree(ROOT / "integrations" / "fail2ban" / "filter.d", tmp_path / "filter.d")
    monkeypatch.setattr(doctor.mail_server, "DOVECOT", tmp_path)
    monkeypatch.setattr(doctor.mail_server, "FAIL2BAN", tmp_path)


@pytest.fixture
def examine(settings, people, mailer, host):
    people.add("anna")
    return lambda mail_server, settings=settings: findings_of(settings, mail_server, mailer)


def test_landlines_that_were_stored_before_are_named(examine, people):
    people.add("dora", phone="+390612345678")
    people.add("emil", phone="+393331234567")
    (finding,) = examine(AskedMailServer("/var/vmail/example.org/emil"))
    assert "dora@example.org" in finding and "emil" not in finding


def test_all_is_well(examine):
    assert examine(AskedMailServer("/var/vmail/example.org/anna")) == []


def test_a_mail_server_that_does_not_answer(examine):
    assert len(examine(SilentMailServer())) == 1


@pytest.mark.parametrize("home", ["", "/var/vmail/example.org/another"])
def test_a_mail_server_that_reads_another_database(examine, home):
    assert len(examine(AskedMailServer(home))) == 1


@pytest.mark.parametrize(("said", "findings"), [("", 0), ("2.4", 0), ("2.3", 1)])
def test_a_mail_server_of_another_version_than_the_settings_say(examine, settings, said, findings):
    settings = replace(settings, dovecot_version=said)
    assert len(examine(AskedMailServer("/var/vmail/example.org/anna", version="2.4"), settings)) == findings


def test_a_sender_whose_e_mails_vanish_when_they_come_back(examine, mailer, settings):
    well = AskedMailServer("/example.org/anna")
    mailer.refused["postern@example.org"] = "5.1.1"
    (mend,) = examine(well)
    assert "550 5.1.1" in mend
    named = replace(settings, bounce_address="bounces@example.org")
    assert examine(well, named) == []
    mailer.refused["bounces+test@example.org"] = "5.1.1"
    (mend,) = examine(well, named)
    assert "bounces+test@example.org" in mend


def test_an_address_for_returned_e_mails_that_is_a_mailbox(examine, people, settings):
    assert len(examine(AskedMailServer("/example.org/anna"), replace(settings, bounce_address="Anna@example.org"))) == 1


def test_an_smtp_server_that_cannot_be_asked(examine, mailer):
    mailer.is_down = True
    assert len(examine(AskedMailServer("/example.org/anna"))) == 1


def test_an_item_that_waits_for_long(examine):
    item = OutboxItem.create(kind="mail", key="k", payload="", created_at=models.now() - 601)
    assert len(examine(AskedMailServer("/example.org/anna"))) == 1
    OutboxItem.update(delivered_at=models.now()).where(OutboxItem.id == item.id).execute()
    assert examine(AskedMailServer("/example.org/anna")) == []


def test_mailboxes_that_contain_the_delimiter(examine, people, settings):
    people.add("anna+work")
    server = AskedMailServer("/example.org/anna+work")
    (mend,) = examine(server)
    assert "anna+work@example.org" in mend
    assert "POSTERN_RECIPIENT_DELIMITER" in mend
    for other in ("-", ""):
        assert examine(server, replace(settings, recipient_delimiter=other)) == []


def test_addresses_that_the_smtp_server_does_not_take(examine, mailer):
    Account.update(contact_email="anna@bücher.example").execute()
    mailer.international = False
    assert examine(AskedMailServer("/example.org/anna")) == []
    Account.update(contact_email="анна@example.com").execute()
    (mend,) = examine(AskedMailServer("/example.org/anna"))
    assert "анна@example.com" in mend
    assert "SMTPUTF8" in mend
    mailer.is_down = True
    (mend,) = examine(AskedMailServer("/example.org/anna"))
    assert "POSTERN_SMTP_URL" in mend
    mailer.is_down, mailer.international = False, True
    assert examine(AskedMailServer("/example.org/anna")) == []


@pytest.mark.parametrize("name", ["secret.key", "doveadm.key", "postern.toml", "demo-accounts.txt"])
def test_secrets_that_others_may_read(examine, settings, name):
    file = settings.instance / name
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(descriptor)
    file.chmod(0o644)
    (mend,) = examine(AskedMailServer("/example.org/anna"))
    assert f"chmod 600 {file}" in mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_secrets_that_somebody_may_read_because_of_a_group(examine, settings):
    file = settings.instance / "secret.key"
    shutil.chown(file, group="proxy")
    file.chmod(0o640)
    (mend,) = examine(AskedMailServer("/example.org/anna"))
    assert "proxy may read it" in mend
    assert f"chmod 600 {file}" in mend
    shutil.chown(file, group="root")
    assert examine(AskedMailServer("/example.org/anna")) == []


def test_dovecot_reads_the_database_as_the_panel_itself(examine, settings):
    as_itself = replace(settings, dovecot_database_user="", dovecot_mysql_user="")
    (mend,) = examine(AskedMailServer("/example.org/anna"), as_itself)
    assert "Dovecot's account" in mend


def test_missing_migrations(tmp_path, mailer, host):
    settings = Settings.load(environment_of(tmp_path / "i", f"sqlite:///{tmp_path / 'new.db'}"))
    (mend,) = findings_of(settings, AskedMailServer(), mailer)
    assert "flask db upgrade" in mend


@pytest.mark.parametrize(("is_down", "findings"), [(False, 0), (True, 1)])
def test_a_gateway_for_text_messages(settings, people, host, is_down, findings):
    people.add("anna")
    gateway = MemorySms()
    gateway.is_down = is_down
    for url, expected in (("kannel://postern:secret@127.0.0.1:13013/", findings), ("", 0)):
        ports = ports_of(replace(settings, sms_url=url), AskedMailServer("/example.org/anna"), MemoryMailer())
        mend = [finding.subject for finding in doctor.examine(replace(ports, sms=gateway)) if not finding.well]
        assert mend == ["SMS"] * expected


def test_a_host_without_fonts_for_archives(ports, people, host):
    people.add("anna")
    ports.archiver.has_fonts = False
    ports = replace(ports, mail_server=AskedMailServer("/example.org/anna"))
    (mend,) = [finding for finding in doctor.examine(ports) if not finding.well]
    assert "fonts-dejavu-core" in mend.mend


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"POSTERN_WEBMAIL_ORIGINS": ""}, 1),
        ({"POSTERN_WEBMAIL_HOSTS": ""}, 1),
        ({"POSTERN_BASE_URL": "https://account.example.net"}, 1),
        ({"POSTERN_BASE_URL": "https://account.example.net", "POSTERN_CROSS_SITE": "yes"}, 0),
        ({"POSTERN_SECRET_KEY": "another-" * 4}, 1),
    ],
)
def test_a_webmail_that_would_not_work(examine, environment, ports, changes, count):
    webmails.add(UnitOfWork(ports, OPERATOR), ORIGIN, None, Webmail.HS256)
    good = {
        "POSTERN_BASE_URL": "https://account.example.org",
        "POSTERN_WEBMAIL_ORIGINS": ORIGIN,
        "POSTERN_WEBMAIL_HOSTS": "192.0.2.10",
    }
    settings = Settings.load(environment | good | changes)
    installation.give_a_sign(settings)
    found = examine(AskedMailServer("/example.org/anna"), settings)
    # Nobody has these names, so no panel answers there.
    assert len([line for line in found if " base URL:" not in line and " mail host:" not in line]) == count


# --- webmails ---


def test_webmails_come_and_go(run, people, settings):
    said = succeed(run("webmail", "add", ORIGIN, "--organisation", "Example Ltd"))
    printed = dict(re.findall(r"\$config\['postern_(\w+)'\] = '(.*)';", said))
    assert set(printed) == {"url", "server_url", "key_id", "key", "algorithm", "origin"}
    assert (printed["url"], printed["origin"]) == (settings.base_url, ORIGIN)
    assert len(base64.b64decode(printed["key"])) == 64
    assert f'webmail_origins = ["{ORIGIN}"]' in said
    listed = succeed(run("webmail", "list"))
    assert printed["key_id"] in listed
    assert printed["key"] not in listed
    fail(run("webmail", "add", ORIGIN))
    fail(run("webmail", "add", "https://webmail.example.com", "--organisation", "Nobody Ltd"))
    succeed(run("webmail", "remove", ORIGIN))
    fail(run("webmail", "remove", ORIGIN))
    assert succeed(run("webmail", "list")) == ""


# --- demo ---


def test_the_demo_makes_its_accounts_once_and_keeps_them_to_itself(tmp_path):
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    settings = Settings.load(
        environment_of(tmp_path / "demo", url, POSTERN_DEMO="yes", POSTERN_DOVEADM_URL="", POSTERN_SMTP_URL="")
    )
    app = app_of(settings, adapters.build(settings))
    for _ in range(2):
        result = app.test_cli_runner().invoke(args=["demo"])
        assert result.exit_code == 0, result.output
    kept = settings.instance / "demo-accounts.txt"
    accounts = dict(line.split("\t") for line in kept.read_text().splitlines())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(accounts) == 9
    assert len(set(accounts.values())) == 9
    for login, password in accounts.items():
        assert login in result.output
        assert passwords.verify(settings, Account.by_login(login).password_hash, password)


# --- sender-check ---


def test_the_check_of_senders_answers_until_it_is_told_to_end(environment, people):
    anna, port = people.add("anna"), free_port()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "sender-check", "--port", str(port)]
    with subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, stderr=subprocess.DEVNULL) as check:
        try:
            wait_until(lambda: check.poll() is None and is_listening(port), "the check answers")
            assert milter.answers((HOST, port))
            with socket.create_connection((HOST, port), 10) as connection, connection.makefile("rwb") as stream:
                said = [b"DM{auth_authen}\0" + anna.login.encode() + b"\0", b"M<eve@example.org>\0", b"Q"]
                stream.write(b"".join(map(milter.packet, said)))
                stream.flush()
                (answer,) = milter.packets(stream)
            assert answer == (b"y", b"550 5.7.1 Mail of this login may be sent as anna@example.org only.\0")
        finally:
            check.terminate()
        assert check.wait(20) == 0
