"""What is installed from package registries: each file is one that somebody locked, and nothing floats."""

import json
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-test.txt")
CHECKSUM = re.compile(r"--hash=sha256:[0-9a-f]{64}")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OF_EVERY_ENVIRONMENT = {"pip", "setuptools"}


def entries(lock: str) -> list[str]:
    """One text for each package: its line and those that it is continued on, without comments."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return lines.replace("\\\n", " ").splitlines()


def locked(lock: str) -> dict[str, Requirement]:
    requirements = (Requirement(entry.partition(" --hash")[0]) for entry in entries(lock))
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def direct(file: str) -> dict[str, Requirement]:
    """What somebody wrote down by hand."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    requirements = (Requirement(line) for line in lines if line and not line.startswith(("-r", "#")))
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def versions(requirements: dict[str, Requirement]) -> dict[str, str]:
    return {name: str(requirement.specifier) for name, requirement in requirements.items()}


def installed() -> dict[str, str]:
    return {canonicalize_name(each.metadata["Name"]): each.version for each in metadata.distributions()}


def is_wanted(requirement: Requirement, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    return not requirement.marker or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_one_version_and_checksums(lock):
    for entry in entries(lock):
        pin, *checksums = re.split(r"\s+(?=--)", entry.strip())
        assert re.fullmatch(r"[a-z0-9-]+==[^\s=*]+( ; .+)?", pin), entry
        assert checksums, f"{pin} has no checksum"
        assert all(CHECKSUM.fullmatch(checksum) for checksum in checksums), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_a_list_names_packages_and_not_where_they_come_from(lock):
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", (ROOT / lock).read_text())


def test_what_is_named_by_hand_is_locked_in_that_version():
    for_running, for_tests = direct("requirements.in"), direct("requirements-test.in")

    assert versions(for_running).items() <= versions(locked("requirements.txt")).items()
    assert versions(for_running | for_tests).items() <= versions(locked("requirements-test.txt")).items()


def test_the_tests_run_what_a_host_runs():
    assert set(entries("requirements.txt")) <= set(entries("requirements-test.txt"))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_what_a_locked_package_needs_is_locked(lock, python):
    names = {name for name, requirement in locked(lock).items() if is_wanted(requirement, python)}
    for name in names & installed().keys():
        needed = map(Requirement, metadata.requires(name) or [])
        wanted = {canonicalize_name(each.name) for each in needed if is_wanted(each, python)}
        assert wanted <= names, f"{name} on Python {python}"


def test_what_is_installed_is_what_is_locked():
    wanted = {
        name: str(requirement.specifier).removeprefix("==")
        for name, requirement in locked("requirements-test.txt").items()
        if not requirement.marker or requirement.marker.evaluate()
    }
    present = installed()

    assert {name: present[name] for name in present.keys() - OF_EVERY_ENVIRONMENT} == wanted


def test_packages_are_installed_by_their_checksums_and_run_nothing_of_their_own():
    scripts = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "scripts").iterdir())
    by_pip = re.findall(r"\bpip install.*?(?= \|\|)", scripts, re.DOTALL)
    by_npm = re.findall(r"^\s*npm (?!--version).*", scripts, re.MULTILINE)

    assert by_pip and by_npm
    assert all("--require-hashes" in command and "--only-binary :all:" in command for command in by_pip)
    assert all(command.startswith("npm ci ") and "--ignore-scripts" in command for command in by_npm)


def test_every_package_of_the_browser_code_has_one_version_and_a_checksum():
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    named = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    by_hand = named.get("dependencies", {}) | named.get("devDependencies", {})

    locked_files = {name.removeprefix("node_modules/"): entry for name, entry in packages.items() if name}
    assert all(entry["integrity"].startswith("sha512-") for entry in locked_files.values())
    assert by_hand.items() <= {name: entry["version"] for name, entry in locked_files.items()}.items()
