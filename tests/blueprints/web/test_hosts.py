"""By which names the panel answers: its own and no other, on whatever page."""

import pytest

import adapters
from database import router
from settings import Settings
from tests.blueprints.test_every_answer import addresses
from tests.client import Client
from tests.conftest import PASSWORD, app_of, ports_of
from tests.signing import SigningWebmail

OWN = "account.example.org"
STRANGERS = (
    "evil.example",
    "evil.example:443",
    "account.example.org.evil.example",
    "evil.account.example.org",
    "account.example.org.",
    "evil.example:80@account.example.org",
    "account.example.org:80:80",
    "account.example.org/evil",
    "account.example.org evil.example",
    "account.example.org, evil.example",
    "áccount.example.org",
    "127.0.0.1:8123",
    "localhost",
    "192.0.2.10",
    "[",
    "[::1",
    "",
)
# What answers to those who watch over the machine, what webmails' servers sign, and what Dovecot has a key for.
BY_OTHER_NAMES = {
    "panel.health", "webmail.make", "webmail.end", "webmail.state_of", "webmail.note_fallback", "mail_policy.answer",
}  # fmt: skip


@pytest.fixture
def environment(environment):
    return environment | {"POSTERN_BASE_URL": f"https://{OWN}"}


@pytest.fixture
def demo_of(environment, tmp_path, mail_server, mailer, database):
    """A demo, as it serves itself on this machine, and a browser there."""

    def make(**changes: str) -> Client:
        demo = {"POSTERN_BASE_URL": "http://127.0.0.1:8000", "POSTERN_DEMO": "yes", "POSTERN_SMTP_URL": ""} | changes
        settings = Settings.load(environment | demo)
        return Client(app_of(settings, adapters.build(settings)), settings.base_url, address="127.0.0.1")

    return make


def ask(client: Client, host: str, address: str = "/sign-in", method: str = "GET"):
    return client.request(method, address, Host=host)


def is_refused(page) -> bool:
    """Whether it is the one answer to those who ask by another name, which repeats nothing of the request."""
    return page.status == 400 and page.response.text == "Nothing is served by this name.\n"


@pytest.mark.parametrize("host", STRANGERS)
def test_by_another_name_nothing_is_answered_and_nothing_repeated(app, client, anna, host):
    client.sign_in(anna.login, PASSWORD)
    for endpoint, address in addresses(app):
        if endpoint in BY_OTHER_NAMES:
            continue
        page = ask(client, host, address)
        assert is_refused(page), (host, endpoint)
        assert not {"Location", "Set-Cookie", "Strict-Transport-Security"} & set(page.headers.keys())
    for address in ("/services", "/nothing", "/"):
        assert is_refused(ask(client, host, address))
        assert is_refused(ask(client, host, address, "POST"))


@pytest.mark.parametrize("host", [OWN, OWN.upper(), f"{OWN}:443", f"{OWN}:8443"])
def test_by_its_own_name_it_answers_on_whatever_port(client, host):
    page = ask(client, host)
    assert (page.status, page.title) == (200, "Sign in")
    assert page.headers["Strict-Transport-Security"]


def test_what_a_proxy_is_told_of_the_name_is_not_believed(environment, mail_server, mailer, anna):
    settings = Settings.load(environment | {"POSTERN_PROXIES": "1"})
    client = Client(app_of(settings, ports_of(settings, mail_server, mailer)), settings.base_url)
    assert client.request("GET", "/sign-in", X_Forwarded_Host="evil.example").title == "Sign in"
    assert is_refused(client.request("GET", "/sign-in", Host="evil.example", X_Forwarded_Host=OWN))


@pytest.mark.parametrize("host", [OWN, "127.0.0.1:8123", "localhost:8123", "[::1]:8123", "10.0.0.7"])
def test_health_is_told_to_whoever_watches_over_the_machine(client, host):
    assert ask(client, host, "/healthz").response.text == "ok\n"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7.evil"])
def test_health_is_told_by_no_strangers_name(client, host):
    assert is_refused(ask(client, host, "/healthz"))


def test_a_webmails_server_asks_by_whatever_name_leads_here(client, ports, anna):
    webmail = SigningWebmail(ports)
    content = b'{"password": "x"}'
    page = client.request(
        "POST", "/webmail/credentials/state", content, Host="panel.internal:8000",
        Authorization=f"Bearer {webmail.bearer(content)}", Content_Type="application/json",
    )  # fmt: skip
    assert (page.status, page.response.json) == (200, {"alive": False})


@pytest.mark.parametrize("host", ["autoconfig.example.org", "autodiscover.example.org", "example.org"])
def test_by_a_mail_domains_names_programs_find_their_settings_and_nothing_else(client, anna, host):
    program = client._client.application.test_client()
    found = program.get("/mail/config-v1.1.xml?emailaddress=anna@example.org", base_url=f"https://{host}")
    assert (found.status_code, found.mimetype) == (200, "text/xml")
    for address in ("/", "/sign-in", "/services", "/account/password", "/healthz", "/static/favicon.svg"):
        assert is_refused(ask(client, host, address))


@pytest.mark.parametrize(
    "host", ["autoconfig.elsewhere.example", "mail.example.org", "autoconfig.example.org.evil.example", "evil.example"]
)
def test_by_no_other_name_are_settings_found(client, anna, host):
    assert is_refused(ask(client, host, "/mail/config-v1.1.xml?emailaddress=anna@example.org"))


# --- a demo, on this machine and in its network ---


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "panel.localhost", "192.168.1.7:8000"]
)
def test_a_demo_is_reached_by_every_address_of_its_machine(demo_of, host):
    assert ask(demo_of(), host).title == "Sign in"


@pytest.mark.parametrize("host", ["rebind.evil.example", "rebind.evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_demo_shows_nothing_by_a_name_that_somebody_made_lead_here(demo_of, host):
    client = demo_of()
    for _, address in addresses(client._client.application):
        if not address.startswith("/webmail/"):
            assert is_refused(ask(client, host, address)) or (address == "/healthz" and not host)


def test_the_demos_outbox_is_read_by_this_machines_own_names_only(demo_of):
    client = demo_of()
    router().run()
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        assert ask(client, host, "/outbox").status == 200
    assert ask(client, "192.168.1.7:8000", "/outbox").status == 404


# --- redirections, files ---


@pytest.mark.parametrize(
    ("asked", "onward"),
    [
        ("/services", "/services/"),
        ("/devices?of=1&x=//evil.example", "/devices/?of=1&x=//evil.example"),
        ("//services", "/services/"),
        ("///collaborations", "/collaborations/"),
    ],
)
def test_a_missing_slash_leads_to_a_path_and_to_no_host(client, asked, onward):
    page = client.request("GET", f"https://{OWN}{asked}")
    assert (page.status, page.headers["Location"]) == (308, onward)


def test_hidden_files_are_not_served(client):
    for name in ("vendor/.installed", ".installed", "vendor/../vendor/.installed", "css/.hidden/base.css"):
        assert client.request("GET", f"/static/{name}").status == 404
    assert client.request("GET", "/static/favicon.svg").status == 200
