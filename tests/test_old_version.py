"""A database that the version before migration 009 left in the middle of everything goes on under the present one.

`old_versions/version_008.sql` was written by that version's own actions (`make_version_008.py`); what only people and
their browsers know of it, such as tokens, stands beside it in `version_008.json`. Postern's clock stands a minute after
the moment at which that version stopped.
"""

import base64
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import database as db
import models
import worker
from actions.ground.actor import Actor
from actions.ground.encryption import unseal
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.password_changes import archive
from actions.password_changes.password_change_run import Runner
from actions.passwords import passwords, sign_in
from actions.sessions import links, sessions
from actions.trail.events import Event
from actions.upkeep import housekeeping
from actions.users import imports
from actions.webmails import webmail_credentials
from lab.installation import environment_of
from lab.mail_host import WEBMAIL
from lab.migrated import migrate
from lab.servers import imap_accepts
from models import (
    Account,
    AuditEvent,
    Device,
    Mailbox,
    OneTimeLink,
    OutboxItem,
    PasswordChange,
    UserImport,
    UserImportPart,
    Webmail,
    WebSession,
)
from tests.conftest import Clock
from tests.numbers import refuse_bare_numbers
from tests.signing import SigningWebmail
from tests.test_mail_views import as_they_stand_in_the_module, views

HERE = Path(__file__).parent / "old_versions"
NOTES = json.loads((HERE / "version_008.json").read_text(encoding="utf-8"))
LINKS, PASSWORD = NOTES["links"], NOTES["password"]
NEW = "Quiet-Harbour-9"
MINUTE, DAY = 60, 24 * 3600
ANNA, BORIS, CHIARA = (f"{name}@example.org" for name in ("anna", "boris", "chiara"))
PRESS = {"password": "Set password", "not-me": "Lock the account", "not-my-device": "Disconnect the device"}


def fill(url: str, directory: Path) -> None:
    """Make the database as the old version left it. On MariaDB the same rows stand in the tables of that version."""
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:") else str(directory / "rows.db")
    with closing(sqlite3.connect(file)) as old:
        old.executescript((HERE / "version_008.sql").read_text(encoding="utf-8"))
        if url.startswith("mysql:"):
            _copy(old, url)


def _copy(old: sqlite3.Connection, url: str) -> None:
    with db.open_database(url).connection_context():
        migrate("008_whose_events")
        db.database.execute_sql("SET FOREIGN_KEY_CHECKS = 0")
        for table in models.TABLES:
            if not db.database.table_exists(table):
                continue
            found = old.execute(f"SELECT * FROM {table._meta.table_name}")
            names = ", ".join(f"`{column[0]}`" for column in found.description)
            marks = ", ".join(["%s"] * len(found.description))
            for row in found:
                db.database.execute_sql(f"INSERT INTO {table._meta.table_name} ({names}) VALUES ({marks})", row)
        db.database.execute_sql("SET FOREIGN_KEY_CHECKS = 1")


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock(NOTES["moment"] + MINUTE)
    monkeypatch.setattr(models, "time", clock)
    return clock


@pytest.fixture
def environment(tmp_path, database_url):
    changes = {"POSTERN_SECRET_KEY": NOTES["secret_key"], "POSTERN_WEBMAIL_ORIGINS": NOTES["webmail"]["origin"]}
    return environment_of(tmp_path / "instance", database_url, **changes, POSTERN_SMS_URL="demo:", POSTERN_DEMO="yes")


@pytest.fixture
def database(settings, clock, tmp_path, monkeypatch):
    monkeypatch.setitem(db.SQLITE_PRAGMAS, "synchronous", "off")
    fill(settings.database_url, tmp_path)
    opened = db.open_database(settings.database_url)
    with opened.connection_context():
        db.router().run()
        refuse_bare_numbers(monkeypatch, db.database.obj)
        yield


@pytest.fixture
def signed_in(new_client):
    """`signed_in("anna")` is the browser in which Anna was signed in."""

    def signed_in(name: str):
        browser = new_client()
        for cookie, value in NOTES["sessions"][name].items():
            browser.set_cookie(cookie, value)
        return browser

    return signed_in


def deliver_all(ports, clock) -> None:
    """What the worker does until nothing waits any more."""
    while OutboxItem.open_items().exists():
        clock.pass_by(MINUTE)
        outbox.deliver_due(ports, worker.HANDLERS)


def opens(settings, login: str, password: str) -> bool:
    return passwords.verify(settings, Account.by_login(login).password_hash, password)


