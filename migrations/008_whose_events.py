"""An index for an organisation's events by whom, and about whom. With one on the person alone MariaDB looked at all
that the person did before it came to a page far back."""

import peewee as pw
from peewee_migrate import Migrator

PERSONS = ("actor_login", "account_login")


def migrate(migrator: Migrator, database: pw.Database, *, fake=False):
    for person in PERSONS:
        migrator.sql(f"CREATE INDEX audit_event_organisation_id_{person} ON audit_event (organisation_id, {person})")


def rollback(migrator: Migrator, database: pw.Database, *, fake=False):
    where = " ON audit_event" if isinstance(database, pw.MySQLDatabase) else ""
    for person in PERSONS:
        migrator.sql(f"DROP INDEX audit_event_organisation_id_{person}{where}")
