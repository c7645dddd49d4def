"""A mailbox gets another address: what goes along, what ends, who may, and what becomes of the former address."""

import pytest

import worker
from actions.authority import permissions
from actions.collaborations import collaborations
from actions.collaborations.collaborations import Person
from actions.devices import devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import outbox
from actions.passwords import recovery, sign_in
from actions.services import mailboxes, user_list
from actions.services.mailboxes import NewMailbox
from actions.services.user_list import WantedUsers
from actions.sessions import links, sessions
from actions.upkeep import housekeeping
from actions.users import imports_at_once, renaming, users
from actions.users.renaming import DAY, MOST_DAYS, Forwarding
from lab.actors import acting
from models import (
    Account,
    AccountWord,
    AuditEvent,
    Device,
    DeviceInvitation,
    Domain,
    FormerAddress,
    KnownBrowser,
    LastLogin,
    Mailbox,
    OutboxItem,
    Service,
    WebSession,
    now,
)
from tests.actions.conftest import at_the_same_instant
from tests.conftest import People

ROSSI = "anna.rossi@example.org"
PHONE = WantedDevice("Phone", "smartphone", Device.IMAP)
NEW = "Other-Garden-8"


@pytest.fixture
def boss(manager) -> Actor:
    return acting(manager)


def rename(ports, actor, account: Account, to: str = ROSSI, forwarding=None, revision=None) -> Account:
    account = Account.get_by_id(account.id)
    seen = account.revision if revision is None else revision
    return renaming.rename(UnitOfWork(ports, actor), account.mailbox, seen, to, forwarding)


def refusal_of(call) -> Refused:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value


def letters_to(ports, mailer, recipient: str) -> list[str]:
    """The text of what was sent there, once all is delivered."""
    outbox.deliver_due(ports, worker.OTHERS)
    return [message.get_body(("plain",)).get_content() for to, message in mailer.sent if to == recipient]


def found_by(service: Service, text: str) -> list[str]:
    return [each.address for each in user_list.page(service, WantedUsers(text=text)).mailboxes]


# --- what goes along ---


def test_the_account_its_place_and_its_mail_go_along(ports, people, boss, anna):
    before = Mailbox.get(Mailbox.account == anna)
    other = Domain.create(service=people.service, name="example.net")
    rename(ports, boss, anna, " Anna.Rossi@Example.NET ")
    account = Account.get_by_id(anna.id)
    mailbox = account.mailbox
    assert (account.login, mailbox.address) == ("anna.rossi@example.net",) * 2
    assert (account.domain, mailbox.domain, account.service) == (other, other, people.service)
    assert (mailbox.id, mailbox.home, mailbox.quota_bytes) == (before.id, before.home, before.quota_bytes)
    assert (account.password_hash, account.state) == (anna.password_hash, anna.state)
    assert found_by(people.service, "anna.rossi@example.net") == found_by(people.service, "keller") == [account.login]
    assert found_by(people.service, "anna@example.org") == []
    assert {word.domain_id for word in AccountWord.select().where(AccountWord.account == account)} == {other.id}
    assert account.sort_name.endswith(" anna.rossi@example.net")
    assert Service.get().mailboxes_made == 1


def test_a_new_mailbox_at_the_former_address_shares_nothing(ports, boss, anna):
    rename(ports, boss, anna)
    made = mailboxes.add_mailbox(UnitOfWork(ports), NewMailbox("anna@example.org")).account
    assert made.mailbox.home != Account.get_by_id(anna.id).mailbox.home
    assert made.id != anna.id


def test_devices_invitations_and_last_logins_stay_and_are_named(ports, people, boss, anna):
    carla = people.add_collaborator(anna, "carla", permissions.ALL)
    hers = devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "a form").device
    theirs = devices.make(
        UnitOfWork(ports, acting(carla)), carla, WantedDevice("Tablet", "tablet", Device.IMAP), "b form"
    ).device
    invited = invitations.invite(UnitOfWork(ports, acting(anna)), anna, PHONE, "x@elsewhere.example.com", False)
    LastLogin.create(login_id=anna.id, device_id=hers.id, service="imap", ip="192.0.2.1", last_access=now())
    assert [(each.name, each.account.login) for each in renaming.set_up_again(anna.mailbox)] == [
        ("Phone", anna.login),
        ("Tablet", carla.login),
    ]
    rename(ports, boss, anna)
    for device, login in ((hers, ROSSI), (theirs, f"carla/{ROSSI}")):
        present = Device.get_by_id(device.id)
        assert (present.selector, present.verifier, present.account.login) == (device.selector, device.verifier, login)
    assert DeviceInvitation.pending(Account.get_by_id(anna.id)).count() == 1
    present = DeviceInvitation.get_by_id(invited.invitation.id)
    assert invitations.accept(UnitOfWork(ports, Actor()), present, proved=True).device.account == anna
    assert LastLogin.of_device(hers).count() == 1


