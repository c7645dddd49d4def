"""What is believed of where a request comes from, and what is stored of it."""

import pytest

from lab.fixtures import module_database_url  # noqa: F401 - what is too long, MariaDB refuses
from models import AuditEvent, WebSession
from settings import Settings
from tests.blueprints.conftest import WRONG
from tests.client import Client
from tests.conftest import PASSWORD, app_of, ports_of

PEER = "192.0.2.1"
WHOLE = "2001:0db8:1111:2222:3333:4444:5555:6666"
BROWSER = "Ä" * 3000 + "/Firefox/140.0"


@pytest.fixture
def behind(environment, mail_server, mailer):
    """`behind()` is a browser behind one trusted proxy."""
    settings = Settings.load(environment | {"POSTERN_PROXIES": "1"})
    app = app_of(settings, ports_of(settings, mail_server, mailer))
    return lambda **headers: Client(app, settings.base_url, PEER, **headers)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:50000", "203.0.113.7"),
        (" 198.51.100.1:1 , 203.0.113.7:50000 ", "203.0.113.7"),
        ('"[2001:db8::7]:50000"', "2001:db8::7"),
        ("[2001:db8::7]:50000", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        (f"[{WHOLE}]:50000", "2001:db8:1111:2222:3333:4444:5555:6666"),
        (f"[{WHOLE}%enp0s31f6.4094-and-longer]:50000", "2001:db8:1111:2222:3333:4444:5555:6666"),
        (f"[{WHOLE}%{'x' * 300}]:50000", "2001:db8:1111:2222:3333:4444:5555:6666"),
        ("203.0.113.7" * 40, PEER),
        ("1" * 300, PEER),
        ("203.0.113.700", PEER),
        ("203.0.113.7:50000:1", PEER),
        ("unknown", PEER),
        ("_hidden", PEER),
        ("[]:1", PEER),
        ("", PEER),
        ("\xff", PEER),
    ],
)
def test_a_proxy_names_an_address_or_the_connection_counts(behind, anna, said, address):
    assert behind(X_Forwarded_For=said, user_agent=BROWSER).sign_in(anna.login, PASSWORD).title == "Overview"
    assert (WebSession.get().address, len(WebSession.get().user_agent)) == (address, 255)
    assert {event.address for event in AuditEvent.select()} == {address}


def test_every_port_is_the_same_network(behind, anna):
    pages = [behind(X_Forwarded_For=f"203.0.113.7:{port}").sign_in(anna.login, WRONG) for port in range(50000, 50006)]
    assert "Too many attempts" not in pages[0].error_of("Password")
    assert "Too many attempts" in pages[5].error_of("Password")
    assert "Too many attempts" not in behind(X_Forwarded_For="198.51.100.7:1").sign_in("b@example.org", WRONG).text


@pytest.mark.parametrize(
    "peer", ["203.0.113.7:50000", "203.0.113.7", "::ffff:203.0.113.7%eth0", "[::ffff:203.0.113.7]:5"]
)
def test_without_a_trusted_proxy_the_connections_own_address_is_plain_too(new_client, anna, peer):
    new_client(address=peer).sign_in(anna.login, PASSWORD)
    assert WebSession.get().address == "203.0.113.7"
