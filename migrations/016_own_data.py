"""The theme that a person chose, and the contact e-mail that a one-time link is about."""

import peewee as pw

from migrations.steps import Steps


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.ensure_column("account", "theme VARCHAR(8) NOT NULL DEFAULT ''")
    migrator.ensure_column("one_time_link", "address VARCHAR(254) NOT NULL DEFAULT ''")


def would_lose(database: pw.Database) -> str:
    ((themes,),) = database.execute_sql("SELECT COUNT(*) FROM account WHERE theme <> ''").fetchall()
    ((links,),) = database.execute_sql("SELECT COUNT(*) FROM one_time_link WHERE address <> ''").fetchall()
    lost = [f"{themes} chosen theme(s)"] * (themes > 0) + [f"{links} link(s) about a contact e-mail"] * (links > 0)
    return " and ".join(lost)


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.lose_column("one_time_link", "address")
    migrator.lose_column("account", "theme")
