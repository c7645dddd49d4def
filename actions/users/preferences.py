"""The language and time zone of the panel and its e-mails for a person."""

from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.trail import audit
from actions.trail.events import Event


@unit_of_work
def save(unit: UnitOfWork, language: str, timezone: str) -> None:
    """Save the acting person's language and time zone. Empty means the browser's language or the host's time zone."""
    if not unit.actor.account.write(language=language, timezone=timezone):
        raise Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
    audit.record(unit.actor, Event.PREFERENCES_CHANGED)
