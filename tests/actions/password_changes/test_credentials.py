"""New passwords for several mailboxes at once: refusals, the fate of e-mail and message, what is kept."""

from dataclasses import replace

import pytest

import models
from actions.ground import throttle
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.password_changes import archive, password_change_run, password_changes
from actions.password_changes.password_changes import Choice
from actions.sessions import links
from actions.upkeep import housekeeping
from lab.actors import acting
from models import (
    Account,
    Domain,
    Mailbox,
    OneTimeLink,
    Organisation,
    OutboxItem,
    PasswordChange,
    PasswordChangeItem,
    Service,
    WebSession,
)
from tests.actions.office import (
    DELIVERED,
    FAILED,
    NAMES,
    STEPS,
    WANTED,
    account,
    field_of,
    has_old,
    ids_of,
    present,
    set_state,
    table_of,
)
from tests.conftest import PASSWORD


@pytest.fixture(scope="module")
def module_database_url(tmp_path_factory):
    """Nothing here depends on the kind of database."""
    return f"sqlite:///{tmp_path_factory.mktemp('database') / 'postern.db'}"


# --- what is refused ---


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "CALL-ME-NOW",
        "+39 abc",
        "333 123 4567",
        "112",
        "4455",
        "+39 899 123 456",
        "+44 909 879 1234",
        "+39 06 1234 5678",
        "+39 800 123 456",
        "+1",
        "+999 1",
    ],
)
def test_phones_that_are_none(office, phone):
    assert field_of(lambda: office.draft(replace(WANTED, phone=phone))) == "phone"
    assert not PasswordChange.select().exists()


def test_a_country_may_be_the_settings_own(office):
    office.ports = replace(office.ports, settings=replace(office.ports.settings, phone_region="IT"))
    assert office.draft(replace(WANTED, phone="333 123 4567")).phone == "+393331234567"


@pytest.mark.parametrize(
    "email",
    ["", "nobody", "a@b", "mara@elsewhere.example.com\r\nBcc: eve@evil.example.com", "mara@elsewhere.example.com\n",
     "a@example.com, b@example.com", "<script>@example.com"],
)  # fmt: skip
def test_addresses_that_are_none(office, email):
    assert field_of(lambda: office.draft(replace(WANTED, email=email))) == "email"


@pytest.mark.parametrize("name", ["", "Mara\r\nBcc: eve@evil.example.com", "M" * 121])
def test_names_that_are_none(office, name):
    assert field_of(lambda: office.draft(replace(WANTED, full_name=name))) == "full_name"


@pytest.mark.parametrize(
    "changes", [{"kind": "both"}, {"archive_format": "rar"}, {"language": "xx"}], ids=lambda c: next(iter(c))
)
def test_choices_that_were_not_offered(office, changes):
    assert field_of(lambda: office.draft(replace(WANTED, **changes))) == next(iter(changes))


def test_without_a_gateway_or_fonts(office):
    office.ports.archiver.has_fonts = False
    assert field_of(lambda: office.draft(replace(WANTED, archive_format="pdf"))) == "archive_format"
    office.ports = replace(office.ports, settings=replace(office.ports.settings, sms_url=""))
    assert field_of(office.draft) == "phone"


def other_domain(people, own: bool) -> Domain:
    """Another domain, of the same organisation or of a stranger's, with one mailbox."""
    organisation = people.organisation if own else Organisation.create(name="Strangers")
    service = people.service if own else Service.create(organisation=organisation, name="Mail Light")
    domain = Domain.create(service=service, name="example.net")
    stranger = Account.create(
        login="eve@example.net", password_hash="x", organisation=organisation, service=service, domain=domain
    )
    Mailbox.create(domain=domain, account=stranger, address="eve@example.net", home="example.net/eve")
    return domain


