"""The question before a hand-off counts."""

from wtforms import HiddenField

from blueprints.web.forms import PanelForm


class HandOffForm(PanelForm):
    """Only a button; the token travels on, unread until it is pressed."""

    token = HiddenField()
    next = HiddenField()
