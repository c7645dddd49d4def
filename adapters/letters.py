"""Writing e-mails from `templates/messages/<name>.jinja` in the recipient's language.

A template says once what an e-mail says, in the blocks of `_blocks.txt` and `_blocks.html`; it is rendered with the
former for the plain text and with the latter for the HTML.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from babel.dates import format_date, format_time, get_timezone
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context, select_autoescape
from jinja2.runtime import Context

from actions.ground.addresses import readable, with_ascii_domain
from actions.ground.ports import Letter, Picture
from adapters.places import Places
from settings import Settings

HERE = Path(__file__).parent.parent
TEXT, HTML = "txt", "html"
# How dates are written, where a language has several ways: day, month, year and 24 hours.
LOCALES = {"en": "en_GB"}
# What mail programs show, by how such a file begins.
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
LARGEST_LOGO = 100 * 1024
# The contrast that text needs on its ground (WCAG 2.2, 1.4.3).
ENOUGH = 4.5


class TemplateLetters:
    """A writer of e-mails. Templates are ours alone; facts from people only ever fill them in."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._environments: dict[tuple[str, str], Environment] = {}
        self._places = Places(settings.geoip_file)
        self._logo = _logo(settings.logo)

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        facts = readable_facts(facts)
        subject = self._part(name, "subject", language, facts)
        text, html = (self._template(name, face, language).render(facts).strip() + "\n" for face in (TEXT, HTML))
        return Letter(" ".join(subject.split()), text, html, self._logo)

    def part(self, name: str, part: str, language: str, facts: Mapping[str, object]) -> str:
        return self._part(name, part, language, readable_facts(facts))

    def _part(self, name: str, part: str, language: str, facts: Mapping[str, object]) -> str:
        template = self._template(name, TEXT, language)
        return "".join(template.blocks[part](template.new_context(facts))).strip()

    def _template(self, name: str, face: str, language: str) -> Template:
        return self._environment(face, language or self._settings.default_language).get_template(f"{name}.jinja")

    def _environment(self, face: str, language: str) -> Environment:
        if (face, language) not in self._environments:
            environment = Environment(
                loader=FileSystemLoader(HERE / "templates" / "messages"),
                autoescape=select_autoescape(default=face == HTML),
                extensions=["jinja2.ext.i18n"],
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            translations = Translations.load(HERE / "translations", [language])
            environment.install_gettext_translations(translations, newstyle=True)
            environment.filters |= {"translate": translations.gettext, "moment": self._moment, "tidied": tidied}
            environment.filters["place"] = self._place
            environment.globals |= {
                "layout": f"_layout.{face}",
                "blocks": f"_blocks.{face}",
                "product_name": self._settings.product_name,
                "panel": self._settings.base_url,
                "letter_language": language,
                "logo": self._logo,
                "support_url": self._settings.support_url,
                "support_phone": self._settings.support_phone,
                "foot": self._settings.mail_foot,
                "fill": under_white(self._settings.accent),
            }
            self._environments[face, language] = environment
        return self._environments[face, language]

    @pass_context
    def _moment(self, context: Context, seconds: int) -> str:
        """The time in the recipient's language and zone, or the host's, with the zone's distance to UTC."""
        zone = get_timezone(context.get("timezone") or self._settings.default_timezone)
        moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        locale = LOCALES.get(context["letter_language"], context["letter_language"])
        date, time = format_date(moment, "long", locale), format_time(moment, "short", tzinfo=zone, locale=locale)
        return f"{date}, {time} ({_distance(moment)})"

    @pass_context
    def _place(self, context: Context, address: str) -> str:
        """Where a network address is, in the recipient's language; empty where nobody knows."""
        return self._places.of(address, context["letter_language"])


def _distance(moment: datetime) -> str:
    """`UTC`, `UTC+1`, `UTC-3:30`."""
    minutes = int(moment.utcoffset().total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}" if minutes else "UTC"


def _logo(file: str) -> Picture | None:
    """The host's logo as e-mails carry it; None where there is none that mail programs show."""
    content = Path(file).read_bytes() if file and Path(file).is_file() else b""
    kind = next((kind for beginning, kind in PICTURES.items() if content.startswith(beginning)), "")
    if not kind or len(content) > LARGEST_LOGO:
        return None
    return Picture(f"{sha256(content).hexdigest()[:16]}@logo", kind, content)


def under_white(colour: str) -> str:
    """The colour, mixed with as much black as white text on it needs to be read."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    mixed = ("#" + "".join(f"{round(part * share / 20):02x}" for part in parts) for share in range(20, -1, -1))
    return next(each for each in mixed if 1.05 / (_luminance(each) + 0.05) >= ENOUGH)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


class Fact(str):
    """A text with domain names as people read them."""

    __slots__ = ()

    @property
    def for_programs(self) -> str:
        """An address or domain as it is typed into mail programs, whose servers know the encoded name only."""
        return with_ascii_domain(self)


def readable_facts(facts: Mapping[str, object]) -> dict[str, object]:
    """The same facts with domain names as people read them."""
    return {name: _readable(fact) for name, fact in facts.items()}


def tidied(text: str) -> str:
    """Plain text whose lines are not indented, with one empty line between its blocks."""
    lines = "\n".join(line.strip(" ") for line in text.split("\n"))
    return re.sub("\n{3,}", "\n\n", lines).strip()


def _readable(fact: object) -> object:
    if isinstance(fact, list | tuple):
        return [_readable(each) for each in fact]
    if isinstance(fact, dict):
        return readable_facts(fact)
    return Fact(readable(fact)) if isinstance(fact, str) else fact
