"""Organisations, services, domains and mailboxes, as the operator sets them up."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from actions.ground.addresses import (
    canonical_address,
    canonical_domain,
    canonical_login,
    checked_name,
    is_same_mailbox,
    optional_contact,
    optional_name,
    receiver,
)
from actions.ground.holding import hold
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.passwords import passwords, policy
from actions.services import search_words, services
from actions.sessions import links
from actions.trail import audit
from actions.trail.events import Event
from models import Account, AccountWord, Domain, FormerAddress, Mailbox, Organisation, Service
from settings import LANGUAGES

NOT_PLAIN_IN_PATHS = re.compile(r"[^a-z0-9._+-]")
SERVICE_RULES = ("password_policy", "device_passwords_only", "most_collaborators", "most_mailboxes", "quota_bytes")


@dataclass(frozen=True)
class NewMailbox:
    """The request for a mailbox. Quota in bytes, 0 for no limit. Without a password, its owner gets a link to set
    one."""

    address: str
    first_name: str = ""
    last_name: str = ""
    contact_email: str = ""
    quota_bytes: int = 0
    language: str = ""
    password: str | None = None
    phone: str = ""
    must_change_password: bool = False


@dataclass(frozen=True)
class MadeMailbox:
    """An account, and the one-time link by which its owner sets the password; None for an account with a password.
    `is_new` is false where it was there before, with a mailbox or as a manager's, and is both from now on."""

    account: Account
    link: str | None
    is_new: bool = True


@unit_of_work
def add_service(unit: UnitOfWork, organisation: str, name: str, password_policy: str = "classic") -> Service:
    """Add a mail service for an organisation, and the organisation itself when there is none with this name."""
    organisation, name = checked_name(organisation, "organisation"), checked_name(name, "name")
    _refuse_unknown_policy(password_policy)
    owner, _ = Organisation.get_or_create(name=organisation)
    if Service.get_or_none(Service.organisation == owner, Service.name == name):
        raise Refused(N_("%(organisation)s already has a service “%(name)s”."), organisation=organisation, name=name)
    service = Service.create(organisation=owner, name=name, password_policy=password_policy)
    audit.record(unit.actor, Event.OPERATOR_SERVICE_ADDED, organisation_name=organisation, service=name)
    return service


@unit_of_work
def add_domain(unit: UnitOfWork, name: str, service: str, organisation: str | None = None) -> Domain:
    """Add a domain to a service. The organisation must be named only where several have a service of that name."""
    name = canonical_domain(name)
    if Domain.get_or_none(Domain.name == name):
        raise Refused(N_("The domain %(domain)s already exists."), domain=name)
    domain = Domain.create(service=find_service(service, organisation), name=name)
    audit.record(unit.actor, Event.OPERATOR_DOMAIN_ADDED, domain=name, service=service)
    return domain


@unit_of_work
def change_service(
    unit: UnitOfWork,
    name: str,
    organisation: str | None = None,
    password_policy: str | None = None,
    device_passwords_only: bool | None = None,
    most_collaborators: int | None = None,
    most_mailboxes: int | None = None,
    quota_bytes: int | None = None,
) -> Service:
    """Change a service: its password policy, the switch "Mail programs need a device password", and its limits of
    collaborators per mailbox, of mailboxes and of bytes in all (0 for no limit). None leaves a value unchanged.

    Mail programs that are connected with the account's password stay connected until they reconnect. A lower limit
    takes nothing away that was given before.
    """
    service = find_service(name, organisation)
    if password_policy is not None:
        _refuse_unknown_policy(password_policy)
    rules = (password_policy, device_passwords_only, most_collaborators, most_mailboxes, quota_bytes)
    given = {name: rule for name, rule in zip(SERVICE_RULES, rules, strict=True) if rule is not None}
    if given:
        service.write(**given)
    settings = {name.removeprefix("password_"): getattr(service, name) for name in SERVICE_RULES}
    audit.record(unit.actor, Event.OPERATOR_SERVICE_CHANGED, service=name, **settings)
    return service


