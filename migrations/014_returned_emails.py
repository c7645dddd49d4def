"""An account says that e-mails to it came back: which address, why and when; and since when that would be news."""

import peewee as pw

from migrations.steps import Steps

COLUMNS = (
    "bounced_address VARCHAR(254) NOT NULL DEFAULT ''",
    "bounce_status VARCHAR(11) NOT NULL DEFAULT ''",
    "bounced_at {moment} NOT NULL DEFAULT 0",
    "contact_tried_at {moment} NOT NULL DEFAULT 0",
)


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    moment = "BIGINT" if isinstance(database, pw.MySQLDatabase) else "INTEGER"
    for column in COLUMNS:
        migrator.ensure_column("account", column.format(moment=moment))


def would_lose(database: pw.Database) -> str:
    found = "SELECT COUNT(*) FROM account WHERE bounced_at <> 0 OR contact_tried_at <> 0"
    ((count,),) = database.execute_sql(found).fetchall()
    return f"which e-mails came back from the address(es) of {count} account(s)" if count else ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    for column in COLUMNS:
        migrator.lose_column("account", column.partition(" ")[0])
