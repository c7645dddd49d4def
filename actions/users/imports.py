"""Users from a file: read, checked line by line, then made all at once or not at all.

The file is kept in parts, apart from the users. Checking takes part after part: it writes down for each line what is
wrong, or what is to be made of it, in the columns of the tables that it is for. So making all the users is three
statements in one transaction, short enough that nobody else waits for long, and before it nothing of them can be seen.
Afterwards the users are entered where searches find them, and told, a few at a time. Each step is one transaction that
takes away what it has done: whoever dies in the middle has somebody go on there, and nothing is done twice.

A file of up to `AT_ONCE` lines is worked on in the request that brings it. The worker does the others, and whatever was
left in the middle.
"""

import csv
import itertools
import json
import time
from collections.abc import Iterable, Iterator

from peewee import IntegrityError, Value, fn

from actions.authority import authority
from actions.ground.actor import Actor
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.sizes import Size
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.notices import notices
from actions.services import mailboxes, search_words
from actions.services.mailboxes import NewMailbox
from actions.sessions import links
from actions.trail import audit
from database import insert_all, transactional
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Domain,
    Mailbox,
    Service,
    UserImport,
    UserImportLine,
    UserImportPart,
    first_revision,
    has_come,
    now,
)

AT_ONCE = 1000
# More than so many lines take, even long ones; whatever goes on and on is left to the worker.
STEPS_AT_ONCE = 200
MOST_LINES = 100_000
# What one line may hold, in characters.
LONGEST_LINE = 2000
LARGEST_FILE = 16 * 1024 * 1024
# Files that wait in one service for somebody to decide.
MOST_WAITING = 20
CHECKED_AT_A_TIME, FINISHED_AT_A_TIME = 500, 50
# In bytes.
LARGEST_PART = 50_000
LEASE = 60
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
LINES_A_PAGE = 50
NAMED = ("first_name", "last_name", "contact_email", "language")
ASKED = ("address", *NAMED, "quota_bytes")
PLANNED = (*ASKED, "domain_id", "home", "sort_name", "revision")


def of(service: Service):
    """The service's imports, the newest first."""
    return UserImport.select().where(UserImport.service == service).order_by(UserImport.id.desc())


def find(service: Service, import_id: int) -> UserImport | None:
    """The service's import of this number."""
    return of(service).where(UserImport.id == import_id).first()


def lines(wanted: UserImport, with_problems: bool, after: int = 0) -> list[UserImportLine]:
    """The next lines after that one, one more than a page holds; all, or those that something is wrong with."""
    found = UserImportLine.select().where(UserImportLine.user_import == wanted, UserImportLine.line > after)
    if with_problems:
        found = found.where(UserImportLine.problem.is_null(False))
    return list(found.order_by(UserImportLine.line).limit(LINES_A_PAGE + 1))


def begin(unit: UnitOfWork, service: Service, file: Iterable[str], file_name: str, invites: bool) -> UserImport:
    """Read a file of users for a service and check its lines; of more than `AT_ONCE`, the worker checks them.

    Raises `Refused` with the field `file` when it cannot be read at all. What is wrong in a line stands in the line.
    """
    try:
        rows = _rows(file)
        begun = _begin(unit, service, file_name.strip()[:120], invites)
    except (Refused, UnicodeDecodeError) as problem:
        raise _unreadable(problem) from None
    try:
        _write_down(begun, rows)
    except (Refused, UnicodeDecodeError) as problem:
        discard(unit, begun)
        raise _unreadable(problem) from None
    return _now_or_later(unit.ports, begun)


def _unreadable(problem: Refused | UnicodeDecodeError) -> Refused:
    if isinstance(problem, Refused):
        return Refused(problem.sentence, "file", **problem.facts)
    return Refused(N_("The file is not UTF-8 text. Save it as “CSV UTF-8” and try again."), "file")


