"""The containers of integrations/compose, as compose.yaml describes them, but started by podman, and without Roundcube,
whose image is another project's. They have no network besides the one that they share: what is published is not tried.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from lab.debian_roots import ROOT, THIS_DEBIAN, DebianRoot, Podman
from lab.programs import as_root
from lab.servers import wait_until

pytestmark = pytest.mark.deploy

COMPOSE = ROOT / "integrations" / "compose"
MAIL_IMAGE, BASE = "localhost/postern-mail:debian13", "localhost/debian:trixie-slim"
STARTED = ("host", "postern", "sender-check", "dovecot-config", "dovecot", "postfix")
READY_SECONDS, STOP_SECONDS = 120, "10"
# A machine may allow less than a container asks for by itself.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
# What each of these means to podman; a key that is missing here would be left out of what is tried.
LISTS = {"cap_drop": "--cap-drop", "cap_add": "--cap-add", "security_opt": "--security-opt", "tmpfs": "--tmpfs"}
WORDS = {"user": "--user", "hostname": "--hostname", "stop_signal": "--stop-signal"}
OTHERS = {"image", "command", "environment", "volumes", "network_mode", "healthcheck", "depends_on", "read_only"}
NOT_TRIED = {"build", "ports", "restart"}
# Runs in one of them, and so on the machine that they share.
PERSON = """
import imaplib, smtplib, ssl, sys, time
address, password, certificate = "anna@example.org", sys.argv[1], sys.argv[2]
trusted = ssl.create_default_context(cadata=certificate)
trusted.check_hostname = False

def imap():
    connection = imaplib.IMAP4("127.0.0.1")
    connection.starttls(trusted)
    return connection

