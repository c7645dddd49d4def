"""What people do on the pages, step by step."""

from playwright.sync_api import Locator, Page, expect

from .panel import Person, until

EVERYWHERE = "Update password and log me out from everywhere"


def sign_in(page: Page, person: Person, address: str = "/account/password") -> Page:
    """Go to a page, sign in on the way, and arrive there."""
    page.goto(address)
    enter(page, person.login, person.password)
    page.wait_for_url(f"**{address}")
    return page


def enter(page: Page, login: str, password: str) -> None:
    page.get_by_label("E-mail address").fill(login)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Sign in")


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def current_field(page: Page) -> Locator:
    return page.get_by_label("Current password")


def once_more(page: Page) -> Locator:
    """The field for the password in a form that needs a recent one."""
    return page.get_by_label("Enter your password to continue")


def new_field(page: Page) -> Locator:
    return page.get_by_label("New password", exact=True)


def confirm_field(page: Page) -> Locator:
    return page.get_by_label("Confirm new password")


def fill_in(page: Page, current: str, new: str, confirm: str | None = None) -> None:
    current_field(page).fill(current)
    new_field(page).fill(new)
    confirm_field(page).fill(new if confirm is None else confirm)


def is_refused(page: Page, login: str, password: str) -> bool:
    """Whether the sign-in page refuses these."""
    page.goto("/sign-in")
    enter(page, login, password)
    page.locator(".error").wait_for()
    return page.url.endswith("/sign-in")


def is_signed_out(page: Page) -> bool:
    """Whether the next click in this browser leads to the sign-in page."""
    in_sections(page, "Activity").click()
    page.wait_for_load_state()
    return "/sign-in" in page.url


def letter_link(page: Page, login: str, path: str) -> str:
    """The newest link to `path` in the e-mails about this login, once the worker has written them."""
    link = page.locator("article").filter(has_text=login).locator(f"a[href*='{path}']").first

    def arrived() -> str | None:
        page.goto("/outbox")
        return link.get_attribute("href") if link.count() else None

    return until(arrived)


def in_sections(page: Page, name: str) -> Locator:
    """The link in the navigation: the overview has others of that name."""
    return page.get_by_role("navigation", name="Sections").get_by_role("link", name=name)


def says(page: Page, category: str = "success") -> None:
    """The page has a message of this kind for the person."""
    expect(page.locator(f"#flashes .flash.{category}")).to_be_visible()
