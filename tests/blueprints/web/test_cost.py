"""What a page costs: how often it asks the database, and how many calls it takes. Both are exact, whatever the machine.
They may fall; what makes one rise is looked at."""

import sys

from flask import url_for
from werkzeug.test import EnvironBuilder

from models import WebSession
from tests.client import Client
from tests.conftest import PASSWORD

# The most statements of a page that was asked for before. `_note_use` writes only every half minute.
STATEMENTS = {
    "/overview/": 7,
    "/account/password": 4,
    "/account/sessions": 4,
    "/account/activity": 3,
    "/account/preferences": 2,
    "/devices/": 5,
    "/devices/new": 1,
    "/collaborations/": 5,
}
# Of Python and of what it calls in C: 31,000 before queries and sentences were written once; a bare route of Flask has
# a few hundred.
PASSWORD_PAGE_CALLS = 3_750


def counted(client: Client, statements: list[str], addresses) -> dict[str, int]:
    found = {}
    for address in addresses:
        client.open(address)
        statements.clear()
        assert client.request("GET", address).status == 200
        found[address] = len(statements)
    return found


def test_how_often_a_persons_pages_ask_the_database(signed_in, statements):
    found = counted(signed_in, statements, STATEMENTS)
    assert {page: count for page, count in found.items() if count > STATEMENTS[page]} == {}


def test_nothing_is_asked_twice(signed_in, statements):
    for address in STATEMENTS:
        signed_in.open(address)
        statements.clear()
        signed_in.open(address)
        assert len(statements) == len(set(statements)), address


def test_how_many_calls_the_password_page_takes(app, signed_in, settings):
    cookies = "; ".join(f"{name}={value}" for name, value in signed_in.cookies().items())

    def asked() -> dict:
        asking = EnvironBuilder(path="/account/password", base_url=settings.base_url, headers={"Cookie": cookies})
        return asking.get_environ()

    assert calls_of(app, asked()) > calls_of(app, asked()), "the first compiles the templates"
    assert calls_of(app, asked()) <= PASSWORD_PAGE_CALLS


def test_what_is_kept_from_one_answer_to_the_next_is_nobodys(app, signed_in, new_client, anna, boris):
    """Addresses, sentences and pictures are kept, and nothing of a person or a session."""
    his = new_client()
    his.sign_in(boris.login, PASSWORD)
    for _ in range(2):
        hers = signed_in.open("/account/password").response.text
        page = his.open("/account/password", Accept_Language="it").response.text
        assert (anna.login in hers, boris.login in hers, anna.login in page, boris.login in page) == (1, 0, 0, 1)
        assert ("New password" in hers, "New password" in page) == (True, False)
    WebSession.delete().where(WebSession.account == anna).execute()
    assert signed_in.open("/account/password").title == "Sign in"
    assert boris.login in his.open("/account/password").response.text


def test_addresses_that_are_kept_are_those_of_where_the_panel_is(app, client):
    client.open("/sign-in")
    with app.test_request_context("/", base_url=f"{client.base_url}/mail"):
        assert url_for("account.password") == "/mail/account/password"
    with app.test_request_context("/"):
        assert url_for("account.password") == "/account/password"
        assert url_for("account.password", _anchor="change") == "/account/password#change"
        assert url_for("account.password", _external=True).startswith("http")


def calls_of(app, environ: dict) -> int:
    calls, answers = 0, []

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        page = b"".join(app(environ, lambda status, _headers: answers.append(status)))
    finally:
        sys.setprofile(None)
    assert answers == ["200 OK"]
    assert b"current_password" in page
    return calls
