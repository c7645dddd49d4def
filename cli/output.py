"""What commands print: tables and facts for people, JSON for programs. Neither has a secret in it.

The keys of the JSON are in docs/operating.md: programs rely on them. Times are in UTC (ISO 8601), storage in bytes.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

import click

from actions.ground.domain_names import readable
from actions.trail import trail

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
Facts = dict[str, object]
# The columns of a table are as wide as these first rows need: a long list is printed while it is read.
MEASURED = 200
# Nothing that a stranger chose, such as a browser's name, is a command to the terminal.
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def both(name: str, stored: str) -> Facts:
    """A domain, address or login as it is stored, and as people read it."""
    return {name: stored, f"{name}_readable": readable(stored)}


def moment(seconds: int | None) -> str | None:
    """A moment in ISO 8601; None for never."""
    return trail.exact(seconds) if seconds else None


def listed(rows: Iterable[Facts], columns: Sequence[str], as_json: bool) -> None:
    """Print a list: all facts of each row as JSON, or these of them as a table."""
    for line in _json_lines(rows) if as_json else _table(rows, columns):
        click.echo(line)


def shown(facts: Facts, as_json: bool) -> None:
    """Print one thing: as JSON, or each of its facts on a line."""
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts)) + 1
    for name, fact in facts.items():
        for line in _lines(fact):
            click.echo(f"{_heading(name):{width}} {line}".rstrip())


def _json_lines(rows: Iterable[Facts]) -> Iterator[str]:
    """A JSON array, a row on each line."""
    before = "["
    for row in rows:
        yield f"{before}{json.dumps(row)}"
        before = ","
    yield "]" if before == "," else "[]"


def _table(rows: Iterable[Facts], columns: Sequence[str]) -> Iterator[str]:
    lines = ([_cell(row[name]) for name in columns] for row in rows)
    first = list(itertools.islice(lines, MEASURED))
    if not first:
        return
    lines = itertools.chain([[_heading(name) for name in columns]], first, lines)
    widths = [max(map(len, column)) for column in zip(map(_heading, columns), *first, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def _heading(name: str) -> str:
    return name.removesuffix("_readable").removesuffix("_bytes").replace("_", " ").upper()


def _lines(fact: object) -> list[str]:
    if isinstance(fact, list) and fact and isinstance(fact[0], dict):
        return [_cell([f"{name.replace('_', ' ')}: {_cell(part)}" for name, part in each.items()]) for each in fact]
    return [_cell(fact)]


def _cell(fact: object) -> str:
    if fact is None:
        return ""
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    text = ", ".join(map(_cell, fact)) if isinstance(fact, list) else readable(str(fact))
    return "".join(each if each.isprintable() else UNPRINTABLE for each in text)
