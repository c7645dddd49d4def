"""The requirements for a new password: three policies and one list of refusals.

The same list (`requirements`) is the live checklist and decides on submit. `classic` requires kinds of character, which
ASVS 6.2.5 and NIST SP 800-63B-4 advise against: it is the default because the services that Postern joins use it. Hosts
that are free to choose have `either` and `modern`.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from precis_i18n import get_profile

from actions.devices.device_passwords import has_shape
from actions.ground.domain_names import readable
from actions.ground.refusals import N_, Faults, Listed, Refused
from models import Account

SHORTEST_COMPOSED = 8
SHORTEST_FREE = 15
LONGEST = 128
SHORTEST_PERSONAL = 4

POLICIES = ("classic", "either", "modern")
# The same for password managers, in the language of the `passwordrules` attribute (Apple's, which others read too).
PASSWORD_RULES = {
    "classic": "minlength: 8; maxlength: 128; required: upper; required: lower; required: digit; required: [-_.!@#];",
    "either": "minlength: 15; maxlength: 128;",
    "modern": "minlength: 15; maxlength: 128;",
}
OPAQUE_STRING = get_profile("OpaqueString")


@dataclass(frozen=True)
class Rule:
    """One line of the checklist: sentence, the facts in it, whether the password meets it (None: empty field), and how
    it is refused otherwise (None: among the policy's own rules)."""

    sentence: str
    facts: dict
    met: bool | None
    refusal: Refused | None = None

    def __str__(self) -> str:
        return self.sentence % self.facts


def prepared(password: str) -> str:
    """The form in which the panel stores and compares a password: RFC 8265, OpaqueString (NFC, one kind of space).

    Raises `Refused` for what mail programs cannot be relied on to send: control characters, invisible ones, nothing.
    """
    if not isinstance(password, str) or not password:
        raise _nothing()
    if len(password) > 4 * LONGEST:
        raise _too_long()
    try:
        return OPAQUE_STRING.enforce(password)
    except UnicodeError as error:
        character = error.object[error.start] if isinstance(error, UnicodeEncodeError) else "?"
        raise Refused(
            N_("The password contains a character that mail programs cannot send reliably (U+%(code)s). Leave it out."),
            "new_password",
            code=f"{ord(character):04X}",
        ) from None


def sendable(password: str) -> str:
    """The password itself, if mail programs open the mailbox by sending it as it is typed. The mail server compares
    bytes, and some programs cut spaces off the end.

    Raises `Refused`, which names the character.
    """
    if prepared(password) != password:
        raise _has_another_form(password)
    if password.endswith(" "):
        raise Refused(
            N_("The password ends with a space (U+0020), which some mail programs leave out. Remove it."),
            "new_password",
        )
    return password


def accepted(account: Account, password: str, blocklist: str = "", policy: str = "") -> str:
    """The password, if it meets all `requirements`; raises `Refused`, which names each that it does not meet."""
    if not isinstance(password, str) or not password:
        raise _nothing()
    faults = Faults()
    broken = [each for each in requirements(account, password, blocklist, policy) if not each.met]
    if of_policy := [each for each in broken if each.refusal is None]:
        sentence = N_("The password still needs: %(rules)s.")
        faults.found.append(Refused(sentence, "new_password", rules=Listed(of_policy)))
    faults.found += [each.refusal for each in broken if each.refusal]
    faults.refuse()
    return password


def requirements(account: Account, password: str, blocklist: str = "", policy: str = "") -> list[Rule]:
    """All that decides about a password, in the order in which it is refused: the rules of a policy (the account's own
    if none is named), what others know, and what attackers try. Rules that hardly anybody breaks are listed only where
    they are broken."""
    measured = _as_far_as_sendable(password)
    return [
        *rules(policy or account.password_policy, measured),
        _impersonal(measured, personal_part(account, measured) if measured else ""),
        _uncommon(measured, bool(measured) and is_common(measured, blocklist)),
        *(Rule(each.sentence, each.facts, False, each) for each in _unfit(password)),
    ]


def rules(policy: str, password: str) -> list[Rule]:
    """The checklist of a policy for this password, which may be empty."""
    composed = [
        _rule(
            password, len(password) >= SHORTEST_COMPOSED, N_("at least %(count)s characters"), count=SHORTEST_COMPOSED
        ),
        _rule(password, any(c.isupper() for c in password), N_("an upper-case letter")),
        _rule(password, any(c.islower() for c in password), N_("a lower-case letter")),
        _rule(password, any(c.isdigit() for c in password), N_("a digit")),
        _rule(password, any(_is_special(c) for c in password), N_("a special character")),
    ]
    free = len(password) >= SHORTEST_FREE
    long_enough = _rule(password, free, N_("at least %(count)s characters"), count=SHORTEST_FREE)
    if policy == "modern":
        return [long_enough]
    if policy == "either":
        any_kind = N_("%(count)s characters of any kind, or all of these:")
        first = _rule(password, free or all(rule.met for rule in composed), any_kind, count=SHORTEST_FREE)
        return [first] if free else [first, *composed]
    return composed


def personal_part(account: Account, password: str) -> str:
    """The part of the password that is the person's own address, name or domain; empty when there is none."""
    folded = password.casefold()
    for word in known_words(account):
        if word == folded or (len(word) >= SHORTEST_PERSONAL and word in folded):
            return word
    return ""


def is_common(password: str, blocklist: str = "") -> bool:
    """Whether the password, with or without decoration at its ends, is among the commonest."""
    folded = password.casefold()
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    candidates = {folded, core} if 2 * len(core) >= len(folded) else {folded}
    return any(candidates & common for common in (_common_passwords(), _host_list(blocklist)))


def _has_another_form(password: str) -> Refused:
    """The refusal of a password that `prepared` changes: it shows the first letter that changes, and names what was
    typed for it."""
    piece = _first_changed(password)
    codes = " ".join(f"U+{ord(character):04X}" for character in piece)
    if _ordinary(piece) == " ":
        return Refused(
            N_(
                "The password contains an unusual space (%(codes)s), which mail programs cannot send reliably."
                " Use ordinary spaces."
            ),
            "new_password",
            codes=codes,
        )
    return Refused(
        N_(
            "The password contains “%(letter)s” in a form that mail programs cannot send reliably (%(codes)s)."
            " Type it in another way, or leave it out."
        ),
        "new_password",
        letter=_ordinary(piece),
        codes=codes,
    )


def _first_changed(password: str) -> str:
    """The shortest piece that changes, at the first place where one does: a letter with its signs, or a space."""
    ends = range(1, len(password) + 1)
    end = next(end for end in ends if _ordinary(password[:end]) != password[:end])
    pieces = (password[start:end] for start in reversed(range(end)))
    return next(piece for piece in pieces if _ordinary(piece) != piece)


def _ordinary(text: str) -> str:
    """What OpaqueString makes of a part of a password; it refuses some parts that stand in a right whole."""
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in text)
    return unicodedata.normalize("NFC", spaced)


