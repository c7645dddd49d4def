"""Numbers of rows never come again; what people write is never too long; rows are held by a change that is a change.

On SQLite a number that was free again went to the next row, so that code which still held the old row's number wrote
into a stranger's. `AUTOINCREMENT` is a word in the table's definition and nothing in its rows: it is put there as
SQLite describes for such changes, so that tables of any size are not rebuilt under the eyes of a running mail server.
InnoDB keeps its counters for ever by itself.
"""

from hashlib import sha256

import peewee as pw

from migrations.steps import Steps

BEFORE, AFTER = '"id" INTEGER NOT NULL PRIMARY KEY', '"id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT'
# What refers to a row by its number and does not end with it.
REFERRED_TO = {
    "account": ("SELECT login_id FROM last_login",),
    "device": ("SELECT device_id FROM last_login", "SELECT subject_id FROM one_time_link"),
    "password_change": (
        "SELECT CAST(substr(key, length('credentials:') + 1) AS INTEGER) FROM outbox_item WHERE kind = 'credentials'",
        "SELECT CAST(substr(key, length('credentials-sms:') + 1) AS INTEGER) FROM outbox_item"
        " WHERE kind = 'credentials-sms'",
    ),
}
# Further numbers are where no statement reads them: in encrypted payloads, in hashed keys, in pages that are open.
BEYOND = 1000

# Counts how often a row was held: a row that is left as it was is no lock between the nodes of a cluster.
HELD = ("account", "service", "password_change", "user_import")
LONG_ON_MYSQL = {
    "audit_event": ("details LONGTEXT NOT NULL",),
    "outbox_item": ("payload LONGTEXT NOT NULL",),
    "user_import": ("problem LONGTEXT NULL",),
    "user_import_line": ("problem LONGTEXT NULL",),
    "user_import_part": ("content LONGTEXT NOT NULL",),
    "web_session": ("data LONGTEXT NOT NULL",),
}
# What a link is about is known by more than its number: for a device, by the form that it was made by.
SUBJECTS = """
UPDATE one_time_link SET subject = COALESCE((
    SELECT device.request_id FROM device
    WHERE device.id = one_time_link.subject_id AND device.account_id = one_time_link.account_id
      AND device.created_at <= one_time_link.created_at), '')
WHERE purpose = 'disown-device'
"""
OPEN_LINKS = """
SELECT one_time_link.id, one_time_link.purpose, one_time_link.bound_to, account.id, account.login, account.created_at,
       account.state, account.password_hash
FROM one_time_link JOIN account ON account.id = one_time_link.account_id WHERE one_time_link.used_at IS NULL
"""


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    mysql = isinstance(database, pw.MySQLDatabase)
    number = "BIGINT" if mysql else "INTEGER"
    for table in HELD:
        migrator.ensure_column(table, f"held {number} NOT NULL DEFAULT 0")
    migrator.ensure_column("one_time_link", "subject CHAR(64) NOT NULL DEFAULT ''")
    migrator.sql(SUBJECTS)
    migrator.run(_bind_to_more_than_a_number, database)
    if mysql:
        for table, columns in LONG_ON_MYSQL.items():
            migrator.sql(f"ALTER TABLE {table} {', '.join(f'MODIFY {column}' for column in columns)}")
    else:
        migrator.run(_define_numbers, database, BEFORE, AFTER)
        migrator.run(_begin_above_all_known, database)


def would_lose(database: pw.Database) -> str:
    """The bindings of links that are open, too, are not made again as they were."""
    return "what links are about, links that are open, and on MariaDB texts of more than 64 KB"


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    if isinstance(database, pw.MySQLDatabase):
        for table, columns in LONG_ON_MYSQL.items():
            shorter = ", ".join(f"MODIFY {column.replace('LONGTEXT', 'TEXT')}" for column in columns)
            migrator.sql(f"ALTER TABLE {table} {shorter}")
    else:
        migrator.run(_define_numbers, database, AFTER, BEFORE)
    migrator.lose_column("one_time_link", "subject")
    for table in HELD:
        migrator.lose_column(table, "held")


def _bind_to_more_than_a_number(database: pw.Database) -> None:
    """Links that are open go on working: they are bound to the login and its age, and no longer to the number."""
    mark = database.param
    for link_id, purpose, bound_to, account_id, login, created_at, state, password_hash in list(
        database.execute_sql(OPEN_LINKS)
    ):
        secret = [] if purpose in ("disown", "disown-device") else [str(password_hash)]
        if bound_to == _digest(str(account_id), purpose, state, *secret):
            bound_to = _digest(login, str(created_at), purpose, state, *secret)
            database.execute_sql(f"UPDATE one_time_link SET bound_to = {mark} WHERE id = {mark}", (bound_to, link_id))


def _digest(*parts: str) -> str:
    return sha256(":".join(parts).encode()).hexdigest()


def _define_numbers(database: pw.Database, before: str, after: str) -> None:
    """Put the one word for the other in the definition of every table, within the step's transaction; other readers
    see the tables as they are, and then as they are defined from now on."""
    # With the first such table SQLite makes the one where it keeps how far the numbers went.
    database.execute_sql("CREATE TABLE first_number (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    database.execute_sql("DROP TABLE first_number")
    database.execute_sql("DELETE FROM sqlite_sequence")
    (version,) = database.execute_sql("PRAGMA schema_version").fetchone()
    database.execute_sql("PRAGMA writable_schema = ON")
    database.execute_sql("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table'", (before, after))
    # So that every connection reads the definitions again, this one too.
    database.execute_sql(f"PRAGMA schema_version = {version + 1}")
    database.execute_sql("PRAGMA writable_schema = RESET")


def _begin_above_all_known(database: pw.Database) -> None:
    tables = database.execute_sql("SELECT name FROM sqlite_master WHERE type = 'table' AND instr(sql, ?) > 0", (AFTER,))
    for (table,) in list(tables):
        known = " UNION ALL ".join([f"SELECT id AS number FROM {table}", *REFERRED_TO.get(table, ())])
        (highest,) = database.execute_sql(f"SELECT MAX(number) FROM ({known})").fetchone()
        if highest is not None:
            database.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, highest + BEYOND))
