"""Users from a file: errors by line, all or nothing, and a worker that dies in the middle."""

import io

import pytest
from babel.support import Translations

import worker
from actions.ground import spreadsheet
from actions.ground.refusals import Refused
from actions.ground.sizes import MEGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.services import mailboxes, search_words, user_list
from actions.services.mailboxes import NewMailbox
from actions.services.user_list import WantedUsers
from actions.sessions import links
from actions.users import _headings, exports, imports, renaming, user_files
from database import database, transactional
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
from settings import LANGUAGES
from tests.actions.conftest import at_the_same_instant

HEADER = "address,first_name,last_name,contact_email,quota_mb,language\r\n"
TWO = HEADER + (
    'dora@example.org,Dora,"Neri, born Rossi",dora@elsewhere.example.com,500,it\r\negon@example.org,Egon,Müller,,,\r\n'
)


@pytest.fixture
def boss(manager):
    return acting(manager)


@pytest.fixture
def service(people) -> Service:
    return people.service


@pytest.fixture
def begin(ports, boss, service):
    def begin(text: str | bytes, invites: bool = True, actor=boss, within=service, **choices) -> UserImport:
        content = text if isinstance(text, bytes) else text.encode()
        file = user_files.text_of(io.BytesIO(content))
        return imports.begin(UnitOfWork(ports, actor), within, file, "users.csv", invites, **choices)

    return begin


def problems(wanted: UserImport) -> dict[int, str]:
    return {line.line: str(imports.told(line.problem)) for line in imports.lines(wanted, with_problems=True)}


def many(count: int, name: str = "user") -> str:
    return HEADER + "".join(f"{name}{n}@example.org,First{n},Last{n},,10,\r\n" for n in range(count))


def work_all(ports) -> None:
    while imports.work(ports):
        pass


def test_a_dry_run_makes_nobody(begin):
    checked = begin(TWO)
    assert (checked.state, checked.line_count, checked.problem_count) == (UserImport.CHECKED, 2, 0)
    assert checked.can_be_made
    assert [line.address for line in imports.lines(checked, with_problems=False)] == [
        "dora@example.org",
        "egon@example.org",
    ]
    assert not Mailbox.select().exists()
    assert not AccountWord.select().exists()


def test_all_are_made_as_one_by_one(ports, begin, boss, service):
    """Row for row what adding a single user makes, but for what is the user's own."""
    made = mailboxes.create(NewMailbox("zoe@example.org", "Zoe", "Blu", "z@elsewhere.example.com", 5 * MEGABYTE), None)
    imported = imports.want(UnitOfWork(ports, boss), begin(TWO))
    assert imported.state == UserImport.DONE
    own = {"id", "login", "address", "first_name", "last_name", "contact_email", "quota_bytes", "home", "language"}
    own |= {"sort_name", "revision", "created_at", "account", "held"}
    for one, other in (
        (made, Account.by_login("dora@example.org")),
        (Mailbox.by_address("zoe@example.org"), Mailbox.by_address("dora@example.org")),
    ):
        rows = [type(one).select().where(type(one).id == each.id).dicts().get() for each in (one, other)]
        assert [{name: row[name] for name in row if name not in own} for row in rows][0] == {
            name: rows[1][name] for name in rows[1] if name not in own
        }
    dora = Account.by_login("dora@example.org")
    assert (dora.last_name, dora.language, dora.mailbox.quota_bytes) == ("Neri, born Rossi", "it", 500 * MEGABYTE)
    assert dora.sort_name == search_words.sort_name(dora.login, dora.first_name, dora.last_name)
    words = [word.word for word in dora.words.order_by(AccountWord.word)]
    assert words == sorted(search_words.words_of(dora.login, dora.first_name, dora.last_name))
    service = Service.get_by_id(service.id)
    assert (service.mailboxes_made, service.quota_given_bytes) == (3, 505 * MEGABYTE)
    assert not UserImportLine.select().exists()
    row = database.execute_sql("SELECT mailbox, password, refusal FROM mail_login WHERE login = 'dora@example.org'")
    assert tuple(row.fetchone()) == ("dora@example.org", None, None)


