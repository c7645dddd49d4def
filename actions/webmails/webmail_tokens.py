"""What a webmail signs: hand-offs, which a browser brings, and its server's own requests.

They are JSON Web Tokens (RFC 7519), read as RFC 8725 advises. The key determines the algorithm, not the token. Each
kind has its own type. The key's number is the only part of a token by which a key can be found. Each token counts once.
A request's token also names the request's method and address, with the claims of RFC 9449.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import jwt
from cryptography.fernet import InvalidToken
from peewee import IntegrityError

from actions.ground import throttle
from actions.ground.ports import Ports
from actions.ground.tokens import digest
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.trail import audit
from actions.trail.events import Event
from actions.webmails import webmails
from database import transactional
from models import Account, UsedToken, Webmail, now

HANDOFF, REQUEST = "postern-handoff+jwt", "postern-webmail+jwt"
HEADER = {"alg", "typ", "kid"}
CLAIMS = ["iss", "aud", "iat", "nbf", "exp", "jti"]
LONGEST_TOKEN = 4096
# Seconds: how far the clocks may differ, and the longest lifetime of a token.
LEEWAY, LONGEST_LIFE = 10, 120
# 128 random bits or more in base64url.
NUMBER = re.compile(r"[A-Za-z0-9_-]{22,64}")
# The key numbers that `webmails` makes, with some room.
KEY_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,32}")
# The reason for refusing a token that was used before.
REPLAY = "replay"
# How long this remembers that a webmail's requests do not name their purpose.
UNBOUND_REMEMBERED = 24 * 3600
# For each key: the webmail's own mistakes, and forgeries by people who know the key's number.
REFUSED_FROM_NETWORK = throttle.Limit("refused webmail tokens from network", free=20, ceiling=100, window=900)


@dataclass(frozen=True)
class Purpose:
    """The purpose that a request's token must have: the method, and the path below the base URL. Tokens of older
    webmails name neither. They are still accepted (`may_be_unnamed`) where the body alone distinguishes the purposes
    well enough."""

    method: str
    path: str
    may_be_unnamed: bool = True


class NotAccepted(Exception):
    """A token that is not accepted. The reason is for the audit trail, never for the sender."""

    def __init__(self, reason: str, webmail: Webmail | None = None, account: Account | None = None):
        super().__init__(reason)
        self.reason, self.webmail, self.account = reason, webmail, account


@dataclass(frozen=True)
class Token:
    """What a webmail signed."""

    webmail: Webmail
    claims: dict

    def text(self, claim: str, longest: int = 64) -> str:
        """A claim that is a line of text; raises `NotAccepted` for anything else."""
        value = self.claims.get(claim)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
            raise NotAccepted(claim, self.webmail)
        return value


def read(ports: Ports, text: object, kind: str) -> Token:
    """The token, if a webmail signed it recently, for this server and this purpose; raises `NotAccepted`. Does not use
    it up."""
    webmail = _signer(text, kind)
    try:
        claims = jwt.decode(
            text,
            webmails.verifying_key(ports.settings, webmail),
            algorithms=[webmail.algorithm],
            issuer=webmail.origin,
            audience=ports.settings.base_url,
            leeway=LEEWAY,
            options={"require": CLAIMS, "strict_aud": True},
        )
    except InvalidToken:
        raise NotAccepted("key", webmail) from None
    except jwt.PyJWTError as error:
        raise NotAccepted(_reason(error), webmail) from None
    moments = [claims[name] for name in ("iat", "nbf", "exp")]
    if not all(type(moment) is int for moment in moments) or moments[2] - moments[0] > LONGEST_LIFE:
        raise NotAccepted("lifetime", webmail)
    if not NUMBER.fullmatch(claims["jti"]):
        raise NotAccepted("jti", webmail)
    return Token(webmail, claims)


def use(token: Token) -> None:
    """Use up the token, within the caller's transaction; raises `NotAccepted` when it was used before."""
    try:
        UsedToken.create(key=_number(token), expires_at=token.claims["exp"])
    except IntegrityError:
        raise NotAccepted(REPLAY, token.webmail) from None


def was_used(token: Token) -> bool:
    """Whether the token was used before. Only `use` guarantees that nothing else uses it now."""
    return UsedToken.select().where(UsedToken.key == _number(token)).exists()


