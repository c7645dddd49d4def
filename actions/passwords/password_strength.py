"""The strength meter: how hard a password is to guess, measured within limits, so that nobody can keep a process busy.

It advises and decides nothing. zxcvbn looks for words, rows of keys and dates in the password. Its work grows with the
cube of the length, so it gets only the beginning. Results are cached for a while, under a keyed hash.
"""

import hmac
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from actions.ground.refusals import N_
from actions.passwords import policy
from models import Account

# This many characters tell strong from weak, and cost as much as a small page. A password whose first 32 characters are
# easy to guess counts as weak, whatever follows.
MEASURED = 32
# zxcvbn also tries every combination of the letters that these characters may stand for. From the third kind on, this
# replaces them by the characters below them, which zxcvbn does not take for letters. Digits stay, because dates and
# rows consist of them.
DISGUISES = dict(zip("@({[<!|$+%", "§¶¿¡¦¤±«»‰", strict=True))
MOST_DISGUISES = 2
A_MINUTE, MOST_A_MINUTE = 60, 120
MOST_REMEMBERED = 1000

_KEY = secrets.token_bytes(32)
_remembered: dict[bytes, "Strength"] = {}
# zxcvbn keeps a person's words in one place for all threads.
_measuring = threading.Lock()


@dataclass(frozen=True)
class Strength:
    """How hard a password is to guess: zxcvbn's `score` from 0 to 4, a word for it if it is accepted, and advice, which
    may be empty."""

    score: int
    word: str
    advice: str


class Budget:
    """A limit of questions a minute for each person, in this process."""

    def __init__(self, most: int = MOST_A_MINUTE, clock: Callable[[], float] = time.monotonic):
        self._most, self._clock = most, clock
        self._minute, self._asked = 0, Counter()

    def spend(self, whose: object) -> bool:
        """Count a question; False when there were too many in this minute."""
        minute = int(self._clock() // A_MINUTE)
        if minute != self._minute:
            self._minute, self._asked = minute, Counter()
        self._asked[whose] += 1
        return self._asked[whose] <= self._most


def of(account: Account, password: str) -> Strength | None:
    """How strong the password is for this person; None for an empty field."""
    if not password:
        return None
    beginning, words = _measurable(password), policy.known_words(account)
    known_as = hmac.digest(_KEY, "\0".join([beginning, *words]).encode("utf-8", "surrogatepass"), "sha256")
    strength = _remembered.get(known_as)
    if strength is None:
        strength = _measured(beginning, words)
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        _remembered[known_as] = strength
    return strength


def _measured(beginning: str, words: list[str]) -> Strength:
    with _measuring:
        found = _found(beginning, words)
    feedback = found["feedback"]
    advice = feedback["warning"] or next(iter(feedback["suggestions"]), "")
    return Strength(found["score"], WORDS[found["score"]], str(advice))


def _found(beginning: str, words: list[str]) -> dict:
    # It takes its time to load, and only whoever types a new password needs it.
    from zxcvbn import zxcvbn

    return zxcvbn(beginning, user_inputs=words)


def _measurable(password: str) -> str:
    """The part of the password that can be measured quickly, whatever it contains."""
    beginning = password[:MEASURED]
    kinds = dict.fromkeys(character for character in beginning if character in DISGUISES)
    return beginning.translate({ord(kind): DISGUISES[kind] for kind in list(kinds)[MOST_DISGUISES:]})


# The highest score of what is easy to guess, and what is said of such a password when the policy accepts it.
LOW = 1
EASY = N_("Accepted, but easy to guess")
WORDS = (EASY, EASY, N_("Fair"), N_("Strong"), N_("Very strong"))
NOT_ACCEPTED = N_("Not accepted yet")


# zxcvbn's possible answers, for the translators. Its sentence about symbols is left out: `classic` requires them.
ADVICE = (
    N_("Use a few words, avoid common phrases."),
    N_("Add another word or two. Uncommon words are better."),
    N_("Straight rows of keys are easy to guess."),
    N_("Short keyboard patterns are easy to guess."),
    N_("Use a longer keyboard pattern with more turns."),
    N_('Repeats like "aaa" are easy to guess.'),
    N_('Repeats like "abcabcabc" are only slightly harder to guess than "abc".'),
    N_("Avoid repeated words and characters."),
    N_('Sequences like "abc" or "6543" are easy to guess.'),
    N_("Avoid sequences."),
    N_("Recent years are easy to guess."),
    N_("Avoid recent years."),
    N_("Avoid years that are associated with you."),
    N_("Dates are often easy to guess."),
    N_("Avoid dates and years that are associated with you."),
    N_("This is a top-10 common password."),
    N_("This is a top-100 common password."),
    N_("This is a very common password."),
    N_("This is similar to a commonly used password."),
    N_("A word by itself is easy to guess."),
    N_("Names and surnames by themselves are easy to guess."),
    N_("Common names and surnames are easy to guess."),
    N_("Capitalization doesn't help very much."),
    N_("All-uppercase is almost as easy to guess as all-lowercase."),
    N_("Reversed words aren't much harder to guess."),
    N_("Predictable substitutions like '@' instead of 'a' don't help very much."),
)
