"""The page after the sign-in."""

from flask import Blueprint, request, url_for

from actions.sessions import connections
from actions.sessions.user_agents import browser_name
from actions.trail.events import Event
from actions.users import overview
from blueprints.web import days, guards, hx
from blueprints.web.visitor import current_user
from models import now

from . import sign_ins

blueprint = Blueprint("overview", __name__, url_prefix="/overview")


@blueprint.get("/")
@guards.signed_in
def show():
    account = current_user.account
    seen = overview.of(account)
    return hx.render(
        "overview/show.html",
        overview=seen,
        orders=overview.orders(account) if account.is_manager else [],
        picture=sign_ins.picture(seen.sign_ins, days.day_of(now())),
        browser_name=browser_name,
        refused_code=Event.SESSION_REFUSED.code,
    )


@blueprint.get("/connected")
@guards.background
def connected():
    """What is connected now: asked after the page, which does not wait for the mail server."""
    if not request.htmx:
        return hx.redirect(url_for("account.list_sessions"))
    return hx.render("", connected=connections.of(guards.ports(), current_user.account))
