"""The contact e-mail that people change themselves: who can, what confirms it, and what takes it back."""

import pytest

import worker
from actions.authority import permissions
from actions.ground.actor import Actor
from actions.ground.addresses import with_ascii_domain
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords, recovery
from actions.sessions import links, sessions
from actions.users import contacts, renaming, users
from lab.actors import acting
from models import Account, AuditEvent, FormerAddress, OneTimeLink, OutboxItem, now
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD

OLD, NEW, OTHER = "anna@elsewhere.example.com", "anna@new.example.net", "mallory@evil.example.net"
NEW_PASSWORD = "Other-Garden-8"


class Person:
    """Somebody who changes their contact e-mail, and reads what is sent because of it."""

    def __init__(self, ports, mailer, account):
        self.ports, self.mailer, self.account, self.actor = ports, mailer, account, acting(account)

    @property
    def unit(self) -> UnitOfWork:
        return UnitOfWork(self.ports, self.actor)

    @property
    def contact(self) -> str:
        return Account.get_by_id(self.account.id).contact_email

    @property
    def state(self) -> str:
        return Account.get_by_id(self.account.id).state

    def ask(self, address: str = NEW) -> str:
        """Ask for another contact e-mail; the token that arrives there, and nowhere else."""
        del self.mailer.sent[:]
        stored = contacts.ask(self.unit, address)
        outbox.deliver_due(self.ports, worker.HANDLERS)
        ((recipient, _),) = self.mailer.sent
        assert recipient == with_ascii_domain(stored)
        return self.token("contact")

    def token(self, kind: str) -> str:
        text = self.mailer.sent[-1][1].get_body(("plain",)).get_content()
        (address,) = [word for word in text.split() if f"/links/{kind}/" in word]
        return address.rpartition("/")[2]

    def confirm(self, token: str) -> list[str]:
        """Open the link and press its button; who is told."""
        link = links.find(token, (links.CONFIRM_CONTACT,))
        assert link, "the link is void"
        del self.mailer.sent[:]
        contacts.confirm(UnitOfWork(self.ports, Actor()), link)
        outbox.deliver_due(self.ports, worker.HANDLERS)
        return sorted(recipient for recipient, _ in self.mailer.sent)

    def change(self, address: str) -> str:
        """Another contact e-mail from now on; the token of “This wasn't me”."""
        self.confirm(self.ask(address))
        self.actor = acting(Account.get_by_id(self.account.id))
        return self.token("not-my-contact")

    def disown(self, token: str) -> None:
        contacts.disown(UnitOfWork(self.ports, Actor()), links.find(token, (links.DISOWN_CONTACT,)))


@pytest.fixture
def person(ports, mailer, anna) -> Person:
    return Person(ports, mailer, anna)


def is_void(token: str) -> bool:
    return links.find(token, (links.CONFIRM_CONTACT,)) is None


def refusal(call) -> Refused:
    with pytest.raises(Refused) as raised:
        call()
    return raised.value


def test_a_new_one_counts_from_its_confirmation_and_the_old_one_is_told(person):
    person.account.write(bounced_address=OLD, bounce_status="5.2.2", bounced_at=now())
    token = person.ask()
    assert (person.contact, contacts.unconfirmed(person.account).address) == (OLD, NEW)
    assert person.confirm(token) == sorted([OLD, person.account.login])
    account = Account.get_by_id(person.account.id)
    assert (account.contact_email, contacts.unconfirmed(account)) == (NEW, None)
    assert (account.bounced_address, account.revision) == ("", person.account.revision + 1)
    events = [event.action for event in AuditEvent.select().order_by(AuditEvent.id)]
    assert events[-2:] == ["web:contact:wanted", "link:contact:confirmed"]


def test_no_secret_is_kept_or_named(person):
    token = person.ask()
    rows = [*OneTimeLink.select().dicts(), *OutboxItem.select().dicts(), *AuditEvent.select().dicts()]
    assert token not in str(rows)
    assert token not in person.mailer.sent[-1][1]["Subject"]


