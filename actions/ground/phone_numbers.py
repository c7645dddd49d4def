"""Phone numbers: E.164 for storage, and the international form for people.

libphonenumber knows which numbers exist and which of them cost more than a message. It is imported for
the first number.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from actions.ground.refusals import N_, Refused
from settings import Settings

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

FIELD = "phone"
LONGEST = 40
SHORT = re.compile(r"[0-9]{3,6}")
# The characters that people write between the digits.
SIGNS = frozenset("+＋().-/ ")
# All kinds of space and of dash count as one; formatting marks are dropped.
SAME = {"Zs": " ", "Pd": "-", "Cf": ""}
PREMIUM = N_("%(number)s is a premium-rate number. Enter another number.")
SHARED_COST = N_("%(number)s is a shared-cost number. Enter another number.")
COSTLY = {"PREMIUM_RATE": ("premium", PREMIUM), "SHARED_COST": ("shared-cost", SHARED_COST)}
# The kinds that take no text message. Some numbers over the internet and personal ones do, and so do many of those
# whose kind libphonenumber does not know.
WITHOUT_MESSAGES = ("FIXED_LINE", "TOLL_FREE", "PAGER", "UAN", "VOICEMAIL")


def accepted(settings: Settings, text: str, stored: str = "") -> str:
    """`canonical`, with the region and the kinds that the host's settings name. The number that is `stored` already
    stays, whatever the rules say by now."""
    if stored and text.strip() in (stored, international(stored)):
        return stored
    return canonical(text, settings.phone_region, settings.phone_allow)


def takes_messages(number: str) -> bool:
    """Whether a text message can reach a stored number."""
    return not number.startswith("+") or _kind(_library().parse(number)) not in WITHOUT_MESSAGES


def canonical(text: str, default_region: str = "", allowed: Collection[str] = ()) -> str:
    """A number in stored form, such as "+393331234567"; raises `Refused` when it is invalid or may not be used.

    A number without a country code belongs to `default_region` (ISO 3166, such as "IT"), and is refused if that is
    empty. `allowed` names the kinds that are accepted although they may cost more: the settings' `phone_allow`. Where
    short numbers are allowed, they are stored as their digits. Emergency numbers are always refused, and so are those
    that no text message can reach, such as landlines.
    """
    written = _written(text)
    number = _parsed(written, default_region)
    if _is_short(written, number, default_region):
        return _short(written, default_region, allowed)
    if not _library().is_valid_number(number):
        raise Refused(N_("The phone number %(number)s does not exist. Check the digits."), FIELD, number=_shown(number))
    kind, sentence = COSTLY.get(_kind(number), ("", ""))
    if kind and kind not in allowed:
        raise Refused(sentence, FIELD, number=_shown(number))
    stored = _library().format_number(number, _library().PhoneNumberFormat.E164)
    if not takes_messages(stored):
        sentence = N_("Text messages cannot reach %(number)s. Enter the number of a mobile phone.")
        raise Refused(sentence, FIELD, number=_shown(number))
    return stored


def international(number: str) -> str:
    """A stored number in the form that people read: "+39 333 123 4567"."""
    if not number.startswith("+"):
        return number
    return _shown(_library().parse(number))


def _written(text: str) -> str:
    """The typed text with one kind of space and of dash, and without an address book's invisible marks."""
    written = "".join(SAME.get(unicodedata.category(each), each) for each in text.strip()).strip()
    if not written:
        raise Refused(N_("Enter a phone number."), FIELD)
    if len(written) > LONGEST or not all(each in SIGNS or each.isdecimal() for each in written):
        raise Refused(N_("Enter the phone number in digits, such as +39 333 123 4567."), FIELD)
    return written


def _parsed(written: str, default_region: str) -> "PhoneNumber":
    library = _library()
    try:
        return library.parse(written, default_region or None)
    except library.NumberParseException as trouble:
        if trouble.error_type != library.NumberParseException.INVALID_COUNTRY_CODE:
            sentence = N_("Enter the phone number in digits, such as +39 333 123 4567.")
        elif written.startswith(("+", "＋")):
            sentence = N_("No country has the code that this phone number begins with.")
        else:
            sentence = N_("Begin the phone number with + and the country code, such as +39 333 123 4567.")
        raise Refused(sentence, FIELD) from None


def _is_short(written: str, number: "PhoneNumber", region: str) -> bool:
    return bool(SHORT.fullmatch(written)) and not _library().is_valid_number_for_region(number, region)


def _short(written: str, region: str, allowed: Collection[str]) -> str:
    if "short" not in allowed or _library().connects_to_emergency_number(written, region):
        raise Refused(N_("%(number)s is a short number. Enter another number."), FIELD, number=written)
    return written


def _shown(number: "PhoneNumber") -> str:
    return _library().format_number(number, _library().PhoneNumberFormat.INTERNATIONAL)


@cache
def _library() -> ModuleType:
    import phonenumbers

    return phonenumbers


def _kind(number: "PhoneNumber") -> str:
    """The name of a kind of number, such as FIXED_LINE."""
    return _library().PhoneNumberType.to_string(_library().number_type(number))
