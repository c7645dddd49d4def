"""Users from a file: read, checked line by line, then all created at once or not at all.

The file is stored in parts, apart from the users. Checking takes one part after another. For each line, it stores
either the problem or the user to create, in the columns of the user's tables. Three statements in one transaction then
create all users. That transaction is short enough to keep nobody waiting for long, and no user is visible before it
commits. Afterwards, a few users at a time are entered in the search index and notified. Each step is one transaction
that removes the work it has done: if a process dies in the middle, another continues there, and nothing is done twice.

The request that uploads a file of up to `AT_ONCE` lines also processes it. The worker processes larger files, and any
that were interrupted.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator

from peewee import IntegrityError

from actions.authority import authority
from actions.ground.actor import Actor
from actions.ground.holding import hold
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from actions.sessions import links
from actions.trail import audit
from actions.trail.events import Event
from actions.users import _import_lines, user_files
from actions.users._import_lines import ASKED, kept, told
from actions.users.user_files import Line, NotCsv
from database import insert_all, transactional
from models import (
    Account,
    Domain,
    Service,
    UserImport,
    UserImportLine,
    UserImportPart,
    has_come,
    now,
)

AT_ONCE = 1000
# More steps than `AT_ONCE` lines need, even long ones. The worker finishes anything longer.
STEPS_AT_ONCE = 200
MOST_LINES = 100_000
LARGEST_FILE = 16 * 1024 * 1024
# Files in one service that await a decision.
MOST_WAITING = 20
CHECKED_AT_A_TIME, FINISHED_AT_A_TIME = 500, 50
# In bytes.
LARGEST_PART = 50_000
LEASE = 60
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
LINES_A_PAGE = 50


def of(service: Service):
    """The service's imports, newest first."""
    return UserImport.select().where(UserImport.service == service).order_by(UserImport.id.desc())


def find(service: Service, import_id: int) -> UserImport | None:
    """The service's import with this id."""
    return of(service).where(UserImport.id == import_id).first()


def lines(wanted: UserImport, with_problems: bool, after: int = 0) -> list[UserImportLine]:
    """The next lines after `after`, one more than a page holds: all lines, or only those with a problem."""
    found = UserImportLine.select().where(UserImportLine.user_import == wanted, UserImportLine.line > after)
    if with_problems:
        found = found.where(UserImportLine.problem.is_null(False))
    return list(found.order_by(UserImportLine.line).limit(LINES_A_PAGE + 1))


def begin(
    unit: UnitOfWork,
    service: Service,
    file: Iterable[str],
    file_name: str,
    invites: bool,
    skips_unknown: bool = False,
) -> UserImport:
    """Read a file of users for a service and check its lines; of more than `AT_ONCE`, the worker checks them. Unknown
    columns are refused or skipped.

    Raises `Refused` with the field `file` when the file cannot be read at all. A line stores its own problem.
    """
    try:
        found = user_files.read(file, skips_unknown)
        begun = _begin(unit, service, file_name.strip()[:120], invites)
    except Refused as problem:
        raise _unreadable(problem) from None
    try:
        _write_down(begun, found)
    except Refused as problem:
        discard(unit, begun)
        raise _unreadable(problem) from None
    return _now_or_later(unit.ports, begun)


def _unreadable(problem: Refused) -> Refused:
    """The refusal of the whole file, shown beside its field."""
    if isinstance(problem, NotCsv):
        sentence = N_("Line %(line)s is not CSV: a quote is missing or misplaced.")
        return Refused(sentence, "file", line=problem.line)
    return Refused(problem.sentence, "file", **problem.facts)


@unit_of_work
def _begin(unit: UnitOfWork, service: Service, file_name: str, invites: bool) -> UserImport:
    authority.refuse_unless_may_manage(unit.actor, service)
    if of(service).where(UserImport.state != UserImport.DONE).count() >= MOST_WAITING:
        raise Refused(
            N_("%(count)s files are already waiting, which is the maximum. Discard one first."),
            "file",
            count=MOST_WAITING,
        )
    return UserImport.create(
        service=service,
        made_by=unit.actor.account,
        made_by_login=unit.actor.login,
        file_name=file_name,
        invites=invites,
        leased_until=now() + LEASE,
    )


def _write_down(begun: UserImport, found: Iterable[Line]) -> None:
    """Store the lines, in many short transactions; raises `Refused` when there are none or too many."""
    for part in _parts(found):
        begun.line_count += len(part)
        if begun.line_count > MOST_LINES:
            raise Refused(N_("A file can have at most %(most)s lines. Split it."), "file", most=MOST_LINES)
        UserImportPart.create(user_import=begun, content=part)
    if not begun.line_count:
        raise Refused(N_("The file names its columns but contains no users."), "file")
    begun.write(state=UserImport.CHECKING, line_count=begun.line_count, leased_until=now() + LEASE)


