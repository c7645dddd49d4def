"""Addresses and domains in stored form: what is served, what is refused with which reason, and how people read them."""

import string

import pytest

from actions.ground.addresses import (
    SERVED_SIGNS,
    SIGNS,
    canonical_address,
    canonical_contact,
    canonical_domain,
    canonical_login,
    trimmed,
    with_ascii_domain,
)
from actions.ground.domain_names import readable
from actions.ground.refusals import Refused
from actions.ground.spreadsheet import SIGNS as FORMULA_SIGNS
from actions.ground.spreadsheet import as_it_was, safe
from adapters.dovecot.config import USER_NAME_CHARACTERS

AROUND = [
    "\u200b",
    "\ufeff",
    "\u202a",
    "\u202c",
    "\u2060",
    "\u00ad",
    "\u00a0",
    "\u3000",
    "\u2800",
    "\ufe0f",
]
DOORS = [canonical_address, canonical_contact, canonical_login, trimmed]
WITHIN = {
    "\u200b": "U+200B, zero width space",
    "\u200d": "U+200D, zero width joiner",
    "\u202e": "U+202E, right-to-left override",
    "\ufeff": "U+FEFF, zero width no-break space",
    "\u00a0": "U+00A0, no-break space",
    "\u3000": "U+3000, ideographic space",
    "\u00ad": "U+00AD, soft hyphen",
    "\u115f": "U+115F, hangul choseong filler",
    "\0": "U+0000",
}


def refusal_of(address: str, door=canonical_address) -> str:
    with pytest.raises(Refused) as refusal:
        door(address)
    return str(refusal.value)


@pytest.mark.parametrize("unseen", AROUND, ids=ascii)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_invisible_around_an_address_is_dropped(door, unseen):
    assert door(f"{unseen} anna@example.org{unseen} {unseen}") == "anna@example.org"


@pytest.mark.parametrize(("unseen", "named"), WITHIN.items(), ids=map(ascii, WITHIN))
@pytest.mark.parametrize("door", [canonical_address, canonical_contact])
def test_what_is_invisible_within_is_named(door, unseen, named):
    sentence = f"The address contains an invisible character ({named})."
    for address in (f"an{unseen}na@example.org", f"anna{unseen}@example.org", f"anna@exam{unseen}ple.org"):
        assert refusal_of(address, door) == sentence
    assert refusal_of(f"exam{unseen}ple.org", canonical_domain) == sentence


def test_each_sign_is_served_or_named():
    for sign in string.punctuation:
        address = f"a{sign}b@example.org"
        if sign in SERVED_SIGNS or sign == ".":
            assert canonical_address(address.upper()) == address
        elif sign in SIGNS:
            assert refusal_of(address).startswith(f"Addresses with “{sign}” before the @ are valid elsewhere")
        elif sign != "@":
            assert "is not a valid e-mail address" in refusal_of(address)
    assert set(SERVED_SIGNS) < set(SIGNS)


@pytest.mark.parametrize("address", ["_info@example.org", "a--b@example.org", "x-@example.org", "a.+b_@example.org"])
def test_what_was_served_and_an_underscore_in_front_are_served(address):
    assert canonical_address(address) == address


@pytest.mark.parametrize("local_part", ["-a", "+a", "=a", "'a", "&a", "~a", "#a", "a'", "a&", "a'=b", "a&-b", "a.'b"])
def test_a_sign_where_it_could_mean_something_is_named(local_part):
    assert "must stand between letters or digits here" in refusal_of(f"{local_part}@example.org")


@pytest.mark.parametrize(
    "address", ["", "anna", "@example.org", ".a@example.org", "a.@example.org", "a..b@example.org"]
)
def test_what_is_none_anywhere_is_said_to_be_none(address):
    assert "is not a valid e-mail address" in refusal_of(address)


def test_dovecot_lets_every_served_character_sign_in_and_none_that_means_something_to_it():
    assert set(SERVED_SIGNS) <= set(USER_NAME_CHARACTERS)
    assert not set('%*?"\\') & set(USER_NAME_CHARACTERS)


def test_no_address_is_a_formula_and_each_comes_back_from_a_spreadsheet():
    served = string.ascii_lowercase[:2] + "1._" + SERVED_SIGNS
    for local_part in (first + second + third for first in served for second in served for third in served):
        try:
            address = canonical_address(f"{local_part}@example.org")
        except Refused:
            continue
        assert address[0] not in FORMULA_SIGNS + "'"
        # As it is, and with the apostrophes that our tables put in.
        assert as_it_was(address) == as_it_was(safe(address)) == address


# --- international domains ---

STORED = "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "typed",
    [
        "bücher.example",
        "BÜCHER.Example",
        "bu\u0308cher.example.",
        STORED,
        STORED.upper(),
        "ｂücher。example",
        f"{STORED} ",
    ],
)
def test_a_domain_has_one_stored_form(typed):
    assert canonical_domain(typed) == STORED
    assert canonical_address(f"Anna@{typed}") == f"anna@{STORED}"
    assert canonical_login(f"carla/Anna@{typed}".removesuffix(".")) == f"carla/anna@{STORED}"


@pytest.mark.parametrize(
    "name",
    ["☃.example", "xn--a.example", "xn--.example", "xn--bcher-kva-.example", "ü" * 63 + ".example", "-ü.example"]
    + ["xn--example-.example", "a_b.example", "ü..example", "ü.example/x", "\ud800.example",],
)  # fmt: skip
def test_what_idna_refuses_is_refused(name):
    assert "is not a valid domain name" in refusal_of(name, canonical_domain)
    assert canonical_login(f"anna@{name}".lower()) == f"anna@{name}".lower()


def test_joiners_stand_where_idna_lets_them():
    persian = "نامه\u200cای.example"
    assert readable(canonical_domain(persian)) == persian


@pytest.mark.parametrize("name", ["bücher", "пример", "日本語", "ひらがな漢字ア", "ελλάδα", "नेपाल", "straße", "мир2"])
def test_people_read_a_domain_as_it_is_written(name):
    stored = canonical_domain(f"{name}.example")
    assert stored.isascii()
    assert readable(f"anna@{stored}") == f"anna@{name}.example"
    assert (
        readable(f"a@{stored}, b@example.org and {stored}.") == f"a@{name}.example, b@example.org and {name}.example."
    )
    assert with_ascii_domain(readable(f"anna@{stored}")) == f"anna@{stored}"


@pytest.mark.parametrize("name", ["аррӏе", "раураӏ", "abcдеф", "goοgle", "日本a", "o\u02bcneil", "1২"])
def test_what_could_pass_for_another_domain_is_shown_encoded(name):
    stored = canonical_domain(f"{name}.example")
    assert readable(stored) == stored


def test_web_addresses_and_what_is_no_name_stay_as_they_are():
    for text in (f"https://account.{STORED}/x?domain={STORED}&a={STORED}", "anna@xn--a.example", "xn--", "anna", ""):
        assert readable(text) == text
