"""The pages of mail services and their users, and requests made by hand."""

import itertools

import pytest

import worker
from actions.ground import sizes
from actions.ground.ports import Quota
from actions.ground.sizes import GIGABYTE
from actions.outbox import outbox
from actions.services import user_list
from lab.html_tree import words
from models import Account, Domain, FormerAddress, Mailbox, Organisation, Service, WebSession, now
from tests.conftest import PASSWORD

NEW = "Other-Garden-8"
LARGEST_PAGE = 60_000


@pytest.fixture
def browser(client, manager):
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.fixture
def service(people) -> Service:
    return people.service


def users_page(service: Service, more: str = "") -> str:
    return f"/services/{service.id}/mailboxes/{more}"


def page_of(service: Service, account: Account, more: str = "") -> str:
    return users_page(service, f"{account.mailbox.id}{more}")


def token_of(browser) -> str:
    return browser.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")


def send(browser, to: str, **content: object):
    return browser.post(to, {"csrf_token": token_of(browser), **content})


def addresses_on(page) -> list[str]:
    return [link for link in page.links if "@" in link and " " not in link]


# --- the guide's way: orders, info, users, edit ---


def test_from_the_orders_to_a_saved_user(browser, service, anna):
    page = browser.open("/services/")
    assert "Active orders" in page.links
    page = page.follow("Mail Light")
    assert page.title == "Manage users"
    page = page.follow(anna.login).fill({"First name": "Annalena", "Last name": "Kern", "Quota": "2"}).press("Save")
    assert (page.path, page.status) == (users_page(service), 200)
    changed = Account.get_by_id(anna.id)
    assert (changed.first_name, changed.last_name, changed.mailbox.quota_bytes) == (
        "Annalena", "Kern", 2 * sizes.GIGABYTE,
    )  # fmt: skip
    assert "Annalena Kern" in page.text


def test_what_there_is_to_know_of_a_service(browser, service, people, mail_server):
    Service.update(
        most_mailboxes=40, quota_bytes=10 * sizes.GIGABYTE, used_bytes=3 * sizes.GIGABYTE, used_at=now() - 60
    ).execute()
    people.add("anna", quota_bytes=5 * sizes.GIGABYTE)
    page = browser.open("/services/").follow("Info about Mail Light")
    for fact in (
        "example.org",
        "1 of 40",
        "3 GB of 10 GB",
        "5 GB of 10 GB",
        "Active",
        "Can use the account's password",
    ):
        assert fact in page.text, fact
    Service.update(used_at=None).execute()
    assert "Not known yet" in browser.open(f"/services/{service.id}").text


def test_people_are_searched_filtered_and_ordered_without_a_script(browser, service, people):
    assert "No users yet." in browser.open(users_page(service)).text
    people.domain = Domain.create(service=service, name="example.net")
    for name, first, last, state in (
        ("a", "Zoe", "Adler", "active"),
        ("b", "Yann", "Berg", "suspended"),
        ("c", "Xena", "Cole", "active"),
    ):
        people.add(name, first_name=first, last_name=last, state=state)
    page = browser.open(users_page(service))
    assert addresses_on(page) == ["a@example.net", "b@example.net", "c@example.net"]
    assert addresses_on(page.fill({"Search by name or address": "berg"}).press("Search")) == ["b@example.net"]
    assert addresses_on(page.fill({"Search by name or address": "", "State": "active"}).press("Search")) == [
        "a@example.net",
        "c@example.net",
    ]
    page = page.fill({"State": "", "Order": "name"}).press("Search")
    assert addresses_on(page.follow("Full name")) == ["c@example.net", "b@example.net", "a@example.net"]
    assert addresses_on(browser.open(users_page(service, "?domain=example.org"))) == []
    nobody = browser.open(users_page(service, "?text=zo&state=suspended"))
    assert "No user matches “zo”." in nobody.text
    assert len(addresses_on(nobody.follow("Clear search"))) == 3


