"""Programs of this machine, run as root where they need it."""

import os
import shutil

IS_ROOT = os.geteuid() == 0


def program(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise RuntimeError(f"{name} is not installed: run scripts/setup test")
    return path


def as_root(*command: str) -> list[str]:
    return list(command) if IS_ROOT else ["sudo", "-n", *command]
