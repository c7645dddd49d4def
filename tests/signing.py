"""A webmail as far as its signatures go, and whatever else somebody might sign."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actions.ground.actor import OPERATOR
from actions.ground.ports import Ports
from actions.ground.unit_of_work import UnitOfWork
from actions.webmails import webmails
from actions.webmails.webmail_tokens import HANDOFF, REQUEST
from models import Webmail

ORIGIN = "https://webmail.example.org"


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: dict, claims: dict, sign: Callable[[bytes], bytes]) -> str:
    """A token of whatever header and claims, signed however."""
    content = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{content}.{base64url(sign(content.encode()))}"


def by_hmac(key: bytes) -> Callable[[bytes], bytes]:
    return lambda content: hmac.new(key, content, hashlib.sha256).digest()


class SigningWebmail:
    """A webmail that the operator made known, with the key that was printed."""

    def __init__(
        self,
        ports: Ports,
        origin: str = ORIGIN,
        organisation: str | None = None,
        algorithm: str = Webmail.EDDSA,
    ):
        added = webmails.add(UnitOfWork(ports, OPERATOR), origin, organisation, algorithm)
        self.row, self.key, self.origin = added.webmail, base64.b64decode(added.key), origin
        self._audience = ports.settings.base_url

    @property
    def header(self) -> dict:
        return {"alg": self.row.algorithm, "typ": HANDOFF, "kid": self.row.key_id}

    def sign(self, content: bytes) -> bytes:
        if self.row.algorithm == Webmail.EDDSA:
            return Ed25519PrivateKey.from_private_bytes(self.key[:32]).sign(content)
        return by_hmac(self.key)(content)

    def claims(self, login: str, **changes: object) -> dict:
        """What a hand-off says; a claim that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.origin,
            "aud": self._audience,
            "sub": login,
            "iat": now,
            "nbf": now - 5,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
            "sid": "session-1",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def handoff(self, login: str, **changes: object) -> str:
        return signed(self.header, self.claims(login, **changes), self.sign)

    def bearer(self, content: bytes, method: str | None = None, path: str = "", **changes: object) -> str:
        """The token of a request of its server that brings this content; without a method that of an older plugin,
        which does not say what it is for."""
        changes = {"body": base64url(hashlib.sha256(content).digest())} | changes
        if method:
            changes = {"htm": method, "htu": self._audience + path} | changes
        return signed(self.header | {"typ": REQUEST}, self.claims("", sub=None, **changes), self.sign)
