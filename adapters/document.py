"""Draws a document of sections with labels and values, as PDF; not encrypted yet."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from fpdf import FPDF, XPos, YPos

from actions.ground.ports import Section
from adapters.archive import FONTS

SANS, BOLD, MONO = "sans", "bold", "mono"
INK, FAINT, RULE = 20, 95, 205
# Stands for the number of pages until it is known, and takes as much room as a number of seven digits.
PAGES = "{pages}"

# Points for type, millimetres for the rest, on A4.
TEXT, HEADING, TITLE, FOOT = 10, 12, 18, 8
HEIGHTS = {TEXT: 5.6, HEADING: 8, TITLE: 10, FOOT: 5}
MARGIN, LABEL_WIDTH, GAP, BELOW_TITLE = 20, 48, 4, 7

# It would name the characters that a font does not have, and what is in the document is no log's business.
logging.getLogger("fpdf").setLevel(logging.CRITICAL)


def drawn(title: str, sections: Sequence[Section], fonts: Path) -> bytes:
    """The document. Each section begins a page of its own, under the title: whoever hands credentials out gives each
    person one page.

    A value of a single word (an address, a password) is set in a typeface that tells 0 from O; a line without a label
    takes the whole width.
    """
    document = Document(title, fonts)
    for heading, lines in sections:
        document.section(heading, lines)
    return bytes(document.output())


class Document(FPDF):
    """A4 pages with numbers at their feet; a section begins a page."""

    def __init__(self, title: str, fonts: Path):
        super().__init__(format="A4")
        for family, file in zip((SANS, BOLD, MONO), FONTS, strict=True):
            self.add_font(family, "", fonts / file)
        self._widths: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
        self.alias_nb_pages(PAGES)
        self.c_margin = 0
        self.set_title(title)
        self.set_margin(MARGIN)
        # Sections break pages themselves, between them.
        self.set_auto_page_break(False, MARGIN)
        self._heading = title

    def section(self, heading: str, lines: Sequence[tuple[str, str]]) -> None:
        """Title, heading and lines, on a new page, and on the next where it has no room for all of them."""
        self.add_page()
        self._write(self._rows(self._heading, self.epw, BOLD, TITLE), BOLD, TITLE)
        self._rule()
        self._write(self._rows(heading, self.epw, BOLD, HEADING), BOLD, HEADING)
        for label, value in lines:
            self._write_block(self._block(label, value))

    def footer(self) -> None:
        self.set_y(GAP - MARGIN)
        self.set_text_color(FAINT)
        self.set_font(SANS, "", FOOT)
        self.cell(0, HEIGHTS[FOOT], f"{self.page_no()} / {PAGES}", align="C")
        self.set_text_color(INK)

    def _block(self, label: str, value: str) -> "Block":
        family = MONO if len(value.split()) == 1 else SANS
        width = self.epw - LABEL_WIDTH - GAP if label else self.epw
        labels = self._rows(label, LABEL_WIDTH, SANS, TEXT) if label else []
        return Block(labels, self._rows(value, width, family, TEXT), family)

    def _write_block(self, block: "Block") -> None:
        for label, value in zip_longest(block.labels, block.values, fillvalue=""):
            self._make_room(TEXT)
            if block.labels:
                self.set_font(SANS, "", TEXT)
                self.set_text_color(FAINT)
                self.cell(LABEL_WIDTH + GAP, HEIGHTS[TEXT], label, new_x=XPos.RIGHT, new_y=YPos.TOP)
                self.set_text_color(INK)
            self.set_font(block.family, "", TEXT)
            self.cell(0, HEIGHTS[TEXT], value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _write(self, rows: list[str], family: str, size: int) -> None:
        self.set_text_color(INK)
        for row in rows:
            self._make_room(size)
            self.set_font(family, "", size)
            self.cell(0, HEIGHTS[size], row, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _rule(self) -> None:
        self._make_room(HEADING)
        self.set_draw_color(RULE)
        self.line(self.l_margin, self.y + BELOW_TITLE / 2, self.w - self.r_margin, self.y + BELOW_TITLE / 2)
        self.ln(BELOW_TITLE)

    def _make_room(self, size: int) -> None:
        if self._room() < HEIGHTS[size]:
            self.add_page()

    def _room(self) -> float:
        return self.h - self.b_margin - self.y

    def _rows(self, text: str, width: float, family: str, size: int) -> list[str]:
        """The text in rows of at most this width; a word that is wider is broken where it has to be."""
        self.set_font(family, "", size)
        return [row for line in text.splitlines() for row in self._broken(line, width)] or [""]

    def _broken(self, line: str, width: float) -> Iterator[str]:
        row = ""
        for word in line.split():
            for piece in self._pieces(word, width):
                longer = f"{row} {piece}" if row else piece
                if self._width(longer) > width:
                    yield row
                    longer = piece
                row = longer
        yield row

    def _pieces(self, word: str, width: float) -> Iterator[str]:
        piece = ""
        for character in filter(str.isprintable, word):
            if piece and self._width(piece + character) > width:
                yield piece
                piece = ""
            piece += character
        yield piece

    def _width(self, text: str) -> float:
        """In the font that is set. Each character is measured once: fpdf2's own measuring is slow."""
        widths = self._widths[self.font_family, self.font_size_pt]
        for character in text:
            if character not in widths:
                widths[character] = self.get_string_width(character)
        return sum(widths[character] for character in text)


@dataclass(frozen=True)
class Block:
    """A label and its value, in rows, side by side; without a label the value has the whole width."""

    labels: list[str]
    values: list[str]
    family: str

    def __len__(self) -> int:
        return max(len(self.labels), len(self.values))
