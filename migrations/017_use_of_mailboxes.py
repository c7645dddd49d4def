"""What each mailbox holds and when it was used last, by which managers order the list of users."""

import peewee as pw

from migrations.steps import Steps

ORDERS = ("used_bytes", "last_access")
# Written over and over it stays the same.
ACCESSES = """
UPDATE account SET last_access = COALESCE(
    (SELECT MAX(last_login.last_access) FROM last_login WHERE last_login.login_id = account.id), 0)
WHERE service_id IS NOT NULL
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    number = "BIGINT" if isinstance(database, pw.MySQLDatabase) else "INTEGER"
    migrator.ensure_column("account", f"used_bytes {number} NOT NULL DEFAULT -1")
    migrator.ensure_column("account", f"last_access {number} NOT NULL DEFAULT 0")
    migrator.sql(ACCESSES)
    for order in ORDERS:
        for place in ("service_id", "domain_id"):
            migrator.ensure_index("account", f"{place}, state, {order}")


def would_lose(database: pw.Database) -> str:
    """The worker counts what mailboxes hold again, and when they were used is known from each sign-in."""
    return ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    for order in ORDERS:
        for place in ("service_id", "domain_id"):
            migrator.lose_index("account", f"{place}, state, {order}")
        migrator.lose_column("account", order)
