"""Stored lines of a file of users. They have the columns of the tables in which the users are created, which is why
three statements create all users of a file, however many there are."""

from peewee import Value, fn

from actions.ground.actor import Actor
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.sizes import Size
from actions.services import mailboxes, search_words
from actions.services.mailboxes import NewMailbox
from actions.trail.events import Event
from actions.users.user_files import LONGEST_ADDRESS, Line
from database import insert_all
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Domain,
    FormerAddress,
    Mailbox,
    Service,
    UserImport,
    UserImportLine,
    first_revision,
)

NAMED = ("first_name", "last_name", "contact_email", "language", "phone")
ASKED = ("address", *NAMED, "quota_bytes")
PLANNED = (*ASKED, "state", "domain_id", "home", "sort_name", "revision")


def planned(present: UserImport, line: Line) -> dict:
    """A line in the columns of the user to create. A line with a problem keeps only its address."""
    return {"user_import": present.id, "line": line.number, "problem": line.problem and kept(line.problem)} | (
        _columns(line.new, line.domain, line.state) if line.problem is None else _only_named(line.new.address)
    )


def _columns(new: NewMailbox, domain: Domain, state: str) -> dict:
    return {
        **{name: getattr(new, name) for name in ASKED},
        "state": state,
        "domain_id": domain.id,
        "home": mailboxes.fresh_home(new.address),
        "sort_name": search_words.sort_name(new.address, new.first_name, new.last_name),
        "revision": first_revision(),
    }


def _only_named(address: str) -> dict:
    columns = dict.fromkeys(PLANNED, "") | {"state": Account.ACTIVE, "quota_bytes": 0, "domain_id": None, "revision": 0}
    return columns | {"address": address[:LONGEST_ADDRESS]}


def totals(present: UserImport) -> tuple[int, int]:
    """The number of mailboxes in the file, and their quotas' total in bytes."""
    total = UserImportLine.select(fn.COUNT(UserImportLine.id), fn.SUM(UserImportLine.quota_bytes)).where(
        UserImportLine.user_import == present, UserImportLine.problem.is_null()
    )
    count, size = total.tuples()[0]
    return count, int(size or 0)


def refuse_too_many(service: Service, added: int, size: int) -> None:
    """Raises `Refused` when the service has no room for this many more mailboxes or bytes."""
    left = service.most_mailboxes - service.mailboxes_made
    if service.most_mailboxes and added > left:
        raise Refused(
            N_("The file adds %(added)s users, but the service has room for only %(left)s more."),
            added=added,
            left=max(0, left),
        )
    left = service.quota_bytes - service.quota_given_bytes
    if service.quota_bytes and size > left:
        raise Refused(
            N_("The file assigns %(size)s, but the service has only %(left)s left."),
            size=Size(size),
            left=Size(max(0, left)),
        )


def taken_meanwhile(present: UserImport) -> list[UserImportLine]:
    """The lines whose addresses were taken after the lines were checked, or are former ones that still forward."""
    account = Account.select(1).where(Account.login == UserImportLine.address)
    mailbox = Mailbox.select(1).where(Mailbox.address == UserImportLine.address)
    former = FormerAddress.living(FormerAddress.address == UserImportLine.address).select(1)
    gone = fn.EXISTS(account) | fn.EXISTS(mailbox) | fn.EXISTS(former)
    return list(UserImportLine.select().where(UserImportLine.user_import == present, gone))


def make_all(actor: Actor, event: Event, present: UserImport, service: Service, moment: int) -> int:
    """Create the users of all lines, within the caller's transaction, which holds the service's row. Records `actor` as
    the author of each, and returns how many there are."""
    line = UserImportLine
    of_import = line.user_import == present.id
    account = {
        Account.login: line.address,
        Account.organisation: service.organisation_id,
        Account.service: service.id,
        Account.domain: line.domain_id,
        Account.created_at: moment,
        **{getattr(Account, name): getattr(line, name) for name in (*NAMED, "state", "sort_name", "revision")},
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
    written = {
        AuditEvent.at: moment,
        AuditEvent.action: event.code,
        AuditEvent.actor: actor.account and actor.account.id,
        AuditEvent.actor_login: actor.login,
        AuditEvent.account: Mailbox.account,
        AuditEvent.account_login: line.address,
        AuditEvent.organisation: service.organisation_id,
        AuditEvent.mailbox: Mailbox.id,
        AuditEvent.address: actor.address,
        AuditEvent.user_agent: actor.user_agent,
    }
    joined = Mailbox.address == line.address
    _insert(AuditEvent, written, lambda columns: line.select(*columns).join(Mailbox, on=joined).where(of_import))
    added, size = totals(present)
    Service.update(
        mailboxes_made=Service.mailboxes_made + added, quota_given_bytes=Service.quota_given_bytes + size
    ).where(service.itself()).execute()
    return added


def _insert(table, chosen: dict, select) -> None:
    """Insert the rows of a query. Columns that are not chosen get the model's defaults."""
    fields = [field for field in table._meta.sorted_fields if not field.primary_key]
    given = table._meta.get_default_dict()
    columns = [chosen[field] if field in chosen else field.db_value(given.get(field.name)) for field in fields]
    columns = [column if hasattr(column, "alias") else Value(column) for column in columns]
    table.insert_from(select(columns), fields).execute()


def follow(service: Service, before: str, after: str) -> None:
    """Let the line of a user who is made, but not yet entered and invited, name the user's new address, within the
    caller's transaction."""
    unfinished = UserImport.select(UserImport.id).where(
        UserImport.service == service, UserImport.state == UserImport.FINISHING
    )
    numbers = [number for (number,) in unfinished.tuples()]
    UserImportLine.update(address=after).where(
        UserImportLine.user_import.in_(numbers), UserImportLine.address == before
    ).execute()


def enter(accounts: list[Account]) -> None:
    """Enter new users in the search index."""
    AccountWord.delete().where(AccountWord.account.in_([account.id for account in accounts])).execute()
    insert_all(AccountWord, [row for account in accounts for row in search_words.rows_of(account)])


def kept(problem: Refused) -> dict:
    """A refusal as it is stored, its facts as numbers and text; of several, the others as `more`, of which the version
    before knows nothing."""
    first, *others = map(_kept, problem.parts)
    return first | ({"more": others} if others else {})


def _kept(problem: Refused) -> dict:
    facts = {name: str(fact) if isinstance(fact, Size) else fact for name, fact in problem.facts.items()}
    return {"sentence": problem.sentence, "facts": facts} | ({"field": problem.field} if problem.field else {})


def told(stored: dict) -> Refused:
    """The refusal that was stored."""
    faults = Faults()
    for each in [stored, *stored.get("more", [])]:
        faults.add(Refused(each["sentence"], each.get("field"), **each["facts"]))
    return faults.together
