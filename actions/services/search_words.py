"""The keys by which lists sort and find a service's users: one for the order of names, and the words of a search.

Both are plain ASCII, whatever script a name is written in: `Борис` is found as `boris`, `Müller` as `muller`. A search
matches the beginning of a word. Each word is stored with all that follows it: `anna k` and `keller@exa` find Anna
Keller too, each in one range of one index.
"""

import re
import unicodedata

from anyascii import anyascii

from models import Account, AccountWord, Domain

LONGEST_WORD, LONGEST_SORTED_NAME = 64, 60
WORD = re.compile(r"[a-z0-9]+")
BEFORE_A_WORD = re.compile(r"^[^a-z0-9]+")


def folded(text: str) -> str:
    """A text in its form for comparison: lower-case ASCII, single spaces."""
    plain = anyascii(unicodedata.normalize("NFKC", text).casefold()).lower()
    return " ".join("".join(each for each in plain if " " <= each <= "~").split())


def searched(typed: str) -> str:
    """The search for a text that somebody typed; empty when the text has no letter or digit."""
    return BEFORE_A_WORD.sub("", folded(typed))[:LONGEST_WORD]


def sort_name(login: str, first_name: str, last_name: str) -> str:
    """The place in the order of names, different for every account."""
    name = folded(f"{last_name} {first_name}")[:LONGEST_SORTED_NAME]
    return f"{name} {login}".strip()


def words_of(login: str, first_name: str, last_name: str) -> list[str]:
    """The words by which a user is found, each with what follows it; the top-level domain is not one of them."""
    first_to_last, last_to_first = folded(f"{first_name} {last_name}"), folded(f"{last_name} {first_name}")
    address, top_level = folded(login), login.rpartition(".")[2]
    found = {*_endings(address), *_endings(first_to_last), *_endings(last_to_first)[:1]} - {top_level}
    cut = sorted({each[:LONGEST_WORD] for each in found})
    # A longer word finds the same user as any word that it begins with.
    return [word for word, following in zip(cut, [*cut[1:], ""], strict=True) if not following.startswith(word)]


def place(account: Account, domain: Domain) -> None:
    """Set an unsaved account's mailbox location and its place in the order of names."""
    account.service, account.domain = domain.service_id, domain.id
    account.sort_name = sort_name(account.login, account.first_name, account.last_name)


def enter(account: Account) -> None:
    """Store the search words of an account with a mailbox, within the caller's transaction: once it is created, and
    whenever its names change."""
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


def _endings(text: str) -> list[str]:
    """The rest of a text from the start of each word."""
    return [text[match.start() :] for match in WORD.finditer(text)]
