"""The one stylesheet and the one script, joined from small files in a fixed order, and the few lines that run early.

A cold page then costs five requests: itself, app.css, early.js, app.js and the icon. The vendor's
files go first into the same script, because htmx starts on a timer: served apart, it could start
before its security extension has arrived.
"""

import gzip
import re
from functools import cache
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"

STYLES = (
    "layers", "tokens", "base", "layout", "crumbs", "card", "form", "button", "table", "dialog", "flash", "meter",
    "menu", "badge", "choice", "tiles", "entry", "facts", "note", "list", "tabs", "granted", "filter", "picker",
    "progress", "disclosure", "secret", "waiting", "scan", "condition", "footer", "chart", "print",
)  # fmt: skip
VENDOR = ("htmx.min.js", "hx-csp.min.js")
SCRIPTS = ("page", "dialog", "requests", "rows", "password", "reauthentication", "drafts", "files", "zone", "frame")

JAVASCRIPT = "text/javascript; charset=utf-8"
MEDIA_TYPES = {"app.css": "text/css; charset=utf-8", "early.js": JAVASCRIPT, "app.js": JAVASCRIPT}


@cache
def stylesheet() -> tuple[str, str]:
    """Text and content hash."""
    return _with_hash(_squeeze("\n".join(_read(f"css/{name}.css") for name in STYLES)))


@cache
def script() -> tuple[str, str]:
    """Text and content hash. Without the vendor's files the pages work as without JavaScript."""
    vendor = [_read(f"vendor/{name}") for name in VENDOR if name not in missing_vendor_files()]
    own = "\n".join(_read(f"js/{name}.js") for name in SCRIPTS)
    return _with_hash("\n".join([*vendor, f'(() => {{\n"use strict";\n{own}}})();\n']))


@cache
def early_script() -> tuple[str, str]:
    """Text and content hash of what the page waits for, so that it is ready before anything can be pressed."""
    return _with_hash(_read("js/early.js"))


def asset(name: str) -> tuple[str, str]:
    """Text and hash of one of MEDIA_TYPES; KeyError for any other name."""
    return {"app.css": stylesheet, "early.js": early_script, "app.js": script}[name]()


@cache
def compressed(name: str) -> bytes:
    """The same in gzip. It contains nothing secret and nothing of a person: its size reveals nothing."""
    return gzip.compress(asset(name)[0].encode())


def hashed_name(name: str) -> str:
    """ "app.css" -> "app.0123456789abcdef.css", an address that can be kept for ever."""
    stem, suffix = name.rsplit(".", 1)
    return f"{stem}.{asset(name)[1]}.{suffix}"


def missing_vendor_files() -> list[str]:
    """The names of the third-party files that scripts/vendor has not installed."""
    return [name for name in VENDOR if not (STATIC / "vendor" / name).is_file()]


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _squeeze(css: str) -> str:
    without_comments = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    tight = re.sub(r"\s*([{};,])\s*", r"\1", without_comments)
    return re.sub(r":\s+", ":", tight).strip() + "\n"


def _with_hash(text: str) -> tuple[str, str]:
    return text, sha256(text.encode()).hexdigest()[:16]
