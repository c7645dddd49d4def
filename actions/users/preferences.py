"""The language and time zone of the panel and its e-mails for a person."""

import zoneinfo

from actions.authority import authority
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.services import mailboxes
from actions.trail import audit
from actions.trail.events import Event
from models import Account


@unit_of_work
def save(unit: UnitOfWork, language: str, timezone: str, account: Account | None = None) -> None:
    """Save the language and time zone of the acting person, or of an `account` on which they may act. Empty means the
    browser's language or the host's time zone. Raises `Refused`."""
    if account is not None:
        authority.refuse_unless_may_act(unit.actor, account)
    mailboxes.refuse_unknown_language(language)
    if timezone and timezone not in zoneinfo.available_timezones():
        raise Refused(N_("Not a valid choice."), "timezone")
    if not (account or unit.actor.account).write(language=language, timezone=timezone):
        raise Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
    audit.record(unit.actor, Event.PREFERENCES_CHANGED, account)