def test_htmx_gets_the_table_alone(browser, service, anna):
    answer = browser.request("GET", users_page(service, "?text=anna"), HX_Request="true")
    assert answer.tree.find(".//main") is None
    assert anna.login in answer.text


def test_a_page_of_users_is_small_and_leads_to_the_next(browser, service, people):
    for number in range(user_list.PAGE + 5):
        people.add(
            f"a.rather.long.name.{number:03}", None, first_name="Maximiliane", last_name="Freifrau von Hohenstein"
        )
    page = browser.open(users_page(service))
    assert len(page.response.data) < LARGEST_PAGE
    assert len(addresses_on(page)) == user_list.PAGE
    following = page.follow("Next")
    assert len(addresses_on(following)) == 5
    assert addresses_on(following.follow("Previous")) == addresses_on(page)


NONSENSE = (
    "?order=x&state=x&after=%00", "?before=%FF", "?after=1.%E2%80%AE&text=a", f"?text={'x' * 5000}",
    "?domain=%27&descending=no",
)  # fmt: skip


def test_addresses_that_ask_for_nonsense_are_harmless(browser, service, anna):
    for query in NONSENSE:
        assert browser.open(users_page(service, query)).status == 200, query


# --- a password that a manager sets ---


def set_password(browser, service, account, password=NEW, **also: str):
    page = browser.open(page_of(service, account)).tick("Change password").fill({"New password": password} | also)
    return page.press("Save")


def test_a_password_that_is_set_is_in_force_and_asks_for_another(browser, service, anna, new_client):
    hers = new_client()
    hers.sign_in(anna.login, PASSWORD)
    assert set_password(browser, service, anna).path == users_page(service)
    assert hers.open("/account/sessions").path == "/sign-in"
    assert hers.sign_in(anna.login, PASSWORD).path == "/sign-in"
    page = hers.sign_in(anna.login, NEW)
    assert page.title == "Password"
    assert hers.open("/devices/").title == "Password"
    page = page.fill(
        {"Current password": NEW, "New password": "Third-Garden-9", "Confirm new password": "Third-Garden-9"}
    )
    page.press("Change")
    assert hers.open("/devices/").title == "Devices"


def test_a_password_that_is_refused_stands_beside_its_field_and_nothing_else_is_saved(browser, service, anna):
    for bad in ("", "short", "Anna-Garden-8", "Password-1", "Vu7-kqzwe\u0301", "Vu7\u00a0kqzwxy", "Vu7-kqzwxy "):
        page = set_password(browser, service, anna, bad, **{"First name": "Else"})
        assert page.status == 422
        assert page.error_of("New password")
        assert page.value("First name") == "Else"
        assert page.value("New password") == ""
    kept = Account.get_by_id(anna.id)
    assert (kept.first_name, kept.password_hash) == ("Anna", anna.password_hash)


def test_a_password_in_a_box_that_is_not_ticked_changes_nothing(browser, service, anna):
    browser.open(page_of(service, anna)).fill({"New password": NEW}).press("Save")
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


# --- two managers at once ---


def test_the_second_of_two_managers_is_told_and_overwrites_nothing(browser, service, anna, people, new_client):
    other = new_client()
    other.sign_in(people.add_manager("other@example.org", Account.ADMINISTRATOR).login, PASSWORD)
    first, second = browser.open(page_of(service, anna)), other.open(page_of(service, anna))
    first.fill({"First name": "First"}).press("Save")
    page = second.fill({"First name": "Second", "Last name": "Typed"}).press("Save")
    assert page.status == 422
    assert page.errors
    assert page.value("Last name") == "Typed"
    assert page.press("Save").status == 422
    assert Account.get_by_id(anna.id).first_name == "First"
    assert page.follow("Show the saved values").value("First name") == "First"


# --- adding ---


def add(browser, service, **changes: str):
    typed = {"E-mail address": "dora@example.org", "First name": "Dora", "Contact e-mail": "dora@elsewhere.example.com"}
    return browser.open(users_page(service, "new")).fill(typed | changes)


