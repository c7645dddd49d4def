"""A domain with letters beyond ASCII: both spellings are the same at every door, and people read the readable one."""

import csv
import io
import plistlib
from urllib.parse import urlencode

import pytest

import worker
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import recovery
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from adapters.letters import TemplateLetters
from lab.actors import acting
from models import Account, Attempts, AuditEvent, Device, Mailbox, Webmail
from tests.blueprints.test_discovery import ask_outlook, read_autoconfig, read_autodiscover
from tests.blueprints.test_user_imports import upload
from tests.blueprints.test_webmail import Server
from tests.conftest import PASSWORD, People
from tests.signing import SigningWebmail

STORED, READ = "anna@xn--bcher-kva.example", "anna@bücher.example"
SPELLINGS = [STORED, READ, "Anna@BÜCHER.Example", f"\u200b {READ}\u00a0"]


@pytest.fixture
def people(database, settings) -> People:
    return People(settings, domain="xn--bcher-kva.example")


@pytest.fixture
def boss(client, people):
    people.add_manager("boss@xn--bcher-kva.example")
    client.sign_in("boss@bücher.example", PASSWORD)
    return client


def users_page(people: People, more: str = "") -> str:
    return f"/services/{people.service.id}/mailboxes/{more}"


@pytest.mark.parametrize("typed", SPELLINGS)
def test_each_spelling_signs_in_and_the_panel_shows_the_readable_one(new_client, anna, typed):
    browser = new_client()
    assert browser.sign_in(typed, PASSWORD).path == "/overview/"
    for path in ("/account/password", "/devices/", "/collaborations/", "/account/sessions", "/account/activity"):
        page = browser.open(path).response.text
        assert READ in page
        assert "xn--" not in page


def test_guesses_at_both_spellings_count_as_one(client, anna):
    keys = []
    for typed in SPELLINGS:
        client.sign_in(typed, "Wrong-Garden-1")
        keys.append({each.key for each in Attempts.select()})
    assert keys[0]
    assert all(found == keys[0] for found in keys)


@pytest.mark.parametrize("path", ["/sign-in", "/forgotten-password"])
def test_an_invisible_character_within_is_named_and_counts_nothing(client, anna, path):
    page = client.open(path).fill({"E-mail address": "an\u200bna@bücher.example"})
    page = page.fill({"Password": PASSWORD}).press("Sign in") if path == "/sign-in" else page.press("Send the link")
    assert "The address contains an invisible character (U+200B, zero width space)." in page.text
    assert Attempts.select().count() == 0


@pytest.mark.parametrize("typed", SPELLINGS)
def test_each_spelling_gets_its_link_and_its_webmail(app, ports, mailer, anna, stranger, typed):
    recovery.ask_for_link(UnitOfWork(ports, stranger), typed)
    # One finds out whom to write to, the other one writes.
    for _ in range(2):
        outbox.deliver_due(ports, worker.HANDLERS)
    assert [recipient for recipient, _ in mailer.sent] == [anna.contact_email]
    answer = Server(app, SigningWebmail(ports, algorithm=Webmail.EDDSA)).sign_in(typed)
    # The mail server knows the encoded name.
    assert (answer.status_code, answer.json["user"]) == (201, STORED)


@pytest.mark.parametrize("typed", SPELLINGS)
def test_each_spelling_finds_mail_settings_with_a_login_that_dovecot_knows(app, anna, typed):
    ask = app.test_client()
    found = ask.get("/mail/config-v1.1.xml", query_string={"emailaddress": typed})
    assert {each["username"] for each in read_autoconfig(found)} == {"%EMAILLOCALPART%@xn--bcher-kva.example"}
    assert {each["LoginName"] for each in read_autodiscover(ask_outlook(ask, typed))} == {STORED}
    found = ask.get("/autodiscover/autodiscover.json", query_string={"Email": typed, "Protocol": "AutodiscoverV1"})
    assert found.status_code == 200
    profile = ask.get("/apple.mobileconfig", query_string={"emailaddress": typed.strip()})
    (account,) = plistlib.loads(profile.data)["PayloadContent"]
    assert (account["EmailAddress"], account["IncomingMailServerUsername"]) == (STORED, STORED)
    assert account["PayloadDisplayName"] == READ


def test_a_devices_page_says_what_to_type_into_the_mail_program(client, ports, anna):
    client.sign_in(READ, PASSWORD)
    page = client.open("/devices/new").fill({"Name": "Phone"}).press("Continue")
    assert f"The user name is {STORED}." in page.text
    assert f"everywhere else it is {READ}." in page.text


