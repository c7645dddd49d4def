"""One action on several users of a service, whom a manager picked in the list or by a search.

All is one transaction, and each user a part of it that can be refused alone: who is refused is named, the others are
done. So what must happen outside follows once, within the time of a single action.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from actions.authority import authority
from actions.ground.refusals import N_, Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.services import user_list
from actions.services.user_list import WantedUsers
from models import Account, Mailbox, Service

# A person waits for the answer, and others for the database.
MOST = 200
LARGEST_ID = 2**31 - 1

Action = Callable[[UnitOfWork, Mailbox], None]


@dataclass
class Report:
    """The users with whom it was done, and those with whom it was not, each with the reason."""

    done: list[Mailbox] = field(default_factory=list)
    refused: list[tuple[Mailbox, Refused | TooManyAttempts]] = field(default_factory=list)


def of(actor: Account, service: Service, numbers: Iterable[int]) -> list[Mailbox]:
    """Those of the service's mailboxes with these numbers whose owners the actor outranks, by address. Any other number
    is left out. Raises `Refused` where they are too many."""
    known = {number for number in numbers if 0 < number <= LARGEST_ID}
    if len(known) > MOST:
        raise _too_many()
    found = user_list.with_numbers(service, list(known))
    return [mailbox for mailbox in found if authority.may_act_on(actor, mailbox.account)]


def found(actor: Account, service: Service, wanted: WantedUsers, seen: int) -> list[Mailbox]:
    """All users that a search finds now and whose owners the actor outranks; `seen` is how many the page said it had
    found. Raises `Refused` where they are others by now, or too many."""
    mailboxes = list(islice(user_list.every(service, wanted), MOST + 1))
    if len(mailboxes) > MOST:
        raise _too_many()
    if len(mailboxes) != seen:
        raise Refused(N_("The search finds other users by now. Look at the list again."))
    return [mailbox for mailbox in mailboxes if authority.may_act_on(actor, mailbox.account)]


def _too_many() -> Refused:
    return Refused(N_("At most %(most)s users can be selected at once. Narrow the search."), most=MOST)


@unit_of_work
def act(unit: UnitOfWork, mailboxes: Iterable[Mailbox], action: Action) -> Report:
    """Do this with each of them; what the action refuses is in the report, and changes nothing."""
    report = Report()
    # In one order, so that two who do so at once do not wait for each other.
    for mailbox in sorted(mailboxes, key=lambda each: each.account_id):
        try:
            action(unit, mailbox)
        except (Refused, TooManyAttempts) as refusal:
            report.refused.append((mailbox, refusal))
        else:
            report.done.append(mailbox)
    return report
