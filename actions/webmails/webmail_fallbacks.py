"""Sign-ins that a webmail decided by the mail server alone, because it could not connect to Postern.

The webmail keeps them and reports each once Postern answers again, repeating the report as often as needed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from peewee import IntegrityError

from actions.ground.actor import Actor
from actions.ground.addresses import canonical_login
from actions.ground.refusals import N_, Refused
from actions.ground.tokens import digest
from actions.trail import audit
from actions.trail.events import Event
from actions.webmails.webmail_credentials import checked_address
from database import transactional
from models import Account, UsedToken, Webmail, now

# 128 random bits in hexadecimal.
NUMBER = re.compile(r"[0-9a-f]{32}")
# How long a webmail may repeat the report of a sign-in.
REMEMBERED = 30 * 24 * 3600
LONGEST_TIME = 12


@dataclass(frozen=True)
class Told:
    """A sign-in as the webmail reports it: its number there, the login typed, the person's network address and browser,
    the time (seconds since the epoch, in digits), and whether the mail server let the person in."""

    number: str
    login: str
    address: str
    user_agent: str
    at: str
    entered: bool


def note(webmail: Webmail, told: Told) -> None:
    """Record the sign-in in the audit trail, once, however often it is reported; raises `Refused` when it has no
    number.

    Any other invalid value is left out: a guesser chose it, and must not be able to prevent the record.
    """
    if not NUMBER.fullmatch(told.number):
        raise Refused(N_("This request was not understood."), "id")
    key = digest(f"{webmail.key_id}:fallback:{told.number}")
    if UsedToken.select().where(UsedToken.key == key).exists():
        return
    try:
        _note(webmail, told, key)
    except IntegrityError:
        # Another request reported it at the same moment.
        return


@transactional
def _note(webmail: Webmail, told: Told, key: str) -> None:
    UsedToken.create(key=key, expires_at=now() + REMEMBERED)
    account = Account.by_login(canonical_login(told.login))
    if account is not None and not webmail.speaks_for(account):
        account = None
    # An unknown login is not stored, because it may be a password typed into the wrong field.
    actor = Actor(account if told.entered else None, None, _address(told.address), told.user_agent)
    event = Event.WEBMAIL_SESSION_UNASKED if told.entered else Event.WEBMAIL_SESSION_UNASKED_REFUSED
    audit.record(actor, event, account, webmail=webmail.origin, happened_at=_moment(told.at))


def _address(text: str) -> str:
    try:
        return checked_address(text)
    except Refused:
        return ""


def _moment(text: str) -> str:
    """The time in a form for people; empty for anything but a time in the past."""
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_TIME else 0
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if 0 < seconds <= now() else ""