# --- what the database contains ---


def test_the_mail_server_finds_the_views_that_stand_in_the_module(database):
    assert views() == as_they_stand_in_the_module()


def test_each_event_can_be_read(database, signed_in):
    assert {event.action for event in AuditEvent.select()} <= {event.code for event in Event}
    pages = [signed_in("manager").open("/account/activity")]
    while "Older" in pages[-1].links:
        pages.append(pages[-1].follow("Older"))
    rows = (row for page in pages for row in page.tree.findall(".//tbody/tr"))
    shown = [row for row in rows if row.get("id", "").startswith("event-")]
    assert len(shown) == AuditEvent.of(Account.by_login("manager@example.org")).count() > 80
    assert not [page.path for page in pages if re.search(r"\b(web|link|mail|operator|webmail|handoff):", page.text)]


# --- who is signed in ---


def test_browsers_stay_signed_in_and_known(database, signed_in):
    assert signed_in("anna").open("/account/password").path == "/account/password"
    assert signed_in("manager").open("/services/").path == "/services/"
    assert sessions.is_known_browser(Account.by_login(ANNA), NOTES["sessions"]["anna"]["postern-browser"])


def test_the_webmails_frame_goes_on_in_its_language(database, signed_in):
    page = signed_in("in the frame").open("/devices/", Sec_Fetch_Dest="iframe")
    assert (page.path, page.tree.find("html").get("lang")) == ("/devices/", "it")
    assert NOTES["webmail"]["origin"] in page.headers["Content-Security-Policy"]


def test_a_webmail_signs_in_with_the_key_that_it_has(ports, new_client):
    webmail = SigningWebmail.__new__(SigningWebmail)
    webmail.row, webmail.origin = Webmail.get(), NOTES["webmail"]["origin"]
    webmail.key = base64.urlsafe_b64decode(NOTES["webmail"]["key"] + "==")
    webmail._audience = ports.settings.base_url
    brought = {"token": webmail.handoff(BORIS), "next": "/devices/"}
    browser = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "iframe", "Origin": webmail.origin}
    assert new_client().request("POST", "/handoff", brought, **browser).status == 303
    assert WebSession.select().join(Account).where(Account.login == BORIS).exists()
    assert webmail_credentials.is_alive(webmail.row, NOTES["webmail"]["credential"]["password"])


def test_guesses_of_before_count(ports):
    guesser = Actor(address="203.0.113.9", user_agent="curl")
    # Six wrong ones were judged: by now there may be one more, where a stranger could try five.
    with pytest.raises(Refused):
        sign_in.sign_in(UnitOfWork(ports, guesser), CHIARA, "wrong", None)
    with pytest.raises(TooManyAttempts):
        sign_in.sign_in(UnitOfWork(ports, guesser), CHIARA, PASSWORD, None)
    assert sign_in.sign_in(UnitOfWork(ports, replace(guesser, address="192.0.2.200")), CHIARA, PASSWORD, None)


# --- links ---


@pytest.mark.parametrize("name", LINKS)
def test_a_link_opens_and_does_its_work(name, database, new_client, settings):
    link = OneTimeLink.get(OneTimeLink.token_hash == links.digest(LINKS[name]))
    path = links.PATHS[link.purpose]
    page = new_client().open(f"/links/{path}/{LINKS[name]}")
    assert page.status == 200
    if path == "password":
        page.fill({"New password": NEW, "Confirm new password": NEW})
    assert page.press(PRESS[path]).status == 200
    login = link.account.login
    if path == "password":
        assert opens(settings, login, NEW)
        assert new_client().sign_in(login, NEW).title == "Overview"
    elif path == "not-me":
        assert Account.by_login(login).state == Account.LOCKED
    else:
        assert not Device.select().where(Device.name == "Anna's phone").exists()
    assert new_client().open(f"/links/{path}/{LINKS[name]}").status == 410


@pytest.mark.parametrize("name", NOTES["invitations"])
def test_an_invitation_is_accepted_with_the_code_of_before(name, database, new_client):
    known, guest = NOTES["invitations"][name], new_client(address="198.51.100.7")
    page = guest.open(f"/set-up/{known['token']}").fill({"Code": known["code"]}).press("Continue")
    assert page.status == 200
    page.choose("Another mail program").press("Continue")
    assert Device.select().where(Device.name == name.title()).exists()


# --- what was to be done ---


