"""The list of users keeps what it was asked for through every action; and actions on several users at once."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from actions.ground import sizes
from actions.services import user_list
from actions.users import several
from blueprints.web import returns
from lab.html_tree import words
from models import Account, AuditEvent, Domain, Mailbox, OneTimeLink, Organisation, Service, WebSession
from tests.client import Page
from tests.conftest import PASSWORD

CONFIRMED = "Enter your password to continue"
SEARCH = "?text=an&domain=example.org&state=active"


@pytest.fixture
def browser(client, manager):
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.fixture
def users(people) -> list[Account]:
    """Three who are found, two who are not."""
    for name in ("anna", "anton", "antje", "boris", "clara"):
        people.add(name, contact_email=f"{name}@elsewhere.example.com")
    return list(Account.select().where(Account.login.startswith("an")).order_by(Account.login))


def list_of(service: Service, more: str = "") -> str:
    return f"/services/{service.id}/mailboxes/{more}"


def asked_of(address: str) -> tuple[str, dict, str]:
    parts = urlsplit(address)
    return parts.path, parse_qs(parts.query), parts.fragment


def at(page: Page, service: Service, search: str, row: str) -> None:
    """The page is the list as it was asked for, at this row."""
    assert page.status == 200
    assert asked_of(page.address) == asked_of(list_of(service, f"{search}#{row}"))


def state_of(account: Account) -> str:
    return Account.get_by_id(account.id).state


# --- the list as it was left ---


def test_search_and_row_survive_every_action(browser, people, users):
    """The last row of the list, whose links are the last with their words."""
    service, anton = people.service, users[-1]
    row, suspended = f"user-{anton.mailbox.id}", SEARCH.replace("active", "suspended")
    page = browser.open(list_of(service, SEARCH))
    at(page.follow("Suspend").press(f"Suspend {anton.login}"), service, SEARCH, row)
    page = browser.open(list_of(service, suspended))
    at(page.follow("Resume").press(f"Resume {anton.login}"), service, suspended, row)
    page = browser.open(list_of(service, SEARCH))
    at(page.follow("Send a new link").press("Send the link"), service, SEARCH, row)
    edited = page.follow(anton.login)
    assert asked_of(edited.links["Cancel"]) == asked_of(list_of(service, f"{SEARCH}#{row}"))
    at(edited.fill({"Quota": "many"}).press("Save").fill({"Quota": "2"}).press("Save"), service, SEARCH, row)
    renamed = page.follow(anton.login).follow("Change the address").fill({"New address": "anz@example.org"})
    at(renamed.press("Change the address"), service, SEARCH, row)
    removal = browser.open(list_of(service, SEARCH)).follow("Remove").fill({"Mailbox address": "anz@example.org"})
    at(removal.press("Remove anz@example.org"), service, SEARCH, "users-of-service")


def test_the_page_survives_and_says_where_it_is(browser, people):
    service = people.service
    for number in range(user_list.PAGE + 3):
        people.add(f"user{number:02}")
    second = browser.open(list_of(service)).follow("Next")
    assert f"{user_list.PAGE + 1}–{user_list.PAGE + 3} of {user_list.PAGE + 3}" in second.text
    saved = second.follow("user21@example.org").press("Save")
    assert asked_of(saved.address)[:2] == asked_of(second.address)[:2]
    assert "1–20 of 23" in second.follow("Previous").text


def test_the_search_survives_the_question_for_the_password(browser, people, users):
    last = users[-1]
    for link, button in ((last.login, "Save"), ("Suspend", f"Suspend {last.login}")):
        page = browser.open(list_of(people.service, SEARCH)).follow(link)
        WebSession.update(password_at=0).execute()
        asked = page.press(button)
        assert asked.status == 422
        at(asked.fill({CONFIRMED: PASSWORD}).press(button), people.service, SEARCH, f"user-{last.mailbox.id}")


def test_the_search_survives_the_pages_about_a_user(browser, people, users):
    anna = users[0]
    place = asked_of(list_of(people.service, f"{SEARCH}#user-{anna.mailbox.id}"))
    page = browser.open(list_of(people.service, SEARCH)).follow(anna.login)
    for tab in ("Activity", "Collaborators", "Access", "Devices"):
        page = page.follow(tab)
        assert asked_of(page.links["Manage users"]) == place


@pytest.mark.parametrize(
    "said",
    (
        "https://elsewhere.example/", "//elsewhere.example/x?text=an", "/\\elsewhere.example", "javascript:alert(1)",
        "/services/", "http://[", "\ud800", "/account/password?next=//elsewhere.example", "x" * 5000,
    ),
)  # fmt: skip
def test_no_way_back_leads_elsewhere(app, people, said):
    page = list_of(people.service)
    back = {"back": said.encode("utf-8", "surrogatepass")}
    with app.test_request_context(query_string=back):
        assert returns.to(page, "user-1") == f"{page}#user-1"
    with app.test_request_context(headers={"Referer": f"{page}7?{urlencode(back)}"}):
        assert returns.to(page, "user-1") == f"{page}#user-1"


@pytest.mark.parametrize("host", ("", "https://elsewhere.example", "//elsewhere.example"))
def test_of_a_way_back_only_the_query_is_taken(app, people, host):
    page = list_of(people.service)
    with app.test_request_context(headers={"Referer": f"{host}{page}?text=%0D%0AX-Y:+z&a=//b"}):
        assert returns.to(page) == f"{page}?text=%0D%0AX-Y%3A+z&a=%2F%2Fb"


# --- what the list shows ---


def test_who_has_no_password_yet_is_pending_and_not_active(browser, people, users):
    people.add("ante", None)
    for search, pending in (("", ""), ("&text=an", "&text=an")):
        page = browser.open(list_of(people.service, f"?state=pending{search}"))
        assert "ante@example.org" in page.links
        assert users[0].login not in page.links
        assert "1 user" in page.text
        page = browser.open(list_of(people.service, f"?state=active{pending}"))
        assert "ante@example.org" not in page.links
        assert users[0].login in page.links


def test_storage_and_last_access_are_shown_and_sorted(browser, people, users):
    for account, used, moment in zip(users, (3, 1, 1), (10**9, 0, 10**9), strict=True):
        account.write(used_bytes=used * sizes.GIGABYTE, last_access=moment)
    names = [account.login for account in users]
    page = browser.open(list_of(people.service, "?order=used&descending=yes"))
    assert [link for link in page.links if link in names] == names
    assert "3 GB" in page.text
    assert "Sep 9, 2001" in page.text
    assert "Never" in page.text
    page = browser.open(list_of(people.service, "?order=last-access"))
    assert [link for link in page.links if link in names] == [names[1], names[0], names[2]]


def test_an_address_breaks_at_its_signs_alone(browser, people):
    people.add("bruno.ozdemir")
    assert "bruno<wbr>.ozdemir<wbr>@example<wbr>.org</a>" in browser.open(list_of(people.service)).response.text


# --- several at once ---


def pick(page: Page, accounts: list[Account], action: str) -> Page:
    for account in accounts:
        page.tick(account.login)
    return page.press(action)


def test_those_that_are_ticked_are_suspended_and_resumed(browser, people, users):
    page = browser.open(list_of(people.service, SEARCH))
    question = pick(page, users[:2], "Suspend")
    assert question.title == "Suspend 2 users?"
    assert [account.login in question.text for account in users] == [True, True, False]
    assert state_of(users[0]) == Account.ACTIVE
    done = question.press("Suspend 2 users")
    assert done.flashes == ["2 users are suspended."]
    at(done, people.service, SEARCH, "")
    assert [state_of(account) for account in users] == ["suspended", "suspended", "active"]
    assert AuditEvent.select().where(AuditEvent.action == "web:user:suspended").count() == 2
    page = browser.open(list_of(people.service, SEARCH.replace("active", "suspended")))
    pick(page, users[:2], "Resume").press("Resume 2 users")
    assert [state_of(account) for account in users] == ["active"] * 3


def test_all_that_were_found_are_taken_and_no_others(browser, people, users, monkeypatch):
    monkeypatch.setattr(user_list, "PAGE", 2)
    page = browser.open(list_of(people.service, SEARCH)).tick("Select all 3, also those on other pages")
    question = page.press("Suspend")
    assert question.title == "Suspend 3 users?"
    people.add("anke")
    again = page.press("Suspend")
    assert again.flashes == ["The search finds other users by now. Look at the list again."]
    # What was asked about is what is done.
    question.press("Suspend 3 users")
    assert {account.login for account in Account.select().where(Account.state == "suspended")} == {
        account.login for account in users
    }


def test_no_more_than_fit_into_one_transaction(browser, people, users, monkeypatch):
    monkeypatch.setattr(user_list, "PAGE", 2)
    page = browser.open(list_of(people.service, SEARCH)).tick("Select all 3, also those on other pages")
    monkeypatch.setattr(several, "MOST", 2)
    assert page.press("Suspend").flashes == ["At most 2 users can be selected at once. Narrow the search."]
    page = browser.open(list_of(people.service, SEARCH))
    assert "Select all" not in page.text
    assert pick(page, users[:2], "Suspend").title == "Suspend 2 users?"
    send(browser, list_of(people.service, "several/suspend"), users)
    assert [state_of(account) for account in users] == ["active"] * 3


def test_one_who_is_refused_is_named_and_the_others_are_done(browser, people, users, ports):
    users[1].write(contact_email="")
    page = browser.open(list_of(people.service, SEARCH))
    report = pick(page, users, "Send a link").press("Send 3 links")
    assert report.title == "1 user stays as before"
    assert users[1].login in report.text
    assert "has no contact e-mail to send it to" in report.text
    assert report.flashes == ["A link is on its way to 2 users."]
    linked = {link.account.login for link in OneTimeLink.select(OneTimeLink, Account).join(Account)}
    assert linked == {users[0].login, users[2].login}


def test_a_quota_for_several_goes_no_further_than_the_service_has(browser, people, users):
    service = people.service
    given = sum(mailbox.quota_bytes for mailbox in Mailbox.select())
    service.write(quota_bytes=given + 3 * sizes.GIGABYTE, quota_given_bytes=given)
    question = pick(browser.open(list_of(service, SEARCH)), users, "Change the quota")
    refused = question.fill({"Quota": "much"}).press("Change 3 quotas")
    assert refused.status == 422
    assert refused.error_of("Quota")
    report = refused.fill({"Quota": "2"}).press("Change 3 quotas")
    quotas = [Mailbox.get_by_id(account.mailbox.id).quota_bytes for account in users]
    assert report.title == "2 users stay as before"
    assert sorted(quotas)[-1] == 2 * sizes.GIGABYTE
    changed = Service.get_by_id(service.id)
    assert changed.quota_given_bytes == sum(mailbox.quota_bytes for mailbox in Mailbox.select()) <= changed.quota_bytes


def test_new_passwords_begin_with_those_that_are_ticked(browser, people, users):
    service = people.service
    form = pick(browser.open(list_of(service, SEARCH)), users[:2], "Change passwords")
    assert form.title == "Change password"
    assert "2 mailboxes are selected" in form.text
    people.domain = Domain.create(service=service, name="example.net")
    other = people.add("anita")
    users[1].put_into_state(Account.SUSPENDED)
    page = browser.open(list_of(service))
    choice = pick(page, [users[0], users[1], other], "Change passwords")
    assert choice.flashes == ["1 selected user is not active and is left out."]
    assert "1 mailbox is selected" in choice.follow("example.net: 1 user").text


def send(browser, to: str, accounts: list[Account], **more: str) -> Page:
    """A form made by hand, about these users' mailboxes."""
    token = browser.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")
    mailboxes = [("mailbox", str(account.mailbox.id)) for account in accounts]
    return browser.post(to, [("csrf_token", token), *mailboxes, *more.items()])


