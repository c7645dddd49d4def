"""The pages and states of which the tests keep a picture and what screen readers are told of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from lab.served_panel import PASSWORD

from .panel import Panel, Person
from .people import EVERYWHERE, enter, fill_in, press

# The demo's people. Who makes mistakes has an activity of their own to show for it.
ANNA, BORIS, MANAGER = Person("anna@example.org"), Person("boris@example.org"), Person("manager@example.org")
COLLABORATOR = Person(f"carla/{ANNA.login}")
SIGNED_IN = (ANNA, BORIS, MANAGER, COLLABORATOR)
NOBODY = None
COLLABORATOR_WITH_FAULTS = {
    "first_name": "Mario",
    "last_name": "Rossi",
    "reference_email": "mario@contact.example.com",
    "user_name": "carla",
}
# The demo makes its mailboxes in the same order on every machine.
OF_ANNA = "/services/1/mailboxes/1"
CHANGING = """() => {
    for (const time of document.querySelectorAll("time")) {
        time.textContent = "some time ago";
        time.removeAttribute("title");
    }
    // A day ends while the tests run, too.
    for (const day of document.querySelectorAll("tr.day")) day.remove();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data
        .replace(/127\\.0\\.0\\.1:\\d+/g, "account.example.org")
        .replace(/\\w+ \\d+ – \\w+ \\d+/g, "these days")
        .replace(/(\\/set-up\\/|\\/links\\/[\\w-]+\\/)[\\w-]+/g, "$1…");
    for (const secret of document.querySelectorAll(".secret code")) secret.textContent = "…";
}"""


@dataclass(frozen=True)
class View:
    """A page, for somebody, and what they do on it."""

    name: str
    address: str
    who: Person | None = ANNA
    then: Callable[[Page], None] | None = None

    @property
    def is_at_once(self) -> bool:
        """Whether its address is all that it takes."""
        return self.then is None

    def show(self, page: Page) -> None:
        """Go there, and do what they do there."""
        page.goto(self.address)
        if self.then:
            self.then(page)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.fonts.ready")


def prepare(panel: Panel, page: Page) -> None:
    """Give Anna what the pages show."""
    panel.run(sys.executable, "-m", "lab.make_people", typed=COLLABORATOR.login)
    page.goto("/devices/new")
    enter(page, ANNA.login, PASSWORD)
    page.get_by_label("Name", exact=True).fill("Anna's phone")
    page.get_by_label("Smartphone", exact=True).check()
    press(page, "Continue")
    page.locator("#device-password").wait_for()
    page.goto("/devices/invitations/new")
    page.get_by_label("E-mail address").fill("lia@elsewhere.example.com")
    page.get_by_label("Name", exact=True).fill("Lia's tablet")
    press(page, "Invite")
    page.locator("#invitation-code").wait_for()


def refused_sign_in(page: Page) -> None:
    enter(page, "nobody@example.org", "Wrong-Secret-0")
    page.locator(".error").wait_for()


def forgotten(page: Page) -> None:
    page.get_by_label("E-mail address").fill("nobody@example.org")
    press(page, "Send the link")
    page.get_by_role("heading", name="Check your mail").wait_for()


def refused_password(page: Page) -> None:
    fill_in(page, PASSWORD, "Winter", "Summer")
    press(page, "Change")
    page.locator(".error").first.wait_for()


def everywhere(page: Page) -> None:
    fill_in(page, PASSWORD, "Quiet-Harbour-71")
    press(page, EVERYWHERE)
    page.get_by_role("dialog").wait_for()


def account_menu(page: Page) -> None:
    press(page, "Account")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def device_menu(page: Page) -> None:
    page.get_by_role("row").filter(has_text="Anna's phone").get_by_role("button", name="Actions for").click()
    page.locator("[popover]:popover-open").wait_for()


def second_step(page: Page) -> None:
    page.get_by_label("First name").fill("Mario")
    page.get_by_label("Last name").fill("Rossi")
    page.get_by_label("Reference e-mail").fill("mario@contact.example.com")
    page.get_by_label("User name").fill("mario.rossi")
    press(page, "Continue")
    page.get_by_role("button", name="Create account").wait_for()


def refused(button: str, **typed: str) -> Callable[[Page], None]:
    """Send a form with this typed into its fields, which is refused."""

    def send(page: Page) -> None:
        for name, text in typed.items():
            page.locator(f"[name={name}]").fill(text)
        press(page, button)
        page.locator(".error").first.wait_for()

    return send


def useless_device(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("Radio")
    for ability in ("IMAP", "Sending (SMTP)"):
        page.get_by_label(ability, exact=True).uncheck()
    press(page, "Continue")
    page.locator(".error").first.wait_for()


def user_form_with_errors(page: Page) -> None:
    page.get_by_label("Change password").check()
    page.get_by_label("Quota", exact=True).fill("-1")
    press(page, "Save")
    page.locator("#quota-error").wait_for()


VIEWS = (
    View("sign-in", "/sign-in", NOBODY),
    View("sign-in-refused", "/sign-in", NOBODY, refused_sign_in),
    View("forgotten-password", "/forgotten-password", NOBODY),
    View("forgotten-password-sent", "/forgotten-password", NOBODY, forgotten),
    View("link-unknown", "/links/password/unknown", NOBODY),
    View("page-unknown", "/nowhere", NOBODY),
    View("overview", "/overview/"),
    View("overview-menu", "/overview/", then=account_menu),
    View("overview-manager", "/overview/", MANAGER),
    View("password", "/account/password"),
    View("password-refused", "/account/password", BORIS, refused_password),
    View("password-everywhere", "/account/password", then=everywhere),
    View("sessions", "/account/sessions"),
    View("sessions-others", "/account/sessions/others"),
    View("activity", "/account/activity"),
    View("preferences", "/account/preferences"),
    View("contact", "/account/contact"),
    View("contact-refused", "/account/contact", then=refused("Send the link", contact_email=ANNA.login)),
    View("contact-test", "/account/contact-test"),
    View("confirm-password", "/confirm-password"),
    View("sign-out", "/sign-out"),
    View("permissions", "/account/permissions", COLLABORATOR),
    View("devices", "/devices/"),
    View("devices-none", "/devices/", BORIS),
    View("devices-menu", "/devices/", then=device_menu),
    View("device-new", "/devices/new"),
    View("device-new-refused", "/devices/new", then=useless_device),
    View("device-name", "/devices/1/name"),
    View("device-password", "/devices/1/password"),
    View("device-disconnect", "/devices/1/disconnection"),
    View("devices-disconnect-all", "/devices/disconnection"),
    View("device-passwords-only", "/devices/requirement"),
    View("invitations", "/devices/invitations/"),
    View("invitation-new", "/devices/invitations/new"),
    View("invitation-withdraw", "/devices/invitations/1/withdrawal"),
    View("collaborations", "/collaborations/"),
    View("collaborations-none", "/collaborations/", BORIS),
    View("collaboration-new", "/collaborations/new"),
    View("collaboration-new-refused", "/collaborations/new", then=refused("Continue", **COLLABORATOR_WITH_FAULTS)),
    View("collaboration-new-permissions", "/collaborations/new", then=second_step),
    View("collaboration", "/collaborations/1"),
    View("collaboration-permissions", "/collaborations/1/permissions"),
    View("collaboration-reset", "/collaborations/1/reset"),
    View("collaboration-disable", "/collaborations/1/disabling"),
    View("collaboration-remove", "/collaborations/1/removal"),
    View("services", "/services/", MANAGER),
    View("service", "/services/1", MANAGER),
    View("users", "/services/1/mailboxes/", MANAGER),
    View("users-many", "/services/2/mailboxes/", MANAGER),
    View("user-new", "/services/1/mailboxes/new", MANAGER),
    View("user-new-refused", "/services/1/mailboxes/new", MANAGER, refused("Add the user", address="nina", quota="-1")),
    View("user", OF_ANNA, MANAGER),
    View("user-refused", OF_ANNA, MANAGER, user_form_with_errors),
    View("user-devices", f"{OF_ANNA}/devices/", MANAGER),
    View("user-collaborators", f"{OF_ANNA}/collaborators/", MANAGER),
    View("user-access", f"{OF_ANNA}/access", MANAGER),
    View("user-activity", f"{OF_ANNA}/activity", MANAGER),
    View("user-offboarding", f"{OF_ANNA}/access/offboarding", MANAGER),
    View("user-link", f"{OF_ANNA}/link", MANAGER),
    View("user-address", f"{OF_ANNA}/address", MANAGER),
    View("user-suspend", f"{OF_ANNA}/suspension", MANAGER),
    View("user-remove", f"{OF_ANNA}/removal", MANAGER),
    View("users-import", "/services/1/imports/new", MANAGER),
    View("passwords-of-several", "/services/1/password-change", MANAGER),
    View("password-changes", "/services/1/password-changes/", MANAGER),
)
