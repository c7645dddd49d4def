"""The Debian package, on a clean Debian 12 and on a clean Debian 13: installed, upgraded, removed, purged.

There is no service manager in these roots: what the units start is started by hand, as their users.
"""

import json
import re
import sqlite3
import subprocess
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from lab.debian_roots import ROOT
from lab.programs import as_root
from lab.served_panel import Person
from lab.servers import HOST, free_port, wait_until

pytestmark = pytest.mark.deploy

OLD = ROOT / "tests" / "old_versions"
NOTES = json.loads((OLD / "version_008.json").read_text(encoding="utf-8"))
SETTINGS = "/var/lib/postern/postern.toml"
DATABASE = "/var/lib/postern-mail/postern.db"
MODES = {
    "/var/lib/postern": "postern:postern 700",
    "/var/lib/postern-mail": "root:postern-mail 2770",
    "/var/vmail": "vmail:vmail 700",
    "/opt/postern": "root:root 755",
}
# What dpkg and the programs that make users write about each package.
RECORDS = re.compile(
    r"/(proc|root|tmp|run/adduser|var/lib/dpkg|var/log|var/cache)(/.*)?|/etc/(passwd|group|shadow|gshadow|sub.id)-?"
)
MIGRATIONS = {file.stem for file in (ROOT / "migrations").glob("[0-9]*.py")}
REQUEST_SECONDS, STOP_SECONDS = 30, 60


def files(root) -> set[str]:
    return {path for path in root.run("find", "/", "-xdev").splitlines() if not RECORDS.fullmatch(path)}


def modes(root, *paths: str) -> dict[str, str]:
    listed = root.run("stat", "--format", "%n\t%U:%G %a", *paths).splitlines()
    return dict(line.split("\t") for line in listed)


def users(root) -> set[str]:
    return {line.split(":")[0] for line in root.run("getent", "passwd").splitlines()}


def install(root, package: str = "postern", **more) -> str:
    return root.run("dpkg", "--install", f"/root/{package}.deb", **more)


def configure(root, port: int, **changes: str) -> None:
    settings = {
        "base_url": f"http://{HOST}:{port}",
        "database_url": f"sqlite:///{DATABASE}",
        "dovecot_database_user": "postern-mail",
        "doveadm_url": f"http://{HOST}:1",
        "dovecot_policy_url": "no",
        "mail_from": "postern@example.org",
        "secret_key": NOTES["secret_key"],
    } | changes
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    root.write(SETTINGS, text, "600", "postern:postern")


def bring_old_database(root, directory: Path) -> None:
    with closing(sqlite3.connect(directory / "old.db")) as old:
        old.executescript((OLD / "version_008.sql").read_text(encoding="utf-8"))
    root.bring(directory / "old.db", DATABASE, "660", "postern:postern-mail")


def ask_database(root, question: str) -> list[str]:
    program = "import sqlite3, sys; [print(*row) for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])]"
    return root.run("python3", "-c", program, DATABASE, question).splitlines()


def applied(root) -> set[str]:
    return set(ask_database(root, "SELECT name FROM migratehistory"))


def unit(root, name: str) -> dict[str, list[str]]:
    """The lines of a unit's [Service], by their names."""
    found: dict[str, list[str]] = {}
    for line in root.run("cat", f"/usr/lib/systemd/system/{name}.service").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@contextmanager
def running_panel(root, port: int):
    """The unit's own command line, as its user and with its environment, but on a port instead of its socket. Inside,
    it answers."""
    lines = unit(root, "postern")
    (user,), (group,), (umask,) = lines["User"], lines["Group"], lines["UMask"]
    (directory,), (command,) = lines["WorkingDirectory"], lines["ExecStart"]
    given = dict(pair.split("=", 1) for pair in lines["Environment"] if not pair.startswith("UWSGI_"))
    become = f"setpriv --reuid {user} --regid {group} --init-groups --no-new-privs"
    shell = f"cd {directory} && umask {umask} && exec {become} {command}"
    with tempfile.TemporaryFile() as log:
        started = root.command("sh", "-c", shell, **given, HOST=HOST, PORT=str(port))
        process = subprocess.Popen(started, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or answer(port, "/healthz") is not None, "the panel answers")
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(log.read().decode())
            yield
        finally:
            if process.poll() is None:
                subprocess.run(as_root("kill", "-TERM", str(process.pid)), check=True)
            process.wait(STOP_SECONDS)


def answer(port: int, path: str) -> requests.Response | None:
    """None while nobody listens. A reply that says an error is one too."""
    try:
        return requests.get(f"http://{HOST}:{port}{path}", timeout=REQUEST_SECONDS)
    except requests.ConnectionError:
        return None


