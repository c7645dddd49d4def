"""The demo's outgoing mail, to be read here because it is sent nowhere."""

from flask import Blueprint, abort, request

from postern.blueprints.web import guards, hx
from postern.settings import is_loopback_host

blueprint = Blueprint("demo", __name__)


@blueprint.get("/outbox")
@guards.public
def outbox():
    ports = guards.ports()
    # The demo may be served to the network, its mail may not: links to set passwords stand in it.
    if not ports.settings.keeps_mail or not is_loopback_host(request.remote_addr or ""):
        abort(404)
    return hx.render("demo/outbox.html", messages=ports.mailer.messages(), text_of=text_of)


def text_of(message) -> str:
    """The message's plain text."""
    body = message.get_body(("plain",))
    return body.get_content() if body else ""
