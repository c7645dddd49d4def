"""A browser's name for people, from the header that it sends."""

import re

from flask_babel import gettext as _

# In this order: most browsers also name those that they descend from.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")


def browser_name(user_agent: str) -> str:
    """“Firefox on Linux”; the header's beginning when it is none that we know."""
    browser = next((name for mark, name in BROWSERS if f"{mark}/" in user_agent), "")
    system = next((name for name in SYSTEMS if name in user_agent), "")
    system = {"Macintosh": "Mac", "CrOS": "Chromebook"}.get(system, system)
    if browser and system:
        return _("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or re.sub(r"\s+", " ", user_agent)[:40] or _("Unknown browser")
