"""The choice of mailboxes: those that are chosen, those that a search finds, and how many there are."""

from dataclasses import dataclass

from actions.password_changes import password_changes
from blueprints.web.visitor import current_user
from models import Domain, Mailbox

from .forms import ChangeForm

# A person can look through this many; a page with thousands of boxes to tick helps nobody.
MOST_FOUND, MOST_CHOSEN_SHOWN = 50, 100


@dataclass(frozen=True)
class Picker:
    """What the drop-down shows. `chosen` are on top, ticked; of very many only some are shown, and the others' ids
    travel hidden. `unknown` is how many of the ids that were sent may not be chosen."""

    everyone: bool
    chosen: list[Mailbox]
    hidden_ids: list[int]
    found: list[Mailbox]
    more: bool
    total: int

    @property
    def count(self) -> int:
        return self.total if self.everyone else len(self.chosen) + len(self.hidden_ids)


def picker(domain: Domain, form: ChangeForm, ids: list[int]) -> Picker:
    """The choice in the form, and what its search finds."""
    account = current_user.account
    known = [each for each in ids if 0 < each <= password_changes.LARGEST_ID][: password_changes.MOST_MAILBOXES]
    choosable = password_changes.choosable(account, domain)
    chosen = list(choosable.where(Mailbox.id.in_(known)))
    taken = {mailbox.id for mailbox in chosen}
    matching = password_changes.search(account, domain, form.search.data or "")
    found = list(matching.where(Mailbox.id.not_in(taken)).limit(MOST_FOUND + 1))
    return Picker(
        everyone=form.everyone.data,
        chosen=chosen[:MOST_CHOSEN_SHOWN],
        hidden_ids=[mailbox.id for mailbox in chosen[MOST_CHOSEN_SHOWN:]],
        found=found[:MOST_FOUND],
        more=len(found) > MOST_FOUND,
        total=choosable.count(),
    )
