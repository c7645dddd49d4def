"""My account: password, sessions, activity, preferences; all without JavaScript."""

import pytest

from actions.ground.ports import Connection
from actions.passwords import password_strength, passwords, policy
from actions.sessions import sessions
from actions.trail.events import Event
from lab.html_tree import words
from models import Account, AuditEvent, OutboxItem, Service, WebSession
from tests.blueprints.conftest import NEW, WRONG, change_form
from tests.conftest import PASSWORD

EVERYWHERE = "Update password and log me out from everywhere"


def opens(settings, account, password):
    return passwords.verify(settings, Account.get_by_id(account.id).password_hash, password)


# --- password ---


def test_change_leaves_everybody_signed_in(signed_in, settings, anna, new_client):
    other = new_client()
    other.sign_in(anna.login, PASSWORD)
    page = change_form(signed_in.open("/account/password")).press("Change")
    assert page.title == "Password"
    assert page.flashes
    assert page.value("New password") == ""
    assert opens(settings, anna, NEW)
    assert other.open("/account/password").title == "Password"


def test_one_press_logs_out_from_everywhere(signed_in, settings, anna, new_client, mail_server):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    other = new_client()
    other.sign_in(anna.login, PASSWORD)
    page = signed_in.open("/account/password")
    assert "198.51.100.7" in page.text
    page = change_form(page).press(EVERYWHERE)
    assert page.title == "Sign in"
    assert len(page.flashes) == 1
    assert mail_server.connected == []
    assert other.open("/account/password").title == "Sign in"
    assert signed_in.sign_in(anna.login, NEW).title == "Overview"


def test_when_the_mail_server_is_down_it_is_said_and_done_later(signed_in, settings, anna, mail_server):
    mail_server.is_down = True
    page = change_form(signed_in.open("/account/password")).press(EVERYWHERE)
    assert len(page.flashes) == 2
    assert opens(settings, anna, NEW)
    assert OutboxItem.open_items().where(OutboxItem.kind == "connections").exists()


