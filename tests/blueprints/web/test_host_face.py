"""The host's own face: colour, logo and links where the settings have them, and nothing of it where they do not."""

import pytest
from peewee import OperationalError

import database as db
from actions.sessions import links
from settings import PREFIX, Settings
from tests.blueprints.test_handoff import IN_FRAME, post
from tests.blueprints.test_links import path_of
from tests.client import Client
from tests.conftest import PASSWORD, app_of, ports_of
from tests.signing import ORIGIN, SigningWebmail

PHONE = "+39 06 123 45 67"
HOSTS = {
    "PRODUCT_NAME": "Example Mail",
    "ACCENT": "#7B1FA2",
    "ACCENT_DARK": "#e1bee7",
    "SUPPORT_URL": "https://help.example.org/mail",
    "SUPPORT_PHONE": PHONE,
    "WEBMAIL_URL": "https://webmail.example.org/",
    "IMPRINT_URL": "https://example.org/imprint",
    "PRIVACY_URL": "https://example.org/privacy",
}
OUR_TROUBLE = "Something is wrong on our side. Your data is safe: try again in a minute."
# As an attacker would draw it who could talk the operator into using it.
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>"""


@pytest.fixture
def host(environment, tmp_path, mail_server, mailer, database):
    """`host(SUPPORT_URL=…)` is a browser, and an installation with the face of `HOSTS` and these settings."""

    def client_of(**changes: str) -> Client:
        (tmp_path / "logo.svg").write_text(LOGO)
        face = HOSTS | {"LOGO": str(tmp_path / "logo.svg"), "WEBMAIL_ORIGINS": ORIGIN} | changes
        settings = Settings.load(environment | {PREFIX + name: value for name, value in face.items()})
        ports = ports_of(settings, mail_server, mailer)
        return Client(app_of(settings, ports), settings.base_url)

    return client_of


def of_foot(page) -> dict[str, str]:
    foot = page.tree.find(".//footer")
    return {} if foot is None else {link.text: link.get("href") for link in foot.iter("a")}


def stylesheets(page) -> list[str]:
    return [link.get("href") for link in page.tree.iter("link") if link.get("rel") == "stylesheet"]


def test_without_such_settings_a_page_has_nothing_of_it(client, anna):
    page = client.open("/sign-in")
    assert len(stylesheets(page)) == 1
    assert page.tree.find(".//header//img") is None
    assert of_foot(page) == {}
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/overview/")
    assert page.tree.find(".//footer") is None
    assert "Open webmail" not in page.links


def test_the_sign_in_page_has_the_logo_the_help_and_the_hosts_links(host):
    page = host().open("/sign-in")
    logo = page.tree.find(".//header//img")
    assert logo.get("alt") == "Example Mail"
    assert (page.links["Support"], page.links[PHONE]) == (HOSTS["SUPPORT_URL"], "tel:+39061234567")
    assert of_foot(page) == {"Imprint": HOSTS["IMPRINT_URL"], "Privacy": HOSTS["PRIVACY_URL"]}
    assert "Help from Example Mail:" in page.text


def test_an_address_for_help_is_shown_as_one(host):
    page = host(SUPPORT_URL="mailto:help@example.org?subject=Mail", SUPPORT_PHONE="").open("/sign-in")
    assert page.links["help@example.org"] == "mailto:help@example.org?subject=Mail"


def test_the_colours_are_a_small_stylesheet_that_is_kept(host):
    client = host()
    [_, address] = stylesheets(client.open("/sign-in"))
    answer = client.request("GET", address)
    assert answer.response.text == (
        "@layer tokens{:root:not([data-accent]){--accent-in-dark:#e1bee7;--accent:#7b1fa2;"
        "--accent-fill:light-dark(#7b1fa2,#9347b3);}}\n"
    )
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    [_, another] = stylesheets(host(ACCENT="#00695c").open("/sign-in"))
    assert another != address


def test_a_logo_with_a_script_is_served_where_none_runs(host):
    client = host()
    address = client.open("/sign-in").tree.find(".//header//img").get("src")
    answer = client.request("GET", address)
    assert answer.response.data == LOGO.encode()
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert client.request("GET", address.replace("logo.", "logo.0")).status == 404


def test_whoever_is_signed_in_finds_webmail_and_help(host, anna):
    client = host()
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/overview/")
    menu = page.tree.find(".//*[@id='account-menu']")
    assert HOSTS["WEBMAIL_URL"] in [link.get("href") for link in menu.iter("a")]
    assert HOSTS["WEBMAIL_URL"] in [link.get("href") for link in page.tree.find(".//main").iter("a")]
    assert list(of_foot(page)) == ["Support", PHONE, "Imprint", "Privacy"]


def test_in_a_webmails_frame_the_webmails_own_foot_and_menu_are_enough(host, ports, anna):
    client = host()
    page = post(client, SigningWebmail(ports).handoff(anna.login), onward="/overview/")
    assert page.title == "Overview"
    assert page.tree.find(".//footer") is None
    assert HOSTS["WEBMAIL_URL"] not in page.links.values()
    # What leads out of the frame opens beside it.
    missing = client.open("/nothing", Sec_Fetch_Dest=IN_FRAME)
    [support] = [link for link in missing.tree.iter("a") if link.get("href") == HOSTS["SUPPORT_URL"]]
    assert support.get("target") == "_blank"


def test_a_locked_account_is_no_dead_end(host, settings, anna):
    page = host().open(path_of(settings, anna, links.DISOWN)).press("Lock the account")
    assert page.title == "The account is locked"
    assert (page.links["Support"], page.links[PHONE]) == (HOSTS["SUPPORT_URL"], "tel:+39061234567")
    assert page.links["Back to sign in"] == "/sign-in"


def test_what_is_not_there_may_be_somebody_elses(host):
    page = host().open("/nothing")
    assert (page.status, page.title) == (404, "Not found")
    assert "Page not found, or you have no access to it." in page.text
    assert "Try again" not in page.links
    assert page.links["Support"] == HOSTS["SUPPORT_URL"]
    assert list(of_foot(page)) == ["Imprint", "Privacy"]


def test_trouble_of_ours_is_said_as_such_and_can_be_tried_again(host, monkeypatch):
    client = host()
    link = "/links/password/x?from=mail"
    db.database.close()
    monkeypatch.setattr(db.database.obj, "_connect", _refuse)
    page = client.open(link)
    assert page.status == 503
    assert OUR_TROUBLE in page.text
    assert page.links["Try again"] == link
    assert page.links["Support"] == HOSTS["SUPPORT_URL"]
    assert page.tree.find(".//form") is None


def _refuse(*_, **__):
    raise OperationalError("no database")
