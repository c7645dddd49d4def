"""No form, link or header, however it is filled in, is answered by a failure or by an answer that gets lost.

Every view is asked as everybody who may ask it. The names of its fields are not written down here: what the view looks
for is what it is sent. Whatever a request did is undone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from flask import Flask, has_request_context, request
from peewee import DoesNotExist
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

import database as db
from actions.devices import invitations
from actions.devices.devices import WantedDevice
from actions.ground.sizes import GIGABYTE
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.sessions import links, sessions
from blueprints.web import guards
from lab.actors import acting
from models import (
    Account,
    Collaboration,
    Device,
    DeviceInvitation,
    Mailbox,
    OneTimeLink,
    PasswordChange,
    UserImport,
    WebmailCredential,
)
from tests.blueprints.conftest import NEW
from tests.blueprints.test_authority_matrix import ROLES, World, address_of, build_world, routes
from tests.conftest import PASSWORD

BASE_URL = "http://127.0.0.1:8123"
# What makes a form right, as far as its fields have such names; any other field holds a 1.
RIGHT = {
    "address": "new@here.example",
    "archive_format": "zip",
    "confirm_password": NEW,
    "confirmation": "anna@here.example",
    "contact_email": "new@elsewhere.example.com",
    "current_password": PASSWORD,
    "email": "new@elsewhere.example.com",
    "expires_at": "",
    "first_name": "Nora",
    "full_name": "Mara Lind",
    "icon": "tablet",
    "kind": "passwords",
    "language": "en",
    "last_name": "Lind",
    "login": "anna@here.example",
    "name": "Tablet",
    "new_password": NEW,
    "next": "/account/password",
    "password": PASSWORD,
    "phone": "+39 333 123 4567",
    "reference_email": "new@elsewhere.example.com",
    "since": "2026-01-01",
    "state": "active",
    "timezone": "Europe/Rome",
    "unit": "GB",
    "until": "2026-01-31",
    "user": "",
    "user_name": "nora",
    "way": "invitation",
}
BYTES = b"\xed\xa0\x80\x00\xff\xf0\x9f\x98\x80\r\n\xe2\x80\xae"
HOSTILE = (b"", b"x" * 100_000, BYTES, b"9" * 30, b"-1", b"9" * 5000, "٣²".encode(), "/привет".encode())
QUICK = (b"x" * 100_000, BYTES, b"9" * 30)
Values = tuple[bytes, ...]
NUMBERS = ("2147483648", "9223372036854775808", "9" * 20, "9" * 5000, "-1", "1.0", "٣", "0x1", "+1", "%00")
TEXTS = ("%00", "%ED%A0%80", "%F0%9F%98%80", "x" * 5000, "..", "%2e%2e%2f", "%0d%0aX-Y:%20z")
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff\x00"\r\n\r\n\xff\r\n--x--\r\n'
BODIES = (
    ("application/json", b'{"login": "\\ud800", "x": [[[[{}]]]]}'),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff\x00"\r\n\r\n\xff',
    ),
    ("multipart/form-data", b"x"),
    ("application/x-www-form-urlencoded; charset=utf-16", b"\xff\xfe%"),
    ("", b"\x00"),
)
HEADERS = (
    {"HX_Request": "true", "HX_Current_URL": "http://[\xe9/\xff?\x80"},
    {"User_Agent": "\xed\xa0\x80\xff\x80" * 100, "Accept_Language": "\xff;q=\x80, xx-YY;q=1e9"},
    {"Cookie": "postern-session=\xff\xed\xa0\x80; postern-visitor=\xff.x.y; postern-browser=\xff"},
    {"Host": "\xff.example", "X_Forwarded_Host": "\xff"},
    {
        "Authorization": "Bearer \xff\xed\xa0\x80",
        "Sec_Fetch_Dest": "\xff",
        "Content_Length": "-1",
        "Range": "bytes=9-1",
    },
)
# What only a gateway for text messages has the address of.
UNREACHABLE = {"password_changes.report"}
VISITORS = ("owner", "person", "nobody")


@dataclass
class Looked:
    """What a view looked for in its request."""

    form: set[str] = field(default_factory=set)
    address: set[str] = field(default_factory=set)


class Watched(ImmutableMultiDict):
    """The fields of a form or of an address; notes which of them somebody looks for."""

    looked: Looked | None = None

    def _note(self, name: object) -> None:
        if self.looked is not None and isinstance(name, str) and has_request_context():
            (self.looked.address if self is request.args else self.looked.form).add(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def get(self, name, *default, **named):
        self._note(name)
        return super().get(name, *default, **named)

    def getlist(self, name, *given, **named):
        self._note(name)
        return super().getlist(name, *given, **named)


class Crawler:
    """Asks as anybody, and undoes what came of it."""

    def __init__(self, app: Flask, tokens: dict[str, str]):
        self._app, self._tokens = app, tokens
        self.asked, self.failures = 0, []

    def ask(self, role: str, method: str, address: str, content: object = None, **headers: str) -> TestResponse:
        browser = self._app.test_client()
        if role in self._tokens:
            browser.set_cookie(self._app.session_interface.session_cookie, self._tokens[role], domain="127.0.0.1")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with undone():
            answer = browser.open(address, method=method, base_url=BASE_URL, data=content, headers=named)
            answer.get_data()
        self.asked += 1
        self._note_failure(answer, role, method, address, content, headers)
        return answer

    def send(self, role: str, address: str, fields: list[tuple[str, bytes]], **headers: str) -> TestResponse:
        form = {"Content_Type": "application/x-www-form-urlencoded"} | headers
        return self.ask(role, "POST", address, urlencode(fields).encode(), **form)

    def looked_for(self, role: str, method: str, address: str) -> Looked:
        """What the view looks for when it is sent something that it does not know."""
        Watched.looked = Looked()
        content = {"something": "1"} if method == "POST" else None
        self.ask(role, method, address, content)
        looked, Watched.looked = Watched.looked, None
        return looked

    def _note_failure(self, answer: TestResponse, *asked: object) -> None:
        told = " ".join(text if len(text := ascii(each)) < 300 else f"{text[:300]}…" for each in asked)
        if answer.status_code >= 500:
            self.failures.append(f"{answer.status_code}: {told}")
        if answer.status_code == 405 and not answer.headers.get("Allow"):
            self.failures.append(f"405 without Allow: {told}")
        for name, value in answer.headers:
            if not (value.isascii() and value.isprintable()):
                self.failures.append(f"{name} is lost, {value!a}: {told}")


@contextmanager
def undone() -> Iterator[None]:
    with db.database.atomic() as transaction:
        yield
        transaction.rollback()


@pytest.fixture
def world(ports, settings) -> World:
    here = build_world(ports, settings, "here", Account.create(login="operator@example.org", role=Account.OPERATOR))
    hashed = passwords.hash_password(settings, PASSWORD)
    Account.update(password_hash=hashed).execute()
    Mailbox.update(quota_bytes=GIGABYTE).execute()
    here.accounts = {role: Account.get_by_id(account.id) for role, account in here.accounts.items()}
    return here


@pytest.fixture
def crawler(app: Flask, world: World) -> Iterator[Crawler]:
    """Reports at the end of the test what went wrong meanwhile."""
    app.config["FORM_TOKENS"] = False
    app.request_class = type("WatchedRequest", (app.request_class,), {"parameter_storage_class": Watched})
    tokens = {role: sessions.start(account, "192.0.2.1", "")[1] for role, account in world.accounts.items()}
    crawler = Crawler(app, tokens)
    yield crawler
    assert crawler.failures == [], "\n".join(crawler.failures)


@pytest.fixture
def tokens(ports, world: World) -> dict[str, str]:
    """A link that works, for each view behind one."""
    anna = world.accounts["person"]
    device = Device.get_by_id(world.values["device_id"])
    reset = links.create(anna, links.RESET)
    wanted = WantedDevice("Tablet", "tablet", Device.IMAP)
    invited = invitations.invite(
        UnitOfWork(ports, acting(anna)), anna, wanted, "guest@elsewhere.example.com", mailed=False
    )
    set_up = invited.link.rpartition("/")[2]
    return {
        "links.password": reset,
        "links.set_password": reset,
        "links.check_password": reset,
        "links.not_me": links.create(anna, links.DISOWN),
        "links.lock": links.create(anna, links.DISOWN),
        "links.not_my_device": links.create(anna, links.DISOWN_DEVICE, device),
        "links.end_device": links.create(anna, links.DISOWN_DEVICE, device),
        **dict.fromkeys(("set_up.invitation", "set_up.send_code", "set_up.prove", "set_up.accept"), set_up),
    }


@pytest.fixture
def views(app: Flask, world: World, tokens: dict[str, str]) -> list[tuple[str, str, str]]:
    """Each view's name, its method, and an address of it where there is something."""
    found = []
    for endpoint, method in routes(app):
        values = world.values | ({"token": tokens[endpoint]} if endpoint in tokens else {})
        found.append((endpoint, method, address_of(app, endpoint, method, values)))
    return found


