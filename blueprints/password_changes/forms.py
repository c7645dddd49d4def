"""Forms about changes of several passwords."""

from flask import request
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, PasswordField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice

from actions.password_changes.password_changes import Choice, WantedChange
from blueprints.web.forms import PanelForm, longest, required
from models import PasswordChange
from settings import LANGUAGES

LANGUAGE_CHOICES = [SelectChoice(code, name) for code, name in LANGUAGES.items()]
KINDS = {
    PasswordChange.PASSWORDS: _l("New passwords"),
    PasswordChange.LINKS: _l("Links for users to set their passwords"),
}
FORMATS = {PasswordChange.PDF: _l("PDF document"), PasswordChange.ZIP: _l("ZIP archive")}


class ChangeForm(PanelForm):
    """Which mailboxes, where their credentials go, and what ends. The mailboxes themselves are checked by the action:
    the page shows only some of them."""

    everyone = BooleanField()
    mailboxes = SelectMultipleField(_l("E-mail"), validate_choice=False)
    search = StringField(_l("Search"), [longest()])
    phone = StringField(_l("Phone"), [required(), longest()])
    full_name = StringField(_l("Full name"), [required(), longest()])
    email = StringField(_l("E-mail for the credentials"), [required(), longest()])
    language = SelectField(_l("Their language"), choices=LANGUAGE_CHOICES, validate_choice=False)
    kind = RadioField(
        _l("What to send"),
        choices=[SelectChoice(*each) for each in KINDS.items()],
        default=PasswordChange.PASSWORDS,
        validate_choice=False,
    )
    archive_format = RadioField(
        _l("Archive format"),
        choices=[SelectChoice(*each) for each in FORMATS.items()],
        default=PasswordChange.PDF,
        validate_choice=False,
    )
    must_change = BooleanField(_l("Must be changed at the next sign-in"))
    everywhere = BooleanField(_l("Log everybody out from everywhere"), default=True)
    devices_too = BooleanField(_l("Also revoke their device passwords"))

    @property
    def chosen_ids(self) -> list[int]:
        return list(dict.fromkeys(request.form.getlist("mailboxes", type=int)))

    @property
    def choice(self) -> Choice:
        return Choice(everyone=self.everyone.data, mailbox_ids=self.chosen_ids)

    @property
    def wanted(self) -> WantedChange:
        texts = (self.phone, self.full_name, self.email, self.kind, self.archive_format, self.language)
        switches = (self.must_change, self.everywhere, self.devices_too)
        return WantedChange(*(field.data or "" for field in texts), *(field.data for field in switches))


class StartForm(PanelForm):
    """The manager's account password."""

    current_password = PasswordField(_l("Your password"), [required(), longest()])
