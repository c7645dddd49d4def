"""Strong random passwords: those that managers hand out, and the keys of archives."""

import secrets

from actions.ground.refusals import Refused
from actions.passwords import policy
from models import Account

LENGTH = 20
# The characters of the browser's generator, without those that look alike and without quotes. The semicolon is missing
# because spreadsheets of many countries begin a new cell at it.
CLASSES = ("ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz", "23456789", "-_.!@#%&*+=?:")
EVERYTHING = "".join(CLASSES)
LETTERS = CLASSES[0] + CLASSES[1]
# Douglas Crockford's base 32: nobody mistakes 0 for O or 1 for I when reading it aloud. 20 characters are 100 bits.
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KEY_GROUPS, GROUP_LENGTH = 5, 4


def for_account(account: Account, password_policy: str, blocklist: str = "") -> str:
    """A fresh password of 20 characters that the policy accepts for this account, with more than 120 random bits."""
    while True:
        try:
            return policy.accepted(account, _drawn(), blocklist, password_policy)
        except Refused:
            continue


def archive_key() -> str:
    """A fresh key of 100 random bits, such as `7KQ2-…-M0XN`."""
    groups = ("".join(secrets.choice(CROCKFORD) for _ in range(GROUP_LENGTH)) for _ in range(KEY_GROUPS))
    return "-".join(groups)


def _drawn() -> str:
    """Begins with a letter: spreadsheets take a text that begins with = + - @ for a formula, and show something
    else."""
    while True:
        drawn = secrets.choice(LETTERS) + "".join(secrets.choice(EVERYTHING) for _ in range(LENGTH - 1))
        if all(any(character in some for character in drawn) for some in CLASSES):
            return drawn