def test_it_is_written_down_for_each_and_for_all(ports, begin, boss, manager):
    imports.want(UnitOfWork(ports, boss), begin(TWO))
    events = AuditEvent.select().where(AuditEvent.action == "web:user:added").order_by(AuditEvent.account_login)
    assert [(each.account_login, each.actor_login, each.address) for each in events] == [
        ("dora@example.org", manager.login, boss.address),
        ("egon@example.org", manager.login, boss.address),
    ]
    assert [each.mailbox.address for each in events] == ["dora@example.org", "egon@example.org"]
    assert {each.details["x"] if each.details else "none" for each in events} == {"none"}
    whole = AuditEvent.get(AuditEvent.action == "web:users:imported")
    assert (whole.organisation_id, whole.details["users"]) == (manager.organisation_id, 2)


def test_who_can_be_written_to_is_sent_a_link(ports, begin, boss, mailer):
    imported = imports.want(UnitOfWork(ports, boss), begin(TWO))
    assert imported.invited_count == 1
    assert [link.account.login for link in OneTimeLink.select()] == ["dora@example.org"]
    outbox.deliver_due(ports, worker.OTHERS)
    assert [recipient for recipient, _ in mailer.sent] == ["dora@elsewhere.example.com"]


def test_nobody_is_written_to_where_that_is_not_wanted(ports, begin, boss):
    imports.want(UnitOfWork(ports, boss), begin(TWO, invites=False))
    assert not OneTimeLink.select().exists()
    assert Account.by_login("dora@example.org").password_hash is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dora@example.org,Dora", "does not have the same number of columns"),
        ("dora@example.org,Dora,Neri,,,,extra", "does not have the same number of columns"),
        ("dora@other.example,,,,,", "does not belong to this service"),
        ("dora@nowhere.example,,,,,", "does not belong to this service"),
        ("anna@example.org,,,,,", "already"),
        ("ANNA@Example.org,,,,,", "already"),
        ("not an address,,,,,", "not a valid e-mail address"),
        (",Dora,,,,", "not a valid e-mail address"),
        ("dora@example.org,,,nobody,,", "not a valid e-mail address"),
        ("dora@example.org,,,,-1,", "whole number"),
        ("dora@example.org,,,,1e99,", "whole number"),
        ("dora@example.org,,,,1;DROP,", "whole number"),
        ("dora@example.org,,,,,zz", "language"),
        ("dora@example.org," + "x" * 121 + ",,,,", "1 to 120"),
        ("dora@example.org," + "x" * 10_000 + ",,,,", "too long"),
        ("dora@example.org,\u202egnp.exe,,,,", "control characters"),
        ("dora@example.org,a\0b,,,,", "control characters"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(ports, begin, boss, anna, line, told, people):
    other = Organisation.create(name="Other Ltd")
    Domain.create(service=Service.create(organisation=other, name="Theirs"), name="other.example")
    checked = begin(HEADER + "egon@example.org,,,,,\r\n" + line + "\r\n")
    assert list(problems(checked)) == [3]
    assert told in problems(checked)[3]
    assert (checked.problem_count, checked.can_be_made) == (1, False)
    with pytest.raises(Refused):
        imports.want(UnitOfWork(ports, boss), checked)
    assert Mailbox.select().count() == 1


NAMES_LIKE_FORMULAS = ["=cmd|' /C calc'!A0", "-1", "Anna - Keller", "x;=1", "O'Neil", "'-1", "''=", "＝1", "+ @"]


@pytest.mark.parametrize("name", NAMES_LIKE_FORMULAS)
def test_what_was_exported_is_imported_as_it_was(begin, people, name):
    people.add("anna", first_name=name, last_name="Keller", contact_email="+x@elsewhere.example.com")
    columns = len(user_files.COLUMNS)
    header, row = exports.HEADER[:columns], next(exports.rows(people.service))[:columns]
    text = "".join(spreadsheet.lines(header, [row])).replace("anna@", "dora@")
    (line,) = imports.lines(begin(text), with_problems=False)
    assert (line.first_name, line.contact_email) == (name, "+x@elsewhere.example.com")


def test_an_export_is_imported_without_loss(ports, begin, boss, people):
    anna = people.add("anna", first_name="Anna", contact_email="+tag@elsewhere.example.com", phone="+393331234567")
    anna.write(language="it")
    people.add("boris", contact_email="b@elsewhere.example.com").put_into_state(Account.SUSPENDED)
    people.add("carla").put_into_state(Account.LOCKED)
    before = list(exports.rows(people.service))
    text = "".join(spreadsheet.lines(exports.HEADER, before))
    assert ",'+tag@elsewhere.example.com," in text and ",'+393331234567," in text
    for each in Account.select().where(Account.service == people.service):
        AccountWord.delete().where(AccountWord.account == each).execute()
        Mailbox.delete().where(Mailbox.account == each).execute()
        each.delete_instance()
    done = imports.want(UnitOfWork(ports, boss), begin(text))
    assert (done.state, done.invited_count) == (UserImport.DONE, 1)
    assert [row[:-1] for row in exports.rows(people.service)] == [row[:-1] for row in before]
    boris = Account.by_login("boris@example.org")
    assert {word.state for word in boris.words} == {Account.SUSPENDED}


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("x,", "phone number in digits"),
        (",gone", "state must be one of"),
        ("+39333,", "does not exist"),
        ("+390612345678,", "cannot reach"),
    ],
)
def test_what_is_no_phone_and_no_state_is_told(begin, cells, said):
    assert said in problems(begin(f"address,phone,state\ndora@example.org,{cells}\n"))[2]


