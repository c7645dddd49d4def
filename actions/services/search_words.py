"""How a service's users are found: the words of a search, and the key that puts them in the order of names.

Words are plain ASCII, whatever script a name is written in: `Борис` is found as `boris`, `Müller` as `muller`. Only
letters, digits and `@` count, so that signs within words do not matter: `olga` finds Ольга, `oconnor` finds O'Connor,
`jean luc` and `jeanluc` find Jean-Luc. A search is for what a word begins with; each word is kept with all that follows
it, so that `anna k` and `keller@exa` find Anna Keller too, each in one range of one index.

Names are in the order of the alphabet, Latin ones first, then Cyrillic ones; a name in another script stands where it
is pronounced.
"""

import functools
import unicodedata

from anyascii import anyascii

from actions.ground.addresses import trimmed, with_ascii_domain
from actions.ground.domain_names import readable
from models import Account, AccountWord, Domain

LONGEST_WORD, LONGEST_SORTED_NAME = 64, 60
# Letters, marks and what is invisible, by their categories in Unicode.
SILENT = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Cf"))
CYRILLIC = range(0x430, 0x500)
# Letters that stand behind я in Unicode, and in the alphabet behind another one; ё is read as е.
LAST = "\u04ff"
BEHIND = {"ґ": "г", "ђ": "д", "є": "е", "і": "и", "ј": "и", "љ": "л", "њ": "н", "ћ": "т", "ў": "у", "џ": "ч"}
IN_THE_ALPHABET = str.maketrans(
    {letter: before + LAST for letter, before in BEHIND.items()} | {"ї": f"и{LAST}{LAST}", "ё": "е"}
)


def searched(typed: str) -> str:
    """What somebody who typed this is looking for; empty when it holds no letter or digit. A domain that is served is
    found in either form."""
    return "".join(_words(_in_stored_form(typed))).lstrip("@")[:LONGEST_WORD]


def sort_name(login: str, first_name: str, last_name: str) -> str:
    """The place in the order of names: no two accounts have the same."""
    letters = _composed(f"{last_name} {first_name}").translate(IN_THE_ALPHABET)
    name = " ".join("".join(each if ord(each) in CYRILLIC else _plain(each) for each in letters).split())
    return f"{name[:LONGEST_SORTED_NAME]} {login}".strip()


def words_of(login: str, first_name: str, last_name: str) -> list[str]:
    """The words by which somebody is found, each with what follows it; the top-level domain is none."""
    first_to_last, last_to_first = f"{first_name} {last_name}", f"{last_name} {first_name}"
    found = {*_of_address(login), *_of_address(readable(login)), *_endings(first_to_last), *_endings(last_to_first)[:1]}
    cut = sorted({each[:LONGEST_WORD] for each in found})
    # What another word begins with is found by that one.
    return [word for word, following in zip(cut, [*cut[1:], ""], strict=True) if not following.startswith(word)]


def place(account: Account, domain: Domain) -> None:
    """Say in an account that is not saved yet where its mailbox is, and its place in the order of names."""
    account.service, account.domain = domain.service_id, domain.id
    account.sort_name = sort_name(account.login, account.first_name, account.last_name)


def enter(account: Account) -> None:
    """Write the words by which an account with a mailbox is found, within the caller's transaction: once it is made,
    and whenever its names change."""
    AccountWord.delete().where(AccountWord.account == account).execute()
    AccountWord.insert_many(rows_of(account)).execute()


def rows_of(account: Account) -> list[dict]:
    """The rows that `enter` writes."""
    shared = {
        "account": account.id,
        "service_id": account.service_id,
        "domain_id": account.domain_id,
        "state": account.state,
    }
    return [{"word": word, **shared} for word in words_of(account.login, account.first_name, account.last_name)]


def _in_stored_form(typed: str) -> str:
    stored = with_ascii_domain(trimmed(typed))
    is_served = stored != trimmed(typed) and Domain.get_or_none(Domain.name == stored.rpartition("@")[2]) is not None
    return stored if is_served else typed


def _of_address(address: str) -> list[str]:
    before, _, top_level = address.rpartition(".")
    return _endings(before, top_level)


def _endings(text: str, more: str = "") -> list[str]:
    """A text from each of its words on, without what parts them; `more` follows it."""
    words, after = _words(text), "".join(_words(more))
    endings = ("".join(words[number:]).lstrip("@") for number in range(len(words)))
    return [ending + after for ending in endings if ending]


def _words(text: str) -> list[str]:
    """A text's words in the form in which they are compared: small letters and digits of ASCII. `@` ends a word."""
    return "".join(map(_plain, _composed(text))).split()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@functools.lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """The letters and digits of ASCII that a character is written with: none for what is silent within a word, such as
    ь or an accent; a space for what parts words."""
    if character == "@":
        return "@ "
    plain = "".join(each for each in anyascii(character).lower() if each.isalnum())
    return plain or ("" if unicodedata.category(character) in SILENT else " ")
