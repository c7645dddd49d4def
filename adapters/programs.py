"""Programs of this machine."""

import functools
import os
import shutil


@functools.cache
def path_of(name: str) -> str:
    """Where a program is, in the directories of the system's programs as well; the empty text if it is not."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin") or ""
