"""Who may act on whom: the only place that compares rank."""

from postern.actions import permissions
from postern.models import Account, Collaboration

RANK = {
    Account.COLLABORATOR: 0,
    Account.PERSON: 1,
    Account.ADMINISTRATOR: 2,
    Account.OWNER: 3,
    Account.OPERATOR: 4,
}


def may_act_on(actor: Account, target: Account) -> bool:
    """Whether `actor` outranks `target` and both belong together; nobody outranks themselves."""
    if actor.state != Account.ACTIVE or RANK[actor.role] <= RANK[target.role]:
        return False
    return actor.role == Account.OPERATOR or belong_together(actor, target)


def roles_below(account: Account) -> list[str]:
    """The roles that the account's own outranks."""
    return [role for role, rank in RANK.items() if rank < RANK[account.role]]


def belong_together(one: Account, other: Account) -> bool:
    """Whether both are of the same organisation."""
    return one.organisation_id == other.organisation_id is not None


def may_keep_mailbox(account: Account) -> bool:
    """Whether an account sees and uses the settings of the mailbox that it opens: its owner, or a collaborator who is
    permitted to."""
    return account.mailbox is not None and bool(permissions.of(account) & permissions.SETTINGS)


def may_act_on_collaborator(actor: Account, collaboration: Collaboration) -> bool:
    """Whether an account may reset, disable or change a collaborator of the mailbox that it opens; nobody may act on
    themselves."""
    return (
        may_keep_mailbox(actor)
        and actor.mailbox.id == collaboration.mailbox_id
        and actor.id != collaboration.account_id
    )


def managers_for(account: Account) -> list[Account]:
    """Who looks after this account and has to be told when something is wrong with it."""
    if account.is_collaborator:
        return [account.mailbox.account]
    return list(Account.managers_of(account.organisation).where(Account.id != account.id))
