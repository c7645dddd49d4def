"""Who may see which view. Every view declares it; a view that declares nothing answers nobody.

@guards.public              anybody
@guards.signed_in           everybody who is signed in
@guards.recent_password     … and gave the password in the last five minutes in this session; a form may bring it along
                            (`reauthentication`)
@guards.asks_password       everybody who is signed in: a page whose form is for such a view, and asks for the password
@guards.background          the same, for requests that a page sends on its own while a person types or waits: they do
                            not count as use of the session, and a person who is signed out learns it from their
                            next action
@guards.manager             managers of mail services; nobody else learns that the page exists. A session that a webmail
                            began is not enough: it leads to the sign-in
@guards.manager_background  … for what such a page asks on its own
@guards.manager_recently    … and gave the password in the last five minutes in this session; a form may bring it along
@guards.manager_asks        … for a page whose form is for such a view, and asks for the password
@guards.signed_by_webmail   anybody, and from any site: the view itself asks for what a webmail signed
@guards.asked_by_dovecot    the same: the view itself asks for the key in Dovecot's configuration

@guards.takes(bytes), above one of these, lets people whom it admits send more than a form usually holds.
@guards.in_frames, above one that is for anybody, lets webmails show it to visitors.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, abort, current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from peewee import OperationalError

from actions.ground.actor import Actor
from actions.ground.ports import Ports
from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import sessions
from database import discard_connection, is_silence
from models import Account, WebSession

from . import form_tokens, returns
from .redirects import redirect
from .visitor import current_user

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Views that a person whose password must be changed can still reach.
BEFORE_A_NEW_PASSWORD = {
    "account.password",
    "account.change_password",
    "account.everywhere",
    "account.check_password",
    "account.suggest_password",
    "sign_in.sign_out",
}


@dataclass(frozen=True)
class Access:
    """What a view asks of its visitor."""

    signed_in: bool
    recent_password: bool = False
    asks_password: bool = False
    manager: bool = False
    background: bool = False
    from_any_site: bool = False


def _declares(access: Access) -> Callable:
    def declare(view):
        view.access = access
        return view

    return declare


public = _declares(Access(signed_in=False))
signed_in = _declares(Access(signed_in=True))
recent_password = _declares(Access(signed_in=True, recent_password=True))
asks_password = _declares(Access(signed_in=True, asks_password=True))
background = _declares(Access(signed_in=True, background=True))
manager = _declares(Access(signed_in=True, manager=True))
manager_background = _declares(Access(signed_in=True, manager=True, background=True))
manager_recently = _declares(Access(signed_in=True, recent_password=True, manager=True))
manager_asks = _declares(Access(signed_in=True, asks_password=True, manager=True))
signed_by_webmail = _declares(Access(signed_in=False, from_any_site=True))
asked_by_dovecot = _declares(Access(signed_in=False, from_any_site=True))


def takes(largest: int) -> Callable:
    """A view whose form may have this many bytes, from people whom it admits."""

    def declare(view):
        view.largest_form = largest
        return view

    return declare


def in_frames(view):
    """A view that a webmail's frame may show to visitors: nothing that could be pressed there acts."""
    view.in_frames = True
    return view


def is_shown_to_visitors_in_frames() -> bool:
    """Whether webmails may show what this request's view answers a visitor; one that asks for a sign-in only leads
    there."""
    access, view = _access(), current_app.view_functions.get(request.endpoint)
    return getattr(view, "in_frames", False) or (access is not None and access.signed_in)


def init_app(app: Flask, ask_for_password: Callable[[], Response | None]) -> None:
    """Ask every request, in this order: where it comes from, who it is, whether its form is ours, and whether its
    person gave the password lately; if not, `ask_for_password` answers, or returns None when the form brought it."""
    public(app.view_functions["static"])
    app.before_request(_stop_without_session)
    app.before_request(_refuse_foreign_sites)
    app.before_request(_refuse_what_is_no_form)
    app.before_request(_admit)
    app.before_request(form_tokens.refuse_others)
    app.before_request(lambda: ask_for_password() if _is_dangerous() and lacks_password() else None)


def actor() -> Actor:
    """Who acts in this request, and from where."""
    return Actor(
        account=current_user.account if current_user.is_authenticated else None,
        session=current_user.record if current_user.is_authenticated else None,
        address=request.remote_addr or "",
        user_agent=request.user_agent.string,
    )


def go_on_in(renewed: tuple[WebSession, str]) -> None:
    """The browser's session continues in this row, with this token in place of its own."""
    session.record, session.token = renewed
    current_user.record = session.record