@pytest.mark.parametrize("own", [True, False], ids=["of-the-organisation", "of-strangers"])
def test_mailboxes_of_another_domain(office, people, own):
    other_domain(people, own)
    ids = [*ids_of("anna"), Mailbox.by_address("eve@example.net").id]
    with pytest.raises(Refused) as refusal:
        office.draft(choice=Choice(mailbox_ids=ids))
    assert refusal.value.field == "mailboxes"
    assert "eve" not in str(refusal.value)
    assert not PasswordChange.select().exists()
    assert not PasswordChangeItem.select().exists()


@pytest.mark.parametrize("ids", [[2**31 - 1], [-1], [0, 10**30]])
def test_mailboxes_that_do_not_exist(office, ids):
    assert field_of(lambda: office.draft(choice=Choice(mailbox_ids=ids))) == "mailboxes"


def test_a_suspended_mailbox_is_named_and_everyone_leaves_it_out(office):
    set_state("boris", Account.SUSPENDED)
    with pytest.raises(Refused) as refusal:
        office.draft(choice=Choice(mailbox_ids=ids_of("anna", "boris")))
    assert "boris@example.org" in str(refusal.value)
    assert [item.address for item in office.draft().items] == ["anna@example.org", "chiara@example.org"]


def test_a_manager_cannot_change_their_own_mailbox_or_their_equals(office, people):
    anna = account("anna")
    Account.update(role=Account.OWNER).where(Account.id == anna.id).execute()
    other = acting(account("anna"))
    for actor in (other, office.actor):
        with pytest.raises(Refused):
            office.draft(choice=Choice(mailbox_ids=ids_of("anna")), actor=actor)
    assert "anna@example.org" not in [item.address for item in office.draft(actor=other).items]


def test_none_and_too_many(office, monkeypatch):
    assert field_of(lambda: office.draft(choice=Choice())) == "mailboxes"
    assert field_of(lambda: office.draft(choice=Choice(mailbox_ids=range(1, 100_002)))) == "mailboxes"
    monkeypatch.setattr(password_changes, "MOST_MAILBOXES", 2)
    assert field_of(office.draft) == "mailboxes"


def test_the_managers_own_password_confirms_it(office, mara):
    change = office.draft()
    for _ in range(2):
        with pytest.raises(Refused):
            password_changes.start(UnitOfWork(office.ports, mara), change, "Guessed-Garden-9")
    with pytest.raises(throttle.TooManyAttempts):
        for _ in range(20):
            with pytest.raises(Refused):
                password_changes.start(UnitOfWork(office.ports, mara), change, "Guessed-Garden-9")
    assert present(change).state == PasswordChange.DRAFT
    assert office.step() == 0


def test_a_draft_of_an_hour_ago_and_of_a_manager_who_fell(office, mara, manager, clock):
    change = office.draft()
    clock.pass_by(password_changes.DRAFT_KEPT)
    with pytest.raises(Refused):
        password_changes.start(UnitOfWork(office.ports, mara), change, PASSWORD)
    fresh = office.draft()
    Account.update(role=Account.PERSON).where(Account.id == manager.id).execute()
    with pytest.raises(Refused):
        password_changes.start(UnitOfWork(office.ports, mara), fresh, PASSWORD)
    assert present(fresh).state == PasswordChange.DRAFT


def test_only_the_latest_drafts_are_kept(office):
    started = office.start()
    drafts = [office.draft() for _ in range(password_changes.MOST_DRAFTS + 2)]
    assert list(PasswordChange.select().order_by(PasswordChange.id)) == [started, *drafts[2:]]
    assert PasswordChangeItem.select().count() == len(NAMES) * (1 + password_changes.MOST_DRAFTS)


def test_who_sees_it(office, people, manager):
    change = office.draft()
    colleague = people.add_manager("colleague@example.org", Account.ADMINISTRATOR)
    service = people.service.id
    assert password_changes.find(manager, service, change.id) == change
    assert password_changes.find(colleague, service, change.id) is None
    password_changes.start(UnitOfWork(office.ports, office.actor), change, PASSWORD)
    assert password_changes.find(colleague, service, change.id) == change
    assert password_changes.find(account("anna"), service, change.id) is None
    other = other_domain(people, own=False)
    foreign = people.add_manager("foreign@example.net", organisation=other.service.organisation)
    assert password_changes.find(foreign, service, change.id) is None
    assert password_changes.find(foreign, other.service.id, change.id) is None


