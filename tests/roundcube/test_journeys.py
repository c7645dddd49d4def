"""Password, Devices and Collaborations from Roundcube's inbox on, with everything real: in two browsers, with the panel
on the webmail's site and on another."""

import pytest

from lab.journeys import (
    NEW_PASSWORD,
    add_device,
    change_password,
    change_password_everywhere,
    disable_collaborator,
    disconnect_device,
    enter,
    invite_collaborator,
    log_in,
    page_in_frame,
)
from lab.served_panel import PASSWORD
from tests.roundcube.conftest import CROSS_SITE, SAME_SITE

SITES = {"same-site": SAME_SITE, "cross-site": CROSS_SITE}


def everywhere(*always: str):
    """Every browser and site; all but those named “browser, site” at full size only."""
    return pytest.mark.parametrize(
        ("browser", "site"),
        [
            pytest.param(
                browser, site, id=f"{browser}-{name}", marks=() if f"{browser}, {name}" in always else pytest.mark.long
            )
            for browser in ("chromium", "firefox")
            for name, site in SITES.items()
        ],
    )


@pytest.fixture
def visitor(new_visitor, host, browser, site, person):
    """The person's browser, on the inbox."""
    return log_in(new_visitor(browser), host, site, person)


@everywhere("chromium, same-site", "chromium, cross-site")
def test_the_password_is_changed_and_the_webmail_goes_on(visitor, host, site, person, new_visitor, new_client):
    change_password(visitor)
    assert not new_client(site).log_in(person, PASSWORD).ok
    assert new_client(site).logged_in(person, NEW_PASSWORD).opens_mail()


@everywhere("chromium, cross-site", "firefox, same-site")
def test_the_password_is_changed_everywhere_and_the_webmail_asks_for_the_new_one(visitor, person):
    change_password_everywhere(visitor)
    assert "new password is set" in visitor.text("#messagestack")
    enter(visitor, person, NEW_PASSWORD)
    with page_in_frame(visitor, "password"):
        visitor.waits_for("#current_password")


@everywhere("chromium, same-site", "firefox, cross-site")
def test_a_device_is_added_used_and_disconnected(visitor, host, person):
    password = add_device(visitor, host, person)
    disconnect_device(visitor, host, person, password)


@everywhere("chromium, cross-site")
def test_a_collaborator_is_invited_and_disabled(visitor, host, person):
    invite_collaborator(visitor, host, person)
    disable_collaborator(visitor)


@everywhere("chromium, same-site")
@pytest.mark.parametrize(
    "click",
    [
        pytest.param("a.refresh", id="inbox"),
        pytest.param("#taskmenu a.settings", id="settings"),
        pytest.param("#taskmenu a.contacts", id="contacts", marks=pytest.mark.long),
    ],
)
def test_a_change_everywhere_ends_another_browsers_session_at_its_next_click(
    visitor, new_visitor, host, browser, site, person, click
):
    other = log_in(new_visitor(browser), host, site, person)
    change_password_everywhere(visitor)
    other.click(click)
    other.waits_for("#rcmloginuser")
    assert "session was ended" in other.text("#messagestack")
    enter(other, person, NEW_PASSWORD)