def test_all_that_is_wrong_with_a_line_is_said_at_once(begin, people):
    people.add("dora")
    text = "address,contact_email,quota_mb,language,phone,state\n"
    text += "dora@example.org,dora@example.org,many,xx,12,gone\n"
    text += "nora@example.org,,1.5.5,it,,\n"
    text += "nora@example.org,,10,it,,\n"
    text += "no address,,many,it,,\n"
    told = {line.line: imports.told(line.problem).parts for line in imports.lines(begin(text), with_problems=True)}
    assert [str(part) for part in told[2]] == [
        "The quota must be a whole number of megabytes.",
        "The state must be one of: active, suspended, locked.",
        "The contact e-mail must be different from the mailbox address.",
        f"The language must be one of: {', '.join(LANGUAGES)}.",
        "Begin the phone number with + and the country code, such as +39 333 123 4567.",
        "The mailbox dora@example.org already exists.",
    ]
    assert [str(part) for part in told[3]] == ["The quota must be a whole number of megabytes."]
    assert [str(part) for part in told[4]] == ["nora@example.org appears in the file twice."]
    assert len(told[5]) == 2


def test_markup_and_formulas_are_names(ports, begin, boss):
    text = HEADER + "dora@example.org,<script>alert(1)</script>,=cmd|' /C calc'!A0,,,\r\n"
    imports.want(UnitOfWork(ports, boss), begin(text))
    dora = Account.by_login("dora@example.org")
    assert (dora.first_name, dora.last_name) == ("<script>alert(1)</script>", "=cmd|' /C calc'!A0")


def test_twice_in_the_file_is_told_also_when_far_apart(begin, monkeypatch):
    monkeypatch.setattr(imports, "CHECKED_AT_A_TIME", 2)
    text = HEADER + "".join(f"{name}@example.org,,,,,\n" for name in ("a1", "a2", "a1", "a3", "A2", "a4", "a1"))
    checked = begin(text)
    assert list(problems(checked)) == [4, 6, 8]
    assert (checked.line_count, checked.done_count) == (7, 7)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_as_programs_write_them(begin, mark, ending, separator):
    rows = [["Address", " FIRST_NAME "], ["dora@example.org", '"Do""ra"'], [], ["egon@example.org", "Egon"]]
    checked = begin(mark + ending.join(separator.join(row) for row in rows).encode())
    assert problems(checked) == {}
    assert [line.first_name for line in imports.lines(checked, False)] == ['Do"ra', "Egon"]


@pytest.mark.parametrize(
    "headings",
    [
        ("email", "First name", "Last name", "Contact e-mail", "Quota (MB)", "Language"),
        ("E-Mail", "given_name", "SURNAME", "contact email", "quota", "lang"),
        ("Indirizzo e-mail", "Nome", "Cognome", "E-mail di contatto", "Quota MB", "Lingua"),
        ("Адрес эл. почты", "Имя", "Фамилия", "Контактный адрес", "Квота", "Язык"),
        ("Correo electrónico", "Nombre", "Apellidos", "Correo de contacto", "Cuota", "Idioma"),
        ("E-posta adresi", "Ad", "Soyadı", "İletişim e-postası", "KOTA", "DİL"),
    ],
)
def test_columns_have_names_in_every_language(begin, headings):
    checked = begin(";".join(headings) + "\ndora@example.org;Dora;Neri;d@elsewhere.example.com;5;it\n")
    (line,) = imports.lines(checked, with_problems=False)
    read = (line.address, line.first_name, line.last_name, line.contact_email, line.quota_bytes, line.language)
    assert read == ("dora@example.org", "Dora", "Neri", "d@elsewhere.example.com", 5 * MEGABYTE, "it")


