"""Names, addresses and domains in the form in which they are stored."""

import re
import unicodedata
from functools import lru_cache
from ipaddress import ip_address

import idna
from email_validator import EmailNotValidError, validate_email

from actions.ground import domain_names
from actions.ground.refusals import N_, Refused

# The signs that RFC 5321 allows before the @ (dot-atom), and those among them that every piece of a mail host carries.
# The others mean something to one: % to Dovecot and Postfix, ! to Postfix, / to the names of sessions, * and ? to
# doveadm, and $ ` { | } to shells, to which administrators' scripts pass addresses on.
SIGNS = "!#$%&'*+-/=?^_`{|}~"
SERVED_SIGNS = "_+-&'=#~^"
# The signs that only stand between letters or digits. No address begins with what makes a formula in a spreadsheet or
# an option in a shell, or looks like the apostrophe that our tables put before such signs.
LOCAL_PART = re.compile(r"(?:[a-z0-9_]|(?<!^)[.+-]|(?<=[a-z0-9])[&'=#~^](?=[a-z0-9]))+")
DOMAIN_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What is invisible besides spaces and what Unicode calls control and format characters.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(map(chr, range(0xFE00, 0xFE10)))
# Some scripts need them within a name; IDNA says where.
JOINERS = "\u200c\u200d"
TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# The start of encoded text in an e-mail's header: mail programs, and our own code, would decode it to something else.
ENCODED = "=?"
# What mail programs turn into a link, inside a sentence of ours.
WEB_ADDRESS = re.compile(r":[/\\]{2}|www\.")
# An IP address with its port, as proxies write them: that of IPv6 in brackets.
WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([^\[\]]+)\])(?::[0-9]*)?")
NOT_PLAIN = N_("Before the @ an address can have letters without accents, digits and signs only (no “ä”, no “я”).")
NOT_SERVED = N_("Addresses with “%(sign)s” before the @ are valid elsewhere, but are not served here.")
MISPLACED = N_("Before the @, “%(sign)s” must stand between letters or digits here.")
LONGEST_LOCAL_PART, LONGEST_DOMAIN, LONGEST_NAME, LONGEST_LOGIN = 64, 253, 120, 254


def trimmed(typed: str) -> str:
    """What was typed or pasted, without spaces and invisible characters around it. Control characters stay: nobody
    pastes them."""
    start, end = 0, len(typed)
    while start < end and _is_around(typed[start]):
        start += 1
    while end > start and _is_around(typed[end - 1]):
        end -= 1
    return typed[start:end]


def refuse_invisible(address: str, field: str) -> None:
    """Raises `Refused` for an address, or a domain, with an invisible character in it, and names that character."""
    before, _, domain = trimmed(address).rpartition("@")
    for each in (*before, *(each for each in domain if each not in JOINERS)):
        if _is_invisible(each):
            raise _invisible(each, field)


def canonical_login(typed: object) -> str:
    """A login in stored form: without what is invisible around it, in NFC, in lower case, its domain in ASCII."""
    if not isinstance(typed, str):
        return ""
    login = unicodedata.normalize("NFC", trimmed(typed)).lower()[:LONGEST_LOGIN]
    return with_ascii_domain(login)[:LONGEST_LOGIN]


def canonical_address(address: str) -> str:
    """A mailbox address in stored form, in ASCII as Dovecot's logins are; raises `Refused` for what is none, and for
    what is one elsewhere but cannot be one here."""
    refuse_invisible(address, "address")
    local_part, at, domain = trimmed(address).lower().rpartition("@")
    if not at or not local_part or len(local_part) > LONGEST_LOCAL_PART or _is_misspelt(local_part):
        raise Refused(N_("“%(address)s” is not a valid e-mail address."), "address", address=address)
    _refuse_unserved(local_part)
    return f"{local_part}@{canonical_domain(domain)}"


