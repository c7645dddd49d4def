"""What holds for every address: who gets in, where forms may come from, what answers carry, how failures read."""

import dataclasses
from email.message import EmailMessage

import pytest
from flask import Flask
from peewee import OperationalError

import adapters
import app as composition
import database as db
import models
from actions.sessions import links
from lab.installation import environment_of
from models import Account, WebSession
from settings import Settings
from tests.blueprints.conftest import change_form
from tests.client import Client
from tests.conftest import PASSWORD, app_of, ports_of

PUBLIC = {
    "home", "static", "panel.health", "panel.asset", "sign_in.sign_in", "sign_in.enter", "sign_in.forgotten",
    "sign_in.send_link", "demo.outbox", "demo.attachment", "panel.choose_language",
    "password_changes.report",
}  # fmt: skip
PUBLIC_BLUEPRINTS = {"links", "discovery", "handoff", "mail_policy", "set_up", "webmail"}
# Where a form's token is not asked for, but what a webmail signed, or Dovecot's key.
SIGNED = ("handoff.arrive", "webmail.", "mail_policy.")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def addresses(app: Flask):
    """Every rule with something in the place of its variables."""
    for rule in app.url_map.iter_rules():
        values = {name: "suspend" if name == "action" else "1" for name in rule.arguments}
        with app.test_request_context():
            yield (
                rule.endpoint,
                app.url_map.bind("127.0.0.1").build(rule.endpoint, values, method=next(iter(rule.methods))),
            )


def is_public(endpoint: str) -> bool:
    return endpoint in PUBLIC or endpoint.split(".")[0] in PUBLIC_BLUEPRINTS


def everything():
    return {table: list(table.select().dicts()) for table in models.TABLES if table is not models.Attempts}


# --- who gets in ---


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_gets_public_pages_and_otherwise_the_way_in(app, client, anna, method):
    before = everything()
    asked = 0
    for endpoint, address in addresses(app):
        answer = client.request(method, address)
        asked += 1
        if not is_public(endpoint):
            to_sign_in = answer.status == 303 and answer.headers["Location"].startswith("/sign-in?next=")
            # What a page asks on its own leads nobody away from it.
            to_sign_in |= answer.status == 204 and app.view_functions[endpoint].access.background
            assert to_sign_in or answer.status == 405 or (method == "OPTIONS" and answer.status == 303), (
                method,
                address,
            )
        assert answer.status < 500
        assert anna.login not in answer.response.text
    assert asked > 15
    assert everything() == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_changes_nothing(app, signed_in, method):
    before = everything()
    for _, address in addresses(app):
        assert signed_in.request(method, address).status < 500
    assert everything() == before


def test_nothing_is_there_that_nobody_made(client):
    for address in ("/nothing", "/.env", "/static/../settings.py", "/assets/app.css", "/%00", "/account//password"):
        assert client.request("GET", address).status in (301, 308, 400, 404)


# --- where a form may come from ---


# A form for the password that is out of date leads on: to the page asked for, or to the form once more.
LED_ON = {"/sign-in": 303, "/forgotten-password": 422, "/confirm-password": 303}


@pytest.mark.parametrize("csrf_token", [None, "", "x", "IjAwMCI.x.y"])
def test_a_form_without_its_token_changes_nothing(app, signed_in, csrf_token):
    content = {} if csrf_token is None else {"csrf_token": csrf_token}
    before = everything()
    for endpoint, address in addresses(app):
        answer = signed_in.request("POST", address, content | {"next": "/"})
        allowed = (403, 405) if endpoint.startswith(SIGNED) else (400, 404, 405, 410)
        assert answer.status in (*allowed, LED_ON.get(address)), address
    assert everything() == before


def test_anothers_token_is_no_token(signed_in, new_client, boris, anna):
    his = new_client()
    assert his.sign_in(boris.login, PASSWORD).title == "Overview"
    foreign = dict(change_form(his.open("/account/password")).content_of("Change"))
    assert signed_in.post("/account/password", foreign).status == 400
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_a_visitors_token_is_no_token_after_signing_in(client, anna):
    token = dict(client.open("/sign-in").content_of("Sign in"))["csrf_token"]
    client.sign_in(anna.login, PASSWORD)
    assert client.post("/sign-out", {"csrf_token": token}).status == 400
    assert WebSession.select().count() == 1


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "none, cross-site"])
def test_a_form_from_another_site_changes_nothing_even_with_its_token(app, signed_in, site, anna):
    page = change_form(signed_in.open("/account/password"))
    token = dict(page.content_of("Change"))["csrf_token"]
    assert page.press("Change", Sec_Fetch_Site=site).status == 403
    for _, address in addresses(app):
        assert signed_in.post(address, {"csrf_token": token}, Sec_Fetch_Site=site).status == 403
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:8123", "file://"]
)
def test_a_form_that_another_origin_sends_changes_nothing(signed_in, anna, origin):
    assert change_form(signed_in.open("/account/password")).press("Change", Origin=origin).status == 403
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_browsers_that_name_this_site_are_heard(signed_in, settings):
    page = change_form(signed_in.open("/account/password"))
    assert page.press("Change", Origin=settings.origin, Sec_Fetch_Site="same-origin").flashes


