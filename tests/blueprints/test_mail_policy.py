"""What Dovecot is answered about attempts to sign in. Who it is and what follows is tested with a real one in
`tests/mailhost/test_policy.py`."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

import database as db
import doctor
from actions.ground.actor import Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import guesses, mail_policy
from actions.passwords import sign_in as ways_in
from models import Account, Attempts, LastLogin, WebmailCredential, now
from tests.conftest import PASSWORD
from tests.signing import SigningWebmail

HOME, AWAY = "192.0.2.1", "203.0.113.7"
LOOPBACK = "127.0.0.1"
REFUSED, ADMITTED = -1, 0


@pytest.fixture
def dovecot(app, settings) -> FlaskClient:
    """A client that knows the key."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = mail_policy.authorization(settings)
    client.environ_base["REMOTE_ADDR"] = LOOPBACK
    return client


def ask(dovecot, login: str, address: str = AWAY, shape: str = "own", **more: object) -> dict:
    asked = {"login": login, "remote": address, "shape": shape, **more}
    return dovecot.post("/dovecot/policy?command=allow", json=asked).json


def status(*asked: object, **more: object) -> int:
    return ask(*asked, **more)["status"]


def report(dovecot, login: str, address: str = AWAY, shape: str = "own", **more: object) -> None:
    told = {"login": login, "remote": address, "shape": shape, "success": False, "policy_reject": False, **more}
    assert dovecot.post("/dovecot/policy?command=report", json=told).json == {"status": 0, "msg": ""}


def at_home(account: Account, address: str = HOME) -> None:
    LastLogin.create(login_id=account.id, device_id=0, service="imap", ip=address, last_access=now())


