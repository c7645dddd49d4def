"""Managers' actions on users: what is in force, who gets an e-mail, and who may not."""

import itertools

import pytest

import worker
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground import sizes
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection, Quota
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import passwords
from actions.services import fullness, services
from actions.sessions import links, sessions
from actions.users import users
from lab.actors import acting
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Collaboration,
    Device,
    KnownBrowser,
    LastLogin,
    Mailbox,
    OneTimeLink,
    Organisation,
    OutboxItem,
    Service,
    WebSession,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import People, cuts_at_once

NEW = "Other-Garden-8"
ROLES = (Account.ADMINISTRATOR, Account.OWNER, Account.OPERATOR)


@pytest.fixture
def boss(manager) -> Actor:
    return acting(manager)


def profile_of(account: Account, **changes: object) -> users.Profile:
    columns = {name: getattr(account, name) for name in users.PROFILE}
    return users.Profile(**columns | {"quota_bytes": account.mailbox.quota_bytes} | changes)


def edit(ports, actor, account: Account, password: str | None = None, revision: int | None = None, **changes) -> bool:
    """Whether nothing of what it ends is left to the outbox."""
    account = Account.get_by_id(account.id)
    given = password and users.Password(password, changes.pop("must_change", True))
    seen = account.revision if revision is None else revision
    unit = UnitOfWork(ports, actor)
    return cuts_at_once(users.edit, unit, account.mailbox, seen, profile_of(account, **changes), given)


def letters_to(ports, mailer, recipient: str) -> list[str]:
    """The text of what was sent there, once all is delivered."""
    outbox.deliver_due(ports, worker.OTHERS)
    return [message.get_body(("plain",)).get_content() for to, message in mailer.sent if to == recipient]


def everything_of(account: Account) -> dict:
    """How often the account stands in each table that could give somebody else its access."""
    tables = (WebSession, KnownBrowser, OneTimeLink, Device, Collaboration)
    return {table: table.select().where(table.account == account.id).count() for table in tables}


# --- edit ---


def test_only_what_is_different_is_written_and_told(ports, mailer, boss, anna):
    before = Account.get_by_id(anna.id)
    edit(ports, boss, anna)
    assert Account.get_by_id(anna.id).revision == before.revision
    assert AuditEvent.select().count() == OutboxItem.select().count() == 0
    edit(ports, boss, anna, first_name="Annalena", quota_bytes=sizes.GIGABYTE)
    [event] = AuditEvent.select()
    assert (event.action, event.actor, event.account) == ("web:user:changed", boss.account, anna)
    assert event.details == {"fields": ["first_name"], "quota_before": 0, "quota_after": sizes.GIGABYTE}
    for address in (anna.login, anna.contact_email):
        [letter] = letters_to(ports, mailer, address)
        assert boss.login in letter


def test_a_new_contact_address_is_told_to_the_old_one_and_voids_its_links(ports, mailer, boss, anna):
    token = links.create(anna, links.RESET)
    edit(ports, boss, anna, contact_email="elsewhere@other.example.com")
    for address in (anna.contact_email, "elsewhere@other.example.com"):
        assert letters_to(ports, mailer, address)
    assert links.find(token, (links.RESET,)) is None


def test_a_password_that_is_set_ends_what_the_old_one_opened(ports, mail_server, boss, anna):
    acting(anna), sessions.remember_browser(anna, None)
    token = links.create(anna, links.RESET)
    mail_server.connected = [
        Connection(anna.login, "imap", "192.0.2.7"),
        Connection(anna.login, "imap", "192.0.2.8", 1, 5),
    ]
    assert edit(ports, boss, anna, NEW)
    changed = Account.get_by_id(anna.id)
    assert passwords.verify(ports.settings, changed.password_hash, NEW)
    assert changed.must_change_password
    assert everything_of(anna)[WebSession] == everything_of(anna)[KnownBrowser] == 0
    assert links.find(token, (links.RESET,)) is None
    # A device has a password of its own.
    assert [each.device_id for each in mail_server.connected] == [5]
    assert NEW not in "".join(str(row) for row in AuditEvent.select().dicts())


