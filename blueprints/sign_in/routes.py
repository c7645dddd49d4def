"""Sign in, sign out, forgotten password, and the password once more before something dangerous."""

from flask import Blueprint, flash, request, session, url_for
from flask_babel import gettext as _

from actions.passwords import passwords, recovery
from actions.passwords import sign_in as ways_in
from actions.sessions import sessions
from blueprints.web import errors, guards, hx
from blueprints.web.form_tokens import StaleForm
from blueprints.web.reauthentication import ConfirmForm
from blueprints.web.visitor import current_user

from .forms import ForgottenForm, SignInForm

blueprint = Blueprint("sign_in", __name__)

# The forms that come once more when they were out of date: each with the field that says so, and its page.
ONCE_MORE = {
    "sign_in.enter": (SignInForm, "password", "sign_in/sign_in.html"),
    "sign_in.send_link": (ForgottenForm, "login", "sign_in/forgotten.html"),
    "sign_in.confirmed": (ConfirmForm, "current_password", "sign_in/confirm.html"),
}


@blueprint.get("/sign-in")
@guards.in_frames
@guards.public
def sign_in():
    if current_user.is_authenticated and not guards.could_manage():
        return hx.redirect(guards.safe_return(request.args.get("next")))
    return _sign_in_page(SignInForm(login=session.expected()))


@blueprint.post("/sign-in")
@guards.public
def enter():
    form = SignInForm()
    with hx.submit(form, _sign_in_page, "password", too_many=422):
        signed_in = ways_in.sign_in(guards.unit(), form.login.data, form.password.data, guards.known_browser())
    if current_user.is_authenticated:
        sessions.sign_out(guards.unit())
    session.start(signed_in.session, signed_in.token, signed_in.browser)
    return hx.redirect(guards.safe_return(request.args.get("next")))


@blueprint.errorhandler(StaleForm)
def too_late(error: StaleForm):
    """A form that stood open for long: once more, with the address; or the page asked for, to whoever gave the password
    in another tab meanwhile."""
    if _is_done_already():
        return hx.redirect(guards.safe_return(request.args.get("next")))
    if request.endpoint not in ONCE_MORE:
        return errors.stale_form(error)
    sentence = errors.keeps_no_cookies() or _("This form was out of date. Try again.")
    kind, field, page = ONCE_MORE[request.endpoint]
    form = kind()
    form[field].errors = [sentence]
    return hx.render(page, 422, form=form)


def _is_done_already() -> bool:
    if request.endpoint == "sign_in.confirmed":
        return sessions.password_is_recent(current_user.record)
    return request.endpoint == "sign_in.enter" and current_user.is_authenticated


@blueprint.get("/sign-out")
@guards.signed_in
def confirm_sign_out():
    return hx.render("sign_in/sign_out.html")


@blueprint.post("/sign-out")
@guards.signed_in
def sign_out():
    sessions.sign_out(guards.unit())
    session.end()
    flash(_("You are signed out."), "success")
    return hx.redirect(url_for(".sign_in"))


@blueprint.get("/forgotten-password")
@guards.public
def forgotten():
    return _forgotten_page(ForgottenForm())


@blueprint.post("/forgotten-password")
@guards.public
def send_link():
    form = ForgottenForm()
    with hx.submit(form, _forgotten_page, "login"):
        recovery.ask_for_link(guards.unit(), form.login.data, guards.known_browser())
    return hx.render("sign_in/link_sent.html")


@blueprint.get("/confirm-password")
@guards.signed_in
def confirm():
    return _confirm_page(ConfirmForm())


@blueprint.post("/confirm-password")
@guards.signed_in
def confirmed():
    form = ConfirmForm()
    with hx.submit(form, _confirm_page, "current_password", too_many=422):
        renewed = passwords.confirm_again(guards.unit(), form.current_password.data, guards.known_browser())
    guards.go_on_in(renewed)
    if request.htmx:
        # A form that asks for the password itself, and is sent now.
        return _confirm_page(form)
    return hx.redirect(guards.safe_return(request.args.get("next")))


def _sign_in_page(form: SignInForm, status: int = 200):
    return hx.render("sign_in/sign_in.html", status, form=form)


def _forgotten_page(form: ForgottenForm, status: int = 200):
    return hx.render("sign_in/forgotten.html", status, form=form)


def _confirm_page(form: ConfirmForm, status: int = 200):
    return hx.render("sign_in/confirm.html", status, form=form)
