"""One-time links: made for one purpose and one state of one account, used up once, however many come at the same time.

Reading a link (GET, HEAD) neither uses nor reveals anything: mail scanners do that. The page behind it has a button.
"""

from collections.abc import Sequence

from actions.ground.refusals import N_, Refused
from actions.ground.tokens import digest, new_token
from database import insert_all
from models import Account, Device, OneTimeLink, now
from settings import Settings

HOUR, DAY = 3600, 24 * 3600

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


def create(
    account: Account, purpose: str, device: Device | None = None, replaces: tuple[str, ...] = SETS_PASSWORD
) -> str:
    """A new link's token, within the caller's transaction; with the device that it is about. A link that sets a
    password voids its predecessors of the purposes that it `replaces`; the others are void once the password is set."""
    token = new_token()
    create_for(account, purpose, digest(token), device, replaces)
    return token


def create_for(
    account: Account,
    purpose: str,
    token_hash: str,
    device: Device | None = None,
    replaces: tuple[str, ...] = SETS_PASSWORD,
) -> None:
    """The same for a token that was made before, of which the SHA-256 is known here."""
    if purpose in SETS_PASSWORD:
        revoke([account], replaces)
    OneTimeLink.create(**_row(account, purpose, token_hash, device))


def create_first(accounts: Sequence[Account], purpose: str) -> list[str]:
    """The tokens of new links for accounts that had none yet, in their order, within the caller's transaction."""
    tokens = [new_token() for _account in accounts]
    rows = [_row(account, purpose, digest(token)) for account, token in zip(accounts, tokens, strict=True)]
    insert_all(OneTimeLink, rows)
    return tokens


def _row(account: Account, purpose: str, token_hash: str, device: Device | None = None) -> dict:
    return {
        "account": account,
        "purpose": purpose,
        "token_hash": token_hash,
        "subject_id": device and device.id,
        "subject": device.request_id if device else "",
        "bound_to": _state(account, purpose),
        "expires_at": now() + LIFETIMES[purpose],
    }


def find(token: str, purposes: tuple[str, ...]) -> OneTimeLink | None:
    """The link of this token, if it can still be used for one of these purposes. Nobody guesses 256 bits, so nobody is
    slowed down: whoever brings junk would only keep others in the same network from their links."""
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


def revoke(accounts: Sequence[Account], purposes: tuple[str, ...]) -> None:
    """Void the accounts' open links of these purposes."""
    theirs = OneTimeLink.account.in_([account.id for account in accounts])
    OneTimeLink.update(used_at=now()).where(
        theirs, OneTimeLink.purpose.in_(purposes), OneTimeLink.used_at.is_null()
    ).execute()


def address(settings: Settings, purpose: str, token: str) -> str:
    """The link's address, built from the configured base URL and never from a request."""
    return f"{settings.base_url}/links/{PATHS[purpose]}/{token}"


def _state(account: Account, purpose: str) -> str:
    """What the link was made for. A new password voids the links that set one; "This wasn't me" has to outlive it,
    and ends with the lock that it brings about."""
    made_for = f"{account.login}:{account.created_at}:{purpose}:{account.state}"
    if purpose in (DISOWN, DISOWN_DEVICE):
        return digest(made_for)
    return digest(f"{made_for}:{account.password_hash}")
