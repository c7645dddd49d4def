"""Active orders: the mail services, what there is to know of each, and their users."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, abort, render_template, request, url_for
from flask_babel import gettext as _

from actions.authority import authority
from actions.ground.addresses import canonical_login
from actions.passwords import passphrase, passwords
from actions.services import services, user_list
from actions.users import renaming, several, users
from blueprints.web import guards, hx, reauthentication, returns, words
from blueprints.web.visitor import current_user
from models import Account, FormerAddress, Mailbox, Service

from . import wanted
from .forms import EditForm, NewUserForm, PasswordCheckForm, RemovalForm, RenamingForm, UserForm, as_typed

blueprint = Blueprint("services", __name__, url_prefix="/services")

SERVICE = "/<int:service_id>"
MAILBOXES = f"{SERVICE}/mailboxes/"
MAILBOX = f"{SERVICE}/mailboxes/<int:mailbox_id>"
# More than that are typed and not chosen.
MOST_DOMAINS_TO_CHOOSE = 30
# The heading of the list, where nothing is left of a row.
LIST = "users-of-service"


@blueprint.get("/")
@guards.manager
def list_services():
    listed = services.page(current_user.account, request.args.get("page", 1, type=int))
    return hx.render("services/list.html", listed=listed)


@blueprint.get(SERVICE)
@guards.manager
def show(service_id: int):
    service = _service(service_id)
    return hx.render("services/show.html", facts=services.facts(service), **_around(service))


@blueprint.get(MAILBOXES)
@guards.manager
def list_users(service_id: int):
    """“Manage users”; for htmx, while somebody types, the table alone."""
    service = _service(service_id)
    may_act_on = partial(authority.may_act_on, current_user.account)
    return hx.render("services/users.html", may_act_on=may_act_on, **_listed(service), **_around(service))


@blueprint.get(f"{MAILBOXES}new")
@guards.manager_asks
def new_user(service_id: int):
    service = _service(service_id)
    return _new_page(service, NewUserForm(**as_typed(services.usual_quota(service))))


@blueprint.post(MAILBOXES)
@guards.manager_recently
@reauthentication.asked_in(new_user)
def add_user(service_id: int):
    service, form = _service(service_id), NewUserForm()
    check = partial(_with_new, users.check_new, service, form)
    with hx.submit(form, partial(_new_page, service), "address", check=check):
        account = _with_new(users.add, service, form)
    return hx.done(_list_of(service), _added(account))


def _with_new(act: Callable, service: Service, form: NewUserForm):
    """`users.add` or `users.check_new` with what was typed, once the form was validated."""
    return act(guards.unit(), service, form.whole_address, form.profile, form.password)


def _added(account: Account) -> str:
    if account.password_hash:
        return _("%(login)s has been added, with the password that you set.", login=account.login)
    contact = account.contact_email
    return _(
        "%(login)s has been added. An invitation is on its way to %(contact)s.", login=account.login, contact=contact
    )


@blueprint.post(f"{MAILBOXES}password-check")
@guards.background
def check_password(service_id: int):
    """The text under the new password while it is typed."""
    form, policy = PasswordCheckForm(), _service(service_id).password_policy
    checks = words.checklist(form.account, form.new_password.data or "", policy)
    return render_template("components/checklist.html", **checks)


@blueprint.post(f"{MAILBOXES}password-suggestion")
@guards.background
def suggest_password(service_id: int):
    _service(service_id)
    return render_template("components/suggestion.html", suggestion=passphrase.suggest())


@blueprint.get(MAILBOX)
@guards.manager_asks
def edit_user(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return _edit_page(mailbox, EditForm(mailbox))


@blueprint.post(MAILBOX)
@guards.manager_recently
def save_user(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    form = EditForm(mailbox)
    with hx.submit(form, partial(_edit_page, mailbox), "revision", check=partial(_check_edit, mailbox, form)):
        users.edit(guards.unit(), mailbox, form.revision.data, form.profile, form.password)
    return _done(mailbox, _("%(login)s is saved. The changes take effect immediately.", login=mailbox.address))


def _check_edit(mailbox: Mailbox, form: EditForm) -> None:
    users.check_edit(guards.unit(), mailbox, form.profile, form.password)


@blueprint.get(f"{MAILBOX}/link")
@guards.manager_asks
def confirm_link(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return _question("services/link.html", mailbox, hours=users.link_hours(mailbox.account))


@blueprint.post(f"{MAILBOX}/link")
@guards.manager_recently
def send_link(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    with _attempt(mailbox):
        users.send_link(guards.unit(), mailbox)
    contact = mailbox.account.contact_email
    return _done(mailbox, _("A link is on its way to %(contact)s.", contact=contact))


@blueprint.get(f"{MAILBOX}/suspension")
@guards.manager_asks
def confirm_suspension(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return _question("services/suspension.html", mailbox, stops=users.losses(guards.ports(), mailbox))


@blueprint.post(f"{MAILBOX}/suspension")
@guards.manager_recently
def suspend(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    with _attempt(mailbox):
        users.suspend(guards.unit(), mailbox)
    return hx.done_for_now(_back_to(mailbox), _("%(login)s is suspended.", login=mailbox.address))


@blueprint.get(f"{MAILBOX}/resumption")
@guards.manager_asks
def confirm_resumption(service_id: int, mailbox_id: int):
    return _question("services/resumption.html", _mailbox(service_id, mailbox_id))


@blueprint.post(f"{MAILBOX}/resumption")
@guards.manager_recently
def resume(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    with _attempt(mailbox):
        users.resume(guards.unit(), mailbox)
    return _done(mailbox, _("%(login)s can be used again.", login=mailbox.address))


@blueprint.get(f"{MAILBOX}/address")
@guards.manager_asks
def confirm_renaming(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return _renaming_page(mailbox, RenamingForm(revision=mailbox.account.revision))


@blueprint.post(f"{MAILBOX}/address")
@guards.manager_recently
def rename(service_id: int, mailbox_id: int):
    mailbox, form = _mailbox(service_id, mailbox_id), RenamingForm()
    with hx.submit(form, partial(_renaming_page, mailbox), "revision"):
        account = renaming.rename(guards.unit(), mailbox, form.revision.data, form.address.data, form.forwarding)
    sentence = _("%(before)s is called %(login)s from now on.", before=mailbox.address, login=account.login)
    return _done(mailbox, sentence)


@blueprint.get(f"{MAILBOX}/former-addresses/<int:former_id>/end")
@guards.manager_asks
def confirm_end_of_forwarding(service_id: int, mailbox_id: int, former_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return _question("services/forwarding_end.html", mailbox, former=_former(mailbox, former_id))


@blueprint.post(f"{MAILBOX}/former-addresses/<int:former_id>/end")
@guards.manager_recently
def end_forwarding(service_id: int, mailbox_id: int, former_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    former = _former(mailbox, former_id)
    with _attempt(mailbox):
        renaming.end_forwarding(guards.unit(), former)
    return _done(mailbox, _("Mail to %(address)s is refused from now on.", address=former.address))


@blueprint.get(f"{MAILBOX}/removal")
@guards.manager_asks
def confirm_removal(service_id: int, mailbox_id: int):
    return _removal_page(_mailbox(service_id, mailbox_id), RemovalForm())


@blueprint.post(f"{MAILBOX}/removal")
@guards.manager_recently
def remove(service_id: int, mailbox_id: int):
    mailbox, form = _mailbox(service_id, mailbox_id), RemovalForm()
    with hx.submit(form, partial(_removal_page, mailbox), "confirmation"):
        users.remove(guards.unit(), mailbox, form.confirmation.data or "")
    sentence = _("%(login)s has been removed.", login=mailbox.address)
    return hx.done(_list_of(mailbox.domain.service, LIST), sentence)


def _service(service_id: int) -> Service:
    """A service that the signed-in account looks after."""
    return services.find(current_user.account, service_id) or abort(404)


def _listed(service: Service) -> dict:
    """The page of users that the address asks for, and where among all that were found it is."""
    asked_for = wanted.users(request.args)
    listed = user_list.page(service, asked_for)
    return {
        "listed": listed,
        "wanted": asked_for,
        "asked": wanted.asked_of(request.args),
        "first": wanted.first_place(request.args, listed),
        "found": user_list.count(service, asked_for),
        "limits": (user_list.PAGE, user_list.MOST_COUNTED, several.MOST),
    }


def _mailbox(service_id: int, mailbox_id: int) -> Mailbox:
    """One of its mailboxes, whose owner ranks below the signed-in account: the others are in the list alone."""
    return users.find(current_user.account, service_id, mailbox_id) or abort(404)


def _former(mailbox: Mailbox, former_id: int) -> FormerAddress:
    """One of the addresses that it had before and whose mail still arrives."""
    return renaming.find_former(mailbox, former_id) or abort(404)


def _around(service: Service) -> dict:
    """What the pages of a service show around their subject: its domains, and the states of its users."""
    domains = list(services.domains(service).limit(MOST_DOMAINS_TO_CHOOSE + 1))
    return {
        "service": service,
        "domains": domains[:MOST_DOMAINS_TO_CHOOSE],
        "has_more_domains": len(domains) > MOST_DOMAINS_TO_CHOOSE,
        "states": wanted.STATES,
    }


def _new_page(service: Service, form: NewUserForm, status: int = 200):
    checks = _checks(form, form.whole_address, service)
    return hx.render("services/new.html", status, form=form, back=_list_of(service), **checks, **_around(service))


def _edit_page(mailbox: Mailbox, form: EditForm, status: int = 200):
    service = mailbox.domain.service
    return hx.render(
        "services/edit.html",
        status,
        form=form,
        mailbox=mailbox,
        back=_back_to(mailbox),
        used=users.storage_used(guards.ports(), mailbox),
        former_addresses=renaming.former_addresses(mailbox),
        consequences=passwords.consequences(guards.ports(), mailbox.account),
        **_checks(form, mailbox.address, service),
        **_around(service),
    )


def _checks(form: UserForm, address: str, service: Service) -> dict:
    """The checklist of the password in the form, for the account of this address."""
    names = {"first_name": form.first_name.data or "", "last_name": form.last_name.data or ""}
    account = Account(login=canonical_login(address), **names)
    return words.checklist(account, form.new_password.data or "", service.password_policy)


def _renaming_page(mailbox: Mailbox, form: RenamingForm, status: int = 200):
    return _question(
        "services/renaming.html",
        mailbox,
        status,
        form=form,
        stops=users.losses(guards.ports(), mailbox),
        set_up_again=renaming.set_up_again(mailbox),
        domains=_around(mailbox.domain.service)["domains"],
    )


def _removal_page(mailbox: Mailbox, form: RemovalForm, status: int = 200):
    return _question("services/removal.html", mailbox, status, form=form, stops=users.losses(guards.ports(), mailbox))


def _question(page: str, mailbox: Mailbox, status: int = 200, **more: object):
    around = {"mailbox": mailbox, "person": mailbox.account, "service": mailbox.domain.service}
    return hx.render(page, status, back=_back_to(mailbox), **around, **more)


def _list_of(service: Service, row: str = "") -> str:
    """The service's users as they were searched, filtered and paged when somebody left for the page that asks."""
    return returns.to(url_for(".list_users", service_id=service.id), row)


def _back_to(mailbox: Mailbox) -> str:
    return _list_of(mailbox.domain.service, f"user-{mailbox.id}")


def _done(mailbox: Mailbox, sentence: str):
    return hx.done(_back_to(mailbox), sentence)


def _attempt(mailbox: Mailbox):
    return hx.attempt(_back_to(mailbox))
