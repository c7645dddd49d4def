"""The requests of a webmail's server."""

import json

import pytest
from flask import Flask

from postern.models import AuditEvent, Webmail, WebmailCredential, WebSession
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

CREDENTIALS, STATE = "/webmail/credentials", "/webmail/credentials/state"


class Server:
    """A webmail's server, which asks Postern."""

    def __init__(self, app: Flask, webmail: SigningWebmail):
        self._client, self.webmail = app.test_client(), webmail

    def ask(self, method: str, path: str, asked: object, bearer: str | None = None):
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        headers = {"Authorization": f"Bearer {bearer or self.webmail.bearer(body)}"}
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
    assert answer.json["user"] == anna.login
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