def test_no_heading_means_two_columns():
    lost = [
        (column, word)
        for column, words in _headings.SAID.items()
        for word in words.replace("\n", ",").split(",")
        if word.strip() and _headings.meaning(word) != column
    ]
    assert lost == []


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_what_the_pages_call_a_column_may_head_it(language):
    said = Translations.load("translations", [language])
    for word, column in {
        "E-mail address": "address",
        "First name": "first_name",
        "Last name": "last_name",
        "Contact e-mail": "contact_email",
        "Quota": "quota_mb",
        "Language": "language",
        "Phone": "phone",
        "State": "state",
    }.items():
        assert _headings.meaning(word) == _headings.meaning(said.gettext(word)) == column


def test_unknown_columns_are_named_and_skipped_on_request(begin):
    text = "address,Badge no.,First name,\u202enotes\ndora@example.org,17,Dora,x\n"
    with pytest.raises(Refused) as refusal:
        begin(text)
    assert "These columns are unknown: Badge no., notes." in str(refusal.value)
    (line,) = imports.lines(begin(text, skips_unknown=True), with_problems=False)
    assert (line.address, line.first_name, line.last_name) == ("dora@example.org", "Dora", "")


@pytest.mark.parametrize("name", ["Дора Müller", "Ali", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_says_its_encoding_is_read(begin, encoding, name):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (line,) = imports.lines(begin(f"{mark}address,first_name\r\ndora@example.org,{name}\r\n".encode(encoding)), False)
    assert line.first_name == name


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", ["Müller"]),
        ("cp1252", ["José Mª", "Nuñez", "Nicolò", "O’Neil – ß", "PÉREZ", "è"]),
        ("cp1252", ["Nicolò", "È"]),
        ("cp1252", ["O’Neil"]),
        ("cp1252", ["Guðrún", "Þórður", "Ásgeir"]),
        ("cp1251", ["Иванов"]),
        ("cp1251", ["Пётр", "ОРЛОВА", "Анна-Мария", "«Я»"]),
        ("cp1251", ["Ольга", "John"]),
        ("cp1254", ["Ayşe"]),
        ("cp1254", ["Yılmaz", "Şule", "Çığ", "İPEKÇİ", "Doğan"]),
        ("cp1254", ["Gülşen", "José"]),
    ],
)
def test_what_windows_wrote_is_read(begin, encoding, names):
    rows = "".join(f"u{number}@example.org;{name}\r\n" for number, name in enumerate(names))
    checked = begin(f"address;first_name\r\n{rows}".encode(encoding))
    assert problems(checked) == {}
    assert [line.first_name for line in imports.lines(checked, False)] == names


def test_very_many_unknown_columns_make_no_long_sentence(begin):
    with pytest.raises(Refused) as refusal:
        begin("address," + ",".join(f"{number}" + "x" * 500 for number in range(500)))
    assert len(str(refusal.value)) < 1200


def test_columns_that_mean_the_same_are_named(begin):
    with pytest.raises(Refused) as refusal:
        begin("E-mail,Nome,address\ndora@example.org,Dora,egon@example.org\n")
    assert "E-mail, address" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "address,first_name\n\ndora@example.org,Dora\n,\n , \n,,,\n",
        "sep=;\r\naddress;first_name\r\n;\r\ndora@example.org;Dora\r\n",
        '"sep=\t"\naddress\tfirst_name\n\ndora@example.org\tDora\n',
        "SEP=|\naddress|first_name\n\ndora@example.org|Dora\n",
        "address,,first_name,,\n\ndora@example.org,,Dora,,\n,,,,\n",
        "address,first_name,,\n\ndora@example.org,Dora\n",
        "address,first_name\n\ndora@example.org,Dora,, ,\n",
    ],
)
def test_what_spreadsheets_leave_around_a_table_is_no_fault(begin, text):
    checked = begin(text)
    assert problems(checked) == {}
    assert [(line.line, line.address, line.first_name) for line in imports.lines(checked, False)] == [
        (3, "dora@example.org", "Dora")
    ]


