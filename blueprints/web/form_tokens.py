"""The token that says that a form is ours: a secret of the browser's session, which stands in no answer as it is.

In each answer it is covered by random bytes of that answer, and both are signed with the time. So no two answers have
any of it in common, and the size of a compressed page tells nothing about it (BREACH).
"""

import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from flask import Flask, current_app, g, request, session
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.exceptions import BadRequest

from actions.ground.encryption import derived_key
from settings import Settings

FIELD = "csrf_token"
UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))
# Bytes of a token, in this order: seconds since the epoch, the cover, the covered secret, the signature.
TIME, SECRET, SIGNATURE = 5, 20, 16


class StaleForm(BadRequest):
    """A form whose token is not, or no longer, this browser's."""


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions[FIELD] = derived_key(settings.secret_key, "form tokens")
    app.config.setdefault("FORM_TOKENS", True)
    app.jinja_env.globals[FIELD] = token


def needs_none(view):
    """A view that takes what no form of ours sends, and asks for another proof, or changes nothing."""
    view.needs_no_token = True
    return view


def refuse_others() -> None:
    """Raises `StaleForm` for a form without this browser's token."""
    if request.method not in UNSAFE or request.endpoint is None or not current_app.config["FORM_TOKENS"]:
        return
    if getattr(current_app.view_functions[request.endpoint], "needs_no_token", False):
        return
    if not _is_ours(request.form.get(FIELD, "")):
        raise StaleForm


def token() -> str:
    """The token for the forms of this answer."""
    here = g._get_current_object()
    if FIELD not in here:
        here.csrf_token = _covered(_secret(), secrets.token_bytes(SECRET), int(time.time()))
    return here.csrf_token


def is_recent(given: str, seconds: int) -> bool:
    """Whether a token was made by this panel, for whatever browser, not longer ago than this."""
    made = _opened(given)
    if made is not None:
        return time.time() - made[0] <= seconds
    return _of_version_before().loads_unsafe(given, max_age=seconds)[0]


def _secret() -> bytes:
    """The session's own, made when it is first asked for. It is kept as hexadecimal digits."""
    try:
        kept = bytes.fromhex(session.get(FIELD, ""))
    except (TypeError, ValueError):
        kept = b""
    if len(kept) != SECRET:
        kept = secrets.token_bytes(SECRET)
        session[FIELD] = kept.hex()
    return kept


def _covered(secret: bytes, cover: bytes, moment: int) -> str:
    said = moment.to_bytes(TIME, "big") + cover + _xor(secret, cover)
    return urlsafe_b64encode(said + _signature(said)).rstrip(b"=").decode()


def _opened(given: str) -> tuple[int, bytes] | None:
    """When a token was made, and the secret in it; None for what is none of ours."""
    try:
        sealed = urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except (ValueError, NotBase64):
        return None
    said, signature = sealed[:-SIGNATURE], sealed[-SIGNATURE:]
    if len(said) != TIME + 2 * SECRET or not hmac.compare_digest(_signature(said), signature):
        return None
    cover, covered = said[TIME : TIME + SECRET], said[TIME + SECRET :]
    return int.from_bytes(said[:TIME], "big"), _xor(covered, cover)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(SECRET, "big")


def _signature(said: bytes) -> bytes:
    return hmac.digest(current_app.extensions[FIELD], said, "sha256")[:SIGNATURE]


def _is_ours(given: str) -> bool:
    kept = session.get(FIELD)
    if not isinstance(kept, str) or not kept:
        return False
    made = _opened(given)
    said = made[1].hex() if made else _said_by_version_before(given)
    return hmac.compare_digest(kept.encode(), said.encode())


def _said_by_version_before(given: str) -> str:
    """The secret in a form that a page of the version before holds, which stays open while the panel is upgraded; empty
    for anything else."""
    try:
        said = _of_version_before().loads(given)
    except BadData:
        return ""
    return said if isinstance(said, str) else ""


def _of_version_before() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key, salt="wtf-csrf-token")
