"""What goes into the Debian package, as far as the sources show it. `make test-deploy` builds and installs it."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from settings import Settings

ROOT = Path(__file__).parents[1]
DEBIAN = ROOT / "integrations" / "debian"
SCRIPTS = ["preinst", "postinst", "prerm", "postrm"]
LEFT_OUT = re.search(r'NOT_ON_A_HOST="([^"]+)"', (ROOT / "scripts" / "deb").read_text(encoding="utf-8"))[1].split()


def tracked() -> dict[str, str]:
    """Every file of the project, with its mode."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, check=True, capture_output=True, text=True)
    rows = (line.split("\t") for line in listed.stdout.splitlines())
    return {path: described.split()[0] for described, path in rows}


def imported(path: str) -> set[str]:
    """The first words of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_package_leaves_out_what_is_there_and_nothing_that_it_imports():
    files = tracked()
    shipped = [path for path in files if path.partition("/")[0] not in LEFT_OUT]

    assert set(LEFT_OUT) - {path.partition("/")[0] for path in files} == set()
    assert [path for path in shipped if path.endswith(".py") and imported(path) & set(LEFT_OUT)] == []


def test_of_what_it_ships_only_the_scripts_of_the_package_can_be_executed():
    shipped = {path: mode for path, mode in tracked().items() if path.partition("/")[0] not in LEFT_OUT}

    assert {path for path, mode in shipped.items() if mode != "100644"} == {
        f"integrations/debian/{name}" for name in SCRIPTS
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_package_stops_at_its_first_failure(name):
    script = (DEBIAN / name).read_text(encoding="utf-8")

    subprocess.run(["sh", "-n", DEBIAN / name], check=True)
    assert "\nset -e\n" in script


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_a_script_knows_each_unit(name):
    units = {unit.name for unit in (ROOT / "integrations" / "systemd").glob("*.service")}

    assert set(re.findall(r"postern[a-z-]*\.service", (DEBIAN / name).read_text(encoding="utf-8"))) == units


@pytest.mark.parametrize("other_database", ["mysql", "sqlite"])
def test_the_example_of_the_settings_can_be_used(other_database, tmp_path):
    """With every line taken, but for one of the two databases."""
    example = (DEBIAN / "postern.toml.example").read_text(encoding="utf-8")
    lines = [line[1:] for line in example.splitlines() if re.match(r"#\w", line)]
    dovecots = {"mysql": "dovecot_mysql", "sqlite": "dovecot_database_user"}[other_database]
    taken = [line for line in lines if f'"{other_database}:' not in line and not line.startswith(dovecots)]
    (tmp_path / "postern.toml").write_text("\n".join(taken), encoding="utf-8")
    (tmp_path / "postern.toml").chmod(0o600)

    settings = Settings.load({"POSTERN_INSTANCE": str(tmp_path)})

    assert settings.base_url == "https://account.example.org"
    assert not settings.database_url.startswith(other_database)
