"""The audit trail on its page and as a file."""

import csv
import io
import re
from datetime import datetime

import pytest

from actions.trail.events import Event, Group, codes_of
from models import Account, AuditEvent
from tests.conftest import PASSWORD


def note(account, action="web:device:made", **columns):
    columns = {
        "mailbox": account.mailbox,
        "organisation": account.organisation,
        "account_login": account.login,
    } | columns
    return AuditEvent.create(action=action, account=account, **columns)


@pytest.fixture
def boss(client, manager, anna, boris):
    for account in (anna, boris):
        note(account, actor_login=account.login, address="192.0.2.44")
    client.sign_in(manager.login, PASSWORD)
    return client


def rows_of(page) -> list[list[str]]:
    assert page.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(page.response.text.removeprefix("\ufeff"), newline="")))


def test_the_filter_narrows_the_page_and_its_file(boss, anna, boris):
    page = boss.open("/account/activity").fill({"Affected account": f" {anna.login.upper()} "}).press("Show")
    assert anna.login in page.text
    assert boris.login not in page.text
    assert page.value("Affected account").strip() == anna.login.upper()
    header, *rows = rows_of(page.follow("Download as CSV"))
    assert header[0] == "When (UTC)"
    assert [row[3] for row in rows] == [anna.login]
    assert boris.login in page.follow("Everything").text


def test_a_kind_and_days_narrow_it_too(boss, manager):
    page = boss.open("/account/activity?action=web:session:started")
    assert page.text.count("Signed in") >= 1
    assert "A device was added" not in page.text.partition("Show")[2]
    assert "No activity matches this filter" in page.fill({"From": "2001-01-01", "To": "2001-01-02"}).press("Show").text
    assert "No activity matches this filter" not in page.fill({"From": "2001-01-01", "To": ""}).press("Show").text


def test_further_pages_keep_the_filter(boss, anna):
    for _ in range(70):
        note(anna, "web:device:renamed")
    page = boss.open("/account/activity?action=web:device:renamed").press("Show")
    for _ in range(2):
        page = page.follow("Older")
        assert "A device was added" not in page.text.partition("Show")[2]
    assert "Older" not in page.links
    assert len(rows_of(page.follow("Download as CSV"))) == 71


@pytest.mark.parametrize(
    "asked",
    ["action=1;DROP", "since=yesterday", "until=2026-99-99", "by=" + "x" * 300, "since=0001-01-01", "until=9999-12-31"],
)
def test_a_made_up_filter_is_told_or_finds_nothing(boss, asked, manager):
    Account.update(timezone="Europe/Rome").where(Account.id == manager.id).execute()
    page = boss.open(f"/account/activity?{asked}")
    assert page.status in (200, 422)
    assert (page.status == 422) == bool(page.errors)
    assert boss.request("GET", f"/account/activity.csv?{asked}").status in (200, 404)


def test_a_person_takes_their_own_along_and_no_more(new_client, anna, boris):
    note(boris, details={"device": "Boris' phone"})
    note(anna, details={"device": "=cmd|' /C calc'!A0"}, actor_login="=1+1@example.org", user_agent="@SUM(1)")
    browser = new_client()
    browser.sign_in(anna.login, PASSWORD)
    header, *rows = rows_of(browser.request("GET", f"/account/activity.csv?about={anna.login}"))
    made = next(row for row in rows if row[-1] == "web:device:made")
    assert made[1] == "A device was added"
    assert (made[2], made[5]) == ("'=1+1@example.org", "'@SUM(1)")
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert "Boris" not in str(rows)
    assert rows_of(browser.request("GET", f"/account/activity.csv?about={boris.login}"))[1:] == []


def test_the_operator_sees_every_organisation(new_client, people, anna):
    note(anna)
    operator = people.add_manager("root@example.org", Account.OPERATOR, organisation=None)
    browser = new_client()
    browser.sign_in(operator.login, PASSWORD)
    assert anna.login in browser.open("/account/activity").text