def find_service(name: str, organisation: str | None = None) -> Service:
    """The service of this name; raises `Refused` when there is none, or several and no organisation is named."""
    query = Service.select(Service, Organisation).join(Organisation).where(Service.name == name)
    if organisation:
        query = query.where(Organisation.name == organisation)
    found = list(query)
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(N_("Several organisations have a service “%(name)s”: name the organisation too."), name=name)
    raise Refused(N_("There is no service “%(name)s”."), name=name)


def add_mailbox(unit: UnitOfWork, new: NewMailbox) -> MadeMailbox:
    """Add a mailbox and the account that opens it. A manager who has none and signs in with this address gets it, and
    keeps password, names and contact e-mail."""
    new = checked(unit.ports, new)
    if manager := _manager_without_mailbox(new.address):
        if new.password is not None or new.first_name or new.last_name or new.contact_email:
            raise keeps_its_own(manager)
        return _give_mailbox(unit, manager, new)
    account = Account(login=new.address, first_name=new.first_name, last_name=new.last_name)
    hashed = _hashed(unit.ports, account, new.password, domain_of(new.address).service.password_policy)
    return _make_mailbox(unit, new, hashed)


@unit_of_work
def _make_mailbox(unit: UnitOfWork, new: NewMailbox, password_hash: str | None) -> MadeMailbox:
    account = create(new, password_hash)
    audit.record(unit.actor, Event.OPERATOR_MAILBOX_ADDED, account)
    return MadeMailbox(account, None if password_hash else _link(unit.ports, account, links.WELCOME))


@unit_of_work
def _give_mailbox(unit: UnitOfWork, manager: Account, new: NewMailbox) -> MadeMailbox:
    manager, domain = hold(manager), domain_of(new.address)
    if manager.role not in Account.MANAGERS or manager.mailbox is not None:
        raise taken(new.address)
    organisation = domain.service.organisation
    if manager.organisation not in (None, organisation):
        sentence = N_("%(login)s is a manager of %(organisation)s, and can have a mailbox only there.")
        raise Refused(sentence, "address", login=manager.login, organisation=manager.organisation.name)
    services.count_in(domain.service, new.quota_bytes)
    domain = domain_of(new.address)
    manager.write(
        organisation=organisation,
        service=domain.service_id,
        domain=domain.id,
        sort_name=search_words.sort_name(manager.login, manager.first_name, manager.last_name),
        revision=manager.revision + 1,
    )
    search_words.enter(manager)
    _open_mailbox(manager, domain, new)
    audit.record(unit.actor, Event.OPERATOR_MAILBOX_ADDED, manager)
    link = None if manager.password_hash else _link(unit.ports, manager, links.WELCOME)
    return MadeMailbox(manager, link, is_new=False)


def _manager_without_mailbox(address: str) -> Account | None:
    account = Account.by_login(address)
    return account if account and account.role in Account.MANAGERS and account.mailbox is None else None


def create(new: NewMailbox, password_hash: str | None) -> Account:
    """Create a mailbox that was `checked`, and its account, within the caller's transaction; raises `Refused` when the
    address is taken, or the service has no room for it."""
    services.count_in(domain_of(new.address).service, new.quota_bytes)
    # Once the service is held, nobody removes the domain any more.
    domain = domain_of(new.address)
    refuse_taken(new.address)
    account = Account(
        login=new.address,
        organisation=domain.service.organisation_id,
        first_name=new.first_name,
        last_name=new.last_name,
        contact_email=new.contact_email,
        phone=new.phone,
        language=new.language,
        password_hash=password_hash,
        must_change_password=new.must_change_password,
    )
    search_words.place(account, domain)
    account.save(force_insert=True)
    search_words.enter(account)
    _open_mailbox(account, domain, new)
    return account


def _open_mailbox(account: Account, domain: Domain, new: NewMailbox) -> None:
    Mailbox.create(
        domain=domain,
        account=account,
        address=new.address,
        home=fresh_home(new.address),
        quota_bytes=new.quota_bytes,
    )
    # What it was when it was first asked for.
    vars(account).pop("mailbox", None)


