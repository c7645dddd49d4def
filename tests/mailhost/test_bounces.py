"""An e-mail that a real Postfix cannot deliver comes back through its pipe, and the account's page says so."""

import contextlib
import getpass
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import database as db
import worker
from actions.ground.ports import Ports
from actions.outbox import mail, outbox
from adapters.smtp import SmtpMailer
from lab.fixtures import DATABASES
from lab.installation import environment_of
from lab.servers import HOST, IS_ROOT, MailSink, Postfix, as_root, new_directory, wait_until
from models import Account, OutboxItem
from settings import Settings
from tests.conftest import PASSWORD, ports_of

ROOT = Path(__file__).parents[2]
# Postfix hands nothing to a program that would run as root.
PIPE_USER = "mail" if IS_ROOT else getpass.getuser()
PIPE_SECONDS = 60
SHIPPED = ROOT / "integrations" / "postfix"
FACTS = {"login": "anna@example.org", "at": 0, "address": "192.0.2.1"}
BOUNCES = "bounces@example.org"


def interpreter() -> str:
    """This one, or where the pipe's user may not reach it the system's of the same version."""
    reachable = all(place.stat().st_mode & 0o001 for place in Path(sys.executable).resolve().parents)
    system = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin")
    return sys.executable if reachable or not IS_ROOT else str(system)


def pipe(environment: dict[str, str]) -> str:
    """The shipped entry of master.cf, with the test's user, place and settings."""
    shipped = (SHIPPED / "master.cf").read_text()
    (entry,) = re.findall(r"(?m)^postern-bounces .*\n(?:[ \t]+.*\n?)+", shipped)
    needed = environment | {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": "1"}
    entry = entry.replace("user=postern", f"user={PIPE_USER}").replace("directory=/opt/postern", f"directory={ROOT}")
    entry = entry.replace("/opt/postern/.venv/bin/flask", f"{interpreter()} -m flask")
    return entry.replace("POSTERN_INSTANCE=/var/lib/postern", " ".join(f"{k}={v}" for k, v in needed.items()))


def transport() -> str:
    """The shipped lines of main.cf that lead there."""
    lines = (SHIPPED / "main.cf").read_text().splitlines()
    return "\n" + "\n".join(line for line in lines if re.match("transport_maps|postern-bounces", line))


@pytest.fixture(params=DATABASES)
def environment(request) -> Iterator[dict[str, str]]:
    """Settings and database of a user of the system, as Postern has one."""
    directory = new_directory("bounces")
    with contextlib.ExitStack() as ending:
        ending.callback(subprocess.run, as_root("rm", "-rf", str(directory)), check=True)
        url = f"sqlite:///{directory}/postern.db"
        if request.param == "mariadb":
            server = request.getfixturevalue("mariadb_server")
            url = server.create_database()
            ending.callback(server.drop_database, url)
        yield environment_of(directory / "instance", url, POSTERN_BOUNCE_ADDRESS=BOUNCES)


@pytest.fixture
def settings(environment) -> Settings:
    return Settings.load(environment)


@pytest.fixture
def outside() -> Iterator[MailSink]:
    """The mail server of everybody else."""
    with MailSink() as sink:
        yield sink


@pytest.fixture
def postfix(database, environment, settings, outside) -> Iterator[Postfix]:
    directory = settings.instance.parent
    subprocess.run(as_root("chown", "-R", PIPE_USER, str(directory)), check=True)
    with Postfix("private/auth", outside.port, 1, transport(), services=pipe(environment)) as server:
        yield server


@pytest.fixture
def ports(settings, postfix, mail_server) -> Ports:
    return ports_of(settings, mail_server, SmtpMailer(f"smtp://{HOST}:{postfix.port}", settings.mail_from))


def test_what_is_returned_is_on_the_accounts_page(ports, postfix, outside, client, anna):
    client.sign_in(anna.login, PASSWORD)
    assert "come back" not in client.open("/account/password").text

    outside.refusal = "550 5.1.1 nobody here"
    mail.put(ports, "key", "account_locked", anna.contact_email, "", FACTS, anna)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert OutboxItem.get().delivered_at

    def is_noted() -> bool:
        with db.database.connection_context():
            return bool(Account.get_by_id(anna.id).returned_from)

    try:
        db.database.close()
        wait_until(is_noted, "it came back", PIPE_SECONDS)
    except TimeoutError:
        raise AssertionError(postfix.log[-3000:]) from None
    assert "there is no such address" in client.open("/account/password").text
    taken = "status=sent (delivered via postern-bounces service"
    wait_until(lambda: taken in postfix.log, "Postfix says that it was taken")


def test_what_arrives_says_where_it_would_be_returned_to(ports, outside, settings, anna):
    mail.put(ports, "key", "account_locked", anna.contact_email, "", FACTS, anna)
    outbox.deliver_due(ports, worker.HANDLERS)
    (received,) = outside.wait_for(1)
    assert re.fullmatch(r"bounces\+[a-z2-7]{40}@example\.org", received.sender)
    assert received.message["From"] == f"Postern <{settings.mail_from}>"


def test_the_server_can_be_asked_whether_it_takes_what_is_returned(ports, outside):
    assert ports.mailer.refusal_of("bounces+test@example.org", "bounces+test@example.org") == ""
    assert outside.messages == []
