"""Pages about one user, for managers: which user, from the address, and addresses that go on naming that user.

The pages of devices and collaborators are the same for a mailbox's owner and for a manager: `devices.…` is about the
signed-in account, `user_devices.…` about the user whom the address names. `address_of("devices.…")` is the one of both
that the page belongs to.
"""

from dataclasses import dataclass

from flask import Blueprint, abort, g, request, url_for

from actions.ground.refusals import N_
from actions.users import users
from models import Mailbox

from .visitor import current_user

MAILBOX = "/services/<int:service_id>/mailboxes/<int:mailbox_id>"
NAMED = ("service_id", "mailbox_id")


@dataclass(frozen=True)
class Tab:
    """A page about the user; the template translates its label."""

    endpoint: str
    label: str

    @property
    def is_current(self) -> bool:
        """Whether the page is this one, or below it."""
        return request.blueprint == self.endpoint.partition(".")[0]


TABS = (
    Tab("services.edit_user", N_("Edit")),
    Tab("user_devices.list_devices", N_("Devices")),
    Tab("user_collaborations.list_collaborations", N_("Collaborators")),
    Tab("offboarding.show_access", N_("Access")),
    Tab("user_activity.show_activity", N_("Activity")),
)


def blueprint_of(name: str, import_name: str, below: str) -> Blueprint:
    """A blueprint whose addresses name a user. Its views do not take the user, `mailbox` says whose page it is; and
    addresses within it go on naming the same one."""
    blueprint = Blueprint(f"user_{name}", import_name, url_prefix=f"{MAILBOX}/{below}")
    blueprint.url_value_preprocessor(_take_user)
    blueprint.url_defaults(_keep_user)
    return blueprint


def mailbox() -> Mailbox | None:
    """The mailbox of the user whom the address names; None on a page that names none. The signed-in account looks after
    its service and outranks its owner, or gets a 404."""
    if "named_user" not in g:
        return None
    if "users_mailbox" not in g:
        g.users_mailbox = users.find(current_user.account, **g.named_user) or abort(404)
    return g.users_mailbox


def address_of(endpoint: str, **values: object) -> str:
    """The address of this view, about whom the page is about."""
    return url_for(f"user_{endpoint}" if "named_user" in g else endpoint, **values)


def _take_user(_endpoint: str, values: dict) -> None:
    g.named_user = {name: values.pop(name) for name in NAMED}


def _keep_user(_endpoint: str, values: dict) -> None:
    for name, value in g.get("named_user", {}).items():
        values.setdefault(name, value)
