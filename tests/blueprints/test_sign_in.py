"""Signing in and out."""

import re
from urllib.parse import quote, unquote

import pytest

from actions.passwords import passwords
from actions.sessions import links
from models import Account, Mailbox, WebSession
from tests.blueprints.conftest import NEW, WRONG, change_form
from tests.blueprints.test_links import path_of, set_form
from tests.conftest import PASSWORD

ONCE_MORE = "Enter your password to continue"


def test_in_and_out(client, anna):
    page = client.sign_in(anna.login, PASSWORD)
    assert page.path == "/overview/"
    page = page.press("Sign out")
    assert page.title == "Sign in"
    assert page.flashes
    assert client.open("/account/password").title == "Sign in"
    assert WebSession.select().count() == 0


def test_after_a_new_password_the_address_is_filled_in_once(client, settings, anna, boris):
    """By the form of whoever is signed in, and by a link; but not for somebody else who is signed in there."""
    client.sign_in(anna.login, PASSWORD)
    page = change_form(client.open("/account/password")).press("Update password and log me out from everywhere")
    assert (page.title, page.value("E-mail address")) == ("Sign in", anna.login)
    assert client.open("/sign-in").value("E-mail address") == ""
    page = set_form(client.open(path_of(settings, boris, links.RESET))).press("Set password")
    assert (page.title, page.value("E-mail address")) == ("Sign in", boris.login)
    client.sign_in(anna.login, NEW)
    set_form(client.open(path_of(settings, Account.get_by_id(boris.id), links.RESET))).press("Set password")
    assert client.open("/overview/").press("Sign out").value("E-mail address") == ""


def test_after_signing_in_it_goes_on_to_the_page_that_was_asked_for(client, anna):
    page = client.open("/account/activity?before=99")
    assert page.title == "Sign in"
    page = page.fill({"E-mail address": anna.login, "Password": PASSWORD}).press("Sign in")
    assert page.address == "/account/activity?before=99"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "https://evil.example",
        "https:evil.example",
        "HTTPS:/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "//[evil",
        "http://[",
        "evil.example",
        "@evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/%0d%0aLocation:%20//evil.example",
        "/\r\nLocation: //evil.example",
        "/／evil.example",
        "／／evil.example",
        "/\u2028/evil.example",
        "//evil.example\\@127.0.0.1:8123",
        "/.//evil.example/..//",
        "?next=//evil.example",
        "",
        "\x00",
    ],
)
def test_it_never_goes_on_to_another_site(client, anna, elsewhere):
    page = client.request("GET", "/sign-in", None)
    content = page.fill({"E-mail address": anna.login, "Password": PASSWORD}).content_of("Sign in")
    answer = client._client.post(
        "/sign-in", query_string={"next": elsewhere}, data=dict(content), base_url="http://127.0.0.1:8123"
    )
    assert answer.status_code == 303
    onward = answer.headers["Location"]
    assert onward.startswith("/")
    assert onward[1:2] not in ("/", "\\")
    assert onward.isascii()
    assert not set(onward) & set("\r\n\t\0\\")


@pytest.mark.parametrize("current", ["http://[", "http://[::1", "//", "", "x" * 5000])
def test_whatever_page_htmx_says_is_open_a_stranger_is_sent_to_sign_in(client, current):
    answer = client.request("GET", "/account/password", HX_Request="true", HX_Current_URL=current)
    assert answer.status == 204
    assert answer.headers["HX-Redirect"].startswith("/sign-in")


@pytest.mark.parametrize(
    "posted", ["/sign-out", "/account/sessions/1/end", "/account/sessions/programs/end", "/account/password"]
)
def test_after_a_form_that_was_too_late_it_goes_on_to_a_page(client, anna, posted):
    page = client.post(posted, {})
    assert page.title == "Sign in"
    assert page.flashes
    assert page.fill({"E-mail address": anna.login, "Password": PASSWORD}).press("Sign in").status == 200


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("anna@example.org", WRONG),
        ("nobody@example.org", PASSWORD),
        ("locked@example.org", PASSWORD),
        ("' OR 1=1 --", WRONG),
    ],
)
def test_every_failure_says_the_same_and_keeps_the_login(client, people, login, password):
    people.add("anna")
    people.add("locked", state=Account.LOCKED)
    page = client.sign_in(login, password)
    assert page.status == 422
    assert page.value("E-mail address") == login
    assert page.value("Password") == ""
    told = client.sign_in("another@example.org", WRONG)
    assert page.error_of("Password") == told.error_of("Password") != ""


