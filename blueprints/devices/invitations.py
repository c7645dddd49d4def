"""Invitations as their inviter sees them: made, sent again, withdrawn."""

from flask import Blueprint, abort, request
from flask_babel import gettext as _

from actions.devices import invitations
from blueprints.web import guards, hx, of_user, reauthentication
from models import DeviceInvitation

from . import device_forms
from .invitation_forms import InvitationForm, ResendForm

blueprint = Blueprint("invitations", __name__, url_prefix="/devices/invitations")

INVITATION = "/<int:invitation_id>"


@blueprint.get("/")
@guards.signed_in
def list_invitations():
    """The list of devices shows them."""
    return hx.redirect(list_address())


@blueprint.get("/new")
@guards.asks_password
def new():
    return _new_page(InvitationForm())


@blueprint.post("/")
@guards.recent_password
@reauthentication.asked_in(new)
def create():
    account, form = device_forms.acted_for(), InvitationForm()
    with hx.submit(form, _new_page, "email"):
        invited = invitations.invite(guards.unit(), account, form.wanted(), form.email.data, form.mailed.data)
    return _made_page(invited)


@blueprint.get(f"{INVITATION}/letter")
@guards.asks_password
def letter(invitation_id: int):
    return _letter_page(own(invitation_id), ResendForm())


@blueprint.post(f"{INVITATION}/letter")
@guards.recent_password
def resend(invitation_id: int):
    invitation, form = own(invitation_id), ResendForm()
    with hx.attempt(list_address()):
        return _made_page(invitations.resend(guards.unit(), invitation, form.mailed.data))


@blueprint.get(f"{INVITATION}/withdrawal")
@guards.signed_in
def withdrawal(invitation_id: int):
    invitation = own(invitation_id)
    return hx.render("invitations/withdrawal.html", invitation=invitation, recipient=invitation.recipient)


@blueprint.post(f"{INVITATION}/withdrawal")
@guards.signed_in
def withdraw(invitation_id: int):
    invitation = own(invitation_id)
    place = list_address(f"invitations-{invitation.account_id}")
    with hx.attempt(place):
        withdrawn = invitations.withdraw(guards.unit(), invitation)
    if withdrawn:
        return hx.done(place, _("The invitation is withdrawn. Its link no longer works."))
    return hx.done(place, _("The invitation has just been accepted. The device is in the list."), "warning")


def own(invitation_id: int) -> DeviceInvitation:
    """An invitation of one of the accounts that the page may be about."""
    accounts = device_forms.looked_after()
    pending = (DeviceInvitation.pending(account).where(DeviceInvitation.id == invitation_id) for account in accounts)
    return next((found for query in pending if (found := query.first())), None) or abort(404)


def list_address(row: str = "") -> str:
    """The list, at the row or the heading with this id."""
    return of_user.address_of("devices.list_devices", _anchor=row or None)


def _new_page(form: InvitationForm, status: int = 200):
    account = device_forms.acted_for()
    device_forms.offer_protocols(form, account)
    return hx.render("invitations/new.html", status, form=form, of=request.args.get("of"))


def _letter_page(invitation: DeviceInvitation, form: ResendForm):
    return hx.render("invitations/letter.html", invitation=invitation, recipient=invitation.recipient, form=form)


def _made_page(invited: invitations.Invited):
    return hx.render(
        "invitations/made.html",
        invited=invited,
        recipient=invited.invitation.recipient,
        days=invitations.LIFETIME // invitations.DAY,
    )
