"""Sign in, sign out, forgotten password, and the password once more before something dangerous."""

from flask import Blueprint, flash, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user

from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.passwords import passwords, recovery
from actions.passwords import sign_in as ways_in
from actions.sessions import sessions
from blueprints.web import guards, hx
from blueprints.web.errors import wait_sentence

from .forms import ConfirmForm, ForgottenForm, SignInForm

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
@guards.in_frames
@guards.public
def sign_in():
    if current_user.is_authenticated:
        return hx.redirect(guards.safe_return(request.args.get("next")))
    return hx.render("sign_in/sign_in.html", form=SignInForm())


@blueprint.post("/sign-in")
@guards.public
def enter():
    form = SignInForm()
    if form.validate():
        try:
            signed_in = ways_in.sign_in(guards.unit(), form.login.data, form.password.data, guards.known_browser())
        except Refused as refusal:
            form.refuse(refusal, "password")
        except TooManyAttempts as refusal:
            form.password.errors = [wait_sentence(refusal)]
        else:
            if current_user.is_authenticated:
                sessions.sign_out(guards.unit())
            session.start(signed_in.session, signed_in.token, signed_in.browser)
            return hx.redirect(guards.safe_return(request.args.get("next")))
    return hx.render("sign_in/sign_in.html", 422, form=form)


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
    return hx.render("sign_in/forgotten.html", form=ForgottenForm())


@blueprint.post("/forgotten-password")
@guards.public
def send_link():
    form = ForgottenForm()
    if not form.validate():
        return hx.render("sign_in/forgotten.html", 422, form=form)
    recovery.ask_for_link(guards.unit(), form.login.data, guards.known_browser())
    return hx.render("sign_in/link_sent.html")


@blueprint.get("/confirm-password")
@guards.signed_in
def confirm():
    return hx.render("sign_in/confirm.html", form=ConfirmForm())


@blueprint.post("/confirm-password")
@guards.signed_in
def confirmed():
    form = ConfirmForm()
    if form.validate():
        try:
            password, browser = form.current_password.data, guards.known_browser()
            renewed = passwords.confirm_again(guards.unit(), password, browser)
        except Refused as refusal:
            form.refuse(refusal, "current_password")
        except TooManyAttempts as refusal:
            form.current_password.errors = [wait_sentence(refusal)]
        else:
            guards.go_on_in(renewed)
            return hx.redirect(guards.safe_return(request.args.get("next")))
    return hx.render("sign_in/confirm.html", 422, form=form)
