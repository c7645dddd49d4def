"""Forms about the users of a service."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, IntegerField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional
from wtforms.widgets import HiddenInput

from actions.ground import sizes
from actions.ground.sizes import Size
from actions.users import renaming, users
from actions.users.renaming import Forwarding
from actions.users.users import Password, Profile
from blueprints.web.forms import PanelForm, longest, required
from models import Account, Mailbox

UNITS = [SelectChoice("MB", _l("MB")), SelectChoice("GB", _l("GB"))]
STATES = {Account.ACTIVE: _l("Active"), Account.SUSPENDED: _l("Suspended"), Account.LOCKED: _l("Locked")}
INVITATION, PASSWORD = "invitation", "password"
REFUSED, FOR_DAYS, UNTIL_ENDED = "refused", "days", "until-ended"


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

    @property
    def profile(self) -> Profile:
        """Raises `Refused` for a quota that is none."""
        texts = {name: self[name].data or "" for name in users.PROFILE}
        return Profile(quota_bytes=sizes.parsed(self.quota.data or "", self.unit.data), **texts)

    @property
    def typed_password(self) -> Password:
        return Password(self.new_password.data, self.must_change.data)


class NewUserForm(UserForm):
    address = StringField(_l("E-mail address"), [required(), longest()])
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
        account, size = mailbox.account, Size(mailbox.quota_bytes)
        amount, unit = (str(size.amount), size.unit) if size.bytes else ("", "GB")
        super().__init__(obj=account, quota=amount, unit=unit)
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


class PasswordCheckForm(PanelForm):
    new_password = PasswordField()


class RemovalForm(PanelForm):
    confirmation = StringField(_l("Mailbox address"), [longest()])
