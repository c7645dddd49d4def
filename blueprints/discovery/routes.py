"""Mail settings for mail programs, by the protocols of Thunderbird, Outlook and Apple.

Every answer depends on the domain alone, so that nobody learns which mailboxes exist, and holds no password.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, jsonify, render_template, request

from actions.devices import mail_programs, set_up
from actions.ground.addresses import canonical_address, canonical_domain, trimmed
from actions.ground.domain_names import readable
from actions.ground.refusals import Refused
from blueprints.web import downloads, form_tokens, guards, hosts
from models import Domain, now

from .autodiscover_request import RESPONSE_SCHEMA, BadRequest, read

blueprint = Blueprint("discovery", __name__)

CACHED_FOR = 15 * 60
AUTODISCOVER = "/autodiscover/autodiscover"
# Clients write this path in many ways.
ANY_SPELLING = re.compile(rf"{AUTODISCOVER}\.(xml|json)(?=/|$)", re.IGNORECASE | re.ASCII)
INVALID_REQUEST, NOT_OF_THIS_KIND, UNKNOWN_ADDRESS = 600, 601, 500
MESSAGES = {
    INVALID_REQUEST: "Invalid Request",
    NOT_OF_THIS_KIND: "Provider is not available",
    UNKNOWN_ADDRESS: "The email address can't be found.",
}


def _is_of_mail_domain(host: str) -> bool:
    """Whether it is the name of a domain that is served, or one at which programs ask for its settings."""
    return _domain(host.removeprefix("autoconfig.").removeprefix("autodiscover.")) is not None


def _at_each(paths: tuple[str, ...], **options) -> Callable:
    """Route a view at several addresses."""

    def route(view):
        for path in paths:
            view = blueprint.route(path, **options)(view)
        return view

    return route


@blueprint.record_once
def _read_any_spelling(state) -> None:
    """Before the addresses are looked up, the path of Autodiscover is written in small letters."""
    inner = state.app.wsgi_app

    def spelled(environ, start_response):
        environ["PATH_INFO"] = _in_small_letters(environ.get("PATH_INFO", ""))
        return inner(environ, start_response)

    state.app.wsgi_app = spelled


def _in_small_letters(path: str) -> str:
    named = ANY_SPELLING.match(path)
    return named[0].lower() + path[named.end() :] if named else path


@_at_each(("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"), methods=["GET"])
@hosts.answers_also(_is_of_mail_domain)
@guards.public
def thunderbird():
    """Thunderbird's autoconfig, also read by Evolution, KMail, FairEmail, K-9 and others.

    Form and addresses: draft-ietf-mailmaint-autoconfig and its schema, autoconfig.rnc, both in
    github.com/benbucksch/autoconfig-spec. The address is optional there: the host that was asked names the domain too.
    """
    domain = _served(_asked("emailaddress").rpartition("@")[2] or _domain_of_host())
    # The address as it was typed would not do where the domain can be written in two ways.
    login = f"%EMAILLOCALPART%@{domain.name}" if readable(domain.name) != domain.name else "%EMAILADDRESS%"
    servers = mail_programs.recommended(guards.ports().settings, login, mail_programs.ALL_PROTOCOLS)
    return _cached(_xml("discovery/autoconfig.xml", domain=domain, servers=servers))


@blueprint.post(f"{AUTODISCOVER}.xml")
@hosts.answers_also(_is_of_mail_domain)
# Its request changes nothing.
@form_tokens.needs_none
@guards.public
def outlook():
    """Outlook's Autodiscover ("POX"): [MS-OXDSCLI], and "Plan to automatically configure user accounts in Outlook"."""
    try:
        asked = read(request.get_data(cache=False))
    except BadRequest:
        return _outlook_error(INVALID_REQUEST), 400
    if asked.schema != RESPONSE_SCHEMA:
        return _outlook_error(NOT_OF_THIS_KIND)
    address = _address(asked.address)
    if address is None:
        return _outlook_error(UNKNOWN_ADDRESS), 404
    servers = mail_programs.recommended(guards.ports().settings, address, mail_programs.ALL_PROTOCOLS)
    return _xml("discovery/autodiscover.xml", servers=servers)


@_at_each((f"{AUTODISCOVER}.json", f"{AUTODISCOVER}.json/v1.0/<address>"), methods=["GET"])
@hosts.answers_also(_is_of_mail_domain)
@guards.public
def outlook_json(address: str = ""):
    """Autodiscover version 2, which only says where the XML is.

    Microsoft publishes no reference; the form is that of Exchange's own answers, as they stand in
    github.com/mailcow/mailcow-dockerized, pull request 636 and issue 2300.
    """
    _served((address or _asked("Email")).rpartition("@")[2])
    if _asked("Protocol").lower() != "autodiscoverv1":
        sentence = "The given protocol value is invalid. Supported values are 'AutodiscoverV1'"
        return jsonify(ErrorCode="InvalidProtocol", ErrorMessage=sentence), 400
    url = guards.ports().settings.base_url + f"{AUTODISCOVER}.xml"
    return _cached(jsonify(Protocol="AutodiscoverV1", Url=url))


@blueprint.get("/apple.mobileconfig")
@hosts.answers_also(_is_of_mail_domain)
@guards.public
def apple():
    """A configuration profile without a password, which the device asks for."""
    # A plus sign that was not encoded is read as a space, which no address has.
    address = _address(trimmed(_asked("emailaddress")).replace(" ", "+")) or abort(404)
    profile = set_up.apple_profile_of_address(guards.ports().settings, address) or abort(404)
    return _cached(downloads.apple_download(profile, "mail"))


def _asked(name: str) -> str:
    """A value of the query; its name is written in small letters by some clients, in capitals by others."""
    named = {key.lower(): value for key, value in request.args.items()}
    return named.get(name.lower(), "").strip()


def _served(name: str) -> Domain:
    """The domain of this name, or the page that says that there is none here."""
    return _domain(name) or abort(404)


def _domain(name: str) -> Domain | None:
    try:
        return Domain.get_or_none(Domain.name == canonical_domain(name))
    except Refused:
        return None


def _address(text: str) -> str | None:
    """A well-formed address in a domain that is served; whether there is such a mailbox is not looked up."""
    try:
        address = canonical_address(text)
    except Refused:
        return None
    return address if _domain(address.rpartition("@")[2]) else None


def _domain_of_host() -> str:
    """`autoconfig.example.org` and `example.org` itself both speak of example.org."""
    return hosts.asked().removeprefix("autoconfig.")


def _outlook_error(code: int) -> Response:
    time = datetime.fromtimestamp(now(), UTC).strftime("%H:%M:%S")
    return _xml("discovery/autodiscover_error.xml", code=code, message=MESSAGES[code], time=time)


def _xml(template: str, **facts) -> Response:
    return Response(render_template(template, **facts), content_type="text/xml; charset=utf-8")


def _cached(answer: Response) -> Response:
    answer.headers["Cache-Control"] = f"public, max-age={CACHED_FOR}"
    return answer