def refused(use):
    try:
        use()
    except (imaplib.IMAP4.error, smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
        return True
    return False

def send(sender):
    with smtplib.SMTP("127.0.0.1", 587) as smtp:
        smtp.starttls(context=trusted)
        smtp.login(address, password)
        smtp.sendmail(address, [address], f"From: {sender}\\r\\nSubject: here\\r\\n\\r\\nHello\\r\\n")

assert refused(lambda: imap().login(address, "wrong"))
assert refused(lambda: send("somebody@example.org"))
send(address)
inbox, end = imap(), time.monotonic() + 60
inbox.login(address, password)
while inbox.select("INBOX")[1] == [b"0"]:
    assert time.monotonic() < end, "the message did not arrive"
    time.sleep(0.2)
"""


class Composed:
    """The services of compose.yaml, with an `.env` of this test's."""

    def __init__(self, podman: Podman, image: str, directory: Path):
        self.podman, self.certificates = podman, directory / "certificates"
        lines = (COMPOSE / ".env.example").read_text(encoding="utf-8").splitlines()
        given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        self._given = given | {"POSTERN_IMAGE": image, "CERTIFICATES": str(self.certificates)}
        self.services = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]

    def start(self, name: str) -> None:
        service = self.services[name]
        for other, how in service.get("depends_on", {}).items():
            self.wait_for(other, how["condition"])
        image, command = self._filled(service["image"]), map(self._filled, service.get("command", []))
        self.podman("run", "--detach", "--name", name, *LIMITS, *self._options(service), image, *command)

    def _options(self, service: dict) -> list[str]:
        assert service.keys() <= {*LISTS, *WORDS, *OTHERS, *NOT_TRIED}
        network = service.get("network_mode", "none").replace("service:", "container:")
        options = [("--network", network), *(("--env", pair) for pair in self._environment(service))]
        options += [(option, value) for key, option in LISTS.items() for value in service.get(key, [])]
        options += [(option, service[key]) for key, option in WORDS.items() if key in service]
        options += [("--volume", re.sub(r"^\.", str(COMPOSE), volume)) for volume in service.get("volumes", [])]
        words = [self._filled(word) for option in options for word in option]
        words += ["--read-only", "--read-only-tmpfs=false"] if service["read_only"] else []
        check = service.get("healthcheck", {})
        if check.get("disable"):
            words.append("--no-healthcheck")
        elif check:
            assert check["test"][0] == "CMD"
            words += ["--health-cmd", shlex.join(check["test"][1:]), "--health-interval", "disable"]
        return words

    def _environment(self, service: dict) -> list[str]:
        return [f"{name}={value}" for name, value in service.get("environment", {}).items()]

    def _filled(self, text: str) -> str:
        """With what `.env` says in its places."""

        def value(found: re.Match) -> str:
            name, otherwise = found[1], found[2] or ""
            if otherwise == ":?":
                assert self._given.get(name), name
            return self._given.get(name) or otherwise.removeprefix(":").removeprefix("-").removeprefix("?")

        return re.sub(r"\$\{(\w+)(:?[-?][^}]*)?\}", value, text)

    def wait_for(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            assert self.podman("wait", name).strip() == "0", self.podman("logs", name)
        elif condition == "service_healthy":
            wait_until(lambda: self.is_healthy(name), f"{name} is healthy", READY_SECONDS)
        else:
            assert condition == "service_started"

    def is_healthy(self, name: str) -> bool:
        try:
            self.podman("healthcheck", "run", name)
        except RuntimeError:
            return False
        return True


@pytest.fixture(scope="module")
def mail_image(image) -> None:
    """The one that the Dockerfile describes. Its base is made of Debian's packages, as Debian's own image is."""
    podman, _ = image
    with DebianRoot() as base:
        base.make("trixie", "ca-certificates")
        archive = base.directory / "base.tar"
        packed = ("tar", "--create", "--numeric-owner", "--exclude=./dev/*", "--exclude=./usr/sbin/policy-rc.d")
        subprocess.run(as_root(*packed, f"--directory={base.path}", f"--file={archive}", "."), check=True)
        podman("import", "--quiet", str(archive), BASE)
    how = ("--isolation", "chroot", "--network", "host", "--format", "docker", "--build-arg", f"BASE={BASE}")
    file = str(COMPOSE / "mail" / "Dockerfile")
    podman("build", "--quiet", *how, "--tag", MAIL_IMAGE, "--file", file, str(COMPOSE.parent))


@pytest.fixture
def composed(image, mail_image, tmp_path):
    podman, name = image
    composed = Composed(podman, name, tmp_path)
    composed.certificates.mkdir()
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail.example.org")
    files = ("-keyout", str(composed.certificates / "key.pem"), "-out", str(composed.certificates / "chain.pem"))
    subprocess.run([*made, *files], check=True, capture_output=True)
    try:
        yield composed
    finally:
        for each in reversed(STARTED):
            podman("rm", "--force", "--ignore", "--volumes", "--time", STOP_SECONDS, each)


@pytest.mark.parametrize("built", [THIS_DEBIAN], indirect=True)
def test_somebody_sends_and_reads_mail(composed):
    for name in STARTED:
        composed.start(name)
    composed.wait_for("postfix", "service_healthy")
    podman = composed.podman

    def flask(*words: str, given: str = "") -> str:
        return podman("exec", "--interactive", "postern", "flask", "--app", "wsgi", *words, given=given)

    password = "Behind-9-green-Hedges"
    flask("service", "add", "Mail", "--organisation", "Example Ltd")
    flask("domain", "add", "example.org", "--service", "Mail")
    flask("mailbox", "add", "anna@example.org", "--password-stdin", given=f"{password}\n")
    certificate = (composed.certificates / "chain.pem").read_text(encoding="utf-8")
    podman("exec", "--interactive", "postern", "python", "-", password, certificate, given=PERSON)
    # Nobody writes into the programs, and Postern's own are nobody in particular.
    for name in ("host", "postern", "sender-check", "dovecot", "postfix"):
        podman("exec", name, "touch", "/usr/written", fails=True)
    assert podman("exec", "sender-check", "id", "--user").strip() == "800"
    assert podman("exec", "host", "id", "--user").strip() == "65534"
