"""Users from a file: upload, what would happen and what is wrong, then all or nothing; and all users as a file."""

from functools import partial

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from actions.services import services
from actions.users import exports, imports, user_files
from blueprints.web import addresses, downloads, guards, hx, words
from blueprints.web.visitor import current_user
from models import Service, UserImport

from .forms import FileForm

blueprint = Blueprint("user_imports", __name__, url_prefix="/services")

SERVICE = "/<int:service_id>"
IMPORT = f"{SERVICE}/imports/<int:import_id>"
# The file, and the rest of the form.
LARGEST_REQUEST = imports.LARGEST_FILE + 64 * 1024
SHOWN_IMPORTS = 10


@blueprint.get(f"{SERVICE}/imports/")
@blueprint.get(f"{SERVICE}/imports/new")
@guards.manager
def new_import(service_id: int):
    return _upload_page(_service(service_id), FileForm(formdata=None))


@blueprint.post(f"{SERVICE}/imports/")
@guards.takes(LARGEST_REQUEST)
@guards.manager
def begin(service_id: int):
    """Check the file, which adds nobody yet. So the password is asked for later, and never costs a second upload."""
    service, form = _service(service_id), FileForm()
    with hx.submit(form, partial(_upload_page, service), "file"):
        text, name = user_files.text_of(form.file.data.stream), form.file.data.filename or ""
        choices = bool(form.invites.data), bool(form.skips_unknown.data)
        begun = imports.begin(guards.unit(), service, text, name, *choices)
    return hx.redirect(url_for(".show_import", service_id=service.id, import_id=begun.id))


@blueprint.get(IMPORT)
@guards.manager
def show_import(service_id: int, import_id: int):
    """What would happen and what is wrong; or how far it is."""
    return hx.render("user_imports/show.html", **_shown(_import(service_id, import_id)))


@blueprint.get(f"{IMPORT}/progress")
@guards.background
def show_progress(service_id: int, import_id: int):
    """How far it is, which the page asks on its own until it is done."""
    return render_template("user_imports/_import.html", **_shown(_import(service_id, import_id)))


@blueprint.get(f"{IMPORT}/users")
@guards.manager_asks
def confirm(service_id: int, import_id: int):
    found = _import(service_id, import_id)
    return hx.render("user_imports/confirm.html", service=found.service, found=found)


@blueprint.post(f"{IMPORT}/users")
@guards.manager_recently
def make(service_id: int, import_id: int):
    found = _import(service_id, import_id)
    page = url_for(".show_import", service_id=service_id, import_id=import_id)
    with hx.attempt(page):
        _flash_made(imports.want(guards.unit(), found))
    return hx.redirect(page)


@blueprint.post(f"{IMPORT}/discarding")
@guards.manager
def discard(service_id: int, import_id: int):
    page = url_for(".new_import", service_id=service_id)
    with hx.attempt(page):
        imports.discard(guards.unit(), _import(service_id, import_id))
    return hx.done(page, _("The file has been discarded. Nobody was added from it."))


@blueprint.get(f"{SERVICE}/mailboxes.csv")
@guards.manager
def export(service_id: int):
    service = _service(service_id)
    return downloads.csv(f"users-{service.id}.csv", exports.HEADER, exports.rows(service))


@blueprint.get(f"{SERVICE}/imports/sample.csv")
@guards.manager
def sample(service_id: int):
    """A file to begin with, which would be taken as it is."""
    row = exports.sample(_service(service_id), words.language())
    return downloads.csv("users-sample.csv", exports.SAMPLE_HEADER, [row])


def _service(service_id: int) -> Service:
    """A service that the signed-in account looks after."""
    return services.find(current_user.account, service_id) or abort(404)


def _import(service_id: int, import_id: int) -> UserImport:
    """One of its imports."""
    return imports.find(_service(service_id), import_id) or abort(404)


def _shown(found: UserImport) -> dict:
    """The import, and a page of its lines."""
    every = request.args.get("lines") == "all" or not found.problem_count
    lines = imports.lines(found, with_problems=not every, after=request.args.get("after", 0, type=addresses.number))
    return {
        "service": found.service,
        "found": found,
        "lines": lines[: imports.LINES_A_PAGE],
        "next_after": lines[imports.LINES_A_PAGE - 1].line if len(lines) > imports.LINES_A_PAGE else None,
        "shows_all": every,
        "told": lambda problem: [words.translated(each) for each in imports.told(problem).parts],
    }


def _flash_made(made: UserImport) -> None:
    if made.problem_count or made.problem:
        flash(_("Nobody was added: something has changed since the file was checked."), "error")
    elif made.state == UserImport.DONE:
        flash(
            ngettext("%(num)s user was added.", "%(num)s users were added.", made.line_count),
            "success",
        )


def _upload_page(service: Service, form: FileForm, status: int = 200):
    return hx.render(
        "user_imports/new.html",
        status,
        service=service,
        form=form,
        columns=user_files.COLUMNS,
        largest=imports.LARGEST_FILE,
        most_lines=imports.MOST_LINES,
        earlier=list(imports.of(service).limit(SHOWN_IMPORTS)),
    )
