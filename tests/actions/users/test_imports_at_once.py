"""Users from a file at the operator's command: of whatever services, all or none, refused as on the page."""

import io

import pytest

from actions.ground.actor import OPERATOR
from actions.ground.refusals import Refused
from actions.ground.sizes import MEGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.services import mailboxes, search_words
from actions.services.mailboxes import NewMailbox
from actions.sessions import links
from actions.users import imports, imports_at_once, user_files
from lab.actors import acting
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Domain,
    Mailbox,
    OneTimeLink,
    Organisation,
    Service,
    UserImport,
    UserImportLine,
)


def plan_of(ports, text):
    return imports_at_once.plan(ports, text.splitlines(keepends=True))


def problem_lines(ports, text):
    return [line for line, _ in plan_of(ports, text).problems]


HEADER = "address,first_name,last_name,contact_email,quota_mb,language\n"


def test_a_file_is_imported_as_a_whole(ports, people):
    plan = plan_of(
        ports,
        HEADER + 'dora@example.org,Dóra,"Nagy, Dr. ""D""",dora@elsewhere.example.com,10,it\r\nEmil@example.org,,,,,\n',
    )
    assert plan.problems == []
    made = imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert [each.account.login for each in made] == ["dora@example.org", "emil@example.org"]
    assert all(links.find(each.link.rpartition("/")[2], (links.WELCOME,)) for each in made)
    dora = Account.by_login("dora@example.org")
    assert (dora.display_name, dora.language) == ('Dóra Nagy, Dr. "D"', "it")
    assert Mailbox.by_address("dora@example.org").quota_bytes == 10 * MEGABYTE


def test_columns_stand_in_any_order_and_case(ports, people):
    plan = plan_of(ports, "Last_Name , ADDRESS\nNagy,dora@example.org\n")
    assert [(line.new.address, line.new.last_name) for line in plan.lines] == [("dora@example.org", "Nagy")]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "\n",
        "name\n",
        "address,password\n",
        "address,address\n",
        "dora@example.org\n",
        '"address\n',
        'a"b"c\n',
        "\0\n",
        "address;first_name\n",
    ],
)
def test_a_first_line_that_names_no_columns_is_told(ports, people, header):
    assert problem_lines(ports, header + "dora@example.org,x\n")


def test_every_problem_is_told_with_its_line(ports, people, anna):
    text = (
        "address,first_name,quota_mb\n"
        "dora@example.org,Dora,10\n"
        "no address,x,1\n"
        "emil@foreign.example,x,1\n"
        "anna@example.org,x,1\n"
        "Dora@example.org,again,1\n"
        "fritz@example.org,x\n"
        "gina@example.org,x,1,1\n"
        "hans@example.org,x,-1\n"
        "ida@example.org,x,1.5\n"
        "jan@example.org,x,99999999999\n"
        "kai@example.org,=1+1,1\n"
    )
    plan = plan_of(ports, text)
    assert [line for line, _ in plan.problems] == list(range(3, 12))
    assert [line.new.address for line in plan.lines] == ["dora@example.org", "kai@example.org"]


@pytest.mark.parametrize("text", ['address\n"dora@example.org\n', 'address\n"dora"x@example.org\n'])
def test_a_misplaced_quote_is_told(ports, people, text):
    assert problem_lines(ports, text)


def test_with_one_problem_nothing_is_imported(ports, people):
    plan = plan_of(ports, "address\ndora@example.org\nnobody\n")
    with pytest.raises(Refused):
        imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert Account.select().count() == 0


def test_what_was_taken_meanwhile_stops_the_whole_import(ports, people):
    plan = plan_of(ports, "address\ndora@example.org\nemil@example.org\n")
    people.add("emil")
    with pytest.raises(Refused):
        imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert Account.select().count() == 1


# --- as on the page, and as one by one ---