def read_request(unit: UnitOfWork, bearer: str, purpose: Purpose, body: bytes) -> tuple[Webmail, dict[str, str]]:
    """A request of a webmail's server: the webmail and the content. Uses up its token. Raises `NotAccepted`, which is
    recorded, or `throttle.TooManyAttempts`."""
    with refusals_noted(unit, Event.WEBMAIL_REQUEST_REFUSED):
        token = read(unit.ports, bearer, REQUEST)
        _refuse_other_purpose(unit.ports, token, purpose)
        if not hmac.compare_digest(token.text("body").encode(), _base64url(hashlib.sha256(body).digest())):
            raise NotAccepted("body", token.webmail)
        transactional(use)(token)
        return token.webmail, _content(token, body)


def names_no_purpose(webmail: Webmail) -> bool:
    """Whether this webmail lately sent requests that do not name their purpose: its plugin is an old one."""
    return UsedToken.select().where(UsedToken.key == _unbound(webmail), UsedToken.expires_at > now()).exists()


def _refuse_other_purpose(ports: Ports, token: Token, purpose: Purpose) -> None:
    named = tuple(token.claims.get(claim) for claim in ("htm", "htu"))
    if named == (None, None) and purpose.may_be_unnamed:
        _remember_unbound(token.webmail)
    elif named != (purpose.method, ports.settings.base_url + purpose.path):
        raise NotAccepted("purpose", token.webmail)


def _remember_unbound(webmail: Webmail) -> None:
    """For the doctor; one write a day."""
    if not names_no_purpose(webmail):
        UsedToken.delete().where(UsedToken.key == _unbound(webmail)).execute()
        with contextlib.suppress(IntegrityError):
            UsedToken.create(key=_unbound(webmail), expires_at=now() + UNBOUND_REMEMBERED)


def _content(token: Token, body: bytes) -> dict[str, str]:
    try:
        content = json.loads(body)
        # JSON accepts half of a surrogate pair; UTF-8 does not.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise NotAccepted("content", token.webmail)
    return content


@contextlib.contextmanager
def refusals_noted(unit: UnitOfWork, event: Event) -> Iterator[None]:
    """Record the refusals inside, and slow down repeated ones: raises `throttle.TooManyAttempts` in place of
    `NotAccepted`, never for an accepted token."""
    try:
        yield
    except NotAccepted as refusal:
        # Anybody can make up a key, so an unknown key leaves no trace and costs no write.
        if refusal.webmail is not None and _is_counted(unit, refusal):
            _note(unit, event, refusal)
        raise


def _is_counted(unit: UnitOfWork, refusal: NotAccepted) -> bool:
    """Count a refusal for its key and network. After too many, this is False for a valid token that is sent again, as a
    double click does, and raises `throttle.TooManyAttempts` for any other."""
    is_replay = refusal.reason == REPLAY
    subject = [refusal.webmail.key_id, throttle.network_of(unit.actor.address)]
    counters = [REFUSED_FROM_NETWORK.on(*subject, *([REPLAY] if is_replay else []))]
    try:
        # Checked first, so that a flood costs no write.
        throttle.refuse_waiting(counters)
        throttle.attempt(counters)
    except throttle.TooManyAttempts:
        if is_replay:
            return False
        raise
    return True


@unit_of_work
def _note(unit: UnitOfWork, event: Event, refusal: NotAccepted) -> None:
    audit.record(unit.actor, event, refusal.account, webmail=refusal.webmail.origin, reason=refusal.reason)


def _signer(text: object, kind: str) -> Webmail:
    """The webmail whose key the token names; nothing in the token is trusted yet."""
    if not isinstance(text, str) or len(text) > LONGEST_TOKEN or not text.isascii():
        raise NotAccepted("shape")
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.PyJWTError, RecursionError):
        raise NotAccepted("shape") from None
    number = header.get("kid")
    known = isinstance(number, str) and KEY_NUMBER.fullmatch(number)
    webmail = Webmail.get_or_none(Webmail.key_id == number) if known else None
    if webmail is None:
        raise NotAccepted("key")
    # Other header fields may name another key (jku, jwk, x5u …).
    if set(header) != HEADER or header["typ"] != kind:
        raise NotAccepted("header", webmail)
    return webmail


def _unbound(webmail: Webmail) -> str:
    # No token has a number as short as this.
    return digest(f"{webmail.key_id}:unbound")


def _number(token: Token) -> str:
    return digest(f"{token.webmail.key_id}:{token.claims['jti']}")


def _reason(error: jwt.PyJWTError) -> str:
    known = {
        jwt.InvalidSignatureError: "signature",
        jwt.InvalidAlgorithmError: "algorithm",
        jwt.ExpiredSignatureError: "expired",
        jwt.ImmatureSignatureError: "future",
        jwt.InvalidAudienceError: "audience",
        jwt.InvalidIssuerError: "issuer",
    }
    return known.get(type(error), "claims")


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