@pytest.mark.parametrize("label", ["E-mail address", "Password"])
@pytest.mark.parametrize("value", ["", "x" * 2000])
def test_what_is_empty_or_too_long_is_said_beside_its_field(client, anna, label, value):
    page = (
        client.open("/sign-in")
        .fill({"E-mail address": anna.login, "Password": PASSWORD} | {label: value})
        .press("Sign in")
    )
    assert page.status == 422
    assert page.error_of(label)


def test_too_many_guesses_are_told_when_to_come_back(client, anna):
    pages = [client.sign_in(anna.login, WRONG) for _ in range(6)]
    assert pages[5].error_of("Password") != pages[4].error_of("Password")


def test_who_is_signed_in_is_sent_on(signed_in):
    assert signed_in.open("/sign-in?next=/account/sessions").path == "/account/sessions"
    assert signed_in.open("/").path == "/overview/"


def test_a_session_is_never_one_that_was_there_before(client, anna, new_client):
    client.set_cookie("postern-session", "planted")
    client.open("/sign-in")
    before = client.cookies()
    client.sign_in(anna.login, PASSWORD)
    assert client.cookie("postern-session") not in ("planted", None)
    assert client.cookie("postern-visitor") != before.get("postern-visitor")
    other = new_client()
    other.set_cookie("postern-session", "planted")
    assert other.open("/account/password").title == "Sign in"


def test_signing_in_again_makes_another_session(new_client, anna):
    tokens = set()
    client = new_client()
    for _ in range(2):
        client.sign_in(anna.login, PASSWORD)
        tokens.add(client.cookie("postern-session"))
        client.open("/account/password").press("Sign out")
    assert len(tokens) == 2


def test_signing_in_over_a_session_ends_it(client, anna, new_client):
    before = client.open("/sign-in")
    filled = before.fill({"E-mail address": anna.login, "Password": PASSWORD})
    filled.press("Sign in")
    replaced = new_client()
    replaced.set_cookie("postern-session", client.cookie("postern-session"))
    page = replaced.open("/account/password")
    token = dict(page.content_of("Change"))["csrf_token"]
    replaced.post("/sign-in", {"csrf_token": token, "login": anna.login, "password": PASSWORD})
    assert replaced.open("/account/password").title == "Password"
    assert client.open("/account/password").title == "Sign in"


def test_a_cookie_from_before_the_change_opens_nothing(signed_in, new_client):
    stolen = new_client()
    stolen.set_cookie("postern-session", signed_in.cookie("postern-session"))
    page = stolen.open("/account/password")
    assert page.title == "Password"
    done = change_form(signed_in.open("/account/password")).press("Update password and log me out from everywhere")
    assert done.title == "Sign in"
    assert stolen.open("/account/password").title == "Sign in"
    late = change_form(page, NEW, "Third-Garden-9").press("Change")
    assert late.title == "Sign in"
    assert late.flashes


def test_a_cookie_from_before_signing_out_opens_nothing(signed_in, new_client):
    token = signed_in.cookie("postern-session")
    signed_in.open("/account/password").press("Sign out")
    client = new_client()
    client.set_cookie("postern-session", token)
    assert client.open("/account/password").title == "Sign in"


def test_an_idle_session_is_over(signed_in, clock):
    clock.pass_by(15 * 60)
    assert signed_in.open("/account/sessions").title == "Sign in"


