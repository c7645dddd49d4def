"""The text of a file whose encoding nobody names: by its mark, as UTF-16 or UTF-8, or in the one encoding of Windows in
which all of its words could be words."""

import codecs
import re
import unicodedata
from collections.abc import Callable

# The first that fits: UTF-32's mark begins like UTF-16's.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Unassigned, private, and halves of characters.
UNWRITTEN = ("Cn", "Co", "Cs")
WORD = re.compile(r"[^\W\d_]+")
# The signs that a list of people may contain; and those of them that stand in no word: there, they were a letter once.
SIGNS = frozenset("\xa0’‘“”„«»–—…·°€№§´¿¡")
SIGN_IN_WORD = re.compile(r"[^\W\d_][“”„«»–—…°€№§¿¡][^\W\d_]")


def _both_cases(letters: str) -> frozenset[str]:
    return frozenset(letters + letters.upper())


RUSSIAN = _both_cases("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")
WESTERN = _both_cases("àáâãäåæçèéêëìíîïñòóôõöøùúûüœšžªº") | {"ß"}
TURKISH = _both_cases("çğöşüâîû") | {"ı", "İ"}
ICELANDIC = _both_cases("áðéíóúýþæö")
# The letters in which Turkish Windows differs from Western, where their places are Icelandic.
TURKISH_ALONE, ICELANDIC_ALONE = frozenset("ğışĞİŞ"), _both_cases("ðýþ")
NOT_IN_ICELANDIC = re.compile(r"[cqwz]|.þ|^ð", re.IGNORECASE)


def decoded(content: bytes) -> str | None:
    """The text without its mark; None when it has no plausible reading, or several that differ."""
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return _read_as(encoding, content)
    if b"\0" in content and (text := _of_wide(content)):
        return text
    text = _read_as("utf-8", content)
    return _of_windows(content) if text is None else text


def _read_as(encoding: str, content: bytes) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _of_wide(content: bytes) -> str | None:
    """The text of UTF-16 without its mark: in one order of the bytes it has addresses, and only what can be written."""
    readings = [_read_as(encoding, content) for encoding in ("utf-16-le", "utf-16-be")]
    plausible = [text for text in readings if text and "@" in text and _can_be_written(text)]
    return plausible[0] if len(plausible) == 1 else None


def _can_be_written(text: str) -> bool:
    return not CONTROLS.search(text) and all(unicodedata.category(sign) not in UNWRITTEN for sign in set(text))


def _of_windows(content: bytes) -> str | None:
    readings = ((_read_as(encoding, content), is_word) for encoding, is_word in WINDOWS.items())
    plausible = {text for text, is_word in readings if text is not None and _is_plausible(text, is_word)}
    return plausible.pop() if len(plausible) == 1 else None


def _is_plausible(text: str, is_word: Callable[[str], bool]) -> bool:
    signs = {each for each in set(text) if not each.isascii() and not each.isalpha()}
    if not signs <= SIGNS or CONTROLS.search(text) or SIGN_IN_WORD.search(text):
        return False
    return all(is_word(word) and _is_cased(word) for word in set(WORD.findall(text)) if not word.isascii())


def _is_cased(word: str) -> bool:
    """Whether its capitals stand at its beginning, or everywhere."""
    return word.isupper() or not any(letter.isupper() and not letter.isascii() for letter in word[1:])


def _letters(word: str) -> set[str]:
    return {letter for letter in word if not letter.isascii()}


def _is_russian(word: str) -> bool:
    return RUSSIAN.issuperset(word)


def _is_western(word: str) -> bool:
    """Whether it is a word of Western Europe: of several letters, at least one is plain."""
    letters = _letters(word)
    if letters & ICELANDIC_ALONE:
        return letters <= ICELANDIC and not NOT_IN_ICELANDIC.search(word)
    return letters <= WESTERN and (len(word) == 1 or len(word) > sum(map(word.count, letters)))


def _is_turkish(word: str) -> bool:
    """Whether it is a Turkish word, or another that the same encoding has."""
    letters = _letters(word)
    return letters <= TURKISH if letters & TURKISH_ALONE else _is_western(word)


WINDOWS = {"cp1251": _is_russian, "cp1252": _is_western, "cp1254": _is_turkish}
