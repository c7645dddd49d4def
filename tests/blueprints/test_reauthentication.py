"""The password once more, in the form that needs it: what was typed stays, and what was meant is done once.

One line a dangerous view in `TABLE`. One without a line fails the test, and so does a line without a view.
"""

from dataclasses import dataclass, field, replace

import pytest
from flask import Flask

from actions.authority import permissions
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.trail.events import Event
from blueprints.web import reauthentication
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    DeviceInvitation,
    FormerAddress,
    Mailbox,
    OneTimeLink,
    OutboxItem,
    UserImport,
)
from tests.blueprints.conftest import NEW, WRONG
from tests.blueprints.test_authority_matrix import address_of, routes
from tests.blueprints.test_user_imports import TWO, upload
from tests.client import Client, Page
from tests.conftest import PASSWORD, People

FIELD = "Enter your password to continue"
ANNA, MANAGER = "anna@example.org", "manager@example.org"
# Everything but sessions, the trail and the throttle.
TABLES = (
    *(Account, Mailbox, Device, DeviceInvitation, Collaboration, FormerAddress, UserImport, OneTimeLink),
    OutboxItem,
)


@dataclass(frozen=True)
class Dangerous:
    """A view's form: who sends it, the page that has it, its button, the event of its outcome, and what is typed."""

    who: str
    page: str
    button: str
    event: Event
    typed: dict[str, str] = field(default_factory=dict)
    ticked: str = ""
    # A button without a form of its own: the page that asks has this one instead.
    asked_by: str = ""


