"""The audit trail: every security event, written in the transaction of what it tells."""

from collections.abc import Sequence

from actions.ground.actor import Actor
from actions.trail.events import Event
from database import insert_all
from models import Account, AuditEvent, Collaboration, Mailbox, now


def record(actor: Actor, event: Event, account: Account | None = None, **details: object) -> AuditEvent:
    """Write down that `actor` did this to `account`, or to themselves.

    Details are small facts for people to read: never a secret, a hash or a token.
    """
    concerned = account or actor.account
    return AuditEvent.create(
        action=event.code,
        actor=actor.account,
        actor_login=actor.login,
        account=concerned,
        account_login=concerned.login if concerned else "",
        organisation=_organisation_id(concerned),
        # Asked for nobody as well: a sign-in that fails costs the same for known and unknown logins.
        mailbox=Collaboration.mailbox_id_for(concerned.id if concerned else 0),
        address=actor.address,
        user_agent=actor.user_agent,
        details=details,
    )


def record_of_mailboxes(actor: Actor, event: Event, mailboxes: Sequence[Mailbox], **details: object) -> None:
    """The same, to the owner of each of these mailboxes, at once."""
    rows = [
        {
            "at": now(),
            "action": event.code,
            "actor": actor.account,
            "actor_login": actor.login,
            "account": mailbox.account,
            "account_login": mailbox.account.login,
            "organisation": mailbox.account.organisation_id,
            "mailbox": mailbox,
            "address": actor.address,
            "user_agent": actor.user_agent,
            "details": details,
        }
        for mailbox in mailboxes
    ]
    insert_all(AuditEvent, rows)


def _organisation_id(account: Account | None) -> int | None:
    return account.organisation_id if account else None
