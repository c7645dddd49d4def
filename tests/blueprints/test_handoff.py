"""Hand-offs as browsers bring them: into a webmail's frame, into a tab, stolen, and where cookies are refused."""

import base64
import json
import subprocess
import sys
from html import escape
from importlib import util
from pathlib import Path

import pytest

from actions.sessions import sessions
from actions.webmails import webmail_credentials
from actions.webmails.webmail_credentials import WantedCredential
from models import Account, Attempts, AuditEvent, UsedToken, Webmail, WebSession
from tests.blueprints.conftest import NEW, change_form
from tests.client import Client, Page
from tests.conftest import PASSWORD
from tests.signing import ORIGIN, SigningWebmail, signed

HELPERS = Path(__file__).parents[2] / "integrations" / "webmail"
IN_FRAME, IN_TAB = "iframe", "document"
LOOK = {"accent": "#3366cc", "size": "14", "font": '"Arial", sans-serif', "titled": "yes"}
CONTINUE = "Continue as anna@example.org"


@pytest.fixture
def environment(environment):
    return environment | {"POSTERN_WEBMAIL_ORIGINS": f"{ORIGIN} https://other.example.com"}


@pytest.fixture
def webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports)


def post(
    client: Client, token: str, onward: str = "/devices/", to: str = IN_FRAME, origin: str | None = ORIGIN
) -> Page:
    """The webmail's page posts its form."""
    headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": to} | ({"Origin": origin} if origin else {})
    answer = client.request("POST", "/handoff", {"token": token, "next": onward}, **headers)
    return client._arrive(answer, Sec_Fetch_Dest=to)


@pytest.fixture
def framed(client, webmail, anna) -> Client:
    """Anna in her webmail's frame."""
    assert post(client, webmail.handoff(anna.login)).title == "Devices"
    return client


def html_of(page: Page) -> dict[str, str]:
    return page.tree.find("html").attrib


def is_refused(page: Page) -> bool:
    return page.status == 403 and page.title == "Your webmail could not sign you in here"


# --- into the frame ---


def test_it_opens_the_page_that_was_asked_for_in_the_webmails_look(client, webmail, anna):
    page = post(client, webmail.handoff(anna.login, locale="it_IT", theme="dark"))
    assert page.path == "/devices/"
    html = html_of(page)
    assert (html["lang"], html["data-theme"], html["data-webmails"]) == ("it", "dark", ORIGIN)
    assert page.tree.find(".//header[@class='top']") is None
    assert page.tree.find(".//nav") is None


def test_the_look_stays_on_the_pages_that_follow(framed):
    page = framed.open("/account/sessions", Sec_Fetch_Dest=IN_FRAME)
    assert "data-embedded" in html_of(page)
    assert page.tree.find(".//nav") is None


def test_the_same_session_in_a_tab_looks_as_ever(framed):
    page = framed.open("/devices/", Sec_Fetch_Dest=IN_TAB)
    html = html_of(page)
    assert page.tree.find(".//nav") is not None
    assert "data-webmails" not in html
    assert html["data-theme"] == "auto"


@pytest.mark.parametrize(
    ("locale", "theme"), [("xx_XX", "blue"), ("", ""), (7, ["dark"]), ('"><b>', "url(x)"), (None, None)]
)
def test_a_look_that_is_not_ours_is_passed_over(client, webmail, anna, locale, theme):
    html = html_of(post(client, webmail.handoff(anna.login, locale=locale, theme=theme)))
    assert (html["lang"], html["data-theme"]) == ("en", "auto")


def test_it_is_no_password(framed, anna):
    assert WebSession.get().password_at == 0
    for address in ("/devices/new", "/account/sessions/others"):
        assert "Enter your password to continue" in framed.open(address, Sec_Fetch_Dest=IN_FRAME).text


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", ""])
def test_it_leads_to_no_other_site(client, webmail, anna, onward):
    assert post(client, webmail.handoff(anna.login), onward).path == "/account/password"


def test_the_next_view_goes_on_with_the_session_and_its_password(framed, webmail, anna):
    WebSession.update(password_at=sessions.now()).execute()
    assert post(framed, webmail.handoff(anna.login), "/devices/new").title == "Add a device"
    assert WebSession.select().count() == 1


def test_whoever_has_to_choose_a_password_does_so_first(client, webmail, anna):
    Account.update(must_change_password=True).execute()
    assert post(client, webmail.handoff(anna.login)).title == "Password"


# --- stolen, or not meant ---


