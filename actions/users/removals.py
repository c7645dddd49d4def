"""Removing a domain or a whole service at the command line: what goes along, and the removal itself.

Mailboxes go some at a time, each as a single user does, in transactions of their own. Whoever is interrupted begins
again: what is left goes then, and the domain or the service last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.authority import authority
from actions.ground.addresses import canonical_domain
from actions.ground.holding import hold
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.services import services
from actions.trail import audit
from actions.trail.events import Event
from actions.users import users
from models import (
    Account,
    Collaboration,
    Device,
    Domain,
    Mailbox,
    PasswordChange,
    PasswordChangeItem,
    Service,
    UserImport,
    UserImportLine,
    Webmail,
)

MAILBOXES_AT_ONCE, ROWS_AT_ONCE = 40, 2000
# What a file of users is before anybody wants its users made.
UNDECIDED = (UserImport.READING, UserImport.CHECKED)


@dataclass(frozen=True)
class Losses:
    """What goes with domains, and what stays although it belongs together with them."""

    domains: list[str]
    mailboxes: int
    collaborators: int
    devices: int
    password_changes: int
    imports: int
    # These stay: managers who have a mailbox there, those who sign in with an address there, and webmails.
    managers: list[str]
    signing_in: list[str]
    webmails: list[str]


def find_domain(name: str) -> Domain:
    """The domain of this name; raises `Refused` when there is none."""
    name = canonical_domain(name)
    domain = Domain.get_or_none(Domain.name == name)
    if domain is None:
        raise Refused(N_("There is no domain %(domain)s here."), domain=name)
    return domain


def losses_of_domain(domain: Domain) -> Losses:
    """What the removal of a domain would remove now."""
    return _losses(domain.service, [domain], UNDECIDED)


def losses_of_service(service: Service) -> Losses:
    """What the removal of a service would remove now."""
    return _losses(service, list(services.domains(service)), (*UNDECIDED, UserImport.DONE))


def _losses(service: Service, domains: Sequence[Domain], imports: tuple[str, ...]) -> Losses:
    numbers, names = [domain.id for domain in domains], [domain.name for domain in domains]
    there = Mailbox.domain.in_(numbers)
    owners = Mailbox.select(Mailbox.account).where(there)
    managers = Account.select().where(Account.role.in_(Account.MANAGERS)).order_by(Account.login)
    in_domains = [each for each in managers if each.login.rpartition("@")[2] in names]
    with_mailbox = [each.login for each in managers.where(Account.id.in_(owners))]
    of_service = (UserImport.service == service) & UserImport.state.in_(imports)
    return Losses(
        names,
        Mailbox.select().where(there).count(),
        Collaboration.select().join(Mailbox).where(there).count(),
        Device.select().where(Device.account.in_(owners)).count(),
        PasswordChange.select().where(PasswordChange.domain.in_(numbers)).count(),
        UserImport.select().where(of_service).count(),
        with_mailbox,
        [each.login for each in in_domains if each.login not in with_mailbox],
        [each.origin for each in Webmail.select() if _is_within(each.origin, names)],
    )


def _is_within(origin: str, domains: Sequence[str]) -> bool:
    host = origin.partition("://")[2].partition(":")[0]
    return any(host == name or host.endswith(f".{name}") for name in domains)


def remove_domain(unit: UnitOfWork, domain: Domain, with_mailboxes: bool = False) -> None:
    """Remove a domain, and its mailboxes if `with_mailboxes`: mail to it is refused from then on. Raises `Refused` for
    a domain that has mailboxes otherwise, and while passwords are being changed or users added."""
    _refuse_unless_operator(unit)
    _refuse_what_is_in_hand(domain.service, [domain])
    _refuse_mailboxes([domain], with_mailboxes)
    while not _end_domain(unit, domain):
        _refuse_mailboxes([domain], with_mailboxes)
        while _remove_some(unit, domain):
            pass
        while _forget_some(PasswordChangeItem, PasswordChangeItem.change.in_(_changes(domain))):
            pass


def remove_service(unit: UnitOfWork, service: Service, with_mailboxes: bool = False) -> None:
    """Remove a service with its domains, its settings, and what its managers did with it. The organisation, its
    managers and the audit trail stay. Raises what `remove_domain` raises, with nothing removed."""
    _refuse_unless_operator(unit)
    domains = list(services.domains(service))
    _refuse_what_is_in_hand(service, domains)
    _refuse_mailboxes(domains, with_mailboxes)
    while not _end_service(unit, service):
        for domain in services.domains(service):
            remove_domain(unit, domain, with_mailboxes)
        while _forget_some(UserImportLine, UserImportLine.user_import.in_(_imports(service))):
            pass


def _refuse_unless_operator(unit: UnitOfWork) -> None:
    """No page does this."""
    if not unit.actor.is_operator_at_command_line:
        raise authority.not_allowed()


def _refuse_what_is_in_hand(service: Service, domains: Sequence[Domain]) -> None:
    """The worker is about to write what belongs to these domains."""
    numbers = [domain.id for domain in domains]
    changes = PasswordChange.select().where(PasswordChange.domain.in_(numbers))
    if changes.where(PasswordChange.state.in_(PasswordChange.OPEN)).exists():
        raise Refused(N_("Passwords are being changed there. Wait until that is done, or cancel it."))
    imports = UserImport.select().where(UserImport.service == service)
    if imports.where(UserImport.state.in_(UserImport.IN_HAND)).exists():
        raise Refused(N_("Users from a file are being added there. Wait until that is done."))


def _refuse_mailboxes(domains: Sequence[Domain], with_mailboxes: bool) -> None:
    for domain in domains:
        if not with_mailboxes and _has_mailboxes(domain):
            raise Refused(
                N_("%(domain)s has mailboxes. Remove them first, or say that they go too."), domain=domain.name
            )


def _has_mailboxes(domain: Domain) -> bool:
    return Mailbox.select().where(Mailbox.domain == domain).exists()


def _changes(domain: Domain):
    return PasswordChange.select(PasswordChange.id).where(PasswordChange.domain == domain)


def _imports(service: Service):
    return UserImport.select(UserImport.id).where(UserImport.service == service)


@unit_of_work
def _remove_some(unit: UnitOfWork, domain: Domain) -> int:
    """Remove some of the domain's users; how many there were."""
    found = Mailbox.select(Mailbox, Account).join(Account).where(Mailbox.domain == domain)
    mailboxes = list(found.order_by(Mailbox.id).limit(MAILBOXES_AT_ONCE))
    for mailbox in mailboxes:
        users.remove(unit, mailbox, mailbox.address)
    return len(mailboxes)


