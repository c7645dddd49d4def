"""The demo's outgoing mail and text messages, to be read here because they are sent nowhere."""

from email.utils import mktime_tz, parsedate_tz
from hashlib import sha256

from flask import Blueprint, Response, abort, request

from blueprints.web import guards, hosts, hx
from settings import is_loopback_host

blueprint = Blueprint("demo", __name__)


@blueprint.get("/outbox")
@guards.public
def outbox():
    _refuse_strangers()
    return hx.render("demo/outbox.html", messages=kept_messages(), text_of=text_of, attachments_of=attachments_of)


@blueprint.get("/outbox/attachments/<key>")
@guards.public
def attachment(key: str):
    """The attachment of an e-mail, as a download."""
    _refuse_strangers()
    file = next((each[key] for each in map(attachments_of, kept_messages()) if key in each), None) or abort(404)
    disposition = f'attachment; filename="{file.get_filename()}"'
    return Response(file.get_content(), mimetype=file.get_content_type(), headers={"Content-Disposition": disposition})


def _refuse_strangers() -> None:
    """The demo may be served to the network, its mail may not: it contains links to set passwords. It is read on this
    machine, by a name that is this machine's."""
    settings = guards.ports().settings
    is_here = is_loopback_host(request.remote_addr or "") and is_loopback_host(hosts.asked())
    if not (settings.keeps_mail or settings.keeps_sms) or not is_here:
        abort(404)


def kept_messages() -> list:
    """E-mails and text messages, the newest first."""
    ports = guards.ports()
    letters = ports.mailer.messages() if ports.settings.keeps_mail else []
    texts = ports.sms.messages() if ports.settings.keeps_sms else []
    return sorted(letters + texts, key=sent_at, reverse=True)


def sent_at(message) -> int:
    """When the message was sent, as it says itself, in seconds since the epoch; 0 for one that does not say."""
    moment = parsedate_tz(message["Date"] or "")
    return mktime_tz(moment) if moment else 0


def attachments_of(message) -> dict:
    """The files of a message, each by a key of its own."""
    return {sha256(file.get_content()).hexdigest()[:32]: file for file in message.iter_attachments()}


def text_of(message) -> str:
    """The message's plain text."""
    body = message.get_body(("plain",))
    return body.get_content() if body else ""