@pytest.mark.parametrize(
    ("address", "key"),
    [(LOOPBACK, ""), (LOOPBACK, "Bearer wrong"), (AWAY, None), (LOOPBACK, "Bearer \u00e9")],
)
def test_whoever_is_not_dovecot_is_refused(dovecot, settings, anna, address, key):
    key = mail_policy.authorization(settings) if key is None else key
    answer = dovecot.post(
        "/dovecot/policy", json={}, headers={"Authorization": key}, environ_base={"REMOTE_ADDR": address}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("body", [b"", b"[]", b"nothing", b"\xff"])
def test_what_is_no_question_is_not_answered(dovecot, body):
    assert dovecot.post("/dovecot/policy", data=body).status_code == 400


@pytest.mark.parametrize("value", [None, [], {}, 7, "\0", "\ud800", "x" * 9999])
def test_odd_questions_are_answered(dovecot, anna, value):
    for name in ("login", "remote", "shape"):
        assert ask(dovecot, **{"login": anna.login, "address": AWAY} | {name.replace("remote", "address"): value})
    report(dovecot, value, value)


def test_guesses_are_slowed_and_stopped_and_say_why(dovecot, anna, clock):
    for _ in range(guesses.FROM_NETWORK_TO_ACCOUNT.free):
        assert status(dovecot, anna.login) == ADMITTED
        report(dovecot, anna.login)
    assert ask(dovecot, anna.login.upper()) == {"status": -1, "msg": "Too many wrong passwords. Try again later."}
    assert status(dovecot, anna.login, HOME) == ADMITTED
    clock.pass_by(2)
    assert status(dovecot, anna.login) == ADMITTED


def test_of_many_guesses_at_the_same_moment_a_right_one_does_not_slip_through(dovecot, anna, clock):
    """All were let through to the verification before the first was found wrong."""
    for _ in range(30):
        assert status(dovecot, anna.login) == ADMITTED
    for _ in range(29):
        report(dovecot, anna.login)
    assert ask(dovecot, anna.login, verified="1") == {"status": -1, "msg": ""}
    report(dovecot, anna.login, policy_reject=True)
    assert Attempts.get(Attempts.key == guesses.STRANGERS_TO_ACCOUNT.on(anna.login).key).count == 29


def test_what_has_the_shape_of_a_device_password_is_neither_stopped_nor_counted(dovecot, anna, clock):
    for _ in range(200):
        report(dovecot, anna.login, shape=mail_policy.DEVICE_SHAPED)
    assert status(dovecot, anna.login) == ADMITTED
    for _ in range(20):
        report(dovecot, anna.login)
    assert status(dovecot, anna.login) == REFUSED
    assert status(dovecot, anna.login, shape=mail_policy.DEVICE_SHAPED) == ADMITTED


def test_what_dovecot_could_not_judge_is_not_counted(dovecot, anna, clock):
    for _ in range(50):
        report(dovecot, anna.login, fail_type="internal")
    assert status(dovecot, anna.login) == ADMITTED


def test_strangers_do_not_slow_down_who_is_at_home(dovecot, anna, clock):
    at_home(anna)
    for number in range(200):
        report(dovecot, anna.login, f"198.51.{number}.1")
    assert status(dovecot, anna.login) == REFUSED
    assert status(dovecot, anna.login, HOME) == ADMITTED
    for _ in range(6):
        report(dovecot, anna.login, HOME)
    assert status(dovecot, anna.login, HOME) == REFUSED


def test_neighbours_do_not_slow_down_who_is_at_home(dovecot, anna, clock):
    at_home(anna)
    for number in range(guesses.FROM_NETWORK.ceiling):
        report(dovecot, f"somebody{number}@example.org", HOME)
    assert status(dovecot, "another@example.org", HOME) == REFUSED
    assert status(dovecot, anna.login, HOME) == ADMITTED


def test_a_day_of_guesses_from_home_is_counted_too(dovecot, anna, clock):
    at_home(anna)
    judged = 0
    for _ in range(24 * 60):
        if status(dovecot, anna.login, HOME) == ADMITTED:
            report(dovecot, anna.login, HOME)
            judged += 1
        clock.pass_by(60)
    windows = 24 * 3600 // guesses.KNOWN_NETWORK.window
    assert judged <= windows * guesses.KNOWN_NETWORK.ceiling


def test_home_is_where_it_was_within_a_month(dovecot, anna, boris, settings, clock):
    at_home(anna)
    assert guesses.is_known_network(settings, anna, "192.0.2.200")
    assert not guesses.is_known_network(settings, boris, HOME)
    assert not guesses.is_known_network(settings, None, HOME)
    clock.pass_by(guesses.NETWORK_REMEMBERED + 1)
    assert not guesses.is_known_network(settings, anna, HOME)


def test_where_a_webmail_says_that_somebody_was_is_home_too(ports, anna, settings):
    WebmailCredential.create(
        account=anna,
        webmail=SigningWebmail(ports).row,
        webmail_session="sid",
        selector="s" * 8,
        verifier="",
        address=HOME,
        network="192.0.2.0/24",
        expires_at=now(),
    )
    assert guesses.is_known_network(settings, anna, HOME)


def test_who_was_right_in_the_end_begins_anew_and_others_do_not(dovecot, anna, clock):
    for _ in range(4):
        report(dovecot, anna.login)
        report(dovecot, anna.login, HOME)
    report(dovecot, anna.login, success=True)
    for _ in range(2):
        report(dovecot, anna.login)
        report(dovecot, anna.login, HOME)
    assert status(dovecot, anna.login) == ADMITTED
    assert status(dovecot, anna.login, HOME) == REFUSED


def test_who_comes_in_as_always_costs_one_read_each_time_and_no_write(dovecot, anna, monkeypatch):
    report(dovecot, anna.login, success=True)
    executed = []
    real = db.database.obj.execute_sql
    monkeypatch.setattr(
        db.database.obj,
        "execute_sql",
        lambda sql, *given, **named: executed.append(sql) or real(sql, *given, **named),
    )
    for ask_or_tell in (ask, ask, lambda *given: report(*given, success=True)):
        ask_or_tell(dovecot, anna.login)
    assert [statement.split()[0] for statement in executed] == ["SELECT"] * 3


def test_guesses_by_mail_and_in_the_panel_are_one_count(dovecot, ports, anna, clock):
    for _ in range(3):
        report(dovecot, anna.login)
    for _ in range(2):
        with pytest.raises(ways_in.Refused):
            ways_in.sign_in(UnitOfWork(ports, Actor(address=AWAY)), anna.login, "wrong", None)
    assert status(dovecot, anna.login) == REFUSED
    with pytest.raises(ways_in.throttle.TooManyAttempts):
        ways_in.sign_in(UnitOfWork(ports, Actor(address=AWAY)), anna.login, PASSWORD, None)


def test_the_doctor_sees_when_somebody_came_in_unasked(dovecot, anna, clock):
    assert mail_policy.let_in_unasked() is None
    at_home(anna)
    assert mail_policy.let_in_unasked() == clock.moment
    report(dovecot, anna.login, success=True)
    assert mail_policy.let_in_unasked() is None
    clock.pass_by(3600)
    at_home(anna, AWAY)
    assert mail_policy.let_in_unasked() == clock.moment


def test_the_doctor_sees_when_nobody_answers(ports, settings):
    asking = replace(settings, dovecot_policy_url="http://127.0.0.1:1")
    findings = {finding.subject: finding for finding in doctor.examine(replace(ports, settings=asking))}
    assert not findings["guesses by mail"].well
    assert "does not answer Dovecot" in findings["guesses by mail"].sentence