COLLABORATOR = {
    "User name": "nora",
    "First name": "Nora",
    "Last name": "Lind",
    "Reference e-mail": "n@elsewhere.example.com",
}
NAMED = {"First name": "Nora", "Last name": "Lind", "Quota": "2", "Contact e-mail": "n@elsewhere.example.com"}
TABLE = {
    "account.end_others": Dangerous(
        ANNA, "/account/sessions/others", "End all others", Event.SESSIONS_ENDED_OTHERS
    ),
    "collaborations.change_permissions": Dangerous(
        ANNA, "/collaborations/{active}/permissions", "Save permissions", Event.COLLABORATION_PERMISSIONS_CHANGED,
        ticked="Write",
    ),
    "collaborations.create": Dangerous(
        ANNA, "/collaborations/new", "Create account", Event.COLLABORATION_MADE, COLLABORATOR, ticked="Write"
    ),
    "collaborations.disable": Dangerous(
        ANNA, "/collaborations/{active}/disabling", "Disable Carla Rossi", Event.COLLABORATION_DISABLED
    ),
    "collaborations.remove": Dangerous(
        ANNA, "/collaborations/{disabled}/removal", "Remove Egon Rossi", Event.COLLABORATION_REMOVED
    ),
    "collaborations.reset": Dangerous(
        ANNA, "/collaborations/{active}/reset", "Reset password", Event.COLLABORATION_RESET
    ),
    "collaborations.send_link_again": Dangerous(
        ANNA, "/collaborations/{pending}", "Resend the e-mail to set the password", Event.COLLABORATION_LINK_SENT,
        asked_by="Continue",
    ),
    "devices.change_password": Dangerous(
        ANNA, "/devices/{device}/password", "Change the password", Event.DEVICE_PASSWORD_CHANGED
    ),
    "devices.create": Dangerous(
        ANNA, "/devices/new", "Continue", Event.DEVICE_MADE, {"Name": "Tablet", "Last day it works": "2030-01-31"}
    ),
    "devices.disconnect": Dangerous(
        ANNA, "/devices/{device}/disconnection", "Disconnect the device", Event.DEVICE_DISCONNECTED
    ),
    "devices.disconnect_all": Dangerous(
        ANNA, "/devices/disconnection", "Disconnect all devices", Event.DEVICES_DISCONNECTED
    ),
    "devices.download_profile": Dangerous(
        ANNA, "/devices/{device}/profile", "Download the profile", Event.DEVICE_PASSWORD_CHANGED
    ),
    "devices.require": Dangerous(
        ANNA, "/devices/requirement", "Require device passwords", Event.DEVICES_REQUIRED
    ),
    "invitations.create": Dangerous(
        ANNA, "/devices/invitations/new", "Invite", Event.INVITATION_MADE,
        {"E-mail address": "eve@elsewhere.example.com", "Name": "Eve's tablet"},
    ),
    "invitations.resend": Dangerous(
        ANNA, "/devices/invitations/{invitation}/letter", "Create a new link", Event.INVITATION_RENEWED
    ),
    "offboarding.end": Dangerous(
        MANAGER, "{user}/access/offboarding", "End all access to anna@example.org", Event.ACCESS_ENDED
    ),
    "services.add_user": Dangerous(
        MANAGER, "{users}/new", "Add the user", Event.USER_ADDED, NAMED | {"E-mail address": "nora@example.org"}
    ),
    "services.save_user": Dangerous(
        MANAGER, "{user}", "Save", Event.USER_CHANGED, NAMED | {"New password": NEW}, ticked="Change password"
    ),
    "services.send_link": Dangerous(MANAGER, "{user}/link", "Send the link", Event.USER_LINK_SENT),
    "services.suspend": Dangerous(MANAGER, "{user}/suspension", "Suspend anna@example.org", Event.USER_SUSPENDED),
    "services.resume": Dangerous(MANAGER, "{suspended}/resumption", "Resume boris@example.org", Event.USER_RESUMED),
    "services.rename": Dangerous(
        MANAGER, "{user}/address", "Change the address", Event.USER_RENAMED, {"New address": "anne@example.org"}
    ),
    "services.end_forwarding": Dangerous(
        MANAGER, "{user}/former-addresses/{former}/end", "Refuse mail to former@example.org",
        Event.USER_FORWARDING_ENDED,
    ),
    "services.remove": Dangerous(
        MANAGER, "{user}/removal", "Remove anna@example.org", Event.USER_REMOVED, {"Mailbox address": ANNA}
    ),
    "several.act": Dangerous(
        MANAGER, "{users}/several/quota?mailbox={number}&back={users}/%3Ftext%3Dan", "Change 1 quota",
        Event.USER_CHANGED, {"Quota": "5"},
    ),
    "user_imports.make": Dangerous(MANAGER, "{imported}/users", "Add 2 users", Event.USERS_IMPORTED),
    "account.change_contact": Dangerous(
        ANNA, "/account/contact", "Send the link", Event.CONTACT_WANTED,
        {"New contact e-mail": "new@elsewhere.example.com"}
    ),
    "user_collaborations.change_permissions": Dangerous(
        MANAGER, "{user}/collaborators/{active}/permissions", "Save permissions",
        Event.COLLABORATION_PERMISSIONS_CHANGED, ticked="Write",
    ),
    "user_collaborations.disable": Dangerous(
        MANAGER, "{user}/collaborators/{active}/disabling", "Disable Carla Rossi", Event.COLLABORATION_DISABLED
    ),
    "user_collaborations.remove": Dangerous(
        MANAGER, "{user}/collaborators/{disabled}/removal", "Remove Egon Rossi", Event.COLLABORATION_REMOVED
    ),
    "user_collaborations.reset": Dangerous(
        MANAGER, "{user}/collaborators/{active}/reset", "Reset password", Event.COLLABORATION_RESET
    ),
    "user_collaborations.send_link_again": Dangerous(
        MANAGER, "{user}/collaborators/{pending}", "Resend the e-mail to set the password",
        Event.COLLABORATION_LINK_SENT, asked_by="Continue",
    ),
    "user_devices.disconnect": Dangerous(
        MANAGER, "{user}/devices/{device}/disconnection", "Disconnect the device", Event.DEVICE_DISCONNECTED
    ),
    "user_devices.disconnect_all": Dangerous(
        MANAGER, "{user}/devices/disconnection", "Disconnect all devices", Event.DEVICES_DISCONNECTED
    ),
    "user_devices.rename": Dangerous(
        MANAGER, "{user}/devices/{device}/name", "Rename", Event.DEVICE_RENAMED, {"Name": "Watch"}
    ),
    "user_invitations.create": Dangerous(
        MANAGER, "{user}/devices/invitations/new", "Invite", Event.INVITATION_MADE, {"Name": "Laptop"}
    ),
    "user_invitations.resend": Dangerous(
        MANAGER, "{user}/devices/invitations/{to_user}/letter", "Create a new link", Event.INVITATION_RENEWED
    ),
    "user_invitations.withdraw": Dangerous(
        MANAGER, "{user}/devices/invitations/{invitation}/withdrawal", "Withdraw the invitation",
        Event.INVITATION_WITHDRAWN,
    ),
}  # fmt: skip
# They need a finished change of passwords: `test_password_changes.py` sends them.
ELSEWHERE = {"password_changes.send_letter_again", "password_changes.send_message_again"}