def _rows(file: Iterable[str]) -> Iterator[list]:
    """The file's lines, each with its number; raises `Refused` at once when the first line names no columns."""
    reader = mailboxes.opened(file)
    return (_as_read(reader.line_num, row) for row in _until_broken(reader))


def _until_broken(reader: csv.DictReader) -> Iterator[dict]:
    try:
        yield from reader
    except csv.Error:
        raise Refused(
            N_("Line %(line)s is not CSV: a quote is missing or misplaced."), "file", line=reader.line_num
        ) from None


def _as_read(line: int, row: dict) -> list:
    """A line as it is kept: its number, and what it asks for or what is wrong with its form."""
    try:
        if sum(len(value) for value in row.values() if isinstance(value, str)) > LONGEST_LINE:
            raise Refused(N_("This line is too long."))
        new = mailboxes.from_row(row)
    except Refused as problem:
        return [line, {"address": row["address"] or ""}, _kept(problem)]
    return [line, {name: getattr(new, name) for name in ASKED}, None]


@unit_of_work
def _begin(unit: UnitOfWork, service: Service, file_name: str, invites: bool) -> UserImport:
    authority.refuse_unless_may_manage(unit.actor, service)
    if of(service).where(UserImport.state != UserImport.DONE).count() >= MOST_WAITING:
        raise Refused(
            N_("%(count)s files are waiting here, which is the most. Discard one first."), "file", count=MOST_WAITING
        )
    return UserImport.create(
        service=service,
        made_by=unit.actor.account,
        made_by_login=unit.actor.login,
        file_name=file_name,
        invites=invites,
        leased_until=now() + LEASE,
    )


def _write_down(begun: UserImport, rows: Iterator[list]) -> None:
    """Keep the lines, in many short transactions; raises `Refused` when there is none, or there are too many."""
    for part in _parts(rows):
        begun.line_count += len(part)
        if begun.line_count > MOST_LINES:
            raise Refused(N_("A file has at most %(most)s lines. Divide it."), "file", most=MOST_LINES)
        UserImportPart.create(user_import=begun, content=part)
    if not begun.line_count:
        raise Refused(N_("The file names its columns, and then no user."), "file")
    begun.write(state=UserImport.CHECKING, line_count=begun.line_count, leased_until=now() + LEASE)


def _parts(rows: Iterator[list]) -> Iterator[list]:
    """The lines in parts that a text column of MySQL holds."""
    part, size = [], 0
    for row in rows:
        length = len(json.dumps(row))
        if part and (len(part) == CHECKED_AT_A_TIME or size + length > LARGEST_PART):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def want(unit: UnitOfWork, checked: UserImport) -> UserImport:
    """Make the users of a file that was checked and is in order, all or none; of more than `AT_ONCE`, the worker makes
    them. Raises `Refused` when something is wrong, or somebody else was quicker."""
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
        user_agent=unit.actor.user_agent[:255],
        leased_until=now() + LEASE if checked.line_count <= AT_ONCE else 0,
    )
    if not wanted:
        raise _unusable()


def _unusable() -> Refused:
    return Refused(N_("These users cannot be added now: something is wrong with the file, or it was used before."))


@unit_of_work
def discard(unit: UnitOfWork, unwanted: UserImport) -> None:
    """Forget a file and its lines; nobody is made. Raises `Refused` once its users are being made."""
    authority.refuse_unless_may_manage(unit.actor, unwanted.service)
    forgotten = UserImport.delete().where(
        unwanted.itself(),
        UserImport.state.in_((UserImport.READING, UserImport.CHECKING, UserImport.CHECKED, UserImport.DONE)),
    )
    if not forgotten.execute():
        raise Refused(N_("Its users are being added already."))


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
    """Do one step of the import that waits longest; 0 when there is none. SQLite has one writer at a time and no queue:
    after a step, others have as long as it took."""
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
    """Do the next step of an import; False when there is none for now. Whoever does the same one at the same time
    undoes nothing: one of them finds that it was done."""
    present = UserImport.get_or_none(begun.itself())
    step = present and STEPS.get(present.state)
    if not step:
        return False
    try:
        step(ports, present)
    except (IntegrityError, DoneByAnother):
        # Somebody took an address, or did the same step, a moment ago: looked at anew, that is seen.
        return True
    return True


