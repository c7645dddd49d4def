"""The panel and a real Dovecot over one database: what a person does in a page is true in IMAP at once."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

import adapters
import database as db
import worker
from actions.ground.ports import Ports
from actions.passwords import passwords
from lab.mail_host import Login
from lab.servers import (
    HOST,
    REFUSE_QUICKLY,
    Doorway,
    Dovecot,
    Idle,
    MailSink,
    idle,
    imap_accepts,
    imap_login,
    mail_settings,
    wait_until,
)
from models import Account, OutboxItem
from settings import Settings
from tests.conftest import PASSWORD

NEW = "Other-Garden-8"
EVERYWHERE = "Update password and log me out from everywhere"
WEBMAIL, ELSEWHERE = "127.0.0.2", "127.0.0.3"
# At its defaults Dovecot's login penalty makes the next right password wait 15 s.
PROMPTLY = 2


@pytest.fixture(scope="module")
def letters() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def dovecot(module_database_url, dovecot_version, tmp_path_factory, letters) -> Iterator[Dovecot]:
    with db.open_database(module_database_url).connection_context():
        db.router().run()
    settings = mail_settings(
        module_database_url,
        tmp_path_factory.mktemp("instance"),
        argon2_memory=7168,
        argon2_time=1,
        smtp_url=letters.url,
        submission_relay=f"{HOST}:{letters.port}",
        mail_from="postern@example.org",
        webmail_hosts=(WEBMAIL,),
        dovecot_version=dovecot_version,
    )
    with Dovecot(settings, REFUSE_QUICKLY) as running:
        yield running


@pytest.fixture
def doorway(dovecot: Dovecot) -> Iterator[Doorway]:
    """The panel's way to Dovecot."""
    with Doorway(dovecot.port("doveadm")) as open_door:
        yield open_door


@pytest.fixture
def settings(dovecot: Dovecot, doorway: Doorway) -> Settings:
    return dataclasses.replace(dovecot.settings, doveadm_url=f"http://{HOST}:{doorway.port}")


@pytest.fixture
def ports(settings: Settings) -> Ports:
    """The real ones."""
    return adapters.build(settings)