def test_without_the_mail_server_the_password_is_in_force_and_the_cut_follows(ports, mail_server, boss, anna):
    mail_server.connected, mail_server.is_down = [Connection(anna.login, "imap", "192.0.2.7")], True
    assert not edit(ports, boss, anna, NEW)
    assert passwords.verify(ports.settings, Account.get_by_id(anna.id).password_hash, NEW)
    mail_server.is_down = False
    OutboxItem.update(next_try_at=0, leased_until=0).execute()
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert mail_server.connected == []


def test_a_refused_field_leaves_everything_as_it_was(ports, boss, anna):
    before = Account.select().where(Account.id == anna.id).dicts().get()
    for changes in (
        {"quota_bytes": 1, "first_name": "\u202ex"},
        {"contact_email": anna.login},
        {"contact_email": "anna+x@example.org"},
        {"phone": "+39 0"},
        {"phone": "+39 06 1234 5678"},
        {"state": Account.DISABLED},
        {"password": "short", "first_name": "X"},
        {"revision": before["revision"] - 1, "first_name": "X", "password": NEW},
    ):
        with pytest.raises(Refused):
            edit(ports, boss, anna, **changes)
    assert Account.select().where(Account.id == anna.id).dicts().get() == before
    assert (Mailbox.get().quota_bytes, AuditEvent.select().count(), OutboxItem.select().count()) == (0, 0, 0)


def test_a_landline_that_was_stored_before_does_not_hinder_other_changes(ports, boss, people):
    dora = people.add("dora", phone="+390612345678")
    edit(ports, boss, dora, first_name="Dora")
    edit(ports, boss, dora, phone="+39 06 1234 5678", last_name="Neri")
    dora = Account.get_by_id(dora.id)
    assert (dora.display_name, dora.phone) == ("Dora Neri", "+390612345678")
    with pytest.raises(Refused, match="cannot reach"):
        edit(ports, boss, dora, phone="+390612345679")


def test_of_two_managers_who_save_at_the_same_instant_one_is_told(ports, people, anna):
    actors = [acting(people.add_manager(f"m{number}@example.org")) for number in range(4)]
    revision = Account.get_by_id(anna.id).revision

    def save(actor):
        return lambda: edit(ports, actor, anna, revision=revision, first_name=actor.login)

    outcomes = at_the_same_instant(*map(save, actors))
    [winner] = [place for place, outcome in enumerate(outcomes) if outcome is True]
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 3, outcomes
    assert Account.get_by_id(anna.id).first_name == actors[winner].login
    assert AuditEvent.select().where(AuditEvent.action == "web:user:changed").count() == 1


def test_a_form_about_a_removed_user_does_not_fit_who_got_the_number(ports, boss, people):
    anna = people.add("anna")
    revision, number = anna.revision, anna.mailbox.id
    users.remove(UnitOfWork(ports, boss), anna.mailbox, anna.login)
    boris = people.add("boris")
    Mailbox.update(id=number).where(Mailbox.account == boris).execute()
    with pytest.raises(Refused):
        edit(ports, boss, boris, revision=revision, first_name="Anna")


# --- the service's limits ---


def test_the_counters_follow_every_change(ports, boss, people):
    anna, boris = people.add("anna", quota_bytes=sizes.GIGABYTE), people.add("boris")
    profile = users.Profile(contact_email="dora@elsewhere.example.com", quota_bytes=2 * sizes.GIGABYTE)
    users.add(UnitOfWork(ports, boss), people.service, "dora@example.org", profile, None)
    edit(ports, boss, anna, quota_bytes=5 * sizes.GIGABYTE)
    users.remove(UnitOfWork(ports, boss), boris.mailbox, boris.login)
    counted = Service.get()
    assert counted.mailboxes_made == Mailbox.select().count() == 2
    assert counted.quota_given_bytes == sum(mailbox.quota_bytes for mailbox in Mailbox.select()) == 7 * sizes.GIGABYTE


