"""Forms about devices."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, HiddenField, RadioField, StringField
from wtforms.validators import ValidationError

from blueprints.web.forms import PanelForm, longest, required

from .device_forms import DeviceForm, choices, program_field

NOBODY, USER = "nobody", "user"


class NewDeviceForm(DeviceForm):
    program = program_field()
    whom = RadioField(_l("For"), choices=choices({NOBODY: _l("Me"), USER: _l("Somebody else")}), default=NOBODY)
    user = StringField(_l("The user's e-mail address"), [longest(254)])
    # Random in each form that is shown: the same form sent twice makes one device.
    request_id = HiddenField(validators=[required(), longest(128)])

    def validate_user(self, field: StringField) -> None:
        if self.whom.data == USER and not (field.data or "").strip():
            raise ValidationError(_l("Enter the address of the user."))

    @property
    def login(self) -> str:
        """The login of the user it is for, or empty."""
        return self.user.data or "" if self.whom.data == USER else ""


class RequirementForm(PanelForm):
    required = BooleanField()
