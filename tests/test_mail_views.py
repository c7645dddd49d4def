"""The contract with the mail server is what stands in `mail_views.py`: on both databases, however they came to it."""

import database as db
import mail_views
from actions.devices import device_passwords
from tests.test_floors import columns_of
from tests.test_migrations import fill_an_earlier_version


def kind() -> str:
    return mail_views.MYSQL if db.is_mysql() else mail_views.SQLITE


def views() -> dict[str, tuple]:
    """The definition that the database keeps of each view, and its columns."""
    return {view.name: (definition_of(view.name), columns_of(view.name)) for view in db.database.get_views()}


def definition_of(view: str) -> str:
    """MariaDB keeps a text of its own, by which two views are the same if they mean the same; SQLite keeps ours."""
    if db.is_mysql():
        return db.database.execute_sql(f"SHOW CREATE VIEW {view}").fetchone()[1]
    (text,) = db.database.execute_sql("SELECT sql FROM sqlite_master WHERE name = ?", (view,)).fetchone()
    return " ".join(text.split()).replace("( ", "(").replace(" )", ")")


def as_they_stand_in_the_module() -> dict[str, tuple]:
    """The views of `mail_views`, made in place of those that are there."""
    for view in db.database.get_views():
        db.database.execute_sql(f"DROP VIEW {view.name}")
    for statement in mail_views.statements(kind()).values():
        db.database.execute_sql(statement)
    return views()


def test_a_fresh_database_has_exactly_these_views(database_url):
    with db.open_database(database_url).connection_context():
        db.router().run()
        migrated = views()
        assert migrated == as_they_stand_in_the_module()
    assert set(migrated) == set(mail_views.NAMES)


def test_a_database_that_was_in_use_has_exactly_these_views(database_url):
    with db.open_database(database_url).connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run()
        assert views() == as_they_stand_in_the_module()


def test_new_device_passwords_have_the_shape_that_dovecot_knows():
    made = device_passwords.new_password()
    assert made.text[len(made.selector)] == mail_views.SEPARATOR
    assert len(made.selector) == mail_views.SELECTOR_LENGTH
    assert device_passwords.has_shape(made.text)
    assert all(device_passwords.has_shape(made.text.replace(made.text[0], each)) for each in mail_views.ALPHABET)