@pytest.fixture
def places(ports, people: People, manager: Account, new_client) -> dict[str, object]:
    """What stands in the addresses of the table."""
    anna = Account.get_or_none(login=ANNA) or people.add("anna")
    anna.write(contact_email="anna@elsewhere.example.com")
    boris = people.add("boris", state=Account.SUSPENDED)
    device = devices.make(
        UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "smartphone", Device.IMAP), "a form"
    ).device
    wanted = WantedDevice("Tablet", "tablet", Device.IMAP)
    invited = invitations.invite(UnitOfWork(ports, acting(anna)), anna, wanted, "x@elsewhere.example.com", mailed=False)
    to_user = invitations.invite(UnitOfWork(ports, acting(anna)), anna, wanted, anna.contact_email, mailed=False)
    users = f"/services/{people.service.id}/mailboxes"
    boss = new_client()
    boss.sign_in(manager.login, PASSWORD)
    return {
        "active": collaboration_of(people.add_collaborator(anna, "carla", permissions.READ)),
        "pending": collaboration_of(people.add_collaborator(anna, "dora", password=None, state=Account.PENDING)),
        "disabled": collaboration_of(people.add_collaborator(anna, "egon", state=Account.DISABLED)),
        "device": device.id,
        "former": FormerAddress.create(address="former@example.org", domain=people.domain, mailbox=anna.mailbox).id,
        "imported": upload(boss, f"/services/{people.service.id}/imports/", TWO).path,
        "invitation": invited.invitation.id,
        "number": anna.mailbox.id,
        "to_user": to_user.invitation.id,
        "suspended": f"{users}/{boris.mailbox.id}",
        "user": f"{users}/{anna.mailbox.id}",
        "users": users,
    }


def collaboration_of(account: Account) -> int:
    return Collaboration.get(Collaboration.account == account).id


def form_of(client: Client, case: Dangerous, places: dict[str, object]) -> Page:
    """The page with the form, filled in; of the two steps of a new collaborator the second."""
    page = client.open(case.page.format(**places)).fill(case.typed)
    if case.page == "/collaborations/new":
        page = page.press("Continue")
    return page.tick(case.ticked) if case.ticked else page


def typed_on(page: Page, button: str) -> list[tuple[str, str]]:
    """What the form holds, but for its token, whose it is, and passwords."""
    passwords_of = ("csrf_token", "username", "current_password", "new_password")
    return [(name, value) for name, value in page.content_of(button) if name not in passwords_of]


def everything() -> list[dict]:
    return [row for table in TABLES for row in table.select().order_by(table._meta.primary_key).dicts()]


def events(event: Event) -> int:
    return AuditEvent.select().where(AuditEvent.action == event.code).count()


