"""The password once more, asked for in the form that needs it, so that nothing that was typed or meant is lost.

A view that declares `guards.recent_password` is not called while the password was given too long ago. The answer is
the form again (422), with what was typed and a field for the password; sent once more with it, the form is acted on.
Its page is what GET answers at the same address, or what `@asked_in` names. A button without such a page gets a short
one.

Where the password is too old already, pages that declare `guards.asks_password` show the field from the beginning.
Their templates say where it stands: `components/reauthentication.html`. With JavaScript the password is checked before
the form is sent (`reauthentication.js`).
"""

from collections.abc import Callable

from flask import Response, current_app, g, make_response, request
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import HTTPException
from wtforms import PasswordField

from actions.passwords import passwords

from . import guards, hx
from .forms import PanelForm, longest, required
from .visitor import current_user

KEPT = _l("Nothing has been done yet. What you entered is still here.")
PASSWORDS_LOST = _l(
    "Nothing has been done yet. What you entered is still here, except the new password: enter it again."
)
DIALOG = "dialog-"


class ConfirmForm(PanelForm):
    """The password of whoever is signed in."""

    current_password = PasswordField(_l("Enter your password to continue"), [required(), longest()])

    def __init__(self, **options: object):
        super().__init__(**options)
        self.current_password.id = f"{self.within}current_password"

    @property
    def within(self) -> str:
        """What the ids begin with: in the dialog something of its own, because the page behind it may ask too."""
        return DIALOG if request.htmx and request.form.get("within", DIALOG) == DIALOG else ""

    @property
    def login(self) -> str:
        """Whose password it is."""
        return current_user.account.login


def asked_in(page: Callable[..., Response]) -> Callable:
    """The page with the form of a view, where GET does not answer it at the same address. It takes the view's
    arguments, and fills the form with what was sent."""

    def declare(view):
        view.asked_in = page
        return view

    return declare


def ask() -> Response | None:
    """Take the password that a form brought along: its session is a new one from here on, and its view may act. Without
    the right one the answer is the form again, and nothing has been done."""
    form = ConfirmForm()
    if not form.current_password.data:
        form.current_password.errors = [_what_is_kept()]
        return _form_again(form, 422)
    with hx.submit(form, _form_again, "current_password", too_many=422):
        renewed = passwords.confirm_again(guards.unit(), form.current_password.data, guards.known_browser())
    guards.go_on_in(renewed)
    return None


def asked() -> ConfirmForm | None:
    """The form with the field for the password, for a page that needs it now."""
    return (g.get("reauthentication") or ConfirmForm(formdata=None)) if guards.lacks_password() else None


def page_of(view: Callable) -> Callable[..., Response] | None:
    """What shows the form of this request's view; None for a button without a page of its own."""
    return getattr(view, "asked_in", None) or _question_here()


def _question_here() -> Callable[..., Response] | None:
    """The view that answers GET at this address, if it asks for the password."""
    try:
        endpoint, _arguments = current_app.create_url_adapter(request).match(method="GET")
    except HTTPException:
        return None
    view = current_app.view_functions[endpoint]
    return view if view.access.asks_password else None


def _form_again(form: ConfirmForm, status: int) -> Response:
    g.reauthentication = form
    page = page_of(current_app.view_functions[request.endpoint])
    if page is None:
        return hx.render("sign_in/confirm.html", status, form=form, back=guards.page_before())
    answer = make_response(page(**request.view_args))
    answer.status_code = status
    return answer


def _what_is_kept() -> str:
    """Passwords never stand in a page, so those are the exception."""
    has_passwords = any(value for name, value in request.form.items() if name.endswith("password"))
    return PASSWORDS_LOST if has_passwords else KEPT