def test_an_invited_user_sets_the_password_alone(browser, service, ports, mailer, new_client):
    page = add(browser, service).press("Add the user")
    assert (page.path, Account.by_login("dora@example.org").password_hash) == (users_page(service), None)
    assert "Pending" in page.text
    outbox.deliver_due(ports, worker.OTHERS)
    [(to, message)] = mailer.sent
    assert to == "dora@elsewhere.example.com"
    link = next(w for w in message.get_body(("plain",)).get_content().split() if "/links/password/" in w)
    hers = new_client()
    page = hers.open(link.removeprefix(ports.settings.base_url))
    page.fill({"New password": NEW, "Confirm new password": NEW}).press("Set password")
    assert hers.sign_in("dora@example.org", NEW).title == "Overview"
    assert hers.open("/devices/").title == "Devices"


def test_a_user_with_a_password_from_the_manager(browser, service, new_client):
    page = add(browser, service, **{"Contact e-mail": ""}).choose("Set it here").fill({"New password": NEW})
    assert page.press("Add the user").path == users_page(service)
    hers = new_client()
    hers.sign_in("dora@example.org", NEW)
    assert hers.open("/devices/").title == "Password"


WRONG = (
    *({"E-mail address": address} for address in (
        "anna@example.org", "ANNA@example.org", "manager@example.org", "x@foreign.example", "x@other.example",
        "a/b@example.org", "*@example.org", "",
    )),
    *({"Contact e-mail": address} for address in ("", "dora@example.org", "x")),
    {"Phone": "12"},
    {"Phone": "+39 333 x"},
    {"Quota": "-1"},
)  # fmt: skip


def test_what_is_wrong_with_a_new_user_stands_beside_its_field(browser, service, anna):
    other = Service.create(organisation=Organisation.create(name="Other Ltd"), name="Theirs")
    Domain.create(service=other, name="other.example")
    before = Account.select().count()
    for changes in WRONG:
        page = add(browser, service, **changes).press("Add the user")
        assert page.status == 422, changes
        assert page.error_of(*changes), changes
        assert page.value("First name") == "Dora"
    assert Account.select().count() == before


def test_all_that_is_wrong_with_a_new_user_is_said_in_one_round(browser, service):
    Service.update(quota_bytes=GIGABYTE).execute()
    wrong = {"E-mail address": "a/b", "First name": "x" * 200, "Contact e-mail": "x", "Phone": "12", "Quota": "0"}
    page = add(browser, service, **wrong).choose("Set it here").fill({"New password": "Dora"}).press("Add the user")
    assert [label for label in (*wrong, "New password") if not page.error_of(label)] == []
    page = add(browser, service, **wrong | {"E-mail address": "", "Quota": "x"}).press("Add the user")
    assert [label for label in wrong if not page.error_of(label)] == []


def test_all_that_is_wrong_with_an_edited_user_is_said_in_one_round(browser, service, anna):
    wrong = {"Last name": "x" * 200, "Contact e-mail": "x", "Phone": "12", "Quota": "x"}
    page = (
        browser.open(page_of(service, anna)).fill(wrong).tick("Change password").fill({"New password": "Anna-7-xxxx"})
    )
    page = page.press("Save")
    assert [label for label in wrong if not page.error_of(label)] == []
    assert "“anna”" in page.error_of("New password")


@pytest.mark.parametrize(
    "typed", ["Anna-Bridge-77-xq", "Bridge-77-xq-rosa", "Olaf-Bridge-77-xq", "Password1!", "xx-dora-xx"]
)
def test_the_list_says_what_is_decided_for_somebody_else(browser, service, typed):
    page = add(browser, service, **{"First name": "Rosa"}).choose("Set it here").fill({"New password": typed})
    content = dict(page.content_of("Add the user"))
    asked = {name: content[name] for name in ("csrf_token", "new_password", "address", "domain", "first_name")}
    lines = browser.post(users_page(service, "password-check"), asked).tree.findall(".//li")
    assert (page.press("Add the user").status != 422) == all(line.get("class") == "met" for line in lines)


