"""Templates that are translated when they are compiled: an environment for each language, in whose templates the
sentences stand as they are in that language, not as questions to a catalogue."""

from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Self

from babel.support import NullTranslations, Translations
from flask import Flask, has_request_context
from flask.templating import Environment
from flask_babel import get_domain
from jinja2 import Template, nodes, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from . import words
from .icons import icon
from .lean_templates import LeanCode, LeanContext, LeanMacro, escaped, trusted
from .readable_names import all_shown


class TranslatedEnvironment(Environment):
    """Flask's environment, which gives its templates out in the language of the request."""

    code_generator_class, context_class, macro_class = LeanCode, LeanContext, LeanMacro
    escaped = staticmethod(escaped)
    # The language of this environment's templates; none for the one that gives them out, and outside a request.
    language = ""
    translations: Translations | NullTranslations | None = None

    def __init__(self, app: Flask, **options):
        super().__init__(app, **options)
        self.in_language: dict[str, Self] = {}
        self._kept: dict[str, Template] = {}

    def get_template(self, name: str | Template, parent: str | None = None, globals: dict | None = None) -> Template:
        spoken = self._spoken()
        template = spoken._kept.get(name)
        if template is None or spoken.auto_reload:
            template = super(TranslatedEnvironment, spoken).get_template(name, parent, globals)
            if spoken.language and not globals and type(name) is str:
                spoken._kept[name] = template
        return template

    def select_template(self, names, parent: str | None = None, globals: dict | None = None) -> Template:
        return super(TranslatedEnvironment, self._spoken()).select_template(names, parent, globals)

    def _spoken(self) -> Self:
        if self.language or not has_request_context():
            return self
        language = words.language()
        if language not in self.in_language:
            self.in_language[language] = self._translated(language, get_domain().get_translations())
        return self.in_language[language]

    def _translated(self, language: str, translations: Translations | NullTranslations) -> Self:
        spoken = self.overlay()
        spoken.language, spoken.translations, spoken._kept = language, translations, {}
        spoken.globals = self.globals | _sentences(translations)
        return spoken

    def make_globals(self, given: MutableMapping | None) -> MutableMapping:
        """The environment's own where a template is given none: Jinja compares the names at each import, and those of a
        chain of dictionaries take as long as what is imported."""
        return super().make_globals(given) if given else self.globals

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        return Translator(self.translations).visit(template) if self.translations else template


class Translator(NodeTransformer):
    """Puts sentences in the place of `_("…")`, and pictures in that of `icon("…")`. As where Jinja asks the catalogue,
    a sentence is trusted HTML, and what stands for a placeholder in it is escaped."""

    def __init__(self, translations: Translations | NullTranslations):
        self.translations = translations

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        """`{{ this if that }}` shows nothing otherwise, and needs no undefined value to say so."""
        node = self.generic_visit(node)
        for each in node.nodes:
            if isinstance(each, nodes.CondExpr) and each.expr2 is None:
                each.expr2 = nodes.TemplateData("", lineno=each.lineno)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        node = self.generic_visit(node)
        if _is_of_words(node, "icon") and not node.kwargs:
            return nodes.TemplateData(icon(node.args[0].value), lineno=node.lineno)
        if not _is_of_words(node, "_", "gettext"):
            return node
        sentence = self.translations.ugettext(node.args[0].value)
        if not node.kwargs:
            return nodes.TemplateData(sentence % {}, lineno=node.lineno)
        facts = [nodes.Pair(nodes.Const(fact.key), _shown(fact.value)) for fact in node.kwargs]
        return nodes.Mod(nodes.TemplateData(sentence), nodes.Dict(facts), lineno=node.lineno)


def _shown(fact: nodes.Expr) -> nodes.Filter:
    """The filter `shown`, which makes a fact of a sentence what a template shows in its place."""
    return nodes.Filter(fact, "shown", [], [], None, None, lineno=fact.lineno)


def _is_of_words(node: nodes.Call, *names: str) -> bool:
    """Whether one of these functions is called, with words that stand in the template."""
    is_named = isinstance(node.node, nodes.Name) and node.node.name in names
    has_words = len(node.args) == 1 and isinstance(node.args[0], nodes.Const)
    return is_named and has_words and not node.dyn_args and not node.dyn_kwargs


def _sentences(translations: Translations | NullTranslations) -> dict[str, Callable]:
    """What templates ask for sentences that are known only when the page is made."""

    @lru_cache(maxsize=2048)
    def alone(sentence: str) -> Markup:
        return trusted(translations.ugettext(sentence) % {})

    @pass_eval_context
    def gettext(context: EvalContext, sentence: str, /, **facts: object) -> str:
        if not facts and context.autoescape:
            return alone(sentence)
        found = translations.ugettext(sentence)
        return _trusted(found, context) % all_shown(facts)

    @pass_eval_context
    def ngettext(context: EvalContext, singular: str, plural: str, count: int, /, **facts: object) -> str:
        found = translations.ungettext(singular, plural, count)
        return _trusted(found, context) % {"num": count, **all_shown(facts)}

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext}


def _trusted(sentence: str, context: EvalContext) -> str:
    return Markup(sentence) if context.autoescape else sentence  # noqa: S704 - our translators' own
