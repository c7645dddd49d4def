"""The requests of a webmail's server."""

import json

import pytest
from flask import Flask

import doctor
from models import AuditEvent, Webmail, WebmailCredential, WebSession
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

CREDENTIALS, STATE, FALLBACKS = "/webmail/credentials", "/webmail/credentials/state", "/webmail/fallbacks"
# What each of them answers who asks nothing.
PURPOSES = {("POST", CREDENTIALS): 400, ("DELETE", CREDENTIALS): 204, ("POST", STATE): 200, ("POST", FALLBACKS): 400}


class Server:
    """A webmail's server, which asks Postern."""

    def __init__(self, app: Flask, webmail: SigningWebmail):
        self._client, self.webmail = app.test_client(), webmail

    def ask(self, method: str, path: str, asked: object, bearer: str | None = None):
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        headers = {"Authorization": f"Bearer {bearer or self.webmail.bearer(body, method, path)}"}
        return self._client.open(path, method=method, data=body, content_type="application/json", headers=headers)

    def sign_in(self, login: str, password: str = PASSWORD, address: str = "192.0.2.9", **named: str):
        asked = {"login": login, "password": password, "sid": "session-1", "address": address, "user_agent": "Firefox"}
        return self.ask("POST", CREDENTIALS, asked | named)


@pytest.fixture(params=[Webmail.EDDSA, Webmail.HS256])
def server(app, ports, request) -> Server:
    return Server(app, SigningWebmail(ports, algorithm=request.param))


def test_from_login_to_logout(server, anna):
    answer = server.sign_in(anna.login)
    assert answer.status_code == 201
    assert (answer.json["user"], answer.json["name"]) == (anna.login, f"{anna.first_name} {anna.last_name}".strip())
    assert answer.json["expires_at"] == WebmailCredential.get().expires_at
    asked = {"password": answer.json["password"]}
    assert server.ask("POST", STATE, asked).json == {"alive": True}
    assert [server.ask("DELETE", CREDENTIALS, asked).status_code for _ in range(2)] == [204, 204]
    assert server.ask("POST", STATE, asked).json == {"alive": False}
    assert WebSession.select().count() == 0


def test_it_never_opens_the_panel(server, anna, client):
    password = server.sign_in(anna.login).json["password"]
    assert client.sign_in(anna.login, password).title == "Sign in"


def test_whoever_is_wrong_hears_one_word(server, anna):
    answers = [server.sign_in(anna.login, "Wrong-Garden-1"), server.sign_in("nobody@example.org")]
    assert [(each.status_code, each.json) for each in answers] == [(401, {"error": "wrong"})] * 2
    assert server.sign_in(anna.login, address="nowhere").json == {"error": "address"}
    assert server.sign_in(anna.login, sid="").status_code == 400


def test_guesses_are_counted_by_the_persons_address(server, anna):
    answers = [server.sign_in(anna.login, "Wrong-Garden-1") for _ in range(7)]
    told_to_wait = next(answer for answer in answers if answer.status_code == 429)
    assert told_to_wait.json == {"error": "wait", "wait": int(told_to_wait.headers["Retry-After"])}
    assert server.sign_in(anna.login, address="198.51.100.9").status_code == 201


def refused(answer) -> bool:
    return (answer.status_code, answer.json) == (403, {"error": "signature"})


def test_a_request_counts_once_and_for_its_own_body(server, anna):
    body = json.dumps({"password": server.sign_in(anna.login).json["password"]}).encode()
    bearer = server.webmail.bearer(body)
    assert refused(server.ask("DELETE", CREDENTIALS, b'{"password": "another"}', bearer))
    assert server.ask("POST", STATE, body, bearer).status_code == 200
    assert refused(server.ask("DELETE", CREDENTIALS, body, bearer))
    assert server.ask("POST", STATE, body).json == {"alive": True}
    reasons = [
        event.details["reason"] for event in AuditEvent.select().where(AuditEvent.action == "webmail:request:refused")
    ]
    assert reasons == ["body", "replay"]


def test_what_is_not_signed_for_this_is_refused(server, anna):
    body = json.dumps({"login": anna.login, "password": PASSWORD}).encode()
    bearers = [
        "x",
        "a.b.c",
        server.webmail.handoff(anna.login),
        server.webmail.bearer(body, aud="https://elsewhere.example.org"),
        server.webmail.bearer(body, iss="https://other.example.com"),
        server.webmail.bearer(body, exp=1, iat=1, nbf=1),
        server.webmail.bearer(body, body=None),
        server.webmail.bearer(body, body="x"),
        server.webmail.bearer(b""),
    ]
    assert all(refused(server.ask("POST", CREDENTIALS, body, bearer)) for bearer in bearers)
    assert refused(server._client.post(CREDENTIALS, data=body))
    assert WebmailCredential.select().count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"7",
        b"null",
        b'{"password": 7}',
        b'{"password": ["x"]}',
        b'{"password": "\\ud800"}',
        b"[" * 9000,
    ],
)
def test_what_is_no_question_is_refused(server, body):
    assert refused(server.ask("POST", STATE, body))


