"""The host's own face: its colour, logo and links, and what they must be so that everybody can read them.

Contrast is that of WCAG 2.2: text needs 4.5:1 (1.4.3), shapes such as a button's need 3:1 (1.4.11). The accent is used
as it is where white text stands on it. Links and marks on the page are of its hue, at a lightness that can be read
(static/css/tokens.css); in the dark theme they are `accent_dark` where that is set.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
FOR_TEXT, FOR_SHAPES = 4.5, 3.0
WHITE = "#ffffff"
# The surfaces of the dark theme on which least can be read: under buttons that say nothing else, and under text.
DARK_CARD, LIGHTEST_DARK = "#171f22", "#333333"
# What browsers show as a picture, by how such a file begins.
PICTURES = {
    "png": (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    "jpg": (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    "gif": (re.compile(rb"GIF8[79]a"), "image/gif"),
    "svg": (
        re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.S),
        "image/svg+xml",
    ),
}
LARGEST_LOGO = 256 * 1024
PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{1,38}[0-9]")


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, `#rrggbb`, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def fill_in_dark(accent: str) -> str:
    """The accent, mixed with as much white as a button of it needs to be seen on a dark card. White text on it can
    still be read: the accent itself leaves room for that."""
    mixed = (_mixed(accent, share / 50) for share in range(51))
    return next(each for each in mixed if contrast(each, DARK_CARD) >= FOR_SHAPES)


def picture_of(content: bytes) -> tuple[str, str] | None:
    """Ending and media type of a picture that browsers show; None for any other file."""
    return next(
        ((ending, kind) for ending, (beginning, kind) in PICTURES.items() if beginning.match(content)),
        None,
    )


def rules(settings, is_loopback_host) -> Iterator[tuple[bool, str]]:
    """What must not be, each with the sentence that says so."""
    yield from _colour("POSTERN_ACCENT", settings.accent, WHITE, "to the white text on it", "darker")
    if settings.accent_dark:
        ground = "to the surfaces of the dark theme"
        yield from _colour("POSTERN_ACCENT_DARK", settings.accent_dark, LIGHTEST_DARK, ground, "lighter")
    if settings.logo:
        yield from _logo(Path(settings.logo))
    for name in ("support_url", "webmail_url", "imprint_url", "privacy_url"):
        address, may_be_mail = getattr(settings, name), name == "support_url"
        yield (
            bool(address) and not _is_link(address, is_loopback_host) and not (may_be_mail and _is_mail(address)),
            f"POSTERN_{name.upper()} must begin with https://{' or mailto:' if may_be_mail else ''},"
            " and contain no spaces.",
        )
    yield (
        bool(settings.support_phone) and not PHONE.fullmatch(settings.support_phone),
        "POSTERN_SUPPORT_PHONE must be a phone number, such as +39 06 123 4567.",
    )


def _colour(name: str, colour: str, ground: str, where: str, better: str) -> Iterator[tuple[bool, str]]:
    if not COLOUR.fullmatch(colour):
        yield True, f"{name} must be a colour, such as #0b6e6e."
        return
    # Rounded down, so that it never reads like one that is enough.
    ratio = math.floor(contrast(colour, ground) * 100) / 100
    yield (
        ratio < FOR_TEXT,
        f"{name} {colour} has a contrast of {ratio:.2f}:1 {where}, and text needs {FOR_TEXT}:1."
        f" Choose a {better} colour.",
    )


def _logo(file: Path) -> Iterator[tuple[bool, str]]:
    if not file.is_file():
        yield True, f"POSTERN_LOGO names {file}, which is no file."
        return
    content = file.read_bytes()
    yield picture_of(content) is None, f"POSTERN_LOGO names {file}, which is no picture: SVG, PNG, JPEG or GIF."
    yield (
        len(content) > LARGEST_LOGO,
        f"POSTERN_LOGO names {file}, which is too large: {LARGEST_LOGO // 1024} KB at most.",
    )


def _is_link(address: str, is_loopback_host) -> bool:
    """Whether browsers open it, and nobody in between can change what it opens."""
    parts = urlsplit(address)
    is_private = parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(parts.hostname or ""))
    return is_private and bool(parts.hostname) and address.isprintable() and not set(address) & set(' "<>\\')


def _is_mail(address: str) -> bool:
    return bool(re.fullmatch(r"mailto:[^\s@\"<>\\]+@[^\s@\"<>\\]+", address))


def _mixed(colour: str, white: float) -> str:
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in _parts(colour))


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    shares = (part / 255 for part in _parts(colour))
    linear = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
