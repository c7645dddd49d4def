"""The servers of the tests get out of one another's way, and each Dovecot is the one that is meant."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import database as db
from lab import dovecots, migrated, servers
from lab.accounts import Accounts
from lab.fixtures import fresh_database
from lab.servers import HOST, Dovecot, ScriptedSmtp, imap_accepts, mail_settings, wait_until
from settings import DOVECOT_VERSIONS

ANNA, PASSWORD = "anna@example.org", "Right-Password-1"


def test_a_port_that_one_process_was_given_is_given_to_no_other():
    here = servers.free_port()
    ask = "from lab import servers; print(servers.claim_ports(int(sys.argv[1])))"
    elsewhere = [sys.executable, "-c", f"import sys; {ask}", str(here)]
    assert not servers.claim_ports(here)
    assert subprocess.run(elsewhere, capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.parametrize("answer", ["354 go on", "552 never"])
def test_a_visitor_who_goes_away_amid_a_message_leaves_no_thread_at_work(answer):
    """It would slow down all later tests of this process."""
    with ScriptedSmtp(DATA=answer) as server:
        before = threading.active_count()
        with socket.create_connection((HOST, int(server.url.rpartition(":")[2]))) as visitor:
            visitor.sendall(b"DATA\r\nSubject: x\r\n")
            with visitor.makefile() as answers:
                assert [answers.readline().strip() for _ in range(2)] == ["220 here", answer]
        wait_until(lambda: threading.active_count() <= before, "its thread ends")
        assert server.handed == []


def test_a_copied_database_is_the_one_that_the_steps_make(request, tmp_path, database_url):
    with db.open_database(database_url).connection_context():
        db.router().run()
        made = migrated.statements()
    for name in ("first", "copy"):
        (tmp_path / name).mkdir()
        kind = database_url.partition(":")[0].replace("mysql", "mariadb")
        with fresh_database(request, tmp_path / name, kind) as url, db.open_database(url).connection_context():
            migrated.migrate()
            # The moments of the steps differ.
            assert [_without_moment(each) for each in migrated.statements()] == [_without_moment(each) for each in made]
            assert db.router().todo and not db.router().diff


def _without_moment(made: tuple[str, tuple]) -> tuple[str, tuple]:
    return made[0], made[1][:2]


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_the_dovecot_that_is_asked_for_is_the_one_that_runs(version):
    asked = dovecots.command(version, "dovecot", "--version")
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.startswith(f"{version}.")


def test_the_other_dovecot_works_on_this_machines_files_and_nothing_of_it_is_mounted_here(tmp_path):
    version = dovecots.other_version()
    root = dovecots.ROOTS / dovecots.DEBIANS[version]
    Accounts(url := f"sqlite:///{tmp_path / 'postern.db'}").add(ANNA, PASSWORD)
    with Dovecot(mail_settings(url, tmp_path, dovecot_version=version)) as dovecot:
        assert imap_accepts(dovecot.port("imap"), ANNA, PASSWORD)
        assert str(root) not in Path("/proc/self/mountinfo").read_text()
        # Whoever removes the root removes nothing else.
        assert not list((root / "tmp").iterdir())
        assert not (root / "etc/passwd").read_text()


def test_without_its_root_the_other_dovecot_is_not_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(dovecots, "ROOTS", tmp_path)
    with pytest.raises(RuntimeError, match="run scripts/setup test"):
        dovecots.command(dovecots.other_version(), "dovecot")
