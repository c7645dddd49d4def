"""Tables as CSV that spreadsheets read (RFC 4180, UTF-8 with a byte order mark) and that runs nothing in them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator

MARK = "\ufeff"
# Spreadsheets take a cell that begins with one of these for a formula; an apostrophe makes it text (OWASP).
SIGNS = "=+@＝＋－＠﹦﹢﹣﹫-"
# The reader decides where a cell begins: many spreadsheets separate at semicolons, tabs or any chosen character, and
# drop blanks and quotes. None begins a cell after a letter, a digit or another sign.
MAY_BEGIN_FORMULA = re.compile(rf"(?<![\w{SIGNS}])(?=[{SIGNS}])")
GUARDED = re.compile(rf"'(?=[{SIGNS}])")


def safe(cell: object) -> str:
    """The cell as text: no spreadsheet takes any part of it for a formula, wherever the spreadsheet begins its
    cells."""
    return MAY_BEGIN_FORMULA.sub("'", "" if cell is None else str(cell))


def as_it_was(cell: str) -> str:
    """The original text from which `safe` made this cell."""
    return GUARDED.sub("", cell)


def lines(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The file, line by line, as the rows arrive."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(MARK)
    for row in _with_header(header, rows):
        writer.writerow([safe(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _with_header(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[Iterable[object]]:
    yield header
    yield from rows