def test_a_token_that_was_used_is_refused_and_the_owner_reads_of_it(framed, webmail, anna, new_client):
    token = webmail.handoff(anna.login)
    assert post(framed, token).status == 200
    thief = new_client(address="203.0.113.66")
    assert is_refused(post(thief, token))
    assert is_refused(post(thief, token, to=IN_TAB))
    assert thief.cookie("postern-session") is None
    event = AuditEvent.get(AuditEvent.action == "handoff:session:refused")
    assert (event.details["reason"], event.address) == ("replay", "203.0.113.66")
    assert "A sign-in by a webmail was refused" in framed.open("/account/activity", Sec_Fetch_Dest=IN_FRAME).text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://other.example.com", "null", None, "http://127.0.0.1:8123"]
)
def test_from_another_origin_it_is_refused(client, webmail, anna, origin):
    assert is_refused(post(client, webmail.handoff(anna.login), origin=origin))
    assert WebSession.select().count() == 0
    assert AuditEvent.get(AuditEvent.action == "handoff:session:refused").account == anna


@pytest.mark.parametrize("destination", ["empty", "embed", "script"])
def test_a_script_does_not_bring_it(client, webmail, anna, destination):
    assert is_refused(post(client, webmail.handoff(anna.login), to=destination))


def test_a_refusal_tells_nothing(client, webmail, anna):
    known = post(client, webmail.handoff(anna.login, aud="https://elsewhere.example.org"))
    unknown = post(client, webmail.handoff("nobody@example.org"))
    assert known.text == unknown.text
    assert anna.login not in known.response.text
    assert known.links["Sign in here with your password"] == "/sign-in"


def test_a_flood_of_made_up_tokens_stops_nobody_in_the_same_network(client, new_client, webmail, anna, caplog):
    before = AuditEvent.select().count()
    assert {post(client, "x.y.z").status for _ in range(150)} == {403}
    assert (AuditEvent.select().count(), Attempts.select().count(), caplog.records) == (before, 0, [])
    assert post(new_client(), webmail.handoff(anna.login)).title == "Devices"


def test_a_flood_of_forged_tokens_is_held_off_and_stops_nobody_either(client, new_client, webmail, anna):
    forged = webmail.handoff(anna.login).rpartition(".")[0] + "." + "A" * 86
    answers = [post(client, forged).status for _ in range(25)]
    assert answers[0] == 403
    assert 429 in answers
    assert post(new_client(), webmail.handoff(anna.login)).title == "Devices"


@pytest.mark.parametrize("number", ["\ud800", "\0", "x" * 3000, 7, None, ["x"]], ids=repr)
def test_a_number_that_no_key_has_is_no_error(client, webmail, anna, number):
    assert is_refused(post(client, signed(webmail.header | {"kid": number}, {}, webmail.sign)))


# --- where somebody has to be asked ---


def test_in_a_tab_it_asks_first_and_its_button_works_once(client, webmail, anna):
    question = post(client, webmail.handoff(anna.login), to=IN_TAB)
    assert question.title == f"{CONTINUE}?"
    assert WebSession.select().count() == UsedToken.select().count() == 0
    assert question.press(CONTINUE, Sec_Fetch_Dest=IN_TAB).path == "/devices/"
    assert WebSession.get().password_at == 0
    WebSession.delete().execute()
    again = post(client, webmail.handoff(anna.login), to=IN_TAB)
    content = dict(question.content_of(CONTINUE)) | {"csrf_token": dict(again.content_of(CONTINUE))["csrf_token"]}
    assert is_refused(client.post("/handoff/continue", content))
    assert WebSession.select().count() == 0


def test_nobody_presses_the_button_from_elsewhere(client, webmail, anna):
    """Login CSRF: an attacker's own hand-off, sent from the attacker's page."""
    content = {"token": webmail.handoff(anna.login), "next": "/"}
    assert client.request("POST", "/handoff/continue", content, Sec_Fetch_Site="cross-site").status == 403
    assert client.request("POST", "/handoff/continue", content, Origin=ORIGIN).status == 403
    assert client.request("POST", "/handoff/continue", content).status == 400
    assert WebSession.select().count() == 0


def test_in_a_browser_where_it_handed_over_another_it_asks_even_in_the_frame(framed, webmail, anna, boris):
    question = post(framed, webmail.handoff(boris.login))
    assert question.title == "Continue as boris@example.org?"
    assert anna.login in question.text
    assert [each.account for each in WebSession.select()] == [anna]
    assert question.press("Continue as boris@example.org", Sec_Fetch_Dest=IN_FRAME).path == "/devices/"
    assert [each.account for each in WebSession.select()] == [boris]


