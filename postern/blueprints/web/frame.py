"""The panel in a webmail's frame: whose frame it is, how the panel looks in it, and what the webmail is told.

A session that a hand-off began remembers its webmail's origin, theme and language. They hold in the frame only: on the
same site, browsers bring the same session to the panel in a tab of its own, where it looks as ever.
"""

from flask import request, session

from postern.settings import LANGUAGES, Settings

THEMES = ("light", "dark")
KEY, PASSWORD_CHANGED = "frame", "password_changed"


def remember(origin: str, theme: object, locale: object) -> None:
    """The session is shown by this webmail, as its token says."""
    spoken = str(locale)[:2].lower()
    session[KEY] = {
        "origin": origin,
        "theme": theme if theme in THEMES else "auto",
        "language": spoken if spoken in LANGUAGES else "",
    }


def is_framed() -> bool:
    """Whether this answer is for a frame. Browsers say so of pages; fragments are for where their page is."""
    destination = request.headers.get("Sec-Fetch-Dest")
    return destination == "iframe" or (destination != "document" and KEY in session)


def has_own_navigation() -> bool:
    """Whether the webmail shows the way around the panel: then the panel does not."""
    return is_framed() and (KEY in session or session.record is None)


def webmails(settings: Settings) -> list[str]:
    """The origins that the page in the frame speaks with; none outside a frame."""
    if not is_framed():
        return []
    return [session[KEY]["origin"]] if KEY in session else list(settings.webmail_origins)


def theme() -> str:
    return session[KEY]["theme"] if KEY in session and is_framed() else "auto"


def language() -> str:
    """The webmail's language, where it is one of ours; empty otherwise, and outside the frame."""
    return session[KEY]["language"] if KEY in session and is_framed() else ""


def tell_password_changed(everywhere: bool) -> None:
    """Let the next page or fragment in a frame tell the webmail that the password was changed."""
    session[PASSWORD_CHANGED] = "yes" if everywhere else "no"


def password_change_to_tell() -> str | None:
    """Whether the webmail is to be told of a change of password: "yes" for one that logged out everywhere, "no" for
    another; once."""
    return session.pop(PASSWORD_CHANGED, None)
