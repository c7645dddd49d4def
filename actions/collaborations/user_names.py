"""The user names of collaborators: the first half of `chosen/mailbox@domain`."""

import re
from collections.abc import Iterator

from anyascii import anyascii

from actions.ground.addresses import LONGEST_LOGIN, trimmed
from actions.ground.refusals import N_, Refused
from models import Account, Mailbox

SHAPE = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
LONGEST = 40
MOST_PROPOSALS = 4
LAST_NUMBER = 99


def login(mailbox: Mailbox, user_name: str) -> str:
    """The login of a collaborator with this user name."""
    return f"{user_name}/{mailbox.address}"


def checked(mailbox: Mailbox, typed: str) -> str:
    """The user name in stored form; raises `Refused` when it is not valid or is taken.

    Only plain letters are valid: no name may look like another one, and Dovecot's logins are ASCII.
    """
    user_name = trimmed(typed).lower()
    if not user_name:
        raise Refused(N_("This field is empty."), "user_name")
    if len(user_name) > LONGEST or len(login(mailbox, user_name)) > LONGEST_LOGIN:
        raise Refused(
            N_("A user name can have at most %(longest)s characters."), "user_name", longest=_longest(mailbox)
        )
    if not SHAPE.fullmatch(user_name) or ".." in user_name:
        raise Refused(
            N_(
                "A user name can contain the letters a to z and digits, with dots, hyphens or underscores"
                " between them. Spaces, @ and / are not allowed."
            ),
            "user_name",
        )
    if is_taken(mailbox, user_name):
        raise Refused(N_("%(login)s is taken. Choose another user name."), "user_name", login=login(mailbox, user_name))
    return user_name


def is_taken(mailbox: Mailbox, user_name: str) -> bool:
    return Account.by_login(login(mailbox, user_name)) is not None


def proposals(mailbox: Mailbox, first_name: str, last_name: str) -> list[str]:
    """A few free user names made from a person's name, in plain letters whatever its script."""
    found = []
    for user_name in _candidates(_plain(first_name), _plain(last_name)):
        free = _free(mailbox, user_name[:LONGEST].strip(".-_"))
        if free and free not in found:
            found.append(free)
    return found[:MOST_PROPOSALS]


def _candidates(first: str, last: str) -> Iterator[str]:
    if first and last:
        yield from (f"{first}.{last}", f"{first[0]}.{last}", f"{last}.{first}", first, last)
    elif first or last:
        yield first or last


def _free(mailbox: Mailbox, user_name: str) -> str | None:
    """The name itself if it is free, or with the first number that makes it free; None when there is none."""
    numbered = (user_name, *(f"{user_name}{number}" for number in range(2, LAST_NUMBER + 1)))
    return next((each for each in numbered if _is_usable(mailbox, each)), None)


def _is_usable(mailbox: Mailbox, user_name: str) -> bool:
    try:
        checked(mailbox, user_name)
    except Refused:
        return False
    return True


def _plain(name: str) -> str:
    """`Борис` as `boris`, `d'Arc` as `darc`, `Ana María` as `ana-maria`."""
    words = ("".join(re.findall("[a-z0-9]", word)) for word in anyascii(name).lower().replace("-", " ").split())
    return "-".join(filter(None, words))


def _longest(mailbox: Mailbox) -> int:
    return max(0, min(LONGEST, LONGEST_LOGIN - len(login(mailbox, ""))))
