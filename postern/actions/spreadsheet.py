"""Tables as CSV, in the form that spreadsheets read (RFC 4180, UTF-8 with its mark), and that runs nothing there."""

import csv
import io
from collections.abc import Iterable, Iterator

MARK = "\ufeff"
# A cell that begins with one of these is a formula to a spreadsheet; an apostrophe makes it text (OWASP).
BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: object) -> str:
    """The cell as text that no spreadsheet takes for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(BEGINS_FORMULA) else text


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