@pytest.mark.parametrize("name", ["postern-session", "postern-visitor", "postern-browser"])
@pytest.mark.parametrize("value", ["", "x", "é", "a" * 3000, "eyJhIjoxfQ.x.y", "%00", "' OR 1=1 --"])
def test_a_made_up_cookie_is_nobodys(new_client, anna, name, value):
    client = new_client()
    client.set_cookie(name, value)
    assert client.open("/account/password").title == "Sign in"
    client.set_cookie(name, value)
    assert client.sign_in(anna.login, PASSWORD).title == "Overview"


# --- a form that stood open, a browser without cookies ---


@pytest.mark.parametrize(("address", "button"), [("/sign-in", "Sign in"), ("/forgotten-password", "Send the link")])
def test_a_browser_without_cookies_is_told_so_and_keeps_the_address(client, anna, address, button):
    page = client.open(address).fill({"E-mail address": anna.login})
    for _ in range(2):
        client._client._cookies.clear()
        page = page.press(button)
        assert (page.status, page.value("E-mail address")) == (422, anna.login)
        assert "keeps no cookies" in page.text


@pytest.mark.parametrize(("address", "button"), [("/sign-in", "Sign in"), ("/forgotten-password", "Send the link")])
def test_a_form_that_stood_open_comes_again_with_the_address(new_client, client, anna, address, button):
    page = client.open(f"{address}?next=/account/sessions").fill({"E-mail address": anna.login})
    client._client._cookies.clear()
    client.open("/sign-in")
    again = page.press(button)
    assert (again.status, again.value("E-mail address")) == (422, anna.login)
    assert "out of date" in again.text
    assert "cookies" not in again.text
    if button == "Sign in":
        assert again.fill({"Password": PASSWORD}).press("Sign in").path == "/account/sessions"


def test_a_second_tab_goes_on_to_the_page_asked_for(client, anna):
    second = client.open("/sign-in?next=/account/sessions").fill({"E-mail address": anna.login, "Password": PASSWORD})
    client.sign_in(anna.login, PASSWORD)
    assert second.press("Sign in").path == "/account/sessions"


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_a_second_tab_leads_to_no_other_site(signed_in, elsewhere):
    answer = signed_in.request("POST", f"/sign-in?next={quote(elsewhere, safe='')}", {})
    assert (answer.status, answer.headers["Location"]) == (303, "/")


# --- the password once more ---


def test_what_is_dangerous_asks_for_the_password_again_after_five_minutes(signed_in, clock, new_client, anna):
    new_client().sign_in(anna.login, PASSWORD)
    clock.pass_by(301)
    page = signed_in.open("/account/sessions").follow("End all others")
    assert page.fill({ONCE_MORE: WRONG}).press("End all others").error_of(ONCE_MORE)
    assert WebSession.select().count() == 2
    assert page.fill({ONCE_MORE: PASSWORD}).press("End all others").flashes
    assert WebSession.select().count() == 1


def test_the_question_for_the_password_that_is_out_of_date_comes_again_and_leads_on(signed_in, clock):
    clock.pass_by(301)
    page = signed_in.open("/confirm-password?next=/account/sessions/others")
    stale = signed_in.post(page.address, {"csrf_token": "of another day", "current_password": PASSWORD})
    assert (stale.status, stale.address) == (422, page.address)
    assert "out of date" in stale.error_of(ONCE_MORE)
    assert ONCE_MORE in signed_in.open("/account/sessions/others").text
    assert stale.fill({ONCE_MORE: PASSWORD}).press("Continue").path == "/account/sessions/others"
    # In a second tab it is not asked once more.
    late = signed_in.request("POST", page.address, {"csrf_token": "of another day", "current_password": WRONG})
    assert (late.status, late.headers["Location"]) == (303, "/account/sessions/others")


def test_a_dangerous_form_itself_asks_too(signed_in, clock, new_client, anna):
    new_client().sign_in(anna.login, PASSWORD)
    page = signed_in.open("/account/sessions/others")
    clock.pass_by(301)
    assert page.press("End all others").status == 422
    assert WebSession.select().count() == 2


def test_guessing_the_password_once_more_stops(signed_in, clock):
    clock.pass_by(301)
    page = signed_in.open("/confirm-password")
    told = [page.fill({ONCE_MORE: WRONG}).press("Continue").error_of(ONCE_MORE) for _ in range(6)]
    assert len(set(told)) == 2


