"""Icons of the lucide set, drawn into the page: no request, and they take the colour of their text."""

import re
from functools import cache

from lucide.jinja import lucide
from markupsafe import Markup


@cache
def icon(name: str) -> Markup:
    """For decoration only: the words beside it say what it means."""
    svg = lucide(name, size=20, **{"class": "icon", "aria-hidden": "true"})
    return Markup(re.sub(r">\s+<", "><", svg))  # noqa: S704 - drawn by the library from its own files


def icon_symbols(*names: str) -> Markup:
    """Icons to be drawn many times on one page, kept on it once."""
    symbols = "".join(_symbol(name) for name in names)
    return Markup('<svg hidden aria-hidden="true">{}</svg>').format(Markup(symbols))  # noqa: S704 - as above


def icon_again(name: str) -> Markup:
    """One of them: a tenth of what drawing it takes."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


@cache
def _symbol(name: str) -> str:
    drawing = lucide(name, id=f"i-{name}")
    without_size = re.sub(r' (?:width|height|class)="[^"]*"', "", drawing.partition(">")[0])
    inside = re.sub(r">\s+<", "><", drawing.partition(">")[2])
    return f"{without_size}>{inside}".replace("<svg", "<symbol", 1).replace("</svg>", "</symbol>")
