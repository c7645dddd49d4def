"""The hand-off of a webmail's user: a form that the webmail's page posts into its frame or a new tab.

Nobody is signed in without noticing: in a tab, and where the webmail handed somebody else over before, a page asks
first. In place of anybody else it happens in a tab only, because no frame may show a question to them.
"""

from flask import Blueprint, request, session, url_for

from actions.ground.refusals import Refused
from actions.webmails import handoffs
from actions.webmails.handoffs import FRAME, TAB, Arrival, HandOff
from actions.webmails.webmail_tokens import NotAccepted
from blueprints.web import form_tokens, frame, guards, hx
from blueprints.web.visitor import current_user

from .forms import HandOffForm

blueprint = Blueprint("handoff", __name__, url_prefix="/handoff")


@blueprint.post("")
@guards.in_frames
@form_tokens.needs_none
@guards.signed_by_webmail
def arrive():
    arrival = Arrival(request.headers.get("Origin"), request.headers.get("Sec-Fetch-Dest"))
    handoff = handoffs.examine(guards.unit(), request.form.get("token"), arrival)
    is_another = current_user.is_authenticated and current_user.account != handoff.account
    if is_another and arrival.destination == FRAME and not _began_here(handoff):
        frame.show_nobody(handoff.token.webmail.origin)
        return hx.render("handoff/somebody_else.html")
    if is_another or arrival.destination == TAB:
        return hx.render("handoff/question.html", login=handoff.account.login, form=HandOffForm())
    return _enter(handoff)


@blueprint.post("/continue")
@guards.public
def go_on():
    return _enter(handoffs.examine(guards.unit(), request.form.get("token")))


def _began_here(handoff: HandOff) -> bool:
    """Whether the same webmail handed over the signed-in person, and so may show the question to them."""
    return current_user.record.webmail_id == handoff.token.webmail.id


def _enter(handoff: HandOff):
    fresh = handoffs.enter(guards.unit(), handoff)
    if fresh:
        session.start(*fresh)
    claims = handoff.token.claims
    frame.remember(handoff.token.webmail.origin, claims.get("theme"), claims.get("locale"), request.form)
    return hx.redirect(url_for(".arrived", next=guards.safe_return(request.form.get("next"))))


@blueprint.get("/arrived")
@guards.in_frames
@guards.public
def arrived():
    """Where the browser shows whether it kept the cookie."""
    onward = guards.safe_return(request.args.get("next"))
    if current_user.is_authenticated:
        return hx.redirect(onward)
    return hx.render("handoff/need_top.html", onward=onward)


@blueprint.errorhandler(NotAccepted)
@blueprint.errorhandler(Refused)
def refused(_refusal: Exception):
    """One page for every reason."""
    return hx.render("handoff/refused.html", 403)
