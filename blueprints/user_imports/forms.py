"""Forms about files of users."""

from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import FileStorage
from wtforms import BooleanField
from wtforms import FileField as AnyFileField
from wtforms.validators import InputRequired

from blueprints.web.forms import PanelForm


class FileField(AnyFileField):
    """One file; none where the browser sends its field without any."""

    def process_formdata(self, valuelist: list) -> None:
        self.raw_data = [sent for sent in valuelist if isinstance(sent, FileStorage) and sent]
        self.data = next(iter(self.raw_data), None)


class FileForm(PanelForm):
    file = FileField(_l("Spreadsheet or CSV file"), [InputRequired(_l("Choose a file."))])
    invites = BooleanField(_l("Send each an invitation"), default=True)
    skips_unknown = BooleanField(_l("Skip unknown columns"))
