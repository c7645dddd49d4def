"""Users from a file at the operator's command: for any services, all at once or none, with nothing of the file kept.

`plan` reads the file into memory. `carry_out` then creates the users in one transaction, through the tables of an
import and with the same statements, and a link for each.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from actions.ground.holding import hold
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.services import mailboxes
from actions.services.mailboxes import MadeMailbox
from actions.sessions import links
from actions.trail.events import Event
from actions.users import _import_lines, user_files
from actions.users.user_files import Line, Unreadable
from database import insert_all
from models import Account, Domain, Service, UserImport, UserImportLine, now

# Lines checked, and users entered, by one statement.
AT_A_TIME = 500


@dataclass
class Plan:
    """What a file contains: the users to add, in any services, and the problems of lines or of whole services."""

    lines: list[Line] = field(default_factory=list)
    problems: list[tuple[int, Refused]] = field(default_factory=list)
    too_many: list[tuple[Service, Refused]] = field(default_factory=list)

    @property
    def is_in_order(self) -> bool:
        return not self.problems and not self.too_many

    def by_service(self) -> list[tuple[Service, list[Line]]]:
        """The services and their lines, always in the same order: two plans that are carried out at the same moment
        then never deadlock."""
        found: dict[int, tuple[Service, list[Line]]] = {}
        for line in self.lines:
            service = line.domain.service
            found.setdefault(service.id, (service, []))[1].append(line)
        return [found[number] for number in sorted(found)]


def plan(
    ports: Ports,
    file: Iterable[str],
    skips_unknown: bool = False,
) -> Plan:
    """Read a file of users, whatever services their domains belong to, and check its lines; nobody is made. Unknown
    columns are refused or skipped. Raises `Refused` when it is no text."""
    found, unreadable = _read(file, skips_unknown)
    made, domain_of, seen = Plan(), _every_domain(), set()
    for part in _parts(found):
        for line in user_files.checked(ports, part, domain_of, lambda _addresses: seen):
            if line.problem is None:
                made.lines.append(line)
            else:
                made.problems.append((line.number, line.problem))
    if unreadable:
        made.problems.append((unreadable.line, unreadable))
    made.too_many += _too_many(made)
    return made


def _read(file: Iterable[str], skips_unknown: bool) -> tuple[list[Line], Unreadable | None]:
    """The lines, as far as they can be read, and the one that ends that."""
    found = []
    try:
        for line in user_files.read(file, skips_unknown):
            found.append(line)
    except Unreadable as problem:
        return found, problem
    return found, None


def _parts(of: list) -> Iterator[list]:
    return (of[start : start + AT_A_TIME] for start in range(0, len(of), AT_A_TIME))


def _every_domain() -> Callable[[str], Domain]:
    """A function that finds an address's domain among all that are served here, and queries each only once."""
    found: dict[str, Domain] = {}

    def domain_of(address: str) -> Domain:
        name = address.rpartition("@")[2]
        if name not in found:
            found[name] = mailboxes.domain_of(address)
        return found[name]

    return domain_of


def _too_many(made: Plan) -> Iterator[tuple[Service, Refused]]:
    """The services that have no room for the file's users."""
    for service, lines in made.by_service():
        try:
            _import_lines.refuse_too_many(service, len(lines), sum(line.new.quota_bytes for line in lines))
        except Refused as refusal:
            yield service, refusal


@unit_of_work
def carry_out(unit: UnitOfWork, made: Plan) -> list[MadeMailbox]:
    """Make all users of a plan or none, in the order of the file, each active one with a link to set the password.
    Raises `Refused` when something is wrong, or is no longer as it was."""
    if not made.is_in_order:
        raise Refused(N_("The file has errors; nothing was imported."))
    moment = now()
    new = {
        each.account.login: each for service, lines in made.by_service() for each in _make(unit, service, lines, moment)
    }
    return [new[line.new.address] for line in made.lines]


def _make(unit: UnitOfWork, service: Service, lines: list[Line], moment: int) -> Iterator[MadeMailbox]:
    """Create a service's users with the statements of an import, of which nothing is kept."""
    held = hold(service)
    passing = UserImport.create(service=held, made_by_login=unit.actor.login)
    insert_all(UserImportLine, [_import_lines.planned(passing, line) for line in lines])
    _import_lines.refuse_too_many(held, *_import_lines.totals(passing))
    if taken := _import_lines.taken_meanwhile(passing):
        raise mailboxes.taken(taken[0].address)
    _import_lines.make_all(unit.actor, Event.OPERATOR_MAILBOX_ADDED, passing, held, moment)
    passing.delete_instance()
    for part in _parts([line.new.address for line in lines]):
        accounts = list(Account.select().where(Account.login.in_(part)))
        _import_lines.enter(accounts)
        active = [account for account in accounts if account.state == Account.ACTIVE]
        yield from (MadeMailbox(account, None) for account in accounts if account not in active)
        tokens = links.create_first(active, links.WELCOME)
        for account, token in zip(active, tokens, strict=True):
            yield MadeMailbox(account, links.address(unit.ports.settings, links.WELCOME, token))
