"""The webmails that sign their users in here: the operator makes and revokes their keys."""

import base64
import os
import re
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actions.ground.encryption import seal, unseal
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.sessions import connections
from actions.trail import audit
from actions.trail.events import Event
from models import Organisation, Webmail, WebmailCredential
from settings import ORIGIN, Settings, is_loopback_host

SEALED_FOR = "webmail keys"
KEY_LENGTH = 32
USUAL_PORT = re.compile(r"(?<=https)(://.*):443$|(?<=http)(://.*):80$")


@dataclass(frozen=True)
class Added:
    """A new webmail, and the key with which it signs (in base64), which cannot be obtained again. For EdDSA, this is
    libsodium's secret key: seed and public key."""

    webmail: Webmail
    key: str


@unit_of_work
def add(unit: UnitOfWork, origin: str, organisation: str | None, algorithm: str) -> Added:
    """Register a webmail by its origin. With an organisation, it may speak only for the mailboxes of that organisation.
    Raises `Refused`."""
    origin = _checked(origin)
    if Webmail.by_origin(origin):
        raise Refused(N_("%(origin)s is already registered. To give it another key, remove it first."), origin=origin)
    owner = Organisation.get_or_none(Organisation.name == organisation) if organisation else None
    if organisation and owner is None:
        raise Refused(N_("There is no organisation “%(name)s”."), name=organisation)
    kept, handed_out = _new_keys(unit.ports.settings, algorithm)
    webmail = Webmail.create(
        origin=origin, key_id=secrets.token_urlsafe(12), algorithm=algorithm, key=kept, organisation=owner
    )
    audit.record(unit.actor, Event.OPERATOR_WEBMAIL_ADDED, origin=origin)
    return Added(webmail, handed_out)


@unit_of_work
def remove(unit: UnitOfWork, origin: str) -> None:
    """Remove a webmail: its key, the sessions that it began here, and the credentials of its own sessions. Raises
    `Refused`."""
    webmail = Webmail.by_origin(origin)
    if webmail is None:
        raise Refused(N_("There is no webmail %(origin)s."), origin=origin)
    for credential in webmail.credentials:
        if credential.is_alive:
            connections.end(unit, credential.account, credential_id=credential.id)
    audit.record(unit.actor, Event.OPERATOR_WEBMAIL_REMOVED, origin=origin)
    WebmailCredential.delete().where(WebmailCredential.webmail == webmail).execute()
    Webmail.delete().where(webmail.itself()).execute()


def every():
    """The registered webmails, by origin."""
    return Webmail.select().order_by(Webmail.origin)


def verifying_key(settings: Settings, webmail: Webmail) -> Ed25519PublicKey | bytes:
    """The key that verifies the webmail's tokens; raises `cryptography.fernet.InvalidToken` for a key that was
    encrypted under another secret key."""
    if webmail.algorithm == Webmail.EDDSA:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(webmail.key))
    return base64.b64decode(unseal(settings.secret_key, SEALED_FOR, webmail.key)["key"])


def _new_keys(settings: Settings, algorithm: str) -> tuple[str, str]:
    """A new key's part to store, and the part to hand out."""
    seed = os.urandom(KEY_LENGTH)
    if algorithm == Webmail.HS256:
        shared = base64.b64encode(seed).decode()
        return seal(settings.secret_key, SEALED_FOR, {"key": shared}), shared
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(public).decode(), base64.b64encode(seed + public).decode()


def _checked(typed: str) -> str:
    """The origin as browsers send it."""
    origin = USUAL_PORT.sub(lambda found: found[1] or found[2], typed.strip().lower().rstrip("/"))
    host = re.sub(r":\d+$", "", origin.partition("://")[2]).strip("[]")
    if not ORIGIN.fullmatch(origin) or not (origin.startswith("https:") or is_loopback_host(host)):
        raise Refused(
            N_("Enter the webmail's origin, such as https://webmail.example.org: https and the host, no path.")
        )
    return origin