@pytest.mark.parametrize(
    ("typed", "domain", "made"),
    [
        ("dora", "second.example", "dora@second.example"),
        (" dora ", "example.org", "dora@example.org"),
        ("dora@example.org", "second.example", "dora@example.org"),
        ("dora@example.org", None, "dora@example.org"),
        ("dora", None, None),
        ("dora", "other.example", None),
        ("dora@", "example.org", None),
        ("", "example.org", None),
    ],
)
def test_an_address_is_a_name_and_a_chosen_domain_or_typed_whole(browser, service, typed, domain, made):
    Domain.create(service=service, name="second.example")
    Domain.create(service=Service.create(organisation=service.organisation, name="Other"), name="other.example")
    page = add(browser, service, **{"E-mail address": typed})
    content = dict(page.content_of("Add the user"))
    content |= {"domain": domain} if domain else {}
    if domain is None:
        del content["domain"]
    answer = browser.post(users_page(service), content)
    assert (answer.status == 422) == (made is None)
    assert made is None or Account.by_login(made)


def test_with_one_domain_only_the_name_before_it_is_typed(browser, service):
    page = add(browser, service, **{"E-mail address": "dora"})
    assert "Domain" not in [words(label) for label in page.tree.iter("label")]
    page.press("Add the user")
    assert Account.by_login("dora@example.org")