def test_the_outbox_delivers_each_row(ports, clock, mailer, settings):
    ports = replace(ports, settings=replace(settings, sms_url="demo:"))
    waiting = list(OutboxItem.open_items())
    assert Counter(item.kind for item in waiting) == NOTES["waiting"]
    letters = [unseal(settings.secret_key, "outbox", item.payload) for item in waiting if item.kind == "mail"]
    assert sorted({letter["letter"] for letter in letters}) == NOTES["letters"]
    deliver_all(ports, clock)
    assert [(item.kind, item.last_error) for item in OutboxItem.select() if item.delivered_at is None] == []
    sent = Counter(recipient for recipient, _ in mailer.sent)
    # Beside them: the archive, and what the request for a link came to.
    assert sent.total() == len(letters) + 2
    assert all(sent[letter["to"]] for letter in letters)
    assert len(ports.sms.sent) == 1


def finish(ports, change_id: int) -> PasswordChange:
    """What the worker does until a change is over."""
    runner = Runner()
    for _ in range(100):
        if PasswordChange.get_by_id(change_id).state in PasswordChange.OVER:
            break
        runner.work(ports)
        outbox.deliver_due(ports, worker.CREDENTIALS | worker.MESSAGES)
    return PasswordChange.get_by_id(change_id)


def test_a_draft_of_a_change_is_confirmed_and_runs(ports, signed_in, settings):
    draft = PasswordChange.get_by_id(NOTES["changes"]["draft"])
    manager = signed_in("manager")
    address = f"/services/{draft.service_id}/password-changes/{draft.id}"
    page = manager.open(address).fill({"Your password": PASSWORD}).press("Change 1 password")
    assert page.path == address
    assert finish(ports, draft.id).state == PasswordChange.DONE
    assert not opens(settings, "nora@example.net", PASSWORD)


def test_changes_that_run_go_on_to_the_end(ports, settings):
    for name in ("sending", "changing"):
        assert finish(ports, NOTES["changes"][name]).state == PasswordChange.DONE
    assert not opens(settings, "nina@example.net", PASSWORD)
    for login, password in NOTES["changing"]["passwords"].items():
        assert opens(settings, login, password)
    assert archive.reported(ports, NOTES["changing"]["report"].rpartition("/")[2], 1)


def work(ports, import_id: int, state: str) -> UserImport:
    """What the worker does until a file is in this state."""
    for _ in range(100):
        if UserImport.get_by_id(import_id).state == state:
            break
        imports.work(ports)
    return UserImport.get_by_id(import_id)


def test_a_file_that_was_half_read_is_read_to_the_end_and_made(ports, signed_in, clock):
    half = work(ports, NOTES["imports"]["half"], UserImport.CHECKED)
    assert (half.line_count, half.problem_count) == (9, 0)
    manager = signed_in("manager")
    address = f"/services/{half.service_id}/imports/{half.id}"
    assert manager.open(f"{address}/users").press("Add 9 users").path == address
    assert work(ports, half.id, UserImport.DONE).invited_count == 9
    assert Mailbox.select().where(Mailbox.address.startswith("half")).count() == 9


@pytest.mark.parametrize("name", ["wanted", "told"])
def test_a_file_whose_users_were_to_be_made_is_made(ports, name):
    made = work(ports, NOTES["imports"][name], UserImport.DONE)
    assert (made.state, made.invited_count) == (UserImport.DONE, 9)
    assert Mailbox.select().where(Mailbox.address.startswith(name)).count() == 9


def test_a_file_whose_reading_was_cut_off_is_forgotten_as_ever(database, signed_in, clock):
    """The rest of it stood in the request alone."""
    cut = UserImport.get(UserImport.file_name == "cut.csv")
    assert signed_in("manager").open(f"/services/{cut.service_id}/imports/{cut.id}").status == 200
    clock.pass_by(housekeeping.UNDECIDED_IMPORTS_KEPT + 1)
    housekeeping.clear_away()
    assert not UserImport.select().where(UserImport.file_name == "cut.csv").exists()
    assert not UserImportPart.select().where(UserImportPart.user_import == cut.id).exists()


# --- mail programs ---


def test_passwords_of_mail_programs_open_what_they_opened(database, database_url, start_dovecot):
    dovecot = start_dovecot(database_url, webmail_hosts=(WEBMAIL,))
    port = dovecot.port("imap")
    known = [*NOTES["devices"].values(), {"login": ANNA, "password": PASSWORD}]
    assert [each for each in known if not imap_accepts(port, each["login"], each["password"])] == []
    assert not imap_accepts(port, ANNA, "wrong")
    assert not imap_accepts(port, "ivan@example.org", PASSWORD)