@pytest.mark.parametrize(
    ("current", "new", "confirm", "label"),
    [
        (WRONG, NEW, NEW, "Current password"),
        ("", NEW, NEW, "Current password"),
        ("0e1", NEW, NEW, "Current password"),
        (PASSWORD, "", "", "New password"),
        (PASSWORD, "short-7", "short-7", "New password"),
        (PASSWORD, PASSWORD, PASSWORD, "New password"),
        (PASSWORD, NEW + "\0", NEW + "\0", "New password"),
        (PASSWORD, NEW + "\u200f", NEW + "\u200f", "New password"),
        (PASSWORD, "A-7" + "x" * 126, "A-7" + "x" * 126, "New password"),
        (PASSWORD, "A-7" + "x" * 9000, "A-7" + "x" * 9000, "New password"),
        (PASSWORD, "Anna-Keller-7", "Anna-Keller-7", "New password"),
        (PASSWORD, NEW, NEW + "x", "Confirm new password"),
        (PASSWORD, NEW, "", "Confirm new password"),
    ],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize("button", ["Change", EVERYWHERE])
def test_what_is_wrong_stands_beside_its_field_and_nothing_changes(
    signed_in, settings, anna, button, current, new, confirm, label
):
    page = change_form(signed_in.open("/account/password"), current, new, confirm).press(button)
    assert page.status == 422
    assert page.error_of(label)
    assert [page.value(each) for each in ("Current password", "New password", "Confirm new password")] == [""] * 3
    assert opens(settings, anna, PASSWORD)
    assert WebSession.select().count() == 1


def test_all_that_is_wrong_is_said_in_one_round(signed_in, settings, anna):
    page = change_form(signed_in.open("/account/password"), WRONG, "anna-7", "Anna-7").press("Change")
    assert page.status == 422
    assert page.error_of("Current password") == "This is not your current password."
    assert "at least 8 characters" in page.error_of("New password")
    assert "“anna”" in page.error_of("New password")
    assert page.error_of("Confirm new password") == "The two passwords do not match."
    assert opens(settings, anna, PASSWORD)


def test_other_faults_hide_no_guess(signed_in, anna):
    """Nor do they tell who has to wait whether the current password was right."""
    pages = [
        change_form(signed_in.open("/account/password"), WRONG, "qzx-1", "qzx-2").press("Change") for _ in range(5)
    ]
    assert [page.status for page in pages] == [422] * 5
    refused = [
        change_form(signed_in.open("/account/password"), each, "qzx-1", "qzx-2").press("Change")
        for each in (WRONG, PASSWORD)
    ]
    assert {(page.status, page.error_of("Current password")) for page in refused} == {
        (429, "Too many attempts. Try again in 1 seconds.")
    }
    assert AuditEvent.select().where(AuditEvent.action == Event.PASSWORD_REFUSED.code).count() == 5


def test_whoever_knows_the_current_password_may_err_with_the_new_one(signed_in, settings, anna):
    for current in [PASSWORD] * 7 + [""] * 7:
        page = change_form(signed_in.open("/account/password"), current, "short").press("Change")
        assert page.status == 422
        assert page.error_of("New password")
    change_form(page).press("Change")
    assert opens(settings, anna, NEW)


def test_the_question_comes_once_nothing_is_wrong(signed_in, settings, anna):
    def asked(current: str, new: str, confirm: str):
        content = change_form(signed_in.open("/account/password"), current, new, confirm).content_of("Change")
        return signed_in.request("POST", "/account/password/everywhere", content, HX_Request="true")

    wrong = asked(WRONG, "short", "other")
    assert (wrong.status, wrong.headers["HX-Retarget"], wrong.headers["HX-Reswap"]) == (422, "#password", "outerMorph")
    assert len(wrong.errors) == 3
    question = asked(PASSWORD, NEW, NEW)
    assert (question.status, question.headers.get("HX-Retarget")) == (200, None)
    assert "You will be signed out of 1 browser: this one." in words(question.tree)
    assert opens(settings, anna, PASSWORD)
    assert sessions.exists(WebSession.get())


LISTED = (
    *("Password1!", "Boris@example1", "Luca-Bridge-77-xq", "Anna-Bridge-77-xq", "Bridge-77-xq-Keller", "Vu7!kqzw"),
    *("short", "nodigitsnocapitals", "Example7!", "Zébre-Grün-8", "Vu7!kqz\u200bw", "A-7" + "x" * 126, "Vu7 kqzw "),
    *(
        "garden wolf paper",
        "Correct-Horse-8",
        "QWERTYuiop1!",
        "abcd-efgh-jkmn-pqrs-tuvw-xyza-bc",
        "a",
        "mailcreated5240",
    ),
)


@pytest.mark.parametrize("name", policy.POLICIES)
def test_the_list_says_what_is_decided(signed_in, name):
    """Every line met, and only then the password is accepted: not one that decides is missing, and none is idle."""
    Service.update(password_policy=name).execute()
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    found = {}
    for typed in LISTED:
        content = {"csrf_token": token, "new_password": typed}
        lines = signed_in.post("/account/password/check", content).tree.findall(".//li")
        content |= {"current_password": PASSWORD, "confirm_password": typed}
        answer = signed_in.request("POST", "/account/password/everywhere", list(content.items()), HX_Request="true")
        found[typed] = [line.get("class") for line in lines] == ["met"] * len(lines), answer.status
    contradictions = {typed: both for typed, both in found.items() if both not in {(True, 200), (False, 422)}}
    assert not contradictions
    assert len(set(found.values())) == 2


def test_the_meter_does_not_contradict_the_decision(signed_in, anna):
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]

    def meter(typed: str) -> str:
        answer = signed_in.post("/account/password/check", {"csrf_token": token, "new_password": typed})
        return words(answer.tree.find(".//*[@class='strength']"))

    assert "Not accepted yet" in meter("Anna-Bridge-77-xq")
    assert "Very strong" in meter("Olaf-Bridge-77-xq")
    assert "Accepted, but easy to guess" in meter("Abcdefg1!")


@pytest.mark.parametrize(
    "current", [["x", PASSWORD], {"current_password[]": PASSWORD}, {"current_password[0]": PASSWORD}, {}]
)
def test_a_current_password_in_another_shape_is_wrong(signed_in, settings, anna, current):
    content = dict(change_form(signed_in.open("/account/password"), "", NEW).content_of("Change"))
    del content["current_password"]
    content |= current if isinstance(current, dict) else {"current_password": current}
    page = signed_in.post("/account/password", content)
    assert page.status == 422
    assert opens(settings, anna, PASSWORD)


def test_json_is_no_form(signed_in, settings, anna):
    page = signed_in.post("/account/password", b'{"current_password": true}', Content_Type="application/json")
    assert page.status == 400
    assert opens(settings, anna, PASSWORD)


@pytest.mark.parametrize("new", ["{PLAIN}x-Xyz9", "' OR 1=1; Or'--", "Vu7😀kqzw", "Zébre-Grün-8", "  Vu7 kqzw"])
def test_an_unusual_password_opens_the_next_time(signed_in, anna, new_client, new):
    change_form(signed_in.open("/account/password"), PASSWORD, new).press("Change")
    assert new_client().sign_in(anna.login, new).title == "Overview"