@pytest.mark.parametrize("purpose", [links.RESET, links.WELCOME, links.HANDED_OUT, links.DISOWN])
def test_a_link_that_was_open_leads_to_the_account_and_a_void_one_nowhere(ports, boss, anna, purpose):
    void, token = links.create(anna, links.RECOVER), links.create(anna, purpose)
    used = links.create(anna, links.DISOWN)
    links.use(links.find(used, (links.DISOWN,)))
    anna.write(state=Account.SUSPENDED)
    of_another_state = links.create(anna, purpose, replaces=())
    anna.write(state=Account.ACTIVE)
    rename(ports, boss, anna)
    assert links.find(token, (purpose,)).account.login == ROSSI
    for other, its_purpose in ((void, links.RECOVER), (used, links.DISOWN), (of_another_state, purpose)):
        if other != void or purpose in links.SETS_PASSWORD:
            assert links.find(other, (its_purpose,)) is None


def test_a_link_sets_the_password_and_the_new_login_signs_in(ports, stranger, boss, anna):
    token = links.create(anna, links.RESET)
    rename(ports, boss, anna)
    recovery.set_password(UnitOfWork(ports, stranger), links.find(token, links.SETS_PASSWORD), NEW)
    assert sign_in.sign_in(UnitOfWork(ports, stranger), ROSSI, NEW, None).session.account == anna
    refused = refusal_of(lambda: sign_in.sign_in(UnitOfWork(ports, stranger), "anna@example.org", NEW, None))
    nobody = refusal_of(lambda: sign_in.sign_in(UnitOfWork(ports, stranger), "nobody@example.org", NEW, None))
    assert (refused.sentence, refused.facts, refused.field) == (nobody.sentence, nobody.facts, nobody.field)


def test_events_of_the_past_keep_their_text_and_the_owner_sees_them(ports, boss, anna):
    users.send_link(UnitOfWork(ports, boss), anna.mailbox)
    rename(ports, boss, anna, forwarding=Forwarding(30))
    renamed, sent = AuditEvent.of(Account.get_by_id(anna.id))
    assert (sent.account_login, renamed.account_login, renamed.actor) == (anna.login, anna.login, boss.account)
    assert renamed.action == "web:user:renamed"
    assert renamed.details == {"before": anna.login, "after": ROSSI, "forwards_days": 30}


# --- what ends, and who gets an e-mail ---


def test_what_is_open_under_the_former_address_ends(ports, mail_server, people, boss, anna):
    carla = people.add_collaborator(anna, "carla", permissions.ALL)
    for account in (anna, carla):
        acting(account), sessions.remember_browser(account, None)
    names = (anna.session_name, carla.session_name)
    mail_server.connected = [Connection(name, "imap", "192.0.2.7", 1, number) for name in names for number in (0, 5)]
    unit = UnitOfWork(ports, boss)
    renaming.rename(unit, anna.mailbox, anna.revision, ROSSI)
    assert (mail_server.connected, unit.is_pending) == ([], False)
    assert [session.account for session in WebSession.select()] == [boss.account]
    assert KnownBrowser.select().count() == 2


def test_connections_that_dovecot_does_not_end_at_once_end_later(ports, mail_server, boss, anna):
    mail_server.connected, mail_server.is_down = [Connection(anna.login, "imap", "192.0.2.7")], True
    unit = UnitOfWork(ports, boss)
    renaming.rename(unit, anna.mailbox, anna.revision, ROSSI)
    assert unit.is_pending
    mail_server.is_down = False
    OutboxItem.update(next_try_at=0, leased_until=0).execute()
    outbox.deliver_due(ports, worker.CONNECTIONS)
    assert mail_server.connected == []


