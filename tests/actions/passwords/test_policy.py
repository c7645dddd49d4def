"""What a new password must be."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zxcvbn import matching, scoring, zxcvbn

from actions.ground.refusals import Refused
from actions.passwords import passphrase, password_strength, policy
from models import Account

NOBODY = Account(login="zz9@q7.aero")
PRINTABLE = st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs")), min_size=1, max_size=40)


def is_accepted(password: object, name: str = "classic", account: Account = NOBODY, blocklist: str = "") -> bool:
    try:
        policy.accepted(account, password, blocklist, name)
    except Refused as refusal:
        assert refusal.field == "new_password"
        assert str(refusal)
        return False
    return True


@pytest.mark.parametrize(
    ("password", "classic", "either", "modern"),
    [
        ("Vu7!kqzw", True, True, False),
        ("Vu7!kqz", False, False, False),
        ("vu7!kqzw", False, False, False),
        ("VU7!KQZW", False, False, False),
        ("Vux!kqzw", False, False, False),
        ("Vu7xkqzw", False, False, False),
        ("garden wolf pape", False, True, True),
        ("garden wolf pa", False, False, False),
        ("Garden wolf 7 paper", True, True, True),
        ("Жуk7!kqz", True, True, False),
        ("Vu7 kqzw", True, True, False),
        ("Vu7😀kqzw", True, True, False),
        ("{PLAIN}x9", True, True, False),
        ("' OR 1=1 Or'", True, True, False),
        ("$argon2id$v=19$M", True, True, True),
    ],
)
def test_each_policy_asks_for_what_it_says(password, classic, either, modern):
    assert [is_accepted(password, name) for name in policy.POLICIES] == [classic, either, modern]


@pytest.mark.parametrize("name", policy.POLICIES)
def test_128_characters_are_the_longest(name):
    longest = "Vu7!" + "kq" * 62
    assert len(longest) == policy.LONGEST
    assert is_accepted(longest, name)
    assert not is_accepted(longest + "x", name)
    assert not is_accepted(longest * 1000, name)


def refusal_of(password: str) -> str:
    with pytest.raises(Refused) as refused:
        policy.accepted(NOBODY, password, policy="classic")
    assert refused.value.field == "new_password"
    return str(refused.value)


@pytest.mark.parametrize(
    ("password", "named"),
    [
        ("Vu7!kqe\u0301zw", ("“é”", "U+0065 U+0301")),
        ("Vu7!kq\u1100\u1161zw", ("“가”", "U+1100 U+1161")),
        ("Vu7!kq\u2126zw", ("“Ω”", "U+2126")),
        ("Vu7!kqa\u0302\u0323zw", ("“â”", "U+0061 U+0302")),
        ("Vu7!kqx\u0302\u0323zw", ("U+0302 U+0323",)),
        ("Vu7!\u00a0kqzw", ("space", "U+00A0")),
        ("Vu7!\u3000kqzw", ("space", "U+3000")),
        ("Vu7!e\u0301\u2003zw", ("“é”", "U+0065 U+0301")),
        ("Vu7!kqzw\u00a0", ("space", "U+00A0")),
        ("Vu7!kqzw ", ("space", "U+0020")),
        ("Vu7!kqzw  ", ("space", "U+0020")),
        ("Vu7!kq\u200bzw", ("U+200B",)),
    ],
    ids=ascii,
)
def test_what_would_not_open_every_protocol_as_typed_is_refused_by_name(password, named):
    sentence = refusal_of(password)
    assert [each for each in named if each not in sentence] == []


@given(PRINTABLE)
def test_what_can_be_set_is_what_was_typed(text):
    try:
        given = policy.sendable(text)
    except Refused as refusal:
        assert refusal.field == "new_password"
        assert "U+" in str(refusal)
    else:
        assert given == text == policy.prepared(text)


def test_a_password_that_was_set_in_another_form_still_opens_the_panel():
    for typed, stored in (("Zoe\u0308-8", "Zoë-8"), ("Vu7\u00a0x", "Vu7 x"), ("Vu7 x ", "Vu7 x ")):
        assert policy.prepared(typed) == stored


@pytest.mark.parametrize(
    "character",
    ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\u0085", "\u200f", "\u202e", "\u2066", "\u200d", "\ufeff", "\ud800"],
)
def test_characters_that_mail_programs_cannot_send_are_refused(character):
    assert not is_accepted(f"Vu7!kq{character}zwxy")


@pytest.mark.parametrize("nothing", [None, "", [], ["Vu7!kqzw"], {"a": 1}, 7, 0.0, True, b"Vu7!kqzw"])
def test_what_is_no_text_is_refused(nothing):
    assert not is_accepted(nothing)


@given(PRINTABLE)
def test_typed_decomposed_is_the_password_sent_composed(text):
    try:
        composed = policy.prepared(unicodedata.normalize("NFC", text))
    except Refused:
        with pytest.raises(Refused):
            policy.prepared(unicodedata.normalize("NFD", text))
    else:
        assert policy.prepared(unicodedata.normalize("NFD", text)) == composed
        assert policy.prepared(composed) == composed


@given(st.text(max_size=300))
def test_preparing_answers_with_a_password_or_a_refusal(text):
    try:
        assert policy.prepared(text)
    except Refused as refusal:
        assert refusal.field == "new_password"


@pytest.mark.parametrize("wide", ["Ｖu7!kqzw", "Vu7!kq²w", "Vu7!kqﬁw"])
def test_compatibility_characters_stay_what_they_are(wide):
    assert policy.prepared(wide) == wide


@pytest.mark.parametrize("common", ["Password1!", "Letmein12!", "QWERTYuiop1!", "!!Dragon12"])
def test_common_passwords_are_refused_even_when_they_are_decorated(common):
    assert not is_accepted(common)


def test_a_common_long_password_is_refused_by_every_policy():
    assert not any(is_accepted("mailcreated5240", name) for name in policy.POLICIES)
    assert not any(is_accepted("123456789QWERTY", name) for name in policy.POLICIES)


def test_the_hosts_own_list_is_refused_in_any_case(tmp_path):
    listed = tmp_path / "blocklist"
    listed.write_text("vu7!KQZW\n\n  \nzürich8!aB\n", encoding="utf-8")
    assert not is_accepted("Vu7!kqzw", blocklist=str(listed))
    assert not is_accepted("Zürich8!aB", blocklist=str(listed))
    assert is_accepted("Vu7!kqzv", blocklist=str(listed))


@pytest.mark.parametrize(
    "personal",
    [
        "Chiara-7-garden",
        "garden-7-ROSSI",
        "Chiara.Rossi@Example.Org1",
        "My-Example-Word7",
        "xx-chiara.rossi-7A",
        "Zoélie-7-garden",
    ],
)
def test_what_others_know_about_the_person_is_refused(personal):
    account = Account(login="chiara.rossi@example.org", first_name="Chiara", last_name="Zoélie")
    assert is_accepted(personal)
    assert not is_accepted(personal, account=account)


def test_a_short_name_inside_a_word_is_no_reason_to_refuse():
    assert is_accepted("Garlic-7-Marimba", account=Account(login="al@q7.aero", first_name="Ali"))


@pytest.mark.parametrize("length", [1, 72, 73, 128, 129, 512, 20_000])
def test_strength_is_told_for_any_length(length):
    assert password_strength.of(NOBODY, "é" * length).score in range(5)


def test_strength_tells_weak_from_strong_and_nothing_for_an_empty_field():
    assert password_strength.of(NOBODY, "") is None
    assert password_strength.of(NOBODY, "Password1!").score < password_strength.of(NOBODY, "mT6#vq9!Lz2@xw").score


class Work:
    """Counts what zxcvbn does: how often it reckons a part of a password, and how often it looks for words in it."""

    def __init__(self, monkeypatch):
        self.reckoned = self.searched = self.asked = 0
        self._count(monkeypatch, scoring, "estimate_guesses", "reckoned")
        self._count(monkeypatch, matching, "dictionary_match", "searched")
        self._count(monkeypatch, password_strength, "_found", "asked")

    def _count(self, monkeypatch, module, name, counter):
        counted = getattr(module, name)

        def run(*given, **named):
            setattr(self, counter, getattr(self, counter) + 1)
            return counted(*given, **named)

        monkeypatch.setattr(module, name, run)


@pytest.fixture
def work(monkeypatch):
    monkeypatch.setattr(password_strength, "_remembered", {})
    return Work(monkeypatch)


HARD_TO_MEASURE = [
    *(letter * 128 for letter in "iI1!|la7x"),
    *(pair * 64 for pair in ("iI", "i1", "1l", "ia", "12", "ab")),
    "4@8({[<69!|10$5+7%23" * 6,
    "+1|7" * 32,
    "1i|!7l6g9" * 14,
    "the" * 42,
    "11/11/11" * 16,
    "123456789" * 14,
]


@pytest.mark.parametrize("password", HARD_TO_MEASURE)
def test_no_password_keeps_the_meter_busy(work, password):
    assert password_strength.of(NOBODY, password).score in range(5)
    # `i` 72 times took 65,000 and 0.4 seconds.
    assert work.reckoned < 7000
    assert work.searched < 100


@settings(deadline=None)
@given(st.text(st.sampled_from("iIlL1!|7@4aA0o5s$+t9g"), min_size=32, max_size=80))
def test_no_mixture_of_letters_and_what_stands_for_them_keeps_it_busy(password):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(password_strength, "_remembered", {})
        work = Work(patched)
        password_strength.of(NOBODY, password)
        assert work.reckoned < 7000
        assert work.searched < 150


def test_what_was_measured_is_remembered_and_cannot_be_read(work):
    other = Account(login="vu7kqzw@q7.aero")
    first = password_strength.of(NOBODY, "Vu7!kqzw")
    assert password_strength.of(NOBODY, "Vu7!kqzw") == first
    assert work.asked == 1
    password_strength.of(other, "Vu7!kqzw")
    assert work.asked == 2, "what others know about somebody is measured too"
    assert "Vu7!kqzw" not in repr(vars(password_strength))
    assert all(len(known_as) == 32 for known_as in password_strength._remembered)


def test_what_is_remembered_does_not_grow_for_ever(work, monkeypatch):
    monkeypatch.setattr(password_strength, "MOST_REMEMBERED", 5)
    for number in range(20):
        password_strength.of(NOBODY, f"Vu7!kqzw{number}")
        assert len(password_strength._remembered) <= 5


def test_whoever_asks_all_the_time_gets_no_answer_until_the_next_minute():
    moment = [600.0]
    budget = password_strength.Budget(3, lambda: moment[0])
    assert [budget.spend("anna") for _ in range(5)] == [True, True, True, False, False]
    assert budget.spend("boris")
    moment[0] += 60
    assert budget.spend("anna")


@pytest.mark.parametrize(
    "password",
    [
        "Password1!", "qwertyuiop", "Vu7!kqzw", "Correct-Horse-7", "P@ssw0rd123", "Tr0ub4dor&3", "19.11.1987",
        "correcthorsebatterystaple", "garden wolf paper cloud", "mT6#vq9!Lz2@xw", "aaaaaaaaaaaaaaaa", "zxcvbnm,./",
        "Garden-Wolf-Paper-Cloud-Marble-River-7", "Ж.у.к.и.и.с.а.д.ы.в.м.а.е", "password" * 8,
    ],
)  # fmt: skip
def test_real_passwords_are_measured_as_before(password):
    assert password_strength.of(NOBODY, password).score == zxcvbn(password[:72], user_inputs=[])["score"]


@given(st.text(max_size=100))
def test_strength_never_raises(text):
    assert (password_strength.of(NOBODY, text) is None) == (text == "")


@pytest.mark.parametrize("name", policy.POLICIES)
def test_an_empty_field_meets_and_breaks_nothing(name):
    assert {rule.met for rule in policy.requirements(NOBODY, "", policy=name)} == {None}


def test_all_that_is_wrong_with_a_password_is_said_at_once():
    account = Account(login="luca@q7.aero", first_name="Luca")
    with pytest.raises(Refused) as refused:
        policy.accepted(account, "luca-q\u200b", policy="classic")
    assert [each.field for each in refused.value.parts] == ["new_password"] * 3
    for named in ("at least 8 characters, an upper-case letter, a digit", "“luca”", "U+200B"):
        assert named in str(refused.value)
    with pytest.raises(Refused, match=r"of any kind, or all of these: an upper-case letter, a digit\.$"):
        policy.accepted(NOBODY, "vu!kqzwx", policy="either")


@pytest.mark.parametrize("name", policy.POLICIES)
def test_suggested_passphrases_are_accepted_by_every_policy(name):
    # Words that stand in many others.
    account = Account(login="test@test.example", first_name="Ross", last_name="Land")
    suggested = {passphrase.suggest_for(account) for _ in range(200)}
    assert len(suggested) == 200
    assert all(is_accepted(each, name, account) for each in suggested)


def test_a_passphrase_holds_as_much_chance_as_it_says():
    words = passphrase.word_list()
    assert len(words) == len(set(words)) == passphrase.WORD_LIST_SIZE
    assert passphrase.BITS > 77
    assert all("-" not in word and 3 <= len(word) <= 8 for word in words)


def test_the_contact_address_is_known_to_others_too(anna):
    anna.contact_email = "pottery.shop@elsewhere.example.com"
    assert policy.personal_part(anna, "Pottery.Shop-2031!") == "pottery.shop"