def test_the_package_holds_what_a_host_needs_and_nobody_but_root_may_write_it(built):
    listed = subprocess.run(["dpkg-deb", "--contents", built.package], check=True, capture_output=True, text=True)
    rows = [line.split(maxsplit=5) for line in listed.stdout.splitlines()]
    paths = {row[5].split(" -> ")[0].removeprefix(".") for row in rows}

    writable = [row for row in rows if row[1] != "root/root" or (row[0][0] != "l" and "w" in row[0][4:])]
    assert writable == []
    assert [row[5] for row in rows if re.search(r"\.so[.\d]*$", row[5]) and row[0].startswith("-rwx")] == []
    assert {path.split("/")[1] for path in paths if path != "/"} == {"opt", "usr"}
    for needed in ("wsgi.py", "wsgi.ini", ".venv/bin/uwsgi", "translations/it/LC_MESSAGES/messages.mo"):
        assert f"/opt/postern/{needed}" in paths
    not_ours = re.compile(r"/opt/postern/(tests|lab|bench|scripts|node_modules)/|.*/site-packages/pip/")
    assert [path for path in paths if not_ours.match(path)] == []


def test_a_first_installation_says_what_comes_next_and_is_purged_without_a_trace(new_root):
    root = new_root()
    before, users_before = files(root), users(root)

    said = install(root)

    assert "cd /opt/postern && .venv/bin/flask --app setup_host setup --install" in said
    assert f"write {SETTINGS} after /opt/postern/postern.toml.example" in said
    assert modes(root, *MODES) == MODES
    assert users(root) - users_before == {"postern", "postern-mail", "vmail"}
    assert root.run("id", "-nG", "postern").split() == ["postern", "postern-mail"]
    assert root.run("head", "-n", "1", "/opt/postern/.venv/bin/flask").startswith("#!/opt/postern/.venv/bin/python")
    assert root.run("grep", "-rlF", "/tmp/tmp.", "/opt/postern", fails=True) == ""
    assert "Permission denied" in root.run("runuser", "-u", "postern", "--", "touch", "/opt/postern/x", fails=True)

    root.run("dpkg", "--purge", "postern")

    # Dovecot's own go on with Dovecot.
    assert files(root) ^ before == {"/var/vmail"}
    assert users(root) - users_before == {"vmail"}


def test_an_upgrade_migrates_the_database_and_the_panel_answers(new_root, tmp_path):
    root, port = new_root(), free_port()
    install(root, "previous")
    configure(root, port)
    bring_old_database(root, tmp_path)
    accounts = ask_database(root, "SELECT login FROM account ORDER BY login")

    said = install(root)

    assert "upgraded. Write Dovecot's configuration again" in said
    assert "gone_since.py" not in root.run("ls", "/opt/postern")
    assert applied(root) == MIGRATIONS
    assert ask_database(root, "SELECT login FROM account ORDER BY login") == accounts
    assert modes(root, DATABASE, SETTINGS) == {DATABASE: "postern:postern-mail 660", SETTINGS: "postern:postern 600"}
    code = root.run("find", "/opt/postern")
    with running_panel(root, port):
        assert answer(port, "/healthz").status_code == 200
        anna = Person(f"http://{HOST}:{port}", "anna@example.org", NOTES["password"])
        assert anna.sign_in()
        assert anna.is_signed_in()

    # Nothing that ran wrote into the code.
    assert (root.run("find", "/opt/postern"), root.run("dpkg", "--verify", "postern")) == (code, "")


def test_keys_settings_and_database_outlive_a_purge_and_serve_the_next_installation(new_root, tmp_path):
    root = new_root()
    install(root)
    configure(root, free_port())
    bring_old_database(root, tmp_path)
    root.write("/var/vmail/example.org/anna/message", "Hello", "600", "vmail:vmail")

    said = root.run("dpkg", "--purge", "postern")

    assert "stay in /var/lib/postern and /var/lib/postern-mail" in said
    assert "postern" not in root.run("ls", "/opt").split()
    kept = [SETTINGS, DATABASE, "/var/vmail/example.org/anna/message"]
    owned = ["postern:postern 600", "postern:postern-mail 660", "vmail:vmail 600"]
    assert modes(root, *kept) == dict(zip(kept, owned, strict=True))
    assert {"postern", "postern-mail", "vmail"} <= users(root)

    install(root)

    assert applied(root) == MIGRATIONS


def test_what_cannot_be_migrated_is_said_and_done_when_it_is_mended(new_root):
    root = new_root()
    install(root, "previous")
    configure(root, free_port(), database_url="sqlite:////nowhere/postern.db")

    said = install(root, fails=True)

    assert "the database could not be migrated, and Postern stays stopped" in said
    configure(root, free_port())
    root.run("dpkg", "--configure", "postern")
    assert applied(root) == MIGRATIONS


def test_mail_that_was_there_before_keeps_its_user_and_its_modes(new_root):
    root = new_root()
    root.run("useradd", "--home-dir", "/srv/mail", "vmail")
    root.run("install", "-d", "-o", "vmail", "-g", "mail", "-m", "2770", "/var/vmail")

    install(root)

    assert modes(root, "/var/vmail") == {"/var/vmail": "vmail:mail 2770"}
    assert "/srv/mail" in root.run("getent", "passwd", "vmail")


def test_an_installation_by_hand_is_not_mixed_with_the_package(new_root):
    root = new_root()
    root.write("/opt/postern/wsgi.py", "# by hand\n")

    said = install(root, fails=True)

    assert "move that directory away" in said
    assert root.run("cat", "/opt/postern/wsgi.py") == "# by hand\n"
