"""The servers of the tests get out of one another's way, and each Dovecot is the one that is meant."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import dovecots, servers
from lab.accounts import Accounts
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
