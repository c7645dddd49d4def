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
