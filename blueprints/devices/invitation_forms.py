"""Forms of invitations."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, RadioField, StringField

from blueprints.web.forms import PanelForm, longest, required

from .device_forms import DeviceForm, choices, program_field


class InvitationForm(DeviceForm):
    email = StringField(_l("E-mail address"), [required(), longest(254)])
    mailed = BooleanField(_l("Send the link to this address"), default=True)


class UserInvitationForm(DeviceForm):
    """A manager's invitation: it goes to one of the user's own addresses, which it is given."""

    email = RadioField(_l("Send the link to"))

    def __init__(self, addresses: list[str]):
        super().__init__()
        self.email.choices = choices({address: address for address in addresses})
        self.email.data = self.email.data or addresses[0]


class ResendForm(PanelForm):
    mailed = BooleanField(_l("Send the link by e-mail"), default=True)


class CodeForm(PanelForm):
    code = StringField(_l("Code"), [required(), longest(40)])


class ProgramForm(PanelForm):
    program = program_field()
