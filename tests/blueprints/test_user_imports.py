"""Users from a file and as a file, on their pages."""

import csv
import io

import pytest

from actions.ground.sizes import GIGABYTE
from actions.upkeep import housekeeping
from actions.users import exports, imports
from models import Account, Mailbox, Organisation, Service, UserImport, UserImportLine, UserImportPart
from tests.actions.users.test_sheets import xlsx
from tests.client import Client, Page
from tests.conftest import PASSWORD

HEADER = "address,first_name,last_name,contact_email,quota_mb\n"
TWO = HEADER + "dora@example.org,Dora,Neri,dora@elsewhere.example.com,500\negon@example.org,Egon,Blu,,\n"


@pytest.fixture
def boss(client, manager) -> Client:
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.fixture
def address(people) -> str:
    return f"/services/{people.service.id}/imports/"


def upload(browser: Client, address: str, content: str | bytes, name: str = "users.csv", **fields: str) -> Page:
    page = browser.open(f"{address}new")
    token = page.tree.find(".//input[@name='csrf_token']").get("value")
    data = content if isinstance(content, bytes) else content.encode()
    form = {"csrf_token": token, "invites": "y", "file": (io.BytesIO(data), name)} | fields
    return browser.post(address, form)


def cells(page: Page) -> list[list[str]]:
    rows = page.tree.findall(".//tbody/tr")
    return [[" ".join("".join(cell.itertext()).split()) for cell in row if cell.tag in ("td", "th")] for row in rows]


def test_from_the_service_to_the_new_users(boss, people, address):
    page = boss.open(f"/services/{people.service.id}").follow("Import and export users")
    assert page.title == "Import and export users"
    page = upload(boss, address, TWO)
    assert "The file has no errors. 2 users would be added." in page.text
    assert [row[3] for row in cells(page)] == ["Will be added and invited", "Will be added without a password"]
    assert Mailbox.select().count() == 0
    page = page.follow("Add 2 users")
    assert Mailbox.select().count() == 0
    page = page.press("Add 2 users")
    assert page.flashes == ["2 users were added."]
    assert "1 invitation is on its way" in page.text
    assert "dora@example.org" in page.follow("Manage users").text
    assert "dora" in boss.open(f"/services/{people.service.id}/mailboxes/?text=neri").text


@pytest.mark.parametrize("quota_bytes", [0, 2 * GIGABYTE])
def test_the_sample_is_taken_as_it_is(boss, people, address, quota_bytes):
    people.service.write(quota_bytes=quota_bytes)
    people.add("dora", quota_bytes=GIGABYTE)
    page = boss.open(f"{address}new")
    sample = boss.request("GET", page.links["Download a sample file"]).response
    assert sample.data.startswith(b"\xef\xbb\xbfaddress,first_name,last_name,contact_email,quota_mb,")
    page = upload(boss, address, sample.data)
    assert "The file has no errors. 1 user would be added." in page.text
    page.follow("Add 1 user").press("Add 1 user")
    dora = Mailbox.get(Mailbox.address == "dora1@example.org")
    assert (dora.account.display_name, dora.account.phone) == ("Dora Neri", "+393331234567")


def test_what_is_wrong_stands_with_its_line_and_its_user(boss, address, anna):
    text = TWO + "anna@example.org,,,,\ndora@example.org,,,,\nx@other.example,,,,\n<b>@example.org,,,,\n"
    page = upload(boss, address, text)
    assert [row[0] for row in cells(page)] == ["4", "5", "6", "7"]
    assert "already" in cells(page)[0][3]
    assert "twice" in cells(page)[1][3]
    assert "does not belong to this service" in cells(page)[2][3]
    assert "<b>@example.org" in cells(page)[3][1]
    assert "Add 2 users" not in page.links
    assert [row[0] for row in cells(page.follow("Show all lines"))] == ["2", "3", "4", "5", "6", "7"]
    confirm = boss.open(f"{page.path}/users")
    assert confirm.buttons.count("Add 2 users") == 0
    assert page.press("Discard").path == f"{address}new"
    assert not UserImport.select().exists()
    assert Mailbox.select().count() == 1


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_file_in_another_encoding_is_read(boss, address, encoding):
    page = upload(boss, address, (HEADER + "dora@example.org,Dóra,Müller,,\n").encode(encoding))
    assert "Dóra Müller" in page.text


