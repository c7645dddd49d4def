"""What mail programs learn about the domains served, asked as they ask."""

import json
import plistlib
import re
from collections.abc import Callable
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import Account
from tests.conftest import People

AUTOCONFIG = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
AUTODISCOVER = (
    "/autodiscover/autodiscover.xml",
    "/Autodiscover/Autodiscover.xml",
    "/Autodiscover/autodiscover.xml",
    "/AutoDiscover/AutoDiscover.xml",
    "/AutoDiscover/autodiscover.xml",
    "/AUTODISCOVER/AUTODISCOVER.XML",
    "/autodiscover/Autodiscover.Xml",
    "/autoDiscover/autodiscover.xml",
)
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
STRANGE_ADDRESSES = [
    "",
    "anna",
    "@",
    "anna@",
    "anna@elsewhere.example.com",
    "anna@example.org.elsewhere.example.com",
    "anna@example.org\r\nSet-Cookie: a=b",
    "<b>@<script>",
    "anna@example.org</EMailAddress>",
    "%00@example.org\x00",
    "a" * 10_000,
    "anna@" + "example." * 1_300 + "org",
    "anna@пример.org",
    "anna@example.org' OR '1'='1",
]


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {
        "POSTERN_BASE_URL": "https://account.example.org",
        "POSTERN_MAIL_HOST": "mail.example.org",
        "POSTERN_TLS_CERTIFICATE": "/etc/ssl/mail.pem",
        "POSTERN_TLS_KEY": "/etc/ssl/mail.key",
        "POSTERN_MAIL_PORTS": "submissions=0",
    }


class ClientAt(FlaskClient):
    """A mail program that asks one host."""

    host = "account.example.org"

    def open(self, *arguments, **named) -> TestResponse:
        return super().open(*arguments, base_url=f"https://{self.host}", **named)


@pytest.fixture
def at(app: Flask, anna: Account) -> Callable[[str], FlaskClient]:
    """`at(host)` asks there; example.org is served, with one mailbox, anna@example.org."""
    app.test_client_class = ClientAt

    def client_at(host: str) -> FlaskClient:
        client = app.test_client()
        client.host = host
        return client

    return client_at


@pytest.fixture
def client(at: Callable[[str], FlaskClient]) -> FlaskClient:
    return at("account.example.org")


def outlook_request(address: str, schema: str = OUTLOOK) -> bytes:
    root = ElementTree.Element("Autodiscover", xmlns=REQUEST)
    request = ElementTree.SubElement(root, "Request")
    ElementTree.SubElement(request, "EMailAddress").text = address
    ElementTree.SubElement(request, "AcceptableResponseSchema").text = schema
    return ElementTree.tostring(root, "utf-8", xml_declaration=True)


def ask_outlook(client: FlaskClient, address: str, path: str = AUTODISCOVER[0]) -> TestResponse:
    return client.post(path, data=outlook_request(address), content_type="text/xml")


def check_headers(answer: TestResponse, cached: bool) -> None:
    """What every answer carries, and that it leaves nothing behind in the client."""
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == ("public, max-age=900" if cached else "no-store")


# --- Thunderbird: the rules of autoconfig.rnc and of the text beside it ---


def read_autoconfig(answer: TestResponse) -> list[dict[str, str]]:
    """The servers; fails where the document is not what the draft describes."""
    assert answer.status_code == 200
    assert answer.mimetype == "text/xml"
    root = ElementTree.fromstring(answer.data)
    assert (root.tag, root.attrib) == ("clientConfig", {"version": "1.1"})
    (provider,) = root
    assert provider.tag == "emailProvider"
    assert provider.get("id")
    assert {child.tag for child in provider} <= {
        "domain", "displayName", "displayShortName", "documentation", "incomingServer", "outgoingServer",
    }  # fmt: skip
    assert [domain.text for domain in provider.iter("domain")] == [provider.get("id")]
    return [read_server(child) for child in provider if child.tag.endswith("Server")]


def read_server(element: ElementTree.Element) -> dict[str, str]:
    kinds = {"incomingServer": ("imap", "pop3"), "outgoingServer": ("smtp",)}[element.tag]
    assert element.get("type") in kinds
    values = {child.tag: child.text for child in element}
    assert set(values) == {"hostname", "port", "socketType", "authentication", "username"}
    assert len(element) == len(values)
    assert 1 <= int(values["port"]) <= 65535
    assert values["socketType"] in ("SSL", "STARTTLS", "plain")
    assert values["authentication"] == "password-cleartext"
    return {"type": element.get("type"), **values}