def test_a_file_is_in_the_readers_language(boss, manager):
    Account.update(language="it").where(Account.id == manager.id).execute()
    assert any(
        "Accesso" in row[1] or row[1] != "Signed in" for row in rows_of(boss.request("GET", "/account/activity.csv"))
    )


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        ("Europe/Rome", "2026-07-01", "2026-06-30T22:00:00Z", "2026-07-01T21:59:59Z"),
        # Midnight comes twice.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z"),
        # The last hour of the day comes twice.
        ("America/Santiago", "2026-04-04", "2026-04-04T03:00:00Z", "2026-04-05T03:59:59Z"),
        # Midnight does not come.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T02:59:59Z"),
    ],
)
def test_a_day_is_a_whole_one_in_the_persons_zone(client, anna, zone, day, first, last):
    Account.update(timezone=zone).where(Account.id == anna.id).execute()
    client.sign_in(anna.login, PASSWORD)
    within = [int(datetime.fromisoformat(moment).timestamp()) for moment in (first, last)]
    for at in (within[0] - 1, *within, within[1] + 1):
        note(anna, at=at)
    _header, *rows = rows_of(client.request("GET", f"/account/activity.csv?since={day}&until={day}"))
    assert [row[0] for row in rows] == [last, first]


def test_a_group_is_a_link_that_narrows_page_and_file(boss, anna, boris):
    note(anna, "web:session:refused")
    note(boris, "web:collaboration:made")
    page = boss.open("/account/activity").follow("Refused")
    assert "A sign-in was refused" in page.text
    assert "A device was added" not in page.text.partition("Download")[0].partition("Show")[2]
    assert {row[-1] for row in rows_of(page.follow("Download as CSV"))[1:]} == {"web:session:refused"}
    narrowed = page.fill({"Affected account": boris.login}).press("Show")
    assert "No activity matches this filter" in narrowed.text
    assert "A collaborator was added" in narrowed.follow("Collaborators").text.partition("Show")[2]


def test_pages_of_a_group_lose_nothing_and_say_nothing_twice(boss, anna, boris):
    for _ in range(25):
        note(anna, "web:device:made")
        note(boris, "web:device:renamed")
    page = boss.open("/account/activity?group=devices")
    seen = re.findall(r'id="event-(\d+)"', page.response.text)
    seen += re.findall(r'id="event-(\d+)"', page.follow("Older").response.text)
    assert seen == sorted(set(seen), key=int, reverse=True)
    assert len(seen) == 52


def test_a_group_shows_nobody_elses_events(new_client, anna, boris):
    note(boris, "web:session:refused", address="192.0.2.99")
    browser = new_client()
    browser.sign_in(anna.login, PASSWORD)
    assert "192.0.2.99" not in browser.open("/account/activity?group=refused").response.text
    assert browser.open("/account/activity?group=nonsense").status == 422


def test_days_refusals_and_people_are_in_words(boss, anna, boris):
    note(anna, "web:session:refused", actor_login="")
    note(anna, "web:user:suspended", actor_login=boris.login)
    note(anna, at=1_000_000_000)
    text = boss.open("/account/activity").text
    assert "Today" in text
    assert f"{boris.login} did this to {anna.login}." in text
    assert "Sunday, September 9, 2001" in text
    assert re.search(r"A sign-in was refused\s+Refused", text)


def test_each_event_is_in_one_group_and_the_groups_hold_all():
    held = [code for group in Group if group is not Group.REFUSED for code in codes_of(group.word)]
    assert sorted(held) == sorted(event.code for event in Event)
    assert {event for event in Event if event.code in codes_of("refused")} >= {
        Event.SESSION_REFUSED,
        Event.PASSWORD_REFUSED,
        Event.WEBMAIL_REQUEST_REFUSED,
    }
    assert codes_of("nonsense") == []
