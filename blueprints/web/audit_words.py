"""The audit trail's actions in the person's language."""

from flask_babel import gettext as _

from actions.trail.events import Event, sentence_of
from models import AuditEvent


def sentence(event: AuditEvent) -> str:
    """What happened, for the person it happened to."""
    known = sentence_of(event.action)
    return _(known) if known else event.action


def was_in_mail_program(event: AuditEvent) -> bool:
    """Whether it happened in a mail program: where the browser's name would stand, a protocol stands."""
    return event.action == Event.MAIL_SESSION_STARTED.code
