"""The page after the sign-in: what it says to whom, what it costs, and that it waits for no mail server."""

import pytest

from actions.authority import permissions
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.ports import Connection
from actions.ground.unit_of_work import UnitOfWork
from actions.trail.events import Event
from lab.actors import acting
from lab.html_tree import words
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    LastLogin,
    PasswordChange,
    Service,
    UserImport,
    now,
)
from tests.client import Client, Page
from tests.conftest import PASSWORD, People

DAY = 24 * 3600
OVERVIEW = "/overview/"
PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)


@pytest.fixture
def managers(client: Client, manager: Account) -> Client:
    client.sign_in(manager.login, PASSWORD)
    return client


def add_device(ports, account: Account, name: str = "form") -> Device:
    return devices.make(UnitOfWork(ports, acting(account)), account, PHONE, name).device


def refuse_sign_ins(account: Account, count: int, at: int) -> None:
    for _ in range(count):
        AuditEvent.create(
            action=Event.SESSION_REFUSED.code, account=account, account_login=account.login, at=at, address="192.0.2.66"
        )


def said_of(page: Page, term: str) -> str:
    """What stands beside a term."""
    terms, facts = (list(page.tree.iter(tag)) for tag in ("dt", "dd"))
    return next(words(fact) for each, fact in zip(terms, facts, strict=True) if words(each) == term)


def test_a_first_visit_says_what_is_there_and_what_to_do(signed_in):
    page = signed_in.open("/")
    assert (page.path, page.title) == (OVERVIEW, "Overview")
    assert "Give each phone and computer its own password." in page.text
    assert said_of(page, "Collaborations") == "Only you have access to this mailbox."
    assert "1 sign-in" in page.text
    assert page.follow("Add a device").path == "/devices/"
    assert signed_in.open("/overview/").follow("Password").path == "/account/password"


def test_a_page_that_was_asked_for_comes_first(client, anna):
    page = client.open("/account/activity").fill({"E-mail address": anna.login, "Password": PASSWORD})
    assert page.press("Sign in").path == "/account/activity"


def test_what_is_set_is_told_with_its_age(signed_in, ports, people, anna, clock):
    device = add_device(ports, anna)
    LastLogin.create(login_id=anna.id, device_id=device.id, service="imap", ip="192.0.2.9", last_access=now())
    people.add_collaborator(anna)
    anna.write(password_changed_at=now() - 120 * DAY)
    page = signed_in.open(OVERVIEW)
    assert said_of(page, "Password") == "Changed 4 months ago"
    assert said_of(page, "Devices") == "1 device, last used just now"
    assert said_of(page, "Collaborations") == "1 collaborator"
    assert said_of(page, "Contact e-mail") == anna.contact_email
    assert "What to do next" not in page.text


def test_what_is_odd_is_told(signed_in, ports, people, anna):
    device = add_device(ports, anna)
    device.write(created_at=now() - 91 * DAY)
    anna.write(contact_email="")
    invitations.invite(UnitOfWork(ports, acting(anna)), anna, PHONE, "guest@elsewhere.example.com", mailed=False)
    people.add_collaborator(anna, state=Account.PENDING)
    refuse_sign_ins(anna, 3, now() - DAY)
    refuse_sign_ins(anna, 5, now() - 20 * DAY)
    text = signed_in.open(OVERVIEW).text
    for sentence in (
        "Without a contact e-mail you cannot set a new password yourself when you forget yours.",
        "3 sign-ins were refused lately.",
        "1 device has not been used for 90 days.",
        "1 invitation for a device waits for its recipient.",
        "1 collaborator has not set a password yet.",
    ):
        assert sentence in text


def test_the_logins_of_a_device_that_is_gone_are_nobodys(signed_in, ports, anna):
    device = add_device(ports, anna)
    LastLogin.create(login_id=anna.id, device_id=device.id, service="imap", ip="192.0.2.9", last_access=now() - DAY)
    assert said_of(signed_in.open(OVERVIEW), "Devices") == "1 device"


