"""What setup replaced on a host, so that it can be put back.

Everything is in one directory that only root may enter: `manifest.json`, a directory for each run with the files as
they were, and one for each undo with what was taken away. The manifest is written before a file is replaced; so
whenever setup is killed, the manifest knows of every file that may have changed, and the file is the former or the new
one.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from setup_host.host import Host, content_of

DIRECTORY = "/var/lib/postern-setup"


@dataclass(frozen=True)
class File:
    """A file as it is to be; without a text, none is to be there."""

    path: str
    text: str | None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    # What has to be told about the change, a name of `steps.AFTER`.
    tells: tuple[str, ...] = ()
    # Nobody is shown what is in it.
    secret: bool = False
    # The database or the mail cannot be used without it: undo does not remove it.
    belongs_to_data: bool = False

    @property
    def content(self) -> bytes:
        return (self.text or "").encode("utf-8", errors="surrogateescape")


@dataclass(frozen=True)
class Seen:
    """A file as it is: `kind` is "none", "file" or "link"; the checksum is of the content or of the link's target."""

    kind: str = "none"
    mode: int = 0
    owner: int = -1
    group: int = -1
    sha256: str = ""


@dataclass
class Entry:
    """The first time that setup replaced a path: what was there, and what it put there the last time."""

    former: Seen
    # Where the former content is, below the directory.
    kept: str = ""
    written: str = ""
    belongs_to_data: bool = False
    tells: list[str] = field(default_factory=list)


class Record:
    def __init__(self, host: Host):
        self.host = host
        self.directory = host.path(DIRECTORY)
        self.entries: dict[str, Entry] = {}
        self.made: list[str] = []
        self.due: list[str] = []
        self._run = time.strftime("%Y-%m-%dT%H%M%S")
        self._load()

    def is_in_order(self, file: File) -> bool:
        """Whether there is nothing to change."""
        seen = look_at(self.host.path(file.path))
        if file.text is None:
            return seen.kind == "none"
        owner, group = self.host.owners(file.owner, file.group)
        return (
            (seen.kind, seen.sha256, seen.mode) == ("file", _sum(file.content), file.mode)
            and owner in (-1, seen.owner)
            and group in (-1, seen.group)
        )

    def put(self, file: File) -> bool:
        """Make a file what it is to be, whatever is there; whether anything changed."""
        if self.is_in_order(file):
            return False
        path = self.host.path(file.path)
        self._prepare()
        self._note(file, path)
        self._make_parents(file.path)
        if file.text is None:
            path.unlink(missing_ok=True)
            _settle(path.parent)
        else:
            write(path, file.content, file.mode, *self.host.owners(file.owner, file.group))
        return True

    def is_done(self, name: str) -> None:
        """What was to be told about a change has been told."""
        self.due.remove(name)
        self._save()

    def undo(self) -> Iterator[str]:
        """Put everything back that is as setup left it; a sentence for each file. What is taken away is kept."""
        self._prepare()
        for path in reversed(list(self.entries)):
            yield self._put_back(path, self.entries[path])
            del self.entries[path]
            self._save()
        for name in reversed(self.made):
            directory = self.host.path(name)
            if directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()
        self.made = []
        self._save()

    def _put_back(self, name: str, entry: Entry) -> str:
        path = self.host.path(name)
        # What a killed run had begun to write.
        _fresh(path).unlink(missing_ok=True)
        seen = look_at(path)
        if seen == entry.former:
            return f"{name} is as it was."
        if entry.belongs_to_data and entry.former.kind == "none":
            return f"{name} stays: it belongs to the database."
        if seen.sha256 != entry.written:
            return f"{name} is left alone: it was changed after setup. Before setup there was {self._where(entry)}."
        self._owe(entry.tells)
        self._save()
        if seen.kind != "none":
            self._keep(path, f"undone-{self._run}")
        if entry.former.kind == "none":
            path.unlink()
            _settle(path.parent)
            return f"{name} is removed."
        content, former = (self.directory / entry.kept).read_bytes(), entry.former
        if former.kind == "link":
            _link(path, os.fsdecode(content))
        else:
            write(path, content, former.mode, *(_own(former) if os.geteuid() == 0 else (-1, -1)))
        return f"{name} is what it was before setup."

    def _where(self, entry: Entry) -> str:
        return f"what {DIRECTORY}/{entry.kept} holds" if entry.kept else "nothing"

    def _note(self, file: File, path: Path) -> None:
        """Before a file is replaced: what it was, what it is going to be, who is to be told. An entry of an earlier run
        stays; what the operator made of its file since is kept as well."""
        seen = look_at(path)
        entry = self.entries.get(file.path)
        kept = ""
        if seen.kind != "none" and (entry is None or seen.sha256 not in (entry.written, entry.former.sha256)):
            kept = self._keep(path, self._run)
        if entry is None:
            entry = self.entries[file.path] = Entry(seen, kept)
        entry.written = "" if file.text is None else _sum(file.content)
        entry.belongs_to_data = file.belongs_to_data
        entry.tells = list(file.tells)
        self._owe(file.tells)
        self._save()

    def _owe(self, names) -> None:
        self.due += [name for name in names if name not in self.due]

    def _keep(self, path: Path, run: str) -> str:
        """A copy of a file, or of a link's target, which only root may read; its name below the directory."""
        content = os.fsencode(os.readlink(path)) if path.is_symlink() else content_of(path)
        name = Path(run) / path.relative_to(self.host.root)
        copy = self.directory / name
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(copy, content, 0o600)
        return str(name)

    def _make_parents(self, name: str) -> None:
        missing = [each for each in Path(name).parents if not self.host.path(str(each)).exists()]
        if not missing:
            return
        self.made += [str(each) for each in reversed(missing) if str(each) not in self.made]
        self._save()
        self.host.path(str(missing[0])).mkdir(mode=0o755, parents=True, exist_ok=True)

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _load(self) -> None:
        file = self.directory / "manifest.json"
        if not file.exists():
            return
        written = json.loads(file.read_text(encoding="utf-8"))
        for name, facts in written["files"].items():
            self.entries[name] = Entry(**{**facts, "former": Seen(**facts["former"])})
        self.made, self.due = written["directories"], written["due"]

    def _save(self) -> None:
        facts = {
            "files": {name: asdict(entry) for name, entry in self.entries.items()},
            "directories": self.made,
            "due": self.due,
        }
        write(self.directory / "manifest.json", json.dumps(facts, indent=2).encode(), 0o600)


def look_at(path: Path) -> Seen:
    """What is there; a link is not followed."""
    try:
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Seen()
    if stat.S_ISLNK(facts.st_mode):
        return Seen("link", 0, facts.st_uid, facts.st_gid, _sum(os.fsencode(os.readlink(path))))
    return Seen("file", stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, _sum(content_of(path)))


def write(path: Path, content: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
    """Replace a file as a whole. Nobody reads half of it, nor a secret before it has its mode. A former attempt's rest
    goes first; a link that somebody put in its place is not followed."""
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    os.replace(fresh, path)
    _settle(path.parent)


def _link(path: Path, target: str) -> None:
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, path)
    _settle(path.parent)


def _fresh(path: Path) -> Path:
    """Where a file is written before it gets its place; no server reads such a name."""
    return path.with_name(f".{path.name}.postern-setup")


def _settle(directory: Path) -> None:
    """What was renamed or removed in a directory stays so when the power fails."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _own(seen: Seen) -> tuple[int, int]:
    return seen.owner, seen.group


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