def test_whether_another_organisation_has_a_domain_is_not_told(ports, people, boss):
    People(ports.settings, organisation="Other Ltd", domain="other.example")
    profile = users.Profile("Dora", "Bell", "dora@elsewhere.example.com")
    refusals = []
    for domain in ("other.example", "nowhere.example"):
        with pytest.raises(Refused) as refused:
            users.add(UnitOfWork(ports, boss), people.service, f"dora@{domain}", profile, None)
        refusals.append((refused.value.sentence, refused.value.field, refused.value.facts == {"domain": domain}))
    assert refusals[0] == refusals[1]


def test_the_last_place_is_given_once(ports, people, manager):
    Service.update(most_mailboxes=1).execute()
    actors = [acting(manager) for _ in range(4)]

    def add(number):
        profile = users.Profile(contact_email=f"c{number}@elsewhere.example.com")
        return lambda: users.add(
            UnitOfWork(ports, actors[number]), people.service, f"p{number}@example.org", profile, None
        )

    outcomes = at_the_same_instant(*map(add, range(4)))
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1, outcomes
    assert (Mailbox.select().count(), Service.get().mailboxes_made, AccountWord.select().count() > 0) == (1, 1, True)


def test_a_quota_may_always_become_smaller(ports, boss, people):
    anna = people.add("anna", quota_bytes=9 * sizes.GIGABYTE)
    Service.update(quota_bytes=sizes.GIGABYTE).execute()
    edit(ports, boss, anna, quota_bytes=8 * sizes.GIGABYTE)
    with pytest.raises(Refused):
        edit(ports, boss, anna, quota_bytes=9 * sizes.GIGABYTE)
    edit(ports, boss, anna, first_name="Same quota")
    assert Mailbox.get().quota_bytes == 8 * sizes.GIGABYTE


# --- suspend, resume, remove ---


def test_a_suspension_ends_what_is_open_and_a_resumption_brings_it_back(ports, mailer, mail_server, boss, people, anna):
    carla = people.add_collaborator(anna)
    acting(anna), acting(carla)
    device = devices.make(
        UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "smartphone", Device.IMAP), "form"
    ).device
    token = links.create(anna, links.RESET)
    mail_server.connected = [
        Connection(anna.login, "imap", "192.0.2.7"),
        Connection(anna.login, "imap", "192.0.2.7", 1, device.id),
        Connection(carla.session_name, "imap", "192.0.2.7"),
    ]
    assert cuts_at_once(users.suspend, UnitOfWork(ports, boss), anna.mailbox)
    assert mail_server.connected == []
    assert WebSession.select().where(WebSession.account != boss.account).count() == 0
    assert not Account.get_by_id(carla.id).may_enter
    assert cuts_at_once(users.suspend, UnitOfWork(ports, boss), anna.mailbox)
    users.resume(UnitOfWork(ports, boss), anna.mailbox)
    assert links.find(token, (links.RESET,)) is None
    assert Account.get_by_id(carla.id).may_enter
    assert everything_of(anna)[Device] == 1
    told = " ".join(letters_to(ports, mailer, anna.contact_email))
    assert "suspended" in told
    assert "may be used again" in told


def test_nothing_of_a_removed_user_is_inherited(ports, mailer, boss, people, anna, boris):
    people.add_collaborator(anna, "carla")
    people.add_collaborator(boris, "mario")
    acting(anna), sessions.remember_browser(anna, None)
    devices.make(UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "smartphone", Device.IMAP), "form")
    for account in (anna, boris):
        LastLogin.create(login_id=account.id, device_id=0, service="imap", ip="192.0.2.1", last_access=now())
    tokens = [links.create(anna, purpose) for purpose in (links.RESET, links.DISOWN)]
    home, number = anna.mailbox.home, anna.id
    users.remove(UnitOfWork(ports, boss), anna.mailbox, anna.login)
    assert {each.login for each in Account.select()} == {boss.login, boris.login, "mario/boris@example.org"}
    for table in (WebSession, KnownBrowser, OneTimeLink, Device, AccountWord):
        assert table.select().where(table.account == number).count() == 0, table
    assert [login.login_id for login in LastLogin.select()] == [boris.id]
    assert [links.find(token, (links.RESET, links.DISOWN)) for token in tokens] == [None, None]
    profile = users.Profile(contact_email="new@elsewhere.example.com")
    again = users.add(UnitOfWork(ports, boss), people.service, anna.login, profile, None)
    assert again.mailbox.home != home
    assert set(everything_of(again).values()) == {0, 1}  # its invitation
    assert [event.action for event in AuditEvent.of(again)] == ["web:user:added"]
    kept = AuditEvent.get(AuditEvent.action == "web:user:removed")
    assert (kept.account_login, kept.organisation, kept.details["home"]) == (anna.login, people.organisation, home)
    assert "was removed" in letters_to(ports, mailer, anna.contact_email)[-1]
    assert "has ended" in " ".join(letters_to(ports, mailer, "carla@elsewhere.example.com"))


