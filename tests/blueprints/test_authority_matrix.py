"""Every route for every role, in the own organisation and in a foreign one.

One line a route in `MATRIX`. A route without a line fails the test, and so does a line without a route. The things that
an address names are Anna's: her mailbox, her device, her collaborator … in a service of her organisation. The answers:

    +  the view answers, be it that the form is wrong      >  the way in: the sign-in page
    0  there is no such thing for them (404)               x  they may not (403)
    -  nothing at all (204): the page asked on its own, and a signed-out person learns it from their next action
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

import database as db
import models
from actions.authority import permissions
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import sessions
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    FormerAddress,
    PasswordChange,
    UserImport,
    Webmail,
    WebmailCredential,
)
from tests.conftest import People

# Anna is the person; the keeper may all that a collaborator may, the clerk reads and manages the settings, the reader
# does nothing but read; the colleague has a mailbox in the same service. Who is both is an administrator with a
# mailbox, and who is handed over the same, in a session that a webmail began.
ROLES = (
    *("operator", "owner", "administrator", "both", "handed over"),
    *("person", "keeper", "clerk", "reader", "colleague", "nobody"),
)
PUBLIC, SIGNED_IN = "+++++++++++ +++++++++++", "++++++++++> ++++++++++>"
# What everybody may ask for, and what there is nothing of here: the demo's outbox, settings for a domain not served.
SWITCHED_OFF = "00000000000 00000000000"
REFUSED = "xxxxxxxxxxx xxxxxxxxxxx"
# Managers of the service: the operator any, others those of their own organisation. Managers of any service.
MANAGED, MANAGERS = "++++>00000> +000>00000>", "++++>00000> ++++>00000>"
# Anna's own; and what the keeper of her mailbox sees to as well.
HERS, KEPT = "00000+0000> 0000000000>", "00000+++00> 0000000000>"
# People who manage a mailbox, each their own; and collaborators, about themselves.
KEEPERS, COLLABORATORS = "000+++++0+> 000+++++0+>", "000000+++0> 000000+++0>"
# Everybody but collaborators, whose contact e-mail is the one that the mailbox's owner entered.
OWN_CONTACT = "++++++000+> ++++++000+>"
# People who may use mail programs, with devices of their own.
OWN_DEVICES = "000++++00+> 000++++00+>"
# The same, where a page asks on its own.
SIGNED_IN_ALONE, MANAGED_ALONE = "++++++++++- ++++++++++-", "++++000000- +000000000-"
KEPT_ALONE, KEEPERS_ALONE = "00000+++00- 0000000000-", "000+++++0+- 000+++++0+-"

# Of each route the roles in the order above: in Anna's organisation, and of another.
MATRIX = {
    "account.activity GET": SIGNED_IN,
    "account.cancel_contact POST": OWN_CONTACT,
    "account.change_contact POST": OWN_CONTACT,
    "account.change_password POST": SIGNED_IN,
    "account.check_password POST": SIGNED_IN_ALONE,
    "account.confirm_contact_test GET": SIGNED_IN,
    "account.confirm_end_others GET": SIGNED_IN,
    "account.contact GET": OWN_CONTACT,
    "account.end_others POST": SIGNED_IN,
    "account.end_program POST": SIGNED_IN,
    "account.end_session POST": HERS,
    "account.end_webmail POST": HERS,
    "account.everywhere GET": SIGNED_IN,
    "account.everywhere POST": SIGNED_IN,
    "account.export_activity GET": SIGNED_IN,
    "account.list_sessions GET": SIGNED_IN,
    "account.password GET": SIGNED_IN,
    "account.save_name POST": SIGNED_IN,
    "account.save_preferences POST": SIGNED_IN,
    "account.show_permissions GET": COLLABORATORS,
    "account.show_preferences GET": SIGNED_IN,
    "account.suggest_password POST": SIGNED_IN_ALONE,
    "account.test_contact POST": SIGNED_IN,
    "collaborations.back_to_person POST": KEEPERS,
    "collaborations.change_permissions POST": KEPT,
    "collaborations.check_person POST": KEEPERS,
    "collaborations.check_user_name POST": KEEPERS_ALONE,
    "collaborations.confirm_disabling GET": KEPT,
    "collaborations.confirm_removal GET": KEPT,
    "collaborations.confirm_reset GET": KEPT,
    "collaborations.create POST": KEEPERS,
    "collaborations.details GET": KEPT,
    "collaborations.disable POST": KEPT,
    "collaborations.implied POST": KEEPERS_ALONE,
    "collaborations.list_collaborations GET": KEEPERS,
    "collaborations.new GET": KEEPERS,
    "collaborations.remove POST": KEPT,
    "collaborations.reset POST": KEPT,
    "collaborations.send_link_again POST": KEPT,
    "collaborations.show_permissions GET": KEPT,
    "collaborations.take_proposal POST": KEEPERS,
    "demo.attachment GET": SWITCHED_OFF,
    "demo.outbox GET": SWITCHED_OFF,
    "devices.change_password POST": KEPT,
    "devices.create POST": OWN_DEVICES,
    "devices.disconnect POST": KEPT,
    "devices.disconnect_all POST": OWN_DEVICES,
    "devices.disconnection GET": KEPT,
    "devices.disconnection_of_all GET": OWN_DEVICES,
    "devices.download_profile POST": KEPT,
    "devices.list_devices GET": KEEPERS,
    "devices.name GET": KEPT,
    "devices.new GET": OWN_DEVICES,
    "devices.password GET": KEPT,
    "devices.profile GET": KEPT,
    "devices.rename POST": KEPT,
    "devices.require POST": KEEPERS,
    "devices.requirement GET": KEEPERS,
    "devices.waiting GET": KEPT_ALONE,
    "discovery.apple GET": SWITCHED_OFF,
    "discovery.outlook POST": PUBLIC,
    "discovery.outlook_json GET": SWITCHED_OFF,
    "discovery.thunderbird GET": SWITCHED_OFF,
    # Without what a webmail signed.
    "handoff.arrive POST": REFUSED,
    "handoff.arrived GET": PUBLIC,
    "handoff.go_on POST": REFUSED,
    "home GET": PUBLIC,
    "invitations.create POST": OWN_DEVICES,
    "invitations.letter GET": KEPT,
    "invitations.list_invitations GET": SIGNED_IN,
    "invitations.new GET": OWN_DEVICES,
    "invitations.resend POST": KEPT,
    "invitations.withdraw POST": KEPT,
    "invitations.withdrawal GET": KEPT,
    "links.check_password POST": PUBLIC,
    "links.confirm_contact POST": PUBLIC,
    "links.contact GET": PUBLIC,
    "links.end_device POST": PUBLIC,
    "links.lock POST": PUBLIC,
    "links.not_me GET": PUBLIC,
    "links.not_my_contact GET": PUBLIC,
    "links.not_my_device GET": PUBLIC,
    "links.password GET": PUBLIC,
    "links.put_contact_back POST": PUBLIC,
    "links.set_password POST": PUBLIC,
    "offboarding.confirm GET": MANAGED,
    "offboarding.end POST": MANAGED,
    "offboarding.show_access GET": MANAGED,
    "offboarding.show_pending GET": MANAGED_ALONE,
    "offboarding.download_access GET": MANAGED,
    "offboarding.download_report GET": MANAGED,
    "offboarding.show_report GET": MANAGED,
    "overview.connected GET": SIGNED_IN_ALONE,
    "overview.show GET": SIGNED_IN,
    "panel.asset GET": SWITCHED_OFF,
    "panel.choose_language POST": PUBLIC,
    "panel.health GET": PUBLIC,
    "password_changes.cancel POST": MANAGED,
    "password_changes.choose POST": MANAGED,
    "password_changes.confirm_cancellation GET": MANAGED,
    "password_changes.count POST": MANAGED_ALONE,
    "password_changes.list_changes GET": MANAGED,
    "password_changes.new GET": MANAGED,
    "password_changes.preview POST": MANAGED,
    "password_changes.progress GET": MANAGED_ALONE,
    # Signed for one text message, and for nobody.
    "password_changes.report GET": SWITCHED_OFF,
    "password_changes.report POST": SWITCHED_OFF,
    "password_changes.send_letter_again POST": MANAGED,
    "password_changes.send_message_again POST": MANAGED,
    "password_changes.show GET": MANAGED,
    "password_changes.start POST": MANAGED,
    "several.act POST": MANAGED,
    "several.choose_domain GET": MANAGED,
    "several.confirm GET": MANAGED,
    "several.pick POST": MANAGED,
    "services.add_user POST": MANAGED,
    "services.check_password POST": MANAGED_ALONE,
    "services.confirm_end_of_forwarding GET": MANAGED,
    "services.confirm_link GET": MANAGED,
    "services.confirm_removal GET": MANAGED,
    "services.confirm_renaming GET": MANAGED,
    "services.confirm_resumption GET": MANAGED,
    "services.confirm_suspension GET": MANAGED,
    "services.edit_user GET": MANAGED,
    "services.end_forwarding POST": MANAGED,
    "services.list_services GET": MANAGERS,
    "services.list_users GET": MANAGED,
    "services.new_user GET": MANAGED,
    "services.remove POST": MANAGED,
    "services.rename POST": MANAGED,
    "services.resume POST": MANAGED,
    "services.save_user POST": MANAGED,
    "services.send_link POST": MANAGED,
    "services.show GET": MANAGED,
    "services.suggest_password POST": MANAGED_ALONE,
    "services.suspend POST": MANAGED,
    "set_up.accept POST": PUBLIC,
    "set_up.invitation GET": PUBLIC,
    "set_up.profile POST": PUBLIC,
    "set_up.prove POST": PUBLIC,
    "set_up.send_code POST": PUBLIC,
    "sign_in.confirm GET": SIGNED_IN,
    "sign_in.confirm_sign_out GET": SIGNED_IN,
    "sign_in.confirmed POST": SIGNED_IN,
    "sign_in.enter POST": PUBLIC,
    "sign_in.forgotten GET": PUBLIC,
    "sign_in.send_link POST": PUBLIC,
    "sign_in.sign_in GET": PUBLIC,
    "sign_in.sign_out POST": SIGNED_IN,
    "static GET": PUBLIC,
    "user_activity.show_activity GET": MANAGED,
    # Of the browser that acts alone.
    "undo.take_back POST": SIGNED_IN,
    "user_collaborations.change_permissions POST": MANAGED,
    "user_collaborations.confirm_disabling GET": MANAGED,
    "user_collaborations.confirm_removal GET": MANAGED,
    "user_collaborations.confirm_reset GET": MANAGED,
    "user_collaborations.details GET": MANAGED,
    "user_collaborations.disable POST": MANAGED,
    "user_collaborations.implied POST": MANAGED_ALONE,
    "user_collaborations.list_collaborations GET": MANAGED,
    "user_collaborations.remove POST": MANAGED,
    "user_collaborations.reset POST": MANAGED,
    "user_collaborations.send_link_again POST": MANAGED,
    "user_collaborations.show_permissions GET": MANAGED,
    "user_devices.disconnect POST": MANAGED,
    "user_devices.disconnect_all POST": MANAGED,
    "user_devices.disconnection GET": MANAGED,
    "user_devices.disconnection_of_all GET": MANAGED,
    "user_devices.list_devices GET": MANAGED,
    "user_devices.name GET": MANAGED,
    "user_devices.rename POST": MANAGED,
    "user_invitations.create POST": MANAGED,
    "user_invitations.letter GET": MANAGED,
    "user_invitations.list_invitations GET": MANAGED,
    "user_invitations.new GET": MANAGED,
    "user_invitations.resend POST": MANAGED,
    "user_invitations.withdraw POST": MANAGED,
    "user_invitations.withdrawal GET": MANAGED,
    "user_imports.begin POST": MANAGED,
    "user_imports.confirm GET": MANAGED,
    "user_imports.discard POST": MANAGED,
    "user_imports.export GET": MANAGED,
    "user_imports.sample GET": MANAGED,
    "user_imports.make POST": MANAGED,
    "user_imports.new_import GET": MANAGED,
    "user_imports.show_import GET": MANAGED,
    "mail_policy.answer POST": REFUSED,
    "webmail.end DELETE": REFUSED,
    "webmail.make POST": REFUSED,
    "webmail.note_fallback POST": REFUSED,
    "webmail.state_of POST": REFUSED,
    "user_imports.show_progress GET": MANAGED_ALONE,
}


@dataclass
class World:
    """An organisation with its people, by role, and what the addresses of its things are made of."""

    accounts: dict[str, Account]
    values: dict[str, object]


def build_world(ports, settings, name: str, operator: Account) -> World:
    people = People(settings, organisation=name, domain=f"{name}.example")
    anna, colleague = people.add("anna", password=None), people.add("colleague", password=None)
    keeper = people.add_collaborator(anna, "keeper", permissions.ALL, password=None)
    clerk = people.add_collaborator(anna, "clerk", permissions.READ | permissions.SETTINGS, password=None)
    reader = people.add_collaborator(anna, "reader", permissions.READ, password=None)
    accounts = {
        "operator": operator,
        "owner": people.add_manager(f"owner@{name}.example", Account.OWNER),
        "administrator": people.add_manager(f"administrator@{name}.example", Account.ADMINISTRATOR),
        "both": people.add("both", password=None, role=Account.ADMINISTRATOR),
        "person": anna,
        "keeper": keeper,
        "clerk": clerk,
        "reader": reader,
        "colleague": colleague,
    }
    return World(accounts, values_of(ports, people, anna, reader))


def values_of(ports, people: People, anna: Account, reader: Account) -> dict[str, object]:
    """What stands in an address for each of its variables."""
    own, wanted = acting(anna), WantedDevice("Phone", "smartphone", Device.IMAP)
    invited = invitations.invite(UnitOfWork(ports, own), anna, wanted, "x@elsewhere.example.com", mailed=False)
    ended = AuditEvent.create(
        action="web:access:ended", account=anna, mailbox=anna.mailbox, organisation=people.organisation,
        details={"password": True, "contact": "", "browsers": 0, "programs": [], "programs_unknown": False},
    )  # fmt: skip
    return {
        "service_id": people.service.id,
        "mailbox_id": anna.mailbox.id,
        "former_id": FormerAddress.create(
            address=f"former@{people.domain.name}", domain=people.domain, mailbox=anna.mailbox
        ).id,
        "device_id": devices.make(UnitOfWork(ports, own), anna, wanted, anna.login).device.id,
        "invitation_id": invited.invitation.id,
        "collaboration_id": Collaboration.get(Collaboration.account == reader).id,
        "session_id": own.session.id,
        "number": 1,
        "event_id": ended.id,
        "credential_id": credential_of(anna).id,
        "action": "suspend",
        "import_id": UserImport.create(service=people.service, made_by_login="", state=UserImport.CHECKED).id,
        "change_id": change_of(people).id,
        "key": "x" * 32,
        "token": "x" * 43,
        "name": "app.css",
        "filename": "favicon.svg",
        "address": "anna@example.org",
    }


def credential_of(account: Account) -> WebmailCredential:
    """What a webmail's session opens the mailbox with."""
    webmail, _ = Webmail.get_or_create(
        origin="https://webmail.example.org", defaults={"key_id": "", "algorithm": Webmail.HS256, "key": ""}
    )
    return WebmailCredential.create(
        account=account, webmail=webmail, webmail_session="", selector="", verifier="", address="192.0.2.1",
        network="192.0.2.0/24", expires_at=models.now() + 3600,
    )  # fmt: skip


