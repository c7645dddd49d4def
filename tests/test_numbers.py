"""Rows and their numbers: none is reused, and code that holds a reused one writes nothing with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import database as db
import models
from database import Table, update_each
from models import Account, DeviceInvitation, OneTimeLink, now
from tests import arrows
from tests.numbers import a_row, trusts_a_number

NUMBERED = [table for table in models.TABLES if table._meta.auto_increment]
WRITES = {"write", "update", "delete", "hold", "save", "delete_instance", "itself", "these"}
# What Peewee and SQL know beside them, and nobody here may use: it finds rows by their numbers.
BY_NUMBER = {"delete_by_id", "set_by_id", "bulk_update", "replace_many"}


def named(table: type[Table]) -> str:
    return table.__name__


def content_of(row: Table) -> dict:
    return type(row).select().where(type(row).id == row.id).dicts().get()


def made_anew(table: type[Table], **columns: object) -> tuple[Table, Table]:
    """A row as somebody loaded it who was slow, and the one that has its number by now."""
    former = a_row(table, "a", **columns)
    table.delete().where(table.id == former.id).execute()
    return former, a_row(table, "bb", id=former.id, **columns)


# --- none comes again ---


@pytest.mark.parametrize("table", NUMBERED, ids=named)
def test_the_number_of_what_was_deleted_is_never_given_again(database, table):
    last = a_row(table, "a")
    table.delete().where(table.id == last.id).execute()
    assert a_row(table, "bb").id > last.id


def test_every_table_with_a_number_is_defined_so(database):
    if db.is_mysql():
        (persistent_since, present) = ((10, 2, 4), db.database.obj.server_version)
        assert tuple(present[:3]) >= persistent_since
        return
    defined = db.database.execute_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%PRIMARY KEY AUTOINCREMENT%'")
    assert {name for (name,) in defined} >= {table._meta.table_name for table in NUMBERED}


# --- code that holds a reused one ---


@pytest.mark.parametrize("table", NUMBERED, ids=named)
def test_what_was_loaded_before_writes_nothing_into_what_has_its_number_now(database, table):
    former, present = made_anew(table)
    before = content_of(present)
    for field in table._meta.sorted_fields:
        if field.name not in ("id", *table.identity):
            assert not former.write(**{field.name: getattr(former, field.name)})
            update_each([(former, {field.name: getattr(former, field.name)})])
    assert not former.save()
    assert not former.delete_instance()
    for found in (former.itself(), table.these([former])):
        assert not table.select().where(found).exists()
        assert not table.delete().where(found).execute()
    assert content_of(present) == before


@pytest.mark.parametrize("table", NUMBERED, ids=named)
def test_what_is_there_is_written(database, table):
    row = a_row(table, "a")
    assert row.save()
    assert table.select().where(row.itself()).get() == row
    assert table.select().where(table.these([row])).get() == row
    assert row.delete_instance()


# Each method of the tables that writes a row, and the columns with which the row that is there would take it.
METHODS = {
    "Account.replace_password": ({}, lambda row: row.replace_password(row.password_hash, "new")),
    "Account.put_into_state": ({}, lambda row: row.put_into_state(Account.LOCKED)),
    "OneTimeLink.use": ({"expires_at": now() + 10**6}, OneTimeLink.use),
    "OutboxItem.lease": ({"leased_until": 0}, lambda row: row.lease(60)),
    "DeviceInvitation.accept": ({"expires_at": now() + 10**6}, DeviceInvitation.accept),
    "DeviceInvitation.withdraw": ({}, DeviceInvitation.withdraw),
    "UserImport.lease": ({"leased_until": 0}, lambda row: row.lease(60)),
    "PasswordChange.lease": ({"state": "changing", "leased_until": 0}, lambda row: row.lease("worker", 60)),
    "PasswordChange.proceed": ({"state": "draft"}, lambda row: row.proceed("draft", "preparing")),
}
OF_EVERY_TABLE = {
    "Table.itself",
    "Table._pk_expr",
    "Table.these",
    "Table.write",
    "Table.save",
    "Table.hold",
}


def functions(file: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function of a module with its own name, and its class's before it."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{each.name}", each) for each in node.body if isinstance(each, ast.FunctionDef))
        elif isinstance(node, ast.FunctionDef):
            yield node.name, node


def called(node: ast.AST) -> set[str]:
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return {each.attr for each in calls if isinstance(each, ast.Attribute)}


def test_every_method_that_writes_is_looked_at():
    tables = {table.__name__ for table in models.TABLES} | {"Table"}
    writing = {
        name
        for file in arrows.files("database.py", "models.py")
        for name, node in functions(file)
        if name.partition(".")[0] in tables and called(node) & WRITES
    }
    assert writing == METHODS.keys() | (OF_EVERY_TABLE - {"Table.these", "Table.itself"})


@pytest.mark.parametrize("method", METHODS)
def test_no_method_writes_into_what_has_the_number_now(database, method):
    columns, call = METHODS[method]
    former, present = made_anew(getattr(models, method.partition(".")[0]), **columns)
    before = content_of(present)
    assert not call(former)
    assert content_of(present) == before
    assert call(present)


# --- every statement of the code ---


def is_column(node: ast.AST) -> bool:
    """Whether this is a column of some table: `Device.name`."""
    tables = {table.__name__ for table in models.TABLES}
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in tables


def is_number(node: ast.AST) -> bool:
    """Whether this is the number of some table: `Device.id`."""
    return is_column(node) and node.attr == "id"


def compares_numbers(node: ast.AST) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Compare):
            numbers = [is_number(side) for side in (each.left, *each.comparators)]
            is_join = all(map(is_column, (each.left, *each.comparators)))
            if any(numbers) and not is_join:
                return True
        if isinstance(each, ast.Attribute) and each.attr in ("in_", "not_in") and is_number(each.value):
            return True
    return False


def written_by(node: ast.AST) -> bool:
    """Whether a table's rows are changed or deleted here by a statement of its own."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and is_column(each.func) and each.func.attr in ("update", "delete"):
            return True
    return False


