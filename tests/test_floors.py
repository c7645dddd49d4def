"""The house: which floor may know which, what every view declares, and that tables are what the models say."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

from flask import Flask

import database as db
import mail_views
import models
from actions import ROOMS
from actions.trail.events import Event
from blueprints.web.guards import BEFORE_A_NEW_PASSWORD, Access
from tests import arrows

ROOT = arrows.ROOT
WEB_ONLY = ("flask", "werkzeug", "jinja2", "wtforms", "flask_wtf", "flask_login", "flask_babel", "htmx_flask")
MOST_ROOMS, MOST_ARROWS = 15, 75
# Lines under its first one.
LONGEST_VIEW = 12
# What adapters may know of actions, and the modules outside that may know adapters.
KNOWN_TO_ADAPTERS = (
    "ground.ports", "ground.addresses", "ground.message", "devices.device_passwords", "passwords.mail_policy",
)  # fmt: skip
COMPOSITION = ("app.py", "cli", "doctor", "setup_host")


def offenders(files: list[Path], *forbidden: str, but: tuple[str, ...] = ()) -> list[str]:
    """Every import of what is forbidden, with the file that it stands in."""
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in sorted(arrows.imports(file))
        if arrows.is_below(name, *forbidden) and not arrows.is_below(name, *but)
    ]


def test_the_lower_floors_know_no_web():
    lower = arrows.files(
        "actions",
        "models.py",
        "database.py",
        "database_copy.py",
        "upgrades.py",
        "named_queries.py",
        "mail_views.py",
        "migrations",
        "settings",
        "worker.py",
    )
    assert offenders(lower, *WEB_ONLY, "blueprints", "app", "cli", "doctor") == []


def test_storage_and_settings_know_no_action():
    storage = ("models.py", "database.py", "database_copy.py", "upgrades.py", "named_queries.py", "mail_views.py")
    assert offenders(arrows.files(*storage, "settings"), "actions", "adapters") == []
    below_the_models = arrows.files("database.py", "upgrades.py", "migrations", "named_queries.py", "mail_views.py")
    assert offenders(below_the_models, "models") == []
    assert arrows.imports(ROOT / "mail_views.py") == set()


def test_a_room_knows_only_rooms_below_it():
    above = {name: ROOMS[: ROOMS.index(name)] for name in ROOMS}
    assert not {
        (source, f"{room}/{module}")
        for source, room, module in arrows.arrows()
        if room in above[source.partition("/")[0]]
    }


def test_a_private_module_is_known_to_its_own_room_only():
    """And to the tests of that room."""
    private = [f"actions.{room}.{module}" for room in ROOMS for module in arrows.modules_of(room) if module[0] == "_"]
    assert private
    for each in private:
        own = ROOT / "actions" / each.split(".")[1], ROOT / "tests" / "actions" / each.split(".")[1]
        others = [file for file in arrows.files("tests", "lab", "bench") + arrows.product() if file.parent not in own]
        assert offenders(others, each) == []


def test_a_module_that_only_its_own_room_knows_is_private():
    known = {
        f"{room}/{module}"
        for file in arrows.product()
        for room, module in arrows.modules_in(arrows.imports(file))
        if file.parent != ROOT / "actions" / room
    }
    public = {f"{room}/{module}" for room in ROOMS for module in arrows.modules_of(room) if module[0] != "_"}
    assert sorted(public - known) == []


def test_every_room_stands_in_the_list_and_says_what_others_may_import():
    assert sorted(ROOMS) == sorted(each.parent.name for each in (ROOT / "actions").glob("*/__init__.py"))
    assert [file.name for file in (ROOT / "actions").glob("*.py")] == ["__init__.py"]
    for room in ROOMS:
        said = set(re.findall(r"`(\w+)`", import_module(f"actions.{room}").__doc__))
        assert {each for each in arrows.modules_of(room) if not each.startswith("_")} == said, room


def test_rooms_are_few_and_so_are_the_arrows_between_them():
    assert len(ROOMS) <= MOST_ROOMS
    assert len(arrows.arrows_between_rooms()) <= MOST_ARROWS


def test_adapters_are_known_to_the_composition_only():
    others = [file for file in arrows.product() if "adapters" not in file.parts]
    others = [file for file in others if not set(COMPOSITION) & set(file.relative_to(ROOT).parts)]
    assert offenders(others, "adapters") == []


def test_adapters_know_the_ports_and_nothing_above():
    adapters = arrows.files("adapters")
    known = tuple(f"actions.{each}" for each in KNOWN_TO_ADAPTERS)
    rooms_themselves = tuple({name.rpartition(".")[0] for name in known})
    assert offenders(adapters, "blueprints", "app", "cli", "doctor", "models", "database", "flask") == []
    beyond = offenders(adapters, "actions", but=known)
    assert not [each for each in beyond if not each.endswith(tuple(f"imports {name}" for name in rooms_themselves))]


def test_setting_up_a_host_is_an_application_of_its_own():
    """It runs as root: only what it starts as Postern's own user opens the database."""
    own = ROOT / "setup_host" / "first_people.py"
    others = [file for file in arrows.product() if "setup_host" not in file.parts]
    assert offenders(others, "setup_host") == []
    as_root = [file for file in arrows.files("setup_host") if file != own]
    above = ("app", "cli", "doctor", "blueprints", "setup_host.first_people")
    assert offenders(as_root, "database", "models", *above) == []


def test_no_screen_knows_another():
    for screen in sorted((ROOT / "blueprints").glob("*/__init__.py")):
        own = f"blueprints.{screen.parent.name}"
        others = [f"blueprints.{each.parent.name}" for each in (ROOT / "blueprints").glob("*/__init__.py")]
        assert offenders(arrows.files(f"blueprints/{screen.parent.name}"), *others, but=(own, "blueprints.web")) == []


