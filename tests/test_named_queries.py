"""Queries that are written once find what the same query finds that is written each time, on both databases."""

import random

import pytest
from peewee import JOIN, fn

from actions.ground.tokens import digest
from models import (
    Account,
    Collaboration,
    Device,
    Domain,
    Mailbox,
    Organisation,
    Service,
    Webmail,
    WebmailCredential,
    WebSession,
    now,
)
from named_queries import named

SEED = 20261201


def some(model, **columns):
    """A row of its own, with what the columns leave out."""
    return model.create(**columns)


@pytest.fixture
def crowd(database) -> list[Account]:
    """People of every role with mailboxes, sessions, devices and webmails, drawn at random but the same each time."""
    draw = random.Random(SEED)  # noqa: S311 - not a secret
    organisation = some(Organisation, name="Example Ltd")
    services = [some(Service, organisation=organisation, name=f"Mail {each}") for each in range(2)]
    domains = [some(Domain, service=draw.choice(services), name=f"mail{each}.example.org") for each in range(3)]
    webmail = some(Webmail, origin="https://mail.example.org", key_id="one", algorithm=Webmail.EDDSA, key="key")
    owners = [_owner(draw, domains, number) for number in range(8)]
    managers = [some(Account, login=f"m{each}@example.com", role=Account.ADMINISTRATOR) for each in range(2)]
    guests = [_guest(draw, owners, number) for number in range(6)]
    everybody = [*owners, *managers, *guests]
    for number, account in enumerate(everybody):
        _sessions(draw, account, webmail, number)
    for number in range(30):
        _device(draw, everybody, owners, number)
    return everybody


def _owner(draw, domains, number) -> Account:
    state = draw.choice((Account.ACTIVE, Account.ACTIVE, Account.LOCKED))
    account = some(Account, login=f"o{number}@example.org", state=state, must_change_password=draw.random() < 0.5)
    if number:
        mailbox = {"address": account.login, "home": f"home{number}", "device_passwords_only": draw.random() < 0.5}
        some(Mailbox, domain=draw.choice(domains), account=account, **mailbox)
    return account


def _guest(draw, owners, number) -> Account:
    owner = draw.choice(owners[1:])
    account = some(Account, login=f"g{number}/{owner.login}", role=Account.COLLABORATOR)
    if number:
        mailbox = Mailbox.get(Mailbox.account == owner)
        some(Collaboration, account=account, mailbox=mailbox, created_by_login=owner.login)
    return account


def _sessions(draw, account, webmail, number) -> None:
    for each in range(draw.randrange(1, 4)):
        begun = {"webmail": webmail, "webmail_session": f"s{each}"} if draw.random() < 0.5 else {}
        told = {"frame": {"theme": "dark"}} if begun else {}
        moments = {"seen_at": now() - draw.randrange(9), "created_at": now() - draw.randrange(99)}
        some(WebSession, account=account, token_hash=digest(f"{number}:{each}"), data=told, **moments, **begun)
        if begun:
            kept = {
                "selector": f"{number:02}{each:06}"[:8],
                "verifier": "v",
                "address": "192.0.2.1",
                "network": "192.0.2.0/24",
            }
            ends = {"expires_at": now() + 99, "ended_at": draw.choice((None, now()))}
            some(WebmailCredential, account=account, webmail=webmail, webmail_session=f"s{each}", **kept, **ends)


def _device(draw, everybody, owners, number) -> None:
    by = {"user": draw.choice((None, *everybody)), "password_by": draw.choice((None, *everybody))}
    kept = {"protocols": draw.randrange(1, 15), "selector": f"d{number:07}", "verifier": "v", "request_id": str(number)}
    some(
        Device, account=draw.choice(owners), name=f"Device {number}", icon="laptop", created_by_login="", **by, **kept,
        expires_at=draw.choice((None, now())),
    )  # fmt: skip


def content(row) -> object:
    """What a row and the rows that came with it hold, whatever made them."""
    if row is None or not hasattr(row, "__data__"):
        return row
    joined = {name: content(value) for name, value in row.__rel__.items()}
    known = {name: content(vars(row)[name]) for name in ("mailbox", "collaboration") if name in vars(row)}
    return type(row).__name__, dict(row.__data__), joined, known


def test_who_is_here(crowd):
    """The session, and what the account itself finds when it is asked."""
    tokens = [each.token_hash for each in WebSession.select()]
    for token in tokens:
        found = WebSession.with_token.first(token)
        plain = WebSession.select(WebSession, Account).join(Account).where(WebSession.token_hash == token).get()
        assert (found.__data__, found.account.__data__) == (plain.__data__, plain.account.__data__)
        for asked in ("mailbox", "collaboration"):
            assert asked in vars(found.account)
            mine, theirs = getattr(found.account, asked), getattr(plain.account, asked)
            assert (mine and mine.__data__) == (theirs and theirs.__data__)
        assert found.account.may_enter == plain.account.may_enter
        if found.account.mailbox:
            mine, theirs = found.account.mailbox, plain.account.mailbox
            assert content(mine.domain) == content(theirs.domain)
            assert mine.account.__data__ == theirs.account.__data__
    assert {Account.get_by_id(each.account_id).role for each in WebSession.select()} > {Account.COLLABORATOR}
    assert WebSession.with_token.first("0" * 64) is None


def test_of_an_account(crowd):
    for account in crowd:
        plain = WebSession.select().where(WebSession.account == account)
        plain = plain.order_by(WebSession.seen_at.desc(), WebSession.id.desc())
        assert list(map(content, WebSession.of_account(account))) == list(map(content, plain))
        kept = WebmailCredential.select(WebmailCredential, Webmail).join(Webmail)
        kept = kept.where(WebmailCredential.account == account).order_by(WebmailCredential.id)
        assert list(map(content, WebmailCredential.of_account(account))) == list(map(content, kept))
        concerned = (Device.account == account) | (Device.user == account) | (Device.password_by == account)
        assert list(map(content, Device.concerning(account))) == list(
            map(content, Device.select().where(concerned).order_by(Device.id))
        )


def test_it_is_asked_by_number_as_by_row(crowd):
    assert list(map(content, WebSession.of_account(crowd[0].id))) == list(map(content, WebSession.of_account(crowd[0])))


def test_a_row_that_was_found_is_written_as_any_other(crowd):
    session = WebSession.of_account(crowd[0])[0]
    assert not session.is_dirty()
    assert session.write(address="192.0.2.7")
    assert WebSession.get_by_id(session.id).address == "192.0.2.7"


def test_its_text_is_made_once_for_each_kind_of_database(crowd):
    made = []

    @named
    def by_login(login, role):
        made.append(login)
        return Account.select().where(Account.login == login, fn.LOWER(Account.role) == role)

    for account in crowd:
        assert [each.id for each in by_login(account.login, account.role)] == [account.id]
    assert by_login(crowd[0].login, "nobody") == []
    assert len(made) == 1


def test_what_it_is_not_asked_with_is_a_mistake(database):
    with pytest.raises(ValueError):
        WebSession.of_account()


def test_nobody_beside(crowd):
    """An outer join that finds none."""

    @named
    def with_mailboxes(login):
        return Account.select(Account, Mailbox).join(Mailbox, JOIN.LEFT_OUTER, attr="its").where(Account.login == login)

    assert [each.its and each.its.address for each in with_mailboxes(crowd[0].login)] == [None]
    assert [each.its.address for each in with_mailboxes(crowd[1].login)] == [crowd[1].login]
