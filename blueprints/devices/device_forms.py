"""What the forms and pages about devices share."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import or_

from flask import Response, abort, request
from flask_babel import lazy_gettext as _l
from wtforms import DateField, RadioField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional, ValidationError
from wtforms.widgets import CheckboxInput

from actions.devices import devices, mail_programs, set_up
from actions.devices.devices import DESCRIBED, ICONS, LONGEST_LIFE, MadeDevice, WantedDevice
from blueprints.web import days, guards, of_user
from blueprints.web.downloads import apple_download
from blueprints.web.forms import PanelForm, longest, required
from blueprints.web.visitor import current_user
from models import Account, Device

ICON_WORDS = {
    "smartphone": _l("Smartphone"),
    "tablet": _l("Tablet"),
    "laptop": _l("Laptop"),
    "monitor": _l("Computer"),
    "printer": _l("Printer or scanner"),
    "server": _l("Server or service"),
    "mail": _l("Mail program"),
}
PROTOCOL_WORDS = {Device.IMAP: _l("IMAP"), Device.POP3: _l("POP3"), Device.SENDING: _l("Sending (SMTP)")}
APPLE, THUNDERBIRD, OUTLOOK, ANDROID, OTHER = "apple", "thunderbird", "outlook", "android", "other"
PROGRAM_WORDS = {
    APPLE: _l("iPhone, iPad or Mac"),
    ANDROID: _l("Android phone or tablet"),
    THUNDERBIRD: _l("Thunderbird on a computer"),
    OUTLOOK: _l("Outlook"),
    OTHER: _l("Another mail program"),
}
# What browsers of devices say that have one mail program which most people use.
TELLING = ((re.compile("iPhone|iPad|Macintosh"), APPLE), (re.compile("Android"), ANDROID))
MAILBOX = "mailbox"
USUAL_PROTOCOLS = [Device.IMAP, Device.SENDING]


def choices(words: Mapping) -> list[SelectChoice]:
    """What a field offers: values and their words."""
    return [SelectChoice(value, word) for value, word in words.items()]


ICON_CHOICES = choices({icon: ICON_WORDS[icon] for icon in ICONS})


def likely_program() -> str:
    """The program that somebody probably sets up who opens the page with this browser."""
    said = request.user_agent.string
    return next((program for words, program in TELLING if words.search(said)), OTHER)


def program_field() -> RadioField:
    """The question that comes before a password is handed over: one way is shown, that of the chosen program."""
    return RadioField(_l("What do you want to set up?"), choices=choices(PROGRAM_WORDS), default=likely_program)


class DescriptionForm(PanelForm):
    """What a device is known by."""

    icon = RadioField(_l("Icon"), choices=ICON_CHOICES)
    name = StringField(_l("Name"), [required(), longest()])

    @property
    def described(self) -> dict[str, str]:
        return {each: self[each].data for each in DESCRIBED}


class DeviceForm(DescriptionForm):
    """The same with protocols and expiry: a device that is to be made."""

    icon = RadioField(_l("Icon"), choices=ICON_CHOICES, default=ICONS[0])
    protocols = SelectMultipleField(
        _l("What it can do"),
        coerce=int,
        choices=choices(PROTOCOL_WORDS),
        default=USUAL_PROTOCOLS,
        option_widget=CheckboxInput(),
    )
    expires_at = DateField(_l("Last day it works"), [Optional()])

    def validate_expires_at(self, field: DateField) -> None:
        """Days so far away that the calendar ends are refused before anybody computes with them."""
        today = datetime.now(UTC).date()
        if field.data and abs(field.data - today) > timedelta(seconds=LONGEST_LIFE):
            raise ValidationError(_l("The expiry must be a day in the future, within ten years."))

    def wanted(self, user: str = "") -> WantedDevice:
        """The device that the form asks for; `user` is the login it is for."""
        protocols = reduce(or_, self.protocols.data or [], 0)
        expires_at = _end_of(self.expires_at.data)
        return WantedDevice(**self.described, protocols=protocols, user=user, expires_at=expires_at)


def looked_after() -> list[Account]:
    """The accounts whose devices a page may be about: the user whom the address names; where it names none, those whose
    devices the signed-in account sees."""
    named = of_user.mailbox()
    return [named.account] if named else devices.looked_after(current_user.account)


def acted_for() -> Account:
    """Whose devices a page is about: the named user's; the signed-in account's own or, with `of=mailbox` in the
    address, those of the mailbox's owner, for a collaborator who keeps its settings. Anybody else gets a 404."""
    if named := of_user.mailbox():
        return named.account
    own = request.args.get("of") != MAILBOX
    found = (each for each in devices.looked_after(current_user.account) if (each.id == current_user.account.id) == own)
    return next(found, None) or abort(404)


def offer_protocols(form: PanelForm, account: Account) -> None:
    """Offer only what a device of this account may do in the hands of the signed-in one."""
    allowed = devices.may_hand_out(current_user.account, account)
    form.protocols.choices = choices({each: word for each, word in PROTOCOL_WORDS.items() if each & allowed})


def protocol_words(protocols: int) -> list[str]:
    """The protocols of a device in words."""
    return [str(word) for protocol, word in PROTOCOL_WORDS.items() if protocols & protocol]


def handover(made: MadeDevice, program: str) -> dict:
    """What the page shows that hands a device's password over: this once, and never again. The way of this program
    comes first."""
    device = made.device
    settings, account = guards.ports().settings, device.account
    return {
        "device": device,
        "program": program,
        "secret": made.password,
        "servers": mail_programs.recommended(settings, account.login, device.protocols),
        "can_have_profile": can_have_profile(device),
        "qr_code": set_up.thunderbird_qr(settings, account, made.password, device.protocols),
    }


def can_have_profile(device: Device) -> bool:
    """Whether there is an Apple profile for it: for reading mail, not for sending alone."""
    return bool(device.protocols & (Device.IMAP | Device.POP3))


def profile_of(made: MadeDevice) -> Response:
    """The Apple configuration profile of a device with its password, to be downloaded."""
    device = made.device
    account = device.account
    content = set_up.apple_profile(guards.ports().settings, account, device.name, made.password, device.protocols)
    return apple_download(content, account.login.replace("/", "-"))


def _end_of(day: date | None) -> int | None:
    """The moment when this day is over in the person's time zone, in seconds since the epoch."""
    if day is None:
        return None
    return days.last_second(day) + 1
