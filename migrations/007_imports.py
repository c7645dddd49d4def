"""Files of users that are to be added, and an index for each way to look through a long audit trail."""

import peewee as pw

from migrations.steps import Steps

WAYS_THROUGH = ("organisation_id, action", "action", "actor_login", "account_login")


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    for columns in WAYS_THROUGH:
        migrator.ensure_index("audit_event", columns)

    @migrator.create_model
    class UserImport(pw.Model):
        id = pw.AutoField()
        service = pw.ForeignKeyField(migrator.orm["service"], on_delete="CASCADE")
        made_by = pw.ForeignKeyField(migrator.orm["account"], null=True, on_delete="SET NULL")
        made_by_login = pw.CharField(max_length=254)
        file_name = pw.CharField(max_length=120, default="")
        invites = pw.BooleanField(default=True)
        state = pw.CharField(max_length=16, default="reading")
        line_count = pw.IntegerField(default=0)
        done_count = pw.IntegerField(default=0)
        problem_count = pw.IntegerField(default=0)
        problem = pw.TextField(null=True)
        invited_count = pw.IntegerField(default=0)
        address = pw.CharField(max_length=45, default="")
        user_agent = pw.CharField(max_length=255, default="")
        leased_until = pw.BigIntegerField(default=0)
        created_at = pw.BigIntegerField()
        made_at = pw.BigIntegerField(null=True)

        class Meta:
            table_name = "user_import"
            indexes = [(("state", "leased_until"), False)]

    @migrator.create_model
    class UserImportPart(pw.Model):
        id = pw.AutoField()
        user_import = pw.ForeignKeyField(migrator.orm["user_import"], on_delete="CASCADE")
        content = pw.TextField()

        class Meta:
            table_name = "user_import_part"

    @migrator.create_model
    class UserImportLine(pw.Model):
        id = pw.AutoField()
        user_import = pw.ForeignKeyField(migrator.orm["user_import"], on_delete="CASCADE", index=False)
        line = pw.IntegerField()
        problem = pw.TextField(null=True)
        address = pw.CharField(max_length=254)
        first_name = pw.CharField(max_length=120, default="")
        last_name = pw.CharField(max_length=120, default="")
        contact_email = pw.CharField(max_length=254, default="")
        language = pw.CharField(max_length=8, default="")
        quota_bytes = pw.BigIntegerField(default=0)
        domain_id = pw.IntegerField(null=True)
        home = pw.CharField(max_length=300, default="")
        sort_name = pw.CharField(max_length=320, default="")
        revision = pw.IntegerField(default=0)

        class Meta:
            table_name = "user_import_line"
            indexes = [(("user_import", "line"), True), (("user_import", "address"), False)]