def test_a_spreadsheet_is_read(boss, address):
    headings = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("address", "first_name", "quota_mb"))
    cells_of = '<c t="inlineStr"><is><t>{}</t></is></c><c r="C{}"><v>512.0</v></c>'
    dora, wrong = cells_of.format("dora@example.org", 2), cells_of.format("nobody", 5)
    sheet = xlsx(f'<row r="1">{headings}</row><row r="2">{dora}</row><row r="5">{wrong}</row>')
    page = upload(boss, address, sheet, "users.xlsx")
    assert [row[0] for row in cells(page)] == ["5"]
    assert "not a valid e-mail address" in cells(page)[0][3]
    assert "dora@example.org" in page.follow("Show all lines").text


def test_unknown_columns_are_named_and_skipped_on_request(boss, address):
    text = "address,badge\ndora@example.org,17\n"
    page = upload(boss, address, text)
    assert page.status == 422
    assert page.error_of("Spreadsheet or CSV file").startswith("These columns are unknown: badge.")
    assert "1 user would be added" in upload(boss, address, text, skips_unknown="y").text


def test_many_lines_are_shown_page_by_page(boss, address):
    page = upload(boss, address, HEADER + "".join(f"u{n}@example.org,,,,\n" for n in range(120)))
    seen = []
    while "Next lines" in page.links:
        seen += [row[0] for row in cells(page)]
        page = page.follow("Next lines")
    seen += [row[0] for row in cells(page)]
    assert seen == [str(line) for line in range(2, 122)]


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "1;--"])
def test_made_up_places_are_some_page(boss, address, after):
    page = upload(boss, address, TWO)
    assert boss.open(f"{page.path}?after={after}").status == 200


@pytest.mark.parametrize(
    "content", ["", "\n", "nothing\nx", b"address\nd\xff@example.org", b"\x00\xff" * 999, 'address\n"x']
)
def test_no_file_of_users_is_told_beside_its_field(boss, address, content):
    page = upload(boss, address, content)
    assert page.status == 422
    assert page.error_of("Spreadsheet or CSV file")
    assert not UserImport.select().exists()


def test_no_file_at_all_is_told_beside_its_field(boss, address):
    page = boss.open(f"{address}new").press("Check the file")
    assert page.status == 422
    assert page.error_of("Spreadsheet or CSV file") == "Choose a file."


def test_a_file_of_several_megabytes_is_read(boss, address):
    text = HEADER + "dora@example.org,Dora,,,\n" + "\n" * 3_000_000
    assert "1 user" in upload(boss, address, text).text


def test_a_file_that_is_too_large_is_refused_in_a_sentence(boss, address):
    page = upload(boss, address, b"x" * (imports.LARGEST_FILE + 100_000))
    assert (page.status, page.title) == (413, "Too large")
    assert "The maximum is 16 MB" in page.text


def test_two_hundred_megabytes_are_not_even_read(boss, address):
    page = boss.post(address, bytes(200 * 1024 * 1024), Content_Type="multipart/form-data; boundary=x")
    assert page.status == 413
    assert "The maximum is 16 MB" in page.text


def test_other_forms_take_no_more_than_before(boss, address):
    page = boss.post("/account/password", {"x": "y" * 300_000})
    assert page.status == 413


def test_a_stranger_sends_no_large_file(client, address, people):
    page = client.post(address, {"file": (io.BytesIO(b"x" * 1_000_000), "x")})
    assert page.path == "/sign-in"


def test_progress_is_told_until_it_is_done(boss, address, ports, monkeypatch):
    for name, value in {"AT_ONCE": 1, "CHECKED_AT_A_TIME": 10, "FINISHED_AT_A_TIME": 10}.items():
        monkeypatch.setattr(imports, name, value)
    page = upload(boss, address, HEADER + "".join(f"u{n}@example.org,,,,\n" for n in range(30)))
    assert "The lines are being checked: 0 of 30" in page.text
    fragment = boss.request("GET", f"{page.path}/progress", HX_Request="true")
    assert fragment.tree.find(".//section[@id='import']").get("hx-trigger") == "every 1s"
    assert fragment.tree.find(".//h1") is None
    assert boss.request("GET", f"{page.path}/progress").status == 200
    imports.work(ports)
    assert "10 of 30" in boss.request("GET", f"{page.path}/progress", HX_Request="true").text
    while imports.work(ports):
        pass
    checked = boss.request("GET", f"{page.path}/progress", HX_Request="true")
    assert checked.tree.find(".//section[@id='import']").get("hx-trigger") is None
    page = boss.open(page.path).follow("Add 30 users").press("Add 30 users")
    assert "All users are being added" in page.text
    assert Mailbox.select().count() == 0
    imports.work(ports)
    assert "The search and the invitations are being prepared" in boss.open(page.path).text
    while imports.work(ports):
        pass
    assert "30 users were added" in boss.open(page.path).text


