"""Addresses that mailboxes had before, and whose mail still arrives there."""

import peewee as pw

from migrations.steps import Steps

# Former addresses whose mail is delivered as well; `expires_at` in seconds since the epoch, NULL for never.
MAIL_FORMER_ADDRESS = """
CREATE VIEW mail_former_address AS
SELECT former_address.address AS address, former_address.expires_at AS expires_at, mailbox.address AS mailbox,
       mailbox.home AS home, mailbox.quota_bytes AS quota_bytes
FROM former_address JOIN mailbox ON mailbox.id = former_address.mailbox_id
"""

ON_MYSQL = """
CREATE TABLE IF NOT EXISTS former_address (
    id INTEGER AUTO_INCREMENT NOT NULL PRIMARY KEY, address VARCHAR(254) NOT NULL, domain_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NULL,
    UNIQUE KEY former_address_address (address), KEY former_address_domain_id (domain_id),
    KEY former_address_mailbox_id (mailbox_id),
    FOREIGN KEY (domain_id) REFERENCES domain (id) ON DELETE CASCADE,
    FOREIGN KEY (mailbox_id) REFERENCES mailbox (id) ON DELETE CASCADE)
"""
ON_SQLITE = """
CREATE TABLE former_address (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "address" VARCHAR(254) NOT NULL,
    "domain_id" INTEGER NOT NULL REFERENCES "domain" ("id") ON DELETE CASCADE,
    "mailbox_id" INTEGER NOT NULL REFERENCES "mailbox" ("id") ON DELETE CASCADE,
    "created_at" INTEGER NOT NULL, "expires_at" INTEGER)
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    if isinstance(database, pw.MySQLDatabase):
        migrator.sql(ON_MYSQL)
    else:
        migrator.sql(ON_SQLITE)
        migrator.ensure_index("former_address", "address", unique=True)
        migrator.ensure_index("former_address", "domain_id")
        migrator.ensure_index("former_address", "mailbox_id")
    migrator.ensure_view("mail_former_address", MAIL_FORMER_ADDRESS)


def would_lose(database: pw.Database) -> str:
    ((count,),) = database.execute_sql("SELECT COUNT(*) FROM former_address").fetchall()
    return f"{count} former address(es) of mailboxes" if count else ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.sql("DROP VIEW IF EXISTS mail_former_address")
    migrator.sql("DROP TABLE IF EXISTS former_address")