def test_searching(office, manager, people):
    people.add("dmitri", first_name="Борис", last_name="Орлов")
    found = lambda typed: [m.address.partition("@")[0] for m in password_changes.search(manager, people.domain, typed)]  # noqa: E731
    assert found("bor") == ["boris", "dmitri"]
    assert found("orlov") == ["dmitri"]
    assert found("") == ["anna", "boris", "chiara", "dmitri"]
    assert found("%") == ["anna", "boris", "chiara", "dmitri"]
    assert found("nobody") == []


# --- the fate of e-mail and message ---


def test_what_the_gateway_reports(office):
    change = office.run()
    assert archive.message_delivery(change).state == archive.SENT
    for state in (4, 8, 12345, -1):
        assert office.report(state)
    assert archive.message_delivery(present(change)).state == archive.SENT
    assert office.report(FAILED)
    assert archive.message_delivery(present(change)).state == archive.REFUSED
    assert office.report(DELIVERED)
    assert archive.message_delivery(present(change)).state == archive.ARRIVED
    assert office.report(FAILED)
    assert archive.message_delivery(present(change)).state == archive.ARRIVED


@pytest.mark.parametrize("change_token", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "2" + t[1:],
                                          lambda t: t.replace("-1-", "-2-"), lambda _: "", lambda _: "1-1-",
                                          lambda t: t + "x"])  # fmt: skip
def test_reports_that_nobody_signed(office, change_token):
    change = office.run()
    token = office.ports.sms.sent[0].report_url.rpartition("/")[2]
    assert not archive.reported(office.ports, change_token(token), DELIVERED)
    assert present(change).message_delivered_at is None


def test_the_payload_is_erased_once_both_arrived(office):
    change = office.run()
    assert archive.is_kept(change)
    office.report(DELIVERED)
    assert not archive.is_kept(change)
    assert present(change).erased_at
    for again in (password_changes.send_mail_again, password_changes.send_message_again):
        with pytest.raises(Refused):
            again(UnitOfWork(office.ports, office.actor), present(change))


def test_a_report_that_comes_before_the_end_erases_at_the_end(office):
    change = office.until(office.start(), PasswordChange.CHANGING)
    office.report(DELIVERED)
    assert archive.is_kept(change)
    office.until(change, PasswordChange.DONE)
    assert not archive.is_kept(change)


def test_the_payload_is_erased_after_seven_days(office, clock):
    change = office.run()
    clock.pass_by(archive.KEPT)
    housekeeping.clear_away()
    assert archive.is_kept(change)
    clock.pass_by(1)
    housekeeping.clear_away()
    assert not archive.is_kept(change)


def test_what_is_open_after_seven_days_is_stopped_and_drafts_go(office, clock, mailer):
    mailer.is_down = True
    draft, change = office.draft(), office.start()
    office.until(change, PasswordChange.SENDING)
    clock.pass_by(archive.KEPT + 1)
    housekeeping.clear_away()
    assert (present(change).state, present(change).reason) == (PasswordChange.STOPPED, password_changes.TOO_LONG)
    assert all(has_old(name) for name in NAMES)
    assert not PasswordChange.select().where(PasswordChange.id == draft.id).exists()


def test_sending_again_sends_the_same(office, mara, mailer):
    change = office.run()
    first = office.ports.sms.sent[0]
    password_changes.send_message_again(UnitOfWork(office.ports, office.actor), present(change))
    password_changes.send_mail_again(UnitOfWork(office.ports, office.actor), present(change))
    office.deliver()
    again = office.ports.sms.sent[1]
    assert (again.to, again.text) == (first.to, first.text)
    assert again.key != first.key
    letters = [letter for recipient, letter in mailer.sent if recipient == WANTED.email]
    assert [next(each.iter_attachments()).get_content() for each in letters] == [b"zip 1", b"zip 1"]
    # A failure of the first message says nothing about the second.
    assert office.report(FAILED, 0)
    assert archive.message_delivery(present(change)).state == archive.SENT
    assert office.report(DELIVERED, 0)
    assert archive.message_delivery(present(change)).state == archive.ARRIVED


