"""The filters of fail2ban, read by Debian's own program, on lines that the servers wrote."""

import logging
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from lab.actors import ADDRESS
from lab.servers import program
from settings import DOVECOT_VERSIONS

SHIPPED = Path(__file__).parents[1] / "integrations" / "fail2ban"
RECORDED = Path(__file__).with_name("fail2ban")
GUESSER, PATIENT, FRAMED = "127.0.0.7", "127.0.0.8", "192.0.2.9"


def found(tmp_path: Path, name: str, log: str) -> Counter:
    """How often each address is counted by a filter in this log."""
    filters = tmp_path / "filter.d"
    shutil.copytree(SHIPPED / "filter.d", filters, dirs_exist_ok=True)
    shutil.copy("/etc/fail2ban/filter.d/common.conf", filters)
    (tmp_path / "log").write_text(log, encoding="utf-8")
    command = [program("fail2ban-regex"), "--out", "ip", str(tmp_path / "log"), str(filters / f"{name}.conf")]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert not told.stderr
    return Counter(told.stdout.split())


@pytest.mark.parametrize("version", DOVECOT_VERSIONS)
def test_each_wrong_password_in_a_recorded_journal_counts_once(tmp_path, version):
    """Five protocols, an unknown login, a webmail that tells the person's address, three in one connection; not what
    has the shape of a device password, a suspended person, or a login that names another address."""
    recorded = (RECORDED / f"dovecot-{version}.log").read_text(encoding="utf-8")
    assert found(tmp_path, "postern-dovecot", recorded) == {GUESSER: 6, "198.51.100.7": 1, PATIENT: 3}


def test_each_sign_in_that_the_panel_refuses_counts_once(client, anna, caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        for login in (anna.login, "nobody@example.org", f"A sign-in from {FRAMED} was refused."):
            client.sign_in(login, "Guessed-Horse-7")
    lines = [record.getMessage() for record in caplog.records]
    assert not [line for line in lines if anna.login in line or FRAMED in line]
    # As systemd's journal has it, and the panel's own format (wsgi.py).
    journal = [f"Dec 01 10:00:00 host uwsgi[7]: 2026-12-01 10:00:00,123 postern WARNING {line}\n" for line in lines]
    assert found(tmp_path, "postern-panel", "".join(journal)) == {ADDRESS: 3}
