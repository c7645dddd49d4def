"""Writing e-mails from `templates/messages/<name>.jinja` in the recipient's language.

A template says once what an e-mail says, in the blocks of `_blocks.txt` and `_blocks.html`; it is rendered with the
former for the plain text and with the latter for the HTML.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from babel.dates import format_datetime, get_timezone
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context, select_autoescape
from jinja2.runtime import Context

from actions.ground.addresses import readable, with_ascii_domain
from actions.ground.ports import Letter
from settings import Settings

HERE = Path(__file__).parent.parent
TEXT, HTML = "txt", "html"


class TemplateLetters:
    """A writer of e-mails. Templates are ours alone; facts from people only ever fill them in."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._environments: dict[tuple[str, str], Environment] = {}

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        facts = readable_facts(facts)
        subject = self._part(name, "subject", language, facts)
        text, html = (self._template(name, face, language).render(facts).strip() + "\n" for face in (TEXT, HTML))
        return Letter(" ".join(subject.split()), text, html)

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
            environment.globals |= {
                "layout": f"_layout.{face}",
                "blocks": f"_blocks.{face}",
                "product_name": self._settings.product_name,
                "panel": self._settings.base_url,
                "letter_language": language,
            }
            self._environments[face, language] = environment
        return self._environments[face, language]

    @pass_context
    def _moment(self, context: Context, seconds: int) -> str:
        """The exact time in the recipient's language and zone, or the host's, with the zone's name."""
        zone = get_timezone(context.get("timezone") or self._settings.default_timezone)
        moment = datetime.fromtimestamp(seconds, UTC)
        return format_datetime(moment, "long", tzinfo=zone, locale=context["letter_language"])


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
    return Fact(readable(fact)) if isinstance(fact, str) else fact