MODULES = [file for file in arrows.product() if "migrations" not in file.parts]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(arrows.ROOT)))
def test_no_update_and_no_delete_finds_its_row_by_the_number(file):
    for name, node in functions(file):
        assert not (written_by(node) and compares_numbers(node)), f"{file}: {name}"
        assert not called(node) & BY_NUMBER, f"{file}: {name}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(arrows.ROOT)))
def test_no_row_is_held_by_an_update_that_leaves_it_as_it_was(file):
    """Between the nodes of a cluster that holds nothing: `Table.hold` changes it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and is_column(node.func) and node.func.attr == "update":
            for given in node.keywords:
                as_it_was = is_column(given.value) and given.value.attr == given.arg
                assert not as_it_was or given.value.value.id != node.func.value.id, f"{file}:{node.lineno}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(arrows.ROOT)))
def test_what_is_saved_is_looked_at_whether_it_was(file):
    """`save` finds the very row too, and says whether there was one."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and "save" in called(node):
            by = node.value
            of_row = isinstance(by.func, ast.Attribute) and by.func.attr == "save" and not by.args
            new = any(each.arg == "force_insert" for each in by.keywords)
            assert not of_row or new or not {each.arg for each in by.keywords} <= {"only"}, f"{file}:{node.lineno}"


@pytest.mark.parametrize(
    ("trusts", "sql"),
    [
        (True, 'UPDATE "device" SET "name" = ? WHERE ("device"."id" = ?)'),
        (True, "DELETE FROM `web_session` WHERE (`web_session`.`id` = %s)"),
        (True, 'UPDATE "device" SET "name" = ? WHERE ("device"."id" IN (?, ?))'),
        (True, "UPDATE password_change_item SET `secret` = %s WHERE `id` = %s"),
        (False, 'DELETE FROM "web_session" WHERE (("web_session"."id" = ?) AND ("web_session"."token_hash" = ?))'),
        (False, 'UPDATE "account" SET "held" = ("account"."held" + ?) WHERE ("account"."id" IN (?))'),
        (True, 'UPDATE "account" SET "held" = ("account"."held" + ?), "state" = ? WHERE ("account"."id" = ?)'),
        (False, 'DELETE FROM "web_session" WHERE ("web_session"."account_id" = ?)'),
        (False, 'SELECT "id" FROM "device" WHERE ("device"."id" = ?)'),
    ],
)
def test_the_tests_know_a_statement_that_trusts_a_number(trusts, sql):
    """Every test that has a database refuses such a statement of Postern's."""
    assert trusts_a_number(sql) == trusts


# Rows that are made, or read, in the very transaction that writes them; and what is no row.
SET_DIRECTLY = {
    "actions/authority/authority.py: acting",
    "actions/ground/holding.py: present",
    "actions/ground/unit_of_work.py: aftermath",
    "actions/password_changes/password_change_run.py: preparation",
    "actions/services/mailboxes.py: manager",
    "actions/services/search_words.py: account",
    "actions/collaborations/collaborations.py: collaboration",
    "actions/devices/invitations.py: present",
    "actions/devices/invitations.py: invitation",
    "actions/users/_sheets.py: parser",
}


def test_a_row_is_changed_by_what_undoes_it_when_nothing_is_committed():
    """`Table.write` remembers what the row was; an attribute that is set stays set when its transaction is lost."""
    set_directly = {
        f"{file.relative_to(arrows.ROOT)}: {target.value.id}"
        for file in arrows.files("actions")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for each in (node.targets if isinstance(node, ast.Assign) else [])
        for target in (each.elts if isinstance(each, ast.Tuple) else [each])
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id != "self"
    }
    assert set_directly == SET_DIRECTLY