@pytest.mark.parametrize("name", ["boris", "manager"])
def test_in_a_browser_where_another_is_signed_in_it_asks_in_a_tab_only(client, webmail, anna, request, name):
    other = request.getfixturevalue(name)
    assert client.sign_in(other.login, PASSWORD).status == 200
    page = post(client, webmail.handoff(anna.login))
    assert page.title == "This page needs its own tab"
    assert other.login not in page.response.text
    assert page.buttons == []
    assert [link.get("target") for link in page.tree.iter("a") if link.get("class") != "skip"] == ["_blank"]
    assert f"frame-ancestors {ORIGIN};" in page.headers["Content-Security-Policy"]
    question = post(client, webmail.handoff(anna.login), to=IN_TAB)
    assert other.login in question.text
    assert [each.account for each in WebSession.select()] == [other]
    assert question.press(CONTINUE, Sec_Fetch_Dest=IN_TAB).path == "/devices/"
    assert [each.account for each in WebSession.select()] == [anna]


def test_what_is_to_be_told_to_whoever_is_signed_in_is_not_told_in_anothers_frame(client, webmail, anna, boris):
    client.sign_in(boris.login, PASSWORD)
    content = client.open("/account/preferences").content_of("Save")
    assert client.request("POST", "/account/preferences", content, Sec_Fetch_Site="same-origin").status == 303
    assert post(client, webmail.handoff(anna.login)).flashes == []
    assert client.open("/account/preferences").flashes == ["Saved."]


# --- when there is no session any more, or no cookie ---


def test_a_browser_that_keeps_no_cookie_is_offered_a_tab(new_client, webmail, anna):
    without_cookies = new_client()
    answer = without_cookies.request(
        "POST", "/handoff", {"token": webmail.handoff(anna.login), "next": "/devices/"},
        Origin=ORIGIN, Sec_Fetch_Site="cross-site", Sec_Fetch_Dest=IN_FRAME,
    )  # fmt: skip
    page = new_client().open(answer.headers["Location"], Sec_Fetch_Dest=IN_FRAME)
    assert page.title == "This page needs its own tab"
    assert page.tree.find(".//*[@data-tell]").get("data-tell") == "need-top"
    link = page.tree.find(".//main//a")
    assert (link.get("href"), link.get("target")) == ("/devices/", "_blank")


def test_a_session_that_ran_out_asks_the_webmail_and_offers_the_way_in(framed, anna):
    """In a tab: no frame shows a person who signs in by a password."""
    WebSession.delete().execute()
    page = framed.open("/devices/", Sec_Fetch_Dest=IN_FRAME)
    assert page.title == "Sign in"
    assert page.tree.find(".//*[@data-tell]").get("data-tell") == "signed-out"
    assert html_of(page)["data-webmails"] == f"{ORIGIN} https://other.example.com"
    assert page.buttons == []
    (link,) = page.tree.findall(".//main//a")
    assert link.get("target") == "_blank"
    tab = framed.open(link.get("href"), Sec_Fetch_Dest=IN_TAB)
    tab.fill({"E-mail address": anna.login, "Password": PASSWORD})
    assert tab.press("Sign in", Sec_Fetch_Dest=IN_TAB).title == "Devices"


def test_after_signing_in_in_a_tab_the_next_hand_off_opens_the_frame(client, webmail, anna):
    client.sign_in(anna.login, PASSWORD)
    page = post(client, webmail.handoff(anna.login))
    assert page.title == "Devices"
    assert f"frame-ancestors {ORIGIN};" in page.headers["Content-Security-Policy"]
    assert WebSession.get().webmail == webmail.row


def test_outside_a_frame_nothing_is_told(client, anna):
    page = client.open("/sign-in", Sec_Fetch_Dest=IN_TAB)
    assert page.tree.find(".//*[@data-tell]") is None
    assert "data-webmails" not in html_of(page)


# --- the webmail learns of a new password ---


def told(page: Page) -> list[tuple]:
    return [(each.get("data-tell"), each.get("data-everywhere")) for each in page.tree.iter() if each.get("data-tell")]


def test_after_a_change_the_webmail_is_told_once(framed):
    page = change_form(framed.open("/account/password", Sec_Fetch_Dest=IN_FRAME))
    assert told(page.press("Change", Sec_Fetch_Dest=IN_FRAME)) == [("password-changed", "no")]
    assert told(framed.open("/account/password", Sec_Fetch_Dest=IN_FRAME)) == []


def test_after_everywhere_it_is_told_first_of_all(framed):
    page = change_form(framed.open("/account/password", Sec_Fetch_Dest=IN_FRAME), new=NEW)
    after = page.press("Update password and log me out from everywhere", Sec_Fetch_Dest=IN_FRAME)
    assert after.title == "Sign in"
    assert told(after)[0] == ("password-changed", "yes")
    assert "The new password is set" in after.flashes[0]


