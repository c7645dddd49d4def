"""The pages behind one-time links."""

import pytest

import models
import worker
from actions.outbox import outbox
from actions.passwords import passwords
from actions.sessions import links
from models import Account, Mailbox, OneTimeLink
from tests.blueprints.conftest import NEW, WRONG, change_form
from tests.conftest import PASSWORD

PURPOSES = tuple(links.LIFETIMES)


def path_of(settings, account, purpose):
    return links.address(settings, purpose, links.create(account, purpose)).removeprefix(settings.base_url)


def opens(settings, account, password):
    return passwords.verify(settings, Account.get_by_id(account.id).password_hash, password)


def everything():
    return {table: list(table.select().dicts()) for table in models.TABLES}


def set_form(page, new=NEW, confirm=None):
    return page.fill({"New password": new, "Confirm new password": new if confirm is None else confirm})


@pytest.mark.parametrize("purpose", [links.RESET, links.WELCOME, links.RECOVER])
def test_a_link_sets_a_password_once(client, settings, anna, purpose):
    path = path_of(settings, anna, purpose)
    page = set_form(client.open(path)).press("Set password")
    assert page.title == "Sign in"
    assert page.flashes
    assert opens(settings, anna, NEW)
    assert client.open(path).status == 410
    assert client.sign_in(anna.login, NEW).title == "Overview"


def test_junk_from_the_same_network_keeps_nobody_from_a_link(client, settings, anna):
    """Any page that a visitor has open can send it, as the address of a picture."""
    path = path_of(settings, anna, links.RESET)
    before = everything()
    for purpose in links.PATHS.values():
        assert {client.open(f"/links/{purpose}/{number}").status for number in range(110)} == {410}
    assert everything() == before
    assert client.open(path).status == 200


@pytest.mark.parametrize(
    ("new", "confirm", "label"),
    [
        ("", "", "New password"),
        ("short-7", "short-7", "New password"),
        (NEW, WRONG, "Confirm new password"),
        (NEW + "\n", NEW + "\n", "New password"),
        (NEW + " ", NEW + " ", "New password"),
        (NEW + "e\u0301", NEW + "e\u0301", "New password"),
        ("A-7" + "x" * 126, "A-7" + "x" * 126, "New password"),
    ],
)
def test_what_is_wrong_is_said_and_the_link_stays(client, settings, anna, new, confirm, label):
    path = path_of(settings, anna, links.RESET)
    page = set_form(client.open(path), new, confirm).press("Set password")
    assert (page.status, bool(page.error_of(label))) == (422, True)
    assert opens(settings, anna, PASSWORD)
    assert client.open(path).status == 200


def test_two_forms_of_one_link_set_one_password(client, settings, anna):
    path = path_of(settings, anna, links.RESET)
    first, second = client.open(path), client.open(path)
    set_form(first).press("Set password")
    assert set_form(second, "Third-Garden-9").press("Set password").status == 410
    assert opens(settings, anna, NEW)


def test_what_the_page_asks_late_leaves_the_news_for_the_next_page(client, settings, anna):
    """A check of what is typed that arrives after the link was used: its answer is shown nowhere."""
    path = path_of(settings, anna, links.RESET)
    page = set_form(client.open(path))
    content = dict(page.content_of("Set password"))
    assert client.request("POST", path, content, HX_Request="true").headers["HX-Redirect"] == "/sign-in"
    late = client.request("POST", f"{path}/check", content, HX_Request="true")
    assert (late.status, late.flashes, late.headers.getlist("Set-Cookie")) == (410, [], [])
    assert client.open("/sign-in").flashes


def test_this_was_not_me_locks_with_one_press(signed_in, settings, anna, ports, mailer, new_client):
    change_form(signed_in.open("/account/password")).press("Change")
    outbox.deliver_due(ports, worker.HANDLERS)
    text = mailer.sent[0][1].get_body(("plain",)).get_content()
    (address,) = [word for word in text.split() if "/links/" in word]
    owner = new_client()
    page = owner.open(address.removeprefix(settings.base_url)).press("Lock the account")
    assert page.status == 200
    assert Account.get_by_id(anna.id).state == Account.LOCKED
    assert signed_in.open("/account/password").title == "Sign in"
    assert signed_in.sign_in(anna.login, NEW).status == 422
    assert owner.open(address.removeprefix(settings.base_url)).status == 410


