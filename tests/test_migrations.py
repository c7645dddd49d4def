"""A database that is in use is brought to the present version with all that stands in it."""

import contextlib
import sqlite3

from peewee import Database

import database as db
import models
from actions.devices import devices
from actions.ground.tokens import digest
from actions.services import search_words, user_list
from actions.services.user_list import WantedUsers
from actions.sessions import links
from models import Account, AccountWord, Device, Organisation, Service
from tests.numbers import a_row
from tests.test_floors import columns_of, foreign_keys_of, indexes_of

PEOPLE = (("anna", "Anna", "Keller", "active"), ("boris", "Борис", "Орлов", "suspended"), ("c", "", "", "active"))


def insert(table: str, **columns: object) -> None:
    mark = db.database.param
    names, marks = ", ".join(columns), ", ".join([mark] * len(columns))
    db.database.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))


def fill_an_earlier_version() -> None:
    insert("organisation", id=1, name="Example Ltd", created_at=1)
    insert("service", id=1, organisation_id=1, name="Mail", password_policy="classic", state="active", created_at=1)
    insert("domain", id=1, service_id=1, name="example.org", created_at=1)
    shared = {
        "organisation_id": 1,
        "contact_email": "",
        "language": "",
        "timezone": "",
        "must_change_password": 0,
        "created_at": 9,
    }
    for number, (name, first, last, state) in enumerate(PEOPLE, start=1):
        names = {
            "login": f"{name}@example.org",
            "first_name": first,
            "last_name": last,
            "role": "person",
            "state": state,
        }
        insert("account", id=number, **names, **shared)
        place = {"address": f"{name}@example.org", "home": name, "quota_bytes": number * 1024, "created_at": 9}
        insert("mailbox", id=number, domain_id=1, account_id=number, **place)
    insert(
        "account",
        id=9,
        login="manager@example.org",
        first_name="M",
        last_name="",
        role="owner",
        state="active",
        **shared,
    )