@pytest.mark.parametrize(
    ("new", "named"),
    [
        ("Ze\u0301bre-Grun-8", "U+0065 U+0301"),
        ("Vu7\u00a0kqzwxy", "U+00A0"),
        ("Vu7\u3000kqzwxy", "U+3000"),
        ("Vu7 kqzwxy ", "U+0020"),
        ("Vu7\u200bkqzwxy", "U+200B"),
    ],
    ids=ascii,
)
def test_page_and_checklist_name_what_mail_programs_do_not_send_as_it_was_typed(signed_in, settings, anna, new, named):
    page = change_form(signed_in.open("/account/password"), PASSWORD, new).press("Change")
    assert named in page.error_of("New password")
    assert opens(settings, anna, PASSWORD)
    token = dict(page.content_of("Change"))["csrf_token"]
    answer = signed_in.post("/account/password/check", {"csrf_token": token, "new_password": new})
    assert [named in words(line) for line in answer.tree.findall(".//li")].count(True) == 1


def test_a_second_tab_with_the_old_form_is_told(signed_in, settings, anna):
    first, second = signed_in.open("/account/password"), signed_in.open("/account/password")
    change_form(first).press("Change")
    page = change_form(second, PASSWORD, "Third-Garden-9").press("Change")
    assert page.error_of("Current password")
    assert opens(settings, anna, NEW)


def test_a_second_tab_after_signing_in_anew_is_told(signed_in, settings, anna):
    old = signed_in.open("/account/password")
    signed_in.open("/account/password").press("Sign out")
    signed_in.sign_in(anna.login, PASSWORD)
    page = change_form(old).press("Change")
    assert page.status == 400
    assert page.text
    assert opens(settings, anna, PASSWORD)


def test_guessing_in_a_stolen_session_is_told_to_wait(signed_in, settings, anna):
    pages = [change_form(signed_in.open("/account/password"), WRONG).press("Change") for _ in range(6)]
    assert [page.status for page in pages] == [422] * 5 + [429]
    assert pages[5].error_of("Current password")


@pytest.mark.parametrize("name", policy.POLICIES)
def test_the_page_shows_the_rules_of_the_service(signed_in, anna, name):
    Service.update(password_policy=name).execute()
    page = signed_in.open("/account/password")
    for rule in policy.rules(name, ""):
        assert str(rule) in page.text


@pytest.mark.parametrize("typed", ["", "short", NEW, "\0", "x" * 5000, "<b>", "{{7*7}}", "\u202e"])
def test_what_is_typed_is_judged_and_not_repeated(signed_in, typed):
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    if len(typed) > 3:
        signed_in.secrets.add(typed)
    answer = signed_in.post("/account/password/check", {"csrf_token": token, "new_password": typed})
    assert answer.status == 200
    assert answer.tree.find(".//li") is not None


def test_whoever_asks_all_the_time_gets_the_rules_without_the_meter(app, signed_in, new_client, boris):
    app.extensions["strength budget"] = password_strength.Budget(5, lambda: 0)

    def meters(browser, times):
        token = dict(browser.open("/account/password").content_of("Change"))["csrf_token"]
        for number in range(times):
            typed = {"csrf_token": token, "new_password": f"i{number}" * 36}
            answer = browser.post("/account/password/check", typed)
            assert answer.tree.find(".//li") is not None
            yield answer.tree.find(".//*[@class='strength']") is not None

    assert list(meters(signed_in, 8)) == [True] * 5 + [False] * 3
    other = new_client()
    other.sign_in(boris.login, PASSWORD)
    assert list(meters(other, 2)) == [True, True]


def test_what_a_page_asks_on_its_own_neither_keeps_a_session_alive_nor_leads_away(signed_in, clock):
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    content = {"csrf_token": token, "new_password": NEW}
    clock.pass_by(sessions.PERSON.idle - 1)
    assert signed_in.post("/account/password/check", content, HX_Request="true").status == 200
    clock.pass_by(1)
    answer = signed_in.post("/account/password/check", content, HX_Request="true")
    assert (answer.status, answer.response.data, answer.headers.get("HX-Redirect")) == (204, b"", None)
    assert not answer.headers.getlist("Set-Cookie")
    assert signed_in.open("/account/password").flashes == []


