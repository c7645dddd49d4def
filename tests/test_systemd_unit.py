"""The shipped systemd unit: what it takes away from the panel, and that the panel lives without."""

import subprocess
from pathlib import Path

import pytest

from lab.sandbox import UNIT, permitted_calls, settings
from lab.served_panel import CHEAP_HASHES, ServedPanel

# As `systemd-analyze security` rates it, from 0 (no rights left) to 10; its threshold is ten times as much.
MOST_EXPOSURE = 15


@pytest.mark.parametrize("unit", [UNIT, UNIT.with_name("postern-sender-check.service")], ids=lambda unit: unit.stem)
def test_little_is_left_to_whoever_breaks_in(unit):
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit]
    examined = subprocess.run(command, capture_output=True, text=True, check=False)
    assert examined.returncode == 0, examined.stdout


@pytest.mark.parametrize("call", ["ptrace", "mount", "setuid", "chown", "bpf", "init_module", "reboot", "kexec_load"])
def test_a_call_that_the_panel_has_no_use_for_is_refused(call):
    assert call not in permitted_calls()


def test_every_process_of_the_panels_tests_runs_under_the_units_filter(tmp_path):
    with ServedPanel(tmp_path, **CHEAP_HASHES) as panel:
        processes = [*panel.web_processes(), panel.worker_process()]
        assert len(processes) == 3
        for process in processes:
            status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
            assert "Seccomp:\t2\n" in status
            assert "NoNewPrivs:\t1\n" in status


def test_the_unit_names_directories_of_the_guide():
    guide = (UNIT.parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    (writable,) = settings("ReadWritePaths")
    assert all(path.removeprefix("-") in guide for path in writable)
