"""What forms share."""

from functools import cache

from flask import request
from flask_babel import get_domain, gettext
from flask_babel import lazy_gettext as _l
from jinja2 import Undefined
from markupsafe import Markup, _escape_inner, escape
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import Form
from wtforms.validators import InputRequired, Length
from wtforms.widgets import Input
from wtforms.widgets.core import clean_key

from actions.ground.refusals import N_, Refused

from .guards import SAFE_METHODS
from .lean_templates import trusted
from .words import translated

FIELD_LIMIT = 1024
# For a form: what this request sent.
SENT = object()


# What WTForms itself may say of a field, for the translators.
BUILT_IN = (N_("Not a valid choice."), N_("Not a valid date value."), N_("Not a valid integer value."))


def attributes(**given: object) -> Markup:
    """An input's attributes as WTForms writes them, in their order, without a formatter for each."""
    written = [
        _name(name) if value is True else f'{_name(name)}="{_quoted(value)}"'
        for name, value in sorted(given.items())
        if value is not False
    ]
    return trusted(" ".join(written))


def xmlattr(given: dict[str, object]) -> Markup:
    """Jinja's filter of this name, for attributes whose names stand in templates: each after a space."""
    shown = (each for each in given.items() if not (each[1] is None or isinstance(each[1], Undefined)))
    return trusted("".join([f' {name}="{_escaped(value)}"' for name, value in shown]))


def _escaped(value: object) -> str:
    return _escape_inner(value) if type(value) is str else escape(value)


_name = cache(clean_key)


def _quoted(value: object) -> str:
    """A value between quotes. HTML may have some of its own, which would end the attribute."""
    return _escape_inner(value) if type(value) is str else str.replace(escape(value), '"', "&quot;")


# Where WTForms lets it be put.
Input.html_params = staticmethod(attributes)


class Words:
    """WTForms' own sentences in the person's language, from the same catalogue as all others."""

    gettext = staticmethod(gettext)

    @staticmethod
    def ngettext(singular: str, plural: str, count: int) -> str:
        """Without Flask-Babel's own filling in of placeholders: WTForms fills them in."""
        return get_domain().get_translations().ngettext(singular, plural, count)


class PanelForm(Form):
    """A form that holds what was sent by this request, unless it is given something else; and that takes an action's
    refusal as the error of the field that it names. Its token was checked before (`form_tokens`)."""

    class Meta(Form.Meta):
        def get_translations(self, form) -> type[Words]:
            return Words

    def __init__(self, formdata: object = SENT, **values: object):
        super().__init__(_sent() if formdata is SENT else formdata, **values)

    @staticmethod
    def is_submitted() -> bool:
        """Whether this request sends a form."""
        return request.method not in SAFE_METHODS

    def refuse(self, refusal: Refused, otherwise: str) -> None:
        """Put the sentence of each part beside its field, or beside the field `otherwise`. What the form itself says of
        a field stands alone."""
        said = {field.name for field in self if field.errors}
        for part in refusal.parts:
            field = self[part.field if part.field in self else otherwise]
            if field.name not in said:
                field.errors = [*field.errors, translated(part)]


def _sent() -> MultiDict | None:
    """Fields and files of a form; None where none was sent."""
    if request.method in SAFE_METHODS:
        return None
    return CombinedMultiDict((request.files, request.form)) if request.files else request.form or None


def required() -> InputRequired:
    return InputRequired(_l("This field is empty."))


def longest(count: int = FIELD_LIMIT) -> Length:
    return Length(max=count, message=_l("This is too long."))