@pytest.mark.parametrize("path", AUTOCONFIG)
def test_thunderbird_learns_servers_ports_and_security(at, path):
    answer = at("autoconfig.example.org").get(path, query_string={"emailaddress": "anna@example.org"})
    servers = read_autoconfig(answer)
    assert [(each["type"], each["hostname"], each["port"], each["socketType"]) for each in servers] == [
        ("imap", "mail.example.org", "993", "SSL"),
        ("pop3", "mail.example.org", "995", "SSL"),
        ("smtp", "mail.example.org", "587", "STARTTLS"),
    ]
    assert {each["username"] for each in servers} == {"%EMAILADDRESS%"}
    check_headers(answer, cached=True)


@pytest.mark.parametrize("host", ["autoconfig.example.org", "example.org", "AutoConfig.Example.ORG:443"])
def test_without_an_address_the_host_names_the_domain(at, host):
    assert read_autoconfig(at(host).get(AUTOCONFIG[1])) == read_autoconfig(
        at("account.example.org").get(AUTOCONFIG[0] + "?emailaddress=anna@example.org")
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [("account.example.org", 404), ("autoconfig.example.com", 400), ("[::1]:443", 400), ("autoconfig.", 400)],
)
def test_another_host_names_none(at, host, status):
    answer = at(host).get(AUTOCONFIG[0])
    assert answer.status_code == status
    check_headers(answer, cached=False)


def test_the_address_counts_more_than_the_host(at, people: People):
    answer = at("autoconfig.example.org").get(AUTOCONFIG[0] + "?emailaddress=anna@elsewhere.example.com")
    assert answer.status_code == 404


# --- Outlook: the elements of the POX reference ---

PROTOCOL = {
    "Type": ("IMAP", "POP3", "SMTP"),
    "Server": None,
    "Port": None,
    "LoginName": None,
    "DomainRequired": ("on", "off"),
    "SPA": ("on", "off"),
    "SSL": ("on", "off"),
    "Encryption": ("None", "SSL", "TLS", "Auto"),
    "AuthRequired": ("on", "off"),
    "UsePOPAuth": ("on", "off"),
    "SMTPLast": ("on", "off"),
}


def read_autodiscover(answer: TestResponse) -> list[dict[str, str]]:
    """The settings of each protocol; fails where the document is not what the reference describes."""
    assert answer.status_code == 200
    assert answer.mimetype == "text/xml"
    root = ElementTree.fromstring(answer.data)
    assert root.tag == f"{{{RESPONSE}}}Autodiscover"
    (response,) = root
    assert response.tag == f"{{{OUTLOOK}}}Response"
    (account,) = response
    assert account.tag == f"{{{OUTLOOK}}}Account"
    kind, action, *protocols = account
    assert (kind.tag, kind.text) == (f"{{{OUTLOOK}}}AccountType", "email")
    assert (action.tag, action.text) == (f"{{{OUTLOOK}}}Action", "settings")
    return [read_protocol(protocol) for protocol in protocols]


def read_protocol(element: ElementTree.Element) -> dict[str, str]:
    assert element.tag == f"{{{OUTLOOK}}}Protocol"
    values = {child.tag.removeprefix(f"{{{OUTLOOK}}}"): child.text for child in element}
    assert len(values) == len(element)
    for name, value in values.items():
        assert PROTOCOL[name] is None or value in PROTOCOL[name]
    if values["Type"] != "SMTP":
        assert not {"UsePOPAuth", "SMTPLast"} & set(values)
    return values


def error_code(answer: TestResponse) -> str:
    root = ElementTree.fromstring(answer.data)
    assert root.tag == f"{{{RESPONSE}}}Autodiscover"
    error = root.find(f"{{{RESPONSE}}}Response/{{{RESPONSE}}}Error")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", error.get("Time"))
    assert [child.tag for child in error] == [f"{{{RESPONSE}}}{name}" for name in ("ErrorCode", "Message", "DebugData")]
    return error[0].text


@pytest.mark.parametrize("path", AUTODISCOVER)
def test_outlook_learns_servers_ports_and_security(at, path):
    answer = ask_outlook(at("autodiscover.example.org"), "Anna@Example.org", path)
    protocols = read_autodiscover(answer)
    assert [(each["Type"], each["Server"], each["Port"], each["Encryption"]) for each in protocols] == [
        ("IMAP", "mail.example.org", "993", "SSL"),
        ("POP3", "mail.example.org", "995", "SSL"),
        ("SMTP", "mail.example.org", "587", "TLS"),
    ]
    assert {each["LoginName"] for each in protocols} == {"anna@example.org"}
    assert {each["SSL"] for each in protocols} == {"on"}
    check_headers(answer, cached=False)