class DoneByAnother(Exception):
    """Somebody else did this step at the same time."""


# --- checking ---


def _check_some(_ports: Ports, present: UserImport) -> None:
    """Look at the next part of the file. Only what is found out is written within a transaction."""
    part = present.parts.order_by(UserImportPart.id).first()
    if part is None:
        _note_checked(present)
    else:
        _replace(present, part, _looked_at(present, part.content))


@transactional
def _replace(present: UserImport, part: UserImportPart, lines: list[dict]) -> None:
    if not UserImportPart.delete().where(part.itself()).execute():
        raise DoneByAnother
    insert_all(UserImportLine, lines)
    UserImport.update(
        done_count=UserImport.done_count + len(lines),
        problem_count=UserImport.problem_count + sum(1 for line in lines if line["problem"] is not None),
    ).where(present.itself()).execute()


def _looked_at(present: UserImport, part: list[list]) -> list[dict]:
    """For each line of a part what is to be made of it, or what is wrong."""
    domains = {domain.name: domain.id for domain in Domain.select().where(Domain.service == present.service_id)}
    asked = [(line, *_asked(content, problem, present.service, domains)) for line, content, problem in part]
    addresses = [new.address for _line, new, problem in asked if problem is None]
    taken, seen = _taken(addresses), _seen_before(present, addresses)
    found = []
    for line, new, problem in asked:
        if problem is None and new.address in seen:
            problem = _kept(mailboxes.twice(new.address))
        elif problem is None and new.address in taken:
            problem = _kept(mailboxes.taken(new.address))
        if problem is None:
            seen.add(new.address)
        found.append({"user_import": present.id, "line": line, "problem": problem, **_planned(new, problem, domains)})
    return found


def _asked(
    content: dict, problem: dict | None, service: Service, domains: dict[str, int]
) -> tuple[NewMailbox, dict | None]:
    """What a line asks for, in stored form, and what is wrong with it."""

    def refuse_foreign(address: str) -> None:
        name = address.rpartition("@")[2]
        if name not in domains:
            raise Refused(N_("The domain %(domain)s does not belong to this service."), "address", domain=name)

    asked = NewMailbox(**content)
    if problem is not None:
        return asked, problem
    try:
        new = mailboxes.checked(asked, refuse_foreign)
        if service.quota_bytes and not new.quota_bytes:
            total = Size(service.quota_bytes)
            raise Refused(N_("This service has %(total)s in all, so that each mailbox needs a quota."), total=total)
    except Refused as refusal:
        return asked, _kept(refusal)
    return new, None


def _planned(new: NewMailbox, problem: dict | None, domains: dict[str, int]) -> dict:
    """The columns of the user that is to be made; of a line that something is wrong with, what names it."""
    if problem is not None:
        columns = dict.fromkeys(PLANNED, "") | {"quota_bytes": 0, "domain_id": None, "revision": 0}
        return columns | {"address": new.address[:254]}
    return {
        **{name: getattr(new, name) for name in ASKED},
        "domain_id": domains[new.address.rpartition("@")[2]],
        "home": mailboxes.fresh_home(new.address),
        "sort_name": search_words.sort_name(new.address, new.first_name, new.last_name),
        "revision": first_revision(),
    }


def _taken(addresses: list[str]) -> set[str]:
    """Those of the addresses that somebody has already."""
    accounts = Account.select(Account.login).where(Account.login.in_(addresses))
    boxes = Mailbox.select(Mailbox.address).where(Mailbox.address.in_(addresses))
    return {address for (address,) in itertools.chain(accounts.tuples(), boxes.tuples())}


