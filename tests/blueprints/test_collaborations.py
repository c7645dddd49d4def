"""The pages of collaborations, and requests made by hand."""

import pytest

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.sessions import links
from models import Account, Collaboration, OneTimeLink, Organisation
from tests.conftest import PASSWORD

READ, WRITE, SETTINGS = permissions.READ, permissions.WRITE, permissions.SETTINGS


@pytest.fixture
def browser(client, anna):
    client.sign_in(anna.login, PASSWORD)
    return client


@pytest.fixture
def keeper(people, anna, new_client):
    """The browser of a collaborator who manages settings."""
    account = people.add_collaborator(anna, "keeper", READ | SETTINGS)
    browser = new_client()
    browser.sign_in(account.login, PASSWORD)
    return browser


def number_of(account: Account) -> int:
    return Collaboration.get(Collaboration.account == account).id


def token_of(browser) -> str:
    return browser.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")


def send(browser, address: str, **content: object):
    return browser.post(address, {"csrf_token": token_of(browser), **content})


def first_step(browser, **changes: str):
    values = {
        "First name": "Lia",
        "Last name": "Verdi",
        "Reference e-mail": "lia@elsewhere.example.com",
        "User name": "lia",
    }
    return browser.open("/collaborations/new").fill(values | changes).press("Continue")


def test_from_the_first_step_to_the_list(browser):
    page = first_step(browser).tick("Use in mail programs, by POP3").press("Create account")
    assert page.path == "/collaborations/"
    assert "lia/anna@example.org" in page.text
    assert Collaboration.get().permissions == permissions.completed(permissions.POP3)


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(browser, anna):
    page = first_step(browser, **{"Reference e-mail": anna.login})
    assert page.status == 422
    assert page.error_of("Reference e-mail")
    assert page.value("First name") == "Lia"
    assert first_step(browser, **{"User name": "a/b"}).error_of("User name")


def test_without_a_script_a_proposal_is_taken_by_its_button(browser):
    page = browser.open("/collaborations/new").fill({"First name": "Lia", "Last name": "Verdi"}).press("Continue")
    page = page.press("lia.verdi")
    assert page.value("User name") == "lia.verdi"
    assert page.value("First name") == "Lia"


def test_the_first_proposal_is_taken_where_no_user_name_was_typed(browser):
    page = first_step(browser, **{"User name": "", "Reference e-mail": "x"})
    assert page.error_of("Reference e-mail")
    assert (page.value("User name"), page.error_of("User name")) == ("lia.verdi", "")
    assert "lia.verdi/anna@example.org" in first_step(browser, **{"User name": " "}).text


def test_all_that_is_wrong_with_a_person_is_said_in_one_round(browser):
    wrong = {"First name": "", "Last name": "x" * 200, "Reference e-mail": "x", "User name": "a/b"}
    page = first_step(browser, **wrong)
    assert [label for label in wrong if not page.error_of(label)] == []


def test_back_from_the_second_step_keeps_what_was_typed_and_chosen(browser):
    page = first_step(browser).tick("Use in mail programs, by POP3").press("Back")
    assert [page.value(label) for label in ("First name", "Reference e-mail", "User name")] == [
        *("Lia", "lia@elsewhere.example.com", "lia")
    ]
    page.fill({"Last name": "Bianchi"}).press("Continue").press("Create account")
    assert Account.by_login("lia/anna@example.org").last_name == "Bianchi"
    assert Collaboration.get().permissions == permissions.completed(permissions.POP3)


ACTIONS = ("reset", "disabling", "removal", "permissions")


def test_collaborators_of_others_are_not_there(browser, people, boris):
    number = number_of(people.add_collaborator(boris, "mario"))
    assert browser.open(f"/collaborations/{number}").status == 404
    for action in (*ACTIONS, "invitation"):
        assert send(browser, f"/collaborations/{number}/{action}", permissions="2").status == 404
    assert Collaboration.get().permissions == READ
    assert Account.by_login("mario/boris@example.org").state == Account.ACTIVE


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1e3", "x"])
def test_numbers_that_nobody_has(browser, number):
    assert browser.open(f"/collaborations/{number}").status == 404


def test_nobody_changes_their_own_permissions_by_hand(keeper):
    own = Collaboration.get()
    for action in ACTIONS:
        assert send(keeper, f"/collaborations/{own.id}/{action}", permissions="2").status == 403
    assert Collaboration.get().permissions == READ | SETTINGS


