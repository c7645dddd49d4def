"""Draws a document of sections with labels and values, as PDF; not encrypted yet."""

import logging
from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF, XPos, YPos
from fpdf.enums import MethodReturnValue

Line = tuple[str, str]
Section = tuple[str, Sequence[Line]]

# They carry Latin, Cyrillic and Greek; Debian has them in fonts-dejavu-core.
FONTS = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf", "M": "DejaVuSansMono.ttf"}
SANS, MONO = "sans", "mono"
INK, FAINT, RULE = 20, 95, 205

# Millimetres and points on A4.
MARGIN, LABEL_WIDTH, GAP, SECTION_GAP = 20, 48, 3, 6
TEXT_SIZE, LINE_HEIGHT = 10, 5.6
HEADING_SIZE, HEADING_HEIGHT = 12, 8
TITLE_SIZE, TITLE_HEIGHT = 18, 10

# It names the characters that a font does not have, and what is in the document is no log's business.
logging.getLogger("fpdf").setLevel(logging.CRITICAL)


def drawn(title: str, sections: Sequence[Section], fonts: Path) -> bytes:
    """The document. A section that fits on a page stands on one page.

    A value of a single word (an address, a password) is set in a typeface that tells 0 from O; a line without a label
    takes the whole width.
    """
    document = Document(title, fonts)
    for section in sections:
        document.section(*section)
    return bytes(document.output())


class Document(FPDF):
    """A4 pages with a title on the first, and numbers at their feet."""

    def __init__(self, title: str, fonts: Path):
        super().__init__(format="A4")
        self.add_font(SANS, "", fonts / FONTS[""])
        self.add_font(SANS, "B", fonts / FONTS["B"])
        self.add_font(MONO, "", fonts / FONTS["M"])
        self.set_title(title)
        self.set_margin(MARGIN)
        self.set_auto_page_break(True, MARGIN)
        self.add_page()
        self.set_font(SANS, "B", TITLE_SIZE)
        self._paragraph(self.epw, TITLE_HEIGHT, title)

    def section(self, heading: str, lines: Sequence[Line]) -> None:
        """Heading and lines, on the next page where this one has not room for all of them."""
        height = SECTION_GAP + HEADING_HEIGHT + sum(self._height(*line) for line in lines)
        if self.will_page_break(height) and height <= self.eph:
            self.add_page()
        else:
            self._rule()
        self.set_font(SANS, "B", HEADING_SIZE)
        self._paragraph(self.epw, HEADING_HEIGHT, heading)
        for line in lines:
            self._line(*line)

    def footer(self) -> None:
        self.set_y(-MARGIN + GAP)
        self.set_font(SANS, "", 8)
        self.set_text_color(FAINT)
        self.cell(0, LINE_HEIGHT, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(INK)

    def _rule(self) -> None:
        self.ln(SECTION_GAP / 2)
        self.set_draw_color(RULE)
        self.line(self.l_margin, self.y, self.w - self.r_margin, self.y)
        self.ln(SECTION_GAP / 2)

    def _line(self, label: str, value: str) -> None:
        height = self._height(label, value)
        if self.will_page_break(height):
            self.add_page()
        top = self.y
        if label:
            self.set_font(SANS, "", TEXT_SIZE)
            self.set_text_color(FAINT)
            self._paragraph(LABEL_WIDTH, LINE_HEIGHT, label)
            self.set_xy(self.l_margin + LABEL_WIDTH + GAP, top)
        self.set_text_color(INK)
        self._set_value_font(value)
        self._paragraph(self._value_width(label), LINE_HEIGHT, value)
        self.set_xy(self.l_margin, top + height)

    def _height(self, label: str, value: str) -> float:
        self._set_value_font(value)
        rows = self._rows(self._value_width(label), value, self.font_family)
        self.set_font(SANS, "", TEXT_SIZE)
        return max(rows, self._rows(LABEL_WIDTH, label, self.font_family)) * LINE_HEIGHT

    def _value_width(self, label: str) -> float:
        return self.epw - LABEL_WIDTH - GAP if label else self.epw

    def _set_value_font(self, value: str) -> None:
        self.set_font(MONO if len(value.split()) == 1 else SANS, "", TEXT_SIZE)

    def _rows(self, width: float, text: str, family: str) -> int:
        if self.get_string_width(text) < width - 2 * self.c_margin and "\n" not in text:
            return 1
        height = self._paragraph(width, LINE_HEIGHT, text, dry_run=True, output=MethodReturnValue.HEIGHT)
        return round(height / LINE_HEIGHT)

    def _paragraph(self, width: float, height: float, text: str, **named: object) -> object:
        return self.multi_cell(width, height, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT, **named)