def test_outlook_reads_bytes_of_any_usual_encoding(client):
    text = outlook_request("anna@example.org").decode().partition("?>")[2]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        body = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>{text}'.encode(encoding)
        assert read_autodiscover(client.post(AUTODISCOVER[0], data=body))


def test_a_phone_that_wants_activesync_is_told_that_there_is_none(client):
    answer = client.post(AUTODISCOVER[0], data=outlook_request("anna@example.org", MOBILE))
    assert error_code(answer) == "601"
    check_headers(answer, cached=False)


def test_a_phone_that_asks_as_activesync_does_is_told_it_too(client):
    mobile = REQUEST.replace("outlook", "mobilesync")
    body = outlook_request("anna@example.org", MOBILE).replace(REQUEST.encode(), mobile.encode())
    answer = client.post(AUTODISCOVER[0], data=body)
    assert (answer.status_code, error_code(answer)) == (200, "601")


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))
NO_REQUESTS = {
    "nothing": b"",
    "no xml": b"emailaddress=anna@example.org",
    "not closed": b"<Autodiscover>",
    "another document": b"<html/>",
    "without namespace": outlook_request("anna@example.org").replace(f' xmlns="{REQUEST}"'.encode(), b""),
    "without address": outlook_request("").replace(b"<EMailAddress />", b""),
    "empty address": outlook_request("  "),
    "without schema": outlook_request("anna@example.org", ""),
    "a document type": outlook_request("anna@example.org").replace(b"?>", b"?><!DOCTYPE Autodiscover>", 1),
    "an external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + outlook_request("&x;")[38:],
    "an external document type": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">' + outlook_request("a")[38:],
    "ten thousand million laughs": f"<!DOCTYPE a [{ENTITIES}]><a>&e9;</a>".encode(),
    "the same in UTF-16": f'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [{ENTITIES}]><a>&e9;</a>'.encode(
        "utf-16"
    ),
    "an unknown encoding": b'<?xml version="1.0" encoding="klingon"?><a/>',
    "an encoding of many bytes": b'<?xml version="1.0" encoding="utf-7"?><a/>',
    "no characters": b"\xff\xfe\x00\xd8" * 100,
    "very deep": b"<a>" * 5_000,
    "too large": outlook_request("anna@example.org").replace(b"?>", b"?>" + b" " * 20_000, 1),
}


@pytest.mark.parametrize("body", NO_REQUESTS.values(), ids=NO_REQUESTS.keys())
def test_what_is_no_request_is_refused(client, body):
    answer = client.post(AUTODISCOVER[0], data=body, content_type="text/xml")
    assert answer.status_code == 400
    assert error_code(answer) == "600"
    check_headers(answer, cached=False)


def test_ten_megabytes_are_not_read(client):
    assert client.post(AUTODISCOVER[0], data=b" " * 10_000_000).status_code == 413


def test_reading_the_address_of_autodiscover_is_no_request(client):
    assert client.get(AUTODISCOVER[0]).status_code == 405


# --- Outlook's JSON ---


@pytest.mark.parametrize(
    "address",
    [
        "/autodiscover/autodiscover.json?Email=anna%40example.org&Protocol=AutodiscoverV1",
        "/autodiscover/autodiscover.json?Email=anna%40example.org&Protocol=Autodiscoverv1&RedirectCount=1",
        "/AUTODISCOVER/autoDiscover.JSON/v1.0/anna%40example.org?Protocol=AutodiscoverV1",
        "/Autodiscover/Autodiscover.json?email=anna%40example.org&protocol=autodiscoverv1",
        "/autodiscover/autodiscover.json/v1.0/anna%40example.org?Protocol=AutodiscoverV1",
    ],
)
def test_outlook_is_sent_to_the_xml_at_the_panels_own_address(at, address):
    answer = at("autodiscover.example.org").get(address, headers={"X-Forwarded-Host": "evil.example.com"})
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json == {
        "Protocol": "AutodiscoverV1",
        "Url": "https://account.example.org/autodiscover/autodiscover.xml",
    }
    check_headers(answer, cached=True)


