"""Dovecot's workers share the SQLite file with Postern, and nothing else: three system users, as on a real host."""

import os
import pwd
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

import database as db
import doctor
from adapters.dovecot import config as dovecot_config
from adapters.dovecot.config import ConfigurationError
from adapters.memory import MemoryMailer, MemoryMailServer
from lab.accounts import CHEAP, Accounts
from lab.servers import IS_ROOT, Dovecot, imap_accepts, imap_login, mail_settings, new_directory, wait_until
from models import Account, LastLogin
from settings import Settings, file_rights
from tests.conftest import ports_of

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="only root can play several system users")

# Any two of Debian's own, each with a group of its own name.
PANEL, WORKER = "news", "proxy"
ANNA, PASSWORD, ANOTHER = "anna@example.org", "Right-Password-1", "Other-Password-2"
# The end of their command lines.
AUTH_WORKER, DICT = "auth -w", "dict"


@dataclass
class Installation:
    """An instance directory of the panel's user, and a directory that the workers' group shares with it."""

    instance: Path
    database: Path
    as_panel: Callable
    as_worker: Callable

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Laid out as docs/operating.md says."""
    directory = new_directory("confined")
    instance, shared = directory / "instance", directory / "shared"
    instance.mkdir(mode=0o700)
    shutil.chown(instance, PANEL, PANEL)
    shared.mkdir()
    shutil.chown(shared, "root", WORKER)
    shared.chmod(0o2770)
    with _processes_of(PANEL, WORKER) as panel, _processes_of(WORKER) as worker:
        yield Installation(
            instance,
            shared / "postern.db",
            lambda *call: panel.submit(*call).result(),
            lambda *call: worker.submit(*call).result(),
        )
    shutil.rmtree(directory)


def _processes_of(user: str, *groups: str) -> ProcessPoolExecutor:
    """One process that is this system user, in these groups besides its own."""
    return ProcessPoolExecutor(1, get_context("fork"), _become, (user, groups))


def _become(user: str, groups: tuple[str, ...]) -> None:
    account = pwd.getpwnam(user)
    os.umask(0o077)
    os.setgroups([pwd.getpwnam(group).pw_gid for group in groups])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


# --- what the panel's user and the workers' do, each in a process of their own ---


def start(instance: Path, url: str) -> None:
    """The first start of the panel: it makes its keys, and the database."""
    Settings.load({"POSTERN_INSTANCE": str(instance), "POSTERN_DATABASE_URL": url, "POSTERN_DEMO": "yes"})
    with db.open_database(url).connection_context():
        pass


def change_password(url: str, password: str) -> None:
    with db.open_database(url).connection_context():
        assert Account.update(password_hash=CHEAP.hash(password)).where(Account.login == ANNA).execute()


def last_logins(url: str) -> int:
    with db.open_database(url).connection_context():
        return LastLogin.select().count()


def may_read(file: Path) -> bool:
    try:
        return bool(file.read_bytes())
    except PermissionError:
        return False


def accounts_by_hand(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT count(*) FROM account").fetchone()[0]


# --- the tests ---


def test_the_panel_shares_its_database_with_the_directorys_group_and_none_of_its_keys(installation):
    installation.as_panel(start, installation.instance, installation.url)

    status = installation.database.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert (installation.database.owner(), installation.database.group()) == (PANEL, WORKER)
    assert installation.as_worker(may_read, installation.database)
    keys = sorted(installation.instance.iterdir())
    assert [key.name for key in keys] == ["doveadm.key", "secret.key"]
    assert all(installation.as_panel(may_read, key) for key in keys)
    assert not any(installation.as_worker(may_read, key) for key in keys)


def test_dovecot_signs_people_in_and_writes_their_last_login_as_a_user_who_may_read_no_key(
    installation, dovecot_version
):
    installation.as_panel(start, installation.instance, installation.url)
    Accounts(installation.url).add(ANNA, PASSWORD)
    settings = mail_settings(
        installation.url, installation.instance, dovecot_database_user=WORKER, dovecot_version=dovecot_version
    )
    with Dovecot(settings) as dovecot:
        imap_login(dovecot.port("imap"), ANNA, PASSWORD).logout()
        wait_until(lambda: installation.as_panel(last_logins, installation.url) == 1, "the last login is written")

        assert _users_of(dovecot, AUTH_WORKER) == {WORKER}
        assert _users_of(dovecot, DICT) == {WORKER}
        assert installation.as_worker(accounts_by_hand, installation.database) == 1
        for key in ("secret.key", "doveadm.key"):
            assert not installation.as_worker(may_read, installation.instance / key)


def test_the_panel_goes_on_with_what_dovecots_workers_made_beside_the_database(installation, dovecot_version):
    installation.as_panel(start, installation.instance, installation.url)
    Accounts(installation.url).add(ANNA, PASSWORD)
    db.database.close()
    settings = mail_settings(
        installation.url, installation.instance, dovecot_database_user=WORKER, dovecot_version=dovecot_version
    )
    with Dovecot(settings) as dovecot:
        assert imap_accepts(dovecot.port("imap"), ANNA, PASSWORD)
        companions = [installation.database.with_name(f"postern.db-{name}") for name in ("wal", "shm")]
        assert {(file.owner(), file.group()) for file in companions} == {(WORKER, WORKER)}

        installation.as_panel(change_password, installation.url, ANOTHER)

        assert imap_accepts(dovecot.port("imap"), ANNA, ANOTHER)
        assert not imap_accepts(dovecot.port("imap"), ANNA, PASSWORD)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dovecot_database_user": ""}, "everything that the panel may read"),
        ({"dovecot_database_user": "nobody-at-all"}, "no such system user"),
        ({"dovecot_database_user": WORKER}, ""),
    ],
)
def test_the_doctor_says_when_dovecot_may_read_what_is_the_panels(installation, changes, named):
    installation.as_panel(start, installation.instance, installation.url)
    trouble = _trouble(installation, **changes)
    assert named in trouble
    assert bool(named) == bool(trouble)


def test_the_doctor_says_which_key_dovecots_workers_may_read(installation):
    installation.as_panel(start, installation.instance, installation.url)
    key = installation.instance / "secret.key"
    shutil.chown(key, group=WORKER)
    key.chmod(0o640)
    assert not _trouble(installation, dovecot_database_user=WORKER)  # they cannot enter the directory
    installation.instance.chmod(0o711)
    assert installation.as_worker(may_read, key)
    assert f"{WORKER}, who may read secret.key." in _trouble(installation, dovecot_database_user=WORKER)


def _trouble(installation: Installation, **changes: str) -> str:
    """What the doctor finds about the user that Dovecot reads the database as; the empty text if all is well."""
    settings = mail_settings(installation.url, installation.instance, **changes)
    with db.open_database(installation.url).connection_context():
        db.router().run()
        findings = doctor.examine(ports_of(settings, MemoryMailServer(), MemoryMailer()))
        finding = next(each for each in findings if each.subject == "Dovecot's account")
    return "" if finding.well else finding.sentence


@pytest.mark.parametrize("user", [PANEL, WORKER, "nobody"])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o460, 0o062, 0o000])
def test_the_rights_that_are_told_are_those_that_somebody_has(user, mode):
    directory = new_directory("rights")
    file = directory / "file"
    file.touch()
    shutil.chown(file, PANEL, WORKER)
    file.chmod(mode)
    with _processes_of(user) as somebody:
        for wanted, really in ((file_rights.READ, os.R_OK), (file_rights.WRITE, os.W_OK)):
            has_it = somebody.submit(os.access, file, really).result()
            assert file_rights.may(user, file_rights.own_group(user), file, wanted) == has_it
        directory.chmod(0o700)
        assert not file_rights.may(user, file_rights.own_group(user), file, file_rights.READ)
        assert not somebody.submit(os.access, file, os.R_OK).result()
    shutil.rmtree(directory)


@pytest.mark.parametrize("shut", ["directory", "file", "above"])
def test_no_configuration_is_written_for_a_user_who_could_not_work_on_the_database(installation, shut):
    installation.as_panel(start, installation.instance, installation.url)
    settings = mail_settings(installation.url, installation.instance, dovecot_database_user=WORKER)
    assert dovecot_config.render(settings, "2.3")
    directory = installation.database.parent
    path, mode = {
        "directory": (directory, 0o2750),
        "file": (installation.database, 0o640),
        "above": (directory.parent, 0o700),
    }[shut]
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=WORKER):
        dovecot_config.render(settings, "2.3")


def _users_of(dovecot: Dovecot, service: str) -> set[str]:
    """The system users of this Dovecot's processes of one service."""
    master = (Path(dovecot.settings.dovecot_base_dir) / "master.pid").read_text().strip()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().replace("\0", " ").strip()
            status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        except OSError:  # it ended meanwhile
            continue
        if status["PPid"] == master and command.partition("/")[2] == service:
            found.add(pwd.getpwuid(int(status["Uid"].split()[0])).pw_name)
    return found
