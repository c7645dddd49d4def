"""The files of a certificate and its key, and how long a certificate is still valid."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from doctor.findings import Finding, fine, judged, not_known, wrong

DAY = 24 * 3600
# certbot renews 30 days before the end: with half of that, something has kept it from doing so.
ENDS_SOON = 15 * DAY
RENEW = "Renew it, and reload Dovecot (doveadm reload)."
# Seconds for a server to show its certificate.
PATIENCE = 5


def ends(subject: str, whose: str, at: float, mend: str) -> Finding:
    """Whether a certificate is still valid, and for long enough that its renewal has not failed."""
    left, day = at - time.time(), datetime.fromtimestamp(at, UTC).date()
    if left < 0:
        return wrong(subject, f"{whose} ended on {day}: programs refuse it.", mend)
    if left < ENDS_SOON:
        return wrong(subject, f"{whose} ends on {day}, in {int(left / DAY)} days.", mend)
    return fine(subject, f"{whose} is valid until {day}.")


def pair(subject: str, certificate: str, key: str, hosts: set[str]) -> Iterator[Finding]:
    """Whether a certificate and its key are there, belong together, and are for these hosts."""
    found = _read(certificate)
    if isinstance(found, str):
        yield _unread(subject, found, certificate, "POSTERN_TLS_CERTIFICATE")
        return
    try:
        leaf = x509.load_pem_x509_certificates(found)[0]
    except ValueError:
        yield wrong(subject, f"{certificate} contains no certificate.", "Correct POSTERN_TLS_CERTIFICATE.")
        return
    yield from _of_key(subject, leaf, key)
    yield _for_hosts(subject, leaf, hosts)
    if leaf.not_valid_before_utc.timestamp() > time.time():
        sentence = (
            f"The certificate in {certificate} is not valid yet: it begins on {leaf.not_valid_before_utc.date()}."
        )
        yield wrong(subject, sentence, "Check this machine's clock, or use another certificate.")
    yield ends(subject, f"The certificate in {certificate}", leaf.not_valid_after_utc.timestamp(), RENEW)


def served(subject: str, place: tuple[str, int], hosts: set[str], reason: str) -> Iterator[Finding]:
    """The same, as far as a server that begins with TLS shows it; `reason` says why its files are not looked at."""
    try:
        leaf = x509.load_pem_x509_certificate(ssl.get_server_certificate(place, timeout=PATIENCE).encode())
    except (OSError, ValueError):
        yield not_known(subject, f"{reason} Nor does {place[0]} show a certificate on port {place[1]}.")
        return
    yield _for_hosts(subject, leaf, hosts)
    whose = f"The certificate that {place[0]} shows on port {place[1]}"
    yield ends(subject, whose, leaf.not_valid_after_utc.timestamp(), RENEW)


def unreadable(file: str) -> str:
    """Why this user may not read a file, in a sentence; empty where it can, or the file is not there."""
    found = _read(file)
    return f"{file} cannot be read by this user ({found})." if isinstance(found, str) and found else ""


def _read(file: str) -> bytes | str:
    """Its content, or why it cannot be read; the empty text where it is not there."""
    try:
        return Path(file).read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as trouble:
        return trouble.strerror or type(trouble).__name__


def _unread(subject: str, reason: str, file: str, setting: str) -> Finding:
    if reason:
        return not_known(subject, f"{file} cannot be read by this user ({reason}).")
    return wrong(subject, f"{file} is not there, so Dovecot accepts no connections with TLS.", f"Correct {setting}.")


def _of_key(subject: str, leaf: x509.Certificate, key: str) -> Iterator[Finding]:
    found = _read(key)
    if isinstance(found, str):
        yield _unread(subject, found, key, "POSTERN_TLS_KEY")
        return
    if Path(key).stat().st_mode & 0o004:
        yield wrong(key, "Everybody on this machine may read the key of the certificate.", f"chmod 600 {key}")
    try:
        belongs = _public(load_pem_private_key(found, None).public_key()) == _public(leaf.public_key())
    except (ValueError, TypeError):
        yield wrong(subject, f"{key} contains no key without a passphrase.", "Correct POSTERN_TLS_KEY.")
        return
    if not belongs:
        mend = (
            "Correct POSTERN_TLS_CERTIFICATE or POSTERN_TLS_KEY: the key is the one that the certificate was made for."
        )
        yield wrong(subject, f"{key} is the key of another certificate.", mend)


def _public(key) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _for_hosts(subject: str, leaf: x509.Certificate, hosts: set[str]) -> Finding:
    others = sorted(host for host in hosts if not _is_for(leaf, host))
    trouble = f"The certificate is not for {' and '.join(others)}: mail programs warn, or refuse it." if others else ""
    mend = "Get one that contains the name, or correct POSTERN_MAIL_HOST and POSTERN_SUBMISSION_HOST."
    return judged(subject, trouble, mend, f"The certificate is for {' and '.join(sorted(hosts))}.")


def _is_for(leaf: x509.Certificate, host: str) -> bool:
    """As mail programs see it (RFC 9525): by the alternative names alone, where a star stands for one label."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    host = host.lower()
    return host in known or f"*.{host.partition('.')[2]}" in known
