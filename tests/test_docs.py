"""The operator's guide says what the program does: its settings, commands and limits are compared with the code."""

import re
import shlex
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click
import pytest

import actions
from actions.ground.throttle import Limit
from actions.revocation.table import as_markdown
from commands import Commands
from settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of the guide, without its head."""
    section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands(group: click.Group, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """Every command by the words that call it."""
    found = {}
    for name, command in group.commands.items():
        called = (*words, name)
        found |= commands(command, called) if isinstance(command, click.Group) else {called: command}
    return found


def our_commands() -> dict[tuple[str, ...], click.Command]:
    return commands(Commands("postern"))


def examples() -> list[str]:
    """Every `flask --app wsgi …` that any page shows."""
    texts = (page.read_text(encoding="utf-8") for page in PAGES)
    return [found for text in texts for found in re.findall(r"flask --app wsgi ([^\n`]+)", text)]


def limits() -> list[Limit]:
    modules = [import_module(each.name) for each in walk_packages(actions.__path__, "actions.")]
    return list({value for module in modules for value in vars(module).values() if isinstance(value, Limit)})


def in_words(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds <= 3600 else f"{seconds // 3600} hours"


def as_written(default: object) -> str | None:
    """A default as the table shows it; None where the meaning column says it in words."""
    if isinstance(default, bool):
        return "`yes`" if default else "`no`"
    if isinstance(default, (int, str, Path)):
        return f"`{default}`" if str(default) else ""
    return None


def test_the_table_lists_exactly_the_settings():
    documented = [cells[0].strip("`") for cells in rows("Settings")]

    assert documented == [PREFIX + entry.name.upper() for entry in fields(Settings)]


@pytest.mark.parametrize("entry", fields(Settings), ids=lambda entry: entry.name)
def test_the_default_of_a_setting_is_the_one_in_the_code(entry):
    documented = {cells[0].strip("`"): cells[1] for cells in rows("Settings")}
    default = as_written(entry.default) if entry.default is not MISSING else None

    assert documented[PREFIX + entry.name.upper()] == (default or "")


def test_every_command_has_an_example():
    shown = [tuple(cells[0].strip("`").split()[3:]) for cells in rows("Commands")]

    without = [words for words in our_commands() if not any(example[: len(words)] == words for example in shown)]

    assert without == []


@pytest.mark.parametrize("example", sorted(set(examples())))
def test_an_example_is_a_command_with_options_that_it_has(example):
    words = shlex.split(example)
    depth = next(count for count in (1, 2) if tuple(words[:count]) in our_commands())
    command = our_commands()[tuple(words[:depth])]
    known = {name for parameter in command.params for name in parameter.opts}

    assert {word for word in words[depth:] if word.startswith("--")} <= known


def test_the_limits_of_the_throttle_are_those_in_the_code():
    documented = rows("Guessing is slowed down")

    in_force = [[each.name, str(each.free), str(each.ceiling), in_words(each.window)] for each in limits()]

    assert sorted(documented) == sorted(in_force)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))

    broken = [target for target in targets if "://" not in target and not leads_somewhere(page, target)]

    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    goal = (page.parent / file).resolve() if file else page
    return goal.exists() and (not anchor or anchor in anchors(goal))


def anchors(page: Path) -> set[str]:
    """The names that headings get: small letters, spaces to hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_what_ends_with_what_is_the_one_in_force():
    """`python -m actions.revocation.table` prints it."""
    assert f"\n\n{as_markdown()}\n\n" in (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def named_tests() -> list[str]:
    """Every test that a page names, as `folder/test_file.py::test_name`."""
    texts = (page.read_text(encoding="utf-8") for page in PAGES)
    return sorted({found for text in texts for found in re.findall(r"`(?:tests/)?([\w/]+\.py::test_\w+)`", text)})


def test_every_test_that_a_page_names_is_there():
    missing = []
    for named in named_tests():
        file, _, name = named.partition("::")
        path = ROOT / "tests" / file
        if not path.is_file() or f"def {name}(" not in path.read_text(encoding="utf-8"):
            missing.append(named)
    assert named_tests() and not missing
