"""How the panel and its letters speak to a person."""

from postern.actions import audit
from postern.actions.actor import Actor
from postern.models import Account, transactional


@transactional
def save(actor: Actor, language: str, timezone: str) -> None:
    """The acting person's language and time zone; empty means as the browser or the host has it."""
    actor.account.language, actor.account.timezone = language, timezone
    actor.account.save(only=[Account.language, Account.timezone])
    audit.record(actor, "web:preferences:changed")
