"""A person's own data: contact e-mail, name, language, time zone and theme; and the language before the sign-in."""

import pytest

import worker
from actions.ground import time_zones
from actions.outbox import outbox
from actions.sessions import sessions
from lab.html_tree import words
from models import Account, AccountWord, AuditEvent, OneTimeLink, OutboxItem
from settings import LANGUAGES
from tests.client import Client, Page
from tests.conftest import PASSWORD

NEW = "anna@new.example.net"
PREFERENCES = "/account/preferences"


def reread(account: Account) -> Account:
    return Account.get_by_id(account.id)


def address_in_mail(ports, mailer, settings, kind: str) -> str:
    """The path of the link in the e-mail that was sent last."""
    outbox.deliver_due(ports, worker.HANDLERS)
    text = mailer.sent[-1][1].get_body(("plain",)).get_content()
    (address,) = [word for word in text.split() if f"/links/{kind}/" in word]
    return address.removeprefix(settings.base_url)


def ask(browser: Client, address: str = NEW) -> Page:
    return browser.open(PREFERENCES).follow("Change").fill({"New contact e-mail": address}).press("Send the link")


# --- contact e-mail ---


def test_it_is_seen_changed_confirmed_elsewhere_and_taken_back(signed_in, anna, new_client, ports, mailer, settings):
    assert anna.contact_email in signed_in.open(PREFERENCES).text
    page = ask(signed_in)
    assert page.flashes == [f"A link to confirm it is on its way to {NEW}."]
    assert "Not confirmed yet" in page.text
    assert anna.contact_email in page.text
    elsewhere, path = new_client(), address_in_mail(ports, mailer, settings, "contact")
    page = elsewhere.open(path)
    assert anna.login in page.text
    assert NEW in page.text
    assert reread(anna).contact_email == anna.contact_email
    assert page.press("Confirm this address").title == "The contact e-mail is confirmed"
    assert elsewhere.open(path).status == page.press("Confirm this address").status == 410
    assert reread(anna).contact_email == NEW
    assert "Not confirmed yet" not in signed_in.open(PREFERENCES).text
    page = elsewhere.open(address_in_mail(ports, mailer, settings, "not-my-contact"))
    assert f"the contact e-mail is {anna.contact_email} again," in page.text
    assert page.press("Lock the account").title == "The account is locked"
    assert (reread(anna).contact_email, reread(anna).state) == (anna.contact_email, Account.LOCKED)
    assert signed_in.open(PREFERENCES).title == "Sign in"


def test_a_stolen_session_asks_for_nothing_without_the_password(signed_in, anna, clock):
    form = signed_in.open("/account/contact").fill({"New contact e-mail": NEW})
    clock.pass_by(sessions.RECENT_PASSWORD)
    assert "Enter your password to continue" in signed_in.open("/account/contact").text
    asked = form.press("Send the link")
    assert (asked.status, asked.value("New contact e-mail")) == (422, NEW)
    assert not OneTimeLink.select().exists()
    assert not OutboxItem.select().exists()


def test_it_is_sent_again_and_cancelled(signed_in, anna, ports, mailer, settings):
    ask(signed_in)
    first = address_in_mail(ports, mailer, settings, "contact")
    page = signed_in.open(PREFERENCES).follow("Send again")
    assert page.value("New contact e-mail") == NEW
    page = page.press("Send the link")
    second = address_in_mail(ports, mailer, settings, "contact")
    assert signed_in.open(first).status == 410
    page = page.press("Cancel the change")
    assert page.flashes == ["Your contact e-mail stays as it is."]
    assert NEW not in page.text
    assert signed_in.open(second).status == 410
    assert ask(signed_in, "anna@example.org").error_of("New contact e-mail")


def test_a_collaborator_sees_theirs_and_cannot_change_it(client, people, anna):
    carla = people.add_collaborator(anna)
    client.sign_in(carla.login, PASSWORD)
    page = client.open(PREFERENCES)
    assert carla.contact_email in page.text
    assert "Change" not in page.links
    assert "Change the name" not in page.buttons
    assert client.open("/account/contact").status == 404
    token = dict(page.content_of("Save"))["csrf_token"]
    assert client.post("/account/name", {"csrf_token": token, "first_name": "X", "last_name": ""}).status == 422
    assert reread(carla).first_name == "Carla"


# --- name ---


def test_a_name_is_changed_and_found_and_seen_by_a_manager_who_is_editing(signed_in, anna):
    page = signed_in.open(PREFERENCES).fill({"First name": "Anne", "Last name": "Keller-Rossi"})
    assert page.press("Change the name").flashes == ["Saved."]
    saved = reread(anna)
    assert (saved.display_name, saved.revision) == ("Anne Keller-Rossi", anna.revision + 1)
    assert AccountWord.select().where(AccountWord.account == anna, AccountWord.word.startswith("rossi")).exists()
    assert AuditEvent.select().where(AuditEvent.action == "web:name:changed").count() == 1
    page = signed_in.open(PREFERENCES).fill({"First name": "see www.evil.example", "Last name": "Keller"})
    page = page.press("Change the name")
    assert (page.status, page.value("First name"), page.value("Last name")) == (422, "see www.evil.example", "Keller")
    assert reread(anna).first_name == "Anne"