def _parts(found: Iterable[Line]) -> Iterator[list]:
    """The lines as they are stored, in parts that fit a text column of MySQL."""
    part, size = [], 0
    for row in map(_as_kept, found):
        length = len(json.dumps(row))
        if part and (len(part) == CHECKED_AT_A_TIME or size + length > LARGEST_PART):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def _as_kept(line: Line) -> list:
    """A line as numbers and text: its number, the requested user, or what is known of one whose cells are misplaced,
    and the problem."""
    asked = {name: getattr(line.new, name) for name in ASKED} | {"state": line.state}
    return [line.number, asked if line.is_whole else {"address": line.new.address}, line.problem and kept(line.problem)]


def _as_read(row: list) -> Line:
    """The line that `_as_kept` stored."""
    number, asked, problem = row
    is_whole, state = "quota_bytes" in asked, asked.pop("state", Account.ACTIVE)
    return Line(number, NewMailbox(**asked), problem and told(problem), state=state, is_whole=is_whole)


def want(unit: UnitOfWork, checked: UserImport) -> UserImport:
    """Create the users of a file that was checked and has no problems, all or none. The worker creates those of more
    than `AT_ONCE` lines. Raises `Refused` when there is a problem, or somebody else was quicker."""
    _want(unit, checked)
    return _now_or_later(unit.ports, checked)


@unit_of_work
def _want(unit: UnitOfWork, checked: UserImport) -> None:
    authority.refuse_unless_may_manage(unit.actor, checked.service)
    wanted = checked.write(
        UserImport.state == UserImport.CHECKED,
        UserImport.problem_count == 0,
        UserImport.problem.is_null(),
        state=UserImport.WANTED,
        made_by=unit.actor.account,
        made_by_login=unit.actor.login,
        address=unit.actor.address,
        user_agent=unit.actor.user_agent,
        leased_until=now() + LEASE if checked.line_count <= AT_ONCE else 0,
    )
    if not wanted:
        raise _unusable()


def _unusable() -> Refused:
    return Refused(N_("These users cannot be added now: the file has an error or has already been used."))


@unit_of_work
def discard(unit: UnitOfWork, unwanted: UserImport) -> None:
    """Delete a file and its lines without creating any user. Raises `Refused` once its users are being created."""
    authority.refuse_unless_may_manage(unit.actor, unwanted.service)
    forgotten = UserImport.delete().where(
        unwanted.itself(),
        UserImport.state.in_((UserImport.READING, UserImport.CHECKING, UserImport.CHECKED, UserImport.DONE)),
    )
    if not forgotten.execute():
        raise Refused(N_("Its users are already being added."))


def _now_or_later(ports: Ports, begun: UserImport) -> UserImport:
    if begun.line_count <= AT_ONCE:
        for _step in range(STEPS_AT_ONCE):
            if not _go_on(ports, begun):
                break
    begun.write(leased_until=0)
    present = UserImport.get_or_none(begun.itself())
    if present is None:
        raise _unusable()
    return present


def work(ports: Ports) -> int:
    """Do one step of the oldest import that waits; 0 when there is none. SQLite has one writer at a time and no queue,
    so this pauses after a step for as long as the step took, and lets others write."""
    free = has_come(UserImport.leased_until, now(), LEASE)
    waiting = UserImport.select().where(UserImport.state.in_(UserImport.IN_HAND), free)
    found = waiting.order_by(UserImport.id).first()
    if found is None or not found.lease(LEASE):
        return 0
    begun_at = time.monotonic()
    _go_on(ports, found)
    found.write(leased_until=0)
    time.sleep(min(max(time.monotonic() - begun_at, SHORTEST_PAUSE), LONGEST_PAUSE))
    return 1


def _go_on(ports: Ports, begun: UserImport) -> bool:
    """Do the next step of an import; False when there is none for now. When two processes do the same step at the same
    time, neither undoes the other's work: one of them finds the step done."""
    present = UserImport.get_or_none(begun.itself())
    step = present and STEPS.get(present.state)
    if not step:
        return False
    try:
        step(ports, present)
    except (IntegrityError, DoneByAnother):
        # Somebody took an address, or did the same step, a moment ago: the next attempt sees that.
        return True
    return True


class DoneByAnother(Exception):
    """Another process did this step at the same time."""


# --- checking ---


def _check_some(ports: Ports, present: UserImport) -> None:
    """Check the next part of the file. Only the writing of its results takes place in a transaction."""
    part = present.parts.order_by(UserImportPart.id).first()
    if part is None:
        _note_checked(present)
    else:
        _replace(present, part, _looked_at(ports, present, part.content))


@transactional
def _replace(present: UserImport, part: UserImportPart, lines: list[dict]) -> None:
    if not UserImportPart.delete().where(part.itself()).execute():
        raise DoneByAnother
    insert_all(UserImportLine, lines)
    UserImport.update(
        done_count=UserImport.done_count + len(lines),
        problem_count=UserImport.problem_count + sum(1 for line in lines if line["problem"] is not None),
    ).where(present.itself()).execute()