def test_nobody_gives_more_than_they_have_by_hand(keeper, people, anna):
    reader = people.add_collaborator(anna, "reader", READ)
    page = send(keeper, f"/collaborations/{number_of(reader)}/permissions", permissions="2")
    assert page.status == 422
    fields = {"first_name": "A", "last_name": "B", "reference_email": "a@b.example.com", "user_name": "puppet"}
    assert send(keeper, "/collaborations/", **fields, permissions="8").status == 422
    assert {each.permissions for each in Collaboration.select()} == {READ, READ | SETTINGS}


def test_what_somebody_has_already_is_offered_to_stay(keeper, people, anna):
    writer = people.add_collaborator(anna, "writer", READ | WRITE)
    page = keeper.open(f"/collaborations/{number_of(writer)}/permissions").tick("Manage settings")
    content = dict(page.content_of("Save permissions"))
    reply = send(keeper, "/collaborations/implied", **content)
    assert reply.tree.find(f".//input[@id='permission-{WRITE}']").get("disabled") is None
    page.press("Save permissions")
    assert Collaboration.get(Collaboration.account == writer).permissions == READ | WRITE | SETTINGS


def test_without_the_permission_the_pages_are_not_there(new_client, people, anna):
    reader = people.add_collaborator(anna, "reader", permissions.ALL & ~SETTINGS)
    other = people.add_collaborator(anna, "other")
    browser = new_client()
    browser.sign_in(reader.login, PASSWORD)
    for address in ("/collaborations/", "/collaborations/new", f"/collaborations/{number_of(other)}"):
        assert browser.open(address).status == 404
    assert send(browser, f"/collaborations/{number_of(other)}/disabling").status == 404
    assert browser.open("/account/permissions").status == 200


def test_a_collaborators_devices_and_the_mailboxs(new_client, people, anna, browser):
    reader = people.add_collaborator(anna, "reader", READ)
    guest = new_client()
    guest.sign_in(reader.login, PASSWORD)
    assert guest.open("/devices/").status == guest.open("/devices/new").status == 404
    keeper = people.add_collaborator(anna, "keeper", permissions.ALL)
    host = new_client()
    host.sign_in(keeper.login, PASSWORD)
    assert "Devices of anna@example.org" in host.open("/devices/").text
    page = host.open("/devices/new?of=mailbox").choose("Laptop").fill({"Name": "Reception"}).press("Continue")
    assert page.status == 200
    assert "Reception" in browser.open("/devices/").text
    assert anna.devices.get().created_by_login == keeper.login
    assert browser.open("/devices/new?of=mailbox").status == 404


def test_a_mail_scanner_uses_no_invitation_up(browser, client, new_client):
    first_step(browser).press("Create account")
    account = Account.by_login("lia/anna@example.org")
    token = links.create(account, links.WELCOME)
    for method in ("GET", "HEAD"):
        assert new_client().request(method, f"/links/password/{token}").status == 200
    assert OneTimeLink.get(OneTimeLink.used_at.is_null()).purpose == links.WELCOME
    assert collaborations.state(Collaboration.get()) == collaborations.PENDING


def test_the_owner_sees_what_collaborators_do_and_they_only_their_own(browser, keeper):
    page = browser.open("/account/activity")
    assert "keeper/anna@example.org" in page.text
    assert "Signed in" in keeper.open("/account/activity").text
    browser.open("/collaborations/new")
    first_step(browser).press("Create account")
    assert "lia/anna@example.org" not in keeper.open("/account/activity").text


def test_a_manager_sees_what_happens_in_the_organisations_mailboxes(new_client, people, anna, manager, keeper):
    stranger = people.add_manager("other@example.net", organisation=Organisation.create(name="Other Ltd"))
    seen = {}
    for account in (manager, stranger):
        browser = new_client()
        browser.sign_in(account.login, PASSWORD)
        seen[account.login] = browser.open("/account/activity").text
    assert "keeper/anna@example.org" in seen[manager.login]
    assert "keeper/anna@example.org" not in seen[stranger.login]


def test_a_thousand_collaborators_on_one_page(browser, people, anna):
    for number in range(150):
        people.add_collaborator(anna, f"c{number}", password=None)
    assert browser.open("/collaborations/").status == 200


def test_the_limit_is_a_clear_sentence(browser, people, anna):
    service = anna.mailbox.domain.service
    service.most_collaborators = 1
    service.save()
    people.add_collaborator(anna, "mario")
    page = first_step(browser)
    assert page.status == 422
    assert "1 collaborators" in page.error_of("User name")