@pytest.mark.parametrize(
    ("order", "amount", "unit"),
    [
        ({}, "", "GB"),
        ({"quota_bytes": 100 * GIGABYTE, "mailboxes_made": 4, "quota_given_bytes": 10 * GIGABYTE}, "2", "GB"),
        ({"quota_bytes": 4 * GIGABYTE, "mailboxes_made": 1, "quota_given_bytes": 7 * GIGABYTE // 2}, "512", "MB"),
        ({"quota_bytes": GIGABYTE, "mailboxes_made": 1, "quota_given_bytes": GIGABYTE}, "", "GB"),
        ({"quota_bytes": 50 * GIGABYTE, "mailboxes_made": 0, "quota_given_bytes": 0, "most_mailboxes": 10}, "5", "GB"),
        ({"quota_bytes": 50 * GIGABYTE, "mailboxes_made": 0, "quota_given_bytes": 0}, "1", "GB"),
    ],
)
def test_a_new_mailbox_begins_with_a_quota_that_the_service_has(browser, service, order, amount, unit):
    if order:
        Service.update(order).execute()
    page = browser.open(users_page(service, "new"))
    assert (page.value("Quota"), page.value("Unit of the quota")) == (amount, unit)


def test_every_field_says_whether_it_is_needed(browser, service, anna):
    """What may be left empty says so; of what is needed, the browser knows it, or the field appears only then."""
    Service.update(quota_bytes=GIGABYTE).execute()
    depends = {"contact_email", "new_password"}
    for address in (users_page(service, "new"), page_of(service, anna)):
        fields = browser.open(address).tree.find(".//main").iter("input")
        typed = {each.get("name"): each for each in fields if each.get("type") in ("text", "tel", "password")}
        needed = {name for name, each in typed.items() if "required" in each.attrib}
        optional = {
            name for name, each in typed.items() if f"{name}-optional" in each.get("aria-describedby", "").split()
        }
        assert needed & optional == set()
        assert set(typed) - needed - optional <= depends


def test_no_more_than_was_ordered(browser, service, anna):
    Service.update(most_mailboxes=1).execute()
    assert add(browser, service).press("Add the user").error_of("E-mail address")
    assert (Service.get().mailboxes_made, Mailbox.select().count()) == (1, 1)


# --- hostile values ---

HOSTILE = {
    "markup": "<img src=x onerror=alert(1)>",
    "template": "{{7*7}}%(name)s",
    "formula": "=cmd|' /C calc'!A0",
    "sql": "'; DROP TABLE account; --",
    "emoji": "😀" * 60,
}
REFUSED = {
    "bidi": "Anna\u202egnp.exe",
    "isolate": "\u2067x",
    "long": "x" * 10_000,
    "nul": "A\0B",
    "lines": "A\r\nBcc: x",
}


def test_a_strange_name_is_shown_as_it_is(browser, service, anna):
    for name in HOSTILE.values():
        assert browser.open(page_of(service, anna)).fill({"First name": name}).press("Save").status == 200
        page = browser.open(users_page(service))
        assert " ".join(f"{name} Keller".split()) in page.text
        assert page.tree.find(".//img") is None
        assert browser.open(page_of(service, anna)).value("First name") == name
        assert name in browser.open(page_of(service, anna, "/removal")).text


def test_a_name_that_deceives_is_refused(browser, service, anna):
    for name, label in itertools.product(REFUSED.values(), ("First name", "Last name")):
        page = browser.open(page_of(service, anna)).fill({label: name}).press("Save")
        assert page.status == 422
        assert page.error_of(label)
    assert Account.get_by_id(anna.id).first_name == "Anna"


QUOTAS = ("-1", "1e99", "1;DROP", "1.5", "0x10", "٣", "99999999999999999999", "9999999999", "1 000", "NaN")


def test_a_quota_that_is_none_is_refused_in_a_sentence(browser, service, anna):
    for quota in QUOTAS:
        page = browser.open(page_of(service, anna)).fill({"Quota": quota}).press("Save")
        assert page.status == 422, quota
        assert page.error_of("Quota")
        assert page.value("Quota") == quota
    assert Mailbox.get().quota_bytes == 0


def test_no_quota_beyond_the_services_total(browser, service, people):
    Service.update(quota_bytes=10 * sizes.GIGABYTE).execute()
    anna, boris = people.add("anna", quota_bytes=4 * sizes.GIGABYTE), people.add("boris", quota_bytes=sizes.GIGABYTE)
    for quota in ("10", "", "0"):
        page = browser.open(page_of(service, anna)).fill({"Quota": quota}).press("Save")
        assert page.error_of("Quota"), quota
    assert "9 GB" in browser.open(page_of(service, anna)).fill({"Quota": "10"}).press("Save").error_of("Quota")
    assert browser.open(page_of(service, anna)).fill({"Quota": "9"}).press("Save").status == 200
    assert browser.open(page_of(service, boris)).fill({"Quota": "2"}).press("Save").error_of("Quota")
    assert Service.get().quota_given_bytes == 10 * sizes.GIGABYTE


MADE_BY_HAND = (
    {"revision": "x"}, {"revision": "9" * 400}, {"revision": "-1"}, {"unit": "TB", "quota": "1"}, {"state": "disabled"},
    {"state": "pending"},
)  # fmt: skip


def test_forms_made_by_hand_save_nothing(browser, service, anna):
    whole = dict(browser.open(page_of(service, anna)).content_of("Save")) | {"first_name": "Changed"}
    for content in ({"csrf_token": whole["csrf_token"]}, *(whole | each for each in MADE_BY_HAND)):
        assert browser.post(page_of(service, anna), content).status == 422, content
    assert Account.get_by_id(anna.id).first_name == "Anna"


# --- suspend, resume, link, remove ---


def test_suspending_and_resuming(browser, service, anna, new_client):
    hers = new_client()
    hers.sign_in(anna.login, PASSWORD)
    page = browser.open(page_of(service, anna, "/suspension")).press("Suspend anna@example.org")
    assert "Suspended" in page.text
    assert hers.sign_in(anna.login, PASSWORD).path == "/sign-in"
    page = browser.open(page_of(service, anna, "/resumption")).press("Resume anna@example.org")
    assert hers.sign_in(anna.login, PASSWORD).title == "Overview"


def test_a_locked_account_is_opened_by_a_new_password_only(browser, service, anna):
    anna.put_into_state(Account.LOCKED)
    assert send(browser, page_of(service, anna, "/resumption")).flashes
    page = browser.open(page_of(service, anna)).fill({"State": "active"}).press("Save")
    assert page.error_of("State")
    page = page.tick("Change password").fill({"New password": NEW}).press("Save")
    assert (page.status, Account.get_by_id(anna.id).state) == (200, Account.ACTIVE)


def test_a_removal_says_what_is_lost_and_asks_for_the_address(browser, service, anna, people, mail_server):
    people.add_collaborator(anna)
    mail_server.held[anna.login] = Quota(300 * sizes.MEGABYTE, 0)
    page = browser.open(page_of(service, anna, "/removal"))
    assert "300 MB" in page.text
    assert "carla/anna@example.org" in page.text
    assert page.press("Remove anna@example.org").error_of("Mailbox address")
    assert Account.by_login(anna.login)
    page = page.fill({"Mailbox address": " ANNA@example.org "}).press("Remove anna@example.org")
    assert page.path == users_page(service)
    assert not Account.by_login(anna.login)
    assert browser.open(page_of(service, anna)).status == 404


def test_a_mail_server_that_is_down_is_told_and_stops_nothing(browser, service, anna, mail_server):
    mail_server.is_down = True
    for more in ("", "/suspension", "/removal"):
        page = browser.open(page_of(service, anna, more))
        assert page.status == 200
        assert "does not answer" in page.text, more
    page = browser.open(page_of(service, anna, "/suspension")).press("Suspend anna@example.org")
    assert len(page.flashes) == 2
    assert Account.get_by_id(anna.id).state == Account.SUSPENDED


# --- who may ---

PAGES = ("", "/link", "/suspension", "/resumption", "/removal")


def test_another_organisations_users_are_not_there(browser, people, service, anna):
    foreign = Organisation.create(name="Other Ltd")
    theirs = Service.create(organisation=foreign, name="Theirs")
    people.domain = Domain.create(service=theirs, name="other.example")
    people.service, own = theirs, people.service
    victim = people.add("victim", organisation=foreign)
    for address in (f"/services/{theirs.id}", users_page(theirs), users_page(theirs, "new")):
        assert browser.open(address).status == 404
    for around in (theirs, own):
        for more in PAGES:
            address = users_page(around, f"{victim.mailbox.id}{more}")
            assert browser.open(address).status == 404, address
            assert send(browser, address, confirmation=victim.login).status == 404, address
    assert send(browser, users_page(theirs), address="x@other.example").status == 404
    assert Account.get_by_id(victim.id).state == Account.ACTIVE
    assert "Theirs" not in browser.open("/services/").text


def test_the_operator_looks_after_every_organisation(client, people, service, anna):
    client.sign_in(people.add_manager("operator@example.org", Account.OPERATOR, organisation=None).login, PASSWORD)
    assert (
        client.open("/services/").follow("Mail Light").follow(anna.login).fill({"First name": "O"}).press("Save").status
        == 200
    )
    assert Account.get_by_id(anna.id).first_name == "O"


def test_for_everybody_else_there_are_no_services(client, people, service, anna, boris):
    client.sign_in(boris.login, PASSWORD)
    assert "Active orders" not in client.open("/account/password").links
    for address in ("/services/", users_page(service), page_of(service, anna), users_page(service, "new")):
        assert client.open(address).status == 404
    for more in ("/suspension", "", "/link"):
        assert send(client, page_of(service, anna, more)).status == 404
    for asked in ("password-check", "password-suggestion"):
        assert send(client, users_page(service, asked), new_password="x").status == 404


def test_numbers_that_nobody_has(browser, service):
    for number in ("0", "-1", "9223372036854775808", "1e3", "x"):
        assert browser.open(f"/services/{number}").status == 404
        assert browser.open(users_page(service, number)).status == 404


def test_what_the_page_asks_on_its_own_leads_nobody_away_from_what_they_typed(browser, service):
    for asked in ("password-check", "password-suggestion"):
        assert send(browser, users_page(service, asked), new_password="Winter7").status == 200
        WebSession.update(password_at=0).execute()
    token = token_of(browser)
    WebSession.delete().execute()
    for asked in ("password-check", "password-suggestion"):
        answer = browser.request(
            "POST", users_page(service, asked), {"csrf_token": token}, Sec_Fetch_Site="same-origin"
        )
        assert answer.status == 204


def test_dangerous_pages_ask_for_the_password_again(browser, service, anna):
    WebSession.update(password_at=0).execute()
    for address in (users_page(service, "new"), page_of(service, anna), page_of(service, anna, "/removal")):
        assert "Enter your password to continue" in browser.open(address).text
    assert "Enter your password" not in browser.open(users_page(service)).text


# --- another address ---


def test_a_mailbox_gets_another_address_and_the_question_names_what_goes_along(browser, service, people, anna):
    people.add_collaborator(anna)
    question = browser.open(page_of(service, anna)).follow("Change the address")
    assert question.path == page_of(service, anna, "/address")
    for named in (anna.login, "carla/anna@example.org", "example.org"):
        assert named in question.text
    question.choose("Still arrives for some days")
    page = question.fill({"New address": "anna.rossi@example.org", "Number of days": "30"}).press("Change the address")
    assert (page.path, page.status) == (users_page(service), 200)
    assert f"{anna.login} is called anna.rossi@example.org from now on." in page.text
    assert Account.get_by_id(anna.id).login == "anna.rossi@example.org"
    [former] = FormerAddress.select()
    assert (former.address, former.expires_at - former.created_at) == (anna.login, 30 * 24 * 3600)
    question = browser.open(page_of(service, anna)).follow(f"Refuse mail to {anna.login}")
    page = question.press(f"Refuse mail to {anna.login}")
    assert f"Mail to {anna.login} is refused from now on." in page.text
    assert not FormerAddress.select().exists()


@pytest.mark.parametrize(
    ("typed", "more", "field"),
    [
        ("", {}, "address"),
        ("no address", {}, "address"),
        ("anna@example.org", {}, "address"),
        ("boris@example.org", {}, "address"),
        ("anna@nowhere.example", {}, "address"),
        ("new@example.org", {"former_address": "days", "days": ""}, "days"),
        ("new@example.org", {"former_address": "days", "days": "0"}, "days"),
        ("new@example.org", {"former_address": "days", "days": "x"}, "days"),
        ("new@example.org", {"former_address": "nonsense"}, "former_address"),
        ("new@example.org", {"revision": "-1"}, "revision"),
        ("new@example.org", {"revision": ""}, "revision"),
    ],
)
def test_what_is_wrong_with_a_new_address_stands_beside_its_field(browser, service, anna, boris, typed, more, field):
    content = {"address": typed, "former_address": "refused", "revision": anna.revision} | more
    answer = send(browser, page_of(service, anna, "/address"), **content)
    assert answer.status == 422
    assert answer.tree.find(f".//p[@id='{field}-error']") is not None
    assert Account.get_by_id(anna.id).login == anna.login


def test_a_former_address_of_another_mailbox_is_not_found(browser, service, anna, boris):
    former = FormerAddress.create(address="former@example.org", domain=boris.domain, mailbox=boris.mailbox)
    more = f"/former-addresses/{former.id}/end"
    assert browser.open(page_of(service, anna, more)).status == 404
    assert send(browser, page_of(service, anna, more)).status == 404
    assert FormerAddress.select().exists()


def test_the_person_who_is_renamed_signs_in_by_the_new_address_only(browser, new_client, service, anna):
    hers = new_client()
    hers.sign_in(anna.login, PASSWORD)
    send(
        browser,
        page_of(service, anna, "/address"),
        address="anna.rossi@example.org",
        former_address="until-ended",
        revision=anna.revision,
    )
    assert hers.open("/account/password").path.startswith("/sign-in")
    refused = [new_client().sign_in(login, PASSWORD) for login in (anna.login, "nobody@example.org")]
    assert {page.path for page in refused} == {"/sign-in"}
    assert refused[0].text.replace(anna.login, "") == refused[1].text.replace("nobody@example.org", "")
    assert hers.sign_in("anna.rossi@example.org", PASSWORD).path != "/sign-in"
