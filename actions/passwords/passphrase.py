"""Passphrases: words that are easy to read aloud and type, with the kinds of character that the classic policy
requires."""

import functools
import math
import re
import secrets

from actions.passwords import policy
from models import Account

WORDS = 6
# The commonest 7,776 English words of three to eight letters: 12.9 bits each, 77.5 for six.
WORD_LIST_SIZE = 7776
BITS = WORDS * math.log2(WORD_LIST_SIZE)
TRIES = 20


def suggest() -> str:
    """A fresh passphrase of six words, the first with a capital letter, and a digit: `Garden-wolf-…-paper-7`."""
    words = [secrets.choice(word_list()) for _ in range(WORDS)]
    return "-".join([words[0].capitalize(), *words[1:], str(secrets.randbelow(10))])


def suggest_for(account: Account) -> str:
    """A fresh passphrase without anything that others know about this person: the policy would refuse it."""
    candidates = (suggest() for _ in range(TRIES))
    return next((each for each in candidates if not policy.personal_part(account, each)), suggest())


@functools.cache
def word_list() -> tuple[str, ...]:
    """The words, from the frequency list of film subtitles that zxcvbn contains."""
    # Large, and needed by whoever suggests a passphrase alone.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    spoken = FREQUENCY_LISTS["us_tv_and_film"]
    readable = (word for word in spoken if re.fullmatch(r"[a-z]{3,8}", word))
    return tuple(dict.fromkeys(readable))[:WORD_LIST_SIZE]
