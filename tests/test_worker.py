"""The worker as a process: it delivers, survives trouble, and stops on a signal."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from peewee import OperationalError

import database as db
import worker
from actions.outbox import outbox
from actions.upkeep import housekeeping, installation
from lab.installation import environment_of
from lab.servers import wait_until
from models import OutboxItem
from tests import arrows

ROOT = Path(__file__).parent.parent
DEADLINE = 30


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_process_delivers_and_stops_when_it_is_told_to(ports, people, tmp_path, settings, end):
    outbox.put(ports, "forgotten", "key", {"login": "nobody@example.org", "address": ""})
    db.database.close()
    environment = environment_of(settings.instance, settings.database_url) | {"PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: OutboxItem.get().delivered_at, "the item is delivered")
        wait_until(installation.last_sign, "it gives a sign of life")
        process.send_signal(end)
        _, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_every_kind_that_is_put_into_the_outbox_is_delivered():
    """Kinds are written out where they are put, or named by the constant of `outbox`."""
    sources = "".join(file.read_text(encoding="utf-8") for file in arrows.files("actions"))
    put = set(re.findall(r"outbox\.(?:put|row)\(\s*[\w.]+,\s*([^,]+),", sources))
    named = {"outbox.CONNECTIONS": outbox.CONNECTIONS}
    assert {named.get(each, each.strip('"')) for each in put} == set(worker.HANDLERS)


def test_nothing_is_imported_for_what_its_import_does():
    """Whatever is imported is named; `noqa` for an unused import would hide one that is not."""
    assert not [file for file in arrows.product() if "F401" in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("trouble", [OperationalError("gone away"), KeyError("a mistake of ours")])
def test_trouble_is_waited_out_whatever_it_is(ports, people, monkeypatch, caplog, trouble):
    outcomes = [trouble, trouble]
    stop, recovered = threading.Event(), threading.Event()

    def clear_away():
        if outcomes:
            raise outcomes.pop()
        recovered.set()

    monkeypatch.setattr(housekeeping, "clear_away", clear_away)
    monkeypatch.setattr(worker, "AFTER_TROUBLE", 0.01)
    running = threading.Thread(target=worker.run, args=(ports, stop))
    running.start()
    try:
        assert recovered.wait(DEADLINE)
    finally:
        stop.set()
        running.join(DEADLINE)
    assert not running.is_alive()
    assert caplog.text.count(str(trouble)) >= 2
