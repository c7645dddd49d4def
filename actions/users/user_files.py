"""Files of users: CSV and spreadsheets as common programs write them, read line by line, with the problem of each
line."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, TextIO

from actions.ground import phone_numbers, spreadsheet
from actions.ground.addresses import canonical_address
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Faults, Refused
from actions.ground.sizes import MEGABYTE
from actions.services import mailboxes, services
from actions.services.mailboxes import NewMailbox
from actions.services.user_list import STATES
from actions.users import _encodings, _headings, _sheets
from models import Account, Domain, FormerAddress, Mailbox

COLUMNS = ("address", "first_name", "last_name", "contact_email", "quota_mb", "language", "phone", "state")
SEPARATORS = ",;\t"
# The line by which spreadsheets tell each other the separator.
NAMES_SEPARATOR = re.compile(r"\ufeff?\"?sep=([^\w\"\s]|\t)\"?\s*", re.IGNORECASE)
# A spreadsheet may add decimals. Three of them could be thousands.
WHOLE_NUMBER = re.compile(r"([0-9]{1,9})(?:[.,]0{1,2})?")
LOCALE = re.compile(r"([A-Za-z]{2})(?:[_-][A-Za-z0-9]{2,8})*")
# What one line may hold, in characters.
LONGEST_LINE = 2000
LONGEST_ADDRESS = 254
# What a sentence names of headings: so many, and so many characters of each.
MOST_HEADINGS, LONGEST_HEADING = 20, 40


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, by its number: the requested user, and what is wrong with it. Once the line is checked, `new`
    is in stored form and the domain is known, unless something is wrong with them. `is_whole`: its cells are where
    their columns are, so that each can be checked."""

    number: int
    new: NewMailbox
    problem: Refused | None = None
    domain: Domain | None = None
    state: str = Account.ACTIVE
    is_whole: bool = True


class Unreadable(Refused):
    """A line that makes the rest of the file unreadable."""

    def __init__(self, line: int, sentence: str, **facts: object):
        super().__init__(sentence, **facts)
        self.line = line


class NotCsv(Unreadable):
    """A line that is not CSV."""

    def __init__(self, line: int):
        super().__init__(line, N_("This line is not CSV: a quote is missing or misplaced."))


def text_of(file: BinaryIO) -> TextIO:
    """The text of a CSV file, whatever its encoding; a spreadsheet's as if it were one. Raises `Refused` with the field
    `file` where that is not certain."""
    content = file.read()
    text = _as_csv(_sheets.rows(content)) if _sheets.is_one(content) else _encodings.decoded(content)
    if text is None:
        raise _no_text()
    return io.StringIO(text, newline="")


def _as_csv(rows: list[list[str]]) -> str:
    """With all the cells that the first row has, also where nothing is in the last ones."""
    width = len(rows[0]) if rows else 0
    text = io.StringIO()
    text.write("sep=\t\r\n")
    csv.writer(text, delimiter="\t").writerows(row + [""] * (width - len(row)) if row else row for row in rows)
    return text.getvalue()


def read(file: Iterable[str], skips_unknown: bool = False) -> Iterator[Line]:
    """The lines below the first one, which names the columns, and by what they are separated. A line's number is that
    of its row in a spreadsheet. Empty rows are none.

    Raises `Unreadable` at once when it does not, or when it names unknown columns that are not to be skipped. Reading
    on may raise it too; and `Refused`, at once or later, where the file is no text.
    """
    try:
        rows = _opened(file)
        columns = _columns(next(rows, []), skips_unknown)
    except csv.Error:
        raise NotCsv(1) from None
    except UnicodeDecodeError:
        raise _no_text() from None
    return _lines(columns, rows)


def _opened(file: Iterable[str]) -> Iterator[list[str]]:
    """The rows. A spreadsheet does not show a line that only names the separator, and neither counts here."""
    file = iter(file)
    first = next(file, "")
    if named := NAMES_SEPARATOR.fullmatch(first):
        return csv.reader(file, delimiter=named[1], strict=True)
    return csv.reader(itertools.chain([first], file), delimiter=max(SEPARATORS, key=first.count), strict=True)


def _columns(headings: list[str], skips_unknown: bool) -> list[str | None]:
    """What each column holds: a column by its name, "" for nothing (it has no heading), or None for what is skipped."""
    columns = [_headings.meaning(heading) for heading in headings]
    known = list(filter(None, columns))
    unknown = [heading for heading, column in zip(headings, columns, strict=True) if column is None]
    if known and unknown and not skips_unknown:
        sentence = N_(
            "These columns are unknown: %(unknown)s. Skip them, or rename them. Possible columns: %(columns)s."
        )
        raise Unreadable(1, sentence, unknown=_listed(unknown), columns=", ".join(COLUMNS))
    if "address" not in known:
        sentence = N_("The first line must name the columns, each once. Possible columns: %(columns)s.")
        raise Unreadable(1, sentence, columns=", ".join(COLUMNS))
    if same := [heading for heading, column in zip(headings, columns, strict=True) if known.count(column) > 1]:
        raise Unreadable(1, N_("These columns mean the same: %(columns)s. Remove all but one."), columns=_listed(same))
    return [column or None for column in columns] if skips_unknown else columns


def _listed(headings: list[str]) -> str:
    """Headings as a sentence names them: the first ones, and only what can be seen of each."""
    seen = ["".join(filter(str.isprintable, heading.strip()))[:LONGEST_HEADING] for heading in headings]
    return ", ".join(seen[:MOST_HEADINGS] + ["…"] * (len(seen) > MOST_HEADINGS))