def test_guessing_the_password_once_more_for_too_long_signs_out(signed_in, clock):
    clock.pass_by(301)
    page = signed_in.open("/confirm-password")
    while signed_in.open("/account/activity").title != "Sign in":
        clock.pass_by(passwords.CONFIRMATIONS.longest_wait)
        told = page.fill({ONCE_MORE: WRONG}).press("Continue")
    assert "this session has ended" in told.error_of(ONCE_MORE)
    assert WebSession.select().count() == 0


# --- a password of one's own first ---


def test_who_must_change_the_password_can_do_only_that(client, people):
    account = people.add("fresh", must_change_password=True)
    page = client.sign_in(account.login, PASSWORD)
    assert page.path == "/account/password"
    for address in ("/account/sessions", "/account/activity", "/account/preferences", "/account/sessions/others"):
        assert client.open(address).path == "/account/password"
    page = change_form(client.open("/account/password")).press("Change")
    assert page.flashes
    assert client.open("/account/sessions").title == "Sessions"


# --- forgotten ---


def test_known_and_unknown_are_shown_the_same(new_client, people, anna, manager):
    """Whatever the account and its contact address are like."""
    known = [
        anna,
        manager,
        people.add("Chiara.Rossi".lower(), contact_email="Chiara.Rossi@firma.example.de"),
        people.add("without", contact_email=""),
        people.add("new", password=None),
        people.add_collaborator(anna),
        *(people.add(state, state=state) for state in (Account.LOCKED, Account.SUSPENDED, Account.PENDING)),
    ]
    made_up = ["avis@else.org", "else/avis@else.org", "\u0130@example.org", "x" * 254]
    answers = set()
    for number, login in enumerate([*(account.login for account in known), *made_up]):
        client = new_client(address=f"198.51.{number}.7")
        page = client.open("/forgotten-password").fill({"E-mail address": login}).press("Send the link")
        nonce = re.search(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"])[1]
        token = page.tree.find(".//input[@name='csrf_token']").get("value")
        whole = f"{page.status} {page.headers} {page.response.text}"
        answers.add(whole.replace(nonce, "").replace(token, ""))
    assert len(answers) == 1
    assert "has a contact e-mail" in page.text


def test_asking_too_often_is_told_in_a_sentence(client, anna):
    for _ in range(11):
        page = client.open("/forgotten-password").fill({"E-mail address": anna.login}).press("Send the link")
    assert page.status == 429
    assert int(page.headers["Retry-After"]) > 0
    assert page.text


def test_whoever_is_removed_while_the_password_is_verified_is_not_let_in(client, anna, monkeypatch):
    verify = passwords.verify

    def removing(*given):
        is_right = verify(*given)
        Mailbox.delete().execute()
        Account.delete().execute()
        return is_right

    monkeypatch.setattr(passwords, "verify", removing)
    page = client.sign_in(anna.login, PASSWORD)
    assert page.status == 422
    assert page.error_of("Password")
    assert not WebSession.select().exists()


@pytest.mark.parametrize("onward", ["/привет", "/x?y=é z", "/%2F%2Fevil.example", "/account/activity?by=%C3%A9"])
def test_the_way_back_reaches_htmx_whatever_its_letters(client, anna, onward):
    form = client.open(f"/sign-in?next={quote(onward)}").fill({"E-mail address": anna.login, "Password": PASSWORD})
    answer = client.post(form.address, form.content_of("Sign in"), HX_Request="true")
    assert answer.status == 204
    assert answer.headers["HX-Redirect"].isascii()
    assert unquote(answer.headers["HX-Redirect"]) == unquote(onward)
    again = client.request("GET", f"/sign-in?next={quote(onward)}", HX_Request="true")
    assert again.headers["HX-Redirect"] == answer.headers["HX-Redirect"]
    plain = client.request("GET", f"/sign-in?next={quote(onward)}")
    assert (plain.status, plain.headers["Location"]) == (303, answer.headers["HX-Redirect"])