def test_missing_answers_are_wrong_ones(server):
    assert server.ask("POST", STATE, {}).json == {"alive": False}
    assert server.ask("DELETE", CREDENTIALS, {}).status_code == 204
    assert server.ask("POST", CREDENTIALS, {}).status_code == 400


# --- what it is for ---


@pytest.mark.parametrize("asked", PURPOSES, ids=" ".join)
@pytest.mark.parametrize("signed_for", PURPOSES, ids=" ".join)
def test_a_request_counts_for_the_method_and_address_that_it_was_signed_for(server, asked, signed_for):
    answer = server.ask(*asked, {}, server.webmail.bearer(b"{}", *signed_for))
    assert answer.status_code == (PURPOSES[asked] if asked == signed_for else 403)
    noted = [details["reason"] for *_, details in trail("webmail:request:refused")]
    assert noted == ([] if asked == signed_for else ["purpose"])


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "post"},
        {"htm": None},
        {"htu": None},
        {"htu": STATE},
        {"htu": ["http://127.0.0.1:8123" + STATE]},
        {"htu": "https://elsewhere.example.org" + STATE},
    ],
    ids=repr,
)
def test_a_purpose_is_named_whole_or_not_at_all(server, changes):
    assert refused(server.ask("POST", STATE, {}, server.webmail.bearer(b"{}", "POST", STATE, **changes)))


def test_older_plugins_go_on_and_the_doctor_says_so(server, ports, clock):
    def is_told_of() -> bool:
        found = [finding.mend for finding in doctor.examine(ports) if finding.subject == server.webmail.origin]
        return any("Update its plugin" in mend for mend in found)

    server.ask("POST", STATE, {})
    assert not is_told_of()
    for asked, status in PURPOSES.items():
        answer = server.ask(*asked, {}, server.webmail.bearer(b"{}"))
        assert answer.status_code == (403 if asked == ("POST", FALLBACKS) else status)
    assert is_told_of()
    clock.pass_by(24 * 3600)
    assert not is_told_of()
    server.ask("POST", STATE, {}, server.webmail.bearer(b"{}"))
    assert is_told_of()


def test_junk_from_the_webmails_own_network_stops_none_of_its_requests(server, anna):
    forged = server.webmail.bearer(b"{}").rpartition(".")[0] + "." + "A" * 86
    answers = [server.ask("POST", STATE, {}, bearer).status_code for bearer in ("x.y.z", forged) for _ in range(120)]
    assert answers[:120] == [403] * 120
    assert 429 in answers
    assert server.sign_in(anna.login).status_code == 201


# --- what it reports afterwards ---


def told(server, number: int = 1, **named: str) -> int:
    facts = {"id": f"{number:032x}", "address": "198.51.100.9", "user_agent": "Firefox", "at": "1000000000"}
    return server.ask(
        "POST", FALLBACKS, facts | {"login": "anna@example.org", "outcome": "refused"} | named
    ).status_code


def trail(action: str = "webmail:session:unasked") -> list[tuple]:
    """What was written down of actions that begin like this."""
    events = AuditEvent.select().where(AuditEvent.action.startswith(action)).order_by(AuditEvent.id)
    return [(event.action, event.actor_login, event.account_login, event.address, event.details) for event in events]


def test_sign_ins_while_no_connection_could_be_made_are_written_down_afterwards(server, anna):
    assert [told(server), told(server, 2, login="Anna@example.org ", outcome="entered")] == [204, 204]
    details = {"webmail": server.webmail.origin, "happened_at": "2001-09-09 01:46:40 UTC"}
    assert trail() == [
        ("webmail:session:unasked-refused", "", anna.login, "198.51.100.9", details),
        ("webmail:session:unasked", anna.login, anna.login, "198.51.100.9", details),
    ]


def test_what_is_told_twice_is_written_down_once(server, anna):
    assert [told(server) for _ in range(3)] == [204] * 3
    assert len(trail()) == 1


def test_whatever_a_guesser_typed_it_is_written_down(server, anna, manager):
    typed = [
        {"login": "Secret-Garden-1"},
        {"login": manager.login},
        {"login": "\0"},
        {"login": "x" * 20000},
        {"address": "nowhere"},
        {"address": "9" * 200},
        {"user_agent": "\0" * 20000},
        {"at": "9" * 200},
        {"at": "-1"},
        {"at": "²"},
        {"at": "99999999999"},
        {"outcome": "x"},
    ]
    assert {told(server, number, **facts) for number, facts in enumerate(typed)} == {204}
    assert {account for _, _, account, _, _ in trail()} == {"", anna.login}
    assert len(trail()) == len(typed)
    assert "Secret-Garden-1" not in str([*AuditEvent.select().dicts()])
    assert told(server, id="1") == 400
