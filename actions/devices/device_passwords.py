"""The password of a device: its first eight characters are public and find the row; Dovecot checks it by a verifier.

`mail_views.py` defines its shape: `k7pqx2m9-` and four groups of six, 119 secret bits after the selector. Dovecot's
query recognises the same pattern and never puts any part of another password into SQL. A salted fast hash is enough for
this many bits.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass

import mail_views
from mail_views import ALPHABET, GROUP_LENGTH, GROUPS, SELECTOR_LENGTH, SEPARATOR

SHAPE = re.compile(mail_views.SHAPE)
SALT_LENGTH = 16
SCHEME = "{SSHA256}"


@dataclass(frozen=True)
class DevicePassword:
    """A new password. It is shown once; only its selector and verifier are stored."""

    text: str

    @property
    def selector(self) -> str:
        return self.text[:SELECTOR_LENGTH]

    def verifier(self) -> str:
        """`{SSHA256}` and the base64 of SHA-256 over password and salt, followed by the salt: the format that Dovecot
        reads."""
        salt = os.urandom(SALT_LENGTH)
        digest = hashlib.sha256(self.text.encode() + salt).digest()
        return SCHEME + base64.b64encode(digest + salt).decode()


def new_password() -> DevicePassword:
    """A new random device password."""
    groups = [_random(SELECTOR_LENGTH), *(_random(GROUP_LENGTH) for _ in range(GROUPS))]
    return DevicePassword(SEPARATOR.join(groups))


def has_shape(password: str) -> bool:
    """Whether Dovecot would take this for a device password. If so, it cannot be an account's password."""
    return SHAPE.fullmatch(password) is not None


def is_right(password: str, verifier: str) -> bool:
    """Whether the verifier was made from this password."""
    content = base64.b64decode(verifier.removeprefix(SCHEME))
    digest, salt = content[:-SALT_LENGTH], content[-SALT_LENGTH:]
    given = hashlib.sha256(password.encode("utf-8", "surrogatepass") + salt).digest()
    return hmac.compare_digest(digest, given)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
