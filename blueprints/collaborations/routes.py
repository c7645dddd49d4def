"""Collaborators: the list, a new one in two steps, and what the menu offers."""

from functools import partial

from flask import Blueprint, abort, render_template, request
from flask_babel import gettext as _

from actions.authority import authority, permissions
from actions.collaborations import collaborations, user_names
from actions.ground.addresses import trimmed
from actions.ground.refusals import Refused
from blueprints.web import audit_words, guards, hx, of_user, reauthentication, words
from blueprints.web.visitor import current_user
from models import Collaboration, Mailbox

from .forms import CHOSEN, NewCollaboratorForm, PermissionsForm, PersonForm

blueprint = Blueprint("collaborations", __name__, url_prefix="/collaborations")

# The heading of the list, where nothing is left of a row.
HEADING = "collaborators"
COLLABORATION = "/<int:collaboration_id>"


@blueprint.get("/")
@guards.signed_in
def list_collaborations():
    mailbox = _mailbox()
    rows = collaborations.rows(mailbox)
    return hx.render("collaborations/list.html", mailbox=mailbox, rows=rows, **_words_for_rows())


@blueprint.get("/new")
@guards.signed_in
def new():
    return _person_page(NewCollaboratorForm(language=words.language()))


@blueprint.post("/new")
@guards.asks_password
def check_person():
    """“Continue”: the second step, with the answers of the first in it."""
    form, mailbox = NewCollaboratorForm(), _mailbox()
    _propose(form)
    check = partial(collaborations.checked, guards.unit(), mailbox, form.person)
    with hx.submit(form, _wrong_step, "user_name", check=check):
        collaborations.refuse_too_many(mailbox)
        check()
    return _grant_page(form, form.chosen)


@blueprint.post("/new/person")
@guards.signed_in
def back_to_person():
    """“Back”: the first step again, with all that was typed and chosen."""
    return _person_page(NewCollaboratorForm())


@blueprint.post("/new/proposal")
@guards.signed_in
def take_proposal():
    """A proposal's button, where no script fills it in."""
    form = NewCollaboratorForm()
    form.user_name.data = request.form.get("proposal", "")
    return _person_page(form)


@blueprint.post("/new/check")
@guards.background
def check_user_name():
    """The text under the user name while it is typed."""
    return render_template("collaborations/_user_name.html", **_user_name(PersonForm()))


@blueprint.post("/implied")
@guards.background
def implied():
    """The permissions as they are after a choice, with all that it brings."""
    _mailbox()
    kept = request.form.get("kept", 0, type=int)
    return render_template("collaborations/_permissions.html", **_choices(PermissionsForm().chosen, kept))


@blueprint.post("/")
@guards.recent_password
@reauthentication.asked_in(check_person)
def create():
    form, mailbox = NewCollaboratorForm(), _mailbox()
    check = partial(collaborations.checked, guards.unit(), mailbox, form.person)
    with hx.submit(form, _wrong_step, "user_name", check=check):
        made = collaborations.make(guards.unit(), mailbox, form.person, form.chosen)
    return hx.done(_list(), _("Invitation sent to %(address)s.", address=made.account.contact_email))


@blueprint.get(COLLABORATION)
@guards.signed_in
def details(collaboration_id: int):
    collaboration = _own(collaboration_id)
    return hx.render(
        "collaborations/details.html",
        row=collaborations.row(collaboration),
        events=collaborations.history(collaboration),
        sentence=audit_words.sentence,
        **_words_for_rows(),
    )


@blueprint.post(f"{COLLABORATION}/invitation")
@guards.recent_password
def send_link_again(collaboration_id: int):
    collaboration = _own(collaboration_id)
    with hx.attempt(_list()):
        collaborations.send_link_again(guards.unit(), collaboration)
    sentence = _("A new e-mail is on its way. The link in the earlier one no longer works.")
    return hx.done(of_user.address_of("collaborations.details", collaboration_id=collaboration.id), sentence)


@blueprint.get(f"{COLLABORATION}/permissions")
@guards.asks_password
def show_permissions(collaboration_id: int):
    collaboration = _acted_on(collaboration_id)
    form = PermissionsForm()
    granted = form.chosen if form.is_submitted() else collaboration.permissions
    return _permissions_page(collaboration, granted, form)


@blueprint.post(f"{COLLABORATION}/permissions")
@guards.recent_password
def change_permissions(collaboration_id: int):
    collaboration, form = _acted_on(collaboration_id), PermissionsForm()
    with hx.submit(form, partial(_permissions_page, collaboration, form.chosen), "permissions"):
        collaborations.change_permissions(guards.unit(), collaboration, form.chosen)
    sentence = _("The permissions of %(name)s are saved and take effect immediately.", **_named(collaboration))
    return hx.done(_row_of(collaboration), sentence)


@blueprint.get(f"{COLLABORATION}/reset")
@guards.asks_password
def confirm_reset(collaboration_id: int):
    return _question("collaborations/reset.html", collaboration_id)


@blueprint.post(f"{COLLABORATION}/reset")
@guards.recent_password
def reset(collaboration_id: int):
    collaboration = _acted_on(collaboration_id)
    with hx.attempt(_row_of(collaboration)):
        collaborations.reset(guards.unit(), collaboration)
    sentence = _("The password of %(name)s no longer works. A link is on its way.", **_named(collaboration))
    return hx.done(_row_of(collaboration), sentence)


