"""An e-mail as the bytes that are sent: built around what people wrote, then read back before it leaves.

Python's e-mail package decodes header values, and some versions write out the line ends that this reveals. This module
therefore encodes headers itself, and nothing decodes them on the way. It then reads the result as if it were a
stranger's e-mail: in every version of Python it must contain what was asked for and nothing else.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.policy import EmailPolicy, default

from actions.ground.ports import Letter, MessageRefused, Picture

LONGEST_PLAIN_SUBJECT = 60
# A name that may stand before an address as it is (RFC 5322: atoms).
PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/^_`{|}~-]+)*")
OF_THE_BODY = ("mime-version", "content-type")
OF_A_PART = (*OF_THE_BODY, "content-transfer-encoding", "content-disposition", "content-id")
# One address, which no mail program reads as several or as a different one.
ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\"]+")


class AsGiven(EmailPolicy):
    """Keeps each header as given."""

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        return name, value


# Lines that begin with "From " stay as they are: only files with several e-mails need a mark before them.
POLICY = AsGiven(refold_source="none", cte_type="7bit", linesep="\r\n", mangle_from_=False)


@dataclass(frozen=True)
class Attachment:
    """A file to attach; its name and type are ours."""

    name: str
    media_type: str
    content: bytes


def written(recipient: str, headers: Mapping[str, str], letter: Letter, attachment: Attachment | None = None) -> bytes:
    """The bytes of an e-mail to one recipient. `headers` are those besides subject and recipient, and are ours; `From`
    is an address, or a name and an address in angle brackets, as people read it. Raises `MessageRefused` when the bytes
    are not what was asked for: text from people may have escaped its place."""
    headers = {**headers, "To": recipient}
    try:
        content = _written(headers, letter, attachment)
        is_as_asked = ADDRESS.fullmatch(recipient) and _has_headers(content, {**headers, "Subject": letter.subject})
        is_as_asked = is_as_asked and _has_body(content, letter, attachment)
    except (MessageError, ValueError, LookupError):
        is_as_asked = False
    # The sentence omits the text in question, because it goes into the log.
    if not is_as_asked:
        raise MessageRefused("The e-mail as it was written is not the one that was asked for. It was not sent.")
    return content


def _written(headers: Mapping[str, str], letter: Letter, attachment: Attachment | None) -> bytes:
    # The header holds a non-ASCII address unencoded (RFC 6532).
    message = EmailMessage(POLICY.clone(utf8=not headers["To"].isascii()))
    message["Subject"] = _encoded(letter.subject)
    for name, value in headers.items():
        message[name] = _encoded_sender(value) if name == "From" else value
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    if letter.picture:
        kind, subtype = letter.picture.media_type.split("/")
        _, html = message.iter_parts()
        html.add_related(letter.picture.content, kind, subtype, cid=f"<{letter.picture.content_id}>")
    if attachment:
        kind, subtype = attachment.media_type.split("/")
        message.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=attachment.name)
    return message.as_bytes()


def _encoded(subject: str) -> str:
    """A subject that mail programs read as written, even if it looks encoded."""
    if len(subject) <= LONGEST_PLAIN_SUBJECT and subject.isascii() and subject.isprintable() and "=?" not in subject:
        return subject
    return Header(subject, "utf-8", header_name="Subject").encode()


def _encoded_sender(sender: str) -> str:
    """An address, with the name before it encoded where mail programs would not read it as written."""
    name, _, address = sender.rpartition(" <")
    if not name or PLAIN_NAME.fullmatch(name):
        return sender
    return f"{Header(name, 'utf-8', header_name='From').encode()} <{address}"


def _has_headers(content: bytes, expected: Mapping[str, str]) -> bool:
    """Whether the header holds these fields and those that the body needs, each once, and nothing else."""
    lines = content.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    if not all(line.strip() and not _has_control_characters(line) for line in lines):
        return False
    found = [line.partition(": ") for line in re.sub("\r\n([ \t])", r"\1", "\r\n".join(lines)).split("\r\n")]
    if sorted(name.lower() for name, _, _ in found) != sorted([*map(str.lower, expected), *OF_THE_BODY]):
        return False
    values = {name: value for name, _, value in found}
    return all(_is_read_as(value, expected.get(name, value)) for name, value in values.items())


def _is_read_as(value: str, expected: str) -> bool:
    """Whether a mail program, which decodes the header's value, reads this from it."""
    read = str(make_header(decode_header(value)))
    return read == expected and not _has_control_characters(read)


def _has_control_characters(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text)


def _has_body(content: bytes, letter: Letter, attachment: Attachment | None) -> bool:
    """Whether a mail program finds these texts, this picture and this file, and nothing else."""
    message = message_from_bytes(content, policy=default)
    parts = [part for part in message.walk() if part is not message]
    if any(part.defects for part in (message, *parts)) or not all(map(_has_headers_of_a_part, parts)):
        return False
    texts = [part.get_content() for part in parts if part.get_content_maintype() == "text"]
    files = [(part.get_filename(), part.get_content_type(), part.get_content()) for part in message.iter_attachments()]
    asked = [(attachment.name, attachment.media_type, attachment.content)] if attachment else []
    has_texts = list(map(_lines, texts)) == [_lines(letter.text), _lines(letter.html)]
    return has_texts and files == asked and _pictures(parts) == list(filter(None, [letter.picture]))


def _pictures(parts: list[EmailMessage]) -> list[Picture]:
    shown = [part for part in parts if part["Content-ID"]]
    return [Picture(part["Content-ID"].strip("<>"), part.get_content_type(), part.get_content()) for part in shown]


def _has_headers_of_a_part(part: EmailMessage) -> bool:
    names = [name.lower() for name, _ in part.items()]
    return len(names) == len(set(names)) and set(names) <= set(OF_A_PART)


def _lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text)