def test_who_uses_a_link_while_signed_in_is_signed_out(signed_in, settings, anna):
    page = signed_in.open(path_of(settings, anna, links.DISOWN)).press("Lock the account")
    assert page.status == 200
    assert signed_in.open("/account/password").title == "Sign in"


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_scanner_changes_nothing(new_client, settings, anna, purpose, method):
    path = path_of(settings, anna, purpose)
    before = everything()
    for suffix in ("", "?x=1"):
        for _ in range(3):
            answer = new_client(user_agent="scanner").request(method, path + suffix)
            assert answer.status in (200, 404, 410)
    assert everything() == before


@pytest.mark.parametrize("token", ["x", "%00", "%ff%fe", "..%2f..", "' OR 1=1 --", "é", "x" * 3000])
@pytest.mark.parametrize("kind", ["password", "not-me"])
def test_a_made_up_link_opens_nothing(client, anna, kind, token):
    assert client.request("GET", f"/links/{kind}/{token}").status in (404, 410)
    assert client.request("POST", f"/links/{kind}/{token}").status in (400, 404, 410)


def test_links_of_one_kind_open_no_page_of_another(client, settings, anna):
    reset = path_of(settings, anna, links.RESET)
    assert client.open(reset.replace("/password/", "/not-me/")).status == 410
    disown = path_of(settings, anna, links.DISOWN)
    assert client.open(disown.replace("/not-me/", "/password/")).status == 410


def test_a_link_whose_time_is_over_says_so(client, settings, anna):
    path = path_of(settings, anna, links.RESET)
    page = client.open(path)
    OneTimeLink.update(expires_at=models.now()).execute()
    assert client.open(path).status == 410
    assert set_form(page).press("Set password").status == 410
    assert opens(settings, anna, PASSWORD)


def test_a_form_without_its_token_does_nothing(client, settings, anna):
    for purpose in (links.RESET, links.DISOWN):
        path = path_of(settings, anna, purpose)
        client.open(path)
        assert client.post(path, {"new_password": NEW, "confirm_password": NEW}).status == 400
    assert opens(settings, anna, PASSWORD)
    assert Account.get_by_id(anna.id).state == Account.ACTIVE


def test_by_a_forged_name_nothing_happens(client, ports, mailer, anna):
    page = client.open("/forgotten-password").fill({"E-mail address": anna.login})
    # A person who forges it by hand sends the cookies there too.
    for name, value in client.cookies().items():
        client.set_cookie(name, value, "evil.example")
    content = page.content_of("Send the link")
    assert client.request("POST", "/forgotten-password", content, Host="evil.example").status == 400
    assert outbox.deliver_due(ports, worker.HANDLERS) == 0
    assert mailer.sent == []


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Forwarded_Host": "evil.example"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"X_Original_Host": "evil.example", "X_Forwarded_Server": "evil.example", "X_Host": "evil.example"},
        {"X_Forwarded_Proto": "https", "X_Forwarded_Port": "444", "X_Forwarded_Prefix": "/evil"},
    ],
    ids=str,
)
def test_a_forged_host_gets_into_no_link(client, settings, ports, mailer, anna, forged):
    page = client.open("/forgotten-password").fill({"E-mail address": anna.login})
    assert client.request("POST", "/forgotten-password", page.content_of("Send the link"), **forged).status == 200
    page = change_form(client.sign_in(anna.login, PASSWORD).follow("Password"))
    assert client.request("POST", "/account/password", page.content_of("Change"), **forged).status == 303
    while outbox.deliver_due(ports, worker.HANDLERS):
        pass
    assert len(mailer.sent) >= 2
    for _, message in mailer.sent:
        for kind in ("plain", "html"):
            content = message.get_body((kind,)).get_content()
            assert f"{settings.base_url}/links/" in content
            assert "evil" not in content


@pytest.mark.parametrize("purpose", [links.RESET, links.WELCOME, links.RECOVER])
def test_a_link_whose_account_is_removed_meanwhile_is_void(client, settings, anna, monkeypatch, purpose):
    def removing(*given):
        Mailbox.delete().execute()
        Account.delete().execute()
        return "$argon2id$x"

    page = set_form(client.open(path_of(settings, anna, purpose)))
    monkeypatch.setattr(passwords, "hash_password", removing)
    answer = page.press("Set password")
    assert answer.status == 422
    assert "has been used, replaced" in answer.error_of("New password")
