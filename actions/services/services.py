"""Mail services for their managers: the order, and how much of it mailboxes use."""

from collections.abc import Iterator
from dataclasses import dataclass

from actions.ground import sizes
from actions.ground.refusals import N_, Refused
from actions.ground.sizes import Size
from database import in_pieces
from models import Account, Domain, Mailbox, Organisation, Service

PAGE = 50
MOST_PAGES = 10**6


def looked_after(account: Account):
    """The services that an account manages, with their organisations, by name: all for the operator, those of their own
    organisation for owners and administrators, none for anybody else."""
    found = (
        Service.select(Service, Organisation).join(Organisation).order_by(Organisation.name, Service.name, Service.id)
    )
    if account.acting_role == Account.OPERATOR:
        return found
    if not account.is_manager:
        return found.where(Service.id.is_null())
    return found.where(Service.organisation == account.organisation_id)


def find(account: Account, service_id: int) -> Service | None:
    """The service with this id, if the account manages it."""
    return looked_after(account).where(Service.id == service_id).first()


def only(account: Account) -> Service | None:
    """The service of an account that manages exactly one."""
    found = list(looked_after(account).limit(2))
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Page:
    """Some of the services that an account manages, and the numbers of the pages before and after; None where there is
    none."""

    services: list[Service]
    before: int | None
    after: int | None


def page(account: Account, number: int) -> Page:
    """The page of this number, counted from 1; the first page for a number that no page can have."""
    number = number if 1 <= number <= MOST_PAGES else 1
    found = list(looked_after(account).offset((number - 1) * PAGE).limit(PAGE + 1))
    return Page(found[:PAGE], number - 1 or None, number + 1 if len(found) > PAGE else None)


@dataclass(frozen=True)
class Facts:
    """A service's facts. Storage in bytes; `used_at` in seconds since the epoch, None when not measured yet."""

    domains: int
    mailboxes: int
    most_mailboxes: int
    quota_given: int
    quota: int
    used: int
    used_at: int | None


def facts(service: Service) -> Facts:
    """A service's facts, from counters and Dovecot's last answer: more users do not make this slower."""
    return Facts(
        domains(service).count(),
        service.mailboxes_made,
        service.most_mailboxes,
        service.quota_given_bytes,
        service.quota_bytes,
        service.used_bytes,
        service.used_at,
    )


def every_domain(service: Service | None = None) -> Iterator[Domain]:
    """All domains, or a service's, by name, with their services and organisations."""
    found = Domain.select(Domain, Service, Organisation).join(Service).join(Organisation)
    return in_pieces(found.where(Domain.service == service) if service else found, Domain.name)


def domains(service: Service):
    """The service's domains by name."""
    return Domain.select().where(Domain.service == service).order_by(Domain.name)


def count_in(service: Service, quota_bytes: int) -> None:
    """Count one more mailbox, within the caller's transaction, which holds the service's row from here on. Raises
    `Refused` when that exceeds the order."""
    service = _count(service, 1, quota_bytes)
    if service.most_mailboxes and service.mailboxes_made > service.most_mailboxes:
        raise Refused(
            N_("This service already has %(count)s mailboxes, as many as were ordered."),
            "address",
            count=service.most_mailboxes,
        )
    _refuse_too_much(service, quota_bytes)


def count_out(service: Service, quota_bytes: int) -> None:
    """Count one mailbox with this quota less, within the caller's transaction."""
    _count(service, -1, -quota_bytes)


def change_quota(mailbox: Mailbox, quota_bytes: int) -> None:
    """Change a mailbox's quota, within the caller's transaction, which holds the owner's row; raises `Refused` when the
    service has not that much left."""
    service = _count(mailbox.domain.service, 0, quota_bytes - mailbox.quota_bytes)
    if quota_bytes > mailbox.quota_bytes or not quota_bytes:
        _refuse_too_much(service, quota_bytes)
    mailbox.write(quota_bytes=quota_bytes)


def _count(service: Service, mailboxes: int, quota_bytes: int) -> Service:
    """The service with its present counters. Nobody else changes them until the transaction ends."""
    counted = Service.update(
        mailboxes_made=Service.mailboxes_made + mailboxes,
        quota_given_bytes=Service.quota_given_bytes + quota_bytes,
    ).where(service.itself())
    if not counted.execute():
        raise Refused(N_("There is no service “%(name)s”."), name=service.name)
    return Service.get_by_id(service.id)


def refuse_without_quota(service: Service, quota_bytes: int) -> None:
    """Raises `Refused` for a mailbox without a limit in a service that has one."""
    if service.quota_bytes and not quota_bytes:
        sentence = N_("This service has %(total)s in total, so each mailbox needs a quota.")
        raise Refused(sentence, "quota", total=Size(service.quota_bytes))


def usual_quota(service: Service) -> int:
    """The quota in bytes with which a new mailbox begins on the form: what the others have on average, or its share of
    the service, and no more than is left; in whole gigabytes, or megabytes below one. 0 for a service without a
    limit."""
    if not service.quota_bytes:
        return 0
    if service.mailboxes_made:
        usual = service.quota_given_bytes // service.mailboxes_made
    else:
        usual = service.quota_bytes // service.most_mailboxes if service.most_mailboxes else sizes.GIGABYTE
    usual = min(usual, max(0, service.quota_bytes - service.quota_given_bytes))
    unit = sizes.GIGABYTE if usual >= sizes.GIGABYTE else sizes.MEGABYTE
    return usual - usual % unit


def _refuse_too_much(service: Service, quota_bytes: int) -> None:
    refuse_without_quota(service, quota_bytes)
    if not service.quota_bytes:
        return
    over = service.quota_given_bytes - service.quota_bytes
    if over > 0:
        raise Refused(
            N_("That is more than what is left of the service's %(total)s. This mailbox can get at most %(most)s."),
            "quota",
            total=Size(service.quota_bytes),
            most=Size(max(0, quota_bytes - over)),
        )
