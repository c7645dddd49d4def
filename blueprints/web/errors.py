"""What a person reads when a request cannot be answered."""

import secrets
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from flask import (
    Flask,
    Request,
    Response,
    abort,
    current_app,
    g,
    render_template,
    request,
    session,
)
from flask_babel import gettext as _
from peewee import DatabaseError, DoesNotExist, IntegrityError, InterfaceError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from database import TROUBLE, discard_connection

from . import form_tokens, guards, words
from .browser_session import VISITOR_LIFETIME
from .translated_templates import TranslatedEnvironment

# Their names are in the code and in templates alone.
FILES = ("static", "panel.asset")


class Panel(Flask):
    """Flask, but for what it writes of an unexpected exception, where it redirects to, which files it serves, and how
    its templates are translated."""

    jinja_environment = TranslatedEnvironment

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self._fixed_addresses: dict[tuple, str] = {}

    def ensure_sync(self, func: Callable) -> Callable:
        """No view and no hook of ours is a coroutine."""
        return func

    def url_for(self, /, endpoint: str, **values: object) -> str:
        """Werkzeug builds each address once where there are few of them: those without a variable part, and those of
        files."""
        try:
            is_below = request._get_current_object().environ.get("SCRIPT_NAME")
        except RuntimeError:
            is_below = True
        if is_below or (values and endpoint not in FILES):
            return super().url_for(endpoint, **values)
        wanted = endpoint, *values.values()
        known = self._fixed_addresses.get(wanted)
        if known is None:
            known = super().url_for(endpoint, **values)
            if endpoint in FILES or not any(rule.arguments for rule in self.url_map.iter_rules(endpoint)):
                self._fixed_addresses[wanted] = known
        return known

    def log_exception(self, exc_info) -> None:
        """Without the address, which may hold a one-time link."""
        named = request.endpoint, request.method, _number()
        self.logger.error("Exception in %s [%s], number %s", *named, exc_info=exc_info)

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """A missing slash leads to a path of this site, whatever the host is called."""
        if isinstance(request.routing_exception, RequestRedirect):
            onward = urlsplit(request.routing_exception.new_url)
            request.routing_exception.new_url = urlunsplit(("", "", "/" + onward.path.lstrip("/"), onward.query, ""))
        super().raise_routing_exception(request)

    def send_static_file(self, filename: str) -> Response:
        """Files whose names begin with a point are not for browsers."""
        if any(part.startswith(".") for part in filename.split("/")):
            abort(404)
        return super().send_static_file(filename)


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(form_tokens.StaleForm, stale_form)
    app.register_error_handler(TooManyAttempts, _too_many)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(DatabaseError, _database_error)
    app.register_error_handler(InterfaceError, _database_error)
    app.register_error_handler(DoesNotExist, _overtaken)
    app.register_error_handler(IntegrityError, _overtaken)


def wait_sentence(refusal: TooManyAttempts) -> str:
    """When the next attempt may be made."""
    if refusal.wait < 90:
        return _("Too many attempts. Try again in %(seconds)s seconds.", seconds=refusal.wait)
    return _("Too many attempts. Try again in %(minutes)s minutes.", minutes=-(-refusal.wait // 60))


def _http_error(error: HTTPException):
    sentences = {
        403: _("You are not allowed to do this."),
        404: _("Page not found, or you have no access to it."),
        405: _("This address does not accept this kind of request."),
        410: _(
            "This link has been used, replaced by a newer one, or has expired. Nothing was changed. If you still need"
            " it, ask for a new one."
        ),
        413: _too_large(),
        500: _our_trouble(),
    }
    page, status = _page(error.code, sentences.get(error.code, _("This request was not understood.")))
    # Such as which methods the address takes.
    return page, status, [header for header in error.get_headers() if header[0] != "Content-Type"]


def _too_large() -> str:
    megabytes = (request.max_content_length or 0) // 1024**2
    if not megabytes:
        return _("The form contains more than can be processed.")
    return _("This file is too large. The maximum is %(megabytes)s MB. Nothing was read.", megabytes=megabytes)


def _refused(refusal: Refused):
    """What no form could say beside a field."""
    return _page(409, words.translated(refusal))


def keeps_no_cookies() -> str:
    """The sentence for a browser that sends back a form of ours without the cookie that came with it; empty where the
    cookie may be too old instead."""
    token = request.form.get(form_tokens.FIELD, "")
    if session or session.record or not form_tokens.is_recent(token, VISITOR_LIFETIME):
        return ""
    return _("Your browser keeps no cookies for this site. Allow cookies, reload the page and try again.")


def stale_form(_error: form_tokens.StaleForm):
    """The page for a form whose token is not, or no longer, this browser's."""
    out_of_date = _("This form is out of date, and nothing was changed. Go back, reload the page and try again.")
    return _page(400, keeps_no_cookies() or out_of_date)


def _too_many(error: TooManyAttempts):
    page, status = _page(429, wait_sentence(error))
    return page, status, {"Retry-After": str(error.wait)}


def _database_error(error: Exception):
    _note_trouble(error)
    page, status = _page(503, _our_trouble())
    return page, status, {"Retry-After": "10"}


def _note_trouble(error: Exception) -> None:
    """From now on nothing of this request asks the database: the page that says so would only wait once more."""
    current_app.logger.error("the database did not answer, number %s: %s", _number(), error)
    discard_connection()
    session.trouble = error


def _number() -> str:
    """By which the operator finds this request in the log."""
    if "number" not in g:
        g.number = secrets.token_hex(4)
    return g.number


def _our_trouble() -> str:
    return _("Something is wrong on our side. Your data is safe: try again in a minute.")


def _overtaken(error: Exception):
    """What this was about was removed, or made, by somebody else meanwhile; its transaction left nothing behind."""
    current_app.logger.error("Overtaken in %s [%s]", request.endpoint, request.method, exc_info=error)
    return _page(409, _("Somebody else changed this at the same time. Reload the page to see the current state."))


def _page(code: int, sentence: str):
    titles = {
        403: _("Not allowed"),
        404: _("Not found"),
        410: _("This link can no longer be used"),
        413: _("Too large"),
        429: _("Too many attempts"),
        503: _("Not available"),
    }
    is_ours = code >= 500
    page = {
        "title": titles.get(code, _("Something went wrong") if is_ours else _("Not possible")),
        "sentence": sentence,
        "number": _number() if is_ours else "",
        "again": guards.way_back() if is_ours else "",
    }
    try:
        return render_template("errors/error.html", **page), code
    except TROUBLE as trouble:
        _note_trouble(trouble)
        return render_template("errors/error.html", **page), code
