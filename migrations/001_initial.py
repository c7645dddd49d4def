"""The first tables, and the views that Dovecot reads.

These are the models as they were at this step; later steps change them, never this one.
"""

import peewee as pw

from migrations.steps import Steps

LOCKED = "This account is locked. Ask whoever looks after your mailboxes."
SUSPENDED = "This account is suspended. Ask whoever looks after your mailboxes."

# The contract with the mail server: who may log in, with which hash, into which mailbox; NULL in `refusal` means yes.
MAIL_LOGIN = f"""
CREATE VIEW mail_login AS
SELECT account.login AS login, account.id AS login_id, mailbox.address AS mailbox, mailbox.home AS home,
       mailbox.quota_bytes AS quota_bytes, %(password)s AS password,
       CASE WHEN account.state = 'locked' THEN '{LOCKED}'
            WHEN account.state <> 'active' OR service.state <> 'active' THEN '{SUSPENDED}' END AS refusal
FROM account
JOIN mailbox ON mailbox.account_id = account.id
JOIN domain ON domain.id = mailbox.domain_id
JOIN service ON service.id = domain.service_id
"""

# Where mail is delivered, whatever the state of the account: nothing is lost while somebody is locked out.
MAIL_USER = "CREATE VIEW mail_user AS SELECT address, home, quota_bytes FROM mailbox"

PASSWORD = {
    "sqlite": "'{ARGON2ID}' || account.password_hash",
    "mysql": "CONCAT('{ARGON2ID}', account.password_hash)",
}


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    mysql = isinstance(database, pw.MySQLDatabase)
    if mysql:
        # Logins, addresses and tokens are compared byte by byte, as Dovecot and SQLite do.
        migrator.sql("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

    @migrator.create_model
    class Organisation(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=120, unique=True)
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "organisation"

    @migrator.create_model
    class Account(pw.Model):
        id = pw.AutoField()
        login = pw.CharField(max_length=254, unique=True)
        role = pw.CharField(default="person", max_length=16)
        organisation = pw.ForeignKeyField(migrator.orm["organisation"], null=True, on_delete="RESTRICT")
        first_name = pw.CharField(default="", max_length=120)
        last_name = pw.CharField(default="", max_length=120)
        contact_email = pw.CharField(default="", max_length=254)
        language = pw.CharField(default="", max_length=8)
        timezone = pw.CharField(default="", max_length=64)
        password_hash = pw.CharField(max_length=255, null=True)
        password_changed_at = pw.BigIntegerField(null=True)
        must_change_password = pw.BooleanField(default=False)
        state = pw.CharField(default="active", max_length=16)
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "account"

    @migrator.create_model
    class Attempts(pw.Model):
        id = pw.AutoField()
        key = pw.FixedCharField(max_length=64, unique=True)
        count = pw.IntegerField(default=0)
        first_at = pw.BigIntegerField()
        last_at = pw.BigIntegerField()

        class Meta:
            table_name = "attempts"

    @migrator.create_model
    class AuditEvent(pw.Model):
        id = pw.AutoField()
        at = pw.BigIntegerField(index=True)
        action = pw.CharField(max_length=64)
        actor = pw.ForeignKeyField(migrator.orm["account"], null=True, on_delete="SET NULL")
        actor_login = pw.CharField(default="", max_length=254)
        account = pw.ForeignKeyField(migrator.orm["account"], null=True, on_delete="SET NULL")
        account_login = pw.CharField(default="", max_length=254)
        organisation = pw.ForeignKeyField(migrator.orm["organisation"], null=True, on_delete="SET NULL")
        address = pw.CharField(default="", max_length=45)
        user_agent = pw.CharField(default="", max_length=255)
        details = pw.TextField()

        class Meta:
            table_name = "audit_event"
            indexes = [(("account", "at"), False), (("organisation", "at"), False)]

    @migrator.create_model
    class Service(pw.Model):
        id = pw.AutoField()
        organisation = pw.ForeignKeyField(migrator.orm["organisation"], on_delete="RESTRICT")
        name = pw.CharField(max_length=120)
        password_policy = pw.CharField(default="classic", max_length=16)
        state = pw.CharField(default="active", max_length=16)
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "service"
            indexes = [(("organisation", "name"), True)]

    @migrator.create_model
    class Domain(pw.Model):
        id = pw.AutoField()
        service = pw.ForeignKeyField(migrator.orm["service"], on_delete="RESTRICT")
        name = pw.CharField(max_length=253, unique=True)
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "domain"

    @migrator.create_model
    class KnownBrowser(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(migrator.orm["account"], on_delete="CASCADE")
        token_hash = pw.FixedCharField(max_length=64, unique=True)
        seen_at = pw.BigIntegerField()

        class Meta:
            table_name = "known_browser"

    @migrator.create_model
    class Mailbox(pw.Model):
        id = pw.AutoField()
        domain = pw.ForeignKeyField(migrator.orm["domain"], on_delete="RESTRICT")
        account = pw.ForeignKeyField(migrator.orm["account"], on_delete="RESTRICT")
        address = pw.CharField(max_length=254, unique=True)
        home = pw.CharField(max_length=300, unique=True)
        quota_bytes = pw.BigIntegerField(default=0)
        created_at = pw.BigIntegerField()

        class Meta:
            table_name = "mailbox"

    @migrator.create_model
    class OneTimeLink(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(migrator.orm["account"], on_delete="CASCADE")
        purpose = pw.CharField(max_length=32)
        token_hash = pw.FixedCharField(max_length=64, unique=True)
        bound_to = pw.FixedCharField(max_length=64)
        created_at = pw.BigIntegerField()
        expires_at = pw.BigIntegerField()
        used_at = pw.BigIntegerField(null=True)

        class Meta:
            table_name = "one_time_link"
            indexes = [(("account", "purpose"), False)]

    @migrator.create_model
    class OutboxItem(pw.Model):
        id = pw.AutoField()
        kind = pw.CharField(max_length=16)
        key = pw.CharField(max_length=120, unique=True)
        account = pw.ForeignKeyField(migrator.orm["account"], null=True, on_delete="SET NULL")
        payload = pw.TextField()
        created_at = pw.BigIntegerField()
        next_try_at = pw.BigIntegerField()
        leased_until = pw.BigIntegerField(default=0)
        attempts = pw.IntegerField(default=0)
        last_error = pw.CharField(default="", max_length=500)
        delivered_at = pw.BigIntegerField(null=True)
        given_up_at = pw.BigIntegerField(null=True)

        class Meta:
            table_name = "outbox_item"
            indexes = [(("delivered_at", "given_up_at", "next_try_at"), False)]

    @migrator.create_model
    class WebSession(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(migrator.orm["account"], on_delete="CASCADE")
        token_hash = pw.FixedCharField(max_length=64, unique=True)
        data = pw.TextField()
        created_at = pw.BigIntegerField()
        seen_at = pw.BigIntegerField()
        password_at = pw.BigIntegerField(default=0)
        address = pw.CharField(default="", max_length=45)
        user_agent = pw.CharField(default="", max_length=255)

        class Meta:
            table_name = "web_session"

    migrator.ensure_view("mail_login", MAIL_LOGIN.replace("%(password)s", PASSWORD["mysql" if mysql else "sqlite"]))
    migrator.ensure_view("mail_user", MAIL_USER)