@pytest.mark.parametrize("protocol", ["ActiveSync", "EWS", "REST", "", "<b>", "x" * 5_000])
def test_protocols_that_are_not_served_are_refused(client, protocol):
    answer = client.get(
        "/autodiscover/autodiscover.json", query_string={"Email": "anna@example.org", "Protocol": protocol}
    )
    assert answer.status_code == 400
    assert set(json.loads(answer.data)) == {"ErrorCode", "ErrorMessage"}
    assert len(answer.data) < 200
    check_headers(answer, cached=False)


# --- Apple ---


def test_an_apple_device_gets_a_profile_without_password(client):
    answer = client.get("/apple.mobileconfig?emailaddress=anna@example.org")
    assert answer.status_code == 200
    assert answer.mimetype == "application/x-apple-aspen-config"
    (mail,) = plistlib.loads(answer.data)["PayloadContent"]
    assert mail["IncomingMailServerUsername"] == mail["EmailAddress"] == "anna@example.org"
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == ("mail.example.org", 993)
    assert mail["OutgoingMailServerPortNumber"] == 587
    assert not {"IncomingPassword", "OutgoingPassword", "EmailAccountName"} & set(mail)
    check_headers(answer, cached=True)


def test_a_plus_sign_in_apples_address_need_not_be_encoded(client):
    for written in ("anna+work@example.org", "anna%2Bwork@example.org", "anna%20work%40example.org"):
        (mail,) = plistlib.loads(client.get(f"/apple.mobileconfig?emailaddress={written}").data)["PayloadContent"]
        assert mail["EmailAddress"] == "anna+work@example.org"


# --- all of them ---


def ask_all(client: FlaskClient, address: str) -> list[TestResponse]:
    asked = quote(address, safe="")
    return [
        client.get(f"{AUTOCONFIG[0]}?emailaddress={asked}"),
        client.get(f"/autodiscover/autodiscover.json?Email={asked}&Protocol=AutodiscoverV1"),
        client.get(f"/apple.mobileconfig?emailaddress={asked}"),
    ]


@pytest.mark.parametrize("address", STRANGE_ADDRESSES, ids=range(len(STRANGE_ADDRESSES)))
def test_strange_addresses_get_nothing(client, address):
    for answer in ask_all(client, address):
        assert answer.status_code == 404
        assert address.encode() not in answer.data or not address
        check_headers(answer, cached=False)


@pytest.mark.parametrize("address", STRANGE_ADDRESSES[4:], ids=range(4, len(STRANGE_ADDRESSES)))
def test_strange_addresses_get_no_more_by_xml(client, address):
    body = outlook_request(address.replace("\x00", ""))
    answer = client.post(AUTODISCOVER[0], data=body)
    assert (answer.status_code, error_code(answer)) in ((404, "500"), (400, "600"))
    assert len(answer.data) < 500


def test_no_answer_tells_which_mailboxes_exist(client):
    existing, missing = (
        [*ask_all(client, address), ask_outlook(client, address)]
        for address in ("anna@example.org", "nobody@example.org")
    )
    for yes, no in zip(existing, missing, strict=True):
        assert yes.status_code == no.status_code == 200
        assert list(yes.headers.keys()) == list(no.headers.keys())
        assert without_identity(yes.text, "anna") == without_identity(no.text, "nobody")


def without_identity(text: str, name: str) -> str:
    """The answer without the name that was asked for and the identifiers that are computed from it."""
    text = re.sub(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
    return text.replace(f"{name}@example.org", "somebody@example.org")


def test_head_is_answered_like_get_without_its_body(client):
    for path in (
        f"{AUTOCONFIG[0]}?emailaddress=anna@example.org",
        "/autodiscover/autodiscover.json?Email=anna@example.org&Protocol=AutodiscoverV1",
        "/apple.mobileconfig?emailaddress=anna@example.org",
    ):
        read, head = client.get(path), client.head(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(read.data))
        check_headers(head, cached=True)


def test_the_mail_domains_own_names_are_not_bound_to_https(at):
    """Answered as example.org, Strict-Transport-Security would reach every site below example.org."""
    path = f"{AUTOCONFIG[1]}?emailaddress=anna@example.org"
    assert "Strict-Transport-Security" not in at("example.org").get(path).headers
    assert "Strict-Transport-Security" in at("account.example.org").get(path).headers


def test_a_web_page_of_somebody_else_cannot_ask_in_a_persons_name(client):
    answer = client.post(
        AUTODISCOVER[0], data=outlook_request("anna@example.org"), headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
