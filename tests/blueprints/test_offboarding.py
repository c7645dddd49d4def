"""The pages of offboarding, without JavaScript and with htmx."""

import pytest

import worker
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, Organisation, Service
from tests.conftest import PASSWORD

PHONE = WantedDevice("Anna's phone", "smartphone", Device.IMAP | Device.SENDING)


@pytest.fixture
def boss(client, manager):
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.fixture
def address(ports, people, anna) -> str:
    own = acting(anna)
    devices.make(UnitOfWork(ports, own), anna, PHONE, "1")
    invitations.invite(UnitOfWork(ports, own), anna, PHONE, "lia@elsewhere.example.com", mailed=False)
    people.add_collaborator(anna, "mario")
    return f"/services/{people.service.id}/mailboxes/{anna.mailbox.id}/access"


EVERYTHING = ("Anna's phone", "lia@elsewhere.example.com", "mario/anna@example.org", "anna@elsewhere.example.com")


def test_from_the_list_to_the_report(boss, people, anna, address):
    page = boss.open(f"/services/{people.service.id}/mailboxes/").follow("Who can open it")
    assert page.path == address
    for each in EVERYTHING:
        assert each in page.text
    page = page.follow("End all access")
    for each in EVERYTHING:
        assert each in page.text
    report = page.press(f"End all access to {anna.login}")
    assert report.title == f"Access ended for {anna.login}"
    for each in EVERYTHING:
        assert each in report.text
    assert "All connections have been closed" in report.text
    assert Account.get_by_id(anna.id).state == Account.SUSPENDED
    again = boss.open(address)
    assert "Nobody can open this mailbox" in again.text
    assert "Anna's phone" not in again.text


def test_reading_ends_nothing(boss, address):
    for path in (address, f"{address}/offboarding"):
        assert boss.request("GET", path).status == boss.request("GET", path, HX_Request="true").status == 200
    assert Device.select().count() == 1


def test_a_silent_mail_server_is_said_until_it_answers(boss, anna, address, mail_server, ports, clock):
    mail_server.is_down = True
    assert "does not answer" in boss.open(address).text
    report = boss.open(f"{address}/offboarding").press(f"End all access to {anna.login}")
    assert "stay connected until it answers" in report.text
    mail_server.is_down = False
    clock.pass_by(30)
    outbox.deliver_due(ports, worker.CONNECTIONS)
    fragment = boss.request("GET", f"{report.path}/pending", HX_Request="true")
    assert "All connections have been closed" in fragment.text
    assert fragment.tree.find(".//h1") is None


def test_an_old_password_is_asked_for_again(boss, address, clock):
    clock.pass_by(400)
    assert boss.open(address).status == 200
    assert "Enter your password to continue" in boss.open(f"{address}/offboarding").text


def test_only_managers_of_the_organisation_find_it(new_client, people, anna, boris, address):
    other = Organisation.create(name="Other Ltd")
    theirs = Service.create(organisation=other, name="Theirs")
    foreign = people.add_manager("x@example.net", organisation=other)
    for login in (anna.login, boris.login, foreign.login, "mario/anna@example.org"):
        browser = new_client()
        browser.sign_in(login, PASSWORD)
        token = browser.open("/account/preferences").tree.find(".//input[@name='csrf_token']").get("value")
        for path in (address, f"{address}/offboarding", address.replace("/1/", f"/{theirs.id}/")):
            assert browser.open(path).status == 404, login
        assert browser.post(f"{address}/offboarding", {"csrf_token": token}).status == 404
    assert Device.select().count() == 1


@pytest.mark.parametrize("number", ["0", "999999", "-1", "9223372036854775808", "x"])
def test_reports_that_there_are_not(boss, address, number):
    assert boss.open(f"{address}/offboarding/{number}").status == 404


def test_no_event_of_another_kind_or_mailbox_is_a_report(boss, people, boris, address):
    kinds = (("web:device:made", None), ("web:access:ended", boris.mailbox))
    for action, mailbox in kinds:
        event = AuditEvent.create(action=action, account=boris, mailbox=mailbox, organisation=people.organisation)
        assert boss.open(f"{address}/offboarding/{event.id}").status == 404


def test_hostile_names_are_text(boss, people, anna, address):
    Device.update(name="<script>alert(1)</script>").execute()
    Account.update(first_name="{{7*7}}", last_name="<b>x</b>").where(Account.id == anna.id).execute()
    people.add_collaborator(anna, "c2", Collaboration.READ, first_name="<img src=x>")
    page = boss.open(address).follow("End all access")
    report = page.press(f"End all access to {anna.login}")
    assert "<script>alert(1)</script>" in report.text
    assert "<img src=x>" in report.text