def test_the_owner_and_the_collaborators_are_told(ports, mailer, people, boss, anna):
    carla, gone = people.add_collaborator(anna), people.add_collaborator(anna, "gone", state=Account.DISABLED)
    devices.make(UnitOfWork(ports, acting(anna)), anna, PHONE, "a form")
    outbox.deliver_due(ports, worker.OTHERS)
    mailer.sent.clear()
    rename(ports, boss, anna, forwarding=Forwarding(30))
    for address in (ROSSI, anna.contact_email):
        [letter] = letters_to(ports, mailer, address)
        for fact in (boss.login, anna.login, ROSSI, "Phone", "30 days"):
            assert fact in letter, fact
    [letter] = letters_to(ports, mailer, carla.contact_email)
    assert f"carla/{ROSSI}" in letter
    assert letters_to(ports, mailer, gone.contact_email) == letters_to(ports, mailer, anna.login) == []


@pytest.mark.parametrize(
    ("forwarding", "words"), [(None, "is refused from now on"), (Forwarding(), "still arrives. You can no longer")]
)
def test_the_letter_says_what_becomes_of_mail_to_the_former_address(ports, mailer, anna, forwarding, words):
    rename(ports, OPERATOR, anna, forwarding=forwarding)
    [letter] = letters_to(ports, mailer, anna.contact_email)
    assert words in " ".join(letter.split())
    assert AuditEvent.get().action == "operator:mailbox:renamed"


def test_what_waits_to_be_sent_goes_to_the_new_address(ports, mailer, boss, anna, boris):
    for account in (anna, boris):
        users.suspend(UnitOfWork(ports, boss), account.mailbox)
    rename(ports, boss, anna)
    assert len(letters_to(ports, mailer, ROSSI)) == 2
    assert letters_to(ports, mailer, anna.login) == []
    assert len(letters_to(ports, mailer, boris.login)) == 1


# --- what is refused ---


def test_an_address_that_cannot_be_had_is_refused_beside_the_field(ports, people, boss, anna, boris):
    foreign = People(ports.settings, "Other Ltd", "foreign.example")
    second = Service.create(organisation=people.organisation, name="Second")
    Domain.create(service=second, name="second.example")
    people.add_collaborator(anna, "a" * 40)
    before = [list(table.select().dicts()) for table in (Account, Mailbox, AuditEvent, OutboxItem, FormerAddress)]
    long = f"{'l' * 64}@{foreign.domain.name}"
    for typed in (
        "", "anna", "ann a@example.org", "anna+x@example.org", "ä@example.org", anna.login, "ANNA@example.org",
        boris.login, "manager@example.org", "anna@nowhere.example", "anna@second.example", long,
        anna.contact_email,
    ):  # fmt: skip
        refused = refusal_of(lambda typed=typed: rename(ports, boss, anna, typed))
        assert refused.field in ("address", "domain"), typed
    for days in (0, -1, MOST_DAYS + 1, 10**12):
        assert refusal_of(lambda days=days: rename(ports, boss, anna, ROSSI, Forwarding(days))).field == "days"
    after = [list(table.select().dicts()) for table in (Account, Mailbox, AuditEvent, OutboxItem, FormerAddress)]
    held = {"held": None}
    assert [[row | held for row in rows] for rows in after] == [[row | held for row in rows] for rows in before]


def test_a_domain_of_another_service_is_refused_as_one_that_is_not_served(ports, boss, anna):
    People(ports.settings, "Other Ltd", "foreign.example")
    sentences = {refusal_of(lambda name=name: rename(ports, boss, anna, f"anna@{name}")).sentence
                 for name in ("foreign.example", "nowhere.example")}  # fmt: skip
    assert len(sentences) == 1


def test_a_login_that_becomes_too_long_is_named(ports, people, boss, anna):
    name = f"{'d' * 63}.{'e' * 63}.{'f' * 40}.example"
    Domain.create(service=people.service, name=name)
    people.add_collaborator(anna, "a" * 40)
    assert "a" * 40 in str(refusal_of(lambda: rename(ports, boss, anna, f"{'l' * 64}@{name}")))


@pytest.mark.parametrize("of", ["owner", "collaborator"])
def test_an_address_to_which_links_are_sent_does_not_become_the_mailbox(ports, people, boss, anna, of):
    account = anna if of == "owner" else people.add_collaborator(anna)
    account.write(contact_email="Anna.Rossi+links@example.org")
    assert refusal_of(lambda: rename(ports, boss, anna)).facts == {"login": account.login}