def test_nobody_else_is_reached(browser, people, users, manager, new_client):
    """Numbers typed by hand: another organisation's, and those of equal and of higher rank."""
    service = people.service
    equal, higher = people.add("peer"), people.add("chief")
    equal.write(role=manager.role)
    higher.write(role=Account.OPERATOR)
    other = Service.create(organisation=Organisation.create(name="Other Ltd"), name="Mail")
    people.domain = Domain.create(service=other, name="other.example")
    stranger = people.add("stranger")
    forbidden, suspension = [stranger, equal, higher], list_of(service, "several/suspend")
    for accounts in (forbidden, [*forbidden, users[0]]):
        send(browser, suspension, accounts)
    assert [state_of(account) for account in (*forbidden, users[0])] == ["active"] * 3 + ["suspended"]
    assert send(browser, list_of(service, "picked"), forbidden, action="suspend").flashes == [
        "Select at least one user."
    ]
    send(browser, list_of(other, "several/suspend"), [stranger])
    person = new_client()
    person.sign_in(users[1].login, PASSWORD)
    assert send(person, suspension, [users[2]]).status == 404
    assert [state_of(account) for account in (stranger, users[2])] == ["active"] * 2


def test_ones_own_mailbox_is_not_among_them(client, people, users):
    boss = people.add("antonia")
    boss.write(role=Account.ADMINISTRATOR)
    client.sign_in(boss.login, PASSWORD)
    page = client.open(list_of(people.service, SEARCH))
    assert boss.login in page.text
    assert boss.login not in [label.get("for") and words(label) for label in page.tree.iter("label")]
    send(client, list_of(people.service, "several/suspend"), [boss, users[0]])
    assert [state_of(account) for account in (boss, users[0])] == ["active", "suspended"]


def test_it_needs_a_recent_password(browser, people, users):
    page = browser.open(list_of(people.service, SEARCH))
    WebSession.update(password_at=0).execute()
    question = pick(page, users[:2], "Suspend")
    asked = question.press("Suspend 2 users")
    assert (asked.status, asked.title) == (422, "Suspend 2 users?")
    send(browser, list_of(people.service, "several/suspend"), users)
    assert [state_of(user) for user in users] == [Account.ACTIVE] * 3
    at(asked.fill({CONFIRMED: PASSWORD}).press("Suspend 2 users"), people.service, SEARCH, "")
    assert [state_of(user) for user in users] == [Account.SUSPENDED] * 2 + [Account.ACTIVE]