def ports() -> Ports:
    return current_app.extensions["ports"]


def unit() -> UnitOfWork:
    """The unit of work of this request, and who acts now: somebody else as soon as they are signed in."""
    if "unit" not in g:
        g.unit = UnitOfWork(ports())
    return g.unit.by(actor())


def known_browser() -> str | None:
    return current_app.session_interface.known_browser(request)


def safe_return(address: str | None) -> str:
    """The address to go back to when it is a page of ours; the home page otherwise."""
    address = address or ""
    # Browsers read two slashes or more, of either kind, as the beginning of another host's address.
    ours = address.startswith("/") and not address.startswith("//")
    printable = address.isprintable() and "\\" not in address
    return address if ours and printable else url_for("home")


def page_before() -> str:
    """The page on which the person pressed something, if the browser says so; the home page otherwise."""
    return safe_return(returns.path_of(request.referrer or ""))


def _stop_without_session() -> None:
    """The panel can recognise nobody while the database does not answer."""
    if session.trouble:
        raise session.trouble


def _note_use() -> None:
    """Note that the session is in use. A page that only reads is shown also while nothing can be written."""
    try:
        sessions.seen(current_user.record, request.remote_addr or "")
    except OperationalError as trouble:
        if request.method not in SAFE_METHODS or is_silence(trouble):
            raise
        current_app.logger.error("the database did not note that a session is in use: %s", trouble)
        discard_connection()
        session.is_kept = False


def _refuse_foreign_sites() -> None:
    """Browsers say where an unsafe request comes from; another site's is refused before anything else is done."""
    if request.method in SAFE_METHODS or getattr(_access(), "from_any_site", False):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    own_origins = (ports().settings.origin, request.host_url.rstrip("/"))
    if site not in (None, "same-origin", "none") or origin not in (None, *own_origins):
        abort(403)


def _refuse_what_is_no_form() -> None:
    """Forms would take JSON for one, whose values are of any kind and may hold halves of characters."""
    if request.is_json and request.method not in SAFE_METHODS and not getattr(_access(), "from_any_site", False):
        abort(400)


def could_manage() -> bool:
    """Whether the signed-in person is a manager whom a webmail signed in: as a person, until they do so themselves."""
    account = current_user.account
    return account.acts_as_person and account.role in Account.MANAGERS


def lacks_password() -> bool:
    """Whether what this request's page is for needs a password of the last five minutes, and none was given."""
    access = _access()
    return access is not None and (access.recent_password or access.asks_password) and not _password_is_recent()


def _password_is_recent() -> bool:
    return sessions.password_is_recent(current_user.record)


def _is_dangerous() -> bool:
    """Whether this request's view acts only for somebody who gave the password in the last five minutes."""
    return getattr(_access(), "recent_password", False)


def _access() -> Access | None:
    """What the view of this request declares."""
    return getattr(current_app.view_functions.get(request.endpoint), "access", None)


def _admit():
    if request.endpoint is None:
        return None
    access = _access()
    if access is None:
        abort(403)
    if not access.signed_in:
        return None
    if not current_user.is_authenticated:
        return Response(status=204) if access.background else _to_sign_in()
    if not access.background:
        _note_use()
    if current_user.account.must_change_password and request.endpoint not in BEFORE_A_NEW_PASSWORD:
        flash(_("Choose a password of your own first."), "warning")
        return redirect(url_for("account.password"))
    if access.manager and not current_user.account.is_manager:
        return _to_sign_in_as_manager() if could_manage() and not access.background else abort(404)
    if access.recent_password and request.method in SAFE_METHODS and not _password_is_recent():
        return redirect(url_for("sign_in.confirm", next=returns.after_confirmation(way_back())))
    if largest := getattr(current_app.view_functions[request.endpoint], "largest_form", None):
        request.max_content_length = largest
    return None


def _to_sign_in():
    if request.method not in SAFE_METHODS:
        flash(_("You are signed out, and nothing was changed. Sign in and try again."), "warning")
    return redirect(url_for("sign_in.sign_in", next=way_back()))


def _to_sign_in_as_manager():
    """Of a manager whom a webmail signed in as a person."""
    flash(_("Sign in with your password to manage users."), "warning")
    return redirect(url_for("sign_in.sign_in", next=way_back()))


def way_back() -> str:
    """Where to return to: the page that is open in the browser, or the one at this address, if there is any."""
    if request.htmx:
        return safe_return(returns.path_of(request.headers.get("HX-Current-URL", "")))
    readable = "GET" in current_app.create_url_adapter(request).allowed_methods()
    return request.full_path.rstrip("?") if readable else url_for("home")
