"""Who imports whom. `python -m tests.arrows` prints the rooms of `actions/` and how many arrows there are."""

import ast
import functools
from pathlib import Path

from actions import ROOMS

ROOT = Path(__file__).parents[1]


def files(*places: str) -> list[Path]:
    """The Python files of directories and single modules; raises `FileNotFoundError` for what is not there."""
    found = []
    for place in places:
        path = (ROOT / place).resolve(strict=True)
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return found


def product() -> list[Path]:
    """Everything that runs in an installation."""
    packages = ("actions", "adapters", "backups", "blueprints", "cli", "doctor", "settings", "migrations", "setup_host")
    return files(*packages, *(each.name for each in ROOT.glob("*.py")))


@functools.cache
def imports(file: Path) -> set[str]:
    """The full names of what a module imports, wherever in it: modules, and names in them."""
    package = file.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*above, *filter(None, [node.module])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def is_below(name: str, *modules: str) -> bool:
    """Whether a name is one of these modules or something in them."""
    return any(name == module or name.startswith(module + ".") for module in modules)


def room(file: Path) -> str:
    """The room of a module of `actions/`."""
    return file.relative_to(ROOT / "actions").parts[0]


def modules_of(name: str) -> list[str]:
    """The modules of a room."""
    return sorted(file.stem for file in (ROOT / "actions" / name).glob("*.py") if file.stem != "__init__")


def arrows() -> set[tuple[str, str, str]]:
    """From a module of a room to another room's module: `("passwords/sign_in", "ground", "throttle")`."""
    found = set()
    for file in files(*(f"actions/{each}" for each in ROOMS)):
        here = room(file)
        found |= {(f"{here}/{file.stem}", *name) for name in modules_in(imports(file)) if name[0] != here}
    return found


def modules_in(names: set[str]) -> set[tuple[str, str]]:
    """The room and the module of each of these names that is in one."""
    parts = [name.split(".") for name in names if is_below(name, "actions")]
    return {(part[1], part[2]) for part in parts if len(part) > 2}


def arrows_between_rooms() -> set[tuple[str, str]]:
    return {(source.partition("/")[0], target) for source, target, _ in arrows()}


def main() -> None:
    between = arrows_between_rooms()
    for name in ROOMS:
        below = [target for target in ROOMS if (name, target) in between]
        print(f"{name:18} {len(modules_of(name)):2} modules   → {' '.join(below)}")
    upward = sorted(pair for pair in between if ROOMS.index(pair[0]) > ROOMS.index(pair[1]))
    for source, target in upward:
        print(f"upward: {source} → {target}")
    modules = sum(len(modules_of(name)) for name in ROOMS)
    print(f"\n{len(ROOMS)} rooms, {modules} modules, {len(between)} arrows between rooms, {len(upward)} upward,")
    print(f"{len(arrows())} arrows from a module to another room's module")


if __name__ == "__main__":
    main()