def right(names: set[str], world: World) -> dict[str, bytes]:
    """A form that is filled in as it should be."""
    known = RIGHT | {"revision": str(world.accounts["person"].revision)}
    return {name: known.get(name, "1").encode() for name in sorted(names)}


def filled_in(fields: dict[str, bytes], each: Values) -> Iterator[list[tuple[str, bytes]]]:
    """The form with each of its fields, one at a time, left out, given twice, and given what nobody means; and with all
    of them so."""
    yield from ([(name, value) for name in fields] for value in each)
    for name in fields:
        others = [(other, value) for other, value in fields.items() if other != name]
        yield others
        yield [*others, (name, fields[name]), (name, fields[name])]
        yield from ([*others, (name, value)] for value in each)


def allows(answer: TestResponse) -> bool:
    """Whether somebody found the view. A webmail's views say 403 to whatever it did not sign."""
    return answer.status_code != 404 and "/sign-in?next=" not in answer.headers.get("Location", "")


def fill_in_otherwise(crawler: Crawler, role: str, address: str, fields: dict[str, bytes], each: Values) -> None:
    """Send the form in every way but the right one."""
    for form in filled_in(fields, each):
        crawler.send(role, address, form)
    crawler.send(role, address, list(fields.items()), HX_Request="true")
    for content_type, content in BODIES:
        crawler.ask(role, "POST", address, content, Content_Type=content_type)