def _forget_some(table: type[PasswordChangeItem] | type[UserImportLine], condition: object) -> int:
    """Delete some rows of what is over; how many there were."""
    rows = list(table.select().where(condition).limit(ROWS_AT_ONCE))
    return table.delete().where(table.these(rows)).execute() if rows else 0


@unit_of_work
def _end_domain(unit: UnitOfWork, domain: Domain) -> bool:
    """Delete a domain that has no mailboxes; false when it has. Nobody adds one meanwhile: the service is held."""
    service = hold(domain.service)
    if _has_mailboxes(domain):
        return False
    # Their lines name domains by number. Once they are gone, nobody can want their users made any more.
    UserImport.delete().where(UserImport.service == service, UserImport.state.in_(UNDECIDED)).execute()
    _refuse_what_is_in_hand(service, [domain])
    if Domain.delete().where(domain.itself()).execute():
        event = audit.record(unit.actor, Event.OPERATOR_DOMAIN_REMOVED, domain=domain.name, service=service.name)
        event.write(organisation=service.organisation_id)
    return True


@unit_of_work
def _end_service(unit: UnitOfWork, service: Service) -> bool:
    """Delete a service that has no domains; false when it has."""
    service = hold(service)
    _refuse_what_is_in_hand(service, [])
    if services.domains(service).exists():
        return False
    organisation = service.organisation
    event = audit.record(
        unit.actor, Event.OPERATOR_SERVICE_REMOVED, organisation_name=organisation.name, service=service.name
    )
    event.write(organisation=organisation)
    Service.delete().where(service.itself()).execute()
    return True
