"""Whether a mail program may try a password: Dovecot asks before it verifies one, once more when it was right, and
tells how it went.

Failures count where those of the panel count, so that no protocol is the weaker way in. Nothing is written for whoever
comes in as always. A right password amid guesses is refused too: of many that are tried at the same moment none slips
through. Dovecot goes on by itself when nobody answers; that it asked at all is noted, for the doctor.
"""

import time
from dataclasses import dataclass

from actions.ground import throttle
from actions.ground.encryption import derived_key
from actions.ground.tokens import digest
from actions.passwords import guesses
from actions.passwords.sign_in import canonical_login
from database import insert_all
from models import Account, Attempts, LastLogin, now
from settings import Settings

# What has the shape of a device password is compared with those of devices only, and cannot be guessed.
DEVICE_SHAPED = "device"
# Seconds; that it was asked is written down this often at most, by each process.
NOTED_EVERY = 60
ASKED = digest("mail policy asked")
PATH = "/dovecot/policy"


@dataclass(frozen=True)
class Attempt:
    """What Dovecot tells of an attempt to sign in; of what was typed no more than its shape."""

    login: str
    address: str
    shape: str


def address(settings: Settings) -> str:
    """Where Dovecot asks."""
    return f"{settings.dovecot_policy_url}{PATH}"


def authorization(settings: Settings) -> str:
    """What it says there to be answered."""
    return f"Bearer {derived_key(settings.secret_key, 'dovecot policy').decode()}"


def nonce(settings: Settings) -> str:
    """What Dovecot mixes into hashes of passwords, which it does not send."""
    return derived_key(settings.secret_key, "dovecot policy nonce").decode()


def admits(settings: Settings, attempt: Attempt) -> bool:
    """Whether the password may be verified now or, when it was right, may count."""
    if attempt.shape == DEVICE_SHAPED:
        return True
    login = canonical_login(attempt.login)
    known = guesses.from_known_network(login, attempt.address)
    waiting = throttle.waiting([*known, *guesses.of_strangers_by_mail(settings, login, attempt.address)])
    if not waiting or not waiting.keys().isdisjoint(known):
        return not waiting
    return guesses.is_known_network(settings, Account.by_login(login), attempt.address)


def note_failure(settings: Settings, attempt: Attempt) -> None:
    """Count a wrong password."""
    if attempt.shape != DEVICE_SHAPED:
        login = canonical_login(attempt.login)
        throttle.count(guesses.by_mail(settings, login, Account.by_login(login), attempt.address))


def note_success(attempt: Attempt) -> None:
    """Forget the failures of whoever was right in the end; writes nothing where there are none."""
    if attempt.shape != DEVICE_SHAPED:
        throttle.forgive_any(guesses.from_known_network(canonical_login(attempt.login), attempt.address))


class Questions:
    """Notes that Dovecot asks: once a minute, because nothing else is written for who comes in as always."""

    def __init__(self):
        self._noted_at: float | None = None

    def note(self) -> None:
        moment = time.monotonic()
        if self._noted_at is None or moment >= self._noted_at + NOTED_EVERY:
            self._noted_at = moment
            if not Attempts.update(last_at=now()).where(Attempts.key == ASKED).execute():
                insert_all(Attempts, [{"key": ASKED}], ignore=True)


def let_in_unasked() -> int | None:
    """When Dovecot last let somebody in without having asked for a while; None when it asks."""
    latest = LastLogin.select(LastLogin.last_access).order_by(LastLogin.last_access.desc()).first()
    asked = Attempts.get_or_none(Attempts.key == ASKED)
    if latest is None or (asked and latest.last_access <= asked.last_at + 2 * NOTED_EVERY):
        return None
    return latest.last_access
