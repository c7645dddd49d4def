"""What forms share."""

from flask_babel import get_domain, gettext
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from markupsafe import Markup, escape
from wtforms.validators import InputRequired, Length
from wtforms.widgets import Input
from wtforms.widgets.core import clean_key

from actions.ground.refusals import N_, Refused

from .words import translated

FIELD_LIMIT = 1024


# What WTForms itself may say of a field, for the translators.
BUILT_IN = (N_("Not a valid choice."), N_("Not a valid date value."), N_("Not a valid integer value."))


def attributes(**given: object) -> Markup:
    """An input's attributes as WTForms writes them, in their order, without a formatter for each."""
    written = [_attribute(clean_key(name), value) for name, value in sorted(given.items()) if value is not False]
    return Markup(" ".join(written))  # noqa: S704 - each is escaped


def _attribute(name: str, value: object) -> str:
    # HTML may have quotes of its own, which would end the attribute.
    return name if value is True else f'{name}="{str(escape(value)).replace(chr(34), "&quot;")}"'


# Where WTForms lets it be put.
Input.html_params = staticmethod(attributes)


class Words:
    """WTForms' own sentences in the person's language, from the same catalogue as all others."""

    gettext = staticmethod(gettext)

    @staticmethod
    def ngettext(singular: str, plural: str, count: int) -> str:
        """Without Flask-Babel's own filling in of placeholders: WTForms fills them in."""
        return get_domain().get_translations().ngettext(singular, plural, count)


class PanelForm(FlaskForm):
    """A form that takes an action's refusal as the error of the field that it names."""

    class Meta(FlaskForm.Meta):
        def get_translations(self, form) -> type[Words]:
            return Words

    def refuse(self, refusal: Refused, otherwise: str) -> None:
        """Put the sentence of each part beside its field, or beside the field `otherwise`. What the form itself says of
        a field stands alone."""
        said = {field.name for field in self if field.errors}
        for part in refusal.parts:
            field = self[part.field if part.field in self else otherwise]
            if field.name not in said:
                field.errors = [*field.errors, translated(part)]


def required() -> InputRequired:
    return InputRequired(_l("This field is empty."))


def longest(count: int = FIELD_LIMIT) -> Length:
    return Length(max=count, message=_l("This is too long."))
