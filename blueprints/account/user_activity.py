"""A user's activity, for managers: what happened in the mailbox, as its owner sees it."""

from flask import request

from actions.sessions.user_agents import browser_name
from actions.trail import trail
from actions.trail.trail import Filter
from blueprints.web import audit_words, guards, hx, of_user
from blueprints.web.visitor import current_user

from .forms import event_id

blueprint = of_user.blueprint_of("activity", __name__, "activity")

EVENTS_A_PAGE = 30


@blueprint.get("")
@guards.manager
def show_activity():
    mailbox, before = of_user.mailbox(), request.args.get("before", type=event_id)
    events = trail.page(current_user.account, Filter(mailbox=mailbox.address), before, EVENTS_A_PAGE + 1)
    return hx.render(
        "account/user_activity.html",
        mailbox=mailbox,
        days=audit_words.by_day(events[:EVENTS_A_PAGE]),
        older=events[EVENTS_A_PAGE - 1].id if len(events) > EVENTS_A_PAGE else None,
        audit_words=audit_words,
        browser_name=browser_name,
    )
