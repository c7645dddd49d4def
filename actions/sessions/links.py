"""One-time links: each has one purpose, belongs to one state of one account, and works once even if several requests
race.

Reading a link (GET, HEAD) neither uses nor reveals anything, because mail scanners do that. The page behind it has a
button.
"""

from collections.abc import Sequence

from actions.ground.refusals import N_, Refused
from actions.ground.tokens import digest, new_token
from database import insert_all
from models import Account, Device, OneTimeLink, now
from settings import Settings

HOUR, DAY = 3600, 24 * 3600

RESET, WELCOME, RECOVER, DISOWN, DISOWN_DEVICE = "reset", "welcome", "recover", "disown", "disown-device"
# The first confirms a new contact e-mail at that address; the other puts the former one back.
CONFIRM_CONTACT, DISOWN_CONTACT = "confirm-contact", "disown-contact"
# A manager receives it in an encrypted archive, to hand it out.
HANDED_OUT = "handed-out"
SETS_PASSWORD = (RESET, WELCOME, RECOVER, HANDED_OUT)
# These are sent on purpose to a person whose account is locked, suspended or new. If the account is suspended later,
# its state is no longer the one the link was made for.
OPENS_ACCOUNT = (WELCOME, RECOVER)
LIFETIMES = {
    RESET: 3 * HOUR,
    WELCOME: 7 * DAY,
    RECOVER: 1 * DAY,
    HANDED_OUT: 7 * DAY,
    DISOWN: 7 * DAY,
    DISOWN_DEVICE: 7 * DAY,
    CONFIRM_CONTACT: 1 * DAY,
    DISOWN_CONTACT: 7 * DAY,
}
PATHS = {
    RESET: "password",
    WELCOME: "password",
    RECOVER: "password",
    HANDED_OUT: "password",
    DISOWN: "not-me",
    DISOWN_DEVICE: "not-my-device",
    CONFIRM_CONTACT: "contact",
    DISOWN_CONTACT: "not-my-contact",
}


def create(
    account: Account, purpose: str, device: Device | None = None, replaces: tuple[str, ...] = SETS_PASSWORD
) -> str:
    """Create a link, about a device if one is given, within the caller's transaction; returns its token. A link that
    sets a password voids earlier links of the purposes that it `replaces`; setting the password voids the rest."""
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
    """`create` for an existing token, given only by its SHA-256."""
    if purpose in SETS_PASSWORD:
        revoke([account], replaces)
    OneTimeLink.create(**_row(account, purpose, token_hash, device))


def create_for_contact(account: Account, purpose: str, contact: str) -> str:
    """Create a link about this contact e-mail within the caller's transaction; returns its token. One that confirms a
    contact e-mail voids earlier ones."""
    if purpose == CONFIRM_CONTACT:
        revoke([account], (CONFIRM_CONTACT,))
    token = new_token()
    OneTimeLink.create(**_row(account, purpose, digest(token)), address=contact)
    return token


def create_first(accounts: Sequence[Account], purpose: str) -> list[str]:
    """The tokens of new links for accounts that had none yet, in the same order, within the caller's transaction."""
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
    """The link with this token, if it can still be used for one of these purposes. There is no throttle: nobody guesses
    256 bits, and with one, junk would only keep others in the same network from their links."""
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
    """Use up a link that `find` returned, within the caller's transaction; returns its account as it is now. Raises
    `Refused` when the link was used meanwhile, or the account is gone or no longer in the state the link was made
    for."""
    account = Account.get_or_none(Account.id == link.account_id)
    if account is None or link.bound_to != _state(account, link.purpose) or not link.use():
        raise void()
    return account


def void() -> Refused:
    """The refusal of a link that can no longer be used."""
    return Refused(N_("This link has been used, replaced by a newer one, or has expired."))


def open_link(account: Account, purpose: str) -> OneTimeLink | None:
    """A link of this purpose that was sent to the account and can still be used."""
    return next((link for link in open_links(account) if link.purpose == purpose), None)


def open_links(account: Account) -> list[OneTimeLink]:
    """The links that were sent to the account and can still be used."""
    candidates = OneTimeLink.select().where(
        OneTimeLink.account == account, OneTimeLink.used_at.is_null(), OneTimeLink.expires_at > now()
    )
    return [link for link in candidates if link.bound_to == _state(account, link.purpose)]


def latest_unused(account: Account, purpose: str) -> OneTimeLink | None:
    """The link of this purpose that was sent to the account last, if nobody used or voided it; its time may be over."""
    theirs = (OneTimeLink.account == account, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_null())
    link = OneTimeLink.select().where(*theirs).order_by(OneTimeLink.id.desc()).first()
    return link if link and link.bound_to == _state(account, purpose) else None


def first_open(account: Account, purpose: str) -> OneTimeLink | None:
    """The oldest link of this purpose that can still be used."""
    theirs = [link for link in open_links(account) if link.purpose == purpose]
    return min(theirs, key=lambda link: link.id, default=None)


def bind_again(account: Account, links: Sequence[OneTimeLink]) -> None:
    """Let links that were open go on working for the account as it is now, within the caller's transaction."""
    for link in links:
        link.write(bound_to=_state(account, link.purpose))


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
    """The state that the link was made for. A new password voids the links that set one, and with another contact
    e-mail the one that confirms yet another. "This wasn't me" must outlive a new password, and ends with the lock that
    it causes."""
    made_for = f"{account.login}:{account.created_at}:{purpose}:{account.state}"
    if purpose in (DISOWN, DISOWN_DEVICE, DISOWN_CONTACT):
        return digest(made_for)
    if purpose == CONFIRM_CONTACT:
        made_for += f":{account.contact_email}"
    return digest(f"{made_for}:{account.password_hash}")
