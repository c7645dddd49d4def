"""The mail programs that are connected now, and their end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from actions.ground.ports import Connection, MailServerUnavailable, Ports
from actions.ground.tokens import new_token
from actions.outbox import outbox
from models import Account, OutboxItem

# A login that was being verified while the password changed is connected a moment after the first cut.
STRAGGLERS_AFTER = 1
STRAGGLERS = ":stragglers"
# Seconds after which no further cut is begun while somebody waits for the answer.
LONGEST_WAIT = 2
ALL = None


@dataclass(frozen=True)
class Connected:
    """The mail programs connected now, or that the mail server could not tell."""

    programs: list[Connection]
    unknown: bool = False

    @property
    def by_own_password(self) -> list[Connection]:
        """Those that use the account's own password, and not a device's."""
        return [program for program in self.programs if not program.device_id]


def of(ports: Ports, account: Account) -> Connected:
    """What is connected by this account's password and those of its devices."""
    if account.mailbox is None:
        return Connected([])
    try:
        return Connected(ports.mail_server.connections(account.session_name))
    except MailServerUnavailable:
        return Connected([], unknown=True)


def put_end(
    ports: Ports, account: Account, device_id: int | None = 0, address: str = "", credential_id: int = 0
) -> OutboxItem | None:
    """Put the end of an account's connections into the outbox, in the caller's transaction: those of its own password
    and the webmails' (0), of one device, or `ALL`; of one session of a webmail; and with an address only those from
    there. The caller delivers the item after the commit."""
    if account.mailbox is None:
        return None
    payload = _payload(account, device_id, address, credential_id)
    key = f"connections:{account.id}:{new_token()}"
    outbox.put(ports, "connections", f"{key}{STRAGGLERS}", payload, account, delay=STRAGGLERS_AFTER)
    outbox.put(ports, "connections", key, payload, account, head_start=True)
    return outbox.find(key)


def put_ends(ports: Ports, accounts: Sequence[Account]) -> None:
    """Put the end of what uses these accounts' own passwords into the outbox, in the caller's transaction: the worker's
    to deliver."""
    rows = []
    for account in accounts:
        payload = _payload(account)
        key = f"connections:{account.id}:{new_token()}"
        first = outbox.row(ports, "connections", key, payload, account)
        later = first["next_try_at"] + STRAGGLERS_AFTER
        rows += [first, {**first, "key": f"{key}{STRAGGLERS}", "next_try_at": later}]
    outbox.put_all(rows)


def _payload(account: Account, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> dict:
    return {
        "login": account.session_name,
        "device_id": device_id,
        "address": address,
        "credential_id": credential_id,
    }


def end_now(ports: Ports, item: OutboxItem | None) -> bool:
    """Cut at once; False when the mail server did not answer and the outbox will go on trying."""
    return item is None or outbox.deliver(ports, item)


def all_ended(ports: Ports, items: list[OutboxItem | None]) -> bool:
    """Cut them all at once; False when the outbox will go on trying for some. Somebody is waiting: of a mail server
    that is silent once, or slow, the outbox goes on with the rest."""
    until = monotonic() + LONGEST_WAIT
    return all(monotonic() < until and end_now(ports, item) for item in items)


def are_pending(accounts: Iterable[Account], since: int) -> bool:
    """Whether the mail server has yet to cut connections of these accounts, for a cause at or after that moment."""
    waiting = OutboxItem.open_items().where(
        OutboxItem.kind == "connections",
        OutboxItem.account.in_([account.id for account in accounts]),
        OutboxItem.created_at >= since,
    )
    return any(not item.key.endswith(STRAGGLERS) or item.last_error for item in waiting)


@outbox.handles("connections")
def _end(ports: Ports, item: OutboxItem, payload: dict) -> None:
    ports.mail_server.end_connections(
        payload["login"], payload["device_id"], payload["address"], payload.get("credential_id", 0)
    )