def _seen_before(present: UserImport, addresses: list[str]) -> set[str]:
    """Those of the addresses that stand in the file before this part."""
    earlier = UserImportLine.select(UserImportLine.address).where(
        UserImportLine.user_import == present, UserImportLine.address.in_(addresses)
    )
    return {address for (address,) in earlier.tuples()}


def _note_checked(present: UserImport) -> None:
    """All lines were looked at: say whether there is place for them in the service."""
    problem = None
    try:
        _refuse_too_many(present.service, *_totals(present))
    except Refused as refusal:
        problem = _kept(refusal)
    present.write(UserImport.state == UserImport.CHECKING, state=UserImport.CHECKED, problem=problem)


def _totals(present: UserImport) -> tuple[int, int]:
    """How many mailboxes the file brings, and with how many bytes."""
    total = UserImportLine.select(fn.COUNT(UserImportLine.id), fn.SUM(UserImportLine.quota_bytes)).where(
        UserImportLine.user_import == present, UserImportLine.problem.is_null()
    )
    count, size = total.tuples()[0]
    return count, int(size or 0)


def _refuse_too_many(service: Service, added: int, size: int) -> None:
    """Raises `Refused` when the service has no place for so many mailboxes more, or so many bytes."""
    left = service.most_mailboxes - service.mailboxes_made
    if service.most_mailboxes and added > left:
        raise Refused(
            N_("The file brings %(added)s users, and the service has place for %(left)s more."),
            added=added,
            left=max(0, left),
        )
    left = service.quota_bytes - service.quota_given_bytes
    if service.quota_bytes and size > left:
        raise Refused(
            N_("The file gives away %(size)s, and the service has %(left)s left."),
            size=Size(size),
            left=Size(max(0, left)),
        )


# --- making ---


@transactional
def _make_all(_ports: Ports, present: UserImport) -> None:
    """Make all users at once. What is no longer as it was when it was checked is written down instead."""
    service = _held_service(present)
    actor = _actor(present)
    try:
        authority.refuse_unless_may_manage(actor, service)
        _refuse_too_many(service, *_totals(present))
    except Refused as refusal:
        _put_back(present, problem=_kept(refusal))
        return
    if taken := _mark_taken(present):
        _put_back(present, problem_count=taken)
        return
    moment = now()
    _insert_all(actor, present, service, moment)
    _note_made(actor, present, service, moment)


def _held_service(present: UserImport) -> Service:
    """The import's service as it is now; both are held, so that nobody else is counted into it meanwhile."""
    if not UserImport.hold(present.itself(), UserImport.state == UserImport.WANTED):
        raise DoneByAnother
    Service.hold(present.service.itself())
    present.write(done_count=0)
    return Service.get_by_id(present.service_id)


def _actor(present: UserImport) -> Actor:
    """Who wanted it made, as they are now; whoever is gone may not do it any more."""
    account = present.made_by_id and Account.get_or_none(Account.id == present.made_by_id)
    return Actor(account or Account(login=present.made_by_login, state=""), None, present.address, present.user_agent)


def _put_back(present: UserImport, **columns: object) -> None:
    present.write(state=UserImport.CHECKED, **columns)


def _mark_taken(present: UserImport) -> int:
    """Write beside the lines whose address somebody got since; how many they are."""
    account = Account.select(1).where(Account.login == UserImportLine.address)
    mailbox = Mailbox.select(1).where(Mailbox.address == UserImportLine.address)
    gone = list(
        UserImportLine.select().where(UserImportLine.user_import == present, fn.EXISTS(account) | fn.EXISTS(mailbox))
    )
    for line in gone:
        line.write(problem=_kept(mailboxes.taken(line.address)))
    return len(gone)


