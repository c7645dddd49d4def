"""What a process loads that answers browsers: nothing that is for others, and nothing large that few pages need."""

import os
import subprocess
import sys

from tests.arrows import ROOT

FOR_OTHERS = (
    "cli", "doctor", "backups", "setup_host", "worker", "database_copy", "migrations.steps", "peewee_migrate",
    "adapters.document", "fpdf", "PIL", "pikepdf", "pyzipper", "Cryptodome",
    "adapters.pwned", "adapters.sms", "requests", "urllib3", "phonenumbers", "zxcvbn", "segno",
    "asyncio", "unittest", "multiprocessing",
)  # fmt: skip
LOADED = "import sys, wsgi; print(*sys.modules)"


def test_what_the_panel_loads(environment):
    """As deployed, with a mail server to speak to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTERN_")}
    command = [sys.executable, "-c", LOADED]
    loaded = subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=True)
    modules = set(loaded.stdout.split())
    assert "app" in modules
    assert sorted(modules & set(FOR_OTHERS)) == []
