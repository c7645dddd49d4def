"""What forms share."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms.validators import InputRequired, Length

from postern.actions.text import Refused

from .words import translated

FIELD_LIMIT = 1024


class PanelForm(FlaskForm):
    """A form that takes an action's refusal as the error of the field that it names."""

    def refuse(self, refusal: Refused, otherwise: str) -> None:
        """Put the refusal's sentence beside its field, or beside the field `otherwise`."""
        field = self[refusal.field] if refusal.field in self else self[otherwise]
        field.errors = [*field.errors, translated(refusal)]


def required() -> InputRequired:
    return InputRequired(_l("This field is empty."))


def longest(count: int = FIELD_LIMIT) -> Length:
    return Length(max=count, message=_l("This is too long."))
