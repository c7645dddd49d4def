"""The audit trail's actions in the person's language."""

from flask_babel import gettext as _

from actions.trail.events import SENTENCES
from models import AuditEvent


def sentence(event: AuditEvent) -> str:
    """What happened, for the person it happened to."""
    known = SENTENCES.get(event.action)
    return _(known) if known else event.action