def test_suggestions_are_fresh_and_accepted(signed_in, anna):
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    suggested = [signed_in.post("/account/password/suggestion", {"csrf_token": token}).text for _ in range(3)]
    assert len(set(suggested)) == 3
    assert all(policy.accepted(anna, each) for each in suggested)


def test_htmx_gets_fragments_and_everybody_else_pages(signed_in):
    fragment = signed_in.request("GET", "/account/password/everywhere", HX_Request="true")
    assert fragment.tree.find(".//html") is None
    assert fragment.tree.find(".//h2") is not None
    assert signed_in.open("/account/password/everywhere").path == "/account/password"
    done = change_form(signed_in.open("/account/password"))
    reply = signed_in.request("POST", "/account/password", done.content_of("Change"), HX_Request="true")
    assert (reply.status, reply.tree.find(".//html")) == (200, None)
    done = change_form(signed_in.open("/account/password"), NEW, "Third-Garden-9")
    reply = signed_in.request("POST", "/account/password", done.content_of(EVERYWHERE), HX_Request="true")
    assert (reply.status, reply.headers["HX-Redirect"]) == (204, "/sign-in")


@pytest.mark.parametrize(
    "address",
    [
        "/sign-in",
        "/account/sessions",
        "/account/activity",
        "/account/preferences",
        "/account/password",
        "/forgotten-password",
        "/confirm-password",
    ],
)
def test_htmx_asking_for_a_page_gets_an_answer(signed_in, client, address):
    assert signed_in.request("GET", address, HX_Request="true").status in (200, 204)


# --- sessions ---


def test_every_browser_is_listed_and_can_be_ended(signed_in, anna, new_client):
    other = new_client(address="2001:db8::7", user_agent="Mozilla/5.0 (iPhone) Safari/605")
    other.sign_in(anna.login, PASSWORD)
    page = signed_in.open("/account/sessions")
    assert "2001:db8::7" in page.text
    (button,) = [text for text in page.buttons if "2001:db8::7" in text]
    assert page.press(button).flashes
    assert other.open("/account/password").title == "Sign in"
    assert signed_in.open("/account/password").title == "Password"


def test_ending_this_browser_signs_it_out(signed_in):
    page = signed_in.open("/account/sessions")
    (button,) = [text for text in page.buttons if "192.0.2.1" in text]
    assert page.press(button).title == "Sign in"


def test_anothers_session_is_not_there(signed_in, boris):
    his, _ = sessions.start(boris, "192.0.2.9", "")
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    for number in (his.id, 0, 10**30):
        assert signed_in.post(f"/account/sessions/{number}/end", {"csrf_token": token}).status == 404
    assert sessions.living(boris) == [his]
    assert "192.0.2.9" not in signed_in.open("/account/sessions").text


def test_mail_programs_are_listed_and_can_be_ended(signed_in, anna, boris, mail_server):
    his = Connection(boris.login, "imap", "198.51.100.7")
    mail_server.connected = [
        Connection(anna.login, "imap", "198.51.100.7", 2),
        Connection(anna.login, "pop3", "2001:db8::9"),
        his,
    ]
    page = signed_in.open("/account/sessions")
    (button,) = [text for text in page.buttons if "198.51.100.7" in text]
    page.press(button)
    assert [each.address for each in mail_server.connected] == ["2001:db8::9", "198.51.100.7"]
    page = signed_in.open("/account/sessions").follow("End all others").press("End all others")
    assert page.path == "/account/sessions"
    assert mail_server.connected == [his]


def test_when_the_mail_server_is_down_the_page_says_so(signed_in, mail_server):
    up = signed_in.open("/account/sessions").text
    mail_server.is_down = True
    assert signed_in.open("/account/sessions").text != up


def test_ending_the_programs_of_no_address_is_refused(signed_in, mail_server, anna):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    for address in ("", "*", "198.51.100.0/24", "x" * 9999, "\0"):
        signed_in.post("/account/sessions/programs/end", {"csrf_token": token, "address": address})
    assert len(mail_server.connected) == 1
    assert not [event for event in AuditEvent.of(anna) if len(event.details.get("from_address", "")) > 45]


@pytest.mark.parametrize("number", ["-1", "2147483648", "9" * 5000, "d1"])
def test_ending_the_programs_of_a_device_that_cannot_be_is_refused(signed_in, mail_server, anna, number):
    mail_server.connected = [Connection(anna.login, "imap", "198.51.100.7")]
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    content = {"csrf_token": token, "address": "198.51.100.7", "device_id": number}
    assert signed_in.post("/account/sessions/programs/end", content).status == 400
    assert len(mail_server.connected) == 1


