"""The list of users: every page in every order, and whom a search finds, against the same done by hand."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import database as db
from actions.ground.unit_of_work import UnitOfWork
from actions.services import last_access, search_words, user_list
from actions.services.user_list import WantedUsers
from actions.users import users
from lab.actors import acting
from models import CLOCKS_DIFFER, Account, Domain, LastLogin, Mailbox, Service

FIRST = ("Anna", "Борис", "chiara", "Đorđe", "", "Zoë Maria")
LAST = ("Keller", "Orlov", "de' Rossi", "", "Ünal")
STATES = (Account.ACTIVE, Account.ACTIVE, Account.SUSPENDED, Account.LOCKED)


@pytest.fixture
def crowd(people, monkeypatch):
    """Sixty people of two domains in every state, on pages of seven."""
    monkeypatch.setattr(user_list, "PAGE", 7)
    first_domain = people.domain
    second_domain = Domain.create(service=people.service, name="example.net")
    for number, (first, last) in enumerate(itertools.islice(itertools.cycle(itertools.product(FIRST, LAST)), 60)):
        people.domain = (first_domain, second_domain)[number % 2]
        added = people.add(f"p{number:02}.{'even' if number % 2 else 'odd'}", None, first_name=first, last_name=last,
                           state=STATES[number % 4])  # fmt: skip
        added.write(used_bytes=number % 5, last_access=number // 9, password_hash=None if number % 3 else "hash")
    people.domain = first_domain
    return people


def accounts_by_hand(wanted: WantedUsers) -> list[str]:
    """The logins that the list should hold, in its order."""
    text = search_words.searched(wanted.text)
    found = []
    for account in Account.select():
        words = search_words.words_of(account.login, account.first_name, account.last_name)
        matching = sorted(word for word in words if word.startswith(text))
        here = not wanted.domain or account.login.endswith(f"@{wanted.domain}")
        here = here and wanted.has_password in (None, account.password_hash is not None)
        if here and wanted.state in ("", account.state) and (not wanted.text or matching):
            key = (matching[0], account.id) if wanted.text else getattr(account, user_list.ORDERS[wanted.order].name)
            found.append((key, account.login))
    return [login for _key, login in sorted(found, reverse=wanted.descending and not wanted.text)]


def logins(page: user_list.Page) -> list[str]:
    return [mailbox.account.login for mailbox in page.mailboxes]


def forwards(service: Service, **wanted: object) -> list[user_list.Page]:
    pages = [user_list.page(service, WantedUsers(**wanted))]
    while pages[-1].after:
        pages.append(user_list.page(service, WantedUsers(**wanted, after=pages[-1].after)))
    return pages


ORDERS = [{"order": order, "descending": falling} for order in user_list.ORDERS for falling in (False, True)]
SEARCHES = [{"text": text} for text in ("a", "p1", "keller", "anna k", "boris", "example", "odd@", "zoe maria", "unal")]
FILTERS = [{}, {"domain": "example.net"}, {"state": Account.SUSPENDED}, {"domain": "example.org", "state": "active"},
           {"state": Account.ACTIVE, "has_password": False}]  # fmt: skip


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
def test_the_pages_hold_everybody_once_in_order_there_and_back(crowd, chosen):
    for wanted in (*ORDERS, *SEARCHES):
        pages = forwards(crowd.service, **wanted, **chosen)
        expected = accounts_by_hand(WantedUsers(**wanted, **chosen))
        assert [login for page in pages for login in logins(page)] == expected, wanted
        assert not pages[0].before
        service = Service.get_by_id(crowd.service.id)
        assert user_list.count(service, WantedUsers(**wanted, **chosen)) == len(expected)
        back = [pages[-1]]
        while back[-1].before:
            back.append(user_list.page(crowd.service, WantedUsers(**wanted, **chosen, before=back[-1].before)))
        assert set(itertools.chain.from_iterable(map(logins, back))) == set(expected)
        assert logins(back[-1]) == logins(pages[0])


def test_no_more_are_counted_than_a_page_says(crowd, monkeypatch):
    monkeypatch.setattr(user_list, "MOST_COUNTED", 10)
    service = Service.get_by_id(crowd.service.id)
    assert user_list.count(service, WantedUsers(text="p")) == 11
    assert user_list.count(service, WantedUsers()) == 60


@pytest.mark.parametrize("mark", ["", "x", "1.x", "1.--5", "1.٣", f"1.{'9' * 30}", f"{'9' * 30}.1", "\x00"])
def test_a_mark_that_is_none_is_harmless(crowd, mark):
    assert user_list.page(crowd.service, WantedUsers(order=user_list.USED, after=mark)).mailboxes


def test_the_last_access_is_noted_from_what_dovecot_wrote(people, ports, clock):
    anna, boris = people.add("anna", None), people.add("boris", None)
    watch, moment = last_access.LastAccessWatch(), clock.moment

    def log_in(account: Account, device: int, at: int) -> None:
        LastLogin.replace(
            login_id=account.id, device_id=device, service="imap", ip="192.0.2.1", last_access=at
        ).execute()

    log_in(anna, 0, moment - 90)
    log_in(anna, 7, moment - 30)
    watch.look(ports)
    assert [Account.get_by_id(each.id).last_access for each in (anna, boris)] == [moment - 30, 0]
    log_in(anna, 0, moment)
    watch.look(ports)
    assert Account.get_by_id(anna.id).last_access == moment - 30
    clock.moment += 2 * last_access.HOUR
    log_in(anna, 0, clock.moment)
    log_in(boris, 0, clock.moment + 10**6)
    watch.look(ports)
    assert Account.get_by_id(anna.id).last_access == clock.moment
    assert Account.get_by_id(boris.id).last_access <= clock.moment + CLOCKS_DIFFER


def test_names_are_found_whatever_the_script_or_case(people):
    boris = people.add("b", None, first_name="Борис", last_name="Орлов")
    people.add("other", None, first_name="Anna")
    for typed in ("Борис", "boris", "BORIS", " борис  ор", "orlov borис", "Orlov", "(orlov"):
        assert logins(user_list.page(people.service, WantedUsers(text=typed))) == [boris.login], typed


@pytest.mark.parametrize(
    ("first", "last", "searches"),
    [
        ("Ольга", "Подъячева", ("olga", "Ольга", "ol'ga", "podyacheva", "Подъячева", "подъ", "olga p")),
        ("Seán", "O'Connor", ("oconnor", "o'connor", "O’Connor", "o connor", "connor", "sean oconnor", "O'Connor, S")),
        (
            "Jean-Luc",
            "Smith-Jones",
            ("jean luc", "jean-luc", "jeanluc", "luc", "Jean Luc smith", "smithjones", "jones"),
        ),
        (
            "Anna",
            "Keller",
            ("Keller, Anna", "keller,anna", "Anna Keller,", "(Keller) an", "\u200bkeller", "kel\u00adler"),
        ),
        ("Мар’яна", "Дем'яненко", ("mar", "Мар'яна", "Марʼяна", "дем’яненко", "демяненко")),
        ("J. R.", "D’Angelo", ("jr d", "j r d'a", "j.r.", "dangelo", "angelo", "d angelo")),
    ],
    ids=str,
)
def test_signs_within_words_do_not_matter(people, first, last, searches):
    wanted = people.add("p", None, first_name=first, last_name=last)
    people.add("other", None, first_name="Zoë")
    for typed in searches:
        assert logins(user_list.page(people.service, WantedUsers(text=typed))) == [wanted.login], typed


def test_addresses_are_found_by_their_words_whatever_stands_between_them(people):
    wanted = people.add("anna-maria.k_o", None)
    people.add("annamarie", None)
    for typed in ("anna-maria", "annamaria.", "Maria.K", "anna maria k o@", "o@example", "annamariako@example.org"):
        assert logins(user_list.page(people.service, WantedUsers(text=typed))) == [wanted.login], typed
    assert logins(user_list.page(people.service, WantedUsers(text="maria@"))) == []


def test_names_are_in_the_order_of_their_own_alphabet(people):
    names = ("Adler", "O'Brien", "Zorn", "Дёмин", "Демченко", "Ежов", "Ёлкин", "Жуков", "Йовков", "Кац", "Объедков",
             "Обьев", "Чехов", "Шмидт", "Щукин", "Эткинд", "Яшин")  # fmt: skip
    for number, name in enumerate(reversed(names)):
        people.add(f"p{number}", None, first_name="N", last_name=name)
    listed = [mailbox.account for page in forwards(people.service, order="name") for mailbox in page.mailboxes]
    assert [account.last_name for account in listed] == list(names)


def test_ukrainian_and_serbian_letters_stand_where_their_alphabets_have_them(people):
    for names in ("Гай Ґава Дуб Ева Єва Жук Иго Іго Їжа Йод", "Дан Ђак Ева Лав Љуб Мир Ћук Ум Џек Шут"):
        keys = [search_words.sort_name("a@example.org", "", name) for name in names.split()]
        assert keys == sorted(keys)


def test_what_begins_no_word_finds_nobody(people):
    people.add("boris", None, first_name="Boris", last_name="Orlov")
    for typed in ("%", "_", "*", "''", "; DROP TABLE account", "lov", "\0", "!!!", "x" * 10_000, "org"):
        assert logins(user_list.page(people.service, WantedUsers(text=typed))) == [], typed


MARKS = ("x", ".", "1.", "99999999999999999999.x", "\0", "'", "-1.a", "½.a", "1.\U0001f600")


def test_a_mark_that_nobody_handed_out_is_harmless(crowd):
    for mark, wanted, direction in itertools.product(MARKS, ({"text": "a"}, {}), ("after", "before")):
        assert len(user_list.page(crowd.service, WantedUsers(**wanted, **{direction: mark})).mailboxes) <= 7


def test_no_other_service_is_looked_into(crowd):
    other = Service.create(organisation=crowd.organisation, name="Other")
    assert user_list.page(other, WantedUsers()).mailboxes == []
    assert user_list.page(other, WantedUsers(domain="example.net")).mailboxes == []
    assert user_list.page(other, WantedUsers(text="anna")).mailboxes == []
    assert user_list.find(other, Mailbox.get().id) is None


def test_the_list_follows_what_is_changed(ports, people, manager):
    anna = people.add("anna", first_name="Anna", last_name="Keller")
    mailbox = anna.mailbox
    profile = users.Profile("Zora", "Younan", anna.contact_email, state=Account.SUSPENDED)
    users.edit(UnitOfWork(ports, acting(manager)), mailbox, anna.revision, profile)
    for wanted in ({"text": "zora"}, {"text": "anna@"}, {"state": "suspended"}, {"text": "y", "state": "suspended"}):
        assert logins(user_list.page(people.service, WantedUsers(**wanted))) == [anna.login], wanted
    for wanted in ({"text": "keller"}, {"state": "active"}, {"text": "z", "state": "active"}):
        assert logins(user_list.page(people.service, WantedUsers(**wanted))) == [], wanted
    users.remove(UnitOfWork(ports, acting(manager)), mailbox, anna.login)
    assert logins(user_list.page(people.service, WantedUsers(text="zora"))) == []


def test_every_list_is_read_from_an_index_alone(crowd, monkeypatch):
    """What SQLite would have to sort or look through grows with the number of users; MariaDB's plans depend on how many
    there are, and are measured in bench/."""
    if not db.is_sqlite():
        return
    real, plans = db.database.obj.execute_sql, []

    def explained(sql, parameters=None, *more):
        if "ORDER BY" in sql:
            plans.append(" ".join(row[3] for row in real(f"EXPLAIN QUERY PLAN {sql}", parameters)))
        return real(sql, parameters, *more)

    monkeypatch.setattr(db.database.obj, "execute_sql", explained)
    in_the_middle = ({"descending": True, "after": "p30"}, {"text": "example", "after": "5.example.net"})
    for wanted in (*ORDERS, *SEARCHES, *FILTERS, *in_the_middle):
        assert user_list.page(crowd.service, WantedUsers(**wanted)).mailboxes, wanted
    assert len(plans) > 3 * len(ORDERS + SEARCHES)
    assert not [plan for plan in plans if "TEMP B-TREE" in plan or "SCAN" in plan]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_the_names_the_words_are_short_plain_and_enough(first, last):
    words = search_words.words_of("a.b@mail.example.org", first, last)
    assert words == sorted(set(words))
    for word in words:
        assert 0 < len(word) <= search_words.LONGEST_WORD
        assert word.isascii()
        assert word.isprintable()
    for typed in (first, last, f"{first} {last}", f"{last} {first}", "a.b@m", "mail.e", "example.org", "b@"):
        wanted = search_words.searched(typed)
        assert not wanted or any(word.startswith(wanted) for word in words), typed
    assert search_words.sort_name("a@b.org", first, last).endswith("a@b.org")
