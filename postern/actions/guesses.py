"""Who guesses at an account's password: what panel, webmails and mail programs count in one place.

Strangers to an account share its counts. A browser or a network from which it signed in lately has counts of its own,
so that strangers' guesses never stand in its owner's way.
"""

from postern.actions import sessions
from postern.actions.throttle import Counter, Limit
from postern.models import Account

DAY = 24 * 3600
FROM_NETWORK_TO_ACCOUNT = Limit("sign-in from network to account", free=5, ceiling=20, window=900)
STRANGERS_TO_ACCOUNT = Limit("sign-in by strangers to account", free=20, ceiling=100, window=DAY)
FROM_NETWORK = Limit("sign-in from network", free=100, ceiling=300, window=900)
KNOWN_BROWSER = Limit("sign-in from known browser", free=5, ceiling=50, window=DAY)


def at_sign_in(login: str, account: Account | None, address: str, browser: str | None) -> list[Counter]:
    """What counts an attempt to sign in to the panel."""
    if sessions.is_known_browser(account, browser):
        return [KNOWN_BROWSER.on(account.id, browser)]
    return by_strangers(login, address)


def by_strangers(login: str, address: str) -> list[Counter]:
    """What counts an attempt by whoever is not known to the account."""
    return [
        *FROM_NETWORK_TO_ACCOUNT.from_address(address, login),
        STRANGERS_TO_ACCOUNT.on(login),
        *FROM_NETWORK.from_address(address),
    ]
