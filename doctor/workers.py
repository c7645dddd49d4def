"""Whether the worker works, and what it has left undone."""

from collections.abc import Iterator

from actions.ground.ports import Ports
from actions.upkeep import installation
from doctor.findings import Finding, judged
from models import OutboxItem, now

STUCK_AFTER = 600


def alive(_ports: Ports) -> Iterator[Finding]:
    last = installation.last_sign()
    silent = now() - last.seen_at if last else 0
    trouble = ""
    if last is None:
        trouble = "No worker has ever shown itself: e-mails are not sent, and connections may not be ended."
    elif silent > installation.STANDS_STILL_AFTER:
        trouble = (
            f"The worker stands still: the last sign of life came {silent // 60} minutes ago, from {last.node}. E-mails"
            " are not sent, and connections may not be ended."
        )
    mend = "Start it, or restart it (systemctl restart postern; it is “flask worker”), and read its log."
    yield judged("worker", trouble, mend, "The worker works.")


def outbox(_ports: Ports) -> Iterator[Finding]:
    late = OutboxItem.open_items().where(OutboxItem.created_at < now() - STUCK_AFTER)
    oldest = late.order_by(OutboxItem.created_at).first()
    trouble, mend = "", ""
    if oldest:
        trouble = f"{late.count()} item(s) have been waiting for more than ten minutes."
        if oldest.last_error:
            mend = f"The oldest failed because of this, which is to be mended: {oldest.last_error}"
        else:
            mend = "No attempt was made: is “flask worker” running?"
    yield judged("outbox", trouble, mend, "Nothing has been waiting for long.")
