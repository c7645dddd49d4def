"""My account: the password, who is signed in, what happened, and how the panel speaks."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, abort, flash, render_template, request, session, url_for
from flask_babel import gettext as _

from actions.authority import permissions
from actions.devices import devices, mail_programs
from actions.ground.addresses import unmistakable
from actions.notices import bounces
from actions.passwords import passphrase, passwords
from actions.revocation import revocation
from actions.sessions import connections, sessions
from actions.sessions.user_agents import browser_name, is_hand_held
from actions.trail import trail
from actions.users import contacts, preferences
from actions.webmails import webmail_credentials
from blueprints.web import audit_words, downloads, frame, guards, hx, words
from blueprints.web.visitor import current_user
from models import Account, AuditEvent, WebmailCredential, WebSession

from .forms import CheckForm, ContactForm, EndForm, NameForm, PasswordForm, PreferencesForm, TrailForm, event_id

blueprint = Blueprint("account", __name__, url_prefix="/account")

EVENTS_A_PAGE = 30


@blueprint.get("/password")
@guards.signed_in
def password():
    return _password_page(PasswordForm())


@blueprint.post("/password")
@guards.signed_in
def change_password():
    form = PasswordForm()
    with _submitted(form, _password_page):
        renewed = passwords.change(
            guards.unit(),
            form.current_password.data,
            form.new_password.data,
            everywhere=form.everywhere.data,
            devices_too=form.devices_too.data,
            browser=guards.known_browser(),
        )
    return _go_on(renewed) if renewed else _signed_out()


def _submitted(form: PasswordForm, again: Callable):
    """All that is wrong is said together; a wrong current password counts as a guess whatever else is wrong."""
    check = partial(_check_change, form)
    return hx.submit(form, again, "current_password", too_many=429, check=check)


def _check_change(form: PasswordForm) -> None:
    passwords.check_change(
        guards.unit(), form.current_password.data, form.new_password.data, browser=guards.known_browser()
    )


def _go_on(renewed: tuple[WebSession, str]):
    guards.go_on_in(renewed)
    frame.tell_password_changed(everywhere=False)
    flash(_("The new password is set. Browsers and mail programs stay signed in."), "success")
    if not request.htmx:
        return hx.redirect(url_for(".password"))
    return hx.anew(_password_page(PasswordForm(formdata=None)))


def _signed_out():
    login = current_user.account.login
    session.end()
    session.expect(login)
    frame.tell_password_changed(everywhere=True)
    return hx.done(url_for("sign_in.sign_in"), _("The new password is set. Sign in with it."))


@blueprint.route("/password/everywhere", methods=["GET", "POST"])
@guards.signed_in
def everywhere():
    """What logging out from everywhere ends: the dialog's content, once nothing is wrong with the form. Without
    JavaScript, the page itself shows it."""
    if not request.htmx:
        return hx.redirect(url_for(".password"))
    if request.method == "POST":
        with _submitted(form := PasswordForm(), _password_again):
            _check_change(form)
    consequences = passwords.consequences(guards.ports(), current_user.account)
    return hx.render("account/everywhere.html", consequences=consequences, browser_name=browser_name)


@blueprint.post("/password/check")
@guards.background
def check_password():
    typed = CheckForm().new_password.data or ""
    return render_template("components/checklist.html", **words.checklist(current_user.account, typed))


@blueprint.post("/password/suggestion")
@guards.background
def suggest_password():
    return render_template("components/suggestion.html", suggestion=passphrase.suggest_for(current_user.account))


def _password_page(form: PasswordForm, status: int = 200):
    return hx.render("account/password.html", status, **_around(form))


def _password_again(form: PasswordForm, status: int):
    """The form in the place of the one that was sent to be checked, and not in the dialog."""
    return hx.instead("#password", "account/change_password.htmx.html", status, **_around(form))


def _around(form: PasswordForm) -> dict:
    account = current_user.account
    return {
        "form": form,
        "username": account.login,
        "consequences": passwords.consequences(guards.ports(), account),
        "browser_name": browser_name,
        **words.checklist(account, form.new_password.data or ""),
    }


@blueprint.get("/sessions")
@guards.signed_in
def list_sessions():
    account = current_user.account
    return hx.render(
        "account/sessions.html",
        devices={device.id: device for device in account.devices},
        has_mailbox=account.mailbox is not None,
        **_in_use(),
    )


@blueprint.post("/sessions/<int:session_id>/end")
@guards.signed_in
def end_session(session_id: int):
    sessions.end(guards.unit(), _own_session(session_id))
    return _one_ended("browsers", _("The browser is signed out."))


@blueprint.post("/sessions/webmails/<int:credential_id>/end")
@guards.signed_in
def end_webmail(credential_id: int):
    credential = WebmailCredential.living(current_user.account).where(WebmailCredential.id == credential_id).first()
    webmail_credentials.end(guards.unit(), credential or abort(404))
    return _one_ended("webmails", _("The webmail is signed out."))


def _one_ended(table: str, sentence: str):
    if sessions.exists(current_user.record):
        return _ended(table, sentence)
    session.end()
    flash(_("You are signed out."), "success")
    return hx.redirect(url_for("sign_in.sign_in"))


@blueprint.post("/sessions/programs/end")
@guards.signed_in
def end_program():
    form = EndForm()
    if not form.validate():
        abort(400)
    device_id, address = form.device_id.data or 0, form.address.data
    sessions.end_program(guards.unit(), device_id, address)
    return _ended("programs", _("The mail programs at this address are disconnected."))


@blueprint.get("/sessions/others")
@guards.asks_password
def confirm_end_others():
    return hx.render("account/end_others.html", **_in_use())


@blueprint.post("/sessions/others")
@guards.recent_password
def end_others():
    revocation.end_others(guards.unit())
    return _ended("browsers", _("All other browsers and mail programs are signed out."))


def _ended(table: str, sentence: str):
    """Say so above the list of sessions, at the heading of this table."""
    words.flash_pending() if guards.unit().is_pending else flash(sentence, "success")
    return hx.redirect(url_for(".list_sessions", _anchor=table))


def _own_session(session_id: int):
    return next((each for each in sessions.living(current_user.account) if each.id == session_id), None) or abort(404)


def _in_use() -> dict:
    """The browsers that are signed in, the webmails, and the mail programs that are connected."""
    account = current_user.account
    signed_in = sessions.living(account)
    return {
        "browsers": [browser for browser in signed_in if browser.webmail_id is None],
        "webmails_in_use": sessions.in_webmails(account, signed_in),
        "connected": connections.of(guards.ports(), account),
        "this": current_user.record,
        "browser_name": browser_name,
        "is_hand_held": is_hand_held,
    }


@blueprint.get("/activity")
@guards.signed_in
def activity():
    form = TrailForm(request.args)
    if not form.validate():
        return _activity_page(form, [], 422)
    before = request.args.get("before", type=event_id)
    return _activity_page(form, trail.page(current_user.account, form.wanted, before, EVENTS_A_PAGE + 1))


@blueprint.get("/activity.csv")
@guards.signed_in
def export_activity():
    form = TrailForm(request.args)
    if not form.validate():
        abort(404)
    events = trail.whole(current_user.account, form.wanted)
    return downloads.csv("activity.csv", downloads.TRAIL_HEADER, map(downloads.trail_row, events))


def _activity_page(form: TrailForm, events: list[AuditEvent], status: int = 200):
    return hx.render(
        "account/activity.html",
        status,
        form=form,
        chosen=form.chosen,
        besides_kind=form.besides_kind,
        days=audit_words.by_day(events[:EVENTS_A_PAGE]),
        older=events[EVENTS_A_PAGE - 1].id if len(events) > EVENTS_A_PAGE else None,
        is_first=not request.args.get("before"),
        sees_others=current_user.account.is_manager,
        audit_words=audit_words,
        browser_name=browser_name,
    )


@blueprint.get("/permissions")
@guards.signed_in
def show_permissions():
    """What a collaborator may do in the mailbox that they share."""
    account, settings = current_user.account, guards.ports().settings
    collaboration = account.collaboration or abort(404)
    return hx.render(
        "account/permissions.html",
        mailbox=account.mailbox,
        collaboration=collaboration,
        named_permissions=permissions.named,
        servers=mail_programs.recommended(settings, account.login, devices.protocols_for(account)),
    )


@blueprint.get("/preferences")
@guards.signed_in
def show_preferences():
    return _preferences_page()


@blueprint.post("/preferences")
@guards.signed_in
def save_preferences():
    form = PreferencesForm(_default_timezone())
    with hx.submit(form, _preferences_page, "language"):
        preferences.save(guards.unit(), form.language.data, form.timezone.data or "", theme=form.theme.data)
    words.refresh()
    session.language = form.language.data
    return hx.done(url_for(".show_preferences"), _("Saved."))


@blueprint.post("/name")
@guards.signed_in
def save_name():
    form = NameForm()
    with hx.submit(form, lambda form, status: _preferences_page(status=status, names=form), "first_name"):
        preferences.rename(guards.unit(), form.first_name.data or "", form.last_name.data or "")
    return hx.done(url_for(".show_preferences"), _("Saved."))


@blueprint.get("/contact")
@guards.asks_password
def contact():
    waiting = contacts.unconfirmed(_who_may_change_contact())
    return _contact_page(ContactForm(contact_email=waiting and waiting.address))


@blueprint.post("/contact")
@guards.recent_password
def change_contact():
    _who_may_change_contact()
    form = ContactForm()
    with hx.submit(form, _contact_page, "contact_email", too_many=429):
        address = contacts.ask(guards.unit(), form.contact_email.data)
    return hx.done(
        url_for(".show_preferences"),
        _("A link to confirm it is on its way to %(address)s.", address=unmistakable(address)),
    )


@blueprint.post("/contact/cancellation")
@guards.signed_in
def cancel_contact():
    _who_may_change_contact()
    with hx.attempt(url_for(".show_preferences")):
        contacts.cancel(guards.unit())
    return hx.done(url_for(".show_preferences"), _("Your contact e-mail stays as it is."))


def _who_may_change_contact() -> Account:
    account = current_user.account
    return account if contacts.may_change(account) else abort(404)


def _contact_page(form: ContactForm, status: int = 200):
    return hx.render("account/contact.html", status, form=form)


@blueprint.get("/contact-test")
@guards.signed_in
def confirm_contact_test():
    return hx.render("account/contact_test.html", address=bounces.tested(current_user.account))


@blueprint.post("/contact-test")
@guards.signed_in
def test_contact():
    with hx.attempt(url_for(".password")):
        address = bounces.send_test(guards.unit())
    return hx.done(url_for(".password"), _("A test e-mail is on its way to %(address)s.", address=address))


def _preferences_page(form: PreferencesForm | None = None, status: int = 200, names: NameForm | None = None):
    account = current_user.account
    return hx.render(
        "account/preferences.html",
        status,
        form=form or _present_preferences(account),
        names=names or NameForm(formdata=None, first_name=account.first_name, last_name=account.last_name),
        may_rename=preferences.may_rename(account),
        may_change_contact=contacts.may_change(account),
        unconfirmed=contacts.unconfirmed(account),
        automatic_timezone=_default_timezone(),
    )


def _present_preferences(account: Account) -> PreferencesForm:
    """What is chosen now. A form about the person's name has none of it."""
    chosen = {"language": account.language, "timezone": account.timezone, "theme": account.theme}
    return PreferencesForm(_default_timezone(), formdata=None, **chosen)


def _default_timezone() -> str:
    return guards.ports().settings.default_timezone
