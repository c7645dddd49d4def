"""Guessing gets slow and then stops.

An attempt is counted before it is judged, so that guesses that arrive at the same moment do not slip through together;
`forgive` takes it back when it turns out to be right. Attempts that are refused here are not counted: a stranger who
keeps hammering does not make anybody wait longer.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from actions.ground.tokens import digest
from database import is_mysql, transactional
from models import Attempts, now

# How IPv4 looks from a network that speaks IPv6 only (RFC 6052).
NAT64 = ip_network("64:ff9b::/96")
# What one party of IPv6 has for itself: a subnet surely, and with some providers as much as a site. Of the latter so
# many times as much is let through.
SUBNET, SITE, WIDER = 64, 48, 4


@dataclass(frozen=True)
class Limit:
    """So many attempts are free; then each waits twice as long as the one before, up to `longest_wait` seconds; after
    `ceiling` attempts none more until `window` seconds have passed since the first."""

    name: str
    free: int
    ceiling: int
    window: int
    longest_wait: int = 60

    def on(self, *subject: object) -> "Counter":
        """The counter of this limit for one subject."""
        return Counter(self, digest("\0".join([self.name, *map(str, subject)])))

    def from_address(self, address: str, *subject: object) -> list["Counter"]:
        """The counters of this limit for one subject and whoever comes from this address: one for the network and, of
        IPv6, another for the wider one around it, which admits more."""
        single = _address(address)
        if not isinstance(single, IPv6Address):
            return [self.on(network_of(address), *subject)]
        wider = replace(self, name=f"{self.name}, wider", free=self.free * WIDER, ceiling=self.ceiling * WIDER)
        return [self.on(_network(single, SUBNET), *subject), wider.on(_network(single, SITE), *subject)]


@dataclass(frozen=True)
class Counter:
    """A limit on one subject: this login from this network, that session."""

    limit: Limit
    key: str

    def wait(self, attempts: Attempts, moment: int) -> int:
        """How many seconds the next attempt has to wait; 0 when it may be made now. A moment that is still to come was
        written by a clock that is ahead of ours, or was wrong, and counts as now."""
        first_at, last_at = min(attempts.first_at, moment), min(attempts.last_at, moment)
        if attempts.count < self.limit.free or moment >= first_at + self.limit.window:
            return 0
        if attempts.count >= self.limit.ceiling:
            return first_at + self.limit.window - moment
        pause = min(2 ** (attempts.count - self.limit.free), self.limit.longest_wait)
        return max(0, last_at + pause - moment)


class TooManyAttempts(Exception):
    """Not now: the next attempt may be made in `wait` seconds."""

    def __init__(self, wait: int):
        super().__init__(f"too many attempts, wait {wait} s")
        self.wait = wait


def attempt(counters: list[Counter]) -> None:
    """Count one attempt on every counter; raises `TooManyAttempts`, and counts none, when one of them says wait."""
    try:
        _attempt(counters)
    except TooManyAttempts:
        return_to_the_present(counters)
        raise


@transactional
def _attempt(counters: list[Counter]) -> None:
    moment = now()
    rows = _locked([each.key for each in counters], moment)
    wait = max(each.wait(rows[each.key], moment) for each in counters)
    if wait:
        raise TooManyAttempts(wait)
    for each in counters:
        _count(each, rows[each.key], moment)


def refuse_waiting(counters: list[Counter]) -> None:
    """Raises `TooManyAttempts` when one of the counters says wait; counts nothing."""
    waits = waiting(counters)
    if waits:
        raise TooManyAttempts(max(waits.values()))


def waiting(counters: list[Counter]) -> dict[Counter, int]:
    """Those of the counters that say wait, and for how many seconds; counts nothing."""
    moment = now()
    rows = {row.key: row for row in Attempts.select().where(Attempts.key.in_([each.key for each in counters]))}
    waits = {each: wait for each in counters if each.key in rows and (wait := each.wait(rows[each.key], moment))}
    if waits:
        return_to_the_present(counters)
    return waits


@transactional
def count(counters: list[Counter]) -> None:
    """Count one attempt that was judged already, whatever the counters say."""
    moment = now()
    rows = _locked([each.key for each in counters], moment)
    for each in counters:
        _count(each, rows[each.key], moment)


def forgive_any(counters: list[Counter]) -> None:
    """Forget the failures on these counters, and write nothing where there are none."""
    if Attempts.select().where(Attempts.key.in_([each.key for each in counters])).exists():
        forgive(counters)


def forgive(counters: list[Counter]) -> None:
    """Forget the failures on these counters: the right answer was given."""
    Attempts.delete().where(Attempts.key.in_([each.key for each in counters])).execute()


def take_back(counters: list[Counter]) -> None:
    """Uncount one attempt that turned out to be right, and leave the failures of others where they stand."""
    Attempts.update(count=Attempts.count - 1).where(
        Attempts.key.in_([each.key for each in counters]), Attempts.count > 0
    ).execute()


@transactional
def settle(counters: list[Counter]) -> None:
    """Who was right takes the attempt back; on the first counter, which is its own, the failures before as well."""
    own, *shared = counters
    forgive([own])
    take_back(shared)


def are_used_up(counters: list[Counter]) -> bool:
    """Whether one of the counters lets nothing through any more until its window is over."""
    moment = now()
    rows = {row.key: row for row in Attempts.select().where(Attempts.key.in_([each.key for each in counters]))}
    counted = [(each.limit, rows[each.key]) for each in counters if each.key in rows]
    return any(row.count >= limit.ceiling and moment < row.first_at + limit.window for limit, row in counted)


def return_to_the_present(counters: list[Counter] | None = None) -> None:
    """Write moments that lie ahead down as now, on these counters or on all: whoever waits shall not wait for them to
    come."""
    moment = now()
    these = Attempts.key.in_([each.key for each in counters]) if counters else Attempts.id.is_null(False)
    if Attempts.select().where(these, (Attempts.first_at > moment) | (Attempts.last_at > moment)).exists():
        for column in (Attempts.first_at, Attempts.last_at):
            Attempts.update({column: moment}).where(these, column > moment).execute()


def _locked(keys: list[str], moment: int) -> dict[str, Attempts]:
    """The rows of these keys, made where there are none, and nobody else's until the transaction ends."""
    fresh = Attempts.insert_many({"key": key, "first_at": moment, "last_at": moment} for key in sorted(keys))
    # On MySQL only a row that was written is held; on SQLite this transaction is the only one that writes.
    (fresh.on_conflict(preserve=[Attempts.key]) if is_mysql() else fresh.on_conflict_ignore()).execute()
    return {row.key: row for row in Attempts.select().where(Attempts.key.in_(keys))}


