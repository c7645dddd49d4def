"""Runs a program under the system calls that the shipped systemd unit leaves it: `python -m lab.sandbox PROGRAM …`.

What the unit says is compiled into the same kind of filter of the kernel, by the same library, so every test that
serves the panel tells whether it can live with it. Where there is no systemd to say what its groups of calls are, the
program runs without.
"""

import ctypes
import errno
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

# What a command begins with that is to run so, from the project's own directory.
CONFINED = (sys.executable, "-m", "lab.sandbox")
UNIT = Path(__file__).parents[1] / "integrations" / "systemd" / "postern.service"
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
EQUAL = 4
FAMILIES = range(1, 46)
# prctl(2): no memory becomes executable that was written. Linux 6.3 and newer; others answer with an error.
SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


class Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
    )


def settings(name: str) -> list[list[str]]:
    """The words of each line of the unit that sets this."""
    return [line.split() for line in re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)]


def groups_of_calls() -> dict[str, set[str]]:
    """What systemd means by `@system-service` and the like: names of calls and of other groups."""
    command = ["systemd-analyze", "syscall-filter", "--no-pager"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    blocks = re.findall(r"^(@\S+)\n((?: +.*\n?)*)", told, re.MULTILINE)
    return {name: {line.strip() for line in lines.splitlines() if "#" not in line} for name, lines in blocks}


def permitted_calls() -> set[str]:
    """The calls that the unit permits: each line adds to those before or, with `~`, takes away."""
    groups = groups_of_calls()

    def calls(name: str) -> set[str]:
        return set().union(*map(calls, groups[name])) if name.startswith("@") else {name}

    permitted = calls("@default")
    for words in settings("SystemCallFilter"):
        named = set().union(*(calls(word.removeprefix("~")) for word in words))
        permitted = permitted - named if words[0].startswith("~") else permitted | named
    return permitted


class Filter:
    """One filter of the kernel for this process and all that come of it. What it says nothing about it treats by
    `default`."""

    def __init__(self, default: int):
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *comparisons: Comparison) -> None:
        """Calls that this machine does not have are left out."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Comparison * len(comparisons))(*comparisons)
            self._must(self._library.seccomp_rule_add_array, ctypes.c_uint32(action), number, len(comparisons), array)

    def load(self) -> None:
        self._must(self._library.seccomp_load)

    def _must(self, function, *arguments) -> None:
        if failure := function(self._context, *arguments):
            raise OSError(-failure, os.strerror(-failure))


def confine() -> None:
    """From now on this process may do what the unit permits."""
    ctypes.CDLL(None).prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
    (families,) = settings("RestrictAddressFamilies")
    permitted = {getattr(socket, family).value for family in families}
    sockets = Filter(ALLOW)
    for family in set(FAMILIES) - permitted:
        sockets.add(REFUSE | errno.EAFNOSUPPORT, "socket", Comparison(0, EQUAL, family, 0))
    sockets.load()
    calls = Filter(REFUSE | errno.EPERM)
    for name in sorted(permitted_calls()):
        calls.add(ALLOW, name)
    calls.load()


if __name__ == "__main__":
    if shutil.which("systemd-analyze"):
        confine()
    os.execvp(sys.argv[1], sys.argv[1:])
