"""Devices: passwords of their own for mail programs, when they were used, and invitations to set one up."""

import peewee as pw

from migrations.steps import Steps

LOCKED = "This account is locked. Ask whoever looks after your mailboxes."
SUSPENDED = "This account is suspended. Ask whoever looks after your mailboxes."

# Beside what the first contract said: 1 in `device_passwords_only` where the account's password opens the webmail only.
MAIL_LOGIN = f"""
CREATE VIEW mail_login AS
SELECT account.login AS login, account.id AS login_id, mailbox.address AS mailbox, mailbox.home AS home,
       mailbox.quota_bytes AS quota_bytes, %(password)s AS password,
       CASE WHEN mailbox.device_passwords_only = 1 OR service.device_passwords_only = 1 THEN 1 ELSE 0 END
           AS device_passwords_only,
       CASE WHEN account.state = 'locked' THEN '{LOCKED}'
            WHEN account.state <> 'active' OR service.state <> 'active' THEN '{SUSPENDED}' END AS refusal
FROM account
JOIN mailbox ON mailbox.account_id = account.id
JOIN domain ON domain.id = mailbox.domain_id
JOIN service ON service.id = domain.service_id
"""

# `protocols` is a sum of 1 IMAP, 2 POP3, 4 sending; `expires_at` in seconds since the epoch, NULL for never.
MAIL_DEVICE = """
CREATE VIEW mail_device AS
SELECT id AS device_id, account_id AS login_id, selector, verifier AS password, protocols, expires_at FROM device
"""

PASSWORD = {
    "sqlite": "'{ARGON2ID}' || account.password_hash",
    "mysql": "CONCAT('{ARGON2ID}', account.password_hash)",
}


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    accounts = migrator.orm["account"]
    boolean = "BOOL" if isinstance(database, pw.MySQLDatabase) else "INTEGER"
    migrator.ensure_column("service", f"device_passwords_only {boolean} NOT NULL DEFAULT 0")
    migrator.ensure_column("mailbox", f"device_passwords_only {boolean} NOT NULL DEFAULT 0")
    migrator.ensure_column("one_time_link", "subject_id INTEGER")

    @migrator.create_model
    class Device(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(accounts, on_delete="CASCADE")
        name = pw.CharField(max_length=120)
        icon = pw.CharField(max_length=16)
        user = pw.ForeignKeyField(accounts, null=True, on_delete="SET NULL")
        created_by = pw.ForeignKeyField(accounts, null=True, on_delete="SET NULL")
        created_by_login = pw.CharField(max_length=254)
        protocols = pw.IntegerField()
        selector = pw.FixedCharField(max_length=8)
        verifier = pw.CharField(max_length=255)
        expires_at = pw.BigIntegerField(null=True)
        created_at = pw.BigIntegerField()
        password_at = pw.BigIntegerField()
        request_id = pw.FixedCharField(max_length=64, unique=True)

        class Meta:
            table_name = "device"
            indexes = [(("account", "selector"), True)]

    @migrator.create_model
    class LastLogin(pw.Model):
        login_id = pw.BigIntegerField()
        device_id = pw.BigIntegerField()
        service = pw.CharField(max_length=20)
        ip = pw.CharField(max_length=45)
        last_access = pw.BigIntegerField(index=True)

        class Meta:
            table_name = "last_login"
            primary_key = pw.CompositeKey("login_id", "device_id", "service", "ip")

    @migrator.create_model
    class DeviceNetwork(pw.Model):
        id = pw.AutoField()
        device = pw.ForeignKeyField(migrator.orm["device"], on_delete="CASCADE")
        network = pw.CharField(max_length=49)
        seen_at = pw.BigIntegerField()

        class Meta:
            table_name = "device_network"
            indexes = [(("device", "network"), True)]

    @migrator.create_model
    class DeviceInvitation(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(accounts, on_delete="CASCADE")
        invited_by = pw.ForeignKeyField(accounts, on_delete="CASCADE")
        user = pw.ForeignKeyField(accounts, null=True, on_delete="SET NULL")
        email = pw.CharField(max_length=254, default="")
        name = pw.CharField(max_length=120)
        icon = pw.CharField(max_length=16)
        protocols = pw.IntegerField()
        device_expires_at = pw.BigIntegerField(null=True)
        token_hash = pw.FixedCharField(max_length=64, unique=True)
        inviter_code_hash = pw.FixedCharField(max_length=64, default="")
        mailed_code_hash = pw.FixedCharField(max_length=64, default="")
        mailed_code_expires_at = pw.BigIntegerField(default=0)
        created_at = pw.BigIntegerField()
        expires_at = pw.BigIntegerField()
        accepted_at = pw.BigIntegerField(null=True)
        withdrawn_at = pw.BigIntegerField(null=True)
        device = pw.ForeignKeyField(migrator.orm["device"], null=True, on_delete="SET NULL")

        class Meta:
            table_name = "device_invitation"

    mysql = isinstance(database, pw.MySQLDatabase)
    migrator.ensure_view("mail_login", MAIL_LOGIN.replace("%(password)s", PASSWORD["mysql" if mysql else "sqlite"]))
    migrator.ensure_view("mail_device", MAIL_DEVICE)
