"""What a returned e-mail says: whether our e-mail came back for good, and why.

It was written by anybody's mail server, or by somebody who pretends to be one, and it may hold our e-mail with its
links. So it is read by small steps whose cost grows with its length alone; nothing in it is taken apart more than one
level deep; and what is kept of it is a number, and a few short words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

REPORT = "message/delivery-status"
MOST_PARTS, MOST_RECIPIENTS = 10, 20
LONGEST_HEADER, LONGEST_FIELD, LONGEST_REASON = 64 * 1024, 1000, 200
FAILED_FOR_GOOD = re.compile(r"\s*(5\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
# Of servers that write no report, but say that they failed.
UNTOLD = "5.0.0"
# Exim up to 4.82, and others, name whom it was not delivered to in a header.
FAILED_RECIPIENTS = "X-Failed-Recipients"
# qmail's text, "QSBMF": how it begins, what the paragraph of a recipient begins with, and where its status stands.
QMAIL_BEGINS, QMAIL_RECIPIENT = b"Hi. This is the", re.compile(rb"\n<[^\n]{1,320}>:\n([^\n]*(?:\n[^\n]+){0,20})")
QMAIL_STATUS = re.compile(r"\(#(5\.[0-9]{1,3}\.[0-9]{1,3})\)")
# A longer word may be part of a link of ours: its token has 43 signs, so that one half of a torn one is longer too.
PLAIN_WORD = re.compile(r"[A-Za-z0-9.,:;'()#-]{1,20}")

_headers = BytesHeaderParser()


@dataclass(frozen=True)
class Failure:
    """An e-mail came back for good: the status (RFC 3463), such as "5.1.1", and what the server said, shortened and
    without addresses and links."""

    status: str
    reason: str


def failure_in(content: bytes) -> Failure | None:
    """What this message says about ours; None when it says nothing, that it is late, that it arrived, or what cannot be
    read."""
    try:
        header, body = _parted(content)
        return _reported(header, body) or _told_by_exim(header) or _told_by_qmail(body)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # What Python's reader of headers raises, now and then, for what no header is.
        return None


def _parted(content: bytes) -> tuple[Message, bytes]:
    """Header and body, with the line ends of a machine."""
    header, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    return _headers.parsebytes(header[:LONGEST_HEADER] + b"\n\n"), body


def _reported(header: Message, body: bytes) -> Failure | None:
    """By a report for machines (RFC 3464), which a modern server writes."""
    for part in _parts(header, body):
        part_header, report = _parted(part)
        if _kind(part_header).get_content_type() == REPORT:
            return next(filter(None, map(_failure_of, _recipients(report))), None)
    return None


def _parts(header: Message, body: bytes) -> Iterator[bytes]:
    boundary = _kind(header).get_boundary()
    if boundary:
        parts = f"\n{body.decode('latin-1')}".split(f"\n--{boundary}", MOST_PARTS)[1:MOST_PARTS]
        yield from (part.partition("\n")[2].encode("latin-1") for part in parts)


def _kind(header: Message) -> Message:
    """The content's type alone, of sensible length."""
    alone = Message()
    alone["Content-Type"] = _field(header, "Content-Type")
    return alone


def _field(header: Message, name: str) -> str:
    return " ".join(str(header.get(name, "")).split())[:LONGEST_FIELD]


def _recipients(report: bytes) -> Iterator[Message]:
    """What it says about each recipient, after what it says about all."""
    groups = re.split(rb"\n[ \t]*\n", report.strip(), maxsplit=MOST_RECIPIENTS)
    yield from (_headers.parsebytes(group[:LONGEST_HEADER] + b"\n\n") for group in groups[:MOST_RECIPIENTS])


def _failure_of(recipient: Message) -> Failure | None:
    has_failed = _field(recipient, "Action").partition(" ")[0].lower() == "failed"
    status = FAILED_FOR_GOOD.match(_field(recipient, "Status"))
    if not has_failed or status is None:
        return None
    return Failure(status[1], _shortened(_field(recipient, "Diagnostic-Code").partition(";")[2]))


def _told_by_exim(header: Message) -> Failure | None:
    return Failure(UNTOLD, "") if _field(header, FAILED_RECIPIENTS) else None


def _told_by_qmail(body: bytes) -> Failure | None:
    told = QMAIL_RECIPIENT.search(body) if body.lstrip().startswith(QMAIL_BEGINS) else None
    words = told[1].decode("latin-1") if told else ""
    status = QMAIL_STATUS.search(words)
    return Failure(status[1], _shortened(words)) if status else None


def _shortened(text: str) -> str:
    """Plain words of it, as many as there is room for."""
    words = (word if PLAIN_WORD.fullmatch(word) else "…" for word in text.split())
    return " ".join(words)[:LONGEST_REASON]
