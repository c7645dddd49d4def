"""Automatic set-up of a mail program: a QR code for Thunderbird for Android, a configuration profile for Apple."""

import json
import plistlib
import unicodedata
import uuid

from actions.devices import mail_programs
from actions.devices.mail_programs import NONE, STARTTLS, TLS, Server
from actions.ground.domain_names import readable
from models import Account
from settings import Settings

# A longer name makes the code too dense to scan from a screen.
LONGEST_SHOWN_NAME = 40
NAMESPACE = uuid.UUID("892cd711-a8c2-49df-a480-a194306c810a")

FORMAT_VERSION = 1
ONLY_CODE = [1, 1]
INCOMING = {"imap": 0, "pop3": 1}
SMTP = 0
SECURITY = {NONE: 0, STARTTLS: 2, TLS: 3}
NO_AUTHENTICATION, PASSWORD_CLEARTEXT = 0, 1


def thunderbird_qr(settings: Settings, account: Account, password: str, protocols: int) -> str:
    """The image of a QR code that Thunderbird for Android imports, as a `data:` URI; it includes the password.

    Empty when none of `protocols` reads mail: the format has no account without an incoming server.

    The format is "Thunderbird 'Export for Mobile' QR code format (version 1)" of 2025-02-06, published as
    feature/migration/qrcode/qr-code-format.md in github.com/thunderbird/thunderbird-android: JSON arrays [1, [sequence
    number, sequence end], incoming server, outgoing server groups].
    """
    servers = mail_programs.recommended(settings, account.login, protocols)
    if mail_programs.incoming(servers) is None:
        return ""
    payload = thunderbird_payload(settings, account, password, servers)
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    # Black on white, with the quiet zone in the image itself: people can scan it from a dark page as well.
    # Only whoever sets up a mail program looks at it.
    import segno

    code = segno.make_qr(text, error="l", mode="byte", encoding="utf-8")
    return code.png_data_uri(scale=6, border=4, dark="#000000", light="#ffffff")


def thunderbird_payload(settings: Settings, account: Account, password: str, servers: list[Server]) -> list:
    """The content of the QR code, in the published order of elements.

    The account's name stays empty, which stands for the address of the first identity. The format requires an outgoing
    server; a device that may not send gets one without user name and password.
    """
    reading, sending = mail_programs.incoming(servers), mail_programs.outgoing(servers)
    incoming_server = [INCOMING[reading.protocol], *_access(reading), "", password]
    if sending is None:
        closed = _outgoing_that_refuses(settings)
        outgoing_server = [SMTP, closed.host, closed.port, SECURITY[closed.security], NO_AUTHENTICATION, ""]
    else:
        outgoing_server = [SMTP, *_access(sending), password]
    identity = [account.address, one_line(account.display_name)[:LONGEST_SHOWN_NAME].rstrip()]
    return [FORMAT_VERSION, ONLY_CODE, incoming_server, [[outgoing_server, identity]]]


def apple_profile(
    settings: Settings, account: Account, device_name: str, password: str | None, protocols: int
) -> bytes:
    """A configuration profile (.mobileconfig) for iPhone, iPad and Mac; it omits the password when that is None.

    Empty when none of `protocols` reads mail. The same mailbox and device name give a profile the same identity:
    installing it again, for example with a changed password, replaces the first one.

    The keys are those of Apple's reference for `com.apple.mail.managed`: mdm/profiles/com.apple.mail.managed.yaml in
    github.com/apple/device-management, and developer.apple.com/documentation/devicemanagement/mail.
    """
    return _profile(settings, account.login, account.address, account.display_name, device_name, password, protocols)


def apple_profile_of_address(settings: Settings, address: str) -> bytes:
    """The same for an address alone, when nothing else is known or may be revealed: the device asks for the
    password."""
    return _profile(settings, address, address, "", address, None, mail_programs.ALL_PROTOCOLS)


def one_line(text: str) -> str:
    """The text in a form that JSON, XML and one line can hold: without control characters, surrogates and line ends."""
    allowed = (
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in "\ufffe\uffff" else character
        for character in text
    )
    return " ".join("".join(allowed).split())


def _access(server: Server) -> list:
    return [server.host, server.port, SECURITY[server.security], PASSWORD_CLEARTEXT, server.username]


def _outgoing_that_refuses(settings: Settings) -> Server:
    """The outgoing server for formats that require one; it accepts no mail without a password."""
    return mail_programs.outgoing(mail_programs.recommended(settings, "", mail_programs.ALL_PROTOCOLS))


def _profile(
    settings: Settings, login: str, address: str, person: str, device_name: str, password: str | None, protocols: int
) -> bytes:
    servers = mail_programs.recommended(settings, login, protocols)
    if mail_programs.incoming(servers) is None:
        return b""
    person, device_name = one_line(person), one_line(device_name)
    identity = uuid.uuid5(NAMESPACE, "\n".join((settings.base_url, login, device_name)))
    payload = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"postern.{identity}.mail",
        "PayloadUUID": str(uuid.uuid5(identity, "mail")).upper(),
        "PayloadDisplayName": readable(address),
        "EmailAccountDescription": readable(address),
        "EmailAddress": address,
        **({"EmailAccountName": person} if person else {}),
        **_incoming_keys(mail_programs.incoming(servers), password),
        **_outgoing_keys(settings, mail_programs.outgoing(servers), password),
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"postern.{identity}",
        "PayloadUUID": str(identity).upper(),
        "PayloadDisplayName": f"{one_line(settings.product_name)}: {readable(device_name)}",
        "PayloadOrganization": one_line(settings.product_name),
        "PayloadContent": [payload],
    }
    return plistlib.dumps(profile)


def _incoming_keys(server: Server, password: str | None) -> dict:
    return {
        "EmailAccountType": "EmailTypeIMAP" if server.protocol == "imap" else "EmailTypePOP",
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": server.host,
        "IncomingMailServerPortNumber": server.port,
        "IncomingMailServerUseSSL": server.security != NONE,
        "IncomingMailServerUsername": server.username,
        **({"IncomingPassword": password} if password else {}),
    }


def _outgoing_keys(settings: Settings, server: Server | None, password: str | None) -> dict:
    may_send = server is not None
    server = server or _outgoing_that_refuses(settings)
    keys = {
        "OutgoingMailServerAuthentication": "EmailAuthPassword" if may_send else "EmailAuthNone",
        "OutgoingMailServerHostName": server.host,
        "OutgoingMailServerPortNumber": server.port,
        "OutgoingMailServerUseSSL": server.security != NONE,
    }
    if may_send:
        keys |= {"OutgoingMailServerUsername": server.username, "OutgoingPasswordSameAsIncomingPassword": True}
        if password:
            keys["OutgoingPassword"] = password
    return keys
