"""Who may show an answer in a frame: for a signed-in person only the webmail that began that very session."""

from collections.abc import Iterator

import pytest
from peewee import OperationalError

import database as db
from actions.ground.actor import OPERATOR
from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import sessions
from actions.webmails import webmails
from models import Account, Webmail, WebSession
from settings import Settings
from tests.blueprints.test_authority_matrix import World, address_of, build_world, routes
from tests.client import Client, Page
from tests.conftest import PASSWORD, app_of, ports_of
from tests.signing import ORIGIN, SigningWebmail

OTHER = "https://other.example.com"
IN_FRAME, IN_TAB = "iframe", "document"
# What a frame shows of a visitor's: why nobody is signed in there. Whatever asks for a sign-in only leads there.
SHOWN_TO_VISITORS = {"home", "sign_in.sign_in", "handoff.arrive", "handoff.arrived"}
WITHOUT_SESSION = {"static", "panel.asset", "panel.health", "mail_policy.answer"}


@pytest.fixture
def environment(environment):
    return environment | {"POSTERN_WEBMAIL_ORIGINS": f"{ORIGIN} {OTHER}"}


@pytest.fixture
def webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports)


@pytest.fixture
def other_webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports, OTHER)


@pytest.fixture
def world(ports, settings, webmail, other_webmail) -> World:
    operator = Account.create(login="operator@example.org", role=Account.OPERATOR)
    return build_world(ports, settings, "here", operator)


def framers(headers) -> str:
    """The origins that may frame an answer, as both headers tell browsers; they have to agree."""
    (ancestors,) = [
        part.partition(" ")[2]
        for part in headers["Content-Security-Policy"].split("; ")
        if part.startswith("frame-ancestors ")
    ]
    assert headers.get("X-Frame-Options") == ("DENY" if ancestors == "'none'" else None)
    return ancestors


def session_of(account: Account, webmail: Webmail | None = None) -> str:
    """The token of a session that this webmail began, or the account's password."""
    begun_by = {"webmail": webmail, "webmail_session": "session-1"} if webmail else {}
    session, token = sessions.start(account, "192.0.2.1", "", **begun_by)
    if webmail:
        frame = {"origin": webmail.origin, "theme": "auto", "language": ""}
        WebSession.update(data={"frame": frame}).where(WebSession.id == session.id).execute()
    return token


def ask(app, method: str, address: str, token: str | None, destination: str):
    """The answer's headers; whatever it did is undone."""
    browser = app.test_client()
    if token:
        browser.set_cookie(app.session_interface.session_cookie, token, domain="127.0.0.1")
    with db.database.atomic() as undone:
        answer = browser.open(
            address, method=method, base_url="http://127.0.0.1:8123", headers={"Sec-Fetch-Dest": destination}
        )
        answer.get_data()
        undone.rollback()
    return answer.headers


def expected(app, endpoint: str, destination: str, session: str, ended: bool) -> str:
    """Who may frame the answer to this session of Anna's, a manager's, or nobody's."""
    if endpoint in WITHOUT_SESSION:
        return "'none'"
    if session in (ORIGIN, OTHER) and not ended:
        return session
    if session != "nobody" and not ended:
        return "'none'"
    leads_to_sign_in = app.view_functions[endpoint].access.signed_in
    is_shown = endpoint in SHOWN_TO_VISITORS or leads_to_sign_in
    return f"{ORIGIN} {OTHER}" if destination == IN_FRAME and is_shown else "'none'"


def asked(app, world: World, webmail, other_webmail) -> Iterator[tuple]:
    anna = world.accounts["person"]
    tokens = {
        "nobody": None,
        "own": session_of(anna),
        ORIGIN: session_of(anna, webmail.row),
        OTHER: session_of(anna, other_webmail.row),
        "manager": session_of(world.accounts["owner"]),
        "operator": session_of(world.accounts["operator"]),
    }
    for endpoint, method in routes(app):
        address = address_of(app, endpoint, method, world.values)
        for session, token in tokens.items():
            for destination in (IN_FRAME, IN_TAB, "empty"):
                yield endpoint, method, address, session, token, destination


def test_every_route_to_every_session(app, world, webmail, other_webmail):
    app.config["FORM_TOKENS"] = False
    wrong = {}
    for endpoint, method, address, session, token, destination in asked(app, world, webmail, other_webmail):
        headers = ask(app, method, address, token, destination)
        # A person who signs out is a visitor from then on.
        ended = endpoint == "sign_in.sign_out"
        if framers(headers) != expected(app, endpoint, destination, session, ended):
            wrong[endpoint, method, session, destination] = framers(headers)
    assert wrong == {}


def page_in_frame(client: Client, address: str) -> Page:
    return client.request("GET", address, Sec_Fetch_Dest=IN_FRAME)


def test_without_any_webmail_nothing_is_framed(environment, mail_server, mailer, anna):
    settings = Settings.load(environment | {"POSTERN_WEBMAIL_ORIGINS": ""})
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    for address in ("/", "/sign-in", "/devices/", "/handoff/arrived", "/nothing"):
        assert framers(page_in_frame(client, address).headers) == "'none'"


@pytest.fixture
def handed_over(client, webmail, anna) -> Client:
    """Anna, whom the webmail handed over into its frame."""
    content = {"token": webmail.handoff(anna.login), "next": "/devices/"}
    answer = client.request("POST", "/handoff", content, Origin=ORIGIN, Sec_Fetch_Dest=IN_FRAME)
    assert (answer.status, framers(answer.headers)) == (303, ORIGIN)
    return client


def test_the_webmail_shows_whom_it_handed_over_whatever_is_answered(handed_over):
    for address in ("/devices/", "/handoff/arrived?next=/devices/", "/nothing", "/services/", "/account/activity.csv"):
        assert framers(page_in_frame(handed_over, address).headers) == ORIGIN


