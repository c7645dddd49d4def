"""Looking through the audit trail, and taking it along."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peewee import fn

from actions.ground import spreadsheet
from actions.trail import trail
from actions.trail.trail import Filter
from database import database, insert_all, is_sqlite
from models import Account, AuditEvent, Organisation

DAY = 24 * 3600


@pytest.fixture
def trails(people, anna, boris, manager):
    """Events about both, by themselves and by their manager; one of another organisation; the newest first."""
    other = people.add_manager("x@example.net", organisation=Organisation.create(name="Other Ltd"))
    rows = (
        ("web:session:started", anna, anna, 0),
        ("web:device:made", anna, anna, 1),
        ("web:session:started", boris, boris, 1),
        ("web:device:disconnected", manager, anna, 2),
        ("web:session:started", other, other, 3),
    )
    for action, actor, account, day in rows:
        AuditEvent.create(
            action=action,
            actor=actor,
            actor_login=actor.login,
            account=account,
            account_login=account.login,
            organisation=account.organisation,
            mailbox=account.mailbox,
            at=1_000_000 + day * DAY,
        )


def seen(account, **wanted):
    return [(event.action, event.account_login) for event in trail.events(account, Filter(**wanted))]


def test_each_sees_their_own_and_the_operator_all(people, anna, manager, trails):
    operator = people.add_manager("root@example.org", Account.OPERATOR, organisation=None)
    assert [len(seen(account)) for account in (anna, manager, operator)] == [3, 4, 5]


def test_every_condition_narrows_it_down(anna, manager, trails):
    assert seen(manager, action="web:session:started") == [
        ("web:session:started", "boris@example.org"),
        ("web:session:started", anna.login),
    ]
    assert seen(manager, by=manager.login) == [("web:device:disconnected", anna.login)]
    assert len(seen(manager, about=anna.login)) == len(seen(manager, mailbox=anna.login)) == 3
    assert seen(manager, by=anna.login, action="web:device:made", about=anna.login) == [("web:device:made", anna.login)]
    assert seen(manager, mailbox="nobody@example.org") == []


def test_both_days_belong_to_it(manager, trails):
    first = 1_000_000
    assert len(seen(manager, since=first, until=first + DAY)) == 3
    assert len(seen(manager, since=first + 1)) == 3
    assert len(seen(manager, until=first)) == 1
    assert seen(manager, since=first + 9 * DAY) == seen(manager, until=first - 1) == []


def test_nobody_widens_what_they_see(anna, boris, manager, trails):
    assert seen(anna, about=boris.login) == seen(anna, mailbox=boris.login) == []
    assert seen(manager, by="x@example.net") == []


def test_clocks_that_differ_lose_nothing(anna):
    for at in (5000, 4000, 4990):
        AuditEvent.create(action=f"at {at}", at=at, account=anna, mailbox=anna.mailbox)
    assert [action for action, _ in seen(anna, since=4500)] == ["at 4990", "at 5000"]
    assert [action for action, _ in seen(anna, until=4500)] == ["at 4000"]


def dated(account: Account, *moments: int) -> None:
    for at in moments:
        AuditEvent.create(action=f"at {at}", at=at, account=account, mailbox=account.mailbox)


@pytest.mark.parametrize("wrong", [400 * DAY, -400 * DAY], ids=["ahead", "behind"])
@pytest.mark.parametrize("many", [1, 3])
def test_events_with_a_wrong_date_hide_no_others(anna, clock, wrong, many):
    start = clock.time() - DAY
    right, wrong_ones = [start + 60 * number for number in range(131)], [start + wrong + n for n in range(many)]
    dated(anna, *right[:65], *wrong_ones, *right[65:])
    days = [(start, None), (None, start + DAY), (start, start + DAY), (start, right[70]), (right[60], None)]
    for since, until in days:
        expected = [at for at in right + wrong_ones if (since or 0) <= at <= (until or 2**62)]
        found = [event.at for event in trail.events(anna, Filter(since=since, until=until))]
        assert sorted(found) == sorted(expected), (since, until)
    assert len(seen(anna, since=min(wrong_ones), until=max(wrong_ones))) == many


def test_a_wrong_date_among_very_many_events_hides_nothing(manager, clock):
    start, many = clock.time() - 900 * DAY, 25_000
    behind, ahead = start + 100, clock.time() - 300 * DAY
    columns = {"action": "web:device:made", "organisation": manager.organisation, "account_login": "", "details": {}}
    rights = [start + number for number in range(many)]
    moments = [*rights[:500], ahead, *rights[500:], *range(start + 400 * DAY, start + 400 * DAY + 1500), behind]
    insert_all(AuditEvent, [{"at": at, **columns} for at in moments])
    first, last = AuditEvent.select(fn.MIN(AuditEvent.id), fn.MAX(AuditEvent.id)).tuples().get()
    assert next(trail.whole(manager, Filter(until=start + many))).id == last
    assert trail.page(manager, Filter(since=start + 500 * DAY))[-1].id == first + 500
    assert len(list(trail.whole(manager, Filter(since=start, until=start + many)))) == many + 1


def test_the_whole_of_it_is_read_piece_by_piece(manager, trails, monkeypatch):
    monkeypatch.setattr(trail, "READ_AT_A_TIME", 2)
    assert [event.id for event in trail.whole(manager)] == [event.id for event in trail.events(manager)]
    assert len(list(trail.whole(manager, Filter(action="web:session:started")))) == 2


FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠SUM(1)"]
SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
BEFORE_A_CELL = ["", *";,\t|\n\r", "\r\n", ";;", "; ", ';"', ";'", '\t " ', "\u00a0", ";\u3000", "\v", "\u2028"]
READERS = [
    {"delimiter": delimiter, "quoting": quoting}
    for delimiter in ",;\t| "
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
]


def cells_of(text: str) -> Iterator[str]:
    """Every cell that a reader finds, whatever it takes for a separator, without blanks and quotes around it."""
    for reader in READERS:
        for lines in (io.StringIO(text, newline=""), text.splitlines()):
            for row in csv.reader(lines, **reader):
                yield from (cell.strip().lstrip('"').strip() for cell in row)


def written(*row: object) -> str:
    return "".join(spreadsheet.lines(["a"], [row])).removeprefix("\ufeff")


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("before", BEFORE_A_CELL, ids=ascii)
def test_no_cell_is_a_formula_wherever_its_reader_separates(before, formula):
    text = written("x", before + formula, f"x{before}{formula};0", 5, None, "")
    assert not [cell for cell in cells_of(text) if cell.startswith(SIGNS)]


@settings(deadline=None)
@given(st.text(st.sampled_from([*"ab1;,\t|\n\r \"'=+-@＝＋－＠_.:/", "é"]), max_size=30))
def test_no_text_is_a_formula_and_each_is_read_back_as_it_was(text):
    line = written("x", text, text)
    assert not [cell for cell in cells_of(line) if cell.startswith(SIGNS)]
    _, row = list(csv.reader(io.StringIO(line, newline="")))
    assert [spreadsheet.as_it_was(cell) for cell in row] == ["x", text, text]


def test_what_is_no_formula_is_written_as_it_is():
    row = ("anna@example.org", "2026-07-01T12:00:00Z", "a=b", "Rossi-Keller", "web:device:made", 5, "Mozilla/5.0 (X11)")
    _, read = list(csv.reader(io.StringIO(written(*row), newline="")))
    assert read == list(map(str, row))


def test_details_are_one_line_of_words():
    assert trail.in_words({"b": ["x", "é"], "a": "text", "n": 3}) == 'a: text; b: ["x", "é"]; n: 3'
    assert trail.in_words(None) == ""


@pytest.mark.parametrize(
    ("wanted", "managers", "operators"),
    [
        ({}, "organisation_id=? AND rowid<?", "PRIMARY KEY (rowid<?)"),
        ({"action": "web:device:made"}, "organisation_id=? AND action=?", "(action=?"),
        ({"by": "a@b"}, "(organisation_id=? AND actor_login=?", "(actor_login=?"),
        ({"about": "a@b"}, "(organisation_id=? AND account_login=?", "(account_login=?"),
        ({"mailbox": "anna@example.org"}, "(mailbox_id=?", "(mailbox_id=?"),
        ({"since": 5}, "organisation_id=? AND rowid>? AND rowid<?", "PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_no_way_through_a_long_trail_is_walked_or_sorted(people, anna, manager, wanted, managers, operators):
    if not is_sqlite():
        pytest.skip("SQLite tells in words how it finds rows")
    operator = people.add_manager("root@example.org", Account.OPERATOR, organisation=None)
    for reader, expected in ((manager, managers), (operator, operators)):
        sql, values = trail.events(reader, Filter(**wanted), before=10**6).select(AuditEvent.id).limit(31).sql()
        plan = " / ".join(row[3] for row in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values))
        assert "TEMP B-TREE" not in plan, plan
        assert expected in plan, plan


def test_mariadb_begins_where_the_page_is(people, manager):
    if is_sqlite():
        pytest.skip("told by the plans above")
    mine = {"organisation": people.organisation, "account_login": "", "details": "{}"}
    rows = [{"at": number, "action": "web:device:made", **mine} for number in range(3000)]
    AuditEvent.insert_many(rows).execute()
    middle = AuditEvent.select(AuditEvent.id).order_by(AuditEvent.id).offset(1500).limit(1).scalar()
    before = handler_reads()
    assert len(trail.page(manager, before=middle)) == 30
    assert handler_reads() - before < 300


def handler_reads() -> int:
    """How many rows this connection has read so far."""
    counted = database.execute_sql("SHOW SESSION STATUS LIKE %s", ("Handler_read_%",)).fetchall()
    return sum(int(count) for _name, count in counted)
