"""What the panel in a webmail's frame takes over of the webmail's look, as the webmail's page read it off itself.

Each value has a grammar of its own, and what does not fit it counts as not said. None becomes the text of a style
sheet: a font is one of those that the style sheet names, and `early.js` sets colour and size as single properties.
The colour is never drawn as it is: tokens.css holds what is made of it at a lightness that can be read.
"""

import re
from collections.abc import Mapping

ACCENT = re.compile(r"#[0-9A-Fa-f]{6}")
# CSS pixels.
SIZE = re.compile(r"[0-9]{2}(?:\.[0-9]{1,6})?")
SMALLEST, LARGEST = 12, 20
# Those of tokens.css. A font that the webmail brings along is not here: the panel loads none.
FONTS = ("arial", "helvetica", "roboto", "sans-serif", "tahoma", "verdana")
LONGEST_LIST = 500


def read(said: Mapping[str, str]) -> dict[str, str]:
    """The attributes of the page by what a webmail said: `accent` (#rrggbb), `size` of its text in pixels, `font` (a
    list of families, as in CSS), and whether it shows the page's title itself (`titled`: yes)."""
    look = {
        "accent": _accent(said.get("accent", "")),
        "size": _size(said.get("size", "")),
        "font": _font(said.get("font", "")),
        "titled": "yes" if said.get("titled") == "yes" else "",
    }
    return {name: value for name, value in look.items() if value}


def _accent(said: str) -> str:
    return said if ACCENT.fullmatch(said) else ""


def _size(said: str) -> str:
    is_readable = SIZE.fullmatch(said) and SMALLEST <= float(said) <= LARGEST
    return said if is_readable else ""


def _font(said: str) -> str:
    """The first family of the list that the panel has too."""
    families = (family.strip(" \"'").lower() for family in said[:LONGEST_LIST].split(","))
    return next((family for family in families if family in FONTS), "")