def change_of(people: People) -> PasswordChange:
    """A change of several passwords that is under way."""
    return PasswordChange.create(
        service=people.service, domain=people.domain, manager_login="", kind="passwords", archive_format="zip",
        phone="+393331234567", full_name="", email="", state=PasswordChange.PREPARING, started_at=0,
    )  # fmt: skip


@pytest.fixture
def worlds(ports, settings) -> tuple[World, World]:
    operator = Account.create(login="operator@example.org", role=Account.OPERATOR)
    return build_world(ports, settings, "here", operator), build_world(ports, settings, "there", operator)


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every view with each method that it answers."""
    found = {(rule.endpoint, method) for rule in app.url_map.iter_rules() for method in rule.methods}
    yield from sorted(each for each in found if each[1] not in ("HEAD", "OPTIONS"))


def tokens_of(world: World) -> dict[str, str]:
    """What the cookie of each role's browser holds."""
    tokens = {role: sessions.start(account, "192.0.2.1", "")[1] for role, account in world.accounts.items()}
    webmail = Webmail.get()
    return tokens | {"handed over": sessions.start(world.accounts["both"], "192.0.2.1", "", webmail=webmail)[1]}


def outcomes(app: Flask, route: str, here: World, tokens: tuple[dict[str, str], dict[str, str]]) -> str:
    """How the view answers each role of Anna's organisation, and each of the other."""
    endpoint, method = route.split()
    address = address_of(app, endpoint, method, here.values)

    def ask(of: dict[str, str], role: str) -> str:
        return outcome(app, method, address, of.get(role))

    ours, theirs = tokens
    own = {role: ask(ours, role) for role in ROLES}
    # The operator and nobody are the same in both.
    foreign = {role: own[role] if role in ("operator", "nobody") else ask(theirs, role) for role in ROLES}
    return f"{''.join(own.values())} {''.join(foreign.values())}"