# --- time zone and theme ---


def test_the_page_is_light_and_names_each_place_once(signed_in):
    page = signed_in.open(PREFERENCES)
    assert len(page.response.data) < 25_000
    listed = [words(option) for option in page.tree.find(".//select[@id='timezone']").iter("option")]
    assert listed[0] == "Automatic (UTC)" == f"Automatic ({time_zones.UTC})"
    assert {"UTC", "Europe/Kyiv", "Europe/Rome", "Asia/Kolkata"} <= set(listed)
    assert not {"Europe/Kiev", "Asia/Calcutta", "US/Eastern", "Etc/UTC"} & set(listed)


@pytest.mark.parametrize(("called", "saved"), [("Asia/Calcutta", "Asia/Kolkata"), ("Europe/Kiev", "Europe/Kyiv")])
def test_a_former_name_becomes_the_present_one(signed_in, anna, called, saved):
    signed_in.open(PREFERENCES).fill({"Time zone": called}).press("Save")
    assert reread(anna).timezone == saved


def test_one_that_was_chosen_under_a_former_name_is_still_the_choice(signed_in, anna):
    anna.write(timezone="Europe/Kiev")
    assert signed_in.open(PREFERENCES).value("Time zone") == "Europe/Kiev"


def test_a_theme_is_the_accounts_and_an_old_form_leaves_it(signed_in, anna):
    page = signed_in.open(PREFERENCES).fill({"Theme": "dark"}).press("Save")
    assert page.tree.find("html").get("data-theme") == "dark"
    content = [pair for pair in page.content_of("Save") if pair[0] != "theme"]
    signed_in.post(PREFERENCES, content)
    assert reread(anna).theme == "dark"
    refused = signed_in.open(PREFERENCES).fill({"Theme": "pink"}).press("Save")
    assert (refused.status, refused.value("First name")) == (422, "Anna")
    assert signed_in.open("/account/password").tree.find("html").get("data-theme") == "dark"


# --- the language before the sign-in ---


def spoken(page: Page) -> str:
    return page.tree.find("html").get("lang")


def test_a_visitor_chooses_the_language_and_keeps_it(client, anna):
    page = client.open("/forgotten-password").fill({"Language": "ru"}).press("Choose")
    assert (page.path, spoken(page)) == ("/forgotten-password", "ru")
    assert client.cookie("postern-language") == "ru"
    assert spoken(client.open("/sign-in", Accept_Language="es")) == "ru"
    anna.write(language="it")
    client.open("/sign-in")
    assert spoken(sign_in_in(client, anna)) == "it"


def sign_in_in(client: Client, account: Account) -> Page:
    """Sign in whatever the language of the page is."""
    page = client.open("/sign-in")
    token = page.tree.find(".//form[@class='card']/input[@name='csrf_token']").get("value")
    return client.post("/sign-in", {"csrf_token": token, "login": account.login, "password": PASSWORD})


def test_the_preferences_and_the_browser_agree(signed_in, anna):
    signed_in.open(PREFERENCES).fill({"Language": "tr"}).press("Save")
    assert signed_in.cookie("postern-language") == "tr"
    page = signed_in.open(PREFERENCES)
    token = dict(page.content_of(page.buttons[-1]))["csrf_token"]
    signed_in.post(PREFERENCES, {"csrf_token": token, "language": "", "timezone": ""})
    assert signed_in.cookie("postern-language") is None
    assert spoken(signed_in.open(PREFERENCES, Accept_Language="es")) == "es"


@pytest.mark.parametrize("value", ["zz", "", "../../etc", "en\r\nX: y", "x" * 5000])
def test_a_language_that_there_is_not_is_neither_kept_nor_spoken(client, value):
    token = dict(client.open("/sign-in").content_of("Choose"))["csrf_token"]
    assert client.post("/language", {"csrf_token": token, "language": value, "next": "/sign-in"}).status == 400
    client.set_cookie("postern-language", "zz")
    assert spoken(client.open("/sign-in")) in LANGUAGES


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x"])
def test_choosing_leads_to_no_other_site(client, address):
    token = dict(client.open("/sign-in").content_of("Choose"))["csrf_token"]
    answer = client.request("POST", "/language", {"csrf_token": token, "language": "it", "next": address})
    assert answer.headers["Location"] == "/"
    assert client.request("POST", "/language", {"language": "it", "next": "/"}).status == 400


def test_who_is_signed_in_is_not_asked(signed_in):
    assert signed_in.open("/account/password").tree.find(".//footer") is None