def test_a_method_in_a_header_or_field_is_no_method(signed_in):
    for headers in ({"X_HTTP_Method_Override": "POST"}, {"X_HTTP_Method": "POST"}, {"X_Method_Override": "DELETE"}):
        signed_in.request("GET", "/sign-out?_method=POST", **headers)
    assert WebSession.select().count() == 1


# --- what every answer carries ---


def answers(client: Client, settings: Settings, account: Account):
    reset = links.address(settings, links.RESET, links.create(account, links.RESET)).removeprefix(settings.base_url)
    page = client.open("/sign-in")
    yield page
    for element in page.tree.iter():
        address = element.get("href") or element.get("src") or ""
        if address.startswith(("/assets/", "/static/")):
            yield client.request("GET", address)
    for address in (
        "/",
        "/nothing",
        "/healthz",
        "/account/password",
        reset,
        "/links/not-me/x",
        "/outbox",
        "/assets/nothing",
    ):
        yield client.request("GET", address)
    yield client.request("POST", "/sign-in", {"x": "1"})
    yield client.request("POST", "/sign-in", b"x" * 10_000_000)
    yield client.request("POST", "/sign-in", b"{}", Content_Type="application/json")
    yield client.request("DELETE", "/sign-in")
    yield client.request("POST", "/sign-in", {}, Sec_Fetch_Site="cross-site")


@pytest.mark.parametrize("origins", ["", "https://mail.example.org, https://webmail.example.net:8443"])
def test_no_frame_shows_what_was_not_asked_for_a_frame(environment, anna, mail_server, mailer, origins):
    settings = Settings.load(environment | {"POSTERN_WEBMAIL_ORIGINS": origins})
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    seen = set()
    for answer in answers(client, settings, anna):
        policy = [part.strip() for part in answer.headers["Content-Security-Policy"].split(";")]
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "Server" not in answer.headers
        seen.add(answer.status)
    assert {200, 303, 400, 403, 404, 405, 410, 413} <= seen


def test_every_answer_has_a_nonce_of_its_own(client):
    policies = {client.open("/sign-in").headers["Content-Security-Policy"] for _ in range(5)}
    assert len(policies) == 5


