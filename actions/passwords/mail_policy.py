"""Whether a mail program may try a password: Dovecot asks before it verifies a password and again after a right one,
and reports the result.

Failures use the panel's counters, so that no protocol is the weaker way in. A usual sign-in writes nothing. A right
password amid guesses is refused too: of many passwords tried at the same moment, none slips through. Dovecot lets
sign-ins proceed when nobody answers. For the doctor, this records that Dovecot asks at all.
"""

import time
from dataclasses import dataclass

from actions.ground import throttle
from actions.ground.addresses import canonical_login
from actions.ground.encryption import derived_key
from actions.ground.tokens import digest
from actions.passwords import guesses
from database import insert_all
from models import Account, Attempts, LastLogin, now
from settings import Settings

# Dovecot compares a password of this shape only with device passwords, which cannot be guessed.
DEVICE_SHAPED = "device"
# Seconds: each process records at most this often that Dovecot asked.
NOTED_EVERY = 60
ASKED = digest("mail policy asked")
PATH = "/dovecot/policy"


@dataclass(frozen=True)
class Attempt:
    """Dovecot's report of an attempt to sign in; of the password, it has only the shape."""

    login: str
    address: str
    shape: str


def address(settings: Settings) -> str:
    """The address at which Dovecot asks."""
    return f"{settings.dovecot_policy_url}{PATH}"


def authorization(settings: Settings) -> str:
    """The header with which Dovecot authenticates itself there."""
    return f"Bearer {derived_key(settings.secret_key, 'dovecot policy').decode()}"


def nonce(settings: Settings) -> str:
    """The nonce that Dovecot mixes into hashes of passwords. It does not send those hashes."""
    return derived_key(settings.secret_key, "dovecot policy nonce").decode()


def admits(settings: Settings, attempt: Attempt) -> bool:
    """Whether Dovecot may verify the password now or, after it proved right, may accept it."""
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
    """Forget the failures before a right password; writes nothing where there are none."""
    if attempt.shape != DEVICE_SHAPED:
        throttle.forgive_any(guesses.from_known_network(canonical_login(attempt.login), attempt.address))


class Questions:
    """Records that Dovecot asks, once a minute, because usual sign-ins write nothing else."""

    def __init__(self):
        self._noted_at: float | None = None

    def note(self) -> None:
        moment = time.monotonic()
        if self._noted_at is None or moment >= self._noted_at + NOTED_EVERY:
            self._noted_at = moment
            if not Attempts.update(last_at=now()).where(Attempts.key == ASKED).execute():
                insert_all(Attempts, [{"key": ASKED}], ignore=True)


def let_in_unasked() -> int | None:
    """When Dovecot last let somebody in after not asking for a while; None when it asks."""
    latest = LastLogin.select(LastLogin.last_access).order_by(LastLogin.last_access.desc()).first()
    asked = Attempts.get_or_none(Attempts.key == ASKED)
    if latest is None or (asked and latest.last_access <= asked.last_at + 2 * NOTED_EVERY):
        return None
    return latest.last_access
