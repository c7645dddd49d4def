"""How the panel and its e-mails speak to a person: the name, the language, the time zone, and the panel's theme."""

from actions.authority import authority
from actions.ground import time_zones
from actions.ground.addresses import optional_name
from actions.ground.holding import hold
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.services import mailboxes, search_words
from actions.trail import audit
from actions.trail.events import Event
from models import Account

THEMES = (Account.LIGHT, Account.DARK)


@unit_of_work
def save(
    unit: UnitOfWork, language: str, timezone: str, account: Account | None = None, theme: str | None = None
) -> None:
    """Save language, time zone and theme of the acting person, or of an `account` on which they may act. Empty means
    the browser's language, the host's time zone and the system's theme; a theme of None stays. A former name of a time
    zone becomes the present one. Raises `Refused`."""
    if account is not None:
        authority.refuse_unless_may_act(unit.actor, account)
    mailboxes.refuse_unknown_language(language)
    if timezone and not time_zones.is_known(timezone):
        raise Refused(N_("Not a valid choice."), "timezone")
    if theme and theme not in THEMES:
        raise Refused(N_("Not a valid choice."), "theme")
    wanted = {"language": language, "timezone": time_zones.present_name(timezone)}
    wanted |= {} if theme is None else {"theme": theme}
    if not (account or unit.actor.account).write(**wanted):
        raise _signed_out()
    audit.record(unit.actor, Event.PREFERENCES_CHANGED, account)


def may_rename(account: Account) -> bool:
    """Whether an account changes its name itself. A collaborator's is the one by which the mailbox's owner knows who
    has access."""
    return not account.is_collaborator


@unit_of_work
def rename(unit: UnitOfWork, first_name: str, last_name: str) -> None:
    """Change the acting person's name. A manager who is editing the account sees that it was changed. Raises `Refused`
    with the field that is wrong."""
    account = hold(unit.actor.account, _signed_out())
    if not may_rename(account):
        raise authority.not_allowed()
    names = {"first_name": optional_name(first_name, "first_name"), "last_name": optional_name(last_name, "last_name")}
    if all(getattr(account, name) == value for name, value in names.items()):
        return
    account.write(**names, revision=account.revision + 1)
    if account.owns_mailbox:
        account.write(sort_name=search_words.sort_name(account.login, **names))
        search_words.enter(account)
    audit.record(unit.actor, Event.NAME_CHANGED)


def _signed_out() -> Refused:
    return Refused(N_("You are signed out, and nothing was changed. Sign in and try again."))