@pytest.fixture
def worker_runs(ports: Ports, database: None):
    """`with worker_runs():` as beside the web server."""

    @contextlib.contextmanager
    def running() -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=work, args=(ports, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    return running


def work(ports: Ports, stop: threading.Event) -> None:
    try:
        worker.run(ports, stop)
    finally:
        db.database.close()


@pytest.fixture
def connected(dovecot: Dovecot) -> Iterator:
    """`connected(login, password)` waits in IDLE from then on, until the test ends."""
    with contextlib.ExitStack() as waiting:

        def connect(account: Account, password: str = PASSWORD, **named: str) -> Idle:
            connection = imap_login(dovecot.port("imap"), account.login, password, **named)
            waiting.callback(connection.shutdown)
            return idle(connection)

        yield connect


@pytest.fixture
def opens_imap(dovecot: Dovecot):
    return lambda account, password: imap_accepts(dovecot.port("imap"), account.login, password)


@pytest.fixture
def signed_in(client, anna):
    assert client.sign_in(anna.login, PASSWORD).title == "Overview"
    return client


def change(browser, button: str, new: str = NEW):
    """Change the password in the page; what the page says then."""
    page = browser.open("/account/password")
    page.fill({"Current password": PASSWORD, "New password": new, "Confirm new password": new})
    return page.press(button)


@pytest.mark.parametrize("button", ["Change", EVERYWHERE])
def test_the_new_password_is_in_force_when_the_page_answers(signed_in, anna, opens_imap, button):
    assert opens_imap(anna, PASSWORD)
    change(signed_in, button)
    assert opens_imap(anna, NEW)
    assert not opens_imap(anna, PASSWORD)


def test_logging_out_from_everywhere_drops_open_connections_at_once(signed_in, anna, boris, connected):
    annas, from_elsewhere, boriss = connected(anna), connected(anna, source=ELSEWHERE), connected(boris)
    change(signed_in, EVERYWHERE)
    assert annas.seconds_until_dropped(2) < 2
    assert from_elsewhere.seconds_until_dropped(2) < 2
    assert boriss.is_open()


def test_a_change_alone_leaves_open_connections(signed_in, anna, connected):
    waiting = connected(anna)
    change(signed_in, "Change")
    assert waiting.is_open(1)


def test_while_doveadm_cannot_be_reached_the_change_commits_and_connections_end_after_its_return(
    signed_in, anna, opens_imap, connected, doorway, worker_runs
):
    waiting = connected(anna)
    doorway.close()
    page = change(signed_in, EVERYWHERE)
    assert page.title == "Sign in"
    assert any("does not answer" in flash for flash in page.flashes)
    assert opens_imap(anna, NEW)
    assert not opens_imap(anna, PASSWORD)
    with worker_runs():
        assert waiting.is_open(1)
        doorway.open()
        assert waiting.seconds_until_dropped(10) < 10


def test_while_dovecot_is_stopped_the_change_commits_and_nothing_is_left_to_do_after_its_return(
    signed_in, anna, dovecot, opens_imap, worker_runs
):
    dovecot.stop()
    try:
        page = change(signed_in, EVERYWHERE)
        assert any("does not answer" in flash for flash in page.flashes)
    finally:
        dovecot.start()
    waiting = OutboxItem.open_items().where(OutboxItem.kind == "connections")
    assert waiting.count()
    with worker_runs():
        wait_until(lambda: not waiting.count(), "the outbox is empty")
    assert opens_imap(anna, NEW)
    assert not opens_imap(anna, PASSWORD)


@pytest.mark.parametrize(
    "typed",
    [
        "Zoë-Gärten-8",
        "Пароль-от-почты-8",
        "Vu7 inner  spaces",
        "  Vu7 spaces before",
        "Vu7😀👍🏽kqzw",
        "Ǆ7ﬁ²Ωx-Vu",
        "Vu7!" + "😀" * 124,
        "\"Vu7\\'%w{PLAIN}",
    ],
    ids=lambda typed: ascii(typed)[:20],
)
def test_an_accepted_password_opens_every_protocol_as_it_was_typed(signed_in, dovecot, anna, typed):
    assert not change(signed_in, "Change", typed).error_of("New password")
    login = Login(dovecot, anna.login)
    protocols = (login.opens_imap, login.opens_pop3, login.opens_submission, login.opens_sieve)
    assert [opens for opens in protocols if not opens(typed)] == []


@pytest.mark.parametrize(
    "typed", ["Zoe\u0308-Garten-8", "Vu7\u00a0kqzwxy", "Vu7\u3000kqzwxy", "Vu7 kqzwxy "], ids=ascii
)
def test_a_password_that_would_not_open_imap_as_it_was_typed_is_refused(signed_in, anna, opens_imap, typed):
    assert change(signed_in, "Change", typed).error_of("New password")
    assert opens_imap(anna, PASSWORD)


@pytest.mark.parametrize("memory", [1024, 65536], ids=["weaker", "stronger"])
def test_a_hash_of_another_cost_opens_imap_and_is_renewed_at_sign_in(client, settings, people, opens_imap, memory):
    chiara = people.add("chiara")
    hasher = PasswordHasher(time_cost=2, memory_cost=memory, parallelism=1)
    Account.update(password_hash=hasher.hash(PASSWORD)).where(Account.id == chiara.id).execute()
    assert opens_imap(chiara, PASSWORD)
    assert client.sign_in(chiara.login, PASSWORD).title == "Overview"
    renewed = Account.get_by_id(chiara.id).password_hash
    assert not passwords.hasher(settings).check_needs_rehash(renewed)
    assert opens_imap(chiara, PASSWORD)


def test_a_right_password_does_not_wait_after_anothers_guesses_through_the_same_webmail(dovecot, anna, boris):
    port = dovecot.port("imap")
    guesses = [threading.Thread(target=guess, args=(port, boris.login, f"guess {number}")) for number in range(12)]
    for each in guesses:
        each.start()
    for each in guesses:
        each.join()
    assert "Password mismatch" in dovecot.log
    started = time.monotonic()
    assert imap_accepts(port, anna.login, PASSWORD, source=WEBMAIL)
    assert time.monotonic() - started < PROMPTLY


def guess(port: int, login: str, password: str) -> None:
    assert not imap_accepts(port, login, password, source=WEBMAIL)


def test_the_sessions_page_lists_connected_mail_programs_and_ends_one(signed_in, anna, connected):
    here, elsewhere = connected(anna), connected(anna, source=ELSEWHERE)
    page = signed_in.open("/account/sessions")
    assert HOST in page.text
    assert ELSEWHERE in page.text
    [button] = [each for each in page.buttons if each.startswith("End") and each.endswith(f" {HOST}")]
    page = page.press(button)
    assert here.seconds_until_dropped(2) < 2
    assert elsewhere.is_open()
    assert ELSEWHERE in page.text
