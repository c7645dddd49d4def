"""`flask activity`: the audit trail."""

from datetime import UTC, datetime, timedelta

import click
from flask.cli import with_appcontext

from actions.ground.addresses import canonical_login
from actions.trail import trail
from actions.trail.trail import Filter
from models import AuditEvent

from . import completion
from .output import JSON, Facts, listed, moment
from .service import OPERATOR
from .shared import in_sentences

COLUMNS = ("at", "event", "by", "about", "network_address", "details")
DAY = click.DateTime(["%Y-%m-%d"])


@click.command("activity")
@click.option("--event", default="", help="Only those with this code, such as web:password:changed.")
@click.option("--by", default="", help="Only what this login did.", shell_complete=completion.logins)
@click.option("--about", default="", help="Only what happened to this login.", shell_complete=completion.logins)
@click.option("--mailbox", default="", help="Only what concerns this mailbox.", shell_complete=completion.addresses)
@click.option("--since", type=DAY, help="From this day on, in UTC.")
@click.option("--until", type=DAY, help="To the end of this day, in UTC.")
@JSON
@with_appcontext
@in_sentences
def list_activity(event, by, about, mailbox, since, until, as_json):
    """List what happened, the latest first."""
    logins = map(canonical_login, (by, about, mailbox))
    wanted = Filter(event, *logins, _second(since), _second(until, timedelta(days=1)))
    listed(map(_facts, trail.whole(OPERATOR, wanted)), COLUMNS, as_json)


def _second(day: datetime | None, later: timedelta = timedelta()) -> int | None:
    """The first second of a day, or its last one if `later` is a day."""
    return day and int((day.replace(tzinfo=UTC) + later).timestamp()) - bool(later)


def _facts(event: AuditEvent) -> Facts:
    return {
        "at": moment(event.at),
        "event": event.action,
        "by": event.actor_login,
        "about": event.account_login,
        "network_address": event.address,
        "browser": event.user_agent,
        "details": trail.in_words(event.details),
    }