@pytest.mark.parametrize(
    ("roles", "each"),
    [pytest.param(1, QUICK, id="quick"), pytest.param(len(ROLES), HOSTILE, id="all", marks=pytest.mark.long)],
)
def test_no_form_ends_in_a_failure_however_it_is_filled_in(crawler, views, world, roles, each):
    """By this many of those who may send it; by everybody else once."""
    unreached = set()
    for endpoint, address in ((endpoint, address) for endpoint, method, address in views if method == "POST"):
        found = 0
        for role in ROLES:
            fields = right(crawler.looked_for(role, "POST", address).form, world)
            if allows(crawler.send(role, address, list(fields.items()))) and found < roles:
                found += 1
                fill_in_otherwise(crawler, role, address, fields, each)
        unreached |= set() if found else {endpoint}
    assert unreached == UNREACHABLE
    assert crawler.asked > 1500, crawler.asked


def test_no_address_ends_in_a_failure_whatever_stands_behind_it(crawler, views):
    for _, method, address in views:
        for role in VISITORS:
            names = crawler.looked_for(role, method, address).address
            for value in HOSTILE if names else ():
                query = urlencode([(name, value) for name in names])
                crawler.ask(role, method, f"{address}?{query}", HX_Request="true")


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: " ".join(headers))
def test_no_view_fails_because_of_a_header(crawler, views, headers):
    for _, method, address in views:
        for role in VISITORS:
            crawler.ask(role, method, address, **headers)


