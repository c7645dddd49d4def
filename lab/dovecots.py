"""The Dovecots that the tests start: this machine's own, and the other Debian's, out of the root that
`scripts/setup test` made.

A root is no machine of its own: what runs in it has this machine's processes, devices, loopback ports, system users and
temporary directories, and only the programs and libraries of the other Debian. The places that they share are mounted
in a namespace that ends with the command, so nothing stays mounted.
"""

import functools
import tempfile
from pathlib import Path

from adapters.dovecot import installed
from lab.programs import as_root, program
from settings import DOVECOT_VERSIONS

ROOTS = Path(__file__).resolve().parents[1] / ".roots"
# Which Debian has which Dovecot; scripts/setup knows it as well.
DEBIANS = {"2.3": "bookworm", "2.4": "trixie"}

# The system users, by whose numbers files are given away, and the name of this machine.
_FILES = ("/etc/passwd", "/etc/group", "/etc/hosts")
_SHARED = ("/proc", "/dev", *sorted({"/tmp", tempfile.gettempdir()}))  # noqa: S108 - servers' directories
_ENTER = f"""
set -e
root=$1
shift
for place in {" ".join(_SHARED)}; do
    mkdir -p "$root$place"
    mount --rbind "$place" "$root$place"
done
for file in {" ".join(_FILES)}; do
    touch "$root$file"
    mount --bind "$file" "$root$file"
done
exec chroot "$root" "$@"
"""


@functools.cache
def native_version() -> str:
    """The release series of this machine's own Dovecot, such as "2.3"."""
    version = installed.version()
    if version not in DOVECOT_VERSIONS:
        raise RuntimeError(f"Dovecot {' or '.join(DOVECOT_VERSIONS)} is not installed: run scripts/setup test.")
    return version


def other_version() -> str:
    """Of the Dovecot that is not this machine's own."""
    (other,) = set(DOVECOT_VERSIONS) - {native_version()}
    return other


def command(version: str, name: str, *arguments: str) -> list[str]:
    """What runs a program of this Dovecot as root. The process that it is started as becomes the program."""
    if version == native_version():
        return as_root(program(name), *arguments)
    root = _root(version)
    path = next((f"/{place}/{name}" for place in ("usr/sbin", "usr/bin") if (root / place / name).exists()), "")
    if not path:
        raise RuntimeError(f"{root} has no {name}: remove it, and run scripts/setup test.")
    return as_root(program("unshare"), "--mount", "sh", "-c", _ENTER, "enter", str(root), path, *arguments)


def _root(version: str) -> Path:
    root = ROOTS / DEBIANS[version]
    if not root.is_dir():
        raise RuntimeError(f"Dovecot {version} is neither installed nor in {root}: run scripts/setup test.")
    return root
