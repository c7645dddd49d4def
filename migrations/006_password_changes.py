"""Password changes of several mailboxes at once, and the encrypted archives that deliver them."""

import peewee as pw

from migrations.steps import Steps


class LongText(pw.TextField):
    field_type = "LONGTEXT"


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    @migrator.create_model
    class PasswordChange(pw.Model):
        id = pw.AutoField()
        service = pw.ForeignKeyField(migrator.orm["service"], on_delete="CASCADE")
        domain = pw.ForeignKeyField(migrator.orm["domain"], on_delete="CASCADE")
        manager = pw.ForeignKeyField(migrator.orm["account"], null=True, on_delete="SET NULL")
        manager_login = pw.CharField(max_length=254)
        address = pw.CharField(max_length=45, default="")
        user_agent = pw.CharField(max_length=255, default="")
        kind = pw.CharField(max_length=16)
        archive_format = pw.CharField(max_length=8)
        phone = pw.CharField(max_length=32)
        full_name = pw.CharField(max_length=120)
        email = pw.CharField(max_length=254)
        language = pw.CharField(max_length=8, default="")
        must_change = pw.BooleanField(default=False)
        everywhere = pw.BooleanField(default=False)
        devices_too = pw.BooleanField(default=False)
        state = pw.CharField(max_length=16, default="draft")
        reason = pw.CharField(max_length=255, default="")
        created_at = pw.BigIntegerField()
        started_at = pw.BigIntegerField(null=True)
        archived_at = pw.BigIntegerField(null=True)
        finished_at = pw.BigIntegerField(null=True)
        erased_at = pw.BigIntegerField(null=True)
        mails = pw.IntegerField(default=0)
        mail_sent_at = pw.BigIntegerField(null=True)
        messages = pw.IntegerField(default=0)
        message_sent_at = pw.BigIntegerField(null=True)
        message_delivered_at = pw.BigIntegerField(null=True)
        message_failed_at = pw.BigIntegerField(null=True)
        leased_until = pw.BigIntegerField(default=0)
        leased_by = pw.CharField(max_length=32, default="")

        class Meta:
            table_name = "password_change"
            indexes = [(("service", "state"), False), (("state", "leased_until"), False)]

    @migrator.create_model
    class PasswordChangeItem(pw.Model):
        id = pw.AutoField()
        change = pw.ForeignKeyField(PasswordChange, on_delete="CASCADE")
        mailbox = pw.ForeignKeyField(migrator.orm["mailbox"], null=True, on_delete="SET NULL")
        address = pw.CharField(max_length=254)
        open_mailbox = pw.BigIntegerField(null=True, unique=True)
        state = pw.CharField(max_length=16, default="waiting")
        reason = pw.CharField(max_length=255, default="")
        in_archive = pw.BooleanField(default=False)
        secret = pw.TextField(default="")
        new_hash = pw.CharField(max_length=255, null=True)
        old_hash = pw.CharField(max_length=255, null=True)
        changed_at = pw.BigIntegerField(null=True)

        class Meta:
            table_name = "password_change_item"
            indexes = [(("change", "state"), False)]

    @migrator.create_model
    class CredentialsArchive(pw.Model):
        id = pw.AutoField()
        change = pw.ForeignKeyField(PasswordChange, unique=True, on_delete="CASCADE")
        content = LongText()
        key = pw.TextField()

        class Meta:
            table_name = "credentials_archive"
