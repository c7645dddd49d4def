"""Counters of guesses at an account's password, shared by the panel, webmails and mail programs.

All strangers to an account share its counters. A browser or a network from which the account signed in lately has its
own counters, so that strangers' guesses never block the owner.
"""

import functools
from ipaddress import ip_address, ip_network

from actions.ground import throttle
from actions.ground.throttle import Counter, Limit
from actions.sessions import sessions
from models import Account, LastLogin, WebmailCredential, now
from settings import Settings

DAY = 24 * 3600
NETWORK_REMEMBERED = 30 * DAY

FROM_NETWORK_TO_ACCOUNT = Limit("sign-in from network to account", free=5, ceiling=20, window=900)
STRANGERS_TO_ACCOUNT = Limit("sign-in by strangers to account", free=20, ceiling=100, window=DAY)
FROM_NETWORK = Limit("sign-in from network", free=100, ceiling=300, window=900)
KNOWN_BROWSER = Limit("sign-in from known browser", free=5, ceiling=50, window=DAY)
# A mail program that does not have the new password repeats the old one every few minutes.
KNOWN_NETWORK = Limit("sign-in of mail programs from known network", free=50, ceiling=100, window=4 * 3600)


def at_sign_in(login: str, account: Account | None, address: str, browser: str | None) -> list[Counter]:
    """The counters for an attempt to sign in to the panel."""
    if sessions.is_known_browser(account, browser):
        return [KNOWN_BROWSER.on(account.id, browser)]
    return of_strangers(login, address)


def of_strangers(login: str, address: str) -> list[Counter]:
    """The counters for an attempt by a stranger to the account."""
    return [*own_of(login, address), STRANGERS_TO_ACCOUNT.on(login), *FROM_NETWORK.from_address(address)]


def own_of(login: str, address: str) -> list[Counter]:
    """The counters for attempts at this login from this address's network alone."""
    return FROM_NETWORK_TO_ACCOUNT.from_address(address, login)


def by_mail(settings: Settings, login: str, account: Account | None, address: str) -> list[Counter]:
    """The counters for an attempt by a mail program."""
    if is_known_network(settings, account, address):
        return from_known_network(login, address)
    return of_strangers_by_mail(settings, login, address)


def of_strangers_by_mail(settings: Settings, login: str, address: str) -> list[Counter]:
    """The counters for a mail program that is a stranger to the account. A webmail that does not pass on the person's
    address stands for everybody, not for one network."""
    if not address or _is_webmail(settings, address):
        return [STRANGERS_TO_ACCOUNT.on(login)]
    return of_strangers(login, address)


def from_known_network(login: str, address: str) -> list[Counter]:
    """The counters for a mail program on a network that is known to the account."""
    return [*own_of(login, address), KNOWN_NETWORK.on(throttle.network_of(address), login)]


def is_known_network(settings: Settings, account: Account | None, address: str) -> bool:
    """Whether one of the account's mail programs, with the account's password or a device password, or a webmail that
    passes on the person's address signed in from this address's network within a month."""
    if account is None or not address or _is_webmail(settings, address):
        return False
    network = throttle.network_of(address)
    latest = LastLogin.select(LastLogin.ip).where(
        LastLogin.login_id == account.id, LastLogin.last_access >= now() - NETWORK_REMEMBERED
    )
    by_webmail = WebmailCredential.account == account, WebmailCredential.network == network
    return (
        any(throttle.network_of(ip) == network for (ip,) in latest.tuples())
        or WebmailCredential.select().where(*by_webmail).exists()
    )


def _is_webmail(settings: Settings, address: str) -> bool:
    try:
        host = ip_address(address)
    except ValueError:
        return False
    return any(host in network for network in _webmail_networks(settings.webmail_hosts))


@functools.lru_cache(maxsize=8)
def _webmail_networks(hosts: tuple[str, ...]):
    """The networks among the webmail's hosts; Dovecot ignores names too."""
    networks = []
    for host in hosts:
        try:
            networks.append(ip_network(host, strict=False))
        except ValueError:
            continue
    return tuple(networks)
