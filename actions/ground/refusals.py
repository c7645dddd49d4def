"""Sentences for people. Actions write them in English; the floor above translates them for display."""


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
