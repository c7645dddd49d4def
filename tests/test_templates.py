"""The templates and the stylesheet: what is used exists, what exists is used, and each is in its place."""

import ast
import re
from types import FunctionType

from flask import Flask

from blueprints.web import assets, hx
from tests import arrows

TEMPLATES, CSS, JS = (arrows.ROOT / each for each in ("templates", "static/css", "static/js"))
# E-mails have a loader and tests of their own.
TEXTS = {
    str(file.relative_to(TEMPLATES)): file.read_text(encoding="utf-8")
    for file in sorted(TEMPLATES.rglob("*.*"))
    if file.relative_to(TEMPLATES).parts[0] != "messages"
}
STYLES = {
    file.stem: re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    for file in sorted(CSS.glob("*.css"))
}
TEMPLATE = re.compile(r"\w[\w/]*(?:\.htmx)?\.(?:html|xml)")


def named_in(text: str) -> set[str]:
    """The templates that another one is based on, includes or imports from."""
    return set(re.findall(rf'"({TEMPLATE.pattern})"', text))


def named_by_views() -> set[str]:
    """The templates that the blueprints name."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in arrows.files("blueprints")]
    constants = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {each for each in constants if isinstance(each, str) and TEMPLATE.fullmatch(each)}


def named_by(view: FunctionType) -> set[str]:
    """The templates that a view names, itself or through functions of its module."""
    found, waiting, seen = set(), [view], set()
    while waiting:
        function = waiting.pop()
        seen.add(function)
        code = function.__code__
        found |= {each for each in code.co_consts if isinstance(each, str) and each in TEXTS}
        called = [function.__globals__.get(name) for name in code.co_names]
        waiting += [
            each
            for each in called
            if isinstance(each, FunctionType) and each.__module__ == view.__module__ and each not in seen
        ]
    return found


def is_question(name: str) -> bool:
    return TEXTS[name].startswith('{% extends "question.html" %}')


def class_words(text: str) -> set[str]:
    """The classes that a template gives to elements, also in expressions."""
    attributes = re.findall(r'\bclass="((?:[^"{]|\{\{.*?\}\}|\{%.*?%\})*)"', text)
    literal = [re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", each) for each in attributes]
    chosen = [word for each in attributes for inner in re.findall(r"\{\{(.*?)\}\}", each) for word in quoted(inner)]
    return {word for each in [*literal, *chosen] for word in each.split()}


def quoted(text: str) -> list[str]:
    return [first or second for first, second in re.findall(r"""'([\w -]+)'|"([\w -]+)\"""", text)]


def styled_classes() -> set[str]:
    selectors = [each for css in STYLES.values() for each in re.findall(r"([^{};]+)\{", css) if "@" not in each]
    return {name for each in selectors for name in re.findall(r"\.(-?[a-z][\w-]*)", each)}


def test_no_template_needs_what_the_policy_forbids():
    forbidden = r"hx-on|js:|javascript:|\son[a-z]+=|\|\s*safe\b|hx-trigger=\"[^\"]*\["
    templates = sorted([*TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.jinja")])
    assert templates
    assert not [file for file in templates if re.search(forbidden, file.read_text(encoding="utf-8"))]
    # Mail programs have no policy, and keep only the styles of elements.
    assert not [name for name, text in TEXTS.items() if re.search(r"\sstyle=|<style", text)]


def test_browsers_leave_it_to_us_what_an_address_is():
    assert [name for name, text in TEXTS.items() if re.search(r'[,\s]type="email"[,\s)>]', text)] == []


def test_every_template_is_used_and_every_one_that_is_named_exists(app: Flask):
    replies = {hx.reply_of(endpoint) for endpoint in app.view_functions}
    named = named_by_views().union(*map(named_in, TEXTS.values()))
    assert set(TEXTS) - named - replies == set()
    assert named - set(TEXTS) == set()


def test_what_several_screens_use_stands_in_the_components():
    def screen(name: str) -> str:
        return name.rpartition("/")[0]

    assert not [
        f"{name} uses {other}"
        for name, text in TEXTS.items()
        for other in named_in(text)
        if screen(other) not in ("", "components", screen(name))
    ]


def test_every_address_that_htmx_asks_for_answers_with_a_fragment(app: Flask):
    """What a template fetches into the dialog or into a part of the page is a question, or has a reply of its own."""
    asked = set()
    for text in TEXTS.values():
        asked |= set(re.findall(r"""data-dialog=["{ ]*(?:url_for|address_of)\(["']([\w.]+)""", text))
        asked |= set(re.findall(r"""data-dialog": (?:url_for|address_of)\(["']([\w.]+)""", text))
        asked |= set(
            re.findall(r"""href="{{ (?:url_for|address_of)\(["']([\w.]+)["'][^}]*}}"[^>]*\sdata-dialog""", text)
        )
    assert asked
    assert not [
        endpoint
        for endpoint in asked
        if hx.reply_of(endpoint) not in TEXTS and not any(map(is_question, named_by(app.view_functions[endpoint])))
    ]


def test_stylesheets_are_named_after_components_and_no_screen(app: Flask):
    screens = {*app.blueprints, *(file.parent.name for file in arrows.files("blueprints"))}
    screens |= {name.partition("/")[0] for name in TEXTS if "/" in name} - {"components"}
    assert not {each for each in STYLES if {each, f"{each}s"} & screens}


def test_every_stylesheet_is_one_layer_and_all_are_served_in_their_order():
    order = re.search(r"@layer (.*);", STYLES["layers"])[1].split(", ")
    assert ["layers", *order] == list(assets.STYLES)
    assert set(STYLES) == set(assets.STYLES)
    assert not [name for name in order if re.findall(r"@layer ([\w-]+)", STYLES[name]) != [name]]


def test_every_class_has_a_style_and_every_style_its_use():
    """A class that scripts or tests alone look for would be one without a style: there is none."""
    scripts = "".join(file.read_text(encoding="utf-8") for file in sorted(JS.glob("*.js")))
    code = "".join(file.read_text(encoding="utf-8") for file in arrows.files("blueprints"))
    given = set().union(*map(class_words, TEXTS.values()))
    assert given - styled_classes() == set()
    elsewhere = {word for text in (scripts, code, *TEXTS.values()) for word in quoted(text)}
    assert styled_classes() - given - elsewhere == set()