def test_it_is_confirmed_once_however_many_come_at_the_same_instant(person):
    token = person.ask()
    found = [links.find(token, (links.CONFIRM_CONTACT,)) for _ in range(4)]
    outcomes = at_the_same_instant(
        *(lambda link=link: contacts.confirm(UnitOfWork(person.ports, Actor()), link) for link in found)
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 3
    assert AuditEvent.select().where(AuditEvent.action == "link:contact:confirmed").count() == 1


def test_a_link_confirms_for_the_account_that_it_was_made_for_alone(person, ports, mailer, boris):
    his = Person(ports, mailer, boris)
    token = his.ask(OTHER)
    links_before = person.contact
    his.confirm(token)
    assert (person.contact, his.contact) == (links_before, OTHER)


def test_of_two_tabs_the_later_one_counts(person):
    first, second = person.ask(OTHER), person.ask(NEW)
    assert is_void(first)
    person.confirm(second)
    assert person.contact == NEW


VOIDED_BY = {
    "cancelling": lambda person, manager: contacts.cancel(person.unit),
    "another password": lambda person, manager: passwords.change(person.unit, PASSWORD, NEW_PASSWORD),
    "a manager's contact e-mail": lambda person, manager: _edit(person, manager, contact_email="c@other.example.net"),
    "a manager's password": lambda person, manager: _edit(person, manager, users.Password(NEW_PASSWORD)),
    "a suspension": lambda person, manager: users.suspend(_unit(person, manager), person.account.mailbox),
    "a lock": lambda person, manager: recovery.lock_by_operator(UnitOfWork(person.ports), person.account),
}


def _unit(person, manager) -> UnitOfWork:
    return UnitOfWork(person.ports, acting(manager))


def _edit(person, manager, password=None, **changed) -> None:
    present = Account.get_by_id(person.account.id)
    profile = users.Profile(**{name: getattr(present, name) for name in users.PROFILE} | changed)
    users.edit(_unit(person, manager), present.mailbox, present.revision, profile, password)


@pytest.mark.parametrize("cause", VOIDED_BY.values(), ids=VOIDED_BY)
def test_what_voids_it_voids_it_for_good(person, manager, cause):
    token = person.ask()
    open_before = links.find(token, (links.CONFIRM_CONTACT,))
    cause(person, manager)
    before = person.contact
    assert is_void(token)
    refusal(lambda: contacts.confirm(UnitOfWork(person.ports, Actor()), open_before))
    Account.update(state=Account.ACTIVE).where(person.account.itself()).execute()
    assert is_void(token)
    assert (person.contact, contacts.unconfirmed(person.account)) == (before, None)


def test_its_time_is_over_after_a_day_and_it_can_be_sent_again(person, clock):
    token = person.ask()
    clock.pass_by(24 * 3600)
    assert is_void(token)
    assert contacts.unconfirmed(person.account).has_expired
    person.actor = acting(person.account)
    person.confirm(person.ask())
    assert person.contact == NEW


def test_a_session_that_has_ended_or_knows_another_password_asks_for_nothing(person):
    stale = person.actor
    sessions.end(person.unit, stale.session)
    refusal(lambda: contacts.ask(UnitOfWork(person.ports, stale), NEW))
    person.actor = acting(person.account)
    Account.update(password_hash="other").where(person.account.itself()).execute()
    refusal(person.ask)
    assert not OutboxItem.select().exists()


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.org",
        "ANNA@Example.ORG",
        "anna+anything@example.org",
        "former@example.org",
        " anna@ｅｘａｍｐｌｅ.org",
    ],
)
def test_the_mailbox_itself_is_no_contact_whatever_it_is_called(person, people, address):
    mailbox = person.account.mailbox
    FormerAddress.create(address="former@example.org", domain=people.domain, mailbox=mailbox)
    assert refusal(lambda: contacts.ask(person.unit, address)).field == "contact_email"
    assert not OneTimeLink.select().exists()


def test_a_mailbox_that_got_that_address_meanwhile_is_no_contact_either(person, manager, people):
    token = person.ask("later@example.org")
    mailbox = person.account.mailbox
    renaming.rename(_unit(person, manager), mailbox, person.account.revision, "later@example.org")
    link = links.find(token, (links.CONFIRM_CONTACT,))
    refusal(lambda: contacts.confirm(UnitOfWork(person.ports, Actor()), link))
    assert person.contact == OLD


@pytest.mark.parametrize("address", ["", "anna", "änna@elsewhere.example.com", "аnna@elsewhere.example.com", OLD])
def test_what_is_no_address_or_no_other_one_is_refused(person, address):
    assert refusal(lambda: contacts.ask(person.unit, address)).field == "contact_email"


def test_a_domain_that_only_looks_like_another_one_is_shown_as_what_it_is(person):
    """Cyrillic letters in place of Latin ones."""
    person.confirm(person.ask("anna@еxаmple.org"))
    told = person.mailer.sent[-1][1].get_body(("plain",)).get_content()
    assert "anna@xn--xmple-4ve7a.org" in told
    assert "еxаmple" not in told


def test_an_international_domain_has_one_form(person):
    person.confirm(person.ask("Anna@XN--BCHER-KVA.example"))
    assert person.contact == "Anna@bücher.example"
    person.actor = acting(Account.get_by_id(person.account.id))
    refusal(lambda: contacts.ask(person.unit, "Anna@Bücher.example"))


def test_only_so_many_are_sent_in_a_day(person):
    for _ in range(5):
        person.ask()
    with pytest.raises(TooManyAttempts):
        person.ask()


def test_a_collaborator_cannot_change_it(person, people, ports, mailer):
    guest = Person(ports, mailer, people.add_collaborator(person.account, permissions=permissions.SETTINGS))
    refusal(lambda: contacts.ask(guest.unit, NEW))
    assert guest.contact == "carla@elsewhere.example.com"


def test_links_to_set_a_password_that_went_to_the_old_one_are_void(person):
    token = links.create(person.account, links.RESET)
    person.confirm(person.ask())
    assert links.find(token, (links.RESET,)) is None


# --- “This wasn't me” ---


def test_this_was_not_me_locks_and_puts_the_old_one_back(person):
    token = person.change(OTHER)
    person.disown(token)
    assert (person.contact, person.state) == (OLD, Account.LOCKED)
    assert not sessions.living(Account.get_by_id(person.account.id))
    refusal(lambda: contacts.disown(UnitOfWork(person.ports, Actor()), OneTimeLink.get()))


def test_a_second_change_hides_no_first_one(person):
    """Whoever took the account over changes it twice, so that the last notice goes to an address of theirs."""
    first = person.change(OTHER)
    second = person.change(NEW)
    person.disown(second)
    assert person.contact == OLD
    assert links.find(first, (links.DISOWN_CONTACT,)) is None


def test_nobody_gets_an_address_back_that_the_owner_replaced(person):
    """The owner has put the address right; the one who entered another one reports the change."""
    person.change(OTHER)
    hers = person.change(OLD)
    person.disown(hers)
    assert person.contact == OLD


def test_a_managers_contact_e_mail_is_not_put_back(person, manager):
    token = person.change(OTHER)
    _edit(person, manager, contact_email=NEW)
    assert links.find(token, (links.DISOWN_CONTACT,)) is None
