"""Offboarding: everyone and everything that can open a mailbox, one button that ends them, and the report."""

from flask import Blueprint, abort, flash, render_template, url_for
from flask_babel import gettext as _

from actions.authority import permissions
from actions.collaborations.collaborations import ACTIVE, DISABLED, EXPIRED, PENDING, SUSPENDED
from actions.sessions.user_agents import browser_name
from actions.users import offboarding, users
from blueprints.web import downloads, guards, hx
from blueprints.web.visitor import current_user
from models import Mailbox

from . import access_document
from .report import document_of, what_ended

blueprint = Blueprint("offboarding", __name__, url_prefix="/services")

MAILBOX = "/<int:service_id>/mailboxes/<int:mailbox_id>"
STATES = {
    "ACTIVE": ACTIVE,
    "DISABLED": DISABLED,
    "EXPIRED": EXPIRED,
    "PENDING": PENDING,
    "SUSPENDED": SUSPENDED,
}


@blueprint.get(f"{MAILBOX}/access")
@guards.manager
def show_access(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    return hx.render(
        "offboarding/access.html",
        reports=list(offboarding.reports(mailbox).limit(5)),
        makes_pdf=guards.ports().archiver.makes_pdf(),
        **_access(mailbox),
    )


@blueprint.get(f"{MAILBOX}/access/report.pdf")
@guards.manager
def download_access(service_id: int, mailbox_id: int):
    """The same, to be filed."""
    mailbox, archiver = _mailbox(service_id, mailbox_id), guards.ports().archiver
    if not archiver.makes_pdf():
        abort(404)
    access = offboarding.access(guards.ports(), mailbox)
    return downloads.pdf(f"access-{mailbox.id}.pdf", archiver.document(*access_document.document_of(mailbox, access)))


@blueprint.get(f"{MAILBOX}/access/offboarding")
@guards.manager_asks
def confirm(service_id: int, mailbox_id: int):
    return hx.render("offboarding/confirm.html", **_access(_mailbox(service_id, mailbox_id)))


@blueprint.post(f"{MAILBOX}/access/offboarding")
@guards.manager_recently
def end(service_id: int, mailbox_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    with hx.attempt(url_for(".show_access", service_id=service_id, mailbox_id=mailbox_id)):
        event = offboarding.end(guards.unit(), mailbox)
    flash(_("All access to %(address)s has been ended. This is what was ended.", address=mailbox.address), "success")
    return hx.redirect(url_for(".show_report", service_id=service_id, mailbox_id=mailbox_id, event_id=event.id))


@blueprint.get(f"{MAILBOX}/access/offboarding/<int:event_id>")
@guards.manager
def show_report(service_id: int, mailbox_id: int, event_id: int):
    mailbox = _mailbox(service_id, mailbox_id)
    report = offboarding.report(mailbox, event_id) or abort(404)
    return hx.render(
        "offboarding/report.html",
        mailbox=mailbox,
        service=mailbox.domain.service,
        report=report,
        ended=what_ended(report),
        makes_pdf=guards.ports().archiver.makes_pdf(),
    )


@blueprint.get(f"{MAILBOX}/access/offboarding/<int:event_id>/report.pdf")
@guards.manager
def download_report(service_id: int, mailbox_id: int, event_id: int):
    """The same, to be filed."""
    mailbox, archiver = _mailbox(service_id, mailbox_id), guards.ports().archiver
    report = offboarding.report(mailbox, event_id) if archiver.makes_pdf() else None
    content = archiver.document(*document_of(mailbox, report or abort(404)))
    return downloads.pdf(f"access-ended-{event_id}.pdf", content)


@blueprint.get(f"{MAILBOX}/access/offboarding/<int:event_id>/pending")
@guards.background
def show_pending(service_id: int, mailbox_id: int, event_id: int):
    """Whether the mail server has cut everybody, which the report asks on its own until it has."""
    mailbox = _mailbox(service_id, mailbox_id)
    report = offboarding.report(mailbox, event_id) or abort(404)
    return render_template("offboarding/_pending.html", mailbox=mailbox, service=mailbox.domain.service, report=report)


def _mailbox(service_id: int, mailbox_id: int) -> Mailbox:
    """One of a service's mailboxes that the signed-in account looks after, and whose owner ranks below it."""
    return users.find(current_user.account, service_id, mailbox_id) or abort(404)


def _access(mailbox: Mailbox) -> dict:
    return {
        "mailbox": mailbox,
        "person": mailbox.account,
        "service": mailbox.domain.service,
        "access": offboarding.access(guards.ports(), mailbox),
        "browser_name": browser_name,
        "states": STATES,
        "named_permissions": permissions.named,
    }
