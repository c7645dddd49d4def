"""Who may act on whom, and what is written down."""

import itertools

import pytest
from cryptography.fernet import InvalidToken

from actions.authority import authority
from actions.ground import encryption
from actions.ground.actor import OPERATOR, Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.trail import audit
from actions.trail.events import Event
from actions.upkeep import housekeeping
from actions.users import preferences
from lab.actors import acting
from models import Account, Attempts, AuditEvent, KnownBrowser, LastLogin, OneTimeLink, Organisation, WebSession, now

ROLES = (Account.PERSON, Account.ADMINISTRATOR, Account.OWNER, Account.OPERATOR)


def account(role, organisation=1, state=Account.ACTIVE):
    return Account(login=f"{role}@example.org", role=role, organisation=organisation, state=state)


@pytest.mark.parametrize(("actor", "target"), list(itertools.product(ROLES, ROLES)))
def test_who_outranks_another_in_the_same_organisation_may_act(actor, target):
    assert authority.may_act_on(account(actor), account(target)) == (ROLES.index(actor) > ROLES.index(target))


@pytest.mark.parametrize(("actor", "target"), list(itertools.product(ROLES, ROLES)))
def test_only_the_operator_acts_across_organisations(actor, target):
    may = actor == Account.OPERATOR != target
    assert authority.may_act_on(account(actor, 1), account(target, 2)) == may
    assert authority.may_act_on(account(actor, None), account(target, None)) == may


@pytest.mark.parametrize("state", [Account.LOCKED, Account.SUSPENDED])
@pytest.mark.parametrize("role", ROLES)
def test_who_is_stopped_acts_on_nobody(role, state):
    assert not authority.may_act_on(account(role, state=state), account(Account.PERSON))


def test_managers_are_those_of_the_own_organisation_who_can_sign_in(people, anna):
    owner = people.add_manager("o@example.org")
    people.add_manager("locked@example.org", state=Account.LOCKED)
    people.add_manager("foreign@example.net", organisation=Organisation.create(name="Other Ltd"))
    people.add_manager("operator@example.org", Account.OPERATOR)
    assert authority.managers_for(anna) == [owner]
    assert authority.managers_for(owner) == []


def test_an_event_says_who_what_whom_when_and_from_where(anna, boris, clock):
    actor = acting(anna, "2001:db8::1", "x" * 9999)
    event = AuditEvent.get_by_id(audit.record(actor, Event.PREFERENCES_CHANGED, boris, number=7).id)
    assert (event.actor, event.actor_login, event.account, event.account_login) == (
        anna,
        anna.login,
        boris,
        boris.login,
    )
    assert (event.at, event.address, event.details) == (clock.moment, "2001:db8::1", {"number": 7})
    assert event.organisation == boris.organisation
    assert len(event.user_agent) == 255


def test_nothing_is_recorded_that_people_cannot_be_told(anna):
    for no_event in ("operator:nothing:done", Event.PREFERENCES_CHANGED.code):
        with pytest.raises(AttributeError):
            audit.record(OPERATOR, no_event, anna)
        with pytest.raises(AttributeError):
            audit.record_of_mailboxes(OPERATOR, no_event, [anna.mailbox])
    assert not AuditEvent.select().exists()


def test_events_outlive_the_account_and_keep_its_name(people):
    manager = people.add_manager()
    event = audit.record(acting(manager), Event.PREFERENCES_CHANGED)
    manager.delete_instance()
    kept = AuditEvent.get_by_id(event.id)
    assert (kept.actor_id, kept.account_id, kept.actor_login) == (None, None, manager.login)


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "'; DROP TABLE account; --", "\0\r\n", "😀" * 60, "\u202e"]
)
def test_hostile_text_is_kept_as_text(anna, hostile):
    event = audit.record(Actor(user_agent=hostile), Event.PREFERENCES_CHANGED, anna, said=hostile)
    kept = AuditEvent.get_by_id(event.id)
    assert (kept.user_agent, kept.details["said"]) == (hostile, hostile)


def test_everybody_reads_their_own_events_the_newest_first(anna, boris):
    mine = [audit.record(Actor(), Event.PREFERENCES_CHANGED, anna).id for _ in range(3)]
    audit.record(acting(anna), Event.PREFERENCES_CHANGED, boris)
    assert [event.id for event in AuditEvent.of(anna)] == mine[::-1]
    assert [event.id for event in AuditEvent.of(anna, before=mine[2])] == [mine[1], mine[0]]


def test_preferences_are_kept_and_nothing_else_of_the_account(ports, anna):
    stale = Account.get_by_id(anna.id)
    Account.update(state=Account.SUSPENDED).execute()
    preferences.save(UnitOfWork(ports, Actor(account=stale)), "it", "Europe/Rome")
    saved = Account.get_by_id(anna.id)
    assert (saved.language, saved.timezone, saved.state) == ("it", "Europe/Rome", Account.SUSPENDED)


def test_only_what_can_no_longer_matter_is_cleared_away(anna):
    old, moment = 400 * housekeeping.DAY, now()
    for age in (0, old):
        then = moment - age
        WebSession.create(account=anna, token_hash=f"{age}", created_at=then, seen_at=then)
        KnownBrowser.create(account=anna, token_hash=f"{age}", seen_at=then)
        OneTimeLink.create(account=anna, purpose="reset", token_hash=f"{age}", bound_to="", expires_at=then)
        Attempts.create(key=f"{age}", first_at=then, last_at=then)
        LastLogin.create(login_id=anna.id, device_id=0, service="imap", ip=f"{age}", last_access=then - 1)
        AuditEvent.create(action="web:session:refused", at=then)
        AuditEvent.create(action="web:session:refused", account=anna, account_login=anna.login, at=then)
        AuditEvent.create(action="operator:service:added", at=then)
    housekeeping.clear_away()
    tables = (WebSession, KnownBrowser, OneTimeLink, Attempts, LastLogin)
    assert [table.select().count() for table in tables] == [1] * len(tables)
    kept = AuditEvent.select().order_by(AuditEvent.id)
    of_long_ago = [(event.action, event.account_login) for event in kept.where(AuditEvent.at < moment)]
    assert of_long_ago == [("web:session:refused", anna.login), ("operator:service:added", "")]


def test_only_the_same_key_and_purpose_open_what_was_sealed():
    sealed = encryption.seal("k" * 32, "outbox", {"secret": "é"})
    assert encryption.unseal("k" * 32, "outbox", sealed) == {"secret": "é"}
    assert "secret" not in sealed
    for key, purpose, text in (
        ("j" * 32, "outbox", sealed),
        ("k" * 32, "other", sealed),
        ("k" * 32, "outbox", sealed[:-4]),
    ):
        with pytest.raises(InvalidToken):
            encryption.unseal(key, purpose, text)
