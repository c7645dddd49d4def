"""Clean Debians for the tests of the package: a directory that `scripts/debian-root` filled from the machine's mirror;
and containers.

What runs in one has this machine's network and processes, but no device or file of it, and no service manager. Its
/proc is mounted in a namespace that ends with the command, so nothing stays mounted.
"""

import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.programs import as_root, program

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
THIS_DEBIAN = platform.freedesktop_os_release().get("VERSION_CODENAME", "")

_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
_ENTER = 'mount -t proc proc "$1/proc" && exec chroot "$@"'


class DebianRoot:
    """One of them, in a directory of its own that goes when the block ends."""

    def __init__(self):
        # Not /tmp, which may be small, or forbid devices.
        self.directory = Path(tempfile.mkdtemp(prefix="postern-root-", dir="/var/tmp"))  # noqa: S108
        self.path = self.directory / "root"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error) -> None:
        subprocess.run(as_root("rm", "-rf", "--one-file-system", str(self.directory)), check=True)

    def make(self, suite: str, *packages: str) -> None:
        """The smallest Debian of this suite with these packages. Raises `RuntimeError` with apt's last words."""
        made = subprocess.run(
            as_root(str(ROOT / "scripts" / "debian-root"), suite, str(self.path), "minbase", *packages),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if made.returncode:
            raise RuntimeError(f"No root of Debian's {suite}:\n{made.stdout[-4000:]}")
        # As on a host that wants no service started by an installation.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "755")

    def become_copy_of(self, other: "DebianRoot") -> None:
        subprocess.run(as_root("cp", "-a", str(other.path), str(self.path)), check=True)

    def command(self, *words: str, **environment: str) -> list[str]:
        """What runs this program inside, as root. The process that it is started as becomes the program."""
        settings = [f"{name}={value}" for name, value in environment.items()]
        enter = as_root(program("unshare"), "--mount", "sh", "-c", _ENTER, "enter", str(self.path))
        return [*enter, "/usr/bin/env", "-i", _PATH, "DEBIAN_FRONTEND=noninteractive", *settings, *words]

    def run(self, *words: str, fails: bool = False, **environment: str) -> str:
        """What it prints, errors too. Raises `RuntimeError` when it fails, or when it does not although it should."""
        ran = subprocess.run(
            self.command(*words, **environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if bool(ran.returncode) != fails:
            raise RuntimeError(f"{' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}")
        return ran.stdout

    def write(self, path: str, text: str, mode: str = "644", owner: str = "root:root") -> None:
        """A file with this text; its owner is one of this root's users."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            self.bring(Path(file.name), path, mode, owner)

    def bring(self, file: Path, path: str, mode: str = "644", owner: str = "root:root") -> None:
        subprocess.run(as_root("install", "-D", "-m", mode, str(file), f"{self.path}{path}"), check=True)
        if owner != "root:root":
            self.run("chown", owner, path)

    def take(self, path: str, directory: Path) -> Path:
        """A copy of one of its files, outside."""
        return Path(shutil.copy(f"{self.path}{path}", directory))


@dataclass(frozen=True)
class Podman:
    """A store of images and containers of its own."""

    directory: Path

    def __call__(self, *words: str, fails: bool = False, given: str | None = None) -> str:
        """What it prints; `given` is its standard input. Raises `RuntimeError` when it fails, or when it does not
        although it should."""
        places = ("--root", str(self.directory / "store"), "--runroot", str(self.directory / "run"))
        # They ask for no service manager, which there may be none of.
        how = ("--storage-driver", "vfs", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
        command = as_root(program("podman"), *places, *how, *words)
        ran = subprocess.run(command, input=given, capture_output=True, text=True)
        if bool(ran.returncode) != fails:
            raise RuntimeError(f"podman {' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout
