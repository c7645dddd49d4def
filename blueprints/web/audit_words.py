"""The audit trail's actions in the person's language."""

from itertools import groupby

from flask_babel import gettext as _

from actions.sessions.user_agents import is_hand_held
from actions.trail.events import Event, sentence_of, was_refused
from models import AuditEvent

from .words import day_in_words


def sentence(event: AuditEvent) -> str:
    """What happened, for the person it happened to."""
    known = sentence_of(event.action)
    return _(known) if known else event.action


def was_in_mail_program(event: AuditEvent) -> bool:
    """Whether it happened in a mail program: where the browser's name would stand, a protocol stands."""
    return event.action == Event.MAIL_SESSION_STARTED.code


def by_day(events: list[AuditEvent]) -> list[tuple[str, list[AuditEvent]]]:
    """The events of each day of the person's zone beneath its name, in their order: a wrong clock may name a day
    twice."""
    return [(day, list(those)) for day, those in groupby(events, lambda event: day_in_words(event.at))]


def refused(event: AuditEvent) -> bool:
    return was_refused(event.action)


def icon_of(event: AuditEvent) -> str:
    """The icon of where it happened: a mail program, a telephone's browser, a computer's; a server's where no
    program is known."""
    if was_in_mail_program(event):
        return "mail"
    if not event.user_agent:
        return "server"
    return "smartphone" if is_hand_held(event.user_agent) else "monitor"


def people(event: AuditEvent, reader: str) -> str:
    """Who did it, and to whom, where it is not the reader (a login) alone. Who was refused is not known: it says only
    whose account it was."""
    by, about = event.actor_login, event.account_login
    if by == about and refused(event):
        by = ""
    if by and about and by != about and about != reader:
        return _("%(actor)s did this to %(account)s.", actor=by, account=about)
    if by and by != reader:
        return _("%(actor)s did this.", actor=by)
    return _("It was about %(account)s.", account=about) if about and not by and about != reader else ""