def test_a_page_from_before_somebody_elses_change_renames_nothing(ports, boss, anna):
    assert refusal_of(lambda: rename(ports, boss, anna, revision=anna.revision - 1))
    shown, page = Account.get_by_id(anna.id), anna.mailbox
    rename(ports, boss, anna)
    assert refusal_of(lambda: renaming.rename(UnitOfWork(ports, boss), page, shown.revision, "third@example.org"))
    assert Account.get_by_id(anna.id).login == ROSSI


def test_who_may(ports, people, anna):
    boris, carla = people.add("boris"), people.add_collaborator(anna, "carla", permissions.ALL)
    foreign = People(ports.settings, "Other Ltd", "foreign.example").add_manager("m@foreign.example")
    for account in (anna, boris, carla, foreign):
        refusal_of(lambda account=account: rename(ports, acting(account), anna))
        assert Account.get_by_id(anna.id).login == "anna@example.org"
    for number, role in enumerate((Account.ADMINISTRATOR, Account.OWNER, Account.OPERATOR)):
        organisation = None if role == Account.OPERATOR else people.organisation
        actor = acting(people.add_manager(f"{role}@example.org", role, organisation=organisation))
        assert rename(ports, actor, anna, f"name{number}@example.org").login == f"name{number}@example.org"


def test_a_manager_who_was_signed_out_renames_nothing(ports, boss, anna):
    boss.session.delete_instance()
    refusal_of(lambda: rename(ports, boss, anna))
    assert Account.get_by_id(anna.id).login == "anna@example.org"


# --- the former address ---


def addresses_that_arrive() -> dict[str, str]:
    return {each.address: each.mailbox.address for each in FormerAddress.living()}


def test_by_default_mail_to_the_former_address_is_refused_and_the_address_is_free(ports, boss, anna):
    rename(ports, boss, anna)
    assert addresses_that_arrive() == {}
    mailboxes.refuse_taken(anna.login)


@pytest.mark.parametrize("forwarding", [Forwarding(), Forwarding(30)])
def test_a_former_address_that_forwards_is_nobody_elses(ports, people, boss, anna, boris, forwarding):
    rename(ports, boss, anna, forwarding=forwarding)
    assert addresses_that_arrive() == {anna.login: ROSSI}
    file = [f"address\n{anna.login}\n"]
    for wanted in (
        lambda: mailboxes.add_mailbox(UnitOfWork(ports), NewMailbox(anna.login)),
        lambda: mailboxes.add_manager(UnitOfWork(ports), anna.login, "Example Ltd", Account.OWNER),
        lambda: users.add(UnitOfWork(ports, boss), people.service, anna.login, users.Profile(), users.Password(NEW)),
        lambda: rename(ports, boss, boris, anna.login),
        lambda: imports_at_once.carry_out(UnitOfWork(ports), imports_at_once.plan(ports, file)),
    ):
        refusal_of(wanted)
    assert Account.by_login(anna.login) is None


def test_it_is_free_when_the_days_are_over_or_the_manager_ends_it(ports, clock, mailer, boss, anna, boris):
    rename(ports, boss, anna, forwarding=Forwarding(30))
    clock.pass_by(30 * DAY - 1)
    assert addresses_that_arrive() == {anna.login: ROSSI}
    clock.pass_by(1)
    assert addresses_that_arrive() == {}
    boss = acting(boss.account)
    rename(ports, boss, boris, anna.login, forwarding=Forwarding())
    former = renaming.former_address("boris@example.org")
    mailer.sent.clear()
    renaming.end_forwarding(UnitOfWork(ports, boss), former)
    assert addresses_that_arrive() == {}
    assert AuditEvent.select().order_by(AuditEvent.id.desc()).get().details == {"address": "boris@example.org"}
    assert any("boris@example.org" in letter for letter in letters_to(ports, mailer, boris.contact_email))
    refusal_of(lambda: renaming.end_forwarding(UnitOfWork(ports, boss), former))
    # What has run out is deleted, and a name that its owner gave up again can forward again.
    rename(ports, boss, boris, "boris@example.org", forwarding=Forwarding())
    assert addresses_that_arrive() == {anna.login: "boris@example.org"}
    clock.pass_by(2 * DAY)
    housekeeping.clear_away()
    assert FormerAddress.select().count() == 1


