"""Numbers of rows: how a test makes one come again, and what sees to it that no statement trusts one."""

import re
import sys

import database as db
import models
from actions.ground.tokens import digest
from database import Table
from tests import arrows

OURS = frozenset(map(str, arrows.product()))
STATEMENT = re.compile(r"(?:UPDATE|DELETE FROM)\s+[\"`]?(\w+)[\"`]?\s(.*)", re.DOTALL)
# A column beside a value that was brought: a join brings none.
COMPARED = re.compile(r"[\"`]?(\w+)[\"`]? (?:=|<>|!=|IN|NOT IN) \(?(?:\?|%s)")
TABLES = {table._meta.table_name: table for table in models.TABLES}


def give_again(table: type[Table], number: int) -> None:
    """The last number, whose row is deleted, goes to the next row: as SQLite gave them before its tables had
    `AUTOINCREMENT`, and as any database may after a restore."""
    name = table._meta.table_name
    if db.is_mysql():
        db.database.execute_sql(f"ALTER TABLE {name} AUTO_INCREMENT = {number}")
    else:
        db.database.execute_sql("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number - 1, name))


def a_row(table: type[Table], salt: str, family: dict | None = None, **columns: object) -> Table:
    """A row of this table and of all that it belongs to, whose texts and moments are different for another `salt`."""
    values, family = {}, {} if family is None else family
    for field in table._meta.sorted_fields:
        if field.primary_key or field.name in columns or field.null:
            continue
        if isinstance(field, models.ForeignKeyField):
            relation = field.rel_model
            family[relation] = values[field.name] = family.get(relation) or a_row(relation, salt, family)
        elif isinstance(field, models.JSONText):
            values[field.name] = {"salt": salt}
        elif isinstance(field, models.TextField | models.CharField | models.FixedCharField):
            values[field.name] = digest(salt + field.name)[: getattr(field, "max_length", None)]
        elif isinstance(field, models.BooleanField):
            values[field.name] = False
        elif field.name.endswith("_at") or field.default is None:
            values[field.name] = models.now() + len(salt)
    return table.create(**values, **columns)


def trusts_a_number(sql: str) -> bool:
    """Whether the statement writes rows that it finds by their number alone."""
    found = STATEMENT.match(sql)
    if not found or found[1] not in TABLES:
        return False
    change, _, where = found[2].partition("WHERE")
    columns = COMPARED.findall(where)
    # To hold a row changes nothing that anybody reads.
    only_holds = re.fullmatch(r"SET [\"`]held[\"`] = \(.*\)\s*", change.strip() + " ")
    identity = [getattr(TABLES[found[1]], name).column_name for name in TABLES[found[1]].identity]
    return "id" in columns and not only_holds and not set(identity) <= set(columns)


def refuse_bare_numbers(monkeypatch, database) -> None:
    """From now on no statement of Postern's may write a row that it finds by its number alone."""
    real = database.execute_sql

    def execute_sql(sql, *arguments, **named):
        if trusts_a_number(sql) and _is_posterns_own(sys._getframe(1)):
            raise AssertionError(f"This finds a row by its number alone, and not by Table.itself: {sql}")
        return real(sql, *arguments, **named)

    monkeypatch.setattr(database, "execute_sql", execute_sql)


def _is_posterns_own(frame) -> bool:
    while "peewee" in frame.f_code.co_filename or "playhouse" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename in OURS
