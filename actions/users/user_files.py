"""Files of users: CSV as common programs write it, read line by line, with the problem of each line."""

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from actions.ground import spreadsheet
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.sizes import MEGABYTE, Size
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from models import Account, Domain, Mailbox, Service

COLUMNS = ("address", "first_name", "last_name", "contact_email", "quota_mb", "language")
SEPARATORS = ",;\t"
# The most that one line may contain, in characters.
LONGEST_LINE = 2000
LONGEST_ADDRESS = 254


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, by its number: the requested user, or the problem. Once the line is checked, `new` is in stored
    form and the domain is known."""

    number: int
    new: NewMailbox
    problem: Refused | None = None
    domain: Domain | None = None


class Unreadable(Refused):
    """A line that makes the rest of the file unreadable."""

    def __init__(self, line: int, sentence: str, **facts: object):
        super().__init__(sentence, **facts)
        self.line = line


class NotCsv(Unreadable):
    """A line that is not CSV."""

    def __init__(self, line: int):
        super().__init__(line, N_("This line is not CSV: a quote is missing or misplaced."))


def read(file: Iterable[str]) -> Iterator[Line]:
    """The lines below the first. The first line names the columns and shows their separator.

    Raises `Unreadable` at once when the first line does not name them. Reading on may raise it too. Raises `Refused`,
    at once or later, where the file is not text.
    """
    try:
        reader = _opened(file)
    except UnicodeDecodeError:
        raise _no_text() from None
    return _lines(reader)


def _opened(file: Iterable[str]) -> csv.DictReader:
    file = iter(file)
    first = next(file, "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.DictReader(itertools.chain([first], file), delimiter=separator, strict=True)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or []]
    except csv.Error:
        raise NotCsv(1) from None
    if "address" not in header or not set(header) <= set(COLUMNS) or len(set(header)) < len(header):
        sentence = N_("The first line must name the columns, each once. Possible columns: %(columns)s.")
        raise Unreadable(1, sentence, columns=", ".join(COLUMNS))
    reader.fieldnames = header
    return reader


def _no_text() -> Refused:
    return Refused(N_("The file is not UTF-8 text. Save it as “CSV UTF-8” and try again."))


def _lines(reader: csv.DictReader) -> Iterator[Line]:
    try:
        for row in reader:
            yield _line(reader.line_num, row)
    except csv.Error:
        # DictReader counts a line after reading it; the reader below it counts the line as it begins.
        raise NotCsv(reader.reader.line_num) from None
    except UnicodeDecodeError:
        raise _no_text() from None


def _line(number: int, row: dict) -> Line:
    try:
        return Line(number, _asked(row))
    except Refused as problem:
        return Line(number, NewMailbox((row["address"] or "")[:LONGEST_ADDRESS]), problem)


def _asked(row: dict) -> NewMailbox:
    """The user that a row requests, unchecked; raises `Refused` when the row is not valid."""
    if None in row or None in row.values():
        raise Refused(N_("This line does not have the same number of columns as the first."))
    row = {name: value.strip() for name, value in row.items()}
    if sum(map(len, row.values())) > LONGEST_LINE:
        raise Refused(N_("This line is too long."))
    row = {name: spreadsheet.as_it_was(value) for name, value in row.items()}
    quota = row.get("quota_mb") or "0"
    if not re.fullmatch(r"[0-9]{1,9}", quota):
        raise Refused(N_("The quota must be a whole number of megabytes."))
    texts = {name: row.get(name, "") for name in ("first_name", "last_name", "contact_email", "language")}
    return NewMailbox(row["address"], quota_bytes=int(quota) * MEGABYTE, **texts)


def checked(
    ports: Ports,
    lines: Iterable[Line],
    domain_of: Callable[[str], Domain],
    seen_before: Callable[[list[str]], set[str]],
) -> list[Line]:
    """The same lines in stored form, or with their problems.

    `domain_of` finds the domain of an address and raises `Refused` for a domain that is not allowed. `seen_before`
    returns those of the addresses that appeared earlier in the file.
    """
    found = [_checked(ports, line, domain_of) for line in lines]
    addresses = [line.new.address for line in found if line.problem is None]
    seen, taken = seen_before(addresses), _taken(addresses)
    return [_unless_known(line, seen, taken) for line in found]


def _checked(ports: Ports, line: Line, domain_of: Callable[[str], Domain]) -> Line:
    if line.problem is not None:
        return line
    try:
        new = mailboxes.checked(ports, line.new, domain_of)
        domain = domain_of(new.address)
        _refuse_without_quota(new, domain.service)
    except Refused as problem:
        return replace(line, problem=problem)
    return replace(line, new=new, domain=domain)


def _refuse_without_quota(new: NewMailbox, service: Service) -> None:
    if service.quota_bytes and not new.quota_bytes:
        total = Size(service.quota_bytes)
        raise Refused(N_("This service has %(total)s in total, so each mailbox needs a quota."), total=total)


def _taken(addresses: list[str]) -> set[str]:
    """Those of the addresses that are already taken."""
    accounts = Account.select(Account.login).where(Account.login.in_(addresses))
    boxes = Mailbox.select(Mailbox.address).where(Mailbox.address.in_(addresses))
    return {address for (address,) in itertools.chain(accounts.tuples(), boxes.tuples())}


def _unless_known(line: Line, seen: set[str], taken: set[str]) -> Line:
    """The line, or a refusal if its address is taken or on an earlier line; adds its address to `seen`."""
    address = line.new.address
    if line.problem is not None:
        return line
    if address in seen:
        return replace(line, problem=Refused(N_("%(address)s appears in the file twice."), address=address))
    if address in taken:
        return replace(line, problem=mailboxes.taken(address))
    seen.add(address)
    return line