def close_mailbox(mailbox: Mailbox, manager: Account) -> None:
    """Take the mailbox away from a manager's account, which stays, within the caller's transaction: the opposite of
    `_give_mailbox`."""
    AccountWord.delete().where(AccountWord.account == manager).execute()
    Mailbox.delete().where(mailbox.itself()).execute()
    organisation = None if manager.role == Account.OPERATOR else manager.organisation_id
    gone = {"service": None, "domain": None, "sort_name": "", "organisation": organisation}
    manager.write(**gone, revision=manager.revision + 1)
    vars(manager).pop("mailbox", None)


@unit_of_work
def add_manager(
    unit: UnitOfWork,
    login: str,
    organisation: str | None,
    role: str,
    password: str | None = None,
    **names: str,
) -> MadeMailbox:
    """Add a manager: the owner or an administrator of an organisation, or an operator, who belongs to none. The login
    is an e-mail address."""
    login = canonical_address(login)
    employed_by = employer(role, organisation)
    if known := Account.by_login(login):
        raise exists(known)
    if FormerAddress.living(FormerAddress.address == login).exists():
        raise forwards(login)
    manager = Account(login=login, role=role, organisation=employed_by, **_names(names))
    manager.password_hash = _hashed(unit.ports, manager, password, "classic")
    manager.save(force_insert=True)
    audit.record(unit.actor, Event.OPERATOR_MANAGER_ADDED, manager, role=role)
    return MadeMailbox(manager, None if password else _link(unit.ports, manager, links.WELCOME))


def exists(account: Account) -> Refused:
    """The refusal of a login that has an account."""
    return Refused(N_("The account %(login)s already exists."), login=account.login)


def keeps_its_own(account: Account) -> Refused:
    """The refusal of a password, names or a contact e-mail for an account that has its own."""
    sentence = N_("%(login)s exists already, and keeps password, names and contact e-mail. Leave them out.")
    return Refused(sentence, login=account.login)


def employer(role: str, organisation: str | None) -> Organisation | None:
    """The organisation of a manager with this role; raises `Refused`."""
    if role == Account.OPERATOR and not organisation:
        return None
    if role not in (Account.OWNER, Account.ADMINISTRATOR):
        raise Refused(N_("The role must be owner, administrator, or operator without an organisation."))
    employer = Organisation.get_or_none(Organisation.name == organisation)
    if employer is None:
        raise Refused(N_("There is no organisation “%(name)s”."), name=organisation or "")
    return employer


def make_link(unit: UnitOfWork, login: str) -> str:
    """Make a one-time link by which the owner of an account sets a new password, which also reopens a locked
    account."""
    return _make_link(unit, account_named(login))


@unit_of_work
def _make_link(unit: UnitOfWork, account: Account) -> str:
    audit.record(unit.actor, Event.OPERATOR_ACCOUNT_LINK_MADE, account)
    return _link(unit.ports, account, links.RESET if account.state == Account.ACTIVE else links.RECOVER)


def account_named(login: str) -> Account:
    """The account with this login; raises `Refused` when there is none."""
    account = Account.by_login(canonical_login(login))
    if account is None:
        raise Refused(N_("There is no account %(login)s."), login=login)
    return account


def mailbox_named(address: str) -> Mailbox:
    """The mailbox with this address; raises `Refused` when there is none."""
    found = Mailbox.by_address(canonical_login(address))
    if found is None:
        raise Refused(N_("There is no mailbox %(address)s."), "address", address=address)
    return found


def new_address(ports: Ports, typed: str) -> str:
    """The address of a mailbox to be made, in stored form; raises `Refused` for what is none, and for one whose mail
    would arrive in another mailbox."""
    address = canonical_address(typed)
    delimiter = ports.settings.recipient_delimiter
    if (other := receiver(address, delimiter)) != address:
        sentence = N_("Mail to %(address)s goes to %(other)s: an address cannot contain “%(sign)s” before the @.")
        raise Refused(sentence, "address", address=address, other=other, sign=delimiter)
    return address


