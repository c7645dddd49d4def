"""Where an e-mail that cannot be delivered is returned to: an address of its own for each, which says what came back.

The address is that of the settings, with `+` and a token behind its name. The token names an account and a moment, and
is authenticated together with the address that the e-mail went to: whoever never had such an e-mail can say of no
address that e-mails to it come back. It needs no row, and is worth nothing once it is old.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from actions.ground.encryption import derived_key
from models import CLOCKS_DIFFER, Account, OutboxItem, now
from settings import Settings

# Whatever delimits the recipients of this host, so that a token is found in any case.
DELIMITER = "+"
# An e-mail waits here for a week at most, and with the servers that pass it on for five days.
VALID_FOR = 14 * 24 * 3600
# The account's number, a moment, and 120 bits of authentication: 40 signs of base32, whose case does not matter,
# because some servers change it.
_PLACE, _TAG = struct.Struct(">6sI"), 15


@dataclass(frozen=True)
class Token:
    """What a token says: which account an e-mail was for, and when it was written. Nothing of it is true before
    `address_of` finds the address that it went to."""

    account_id: int
    written_at: int
    tag: bytes


def of(settings: Settings, item: OutboxItem, recipient: str) -> str:
    """Where this item's e-mail to this address is returned to; empty, for the sender of all e-mails, if the settings
    name no address for it."""
    account = settings.bounce_address and Account.get_or_none(Account.id == item.account_id)
    if not account:
        return settings.bounce_address
    return with_token(settings, _written(settings, account, item.created_at, recipient))


def with_token(settings: Settings, token: str) -> str:
    """The address for returned e-mails with this token."""
    name, _, domain = settings.bounce_address.rpartition("@")
    return f"{name}{DELIMITER}{token}@{domain}"


def token_in(settings: Settings, address: str) -> Token | None:
    """What the address that something was returned to says; None for an address that has no token, or an old one."""
    name, _, domain = address.casefold().rpartition("@")
    ours, _, its_domain = settings.bounce_address.casefold().rpartition("@")
    written = name.removeprefix(ours + DELIMITER)
    if not ours or written == name or domain != its_domain:
        return None
    try:
        content = base64.b32decode(written.upper())
        number, moment = _PLACE.unpack(content[: _PLACE.size])
    except (binascii.Error, ValueError, struct.error):
        return None
    is_valid = -CLOCKS_DIFFER <= now() - moment <= VALID_FOR
    return Token(int.from_bytes(number), moment, content[_PLACE.size :]) if is_valid else None


def address_of(settings: Settings, token: Token, account: Account, addresses: Iterable[str]) -> str:
    """Which of an account's addresses the e-mail with this token went to; empty for none of them."""
    return next((each for each in addresses if _is_for(settings, token, account, each)), "")


def _is_for(settings: Settings, token: Token, account: Account, address: str) -> bool:
    return hmac.compare_digest(token.tag, _tag(settings, account, token.written_at, address))


def _written(settings: Settings, account: Account, moment: int, recipient: str) -> str:
    place = _PLACE.pack(account.id.to_bytes(6), moment)
    return base64.b32encode(place + _tag(settings, account, moment, recipient)).decode().lower()


def _tag(settings: Settings, account: Account, moment: int, recipient: str) -> bytes:
    """Of this very account: another one that gets its number was made at another time."""
    key = derived_key(settings.secret_key, "bounces")
    return hmac.digest(key, f"{account.id} {account.created_at} {moment} {recipient}".encode(), "sha256")[:_TAG]
