"""The host's own face on every page: its colour, logo and links, as the settings have them.

Colour and logo are files of ours, read once at the start, under names that change with their content. A logo is shown
as a picture, where a browser runs none of an SVG's scripts. Whoever opens its address gets it in a sandbox, in which
nothing runs or is fetched.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from flask import Flask, url_for

from settings import DEFAULT_ACCENT, Settings, face

KEY = "host face"
LOGO_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True)
class File:
    """What is served under a name of its own; without a policy it is for pages of ours, which have one."""

    name: str
    content: bytes
    media_type: str
    policy: str = ""


class HostFace:
    """What templates know as `host`: addresses are empty where the settings have none."""

    def __init__(self, settings: Settings):
        self._stylesheet, self._logo = _stylesheet(settings), _logo(settings.logo)
        self.files = {file.name: file for file in (self._stylesheet, self._logo) if file}
        self.support_url, self.support_phone = settings.support_url, settings.support_phone
        self.support_address = settings.support_url.removeprefix("mailto:").partition("?")[0]
        self.is_written_to = settings.support_url.startswith("mailto:")
        self.dialled = "".join(sign for sign in settings.support_phone if sign in "+0123456789")
        self.webmail_url = settings.webmail_url
        self.imprint_url, self.privacy_url = settings.imprint_url, settings.privacy_url
        self.has_support = bool(settings.support_url or settings.support_phone)
        self.has_links = self.has_support or bool(settings.imprint_url or settings.privacy_url)

    @property
    def stylesheet(self) -> str:
        return url_for("panel.asset", name=self._stylesheet.name) if self._stylesheet else ""

    @property
    def logo(self) -> str:
        return url_for("panel.asset", name=self._logo.name) if self._logo else ""


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions[KEY] = app.jinja_env.globals["host"] = HostFace(settings)


def _stylesheet(settings: Settings) -> File | None:
    """The host's colours, for tokens.css to make the others of. A webmail that says its own colour has that one in its
    frame."""
    colours = _colours(settings)
    if not colours:
        return None
    text = f"@layer tokens{{:root:not([data-accent]){{{colours}}}}}\n".encode()
    return File(f"face.{_digest(text)}.css", text, "text/css; charset=utf-8")


def _colours(settings: Settings) -> str:
    accent, in_dark = settings.accent.lower(), settings.accent_dark.lower()
    colours = f"--accent-in-dark:{in_dark};" if in_dark else ""
    if accent != DEFAULT_ACCENT:
        colours += f"--accent:{accent};--accent-fill:light-dark({accent},{face.fill_in_dark(accent)});"
    return colours


def _logo(file: str) -> File | None:
    if not file:
        return None
    content = Path(file).read_bytes()
    ending, media_type = face.picture_of(content)
    return File(f"logo.{_digest(content)}.{ending}", content, media_type, LOGO_POLICY)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
