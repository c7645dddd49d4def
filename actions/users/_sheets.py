"""Spreadsheets, XLSX and ODS, as rows of text: the values that the program shows, as it kept them.

Both are ZIP archives of XML, made by anybody: they are read as a stream, without macros, formulas, DTDs and entities,
and only as far as the limits below. Nothing is unpacked to the disk.
"""

import datetime
import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import ClassVar
from xml.parsers import expat

from actions.ground.refusals import N_, Refused

ZIP, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Of all parts: unpacked bytes; characters of words and cells, to each of which one is added. And rows, of which no
# program has more. A hundred thousand users need less.
MOST_BYTES, MOST_TEXT, MOST_ROWS = 128 * 1024**2, 16 * 1024**2, 2**20
# A cell that is longer is cut: no column may hold so much.
LONGEST_CELL = 4000
MOST_SHEETS_NAMED = 5
PIECE = 64 * 1024

WORKBOOK, RELATIONS, WORDS, STYLES = (
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
)
CONTENT, MANIFEST = "content.xml", "META-INF/manifest.xml"
# Formats of dates that every XLSX knows by number, and the letters by which others are recognised, outside of what is
# quoted or in brackets.
DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
NOT_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
OF_DATES = re.compile(r"[dmyhs]", re.IGNORECASE)
FIRST_DAY = datetime.datetime(1899, 12, 30)
CELL = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")

# What is raised amid an archive that is damaged, or of another kind.
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, expat.ExpatError),
    *(LookupError, ValueError, EOFError, NotImplementedError),
)

Rows = list[list[str]]
Attributes = dict[str, str]


def is_one(content: bytes) -> bool:
    """Whether this is the file of a spreadsheet program, and no text."""
    return content.startswith((ZIP, OLD))


def rows(content: bytes) -> Rows:
    """The rows of the one visible sheet that has any, the first being the sheet's first; blanks at the ends are left
    out. Raises `Refused` with the field `file`."""
    if content.startswith(OLD):
        raise _closed()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sheets = _Archive(archive).sheets()
    except BROKEN:
        raise Refused(
            N_("This spreadsheet cannot be read. Save it again as XLSX or ODS, or as “CSV UTF-8”."), "file"
        ) from None
    except RuntimeError:
        # What `zipfile` says of a part that is encrypted.
        raise _closed() from None
    return _only(sheets)


def _closed() -> Refused:
    return Refused(
        N_("This file has a password, or is an old Excel file (.xls). Save it as XLSX or ODS without a password."),
        "file",
    )


def _too_much() -> Refused:
    return Refused(N_("This spreadsheet contains too much. Save the sheet with the users alone."), "file")


def _only(sheets: dict[str, Rows]) -> Rows:
    filled = {name: found for name, found in sheets.items() if found}
    if len(filled) > 1:
        named = ", ".join("".join(filter(str.isprintable, name))[:40] for name in list(filled)[:MOST_SHEETS_NAMED])
        raise Refused(
            N_("Several sheets contain something: %(sheets)s. Keep only the sheet with the users."),
            "file",
            sheets=named,
        )
    return next(iter(filled.values()), [])


