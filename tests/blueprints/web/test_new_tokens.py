"""After giving the password again a person has another cookie, and the one from before is nobody's."""

import pytest

from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.actor import Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.sessions import sessions
from actions.webmails import handoffs
from lab.actors import acting
from models import Account, Device, PasswordChange, WebSession
from tests.actions.test_slow_hands import meanwhile
from tests.blueprints.conftest import change_form
from tests.client import Client
from tests.conftest import ADDRESS, BROWSER, PASSWORD, People
from tests.numbers import give_again
from tests.signing import ORIGIN, SigningWebmail

COOKIE = "postern-session"


@pytest.fixture
def environment(environment):
    sent = {"POSTERN_SMS_URL": "kannel://sender:secret@127.0.0.1:13013"}
    return environment | sent | {"POSTERN_WEBMAIL_ORIGINS": ORIGIN}


@pytest.fixture
def eve(settings, database) -> Account:
    """Somebody in another organisation."""
    return People(settings, "Another Ltd", "example.net").add("eve")


@pytest.fixture
def stolen(signed_in, new_client) -> Client:
    """A browser with a copy of Anna's cookie."""
    thief = new_client()
    thief.set_cookie(COOKIE, signed_in.cookie(COOKIE))
    assert thief.open("/account/sessions").title == "Sessions"
    return thief


def confirmed(client: Client, onward: str = "/account/sessions"):
    page = client.open(f"/confirm-password?next={onward}")
    return page.fill({"Enter your password to continue": PASSWORD}).press("Continue")


def test_the_password_once_more(signed_in, stolen):
    before = signed_in.cookie(COOKIE)
    assert confirmed(signed_in).title == "Sessions"
    assert signed_in.cookie(COOKIE) != before
    assert stolen.open("/account/sessions").title == "Sign in"
    assert signed_in.open("/account/sessions").title == "Sessions"


@pytest.mark.parametrize("script", [False, True], ids=["page", "htmx"])
def test_another_password(signed_in, stolen, script):
    page = change_form(signed_in.open("/account/password"))
    assert page.press("Change", **({"HX_Request": "true"} if script else {})).status == 200
    assert stolen.open("/account/sessions").title == "Sign in"
    assert signed_in.open("/account/sessions").title == "Sessions"


def test_new_passwords_for_several(client, people, new_client):
    people.add("boris", first_name="Boris")
    manager = people.add_manager(
        phone="+393331234567", first_name="Mara", last_name="Lind", contact_email="m@example.com"
    )
    client.sign_in(manager.login, PASSWORD)
    page = client.open(f"/services/{people.service.id}/password-change").tick("boris@example.org Boris").press("Change")
    before = client.cookie(COOKIE)
    page = page.fill({"Your password": "Guessed-Garden-9"}).press("Change 1 password")
    assert page.status == 422
    assert client.cookie(COOKIE) == before
    page = page.fill({"Your password": PASSWORD}).press("Change 1 password")
    assert PasswordChange.get().state == PasswordChange.PREPARING
    assert client.cookie(COOKIE) != before
    assert client.open("/account/sessions").title == "Sessions"
    thief = new_client()
    thief.set_cookie(COOKIE, before)
    assert thief.open("/account/sessions").title == "Sign in"


def test_forms_in_other_tabs_go_on(signed_in):
    other_tab = signed_in.open("/account/preferences")
    confirmed(signed_in)
    assert other_tab.press("Save").flashes == ["Saved."]


def test_the_day_does_not_begin_again(signed_in, clock, anna):
    [begun_at] = [session.created_at for session in sessions.living(anna)]
    clock.pass_by(600)
    confirmed(signed_in)
    assert [session.created_at for session in sessions.living(anna)] == [begun_at]


def test_in_a_webmails_frame(client, ports, anna, clock):
    webmail = SigningWebmail(ports)
    form = {"token": webmail.handoff(anna.login, theme="dark"), "next": "/devices/"}
    headers = {"Origin": ORIGIN, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "iframe"}
    client._arrive(client.request("POST", "/handoff", form, **headers), Sec_Fetch_Dest="iframe")
    before = client.cookie(COOKIE)
    page = client.open("/devices/new", Sec_Fetch_Dest="iframe")
    page.fill({"Name": "Phone", "Enter your password to continue": PASSWORD})
    page = page.press("Continue", Sec_Fetch_Dest="iframe")
    assert anna.devices.get().name == "Phone"
    assert page.tree.find("html").attrib["data-theme"] == "dark"
    assert client.cookie(COOKIE) != before
    [session] = sessions.living(anna)
    assert (session.webmail, session.webmail_session) == (webmail.row, "session-1")


def test_an_answer_that_comes_late_takes_no_cookie_away(signed_in, new_client):
    """A form that was on its way with the cookie from before: by then the browser has another."""
    late, form = new_client(), signed_in.open("/account/preferences")
    late.set_cookie(COOKIE, signed_in.cookie(COOKIE))
    page = late.open("/account/preferences")
    confirmed(signed_in)
    answer = page.press("Save")
    assert "Save" in form.buttons
    assert answer.title == "Sign in"
    assert late.cookie(COOKIE)


# --- numbers that come again, on the pages ---


def test_nobody_elses_device_gets_the_password_that_the_page_shows(client, new_client, monkeypatch, ports, eve, anna):
    bait = devices.make(UnitOfWork(ports, acting(eve)), eve, WantedDevice("Bait", "laptop", Device.IMAP), "bait").device
    other_tab = new_client()
    for browser in (client, other_tab):
        browser.sign_in(eve.login, PASSWORD)
    page = client.open(f"/devices/{bait.id}/password")
    made = []

    def bait_makes_room():
        other_tab.open(f"/devices/{bait.id}/disconnection").press("Disconnect the device")
        give_again(Device, bait.id)
        made.append(
            devices.make(
                UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "smartphone", Device.IMAP), "a form"
            )
        )

    change = devices.change_password

    def change_late(*loaded, **named):
        bait_makes_room()
        return change(*loaded, **named)

    monkeypatch.setattr(devices, "change_password", change_late)
    answer = page.press(page.buttons[-1])
    [theirs] = made
    assert theirs.device.id == bait.id
    assert Device.get_by_id(bait.id).verifier == theirs.device.verifier
    assert "has just been disconnected" in " ".join(answer.flashes)


def test_a_stolen_webmail_session_makes_no_device(client, new_client, monkeypatch, ports, clock, eve, anna):
    webmail = SigningWebmail(ports)
    client.sign_in(eve.login, PASSWORD)
    own, tokens = WebSession.get(), []
    clock.pass_by(301)
    page = client.open("/confirm-password")
    other_tab = new_client()
    other_tab.set_cookie(COOKIE, client.cookie(COOKIE))
    leave = other_tab.open("/account/password")

    def sign_out_and_hand_over():
        leave.press("Sign out")
        give_again(WebSession, own.id)
        thief = Actor(address=ADDRESS, user_agent=BROWSER)
        tokens.append(
            handoffs.enter(
                UnitOfWork(ports, thief), handoffs.examine(UnitOfWork(ports, thief), webmail.handoff(anna.login))
            )
        )

    meanwhile(monkeypatch, passwords, "verify", sign_out_and_hand_over)
    answer = page.fill({"Enter your password to continue": PASSWORD}).press("Continue")
    [(session, token)] = tokens
    assert session.id == own.id
    assert answer.status == 422
    stolen = new_client()
    stolen.set_cookie(COOKIE, token)
    assert "Enter your password to continue" in stolen.open("/devices/new").text
