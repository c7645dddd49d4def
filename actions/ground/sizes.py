"""Amounts of storage, as people type them and as the pages show them."""

import re
from dataclasses import dataclass

from actions.ground.refusals import N_, Refused

MEGABYTE, GIGABYTE = 1024**2, 1024**3
UNITS = {"MB": MEGABYTE, "GB": GIGABYTE}
# A million gigabytes. Dovecot can handle more, but nobody has that.
LARGEST = 1024**2 * GIGABYTE
AMOUNT = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True)
class Size:
    """A number of bytes, as a message: in gigabytes if it is a whole number of them, otherwise in megabytes, rounded
    down."""

    bytes: int

    @property
    def unit(self) -> str:
        return "GB" if self.bytes and self.bytes % GIGABYTE == 0 else "MB"

    @property
    def amount(self) -> int:
        return self.bytes // UNITS[self.unit]

    @property
    def sentence(self) -> str:
        return {"GB": N_("%(amount)s GB"), "MB": N_("%(amount)s MB")}[self.unit]

    @property
    def facts(self) -> dict:
        return {"amount": self.amount}

    def __str__(self) -> str:
        return self.sentence % self.facts


def parsed(amount: str, unit: str) -> int:
    """A typed quota in bytes; an empty one is 0, which means no limit. Raises `Refused`."""
    amount = amount.strip()
    if not amount:
        return 0
    if not AMOUNT.fullmatch(amount) or unit not in UNITS:
        raise Refused(N_("The quota must be a whole number, such as 500. Leave it empty for no limit."), "quota")
    size = int(amount) * UNITS[unit]
    if size > LARGEST:
        raise Refused(N_("The quota is at most %(largest)s."), "quota", largest=Size(LARGEST))
    return size
