"""The words of each language, `translations/glossary/<code>.toml`, and what a sentence has against them."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FILES = Path(__file__).parents[1] / "translations" / "glossary"
PLACEHOLDER = re.compile(r"%\(\w+\)s")


@cache
def glossary(language: str) -> dict:
    return tomllib.loads((FILES / f"{language}.toml").read_text("utf-8"))


def forbidden(language: str, sentence: str) -> list[str]:
    """What the language says instead of the words in this sentence."""
    said = PLACEHOLDER.sub("", sentence)
    found = (re.search(words, said, re.IGNORECASE) for words in glossary(language)["forbidden"])
    return [instead for instead, there in zip(glossary(language)["forbidden"].values(), found, strict=True) if there]


def missing(language: str, sentence: str, translation: str) -> list[str]:
    """The terms of the English sentence whose word is not in its translation."""
    if any(sentence in glossary(each).get("exceptions", {}) for each in ("en", language)):
        return []
    said = PLACEHOLDER.sub("", translation)
    return [word for word, forms in _wanted(language, sentence) if not re.search(rf"(?<!\w)({forms})", said, re.I)]


def forms_of(term: dict) -> str:
    """A regular expression for how each form of a term begins."""
    return term.get("forms") or re.escape(term["word"])


def _wanted(language: str, sentence: str) -> Iterator[tuple[str, str]]:
    """The word and its forms for each term of the sentence. A longer term goes before the shorter ones in it: what is
    said of a "device password" says nothing of a "password"."""
    left = PLACEHOLDER.sub("", sentence)
    for name, term in sorted(glossary("en")["terms"].items(), key=lambda item: -len(item[0])):
        left, times = re.subn(rf"(?<![\w-])({forms_of(term)})(?![\w-])", "…", left, flags=re.I)
        if times:
            word = glossary(language)["terms"][name]
            yield word["word"], forms_of(word)
