"""Who may write e-mails as whom: the one rule for what is submitted, whichever server takes it.

A session of the mail server writes as the mailbox that it opens, and as nobody else: in the envelope, and in each
header that says who wrote. It may be any session that may send: the owner's, a collaborator's, a device's, a webmail's.
"""

import re
from collections.abc import Sequence

from peewee import Table

from actions.authority import _author_headers as author_headers
from database import database
from mail_views import ProtocolBits
from models import Collaboration

# What Dovecot calls sessions (`Account.session_name`): the mailbox, a collaborator's number, a device's or a webmail's.
SESSION = re.compile(r"(?P<mailbox>[^/]+)(?:/c(?P<collaboration>[0-9]{1,18}))?(?:/[dw][0-9]{1,18})?")
AUTHORS = author_headers.AUTHORS
# What a bounce or a receipt is sent as (RFC 5321 4.5.5): nobody.
NOBODY = ""
# As Dovecot reads it: who may log in, and what for.
LOGINS = Table("mail_login", ("login", "mailbox", "protocols", "webmail_protocols", "refusal")).bind(database)


def addresses(session: str) -> frozenset[str]:
    """The addresses that a session may write as, in stored form; none when it may not send, or not any more."""
    named = SESSION.fullmatch(session.lower())
    login = named and _login_of(named["mailbox"], named["collaboration"])
    if not login:
        return frozenset()
    may_send = LOGINS.protocols.bin_or(LOGINS.webmail_protocols).bin_and(ProtocolBits.SENDING) != 0
    found = LOGINS.select(LOGINS.mailbox).where(
        LOGINS.login == login, LOGINS.mailbox == named["mailbox"], LOGINS.refusal.is_null(), may_send
    )
    return frozenset(mailbox for (mailbox,) in found.tuples())


def refusal_of_envelope(session: str, sender: str) -> str:
    """Why the session may not send with this envelope, in a sentence; empty when it may. Nobody may be the sender of
    bounces and receipts: their headers say who wrote them."""
    allowed = addresses(session)
    if not allowed:
        return "This login may not send mail."
    if sender == NOBODY or author_headers.stored_form(sender) in allowed:
        return ""
    return f"Mail of this login may be sent as {_in_words(allowed)} only."


def refusal_of_headers(session: str, headers: Sequence[tuple[str, str]]) -> str:
    """Why the session may not send a message with these headers, in a sentence; empty when it may."""
    allowed = addresses(session)
    if not allowed:
        return "This login may not send mail."
    wrong = author_headers.wrong_header(headers, allowed)
    return wrong and f"{wrong}: this login may write as {_in_words(allowed)} only."


def _login_of(mailbox: str, collaboration: str | None) -> str | None:
    """The login whose sessions are called so. An owner's login is the mailbox's address."""
    if collaboration is None:
        return mailbox
    found = Collaboration.get_or_none(Collaboration.id == int(collaboration))
    return found and found.account.login


def _in_words(allowed: frozenset[str]) -> str:
    return " or ".join(sorted(allowed))
