"""What browsers did a moment ago and can take back. What that deleted is sealed."""

import peewee as pw

from migrations.steps import Steps

# One statement: MySQL keeps what it did of a step that was interrupted.
TABLE = """
CREATE TABLE IF NOT EXISTS undoable (
    id {number}, session_id {reference} NOT NULL, account_id {reference} NOT NULL, kind VARCHAR(16) NOT NULL,
    sealed {text} NOT NULL, until {moment} NOT NULL,
    FOREIGN KEY (session_id) REFERENCES web_session (id) ON DELETE CASCADE,
    FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE)
"""
SQLITE = {
    "number": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
    "reference": "INTEGER",
    "text": "TEXT",
    "moment": "INTEGER",
}
MYSQL = {
    "number": "INTEGER AUTO_INCREMENT NOT NULL PRIMARY KEY",
    "reference": "INTEGER",
    "text": "LONGTEXT",
    "moment": "BIGINT",
}


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.sql(TABLE.format(**(MYSQL if isinstance(database, pw.MySQLDatabase) else SQLITE)))
    for column in ("session_id", "account_id"):
        migrator.ensure_index("undoable", column)


def would_lose(database: pw.Database) -> str:
    """Nobody takes back anything across an upgrade: the time is ten seconds."""
    return ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.sql("DROP TABLE IF EXISTS undoable")
