"""Writing letters from `templates/messages/<name>/` in the recipient's language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from babel.dates import format_datetime, get_timezone
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape

from actions.ground.ports import Letter
from settings import Settings

HERE = Path(__file__).parent.parent


class TemplateLetters:
    """A letter-writer. Templates are ours alone; facts from people only ever fill them in."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._environments: dict[str, Environment] = {}

    def write(self, name: str, language: str, facts: Mapping[str, object]) -> Letter:
        parts = ("subject.txt", "body.txt", "body.html")
        subject, text, html = (self.part(name, part, language, facts) for part in parts)
        return Letter(" ".join(subject.split()), text + "\n", html + "\n")

    def part(self, name: str, part: str, language: str, facts: Mapping[str, object]) -> str:
        environment = self._environment(language or self._settings.default_language)
        return environment.get_template(f"{name}/{part}").render(facts).strip()

    def _environment(self, language: str) -> Environment:
        if language not in self._environments:
            environment = Environment(
                loader=FileSystemLoader(HERE / "templates" / "messages"),
                autoescape=select_autoescape(["html"]),
                extensions=["jinja2.ext.i18n"],
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            translations = Translations.load(HERE / "translations", [language])
            environment.install_gettext_translations(translations, newstyle=True)
            environment.filters["translate"] = translations.gettext
            environment.globals |= {
                "product_name": self._settings.product_name,
                "panel": self._settings.base_url,
                "letter_language": language,
            }
            environment.filters["moment"] = self._moment
            self._environments[language] = environment
        return self._environments[language]

    @staticmethod
    @pass_context
    def _moment(context, seconds: int) -> str:
        """The exact time in the recipient's zone and language, with the zone's name."""
        zone = get_timezone(context.get("timezone") or "UTC")
        moment = datetime.fromtimestamp(seconds, UTC)
        return format_datetime(moment, "long", tzinfo=zone, locale=context["letter_language"])
