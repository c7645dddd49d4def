"""Sentences for people. Actions write them in English; the floor above translates them for display."""

from collections.abc import Iterable, Sequence


def N_(sentence: str) -> str:
    """Mark a sentence for translation without translating it (gettext's `gettext_noop`)."""
    return sentence


class Refused(Exception):
    """An action that was not carried out, and the sentence that explains why; `field` names the form field concerned.

    The sentence is a gettext message with named placeholders, which `facts` fill in.
    """

    def __init__(self, sentence: str, field: str | None = None, **facts: object):
        super().__init__(sentence % facts if facts else sentence)
        self.sentence = sentence
        self.field = field
        self.facts = facts

    @property
    def parts(self) -> list["Refused"]:
        """What is refused, one by one."""
        return [self]


class SeveralRefused(Refused):
    """Several refusals at once, which read as the first of them where one is expected."""

    def __init__(self, parts: Sequence[Refused]):
        super().__init__(parts[0].sentence, parts[0].field, **parts[0].facts)
        self._parts = list(parts)

    def __str__(self) -> str:
        return " ".join(map(str, self._parts))

    @property
    def parts(self) -> list[Refused]:
        return self._parts


class Faults:
    """Collects what is refused of several parts of a form, so that all of it is said together:

    >>> faults = Faults()
    >>> with faults:
    ...     name = checked_name(typed)
    >>> faults.refuse()
    """

    def __init__(self):
        self.found: list[Refused] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Refused):
            self.found += error.parts
        return isinstance(error, Refused)

    def add(self, refusal: Refused | None) -> None:
        """What was refused elsewhere, if anything was."""
        self.found += refusal.parts if refusal else []

    @property
    def together(self) -> Refused | None:
        """All that was found, each once for its field, as one refusal; None where nothing was."""
        found = list({(each.field, str(each)): each for each in self.found}.values())
        return SeveralRefused(found) if len(found) > 1 else next(iter(found), None)

    def refuse(self) -> None:
        """Raises `Refused`, with all that was found, if anything was."""
        if refusal := self.together:
            raise refusal


class Listed(tuple):
    """Messages in a row, as one fact of a sentence."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.joined(map(str, self))

    @staticmethod
    def joined(texts: Iterable[str]) -> str:
        """The texts with commas; what ends with a colon introduces the others."""
        return ", ".join(texts).replace(":, ", ": ").removesuffix(":")
