"""Webmails: whose hand-offs are accepted, and what their sessions open mailboxes with in place of a password."""

import peewee as pw

from migrations.steps import Steps

# What a webmail's session opens its mailbox with, from the webmail's hosts; `expires_at` in seconds since the epoch.
MAIL_WEBMAIL = """
CREATE VIEW mail_webmail AS
SELECT id AS credential_id, account_id AS login_id, selector, verifier AS password, expires_at
FROM webmail_credential WHERE ended_at IS NULL
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    accounts = migrator.orm["account"]

    @migrator.create_model
    class Webmail(pw.Model):
        id = pw.AutoField()
        origin = pw.CharField(max_length=255, unique=True)
        key_id = pw.CharField(max_length=32, unique=True)
        algorithm = pw.CharField(max_length=8)
        key = pw.TextField()
        organisation = pw.ForeignKeyField(migrator.orm["organisation"], null=True, on_delete="RESTRICT")
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "webmail"

    @migrator.create_model
    class UsedToken(pw.Model):
        id = pw.AutoField()
        key = pw.FixedCharField(max_length=64, unique=True)
        expires_at = pw.BigIntegerField(index=True)

        class Meta:
            table_name = "used_token"

    @migrator.create_model
    class WebmailCredential(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(accounts, on_delete="CASCADE")
        webmail = pw.ForeignKeyField(migrator.orm["webmail"], on_delete="CASCADE")
        webmail_session = pw.CharField(max_length=64)
        selector = pw.FixedCharField(max_length=8)
        verifier = pw.CharField(max_length=255)
        address = pw.CharField(max_length=45)
        network = pw.CharField(max_length=49)
        user_agent = pw.CharField(max_length=255, default="")
        created_at = pw.BigIntegerField()
        expires_at = pw.BigIntegerField(index=True)
        ended_at = pw.BigIntegerField(null=True)

        class Meta:
            table_name = "webmail_credential"
            indexes = [(("selector", "account"), True)]

    migrator.ensure_reference("web_session", "webmail_id", "webmail", "CASCADE")
    migrator.ensure_index("web_session", "webmail_id")
    migrator.ensure_column("web_session", "webmail_session VARCHAR(64) NOT NULL DEFAULT ''")
    migrator.ensure_view("mail_webmail", MAIL_WEBMAIL)
