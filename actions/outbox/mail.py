"""E-mails to people: put into the outbox with their cause, written and sent on delivery."""

from email.utils import formatdate

from actions.ground.addresses import with_ascii_domain
from actions.ground.message import Attachment, written
from actions.ground.ports import Letter, Ports
from actions.ground.tokens import digest
from actions.outbox import outbox, return_path
from models import Account, OutboxItem

# How long an e-mail waits for others of its kind, in seconds: what is done at once is told at once. It is also how late
# a warning may come.
GATHERED_FOR = 120
# The e-mail that several become. It has a name of its own so that a worker of the version before, which knows one
# device an e-mail, leaves it to ours.
SEVERAL = {"device_made": "devices_made"}
# So many join one that waits; whatever follows begins another.
MOST_MORE = 19


def put(
    ports: Ports, key: str, letter: str, recipient: str, language: str, facts: dict, account: Account | None
) -> None:
    """Put an e-mail to one recipient into the outbox. `facts` may hold secrets: they are encrypted until it is sent."""
    outbox.put_all([row(ports, key, letter, recipient, language, facts, account)])


def gather(ports: Ports, key: str, letter: str, recipient: str, language: str, facts: dict, account: Account) -> None:
    """`put` an e-mail that waits for `GATHERED_FOR` seconds, or let the one that waits already take these facts too: it
    has them in the list `more`, and tells of several."""
    several = SEVERAL[letter]

    def joined(payload: dict) -> dict | None:
        more = payload["facts"].get("more", [])
        is_of_its_kind = payload["letter"] in (letter, several) and payload["to"] == recipient
        if not is_of_its_kind or len(more) >= MOST_MORE:
            return None
        return payload | {"letter": several, "facts": payload["facts"] | {"more": [*more, facts]}}

    if not outbox.join(ports, "mail", account, joined):
        outbox.put_all([row(ports, key, letter, recipient, language, facts, account, GATHERED_FOR)])


def row(
    ports: Ports,
    key: str,
    letter: str,
    recipient: str,
    language: str,
    facts: dict,
    account: Account | None,
    delay: int = 0,
) -> dict:
    """The row that `put` writes, for `outbox.put_all`."""
    facts = {"timezone": account.timezone if account else "", **facts}
    payload = {"letter": letter, "to": recipient, "language": language, "facts": facts}
    return outbox.row(ports, "mail", f"{key}:{digest(recipient)[:16]}", payload, account, delay)


def redirect(ports: Ports, account: Account, before: str, after: str) -> None:
    """Let an account's e-mails that still wait go to its mailbox's new address, within the caller's transaction."""
    outbox.change(ports, "mail", account, lambda payload: payload | {"to": after} if payload["to"] == before else None)


def addresses_of(account: Account) -> list[str]:
    """The addresses for an account's notices: its mailbox (a manager's login is an address too) and its contact
    address. A collaborator's login is not an address."""
    own = [] if account.is_collaborator else [account.login]
    return list(dict.fromkeys(filter(None, [*own, account.contact_email])))


def name_of(account: Account) -> str:
    """The name by which an e-mail greets a person; empty for one without a name."""
    return f"{account.first_name} {account.last_name}".strip()


def send(ports: Ports, item: OutboxItem, payload: dict) -> None:
    """Write the e-mail in its recipient's language and hand it to the mailer."""
    letter = ports.letters.write(payload["letter"], payload["language"], payload["facts"])
    hand_over(ports, item, letter, payload["to"])


def hand_over(
    ports: Ports, item: OutboxItem, letter: Letter, recipient: str, attachment: Attachment | None = None
) -> None:
    """Send the letter as the message of this item, to an address that every server can take; raises what the mailer
    raises, and `MessageRefused` where it cannot be written safely."""
    sender = return_path.of(ports.settings, item, recipient)
    recipient = with_ascii_domain(recipient)
    ports.mailer.send(_composed(ports, item, letter, recipient, attachment), recipient, sender)


def _composed(ports: Ports, item: OutboxItem, letter: Letter, recipient: str, attachment: Attachment | None) -> bytes:
    address = ports.settings.sender_address
    headers = {
        "From": f"{ports.settings.sender_name} <{address}>",
        "Date": formatdate(item.created_at),
        # An item always has the same Message-ID: a mail program shows an e-mail that was sent twice only once.
        "Message-ID": _message_id(item, address.rpartition("@")[2]),
        "Auto-Submitted": "auto-generated",
    }
    return written(recipient, headers, letter, attachment)


def _message_id(item: OutboxItem, domain: str) -> str:
    return f"<outbox.{item.id}.{item.created_at}@{domain}>"
