"""Words of the command line for the bits of a number."""

import functools
import operator
from collections.abc import Iterable

import click


class Bits:
    """Each bit by the word for it."""

    def __init__(self, **bits: int):
        self._bits = bits

    @property
    def choice(self) -> click.Choice:
        """The words, as the values of an option."""
        return click.Choice(list(self._bits))

    def sum(self, words: Iterable[str]) -> int:
        return functools.reduce(operator.or_, (self._bits[word] for word in words), 0)

    def words(self, number: int) -> list[str]:
        """The words for the bits that are set."""
        return [word for word, bit in self._bits.items() if number & bit]
