"""What a webmail signs: hand-offs, which a browser brings, and its server's own requests.

They are JSON Web Tokens (RFC 7519), read as RFC 8725 advises: the algorithm is the key's and no matter for the token,
each kind has a type of its own, a token names nothing that a key could be found by but the key's own number, and each
counts once. A request's token names the request's method and address as well, in RFC 9449's words.
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
# Seconds: how far the clocks may differ, and how long a token may be good for.
LEEWAY, LONGEST_LIFE = 10, 120
# 128 random bits or more in base64url.
NUMBER = re.compile(r"[A-Za-z0-9_-]{22,64}")
# What `webmails` makes for a key's number, with room.
KEY_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,32}")
# One that was used before.
REPLAY = "replay"
# How long it is remembered that a webmail's requests do not say what they are for.
UNBOUND_REMEMBERED = 24 * 3600
# Of one key: somebody's own mistakes and forgeries, which need its number.
REFUSED_FROM_NETWORK = throttle.Limit("refused webmail tokens from network", free=20, ceiling=100, window=900)


@dataclass(frozen=True)
class Purpose:
    """What a request's token has to be for: the method, and the path below the base URL. Webmails from before these
    stood in tokens go on (`may_be_unnamed`) where the token's body alone keeps the purposes apart well enough."""

    method: str
    path: str
    may_be_unnamed: bool = True


class NotAccepted(Exception):
    """A token that does not count. The reason is for the audit trail, and for nobody who brought it."""

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
    """The token, when a webmail signed it, for us and for this purpose and just now; raises `NotAccepted`. It is not
    used up."""
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
    """Use the token up, within the caller's transaction; raises `NotAccepted` when it was used before."""
    try:
        UsedToken.create(key=_number(token), expires_at=token.claims["exp"])
    except IntegrityError:
        raise NotAccepted(REPLAY, token.webmail) from None


def was_used(token: Token) -> bool:
    """Whether the token was used before; only `use` makes sure that it is not used now."""
    return UsedToken.select().where(UsedToken.key == _number(token)).exists()


def read_request(unit: UnitOfWork, bearer: str, purpose: Purpose, body: bytes) -> tuple[Webmail, dict[str, str]]:
    """A request of a webmail's server: who asks, and what; its token is used up. Raises `NotAccepted`, which is noted,
    or `throttle.TooManyAttempts`."""
    with refusals_noted(unit, Event.WEBMAIL_REQUEST_REFUSED):
        token = read(unit.ports, bearer, REQUEST)
        _refuse_other_purpose(unit.ports, token, purpose)
        if not hmac.compare_digest(token.text("body").encode(), _base64url(hashlib.sha256(body).digest())):
            raise NotAccepted("body", token.webmail)
        transactional(use)(token)
        return token.webmail, _content(token, body)


def names_no_purpose(webmail: Webmail) -> bool:
    """Whether requests of this webmail came lately that did not say what they are for: its plugin is an old one."""
    return UsedToken.select().where(UsedToken.key == _unbound(webmail), UsedToken.expires_at > now()).exists()


def _refuse_other_purpose(ports: Ports, token: Token, purpose: Purpose) -> None:
    named = tuple(token.claims.get(claim) for claim in ("htm", "htu"))
    if named == (None, None) and purpose.may_be_unnamed:
        _remember_unbound(token.webmail)
    elif named != (purpose.method, ports.settings.base_url + purpose.path):
        raise NotAccepted("purpose", token.webmail)


def _remember_unbound(webmail: Webmail) -> None:
    """For the doctor; one write in a day."""
    if not names_no_purpose(webmail):
        UsedToken.delete().where(UsedToken.key == _unbound(webmail)).execute()
        with contextlib.suppress(IntegrityError):
            UsedToken.create(key=_unbound(webmail), expires_at=now() + UNBOUND_REMEMBERED)


def _content(token: Token, body: bytes) -> dict[str, str]:
    try:
        content = json.loads(body)
        # Half a character passes JSON, and nothing else.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise NotAccepted("content", token.webmail)
    return content


@contextlib.contextmanager
def refusals_noted(unit: UnitOfWork, event: Event) -> Iterator[None]:
    """Write down what is not accepted inside, and slow down whoever keeps bringing it: raises
    `throttle.TooManyAttempts` in place of `NotAccepted`, and never for what is accepted."""
    try:
        yield
    except NotAccepted as refusal:
        # Anybody can make up a key: that leaves no trace and costs no write.
        if refusal.webmail is not None and _is_counted(unit, refusal):
            _note(unit, event, refusal)
        raise


def _is_counted(unit: UnitOfWork, refusal: NotAccepted) -> bool:
    """Count a refusal on the key and the network that it comes from. Where there were many: False for a good token that
    is brought again, as two clicks do, and `throttle.TooManyAttempts` for any other."""
    is_replay = refusal.reason == REPLAY
    subject = [refusal.webmail.key_id, throttle.network_of(unit.actor.address)]
    counters = [REFUSED_FROM_NETWORK.on(*subject, *([REPLAY] if is_replay else []))]
    try:
        # Asked first, so that a flood costs no write.
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
    """Whose key the token names; nothing of it is believed yet."""
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
    # Whatever else a header says may name another key (jku, jwk, x5u …).
    if set(header) != HEADER or header["typ"] != kind:
        raise NotAccepted("header", webmail)
    return webmail


def _unbound(webmail: Webmail) -> str:
    # No token has so short a number.
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
