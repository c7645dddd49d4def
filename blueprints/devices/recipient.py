"""Invitations as their recipient sees them. Reading a page changes nothing and reveals nothing; its buttons do.

Who proved to be the recipient has ten minutes to go on, in this browser: its session says so.
"""

from functools import partial

from flask import Blueprint, abort, flash, session, url_for
from flask_babel import gettext as _

from actions.devices import devices, invitations
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.sessions import sessions
from blueprints.web import guards, hx, words
from blueprints.web.errors import wait_sentence
from models import DeviceInvitation, has_come, now

from . import device_forms
from .invitation_forms import CodeForm, ProgramForm

blueprint = Blueprint("set_up", __name__, url_prefix="/set-up")

PROVED, ACCEPTED = "invitation_proved", "invitation_accepted"


@blueprint.get("/<token>")
@guards.public
def invitation(token: str):
    return _page(_find(token), token)


@blueprint.post("/<token>/code")
@guards.public
def send_code(token: str):
    found = _find(token)
    try:
        invitations.send_code(guards.unit(), found)
    except TooManyAttempts as refusal:
        flash(wait_sentence(refusal), "warning")
    except Refused:
        abort(410)
    else:
        address = words.masked(found.recipient)
        flash(_("A code is on its way to %(address)s. It is valid for 10 minutes.", address=address), "success")
    return hx.redirect(url_for(".invitation", token=token))


@blueprint.post("/<token>/proof")
@guards.public
def prove(token: str):
    found, form = _find(token), CodeForm()
    with hx.submit(form, partial(_page, found, token), "code"):
        invitations.prove(guards.unit(), found, form.code.data)
    _remember(PROVED, found)
    return hx.redirect(url_for(".invitation", token=token))


@blueprint.post("/<token>")
@guards.public
def accept(token: str):
    if _accepted_here(token):
        return hx.render("invitations/shown_already.html", 409)
    found, form = _find(token), ProgramForm()
    if not form.validate():
        return _page(found, token, status=422, program_form=form)
    handover = device_forms.handover(_accepted(found, token), form.program.data)
    return hx.render("invitations/handover.html", token=token, **handover)


def _accepted(found: DeviceInvitation, token: str) -> devices.MadeDevice:
    """The device that the invitation became, or the page that says why there is none."""
    try:
        made = invitations.accept(guards.unit(), found, _is_remembered(PROVED, found))
    except Refused as refusal:
        flash(words.translated(refusal), "error")
        abort(_page(found, token, status=422))
    session.pop(PROVED, None)
    _remember(ACCEPTED, found, selector=made.device.selector)
    return made


@blueprint.post("/<token>/profile")
@guards.public
def profile(token: str):
    """For the person who accepted in this browser a moment ago: a profile, with a password of its own. Somebody who
    changed the password since took it back."""
    accepted = _accepted_here(token)
    if accepted is None or not device_forms.can_have_profile(accepted.device):
        abort(410)
    if accepted.device.selector != session[ACCEPTED].get("selector"):
        abort(410)
    with hx.attempt_once():
        made = devices.change_password(guards.unit(), accepted.device, by=accepted.invited_by)
    _remember(ACCEPTED, accepted, selector=made.device.selector)
    return device_forms.profile_of(made)


def _find(token: str) -> DeviceInvitation:
    """The invitation, or the page that says it can no longer be used."""
    return invitations.find(token) or abort(410)


def _accepted_here(token: str) -> DeviceInvitation | None:
    """The invitation, when it was accepted in this browser within the last ten minutes."""
    accepted = invitations.accepted_by_token(token)
    return accepted if accepted is not None and _is_remembered(ACCEPTED, accepted) else None


def _remember(what: str, found: DeviceInvitation, **more: str) -> None:
    session[what] = {"invitation": found.token_hash, "until": now() + invitations.PROOF_LIFETIME, **more}


def _is_remembered(what: str, found: DeviceInvitation) -> bool:
    remembered = session.get(what, {})
    if remembered.get("invitation") != found.token_hash:
        return False
    return not has_come(remembered["until"], now(), invitations.PROOF_LIFETIME)


def _page(found: DeviceInvitation, token: str, form: CodeForm | None = None, status: int = 200, program_form=None):
    """The choice of the program for a person who proved to be the recipient, otherwise the ways to prove it."""
    actor = guards.actor()
    is_user = invitations.is_user(actor, found)
    if _is_remembered(PROVED, found) or (is_user and sessions.password_is_recent(actor.session)):
        return hx.render(
            "invitations/program.html", status, invitation=found, token=token, form=program_form or ProgramForm()
        )
    return hx.render(
        "invitations/proof.html",
        status,
        invitation=found,
        token=token,
        is_user=is_user,
        may_sign_in=actor.account is None and invitations.may_be_user(found),
        masked=words.masked(found.recipient),
        way_back=url_for(".invitation", token=token),
        form=form or CodeForm(formdata=None),
    )