def test_a_mailbox_may_have_its_former_address_back_and_earlier_ones_go_on(ports, boss, anna):
    rename(ports, boss, anna, forwarding=Forwarding())
    rename(ports, boss, anna, "third@example.org", forwarding=Forwarding(30))
    assert addresses_that_arrive() == {anna.login: "third@example.org", ROSSI: "third@example.org"}
    rename(ports, boss, anna, anna.login)
    assert addresses_that_arrive() == {ROSSI: anna.login}
    users.remove(UnitOfWork(ports, boss), Account.get_by_id(anna.id).mailbox, anna.login)
    assert FormerAddress.select().count() == 0


def test_a_former_address_that_forwards_is_no_contact_of_the_same_mailbox(ports, boss, anna):
    rename(ports, boss, anna, forwarding=Forwarding())
    account = Account.get_by_id(anna.id)
    profile = users.Profile(contact_email="anna+x@example.org")
    edit = lambda: users.edit(UnitOfWork(ports, boss), account.mailbox, account.revision, profile)  # noqa: E731
    assert refusal_of(edit).field == "contact_email"
    person = Person("Mario", "Rossi", anna.login, "mario")
    invite = lambda: collaborations.make(UnitOfWork(ports, acting(account)), account.mailbox, person, permissions.READ)  # noqa: E731
    assert refusal_of(invite).field == "reference_email"


def test_who_may_end_the_forwarding(ports, people, boss, anna):
    rename(ports, boss, anna, forwarding=Forwarding())
    former = renaming.former_address(anna.login)
    foreign = People(ports.settings, "Other Ltd", "foreign.example").add_manager("m@foreign.example")
    for account in (Account.get_by_id(anna.id), foreign):
        refusal_of(lambda account=account: renaming.end_forwarding(UnitOfWork(ports, acting(account)), former))
    assert addresses_that_arrive() == {anna.login: ROSSI}


# --- at the same moment ---


def won(outcomes: list) -> list:
    """The outcomes that are no refusal; the others are."""
    assert all(isinstance(each, Refused) for each in outcomes if isinstance(each, Exception)), outcomes
    return [each for each in outcomes if not isinstance(each, Refused)]


def test_of_two_renames_to_one_address_one_wins(ports, boss, anna, boris):
    outcomes = at_the_same_instant(*(lambda who=who: rename(ports, boss, who) for who in (anna, boris)))
    assert len(won(outcomes)) == 1
    assert Account.select().where(Account.login == ROSSI).count() == 1
    assert Mailbox.select().where(Mailbox.address == ROSSI).count() == 1
    for account in (anna, boris):
        account = Account.get_by_id(account.id)
        assert account.login == account.mailbox.address


def test_of_two_renames_of_one_mailbox_one_wins(ports, boss, anna):
    seen = anna.revision
    outcomes = at_the_same_instant(
        *(lambda to=to: rename(ports, boss, anna, f"{to}@example.org", revision=seen) for to in ("one", "two"))
    )
    assert len(won(outcomes)) == 1
    account = Account.get_by_id(anna.id)
    assert account.login == account.mailbox.address == won(outcomes)[0].login


@pytest.mark.parametrize("other", ["mailbox", "manager", "file"])
def test_of_a_rename_and_another_that_takes_the_address_one_wins(ports, boss, anna, other):
    plan = imports_at_once.plan(ports, [f"address\n{ROSSI}\n"])
    others = {
        "mailbox": lambda: mailboxes.add_mailbox(UnitOfWork(ports), NewMailbox(ROSSI)).account,
        "manager": lambda: mailboxes.add_manager(UnitOfWork(ports), ROSSI, "Example Ltd", Account.OWNER).account,
        "file": lambda: imports_at_once.carry_out(UnitOfWork(ports), plan)[0].account,
    }
    outcomes = at_the_same_instant(lambda: rename(ports, boss, anna), others[other])
    assert len([each for each in outcomes if isinstance(each, Account)]) == 1
    assert Account.select().where(Account.login == ROSSI).count() == 1


def test_a_collaborator_who_is_added_meanwhile_has_the_new_login(ports, boss, anna):
    person = Person("Mario", "Rossi", "mario@elsewhere.example.com", "mario")
    actor = acting(anna)
    outcomes = at_the_same_instant(
        lambda: rename(ports, boss, anna),
        lambda: collaborations.make(UnitOfWork(ports, actor), anna.mailbox, person, permissions.READ),
    )
    assert not isinstance(outcomes[0], Exception)
    added = Account.select().where(Account.role == Account.COLLABORATOR)
    assert [each.login for each in added] in ([], [f"mario/{ROSSI}"])
