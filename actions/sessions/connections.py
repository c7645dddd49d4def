"""The mail programs that are connected now, and their end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actions.ground.ports import Connection, MailServerUnavailable, Ports
from actions.ground.tokens import new_token
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from models import Account, OutboxItem

# A login that was being verified while the password changed is connected a moment after the first cut.
STRAGGLERS_AFTER = 1
STRAGGLERS = ":stragglers"
# What is ended: what uses the account's password, or that and all its devices.
OWN, ALL = 0, None


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


def end(
    unit: UnitOfWork, account: Account, device_id: int | None = OWN, address: str = "", credential_id: int = 0
) -> None:
    """End an account's connections: those of its own password and the webmails' (0), of one device, or `ALL`; of one
    session of a webmail; and with an address only those from there. The end is put into the outbox with its cause, and
    done at once after the commit."""
    if account.mailbox is None:
        return
    payload = _payload(account, device_id, address, credential_id)
    key = f"connections:{account.id}:{new_token()}"
    outbox.put(unit.ports, outbox.CONNECTIONS, f"{key}{STRAGGLERS}", payload, account, delay=STRAGGLERS_AFTER)
    outbox.put(unit.ports, outbox.CONNECTIONS, key, payload, account, head_start=True)
    unit.after_commit(lambda: outbox.deliver(unit.ports, outbox.find(key), {outbox.CONNECTIONS: cut}))


def end_later(ports: Ports, accounts: Sequence[Account], device_id: int | None = OWN) -> None:
    """The same of many accounts, which is left to the worker."""
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
    """Whether the mail server has yet to cut connections of these accounts, for a cause at or after that moment."""
    waiting = OutboxItem.open_items().where(
        OutboxItem.kind == outbox.CONNECTIONS,
        OutboxItem.account.in_([account.id for account in accounts]),
        OutboxItem.created_at >= since,
    )
    return any(not item.key.endswith(STRAGGLERS) or item.last_error for item in waiting)


def cut(ports: Ports, _item: OutboxItem, payload: dict) -> None:
    """End the connections that an item of the outbox names."""
    ports.mail_server.end_connections(
        payload["login"], payload["device_id"], payload["address"], payload.get("credential_id", 0)
    )
