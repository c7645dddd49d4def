"""The panel in a webmail's frame: who may show it, how the panel looks in it, and what it reports to the webmail.

A session that a hand-off began remembers its webmail's origin, look and language. They hold in the frame only: on the
same site, browsers bring the same session to the panel in a tab of its own, where it looks as ever. Browsers also bring
a session that began with the password into any frame there: no page may show that one.
"""

from collections.abc import Mapping

from flask import g, request, session

from models import Account
from settings import LANGUAGES, Settings

from . import guards, webmail_look

THEMES = (Account.LIGHT, Account.DARK)
KEY, PASSWORD_CHANGED = "frame", "password_changed"


def remember(origin: str, theme: object, locale: object, said: Mapping[str, str]) -> None:
    """The session is shown by this webmail, as its token says; `said` is what its page said of its own look."""
    spoken = str(locale)[:2].lower()
    session[KEY] = {
        "origin": origin,
        "theme": theme if theme in THEMES else "auto",
        "language": spoken if spoken in LANGUAGES else "",
        "look": webmail_look.read(said),
    }


def framers(settings: Settings) -> list[str]:
    """The origins whose pages may show this answer in a frame.

    Only the webmail that began a session may show it: a click that an attacker lures out of a person counts as that
    person's. A frame shows a visitor nothing but the reason why nobody is signed in.
    """
    if "shown_by" in g:
        return [g.shown_by]
    if session.record is None:
        return list(settings.webmail_origins) if _is_in_frame() and guards.is_shown_to_visitors_in_frames() else []
    return [session[KEY]["origin"]] if _is_begun_by_one_of(settings.webmail_origins) else []


def show_nobody(origin: str) -> None:
    """Let the frame of this webmail show the answer, which says nothing of the signed-in person and lets nobody act."""
    g.shown_by = origin


def _is_begun_by_one_of(origins: tuple[str, ...]) -> bool:
    """Whether one of these webmails handed over the signed-in person, who manages nothing in this session."""
    record = session.record
    is_handed_over = record.webmail_id is not None and KEY in session and not record.account.is_manager
    return is_handed_over and session[KEY]["origin"] in origins


def _is_in_frame() -> bool:
    """Whether the browser says that it asks for a frame's page. No page can say so for it."""
    return request.headers.get("Sec-Fetch-Dest") == "iframe"


def is_framed() -> bool:
    """Whether this answer is for a frame. Browsers say so of pages; fragments are for where their page is."""
    return _is_in_frame() or (request.headers.get("Sec-Fetch-Dest") != "document" and KEY in session)


def webmails(settings: Settings) -> list[str]:
    """The origins that the page in the frame speaks with, and that show the way around the panel in its place; none
    outside a frame."""
    return framers(settings) if is_framed() else []


def theme(account: Account | None) -> str:
    """The webmail's theme in its frame; otherwise the one that the person chose, or "auto" for their system's."""
    if KEY in session and is_framed():
        return session[KEY]["theme"]
    return account.theme if account and account.theme in THEMES else "auto"


def look() -> dict[str, str]:
    """What the panel takes over of the webmail's look in its frame; nothing elsewhere. A session that began before
    there was such a thing has none."""
    return session[KEY].get("look", {}) if KEY in session and is_framed() else {}


def language() -> str:
    """The webmail's language, where it is one of ours; empty otherwise, and outside the frame."""
    return session[KEY]["language"] if KEY in session and is_framed() else ""


def tell_password_changed(everywhere: bool) -> None:
    """Let the next page or fragment in a frame tell the webmail that the password was changed."""
    session[PASSWORD_CHANGED] = "yes" if everywhere else "no"


def password_change_to_tell() -> str | None:
    """Whether to report a password change to the webmail: "yes" for one that logged out everywhere, "no" for
    another; once."""
    return session.pop(PASSWORD_CHANGED, None)