def test_a_cell_below_no_name_is_told_unless_it_is_skipped(begin):
    text = "address,,first_name\ndora@example.org,x,Dora\n"
    assert "has no name" in problems(begin(text))[2]
    assert problems(begin(text, skips_unknown=True)) == {}


def test_a_line_is_a_row_of_the_sheet(begin):
    """A cell may have several lines, and an empty row is a row."""
    text = (
        'address,first_name\n"dora@example.org","Dora"\n\n"egon@example.org","a\r\nb\nc"\nnobody,\nfay@example.org,\n'
    )
    assert list(problems(begin(text))) == [4, 5]
    with pytest.raises(Refused) as refusal:
        begin(text + '"gil"x@example.org,\n')
    assert "Line 7 is not CSV" in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "language"), [("IT", "it"), ("it_IT", "it"), ("it-IT", "it"), ("ru-Cyrl-RU", "ru")]
)
def test_a_locale_is_its_language(begin, written, language):
    (line,) = imports.lines(begin(f"address,language\ndora@example.org,{written}\n"), False)
    assert (line.language, line.problem) == (language, None)


@pytest.mark.parametrize("written", ["1024", "1024.0", "1024.00", "1024,0", " 1024 "])
def test_a_whole_number_may_have_decimals(begin, written):
    (line,) = imports.lines(begin(f"address;quota_mb\ndora@example.org;{written}\n"), False)
    assert line.quota_bytes == 1024 * MEGABYTE


@pytest.mark.parametrize("written", ["1.5", "1024.000", "1,024", "1.", ".0", "1024.0.0", "1024.01"])
def test_what_may_be_another_number_is_told(begin, written):
    assert "whole number" in problems(begin(f"address;quota_mb\ndora@example.org;{written}\n"))[2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"address",
        b"mail,name\nx,y",
        b"address,address\nx,y",
        b"address,password\ndora@example.org,x",
        b'address\n"dora@example.org\nx',
        b'address\n"dora"x@example.org\n',
        TWO.encode("utf-16")[:-1],
        "address,first_name\ndora@example.org,è\n".encode("cp1252"),
        "address,first_name\ndora@example.org,Müller\negon@example.org,Иванов\n".encode("gb18030"),
        "address,first_name\ndora@example.org,Müller\n".encode("cp850"),
        "address,first_name\ndora@example.org,Muñoz\n".encode("mac_roman"),
        "address,first_name\ndora@example.org,Łukasz\n".encode("cp1250"),
        "address,first_name\ndora@example.org,Иванов\n".encode("koi8_r"),
        "address,first_name\ndora@example.org,Иванов\n".encode("cp866"),
        "address,first_name\ndora@example.org,Doğan\n".encode("cp1254"),
        "address,first_name\ndora@example.org,Sigurður\negon@example.org,Müge\n".encode("cp1252"),
        b"address\ndora\xff@example.org",
        b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 50,
    ],
)
def test_what_is_no_file_of_users_is_refused_and_forgotten(begin, content):
    with pytest.raises(Refused) as refusal:
        begin(content)
    assert refusal.value.field == "file"
    assert not UserImport.select().exists()
    assert not UserImportLine.select().exists()


def test_too_many_lines_are_refused_and_forgotten(begin, monkeypatch):
    monkeypatch.setattr(imports, "MOST_LINES", 1200)
    with pytest.raises(Refused):
        begin(many(1201))
    assert not UserImportLine.select().exists()


def test_waiting_files_are_limited(ports, begin, boss, monkeypatch):
    monkeypatch.setattr(imports, "MOST_WAITING", 1)
    first = begin(TWO)
    with pytest.raises(Refused):
        begin(TWO)
    imports.discard(UnitOfWork(ports, boss), first)
    begin(TWO)


# --- the service's limits ---


def test_no_more_than_was_ordered(ports, begin, boss, service):
    Service.update(most_mailboxes=1).execute()
    checked = begin(TWO)
    assert "room for only 1 more" in str(imports.told(checked.problem))
    with pytest.raises(Refused):
        imports.want(UnitOfWork(ports, boss), checked)
    Service.update(most_mailboxes=2).execute()
    assert begin(TWO).can_be_made


