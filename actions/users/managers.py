"""Managers as the operator sees to them: who becomes one, and who is one no more.

A manager may have a mailbox: then one account is both, with one password. Either can be taken away without the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from peewee import JOIN

from actions.authority import authority
from actions.ground.addresses import canonical_address, optional_contact, optional_name
from actions.ground.holding import hold
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import bounces
from actions.revocation import revocation
from actions.revocation.table import Cause
from actions.services import mailboxes
from actions.services.mailboxes import MadeMailbox
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from database import in_pieces
from models import Account, KnownBrowser, Mailbox, Organisation, PasswordChange


@dataclass(frozen=True)
class Losses:
    """What ends when an account is a manager's no more: browsers, known ones too, and changes of several passwords
    that are under way. `mailbox` stays, with its account; without one, the account goes."""

    mailbox: Mailbox | None
    browsers: int
    known_browsers: int
    changes: int


def add(
    unit: UnitOfWork, login: str, organisation: str | None, role: str, password: str | None = None, **names: str
) -> MadeMailbox:
    """Add a manager: the owner or an administrator of an organisation, or an operator. An account that has a mailbox
    becomes a manager's beside it, in the mailbox's organisation, and keeps its password and its names."""
    account = Account.by_login(canonical_address(login))
    if account is None or account.role != Account.PERSON:
        return mailboxes.add_manager(unit, login, organisation, role, password, **names)
    if password is not None or any(names.values()):
        raise mailboxes.keeps_its_own(account)
    return _promote(unit, account, organisation, role)


@unit_of_work
def _promote(unit: UnitOfWork, account: Account, organisation: str | None, role: str) -> MadeMailbox:
    account = hold(account)
    if account.role != Account.PERSON:
        raise mailboxes.exists(account)
    if account.must_change_password:
        # Somebody else knows it, who may rank below a manager.
        raise Refused(N_("%(login)s must choose another password first."), login=account.login)
    own = account.organisation.name
    employer = mailboxes.employer(role, organisation if role == Account.OPERATOR else organisation or own)
    if employer not in (None, account.organisation):
        sentence = N_("%(login)s has a mailbox of %(organisation)s, and can manage that organisation only.")
        raise Refused(sentence, login=account.login, organisation=own)
    account.write(role=role, revision=account.revision + 1)
    revocation.revoke(unit, Cause.ROLE_CHANGED, account)
    audit.record(unit.actor, Event.OPERATOR_MANAGER_ROLE_GIVEN, account, role=role)
    return MadeMailbox(account, None, is_new=False)


def named(login: str) -> Account:
    """The manager with this login; raises `Refused` when there is none."""
    account = mailboxes.account_named(login)
    if account.role not in Account.MANAGERS:
        raise _no_manager(account)
    return account


def every(organisation: str = "", role: str = "") -> Iterator[Account]:
    """The managers with their organisations, by login: all, or those of an organisation, or with a role."""
    found = Account.select(Account, Organisation).join(Organisation, JOIN.LEFT_OUTER)
    found = found.where(Account.role == role if role else Account.role.in_(Account.MANAGERS))
    return in_pieces(found.where(Organisation.name == organisation) if organisation else found, Account.login)


@unit_of_work
def change(unit: UnitOfWork, account: Account, role: str | None = None, **profile: str) -> Account:
    """Give a manager another role in the same organisation, which signs them out, and what differs of `first_name`,
    `last_name` and `contact_email`. One with a mailbox has these as the mailbox's owner. Raises `Refused`."""
    account = hold(account)
    authority.refuse_unless_may_act(unit.actor, account)
    if account.role not in Account.MANAGERS:
        raise _no_manager(account)
    if profile and account.mailbox is not None:
        raise mailboxes.keeps_its_own(account)
    wanted = {name: _checked(name, value) for name, value in profile.items()}
    if role is not None:
        if account.role == Account.OPERATOR or role not in (Account.OWNER, Account.ADMINISTRATOR):
            raise Refused(N_("The role must be owner, administrator, or operator without an organisation."))
        wanted["role"] = role
    changed = {name: value for name, value in wanted.items() if getattr(account, name) != value}
    if not changed:
        return account
    account.write(**changed, revision=account.revision + 1)
    if "role" in changed:
        revocation.revoke(unit, Cause.ROLE_CHANGED, account)
    if "contact_email" in changed:
        revocation.revoke(unit, Cause.CONTACT_CHANGED, account)
        bounces.forget(account)
    audit.record(unit.actor, Event.OPERATOR_MANAGER_CHANGED, account, fields=sorted(changed), role=account.role)
    return account


def _checked(name: str, value: str) -> str:
    return optional_contact(value) if name == "contact_email" else optional_name(value, name)


def _no_manager(account: Account) -> Refused:
    return Refused(N_("%(login)s is no manager."), login=account.login)


def losses(account: Account) -> Losses:
    """What `remove` would end now."""
    changes = PasswordChange.select().where(PasswordChange.manager == account)
    return Losses(
        account.mailbox,
        sum(not sessions.is_of_person(each) for each in sessions.living(account)),
        KnownBrowser.select().where(KnownBrowser.account == account).count(),
        changes.where(PasswordChange.state.in_(PasswordChange.OPEN)).count(),
    )


@unit_of_work
def remove(unit: UnitOfWork, account: Account, even_the_last: bool = False) -> None:
    """Let an account be a manager's no more. One with a mailbox goes on as a person's; any other is deleted, with
    everything that opens it. Raises `Refused` for somebody on whom the acting person may not act, and for the last one
    of an organisation, or the last operator, unless `even_the_last`."""
    _hold_alike(account)
    account = hold(account)
    authority.refuse_unless_may_act(unit.actor, account)
    if account.role not in Account.MANAGERS:
        raise _no_manager(account)
    if not even_the_last and not _stand_ins(account).exists():
        raise Refused(N_("%(login)s is the last manager. Add another one first."), login=account.login)
    if account.mailbox is None:
        revocation.revoke(unit, Cause.REMOVAL, account)
        audit.record(unit.actor, Event.OPERATOR_MANAGER_REMOVED, account, role=account.role)
        Account.delete().where(account.itself()).execute()
        return
    audit.record(unit.actor, Event.OPERATOR_MANAGER_ROLE_TAKEN, account, role=account.role)
    account.write(role=Account.PERSON, revision=account.revision + 1)
    revocation.revoke(unit, Cause.ROLE_CHANGED, account)


def _alike(account: Account):
    """Who can stand in for a manager: the operators, or the managers of the same organisation."""
    if account.role == Account.OPERATOR:
        return Account.select().where(Account.role == Account.OPERATOR)
    roles = (Account.OWNER, Account.ADMINISTRATOR)
    return Account.select().where(Account.organisation == account.organisation_id, Account.role.in_(roles))


def _stand_ins(account: Account):
    """The others of them who can sign in."""
    return _alike(account).where(Account.id != account.id, Account.state == Account.ACTIVE)


def _hold_alike(account: Account) -> None:
    """Hold all of them: of the last two that are removed at the same instant, one stays."""
    for each in _alike(account).order_by(Account.id):
        hold(each)
