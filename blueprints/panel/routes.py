"""The panel's own addresses."""

from flask import Blueprint, Response, abort, current_app, request, session, url_for
from peewee import PeeweeException

from actions.services import services
from actions.upkeep import installation
from blueprints.web import assets, frame, guards, host_face, hosts, hx
from blueprints.web.visitor import current_user
from database import differing_migrations, is_unfinished_restore

from .forms import LanguageForm

panel = Blueprint("panel", __name__)


@guards.in_frames
@guards.public
def home():
    """To the first page that is of use: the password in a webmail's frame or where it must be changed, the users of a
    manager's only service, what there is to see for anybody else who is signed in, or the way in."""
    if not current_user.is_authenticated:
        return hx.redirect(url_for("sign_in.sign_in"))
    account = current_user.account
    if frame.is_framed() or account.must_change_password:
        return hx.redirect(url_for("account.password"))
    only = services.only(account) if account.is_manager else None
    return hx.redirect(url_for("services.list_users", service_id=only.id) if only else url_for("overview.show"))


@panel.get("/healthz")
@hosts.answers_also(hosts.is_of_a_monitor)
@guards.public
def health():
    """200 once the database is reachable and of this version; a load balancer asks this."""
    try:
        missing, unknown = differing_migrations()
    except PeeweeException as trouble:
        is_restored = is_unfinished_restore(trouble)
        return _health("the database is being restored\n" if is_restored else "the database does not answer\n", 503)
    if missing:
        return _health("the database is not migrated\n", 503)
    if unknown:
        return _health(f"the database is newer than this program, which does not know {', '.join(unknown)}\n", 503)
    return _health("ok\n", 200)


@panel.post("/language")
@guards.public
def choose_language():
    """The language for a visitor's browser: the page that they were on, in it."""
    form = LanguageForm()
    if not form.validate():
        abort(400)
    session.language = form.language.data
    return hx.redirect(guards.safe_return(form.next.data))


def _health(text: str, status: int) -> Response:
    answer = Response(text, status, mimetype="text/plain")
    if asked := request.headers.get(installation.QUESTION):
        answer.headers[installation.ANSWER] = installation.answer(guards.ports().settings, asked, request.remote_addr)
    return answer


@panel.get("/assets/<name>")
@guards.public
def asset(name: str):
    """The stylesheet or the script, or what the host has of its own, under a name that changes with its content, and
    so is kept for ever."""
    answer = _own(name) or _of_the_host(name) or abort(404)
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


def _own(name: str) -> Response | None:
    for plain, media_type in assets.MEDIA_TYPES.items():
        if name == assets.hashed_name(plain):
            answer = _compressed(plain) if "gzip" in request.accept_encodings else Response(assets.asset(plain)[0])
            answer.content_type = media_type
            answer.vary.add("Accept-Encoding")
            return answer
    return None


def _compressed(name: str) -> Response:
    return Response(assets.compressed(name), headers={"Content-Encoding": "gzip"})


def _of_the_host(name: str) -> Response | None:
    file = current_app.extensions[host_face.KEY].files.get(name)
    if file is None:
        return None
    policy = {"Content-Security-Policy": file.policy} if file.policy else {}
    return Response(file.content, content_type=file.media_type, headers=policy)
