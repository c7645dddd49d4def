"""What an offboarding ended, in words: for the page of its report and for the document that is filed. What there was
none of is said too, because the reader asks for it."""

from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext

from actions.ground.domain_names import readable
from actions.ground.ports import Section
from actions.users.offboarding import Report
from blueprints.web.words import exact_time, moment
from models import Mailbox, now


@dataclass(frozen=True)
class Ended:
    """One kind of access: what was ended of it, or the sentence that there was none; and what is not known."""

    label: str
    names: list[str]
    sentence: str = ""
    hint: str = ""

    @property
    def lines(self) -> list[str]:
        return [each for each in (*self.names, self.sentence, self.hint) if each]


def what_ended(report: Report) -> list[Ended]:
    """Every kind of access, in the order of the page."""
    return [
        Ended(_("Account password"), [], _password(report)),
        Ended(_("Contact e-mail"), [], _contact(report)),
        Ended(_("Browsers"), [], _browsers(report.browsers) or _("No browser was signed in.")),
        Ended(_("Webmails"), [], _webmails(report.webmails) or _("No webmail was signed in.")),
        Ended(_("Unused links"), [], _links(report.links) or _("No unused link.")),
        _programs(report),
        _named(report, "devices", _("Devices"), _("No device.")),
        _named(report, "collaborators", _("Collaborators"), _("No collaborator.")),
        _named(report, "invitations", _("Invitations"), _("No invitation.")),
    ]


def document_of(mailbox: Mailbox, report: Report) -> tuple[str, list[Section]]:
    """Title and sections of the document."""
    facts = [
        (_("When"), exact_time(moment(report.event.at))),
        (_("Done by"), readable(report.event.actor_login)),
        *((each.label, "\n".join(each.lines)) for each in what_ended(report)),
        (_("Connections"), connections(report)),
        (_("Date of this document"), exact_time(moment(now()))),
    ]
    return _("Access ended for %(address)s", address=readable(mailbox.address)), [(mailbox.domain.service.name, facts)]


def connections(report: Report) -> str:
    """Whether anybody is still connected."""
    if not report.is_pending:
        return _("All connections have been closed. Nobody can open the mailbox.")
    return _(
        "The mail server does not answer. Connected mail programs stay connected until it answers and are then"
        " disconnected. They cannot connect again."
    )


def _password(report: Report) -> str:
    return _("No longer valid") if report.password else _("The account had no password.")


def _contact(report: Report) -> str:
    if not report.contact:
        return _("The account had no contact e-mail.")
    return _("Removed: %(address)s", address=readable(report.contact))


def _browsers(count: int) -> str:
    return ngettext("%(num)s signed-in browser", "%(num)s signed-in browsers", count) if count else ""


def _webmails(count: int) -> str:
    return ngettext("%(num)s signed-in webmail", "%(num)s signed-in webmails", count) if count else ""


def _links(count: int) -> str:
    return ngettext("%(num)s unused link", "%(num)s unused links", count) if count else ""


def _programs(report: Report) -> Ended:
    found = _named(report, "programs", _("Mail programs"), _("No mail program was connected."))
    if not report.programs_unknown:
        return found
    hint = _("The mail server did not answer, so it is not known which mail programs were connected.")
    return Ended(found.label, found.names, hint=hint)


def _named(report: Report, kind: str, label: str, none: str) -> Ended:
    names, more = list(map(readable, getattr(report, kind))), report.more.get(kind)
    names += [_("and %(count)s more", count=more)] if more else []
    return Ended(label, names, "" if names else none)
