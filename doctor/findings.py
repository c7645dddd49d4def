"""What the doctor says."""

from dataclasses import dataclass

OK, MEND, UNKNOWN = "ok", "mend", "unknown"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, a sentence that says so, and one that says how to mend it."""

    subject: str
    state: str
    sentence: str
    mend: str = ""

    @property
    def well(self) -> bool:
        """Whether there is nothing to mend, as far as is known."""
        return self.state != MEND

    @property
    def text(self) -> str:
        return f"{self.sentence} {self.mend}".strip()

    @property
    def facts(self) -> dict[str, str]:
        """For programs."""
        return {"check": self.subject, "state": self.state, "sentence": self.sentence, "mend": self.mend}


def fine(subject: str, sentence: str) -> Finding:
    return Finding(subject, OK, sentence)


def wrong(subject: str, sentence: str, mend: str) -> Finding:
    return Finding(subject, MEND, sentence, mend)


def not_known(subject: str, reason: str) -> Finding:
    """`reason` is a sentence of its own."""
    return Finding(subject, UNKNOWN, f"Not known: {reason}")


def judged(subject: str, trouble: str, mend: str, well: str) -> Finding:
    """What is wrong if there is trouble, else what is well."""
    return wrong(subject, trouble, mend) if trouble else fine(subject, well)
