"""What goes along with what is removed, in sentences."""

from actions.users import managers, removals, users
from models import Service


def lost_with_manager(losses: managers.Losses) -> list[str]:
    kept = f"the mailbox {losses.mailbox.address} stays, with its password" if losses.mailbox else "the account goes"
    return [
        kept,
        f"{losses.browsers} signed-in browser(s) and {losses.known_browsers} known one(s)",
        f"{losses.changes} change(s) of several passwords that are under way stop",
        "every link to set the password",
    ]


def lost_with_service(service: Service, losses: removals.Losses) -> list[str]:
    domains = ", ".join(losses.domains) or "none"
    return [
        f"its domains: {domains}",
        f"its settings: the policy {service.password_policy}, the order, the limits",
        *lost_with_domains(losses),
    ]


def lost_with_domains(losses: removals.Losses) -> list[str]:
    return [
        f"{losses.mailboxes} mailbox(es), with their accounts; the messages stay in their directories",
        f"{losses.collaborators} collaborator(s) and {losses.devices} device(s)",
        "every signed-in browser and webmail, and every link",
        f"{losses.password_changes} change(s) of several passwords, with their archives",
        f"{losses.imports} file(s) of users",
        *(f"{login} loses the mailbox and stays a manager" for login in losses.managers),
        *(f"{login} stays a manager, and gets no more mail there" for login in losses.signing_in),
        *(f"the webmail {origin} stays registered: see “webmail remove”" for origin in losses.webmails),
    ]


def lost_with_mailbox(losses: users.Losses) -> list[str]:
    guests = ", ".join(each.login for each in losses.collaborators) or "none"
    devices = ", ".join(each.name for each in losses.devices) or "none"
    return [
        "the account, unless it is a manager's; the messages stay in their directory",
        f"its devices: {devices}",
        f"its collaborators: {guests}",
        f"{losses.browsers} signed-in browser(s), every webmail, and every link",
    ]
