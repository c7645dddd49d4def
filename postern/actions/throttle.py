"""Guessing gets slow and then stops.

An attempt is counted before it is judged, so that guesses that arrive at the same moment do not slip through together;
`forgive` takes it back when it turns out to be right. Attempts that are refused here are not counted: a stranger who
keeps hammering does not make anybody wait longer.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from postern.actions.tokens import digest
from postern.models import Attempts, is_mysql, now, transactional


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


@dataclass(frozen=True)
class Counter:
    """A limit on one subject: this login from this network, that session."""

    limit: Limit
    key: str

    def wait(self, attempts: Attempts, moment: int) -> int:
        """How many seconds the next attempt has to wait; 0 when it may be made now."""
        if moment >= attempts.first_at + self.limit.window:
            return 0
        if attempts.count >= self.limit.ceiling:
            return attempts.first_at + self.limit.window - moment
        over = attempts.count - self.limit.free
        pause = min(2**over, self.limit.longest_wait) if over >= 0 else 0
        return max(0, attempts.last_at + pause - moment)


class TooManyAttempts(Exception):
    """Not now: the next attempt may be made in `wait` seconds."""

    def __init__(self, wait: int):
        super().__init__(f"too many attempts, wait {wait} s")
        self.wait = wait


@transactional
def attempt(counters: list[Counter]) -> None:
    """Count one attempt on every counter; raises `TooManyAttempts`, and counts none, when one of them says wait."""
    moment = now()
    rows = _locked([each.key for each in counters], moment)
    wait = max(each.wait(rows[each.key], moment) for each in counters)
    if wait:
        raise TooManyAttempts(wait)
    for each in counters:
        _count(each, rows[each.key], moment)


def refuse_waiting(counters: list[Counter]) -> None:
    """Raises `TooManyAttempts` when one of the counters says wait; counts nothing."""
    moment = now()
    rows = {row.key: row for row in Attempts.select().where(Attempts.key.in_([each.key for each in counters]))}
    wait = max((each.wait(rows[each.key], moment) for each in counters if each.key in rows), default=0)
    if wait:
        raise TooManyAttempts(wait)


def forgive(counters: list[Counter]) -> None:
    """Forget the failures on these counters: the right answer was given."""
    Attempts.delete().where(Attempts.key.in_([each.key for each in counters])).execute()


def take_back(counters: list[Counter]) -> None:
    """Uncount one attempt that turned out to be right, and leave the failures of others where they stand."""
    Attempts.update(count=Attempts.count - 1).where(
        Attempts.key.in_([each.key for each in counters]), Attempts.count > 0
    ).execute()


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
        Attempts.update(count=Attempts.count + 1, last_at=moment).where(row.itself()).execute()


def network_of(address: str) -> str:
    """The network that an address belongs to, as far as one party usually holds it: IPv4 /24, IPv6 /56."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    # A listener for both kinds sees IPv4 inside IPv6 (::ffff:192.0.2.1): the whole IPv4 world would be one network.
    single = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network(f"{single}/{24 if single.version == 4 else 56}", strict=False))
