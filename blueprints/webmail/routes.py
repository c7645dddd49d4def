"""Requests of a webmail's server, each signed: the password of somebody who signs in there, for a credential."""

from flask import Blueprint, jsonify, request

from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.webmails import webmail_credentials, webmail_fallbacks, webmail_tokens
from actions.webmails.webmail_credentials import WantedCredential
from actions.webmails.webmail_fallbacks import Told
from actions.webmails.webmail_tokens import NotAccepted, Purpose
from blueprints.web import form_tokens, guards, hosts
from blueprints.web.templates import navigation
from models import Account, Webmail

PAGES = {
    "account.show_permissions": "permissions",
    "account.password": "password",
    "devices.list_devices": "devices",
    "collaborations.list_collaborations": "collaborations",
    "account.list_sessions": "sessions",
    "account.activity": "activity",
    "account.show_preferences": "preferences",
}

blueprint = Blueprint("webmail", __name__, url_prefix="/webmail")


@blueprint.post("/credentials")
@hosts.answers_by_any_name
@form_tokens.needs_none
@guards.signed_by_webmail
def make():
    webmail, asked = _signed_request()
    facts = (asked.get(name, "") for name in ("login", "password", "sid", "address", "user_agent"))
    made = webmail_credentials.make(guards.ports(), webmail, WantedCredential(*facts))
    account, expires_at = made.credential.account, made.credential.expires_at
    answer = {"password": made.password, "expires_at": expires_at, "user": account.login, "name": _name(account)}
    return jsonify(answer | {"pages": _pages(account)}), 201


@blueprint.delete("/credentials")
@hosts.answers_by_any_name
@form_tokens.needs_none
@guards.signed_by_webmail
def end():
    webmail, asked = _signed_request()
    webmail_credentials.sign_out(guards.ports(), webmail, asked.get("password", ""))
    return "", 204


@blueprint.post("/credentials/state")
@hosts.answers_by_any_name
@form_tokens.needs_none
@guards.signed_by_webmail
def state_of():
    webmail, asked = _signed_request()
    return jsonify(alive=webmail_credentials.is_alive(webmail, asked.get("password", "")))


@blueprint.post("/fallbacks")
@hosts.answers_by_any_name
@form_tokens.needs_none
@guards.signed_by_webmail
def note_fallback():
    """No webmail reported these before tokens named their purpose."""
    webmail, asked = _signed_request(may_be_unnamed=False)
    facts = (asked.get(name, "") for name in ("id", "login", "address", "user_agent", "at"))
    webmail_fallbacks.note(webmail, Told(*facts, entered=asked.get("outcome") == "entered"))
    return "", 204


def _name(account: Account) -> str:
    """What the person's e-mails are to be from; the empty text where no name is known."""
    return f"{account.first_name} {account.last_name}".strip()


def _pages(account: Account) -> list[str]:
    """What the account can open here, for the webmail's own menu."""
    return [PAGES[section.endpoint] for section in navigation(account) if section.endpoint in PAGES]


def _signed_request(may_be_unnamed: bool = True) -> tuple[Webmail, dict[str, str]]:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    purpose = Purpose(request.method, request.path, may_be_unnamed)
    return webmail_tokens.read_request(guards.unit(), bearer, purpose, request.get_data())


@blueprint.errorhandler(NotAccepted)
def not_accepted(_refusal: NotAccepted):
    return jsonify(error="signature"), 403


@blueprint.errorhandler(Refused)
def wrong(refusal: Refused):
    """The answer to a refused webmail, whatever the reason, and to a malformed request."""
    return (jsonify(error="wrong"), 401) if refusal.field == "password" else (jsonify(error=refusal.field), 400)


@blueprint.errorhandler(TooManyAttempts)
def wait(refusal: TooManyAttempts):
    return jsonify(error="wait", wait=refusal.wait), 429, {"Retry-After": str(refusal.wait)}
