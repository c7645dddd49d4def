"""Runs inside a fresh Debian (`make test-deploy`), as root, in a network of its own: sets Postern up, starts the
servers as their units do, and uses the service: sets a password by the link, reads and sends mail with it, also after
everything was stopped and started again. Then it undoes everything. Before all that, setup is killed in many places."""

import contextlib
import hashlib
import imaplib
import os
import re
import shlex
import shutil
import signal
import smtplib
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
PASSWORD = "Behind-9-green-Hedges"  # noqa: S105 - the test's own
SETUP = [
    BIN / "flask", "--app", "setup_host", "setup", "--yes", "--base-url", f"https://{PANEL}", "--mail-host", MAIL,
    "--domain", "example.org", "--organisation", "Example Ltd", "--manager", "manager@example.com", "--mailbox", PERSON,
    "--certificate", CERTIFICATES / "chain.pem", "--key", CERTIFICATES / "key.pem",
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
    told("install", "-d", "-o", "postern", "-g", "postern", "/run/postern")
    ours = [start_unit("postern")]
    until(Path("/run/postern/uwsgi.sock").exists, "uWSGI")
    told(*(word.lstrip("+") for word in unit("postern", "ExecStartPost")[0]))
    ours.append(start_unit("postern-sender-check"))
    told("postfix", "check")
    told("nginx", "-t")
    for words in (("postfix", "start"), ("dovecot",), ("nginx",)):
        # They stay, and would keep a pipe open.
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return ours


def stop(ours: list[subprocess.Popen]) -> None:
    """As a machine that is shut down, with all that is gone at its next start."""
    for words in (("nginx", "-s", "quit"), ("doveadm", "stop"), ("postfix", "stop")):
        told(*words)
    for each in ours:
        each.terminate()
        each.wait(STOP_SECONDS)
    until(lambda: not any(map(runs, (b"uwsgi", b"sender-check", b"dovecot"))), "the end of everything")
    for path in Path("/run").iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def set_password(link: str) -> None:
    with requests.Session() as browser:
        # Otherwise a bundle that the environment names would count.
        browser.trust_env = False
        browser.verify = str(CERTIFICATES / "chain.pem")
        page = browser.get(link, timeout=30)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text).group(1)
        form = {"csrf_token": token, "new_password": PASSWORD, "confirm_password": PASSWORD}
        done = browser.post(page.url, form, headers={"Origin": f"https://{PANEL}"}, timeout=30, allow_redirects=False)
        assert done.status_code == 303, done.text


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
    with imaplib.IMAP4_SSL(MAIL, ssl_context=trusted()) as imap:
        imap.login(PERSON, PASSWORD)
        imap.select("INBOX", readonly=True)
        return imap.search(None, "SUBJECT", '"Through the gate"')[1] != [b""]


def may_log_in(password: str) -> bool:
    with imaplib.IMAP4_SSL(MAIL, ssl_context=trusted()) as imap, contextlib.suppress(imaplib.IMAP4.error):
        imap.login(PERSON, password)
        return True
    return False


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
    "a user is made": lambda: runs(b"adduser"),
    "the first user is there": lambda: has("/etc/passwd", "\npostern:"),
    "a key is written": lambda: has("/var/lib/postern/secret.key"),
    "the settings are written": lambda: has("/var/lib/postern/postern.toml"),
    "the database is upgraded": lambda: runs(b"db\0upgrade"),
    "the database is there": lambda: has("/var/lib/postern-mail/postern.db"),
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


def main() -> None:
    make_certificate()
    before = configuration()
    dry = told(*SETUP, "--dry-run")
    assert configuration() == before
    assert "+server {" in dry

    kill_setup_everywhere(before)
    told(*SETUP)
    assert "wrote" not in told(*SETUP)
    # A run that was killed may have added the mailbox, and shown its link to nobody.
    link = re.search(r"https://\S+", told(*FLASK, "account", "link", PERSON)).group()

    ours = start()
    health = requests.get(f"https://{PANEL}/healthz", verify=str(CERTIFICATES / "chain.pem"), timeout=30)
    assert health.status_code == 200
    assert not may_log_in(PASSWORD)
    set_password(link)
    assert may_log_in(PASSWORD)
    send(PERSON)
    until(has_arrived, "the message")
    until(lambda: refusal_of("somebody@example.org") == 550, "the refusal of another's address")
    doctor = subprocess.run([*FLASK, "doctor"], capture_output=True, text=True)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr

    stop(ours)
    start()
    until(has_arrived, "the message, after a start")
    assert not may_log_in("wrong")

    told(*SETUP, "--undo")
    after = configuration()
    assert after == before, sorted(set(after.items()) ^ set(before.items()))
    assert Path("/var/lib/postern-mail/postern.db").exists()
    assert any(Path("/var/vmail").rglob("*"))
    print("Killed, set up, used, stopped and started, and undone.")


if __name__ == "__main__":
    sys.exit(main())
