"""What the tests of the package share: for each Debian a clean root, and the package that was built on it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.debian_roots import PYTHONS, ROOT, DebianRoot, Podman
from lab.programs import as_root

# All that the package may need, and all that building it may need: it says so itself (`Depends`), or it does not work.
TO_RUN = ("adduser", "ca-certificates", "python3", "tzdata")
TO_BUILD = ("python3-venv",)


@dataclass(frozen=True)
class Built:
    """A clean root, the package, and one of the version before, which has a file that went since."""

    clean: DebianRoot
    package: Path
    previous: Path


@pytest.fixture(scope="session", params=PYTHONS)
def built(request, tmp_path_factory) -> Iterator[Built]:
    directory = tmp_path_factory.mktemp("package")
    with DebianRoot() as clean, DebianRoot() as builder:
        clean.make(request.param, *TO_RUN)
        builder.make(request.param, *TO_BUILD)
        package = _build(builder, _wheels(directory / "wheels", PYTHONS[request.param]), directory)
        yield Built(clean, package, _of_before(package, directory))


@pytest.fixture
def new_root(built) -> Iterator[Callable[[], DebianRoot]]:
    """`new_root()` is a Debian on which nothing is installed yet."""
    with ExitStack() as roots:

        def new_root() -> DebianRoot:
            root = roots.enter_context(DebianRoot())
            root.become_copy_of(built.clean)
            root.bring(built.package, "/root/postern.deb")
            root.bring(built.previous, "/root/previous.deb")
            return root

        yield new_root


@pytest.fixture(scope="session")
def image(built, tmp_path_factory) -> Iterator[tuple[Podman, str]]:
    """The image of the package, loaded from its archive; and its name."""
    package = shutil.copy(built.package, tmp_path_factory.mktemp("image"))
    made = subprocess.run(as_root("scripts/image", package), cwd=ROOT, check=True, capture_output=True, text=True)
    # Not /tmp, which may be small.
    directory = Path(tempfile.mkdtemp(prefix="postern-containers-", dir="/var/tmp"))
    try:
        podman = Podman(directory)
        yield podman, podman("load", "--quiet", "--input", made.stdout.split()[-1]).split()[-1]
    finally:
        subprocess.run(as_root("rm", "-rf", "--one-file-system", str(directory)), check=True)


def _wheels(directory: Path, python: str) -> Path:
    """The locked packages for this Python: there is no network in the root."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "download"]
    exactly = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.txt"]
    kind = ["--implementation", "cp", "--python-version", python]
    subprocess.run([*pip, *exactly, *kind, "--dest", str(directory)], cwd=ROOT, check=True)
    return directory


def _build(builder: DebianRoot, wheels: Path, directory: Path) -> Path:
    made = subprocess.run(["scripts/dist"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    builder.bring(Path(made.strip()), "/build/postern.tar.gz")
    builder.bring(ROOT / "scripts" / "deb", "/build/deb", "755")
    for wheel in wheels.iterdir():
        builder.bring(wheel, f"/build/wheels/{wheel.name}")
    where = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/build/wheels"}
    return builder.take(builder.run("/build/deb", "/build/postern.tar.gz", **where).split()[-1], directory)


def _of_before(package: Path, directory: Path) -> Path:
    tree = directory / "before"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text(encoding="utf-8").splitlines()
    lines = ["Version: 0.0.1" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tree / "opt" / "postern" / "gone_since.py").touch()
    before = directory / "before.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(before)], check=True)
    return before