def _impersonal(password: str, part: str) -> Rule:
    sentence = N_("Leave name and address (“%(part)s”) out of the password.")
    refusal = Refused(sentence, "new_password", part=part)
    return Rule(N_("without name or address"), {}, not part if password else None, refusal)


def _uncommon(password: str, common: bool) -> Rule:
    sentence = N_("This password is on the list of those that attackers try first. Choose another.")
    return Rule(N_("not a common password"), {}, not common if password else None, Refused(sentence, "new_password"))


def _unfit(password: str) -> list[Refused]:
    """Why a password cannot be used at all, whatever the policy."""
    faults = Faults()
    with faults:
        if len(password) > LONGEST:
            raise _too_long()
        if has_shape(password):
            raise Refused(N_("This looks like a device password. Choose something else."), "new_password")
        if password:
            sendable(password)
    return faults.found


def _as_far_as_sendable(password: str) -> str:
    """The form that is measured; what cannot be sent at all is measured as it was typed, and refused."""
    try:
        return prepared(password)
    except Refused:
        return password[:LONGEST]


def _nothing() -> Refused:
    return Refused(N_("Enter a password."), "new_password")


def _rule(password: str, met: bool, sentence: str, **facts) -> Rule:
    return Rule(sentence, facts, met if password else None)


def _is_special(character: str) -> bool:
    return not character.isalnum()


def _too_long() -> Refused:
    return Refused(N_("The password is longer than %(count)s characters."), "new_password", count=LONGEST)


def known_words(account: Account) -> list[str]:
    """What others know about this person, in lower case: the address, its parts, domain names, names."""
    local_part, _, domain = account.login.casefold().rpartition("@")
    words = [account.login, local_part, *re.split(r"[._+/-]", local_part)]
    words += [each for name in (domain, readable(domain)) for each in (name, *_names_in(name))]
    words += [account.first_name, account.last_name, account.contact_email, account.contact_email.partition("@")[0]]
    return [word.casefold() for word in dict.fromkeys(words) if len(word) > 2]


def _names_in(domain: str) -> list[str]:
    """For `mail.example.co.uk`: `mail.example.co`, and its longest part, `example`."""
    name = domain.rpartition(".")[0]
    return [name, max(name.split("."), key=len)]


@functools.cache
def _common_passwords() -> frozenset[str]:
    # Its lists take as long to load as the rest of the policy, and only a new password needs them.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


@functools.lru_cache(maxsize=2)
def _host_list(file: str) -> frozenset[str]:
    """The host's own blocklist: a text file with one password per line."""
    if not file:
        return frozenset()
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    return frozenset(line.strip().casefold() for line in lines if line.strip())
