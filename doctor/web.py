"""The panel as browsers reach it, and the webmails that show it."""

import http.client
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken

from actions.ground.ports import Ports
from actions.upkeep import installation
from actions.webmails import webmail_tokens, webmails
from blueprints.web.assets import missing_vendor_files
from doctor.certificates import ends
from doctor.clocks import compared_by_header
from doctor.findings import Finding, fine, judged, not_known, wrong
from models import Webmail
from settings import Settings

# Seconds for each step of an answer.
PATIENCE = 4
# Nobody has it (RFC 5737). As often as more proxies than anybody has would add one.
FORGED, TIMES = "203.0.113.254", 12


@dataclass(frozen=True)
class _Answer:
    """What came back from the base URL."""

    proof: str
    date: str | None
    # When the certificate ends, in seconds since the epoch; None without TLS.
    ends_at: float | None


def base_url(ports: Ports) -> Iterator[Finding]:
    """Whether this installation's panel answers where people are sent, seen from this machine."""
    settings, question = ports.settings, secrets.token_hex(16)
    try:
        answer = _asked(settings, question)
    except ssl.SSLCertVerificationError as trouble:
        sentence = f"Browsers refuse the certificate at {settings.base_url}: {trouble.verify_message}"
        mend = "Give the web server a certificate for that name, with its intermediate ones, and reload it."
        yield wrong("web certificate", f"{sentence.rstrip('.')}.", mend)
        return
    except (OSError, http.client.HTTPException) as trouble:
        yield _unreached(settings, trouble)
        return
    yield _known_again(settings, question, answer)
    yield from _proxies(settings, question, answer)
    if answer.ends_at is not None:
        yield ends("web certificate", f"The certificate at {settings.base_url}", answer.ends_at, "Renew it.")
    yield compared_by_header("the web server", answer.date)


def webmails_of(ports: Ports) -> Iterator[Finding]:
    settings, known = ports.settings, list(webmails.every())
    for webmail in known:
        well = "This webmail is registered and may show the panel."
        yield judged(webmail.origin, *_webmail_trouble(settings, webmail), well)
        if webmail_tokens.names_no_purpose(webmail):
            sentence = "In the last 24 hours its server sent requests that do not state their purpose."
            yield wrong(webmail.origin, sentence, "Update its plugin.")
    if known and not settings.webmail_hosts:
        sentence = "Dovecot refuses the webmails' passwords, because it does not know their addresses."
        yield wrong("webmail hosts", sentence, "Set POSTERN_WEBMAIL_HOSTS to them.")


def scripts(_ports: Ports) -> Iterator[Finding]:
    if missing := missing_vendor_files():
        sentence = f"Missing: {', '.join(missing)}. Pages work in a plainer form."
        yield wrong("scripts", sentence, "Run scripts/vendor.")


def _asked(settings: Settings, question: str) -> _Answer:
    """The answer to a question, from whoever answers at the base URL."""
    base = urlsplit(settings.base_url)
    if settings.is_https:
        trusted = ssl.create_default_context()
        connection = http.client.HTTPSConnection(base.hostname, base.port, timeout=PATIENCE, context=trusted)
    else:
        connection = http.client.HTTPConnection(base.hostname, base.port, timeout=PATIENCE)
    forged = ", ".join([FORGED] * TIMES)
    try:
        connection.request(
            "GET", f"{base.path}/healthz", headers={installation.QUESTION: question, "X-Forwarded-For": forged}
        )
        certificate = connection.sock.getpeercert() if settings.is_https else None
        answer = connection.getresponse()
        ends_at = ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None
        return _Answer(answer.headers.get(installation.ANSWER, ""), answer.headers.get("Date"), ends_at)
    finally:
        connection.close()


def _unreached(settings: Settings, trouble: Exception) -> Finding:
    if settings.is_loopback:
        return not_known("base URL", f"nothing answers at {settings.base_url}; is the panel running?")
    if isinstance(trouble, socket.gaierror):
        sentence = f"The name in {settings.base_url} cannot be resolved."
        return wrong("base URL", sentence, "Enter it in the DNS, or correct POSTERN_BASE_URL.")
    reason = getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__
    sentence = f"The panel does not answer at {settings.base_url} ({reason})."
    return wrong("base URL", sentence, "Check that nginx and postern run, the firewall, and POSTERN_BASE_URL.")


def _known_again(settings: Settings, question: str, answer: _Answer) -> Finding:
    subject = "base URL"
    if installation.is_from_here(settings, question, answer.proof):
        return fine(subject, f"This installation's panel answers at {settings.base_url}.")
    if answer.proof:
        sentence = f"A Postern with another secret key answers at {settings.base_url}."
        return wrong(subject, sentence, "Correct POSTERN_BASE_URL, or give both the same secret key and restart them.")
    return wrong(
        subject,
        f"Somebody else answers at {settings.base_url}, or a panel of an older version: links in e-mails lead there.",
        "Correct POSTERN_BASE_URL or the web server in front; after an upgrade restart the panel.",
    )


def _proxies(settings: Settings, question: str, answer: _Answer) -> Iterator[Finding]:
    """Whether clients can choose the address that they are taken for, and so guess passwords for ever."""
    if not installation.is_from_here(settings, question, answer.proof):
        return
    forged = installation.is_taken_for(settings, question, answer.proof, FORGED)
    yield judged(
        "proxies",
        "The panel believes any address that a client sends in X-Forwarded-For, so nobody who guesses is slowed down."
        if forged
        else "",
        f"POSTERN_PROXIES={settings.proxies} is more than the proxies in front of the panel that speak HTTP: with the"
        " shipped nginx configuration it is 0.",
        "Clients cannot choose the address that they are taken for.",
    )


def _webmail_trouble(settings: Settings, webmail: Webmail) -> tuple[str, str]:
    """What is wrong, and how to mend it; empty texts where all is well."""
    if webmail.origin not in settings.webmail_origins:
        return "Browsers refuse its frames.", f"Add {webmail.origin} to POSTERN_WEBMAIL_ORIGINS."
    if not settings.cross_site and _site_of(webmail.origin) != _site_of(settings.base_url):
        return "It is on another site, so browsers keep no cookies in its frames.", "Set POSTERN_CROSS_SITE=yes."
    try:
        webmails.verifying_key(settings, webmail)
    except InvalidToken:
        return "Its key was encrypted with another secret key.", "Remove the webmail and add it again."
    return "", ""


def _site_of(address: str) -> str:
    """Addresses whose hosts end differently are on different sites; those that end alike need not be on the same."""
    host = urlsplit(address).hostname or ""
    return ".".join(host.split(".")[-2:])
