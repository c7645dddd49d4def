"""An index for an organisation's events by whom, and about whom. With one on the person alone MariaDB looked at all
that the person did before it came to a page far back."""

import peewee as pw

from migrations.steps import Steps

PERSONS = ("actor_login", "account_login")


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    for person in PERSONS:
        migrator.ensure_index("audit_event", f"organisation_id, {person}")


def would_lose(database: pw.Database) -> str:
    return ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    for person in PERSONS:
        migrator.lose_index("audit_event", f"organisation_id, {person}")
