"""Guessing becomes slow and then stops.

An attempt is counted before it is judged: simultaneous guesses cannot slip through together. `forgive` removes the
count when the attempt was right. Attempts that are refused here are not counted: a stranger who keeps trying does not
make anybody wait longer.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from actions.ground.tokens import digest
from database import is_mysql, transactional
from models import Attempts, now

# IPv4 addresses as an IPv6-only network writes them (RFC 6052).
NAT64 = ip_network("64:ff9b::/96")
# What one user of IPv6 has: certainly a subnet, and with some providers an entire site. A site gets `WIDER` times the
# limit.
SUBNET, SITE, WIDER = 64, 48, 4


@dataclass(frozen=True)
class Limit:
    """The first `free` attempts are free; then each waits twice as long as the one before, up to `longest_wait`
    seconds. After `ceiling` attempts there are no more until `window` seconds have passed since the first."""

    name: str
    free: int
    ceiling: int
    window: int
    longest_wait: int = 60

    def on(self, *subject: object) -> "Counter":
        """This limit's counter for one subject."""
        return Counter(self, digest("\0".join([self.name, *map(str, subject)])))

    def from_address(self, address: str, *subject: object) -> list["Counter"]:
        """This limit's counters for one subject and this address: one for the network and, with IPv6, another for the
        wider network around it, which admits more."""
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
        """How many seconds the next attempt must wait; 0 when it may be made now. A moment in the future was written by
        a clock that is ahead of ours or was wrong, and counts as now."""
        first_at, last_at = min(attempts.first_at, moment), min(attempts.last_at, moment)
        if attempts.count < self.limit.free or moment >= first_at + self.limit.window:
            return 0
        if attempts.count >= self.limit.ceiling:
            return first_at + self.limit.window - moment
        pause = min(2 ** (attempts.count - self.limit.free), self.limit.longest_wait)
        return max(0, last_at + pause - moment)


class TooManyAttempts(Exception):
    """Too early: the next attempt may be made in `wait` seconds."""

    def __init__(self, wait: int):
        super().__init__(f"too many attempts, wait {wait} s")
        self.wait = wait


def attempt(counters: list[Counter]) -> None:
    """Count one attempt on every counter; if any counter requires a wait, raises `TooManyAttempts` and counts
    nothing."""
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
    """Raises `TooManyAttempts` when any counter requires a wait; counts nothing."""
    waits = waiting(counters)
    if waits:
        raise TooManyAttempts(max(waits.values()))


def waiting(counters: list[Counter]) -> dict[Counter, int]:
    """The counters that require a wait, and for how many seconds; counts nothing."""
    moment = now()
    rows = {row.key: row for row in Attempts.select().where(Attempts.key.in_([each.key for each in counters]))}
    waits = {each: wait for each in counters if each.key in rows and (wait := each.wait(rows[each.key], moment))}
    if waits:
        return_to_the_present(counters)
    return waits


@transactional
def count(counters: list[Counter]) -> None:
    """Count one attempt that was already judged, whatever the counters allow."""
    moment = now()
    rows = _locked([each.key for each in counters], moment)
    for each in counters:
        _count(each, rows[each.key], moment)


def forgive_any(counters: list[Counter]) -> None:
    """Forget the failures on these counters, without writing if there are none."""
    if Attempts.select().where(Attempts.key.in_([each.key for each in counters])).exists():
        forgive(counters)


def forgive(counters: list[Counter]) -> None:
    """Forget the failures on these counters: the answer was right."""
    Attempts.delete().where(Attempts.key.in_([each.key for each in counters])).execute()


def take_back(counters: list[Counter]) -> None:
    """Subtract one attempt that was right, and leave the failures of others in place."""
    Attempts.update(count=Attempts.count - 1).where(
        Attempts.key.in_([each.key for each in counters]), Attempts.count > 0
    ).execute()


@transactional
def settle(counters: list[Counter]) -> None:
    """After a right answer, subtract the attempt; on the first counter, which is the person's own, forget the earlier
    failures too."""
    own, *shared = counters
    forgive([own])
    take_back(shared)


def are_used_up(counters: list[Counter]) -> bool:
    """Whether any counter allows no more attempts until its window has passed."""
    moment = now()
    rows = {row.key: row for row in Attempts.select().where(Attempts.key.in_([each.key for each in counters]))}
    counted = [(each.limit, rows[each.key]) for each in counters if each.key in rows]
    return any(row.count >= limit.ceiling and moment < row.first_at + limit.window for limit, row in counted)


def return_to_the_present(counters: list[Counter] | None = None) -> None:
    """Replace moments that lie in the future with the present, on these counters or on all: otherwise people would have
    to wait for them."""
    moment = now()
    these = Attempts.key.in_([each.key for each in counters]) if counters else Attempts.id.is_null(False)
    if Attempts.select().where(these, (Attempts.first_at > moment) | (Attempts.last_at > moment)).exists():
        for column in (Attempts.first_at, Attempts.last_at):
            Attempts.update({column: moment}).where(these, column > moment).execute()


def _locked(keys: list[str], moment: int) -> dict[str, Attempts]:
    """The rows for these keys, created if missing, and held until the transaction ends."""
    fresh = Attempts.insert_many({"key": key, "first_at": moment, "last_at": moment} for key in sorted(keys))
    # MySQL holds only a row that was written; on SQLite this transaction is the only one that writes.
    (fresh.on_conflict(preserve=[Attempts.key]) if is_mysql() else fresh.on_conflict_ignore()).execute()
    return {row.key: row for row in Attempts.select().where(Attempts.key.in_(keys))}


def _count(counter: Counter, row: Attempts, moment: int) -> None:
    if moment >= row.first_at + counter.limit.window:
        Attempts.update(count=1, first_at=moment, last_at=moment).where(row.itself()).execute()
    else:
        first_at = min(row.first_at, moment)
        Attempts.update(count=Attempts.count + 1, first_at=first_at, last_at=moment).where(row.itself()).execute()


def network_of(address: str) -> str:
    """The network in which a person at this address is likely to stay from one day to the next: /24 for IPv4, /56 for
    IPv6. Text that is not an address stands for itself."""
    single = _address(address)
    if single is None:
        return address
    return _network(single, 24 if single.version == 4 else 56)


def _network(single: IPv4Address | IPv6Address, length: int) -> str:
    # Use the number: an interface name (fe80::1%eth0) is not part of any network.
    return str(ip_network((int(single), length), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a text, as IPv4 wherever it stands for one. As IPv6 (::ffff:192.0.2.1, NAT64, 6to4), all of IPv4
    would be one network. None when the text is not an address."""
    try:
        written = ip_address(text)
    except ValueError:
        return None
    if isinstance(written, IPv4Address):
        return written
    if written in NAT64:
        return IPv4Address(int(written) & 0xFFFFFFFF)
    return written.ipv4_mapped or written.sixtofour or written
