"""Forms of My account."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, DateField, IntegerField, PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import EqualTo, NumberRange, Optional, ValidationError
from wtforms.widgets import Select

from actions.ground import time_zones
from actions.ground.addresses import canonical_login
from actions.trail.events import Event, Group
from actions.trail.trail import Filter
from blueprints.web import days
from blueprints.web.addresses import LARGEST_NUMBER
from blueprints.web.forms import PanelForm, longest, required
from models import Account
from settings import LANGUAGES


class ShortSelect(Select):
    """A choice among hundreds, of which each is written as short as HTML allows."""

    @classmethod
    def render_option(cls, choice: SelectChoice, **attributes: object) -> Markup:
        if choice.value != choice.label:
            return super().render_option(choice, **attributes)
        return Markup("<option{}>{}</option>").format(Markup(" selected") if choice.selected else "", choice.label)


class PasswordForm(PanelForm):
    current_password = PasswordField(_l("Current password"), [required(), longest()])
    new_password = PasswordField(_l("New password"), [required(), longest()])
    confirm_password = PasswordField(
        _l("Confirm new password"),
        [required(), longest(), EqualTo("new_password", _l("The two passwords do not match."))],
    )
    everywhere = BooleanField("")
    devices_too = BooleanField(_l("Also disconnect all devices"))


class CheckForm(PanelForm):
    new_password = PasswordField()


class EndForm(PanelForm):
    """Only a button, for a browser or for the mail programs at an address."""

    device_id = IntegerField(validators=[Optional(), NumberRange(0, LARGEST_NUMBER)])
    address = StringField(validators=[required(), longest(45)])


class NameForm(PanelForm):
    first_name = StringField(_l("First name"), [longest(120)])
    last_name = StringField(_l("Last name"), [longest(120)])


class ContactForm(PanelForm):
    contact_email = StringField(_l("New contact e-mail"), [required(), longest(254)])


class PreferencesForm(PanelForm):
    language = SelectField(_l("Language"))
    timezone = SelectField(_l("Time zone"), widget=ShortSelect(), validate_choice=False)
    # A form that stood open since before there were themes leaves it as it is.
    theme = SelectField(_l("Theme"), validate_choice=False)

    def __init__(self, default_timezone: str, **values):
        super().__init__(**values)
        self.language.choices = [("", _l("Automatic (browser)")), *LANGUAGES.items()]
        self.theme.choices = [("", _l("System")), (Account.LIGHT, _l("Light")), (Account.DARK, _l("Dark"))]
        automatic = ("", _l("Automatic (%(zone)s)", zone=default_timezone))
        # A name that was chosen before it became a former one is still the choice.
        chosen = {self.timezone.data or ""} - {"", *time_zones.places()}
        self.timezone.choices = [automatic, *((zone, zone) for zone in (*chosen, *time_zones.places()))]


def sensible(form: PanelForm, field: DateField) -> None:
    """Refuse days so far away that the calendar ends before anybody computes with them."""
    if field.data and not 1970 <= field.data.year < 3000:
        raise ValidationError(field.gettext("Not a valid date value."))


class TrailForm(PanelForm):
    """What is looked for in the audit trail. It changes nothing, so it travels in the address and needs no token."""

    action = SelectField(_l("What"), default="")
    by = StringField(_l("Done by"), [longest(254)])
    about = StringField(_l("Affected account"), [longest(254)])
    mailbox = StringField(_l("Mailbox"), [longest(254)])
    group = SelectField(_l("What"), default="")
    since = DateField(_l("From"), [Optional(), sensible])
    until = DateField(_l("To"), [Optional(), sensible])

    class Meta(PanelForm.Meta):
        csrf = False

    def __init__(self, asked: MultiDict):
        super().__init__(asked)
        words = sorted((_(event.sentence), event.code) for event in Event)
        self.action.choices = [("", _("Everything")), *((code, sentence) for sentence, code in words)]
        self.group.choices = [("", _("Everything")), *((group.word, _(group.title)) for group in Group)]

    @property
    def wanted(self) -> Filter:
        by, about, mailbox = (canonical_login(field.data) for field in (self.by, self.about, self.mailbox))
        first, last = self.since.data, self.until.data
        return Filter(
            self.action.data or "",
            by,
            about,
            mailbox,
            first and days.first_second(first),
            last and days.last_second(last),
            self.group.data or "",
        )

    @property
    def chosen(self) -> dict[str, str]:
        """The same as an address contains it."""
        return {field.name: field._value() if hasattr(field, "_value") else field.data for field in self if field.data}

    @property
    def besides_kind(self) -> dict[str, str]:
        """The same without the kind of event, for links to the groups."""
        return {name: value for name, value in self.chosen.items() if name not in {"action", "group"}}


def event_id(text: str) -> int:
    """An event's number, as a database can hold it; raises `ValueError` for anything else."""
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(text)
    return int(text)