def test_sending_again_what_still_waits_hurries_it(office, mara):
    office.ports.sms.is_down = True
    change = office.until(office.start(), PasswordChange.SENDING)
    office.deliver()
    delivery = archive.message_delivery(present(change))
    assert (delivery.state, delivery.trouble) == (archive.RETRYING, "The SMS gateway is down.")
    office.ports.sms.is_down = False
    password_changes.send_message_again(UnitOfWork(office.ports, office.actor), present(change))
    office.until(change, PasswordChange.DONE)
    assert len(office.ports.sms.sent) == 1


def test_sending_again_is_slowed_down_and_stops(office, mara, clock):
    change = office.run()
    sent = 0
    with pytest.raises(throttle.TooManyAttempts):
        for _ in range(20):
            password_changes.send_message_again(UnitOfWork(office.ports, office.actor), present(change))
            sent += 1
            clock.pass_by(61)
    assert sent == password_changes.SENT_AGAIN.ceiling


# --- what a reader of the database finds ---


def test_no_secret_lies_about_in_the_clear(office, settings, mailer):
    change = office.until(office.start(), PasswordChange.SENDING)
    secrets = [office.key, *table_of(office.ports.archiver.made[0].entries).values()]
    for _ in range(2):
        stored = [str(value) for table in models.TABLES for row in table.select().dicts() for value in row.values()]
        assert not [each for each in stored for secret in secrets if secret in each]
        office.until(change, PasswordChange.DONE)
        office.report(DELIVERED)
    assert not OneTimeLink.select().where(OneTimeLink.purpose == links.HANDED_OUT).exists()


def test_progress(office, monkeypatch, clock):
    monkeypatch.setattr(password_change_run, "CHANGED_AT_ONCE", 1)
    change = office.start()
    shares = []
    for _ in range(STEPS):
        clock.pass_by(2)
        reached = password_changes.progress(present(change))
        assert reached.total == 3
        assert reached.left is None or 0 <= reached.left < 1000
        shares.append(reached.share)
        if present(change).state in PasswordChange.OVER:
            break
        office.step()
        office.deliver()
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(set(shares)) > 4


def test_the_recipient_inside_a_mailbox_that_is_changed(office):
    assert not password_changes.changes_its_recipient(office.draft())
    assert password_changes.changes_its_recipient(office.draft(replace(WANTED, email="Boris@example.org")))


@pytest.mark.parametrize(
    "loss", [{"role": Account.PERSON}, {"state": Account.SUSPENDED}, {"organisation": None}], ids=str
)
def test_who_no_longer_looks_after_the_service_sends_nothing_again_and_stops_nothing(ports, office, mara, loss):
    change = office.until(office.start(), PasswordChange.CHANGING)
    before = OutboxItem.select().count()
    Account.update(**loss).where(Account.id == mara.account.id).execute()
    for act in (password_changes.send_mail_again, password_changes.send_message_again):
        with pytest.raises(Refused):
            act(UnitOfWork(office.ports, mara), present(change))
    with pytest.raises(Refused):
        password_changes.cancel(UnitOfWork(ports, office.actor), present(change))
    assert (OutboxItem.select().count(), present(change).state) == (before, PasswordChange.CHANGING)


def test_who_was_signed_out_a_moment_ago_starts_nothing_and_sends_nothing_again(office, mara):
    change, draft = office.until(office.start(), PasswordChange.CHANGING), office.draft()
    WebSession.delete().where(WebSession.account == mara.account).execute()
    with pytest.raises(Refused):
        password_changes.send_mail_again(UnitOfWork(office.ports, office.actor), present(change))
    with pytest.raises(Refused):
        password_changes.start(UnitOfWork(office.ports, mara), draft, PASSWORD)
    assert present(draft).state == PasswordChange.DRAFT