def test_only_actions_open_transactions():
    above = arrows.files("blueprints", "cli", "app.py")
    assert not [file for file in above if re.search(r"atomic\(|@transactional", file.read_text(encoding="utf-8"))]


def test_neither_the_laboratory_nor_a_measurement_knows_a_test():
    assert offenders(arrows.files("lab"), "tests", "bench") == []
    assert offenders(arrows.files("bench"), "tests") == []


def test_no_name_at_the_top_belongs_to_somebody_else():
    """Our modules have no package around them: none may hide one of Python's or of an installed distribution."""
    ours = {file.stem for file in ROOT.glob("*.py")}
    ours |= {file.parent.name for file in ROOT.glob("*/*.py") if file.parent.name[0] != "."}
    assert not ours & (set(sys.stdlib_module_names) | set(packages_distributions()))


def test_who_makes_no_pdf_does_not_load_what_makes_one():
    loading = "import sys, app, worker; print(*{'fpdf', 'fontTools'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loading], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_arrows_are_really_looked_at():
    assert offenders(arrows.files("app.py"), "flask")
    assert offenders(arrows.files("blueprints/account/routes.py"), "blueprints.account.forms")
    assert arrows.arrows_between_rooms()


def test_every_view_declares_who_may_see_it(app: Flask):
    undeclared = [
        name for name, view in app.view_functions.items() if not isinstance(getattr(view, "access", None), Access)
    ]
    assert not undeclared


def test_a_view_is_read_at_a_glance():
    """It loads, asks one form, does one action and gives one reply; what takes longer has a name of its own."""
    functions = [
        (file, node)
        for file in arrows.files("blueprints")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and any("guards." in ast.unparse(each) for each in node.decorator_list)
    ]
    assert functions
    assert not [
        f"{file.relative_to(ROOT)}: {node.name}"
        for file, node in functions
        if node.end_lineno - node.lineno > LONGEST_VIEW
    ]


def test_views_that_are_named_exist(app: Flask):
    assert set(app.view_functions) >= BEFORE_A_NEW_PASSWORD


# --- rows ---

# The worker holds many rows at once, or one that another worker may have finished: nobody waits for a sentence there.
HOLD_BY_THEMSELVES = {
    "actions/ground/holding.py: table.hold",
    "actions/password_changes/password_change_run.py: Account.hold",
    "actions/password_changes/password_change_run.py: PasswordChange.hold",
    "actions/users/imports.py: Account.hold",
    "actions/users/imports.py: UserImport.hold",
}


def test_a_row_is_held_in_one_way():
    """`holding.hold`, which refuses with a sentence when it is gone."""
    found = {
        f"{file.relative_to(ROOT)}: {ast.unparse(node.func)}"
        for file in arrows.product()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "hold"
    }
    assert found == HOLD_BY_THEMSELVES


# --- events ---


def test_an_event_is_named_after_its_code():
    names = {event.name: re.sub("[:-]", "_", event.code.removeprefix("web:")).upper() for event in Event}
    assert [name for name, expected in names.items() if name != expected] == []


def test_the_code_of_an_event_stands_in_one_place():
    """What is recorded, told of or looked for is a member of `Event`; only that knows the codes."""
    events = ROOT / "actions" / "trail" / "events.py"
    others = [file for file in arrows.product() if file != events and "migrations" not in file.parts]
    # Also the beginning of one that is put together.
    begins = re.compile(rf"({'|'.join({event.code.partition(':')[0] for event in Event})}):[\w-]*:")
    codes = [
        f"{file.relative_to(ROOT)}: {node.value}"
        for file in others
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and begins.match(str(node.value))
    ]
    assert codes == []
    templates = [file for file in (ROOT / "templates").rglob("*") if file.is_file()]
    assert [file for file in templates if any(event.code in file.read_text(encoding="utf-8") for event in Event)] == []


# --- storage ---


def columns_of(table) -> dict[str, tuple]:
    return {
        column.name: (column.data_type.lower(), column.null, column.primary_key)
        for column in db.database.get_columns(table)
    }


def indexes_of(table) -> set[tuple]:
    return {(tuple(index.columns), index.unique) for index in db.database.get_indexes(table)}


def foreign_keys_of(table) -> set[tuple]:
    return {(key.column, key.dest_table, key.dest_column) for key in db.database.get_foreign_keys(table)}


def shape() -> dict[str, tuple]:
    return {
        model._meta.table_name: tuple(
            look(model._meta.table_name) for look in (columns_of, indexes_of, foreign_keys_of)
        )
        for model in models.TABLES
    }


def test_the_migrations_make_exactly_the_tables_of_the_models(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run()
        migrated, views = shape(), {view.name for view in opened.get_views()}
        tables = set(opened.get_tables()) - {"sqlite_sequence"}
        assert db.pending_migrations() == []
        for view in views:
            opened.execute_sql(f"DROP VIEW {view}")
        opened.drop_tables(models.TABLES)
        opened.create_tables(models.TABLES)
        assert migrated == shape()
    assert views == set(mail_views.NAMES)
    assert tables - views == {model._meta.table_name for model in models.TABLES} | {"migratehistory"}


def test_migrating_twice_changes_nothing(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run()
        before = shape()
        db.router().run()
        assert shape() == before


def test_no_unit_of_work_hides_in_a_transaction_of_another_kind():
    """What follows its commit would be done while that transaction is still open."""
    hidden = [
        f"{file}: {node.name}"
        for file in arrows.files("actions")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and "transactional" in map(ast.unparse, node.decorator_list)
        if "UnitOfWork" in ast.unparse(node)
    ]
    assert hidden == []
