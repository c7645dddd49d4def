"""Who may act on which account: the only place that compares ranks."""

from actions.authority import permissions
from actions.ground.actor import Actor
from actions.ground.refusals import N_, Refused
from actions.sessions import sessions
from models import Account, Collaboration, Mailbox, Service

RANK = {
    Account.COLLABORATOR: 0,
    Account.PERSON: 1,
    Account.ADMINISTRATOR: 2,
    Account.OWNER: 3,
    Account.OPERATOR: 4,
}


def may_act_on(actor: Account, target: Account) -> bool:
    """Whether `actor` outranks `target` and both belong together; no account outranks itself. The actor has the rank of
    the role in which it acts, the target that of its highest role, whatever page it is on. A collaborator is protected
    by the rank of the mailbox's owner."""
    if actor.state != Account.ACTIVE or RANK[actor.acting_role] <= RANK[_owner_of(target).role]:
        return False
    return actor.acting_role == Account.OPERATOR or belong_together(actor, target)


def _owner_of(account: Account) -> Account:
    """The owner of the mailbox that a collaborator opens; any other account itself."""
    return account.mailbox.account if account.is_collaborator and account.mailbox else account


def roles_below(account: Account) -> list[str]:
    """The roles that rank below the one in which the account acts."""
    return [role for role, rank in RANK.items() if rank < RANK[account.acting_role]]


def belong_together(one: Account, other: Account) -> bool:
    """Whether both accounts are in the same organisation."""
    return one.organisation_id == other.organisation_id is not None


def may_manage(actor: Account, service: Service) -> bool:
    """Whether an account manages a service: an operator manages all, other managers those of their organisation."""
    if actor.state != Account.ACTIVE or not actor.is_manager:
        return False
    return actor.acting_role == Account.OPERATOR or actor.organisation_id == service.organisation_id


def refuse_unless_may_act(actor: Actor, target: Account) -> None:
    """Raises `Refused` when the actor may not act on this account. Call it inside a transaction: it reads rank,
    organisation, state and session as they are now, not as they were when the page was shown."""
    acting = _as_it_is_now(actor)
    if acting is not None and not may_act_on(acting, target):
        raise not_allowed()


def refuse_unless_may_manage(actor: Actor, service: Service) -> None:
    """`refuse_unless_may_act` for a service."""
    acting = _as_it_is_now(actor)
    if acting is not None and not may_manage(acting, service):
        raise not_allowed()


def _as_it_is_now(actor: Actor) -> Account | None:
    """The acting account, read again; None for the operator at the command line."""
    if actor.account is None:
        return None
    if actor.session is not None and not sessions.exists(actor.session):
        raise Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
    acting = Account.get_or_none(Account.id == actor.account.id, Account.login == actor.account.login)
    if acting is None:
        raise not_allowed()
    acting.acts_as_person = sessions.is_of_person(actor.session)
    return acting


def not_allowed() -> Refused:
    """The refusal of an action that the actor may not take."""
    return Refused(N_("You are not allowed to do this."))


def may_keep_mailbox(account: Account) -> bool:
    """Whether an account sees and uses the settings of the mailbox that it opens: the owner, or a collaborator with
    that permission."""
    return account.mailbox is not None and bool(permissions.of(account) & permissions.SETTINGS)


def may_let_in(actor: Account, mailbox: Mailbox) -> bool:
    """Whether an account may add collaborators to this mailbox: only one that opens it, and uses its settings."""
    return may_keep_mailbox(actor) and actor.mailbox.id == mailbox.id


def may_keep(actor: Account, mailbox: Mailbox) -> bool:
    """Whether an account may change and end the access of this mailbox's collaborators: one that may let them in, or a
    manager who outranks the owner."""
    return may_let_in(actor, mailbox) or may_act_on(actor, mailbox.account)


def may_act_on_collaborator(actor: Account, collaboration: Collaboration) -> bool:
    """Whether an account may reset, disable or change this collaborator; none may act on itself."""
    return may_keep(actor, collaboration.mailbox) and actor.id != collaboration.account_id


def grantable(actor: Account, mailbox: Mailbox) -> int:
    """The permissions that an account may give to a mailbox's collaborators: its own; a manager of the owner may give
    what the owner could."""
    return permissions.ALL if may_act_on(actor, mailbox.account) else permissions.of(actor)


def managers_for(account: Account) -> list[Account]:
    """The accounts that manage this account and must be notified when something is wrong with it."""
    if account.is_collaborator:
        return [account.mailbox.account]
    return list(Account.managers_of(account.organisation).where(Account.id != account.id))
