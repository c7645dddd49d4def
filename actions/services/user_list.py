"""The list of a service's users: one page at a time, sorted, or those that a search finds.

A page costs the same however many users there are. Every order is an index, read from where the previous page ended:
one short range for each state, and the ranges are merged. Addresses and names are different for every user, which makes
one of them enough to mark the place; to storage and last access the mark adds the user's number. Only the users without
a password, who are few, are found by reading on until there are enough of them.
"""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from peewee import fn

from actions.ground.addresses import trimmed, with_ascii_domain
from actions.services import search_words
from models import Account, AccountWord, Domain, Mailbox, Service

PAGE = 20
# A page says how many were found, up to this many.
MOST_COUNTED = 500
# How many are read at a time where all of them are wanted.
READ_AT_A_TIME = 500
# Ids with fewer digits fit every database.
LONGEST_NUMBER = 19
ADDRESS, NAME, USED, LAST_ACCESS = "address", "name", "used", "last-access"
ORDERS = {
    ADDRESS: Account.login,
    NAME: Account.sort_name,
    USED: Account.used_bytes,
    LAST_ACCESS: Account.last_access,
}
# Those that many users may share.
NUMBERS = (USED, LAST_ACCESS)
STATES = (Account.ACTIVE, Account.SUSPENDED, Account.LOCKED)
# Greater than any character of a word: words are plain ASCII.
AFTER_ALL_THAT_BEGIN_SO = "\x7f"

Entry = tuple[str | int, int]


@dataclass(frozen=True)
class WantedUsers:
    """Which users, and in which order. `text` is the search; `domain` and `state` are empty for all; `has_password` is
    None for all; `after` and `before` are marks of a page, at most one of them given. A search has its own order."""

    text: str = ""
    domain: str = ""
    state: str = ""
    has_password: bool | None = None
    order: str = ADDRESS
    descending: bool = False
    after: str = ""
    before: str = ""

    @property
    def is_search(self) -> bool:
        return bool(self.text.strip())

    @property
    def is_everybody(self) -> bool:
        return not (self.is_search or self.domain or self.state) and self.has_password is None

    @property
    def states(self) -> tuple[str, ...]:
        return (self.state,) if self.state else STATES


@dataclass(frozen=True)
class Page:
    """Mailboxes with their accounts, and the marks for the pages before and after; empty where there is none."""

    mailboxes: list[Mailbox]
    before: str = ""
    after: str = ""


def page(service: Service, wanted: WantedUsers, length: int | None = None) -> Page:
    """One page of the service's users: `PAGE` of them, or as many as `length` says."""
    length = length or PAGE
    place = _place(service, wanted.domain)
    if place is None or (wanted.is_search and not search_words.searched(wanted.text)):
        return Page([])
    if not wanted.before:
        entries = _entries(place, wanted, wanted.after, length)
        return _page(wanted, entries[:length], before=bool(wanted.after), after=len(entries) > length)
    entries = _entries(place, wanted, wanted.before, length, backwards=True)
    if len(entries) > length:
        return _page(wanted, entries[length - 1 :: -1], before=True, after=True)
    # The first page, filled as far as possible.
    entries = _entries(place, wanted, "", length)
    return _page(wanted, entries[:length], before=False, after=len(entries) > length)


def count(service: Service, wanted: WantedUsers) -> int:
    """How many these users are, on all pages together; `MOST_COUNTED` + 1 where they are more than that, except of the
    whole service."""
    if wanted.is_everybody:
        return service.mailboxes_made
    place, prefix = _place(service, wanted.domain), search_words.searched(wanted.text)
    if place is None or (wanted.is_search and not prefix):
        return 0
    if wanted.is_search:
        begins = (AccountWord.word >= prefix) & (AccountWord.word < prefix + AFTER_ALL_THAT_BEGIN_SO)
        queries = [_matching(place, wanted, state, prefix).where(begins) for state in wanted.states]
    else:
        queries = [_in(place, wanted, state) for state in wanted.states]
    most = MOST_COUNTED + 1
    return min(most, sum(query.limit(most).count() for query in queries))


def every(service: Service, wanted: WantedUsers) -> Iterator[Mailbox]:
    """All of these users, read piece by piece along the index of their order: however many they are, they do not fill
    the memory."""
    while True:
        piece = page(service, wanted, READ_AT_A_TIME)
        yield from piece.mailboxes
        if not piece.after:
            return
        wanted = replace(wanted, after=piece.after)


def find(service: Service, mailbox_id: int) -> Mailbox | None:
    """The mailbox with this id and its owner's account, if it belongs to the service."""
    return next(iter(with_numbers(service, [mailbox_id])), None)


def with_numbers(service: Service, numbers: list[int]) -> list[Mailbox]:
    """Those of the service's mailboxes that have these numbers, by address, with their owners' accounts."""
    query = Mailbox.select(Mailbox, Account, Domain, Service).join(Account).switch(Mailbox).join(Domain).join(Service)
    return list(query.where(Mailbox.id.in_(numbers), Domain.service == service).order_by(Mailbox.address))


def _place(service: Service, domain: str) -> Service | Domain | None:
    """Where to look: in the whole service, or in one of its domains."""
    if not domain:
        return service
    return Domain.get_or_none(Domain.name == with_ascii_domain(trimmed(domain).lower()), Domain.service == service)