def _insert_all(actor: Actor, present: UserImport, service: Service, moment: int) -> None:
    line = UserImportLine
    of_import = line.user_import == present.id
    account = {
        Account.login: line.address,
        Account.organisation: service.organisation_id,
        Account.service: service.id,
        Account.domain: line.domain_id,
        Account.created_at: moment,
        **{getattr(Account, name): getattr(line, name) for name in (*NAMED, "sort_name", "revision")},
    }
    _insert(Account, account, lambda columns: line.select(*columns).where(of_import).order_by(line.line))
    mailbox = {
        Mailbox.domain: line.domain_id,
        Mailbox.account: Account.id,
        Mailbox.created_at: moment,
        **{getattr(Mailbox, name): getattr(line, name) for name in ("address", "home", "quota_bytes")},
    }
    joined = Account.login == line.address
    _insert(Mailbox, mailbox, lambda columns: line.select(*columns).join(Account, on=joined).where(of_import))
    event = {
        AuditEvent.at: moment,
        AuditEvent.action: "web:user:added",
        AuditEvent.actor: actor.account.id,
        AuditEvent.actor_login: actor.login,
        AuditEvent.account: Mailbox.account,
        AuditEvent.account_login: line.address,
        AuditEvent.organisation: service.organisation_id,
        AuditEvent.mailbox: Mailbox.id,
        AuditEvent.address: actor.address,
        AuditEvent.user_agent: actor.user_agent,
    }
    joined = Mailbox.address == line.address
    _insert(AuditEvent, event, lambda columns: line.select(*columns).join(Mailbox, on=joined).where(of_import))


def _insert(table, chosen: dict, select) -> None:
    """Insert what a query finds; columns that are not chosen get what the model gives them."""
    fields = [field for field in table._meta.sorted_fields if not field.primary_key]
    given = table._meta.get_default_dict()
    columns = [chosen[field] if field in chosen else field.db_value(given.get(field.name)) for field in fields]
    columns = [column if hasattr(column, "alias") else Value(column) for column in columns]
    table.insert_from(select(columns), fields).execute()


def _note_made(actor: Actor, present: UserImport, service: Service, moment: int) -> None:
    added, size = _totals(present)
    Service.update(
        mailboxes_made=Service.mailboxes_made + added, quota_given_bytes=Service.quota_given_bytes + size
    ).where(service.itself()).execute()
    present.write(state=UserImport.FINISHING, made_at=moment)
    event = audit.record(actor, "web:users:imported", service=service.name, file=present.file_name, users=added)
    event.write(organisation=service.organisation_id)


# --- finishing ---


@transactional
def _finish_some(ports: Ports, present: UserImport) -> None:
    """Enter some of the new users where searches find them, send them their invitations, and forget their lines."""
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
    _enter(accounts)
    invited = _invite(ports, present, accounts) if present.invites else 0
    UserImport.update(
        done_count=UserImport.done_count + len(batch), invited_count=UserImport.invited_count + invited
    ).where(present.itself()).execute()


def _enter(accounts: list[Account]) -> None:
    AccountWord.delete().where(AccountWord.account.in_([account.id for account in accounts])).execute()
    insert_all(AccountWord, [row for account in accounts for row in search_words.rows_of(account)])


def _invite(ports: Ports, present: UserImport, accounts: list[Account]) -> int:
    """Send those who can be written to, and have no password yet, a link to set it; how many they are."""
    actor, purpose = _actor(present), links.WELCOME
    invited = [
        account
        for account in accounts
        if account.contact_email and account.password_hash is None and account.state == Account.ACTIVE
    ]
    for account in invited:
        notices.password_link(UnitOfWork(ports, actor), account, purpose, links.create(account, purpose))
    return len(invited)


def _kept(problem: Refused) -> dict:
    """A refusal as it is stored: its facts in figures and words."""
    facts = {name: str(fact) if isinstance(fact, Size) else fact for name, fact in problem.facts.items()}
    return {"sentence": problem.sentence, "facts": facts}


def told(kept: dict) -> Refused:
    """The refusal that was stored."""
    return Refused(kept["sentence"], **kept["facts"])


STEPS = {
    UserImport.CHECKING: _check_some,
    UserImport.WANTED: _make_all,
    UserImport.FINISHING: _finish_some,
}