class _Allowance:
    """What a file may still take of something; beyond it, `take` raises `Refused`."""

    def __init__(self, most: int):
        self._left = most

    def take(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _too_much()


class _Archive:
    """The parts of a spreadsheet's archive, all of them together no larger than the limit."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive, self._bytes, self._text = archive, _Allowance(MOST_BYTES), _Allowance(MOST_TEXT)
        self._names = set(archive.namelist())

    def sheets(self) -> dict[str, Rows]:
        """The rows of each visible sheet by its name."""
        if CONTENT in self._names:
            return self._of_open_document()
        if WORKBOOK in self._names:
            return self._of_workbook()
        raise ValueError

    def _of_open_document(self) -> dict[str, Rows]:
        if MANIFEST in self._names:
            self._read(MANIFEST, _RefusesEncryption())
        document = _OpenDocument(self._text)
        self._read(CONTENT, document)
        return {name: sheet.rows for name, sheet in document.sheets.items() if name not in document.hidden}

    def _of_workbook(self) -> dict[str, Rows]:
        workbook, relations, words, styles = _Workbook(), _Relations(), _SharedWords(self._text), _Styles()
        for name, reader in ((WORKBOOK, workbook), (RELATIONS, relations), (WORDS, words), (STYLES, styles)):
            if name in self._names:
                self._read(name, reader)
        found = {}
        for name, relation in workbook.visible.items():
            worksheet = _Worksheet(self._text, words.words, styles.dates)
            self._read(posixpath.join("/xl", relations.targets[relation]).lstrip("/"), worksheet)
            found[name] = worksheet.sheet.rows
        return found

    def _read(self, name: str, reader: "_Reader") -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_definitions
        parser.StartElementHandler = lambda tag, attributes: reader.start(
            _local(tag), {_local(key): value for key, value in attributes.items()}
        )
        parser.EndElementHandler = lambda tag: reader.end(_local(tag))
        parser.CharacterDataHandler = reader.text
        for piece in self._pieces(name):
            parser.Parse(piece, False)
        parser.Parse(b"", True)

    def _pieces(self, name: str) -> Iterator[bytes]:
        part = self._archive.getinfo(name)
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError
        with self._archive.open(part) as unpacked:
            while piece := unpacked.read(PIECE):
                self._bytes.take(len(piece))
                yield piece


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _refuse_definitions(*_declared: object) -> None:
    raise ValueError


class _Reader:
    """What takes the elements of one part."""

    def start(self, tag: str, attributes: Attributes) -> None:
        pass

    def end(self, tag: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


class _Sheet:
    """The rows of a sheet as they are found; blanks count only where something follows them."""

    def __init__(self, allowance: _Allowance):
        self.rows: Rows = []
        self._row: list[str] = []
        self._allowance = allowance

    def put(self, column: int, text: str, times: int = 1) -> None:
        """Put a text into a column of the row, and the next ones; to the right of what is there."""
        if text:
            blanks = column - len(self._row)
            self._allowance.take(blanks + times * (1 + len(text)))
            self._row += [""] * blanks + [text] * times

    def end_row(self, number: int, times: int = 1) -> None:
        """Put the row at this number, which counts from 0, and the next ones."""
        row, self._row = self._row, []
        if row:
            if number + times > MOST_ROWS:
                raise _too_much()
            self._allowance.take((times - 1) * sum(map(len, row), len(row)))
            self.rows += [[]] * (number - len(self.rows)) + [row] * times


# --- XLSX ---


class _Workbook(_Reader):
    def __init__(self):
        self.visible: dict[str, str] = {}

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "sheet" and attributes.get("state", "visible") == "visible":
            self.visible[attributes["name"]] = attributes["id"]


class _Relations(_Reader):
    def __init__(self):
        self.targets: dict[str, str] = {}

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "Relationship":
            self.targets[attributes["Id"]] = attributes["Target"]


class _Text(_Reader):
    """Collects the text of `t` elements, without what only says how it is pronounced."""

    def __init__(self):
        self._parts: list[str] = []
        self._inside, self._aside = False, 0

    def start(self, tag: str, attributes: Attributes) -> None:
        self._aside += tag == "rPh"
        self._inside = tag == "t" and not self._aside

    def end(self, tag: str) -> None:
        self._aside -= tag == "rPh"
        self._inside = False

    def text(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)

    def taken(self) -> str:
        text, self._parts = "".join(self._parts)[:LONGEST_CELL], []
        return text


class _SharedWords(_Text):
    def __init__(self, allowance: _Allowance):
        super().__init__()
        self.words: list[str] = []
        self._allowance = allowance

    def end(self, tag: str) -> None:
        super().end(tag)
        if tag == "si":
            self.words.append(self.taken())
            self._allowance.take(1 + len(self.words[-1]))


class _Styles(_Reader):
    """Which styles show a number as a date."""

    def __init__(self):
        self.dates: list[bool] = []
        self._formats = dict.fromkeys(map(str, DATES), True)
        self._of_cells = False

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "numFmt":
            shown = NOT_FORMAT.sub("", attributes.get("formatCode", ""))
            self._formats[attributes["numFmtId"]] = bool(OF_DATES.search(shown))
        if tag == "cellXfs":
            self._of_cells = True
        if tag == "xf" and self._of_cells:
            self.dates.append(self._formats.get(attributes.get("numFmtId", "0"), False))

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._of_cells = False


class _Worksheet(_Text):
    def __init__(self, allowance: _Allowance, words: list[str], dates: list[bool]):
        super().__init__()
        self.sheet = _Sheet(allowance)
        self._words, self._dates = words, dates
        self._row = self._column = -1
        self._kind, self._style, self._in_value = "n", 0, False
        self._value: list[str] = []

    def start(self, tag: str, attributes: Attributes) -> None:
        super().start(tag, attributes)
        self._in_value = tag == "v"
        if tag == "row":
            # Rows and cells may leave out where they stand: then they are the next.
            self._row = _later(int(attributes.get("r", self._row + 2)) - 1, self._row)
            self._column = -1
        if tag == "c":
            place = attributes.get("r")
            self._column = _later(_column_of(place) if place else self._column + 1, self._column)
            self._kind, self._style = attributes.get("t", "n"), int(attributes.get("s", "0"))

    def text(self, text: str) -> None:
        super().text(text)
        if self._in_value:
            self._value.append(text)

    def end(self, tag: str) -> None:
        super().end(tag)
        self._in_value = False
        if tag == "c":
            value, self._value = "".join(self._value), []
            inline = self.taken()
            self.sheet.put(self._column, inline if self._kind == "inlineStr" else self._shown(value)[:LONGEST_CELL])
        if tag == "row":
            self.sheet.end_row(self._row)

    def _shown(self, value: str) -> str:
        if self._kind == "s":
            return self._words[int(value)] if value else ""
        if self._kind != "n" or not value:
            return value
        is_date = self._style < len(self._dates) and self._dates[self._style]
        return _date(value) if is_date else _number(value)


def _later(place: int, before: int) -> int:
    if place <= before:
        raise ValueError
    return place


def _column_of(place: str) -> int:
    """The number, from 0, of a cell's column: "B7" is in 1."""
    found = CELL.fullmatch(place)
    if not found:
        raise ValueError
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _number(value: str) -> str:
    """A number as a person writes it: whole where it is whole, "3.93331234567E11" too."""
    number = float(value)
    return str(int(number)) if abs(number) < 10**15 and number.is_integer() else value


def _date(value: str) -> str:
    try:
        moment = FIRST_DAY + datetime.timedelta(days=float(value))
    except (OverflowError, ValueError):
        return value
    return str(moment.date()) if moment.time() == datetime.time.min else moment.isoformat(" ", "seconds")


# --- ODS ---


class _RefusesEncryption(_Reader):
    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "encryption-data":
            raise _closed()


class _OpenDocument(_Reader):
    ASIDE = ("annotation", "ruby-text")

    def __init__(self, allowance: _Allowance):
        self._allowance = allowance
        self.sheets: dict[str, _Sheet] = {}
        self.hidden: set[str] = set()
        self._hidden_styles: set[str] = set()
        self._style = ""
        self._sheet = _Sheet(allowance)
        self._row = self._column = self._aside = 0
        self._rows = self._columns = 1
        self._cell: Attributes = {}
        self._paragraphs: list[str] = []
        self._in_paragraph = 0

    def start(self, tag: str, attributes: Attributes) -> None:
        if begins := self.BEGINNINGS.get(tag):
            begins(self, attributes)
        self._aside += tag in self.ASIDE

    def end(self, tag: str) -> None:
        self._aside -= tag in self.ASIDE
        if ends := self.ENDINGS.get(tag):
            ends(self)

    def text(self, text: str) -> None:
        if self._in_paragraph and not self._aside and len(self._paragraphs[-1]) < LONGEST_CELL:
            self._paragraphs[-1] += text

    def _begin_style(self, attributes: Attributes) -> None:
        self._style = attributes.get("name", "")

    def _note_display(self, attributes: Attributes) -> None:
        if attributes.get("display") == "false":
            self._hidden_styles.add(self._style)

    def _begin_sheet(self, attributes: Attributes) -> None:
        name = attributes.get("name", "")
        self._sheet = self.sheets[name] = _Sheet(self._allowance)
        self._row = 0
        if attributes.get("style-name") in self._hidden_styles:
            self.hidden.add(name)

    def _begin_row(self, attributes: Attributes) -> None:
        self._column, self._rows = 0, _repeated(attributes, "number-rows-repeated")

    def _end_row(self) -> None:
        self._sheet.end_row(self._row, self._rows)
        self._row += self._rows

    def _begin_cell(self, attributes: Attributes) -> None:
        self._cell, self._paragraphs = attributes, []
        self._columns = _repeated(attributes, "number-columns-repeated")

    def _end_cell(self) -> None:
        self._sheet.put(self._column, self._shown()[:LONGEST_CELL], self._columns)
        self._column += self._columns

    def _end_covered(self) -> None:
        self._column += self._columns

    def _begin_paragraph(self, _attributes: Attributes) -> None:
        self._in_paragraph += 1
        if not self._aside:
            self._paragraphs.append("")

    def _end_paragraph(self) -> None:
        self._in_paragraph -= 1

    def _blank(self, _attributes: Attributes) -> None:
        self.text(" ")

    def _shown(self) -> str:
        if self._cell.get("value-type") == "float":
            return _number(self._cell["value"])
        if self._cell.get("value-type") == "date":
            return self._cell["date-value"].replace("T", " ")
        return "\n".join(self._paragraphs)

    BEGINNINGS: ClassVar[dict[str, Callable]] = {
        "style": _begin_style,
        "table-properties": _note_display,
        "table": _begin_sheet,
        "table-row": _begin_row,
        "table-cell": _begin_cell,
        "covered-table-cell": _begin_cell,
        "p": _begin_paragraph,
        "s": _blank,
        "tab": _blank,
        "line-break": _blank,
    }
    ENDINGS: ClassVar[dict[str, Callable]] = {
        "table-row": _end_row,
        "table-cell": _end_cell,
        "covered-table-cell": _end_covered,
        "p": _end_paragraph,
    }


def _repeated(attributes: Attributes, name: str) -> int:
    return _later(int(attributes.get(name, "1")), 0)