def test_a_manager_adds_finds_and_removes_by_either_spelling(boss, people):
    page = boss.open(users_page(people, "new"))
    page = page.fill({"E-mail address": "_o'neil&co@BÜCHER.example ", "Contact e-mail": " far@example.net\u200b"})
    page = page.press("Add the user")
    made = Mailbox.get()
    assert (made.address, made.account.contact_email) == ("_o'neil&co@xn--bcher-kva.example", "far@example.net")
    assert made.home.startswith("xn--bcher-kva.example/_o_neil_co-")
    assert "_o'neil&co@bücher.example has been added." in page.flashes[0]
    for text in (
        made.address,
        "_o'neil&co@bücher.example",
        "bücher",
        "buch",
        "@bücher.exa",
        "bücher.example",
        "neil&co@b",
    ):
        listed = boss.open(f"{users_page(people)}?{urlencode({'text': text})}")
        assert "_o'neil&co@bücher.example" in listed.text
        assert "xn--" not in listed.text
    for domain in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"):
        assert "_o'neil&co@bücher.example" in boss.open(f"{users_page(people)}?{urlencode({'domain': domain})}").text
    page = boss.open(users_page(people, f"{made.id}/removal"))
    page.fill({"Mailbox address": "_o'neil&co@bücher.example"}).press("Remove _o'neil&co@bücher.example")
    assert Mailbox.select().count() == 0


def test_what_is_exported_is_imported_again(boss, people):
    for name in ("anna", "o'neil", "_info"):
        people.add(name)
    exported = boss.open(f"/services/{people.service.id}/mailboxes.csv").response.text
    rows = list(csv.DictReader(io.StringIO(exported.removeprefix("\ufeff"))))
    addresses = {row["address"] for row in rows}
    assert addresses == {READ, "o'neil@bücher.example", "_info@bücher.example"}
    text = "address\nBoris@bücher.example\nvera@xn--bcher-kva.example\n" + "\n".join(addresses)
    page = upload(boss, f"/services/{people.service.id}/imports/", text)
    assert page.text.count("already exists") == 3
    assert "xn--" not in page.text


@pytest.mark.parametrize("typed", SPELLINGS)
def test_the_activity_is_looked_through_by_either_spelling(client, anna, typed):
    client.sign_in(READ, PASSWORD)
    nothing = client.open("/account/activity?by=nobody@bücher.example").tree.findall(".//tbody/tr")
    for name in ("by", "about"):
        found = client.open("/account/activity?" + urlencode({name: typed})).tree.findall(".//tbody/tr")
        assert len(found) > len(nothing)
    rows = client.open("/account/activity.csv").response.text
    assert READ in rows
    assert "xn--" not in rows


def test_one_address_is_not_made_twice_and_no_contact_of_itself(ports, anna):
    for typed in SPELLINGS:
        with pytest.raises(Refused, match="already exists"):
            mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox(typed))
    with pytest.raises(Refused, match="must be different"):
        mailboxes.add_mailbox(
            UnitOfWork(ports, OPERATOR), NewMailbox("b@bücher.example", contact_email="b@bücher.example")
        )
    with pytest.raises(Refused, match="already exists"):
        mailboxes.add_domain(UnitOfWork(ports, OPERATOR), "Bücher.example", "Mail Light")
    for typed in SPELLINGS:
        assert mailboxes.account_named(typed) == anna


def test_a_device_is_given_to_either_spelling(ports, people, anna):
    people.add("boris")
    for number, typed in enumerate(("boris@bücher.example", "boris@xn--bcher-kva.example")):
        wanted = WantedDevice(f"Phone {number}", "smartphone", Device.IMAP, user=typed)
        made = devices.make(UnitOfWork(ports, acting(anna)), anna, wanted, f"form {number}")
        assert made.device.user.login == "boris@xn--bcher-kva.example"


def test_e_mails_say_the_readable_name_and_what_mail_programs_need(settings):
    facts = {"login": STORED, "is_first": True, "name": "Anna", "by": "", "hours": 24, "days": 1}
    letter = TemplateLetters(settings).write("password_link", "en", facts | {"link": "https://xn--bcher-kva.example/x"})
    for face in (letter.text, letter.html):
        assert f"The mailbox {READ} was created" in face
        assert f"to the webmail as {STORED}." in face
        assert "https://xn--bcher-kva.example/x" in face
    assert READ in letter.subject


def test_the_operator_types_and_reads_the_readable_name(app, people):
    run = app.test_cli_runner().invoke
    said = run(args=["domain", "add", "Пример.example", "--service", "Mail Light"]).output
    assert "пример.example now belongs to “Mail Light”." in said
    assert "it is called xn--e1afmkfd.example." in said
    assert "o'neil@пример.example has been added." in run(args=["mailbox", "add", "O'Neil@пример.example"]).output
    assert Account.by_login("o'neil@xn--e1afmkfd.example")
    assert "o'neil@пример.example is locked." in run(args=["account", "lock", "o'neil@пример.example"]).output
    assert AuditEvent.select().where(AuditEvent.account_login == "o'neil@xn--e1afmkfd.example").count() == 2
