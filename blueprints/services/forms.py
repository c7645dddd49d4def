"""Forms about the users of a service."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, IntegerField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional, ValidationError
from wtforms.widgets import HiddenInput

from actions.ground import sizes
from actions.ground.addresses import canonical_login, trimmed
from actions.ground.refusals import Refused
from actions.ground.sizes import Size
from actions.users import renaming, users
from actions.users.renaming import Forwarding
from actions.users.users import Password, Profile
from blueprints.web.forms import PanelForm, longest, required
from blueprints.web.words import translated
from models import Account, Mailbox

UNITS = [SelectChoice("MB", _l("MB")), SelectChoice("GB", _l("GB"))]
STATES = {Account.ACTIVE: _l("Active"), Account.SUSPENDED: _l("Suspended"), Account.LOCKED: _l("Locked")}
INVITATION, PASSWORD = "invitation", "password"
REFUSED, FOR_DAYS, UNTIL_ENDED = "refused", "days", "until-ended"


def as_typed(quota_bytes: int) -> dict[str, str]:
    """A quota as it stands in its two fields."""
    size = Size(quota_bytes)
    return {"quota": str(size.amount), "unit": size.unit} if size.bytes else {"quota": "", "unit": "GB"}


class UserForm(PanelForm):
    """What a manager keeps of a user."""

    first_name = StringField(_l("First name"), [longest()])
    last_name = StringField(_l("Last name"), [longest()])
    contact_email = StringField(_l("Contact e-mail"), [longest()])
    phone = StringField(_l("Phone"), [longest()])
    quota = StringField(_l("Quota"), [longest()])
    unit = SelectField(_l("Unit of the quota"), choices=UNITS, default="GB")
    new_password = PasswordField(_l("New password"), [longest()])
    must_change = BooleanField(_l("Must be changed at the next sign-in"), default=True)

    def validate_quota(self, field: StringField) -> None:
        try:
            sizes.parsed(field.data or "", self.unit.data)
        except Refused as refusal:
            raise ValidationError(translated(refusal)) from None

    @property
    def profile(self) -> Profile:
        """What was typed, once the form was validated; without a quota that is none."""
        texts = {name: self[name].data or "" for name in users.PROFILE}
        quota = 0 if self.quota.errors else sizes.parsed(self.quota.data or "", self.unit.data)
        return Profile(quota_bytes=quota, **texts)

    @property
    def typed_password(self) -> Password:
        return Password(self.new_password.data, self.must_change.data)


class AddressForm(PanelForm):
    """An address of the service: what is before the @ and a domain, or the whole of it in one."""

    address = StringField(_l("E-mail address"), [required(), longest()])
    domain = StringField(_l("Domain"), [longest()])

    @property
    def whole_address(self) -> str:
        typed, domain = self.address.data or "", self.domain.data or ""
        return f"{trimmed(typed)}@{domain}" if typed and domain and "@" not in typed else typed


class NewUserForm(AddressForm, UserForm):
    way = RadioField(
        _l("The password"),
        choices=[
            SelectChoice(INVITATION, _l("They set it themselves")),
            SelectChoice(PASSWORD, _l("Set it here")),
        ],
        default=INVITATION,
    )

    @property
    def password(self) -> Password | None:
        return self.typed_password if self.way.data == PASSWORD else None


class EditForm(UserForm):
    revision = IntegerField(validators=[required()], widget=HiddenInput())
    state = SelectField(_l("State"))
    change_password = BooleanField(_l("Change password"))

    def __init__(self, mailbox: Mailbox):
        account = mailbox.account
        super().__init__(obj=account, **as_typed(mailbox.quota_bytes))
        offered = dict.fromkeys([account.state, Account.ACTIVE, Account.SUSPENDED])
        self.state.choices = [SelectChoice(state, STATES[state]) for state in offered]

    @property
    def profile(self) -> Profile:
        return users.with_state(super().profile, self.state.data)

    @property
    def password(self) -> Password | None:
        return self.typed_password if self.change_password.data else None


class QuotaForm(PanelForm):
    """One quota for several users."""

    quota = StringField(_l("Quota"), [longest()])
    unit = SelectField(_l("Unit of the quota"), choices=UNITS, default="GB")

    @property
    def quota_bytes(self) -> int:
        """Raises `Refused` for a quota that is none."""
        return sizes.parsed(self.quota.data or "", self.unit.data)


class RenamingForm(PanelForm):
    revision = IntegerField(validators=[required()], widget=HiddenInput())
    address = StringField(_l("New address"), [required(), longest()])
    former_address = RadioField(
        _l("Mail to the former address"),
        choices=[
            SelectChoice(REFUSED, _l("Is refused")),
            SelectChoice(FOR_DAYS, _l("Still arrives for some days")),
            SelectChoice(UNTIL_ENDED, _l("Still arrives until you end it")),
        ],
        default=REFUSED,
    )
    days = IntegerField(_l("Number of days"), [Optional()], default=renaming.USUAL_DAYS)

    @property
    def forwarding(self) -> Forwarding | None:
        """Raises `Refused` where the number of days is missing."""
        if self.former_address.data == REFUSED:
            return None
        return Forwarding(renaming.checked_days(self.days.data) if self.former_address.data == FOR_DAYS else None)


class PasswordCheckForm(AddressForm):
    """A password, and whose it is to be."""

    new_password = PasswordField()
    first_name = StringField()
    last_name = StringField()

    @property
    def account(self) -> Account:
        names = {"first_name": self.first_name.data or "", "last_name": self.last_name.data or ""}
        return Account(login=canonical_login(self.whole_address), **names)


class RemovalForm(PanelForm):
    confirmation = StringField(_l("Mailbox address"), [longest()])