def test_no_more_storage_than_was_ordered(begin, service):
    Service.update(quota_bytes=500 * MEGABYTE).execute()
    checked = begin(TWO)
    assert "each mailbox needs a quota" in problems(checked)[3]
    checked = begin(TWO.replace("Müller,,,", "Müller,,1,"))
    assert "501 MB" in str(imports.told(checked.problem))
    assert begin(TWO.replace("Müller,,,", "Müller,,1,").replace(",500,", ",499,")).can_be_made


def test_a_limit_that_is_reached_meanwhile_stops_all(ports, begin, boss, service):
    checked = begin(TWO)
    Service.update(most_mailboxes=1).execute()
    refused = imports.want(UnitOfWork(ports, boss), checked)
    assert (refused.state, Mailbox.select().count()) == (UserImport.CHECKED, 0)
    assert refused.problem


def test_an_address_that_is_taken_meanwhile_stops_all(ports, begin, boss, people):
    checked = begin(TWO)
    people.add("egon")
    refused = imports.want(UnitOfWork(ports, boss), checked)
    assert (refused.state, refused.problem_count, Mailbox.select().count()) == (UserImport.CHECKED, 1, 1)
    assert list(problems(refused)) == [3]


# --- who may ---


def test_only_who_looks_after_the_service_may(ports, begin, people, anna, boss):
    foreign = people.add_manager("x@example.net", organisation=Organisation.create(name="Other Ltd"))
    checked = begin(TWO)
    for account in (anna, foreign):
        actor = acting(account)
        for attempt in (
            lambda actor=actor: begin(TWO, actor=actor),
            lambda actor=actor: imports.want(UnitOfWork(ports, actor), checked),
            lambda actor=actor: imports.discard(UnitOfWork(ports, actor), checked),
        ):
            with pytest.raises(Refused):
                attempt()
    assert Mailbox.select().count() == 1


@pytest.mark.parametrize("change", [{"state": Account.SUSPENDED}, {"role": Account.PERSON}, None])
def test_who_may_no_longer_has_nobody_made(ports, begin, boss, manager, monkeypatch, change):
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    checked = begin(TWO)
    work_all(ports)
    imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(checked.id))
    if change:
        Account.update(**change).where(Account.id == manager.id).execute()
    else:
        Account.delete().where(Account.id == manager.id).execute()
    work_all(ports)
    assert (UserImport.get().state, Mailbox.select().count()) == (UserImport.CHECKED, 0)
    assert UserImport.get().problem


# --- the worker ---


@pytest.fixture
def in_the_background(monkeypatch):
    """As with a file of very many lines: the worker does it, a few lines at a time."""
    for name, value in {"AT_ONCE": 1, "CHECKED_AT_A_TIME": 3, "FINISHED_AT_A_TIME": 2}.items():
        monkeypatch.setattr(imports, name, value)


def test_the_worker_does_what_is_many(ports, begin, boss, in_the_background):
    begun = begin(many(10))
    assert (begun.state, begun.done_count) == (UserImport.CHECKING, 0)
    work_all(ports)
    checked = UserImport.get_by_id(begun.id)
    assert (checked.state, checked.done_count, checked.problem_count) == (UserImport.CHECKED, 10, 0)
    assert imports.want(UnitOfWork(ports, boss), checked).state == UserImport.WANTED
    assert Mailbox.select().count() == 0
    work_all(ports)
    assert UserImport.get_by_id(begun.id).state == UserImport.DONE
    assert Mailbox.select().count() == Service.get().mailboxes_made == 10
    assert AccountWord.select(AccountWord.account).distinct().count() == 10


@pytest.mark.parametrize("lived", range(12))
def test_whoever_dies_in_the_middle_has_somebody_go_on(
    ports, begin, boss, in_the_background, monkeypatch, clock, lived
):
    """A worker that dies after any number of steps, within the transaction of the next."""
    real, steps = imports._go_on, []

    class Killed(BaseException):
        pass

    def die(*arguments):
        if len(steps) == lived:
            with_step = transactional(lambda: (real(*arguments), (_ for _ in ()).throw(Killed)))
            with_step()
        steps.append(1)
        return real(*arguments)

    def live() -> bool:
        with monkeypatch.context() as patched:
            patched.setattr(imports, "_go_on", die)
            try:
                work_all(ports)
            except Killed:
                clock.pass_by(imports.LEASE)
                return False
        return True

    begun = begin(many(6).replace(",10,", ",10,it").replace(",,10", ",x@elsewhere.example.com,10"))
    if live() or UserImport.get_by_id(begun.id).state == UserImport.CHECKED:
        imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(begun.id))
        live()
    work_all(ports)
    if UserImport.get_by_id(begun.id).state == UserImport.CHECKED:
        assert Mailbox.select().count() == 0
        imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(begun.id))
        work_all(ports)
    done = UserImport.get_by_id(begun.id)
    assert (done.state, done.invited_count, Mailbox.select().count()) == (UserImport.DONE, 6, 6)
    assert OneTimeLink.select().where(OneTimeLink.used_at.is_null()).count() == 6
    assert AuditEvent.select().where(AuditEvent.action == "web:users:imported").count() == 1


