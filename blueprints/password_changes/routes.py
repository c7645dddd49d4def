"""“Change password” for several mailboxes of a service: form, preview, progress, results; and the gateway's reports.

What begins a change asks for the manager's password itself, however lately it was given; nothing else here changes a
password.
"""

from functools import partial

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask_babel import gettext as _

from actions.ground.phone_numbers import international
from actions.password_changes import archive, password_changes
from actions.services import services
from blueprints.web import addresses, form_tokens, guards, hx, words
from blueprints.web.visitor import current_user
from models import Domain, Mailbox, PasswordChange, PasswordChangeItem, Service, now

from .forms import FORMATS, KINDS, ChangeForm, StartForm
from .picker import picker

blueprint = Blueprint("password_changes", __name__)

SERVICE = "/services/<int:service_id>"
FORM = f"{SERVICE}/password-change"
CHANGE = f"{SERVICE}/password-changes/<int:change_id>"
MOST_DOMAINS_SHOWN = 30
ITEMS_A_PAGE, CHANGES_A_PAGE = 100, 50
# How long the page of a finished change watches for the report of the text message, in seconds.
WATCHED_FOR = 600


@blueprint.get(FORM)
@guards.manager
def new(service_id: int):
    service, manager = _service(service_id), current_user.account
    form = ChangeForm(
        formdata=None,
        phone=international(manager.phone),
        full_name=f"{manager.first_name} {manager.last_name}".strip(),
        email=manager.contact_email or manager.login,
        language=words.language(),
        archive_format=PasswordChange.PDF if guards.ports().archiver.makes_pdf() else PasswordChange.ZIP,
    )
    return _form_page(service, request.args.getlist("mailbox", type=addresses.number), form)


@blueprint.post(f"{FORM}/mailboxes")
@guards.manager
def choose(service_id: int):
    """The drop-down after a search or a tick; without htmx the page around it as well."""
    service, form = _service(service_id), ChangeForm()
    return _form_page(service, form.chosen_ids, form)


@blueprint.post(f"{FORM}/count")
@guards.manager_background
def count(service_id: int):
    """The text on the drop-down after a tick."""
    domain, form = _domain(_service(service_id)), ChangeForm()
    return render_template("password_changes/_count.html", picker=picker(domain, form, form.chosen_ids))


@blueprint.post(FORM)
@guards.manager
def preview(service_id: int):
    """“Change”: write down what is wanted, and show it."""
    service, form = _service(service_id), ChangeForm()
    with hx.submit(form, partial(_form_page, service, form.chosen_ids), "mailboxes"):
        drafted = password_changes.draft(guards.unit(), _domain(service), form.choice, form.wanted)
    return hx.redirect(_page_of(drafted))


@blueprint.get(f"{SERVICE}/password-changes/")
@guards.manager
def list_changes(service_id: int):
    service = _service(service_id)
    number = _page_number()
    started = password_changes.of(current_user.account, service).where(PasswordChange.state != PasswordChange.DRAFT)
    found = list(started.offset((number - 1) * CHANGES_A_PAGE).limit(CHANGES_A_PAGE + 1))
    return hx.render(
        "password_changes/list.html",
        service=service,
        rows=[(each, password_changes.progress(each)) for each in found[:CHANGES_A_PAGE]],
        number=number,
        more=len(found) > CHANGES_A_PAGE,
        has_domains=services.domains(service).exists(),
    )


@blueprint.get(CHANGE)
@guards.manager
def show(service_id: int, change_id: int):
    change = _change(service_id, change_id)
    return _draft_page(change, StartForm()) if change.state == PasswordChange.DRAFT else _change_page(change)


@blueprint.get(f"{CHANGE}/progress")
@guards.manager_background
def progress(service_id: int, change_id: int):
    """What moves on the page of a change, for htmx; the whole page otherwise."""
    return _change_page(_change(service_id, change_id))


@blueprint.post(f"{CHANGE}/start")
@guards.manager
def start(service_id: int, change_id: int):
    change, form = _change(service_id, change_id), StartForm()
    with hx.submit(form, partial(_draft_page, change), "current_password"):
        password, browser = form.current_password.data, guards.known_browser()
        renewed = password_changes.start(guards.unit(), change, password, browser)
    guards.go_on_in(renewed)
    return hx.redirect(_page_of(change))


@blueprint.get(f"{CHANGE}/cancellation")
@guards.manager
def confirm_cancellation(service_id: int, change_id: int):
    change = _change(service_id, change_id)
    return hx.render("password_changes/cancellation.html", change=change, progress=password_changes.progress(change))


