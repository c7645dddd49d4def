"""Several users at once: picked in the list, or all that its search found; a question, then what was done and what was
refused."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, abort, flash, request, url_for
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict

from actions.ground.refusals import N_, Refused
from actions.ground.throttle import TooManyAttempts
from actions.services import services
from actions.users import several, users
from blueprints.web import addresses, guards, hx, returns, words
from blueprints.web.errors import wait_sentence
from blueprints.web.visitor import current_user
from models import Account, Mailbox, Service

from . import wanted
from .forms import QuotaForm

blueprint = Blueprint("several", __name__, url_prefix="/services")

MAILBOXES = "/<int:service_id>/mailboxes"
SUSPEND, RESUME, QUOTA, INVITE, PASSWORDS = "suspend", "resume", "quota", "invite", "passwords"
# What is done with each, as the form about it asks; new passwords have pages of their own.
ACTIONS = {
    SUSPEND: lambda _form: users.suspend,
    RESUME: lambda _form: users.resume,
    QUOTA: lambda form: partial(users.change_quota, quota_bytes=form.quota_bytes),
    INVITE: lambda _form: users.send_link,
}
ACTION = f"{MAILBOXES}/several/<any({', '.join(ACTIONS)}):action>"


@dataclass(frozen=True)
class PasswordForm:
    """The address of the form for new passwords with these mailboxes of one domain, and how many they are."""

    domain: str
    count: int
    address: str


@blueprint.post(f"{MAILBOXES}/picked")
@guards.manager
def pick(service_id: int):
    """What to do with those that are ticked, or with all that the search found: its question."""
    service, action = _service(service_id), request.form.get("action")
    if action not in (*ACTIONS, PASSWORDS):
        abort(400)
    numbers = [mailbox.id for mailbox in _picked(service)]
    address = partial(url_for, service_id=service.id, mailbox=numbers, back=_list_of(service))
    return hx.redirect(address(".choose_domain") if action == PASSWORDS else address(".confirm", action=action))


@blueprint.get(f"{MAILBOXES}/passwords")
@guards.manager
def choose_domain(service_id: int):
    """To the form for new passwords, which is for one domain at a time."""
    service = _service(service_id)
    forms = _password_forms(service, _named(service, request.args))
    if len(forms) == 1:
        return hx.redirect(forms[0].address)
    return hx.render("services/several_domains.html", service=service, forms=forms, back=_list_of(service))


@blueprint.get(ACTION)
@guards.manager_asks
def confirm(service_id: int, action: str):
    service = _service(service_id)
    return _question(service, action, _named(service, request.values), QuotaForm())


@blueprint.post(ACTION)
@guards.manager_recently
def act(service_id: int, action: str):
    service, form = _service(service_id), QuotaForm()
    mailboxes = _named(service, request.form)
    with hx.submit(form, partial(_question, service, action, mailboxes), "quota"):
        report = several.act(guards.unit(), mailboxes, ACTIONS[action](form))
    return _reported(service, action, report)


def _service(service_id: int) -> Service:
    return services.find(current_user.account, service_id) or abort(404)


def _picked(service: Service) -> list[Mailbox]:
    """Those that may be acted on, of the users that are ticked, or of all that the search found."""
    seen = request.form.get("all", 0, type=addresses.number)
    if not seen:
        return _named(service, request.form)
    asked = wanted.users(returns.asked_of(_list_of(service)))
    with hx.attempt(_list_of(service)):
        return _some(several.found(current_user.account, service, asked, seen))


def _named(service: Service, given: MultiDict) -> list[Mailbox]:
    """The mailboxes of a form or an address that the signed-in account may act on: there are no others. The list says
    so where none is left."""
    with hx.attempt(_list_of(service)):
        return _some(several.of(current_user.account, service, given.getlist("mailbox", type=addresses.number)))


def _some(mailboxes: list[Mailbox]) -> list[Mailbox]:
    if not mailboxes:
        raise Refused(N_("Select at least one user."))
    return mailboxes


def _list_of(service: Service) -> str:
    return returns.to(url_for("services.list_users", service_id=service.id))


def _password_forms(service: Service, mailboxes: list[Mailbox]) -> list[PasswordForm]:
    """One for each domain, without those who are not active: the list says where nobody is, the form how many."""
    active = [mailbox for mailbox in mailboxes if mailbox.account.state == Account.ACTIVE]
    with hx.attempt(_list_of(service)):
        if not active:
            raise Refused(N_("None of the selected users is active, so there is no password to change."))
    if left := len(mailboxes) - len(active):
        flash(_left_out(left), "warning")
    ids = defaultdict(list)
    for mailbox in active:
        ids[mailbox.domain.name].append(mailbox.id)
    form = partial(url_for, "password_changes.new", service_id=service.id)
    return [PasswordForm(name, len(each), form(mailbox=each)) for name, each in sorted(ids.items())]


def _left_out(count: int) -> str:
    return ngettext(
        "%(num)s selected user is not active and is left out.",
        "%(num)s selected users are not active and are left out.",
        count,
    )


def _question(service: Service, action: str, mailboxes: list[Mailbox], form: QuotaForm, status: int = 200):
    return hx.render(
        "services/several.html",
        status,
        service=service,
        action=action,
        mailboxes=mailboxes,
        form=form,
        back=_list_of(service),
    )


def _reported(service: Service, action: str, report: several.Report):
    """The list again; where something was refused, who and why."""
    sentence, back = _sentence(action, len(report.done)), _list_of(service)
    if not report.refused:
        return hx.done(back, sentence)
    if report.done:
        flash(sentence, "success")
    words.flash_pending()
    refused = [(mailbox, _reason(refusal)) for mailbox, refusal in report.refused]
    return hx.render("services/several_report.html", service=service, refused=refused, back=back)


def _reason(refusal: Refused | TooManyAttempts) -> str:
    return wait_sentence(refusal) if isinstance(refusal, TooManyAttempts) else words.translated(refusal)


def _sentence(action: str, count: int) -> str:
    if action == SUSPEND:
        return ngettext("%(num)s user is suspended.", "%(num)s users are suspended.", count)
    if action == RESUME:
        return ngettext("%(num)s user can sign in again.", "%(num)s users can sign in again.", count)
    if action == QUOTA:
        return ngettext("The quota of %(num)s user is changed.", "The quota of %(num)s users is changed.", count)
    return ngettext("A link is on its way to %(num)s user.", "A link is on its way to %(num)s users.", count)