def test_the_frame_has_the_webmails_language_and_theme(app, client, webmail, anna, settings):
    anna.write(theme=Account.DARK)
    client.set_cookie("postern-language", "ru")
    content = {"token": webmail.handoff(anna.login, locale="it_IT", theme="light"), "next": "/devices/"}
    client.request("POST", "/handoff", content, Origin=ORIGIN, Sec_Fetch_Dest=IN_FRAME)
    framed = page_in_frame(client, "/devices/").tree.find("html")
    assert (framed.get("data-theme"), framed.get("lang")) == ("light", "it")
    tab = client.open("/devices/", Sec_Fetch_Dest=IN_TAB).tree.find("html")
    assert (tab.get("data-theme"), tab.get("lang")) == ("dark", "ru")
    assert page_in_frame(client, "/").headers["Location"] == "/account/password"
    visitor = page_in_frame(Client(app, settings.base_url), "/sign-in")
    assert framers(visitor.headers) == f"{ORIGIN} {OTHER}"
    assert visitor.tree.find(".//footer") is None


LOOK = {"accent": "#37beff", "size": "14", "font": '"Lato", Roboto, sans-serif', "titled": "yes"}
LOOKS_LIKE_NONE = {
    "accent": ("", "red", "#fff", "#37beff;x", "#37beff\n", "url(//x)", "rgb(1, 2, 3)", "#३३३३३३"),
    "size": ("", "11.9", "20.1", "99", "-14", "14px", "1e1", "nan", "१४", "14;x", "14.0000000"),
    "font": ("", "Lato", "Roboto; x", "x}body{display:none}", "'Roboto\"x, y", "," * 600 + "Roboto"),
    "titled": ("", "no", "yes yes"),
}


def framed_look(client: Client, webmail: SigningWebmail, login: str, said: dict[str, str]) -> dict[str, str]:
    """What the page in the frame has of the webmail's look after a hand-off that said this."""
    content = {"token": webmail.handoff(login), "next": "/devices/"} | said
    client.request("POST", "/handoff", content, Origin=ORIGIN, Sec_Fetch_Dest=IN_FRAME)
    html = page_in_frame(client, "/devices/").tree.find("html")
    return {name: html.get(f"data-{name}") for name in LOOK if f"data-{name}" in html.attrib}


def test_the_frame_takes_over_the_webmails_look(client, webmail, anna):
    look = framed_look(client, webmail, anna.login, LOOK)
    assert look == {"accent": "#37beff", "size": "14", "font": "roboto", "titled": "yes"}
    headings = [page_in_frame(client, path).tree.find(".//h1").get("class") for path in ("/devices/", "/devices/new")]
    assert headings == ["visually-hidden", None]
    tab = client.open("/devices/", Sec_Fetch_Dest=IN_TAB).tree
    assert not {f"data-{name}" for name in LOOK} & set(tab.find("html").attrib)
    assert tab.find(".//h1").get("class") is None


@pytest.mark.parametrize("name", LOOKS_LIKE_NONE)
def test_what_could_be_more_than_a_look_counts_as_not_said(client, webmail, anna, name):
    rest = {other: value for other, value in LOOK.items() if other != name}
    for said in LOOKS_LIKE_NONE[name]:
        assert name not in framed_look(client, webmail, anna.login, rest | {name: said}), said


def test_a_hand_off_that_does_not_count_leaves_the_own_session_without_a_frame(signed_in):
    answer = signed_in.request("POST", "/handoff", {"token": "x"}, Origin=ORIGIN, Sec_Fetch_Dest=IN_FRAME)
    assert (answer.status, framers(answer.headers)) == (403, "'none'")


def test_a_webmail_that_is_not_listed_any_more_shows_nobody(handed_over, environment, mail_server, mailer, app):
    settings = Settings.load(environment | {"POSTERN_WEBMAIL_ORIGINS": OTHER})
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    for name, value in handed_over.cookies().items():
        client.set_cookie(name, value)
    page = page_in_frame(client, "/devices/")
    assert (page.status, framers(page.headers)) == (200, "'none'")


def test_the_frame_shows_a_manager_their_own_mailbox_and_nothing_of_a_managers(handed_over):
    Account.update(role=Account.ADMINISTRATOR).execute()
    assert framers(page_in_frame(handed_over, "/account/password").headers) == ORIGIN
    orders = page_in_frame(handed_over, "/services/")
    assert "sign-in" in orders.headers.get("Location", "") or orders.status == 404


def test_whoever_signs_in_by_password_after_a_hand_off_leaves_the_frame(handed_over, anna):
    token = dict(handed_over.open("/devices/", Sec_Fetch_Dest=IN_TAB).content_of("Sign out"))["csrf_token"]
    content = {"csrf_token": token, "login": anna.login, "password": PASSWORD}
    assert handed_over.request("POST", "/sign-in", content).status == 303
    assert framers(page_in_frame(handed_over, "/account/password").headers) == "'none'"


def test_after_the_webmail_is_forgotten_nobody_is_signed_in_its_frame(handed_over, ports):
    webmails.remove(UnitOfWork(ports, OPERATOR), ORIGIN)
    page = page_in_frame(handed_over, "/devices/")
    assert page.status == 303
    assert page_in_frame(handed_over, page.headers["Location"]).title == "Sign in"


def test_without_the_database_the_frame_says_so(handed_over, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("it is down")

    db.database.close()
    monkeypatch.setattr(db.database.obj, "_connect", refuse)
    page = page_in_frame(handed_over, "/devices/")
    assert (page.status, framers(page.headers)) == (503, f"{ORIGIN} {OTHER}")
