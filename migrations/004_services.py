"""Services as their managers see them: what was ordered and what is given away, and how their users are found.

Migration 012 writes the words by which they are found.
"""

import peewee as pw

from migrations.steps import Steps

NEW_COLUMNS = {
    "service": (
        "most_mailboxes INTEGER NOT NULL DEFAULT 0",
        "quota_bytes BIGINT NOT NULL DEFAULT 0",
        "mailboxes_made INTEGER NOT NULL DEFAULT 0",
        "quota_given_bytes BIGINT NOT NULL DEFAULT 0",
        "used_bytes BIGINT NOT NULL DEFAULT 0",
        "used_at BIGINT NULL",
    ),
    "account": (
        "phone VARCHAR(16) NOT NULL DEFAULT ''",
        "revision INTEGER NOT NULL DEFAULT 0",
        "service_id INTEGER NULL",
        "domain_id INTEGER NULL",
        "sort_name VARCHAR(320) NOT NULL DEFAULT ''",
    ),
}
LIST_ORDERS = (
    "service_id, state, login",
    "service_id, state, sort_name",
    "domain_id, state, login",
    "domain_id, state, sort_name",
)
COUNTED = """
UPDATE service SET
    mailboxes_made = (SELECT COUNT(*) FROM mailbox JOIN domain ON domain.id = mailbox.domain_id
                      WHERE domain.service_id = service.id),
    quota_given_bytes = (SELECT COALESCE(SUM(mailbox.quota_bytes), 0) FROM mailbox
                         JOIN domain ON domain.id = mailbox.domain_id WHERE domain.service_id = service.id)
"""
PLACED = """
UPDATE account SET
    domain_id = (SELECT mailbox.domain_id FROM mailbox WHERE mailbox.account_id = account.id),
    service_id = (SELECT domain.service_id FROM mailbox JOIN domain ON domain.id = mailbox.domain_id
                  WHERE mailbox.account_id = account.id)
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    mysql = isinstance(database, pw.MySQLDatabase)
    for table, columns in NEW_COLUMNS.items():
        for column in columns:
            migrator.ensure_column(table, column if mysql else _for_sqlite(column))
    migrator.sql("UPDATE account SET revision = (id * 7919 + created_at) & 1073741823")
    migrator.sql(PLACED)
    migrator.sql(COUNTED)

    @migrator.create_model
    class AccountWord(pw.Model):
        account = pw.ForeignKeyField(migrator.orm["account"], on_delete="CASCADE", index=False)
        word = pw.CharField(max_length=64)
        service_id = pw.IntegerField()
        domain_id = pw.IntegerField()
        state = pw.CharField(max_length=16)

        class Meta:
            table_name = "account_word"
            primary_key = pw.CompositeKey("account", "word")
            indexes = [
                (("service_id", "state", "word", "account"), False),
                (("domain_id", "state", "word", "account"), False),
            ]

    for columns in LIST_ORDERS:
        migrator.ensure_index("account", columns)
    if mysql:
        for table in ("service", "domain"):
            migrator.ensure_foreign_key("account", f"{table}_id", f"REFERENCES {table} (id) ON DELETE RESTRICT")


def _for_sqlite(column: str) -> str:
    """The column as SQLite calls its type, and with what it points to: there that cannot be added later."""
    points_to = {"service_id": "service", "domain_id": "domain"}.get(column.partition(" ")[0])
    reference = f" REFERENCES {points_to} (id) ON DELETE RESTRICT" if points_to else ""
    return column.replace("BIGINT", "INTEGER") + reference
