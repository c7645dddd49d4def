"""The demo's outgoing mail and text messages, to be read here because they are sent nowhere."""

from email.utils import parsedate_to_datetime

from flask import Blueprint, abort, request

from postern.blueprints.web import guards, hx
from postern.settings import is_loopback_host

blueprint = Blueprint("demo", __name__)


@blueprint.get("/outbox")
@guards.public
def outbox():
    settings = guards.ports().settings
    # The demo may be served to the network, its mail may not: links to set passwords stand in it.
    if not (settings.keeps_mail or settings.keeps_sms) or not is_loopback_host(request.remote_addr or ""):
        abort(404)
    return hx.render("demo/outbox.html", messages=kept_messages(), text_of=text_of)


def kept_messages() -> list:
    """Letters and text messages, the newest first."""
    ports = guards.ports()
    letters = ports.mailer.messages() if ports.settings.keeps_mail else []
    texts = ports.sms.messages() if ports.settings.keeps_sms else []
    return sorted(letters + texts, key=lambda message: parsedate_to_datetime(message["Date"]), reverse=True)


def text_of(message) -> str:
    """The message's plain text."""
    body = message.get_body(("plain",))
    return body.get_content() if body else ""
