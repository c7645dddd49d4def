"""Dovecot's questions about attempts to sign in, in its auth policy protocol: `allow` and `report`.

They hold neither a password nor a hash of one.
"""

import hmac
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, jsonify, request

from actions.passwords import mail_policy
from blueprints.web import form_tokens, guards, hosts
from settings import Settings, is_loopback_host

blueprint = Blueprint("mail_policy", __name__)

GO_ON, REFUSE = 0, -1
# Dovecot 2.4 tells it when it could not ask the database.
NOT_JUDGED = "internal"
# Mail programs show it. Of a right password nothing may tell that it was right.
WHY = "Too many wrong passwords. Try again later."


@blueprint.record_once
def _begin_to_answer(state) -> None:
    state.app.extensions["mail_policy"] = mail_policy.Questions()


@blueprint.post(mail_policy.PATH)
@hosts.answers_by_any_name
@form_tokens.needs_none
@guards.asked_by_dovecot
def answer():
    _refuse_others()
    asked = request.get_json(force=True, silent=True)
    if not isinstance(asked, dict):
        abort(400)
    settings, attempt = guards.ports().settings, _attempt(asked)
    if request.args.get("command") == "report":
        _note(settings, attempt, asked)
    elif not mail_policy.admits(settings, attempt):
        return jsonify(status=REFUSE, msg="" if asked.get("verified") else WHY)
    return jsonify(status=GO_ON, msg="")


def _attempt(asked: dict) -> mail_policy.Attempt:
    texts = (str(asked.get(name, "")) for name in ("login", "remote", "shape"))
    return mail_policy.Attempt(*(text.encode("utf-8", "replace").decode() for text in texts))


def _note(settings: Settings, attempt: mail_policy.Attempt, asked: dict) -> None:
    # Nobody waits for this answer.
    current_app.extensions["mail_policy"].note()
    if asked.get("success") is True:
        mail_policy.note_success(attempt)
    elif asked.get("policy_reject") is not True and asked.get("fail_type") != NOT_JUDGED:
        mail_policy.note_failure(settings, attempt)


def _refuse_others() -> None:
    settings = guards.ports().settings
    key, given = mail_policy.authorization(settings), request.headers.get("Authorization", "")
    address = request.remote_addr or ""
    is_near = is_loopback_host(address) or address == urlsplit(settings.doveadm_url).hostname
    if not is_near or not hmac.compare_digest(given.encode(), key.encode()):
        abort(403)