WRONG = (
    "no address,Dora,,,1,",
    "dora@example.org,Dora",
    "dora@example.org,Dora,Neri,,1,,extra",
    "anna@example.org,,,,1,",
    "ANNA@Example.org,,,,1,",
    ",Nobody,,,1,",
    "twice@example.org,,,,1,",
    "Twice@example.org,,,,1,",
    "dora@example.org,,,nobody,1,",
    "dora@example.org,,,dora@example.org,1,",
    "dora@example.org,,,,-1,",
    "dora@example.org,,,,1e99,",
    "dora@example.org,,,,,",
    "dora@example.org,,,,1,zz",
    "dora@example.org," + "x" * 121 + ",,,1,",
    "dora@example.org," + "x" * 10_000 + ",,,1,",
    "x" * 100_000 + "@example.org,,,,1,",
    "dora@example.org,\u202egnp.exe,,,1,",
    "dora@example.org,a\0b,,,1,",
)


@pytest.fixture
def on_the_page(ports, manager, people):
    """What the page says of a file: each wrong line with its sentence, or the sentence beside the file's field."""

    def on_the_page(content: bytes) -> dict[int, str] | str:
        try:
            file = user_files.text_of(io.BytesIO(content))
            begun = imports.begin(UnitOfWork(ports, acting(manager)), people.service, file, "users.csv", invites=False)
        except Refused as refusal:
            return str(refusal)
        return {line.line: str(imports.told(line.problem)) for line in imports.lines(begun, with_problems=True)}

    return on_the_page


def at_the_command(ports, content: bytes) -> dict[int, str] | str:
    try:
        file = user_files.text_of(io.BytesIO(content))
        return {line: str(problem) for line, problem in imports_at_once.plan(ports, file).problems}
    except Refused as refusal:
        return str(refusal)


def test_a_wrong_line_is_refused_as_on_the_page(ports, on_the_page, anna):
    Service.update(quota_bytes=500 * MEGABYTE).execute()
    content = (HEADER + "egon@example.org,,,,1,\n" + "".join(line + "\n" for line in WRONG)).encode()
    told = at_the_command(ports, content)
    assert told == on_the_page(content)
    assert list(told) == [line for line in range(3, len(WRONG) + 3) if line != 9]


@pytest.mark.parametrize(
    "content", [b"", b"address,password\nx,y", HEADER.encode("utf-16")[:-1], b"address\nd\xff@example.org"]
)
def test_what_is_no_file_of_users_is_refused_as_on_the_page(ports, on_the_page, content):
    told = at_the_command(ports, content)
    assert (told if isinstance(told, str) else told[1]) == on_the_page(content)


def test_a_line_that_is_no_csv_is_the_same_on_the_page(ports, on_the_page):
    for content, line in ((b'"address\n', 1), (b'address\ndora@example.org\n"egon"x@example.org\n', 3)):
        assert list(at_the_command(ports, content)) == [line]
        assert on_the_page(content).startswith(f"Line {line} is not CSV")


def test_what_stands_before_a_line_that_is_no_csv_is_told_too(ports, people):
    assert problem_lines(ports, 'address\nnobody\ndora@example.org\n"egon"x@example.org\n') == [2, 4]


def test_blanks_around_it_make_no_line_too_long(ports, on_the_page, people):
    content = (HEADER + "dora@example.org" + " " * 5000 + ",Dora,,,,\n").encode()
    assert at_the_command(ports, content) == on_the_page(content) == {}


