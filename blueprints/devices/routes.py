"""Devices: the list, a new one, and what its menu offers."""

import secrets
from functools import partial

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from actions.authority import authority
from actions.devices import devices, invitations
from actions.sessions import connections
from blueprints.web import guards, hx, of_user, reauthentication, words
from blueprints.web.visitor import current_user
from models import Account, Device, Mailbox, now

from . import device_forms
from .device_forms import DescriptionForm
from .forms import NewDeviceForm, RequirementForm

blueprint = Blueprint("devices", __name__, url_prefix="/devices")

WAITING_TIME = 600
DEVICE = "/<int:device_id>"


@blueprint.get("/")
@guards.signed_in
def list_devices():
    accounts, named = device_forms.looked_after() or abort(404), of_user.mailbox()
    return hx.render(
        "devices/list.html",
        mailbox=named or current_user.account.mailbox,
        keeps_mailbox=not named and authority.may_keep_mailbox(current_user.account),
        lists=[_list_of(account) for account in accounts],
        protocol_words=device_forms.protocol_words,
        can_have_profile=device_forms.can_have_profile,
        may_be_invited=partial(invitations.may_be_invited_by, current_user.account),
    )


def _list_of(account: Account) -> dict:
    """One account's devices and pending invitations; `of` is what tells the mailbox's from one's own in an address."""
    connected = connections.of(guards.ports(), account)
    return {
        "account": account,
        "of": None if account.id == current_user.account.id or of_user.mailbox() else device_forms.MAILBOX,
        "rows": devices.rows(account, connected),
        "unknown": connected.unknown,
        "invitations": invitations.pending(account),
    }


@blueprint.get("/new")
@guards.asks_password
def new():
    return _new_page(NewDeviceForm(request_id=secrets.token_urlsafe(32)))


@blueprint.post("/")
@guards.recent_password
@reauthentication.asked_in(new)
def create():
    account, form = device_forms.acted_for(), NewDeviceForm()
    with hx.submit(form, _new_page, "name"):
        made = devices.make(guards.unit(), account, form.wanted(form.login), form.request_id.data)
    return _handover_page(made, form.program.data) if made else hx.render("devices/shown_already.html", 409)


@blueprint.get(f"{DEVICE}/waiting")
@guards.background
def waiting(device_id: int):
    """What the waiting line shows next: nothing new (204), or its last word, with which it stops asking."""
    device = _own(device_id)
    if not request.htmx:
        return hx.redirect(_list())
    login = devices.first_login(device)
    if login is None and now() < device.password_at + WAITING_TIME:
        return Response(status=204)
    return hx.render("", login=login)


@blueprint.get(f"{DEVICE}/password")
@guards.asks_password
def password(device_id: int):
    return hx.render("devices/password.html", device=_own(device_id))


@blueprint.post(f"{DEVICE}/password")
@guards.recent_password
def change_password(device_id: int):
    return _handover_page(_new_password(_own(device_id)), device_forms.OTHER)


@blueprint.get(f"{DEVICE}/profile")
@guards.asks_password
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
    return _name_page(device, DescriptionForm(**devices.described(device)))


@blueprint.post(f"{DEVICE}/name")
@guards.signed_in
def rename(device_id: int):
    device, form = _own(device_id), DescriptionForm()
    with hx.submit(form, partial(_name_page, device), "name"):
        devices.rename(guards.unit(), device, **form.described)
    return hx.done(_list(f"device-{device.id}"), _("The device is now called “%(name)s”.", name=device.name))


@blueprint.get(f"{DEVICE}/disconnection")
@guards.asks_password
def disconnection(device_id: int):
    return hx.render("devices/disconnection.html", device=_own(device_id))


@blueprint.post(f"{DEVICE}/disconnection")
@guards.recent_password
def disconnect(device_id: int):
    device = _own(device_id)
    place = _list(f"devices-{device.account_id}")
    with hx.attempt(place):
        devices.disconnect(guards.unit(), device)
    return hx.done_for_now(place, _("“%(name)s” is disconnected. Its password no longer works.", name=device.name))


@blueprint.get("/disconnection")
@guards.asks_password
def disconnection_of_all():
    account = device_forms.acted_for()
    return hx.render(
        "devices/disconnection_of_all.html",
        devices=list(account.devices.order_by(Device.id.desc())),
        invitations=invitations.pending(account),
        of=request.args.get("of"),
    )


@blueprint.post("/disconnection")
@guards.recent_password
def disconnect_all():
    account = device_forms.acted_for()
    place = _list(f"devices-{account.id}")
    with hx.attempt(place):
        devices.disconnect_all(guards.unit(), account)
    return hx.done(place, _("All devices are disconnected. Their passwords no longer work."))


@blueprint.get("/requirement")
@guards.asks_password
def requirement():
    mailbox = _mailbox()
    connected = connections.of(guards.ports(), mailbox.account)
    return hx.render(
        "devices/requirement.html",
        mailbox=mailbox,
        programs=connected.by_own_password,
        unknown=connected.unknown,
        has_webmail=bool(guards.ports().settings.webmail_hosts),
    )


@blueprint.post("/requirement")
@guards.recent_password
def require():
    required = RequirementForm().required.data
    with hx.attempt(_list()):
        devices.require(guards.unit(), _mailbox(), required)
    if required:
        return hx.done(_list(), _("Mail programs need a device password from now on."))
    return hx.done(_list(), _("Mail programs can use your account password again."))


def _mailbox() -> Mailbox:
    """The mailbox whose settings the signed-in account keeps."""
    account = current_user.account
    return account.mailbox if authority.may_keep_mailbox(account) else abort(404)


def _own(device_id: int) -> Device:
    """A device of one of the accounts that the page may be about."""
    accounts = device_forms.looked_after()
    return Device.get_or_none(Device.id == device_id, Device.account.in_(accounts)) or abort(404)


def _with_profile(device_id: int) -> Device:
    device = _own(device_id)
    return device if device_forms.can_have_profile(device) else abort(404)


def _new_password(device: Device) -> devices.MadeDevice:
    """A new password for the device, or the list that says why not."""
    with hx.attempt(_list()):
        made = devices.change_password(guards.unit(), device)
    words.flash_pending()
    return made


def _list(row: str = "") -> str:
    """The list, at the row or the heading with this id."""
    return of_user.address_of("devices.list_devices", _anchor=row or None)


def _new_page(form: NewDeviceForm, status: int = 200):
    account = device_forms.acted_for()
    device_forms.offer_protocols(form, account)
    return hx.render("devices/new.html", status, form=form, acted_for=account, of=request.args.get("of"))


def _name_page(device: Device, form: DescriptionForm, status: int = 200):
    return hx.render("devices/name.html", status, device=device, form=form)


def _handover_page(made: devices.MadeDevice, program: str):
    return hx.render("devices/handover.html", **device_forms.handover(made, program))
