"""One-time links: made for one purpose and one state of one account, used up once, however many come at the same time.

Reading a link (GET, HEAD) neither uses nor reveals anything: mail scanners do that. The page behind it has a button.
"""

from postern.actions.tokens import digest, new_token
from postern.models import Account, OneTimeLink, now
from postern.settings import Settings

HOUR, DAY = 3600, 24 * 3600

RESET, WELCOME, RECOVER, DISOWN = "reset", "welcome", "recover", "disown"
SETS_PASSWORD = (RESET, WELCOME, RECOVER)
LIFETIMES = {RESET: 3 * HOUR, WELCOME: 7 * DAY, RECOVER: 1 * DAY, DISOWN: 7 * DAY}
PATHS = {RESET: "password", WELCOME: "password", RECOVER: "password", DISOWN: "not-me"}


def create(account: Account, purpose: str) -> str:
    """A new link's token, within the caller's transaction. Links that set a password replace their predecessors."""
    if purpose in SETS_PASSWORD:
        revoke(account, SETS_PASSWORD)
    token = new_token()
    OneTimeLink.create(
        account=account,
        purpose=purpose,
        token_hash=digest(token),
        bound_to=_state(account, purpose),
        expires_at=now() + LIFETIMES[purpose],
    )
    return token


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
    if purpose == DISOWN:
        return digest(f"{account.id}:{purpose}:{account.state}")
    return digest(f"{account.id}:{purpose}:{account.state}:{account.password_hash}")
