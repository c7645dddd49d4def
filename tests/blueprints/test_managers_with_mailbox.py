"""One who is a manager and has a mailbox, in the browser: both kinds of pages, and what a webmail's session shows."""

import pytest

from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import sessions
from actions.users import managers
from models import Account, Webmail
from tests.client import Client
from tests.conftest import PASSWORD


@pytest.fixture
def both(people) -> Account:
    return people.add("both", role=Account.ADMINISTRATOR, first_name="Bo")


@pytest.fixture
def webmail(database) -> Webmail:
    return Webmail.create(origin="https://webmail.example.org", key_id="k", algorithm=Webmail.HS256, key="")


def hand_over(app, client: Client, account: Account, webmail: Webmail) -> None:
    """The browser as the webmail's hand-off leaves it."""
    _session, token = sessions.start(account, "192.0.2.1", "", False, webmail=webmail, webmail_session="s")
    client.set_cookie(app.session_interface.session_cookie, token)


def row_of(page, login: str) -> str:
    rows = [row for row in page.tree.iter("tr") if login in "".join(row.itertext())]
    assert len(rows) == 1
    return " ".join("".join(rows[0].itertext()).split())


def test_they_sign_in_once_and_see_both_kinds_of_pages(client, both, people):
    page = client.sign_in(both.login, PASSWORD)
    assert page.path == f"/services/{people.service.id}/mailboxes/"
    for name in ("Active orders", "Password", "Devices", "Collaborations", "Sessions", "Activity"):
        assert name in page.links
    assert client.open("/devices/").status == client.open("/collaborations/").status == 200
    assert client.open(f"/services/{people.service.id}/mailboxes/").title == "Manage users"


def test_those_who_do_not_rank_below_are_in_the_list_without_a_way_to_act_on_them(client, both, people, anna):
    owner = people.add("owner", role=Account.OWNER)
    client.sign_in(both.login, PASSWORD)
    page = client.open(f"/services/{people.service.id}/mailboxes/")
    for account in (owner, both):
        assert row_of(page, account.login).endswith("Manager")
        assert account.login not in page.links
    assert anna.login in page.links
    for account in (owner, both):
        place = f"/services/{people.service.id}/mailboxes/{account.mailbox.id}"
        for below in ("", "/link", "/suspension", "/removal", "/access", "/access/offboarding"):
            assert client.open(place + below).status == 404, below


def test_an_owner_may_act_on_an_administrator_with_a_mailbox(client, both, people, manager):
    client.sign_in(manager.login, PASSWORD)
    place = f"/services/{people.service.id}/mailboxes/{both.mailbox.id}"
    assert client.open(place).status == client.open(f"{place}/access").status == 200
    page = client.open(f"{place}/removal")
    assert "the manager keeps account and password" in page.text
    page = page.fill({"Mailbox address": both.login}).press(f"Remove {both.login}")
    assert page.flashes == [f"{both.login} has been removed."]
    left = Account.get_by_id(both.id)
    assert (left.role, left.mailbox) == (Account.ADMINISTRATOR, None)


def test_a_webmails_session_leads_to_the_sign_in_before_the_managers_pages(app, client, both, people, webmail):
    hand_over(app, client, both, webmail)
    page = client.open("/devices/")
    assert page.title == "Devices" and "Active orders" not in page.links
    asked = f"/services/{people.service.id}/mailboxes/"
    page = client.open(asked)
    assert page.path == "/sign-in" and page.flashes == ["Sign in with your password to manage users."]
    page.fill({"E-mail address": both.login, "Password": PASSWORD})
    page = page.press("Sign in")
    assert (page.path, page.status) == (asked, 200)
    assert [each.webmail for each in sessions.living(both)] == [None]


def test_the_password_given_in_a_webmails_session_opens_no_managers_page(app, client, both, webmail):
    hand_over(app, client, both, webmail)
    client.open("/confirm-password?next=/services/").fill({"Enter your password to continue": PASSWORD}).press(
        "Continue"
    )
    assert client.open("/services/").path == "/sign-in"


def test_a_manager_whose_role_ended_is_signed_out(client, both, anna, people, ports):
    client.sign_in(both.login, PASSWORD)
    managers.remove(UnitOfWork(ports), both, even_the_last=True)
    assert client.open("/services/").path == "/sign-in"
    page = client.sign_in(both.login, PASSWORD)
    assert page.title == "Overview" and "Active orders" not in page.links
