"""What the operator sets up."""

import pytest

from actions.ground.actor import OPERATOR
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import mailboxes
from actions.services.mailboxes import NewMailbox
from actions.sessions import links
from database import database
from models import Account, Mailbox, Organisation, Service
from tests.conftest import PASSWORD


def test_a_mailbox_is_ready_for_mail_at_once(ports, settings, people):
    made = mailboxes.add_mailbox(
        UnitOfWork(ports, OPERATOR), NewMailbox("Dora@Example.org ", quota_bytes=5, password=PASSWORD)
    )
    row = database.execute_sql("SELECT login, mailbox, quota_bytes, password, refusal FROM mail_login").fetchone()
    assert row == ("dora@example.org", "dora@example.org", 5, "{ARGON2ID}" + made.account.password_hash, None)
    assert passwords.verify(settings, made.account.password_hash, PASSWORD)
    assert made.link is None


def test_without_a_password_there_is_a_link(ports, settings, people):
    made = mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox("dora@example.org"))
    assert made.link.startswith(settings.base_url)
    assert links.find(made.link.rpartition("/")[2], (links.WELCOME,)).account == made.account
    assert made.account.password_hash is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dora",
        "@example.org",
        "dora@",
        "dora@nowhere.example",
        "do ra@example.org",
        "dora@example.org\nx",
        "dö@example.org",
    ]
    + [
        "dora@@example.org",
        "../x@example.org",
        "a..b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a\0@example.org",
    ]
    + ["x" * 65 + "@example.org", "*@example.org", "dora%x@example.org", "anna@example.org", "ANNA@example.org"],
)
def test_what_is_no_new_address_here_is_refused(ports, people, anna, address):
    with pytest.raises(Refused):
        mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox(address))
    assert Mailbox.select().count() == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"contact_email": "nobody"},
        {"contact_email": "dora@example.org"},
        {"contact_email": "a@example.com\r\nBcc: b@example.com"},
        {"first_name": "x" * 121},
        {"last_name": "two\nlines"},
        {"first_name": "\0"},
        {"language": "zz"},
        {"password": "short"},
        {"password": ""},
        {"password": "Dora-Garden-7"},
    ],
)
def test_what_is_wrong_with_a_mailbox_is_told_and_nothing_is_made(ports, people, columns):
    with pytest.raises(Refused):
        mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox("dora@example.org", **columns))
    assert Account.select().count() == 0


def test_an_address_that_is_made_anew_finds_no_old_mail(ports, people):
    def make():
        return Mailbox.get(
            Mailbox.account
            == mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox("dora@example.org")).account
        )

    first = make()
    first.delete_instance()
    first.account.delete_instance()
    assert make().home != first.home


def test_the_policy_of_the_service_decides(ports, people):
    Service.update(password_policy="modern").execute()
    with pytest.raises(Refused):
        mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox("dora@example.org", password="Vu7!kqzw"))
    mailboxes.add_mailbox(UnitOfWork(ports, OPERATOR), NewMailbox("dora@example.org", password="garden wolf paper"))


def test_services_of_one_name_are_told_apart_by_their_organisation(ports, database):
    for organisation in ("One Ltd", "Two Ltd"):
        mailboxes.add_service(UnitOfWork(ports, OPERATOR), organisation, "Mail")
    with pytest.raises(Refused):
        mailboxes.add_domain(UnitOfWork(ports, OPERATOR), "example.org", "Mail")
    added = mailboxes.add_domain(UnitOfWork(ports, OPERATOR), "Example.ORG.", "Mail", "Two Ltd")
    assert (added.name, added.service.organisation.name) == ("example.org", "Two Ltd")
    for again in (
        lambda: mailboxes.add_domain(UnitOfWork(ports, OPERATOR), "example.org", "Mail", "One Ltd"),
        lambda: mailboxes.add_service(UnitOfWork(ports, OPERATOR), "One Ltd", "Mail"),
    ):
        with pytest.raises(Refused):
            again()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "example",
        "-a.example",
        "a b.example",
        "☃.example",
        "xn--a.example",
        "a\u200bb.example",
        "x" * 64 + ".example",
        "a..example",
    ],
)
def test_what_is_no_domain_is_refused(ports, people, name):
    with pytest.raises(Refused):
        mailboxes.add_domain(UnitOfWork(ports, OPERATOR), name, "Mail Light")


@pytest.mark.parametrize("name", ["", " ", "x" * 121, "a\nb", "a\0b", "gpj.\u202eexe", "a\u2067b"])
def test_what_is_no_name_is_refused(ports, database, name):
    for organisation, service in ((name, "Mail"), ("Example Ltd", name)):
        with pytest.raises(Refused):
            mailboxes.add_service(UnitOfWork(ports, OPERATOR), organisation, service)
    assert Organisation.select().count() == 0


def test_a_manager_gets_a_link_or_a_password(ports, people):
    made = mailboxes.add_manager(
        UnitOfWork(ports, OPERATOR), "M@Example.org", "Example Ltd", Account.OWNER, first_name="Mara"
    )
    assert made.link
    assert (made.account.login, made.account.display_name, made.account.is_manager) == ("m@example.org", "Mara", True)
    assert (
        mailboxes.add_manager(
            UnitOfWork(ports, OPERATOR), "n@example.org", "Example Ltd", Account.ADMINISTRATOR, PASSWORD
        ).link
        is None
    )


@pytest.mark.parametrize(
    ("login", "organisation", "role"),
    [
        ("m", "Example Ltd", "owner"),
        ("m@example.org", "Nobody", "owner"),
        ("m@example.org", "Example Ltd", "operator"),
        ("anna@example.org", "Example Ltd", "owner"),
    ],
)
def test_a_manager_that_cannot_be_is_refused(ports, anna, login, organisation, role):
    with pytest.raises(Refused):
        mailboxes.add_manager(UnitOfWork(ports, OPERATOR), login, organisation, role)
    assert Account.select().count() == 1
