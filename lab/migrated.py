"""A migrated database in a moment. Tests need hundreds, and each step of a migration takes MariaDB some time."""

import database as db

# By whether it is MySQL and by the last step: what makes a database that the steps have made.
_made: dict[tuple[bool, str | None], list[tuple[str, tuple]]] = {}


def migrate(until: str | None = None) -> None:
    """Bring the database in use to this step, or to the newest. The steps themselves run once in a process for each
    kind of database: another empty one becomes a copy of what they made."""
    kind, is_empty = (db.is_mysql(), until), not db.database.get_tables()
    if is_empty and kind in _made:
        _copy(_made[kind])
        return
    db.router().run(until)
    if is_empty:
        _made[kind] = statements()


def statements() -> list[tuple[str, tuple]]:
    """What makes the tables, indexes and views of the database in use, and its list of steps; each with its values."""
    schema = _of_mysql() if db.is_mysql() else _of_sqlite()
    columns = "id, name, migrated_at"
    place = ", ".join([db.database.param] * 3)
    steps = db.database.execute_sql(f"SELECT {columns} FROM migratehistory ORDER BY id").fetchall()
    return [(sql, ()) for sql in schema] + [
        (f"INSERT INTO migratehistory ({columns}) VALUES ({place})", step) for step in steps
    ]


def _of_sqlite() -> list[str]:
    ours = "sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    rows = db.database.execute_sql(f"SELECT sql FROM sqlite_master WHERE {ours} ORDER BY rowid").fetchall()
    return [sql for (sql,) in rows]


def _of_mysql() -> list[str]:
    tables = db.database.execute_sql("SHOW FULL TABLES").fetchall()
    views = [_said("VIEW", name) for name, kind in tables if kind == "VIEW"]
    # What a later step makes compares text as the database does.
    ours = "FROM information_schema.schemata WHERE schema_name = DATABASE()"
    collation = db.database.execute_sql(f"SELECT default_collation_name {ours}").fetchone()[0]
    compares = f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {collation}"
    return [compares] + [_said("TABLE", name) for name, kind in tables if kind != "VIEW"] + views


def _said(kind: str, name: str) -> str:
    return db.database.execute_sql(f"SHOW CREATE {kind} `{name}`").fetchone()[1]


def _copy(made: list[tuple[str, tuple]]) -> None:
    if not db.is_mysql():
        with db.database.atomic():
            for statement, values in made:
                db.database.execute_sql(statement, values)
        return
    # Tables point to one another.
    db.database.execute_sql("SET foreign_key_checks = 0")
    try:
        for statement, values in made:
            db.database.execute_sql(statement, values)
    finally:
        db.database.execute_sql("SET foreign_key_checks = 1")
