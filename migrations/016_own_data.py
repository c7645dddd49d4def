"""The theme that a person chose, and the contact e-mail that a one-time link is about."""

import peewee as pw

from migrations.steps import Steps


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.ensure_column("account", "theme VARCHAR(8) NOT NULL DEFAULT ''")
    migrator.ensure_column("one_time_link", "address VARCHAR(254) NOT NULL DEFAULT ''")


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.lose_column("one_time_link", "address")
    migrator.lose_column("account", "theme")
