"""The demo's outgoing mail, to be read here because it is sent nowhere."""

from flask import Blueprint, abort

from postern.blueprints.web import guards, hx

blueprint = Blueprint("demo", __name__)


@blueprint.get("/outbox")
@guards.public
def outbox():
    ports = guards.ports()
    if not ports.settings.keeps_mail:
        abort(404)
    return hx.render("demo/outbox.html", messages=ports.mailer.messages(), text_of=text_of)


def text_of(message) -> str:
    """The message's plain text."""
    body = message.get_body(("plain",))
    return body.get_content() if body else ""
