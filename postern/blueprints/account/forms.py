"""Forms of My account."""

from functools import cache
from zoneinfo import available_timezones

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, NumberRange, Optional

from postern.blueprints.web.forms import PanelForm, longest, required
from postern.settings import LANGUAGES

# What a database can hold as an id.
LARGEST_ID = 2**31 - 1


class PasswordForm(PanelForm):
    current_password = PasswordField(_l("Current password"), [required(), longest()])
    new_password = PasswordField(_l("New password"), [required(), longest()])
    confirm_password = PasswordField(
        _l("Confirm new password"),
        [required(), longest(), EqualTo("new_password", _l("The two passwords are not the same."))],
    )
    everywhere = BooleanField()
    devices_too = BooleanField(_l("Disconnect all devices too"))


class CheckForm(PanelForm):
    new_password = PasswordField()


class EndForm(PanelForm):
    """Only a button, for a browser or for the mail programs at an address."""

    device_id = IntegerField(validators=[Optional(), NumberRange(0, LARGEST_ID)])
    address = StringField(validators=[required(), longest(45)])


class PreferencesForm(PanelForm):
    language = SelectField(_l("Language"))
    timezone = SelectField(_l("Time zone"))

    def __init__(self, **values):
        super().__init__(**values)
        self.language.choices = [("", _l("As the browser asks")), *LANGUAGES.items()]
        self.timezone.choices = [("", _l("As the mail service has it")), *((zone, zone) for zone in _zones())]


@cache
def _zones() -> list[str]:
    """The zones that are named after places."""
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
