"""New passwords for several mailboxes at once, on the pages."""

from dataclasses import replace

import pytest

import worker
from actions.outbox import outbox
from actions.password_changes.password_change_run import Runner
from lab.installation import environment_of
from models import Account, Domain, Mailbox, Organisation, OutboxItem, PasswordChange, Service, WebSession
from tests.client import Client, Page
from tests.conftest import PASSWORD, People, app_of

PHONE, RECIPIENT = "+39 333 123 4567", "mara@elsewhere.example.com"


@pytest.fixture
def environment(tmp_path, module_database_url):
    gateway = {"POSTERN_SMS_URL": "kannel://sender:secret@127.0.0.1:13013"}
    return environment_of(tmp_path / "instance", module_database_url, **gateway)


@pytest.fixture
def mara(people: People) -> Account:
    for name in ("anna", "boris", "chiara"):
        people.add(name, first_name=name.title())
    return people.add_manager(phone="+393331234567", first_name="Mara", last_name="Lind", contact_email=RECIPIENT)


@pytest.fixture
def address(people: People) -> str:
    return f"/services/{people.service.id}/password-change"


@pytest.fixture
def page(client: Client, mara: Account, address: str) -> Page:
    client.sign_in(mara.login, PASSWORD)
    return client.open(address)


def work(ports, times: int = 30) -> None:
    """What the worker does meanwhile; an earlier one has let go of everything."""
    PasswordChange.update(leased_until=0).execute()
    runner = Runner()
    for _ in range(times):
        runner.work(ports)
        outbox.deliver_due(ports, worker.CREDENTIALS | worker.MESSAGES)


def drafted(page: Page, *names: str) -> Page:
    for name in names:
        page.tick(f"{name}@example.org {name.title()}")
    return page.press("Change")


def started(page: Page, *names: str) -> Page:
    preview = drafted(page, *names).fill({"Your password": PASSWORD})
    return preview.press(f"Change {len(names)} password{'s' if len(names) > 1 else ''}")


def test_the_form_is_filled_in_from_the_managers_record(page):
    assert page.title == "Change password"
    assert "example.org" in page.text
    assert page.value("Phone") == PHONE
    assert page.value("Full name") == "Mara Lind"
    assert page.value("E-mail for the credentials") == RECIPIENT
    assert "Choose mailboxes" in page.text


def test_the_key_of_a_mailbox_chooses_it(client, page, address):
    boris = Mailbox.by_address("boris@example.org")
    page = client.open(f"{address}?mailbox={boris.id}")
    assert "1 mailbox is selected" in page.text
    assert [item.address for item in change_of(page.press("Change")).items] == ["boris@example.org"]


def change_of(page: Page) -> PasswordChange:
    return PasswordChange.get_by_id(int(page.path.rpartition("/")[2]))


def test_the_whole_way(page, ports, client):
    preview = drafted(page, "anna", "boris")
    assert preview.title == "Change the passwords of 2 mailboxes?"
    for part in ("anna@example.org", "boris@example.org", PHONE, RECIPIENT, "example.org"):
        assert part in preview.text
    assert "chiara" not in preview.text
    running = preview.fill({"Your password": PASSWORD}).press("Change 2 passwords")
    assert "Preparing" in running.text
    assert "0 of 2 mailboxes done" in running.text
    work(ports)
    client.secrets |= {ports.archiver.made[0].password, *secrets_of(ports)}
    done = client.open(running.address)
    for part in ("Done", "2 of 2 mailboxes done", "Accepted by the mail server", "Accepted by the network"):
        assert part in done.text
    token = ports.sms.sent[0].report_url
    assert client.request("GET", f"{token}?state=1").status == 200
    done = client.open(running.address)
    assert "Delivered" in done.text
    assert "Erased here" in done.text
    assert "Send the e-mail again" not in done.buttons
    listed = client.open(f"{running.path.rpartition('/')[0]}/")
    assert "2 of 2" in listed.text


def secrets_of(ports) -> set[str]:
    """What stands in the archive, which is a PDF document unless somebody chooses another."""
    return {dict(lines)["Password"] for _, lines in ports.archiver.made[0].sections}


def test_everyone(page):
    assert change_of(page.tick("All 3 mailboxes of example.org").press("Change")).items.count() == 3