def test_each_dangerous_view_is_in_the_table(app: Flask):
    found = {
        endpoint
        for endpoint, method in routes(app)
        if method != "GET" and app.view_functions[endpoint].access.recent_password
    }
    assert found == set(TABLE) | ELSEWHERE


def test_the_page_that_asks_is_for_the_same_people(app: Flask):
    for endpoint, method in routes(app):
        view = app.view_functions[endpoint]
        if method == "GET" or not view.access.recent_password:
            continue
        numbers = dict.fromkeys(next(app.url_map.iter_rules(endpoint)).arguments, 1) | {"action": "suspend"}
        with app.test_request_context(address_of(app, endpoint, method, numbers), method=method):
            page = reauthentication.page_of(view)
        has_no_page = endpoint in ELSEWHERE or TABLE[endpoint].asked_by
        asks = replace(view.access, recent_password=False, asks_password=True)
        assert page is None if has_no_page else page.access in (asks, replace(asks)), endpoint


@pytest.mark.parametrize("endpoint", TABLE)
def test_nothing_is_lost_and_the_outcome_is_there_once(client, clock, places, endpoint):
    case = TABLE[endpoint]
    client.sign_in(case.who, PASSWORD)
    former_token = client.cookie("postern-session")
    page = form_of(client, case, places)
    clock.pass_by(301)
    sent = [] if case.asked_by else typed_on(page, case.button)
    before, happened = everything(), events(case.event)
    button = case.asked_by or case.button

    asked = page.press(case.button)
    assert (asked.status, typed_on(asked, button)) == (422, sent)
    assert "Nothing has been done yet" in asked.error_of(FIELD)
    wrong = asked.fill({FIELD: WRONG}).press(button)
    assert (wrong.status, typed_on(wrong, button)) == (422, sent)
    assert wrong.error_of(FIELD) == "This is not your current password."
    assert (everything(), events(case.event), events(Event.PASSWORD_REFUSED)) == (before, happened, 1)
    assert client.cookie("postern-session") == former_token

    again = wrong.fill({FIELD: PASSWORD} | ({"New password": NEW} if "New password" in case.typed else {}))
    assert again.press(button).status == 200
    assert events(case.event) == happened + 1
    assert everything() != before or endpoint == "account.end_others"
    assert client.cookie("postern-session") != former_token


@pytest.mark.parametrize("endpoint", ["devices.disconnect", "services.add_user", "collaborations.create"])
def test_a_page_that_is_opened_late_has_the_field_at_once(client, clock, places, endpoint):
    case = TABLE[endpoint]
    client.sign_in(case.who, PASSWORD)
    clock.pass_by(301)
    page = form_of(client, case, places)
    assert page.press(case.button).status == 422
    assert page.fill({FIELD: PASSWORD}).press(case.button).status == 200
    assert events(case.event) == 1


def test_the_dialog_has_the_field_under_an_id_of_its_own(client, clock, places):
    client.sign_in(MANAGER, PASSWORD)
    question = f"{places['user']}/suspension"
    assert 'name="current_password"' not in client.open(question, HX_Request="true").response.text
    clock.pass_by(301)
    ids = [
        {element.get("id") for element in client.open(address, **headers).tree.iter() if element.get("id")}
        for address, headers in ((question, {"HX_Request": "true"}), (str(places["user"]), {}))
    ]
    assert "dialog-current_password" in ids[0]
    assert "current_password" in ids[1]
    assert not ids[0] & ids[1] - {"dialog-title"}


def test_a_password_that_is_wrong_together_with_the_form_is_said_first(client, clock, places):
    """Then the form's own errors, without the field."""
    client.sign_in(MANAGER, PASSWORD)
    clock.pass_by(301)
    page = client.open(f"{places['users']}/new").fill({"First name": "Nora", FIELD: PASSWORD})
    refused = page.press("Add the user")
    assert refused.status == 422
    assert refused.error_of("E-mail address") == "This field is empty."
    assert refused.value("First name") == "Nora"
    assert FIELD not in refused.text
    assert refused.fill({"E-mail address": "nora@example.org"} | NAMED).press("Add the user").status == 200


