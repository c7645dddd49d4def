"""The seed of the bench with very many mailboxes, and that no page of a manager grows with them; small."""

import pytest
from peewee import Value

import database as db
from actions.ground.actor import OPERATOR
from actions.ground.unit_of_work import UnitOfWork
from actions.services import mailboxes, user_list
from actions.services.mailboxes import NewMailbox
from bench import million
from models import Account, AccountWord, Mailbox
from settings import LANGUAGES

WITHOUT_ROWS = ("search, found by nobody", "service, general facts", "edit and save")
OWN = {"id", "login", "address", "home", "first_name", "last_name", "contact_email", "sort_name", "account"}
OWN |= {"revision", "created_at", "password_hash", "password_changed_at", "quota_bytes", "domain"}


@pytest.fixture(scope="module")
def panels(tmp_path_factory):
    before = db.database.obj
    with million.both("sqlite", many=1500, few=300) as both:
        yield both
    db.database.initialize(before)


@pytest.fixture(autouse=True)
def undisturbed(panels):
    before = db.database.obj
    panels[0].use()
    yield
    db.database.initialize(before)


def test_what_is_seeded_is_what_adding_a_user_writes(panels):
    panel = panels[0]
    domain = million.domain_of(panel)
    made = mailboxes.add_mailbox(UnitOfWork(panel.ports, OPERATOR), NewMailbox(f"zoe@{domain}", "Zoe", "Blu")).account
    seeded = Account.get(Account.domain == made.domain, Account.state == Account.ACTIVE, Account.id != made.id)
    for table, of in ((Account, Account.id), (Mailbox, Mailbox.account)):
        one, other = (table.select().where(of == each.id).dicts().get() for each in (made, seeded))
        assert {name: one[name] for name in one.keys() - OWN} == {name: other[name] for name in one.keys() - OWN}
    expected = million.search_words.words_of(seeded.login, seeded.first_name, seeded.last_name)
    assert sorted(expected) == [each.word for each in seeded.words.order_by(AccountWord.word)]


@pytest.mark.parametrize("name", million.SCENARIOS)
def test_every_page_that_is_measured_answers_and_stays_small(panels, name):
    measured = million.measure(million.SCENARIOS[name], *panels, turns=1, warm_up=0)
    assert measured.largest <= million.LARGEST_PAGE


@pytest.mark.parametrize("name", [name for name in million.SCENARIOS if name not in WITHOUT_ROWS])
def test_every_page_that_is_measured_has_something_on_it(panels, name):
    request = million.SCENARIOS[name](panels[0])
    assert request().count("<tr") > 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_stays_small_in_every_language_with_the_longest_names(panels, language):
    panel, length = panels[0], 64
    with db.database.atomic() as undone:
        Account.update(language=language).where(Account.login == million.MANAGER).execute()
        long_ones = Account.update(first_name="Ж" * length, last_name="Щ" * length)
        long_ones.where(Account.service == panel.service).execute()
        Account.update(bounced_address=Account.contact_email).where(Account.service == panel.service).execute()
        Mailbox.update(address=Value("x" * length).concat(Mailbox.address)).execute()
        page = panel.get(f"/services/{panel.service.id}/mailboxes/?text=an")
        undone.rollback()
    assert page.count("Ж" * length) == user_list.PAGE
    assert len(page.encode()) <= million.LARGEST_PAGE


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_no_page_takes_longer_among_many(kind):
    before = db.database.obj
    try:
        with million.both(kind, many=20_000) as (many, few):
            ratios = {name: million.measure(each, many, few).ratio for name, each in million.SCENARIOS.items()}
    finally:
        db.database.initialize(before)
    assert {name: ratio for name, ratio in ratios.items() if ratio > million.AIM} == {}
