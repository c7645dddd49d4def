"""The house: which floor may know which, what every view declares, and that tables are what the models say."""

import ast
import re
from pathlib import Path

import pytest
from flask import Flask

import postern
from postern import models
from postern.blueprints.web import hx
from postern.blueprints.web.guards import BEFORE_A_NEW_PASSWORD, Access

PACKAGE = Path(postern.__file__).parent
TEMPLATES = PACKAGE / "templates"
WEB_ONLY = ("flask", "werkzeug", "jinja2", "wtforms", "flask_wtf", "flask_login", "flask_babel", "htmx_flask")


def modules(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in PACKAGE.glob(folder))


def imports_of(file: Path) -> set[str]:
    """The full names of whatever a module imports, wherever in it."""
    package = ["postern", *file.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def imports(file: Path, *forbidden: str) -> set[str]:
    return {name for name in imports_of(file) for each in forbidden if name == each or name.startswith(each + ".")}


@pytest.mark.parametrize("file", modules("actions/*.py", "models.py", "settings.py", "worker.py"), ids=lambda f: f.stem)
def test_the_lower_floors_know_no_web(file):
    assert not imports(file, *WEB_ONLY, "postern.blueprints", "postern.app", "postern.cli")


@pytest.mark.parametrize("file", modules("models.py", "settings.py"), ids=lambda f: f.stem)
def test_storage_and_settings_know_no_action(file):
    assert not imports(file, "postern.actions", "postern.adapters")


@pytest.mark.parametrize(
    "file",
    [f for f in modules("**/*.py") if "adapters" not in f.parts and f.name not in ("app.py", "cli.py")],
    ids=lambda f: str(f.relative_to(PACKAGE)),
)
def test_adapters_are_known_to_the_composition_only(file):
    assert not imports(file, "postern.adapters")


@pytest.mark.parametrize("file", modules("adapters/*.py"), ids=lambda f: f.stem)
def test_adapters_know_the_ports_and_nothing_above(file):
    allowed = imports(file, "postern.actions.ports", "postern.actions.names", "postern.actions.device_passwords")
    assert not imports(file, "postern.blueprints", "postern.app", "postern.cli", "postern.models", "flask")
    assert imports(file, "postern.actions") - {"postern.actions"} <= allowed


@pytest.mark.parametrize("file", modules("blueprints/*/*.py"), ids=lambda f: "/".join(f.parts[-2:]))
def test_no_screen_knows_another(file):
    own = f"postern.blueprints.{file.parent.name}"
    others = {name for name in imports(file, "postern.blueprints") if name.count(".") >= 2}
    assert not {name for name in others if not re.match(rf"({re.escape(own)}|postern\.blueprints\.web)(\.|$)", name)}


@pytest.mark.parametrize("file", modules("blueprints/*/*.py", "cli.py", "app.py"), ids=lambda f: "/".join(f.parts[-2:]))
def test_only_actions_open_transactions(file):
    assert "atomic(" not in file.read_text(encoding="utf-8")
    assert "@transactional" not in file.read_text(encoding="utf-8")


def test_the_arrows_are_really_looked_at(tmp_path):
    assert imports(PACKAGE / "app.py", "flask")
    assert imports(PACKAGE / "blueprints" / "account" / "routes.py", "postern.blueprints.account.forms")


def test_every_view_declares_who_may_see_it(app: Flask):
    undeclared = [
        name for name, view in app.view_functions.items() if not isinstance(getattr(view, "access", None), Access)
    ]
    assert not undeclared


def test_views_that_are_named_exist(app: Flask):
    assert set(app.view_functions) >= BEFORE_A_NEW_PASSWORD


def test_every_htmx_reply_belongs_to_a_view(app: Flask):
    replies = {str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.htmx.html")}
    assert replies
    assert replies <= {hx.reply_of(endpoint) for endpoint in app.view_functions}


def test_every_address_that_htmx_asks_for_answers_with_a_fragment(app: Flask):
    """What a template fetches into the dialog or into a part of the page must have a reply that is a fragment."""
    asked = set()
    for file in TEMPLATES.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        asked |= set(re.findall(r"""data-dialog=["{ ]*url_for\(["']([\w.]+)""", text))
        asked |= set(re.findall(r"""href="{{ url_for\(["']([\w.]+)["'][^}]*}}"[^>]*\sdata-dialog""", text))
    assert asked
    assert not [endpoint for endpoint in asked if not (TEMPLATES / hx.reply_of(endpoint)).is_file()]


@pytest.mark.parametrize("file", sorted(TEMPLATES.rglob("*.html")), ids=lambda f: str(f.relative_to(TEMPLATES)))
def test_no_template_needs_what_the_policy_forbids(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"hx-on|js:|javascript:|\sstyle=|<style|\son[a-z]+=|\|\s*safe\b|hx-trigger=\"[^\"]*\[", text)


# --- storage ---


def columns_of(table) -> dict[str, tuple]:
    return {
        column.name: (column.data_type.lower(), column.null, column.primary_key)
        for column in models.database.get_columns(table)
    }


def indexes_of(table) -> set[tuple]:
    return {(tuple(index.columns), index.unique) for index in models.database.get_indexes(table)}


def foreign_keys_of(table) -> set[tuple]:
    return {(key.column, key.dest_table, key.dest_column) for key in models.database.get_foreign_keys(table)}


def shape() -> dict[str, tuple]:
    return {
        model._meta.table_name: tuple(
            look(model._meta.table_name) for look in (columns_of, indexes_of, foreign_keys_of)
        )
        for model in models.TABLES
    }


def test_the_migrations_make_exactly_the_tables_of_the_models(database_url):
    opened = models.open_database(database_url)
    with opened.connection_context():
        models.router().run()
        migrated, views = shape(), {view.name for view in opened.get_views()}
        tables = set(opened.get_tables()) - {"sqlite_sequence"}
        assert models.pending_migrations() == []
        for view in views:
            opened.execute_sql(f"DROP VIEW {view}")
        opened.drop_tables(models.TABLES)
        opened.create_tables(models.TABLES)
        assert migrated == shape()
    assert {"mail_login", "mail_user"} <= views
    assert tables - views == {model._meta.table_name for model in models.TABLES} | {"migratehistory"}


def test_migrating_twice_changes_nothing(database_url):
    opened = models.open_database(database_url)
    with opened.connection_context():
        models.router().run()
        before = shape()
        models.router().run()
        assert shape() == before
