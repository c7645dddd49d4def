"""Who may act on whom: the only place that compares rank."""

from postern.models import Account

RANK = {Account.PERSON: 1, Account.ADMINISTRATOR: 2, Account.OWNER: 3, Account.OPERATOR: 4}


def may_act_on(actor: Account, target: Account) -> bool:
    """Whether `actor` outranks `target` and both belong together; nobody outranks themselves."""
    if actor.state != Account.ACTIVE or RANK[actor.role] <= RANK[target.role]:
        return False
    return actor.role == Account.OPERATOR or belong_together(actor, target)


def belong_together(one: Account, other: Account) -> bool:
    """Whether both are of the same organisation."""
    return one.organisation_id == other.organisation_id is not None


def managers_for(account: Account) -> list[Account]:
    """Who looks after this account and has to be told when something is wrong with it."""
    return list(Account.managers_of(account.organisation).where(Account.id != account.id))