def test_nothing_of_others_is_told(signed_in, ports, people, boris):
    add_device(ports, boris)
    people.add_collaborator(boris, state=Account.PENDING)
    refuse_sign_ins(boris, 9, now())
    page = signed_in.open(OVERVIEW)
    assert (said_of(page, "Devices"), "refused" in page.text) == ("No device yet.", False)
    assert "Your services" not in page.text


@pytest.mark.parametrize(
    ("allowed", "shown"),
    [(Collaboration.READ, set()), (Collaboration.READ | permissions.SETTINGS, {"Collaborations"})],
)
def test_a_collaborator_sees_what_they_may_open(client, people, anna, allowed, shown):
    carla = people.add_collaborator(anna, permissions=allowed)
    page = client.sign_in(carla.login, PASSWORD)
    assert page.path == OVERVIEW
    assert said_of(page, "My permissions") == anna.login
    assert {"Devices", "Collaborations"} & {words(term) for term in page.tree.iter("dt")} == shown


def test_the_picture_is_the_last_days_whatever_happened(signed_in, anna):
    refuse_sign_ins(anna, 30, now() - 13 * DAY)
    page = signed_in.open(OVERVIEW)
    picture = page.tree.find(".//main//svg[@role='img']")
    assert picture.get("aria-label") == "Sign-ins of the last 14 days: 1, and 30 that were refused"
    tops = {float(column.get("y")) for column in picture.iter("rect")}
    assert min(tops) >= 0
    assert not [each for each in page.tree.iter() if each.get("style")]


def test_a_silent_mail_server_does_not_hold_the_page(signed_in, mail_server, anna):
    mail_server.connected.append(Connection(anna.login, "imap", "192.0.2.9"))
    asked = f"{OVERVIEW}connected"
    assert "1 mail program" in signed_in.request("GET", asked, HX_Request="true").response.text
    mail_server.is_down = True
    assert signed_in.open(OVERVIEW).status == 200
    assert "does not answer" in signed_in.request("GET", asked, HX_Request="true").response.text
    assert signed_in.open(asked).path == "/account/sessions"


# --- managers ---


def test_a_manager_sees_what_is_used_waits_and_failed(managers, people, anna, manager):
    service = people.service
    service.write(most_mailboxes=1, quota_bytes=0)
    shared = {"service": service, "made_by_login": manager.login}
    UserImport.create(**shared, state=UserImport.CHECKED, problem_count=2)
    UserImport.create(**shared, state=UserImport.CHECKED)
    UserImport.create(**shared, state=UserImport.DONE)
    change = {"service": service, "domain": people.domain, "manager_login": manager.login, "phone": "", "full_name": ""}
    change |= {"kind": "passwords", "archive_format": "zip", "email": ""}
    for state, own in ((PasswordChange.DRAFT, manager), (PasswordChange.DRAFT, anna), (PasswordChange.SENDING, anna)):
        PasswordChange.create(**change, state=state, manager=own)
    page = managers.open(OVERVIEW)
    for sentence in (
        "1 of 1 mailboxes",
        "Almost full",
        "1 Files of users with errors",
        "1 Files of users to add or discard",
        "1 Changes of passwords to confirm",
        "1 Changes of passwords in progress",
    ):
        assert sentence in page.text
    assert page.follow("Mail Light").title == "Manage users"


def test_a_manager_sees_no_other_organisation(managers, settings):
    other = People(settings, "Other Ltd", "other.example")
    UserImport.create(service=other.service, made_by_login="", state=UserImport.CHECKED)
    text = managers.open(OVERVIEW).text
    assert "to add or discard" not in text


def test_what_a_manager_page_costs_is_the_same_for_many_services(managers, people, statements):
    managers.open(OVERVIEW)
    for number in range(12):
        Service.create(organisation=people.organisation, name=f"Service {number}")
    statements.clear()
    assert managers.request("GET", OVERVIEW).status == 200
    assert len(statements) <= 7


def test_whoever_has_to_choose_a_password_does_so_first(signed_in, anna):
    anna.write(must_change_password=True)
    assert signed_in.open(OVERVIEW).path == "/account/password"
