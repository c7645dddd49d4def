"""An account says that e-mails to it came back: which address, why and when; and since when that would be news."""

import peewee as pw
from peewee_migrate import Migrator

COLUMNS = (
    "bounced_address VARCHAR(254) NOT NULL DEFAULT ''",
    "bounce_status VARCHAR(11) NOT NULL DEFAULT ''",
    "bounced_at {moment} NOT NULL DEFAULT 0",
    "contact_tried_at {moment} NOT NULL DEFAULT 0",
)


def migrate(migrator: Migrator, database: pw.Database, *, fake=False):
    moment = "BIGINT" if isinstance(database, pw.MySQLDatabase) else "INTEGER"
    for column in COLUMNS:
        migrator.run(_add_column, database, "account", column.format(moment=moment))


def rollback(migrator: Migrator, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.sql(f"ALTER TABLE account DROP COLUMN {column.partition(' ')[0]}")


def _add_column(database: pw.Database, table: str, column: str) -> None:
    """Add a column that is not there yet: MySQL keeps what it did of a step that was interrupted."""
    if column.partition(" ")[0] not in {present.name for present in database.get_columns(table)}:
        database.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
