"""Forms about files of users."""

from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField

from blueprints.web.forms import PanelForm


class FileForm(PanelForm):
    file = FileField(_l("Spreadsheet or CSV file"), [FileRequired(_l("Choose a file."))])
    invites = BooleanField(_l("Send each an invitation"), default=True)
    skips_unknown = BooleanField(_l("Skip unknown columns"))
