"""The servers that a mail program uses: hosts, ports and security, from the settings alone."""

from dataclasses import dataclass
from typing import Literal

from models import Device
from settings import MAIL_PORTS, Settings, is_loopback_host

TLS, STARTTLS, NONE = "tls", "starttls", "none"
ALL_PROTOCOLS = Device.OF_DEVICES


@dataclass(frozen=True)
class Server:
    """One server, with the settings that a mail program needs."""

    protocol: Literal["imap", "pop3", "smtp"]
    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    username: str


def recommended(settings: Settings, address: str, protocols: int) -> list[Server]:
    """The servers for a person who signs in as `address`, in the order IMAP, POP3, SMTP, without those that are off.

    `protocols` is a sum of `Device.IMAP`, `.POP3` and `.SENDING`.
    """
    ports = settings.mail_ports
    sending = (ports["submissions"], ports["submission"])
    if not any(sending):
        # Dovecot leaves sending to Postfix, which accepts it on the standard port: see integrations/postfix/master.cf.
        sending = (0, MAIL_PORTS["submission"])
    wanted = (
        (Device.IMAP, "imap", settings.mail_host, (ports["imaps"], ports["imap"])),
        (Device.POP3, "pop3", settings.mail_host, (ports["pop3s"], ports["pop3"])),
        (Device.SENDING, "smtp", settings.submission_host, sending),
    )
    return [
        Server(protocol, host, *_way_in(settings, host, *its_ports), username=address)
        for flag, protocol, host, its_ports in wanted
        if protocols & flag and any(its_ports)
    ]


def incoming(servers: list[Server]) -> Server | None:
    """The server for reading mail: IMAP rather than POP3; None when neither is wanted and on."""
    return next((server for server in servers if server.protocol != "smtp"), None)


def outgoing(servers: list[Server]) -> Server | None:
    """The server for sending mail; None when sending is not wanted."""
    return next((server for server in servers if server.protocol == "smtp"), None)


def _way_in(settings: Settings, host: str, tls_port: int, plain_port: int) -> tuple[int, str]:
    """Port and security. Only a loopback host without a certificate is announced without encryption."""
    if not settings.tls_certificate and is_loopback_host(host):
        return plain_port or tls_port, NONE
    return (tls_port, TLS) if tls_port else (plain_port, STARTTLS)
