"""Runs inside a fresh Debian (`make test-deploy`), as root, in a network of its own: sets Postern up, starts the
servers as their units do, and uses the service. A person sets a password by the link, changes it and adds a device, in
a Chromium that `beside_root.py` runs; reads and sends mail; also after everything was stopped and started again, after
database and keys were lost and restored from a backup, and after an upgrade of the database beneath an open IMAP
connection. Then it undoes everything. Before all that, setup is killed in many places. Where MariaDB is installed, all
that with a database that setup makes there."""

import contextlib
import hashlib
import imaplib
import json
import os
import re
import shlex
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

CODE = Path("/opt/postern")
BIN = CODE / ".venv/bin"
CERTIFICATES = Path("/etc/ssl/mail")
PANEL, MAIL = "account.example.org", "mail.example.org"
PERSON = "anna@example.org"
FIRST_PASSWORD = "Under-4-old-Lanterns"  # noqa: S105 - the test's own
PASSWORD = "Behind-9-green-Hedges"  # noqa: S105 - the test's own
DEVICE = "Anna's phone"
STATE = Path("/var/lib/postern")
MARIADB = Path("/usr/sbin/mariadbd")
DATABASE = Path("/var/lib/mysql/postern" if MARIADB.exists() else "/var/lib/postern-mail/postern.db")
KEYS = (STATE / "secret.key", STATE / "doveadm.key")
BACKUP, PASSPHRASE = STATE / "postern.backup", STATE / "passphrase"
# What the package that is installed is upgraded to.
NEXT_PACKAGE = Path("/root/postern.deb")
SETUP = [
    BIN / "flask", "--app", "setup_host", "setup", "--yes", "--base-url", f"https://{PANEL}", "--mail-host", MAIL,
    "--domain", "example.org", "--organisation", "Example Ltd", "--manager", "manager@example.com", "--mailbox", PERSON,
    "--certificate", CERTIFICATES / "chain.pem", "--key", CERTIFICATES / "key.pem",
    "--database", "mariadb" if MARIADB.exists() else "sqlite",
]  # fmt: skip
# What adduser and the servers themselves write.
OTHERS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|/etc/ssl/mail/|/etc/hosts$")
STOP_SECONDS = 60
AS_POSTERN = ["runuser", "-u", "postern", "--", "env", f"--chdir={CODE}", "POSTERN_INSTANCE=/var/lib/postern"]
FLASK = [*AS_POSTERN, BIN / "flask", "--app", "wsgi"]


def told(*words: object) -> str:
    done = subprocess.run([*map(str, words)], cwd=CODE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Person:
    """Somebody at a browser beside this root, who does there what is asked and tells what came of it."""

    def __init__(self, descriptor: int):
        self._lines = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8")

    def does(self, deed: str, **words: str):
        self._lines.write(json.dumps([deed, words]) + "\n")
        self._lines.flush()
        answer = self._lines.readline()
        assert answer, f"the person could not: {deed}"
        return json.loads(answer)


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.1)


def make_certificate() -> None:
    """One that this machine trusts, as everybody trusts a bought one, and that does not end soon."""
    CERTIFICATES.mkdir()
    names = f"subjectAltName=DNS:{MAIL},DNS:{PANEL}"
    files = ("-keyout", CERTIFICATES / "key.pem", "-out", CERTIFICATES / "chain.pem")
    told("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", f"/CN={MAIL}", "-addext",
         names, *files)  # fmt: skip
    shutil.copy(CERTIFICATES / "chain.pem", "/usr/local/share/ca-certificates/mail.crt")
    told("update-ca-certificates")
    with open("/etc/hosts", "a", encoding="utf-8") as hosts:
        hosts.write(f"127.0.0.1 localhost {PANEL} {MAIL}\n")


def configuration() -> dict[str, str]:
    """Everything below /etc, and who may read it."""
    found = {}
    for path in Path("/etc").rglob("*"):
        if path.is_dir() or OTHERS.match(str(path)):
            continue
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        seen = path.lstat()
        found[str(path)] = f"{hashlib.sha256(content).hexdigest()} {seen.st_mode:o} {seen.st_uid}:{seen.st_gid}"
    return found


