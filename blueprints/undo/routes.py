"""The button "Undo" in the message that says what was done."""

from flask import Blueprint
from flask_babel import lazy_gettext as _l

from actions.collaborations import collaborations
from actions.devices import devices
from actions.users import taking_back, users
from blueprints.web import guards, hx

blueprint = Blueprint("undo", __name__, url_prefix="/undo")

SENTENCES = {
    devices.DISCONNECTED: _l("Undone. The device can use its password again."),
    users.SUSPENDED: _l("Undone. The user can sign in again."),
    collaborations.DISABLED_BY_MISTAKE: _l("Undone. The collaborator can sign in again, with the same password."),
}


@blueprint.post("/<int:number>")
@guards.signed_in
def take_back(number: int):
    """Its actions ask for the password of late; who pressed one may take it back without another."""
    place = guards.page_before()
    with hx.attempt(place):
        kind = taking_back.take_back(guards.unit(), number)
    return hx.done(place, str(SENTENCES[kind]))
