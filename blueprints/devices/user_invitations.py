"""Invitations by which a user sets up a device, for managers: they go to the user, and show the manager no secret."""

from flask import abort
from flask_babel import gettext as _

from actions.devices import invitations
from blueprints.web import guards, hx, of_user, reauthentication
from models import DeviceInvitation

from . import device_forms
from . import invitations as routes
from .invitation_forms import UserInvitationForm
from .invitations import INVITATION

blueprint = of_user.blueprint_of("invitations", __name__, "devices/invitations")


@blueprint.get("/")
@guards.manager
def list_invitations():
    """The list of devices shows them, to whoever may look after the user."""
    return routes.list_invitations() if of_user.mailbox() else abort(404)


@blueprint.get("/new")
@guards.manager_asks
def new():
    return _new_page(UserInvitationForm(invitations.addresses_of(device_forms.acted_for())))


@blueprint.post("/")
@guards.manager_recently
@reauthentication.asked_in(new)
def create():
    account = device_forms.acted_for()
    form = UserInvitationForm(invitations.addresses_of(account))
    with hx.submit(form, _new_page, "email"):
        invited = invitations.invite(guards.unit(), account, form.wanted(), form.email.data, mailed=True)
    return _on_its_way(invited.invitation)


@blueprint.get(f"{INVITATION}/letter")
@guards.manager_asks
def letter(invitation_id: int):
    return routes.letter(invitation_id)


@blueprint.post(f"{INVITATION}/letter")
@guards.manager_recently
def resend(invitation_id: int):
    invitation = routes.own(invitation_id)
    with hx.attempt(routes.list_address()):
        invitations.resend(guards.unit(), invitation, mailed=True)
    return _on_its_way(invitation)


@blueprint.get(f"{INVITATION}/withdrawal")
@guards.manager_asks
def withdrawal(invitation_id: int):
    return routes.withdrawal(invitation_id)


@blueprint.post(f"{INVITATION}/withdrawal")
@guards.manager_recently
def withdraw(invitation_id: int):
    return routes.withdraw(invitation_id)


def _new_page(form: UserInvitationForm, status: int = 200):
    device_forms.offer_protocols(form, device_forms.acted_for())
    return hx.render("invitations/new_for_user.html", status, form=form, mailbox=of_user.mailbox())


def _on_its_way(invitation: DeviceInvitation):
    facts = {"address": invitation.recipient, "days": invitations.LIFETIME // invitations.DAY}
    sentence = _("An invitation is on its way to %(address)s. It is valid for %(days)s days.", **facts)
    return hx.done(routes.list_address(), sentence)