def unit(name: str, what: str) -> list[list[str]]:
    """The values of a unit's lines, as systemd's words."""
    written, packaged = (Path(place, f"{name}.service") for place in ("/etc/systemd/system", "/usr/lib/systemd/system"))
    text = (written if written.exists() else packaged).read_text(encoding="utf-8")
    return [shlex.split(value) for value in re.findall(rf"^{what}=(.*)$", text, re.MULTILINE)]


def start_unit(name: str) -> subprocess.Popen:
    """What systemd does with one of our units, without the confinement."""
    environment = [word for words in unit(name, "Environment") for word in words]
    return subprocess.Popen([*AS_POSTERN[:5], f"--chdir={CODE}", *environment, *unit(name, "ExecStart")[0]])  # noqa: S603


def start() -> list[subprocess.Popen]:
    """Everything; what is to be ended by a signal."""
    start_database()
    ours = start_panel()
    told("postfix", "check")
    told("nginx", "-t")
    for words in (("postfix", "start"), ("dovecot",), ("nginx",)):
        # They stay, and would keep a pipe open.
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return ours


def start_database() -> None:
    """MariaDB, where it is installed and stands still."""
    if MARIADB.exists() and not runs(b"mariadbd"):
        told("install", "-d", "-o", "mysql", "-g", "mysql", "/run/mysqld")
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.Popen([MARIADB, "--user=mysql"], **silent)  # noqa: S603
        until(Path("/run/mysqld/mysqld.sock").exists, "MariaDB")


def stop_database() -> None:
    if MARIADB.exists():
        told("mariadb-admin", "shutdown")
        until(lambda: not runs(b"mariadbd"), "the end of MariaDB")


def start_panel() -> list[subprocess.Popen]:
    """The panel with its worker, and the check of senders."""
    told("install", "-d", "-o", "postern", "-g", "postern", "/run/postern")
    ours = [start_unit("postern")]
    until(Path("/run/postern/uwsgi.sock").exists, "uWSGI")
    told(*(word.lstrip("+") for word in unit("postern", "ExecStartPost")[0]))
    return [*ours, start_unit("postern-sender-check")]


def stop(ours: list[subprocess.Popen]) -> None:
    """As a machine that is shut down, with all that is gone at its next start."""
    for words in (("nginx", "-s", "quit"), ("doveadm", "stop"), ("postfix", "stop")):
        told(*words)
    stop_panel(ours)
    until(lambda: not runs(b"dovecot"), "the end of Dovecot")
    stop_database()
    for path in Path("/run").iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def stop_panel(ours: list[subprocess.Popen]) -> None:
    for each in ours:
        each.terminate()
        each.wait(STOP_SECONDS)
    until(lambda: not any(map(runs, (b"uwsgi", b"sender-check"))), "the end of Postern")
    shutil.rmtree("/run/postern")


def trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATES / "chain.pem"))


def send(sender: str) -> None:
    with smtplib.SMTP(MAIL, 587, timeout=60) as smtp:
        smtp.starttls(context=trusted())
        smtp.login(PERSON, PASSWORD)
        message = f"From: {sender}\r\nTo: {PERSON}\r\nSubject: Through the gate\r\n\r\nHello.\r\n"
        smtp.sendmail(PERSON, [PERSON], message)


def refusal_of(sender: str) -> int:
    """The code with which it is refused; what is accepted fails. After a new password the worker may end a connection,
    and a mail program tries again."""
    try:
        send(sender)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code
    except smtplib.SMTPServerDisconnected:
        return 421
    raise AssertionError(f"{sender} was accepted as the author")


def has_arrived() -> bool:
    """Not yet, either, where the connection is ended, as the worker does after a new password."""
    with connected() as imap, contextlib.suppress(imaplib.IMAP4.abort):
        imap.login(PERSON, PASSWORD)
        return finds_message(imap)
    return False


def finds_message(imap: imaplib.IMAP4_SSL) -> bool:
    assert imap.select("INBOX", readonly=True)[0] == "OK"
    return imap.search(None, "SUBJECT", '"Through the gate"')[1] != [b""]


def may_log_in(password: str) -> bool:
    with connected() as imap, contextlib.suppress(imaplib.IMAP4.error):
        imap.login(PERSON, password)
        return True
    return False