def test_no_number_or_name_in_an_address_is_too_much(app, crawler, world):
    for rule in app.url_map.iter_rules():
        method = "POST" if "POST" in rule.methods else "GET"
        for name in rule.arguments:
            for odd in NUMBERS if name.endswith("_id") else TEXTS:
                answer = crawler.ask("owner", method, address_with(rule, world.values | {name: odd}))
                # Another method's rule of the same address differs by its number of digits.
                assert not name.endswith("_id") or answer.status_code in (404, 405), (rule, odd)


def address_with(rule: Rule, values: dict[str, object]) -> str:
    """An address of this rule with these values, whatever its converters would say of them."""
    parts = (values[text] if is_variable else text for is_variable, text in rule._trace)
    return "".join(map(str, parts)).removeprefix("|")


def test_what_a_view_does_not_take_it_says(crawler, views):
    for _, _, address in views:
        for method in ("GET", "POST", "DELETE"):
            answer = crawler.ask("owner", method, address)
            assert method not in answer.headers.get("Allow", "").split(", ")


SLOW_STEPS = ("verify", "hash_password", "refuse_breached")


@pytest.mark.parametrize("role", ["person", "keeper", "owner", "nobody"])
def test_whoever_is_removed_while_a_password_is_reckoned_with_is_told_so(crawler, views, world, monkeypatch, role):
    """The account whose form or link it is, or that a manager's form is about, is gone when the slow step ends."""
    gone = [world.accounts[each] for each in ("person", "keeper", *({"owner"} & {role}))]

    def then_gone(step):
        def run(*given, **named):
            outcome = step(*given, **named)
            for account in gone:
                forget(account)
            return outcome

        return run

    for step in SLOW_STEPS:
        monkeypatch.setattr(passwords, step, then_gone(getattr(passwords, step)))
    for _, method, address in views:
        if method == "POST":
            fields = right(crawler.looked_for(role, method, address).form, world)
            crawler.send(role, address, list(fields.items()))
    assert Account.select().where(Account.id.in_(gone)).count() == len(gone), "what a request did is undone"


PRESSERS = ("person", "keeper", "owner", "nobody")
# What a form may be about, beside people.
THINGS = (Device, DeviceInvitation, Collaboration, PasswordChange, UserImport, WebmailCredential, OneTimeLink)


@pytest.mark.parametrize(
    "each_alone", [pytest.param(False, id="quick"), pytest.param(True, id="all", marks=pytest.mark.long)]
)
def test_whatever_is_gone_between_page_and_press_a_sentence_says_so(
    app, crawler, views, world, monkeypatch, each_alone
):
    """The view has found what its form is about, and the action begins; in between somebody else removes it."""
    app.register_error_handler(DoesNotExist, lambda error: (f"{error}", 500))
    addresses = [address for _, method, address in views if method == "POST"]
    forms = {
        (role, address): list(right(crawler.looked_for(role, "POST", address).form, world).items())
        for role in PRESSERS
        for address in addresses
    }
    forms = {press: form for press, form in forms.items() if allows(crawler.send(*press, form))}
    assert len(forms) > len(addresses)
    for gone, remove in removals(world, each_alone).items():
        with monkeypatch.context() as patch:
            patch.setattr(guards, "unit", after(remove, guards.unit))
            for press, form in forms.items():
                crawler.send(*press, form, Gone=gone)


def removals(world: World, each_alone: bool) -> dict[str, Callable[[], object]]:
    """What may be gone, each thing alone or all of them at once, and how it goes."""
    people = {role: lambda role=role: forget(world.accounts[role]) for role in ("person", "keeper", "owner")}
    things = {table.__name__: lambda table=table: table.delete().execute() for table in THINGS}
    all_things = {"all things": lambda: [remove() for remove in things.values()]}
    return people | (things if each_alone else all_things)


def after(deed: Callable[[], object], step: Callable) -> Callable:
    def run(*given, **named):
        deed()
        return step(*given, **named)

    return run


def forget(account: Account) -> None:
    """Delete an account as a removal does, with what hangs on it."""
    if account.role == Account.COLLABORATOR:
        Collaboration.delete().where(Collaboration.account == account.id).execute()
    Mailbox.delete().where(Mailbox.account == account.id).execute()
    Account.delete().where(Account.id == account.id).execute()
