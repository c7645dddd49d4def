"""How often a message was handed over without an answer stands beside it: it was perhaps delivered."""

import peewee as pw

from migrations.steps import Steps


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.ensure_column("outbox_item", "unanswered INTEGER NOT NULL DEFAULT 0")


def would_lose(database: pw.Database) -> str:
    ((count,),) = database.execute_sql("SELECT COUNT(*) FROM outbox_item WHERE unanswered > 0").fetchall()
    return f"which {count} message(s) were perhaps delivered" if count else ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.lose_column("outbox_item", "unanswered")