def connected() -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL(MAIL, ssl_context=trusted(), timeout=60)


def runs(word: bytes) -> bool:
    """Whether there is a process with this in its command line."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word in file.read_bytes():
                return True
    return False


def has(path: str, text: str = "") -> bool:
    file = Path(path)
    return file.is_file() and text in file.read_text(encoding="utf-8", errors="replace")


# In the order in which setup comes to them. The first ones are data, which undo leaves.
POINTS: dict[str, Callable[[], bool]] = {
    # The package has made them already.
    "a user is made": lambda: runs(b"adduser") or has("/etc/passwd", "\npostern:"),
    "the first user is there": lambda: has("/etc/passwd", "\npostern:"),
    "a key is written": lambda: has("/var/lib/postern/secret.key"),
    "the settings are written": lambda: has("/var/lib/postern/postern.toml"),
    "the database is upgraded": lambda: runs(b"db\0upgrade"),
    "the database is there": DATABASE.exists,
    "the first people are added": lambda: runs(b"first_people"),
    "Dovecot's configuration is written": lambda: has("/etc/dovecot/dovecot.conf", "Written by"),
    "Postfix's configuration is written": lambda: has("/etc/postfix/main.cf", "virtual_mailbox_domains"),
    "nginx's configuration is written": lambda: has("/etc/nginx/conf.d/postern.conf"),
}


def kill_setup_when(point: str) -> None:
    """Run it, and kill it with all that it started as soon as this is so; or immediately, where it is so already."""
    setup = subprocess.Popen([*map(str, SETUP)], cwd=CODE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)  # fmt: skip
    until(lambda: POINTS[point]() or setup.poll() is not None, point)
    assert setup.poll() is None, f"setup ended before {point}"
    os.killpg(setup.pid, signal.SIGKILL)
    setup.wait(STOP_SECONDS)


def kill_setup_everywhere(before: dict[str, str]) -> None:
    """Where it is undone after each time, and where it goes on from there."""
    for point in POINTS:
        kill_setup_when(point)
        told(*SETUP, "--undo")
        after = configuration()
        assert after == before, (point, sorted(set(after.items()) ^ set(before.items())))
    for point in list(POINTS)[6:]:
        kill_setup_when(point)


def show_what_setup_would_do(before: dict[str, str]) -> None:
    dry = told(*SETUP, "--dry-run")
    assert configuration() == before
    assert "+server {" in dry


def set_up() -> str:
    """The link with which the person sets the first password."""
    told(*SETUP)
    assert "wrote" not in told(*SETUP)
    # A run that was killed may have added the mailbox, and shown its link to nobody.
    return re.search(r"https://\S+", told(*FLASK, "account", "link", PERSON)).group()


def begin_to_use(person: Person, link: str) -> str:
    """The person sets a password and changes it, in a browser, and adds a device; its password."""
    assert panel_is_healthy()
    assert not may_log_in(FIRST_PASSWORD)
    person.does("set_password", link=link, password=FIRST_PASSWORD)
    assert may_log_in(FIRST_PASSWORD)
    person.does("change_password", login=PERSON, password=FIRST_PASSWORD, new=PASSWORD)
    assert not may_log_in(FIRST_PASSWORD)
    assert may_log_in(PASSWORD)
    device_password = person.does("add_device", login=PERSON, password=PASSWORD, name=DEVICE)
    assert may_log_in(device_password)
    return device_password


def panel_is_healthy() -> bool:
    """By a certificate that is in order."""
    with requests.Session() as session:
        # Otherwise a bundle that the environment names would count.
        session.trust_env = False
        health = session.get(f"https://{PANEL}/healthz", verify=str(CERTIFICATES / "chain.pem"), timeout=30)
    return health.status_code == 200


def write_and_read_mail() -> None:
    send(PERSON)
    until(has_arrived, "the message")
    until(lambda: refusal_of("somebody@example.org") == 550, "the refusal of another's address")


def examine() -> None:
    doctor = subprocess.run([*FLASK, "doctor"], capture_output=True, text=True)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def stop_and_start(ours: list[subprocess.Popen]) -> list[subprocess.Popen]:
    stop(ours)
    ours = start()
    until(has_arrived, "the message, after a start")
    assert not may_log_in("wrong")
    return ours


def lose_and_restore(ours: list[subprocess.Popen], person: Person, device_password: str) -> list[subprocess.Popen]:
    """Database and keys are lost. The backup brings them back: the same person and the same device get in."""
    PASSPHRASE.write_text("Eleven lamps over the harbour\n", encoding="utf-8")
    told("chown", "postern:postern", PASSPHRASE)
    told(*FLASK, "backup", BACKUP, "--passphrase-file", PASSPHRASE)
    before = keys()
    stop(ours)
    lose_database()
    for key in KEYS:
        key.unlink()

    restore = [*FLASK, "restore", BACKUP, "--passphrase-file", PASSPHRASE]
    assert "This goes back to" in told(*restore)
    told(*restore, "--yes")

    assert keys() == before
    ours = start()
    assert may_log_in(PASSWORD)
    assert may_log_in(device_password)
    assert not may_log_in(FIRST_PASSWORD)
    until(has_arrived, "the message, after the restore")
    assert DEVICE in person.does("devices", login=PERSON, password=PASSWORD)
    examine()
    return ours


def lose_database() -> None:
    """What a host has afterwards is an empty one."""
    if MARIADB.exists():
        start_database()
        told("mariadb", "-e", "DROP DATABASE postern; CREATE DATABASE postern COLLATE utf8mb4_bin")
        return
    for lost in DATABASE.parent.iterdir():
        lost.unlink()


def keys() -> list[str]:
    return [key.read_text(encoding="utf-8").strip() for key in KEYS]


def upgrade_beneath_a_connection(ours: list[subprocess.Popen], person: Person, device_password: str) -> None:
    """A mail program that is connected while the database is an earlier version's goes on with it after the upgrade."""
    stop_panel(ours)
    steps = take_steps_back()
    with connected() as imap:
        imap.login(PERSON, PASSWORD)
        assert finds_message(imap)
        assert upgrade() == steps
        start_panel()
        assert imap.noop()[0] == "OK"
        assert finds_message(imap)
    assert may_log_in(PASSWORD)
    assert may_log_in(device_password)
    assert DEVICE in person.does("devices", login=PERSON, password=PASSWORD)
    examine()


