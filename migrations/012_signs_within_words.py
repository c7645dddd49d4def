"""Words of a search and the order of names: signs within words do not matter, and Cyrillic has its own order.

How words and keys were made before and are made from now on is copied here: what makes them may change later.
"""

import functools
import itertools
import re
import unicodedata

import peewee as pw
from anyascii import anyascii

from migrations.steps import Steps

# Accounts that are read and written at a time, so that a million are not in memory at once.
BATCH = 500
ACCOUNTS = """
SELECT id, sort_name, login, first_name, last_name, service_id, domain_id, state FROM account
WHERE service_id IS NOT NULL
"""
LINES = "SELECT id, sort_name, address, first_name, last_name FROM user_import_line WHERE sort_name <> ''"

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

WORD_BEFORE = re.compile(r"[a-z0-9]+")


def migrate(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.run(_enter_all, database, _sort_name, _words_of)


def would_lose(database: pw.Database) -> str:
    """Words and keys are made from names, in either way."""
    return ""


def rollback(migrator: Steps, database: pw.Database, *, fake=False):
    migrator.run(_enter_all, database, _sort_name_before, _words_before)


def _enter_all(database: pw.Database, sort_name, words_of) -> None:
    """Write the words and the place in the order of names of each account that has a mailbox, and the place of each
    that a file is about to make."""
    mark = database.param
    for accounts in _batches(database, ACCOUNTS):
        _sort(database, "account", accounts, sort_name)
        first, last = accounts[0][0], accounts[-1][0]
        database.execute_sql(f"DELETE FROM account_word WHERE account_id BETWEEN {mark} AND {mark}", (first, last))
        rows = ((number, word, *named[3:]) for number, _, *named in accounts for word in words_of(*named[:3]))
        for some in pw.chunked(rows, BATCH):
            values = ", ".join([f"({', '.join([mark] * 5)})"] * len(some))
            database.execute_sql(
                f"INSERT INTO account_word (account_id, word, service_id, domain_id, state) VALUES {values}",
                list(itertools.chain.from_iterable(some)),
            )
    for lines in _batches(database, LINES):
        _sort(database, "user_import_line", lines, sort_name)


def _batches(database: pw.Database, query: str):
    last = 0
    while rows := list(database.execute_sql(f"{query} AND id > {database.param} ORDER BY id LIMIT {BATCH}", (last,))):
        yield rows
        last = rows[-1][0]


def _sort(database: pw.Database, table: str, rows: list[tuple], sort_name) -> None:
    """Most names are in Latin letters, and their place stays as it is."""
    mark = database.param
    for number, present, login, first_name, last_name, *_place in rows:
        if (fresh := sort_name(login, first_name, last_name)) != present:
            database.execute_sql(f"UPDATE {table} SET sort_name = {mark} WHERE id = {mark}", (fresh, number))


# --- from now on ---


def _sort_name(login: str, first_name: str, last_name: str) -> str:
    letters = _composed(f"{last_name} {first_name}").translate(IN_THE_ALPHABET)
    name = " ".join("".join(each if ord(each) in CYRILLIC else _plain(each) for each in letters).split())
    return f"{name[:LONGEST_SORTED_NAME]} {login}".strip()


def _words_of(login: str, first_name: str, last_name: str) -> list[str]:
    address, _, top_level = login.rpartition(".")
    first_to_last, last_to_first = f"{first_name} {last_name}", f"{last_name} {first_name}"
    found = {*_endings(address, top_level), *_endings(first_to_last), *_endings(last_to_first)[:1]}
    cut = sorted({each[:LONGEST_WORD] for each in found})
    return _not_found_by_another(cut)


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


def _not_found_by_another(cut: list[str]) -> list[str]:
    """Without the words that another word begins with."""
    return [word for word, following in zip(cut, [*cut[1:], ""], strict=True) if not following.startswith(word)]


# --- before ---


def _sort_name_before(login: str, first_name: str, last_name: str) -> str:
    return f"{_folded(f'{last_name} {first_name}')[:LONGEST_SORTED_NAME]} {login}".strip()


def _words_before(login: str, first_name: str, last_name: str) -> list[str]:
    first_to_last, last_to_first = _folded(f"{first_name} {last_name}"), _folded(f"{last_name} {first_name}")
    top_level = login.rpartition(".")[2]
    turned = _endings_before(last_to_first)[:1]
    found = {*_endings_before(_folded(login)), *_endings_before(first_to_last), *turned} - {top_level}
    return _not_found_by_another(sorted({each[:LONGEST_WORD] for each in found}))


def _folded(text: str) -> str:
    plain = anyascii(unicodedata.normalize("NFKC", text).casefold()).lower()
    return " ".join("".join(each for each in plain if " " <= each <= "~").split())


def _endings_before(text: str) -> list[str]:
    return [text[match.start() :] for match in WORD_BEFORE.finditer(text)]