def _looked_at(ports: Ports, present: UserImport, part: list[list]) -> list[dict]:
    """For each line of a part what is to be made of it, or what is wrong."""
    found = user_files.checked(
        ports,
        map(_as_read, part),
        _domains_of(present.service),
        lambda addresses: _seen_before(present, addresses),
    )
    return [_import_lines.planned(present, line) for line in found]


def _domains_of(service: Service) -> Callable[[str], Domain]:
    """A function that finds an address's domain among the service's, and refuses any other."""
    joined = Domain.select(Domain, Service).join(Service)
    domains = {domain.name: domain for domain in joined.where(Domain.service == service)}

    def domain_of(address: str) -> Domain:
        name = address.rpartition("@")[2]
        if name not in domains:
            raise Refused(N_("The domain %(domain)s does not belong to this service."), "address", domain=name)
        return domains[name]

    return domain_of


def _seen_before(present: UserImport, addresses: list[str]) -> set[str]:
    """Those of the addresses that appear in the file before this part."""
    earlier = UserImportLine.select(UserImportLine.address).where(
        UserImportLine.user_import == present, UserImportLine.address.in_(addresses)
    )
    return {address for (address,) in earlier.tuples()}


def _note_checked(present: UserImport) -> None:
    """Finish checking: record whether the service has room for all lines."""
    problem = None
    try:
        _import_lines.refuse_too_many(present.service, *_import_lines.totals(present))
    except Refused as refusal:
        problem = kept(refusal)
    present.write(UserImport.state == UserImport.CHECKING, state=UserImport.CHECKED, problem=problem)


# --- making ---


@transactional
def _make_all(_ports: Ports, present: UserImport) -> None:
    """Create all users at once. If the service or a line no longer passes the check, record the problem instead."""
    service = _held_service(present)
    actor = _actor(present)
    try:
        authority.refuse_unless_may_manage(actor, service)
        _import_lines.refuse_too_many(service, *_import_lines.totals(present))
    except Refused as refusal:
        _put_back(present, problem=kept(refusal))
        return
    if taken := _import_lines.taken_meanwhile(present):
        for line in taken:
            line.write(problem=kept(mailboxes.taken(line.address)))
        _put_back(present, problem_count=len(taken))
        return
    moment = now()
    added = _import_lines.make_all(actor, Event.USER_ADDED, present, service, moment)
    present.write(state=UserImport.FINISHING, made_at=moment)
    event = audit.record(actor, Event.USERS_IMPORTED, service=service.name, file=present.file_name, users=added)
    event.write(organisation=service.organisation_id)


def _held_service(present: UserImport) -> Service:
    """The import's service as it is now. Holds both rows, so that nobody else changes the service's counts
    meanwhile."""
    if not UserImport.hold(present.itself(), UserImport.state == UserImport.WANTED):
        raise DoneByAnother
    present.write(done_count=0)
    return hold(present.service)


def _actor(present: UserImport) -> Actor:
    """The person who asked for the import, as they are now; an account that is gone may no longer do it."""
    account = present.made_by_id and Account.get_or_none(Account.id == present.made_by_id)
    return Actor(account or Account(login=present.made_by_login, state=""), None, present.address, present.user_agent)


def _put_back(present: UserImport, **columns: object) -> None:
    present.write(state=UserImport.CHECKED, **columns)


# --- finishing ---


@transactional
def _finish_some(ports: Ports, present: UserImport) -> None:
    """Enter some of the new users in the search index, send their invitations, and delete their lines."""
    batch = list(present.lines.order_by(UserImportLine.line).limit(FINISHED_AT_A_TIME))
    if not batch:
        present.write(state=UserImport.DONE)
        return
    done = UserImportLine.delete().where(UserImportLine.these(batch))
    if done.execute() != len(batch):
        raise DoneByAnother
    new = Account.login.in_([line.address for line in batch])
    Account.hold(new)
    accounts = list(Account.select().where(new, Account.created_at == present.made_at))
    _import_lines.enter(accounts)
    invited = _invite(ports, present, accounts) if present.invites else 0
    UserImport.update(
        done_count=UserImport.done_count + len(batch), invited_count=UserImport.invited_count + invited
    ).where(present.itself()).execute()


def _invite(ports: Ports, present: UserImport, accounts: list[Account]) -> int:
    """Send a link to set a password to those who have a contact address and no password yet; returns how many."""
    actor, purpose = _actor(present), links.WELCOME
    invited = [
        account
        for account in accounts
        if account.contact_email and account.password_hash is None and account.state == Account.ACTIVE
    ]
    for account in invited:
        notices.password_link(UnitOfWork(ports, actor), account, purpose, links.create(account, purpose))
    return len(invited)


STEPS = {
    UserImport.CHECKING: _check_some,
    UserImport.WANTED: _make_all,
    UserImport.FINISHING: _finish_some,
}
