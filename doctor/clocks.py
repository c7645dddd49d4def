"""Whether neighbours have the same time: links, sessions and webmails' tokens are judged by it."""

import time
from email.utils import parsedate_to_datetime

from doctor.findings import Finding, judged, not_known
from models import CLOCKS_DIFFER


def compared(whose: str, moment: float) -> Finding:
    """A clock of somebody who answered just now, in seconds since the epoch."""
    ahead = round(moment - time.time())
    direction = "ahead of" if ahead > 0 else "behind"
    trouble = f"The clock of {whose} is {abs(ahead)} seconds {direction} this machine's."
    mend = "Set both by NTP (chrony or systemd-timesyncd), and look whether it reaches its servers."
    return judged(
        f"clock of {whose}",
        trouble if abs(ahead) > CLOCKS_DIFFER else "",
        mend,
        f"{whose[0].upper()}{whose[1:]} has the same time.",
    )


def compared_by_header(whose: str, date: str | None) -> Finding:
    """By the header Date of an answer (RFC 9110, 6.6.1)."""
    try:
        return compared(whose, parsedate_to_datetime(date or "").timestamp())
    except ValueError:
        return not_known(f"clock of {whose}", "its answers do not tell the time.")
