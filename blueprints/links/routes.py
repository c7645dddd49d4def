"""The pages behind one-time links. Reading one changes nothing; its button does."""

from functools import partial

from flask import Blueprint, abort, render_template, session, url_for
from flask_babel import gettext as _

from actions.devices import devices
from actions.passwords import recovery
from actions.sessions import links
from actions.users import contacts
from blueprints.web import guards, hx, words
from blueprints.web.visitor import current_user

from .forms import NewPasswordForm

blueprint = Blueprint("links", __name__, url_prefix="/links")


@blueprint.get("/password/<token>")
@guards.public
def password(token: str):
    return _password_page(_find(token, links.SETS_PASSWORD), token, NewPasswordForm())


@blueprint.post("/password/<token>")
@guards.public
def set_password(token: str):
    link, form = _find(token, links.SETS_PASSWORD), NewPasswordForm()
    check = partial(recovery.check_new, guards.unit(), link, form.new_password.data)
    with hx.submit(form, partial(_password_page, link, token), "new_password", check=check):
        browser = recovery.set_password(guards.unit(), link, form.new_password.data, guards.known_browser())
    _forget_own_session(link.account_id)
    session.browser = browser
    session.expect(link.account.login)
    return hx.done(url_for("sign_in.sign_in"), _("The new password is set. Sign in with it."))


@blueprint.post("/password/<token>/check")
@guards.public
def check_password(token: str):
    link, typed = _find(token, links.SETS_PASSWORD), NewPasswordForm().new_password.data or ""
    return render_template("components/checklist.html", **words.checklist(link.account, typed))


@blueprint.get("/not-me/<token>")
@guards.public
def not_me(token: str):
    link = _find(token, (links.DISOWN,))
    return hx.render("links/not_me.html", link=link)


@blueprint.post("/not-me/<token>")
@guards.public
def lock(token: str):
    link = _find(token, (links.DISOWN,))
    with hx.attempt_once():
        recovery.lock(guards.unit(), link)
    _forget_own_session(link.account_id)
    words.flash_pending()
    return hx.render("links/locked.html", login=link.account.login)


@blueprint.get("/not-my-device/<token>")
@guards.public
def not_my_device(token: str):
    link = _find(token, (links.DISOWN_DEVICE,))
    return hx.render("links/not_my_device.html", link=link, device=devices.disowned(link))


@blueprint.post("/not-my-device/<token>")
@guards.public
def end_device(token: str):
    link = _find(token, (links.DISOWN_DEVICE,))
    with hx.attempt_once():
        devices.disown(guards.unit(), link)
    words.flash_pending()
    return hx.render("links/device_ended.html")


@blueprint.get("/contact/<token>")
@guards.public
def contact(token: str):
    return hx.render("links/contact.html", link=_find(token, (links.CONFIRM_CONTACT,)))


@blueprint.post("/contact/<token>")
@guards.public
def confirm_contact(token: str):
    link = _find(token, (links.CONFIRM_CONTACT,))
    with hx.attempt_once():
        contacts.confirm(guards.unit(), link)
    return hx.render("links/contact_confirmed.html", link=link)


@blueprint.get("/not-my-contact/<token>")
@guards.public
def not_my_contact(token: str):
    return hx.render("links/not_my_contact.html", link=_find(token, (links.DISOWN_CONTACT,)))


@blueprint.post("/not-my-contact/<token>")
@guards.public
def put_contact_back(token: str):
    link = _find(token, (links.DISOWN_CONTACT,))
    with hx.attempt_once():
        contacts.disown(guards.unit(), link)
    _forget_own_session(link.account_id)
    words.flash_pending()
    return hx.render("links/locked.html", login=link.account.login)


def _find(token: str, purposes: tuple[str, ...]):
    """The link, or the page that says it can no longer be used."""
    return links.find(token, purposes) or abort(410)


def _password_page(link, token: str, form: NewPasswordForm, status: int = 200):
    return hx.render(
        "links/password.html",
        status,
        form=form,
        token=token,
        username=link.account.login,
        is_first=link.purpose == links.WELCOME,
        shared=link.account.mailbox if link.account.is_collaborator else None,
        **words.checklist(link.account, form.new_password.data or ""),
    )


def _forget_own_session(account_id: int) -> None:
    """Sign out the browser that used the link, if it was signed in to this account."""
    if current_user.is_authenticated and current_user.account.id == account_id:
        session.end()
