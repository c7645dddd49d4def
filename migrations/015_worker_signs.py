"""Where a worker works, with which secret key, and when it showed itself last."""

import peewee as pw

from migrations.steps import Steps

# One statement: MySQL keeps what it did of a step that was interrupted.
TABLE = """
CREATE TABLE IF NOT EXISTS worker_sign (
    node VARCHAR(255) NOT NULL PRIMARY KEY, key_check CHAR(64) NOT NULL, seen_at {moment} NOT NULL)
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.sql(TABLE.format(moment="BIGINT" if isinstance(database, pw.MySQLDatabase) else "INTEGER"))


def would_lose(database: pw.Database) -> str:
    """Each worker gives another sign within a minute."""
    return ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.sql("DROP TABLE IF EXISTS worker_sign")
