"""Phone numbers: one stored form for all the ways in which people write them, and a sentence for what is none."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.ground.phone_numbers import accepted, canonical, international
from actions.ground.refusals import Refused
from settings import Settings

MOBILE = "+393331234567"


@pytest.mark.parametrize(
    ("written", "region", "stored"),
    [
        ("+39 333 123 4567", "", MOBILE),
        ("+39-333–123—4567", "", MOBILE),
        ("(+39) 333/123.4567", "", MOBILE),
        (" \t+39\u00a0333\u2009123 4567\n", "", MOBILE),
        # As it comes from an address book.
        ("\u202a+39 333 123 4567\u202c", "", MOBILE),
        ("＋39 333 123 4567", "", MOBILE),
        ("+٣٩ ٣٣٣ ١٢٣ ٤٥٦٧", "", MOBILE),
        ("333 123 4567", "IT", MOBILE),
        ("0039 333 123 4567", "IT", MOBILE),
        ("+39 333 123 4567", "RU", MOBILE),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("0532 123 45 67", "TR", "+905321234567"),
        ("+90 (532) 123 45 67", "", "+905321234567"),
        ("+34 612 34 56 78", "", "+34612345678"),
        ("+44 (0)7400 123456", "", "+447400123456"),
        ("+1 201-555-0123", "", "+12015550123"),
        # A mobile phone or a landline: nobody can tell in North America.
        ("+1 415 555 2671", "", "+14155552671"),
        # Over the internet, and personal: some take messages.
        ("+883 5100 1234 5678", "", "+883510012345678"),
        ("+44 7012 345678", "", "+447012345678"),
    ],
)
def test_a_number_is_stored_in_one_form_however_it_is_written(written, region, stored):
    assert canonical(written, region) == stored


@pytest.mark.parametrize(
    ("written", "region", "part_of_the_sentence"),
    [
        ("", "", "Enter a phone number"),
        (" \u200b ", "IT", "Enter a phone number"),
        ("333 123 4567", "", "Begin the phone number with +"),
        ("0039 333 123 4567", "", "Begin the phone number with +"),
        ("112", "", "Begin the phone number with +"),
        ("+999 333 123 4567", "", "No country has the code"),
        ("+39 333", "", "does not exist"),
        ("+39 333 123 4567 8901", "", "does not exist"),
        ("+7 000 000 00 00", "", "does not exist"),
        ("1-800-FLOWERS", "US", "in digits"),
        ("+39 333 LIBERO", "", "in digits"),
        ("anna@example.org", "IT", "in digits"),
        ("+39 333 123 4567 ext. 5", "", "in digits"),
        ("+39 333 123 4567#5", "", "in digits"),
        ("tel:+393331234567", "", "in digits"),
        ("+39 333 123 4567, +39 333 123 4568", "", "in digits"),
        ("+39 333 123 4567\r\nX-Kannel-To: +1", "", "in digits"),
        ("+39 333\n123 4567", "", "in digits"),
        ("+39\0333 123 4567", "", "in digits"),
        ("+39 333 123 4567" + " " * 40 + "1", "", "in digits"),
        ("1" * 10_000, "IT", "in digits"),
        ("+", "IT", "in digits"),
        ("()-/", "IT", "in digits"),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(written, region, part_of_the_sentence):
    with pytest.raises(Refused, match=part_of_the_sentence.replace("+", r"\+")) as refusal:
        canonical(written, region)
    assert refusal.value.field == "phone"


@pytest.mark.parametrize(
    ("written", "region", "kind", "stored"),
    [
        ("+39 899 123 456", "", "premium", "+39899123456"),
        ("899 123 456", "IT", "premium", "+39899123456"),
        ("+1 900 555 0123", "", "premium", "+19005550123"),
        ("+979 1 1234 5678", "", "premium", "+979112345678"),
        ("+39 848 123 456", "", "shared-cost", "+39848123456"),
        ("12345", "RU", "short", "12345"),
    ],
)
def test_what_costs_more_than_a_message_is_for_the_settings_to_allow(written, region, kind, stored):
    everything_else = {"premium", "shared-cost", "short"} - {kind}
    for allowed in ((), everything_else):
        with pytest.raises(Refused):
            canonical(written, region, allowed)
    assert canonical(written, region, [kind]) == stored


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("06 1234 5678", "IT"),
        ("+44 20 7946 0958", ""),
        ("+90 212 123 45 67", ""),
        ("+39 800 123 456", ""),
        ("+1 800 555 0123", ""),
        ("+800 1234 5678", ""),
        # A pager, and the number of a company.
        ("+44 7600 123456", ""),
        ("+44 300 123 4567", ""),
    ],
)
def test_a_number_that_no_text_message_can_reach_is_refused(written, region):
    with pytest.raises(Refused, match="Text messages cannot reach") as refusal:
        canonical(written, region, ("premium", "shared-cost", "short"))
    assert refusal.value.field == "phone"
    assert refusal.value.facts["number"].startswith("+")


@pytest.mark.parametrize("typed", ["+390612345678", " +39 06 1234 5678 "])
def test_a_number_that_was_stored_before_stays(typed):
    assert accepted(Settings(), typed, stored="+390612345678") == "+390612345678"
    with pytest.raises(Refused):
        accepted(Settings(), typed, stored="+390612345679")


@pytest.mark.parametrize(("number", "region"), [("112", "IT"), ("911", "US"), ("102", "RU"), ("155", "TR")])
def test_an_emergency_number_is_never_taken(number, region):
    with pytest.raises(Refused, match="short number"):
        canonical(number, region, ("premium", "shared-cost", "short"))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [(MOBILE, "+39 333 123 4567"), ("+79123456789", "+7 912 345-67-89"), ("+905321234567", "+90 532 123 45 67")],
)
def test_a_number_is_shown_as_people_read_it(stored, shown):
    assert international(stored) == shown
    assert canonical(shown) == stored


def test_a_short_number_is_shown_as_it_is():
    assert international("12345") == "12345"


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=45) | st.text("+0123456789 -()", max_size=20),
    st.sampled_from(["", *sorted(phonenumbers.SUPPORTED_REGIONS)]),
)
def test_whatever_is_typed_is_stored_in_one_form_or_refused(written, region):
    try:
        stored = canonical(written, region)
    except Refused as refusal:
        assert refusal.field == "phone"
        return
    assert canonical(stored) == stored == canonical(international(stored), region)
    assert stored.startswith("+") and stored[1:].isascii() and stored[1:].isdigit()