def test_links(page):
    preview = drafted(page.choose("Links for users to set their passwords"), "anna")
    assert preview.title == "Create a link for 1 mailbox?"
    assert preview.fill({"Your password": PASSWORD}).press("Create 1 link").status == 200


def test_searching_without_script_keeps_what_was_typed(page):
    page.tick("anna@example.org Anna").fill({"Search": "bor", "Phone": "+39 333 765 4321"})
    found = page.press("Search")
    assert found.status == 200
    assert found.value("Phone") == "+39 333 765 4321"
    assert "1 mailbox is selected" in found.text
    assert "boris@example.org" in found.text
    assert "chiara" not in found.text
    assert {item.address for item in change_of(drafted(found, "boris")).items} == {
        "anna@example.org",
        "boris@example.org",
    }


def test_searching_with_htmx_answers_with_a_part(page):
    answer = page.fill({"Search": "chi"}).press("Search", HX_Request="true")
    assert "chiara@example.org" in answer.text
    assert "boris" not in answer.text
    assert "<html" not in answer.response.text
    count = page.tick("anna@example.org Anna").client.post(
        page.path + "/count", page.content_of("Search"), HX_Request="true"
    )
    assert count.text == "1 mailbox is selected"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Phone", "CALL-ME"), ("Phone", "333 1234567"), ("Phone", ""), ("Full name", ""),
        ("E-mail for the credentials", "a@example.com\r\nBcc: b@example.com"), ("E-mail for the credentials", "x"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(page, label, value):
    page.tick("anna@example.org Anna").tick("Must be changed at the next sign-in")
    answer = page.choose("PDF document").fill({"Full name": "Somebody Else"} | {label: value}).press("Change")
    assert answer.status == 422
    assert answer.error_of(label)
    assert "1 mailbox is selected" in answer.text
    content = answer.content_of("Change")
    for pair in (("must_change", "y"), ("archive_format", "pdf"), ("kind", "passwords")):
        assert pair in content
    assert not PasswordChange.select().exists()


def test_none_chosen(page):
    answer = page.press("Change")
    assert (answer.status, answer.errors) == (422, ["Choose at least one mailbox."])


@pytest.mark.parametrize("ids", [["x"], ["-1"], ["0", "99999999999999999999"], [str(n) for n in range(1, 5002)]])
def test_hostile_choices(page, client, ids):
    content = [*page.content_of("Change"), *[("mailboxes", each) for each in ids]]
    answer = client.post(page.path, content)
    assert answer.status == 422
    assert len(answer.errors) == 1
    assert not PasswordChange.select().exists()


def test_more_than_a_form_can_take(page, client):
    content = [*page.content_of("Change"), *[("mailboxes", str(n)) for n in range(100_001)]]
    assert client.post(page.path, content).status == 413


def test_a_wrong_password_changes_nothing(page, client):
    preview = drafted(page, "anna")
    answer = preview.fill({"Your password": "Guessed-Garden-9"}).press("Change 1 password")
    assert answer.status == 422
    assert answer.error_of("Your password")
    assert change_of(client.open(preview.path)).state == PasswordChange.DRAFT


def test_pressing_twice_leads_to_the_one_change(page, client):
    preview = drafted(page, "anna").fill({"Your password": PASSWORD})
    content = preview.content_of("Change 1 password")
    paths = {client.post(f"{preview.path}/start", content).path for _ in range(2)}
    assert paths == {preview.path}
    assert PasswordChange.select().count() == 1


def test_a_second_change_is_refused_with_the_reason(page, client, address):
    started(page, "anna")
    answer = drafted(client.open(address), "anna").fill({"Your password": PASSWORD}).press("Change 1 password")
    assert answer.status == 422
    assert "still running" in answer.error_of("Your password")


def test_cancelling(page, client, ports):
    running = started(page, "anna", "boris")
    question = running.follow("Cancel the rest")
    assert question.title == "Cancel the password change?"
    cancelled = question.press("Cancel the rest")
    assert "Cancelled. No more mailboxes will be changed." in cancelled.flashes
    assert "Left unchanged" in cancelled.text
    work(ports)
    assert "0 of 2 mailboxes done" in client.open(running.path).text
    again = client.post(f"{running.path}/cancellation", question.content_of("Cancel the rest"))
    assert "This has already ended." in again.flashes


def test_what_failed_is_said_with_its_reason_and_can_be_sent_again(page, client, ports):
    ports.sms.is_down = True
    running = started(page, "anna")
    work(ports)
    waiting = client.open(running.path)
    assert "The SMS gateway is down." in waiting.text
    assert "Nothing has changed yet" in waiting.text
    ports.sms.is_down = False
    again = waiting.press("Send the text message again")
    assert "The text message is on its way." in again.flashes
    work(ports)
    assert "Done" in client.open(running.path).text
    assert client.open(running.path).press("Send the e-mail again").flashes == ["The e-mail is on its way."]
    # On a slow machine the pause after one may be over before the next.
    assert 429 in [client.open(running.path).press("Send the e-mail again").status for _ in range(12)]


def test_what_was_perhaps_delivered_is_called_so(page, client, ports):
    ports.sms.is_silent = True
    running = started(page, "anna")
    work(ports)
    waiting = client.open(running.path)
    assert "Perhaps delivered" in waiting.text
    assert "Next try" in waiting.text
    assert "The SMS gateway does not answer." in waiting.text
    waiting.press("Send the text message again")
    work(ports)
    assert len(ports.sms.sent) == 2


def test_progress_for_htmx_is_a_part_of_the_page(page, client, ports):
    running = started(page, "anna")
    part = client.request("GET", f"{running.path}/progress", HX_Request="true")
    assert "<html" not in part.response.text
    assert 'hx-trigger="every 2s"' in part.response.text
    work(ports)
    part = client.request("GET", f"{running.path}/progress", HX_Request="true")
    assert 'hx-trigger="every 5s"' in part.response.text
    PasswordChange.update(finished_at=0).execute()
    assert "hx-trigger" not in client.request("GET", f"{running.path}/progress", HX_Request="true").response.text


def test_a_page_that_is_left_open_does_not_keep_its_session_alive(page, client):
    running = started(page, "anna")
    WebSession.update(seen_at=WebSession.seen_at - 300).execute()
    before = WebSession.get().seen_at
    assert client.request("GET", f"{running.path}/progress", HX_Request="true").status == 200
    assert WebSession.get().seen_at == before
    WebSession.delete().execute()
    signed_out = client.request("GET", f"{running.path}/progress", HX_Request="true")
    assert (signed_out.status, signed_out.response.data) == (204, b"")


def test_a_recipient_inside_a_changed_mailbox_is_warned_of(page):
    preview = drafted(page.fill({"E-mail for the credentials": "anna@example.org"}), "anna")
    assert "one of the mailboxes that get a new password" in preview.text


def test_who_may_see_it(page, new_client, people, mara, address):
    running = started(page, "anna")
    addresses = [address, running.path, f"{running.path}/progress", f"{running.path}/cancellation",
                 running.path.rpartition("/")[0] + "/"]  # fmt: skip
    other = Organisation.create(name="Strangers")
    Service.create(organisation=other, name="Mail")
    people.add_manager("foreign@example.net", organisation=other)
    people.add_manager("administrator@example.org", Account.ADMINISTRATOR)
    people.add_manager("operator@example.org", Account.OPERATOR, organisation=None)
    for login, status in (
        ("anna@example.org", 404),
        ("foreign@example.net", 404),
        ("administrator@example.org", 200),
        ("operator@example.org", 200),
    ):
        client = new_client()
        client.sign_in(login, PASSWORD)
        assert {client.open(each).status for each in addresses} == {status}, login


def test_a_draft_is_its_managers_alone(page, new_client, people):
    preview = drafted(page, "anna")
    people.add_manager("administrator@example.org", Account.ADMINISTRATOR)
    client = new_client()
    client.sign_in("administrator@example.org", PASSWORD)
    assert client.open(preview.path).status == 404


def test_nobody_loses_a_filled_in_form_because_the_password_was_given_long_ago(page):
    """The preview asks for it in any case."""
    WebSession.update(password_at=0).execute()
    preview = drafted(page.fill({"Full name": "Somebody Else"}), "anna")
    assert "Somebody Else" in preview.text
    assert "Your password" in preview.text


def test_other_domains(page, client, people, address):
    other = Domain.create(service=people.service, name="example.net")
    foreign = Domain.create(
        service=Service.create(organisation=people.organisation, name="Other"), name="elsewhere.example"
    )
    there = client.open(address).follow("example.org")
    assert "All 3 mailboxes of example.org" in there.text
    for wrong in (foreign.id, 10**20, -1, "x"):
        assert client.open(f"{address}?domain={wrong}").status in (200, 404)
    assert client.open(f"{address}?domain={foreign.id}").status == 404
    assert (
        client.open(f"{address}?domain={other.id}").tick("All 0 mailboxes of example.net").press("Change").status == 422
    )


def test_a_service_without_a_domain(client, mara, people):
    empty = Service.create(organisation=people.organisation, name="Empty")
    client.sign_in(mara.login, PASSWORD)
    assert client.open(f"/services/{empty.id}/password-changes/").status == 200
    assert client.open(f"/services/{empty.id}/password-change").status == 404


def test_without_a_gateway_the_form_says_so(client, mara, address, settings, ports):
    without = replace(settings, sms_url="")
    app = app_of(without, replace(ports, settings=without))
    client = Client(app, settings.base_url)
    client.sign_in(mara.login, PASSWORD)
    page = client.open(address)
    assert "the operator has to set up a gateway first" in page.text
    assert page.tick("anna@example.org Anna").press("Change").status == 422


def test_pages_stay_small_however_many_mailboxes_there_are(client, mara, people, address, ports):
    columns = {"organisation": people.organisation, "service": people.service, "domain": people.domain}
    accounts = [{"login": f"user{n:04}@example.org", "password_hash": "x", **columns} for n in range(1200)]
    Account.insert_many(accounts).execute()
    Mailbox.insert_many(
        {"domain": people.domain, "account": each.id, "address": each.login, "home": each.login}
        for each in Account.select().where(Account.login.startswith("user"))
    ).execute()
    client.sign_in(mara.login, PASSWORD)
    form = client.open(address)
    preview = form.tick("All 1203 mailboxes of example.org").press("Change")
    running = preview.fill({"Your password": PASSWORD}).press("Change 1203 passwords")
    for page in (form, preview, running):
        assert len(page.response.data) < 60_000
    assert "user1199" not in preview.text
    assert "Page 2 of 13" in client.open(f"{running.path}?page=2").text
    for number in (0, -1, 10**20, "x"):
        assert client.open(f"{running.path}?page={number}").status == 200


# --- what the gateway reports ---


def test_a_gateway_reports_by_get_or_post_and_needs_no_token(page, client, ports):
    running = started(page, "anna")
    work(ports)
    address = ports.sms.sent[0].report_url
    assert client.request("HEAD", f"{address}?state=1").status == 404
    assert change_of(client.open(running.path)).message_delivered_at is None
    assert client.request("POST", address, {"state": "2"}).status == 200
    assert change_of(client.open(running.path)).message_failed_at
    assert client.request("GET", f"{address}?state=1").status == 200
    assert change_of(client.open(running.path)).message_delivered_at
    for strange in ("", "?state=", "?state=x", f"?state={10**30}", "?state=2"):
        assert client.request("GET", address + strange).status == 200
    assert change_of(client.open(running.path)).message_delivered_at


@pytest.mark.parametrize("token", ["1-1-" + "A" * 43, "x", "1-1-", "%00", "1-1-" + "é" * 43, "9" * 400])
def test_a_report_that_nobody_signed_is_nothing(client, database, token):
    assert client.request("GET", f"/sms/reports/{token}?state=1").status == 404


def test_sending_credentials_again_asks_for_the_password(page, client, ports, clock):
    running = started(page, "anna")
    work(ports)
    finished = client.open(running.path)
    clock.pass_by(301)
    sent = OutboxItem.select().count()
    asked = {
        button: finished.press(button, Referer=f"http://127.0.0.1:8123{running.path}")
        for button in ("Send the e-mail again", "Send the text message again")
    }
    assert {(page.status, page.title, page.links["Cancel"]) for page in asked.values()} == {
        (422, "Confirm it's you", running.path)
    }
    assert OutboxItem.select().count() == sent
    told = [
        page.fill({"Enter your password to continue": PASSWORD}).press("Continue").flashes for page in asked.values()
    ]
    assert told == [["The e-mail is on its way."], ["The text message is on its way."]]
