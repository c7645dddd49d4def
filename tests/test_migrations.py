"""A database that is in use is brought to the present version with all that stands in it."""

from postern import models
from postern.actions import user_list
from postern.actions.user_list import Wanted
from postern.models import Account, AccountWord, Service

PEOPLE = (("anna", "Anna", "Keller", "active"), ("boris", "Борис", "Орлов", "suspended"), ("c", "", "", "active"))


def insert(table: str, **columns: object) -> None:
    mark = models.database.param
    names, marks = ", ".join(columns), ", ".join([mark] * len(columns))
    models.database.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))


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
    opened = models.open_database(database_url)
    with opened.connection_context():
        models.router().run("003_collaborations")
        fill_an_earlier_version()
        models.router().run()
        service = Service.get()
        assert (service.mailboxes_made, service.quota_given_bytes) == (3, 6 * 1024)
        for typed, state, login in (("orlov", "", "boris@"), ("anna k", "active", "anna@"), ("c@", "", "c@")):
            [found] = user_list.page(service, Wanted(text=typed, state=state)).mailboxes
            assert found.address == f"{login}example.org"
        by_name = user_list.page(service, Wanted(order=user_list.NAME)).mailboxes
        assert [each.account.first_name for each in by_name] == ["", "Anna", "Борис"]
        manager = Account.get_by_id(9)
        assert (manager.service, manager.domain, manager.sort_name, manager.phone) == (None, None, "", "")
        assert AccountWord.select().where(AccountWord.account == manager).count() == 0
        assert len({account.revision for account in Account.select()}) == 4
