"""What a system user may do with a file, by its mode and those of the directories above. Access lists do not count.

All of it raises `KeyError` where this machine knows no such user, and `OSError` where a file cannot be looked at.
"""

import contextlib
import grp
import os
import pwd
from collections.abc import Collection
from pathlib import Path

READ, WRITE, ENTER = 4, 2, 1


def groups_of(user: str) -> list[int]:
    """The numbers of all groups that a system user is in."""
    return os.getgrouplist(user, pwd.getpwnam(user).pw_gid)


def own_group(user: str) -> list[int]:
    """The one group of a program whose user another program chose, as Dovecot does."""
    return [pwd.getpwnam(user).pw_gid]


def may(user: str, groups: Collection[int], file: Path, wanted: int) -> bool:
    """Whether a system user in these groups may do all of this (a sum of `READ`, `WRITE`, `ENTER`) with a file."""
    number, file = pwd.getpwnam(user).pw_uid, file.resolve()
    enters = all(_is_let(number, groups, directory, ENTER) for directory in file.parents)
    return enters and _is_let(number, groups, file, wanted)


def _is_let(number: int, groups: Collection[int], file: Path, wanted: int) -> bool:
    status = file.stat()
    shift = 6 if status.st_uid == number else 3 if status.st_gid in groups else 0
    return number == 0 or status.st_mode >> shift & wanted == wanted


def shared_with(file: Path, besides: int) -> list[str]:
    """The names of those who may read or change a file because of its group: not root, the file's owner, nor the user
    with the number `besides`."""
    status = file.stat()
    if not status.st_mode & 0o070:
        return []
    members = {user.pw_name: user.pw_uid for user in pwd.getpwall() if user.pw_gid == status.st_gid}
    with contextlib.suppress(KeyError):  # what has no name has no such members
        members |= {name: pwd.getpwnam(name).pw_uid for name in grp.getgrgid(status.st_gid).gr_mem}
    return sorted(name for name, number in members.items() if number not in (0, status.st_uid, besides))