# --- among the sessions ---


def row_of(page: Page, words: str) -> Page:
    return next(row for row in page.tree.iter("tr") if words in "".join(row.itertext()))


def test_sessions_show_the_webmail_and_its_kind(framed, webmail, anna, ports):
    page = framed.open("/account/sessions", Sec_Fetch_Dest=IN_FRAME)
    assert "webmail.example.org This browser" in page.text
    assert "It stores your password itself." in page.text
    wanted = WantedCredential(anna.login, PASSWORD, "session-1", "192.0.2.9", "Firefox")
    webmail_credentials.make(ports, webmail.row, wanted)
    page = framed.open("/account/sessions", Sec_Fetch_Dest=IN_FRAME)
    assert "It has its own password, for this session only." in page.text
    assert "It stores your password itself." not in page.text


def test_a_webmail_is_ended_from_the_list(signed_in, webmail, anna, boris, ports):
    made = [
        webmail_credentials.make(
            ports, webmail.row, WantedCredential(login, PASSWORD, "session-1", "192.0.2.9", "Firefox")
        )
        for login in (anna.login, boris.login)
    ]
    page = signed_in.open("/account/sessions")
    token = dict(page.content_of("Sign out Firefox, Linux, 192.0.2.1"))["csrf_token"]
    foreign = f"/account/sessions/webmails/{made[1].credential.id}/end"
    assert signed_in.post(foreign, {"csrf_token": token}).status == 404
    after = page.press("End webmail.example.org, Firefox, 192.0.2.9")
    assert after.flashes == ["The webmail is signed out."]
    assert [webmail_credentials.is_alive(webmail.row, each.password) for each in made] == [False, True]


def test_ending_the_own_webmail_leads_out_of_it(framed, webmail, anna, ports):
    wanted = WantedCredential(anna.login, PASSWORD, "session-1", "192.0.2.9", "Firefox")
    webmail_credentials.make(ports, webmail.row, wanted)
    page = framed.open("/account/sessions", Sec_Fetch_Dest=IN_FRAME)
    after = page.press("Sign out webmail.example.org, Firefox, Linux, 192.0.2.1", Sec_Fetch_Dest=IN_FRAME)
    assert after.title == "Sign in"
    assert is_refused(post(framed, webmail.handoff(anna.login)))


# --- the helpers for other webmails ---


def helper_config(webmail: SigningWebmail, settings) -> dict[str, str]:
    return {
        "url": settings.base_url,
        "origin": webmail.origin,
        "key_id": webmail.row.key_id,
        "key": base64.b64encode(webmail.key).decode(),
        "algorithm": webmail.row.algorithm,
    }


def form_by_python(config: dict[str, str], login: str) -> str:
    spec = util.spec_from_file_location("handoff_helper", HELPERS / "handoff.py")
    helper = sys.modules["handoff_helper"] = util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    whoever = {"login": login, "session": "secret-id", "locale": "it_IT", "theme": "dark", "signed_in_at": 7}
    return helper.frame(helper.Config(**config), "/devices/", nonce="n", look=LOOK, **whoever)


def form_by_php(config: dict[str, str], login: str) -> str:
    program = (
        "require $argv[1]; $claims = ['locale' => 'it_IT', 'theme' => 'dark', 'auth_time' => 7, 'sub' => 'another'];"
        "echo postern_frame(json_decode($argv[2], true), '/devices/', $argv[3], 'secret-id', $claims, 'n', 'Account',"
        "json_decode($argv[4], true));"
    )
    command = ["php", "-r", program, str(HELPERS / "handoff.php"), json.dumps(config), login, json.dumps(LOOK)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("algorithm", [Webmail.EDDSA, Webmail.HS256])
@pytest.mark.parametrize("make", [form_by_python, form_by_php], ids=["python", "php"])
def test_the_helpers_make_what_is_accepted(client, ports, settings, anna, make, algorithm):
    webmail = SigningWebmail(ports, algorithm=algorithm)
    form = make(helper_config(webmail, settings), anna.login)
    token = form.partition('name="token" value="')[2].partition('"')[0]
    assert f'action="{settings.base_url}/handoff"' in form
    assert "secret-id" not in form
    for name, value in LOOK.items():
        assert f'<input type="hidden" name="{name}" value="{escape(value)}">' in form
    page = post(client, token)
    assert (page.path, html_of(page)["lang"], html_of(page)["data-theme"]) == ("/devices/", "it", "dark")
    assert WebSession.get().account == anna
