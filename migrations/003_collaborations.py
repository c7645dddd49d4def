"""Collaborations: logins of their own that open somebody else's mailbox, within their permissions."""

import peewee as pw

from migrations.steps import Steps

LOCKED = "This account is locked. Ask whoever looks after your mailboxes."
SUSPENDED = "This account is suspended. Ask whoever looks after your mailboxes."

# What a login may use, as a sum: 1 IMAP, 2 POP3, 4 sending, 8 ManageSieve, 16 whatever else asks for a password. In
# `permissions` stand 2 write, 4 send, 8 IMAP and 16 POP3 in mail programs, which both bring sending with them.
COLLABORATORS_PROTOCOLS = """
    (CASE WHEN collaboration.permissions & 8 <> 0 THEN 1 ELSE 0 END)
    + (CASE WHEN collaboration.permissions & 16 <> 0 THEN 2 ELSE 0 END)
    + (CASE WHEN collaboration.permissions & 24 <> 0 THEN 4 ELSE 0 END)"""
IN_THE_WEBMAIL = "1 + (CASE WHEN collaboration.permissions & 4 <> 0 THEN 4 ELSE 0 END)"

# Beside what the earlier contracts said: `session_name` is what the mail server calls a session of this login (the
# mailbox's address, or address/c4 for a collaborator); `rights` in the mailbox ('owner', 'write', 'read'); `protocols`
# that it opens from anywhere, and `webmail_protocols` from the webmail's hosts.
MAIL_LOGIN = f"""
CREATE VIEW mail_login AS
SELECT account.login AS login, account.id AS login_id, mailbox.address AS mailbox, mailbox.home AS home,
       mailbox.quota_bytes AS quota_bytes, %(password)s AS password,
       CASE WHEN collaboration.id IS NULL THEN mailbox.address ELSE %(session_name)s END AS session_name,
       CASE WHEN collaboration.id IS NULL THEN 'owner'
            WHEN collaboration.permissions & 2 <> 0 THEN 'write' ELSE 'read' END AS rights,
       CASE WHEN collaboration.id IS NULL THEN 31 ELSE {COLLABORATORS_PROTOCOLS} END AS protocols,
       CASE WHEN collaboration.id IS NULL THEN 31 ELSE {IN_THE_WEBMAIL} END AS webmail_protocols,
       CASE WHEN mailbox.device_passwords_only = 1 OR service.device_passwords_only = 1 THEN 1 ELSE 0 END
           AS device_passwords_only,
       CASE WHEN account.state = 'locked' OR owner.state = 'locked' THEN '{LOCKED}'
            WHEN account.state <> 'active' OR owner.state <> 'active' OR service.state <> 'active'
                THEN '{SUSPENDED}' END AS refusal
FROM account
LEFT JOIN collaboration ON collaboration.account_id = account.id
LEFT JOIN mailbox own ON own.account_id = account.id
JOIN mailbox ON mailbox.id = COALESCE(collaboration.mailbox_id, own.id)
JOIN account owner ON owner.id = mailbox.account_id
JOIN domain ON domain.id = mailbox.domain_id
JOIN service ON service.id = domain.service_id
"""

PASSWORD = {
    "sqlite": "'{ARGON2ID}' || account.password_hash",
    "mysql": "CONCAT('{ARGON2ID}', account.password_hash)",
}
SESSION_NAME = {
    "sqlite": "mailbox.address || '/c' || collaboration.id",
    "mysql": "CONCAT(mailbox.address, '/c', collaboration.id)",
}


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    kind = "mysql" if isinstance(database, pw.MySQLDatabase) else "sqlite"
    accounts = migrator.orm["account"]
    migrator.ensure_column("service", "most_collaborators INTEGER NOT NULL DEFAULT 50")
    for table, column, to in (("device", "password_by_id", "account"), ("audit_event", "mailbox_id", "mailbox")):
        migrator.ensure_reference(table, column, to, "SET NULL")
        migrator.ensure_index(table, column)
    migrator.sql(
        "UPDATE audit_event SET mailbox_id = (SELECT mailbox.id FROM mailbox"
        " WHERE mailbox.account_id = audit_event.account_id)"
    )

    @migrator.create_model
    class Collaboration(pw.Model):
        id = pw.AutoField()
        account = pw.ForeignKeyField(accounts, unique=True, on_delete="CASCADE")
        mailbox = pw.ForeignKeyField(migrator.orm["mailbox"], on_delete="CASCADE")
        permissions = pw.IntegerField(default=1)
        created_by = pw.ForeignKeyField(accounts, null=True, on_delete="SET NULL")
        created_by_login = pw.CharField(max_length=254)
        created_at = pw.BigIntegerField()
        link_expires_at = pw.BigIntegerField(default=0)

        class Meta:
            table_name = "collaboration"

    view = MAIL_LOGIN.replace("%(password)s", PASSWORD[kind]).replace("%(session_name)s", SESSION_NAME[kind])
    migrator.ensure_view("mail_login", view)