def _count(counter: Counter, row: Attempts, moment: int) -> None:
    if moment >= row.first_at + counter.limit.window:
        Attempts.update(count=1, first_at=moment, last_at=moment).where(row.itself()).execute()
    else:
        first_at = min(row.first_at, moment)
        Attempts.update(count=Attempts.count + 1, first_at=first_at, last_at=moment).where(row.itself()).execute()


def network_of(address: str) -> str:
    """The network that an address belongs to, as far as somebody stays in it from one day to the next: IPv4 /24,
    IPv6 /56; whatever is no address stands for itself."""
    single = _address(address)
    if single is None:
        return address
    return _network(single, 24 if single.version == 4 else 56)


def _network(single: IPv4Address | IPv6Address, length: int) -> str:
    # By its number: the name of an interface (fe80::1%eth0) is no part of any network.
    return str(ip_network((int(single), length), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text writes, of IPv4 wherever it is one of IPv4: inside of IPv6 (::ffff:192.0.2.1, and how
    NAT64 and 6to4 write it) the whole IPv4 world would be one network."""
    try:
        written = ip_address(text)
    except ValueError:
        return None
    if isinstance(written, IPv4Address):
        return written
    if written in NAT64:
        return IPv4Address(int(written) & 0xFFFFFFFF)
    return written.ipv4_mapped or written.sixtofour or written