def address_of(app: Flask, endpoint: str, method: str, values: dict[str, object]) -> str:
    rule = next(rule for rule in app.url_map.iter_rules(endpoint) if method in rule.methods)
    chosen = {name: values[name] for name in rule.arguments}
    return app.url_map.bind("127.0.0.1").build(endpoint, chosen, method=method)


def outcome(app: Flask, method: str, address: str, token: str | None) -> str:
    """How the view answers; whatever it did is undone."""
    browser = app.test_client()
    if token:
        browser.set_cookie(app.session_interface.session_cookie, token, domain="127.0.0.1")
    with db.database.atomic() as undone:
        answer = browser.open(address, method=method, base_url="http://127.0.0.1:8123")
        answer.get_data()
        undone.rollback()
    assert answer.status_code < 500, f"{method} {address}: {answer.status_code}"
    if answer.status_code in (303, 302) and answer.headers["Location"].startswith("/sign-in?next="):
        return ">"
    if answer.status_code == 204 and token is None:
        return "-"
    return {404: "0", 403: "x"}.get(answer.status_code, "+")


def test_every_route_for_every_role(app: Flask, worlds):
    app.config["FORM_TOKENS"] = False
    here, there = worlds
    tokens = tokens_of(here), tokens_of(there)
    found = {}
    for endpoint, method in routes(app):
        route = f"{endpoint} {method}"
        found[route] = outcomes(app, route, here, tokens)
    wrong = {route: answers for route, answers in found.items() if MATRIX.get(route) != answers}
    assert wrong == {}, "\n".join(f"{route}: {answers}, not {MATRIX.get(route)}" for route, answers in wrong.items())
    assert set(MATRIX) - set(found) == set(), "there are no such routes"
