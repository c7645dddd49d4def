"""Who may not act on a user's things, although some are or were managers: each makes somebody and acts as them."""

from actions.ground.actor import Actor
from actions.sessions import sessions
from lab.actors import acting
from models import Account, Organisation, Webmail
from tests.conftest import People


def foreign_manager(people: People, anna: Account) -> Actor:
    other = Organisation.create(name="Another Ltd")
    return acting(people.add_manager("foreign@example.org", organisation=other))


def of_equal_rank(people: People, anna: Account) -> Actor:
    Account.update(role=Account.ADMINISTRATOR).where(Account.id == anna.id).execute()
    return acting(people.add_manager("equal@example.org", Account.ADMINISTRATOR))


def suspended(people: People, anna: Account) -> Actor:
    actor = acting(people.add_manager("suspended@example.org"))
    Account.update(state=Account.SUSPENDED).where(Account.id == actor.account.id).execute()
    return actor


def signed_out(people: People, anna: Account) -> Actor:
    actor = acting(people.add_manager("gone@example.org"))
    actor.session.delete_instance()
    return actor


def demoted(people: People, anna: Account) -> Actor:
    actor = acting(people.add("demoted", role=Account.ADMINISTRATOR))
    Account.update(role=Account.PERSON).where(Account.id == actor.account.id).execute()
    return actor


def handed_over(people: People, anna: Account) -> Actor:
    both = people.add("both", role=Account.ADMINISTRATOR)
    webmail = Webmail.create(origin="https://webmail.example.org", key_id="k", algorithm=Webmail.HS256, key="")
    _session, token = sessions.start(both, "192.0.2.1", "", webmail=webmail, webmail_session="s")
    session = sessions.find(token)
    return Actor(session.account, session, "192.0.2.1", "")


def colleague(people: People, anna: Account) -> Actor:
    return acting(people.add("colleague"))


ALL = (foreign_manager, of_equal_rank, suspended, signed_out, demoted, handed_over, colleague)
