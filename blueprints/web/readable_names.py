"""Domain names on pages: every one is shown as people read it, unless the template says that it is `for_programs`."""

import re
from collections.abc import Callable

from flask import Flask
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from actions.ground.addresses import unmistakable, with_ascii_domain
from actions.ground.domain_names import readable

# Where a sign begins within an address.
SIGNS = re.compile(r"(?<=.)(?=[.@])")


class ForPrograms(str):
    """A text that is shown as it is."""

    __slots__ = ()


def init_app(app: Flask) -> None:
    """Make it so for what templates show, alone and within sentences. Babel has been set up."""
    environment = app.jinja_env
    environment.finalize = shown
    environment.filters |= {"breakable": breakable, "readable": readable, "for_programs": for_programs, "shown": shown}
    environment.filters |= {"unmistakable": unmistakable}
    for name in ("gettext", "ngettext"):
        environment.globals[name] = _with_readable_facts(environment.globals[name])


def shown(value: object) -> object:
    """What a template shows in place of this value. Markup was made of values that went through here."""
    return readable(value) if type(value) is str else value


def all_shown(facts: dict[str, object]) -> dict[str, object]:
    """What stands for the placeholders of a sentence."""
    return {name: shown(fact) for name, fact in facts.items()}


def for_programs(address: str) -> ForPrograms:
    """An address or domain as it is typed into mail programs, whose servers know the encoded name only."""
    return ForPrograms(with_ascii_domain(address))


def breakable(address: str) -> Markup:
    """An address that a narrow column breaks before its signs alone."""
    return Markup(SIGNS.sub("<wbr>", escape(readable(address))))  # noqa: S704 - escaped


def _with_readable_facts(says: Callable) -> Callable:
    @pass_context
    def said(context: Context, *sentences: object, **facts: object) -> str:
        return says(context, *sentences, **all_shown(facts))

    return said