@blueprint.post(f"{CHANGE}/cancellation")
@guards.manager
def cancel(service_id: int, change_id: int):
    return _acted(service_id, change_id, password_changes.cancel, _("Cancelled. No more mailboxes will be changed."))


@blueprint.post(f"{CHANGE}/letter")
@guards.manager_recently
def send_letter_again(service_id: int, change_id: int):
    again = password_changes.send_mail_again
    return _acted(service_id, change_id, again, _("The e-mail is on its way."))


@blueprint.post(f"{CHANGE}/message")
@guards.manager_recently
def send_message_again(service_id: int, change_id: int):
    again = password_changes.send_message_again
    return _acted(service_id, change_id, again, _("The text message is on its way."))


@blueprint.route("/sms/reports/<token>", methods=["GET", "POST"])
@form_tokens.needs_none
@guards.public
def report(token: str):
    """What a gateway says about a text message. Kannel asks by GET, so that this one GET writes something: only that
    the message arrived or did not, only from a sender with the signed address, and never back."""
    state = request.values.get("state", 0, type=int)
    if request.method == "HEAD" or not archive.reported(guards.ports(), token, state):
        abort(404)
    return Response("ok\n", mimetype="text/plain")


def _service(service_id: int) -> Service:
    return services.find(current_user.account, service_id) or abort(404)


def _domain(service: Service) -> Domain:
    """The domain that is named in the address, the one of the mailbox that is, or the service's first."""
    domains = services.domains(service)
    if number := request.args.get("domain", 0, type=addresses.number):
        return domains.where(Domain.id == number).first() or abort(404)
    if number := request.args.get("mailbox", 0, type=addresses.number):
        return domains.join(Mailbox).where(Mailbox.id == number).first() or abort(404)
    return domains.first() or abort(404)


def _change(service_id: int, change_id: int) -> PasswordChange:
    return password_changes.find(current_user.account, service_id, change_id) or abort(404)


def _page_number() -> int:
    return min(max(request.args.get("page", 1, type=int), 1), 100_000)


def _page_of(change: PasswordChange) -> str:
    return url_for(".show", service_id=change.service_id, change_id=change.id)


def _acted(service_id: int, change_id: int, action, sentence: str):
    """Do something about a change, say so, and go back to its page."""
    change = _change(service_id, change_id)
    with hx.attempt(_page_of(change)):
        action(guards.unit(), change)
    return hx.done(_page_of(change), sentence)


def _form_page(service: Service, ids: list[int], form: ChangeForm, status: int = 200):
    domain = _domain(service)
    domains = list(services.domains(service).limit(MOST_DOMAINS_SHOWN + 1))
    return hx.render(
        "password_changes/new.html",
        status,
        form=form,
        service=service,
        domain=domain,
        other_domains=[each for each in domains if each != domain] if len(domains) <= MOST_DOMAINS_SHOWN else [],
        picker=picker(domain, form, ids),
        makes_pdf=guards.ports().archiver.makes_pdf(),
        has_sms=guards.ports().settings.has_sms,
    )


def _draft_page(change: PasswordChange, form: StartForm, status: int = 200):
    return hx.render(
        "password_changes/preview.html",
        status,
        form=form,
        to_itself=password_changes.changes_its_recipient(change),
        **_about(change),
    )


def _change_page(change: PasswordChange):
    return hx.render(
        "password_changes/show.html",
        progress=password_changes.progress(change),
        mail=archive.mail_delivery(change),
        message=archive.message_delivery(change),
        deliveries=archive,
        is_kept=archive.is_kept(change),
        is_recent=now() < (change.finished_at or 0) + WATCHED_FOR,
        unused=change.items.where(
            PasswordChangeItem.in_archive, PasswordChangeItem.state == PasswordChangeItem.SKIPPED
        ).count(),
        **_about(change),
    )


def _about(change: PasswordChange) -> dict:
    """What every page about a change shows, with one page of its mailboxes: those that were left as they were first."""
    number = _page_number()
    items = change.items.order_by(PasswordChangeItem.reason.desc(), PasswordChangeItem.id)
    return {
        "change": change,
        "service": change.service,
        "domain": change.domain,
        "kind": KINDS[change.kind],
        "format": FORMATS[change.archive_format],
        "phone": international(change.phone),
        "total": change.items.count(),
        "items": list(items.paginate(number, ITEMS_A_PAGE)),
        "number": number,
        "pages": max(1, -(-change.items.count() // ITEMS_A_PAGE)),
        "translate": lambda sentence: _(sentence) if sentence else "",
    }
