"""The contract with the mail server: the present SQL views that Dovecot reads, and the constants in them.

Dovecot reads these views and no table; Postfix asks Dovecot. Migrations create the views, each from its own frozen
copy, and a test keeps the result equal to this module. To change a view, change it here and add a migration that drops
the old one and creates the new one from a copy of this text. Columns are added, never renamed or removed: a mail server
must keep working with its present configuration.

This module imports nothing, so every floor may read it.
"""

SQLITE, MYSQL = "sqlite", "mysql"


class ProtocolBits:
    """The uses that a login or a device password is for, as a sum in `protocols` and `webmail_protocols`."""

    IMAP, POP3, SENDING, SIEVE, OTHER = 1, 2, 4, 8, 16
    # The uses for which a device can be created.
    OF_DEVICES = IMAP | POP3 | SENDING
    ALL = OF_DEVICES | SIEVE | OTHER


class PermissionBits:
    """What a collaborator may do in the mailbox, as a sum in `collaboration.permissions`. IMAP and POP3 allow mail
    programs, which includes sending."""

    READ, WRITE, SEND, IMAP, POP3, SETTINGS = 1, 2, 4, 8, 16, 32
    MAIL_PROGRAMS = IMAP | POP3


# A device password is a public selector, by which its row is found, and groups of secret characters: `k7pqx2m9-` and
# four groups of six. Dovecot's query extracts a selector only from a password of exactly this shape.
SELECTOR_LENGTH, GROUPS, GROUP_LENGTH, SEPARATOR = 8, 4, 6, "-"
# The characters of new passwords, without any that look alike. The shape accepts more.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
SHAPE = f"[a-z2-9]{{{SELECTOR_LENGTH}}}({SEPARATOR}[a-z2-9]{{{GROUP_LENGTH}}}){{{GROUPS}}}"


# Why a login is refused, as the mail program shows it.
LOCKED = "This account is locked. Ask whoever looks after your mailboxes."
SUSPENDED = "This account is suspended. Ask whoever looks after your mailboxes."

# What `rights` let somebody do in every folder, in the letters of IMAP's access lists (RFC 4314).
FOLDER_RIGHTS = {"owner": "lrwstipekxa", "write": "lrwstipekx", "read": "lr"}

# What the two databases write differently.
_PASSWORD = {
    SQLITE: "'{ARGON2ID}' || account.password_hash",
    MYSQL: "CONCAT('{ARGON2ID}', account.password_hash)",
}
_COLLABORATORS_SESSION = {
    SQLITE: "mailbox.address || '/c' || collaboration.id",
    MYSQL: "CONCAT(mailbox.address, '/c', collaboration.id)",
}


def _if_may(permissions: int, protocol: int) -> str:
    return f"(CASE WHEN collaboration.permissions & {permissions} <> 0 THEN {protocol} ELSE 0 END)"


_COLLABORATORS_PROTOCOLS = (
    f"{_if_may(PermissionBits.IMAP, ProtocolBits.IMAP)} + {_if_may(PermissionBits.POP3, ProtocolBits.POP3)}"
    f" + {_if_may(PermissionBits.MAIL_PROGRAMS, ProtocolBits.SENDING)}"
)
_COLLABORATORS_WEBMAIL = f"{ProtocolBits.IMAP} + {_if_may(PermissionBits.SEND, ProtocolBits.SENDING)}"


def _mail_login(kind: str) -> str:
    """The logins, each with its hash and its mailbox; NULL in `refusal` means that it may log in.

    `session_name` is the mail server's name for a session of this login (the mailbox's address, or address/c4 for a
    collaborator). `rights` in the mailbox are 'owner', 'write' or 'read'. `protocols` open it from anywhere,
    `webmail_protocols` from the webmail's hosts. `device_passwords_only` is 1 where the account's password opens the
    webmail only.
    """
    return f"""
CREATE VIEW mail_login AS
SELECT account.login AS login, account.id AS login_id, mailbox.address AS mailbox, mailbox.home AS home,
       mailbox.quota_bytes AS quota_bytes, {_PASSWORD[kind]} AS password,
       CASE WHEN collaboration.id IS NULL THEN mailbox.address ELSE {_COLLABORATORS_SESSION[kind]} END AS session_name,
       CASE WHEN collaboration.id IS NULL THEN 'owner'
            WHEN collaboration.permissions & {PermissionBits.WRITE} <> 0 THEN 'write' ELSE 'read' END AS rights,
       CASE WHEN collaboration.id IS NULL THEN {ProtocolBits.ALL}
            ELSE {_COLLABORATORS_PROTOCOLS} END AS protocols,
       CASE WHEN collaboration.id IS NULL THEN {ProtocolBits.ALL}
            ELSE {_COLLABORATORS_WEBMAIL} END AS webmail_protocols,
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
"""  # noqa: S608 - made of what stands above, and of nothing else


# Device passwords; `expires_at` in seconds since the epoch, NULL for never.
_MAIL_DEVICE = """
CREATE VIEW mail_device AS
SELECT id AS device_id, account_id AS login_id, selector, verifier AS password, protocols, expires_at FROM device
"""

# Webmail credentials, which work from the webmail's hosts; `expires_at` in seconds since the epoch.
_MAIL_WEBMAIL = """
CREATE VIEW mail_webmail AS
SELECT id AS credential_id, account_id AS login_id, selector, verifier AS password, expires_at
FROM webmail_credential WHERE ended_at IS NULL
"""

# Where mail is delivered, whatever the state of the account: no mail is lost while somebody is locked out.
_MAIL_USER = "CREATE VIEW mail_user AS SELECT address, home, quota_bytes FROM mailbox"

# Former addresses whose mail is delivered as well; `expires_at` in seconds since the epoch, NULL for never. It is a
# view of its own, because MariaDB would compute a union with all mailboxes in full at each delivery.
_MAIL_FORMER_ADDRESS = """
CREATE VIEW mail_former_address AS
SELECT former_address.address AS address, former_address.expires_at AS expires_at, mailbox.address AS mailbox,
       mailbox.home AS home, mailbox.quota_bytes AS quota_bytes
FROM former_address JOIN mailbox ON mailbox.id = former_address.mailbox_id
"""

NAMES = ("mail_login", "mail_device", "mail_webmail", "mail_user", "mail_former_address")


def statements(kind: str) -> dict[str, str]:
    """The statement that creates each view, by the view's name, on `SQLITE` or `MYSQL` (MariaDB too)."""
    views = (_mail_login(kind), _MAIL_DEVICE, _MAIL_WEBMAIL, _MAIL_USER, _MAIL_FORMER_ADDRESS)
    return dict(zip(NAMES, views, strict=True))