def _no_text() -> Refused:
    return Refused(N_("The file is not UTF-8 text. Save it as “CSV UTF-8” and try again."), "file")


def _lines(columns: list[str | None], rows: Iterator[list[str]]) -> Iterator[Line]:
    number = 1
    try:
        for number, row in enumerate(rows, 2):
            if any(map(str.strip, row)):
                yield _line(number, columns, [cell.strip() for cell in row])
    except csv.Error:
        raise NotCsv(number + 1) from None
    except UnicodeDecodeError:
        raise _no_text() from None


def _line(number: int, columns: list[str | None], row: list[str]) -> Line:
    named = {column: cell for column, cell in zip(columns, row, strict=False) if column}
    try:
        _refuse_misplaced(columns, row)
        _refuse_long(named)
    except Refused as problem:
        address = spreadsheet.as_it_was(named.get("address", ""))[:LONGEST_ADDRESS]
        return Line(number, NewMailbox(address), problem, is_whole=False)
    return _asked(number, {name: spreadsheet.as_it_was(value) for name, value in named.items()})


def _refuse_misplaced(columns: list[str | None], row: list[str]) -> None:
    """Raises `Refused` for a cell that is missing, or stands where no column is. What is empty may stand anywhere."""
    if any(columns[len(row) :]) or any(row[len(columns) :]):
        raise Refused(N_("This line does not have the same number of columns as the first."))
    if any(cell for column, cell in zip(columns, row, strict=False) if column == ""):
        raise Refused(N_("A cell of this line is in a column that has no name."))


def _refuse_long(row: dict[str, str]) -> None:
    if sum(map(len, row.values())) > LONGEST_LINE:
        raise Refused(N_("This line is too long."))


def _asked(number: int, row: dict[str, str]) -> Line:
    """Whom a row asks for, as far as its numbers and words mean something; who that is, is not checked yet."""
    faults, quota, state = Faults(), 0, Account.ACTIVE
    with faults:
        quota = _quota(row.get("quota_mb") or "0")
    with faults:
        state = _state(row.get("state", ""))
    texts = {name: row.get(name, "") for name in ("first_name", "last_name", "contact_email", "phone")}
    new = NewMailbox(row["address"], quota_bytes=quota, language=_language(row.get("language", "")), **texts)
    return Line(number, new, faults.together, state=state)


def _quota(written: str) -> int:
    """In bytes; raises `Refused` for what is no number of megabytes."""
    number = WHOLE_NUMBER.fullmatch(written)
    if not number:
        raise Refused(N_("The quota must be a whole number of megabytes."), "quota")
    return int(number[1]) * MEGABYTE


def _state(written: str) -> str:
    """The state of a user; raises `Refused` for what is none."""
    if written and written not in STATES:
        raise Refused(N_("The state must be one of: %(states)s."), states=", ".join(STATES))
    return written or Account.ACTIVE


def _language(written: str) -> str:
    """The language of a locale: "it" of "IT", "it_IT" and "it-IT"; what is no locale, as it is written."""
    locale = LOCALE.fullmatch(written)
    return locale[1].lower() if locale else written


def checked(
    ports: Ports,
    lines: Iterable[Line],
    domain_of: Callable[[str], Domain],
    seen_before: Callable[[list[str]], set[str]],
) -> list[Line]:
    """The same lines in stored form, or with their problems.

    `domain_of` finds the domain of an address and raises `Refused` for one that is not meant; `seen_before` says which
    of these addresses stood further up in the file.
    """
    found = [_checked(ports, line, domain_of) for line in lines]
    addresses = [line.new.address for line in found if line.domain]
    seen, taken = seen_before(addresses), _taken(addresses)
    return [_unless_known(line, seen, taken) for line in found]


def _checked(ports: Ports, line: Line, domain_of: Callable[[str], Domain]) -> Line:
    """The line in stored form, or with all that is wrong with it."""
    if not line.is_whole:
        return line
    faults, new, domain = Faults(), line.new, None
    faults.add(line.problem)
    has_quota = not any(each.field == "quota" for each in faults.found)
    with faults:
        new = mailboxes.checked(ports, new, domain_of)
    with faults:
        new = replace(new, phone=phone_numbers.accepted(ports.settings, new.phone) if new.phone else "")
    with faults:
        # Of a line with a problem the address may be as it was typed, and wrong: that is said once.
        new = replace(new, address=canonical_address(new.address)) if faults.found else new
        domain = domain_of(new.address)
        if has_quota:
            services.refuse_without_quota(domain.service, new.quota_bytes)
    return replace(line, new=new, domain=domain, problem=faults.together)


def _taken(addresses: list[str]) -> set[str]:
    """Those of the addresses that are already taken, or are former ones that still forward."""
    accounts = Account.select(Account.login).where(Account.login.in_(addresses))
    boxes = Mailbox.select(Mailbox.address).where(Mailbox.address.in_(addresses))
    former = FormerAddress.living(FormerAddress.address.in_(addresses)).select(FormerAddress.address)
    return {address for (address,) in itertools.chain(accounts.tuples(), boxes.tuples(), former.tuples())}


def _unless_known(line: Line, seen: set[str], taken: set[str]) -> Line:
    """The line, refused also if its address is taken or on an earlier line; adds its address to `seen`."""
    faults, address = Faults(), line.new.address
    if not line.domain:
        return line
    faults.add(line.problem)
    with faults:
        if address in seen:
            raise Refused(N_("%(address)s appears in the file twice."), address=address)
        if address in taken:
            raise mailboxes.taken(address)
    seen.add(address)
    return replace(line, problem=faults.together)
