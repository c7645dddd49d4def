"""The headers that say who wrote a message (RFC 5322 3.6.2 and 3.6.6), read as the most gullible mail program would.

Programs differ in what they take for the author of an odd message, so none that is odd is taken: each header holds
plain mailboxes, `Name <address>` or `address (Name)`, and nothing that looks like another address, not even in the
name.
"""

import base64
import binascii
import quopri
import re
import unicodedata
from collections.abc import Sequence

from actions.ground.addresses import with_ascii_domain

FROM, SENDER = "from", "sender"
AUTHORS = (FROM, SENDER, "resent-from", "resent-sender")
# RFC 5322 3.6 allows them once.
ONCE = (FROM, SENDER)
# More of a header, or more headers, than any mail program writes.
LONGEST, MOST = 2000, 20

# Each sign of a header is of one kind. An atom may have dots (RFC 5322 4.1), and letters beyond ASCII (RFC 6532).
_TOKENS = re.compile(
    r"""(?P<space>(?:[ \t]|\n(?=[ \t]))+)
    |(?P<quoted>"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[ -~])*")
    |(?P<comment>\((?:[^()\\\x00-\x08\x0a-\x1f\x7f]|\\[ -~])*\))
    |(?P<address>[^\s<>()\[\],;:"\\@\x00-\x1f\x7f]+@[^\s<>()\[\],;:"\\@\x00-\x1f\x7f]+)(?!@)
    |(?P<word>[^\s<>()\[\],;:"\\@\x00-\x1f\x7f]+)(?!@)
    |(?P<sign>[<>,])""",
    re.VERBOSE,
)
_LETTERS = {"quoted": "n", "comment": "c", "address": "a", "word": "n"}
_MAILBOX = "(?:[nc]*<a>c*|c*ac*)"
_MAILBOXES = re.compile(f"{_MAILBOX}(?:,{_MAILBOX})*")
_FOLD = re.compile(r"\n(?=[ \t])")
# RFC 2047; what follows an asterisk is a language (RFC 2231 5). Those in a row are one text.
_ENCODED = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=(?:\s+(?==\?))?")
_LOOKS_LIKE_ADDRESS = re.compile(r"""[^\s<>()\[\],;:"\\]+@[^\s<>()\[\],;:"\\]+""")


def stored_form(address: str) -> str:
    """The address as mailboxes are stored; empty for one that no mailbox can have."""
    local_part, _, domain = address.rpartition("@")
    return with_ascii_domain(f"{local_part}@{domain}".lower()) if local_part.isascii() else ""


def wrong_header(headers: Sequence[tuple[str, str]], allowed: frozenset[str]) -> str:
    """The name of a header that makes somebody else the author, or may be read so, with what is wrong; empty when all
    name allowed addresses only. The headers are names and values, folded or not."""
    written = [(name.strip().lower(), value) for name, value in headers]
    names = [name for name, _ in written if name in AUTHORS]
    if FROM not in names:
        return "The message has no From"
    if len(names) > MOST or any(names.count(name) > 1 for name in ONCE):
        return "The message says more than once who wrote it"
    wrong = (name for name, value in written if name in AUTHORS and not _names_only(allowed, value))
    return next((f"{name.title()} names somebody else" for name in wrong), "")


def _names_only(allowed: frozenset[str], value: str) -> bool:
    value = value.strip(" \t\n")
    if len(value) > LONGEST:
        return False
    tokens = _tokens(value)
    shape = "".join(_LETTERS.get(kind, text) for kind, text in tokens)
    addresses = [text for kind, text in tokens if kind == "address"]
    shown = [stored_form(each.strip("'.")) for each in _shown_addresses(value)]
    return (
        bool(_MAILBOXES.fullmatch(shape))
        and all(stored_form(each) in allowed for each in addresses)
        and all(each in allowed for each in shown)
    )


def _tokens(value: str) -> list[tuple[str, str]]:
    """Kind and text of each part; a sign that none may hold ends them with what makes no mailbox."""
    tokens, place = [], 0
    while place < len(value):
        found = _TOKENS.match(value, place)
        if found is None:
            return [*tokens, ("sign", "?")]
        tokens.append((found.lastgroup, found[0]))
        place = found.end()
    return [token for token in tokens if token[0] != "space"]


def _shown_addresses(value: str) -> list[str]:
    """All that looks like an address, also in what programs show for encoded text, in any width of the signs, and
    with invisible ones left out."""
    shown = _FOLD.sub("", value)
    found = []
    # What was encoded twice is decoded twice by some.
    for _ in range(3):
        visible = "".join(each for each in shown if unicodedata.category(each) != "Cf")
        found += _LOOKS_LIKE_ADDRESS.findall(unicodedata.normalize("NFKC", visible))
        shown = _ENCODED.sub(_decoded, shown)
    return found


def _decoded(word: re.Match) -> str:
    charset, encoding, text = word.groups()
    try:
        if encoding in "bB":
            content = base64.b64decode(text + "=" * (-len(text) % 4))
        else:
            content = quopri.decodestring(text.encode(), header=True)
    except (binascii.Error, ValueError):
        return text
    try:
        return content.decode(charset, "replace")
    except (LookupError, ValueError):
        return content.decode("latin-1")
