"""Whether those who submit mail are held to their own address, as far as Postfix's configuration tells."""

from collections.abc import Iterator

from actions.ground.ports import Ports
from adapters import milter, postfix
from adapters.postfix import PostfixUnknown
from doctor.findings import Finding, judged, not_known
from settings import is_loopback_host

SUBJECT = "sender addresses"
UNKNOWN = "whether people can write as anybody:"
# Where Postfix takes submission when Dovecot does not.
POSTFIX_SUBMISSION = {587, 465}
SEE = "See “Who may write as whom” in docs/operating.md."


def senders(ports: Ports) -> Iterator[Finding]:
    settings = ports.settings
    if not settings.has_mail_server:
        return
    relay, _, port = settings.submission_relay.rpartition(":")
    by_dovecot = bool(settings.mail_ports["submission"] or settings.mail_ports["submissions"])
    asked = {int(port)} if by_dovecot and port.isdigit() else POSTFIX_SUBMISSION
    if by_dovecot and not is_loopback_host(relay.strip("[]")):
        reason = f"Dovecot hands mail to {settings.submission_relay}, another machine."
        yield not_known(SUBJECT, f"{UNKNOWN} {reason}")
        return
    try:
        found = postfix.services(asked, "smtpd_milters", "milter_default_action", "smtpd_authorized_xclient_hosts")
    except PostfixUnknown as trouble:
        yield not_known(SUBJECT, f"{UNKNOWN} {trouble}")
        return
    if not found:
        listened = " or ".join(map(str, sorted(asked)))
        yield not_known(SUBJECT, f"{UNKNOWN} this machine's Postfix has no service on port {listened}.")
    for service in found:
        well = f"Postfix's service {service.name} asks who may write as whom."
        yield judged(SUBJECT, *_trouble(service, by_dovecot), well)


def _trouble(service: postfix.Service, by_dovecot: bool) -> tuple[str, str]:
    """What is wrong, and how to mend it; empty texts where all is well."""
    milters = service.parameters["smtpd_milters"].replace(",", " ").split()
    if not milters:
        sentence = f"Whoever signs in can write as anybody: Postfix's service {service.name} has no smtpd_milters."
        return sentence, SEE
    if by_dovecot and not service.parameters["smtpd_authorized_xclient_hosts"]:
        sentence = (
            "Whoever signs in can write as anybody: Dovecot hands mail to Postfix's service"
            f" {service.name}, which does not learn who signed in (smtpd_authorized_xclient_hosts)."
        )
        return sentence, SEE
    if service.parameters["milter_default_action"] == "accept":
        sentence = (
            f"Postfix's service {service.name} lets people write as anybody while “flask sender-check” does not answer."
        )
        return sentence, "Set milter_default_action=tempfail."
    if not any(map(_is_sender_check, milters)):
        sentence = (
            f"“flask sender-check” does not answer where Postfix's service {service.name} asks ({' '.join(milters)})."
        )
        return sentence, f"Start it, and name its port there. {SEE}"
    return "", ""


def _is_sender_check(place: str) -> bool:
    kind, _, address = place.partition(":")
    host, _, port = address.rpartition(":")
    return kind == "inet" and port.isdigit() and milter.answers((host, int(port)))
