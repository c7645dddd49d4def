"""The mail programs that are connected now, and how to cut them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actions.ground.ports import Connection, MailServerUnavailable, Ports
from actions.ground.tokens import new_token
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from models import Account, OutboxItem

# A login that was being verified while the password changed connects a moment after the first cut.
STRAGGLERS_AFTER = 1
STRAGGLERS = ":stragglers"
# What to end: connections by the account's password, or these and those by all its devices.
OWN, ALL = 0, None


@dataclass(frozen=True)
class Connected:
    """The mail programs that are connected now, or the fact that the mail server could not say."""

    programs: list[Connection]
    unknown: bool = False

    @property
    def by_own_password(self) -> list[Connection]:
        """Those that use the account's password and not a device's."""
        return [program for program in self.programs if not program.device_id]


def of(ports: Ports, account: Account) -> Connected:
    """The connections that use this account's password or its devices' passwords."""
    if account.mailbox is None:
        return Connected([])
    try:
        return Connected(ports.mail_server.connections(account.session_name))
    except MailServerUnavailable:
        return Connected([], unknown=True)


def end(
    unit: UnitOfWork, account: Account, device_id: int | None = OWN, address: str = "", credential_id: int = 0
) -> None:
    """End an account's connections: those by its password and its webmails (0), those of one device, or `ALL`. A
    credential limits this to one webmail session, an address to connections from there. The order goes into the outbox
    in the caller's transaction and is carried out right after the commit."""
    if account.mailbox is None:
        return
    payload = _payload(account, device_id, address, credential_id)
    key = f"connections:{account.id}:{new_token()}"
    outbox.put(unit.ports, outbox.CONNECTIONS, f"{key}{STRAGGLERS}", payload, account, delay=STRAGGLERS_AFTER)
    outbox.put(unit.ports, outbox.CONNECTIONS, key, payload, account, head_start=True)
    unit.after_commit(lambda: outbox.deliver(unit.ports, outbox.find(key), {outbox.CONNECTIONS: cut}))


def end_later(ports: Ports, accounts: Sequence[Account], device_id: int | None = OWN) -> None:
    """`end` for many accounts, left to the worker."""
    rows = []
    for account in accounts:
        payload = _payload(account, device_id)
        key = f"connections:{account.id}:{new_token()}"
        first = outbox.row(ports, outbox.CONNECTIONS, key, payload, account)
        later = first["next_try_at"] + STRAGGLERS_AFTER
        rows += [first, {**first, "key": f"{key}{STRAGGLERS}", "next_try_at": later}]
    outbox.put_all(rows)


def _payload(account: Account, device_id: int | None = OWN, address: str = "", credential_id: int = 0) -> dict:
    return {
        "login": account.session_name,
        "device_id": device_id,
        "address": address,
        "credential_id": credential_id,
    }


def are_pending(accounts: Iterable[Account], since: int) -> bool:
    """Whether the mail server has yet to cut connections of these accounts, for a cause at or after `since`."""
    waiting = OutboxItem.open_items().where(
        OutboxItem.kind == outbox.CONNECTIONS,
        OutboxItem.account.in_([account.id for account in accounts]),
        OutboxItem.created_at >= since,
    )
    return any(not item.key.endswith(STRAGGLERS) or item.last_error for item in waiting)


def cut(ports: Ports, _item: OutboxItem, payload: dict) -> None:
    """End the connections that an outbox item names."""
    ports.mail_server.end_connections(
        payload["login"], payload["device_id"], payload["address"], payload.get("credential_id", 0)
    )
