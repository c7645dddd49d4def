"""The image of the package, in a container as strict as they come: nothing of it can be written, and nobody is root."""

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from lab.debian_roots import ROOT
from lab.programs import as_root, program
from lab.servers import HOST, free_port, wait_until

pytestmark = pytest.mark.deploy

THIS_DEBIAN = platform.freedesktop_os_release()["VERSION_CODENAME"]
DATABASE = "/var/lib/postern-mail/postern.db"
REQUEST_SECONDS, STOP_SECONDS = 30, 60


@dataclass(frozen=True)
class Podman:
    """A store of images and containers of its own."""

    directory: Path

    def __call__(self, *words: str, fails: bool = False) -> str:
        """What it prints. Raises `RuntimeError` when it fails, or when it does not although it should."""
        places = ("--root", str(self.directory / "store"), "--runroot", str(self.directory / "run"))
        # They ask for no service manager, which there may be none of.
        how = ("--storage-driver", "vfs", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
        ran = subprocess.run(as_root(program("podman"), *places, *how, *words), capture_output=True, text=True)
        if bool(ran.returncode) != fails:
            raise RuntimeError(f"podman {' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout


@pytest.fixture(scope="module")
def image(built, tmp_path_factory) -> Iterator[tuple[Podman, str]]:
    """The image of the package, loaded from its archive; and its name."""
    package = shutil.copy(built.package, tmp_path_factory.mktemp("image"))
    made = subprocess.run(as_root("scripts/image", package), cwd=ROOT, check=True, capture_output=True, text=True)
    # Not /tmp, which may be small.
    directory = Path(tempfile.mkdtemp(prefix="postern-containers-", dir="/var/tmp"))
    try:
        podman = Podman(directory)
        yield podman, podman("load", "--quiet", "--input", made.stdout.split()[-1]).split()[-1]
    finally:
        subprocess.run(as_root("rm", "-rf", "--one-file-system", str(directory)), check=True)


@pytest.fixture
def container(image) -> Iterator[tuple[Podman, str, int]]:
    podman, name = image
    port = free_port()
    settings = {
        "HOST": HOST,
        "PORT": str(port),
        "POSTERN_BASE_URL": f"http://{HOST}:{port}",
        "POSTERN_DATABASE_URL": f"sqlite:///{DATABASE}",
        "POSTERN_DOVEADM_URL": f"http://{HOST}:1",
        "POSTERN_DOVECOT_POLICY_URL": "no",
        "POSTERN_MAIL_FROM": "postern@example.org",
    }
    strict = ("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop", "all")
    limits = ("--security-opt", "no-new-privileges", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
    given = [word for pair in settings.items() for word in ("--env", "=".join(pair))]
    started = podman("run", "--detach", "--network", "host", *strict, *limits, *given, name).strip()
    try:
        wait_until(lambda: is_healthy(port), "the panel answers")
        yield podman, started, port
    finally:
        podman("rm", "--force", "--volumes", "--time", str(STOP_SECONDS), started)


def is_healthy(port: int) -> bool:
    try:
        return requests.get(f"http://{HOST}:{port}/healthz", timeout=REQUEST_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("built", [THIS_DEBIAN], indirect=True)
def test_it_serves_as_nobody_in_particular_and_writes_its_volumes_only(container):
    podman, started, port = container

    page = requests.get(f"http://{HOST}:{port}/sign-in", timeout=REQUEST_SECONDS)
    assert (page.status_code, "<form" in page.text) == (200, True)
    # Volumes that another image made belong to the same numbers.
    assert podman("exec", started, "id").strip() == (
        "uid=800(postern) gid=800(postern) groups=800(postern),801(postern-mail)"
    )
    for place in ("/opt/postern", "/etc", "/var/lib", "/usr"):
        podman("exec", started, "touch", f"{place}/written", fails=True)
    stored = podman("exec", started, "stat", "--format", "%n %U:%G %a", DATABASE, "/var/lib/postern/secret.key")
    assert stored.splitlines() == [
        f"{DATABASE} postern:postern-mail 660",
        "/var/lib/postern/secret.key postern:postern 600",
    ]


@pytest.mark.parametrize("built", [THIS_DEBIAN], indirect=True)
def test_its_health_check_sees_what_is_wrong(container):
    podman, started, _port = container
    newer = (
        "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); "
        "database.execute(\"INSERT INTO migratehistory (name, migrated_at) VALUES ('999_later', '2026-01-01')\"); "
        "database.commit()"
    )

    podman("healthcheck", "run", started)
    podman("exec", started, "python", "-c", newer, DATABASE)
    podman("healthcheck", "run", started, fails=True)
