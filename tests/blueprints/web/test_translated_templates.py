"""Templates that were translated when they were compiled say what they would say if they asked the catalogue."""

import re

import pytest
from flask import Flask, render_template
from flask.templating import Environment
from jinja2 import DictLoader

from blueprints.web.errors import Panel
from settings import LANGUAGES
from tests.client import Client, Page
from tests.conftest import PASSWORD, app_of
from tests.languages import FEW_LANGUAGES

PAGES = (
    "/sign-in", "/account/password", "/account/sessions", "/account/activity", "/account/preferences", "/devices/",
    "/devices/new", "/devices/invitations/new", "/collaborations/", "/collaborations/new", "/nowhere",
)  # fmt: skip
# Fresh in every answer.
SECRETS = re.compile(r'nonce="[^"]+"|(name="(?:csrf_token|request_id)"[^>]* value=)"[^"]+"')

SMALL = {
    "part.html": '{% macro says(text) %}<b title="{{ text }}">{{ text }}</b>{% endmacro %}',
    "base.html": "<title>{% block title %}{% endblock %}</title>{% include 'included.html' %}",
    "included.html": '{{ _("Sign out") }}',
    "page.html": """{% extends "base.html" %}{% from "part.html" import says %}{% block title %}
        {{ _("Password") }} {{ says(_("Password")) }} {{ _("Password")|length }} {{ _(chosen) }} {{ _(unknown) }}
        {{ _("%(amount)s GB", amount=hostile) }} {{ says(_("%(amount)s GB", amount=hostile)) }}
        {{ ngettext("%(count)s mailbox", "%(count)s mailboxes", 3, count=hostile) }}
        {{ ngettext("%(num)s signed-in browser", "%(num)s signed-in browsers", 5) }}
        {{ _("Password") ~ hostile }} {{ hostile }} {{ hostile|e }} {{ none }} {{ 7 }}
        {% endblock %}""",
    "plain.txt": '{{ _("Password") }} {{ _("%(amount)s GB", amount=hostile) }} {{ hostile }}',
}
GIVEN = {"hostile": "<script>\"'&", "chosen": "Sign in", "unknown": "<i>No sentence of ours</i>"}


@pytest.fixture
def plain_app(settings, ports, monkeypatch) -> Flask:
    """The panel as Flask would make it."""
    monkeypatch.setattr(Panel, "jinja_environment", Asking)
    return app_of(settings, ports)


class Asking(Environment):
    """Flask's own environment; compiled templates of this kind are not those of any language."""

    language = "asks the catalogue"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["page.html", "plain.txt"])
def test_of_every_kind_of_sentence(app, plain_app, language: str, name: str):
    said = []
    for each in (app, plain_app):
        each.jinja_env.loader, each.jinja_env.bytecode_cache = DictLoader(SMALL), None
        with each.test_request_context(headers={"Accept-Language": language}):
            said.append(render_template(name, **GIVEN))
    assert said[0] == said[1]
    assert ("<script>" in said[0]) == (name == "plain.txt")


def token_of(page: Page) -> str:
    return page.tree.find(".//input[@name='csrf_token']").get("value")


@pytest.mark.parametrize("language", FEW_LANGUAGES)
def test_of_whole_pages(app, plain_app, settings, anna, language: str):
    pages = []
    for each in (app, plain_app):
        client = Client(each, settings.base_url, **{"Accept-Language": language})
        visited = [client.request("GET", "/sign-in")]
        form = {"csrf_token": token_of(visited[0]), "login": anna.login, "password": PASSWORD}
        client.request("POST", "/sign-in", form, Sec_Fetch_Site="same-origin")
        visited += [client.request("GET", page) for page in PAGES]
        pages.append([SECRETS.sub(r"\1", page.response.text) for page in visited])
    # Whoever signed in twice has another session.
    for asked, mine, theirs in zip(("/sign-in", *PAGES), *pages, strict=True):
        if asked not in ("/account/sessions", "/account/password", "/account/activity"):
            assert mine == theirs, asked
        assert f'lang="{language}"' in mine or "Redirecting" in mine


def test_a_language_that_is_chosen_meanwhile_is_spoken_at_once(client, anna):
    client.sign_in(anna.login, PASSWORD)
    token = token_of(client.open("/account/preferences"))
    page = client.post("/account/preferences", {"csrf_token": token, "language": "it", "timezone": ""})
    assert 'lang="it"' in page.response.text