@blueprint.get(f"{COLLABORATION}/disabling")
@guards.asks_password
def confirm_disabling(collaboration_id: int):
    return _question("collaborations/disabling.html", collaboration_id)


@blueprint.post(f"{COLLABORATION}/disabling")
@guards.recent_password
def disable(collaboration_id: int):
    collaboration = _acted_on(collaboration_id)
    with hx.attempt(_row_of(collaboration)):
        collaborations.disable(guards.unit(), collaboration)
    sentence = _("%(name)s is disabled and can no longer open the mailbox.", **_named(collaboration))
    return hx.done_for_now(_row_of(collaboration), sentence)


@blueprint.get(f"{COLLABORATION}/removal")
@guards.asks_password
def confirm_removal(collaboration_id: int):
    return _question("collaborations/removal.html", collaboration_id)


@blueprint.post(f"{COLLABORATION}/removal")
@guards.recent_password
def remove(collaboration_id: int):
    collaboration = _acted_on(collaboration_id)
    with hx.attempt(_list(HEADING)):
        collaborations.remove(guards.unit(), collaboration)
    sentence = _("%(name)s has been removed. The user name is available again.", **_named(collaboration))
    return hx.done(_list(HEADING), sentence)


def _mailbox() -> Mailbox:
    """The mailbox whose collaborators the page is about: the named user's; where the address names none, the one whose
    collaborators the signed-in account looks after."""
    if named := of_user.mailbox():
        return named
    account = current_user.account
    return account.mailbox if authority.may_keep_mailbox(account) else abort(404)


def _own(collaboration_id: int) -> Collaboration:
    """One of the mailbox's collaborators."""
    return collaborations.of(_mailbox()).where(Collaboration.id == collaboration_id).first() or abort(404)


def _acted_on(collaboration_id: int) -> Collaboration:
    """One of them that the signed-in account may act on: nobody acts on themselves."""
    collaboration = _own(collaboration_id)
    return collaboration if authority.may_act_on_collaborator(current_user.account, collaboration) else abort(403)


def _named(collaboration: Collaboration) -> dict[str, str]:
    return {"name": collaboration.account.display_name}


def _list(row: str = "") -> str:
    """The list, at the row or the heading with this id."""
    return of_user.address_of("collaborations.list_collaborations", _anchor=row or None)


def _row_of(collaboration: Collaboration) -> str:
    return _list(f"collaboration-{collaboration.id}")


def _wrong_step(form: NewCollaboratorForm, status: int):
    """Back to the step with the wrong field."""
    return _grant_page(form, form.chosen, status) if form.permissions.errors else _person_page(form, status)


def _question(page: str, collaboration_id: int):
    collaboration = _acted_on(collaboration_id)
    consequences = collaborations.consequences(guards.ports(), collaboration)
    return hx.render(page, collaboration=collaboration, person=collaboration.account, consequences=consequences)


def _propose(form: PersonForm) -> None:
    """Fill in the first user name that is proposed where none was typed."""
    if not trimmed(form.user_name.data or ""):
        form.user_name.data = next(iter(_user_name(form)["proposals"]), "")


def _person_page(form: NewCollaboratorForm, status: int = 200):
    return hx.render("collaborations/new.html", status, form=form, **_user_name(form))


def _grant_page(form: NewCollaboratorForm, granted: int, status: int = 200):
    login = user_names.login(_mailbox(), trimmed(form.user_name.data or "").lower())
    return hx.render("collaborations/grant.html", status, form=form, login=login, **_choices(granted))


def _permissions_page(collaboration: Collaboration, granted: int, form: PermissionsForm, status: int = 200):
    return hx.render(
        "collaborations/permissions.html",
        status,
        form=form,
        collaboration=collaboration,
        person=collaboration.account,
        kept=collaboration.permissions,
        **_choices(granted, kept=collaboration.permissions),
    )


def _choices(chosen: int, kept: int = 0) -> dict:
    """The permissions to tick. `by` is what brings one along; the acting person gives only what they may."""
    granted, own = permissions.completed(chosen), authority.grantable(current_user.account, _mailbox()) | kept
    return {
        "reading": permissions.named(permissions.READ)[0],
        "choices": [
            {
                "value": each.bit,
                "word": _(each.word),
                "meaning": _(each.meaning),
                "ticked": bool(granted & each.bit),
                "by": [_(permissions.WORDS[other]) for other in permissions.bringing(each.bit) if granted & other],
                "offered": bool(own & each.bit),
            }
            for each in CHOSEN
        ],
    }


def _user_name(form: PersonForm) -> dict:
    """What the page says about the user name in the form."""
    mailbox, typed = _mailbox(), trimmed(form.user_name.data or "")
    proposals = user_names.proposals(mailbox, form.first_name.data or "", form.last_name.data or "")
    try:
        login, problem = user_names.login(mailbox, user_names.checked(mailbox, typed)) if typed else "", ""
    except Refused as refusal:
        login, problem = "", words.translated(refusal)
    return {"mailbox": mailbox, "proposals": proposals, "login": login, "problem": problem}


def _words_for_rows() -> dict:
    return {
        "may_act_on": lambda collaboration: authority.may_act_on_collaborator(current_user.account, collaboration),
        "named_permissions": permissions.named,
        "states": collaborations,
    }
