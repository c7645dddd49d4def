"""Tables as CSV, in the form that spreadsheets read (RFC 4180, UTF-8 with its mark), and that runs nothing there."""

import csv
import io
import re
from collections.abc import Iterable, Iterator

MARK = "\ufeff"
# A cell that begins with one of these is a formula to a spreadsheet; an apostrophe makes it text (OWASP).
SIGNS = "=+@＝＋－＠﹦﹢﹣﹫-"
# Where a cell begins is for the reader to say: many a spreadsheet separates at semicolons, tabs or whatever it is told,
# and leaves out blanks and quotes. Behind a letter, a digit or another sign none does.
MAY_BEGIN_FORMULA = re.compile(rf"(?<![\w{SIGNS}])(?=[{SIGNS}])")
GUARDED = re.compile(rf"'(?=[{SIGNS}])")


def safe(cell: object) -> str:
    """The cell as text of which no spreadsheet takes any part for a formula, wherever it begins its cells."""
    return MAY_BEGIN_FORMULA.sub("'", "" if cell is None else str(cell))


def as_it_was(cell: str) -> str:
    """The text that `safe` was given."""
    return GUARDED.sub("", cell)


def lines(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The file, line by line, as the rows come."""
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
