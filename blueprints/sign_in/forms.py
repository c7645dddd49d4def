"""Forms of the ways in."""

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField, StringField

from blueprints.web.forms import PanelForm, longest, required


class SignInForm(PanelForm):
    login = StringField(_l("E-mail address"), [required(), longest(254)])
    password = PasswordField(_l("Password"), [required(), longest()])


class ForgottenForm(PanelForm):
    login = StringField(_l("E-mail address"), [required(), longest(254)])
