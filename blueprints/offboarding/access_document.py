"""“Who can open it” as a document that is filed: what the page says, at one moment, in the reader's words."""

from collections.abc import Iterable

from flask_babel import gettext as _

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.devices import devices
from actions.ground.domain_names import readable
from actions.ground.ports import Section
from actions.sessions.connections import Connected
from actions.sessions.user_agents import browser_name
from actions.users.offboarding import Access
from blueprints.web.words import day, exact_time, moment
from models import Account, DeviceInvitation, Mailbox, now


def document_of(mailbox: Mailbox, access: Access) -> tuple[str, list[Section]]:
    """Title and sections of the document."""
    account = access.account
    own = [*map(_device, access.devices), *(f"{each.name} ({readable(each.account.login)})" for each in access.given)]
    facts = [
        (_("Who"), ", ".join(dict.fromkeys((account.display_name, readable(account.login))))),
        (_("State"), _state(account)),
        (_("Account password"), _("Set") if access.has_password else _("No password")),
        (_("Contact e-mail"), readable(account.contact_email) or _("No contact e-mail")),
        (_("Unused links"), _lines((_day(each.created_at) for each in access.links), _("No unused link."))),
        (_("Browsers"), _lines(map(_browser, access.browsers), _("None is signed in"))),
        (_("Webmails"), _lines((each.host for each in access.webmails), _("None is signed in"))),
        (_("Mail programs"), _programs(access.connected)),
        (_("Devices"), _lines(own, _("No device."))),
        (_("Collaborators"), _lines((_collaborator(each.row) for each in access.guests), _("No collaborator."))),
        (_("Invitations"), _lines(map(_invitation, access.invitations), _("No invitation is pending."))),
        (_("Date of this document"), exact_time(moment(now()))),
    ]
    return _("Who can open %(address)s", address=readable(mailbox.address)), [(mailbox.domain.service.name, facts)]


def _lines(found: Iterable[str], none: str) -> str:
    return "\n".join(found) or none


def _day(seconds: int) -> str:
    return day(moment(seconds))


def _state(account: Account) -> str:
    if account.state == Account.ACTIVE:
        return _("Active") if account.password_hash else _("Pending")
    return {Account.SUSPENDED: _("Suspended"), Account.LOCKED: _("Locked")}[account.state]


def _browser(browser) -> str:
    return f"{browser_name(browser.user_agent)}, {browser.address}, {exact_time(moment(browser.seen_at))}"


def _programs(connected: Connected) -> str:
    if connected.unknown:
        return _("Not known: the mail server does not answer")
    found = (f"{program.protocol.upper()}, {program.address}" for program in connected.programs)
    return _lines(found, _("None is connected now"))


def _device(row: devices.Row) -> str:
    added = {
        "name": row.device.name,
        "when": _day(row.device.created_at),
        "login": readable(row.device.created_by_login),
    }
    if not row.last_login:
        return _("%(name)s, added %(when)s by %(login)s, never used", **added)
    used = _day(row.last_login.last_access)
    return _("%(name)s, added %(when)s by %(login)s, last used %(used)s", used=used, **added)


def _collaborator(row: collaborations.Row) -> str:
    may = [_(each.word) for each in permissions.named(row.collaboration.permissions)]
    who = row.account.display_name, readable(row.account.login)
    return ", ".join(dict.fromkeys((*who, _collaborators_state(row.state), *may)))


def _collaborators_state(state: str) -> str:
    return {
        collaborations.ACTIVE: _("Active"),
        collaborations.PENDING: _("Pending"),
        collaborations.SUSPENDED: _("Suspended"),
        collaborations.EXPIRED: _("Expired"),
        collaborations.DISABLED: _("Disabled"),
    }[state]


def _invitation(invitation: DeviceInvitation) -> str:
    recipient, ends = readable(invitation.recipient), _day(invitation.expires_at)
    return _("%(name)s for %(recipient)s, valid until %(when)s", name=invitation.name, recipient=recipient, when=ends)
