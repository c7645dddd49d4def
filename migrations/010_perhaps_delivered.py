"""How often a message was handed over without an answer stands beside it: it was perhaps delivered."""

import peewee as pw
from peewee_migrate import Migrator


def migrate(migrator: Migrator, database: pw.Database, *, fake=False):
    migrator.run(_add_column, database, "outbox_item", "unanswered INTEGER NOT NULL DEFAULT 0")


def rollback(migrator: Migrator, database: pw.Database, *, fake=False):
    migrator.sql("ALTER TABLE outbox_item DROP COLUMN unanswered")


def _add_column(database: pw.Database, table: str, column: str) -> None:
    """Add a column that is not there yet: MySQL keeps what it did of a step that was interrupted."""
    if column.partition(" ")[0] not in {present.name for present in database.get_columns(table)}:
        database.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