def test_two_who_want_it_at_once_make_it_once(ports, begin, boss, people):
    other = acting(people.add_manager("second@example.org"))
    checked = begin(TWO)
    outcomes = at_the_same_instant(
        lambda: imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(checked.id)),
        lambda: imports.want(UnitOfWork(ports, other), UserImport.get_by_id(checked.id)),
    )
    assert sum(isinstance(each, Refused) for each in outcomes) == 1, outcomes
    assert Mailbox.select().count() == Service.get().mailboxes_made == 2


def test_the_same_user_from_two_files_is_made_once(ports, begin, boss):
    one, other = begin(TWO), begin(TWO)
    at_the_same_instant(
        lambda: imports.want(UnitOfWork(ports, boss), one),
        lambda: imports.want(UnitOfWork(ports, boss), other),
    )
    assert Mailbox.select().count() == Service.get().mailboxes_made == 2
    assert sorted(each.state for each in UserImport.select()) == [UserImport.CHECKED, UserImport.DONE]


def test_who_is_removed_before_they_are_told_is_not_told(ports, begin, boss, in_the_background):
    begun = begin(many(4).replace(",,10", ",x@elsewhere.example.com,10"))
    work_all(ports)
    imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(begun.id))
    imports._go_on(ports, begun)
    gone = Account.by_login("user1@example.org")
    Mailbox.delete().where(Mailbox.account == gone).execute()
    Account.delete().where(Account.id == gone.id).execute()
    Account.by_login("user2@example.org").put_into_state(Account.SUSPENDED)
    work_all(ports)
    assert {link.account.login for link in OneTimeLink.select()} == {"user0@example.org", "user3@example.org"}
    assert AccountWord.select().where(AccountWord.state == Account.SUSPENDED).exists()


def test_it_is_too_late_to_discard_what_is_being_made(ports, begin, boss, in_the_background):
    begun = begin(many(4))
    work_all(ports)
    imports.want(UnitOfWork(ports, boss), UserImport.get_by_id(begun.id))
    with pytest.raises(Refused):
        imports.discard(UnitOfWork(ports, boss), begun)
    work_all(ports)
    imports.discard(UnitOfWork(ports, boss), begun)
    assert Mailbox.select().count() == 4


def test_the_operator_imports_for_anybody(ports, begin, service, people):
    root = acting(people.add_manager("root@example.org", Account.OPERATOR, organisation=None))
    assert imports.want(UnitOfWork(ports, root), begin(TWO, actor=root)).state == UserImport.DONE
    whole = AuditEvent.get(AuditEvent.action == "web:users:imported")
    assert (whole.actor_login, whole.organisation_id) == ("root@example.org", service.organisation_id)


def test_who_is_renamed_before_the_invitation_is_entered_and_invited_at_the_new_address(
    ports, begin, boss, service, monkeypatch
):
    monkeypatch.setattr(imports, "AT_ONCE", 0)
    present = begin(TWO)
    while present.state != UserImport.FINISHING:
        if present.state == UserImport.CHECKED:
            imports.want(UnitOfWork(ports, boss), present)
        imports.work(ports)
        present = UserImport.get_by_id(present.id)
    dora = Account.by_login("dora@example.org")
    renaming.rename(UnitOfWork(ports, boss), dora.mailbox, dora.revision, "dora.neri@example.org")
    work_all(ports)
    present = UserImport.get_by_id(present.id)
    assert (present.state, present.invited_count) == (UserImport.DONE, 1)
    [link] = OneTimeLink.select().where(OneTimeLink.account == dora)
    assert links.open_links(Account.get_by_id(dora.id)) == [link]
    assert [each.address for each in user_list.page(service, WantedUsers("dora")).mailboxes] == [
        "dora.neri@example.org"
    ]
