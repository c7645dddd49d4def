"""The machine that is set up, or a directory that is going to be the root of one."""

import errno
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

RELEASES = {"12": "2.3", "13": "2.4"}
# Debian's packages, each with a file that is there when it is installed, whichever package brings it.
PACKAGES = {
    "adduser": "usr/sbin/adduser",
    "nginx-light": "usr/sbin/nginx",
    "postfix": "usr/sbin/postfix",
    "dovecot-imapd": "usr/lib/dovecot/imap",
    "dovecot-pop3d": "usr/lib/dovecot/pop3",
    "dovecot-submissiond": "usr/lib/dovecot/submission",
    "dovecot-managesieved": "usr/lib/dovecot/managesieve",
    "dovecot-lmtpd": "usr/lib/dovecot/lmtp",
    "fail2ban": "usr/bin/fail2ban-client",
    "python3-systemd": "usr/lib/python3/dist-packages/systemd",
    "fonts-dejavu-core": "usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
}
PACKAGES_OF_SQLITE = {"dovecot-sqlite": "usr/lib/dovecot/modules/auth/libdriver_sqlite.so"}
PACKAGES_OF_MYSQL = {"dovecot-mysql": "usr/lib/dovecot/modules/auth/libdriver_mysql.so"}
PACKAGES_OF_MARIADB = PACKAGES_OF_MYSQL | {"mariadb-server": "usr/sbin/mariadbd", "mariadb-client": "usr/bin/mariadb"}


class SetupError(Exception):
    """Setup cannot go on. The text is a sentence that says how to mend it, without any secret."""


@dataclass(frozen=True)
class Host:
    root: Path = Path("/")

    @property
    def is_this_machine(self) -> bool:
        return self.root == Path("/")

    @property
    def has_systemd(self) -> bool:
        return self.is_this_machine and Path("/run/systemd/system").is_dir()

    def path(self, name: str) -> Path:
        """Where a file of the host is seen from here."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """The content of a file; the empty text where there is none. Raises `SetupError` for a link."""
        try:
            return content_of(self.path(name)).decode("utf-8", errors="surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def dovecot_version(self) -> str:
        """The release series of this Debian's Dovecot; the empty text on another system."""
        # A link in Debian, relative to its place.
        text = self.text("/usr/lib/os-release") or self.text("/etc/os-release")
        lines = (line.partition("=") for line in text.splitlines())
        facts = {name: value.strip('"') for name, _, value in lines}
        return RELEASES.get(facts.get("VERSION_ID", ""), "") if facts.get("ID") == "debian" else ""

    def missing(self, packages: dict[str, str]) -> list[str]:
        return [name for name, file in packages.items() if not self.path(file).exists()]

    def knows_user(self, name: str) -> bool:
        return self._number("/etc/passwd", name) is not None

    def is_member(self, user: str, group: str) -> bool:
        lines = (line.split(":") for line in self.text("/etc/group").splitlines())
        return any(parts[0] == group and user in parts[3].split(",") for parts in lines if len(parts) == 4)

    def owners(self, user: str, group: str) -> tuple[int, int]:
        """The numbers to give to chown: -1, which changes nothing, for who is unknown in a directory, and for everybody
        where this process is not root. Raises `SetupError` on this machine."""
        numbers = self._number("/etc/passwd", user), self._number("/etc/group", group)
        if self.is_this_machine and None in numbers:
            raise SetupError(f"There is no user {user} or no group {group} here.")
        if os.geteuid() != 0:
            return -1, -1
        return tuple(-1 if number is None else number for number in numbers)

    def _number(self, file: str, name: str) -> int | None:
        if name == "root":
            return 0
        lines = (line.split(":") for line in self.text(file).splitlines())
        return next((int(parts[2]) for parts in lines if parts[0] == name and len(parts) > 2), None)


def content_of(path: Path) -> bytes:
    """The content of a regular file. A link is not followed: whoever owns the directory could show root a file that is
    not theirs, and get a copy. Raises `SetupError`, `FileNotFoundError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as trouble:
        if trouble.errno == errno.ELOOP:
            raise SetupError(f"{path} is a link, and setup follows none.") from None
        raise
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SetupError(f"{path} is no file.")
        return stream.read()


def run(words: list[str], given: str = "", shown: bool = False) -> str:
    """Run a command of this machine; what it printed. What is `given` on standard input may be secret, and so stays out
    of the sentence. `shown`: it prints to the terminal. Raises `SetupError`."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; each word is the plan's own
            words,
            input=given,
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
            env={name: value for name, value in environment.items() if not name.startswith("POSTERN_")},
        )
    except OSError as trouble:
        raise SetupError(f"{words[0]} cannot be run: {trouble.strerror}.") from None
    if done.returncode:
        said = "" if shown else f" It said:\n{(done.stderr or done.stdout).strip()[-2000:]}"
        raise SetupError(f"“{' '.join(words)}” ended with code {done.returncode}.{said}")
    return done.stdout or ""
