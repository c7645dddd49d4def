"""A file of users brings phone numbers and states: the export of another Postern has them."""

import peewee as pw

from migrations.steps import Steps

COLUMNS = ("phone VARCHAR(16) NOT NULL DEFAULT ''", "state VARCHAR(16) NOT NULL DEFAULT 'active'")


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.ensure_column("user_import_line", column)


def would_lose(database: pw.Database) -> str:
    found = "SELECT COUNT(*) FROM user_import_line WHERE phone <> '' OR state <> 'active'"
    ((count,),) = database.execute_sql(found).fetchall()
    return f"phone numbers and states of {count} user(s) who wait to be added from files" if count else ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.lose_column("user_import_line", column.partition(" ")[0])
