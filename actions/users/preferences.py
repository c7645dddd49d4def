"""How the panel and its letters speak to a person."""

from actions.ground.actor import Actor
from actions.ground.refusals import N_, Refused
from actions.trail import audit
from database import transactional


@transactional
def save(actor: Actor, language: str, timezone: str) -> None:
    """The acting person's language and time zone; empty means as the browser or the host has it."""
    if not actor.account.write(language=language, timezone=timezone):
        raise Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
    audit.record(actor, "web:preferences:changed")