def test_a_new_password_that_is_not_kept_is_asked_for_by_name(client, clock, places):
    client.sign_in(MANAGER, PASSWORD)
    page = client.open(str(places["user"])).tick("Change password").fill({"New password": NEW})
    clock.pass_by(301)
    assert "except the new password" in page.press("Save").error_of(FIELD)


def test_guesses_in_forms_count_as_those_on_the_page_of_the_password(signed_in, clock, places):
    clock.pass_by(301)
    pages = [
        (signed_in.open(f"/devices/{places['device']}/disconnection"), "Disconnect the device"),
        (signed_in.open("/confirm-password"), "Continue"),
    ]
    told = [page.fill({FIELD: WRONG}).press(button).error_of(FIELD) for page, button in pages * 3]
    assert told[:5] == ["This is not your current password."] * 5
    assert told[5].startswith("Too many attempts.")
    late = pages[0][0].fill({FIELD: PASSWORD}).press("Disconnect the device")
    assert late.error_of(FIELD).startswith("Too many attempts.")
    assert events(Event.DEVICE_DISCONNECTED) == 0


def test_guessing_in_a_form_for_too_long_signs_out(signed_in, clock, places):
    clock.pass_by(301)
    page = signed_in.open(f"/devices/{places['device']}/disconnection")
    while signed_in.open("/account/activity").title != "Sign in":
        clock.pass_by(passwords.CONFIRMATIONS.longest_wait)
        told = page.fill({FIELD: WRONG}).press("Disconnect the device")
    assert "this session has ended" in told.error_of(FIELD)
    assert events(Event.DEVICE_DISCONNECTED) == 0


def test_a_form_that_is_not_ours_is_no_guess(signed_in, clock, places):
    clock.pass_by(301)
    address = f"/devices/{places['device']}/disconnection"
    for password in (WRONG, PASSWORD):
        assert signed_in.post(address, {"csrf_token": "of another day", "current_password": password}).status == 400
    assert events(Event.PASSWORD_REFUSED) == 0
    assert events(Event.DEVICE_DISCONNECTED) == 0


def test_the_password_opens_nothing_that_is_somebody_elses(client, new_client, clock, people, places):
    people.add("chiara")
    client.sign_in("chiara@example.org", PASSWORD)
    token = client.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")
    clock.pass_by(301)
    for address in (f"/devices/{places['device']}/disconnection", f"{places['user']}/removal"):
        for password in ({}, {"current_password": PASSWORD}):
            assert client.post(address, {"csrf_token": token} | password).status == 404
    assert Device.select().count() == 1


def test_a_page_that_only_shows_still_leads_to_the_password(app: Flask, signed_in, clock):
    def secret():
        return "shown"

    secret.access = replace(app.view_functions["devices.create"].access)
    app.view_functions["account.activity"] = secret
    assert signed_in.open("/account/activity").response.text == "shown"
    clock.pass_by(301)
    page = signed_in.open("/account/activity")
    assert (page.path, page.title) == ("/confirm-password", "Confirm it's you")
    assert page.fill({FIELD: PASSWORD}).press("Continue").response.text == "shown"


def test_a_file_of_users_is_uploaded_without_the_password(client, clock, people, manager):
    """It adds nobody: the question that does asks."""
    client.sign_in(manager.login, PASSWORD)
    clock.pass_by(301)
    page = upload(client, f"/services/{people.service.id}/imports/", TWO)
    assert "2 users would be added." in page.text
    assert page.follow("Add 2 users").fill({FIELD: PASSWORD}).press("Add 2 users").flashes == ["2 users were added."]