def test_a_second_press_adds_nobody_twice(boss, address):
    page = upload(boss, address, TWO)
    question = page.follow("Add 2 users")
    question.press("Add 2 users")
    again = question.press("Add 2 users")
    assert "cannot be added now" in again.flashes[0]
    assert Mailbox.select().count() == 2


def test_what_changed_since_is_told(boss, address, people):
    page = upload(boss, address, TWO)
    people.add("egon")
    page = page.follow("Add 2 users").press("Add 2 users")
    assert "Nobody was added" in page.flashes[0]
    assert "already" in page.text
    assert Mailbox.select().count() == 1


def test_only_managers_of_the_organisation_find_it(boss, new_client, people, anna, address):
    shown = upload(boss, address, TWO).path
    other = Organisation.create(name="Other Ltd")
    theirs = Service.create(organisation=other, name="Theirs")
    foreign = people.add_manager("x@example.net", organisation=other)
    for login in (anna.login, foreign.login):
        browser = new_client()
        browser.sign_in(login, PASSWORD)
        token = browser.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")
        export = f"/services/{people.service.id}/mailboxes.csv"
        for path in (address, f"{address}new", shown, f"{shown}/users", export):
            assert browser.open(path).status == 404
        number = shown.rpartition("/")[2]
        assert browser.open(f"/services/{theirs.id}/imports/{number}").status == 404
        for path in (address, f"{shown}/users", f"{shown}/discarding", f"/services/{theirs.id}/imports/{number}/users"):
            assert browser.post(path, {"csrf_token": token, "file": (io.BytesIO(TWO.encode()), "x")}).status == 404
    assert (UserImport.select().count(), Mailbox.select().count()) == (1, 1)


def test_users_as_a_file_hold_no_secret_and_no_formula(boss, people, anna, boris):
    Account.update(first_name="=cmd|' /C calc'!A0", last_name="-1", phone="+393331234567").where(
        Account.id == anna.id
    ).execute()
    boris.put_into_state(Account.SUSPENDED)
    answer = boss.request("GET", f"/services/{people.service.id}/mailboxes.csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    header, *rows = csv.reader(io.StringIO(answer.response.text.removeprefix("\ufeff"), newline=""))
    assert header[:6] == ["address", "first_name", "last_name", "contact_email", "quota_mb", "language"]
    assert [row[0] for row in rows] == [anna.login, boris.login]
    assert rows[0][1:3] == ["'=cmd|' /C calc'!A0", "'-1"]
    assert rows[0][6] == "'+393331234567"
    assert rows[1][7] == "suspended"
    assert "argon2" not in answer.response.text
    assert anna.password_hash not in answer.response.text


def test_very_many_users_are_written_piece_by_piece(boss, people, monkeypatch):
    monkeypatch.setattr(exports, "READ_AT_A_TIME", 3)
    for number in range(10):
        people.add(f"u{number}", password=None)
    answer = boss.request("GET", f"/services/{people.service.id}/mailboxes.csv")
    assert len(answer.response.text.splitlines()) == 11


def test_undecided_files_are_forgotten_after_a_while(boss, address, clock):
    upload(boss, address, TWO)
    upload(boss, address, TWO).follow("Add 2 users").press("Add 2 users")
    housekeeping.clear_away()
    assert UserImport.select().count() == 2
    clock.pass_by(3 * 24 * 3600)
    housekeeping.clear_away()
    assert [each.state for each in UserImport.select()] == [UserImport.DONE]
    assert not UserImportLine.select().exists()
    assert not UserImportPart.select().exists()
    clock.pass_by(30 * 24 * 3600)
    housekeeping.clear_away()
    assert not UserImport.select().exists()