def test_a_removal_without_the_address_is_none(ports, boss, anna, boris):
    for typed in ("", "anna", boris.login, f"{anna.login}x", "%"):
        with pytest.raises(Refused):
            users.remove(UnitOfWork(ports, boss), anna.mailbox, typed)
    assert Account.by_login(anna.login)


# --- links ---


def test_a_link_is_for_what_the_account_needs(ports, boss, people, mailer):
    invited, active, locked = people.add("i", None), people.add("a"), people.add("l", state=Account.LOCKED)
    for account, purpose in ((invited, links.WELCOME), (active, links.RESET), (locked, links.RECOVER)):
        users.send_link(UnitOfWork(ports, boss), account.mailbox)
        assert OneTimeLink.get(OneTimeLink.account == account).purpose == purpose
        assert "/links/password/" in letters_to(ports, mailer, account.contact_email)[0]
        assert not letters_to(ports, mailer, account.login)
    for unreachable in (people.add("s", state=Account.SUSPENDED), people.add("n", contact_email="")):
        with pytest.raises(Refused):
            users.send_link(UnitOfWork(ports, boss), unreachable.mailbox)


def test_nobody_is_flooded_with_links(ports, boss, anna):
    with pytest.raises(TooManyAttempts):
        for _ in range(20):
            users.send_link(UnitOfWork(ports, boss), anna.mailbox)


# --- who may ---


def deeds(ports, service, account):
    """Everything that can be done to a user, and how one is made."""
    mailbox = account.mailbox
    profile = users.Profile("Changed", contact_email="d@elsewhere.example.com")
    return {
        "edit": lambda actor: users.edit(
            UnitOfWork(ports, actor), mailbox, account.revision, profile, users.Password(NEW)
        ),
        "suspend": lambda actor: users.suspend(UnitOfWork(ports, actor), mailbox),
        "resume": lambda actor: users.resume(UnitOfWork(ports, actor), mailbox),
        "link": lambda actor: users.send_link(UnitOfWork(ports, actor), mailbox),
        "remove": lambda actor: users.remove(UnitOfWork(ports, actor), mailbox, mailbox.address),
        "add": lambda actor: users.add(UnitOfWork(ports, actor), service, f"made-for-{mailbox.address}", profile, None),
    }


DEEDS = {"edit", "suspend", "resume", "link", "remove", "add"}


def refused_deeds(ports, people, account, actor) -> set[str]:
    refused = set()
    for name, deed in deeds(ports, people.service, account).items():
        try:
            deed(actor)
        except Refused:
            refused.add(name)
    return refused


def test_nobody_acts_on_their_like_or_above(ports, people):
    order = [Account.PERSON, *ROLES]
    for number, (role, target) in enumerate(itertools.product(order, order)):
        victim = people.add(f"victim{number}", role=target)
        actor = acting(people.add_manager(f"actor{number}@example.net", role))
        refused = refused_deeds(ports, people, victim, actor)
        if role == Account.PERSON:
            assert refused == DEEDS
        elif order.index(role) <= order.index(target):
            assert refused == DEEDS - {"add"}, (role, target)
            assert Account.get_by_id(victim.id).password_hash == victim.password_hash
        else:
            assert not refused, (role, target)


def test_only_the_operator_reaches_into_another_organisation(ports, people):
    foreign = Organisation.create(name="Other Ltd")
    for role in ROLES:
        actor = acting(people.add_manager(f"{role}@example.net", role, organisation=foreign))
        refused = refused_deeds(ports, people, people.add(f"victim-{role}"), actor)
        assert refused == (set() if role == Account.OPERATOR else DEEDS)