def test_all_are_made_as_one_by_one(ports, people):
    """Row for row what adding a single mailbox makes, but for what is the user's own."""
    new = NewMailbox("zoe@example.org", "Zoe", "Blu", "zoe@elsewhere.example.com", 5 * MEGABYTE, "it")
    mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), new)
    text = HEADER + "dora@example.org,Dora,Blu,dora@elsewhere.example.com,5,it\n"
    imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan_of(ports, text))
    own = {"id", "login", "address", "first_name", "contact_email", "home", "sort_name", "revision", "held"}
    own |= {"account", "account_login", "mailbox", "token_hash", "bound_to", "created_at", "at", "expires_at"}
    # Where somebody acts from is nobody's own: it is no address of a user.
    assert {(each.address, each.actor_id) for each in AuditEvent.select()} == {("", None)}
    for table in (Account, Mailbox, AuditEvent, OneTimeLink):
        one, other = table.select().order_by(table.id).dicts()
        assert {name: one[name] for name in one if name not in own} == {
            name: other[name] for name in other if name not in own
        }
    zoe, dora = Account.by_login("zoe@example.org"), Account.by_login("dora@example.org")
    events = AuditEvent.select().order_by(AuditEvent.id)
    assert [(each.account, each.mailbox) for each in events] == [(zoe, zoe.mailbox), (dora, dora.mailbox)]
    for each in (zoe, dora):
        words = {word.word for word in AccountWord.select().where(AccountWord.account == each)}
        assert words == set(search_words.words_of(each.login, each.first_name, each.last_name))


def test_who_is_suspended_gets_no_link(ports, people):
    plan = plan_of(ports, "address,phone,state\ndora@example.org,'+393331234567,suspended\nemil@example.org,,\n")
    dora, emil = imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert (dora.link, dora.account.state, dora.account.phone) == (None, Account.SUSPENDED, "+393331234567")
    assert emil.link and emil.account.state == Account.ACTIVE


def test_nothing_of_the_file_stays(ports, people):
    imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan_of(ports, HEADER + "dora@example.org,,,,,\n"))
    assert not UserImport.select().exists()
    assert not UserImportLine.select().exists()


# --- several services ---


@pytest.fixture
def theirs(people) -> Service:
    other = Service.create(organisation=Organisation.create(name="Other Ltd"), name="Theirs")
    Domain.create(service=other, name="other.example")
    return other


BOTH = "address,quota_mb\nzoe@other.example,1\ndora@example.org,2\nemil@other.example,3\n"


def test_a_file_may_name_several_services(ports, people, theirs):
    made = imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan_of(ports, BOTH))
    assert [each.account.login for each in made] == ["zoe@other.example", "dora@example.org", "emil@other.example"]
    for each in made:
        assert links.find(each.link.rpartition("/")[2], (links.WELCOME,)).account == each.account
    counted = [(service.mailboxes_made, service.quota_given_bytes) for service in Service.select().order_by(Service.id)]
    assert counted == [(1, 2 * MEGABYTE), (2, 4 * MEGABYTE)]
    assert Account.by_login("zoe@other.example").organisation_id == theirs.organisation_id


def test_what_was_ordered_holds_for_each_service(ports, people, theirs):
    Service.update(most_mailboxes=1).execute()
    plan = plan_of(ports, BOTH)
    ((service, problem),) = plan.too_many
    assert (service, plan.problems, plan.is_in_order) == (theirs, [], False)
    assert "room for only 1 more" in str(problem)
    with pytest.raises(Refused):
        imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert Account.select().count() == 0


def test_a_limit_that_one_service_reaches_meanwhile_stops_all(ports, people, theirs):
    plan = plan_of(ports, BOTH)
    Service.update(quota_bytes=3 * MEGABYTE).execute()
    with pytest.raises(Refused):
        imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert (Account.select().count(), OneTimeLink.select().count(), UserImport.select().count()) == (0, 0, 0)
    assert {service.mailboxes_made for service in Service.select()} == {0}


def test_a_service_that_is_gone_meanwhile_stops_all(ports, people, theirs):
    plan = plan_of(ports, BOTH)
    Domain.delete().where(Domain.service == theirs).execute()
    Service.delete().where(Service.id == theirs.id).execute()
    with pytest.raises(Refused):
        imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)
    assert Account.select().count() == 0


def test_very_many_cost_few_statements(ports, people, statements):
    text = "address\n" + "".join(f"u{number}@example.org\n" for number in range(1200))
    plan = plan_of(ports, text)
    assert len(statements) < 20
    statements.clear()
    assert len(imports_at_once.carry_out(UnitOfWork(ports, OPERATOR), plan)) == 1200
    assert len(statements) < 120
