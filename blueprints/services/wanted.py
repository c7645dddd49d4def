"""What the list of users is asked for: by its address, or by a form that carries what was asked along."""

from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from actions.services import user_list
from actions.services.user_list import WantedUsers
from models import Account

PENDING = "pending"
MOST_PLACES = 10**9
# The states as the list names them, and what each means to it: the state of the account, and whether it has a password.
STATES = {
    Account.ACTIVE: _l("Active"),
    PENDING: _l("Pending"),
    Account.SUSPENDED: _l("Suspended"),
    Account.LOCKED: _l("Locked"),
}
MEANT = {Account.ACTIVE: (Account.ACTIVE, True), PENDING: (Account.ACTIVE, False)}


def asked_of(asked: MultiDict) -> dict[str, str]:
    """What makes the address of the same list, without its page; what it cannot mean is left out."""
    known = {
        "text": asked.get("text", ""),
        "domain": asked.get("domain", ""),
        "state": asked.get("state", "") if asked.get("state") in STATES else "",
        "order": asked.get("order", "") if asked.get("order") in user_list.ORDERS else "",
        "descending": "yes" if asked.get("descending") == "yes" else "",
    }
    return {name: value for name, value in known.items() if value}


def users(asked: MultiDict) -> WantedUsers:
    known = asked_of(asked)
    state = known.get("state", "")
    account_state, has_password = MEANT.get(state, (state, None))
    return WantedUsers(
        text=known.get("text", ""),
        domain=known.get("domain", ""),
        state=account_state,
        has_password=has_password,
        order=known.get("order", user_list.ADDRESS),
        descending="descending" in known,
        after=asked.get("after", ""),
        before=asked.get("before", ""),
    )


def first_place(asked: MultiDict, listed: user_list.Page) -> int | None:
    """The place of a page's first user among all that were found, as the link to it said; None where it did not."""
    if not listed.before:
        return 1
    place = asked.get("first", 0, type=int)
    return place if 0 < place <= MOST_PLACES else None
