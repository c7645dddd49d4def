"""Forms behind one-time links."""

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField
from wtforms.validators import EqualTo

from blueprints.web.forms import PanelForm, longest, required


class NewPasswordForm(PanelForm):
    new_password = PasswordField(_l("New password"), [required(), longest()])
    confirm_password = PasswordField(
        _l("Confirm new password"),
        [required(), longest(), EqualTo("new_password", _l("The two passwords do not match."))],
    )
