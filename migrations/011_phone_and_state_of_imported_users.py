"""A file of users brings phone numbers and states: the export of another Postern has them."""

import peewee as pw
from peewee_migrate import Migrator

COLUMNS = ("phone VARCHAR(16) NOT NULL DEFAULT ''", "state VARCHAR(16) NOT NULL DEFAULT 'active'")


def migrate(migrator: Migrator, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.run(_add_column, database, "user_import_line", column)


def rollback(migrator: Migrator, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.sql(f"ALTER TABLE user_import_line DROP COLUMN {column.partition(' ')[0]}")


def _add_column(database: pw.Database, table: str, column: str) -> None:
    """Add a column that is not there yet: MySQL keeps what it did of a step that was interrupted."""
    if column.partition(" ")[0] not in {present.name for present in database.get_columns(table)}:
        database.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