def take_steps_back() -> list[str]:
    """As many as can be taken back without a loss; their names, the first one first."""
    steps: list[str] = []
    while True:
        done = subprocess.run([*FLASK, "db", "downgrade"], capture_output=True, text=True)
        if done.returncode:
            break
        steps.insert(0, re.match(r"Took back (\w+)\.", done.stdout).group(1))
    assert "cannot be taken back" in done.stderr, done.stderr
    assert steps
    return steps


def upgrade() -> list[str]:
    """As docs/operating.md says; the steps that were taken. A package takes them when it is installed."""
    said = told("dpkg", "--install", NEXT_PACKAGE) if NEXT_PACKAGE.exists() else told(*FLASK, "db", "upgrade")
    told("env", f"POSTERN_INSTANCE={STATE}", BIN / "flask", "--app", "wsgi", "dovecot", "config")
    told("doveadm", "reload")
    return re.search(r"^Applied (.*)\.$", said, re.MULTILINE).group(1).split(", ")


def undo(before: dict[str, str]) -> None:
    told(*SETUP, "--undo")
    after = configuration()
    assert after == before, sorted(set(after.items()) ^ set(before.items()))
    assert DATABASE.exists()
    assert any(Path("/var/vmail").rglob("*"))


def main(person: Person) -> None:
    make_certificate()
    start_database()
    before = configuration()
    show_what_setup_would_do(before)
    kill_setup_everywhere(before)
    link = set_up()
    ours = start()
    device_password = begin_to_use(person, link)
    write_and_read_mail()
    examine()
    ours = stop_and_start(ours)
    ours = lose_and_restore(ours, person, device_password)
    upgrade_beneath_a_connection(ours, person, device_password)
    undo(before)
    print("Killed, set up, used, stopped and started, lost and restored, upgraded, and undone.")


if __name__ == "__main__":
    sys.exit(main(Person(int(sys.argv[1]))))