def checked(ports: Ports, new: NewMailbox, find_domain: Callable[[str], object] | None = None) -> NewMailbox:
    """The same request with address, contact address and names checked and in stored form; raises `Refused` with all
    that is wrong. `find_domain` may refuse domains; without it, every domain that is served here is allowed."""
    faults, address, names = Faults(), "", {}
    with faults:
        address = new_address(ports, new.address)
        (find_domain or domain_of)(address)
    with faults:
        contact = optional_contact(new.contact_email)
        if address:
            refuse_own_address(ports, contact, address)
    with faults:
        refuse_unknown_language(new.language)
    for part, name in {"first_name": new.first_name, "last_name": new.last_name}.items():
        with faults:
            names |= _names({part: name})
    faults.refuse()
    return NewMailbox(
        address,
        contact_email=contact,
        quota_bytes=new.quota_bytes,
        language=new.language,
        password=new.password,
        phone=new.phone,
        must_change_password=new.must_change_password,
        **names,
    )


def domain_of(address: str) -> Domain:
    """The domain of an address in stored form; raises `Refused` when it is not served here."""
    name = address.rpartition("@")[2]
    domain = Domain.get_or_none(Domain.name == name)
    if domain is None:
        raise Refused(N_("There is no domain %(domain)s here. Add it to a service first."), "address", domain=name)
    return domain


def _refuse_unknown_policy(name: str) -> None:
    if name not in policy.POLICIES:
        raise Refused(N_("The password policy must be one of: %(policies)s."), policies=", ".join(policy.POLICIES))


def refuse_unknown_language(language: str) -> None:
    """Raises `Refused` for a language that the panel does not speak; the empty text stands for the browser's."""
    if language not in ("", *LANGUAGES):
        sentence = N_("The language must be one of: %(languages)s.")
        raise Refused(sentence, "language", languages=", ".join(LANGUAGES))


def refuse_own_address(ports: Ports, contact: str, *addresses: str) -> None:
    """Raises `Refused` for a contact e-mail that ends up in the very mailbox of these addresses."""
    if any(is_own_address(ports, contact, address) for address in addresses):
        raise Refused(N_("The contact e-mail must be different from the mailbox address."), "contact_email")


def is_own_address(ports: Ports, contact: str, address: str) -> bool:
    """Whether a contact e-mail ends up in the very mailbox of this address."""
    return is_same_mailbox(contact, address, ports.settings.recipient_delimiter)


def refuse_taken(address: str, of: Mailbox | None = None) -> None:
    """Raises `Refused` when this address is already in use, or is a former one that still forwards. The mailbox that it
    belonged to (`of`) may have it back."""
    if Mailbox.by_address(address) or Account.by_login(address):
        raise taken(address)
    # After the mailboxes: a mailbox that is renamed meanwhile is found under the one address or the other.
    former = FormerAddress.living(FormerAddress.address == address).first()
    if former is not None and (of is None or former.mailbox_id != of.id):
        raise forwards(address)


def taken(address: str) -> Refused:
    """The refusal of an address that is in use."""
    if _manager_without_mailbox(address):
        sentence = N_("%(address)s is a manager's login. The operator can give it a mailbox.")
        return Refused(sentence, "address", address=address)
    return Refused(N_("The mailbox %(address)s already exists."), "address", address=address)


def forwards(address: str) -> Refused:
    """The refusal of a former address whose mail still arrives in the mailbox that had it."""
    sentence = N_("Mail to %(address)s still goes to the mailbox that had this address before. End that first.")
    return Refused(sentence, "address", address=address)


def _hashed(ports: Ports, account: Account, password: str | None, password_policy: str) -> str | None:
    if password is None:
        return None
    accepted = policy.accepted(account, password, ports.settings.password_blocklist, password_policy)
    return passwords.hash_password(ports.settings, accepted)


def _link(ports: Ports, account: Account, purpose: str) -> str:
    return links.address(ports.settings, purpose, links.create(account, purpose))


def fresh_home(address: str) -> str:
    """A directory that no mailbox had before: the address for people to read, in characters that are plain to every
    program, and random digits to make it unique."""
    local_part, _, domain = address.rpartition("@")
    return f"{domain}/{NOT_PLAIN_IN_PATHS.sub('_', local_part)}-{secrets.token_hex(4)}"


def _names(names: dict[str, str]) -> dict[str, str]:
    return {part: optional_name(name, part) for part, name in names.items()}
