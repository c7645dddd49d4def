"""Devices: the list, a new one, and what its menu offers."""

import secrets

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from postern.actions import connections, devices, invitations
from postern.actions.text import Refused
from postern.blueprints.web import device_forms, guards, hx, words
from postern.models import Device, Mailbox, now

from .forms import NewDeviceForm, RenameForm, RequirementForm

blueprint = Blueprint("devices", __name__, url_prefix="/devices")

WAITING_TIME = 600
# What a database can hold as an id.
DEVICE = "/<int(max=2147483647):device_id>"


@blueprint.get("/")
@guards.signed_in
def list_devices():
    connected = connections.of(guards.ports(), current_user.account)
    return hx.render(
        "devices/list.html",
        mailbox=_mailbox(),
        rows=devices.rows(current_user.account, connected),
        connected=connected,
        invitations=invitations.pending(current_user.account),
        recipient=invitations.recipient,
        protocol_words=device_forms.protocol_words,
        can_have_profile=device_forms.can_have_profile,
    )


@blueprint.get("/new")
@guards.recent_password
def new():
    _mailbox()
    return _new_page(NewDeviceForm(request_id=secrets.token_urlsafe(32)))


@blueprint.post("/")
@guards.recent_password
def create():
    _mailbox()
    form = NewDeviceForm()
    if not form.validate():
        return _new_page(form, 422)
    try:
        made = devices.make(
            guards.ports(), guards.actor(), current_user.account, form.wanted(form.login), form.request_id.data
        )
    except Refused as refusal:
        form.refuse(refusal, "name")
        return _new_page(form, 422)
    if made is None:
        return hx.render("devices/shown_already.html", 409)
    return _handover_page(made)


@blueprint.get(f"{DEVICE}/waiting")
@guards.signed_in
def waiting(device_id: int):
    """What the waiting line shows next: nothing new (204), or its last word, with which it stops asking."""
    device = _own(device_id)
    if not request.htmx:
        return hx.redirect(url_for(".list_devices"))
    login = devices.first_login(device)
    if login is None and now() < device.password_at + WAITING_TIME:
        return Response(status=204)
    return hx.render("", login=login)


@blueprint.get(f"{DEVICE}/password")
@guards.recent_password
def password(device_id: int):
    return hx.render("devices/password.html", device=_own(device_id))


@blueprint.post(f"{DEVICE}/password")
@guards.recent_password
def change_password(device_id: int):
    return _handover_page(_new_password(_own(device_id)))


@blueprint.get(f"{DEVICE}/profile")
@guards.recent_password
def profile(device_id: int):
    return hx.render("devices/profile.html", device=_with_profile(device_id))


@blueprint.post(f"{DEVICE}/profile")
@guards.recent_password
def download_profile(device_id: int):
    """A profile carries a password of its own: so none is stored, and none travels through a form."""
    return device_forms.profile_of(_new_password(_with_profile(device_id)))


@blueprint.get(f"{DEVICE}/name")
@guards.signed_in
def name(device_id: int):
    device = _own(device_id)
    return _name_page(device, RenameForm(name=device.name, icon=device.icon))


@blueprint.post(f"{DEVICE}/name")
@guards.signed_in
def rename(device_id: int):
    device, form = _own(device_id), RenameForm()
    if not form.validate():
        return _name_page(device, form, 422)
    try:
        devices.rename(guards.actor(), device, form.name.data, form.icon.data)
    except Refused as refusal:
        form.refuse(refusal, "name")
        return _name_page(device, form, 422)
    flash(_("The device is called “%(name)s” now.", name=device.name), "success")
    return hx.redirect(url_for(".list_devices"))


@blueprint.get(f"{DEVICE}/disconnection")
@guards.recent_password
def disconnection(device_id: int):
    return hx.render("devices/disconnection.html", device=_own(device_id))


@blueprint.post(f"{DEVICE}/disconnection")
@guards.recent_password
def disconnect(device_id: int):
    device = _own(device_id)
    ended = devices.disconnect(guards.ports(), guards.actor(), device)
    flash(_("“%(name)s” is disconnected. Its password opens nothing any more.", name=device.name), "success")
    words.flash_pending(ended)
    return hx.redirect(url_for(".list_devices"))


@blueprint.get("/disconnection")
@guards.recent_password
def disconnection_of_all():
    return hx.render(
        "devices/disconnection_of_all.html",
        devices=list(current_user.account.devices.order_by(Device.id.desc())),
        invitations=invitations.pending(current_user.account),
        recipient=invitations.recipient,
    )


@blueprint.post("/disconnection")
@guards.recent_password
def disconnect_all():
    ended = devices.disconnect_all(guards.ports(), guards.actor(), current_user.account)
    flash(_("All devices are disconnected. Their passwords open nothing any more."), "success")
    words.flash_pending(all(ended))
    return hx.redirect(url_for(".list_devices"))


@blueprint.get("/requirement")
@guards.recent_password
def requirement():
    connected = connections.of(guards.ports(), current_user.account)
    return hx.render(
        "devices/requirement.html",
        mailbox=_mailbox(),
        programs=connected.by_own_password,
        unknown=connected.unknown,
        has_webmail=bool(guards.ports().settings.webmail_hosts),
    )


@blueprint.post("/requirement")
@guards.recent_password
def require():
    required = RequirementForm().required.data
    ended = devices.require(guards.ports(), guards.actor(), _mailbox(), required)
    if required:
        flash(_("Mail programs need a device password from now on."), "success")
    else:
        flash(_("Mail programs may use your own password again."), "success")
    words.flash_pending(ended)
    return hx.redirect(url_for(".list_devices"))


def _mailbox() -> Mailbox:
    """The signed-in account's mailbox: whoever has none has no devices."""
    return current_user.account.mailbox or abort(404)


def _own(device_id: int) -> Device:
    return current_user.account.devices.where(Device.id == device_id).first() or abort(404)


def _with_profile(device_id: int) -> Device:
    device = _own(device_id)
    return device if device_forms.can_have_profile(device) else abort(404)


def _new_password(device: Device) -> devices.Made:
    try:
        made, ended = devices.change_password(guards.ports(), guards.actor(), device)
    except Refused:
        abort(404)
    words.flash_pending(ended)
    return made


def _new_page(form: NewDeviceForm, status: int = 200):
    return hx.render("devices/new.html", status, form=form)


def _name_page(device: Device, form: RenameForm, status: int = 200):
    return hx.render("devices/name.html", status, device=device, form=form)


def _handover_page(made: devices.Made):
    return hx.render("devices/handover.html", **device_forms.handover(made))