@pytest.mark.parametrize(
    ("changes", "prefix", "attributes"),
    [
        ({}, "postern", {"Path=/", "HttpOnly", "SameSite=Lax"}),
        (
            {"POSTERN_BASE_URL": "https://account.example.org"},
            "__Host-postern",
            {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"},
        ),
        (
            {"POSTERN_BASE_URL": "https://account.example.org", "POSTERN_CROSS_SITE": "yes"},
            "__Host-postern",
            {"Path=/", "HttpOnly", "SameSite=None", "Secure", "Partitioned"},
        ),
    ],
    ids=["loopback", "https", "cross-site"],
)
def test_cookies_are_bound_as_tightly_as_can_be(environment, anna, mail_server, mailer, changes, prefix, attributes):
    settings = Settings.load(environment | changes)
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    form = client.request("GET", "/sign-in").fill({"E-mail address": anna.login, "Password": PASSWORD})
    content = form.content_of("Sign in")
    referer = {"Referer": f"{settings.base_url}/sign-in"}
    signed_in = client.request("POST", "/sign-in", content, **referer)
    assert signed_in.status == 303
    page = client.request("GET", "/account/password")
    signed_out = client.request("POST", "/sign-out", page.content_of("Sign out"), **referer)
    set_cookies = [each for answer in (form, signed_in, signed_out) for each in answer.headers.getlist("Set-Cookie")]
    names = set()
    for cookie in set_cookies:
        name, *rest = [part.strip() for part in cookie.split(";")]
        names.add(name.partition("=")[0])
        assert {part for part in rest if not part.startswith(("Expires", "Max-Age"))} == attributes
    assert names == {f"{prefix}-{kind}" for kind in ("session", "visitor", "browser")}
    assert ("Strict-Transport-Security" in page.headers) == settings.is_https


def test_without_trusted_proxies_nobody_says_where_they_come_from(client, anna):
    client.open("/sign-in", X_Forwarded_For="203.0.113.66")
    page = client.open("/sign-in").fill({"E-mail address": anna.login, "Password": PASSWORD})
    page.press("Sign in", X_Forwarded_For="203.0.113.66", Forwarded="for=203.0.113.66")
    assert WebSession.get().address == "192.0.2.1"


def test_behind_a_trusted_proxy_its_word_counts(environment, anna, mail_server, mailer):
    settings = Settings.load(environment | {"POSTERN_PROXIES": "1"})
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    page = client.open("/sign-in").fill({"E-mail address": anna.login, "Password": PASSWORD})
    page.press("Sign in", X_Forwarded_For="198.51.100.1, 203.0.113.66")
    assert WebSession.get().address == "203.0.113.66"


# --- how failures read ---


def test_too_much_is_refused_in_a_sentence(signed_in):
    for address in ("/sign-in", "/account/password", "/account/password/check", "/forgotten-password"):
        page = signed_in.post(
            address, b"new_password=" + b"x" * 10_000_000, Content_Type="application/x-www-form-urlencoded"
        )
        assert page.status == 413
        assert page.tree.find(".//main//p") is not None


def test_an_unforeseen_failure_reads_like_a_page(app, client, monkeypatch):
    def fail(**_):
        raise RuntimeError("a secret detail")

    monkeypatch.setitem(app.view_functions, "sign_in.forgotten", fail)
    fail.access = composition.guards.Access(signed_in=False)
    page = client.open("/forgotten-password")
    assert page.status == 500
    assert "a secret detail" not in page.text


@pytest.fixture
def down(monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("(2003, \"Can't connect to 'db.internal' as secret-user\")")

    def go_down():
        db.database.close()
        monkeypatch.setattr(db.database.obj, "_connect", refuse)

    return go_down


def test_without_the_database_every_page_says_so(app, signed_in, down):
    page = change_form(signed_in.open("/account/password"))
    down()
    late = page.press("Change")
    assert (late.status, late.title) == (503, "Not available")
    assert int(late.headers["Retry-After"]) > 0
    for address in ("/account/password", "/account/sessions", "/links/password/x"):
        answer = signed_in.request("GET", address)
        assert answer.status == 503
        assert answer.text
        assert "db.internal" not in answer.response.text
    assert signed_in.request("GET", "/healthz").status == 503


def test_without_the_database_a_stranger_is_told_too(client, down, anna):
    page = client.open("/sign-in").fill({"E-mail address": anna.login, "Password": PASSWORD})
    down()
    assert page.press("Sign in").status == 503
    assert client.request("GET", "/healthz").status == 503


def test_health_is_ok_once_the_database_is_migrated(client, tmp_path, mail_server, mailer):
    answer = client.request("GET", "/healthz")
    assert (answer.status, answer.response.text.strip()) == (200, "ok")
    settings = Settings.load(environment_of(tmp_path / "new", f"sqlite:///{tmp_path / 'new.db'}"))
    fresh = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    assert fresh.request("GET", "/healthz").status == 503
    db.router().run()
    assert fresh.request("GET", "/healthz").status == 200


# --- the demo ---


def test_outgoing_mail_is_shown_in_the_demo_only(client, tmp_path, database):
    assert client.request("GET", "/outbox").status == 404
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    environment = environment_of(
        tmp_path / "demo", url, POSTERN_DEMO="yes", POSTERN_DOVEADM_URL="", POSTERN_SMTP_URL=""
    )
    settings = Settings.load(environment)
    ports = adapters.build(settings)
    app = app_of(settings, ports)
    demo = Client(app, settings.base_url, "127.0.0.1")
    db.router().run()
    message = EmailMessage()
    message["Subject"], message["To"] = "<b>Hello</b>", "anna@example.org"
    message.set_content("<script>alert(1)</script> http://127.0.0.1/x")
    ports.mailer.send(message.as_bytes(), "anna@example.org")
    page = demo.open("/outbox")
    assert "<b>Hello</b>" in page.text
    assert page.links["http://127.0.0.1/x"]
    assert Client(app, settings.base_url, "192.0.2.1").request("GET", "/outbox").status == 404
    with_server = dataclasses.replace(settings, smtp_url="smtp://127.0.0.1:1")
    assert (
        Client(app_of(with_server, adapters.build(with_server)), settings.base_url).request("GET", "/outbox").status
        == 404
    )
