"""One-time links: made for one purpose and one state of one account, used up once, however many come at the same time.

Reading a link (GET, HEAD) neither uses nor reveals anything: mail scanners do that. The page behind it has a button.
"""

from collections.abc import Callable
from typing import TypeVar

from postern.actions import throttle
from postern.actions.actor import Actor
from postern.actions.text import N_, Refused
from postern.actions.tokens import digest, new_token
from postern.models import Account, OneTimeLink, now
from postern.settings import Settings

Found = TypeVar("Found")

HOUR, DAY = 3600, 24 * 3600
WRONG_LINKS = throttle.Limit("wrong links from network", free=30, ceiling=100, window=900)

RESET, WELCOME, RECOVER, DISOWN, DISOWN_DEVICE = "reset", "welcome", "recover", "disown", "disown-device"
# A manager gets it in an encrypted archive, to hand it out.
HANDED_OUT = "handed-out"
SETS_PASSWORD = (RESET, WELCOME, RECOVER, HANDED_OUT)
# They were sent on purpose to somebody whose account is locked, suspended or new. One that was suspended later is in
# another state than the link was made for.
OPENS_ACCOUNT = (WELCOME, RECOVER)
LIFETIMES = {
    RESET: 3 * HOUR,
    WELCOME: 7 * DAY,
    RECOVER: 1 * DAY,
    HANDED_OUT: 7 * DAY,
    DISOWN: 7 * DAY,
    DISOWN_DEVICE: 7 * DAY,
}
PATHS = {
    RESET: "password",
    WELCOME: "password",
    RECOVER: "password",
    HANDED_OUT: "password",
    DISOWN: "not-me",
    DISOWN_DEVICE: "not-my-device",
}


def create(account: Account, purpose: str, subject_id: int | None = None) -> str:
    """A new link's token, within the caller's transaction. Links that set a password replace their predecessors."""
    token = new_token()
    create_for(account, purpose, digest(token), subject_id)
    return token


def create_for(account: Account, purpose: str, token_hash: str, subject_id: int | None = None) -> None:
    """The same for a token that was made before, of which the SHA-256 is known here."""
    if purpose in SETS_PASSWORD:
        revoke(account, SETS_PASSWORD)
    OneTimeLink.create(
        account=account,
        purpose=purpose,
        token_hash=token_hash,
        subject_id=subject_id,
        bound_to=_state(account, purpose),
        expires_at=now() + LIFETIMES[purpose],
    )


def open_by(actor: Actor, token: str, purposes: tuple[str, ...]) -> OneTimeLink | None:
    """The link that somebody opens, if it can still be used for one of these purposes; raises
    `throttle.TooManyAttempts`."""
    return unless_guessed(actor, lambda: find(token, purposes))


def unless_guessed(actor: Actor, find_link: Callable[[], Found | None]) -> Found | None:
    """What `find_link` finds. Who comes with links that lead to nothing is slowed down and stopped: raises
    `throttle.TooManyAttempts`."""
    guesses = [WRONG_LINKS.on(throttle.network_of(actor.address))]
    throttle.refuse_waiting(guesses)
    found = find_link()
    if found is None:
        throttle.attempt(guesses)
    return found


def find(token: str, purposes: tuple[str, ...]) -> OneTimeLink | None:
    """The link of this token, if it can still be used for one of these purposes."""
    link = (
        OneTimeLink.select(OneTimeLink, Account)
        .join(Account)
        .where(OneTimeLink.token_hash == digest(token), OneTimeLink.purpose.in_(purposes))
        .first()
    )
    if link is None or link.used_at is not None or now() >= link.expires_at:
        return None
    return link if link.bound_to == _state(link.account, link.purpose) else None


def use(link: OneTimeLink) -> Account:
    """Use a link up that was found before, within the caller's transaction; its account as it is now. Raises `Refused`
    when it was used meanwhile, or the account is gone or no longer as the link was made for it."""
    account = Account.get_or_none(Account.id == link.account_id)
    if account is None or link.bound_to != _state(account, link.purpose) or not link.use():
        raise void()
    return account


def void() -> Refused:
    """The refusal of a link that can no longer be used."""
    return Refused(N_("This link has been used, replaced by a newer one, or has expired."))


def open_link(account: Account, purpose: str) -> OneTimeLink | None:
    """A link of this purpose that was sent to the account and can still be used."""
    candidates = OneTimeLink.select().where(
        OneTimeLink.account == account,
        OneTimeLink.purpose == purpose,
        OneTimeLink.used_at.is_null(),
        OneTimeLink.expires_at > now(),
    )
    return next((link for link in candidates if link.bound_to == _state(account, purpose)), None)


def revoke(account: Account, purposes: tuple[str, ...]) -> None:
    """Void the account's open links of these purposes."""
    OneTimeLink.update(used_at=now()).where(
        OneTimeLink.account == account, OneTimeLink.purpose.in_(purposes), OneTimeLink.used_at.is_null()
    ).execute()


def address(settings: Settings, purpose: str, token: str) -> str:
    """The link's address, built from the configured base URL and never from a request."""
    return f"{settings.base_url}/links/{PATHS[purpose]}/{token}"


def _state(account: Account, purpose: str) -> str:
    """What the link was made for. A new password voids the links that set one; "This wasn't me" has to outlive it,
    and ends with the lock that it brings about."""
    if purpose in (DISOWN, DISOWN_DEVICE):
        return digest(f"{account.id}:{purpose}:{account.state}")
    return digest(f"{account.id}:{purpose}:{account.state}:{account.password_hash}")
