"""The pages of offboarding, without JavaScript and with htmx."""

import dataclasses
import subprocess

import pytest

import worker
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from adapters.archive import EncryptedArchives
from lab.actors import acting
from models import Account, AuditEvent, Collaboration, Device, Organisation, Service
from settings import Settings
from tests.client import Page
from tests.conftest import PASSWORD

FONTS = Settings().archive_fonts
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


NONE = (
    "The account had no password.", "The account had no contact e-mail.", "No browser was signed in.",
    "No webmail was signed in.", "No unused link.", "No mail program was connected.", "No device.", "No collaborator.",
    "No invitation.",
)  # fmt: skip


def printed(answer: Page) -> str:
    """The text of a PDF document, as poppler reads it."""
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    command = ["pdftotext", "-layout", "-", "-"]
    read = subprocess.run(command, input=answer.response.data, capture_output=True, check=True, timeout=60)
    return " ".join(read.stdout.decode().split())


def test_the_report_is_filed_as_a_document_in_the_readers_language(app, boss, anna, manager, address, ports):
    app.extensions["ports"] = dataclasses.replace(ports, archiver=EncryptedArchives(FONTS))
    Device.update(name="Мой телефон <b>").where(Device.account == anna).execute()
    manager.write(language="ru", timezone="Europe/Moscow")
    token = boss.open(address).tree.find(".//input[@name='csrf_token']").get("value")
    report = boss.post(f"{address}/offboarding", {"csrf_token": token})
    text = printed(boss.open(f"{report.path}/report.pdf"))
    for each in ("Мой телефон <b>", *EVERYTHING[1:], anna.login, manager.login, "Москва", "Устройства"):
        assert each in text


def test_what_there_was_none_of_is_said_in_words(app, boss, people, ports):
    app.extensions["ports"] = dataclasses.replace(ports, archiver=EncryptedArchives(FONTS))
    egon = people.add("egon", password=None, contact_email="")
    page = boss.open(f"/services/{people.service.id}/mailboxes/{egon.mailbox.id}/access/offboarding")
    report = page.press(f"End all access to {egon.login}")
    text = printed(boss.open(report.links["Download as PDF"]))
    for each in NONE:
        assert each in report.text
        assert each in text


def test_who_can_open_it_is_filed_as_a_document_too(app, boss, people, address, ports, mail_server, anna):
    app.extensions["ports"] = dataclasses.replace(ports, archiver=EncryptedArchives(FONTS))
    text = printed(boss.open(boss.open(address).links["Download as PDF"]))
    for each in (*EVERYTHING, "Who can open anna@example.org", "never used", "Read", "None is connected now"):
        assert each in text
    egon = people.add("egon", password=None, contact_email="")
    mail_server.is_down = True
    text = printed(boss.open(f"/services/{people.service.id}/mailboxes/{egon.mailbox.id}/access/report.pdf"))
    for each in ("No password", "No contact e-mail", "No unused link.", "No device.", "No collaborator.", "Not known"):
        assert each in text


def test_without_fonts_there_is_no_document(boss, anna, address, ports):
    ports.archiver.has_fonts = False
    report = boss.open(f"{address}/offboarding").press(f"End all access to {anna.login}")
    assert "Download as PDF" not in report.links
    assert boss.open(f"{report.path}/report.pdf").status == 404


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
