"""The audit trail: every security event, written in the same transaction as the change that it describes."""

from collections.abc import Sequence

from actions.ground.actor import Actor
from actions.trail.events import Event
from database import insert_all
from models import Account, AuditEvent, Collaboration, Mailbox, now


def record(actor: Actor, event: Event, account: Account | None = None, **details: object) -> AuditEvent:
    """Record that `actor` did this to `account`, or to themselves.

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
        # This is queried even without an account: a failed sign-in costs the same for known and unknown logins.
        mailbox=Collaboration.mailbox_id_for(concerned.id if concerned else 0),
        address=actor.address,
        user_agent=actor.user_agent,
        details=details,
    )


def record_of_mailboxes(actor: Actor, event: Event, mailboxes: Sequence[Mailbox], **details: object) -> None:
    """`record` for the owner of each of these mailboxes, all at once."""
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
