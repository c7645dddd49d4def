"""Forms about collaborators."""

from functools import reduce
from operator import or_

from flask_babel import lazy_gettext as _l
from wtforms import SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import CheckboxInput

from actions.authority import permissions
from actions.collaborations.collaborations import Person
from blueprints.web.forms import PanelForm, longest, required
from settings import LANGUAGES

LANGUAGE_CHOICES = [SelectChoice(code, name) for code, name in LANGUAGES.items()]
# Reading comes with every collaboration.
CHOSEN = tuple(each for each in permissions.EACH if each.bit != permissions.READ)


class PersonForm(PanelForm):
    """The first step: who."""

    first_name = StringField(_l("First name"), [required(), longest()])
    last_name = StringField(_l("Last name"), [required(), longest()])
    reference_email = StringField(_l("Reference e-mail"), [required(), longest()])
    user_name = StringField(_l("User name"), [longest()])
    language = SelectField(_l("Language of e-mails"), choices=LANGUAGE_CHOICES, validate_choice=False)

    @property
    def person(self) -> Person:
        fields = (self.first_name, self.last_name, self.reference_email, self.user_name, self.language)
        return Person(*(field.data or "" for field in fields))


class PermissionsForm(PanelForm):
    """What a collaborator may do; the action adds what a choice brings with it."""

    permissions = SelectMultipleField(
        _l("Permissions"),
        coerce=int,
        choices=[SelectChoice(each.bit, each.word) for each in CHOSEN],
        option_widget=CheckboxInput(),
    )

    @property
    def chosen(self) -> int:
        return reduce(or_, self.permissions.data or [], permissions.READ)


class NewCollaboratorForm(PersonForm, PermissionsForm):
    """The second step, which brings the first one along."""
