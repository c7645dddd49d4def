"""Names, addresses and domains in the form in which they are stored."""

import re
import unicodedata
from ipaddress import ip_address

import idna
from email_validator import EmailNotValidError, validate_email

from actions.ground.refusals import N_, Refused

LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._+-]*[a-z0-9_+-])?")
DOMAIN_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# The start of encoded text in an e-mail's header: mail programs, and our own code, would decode it to something else.
ENCODED = "=?"
# What mail programs turn into a link, inside a sentence of ours.
WEB_ADDRESS = re.compile(r":[/\\]{2}|www\.")
# An IP address with its port, as proxies write them: that of IPv6 in brackets.
WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([^\[\]]+)\])(?::[0-9]*)?")
NOT_PLAIN = N_("Before the @ an address can have letters without accents, digits and signs only (no “ä”, no “я”).")
LONGEST_LOCAL_PART, LONGEST_DOMAIN, LONGEST_NAME = 64, 253, 120


def canonical_address(address: str) -> str:
    """A mailbox address in stored form; raises `Refused` when it is not valid (ASCII only, as Dovecot's logins are)."""
    local_part, at, domain = address.strip().lower().rpartition("@")
    if not at or len(local_part) > LONGEST_LOCAL_PART or not LOCAL_PART.fullmatch(local_part) or ".." in local_part:
        raise Refused(N_("“%(address)s” is not a valid e-mail address."), "address", address=address)
    return f"{local_part}@{canonical_domain(domain)}"


def canonical_domain(name: str) -> str:
    """A domain name in lower case; raises `Refused` when it is not valid."""
    name = name.strip().lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > LONGEST_DOMAIN or len(labels) < 2 or not all(DOMAIN_LABEL.fullmatch(label) for label in labels):
        raise Refused(N_("“%(domain)s” is not a valid domain name."), "domain", domain=name)
    return name


def canonical_contact(address: str) -> str:
    """Somebody's e-mail address anywhere in the world, its domain as people read it (`anna@bücher.example`, however it
    was typed); raises `Refused` for what is none, and for one that not every mail server takes."""
    try:
        contact = validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        contact = ""
    if not contact or ENCODED in contact:
        raise Refused(N_("“%(address)s” is not a valid e-mail address."), "contact_email", address=address)
    if not contact.rpartition("@")[0].isascii():
        raise Refused(NOT_PLAIN, "contact_email")
    return contact


def with_ascii_domain(address: str) -> str:
    """The same address with its domain in ASCII (`anna@xn--bcher-kva.example`), as every mail server takes it; what no
    domain can be stays as it is."""
    local_part, at, domain = address.rpartition("@")
    try:
        return address if domain.isascii() else f"{local_part}{at}{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address


def receiver(address: str, delimiter: str) -> str:
    """The address whose mailbox gets what is sent to this one: what follows the delimiter before the @ is left out, as
    Dovecot does. The empty text delimits nothing."""
    local_part, at, domain = address.rpartition("@")
    return f"{local_part.partition(delimiter)[0]}{at}{domain}" if delimiter else address


def is_same_mailbox(contact: str, address: str, delimiter: str) -> bool:
    """Whether what is sent to somebody's address arrives in a mailbox, whose address is in stored form."""
    contact = with_ascii_domain(contact).casefold()
    return address in (contact, receiver(contact, delimiter))


def checked_name(name: str, field: str) -> str:
    """A name for people: in composed form (NFC), on one line, not too long, and without anything that would act as more
    than a name in our e-mails. Raises `Refused` with the field."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > LONGEST_NAME:
        raise Refused(N_("A name must have 1 to %(longest)s characters."), field, longest=LONGEST_NAME)
    # What turns the direction of text around could make a name read as another one, and the sentence around it too.
    if any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") or each in TURNS_TEXT for each in name):
        raise Refused(N_("A name must be on one line, without control characters."), field)
    if ENCODED in name or holds_web_address(name):
        raise Refused(N_("A name must not contain a web address or “=?”."), field)
    return name


def holds_web_address(text: str) -> bool:
    """Whether mail programs would turn part of the text into a link, in any width or case."""
    visible = "".join(each for each in text if unicodedata.category(each) != "Cf")
    return bool(WEB_ADDRESS.search(unicodedata.normalize("NFKC", visible).casefold()))


def plain_ip(text: str) -> str:
    """The IP address in a text, in its shortest form, that of IPv4 also where IPv6 carries it: without a port, and
    without the name of an interface, which may be longer than any address. Empty for what is none."""
    text = text.strip()
    parted = WITH_PORT.fullmatch(text)
    address, _, _interface = (parted[1] or parted[2] if parted else text).partition("%")
    try:
        written = ip_address(address)
    except ValueError:
        return ""
    return str(getattr(written, "ipv4_mapped", None) or written)
