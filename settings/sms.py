"""What the settings say about text messages: the gateway's address, and for one by HTTP its headers and body.

`POSTERN_SMS_BODY` is a template, of JSON or of a form, with placeholders inside its values. What is put in their place
is encoded as the format asks, so that nothing in a text or a number can become part of the format.
"""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

SCHEMES = ("kannel", "kannels", "http", "https")
METHODS = ("POST", "PUT")
SENDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .-]{0,10}|\+?[0-9]{1,15}")
PLACEHOLDER = re.compile(r"\{(to|digits|text|key|from|report_url)\}")
BRACES = re.compile(r"\{[A-Za-z_]*\}")
# A header's name and value (RFC 9110): nothing that could end the line.
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e][\x20-\x7e]*?)[ \t]*")
# What the connection and the body decide themselves.
OWN_HEADERS = ("host", "content-length", "content-type", "transfer-encoding", "connection")
# Kannel strips blanks around them, and its configuration knows no way to write a quotation mark.
LOGIN = re.compile(r"[\x21\x23-\x7e]+")
KINDS_OF_NUMBERS = ("premium", "shared-cost", "short")


class SmsBody:
    """The template of an HTTP gateway's body; raises `ValueError` with a sentence's end for one that cannot be."""

    def __init__(self, template: str):
        self.is_json = template.lstrip().startswith(("{", "["))
        self._template = _json(template) if self.is_json else _form(template)
        self._placeholders = {name for value in _strings(self._template) for name in PLACEHOLDER.findall(value)}
        if "text" not in self._placeholders or not self._placeholders & {"to", "digits"}:
            raise ValueError("needs the placeholders {text} and {to} (or {digits})")
        unknown = {each for value in _strings(self._template) for each in BRACES.findall(value)}
        if unknown := {each for each in unknown if not PLACEHOLDER.fullmatch(each)}:
            raise ValueError(f"does not know {', '.join(sorted(unknown))}")

    @property
    def content_type(self) -> str:
        return "application/json" if self.is_json else "application/x-www-form-urlencoded"

    def filled(self, facts: Mapping[str, str]) -> bytes:
        """The body for one message; `facts` has a value for each placeholder."""
        body = _filled(self._template, facts)
        return (json.dumps(body) if self.is_json else urlencode(list(map(tuple, body)), errors="replace")).encode()


def headers_of(text: str) -> dict[str, str]:
    """Headers, one a line, `Name: value`; raises `ValueError` with a sentence's end for a line that is none."""
    headers = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        header = HEADER.fullmatch(line)
        # The line is not repeated: it may contain a key.
        if not header:
            raise ValueError("takes one header a line, such as Authorization: Bearer …")
        if header[1].lower() in OWN_HEADERS:
            raise ValueError(f"cannot set {header[1]}")
        headers[header[1]] = header[2]
    return headers


def login_of(parts: SplitResult) -> tuple[str, str]:
    """User and password in an address, without their percent signs."""
    return unquote(parts.username or ""), unquote(parts.password or "")


def rules(settings, is_loopback_host) -> Iterator[tuple[bool, str]]:
    """What must not be, each with the sentence that says so."""
    parts = urlsplit(settings.sms_url)
    speaks_http = parts.scheme in ("http", "https")
    yield (
        bool(settings.sms_url) and not settings.keeps_sms and (parts.scheme not in SCHEMES or not parts.hostname),
        "POSTERN_SMS_URL must begin with kannel://, kannels:// or https://, or be left out.",
    )
    yield (
        settings.keeps_sms and not settings.demo,
        "POSTERN_SMS_URL=demo: keeps text messages instead of sending them: it is allowed with POSTERN_DEMO only.",
    )
    yield (
        parts.scheme in ("kannel", "http") and bool(parts.hostname) and not is_loopback_host(parts.hostname),
        "POSTERN_SMS_URL must begin with kannels:// or https:// unless the gateway is on a loopback address.",
    )
    yield (
        parts.scheme in ("kannel", "kannels") and not all(map(LOGIN.fullmatch, login_of(parts))),
        "POSTERN_SMS_URL needs the user and password of Kannel's sendsms-user, such as"
        " kannel://postern:password@127.0.0.1:13013/.",
    )
    yield (
        bool(settings.sms_from) and not SENDER.fullmatch(settings.sms_from),
        "POSTERN_SMS_FROM must be a phone number, or at most 11 letters and digits.",
    )
    yield (settings.sms_method not in METHODS, f"POSTERN_SMS_METHOD must be one of: {', '.join(METHODS)}.")
    if speaks_http or settings.sms_body:
        yield from _taken(SmsBody, settings.sms_body, "POSTERN_SMS_BODY")
    yield from _taken(headers_of, settings.sms_headers, "POSTERN_SMS_HEADERS")
    yield from _taken(re.compile, settings.sms_success, "POSTERN_SMS_SUCCESS")
    yield from _taken(re.compile, settings.sms_refusal, "POSTERN_SMS_REFUSAL")
    yield (
        bool(settings.phone_region) and settings.phone_region not in _regions(),
        "POSTERN_PHONE_REGION must be the two capital letters of a country, such as IT.",
    )
    yield (
        not set(settings.phone_allow) <= set(KINDS_OF_NUMBERS),
        f"POSTERN_PHONE_ALLOW takes only: {', '.join(KINDS_OF_NUMBERS)}.",
    )


def _taken(read, text: str, name: str) -> Iterator[tuple[bool, str]]:
    try:
        read(text)
    except re.error:
        yield True, f"{name} is no regular expression."
    except ValueError as trouble:
        yield True, f"{name} {trouble}."


def _json(template: str) -> dict | list:
    try:
        return json.loads(template)
    except (ValueError, RecursionError):
        raise ValueError("begins like JSON and is none") from None


def _form(template: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(template, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise ValueError("must be JSON, or a form such as to={to}&text={text}") from None


def _strings(template) -> Iterator[str]:
    """The texts that may contain placeholders."""
    match template:
        case str():
            yield template
        case dict():
            for value in template.values():
                yield from _strings(value)
        case list() | tuple():
            for value in template:
                yield from _strings(value)


def _filled(template, facts: Mapping[str, str]):
    """Each text is gone through once: a placeholder inside of what is put in stays what it is."""
    match template:
        case str():
            return PLACEHOLDER.sub(lambda found: facts[found[1]], template)
        case dict():
            return {name: _filled(value, facts) for name, value in template.items()}
        case list() | tuple():
            return [_filled(value, facts) for value in template]
    return template


def _regions() -> set[str]:
    # Only hosts that name one need to know them all.
    from phonenumbers import SUPPORTED_REGIONS

    return SUPPORTED_REGIONS
