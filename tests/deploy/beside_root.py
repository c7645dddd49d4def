"""`python -m tests.deploy.beside_root ROOT` runs in_root.py in that root, and beside it, in the same network, this
machine's Chromium for the person who uses the panel.

What the person is to do stands in a line of JSON that in_root.py writes; the answer is a line as well. Whatever the
person cannot do ends both.
"""

import base64
import hashlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.sync_api import Page, expect, sync_playwright

from lab.chromium import ARGUMENTS, CHROMIUM
from tests.browser.panel import Person
from tests.browser.people import EVERYWHERE, confirm_field, fill_in, new_field, press, says, sign_in

PANEL = "account.example.org"
CERTIFICATE = "etc/ssl/mail/chain.pem"
# Milliseconds: generous, because it is only waited out by what fails.
PATIENCE = 60_000


def main(root: Path) -> int:
    ours, theirs = socket.socketpair()
    program = ["chroot", str(root), "/opt/postern/.venv/bin/python", "/root/in_root.py", str(theirs.fileno())]
    inside = subprocess.Popen(program, pass_fds=[theirs.fileno()])
    theirs.close()
    with ours, ours.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            deed, words = json.loads(line)
            with new_browser(root) as page:
                answer = DEEDS[deed](page, **words)
            lines.write(json.dumps(answer) + "\n")
            lines.flush()
    return inside.wait()


@contextmanager
def new_browser(root: Path) -> Iterator[Page]:
    """A page of a browser that nobody has used yet. It reaches the root's machine alone, directly."""
    expect.set_options(timeout=PATIENCE)
    ways = ["--no-proxy-server", "--host-resolver-rules=MAP *.example.org 127.0.0.1"]
    ways.append(f"--ignore-certificate-errors-spki-list={key_of(root / CERTIFICATE)}")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=[*ARGUMENTS, *ways], base_url=f"https://{PANEL}", locale="en-GB"
        )
        context.set_default_timeout(PATIENCE)
        yield context.new_page()
        context.close()


def key_of(certificate: Path) -> str:
    """As Chromium wants to be told of the one key that it trusts besides those of authorities. All other certificates
    have to be in order; that this one names the host and is valid, in_root.py examines."""
    key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
    written = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(written).digest()).decode()


def set_password(page: Page, link: str, password: str) -> None:
    page.goto(link)
    new_field(page).fill(password)
    confirm_field(page).fill(password)
    press(page, "Set password")
    page.wait_for_url("**/sign-in")
    says(page)


def change_password(page: Page, login: str, password: str, new: str) -> None:
    sign_in(page, Person(login, password))
    fill_in(page, password, new)
    press(page, EVERYWHERE)
    press(page, "Update and log out everywhere")
    page.wait_for_url("**/sign-in")
    says(page)


def add_device(page: Page, login: str, password: str, name: str) -> str:
    """The device's password."""
    sign_in(page, Person(login, password), "/devices/")
    page.get_by_role("link", name="Add a device", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    press(page, "Continue")
    return page.locator("#device-password").text_content()


def devices(page: Page, login: str, password: str) -> str:
    """What the page of devices says."""
    sign_in(page, Person(login, password), "/devices/")
    return page.get_by_role("main").text_content()


DEEDS = {deed.__name__: deed for deed in (set_password, change_password, add_device, devices)}

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
