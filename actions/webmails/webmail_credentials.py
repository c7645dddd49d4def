"""Webmail credentials: they open the mailbox for a webmail's session, so the webmail never stores the person's
password.

The webmail's server trades the password for a credential once, at login. The credential has the form of a device
password, works only from the webmail's hosts (Dovecot enforces that), and ends with the session.
"""

from dataclasses import dataclass

from actions.devices import device_passwords
from actions.ground import throttle
from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login, plain_ip
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import Counter
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.passwords import sign_in
from actions.passwords.guesses import FROM_NETWORK, FROM_NETWORK_TO_ACCOUNT, STRANGERS_TO_ACCOUNT
from actions.sessions import connections, sessions
from actions.trail import audit
from actions.trail.events import Event
from models import Account, Webmail, WebmailCredential, now

LIFETIME = 24 * 3600


@dataclass(frozen=True)
class WantedCredential:
    """A sign-in to a webmail: what was typed there, the webmail's session (its `sid`), and the person's network address
    and browser."""

    login: str
    password: str
    webmail_session: str
    address: str
    user_agent: str


@dataclass(frozen=True)
class MadeCredential:
    """A credential and its password, which cannot be obtained again."""

    credential: WebmailCredential
    password: str


def make(ports: Ports, webmail: Webmail, wanted: WantedCredential) -> MadeCredential:
    """A credential for a person who signs in to the webmail with login and password.

    Raises `Refused` with one sentence for every failure, or `throttle.TooManyAttempts`, like a sign-in here, and takes
    the same time for known and unknown logins. Strangers' guesses do not block a person on a network from which the
    account signed in before.
    """
    actor = Actor(address=checked_address(wanted.address), user_agent=wanted.user_agent)
    if not 0 < len(wanted.webmail_session) <= 64:
        raise Refused(N_("This request was not understood."), "sid")
    login = canonical_login(wanted.login)
    account = Account.by_login(login)
    counters = _counters(login, account, actor.address)
    sign_in.prove(UnitOfWork(ports, actor), account, wanted.password, counters, webmail.speaks_for)
    return _make(UnitOfWork(ports, actor), webmail, account, wanted.webmail_session, counters)


def _counters(login: str, account: Account | None, address: str) -> list[Counter]:
    network = throttle.network_of(address)
    counters = [*FROM_NETWORK_TO_ACCOUNT.from_address(address, login), *FROM_NETWORK.from_address(address)]
    is_known = (
        WebmailCredential.select()
        .where(WebmailCredential.account == (account.id if account else 0), WebmailCredential.network == network)
        .exists()
    )
    return counters if is_known else [*counters, STRANGERS_TO_ACCOUNT.on(login)]


@unit_of_work
def _make(
    unit: UnitOfWork, webmail: Webmail, account: Account, webmail_session: str, counters: list[Counter]
) -> MadeCredential:
    throttle.settle(counters)
    sign_in.refuse_if_changed(account)
    _end_former(account, webmail, webmail_session)
    password = device_passwords.new_password()
    credential = WebmailCredential.create(
        account=account,
        webmail=webmail,
        webmail_session=webmail_session,
        selector=password.selector,
        verifier=password.verifier(),
        address=unit.actor.address,
        network=throttle.network_of(unit.actor.address),
        user_agent=unit.actor.user_agent,
        expires_at=now() + LIFETIME,
    )
    audit.record(
        Actor(account, None, unit.actor.address, unit.actor.user_agent),
        Event.WEBMAIL_SESSION_STARTED,
        webmail=webmail.origin,
    )
    return MadeCredential(credential, password.text)


def _end_former(account: Account, webmail: Webmail, webmail_session: str) -> None:
    """A session of a webmail has one credential at a time."""
    WebmailCredential.update(ended_at=now()).where(
        WebmailCredential.account == account,
        WebmailCredential.webmail == webmail,
        WebmailCredential.webmail_session == webmail_session,
        WebmailCredential.ended_at.is_null(),
    ).execute()


def find(webmail: Webmail, password: str) -> WebmailCredential | None:
    """The webmail's credential with this password, even when it has ended."""
    if not device_passwords.has_shape(password):
        return None
    selector = password[: device_passwords.SELECTOR_LENGTH]
    candidates = WebmailCredential.select(WebmailCredential, Account).join(Account)
    for credential in candidates.where(WebmailCredential.webmail == webmail, WebmailCredential.selector == selector):
        if device_passwords.is_right(password, credential.verifier):
            return credential
    return None


def is_alive(webmail: Webmail, password: str) -> bool:
    """Whether the webmail's session still opens its mailbox."""
    credential = find(webmail, password)
    return credential is not None and credential.is_alive and credential.account.may_enter


def end(unit: UnitOfWork, credential: WebmailCredential) -> None:
    """End one session in a webmail at the person's request."""
    _end(unit, credential, Event.WEBMAIL_ENDED)


def sign_out(ports: Ports, webmail: Webmail, password: str) -> None:
    """End the session of this credential, because the person signed out of the webmail. Without such a credential,
    there is nothing left to end."""
    credential = find(webmail, password)
    if credential is not None:
        actor = Actor(credential.account, None, credential.address, credential.user_agent)
        _end(UnitOfWork(ports, actor), credential, Event.WEBMAIL_SESSION_SIGNED_OUT)


@unit_of_work
def _end(unit: UnitOfWork, credential: WebmailCredential, event: Event) -> None:
    if not credential.write(WebmailCredential.ended_at.is_null(), ended_at=now()):
        return
    sessions.end_of_webmail(credential)
    audit.record(unit.actor, event, webmail=credential.webmail.origin, from_address=credential.address)
    connections.end(unit, credential.account, credential_id=credential.id)


def checked_address(text: str) -> str:
    """The IP address in the text; raises `Refused`."""
    if not (address := plain_ip(text)):
        raise Refused(N_("This request was not understood."), "address")
    return address
