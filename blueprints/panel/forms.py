"""Forms of every signed-out page."""

from wtforms import SelectField, StringField

from blueprints.web.forms import PanelForm, longest
from settings import LANGUAGES


class LanguageForm(PanelForm):
    language = SelectField(choices=list(LANGUAGES.items()))
    next = StringField(validators=[longest()])