def _entries(
    place: Service | Domain, wanted: WantedUsers, start: str, length: int, backwards: bool = False
) -> list[Entry]:
    """The next entries from `start`, one more than `length` if there are that many."""
    if wanted.is_search:
        prefix = search_words.searched(wanted.text)
        ranges = [_found(place, wanted, state, prefix, start, length, backwards) for state in wanted.states]
        falling = backwards
    else:
        falling = backwards != wanted.descending
        listed = _numbered if wanted.order in NUMBERS else _listed
        ranges = [listed(place, wanted, state, start, length, falling) for state in wanted.states]
    return list(itertools.islice(heapq.merge(*ranges, reverse=falling), length + 1))


def _in(place: Service | Domain, wanted: WantedUsers, state: str):
    """All users in this state, with their place in the order."""
    here = Account.service if isinstance(place, Service) else Account.domain
    query = Account.select(ORDERS[wanted.order], Account.id).where(here == place.id, Account.state == state)
    return query if wanted.has_password is None else query.where(_has_password(wanted))


def _has_password(wanted: WantedUsers):
    return Account.password_hash.is_null(not wanted.has_password)


def _listed(place: Service | Domain, wanted: WantedUsers, state: str, start: str, length: int, falling: bool):
    """The next users in this state, in the order of a column that is different for each."""
    query, column = _in(place, wanted, state), ORDERS[wanted.order]
    if start:
        query = query.where(column < start if falling else column > start)
    return list(query.order_by(column.desc() if falling else column.asc()).limit(length + 1).tuples())


def _numbered(place: Service | Domain, wanted: WantedUsers, state: str, start: str, length: int, falling: bool):
    """The next users in this state, in the order of a number, and of their own numbers where that is the same."""
    query, column = _in(place, wanted, state), ORDERS[wanted.order]
    orders = (column.desc(), Account.id.desc()) if falling else (column.asc(), Account.id.asc())
    mark = _read_mark(start)
    if mark is None or not _is_number(mark[0].removeprefix("-")):
        return query.order_by(*orders).limit(length + 1).tuples().iterator()
    last, last_id = int(mark[0]), mark[1]
    same = query.where(column == last, Account.id < last_id if falling else Account.id > last_id)
    others = query.where(column < last if falling else column > last)
    pieces = (same.order_by(orders[1]), others.order_by(*orders))
    return itertools.chain.from_iterable(piece.limit(length + 1).tuples().iterator() for piece in pieces)


def _matching(place: Service | Domain, wanted: WantedUsers, state: str, prefix: str):
    """The users in this state, each with the words by which the search has not found them before; without the bounds
    of the words, which are the caller's."""
    here = AccountWord.service_id if isinstance(place, Service) else AccountWord.domain_id
    query = AccountWord.select(AccountWord.word, AccountWord.account).where(
        here == place.id, AccountWord.state == state, ~_found_before(prefix)
    )
    return query if wanted.has_password is None else query.join(Account).where(_has_password(wanted))


def _found(
    place: Service | Domain, wanted: WantedUsers, state: str, prefix: str, start: str, length: int, falling: bool
) -> Iterator[Entry]:
    """The next users in this state whom the search finds, each by the word that matched."""
    word, account_id = AccountWord.word, AccountWord.account
    query = _matching(place, wanted, state, prefix)
    mark = _read_mark(start)
    last_word, last_id = mark if mark and mark[0].startswith(prefix) else ("", 0)
    above = word > last_word if last_word and not falling else word >= prefix
    below = word < last_word if last_word and falling else word < prefix + AFTER_ALL_THAT_BEGIN_SO
    orders = (word.desc(), account_id.desc()) if falling else (word.asc(), account_id.asc())
    others = query.where(above, below).order_by(*orders).limit(length + 1)
    if not last_word:
        return others.tuples().iterator()
    # A separate query, which makes each a single range of the index: one word may match many users.
    beyond = account_id < last_id if falling else account_id > last_id
    same = query.where(word == last_word, beyond).order_by(orders[1]).limit(length + 1)
    return itertools.chain(same.tuples().iterator(), others.tuples().iterator())


def _found_before(prefix: str):
    """Whether the search already found this user by an earlier word, and lists the user there."""
    other = AccountWord.alias()
    earlier = other.select(other.word).where(
        other.account == AccountWord.account, other.word >= prefix, other.word < AccountWord.word
    )
    return fn.EXISTS(earlier)


def _page(wanted: WantedUsers, entries: list[Entry], before: bool, after: bool) -> Page:
    marks = [_mark(wanted, entry) for entry in (entries[0], entries[-1])] if entries else ["", ""]
    ids = [account_id for _key, account_id in entries]
    query = Mailbox.select(Mailbox, Account).join(Account).where(Mailbox.account.in_(ids))
    found = {mailbox.account_id: mailbox for mailbox in query}
    mailboxes = [found[account_id] for account_id in ids if account_id in found]
    return Page(mailboxes, marks[0] if before else "", marks[1] if after else "")


def _mark(wanted: WantedUsers, entry: Entry) -> str:
    """The mark in the address of the next page. Many users may share a word or a number, so that such a mark begins
    with the user's id."""
    key, account_id = entry
    return f"{account_id}.{key}" if wanted.is_search or wanted.order in NUMBERS else str(key)


def _read_mark(mark: str) -> tuple[str, int] | None:
    """The word and id of a search's mark; None for an invalid mark."""
    number, point, word = mark.partition(".")
    return (word, int(number)) if point and _is_number(number) else None


def _is_number(text: str) -> bool:
    """Whether this is a number that every database can hold."""
    return len(text) < LONGEST_NUMBER and text.isascii() and text.isdecimal()