def test_rank_and_state_count_as_they_are_when_it_happens(ports, people, anna):
    actor = acting(people.add_manager("actor@example.org"))
    before = Account.select().where(Account.id == actor.account.id).dicts().get()
    for meanwhile in (
        {"role": Account.PERSON},
        {"role": Account.COLLABORATOR},
        {"state": Account.SUSPENDED},
        {"state": Account.LOCKED},
        {"organisation": None},
    ):
        Account.update(before | meanwhile).where(Account.id == actor.account.id).execute()
        assert refused_deeds(ports, people, anna, actor) == DEEDS, meanwhile
    assert Account.get_by_id(anna.id).password_hash == anna.password_hash


def test_whose_session_ended_does_nothing_more(ports, people, anna):
    actor = acting(people.add_manager("actor@example.org"))
    WebSession.delete().execute()
    assert refused_deeds(ports, people, anna, actor) == DEEDS


def test_the_operator_at_the_command_line_needs_no_account_and_writes_to_nobody(ports, people, anna):
    assert cuts_at_once(users.suspend, UnitOfWork(ports, OPERATOR), anna.mailbox)
    assert Account.get_by_id(anna.id).state == Account.SUSPENDED
    assert OutboxItem.select().where(OutboxItem.kind == "mail").count() == 0


def test_services_are_seen_by_those_who_look_after_them(people, manager):
    other = Service.create(organisation=Organisation.create(name="Aother Ltd"), name="Theirs")
    operator = people.add_manager("operator@example.org", Account.OPERATOR, organisation=None)
    assert list(services.page(manager, 1).services) == [people.service]
    assert list(services.page(operator, 1).services) == [other, people.service]
    for number in (0, -1, 2, 10**12):
        assert services.page(manager, number).services in ([], [people.service])


# --- storage ---


def test_the_storage_of_a_service_is_added_up_little_by_little(ports, people, mail_server, clock, monkeypatch):
    monkeypatch.setattr(fullness, "ASKED_AT_ONCE", 2)
    for number in range(5):
        people.add(f"p{number}", None)
        mail_server.held[f"p{number}@example.org"] = Quota(1000, 0)
    mail_server.held["p4@example.org"] = Quota(sizes.GIGABYTE * 5000, 0)
    slept = []
    monkeypatch.setattr(fullness, "monotonic", lambda: sum(slept))
    count = fullness.StorageCount()
    mail_server.is_down = True
    count.look(ports)
    assert Service.get().used_at is None
    mail_server.is_down = False
    for _ in range(4):
        count.look(ports)
    counted = Service.get()
    assert (counted.used_bytes, counted.used_at) == (4000 + sizes.GIGABYTE * 5000, clock.moment)
    mail_server.held["p0@example.org"] = Quota(2000, 0)
    count.look(ports)
    slept.append(fullness.REST)
    for _ in range(4):
        count.look(ports)
    assert Service.get().used_bytes == 5000 + sizes.GIGABYTE * 5000
    used = [account.used_bytes for account in Account.select().order_by(Account.login)]
    assert used == [2000, 1000, 1000, 1000, sizes.GIGABYTE * 5000]


@pytest.mark.parametrize(
    ("amount", "unit", "expected"),
    [
        ("", "GB", 0),
        ("0", "MB", 0),
        ("500", "MB", 500 * sizes.MEGABYTE),
        (" 2 ", "GB", 2 * sizes.GIGABYTE),
        ("1048576", "GB", sizes.LARGEST),
    ],
)
def test_quotas_as_they_are_typed(amount, unit, expected):
    assert sizes.parsed(amount, unit) == expected


@pytest.mark.parametrize(
    ("amount", "unit"),
    [
        ("1048577", "GB"),
        ("-1", "MB"),
        ("1e99", "MB"),
        ("1;DROP", "MB"),
        ("1", "TB"),
        ("1", ""),
        ("٣", "MB"),
        ("1\0", "MB"),
    ],
)
def test_quotas_that_are_none(amount, unit):
    with pytest.raises(Refused):
        sizes.parsed(amount, unit)
