"""International domain names (IDNA 2008): the form in which they are stored, `xn--bcher-kva.example`, and the form that
people read, `bücher.example`.

Mail servers and mail programs know the first one alone, and so do the tables.
"""

import functools
import re
import unicodedata

import idna

ENCODED_LABEL = "xn--"
# A name in the stored form, within a text: not as a part of a web address, which browsers and mail programs encode.
STORED_NAME = re.compile(r"(?<![\w./%=&?-])(?:[a-z0-9-]+\.)*xn--[a-z0-9-]+(?:\.[a-z0-9-]+)*")
# Scripts by the first word of their letters' names in Unicode; those of East Asia are written together.
SCRIPT = re.compile("[A-Z]+")
EAST_ASIAN = frozenset(("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"))
# Letters that most fonts draw like Latin ones: of these alone somebody could write the name of another domain.
LIKE_LATIN = frozenset("асԁеһіјӏорԛѕԝхуъьҽпгѵѡαγικνορτυχ")


def in_ascii(name: str) -> str:
    """The stored form of a name in whatever form it was typed: UTS #46 maps what only looks different, such as capitals
    and wide letters, and IDNA 2008 says what may stand in it. Raises `idna.IDNAError`, also for a name that is encoded
    and would be read as another one."""
    mapped = name.lower() if name.isascii() else idna.uts46_remap(name, std3_rules=True)
    return ".".join(map(_in_ascii, mapped.removesuffix(".").split(".")))


def readable(text: str) -> str:
    """A text as people read it: with the domain names in it (of addresses, or alone) in their readable form."""
    return STORED_NAME.sub(lambda found: _readable(found[0]), text) if ENCODED_LABEL in text else text


def _in_ascii(label: str) -> str:
    if not label:
        raise idna.IDNAError("Empty label")
    if label.isascii() and not label.startswith(ENCODED_LABEL):
        return label
    return idna.alabel(idna.ulabel(label)).decode()


@functools.lru_cache(maxsize=1024)
def _readable(name: str) -> str:
    return ".".join(map(_read, name.split(".")))


def _read(label: str) -> str:
    """A label as people read it; as it is stored where it could pass for another one, or is no label."""
    if not label.startswith(ENCODED_LABEL):
        return label
    try:
        read = idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        return label
    return label if _may_mislead(read) else read


def _may_mislead(label: str) -> bool:
    """Whether the label mixes scripts, or has only letters that look like Latin ones."""
    letters = [each for each in label if unicodedata.category(each)[0] in "LN" and not each.isdecimal()]
    scripts = {_script(each) for each in letters}
    return len(scripts) > 1 or LIKE_LATIN.issuperset(letters)


def _script(letter: str) -> str:
    found = SCRIPT.match(unicodedata.name(letter, ""))
    script = found[0] if found else ""
    return "CJK" if script in EAST_ASIAN else script
