"""What people do in Roundcube and in Postern's frame, step by step. Nothing depends on the language of the pages."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.served_panel import PASSWORD
from lab.servers import imap_accepts, imap_login, wait_until
from lab.visitor import PATIENCE_SECONDS, Visitor
from lab.whole_host import OUTSIDE, Site, WholeHost

NEW_PASSWORD = "Second-Secret-2"
ELSEWHERE = "127.0.0.3"
PAGES = ("password", "devices", "collaborations", "sessions", "activity", "preferences")
MENU_ITEMS = {page: page if page == "password" else f"postern-{page}" for page in PAGES}


def log_in(visitor: Visitor, host: WholeHost, site: Site, login: str, password: str = PASSWORD) -> Visitor:
    """From the webmail's address to the inbox."""
    visitor.open(f"{host.webmail_url(site)}/")
    return enter(visitor, login, password)


def enter(visitor: Visitor, login: str, password: str) -> Visitor:
    visitor.waits_for("#rcmloginuser")
    settle(visitor)
    visitor.type("#rcmloginuser", login)
    visitor.type("#rcmloginpwd", password)
    visitor.click("#rcmloginsubmit")
    visitor.waits_until_at("_task=mail")
    settle(visitor)
    return visitor


def settle(visitor: Visitor) -> None:
    """Wait until Roundcube's page listens to clicks."""
    ready = "return document.readyState === 'complete' && !!window.rcmail && !rcmail.busy"
    wait_until(lambda: visitor.script(ready), "Roundcube's page is ready", PATIENCE_SECONDS)


def go_to_task(visitor: Visitor, task: str) -> None:
    """Click on an entry of Roundcube's main menu, which a phone hides."""
    settle(visitor)
    if visitor.script(f"return !!document.querySelector('#taskmenu a.{task}.selected')"):
        return
    if not visitor.sees(f"#taskmenu a.{task}"):
        visitor.click(".task-menu-button")
    visitor.click(f"#taskmenu a.{task}")


def open_page(visitor: Visitor, page: str) -> None:
    """From wherever in Roundcube to one of Postern's pages in Settings."""
    go_to_task(visitor, "settings")
    visitor.waits_until_at("_task=settings")
    settle(visitor)
    visitor.click(f"#settings-menu li.{MENU_ITEMS[page]} > a")
    visitor.waits_until_at(f"plugin.postern-{page}")
    with visitor.frame():
        visitor.waits_for("main")
        complete = "return document.readyState === 'complete'"
        wait_until(lambda: visitor.script(complete), "the frame is complete", PATIENCE_SECONDS)


@contextmanager
def page_in_frame(visitor: Visitor, page: str) -> Iterator[None]:
    open_page(visitor, page)
    with visitor.frame():
        yield


def give_password(visitor: Visitor, password: str = PASSWORD) -> None:
    """A hand-off is no password: the form of what is dangerous asks for it."""
    visitor.type("#current_password", password)


# --- Password ---


def fill_in(visitor: Visitor, current: str = PASSWORD, new: str = NEW_PASSWORD) -> None:
    visitor.type("#current_password", current)
    visitor.type("#new_password", new)
    visitor.type("#confirm_password", new)


def change_password(visitor: Visitor) -> None:
    """With “Change”; afterwards the webmail goes on."""
    with page_in_frame(visitor, "password"):
        fill_in(visitor)
        visitor.click("#change")
        visitor.waits_for("#flashes .success")
    sees_inbox(visitor)


def change_password_everywhere(visitor: Visitor) -> None:
    """With “log me out from everywhere”, which leads to the webmail's login page."""
    with page_in_frame(visitor, "password"):
        fill_in(visitor)
        visitor.click("#everywhere")
        visitor.click("dialog[open] button.primary")
    visitor.waits_for("#rcmloginuser")


def sees_inbox(visitor: Visitor) -> None:
    go_to_task(visitor, "mail")
    visitor.waits_until_at("_task=mail")
    visitor.waits_for("#messagelist-content")
    settle(visitor)


# --- Devices ---


def add_device(visitor: Visitor, host: WholeHost, login: str) -> str:
    """Its password, which opens IMAP."""
    with page_in_frame(visitor, "devices"):
        begin_device(visitor)
        password = visitor.text("#device-password")
        assert imap_accepts(host.dovecot.port("imap"), login, password, source=ELSEWHERE)
        visitor.click("main a.primary[href$='/devices/']")
        visitor.waits_for("tr[id^='device-']")
    return password


def begin_device(visitor: Visitor) -> None:
    """From the list of devices to the page that shows the new password."""
    visitor.click("a.primary[href*='/devices/new']")
    visitor.type("#name", "Kitchen radio")
    give_password(visitor)
    visitor.click("main form button.primary")
    visitor.waits_for("#device-password")


def disconnect_device(visitor: Visitor, host: WholeHost, login: str, password: str) -> None:
    with visitor.frame():
        choose(visitor, "tr[id^='device-']", "disconnection")
        visitor.click("dialog[open] button.danger")
        visitor.waits_for("#flashes .success")
        assert not visitor.sees("tr[id^='device-']")
    assert not imap_accepts(host.dovecot.port("imap"), login, password, source=ELSEWHERE)


def choose(visitor: Visitor, row: str, address: str) -> None:
    """Choose from a row's menu what leads to an address like this."""
    visitor.click(f"{row} button[popovertarget]")
    visitor.click(f"{row} [popover] a[href*='{address}']")


# --- Collaborations ---


def invite_collaborator(visitor: Visitor, host: WholeHost, login: str) -> None:
    """The invitation travels by real mail."""
    with page_in_frame(visitor, "collaborations"):
        visitor.click("a.primary[href*='/collaborations/new']")
        visitor.type("#first_name", "Mario")
        visitor.type("#last_name", "Rossi")
        visitor.type("#reference_email", f"{login.partition('@')[0]}@contact.example.com")
        visitor.type("#user_name", "mario.rossi")
        visitor.click("#collaborator button.primary")
        give_password(visitor)
        visitor.click("main form[action='/collaborations/'] button.primary")
        visitor.waits_for("tr[id^='collaboration-']")
    wait_until(lambda: is_invited(host, f"mario.rossi/{login}"), "the invitation arrives", PATIENCE_SECONDS)


def is_invited(host: WholeHost, collaborator: str) -> bool:
    """Whether an e-mail that names this login is where all mail for other domains lands."""
    connection = imap_login(host.dovecot.port("imap"), OUTSIDE, host.password)
    connection.select("INBOX", readonly=True)
    _, (found,) = connection.search(None, "TEXT", f'"{collaborator}"')
    connection.logout()
    return bool(found)


def disable_collaborator(visitor: Visitor) -> None:
    with visitor.frame():
        choose(visitor, "tr[id^='collaboration-']", "disabling")
        visitor.click("dialog[open] button.danger")
        visitor.waits_for("#flashes .success")
