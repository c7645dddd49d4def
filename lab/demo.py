"""`make demo`: the whole mail host on loopback, with demo people and some mail, until Ctrl-C."""

import signal
import smtplib
import sys
from collections.abc import Iterator
from email.message import EmailMessage

from lab.servers import HOST, is_listening
from lab.whole_host import OUTSIDE, Site, WholeHost

# Browsers take every name that ends with localhost for this machine, and these two for one site.
SITE = Site("webmail.postern.localhost", "account.postern.localhost")
PORT = 8443
MAIL = (
    (
        "boris@example.org",
        "anna@example.org",
        "Lunch on Friday?",
        "Hi Anna,\n\nthe place by the river, at one?\n\nBoris\n",
    ),
    ("chiara@example.org", "anna@example.org", "The invoice", "Dear Anna,\n\nit is paid.\n\nChiara\n"),
    ("anna@example.org", "boris@example.org", "Re: Lunch on Friday?", "With pleasure.\n\nAnna\n"),
    ("anna@example.net", "chiara@example.org", "Keys", "They are at the front desk.\n"),
)


def main() -> None:
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        print("Starting Dovecot, Postfix, Roundcube, Postern and nginx …", flush=True)
        with WholeHost([SITE], 0 if is_listening(PORT) else PORT) as host:
            send_mail(host)
            print("\n".join(sentences(host)), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("Everything has ended, and nothing is left.")
    except (RuntimeError, TimeoutError) as trouble:
        sys.exit(f"The demo could not start: {trouble}")


def send_mail(host: WholeHost) -> None:
    with smtplib.SMTP(HOST, host.postfix.port) as smtp:
        for sender, recipient, subject, text in MAIL:
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = sender, recipient, subject
            message.set_content(text)
            smtp.send_message(message)


def sentences(host: WholeHost) -> Iterator[str]:
    ports = {name: host.dovecot.port(name) for name in ("imap", "pop3", "submission", "sieve")}
    yield ""
    yield f"Webmail   {host.webmail_url(SITE)}/   (then User Settings)"
    yield f"Panel     {host.panel_url(SITE)}/"
    yield "Servers   " + ", ".join(f"{name} {HOST}:{port}" for name, port in ports.items()) + ", without TLS"
    yield ""
    for login, password in host.people.items():
        yield f"          {login:<22} {password}"
    yield ""
    yield f"Mail to any other domain, such as people's contact addresses, arrives at {OUTSIDE}."
    yield "The certificate is this host's own: the browser warns once for each of the two names."
    yield "Ctrl-C ends all of it."


if __name__ == "__main__":
    main()
