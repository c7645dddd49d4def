"""The image of the package, in a container as strict as they come: nothing of it can be written, and nobody is root."""

from collections.abc import Iterator

import pytest
import requests

from lab.debian_roots import THIS_DEBIAN, Podman
from lab.servers import HOST, free_port, wait_until

pytestmark = pytest.mark.deploy

DATABASE = "/var/lib/postern-mail/postern.db"
REQUEST_SECONDS, STOP_SECONDS = 30, 60


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