def test_users_of_an_earlier_version_are_counted_placed_and_found(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run()
        service = Service.get()
        assert (service.mailboxes_made, service.quota_given_bytes) == (3, 6 * 1024)
        for typed, state, login in (("orlov", "", "boris@"), ("anna k", "active", "anna@"), ("c@", "", "c@")):
            [found] = user_list.page(service, WantedUsers(text=typed, state=state)).mailboxes
            assert found.address == f"{login}example.org"
        by_name = user_list.page(service, WantedUsers(order=user_list.NAME)).mailboxes
        assert [each.account.first_name for each in by_name] == ["", "Anna", "Борис"]
        manager = Account.get_by_id(9)
        assert (manager.service, manager.domain, manager.sort_name, manager.phone) == (None, None, "", "")
        assert AccountWord.select().where(AccountWord.account == manager).count() == 0
        assert len({account.revision for account in Account.select()}) == 4


# --- numbers that never come again ---

BEFORE, THIS = "008_whose_events", "009_numbers_that_never_come_again"
TOKENS = {purpose: f"token of {purpose}" for purpose in (links.DISOWN_DEVICE, links.DISOWN, links.RESET)}


def fill_the_version_before(database_url: str) -> Database:
    """A database with a device, links that are open, and logins of a device that is gone."""
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run(BEFORE)
        opened.execute_sql("UPDATE account SET password_hash = 'hash' WHERE id = 1")
        words = {"icon": "laptop", "created_by_login": "x", "verifier": "v", "request_id": digest("a form")}
        moments = {"created_at": 9, "password_at": 9}
        insert("device", id=7, account_id=1, name="Phone", protocols=1, selector="abcdefgh", **words, **moments)
        insert("last_login", login_id=40, device_id=77, service="imap", ip="192.0.2.1", last_access=9)
        for purpose, token in TOKENS.items():
            secret = ":hash" if purpose == links.RESET else ""
            bound = {"bound_to": digest(f"1:{purpose}:active{secret}"), "token_hash": digest(token)}
            moments = {"created_at": 9, "expires_at": models.now() + 999}
            insert("one_time_link", account_id=1, purpose=purpose, subject_id=7, **bound, **moments)
        void = {"bound_to": "of another state", "token_hash": digest("void"), "purpose": links.RESET}
        insert("one_time_link", account_id=1, created_at=9, expires_at=models.now() + 999, **void)
    return opened


def keys_and_indexes() -> dict[str, tuple]:
    """Of the tables that this version has."""
    present = db.database.get_tables()
    names = [name for table in models.TABLES if (name := table._meta.table_name) in present]
    return {name: (indexes_of(name), foreign_keys_of(name)) for name in names}


def logins() -> list[tuple]:
    return list(db.database.execute_sql("SELECT login, login_id, mailbox, refusal FROM mail_login ORDER BY login"))


def test_what_is_there_keeps_its_number_its_keys_and_its_links(database_url):
    opened = fill_the_version_before(database_url)
    with opened.connection_context():
        before, seen = keys_and_indexes(), logins()
        db.router().run(THIS)
        after = keys_and_indexes()
        assert {name: after[name] for name in before} == before
        db.router().run()
        assert logins() == seen
        for purpose, token in TOKENS.items():
            link = links.find(token, (purpose,))
            assert link.account.login == "anna@example.org"
            assert (devices.disowned(link) is not None) == (purpose == links.DISOWN_DEVICE)
        assert links.find("void", links.SETS_PASSWORD) is None
        if db.is_sqlite():
            assert list(opened.execute_sql("PRAGMA integrity_check")) == [("ok",)]
            assert list(opened.execute_sql("PRAGMA foreign_key_check")) == []


def test_new_numbers_begin_above_all_that_anything_still_refers_to(database_url):
    opened = fill_the_version_before(database_url)
    with opened.connection_context():
        db.router().run()
        if db.is_mysql():
            return
        reached = dict(opened.execute_sql("SELECT name, seq FROM sqlite_sequence"))
        assert reached["device"] > 77
        assert reached["account"] > 40
        Device.delete().execute()
        assert a_row(Device, "new").id > 77
        assert Organisation.create(name="New").id > 1


def test_the_mail_server_reads_and_writes_meanwhile(tmp_path):
    """In a transaction that began before, and with the connection that it has."""
    file = tmp_path / "postern.db"
    opened = fill_the_version_before(f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as dovecot:
        dovecot.execute("BEGIN")
        before = dovecot.execute("SELECT login, refusal FROM mail_login").fetchall()
        with opened.connection_context():
            db.router().run()
        assert dovecot.execute("SELECT login, refusal FROM mail_login").fetchall() == before
        dovecot.execute("COMMIT")
        assert dovecot.execute("SELECT login, refusal FROM mail_login").fetchall() == before
        assert dovecot.execute("SELECT selector FROM mail_device").fetchall() == [("abcdefgh",)]
        dovecot.execute("INSERT INTO last_login VALUES (1, 0, 'imap', '192.0.2.1', 9)")
        assert dovecot.execute("SELECT COUNT(*) FROM last_login").fetchone() == (2,)


def test_the_step_is_taken_back_and_taken_again(database_url):
    opened = fill_the_version_before(database_url)
    with opened.connection_context():
        before = keys_and_indexes(), logins(), columns_of("audit_event"), columns_of("account")
        db.router().run(THIS)
        db.router().rollback()
        assert db.pending_migrations()[0] == THIS
        assert (keys_and_indexes(), logins(), columns_of("audit_event"), columns_of("account")) == before
        db.router().run()
        assert db.pending_migrations() == []
        assert logins()


def test_a_large_table_takes_no_longer_than_a_small_one(tmp_path):
    """On SQLite nothing is copied: as much is written for a hundred thousand events as for none."""
    file = tmp_path / "postern.db"
    opened = fill_the_version_before(f"sqlite:///{file}")
    with opened.connection_context():
        opened.execute_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
            " INSERT INTO audit_event (at, action, actor_login, account_login, address, user_agent, details)"
            " SELECT i, 'x', 'x', 'x', 'x', 'x', '{}' FROM n"
        )
        opened.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.router().run()
        assert file.with_name("postern.db-wal").stat().st_size < 1_000_000


# --- perhaps delivered ---


def test_what_waits_for_its_delivery_was_never_without_an_answer(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("009_numbers_that_never_come_again")
        numbers = {"created_at": 9, "next_try_at": 9, "leased_until": 0, "attempts": 2}
        insert("outbox_item", kind="mail", payload="x", last_error="451", **numbers, **{quoted("key"): "k"})
        db.router().run("010_perhaps_delivered")
        db.router().rollback()
        assert db.pending_migrations()[0] == "010_perhaps_delivered"
        db.router().run()
        [item] = models.OutboxItem.due(models.now())
        assert (item.unanswered, item.attempts, item.last_error) == (0, 2, "451")


# --- signs within words ---


NAMES = (("anna", "Seán", "O'Connor"), ("olga", "Ольга", "Дёмина-Кац"), ("c", "", ""), ("k", "Jean-Luc", "Чехов"))


def words_and_keys() -> list[tuple]:
    query = "SELECT login, sort_name, word, account_word.service_id, account_word.domain_id, account_word.state"
    query += " FROM account JOIN account_word ON account_id = account.id ORDER BY account.id, word"
    return list(db.database.execute_sql(query))


def test_users_of_before_are_found_and_in_order_as_those_who_are_added(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run("010_perhaps_delivered")
        for number, (name, first, last) in enumerate(NAMES, start=1):
            changed = {"login": f"{name}@example.org", "first_name": first, "last_name": last, "sort_name": name}
            Account.update(changed).where(Account.id == number).execute()
        db.router().run()
        migrated = words_and_keys()
        for account in Account.select().where(Account.service.is_null(False)):
            search_words.place(account, account.domain)
            account.save()
            search_words.enter(account)
        assert migrated == words_and_keys()
        [found] = user_list.page(Service.get(), WantedUsers(text="olga demina kats")).mailboxes
        assert found.account.login == "olga@example.org"


def test_a_file_that_waits_makes_users_in_the_present_order(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run("011_phone_and_state_of_imported_users")
        models.UserImport.insert(service=1, made_by_login="x", file_name="x.csv", state="wanted").execute()
        person = {"user_import": 1, "first_name": "Пётр", "last_name": "Чехов", "contact_email": "", "language": ""}
        place = {"quota_bytes": 0, "domain_id": 1, "home": "x", "revision": 1}
        models.UserImportLine.insert(
            line=1, address="p@example.org", sort_name="chekhov petr p@example.org", **person, **place
        ).execute()
        wrong = place | dict.fromkeys(person.keys() - {"user_import"}, "") | {"user_import": 1, "problem": {}}
        models.UserImportLine.insert(line=2, address="wrong", sort_name="", **wrong).execute()
        db.router().run()
        waiting = [line.sort_name for line in models.UserImportLine.select().order_by(models.UserImportLine.line)]
        assert waiting == ["чехов петр p@example.org", ""]


def test_the_words_of_before_come_back(database_url):
    opened = db.open_database(database_url)
    with opened.connection_context():
        db.router().run("003_collaborations")
        fill_an_earlier_version()
        db.router().run("012_signs_within_words")
        db.router().rollback()
        assert db.pending_migrations()[0] == "012_signs_within_words"
        place = (1, 1, "suspended")
        assert [row for row in words_and_keys() if row[0] == "boris@example.org"] == [
            ("boris@example.org", "orlov boris boris@example.org", word, *place)
            for word in ("boris orlov", "boris@example.org", "example.org", "orlov boris")
        ]
        db.router().run()
        assert user_list.page(Service.get(), WantedUsers(text="orlovboris")).mailboxes


def quoted(name: str) -> str:
    return f"`{name}`" if db.is_mysql() else name
