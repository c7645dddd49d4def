"""Hand-offs to Postern, for a webmail written in Python: copy this file into it. Needs PyJWT with cryptography.

    config = Config(url="https://account.example.org", origin="https://webmail.example.org", key_id="…", key="…")
    page = frame(config, next="/devices/", login=user, session=session_id, locale="it_IT", theme="dark", nonce=nonce)

`flask webmail add https://webmail.example.org` prints what stands in the configuration. Send the page that holds the
form with `Referrer-Policy: strict-origin`, or Postern does not learn where the form comes from and refuses it.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from html import escape

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIFETIME = 60
CLOCKS_DIFFER = 5


@dataclass(frozen=True)
class Config:
    """Postern's address, the webmail's own origin, and the key as `flask webmail add` printed it."""

    url: str
    origin: str
    key_id: str
    key: str
    algorithm: str = "EdDSA"


def token(
    config: Config,
    login: str,
    session: str,
    locale: str = "en_GB",
    theme: str = "light",
    signed_in_at: int | None = None,
    lifetime: int = LIFETIME,
) -> str:
    """A signed hand-off for the person signed in as `login`, valid once within a minute.

    `session` is the webmail's session id, of which Postern gets only a hash; `signed_in_at` when it began, in seconds
    since the epoch. Make one for each view, and only from the webmail's own session, never from the data of a request.
    """
    now = int(time.time())
    claims = {
        "iss": config.origin,
        "aud": config.url,
        "sub": login,
        "iat": now,
        "nbf": now - CLOCKS_DIFFER,
        "exp": now + lifetime,
        "jti": secrets.token_urlsafe(16),
        "sid": base64.urlsafe_b64encode(hashlib.sha256(session.encode()).digest()).rstrip(b"=").decode(),
        "locale": locale,
        "theme": theme,
    }
    if signed_in_at is not None:
        claims["auth_time"] = signed_in_at
    headers = {"typ": "postern-handoff+jwt", "kid": config.key_id}
    return jwt.encode(claims, _signing_key(config), algorithm=config.algorithm, headers=headers)


def form(
    config: Config, next: str, target: str, nonce: str = "", look: dict[str, str] | None = None, **whoever: object
) -> str:
    """The form that posts a fresh hand-off to `target`, a frame's name or `_blank`, and opens the page `next` there. It
    sends itself; without scripts it has a button. `nonce` is for the webmail's content security policy, `look` what
    the frame takes over: {"accent": "#3366cc", "size": "14", "font": "Arial, sans-serif", "titled": "yes"}."""
    fields = {"token": token(config, **whoever), "next": next} | (look or {})
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())
    return (
        f'<form id="postern-handoff" method="post" action="{escape(config.url)}/handoff" target="{escape(target)}">'
        f"{hidden}<noscript><button>Continue</button></noscript></form>"
        f'<script nonce="{escape(nonce)}">document.getElementById("postern-handoff").submit();</script>'
    )


def frame(config: Config, next: str, title: str = "Account", nonce: str = "", **whoever: object) -> str:
    """The frame that shows Postern's page `next`, and the form that signs the person in there."""
    # Named, because without a "src" of its own the frame would pass the permission on to the webmail's pages only.
    return (
        f'<iframe name="postern" title="{escape(title)}" allow="clipboard-write {escape(config.url)}"></iframe>'
        f"{form(config, next, 'postern', nonce, **whoever)}"
    )


def _signing_key(config: Config) -> Ed25519PrivateKey | bytes:
    key = base64.b64decode(config.key)
    return Ed25519PrivateKey.from_private_bytes(key[:32]) if config.algorithm == "EdDSA" else key
