"""Forms of My account."""

from functools import cache
from zoneinfo import available_timezones

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, DateField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, NumberRange, Optional, ValidationError

from actions.ground.addresses import canonical_login
from actions.trail.events import Event
from actions.trail.trail import Filter
from blueprints.web import days
from blueprints.web.addresses import LARGEST_NUMBER
from blueprints.web.forms import PanelForm, longest, required
from settings import LANGUAGES


class PasswordForm(PanelForm):
    current_password = PasswordField(_l("Current password"), [required(), longest()])
    new_password = PasswordField(_l("New password"), [required(), longest()])
    confirm_password = PasswordField(
        _l("Confirm new password"),
        [required(), longest(), EqualTo("new_password", _l("The two passwords do not match."))],
    )
    everywhere = BooleanField()
    devices_too = BooleanField(_l("Also disconnect all devices"))


class CheckForm(PanelForm):
    new_password = PasswordField()


class EndForm(PanelForm):
    """Only a button, for a browser or for the mail programs at an address."""

    device_id = IntegerField(validators=[Optional(), NumberRange(0, LARGEST_NUMBER)])
    address = StringField(validators=[required(), longest(45)])


class PreferencesForm(PanelForm):
    language = SelectField(_l("Language"))
    timezone = SelectField(_l("Time zone"))

    def __init__(self, **values):
        super().__init__(**values)
        self.language.choices = [("", _l("Same as the browser")), *LANGUAGES.items()]
        self.timezone.choices = [("", _l("Same as the mail service")), *((zone, zone) for zone in ["UTC", *_zones()])]


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
    since = DateField(_l("From"), [Optional(), sensible])
    until = DateField(_l("To"), [Optional(), sensible])

    class Meta(PanelForm.Meta):
        csrf = False

    def __init__(self, asked: MultiDict):
        super().__init__(asked)
        words = sorted((_(event.sentence), event.code) for event in Event)
        self.action.choices = [("", _("Everything")), *((code, sentence) for sentence, code in words)]

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
        )

    @property
    def chosen(self) -> dict[str, str]:
        """The same as an address contains it."""
        return {field.name: field._value() if field.name != "action" else field.data for field in self if field.data}


def event_id(text: str) -> int:
    """An event's number, as a database can hold it; raises `ValueError` for anything else."""
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(text)
    return int(text)


@cache
def _zones() -> list[str]:
    """The zones that are named after places."""
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