@pytest.mark.parametrize("agent", ["<script>alert(1)</script>", "x" * 9000, "{{7*7}}%s", "\u202eé", ""])
def test_a_hostile_browsers_name_is_text(new_client, anna, agent):
    client = new_client(user_agent=agent)
    client.sign_in(anna.login, PASSWORD)
    for address in ("/account/sessions", "/account/activity"):
        page = client.open(address)
        assert page.status == 200
        assert page.tree.find(".//main//script") is None


# --- activity ---


def test_one_sees_ones_own_events_only(signed_in, anna, boris):
    AuditEvent.create(action="test:thing:own", account=anna, mailbox=anna.mailbox)
    AuditEvent.create(action="test:thing:foreign", account=boris, mailbox=boris.mailbox)
    page = signed_in.open("/account/activity")
    assert "test:thing:own" in page.text
    assert "test:thing:foreign" not in page.text


def test_older_events_are_on_further_pages(signed_in, anna):
    for number in range(70):
        AuditEvent.create(action=f"test:number:{number}-", account=anna, mailbox=anna.mailbox)
    page, seen = signed_in.open("/account/activity"), ""
    while "Older" in page.links:
        seen += page.text
        page = page.follow("Older")
    seen += page.text
    assert all(f"test:number:{number}-" in seen for number in range(70))


@pytest.mark.parametrize("before", ["x", "-1", "0", "9" * 30, "1e3", "١٢", "1;--", ""])
def test_a_made_up_page_of_events_is_some_page(signed_in, before):
    assert signed_in.open(f"/account/activity?before={before}").status == 200


# --- preferences and languages ---


def test_preferences_are_kept(signed_in, anna):
    page = signed_in.open("/account/preferences")
    page.fill({"Language": "it", "Time zone": "Europe/Rome"}).press("Save")
    saved = Account.get_by_id(anna.id)
    assert (saved.language, saved.timezone) == ("it", "Europe/Rome")
    assert signed_in.open("/account/password", Accept_Language="es").tree.find("html").get("lang") == "it"


def test_utc_itself_can_be_chosen(signed_in, anna):
    signed_in.open("/account/preferences").fill({"Time zone": "UTC"}).press("Save")
    assert Account.get_by_id(anna.id).timezone == "UTC"


@pytest.mark.parametrize(
    ("language", "timezone"), [("zz", ""), ("", "Mars/Base"), ("../../etc", ""), ("", "../UTC"), ("en" * 50, "")]
)
def test_preferences_that_there_are_not_are_refused(signed_in, anna, language, timezone):
    token = dict(signed_in.open("/account/password").content_of("Change"))["csrf_token"]
    page = signed_in.post("/account/preferences", {"csrf_token": token, "language": language, "timezone": timezone})
    assert page.status == 422
    saved = Account.get_by_id(anna.id)
    assert (saved.language, saved.timezone) == ("", "")


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("it", "it"),
        ("ru-RU,ru;q=0.9", "ru"),
        ("tr;q=0.5, es;q=0.8", "es"),
        ("fi", "en"),
        ("", "en"),
        ("\\x,;;q=z", "en"),
        ("*", "en"),
    ],
)
def test_the_browsers_language_is_spoken(client, anna, asked, spoken):
    assert client.open("/sign-in", Accept_Language=asked).tree.find("html").get("lang") == spoken


def test_a_language_from_another_time_does_no_harm(signed_in, anna):
    Account.update(language="zz", timezone="Europe/Rome").execute()
    assert signed_in.open("/account/activity").status == 200


def test_managers_without_a_mailbox_have_the_same_pages(client, manager):
    client.sign_in(manager.login, PASSWORD)
    for address in ("/account/password", "/account/sessions", "/account/activity", "/account/preferences"):
        assert client.open(address).status == 200
    assert change_form(client.open("/account/password")).press(EVERYWHERE).title == "Sign in"


def test_pages_tell_nobody_else_what_was_changed(signed_in, anna, boris, new_client):
    change_form(signed_in.open("/account/password")).press("Change")
    his = new_client()
    his.sign_in(boris.login, PASSWORD)
    assert anna.login not in his.open("/account/activity").text


@pytest.mark.parametrize(("policy", "length"), [("classic", "8"), ("either", "15"), ("modern", "15")])
def test_password_managers_are_told_the_policy_of_the_service(signed_in, people, policy, length):
    people.service.password_policy = policy
    people.service.save()
    (field,) = signed_in.open("/account/password").tree.findall(".//input[@name='new_password']")
    assert field.get("passwordrules").startswith(f"minlength: {length};")