def canonical_domain(name: str) -> str:
    """A domain name in stored form, in ASCII and lower case (`xn--bcher-kva.example`); raises `Refused` when it is not
    valid."""
    refuse_invisible(name, "domain")
    typed = trimmed(name)
    try:
        stored = domain_names.in_ascii(typed)
    except idna.IDNAError:
        _refuse_joiner(typed, "domain")
        stored = ""
    labels = stored.split(".")
    if len(stored) > LONGEST_DOMAIN or len(labels) < 2 or not all(map(DOMAIN_LABEL.fullmatch, labels)):
        raise Refused(N_("“%(domain)s” is not a valid domain name."), "domain", domain=typed)
    return stored


def canonical_contact(address: str) -> str:
    """Somebody's e-mail address anywhere in the world, its domain as people read it (`anna@bücher.example`, however it
    was typed); raises `Refused` for what is none, and for one that not every mail server takes."""
    # A line end here could become one in a header: none is dropped, not even at the end.
    if control := next((each for each in address if unicodedata.category(each) == "Cc"), ""):
        raise _invisible(control, "contact_email")
    refuse_invisible(address, "contact_email")
    address = trimmed(address)
    try:
        contact = validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        _refuse_joiner(address, "contact_email")
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
    if domain.isascii():
        return address
    try:
        refuse_invisible(domain, "address")
        return f"{local_part}{at}{domain_names.in_ascii(domain)}"
    except (idna.IDNAError, Refused):
        return address


def readable(text: str) -> str:
    """A text as people read it: with the domain names in it (of addresses, or alone) in their readable form."""
    return domain_names.readable(text)


def unmistakable(address: str) -> str:
    """An address as people read it, its domain encoded where it could pass for another one."""
    return readable(with_ascii_domain(address))


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


def optional_contact(address: str) -> str:
    """`canonical_contact` where somebody has one; empty for none."""
    return canonical_contact(address) if trimmed(address) else ""


def optional_name(name: str, field: str) -> str:
    """`checked_name` where there is one; empty for none."""
    return checked_name(name, field) if name.strip() else ""


def holds_web_address(text: str) -> bool:
    """Whether mail programs would turn part of the text into a link, in any width or case."""
    visible = "".join(each for each in text if unicodedata.category(each) != "Cf")
    return bool(WEB_ADDRESS.search(unicodedata.normalize("NFKC", visible).casefold()))


@lru_cache(maxsize=1024)
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


def _is_around(character: str) -> bool:
    return character.isspace() or _is_invisible(character) and unicodedata.category(character) != "Cc"


def _is_invisible(character: str) -> bool:
    """Whether a reader sees nothing, or a space that is not the usual one."""
    if character == " ":
        return False
    return character in BLANK or unicodedata.category(character) in ("Cf", "Cc", "Zs", "Zl", "Zp")


def _refuse_joiner(name: str, field: str) -> None:
    """Raises `Refused` for what IDNA refused because of it, or because of something else that is easier to see."""
    if joiner := next((each for each in name if each in JOINERS), ""):
        raise _invisible(joiner, field) from None


def _invisible(character: str, field: str) -> Refused:
    code, name = f"U+{ord(character):04X}", unicodedata.name(character, "").lower()
    sentence = N_("The address contains an invisible character (%(character)s).")
    return Refused(sentence, field, character=f"{code}, {name}" if name else code)


def _is_misspelt(local_part: str) -> bool:
    """Whether this is no local part anywhere (RFC 5321 4.1.2, without the quoted form; RFC 6531)."""
    plain = (each.isalnum() or each in SIGNS or each == "." or not each.isascii() for each in local_part)
    return not all(plain) or local_part.startswith(".") or local_part.endswith(".") or ".." in local_part


def _refuse_unserved(local_part: str) -> None:
    if not local_part.isascii():
        raise Refused(NOT_PLAIN, "address")
    if unserved := next((each for each in local_part if each in SIGNS and each not in SERVED_SIGNS), ""):
        raise Refused(NOT_SERVED, "address", sign=unserved)
    if not LOCAL_PART.fullmatch(local_part):
        beyond = LOCAL_PART.match(local_part)
        raise Refused(MISPLACED, "address", sign=local_part[beyond.end() if beyond else 0])
