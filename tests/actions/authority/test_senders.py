"""Who may write as whom: which addresses a session has, and what makes a message somebody else's."""

import pytest

from actions.authority import _author_headers, senders
from models import Account, Collaboration

OWN = "anna@example.org"


def test_a_session_writes_as_its_mailbox(people, anna):
    sender = people.add_collaborator(anna, "carla", Collaboration.READ | Collaboration.SEND)
    reader = people.add_collaborator(anna, "rosa")
    other = people.add("eve")
    stranger = people.add_collaborator(other, "dora", Collaboration.SEND)
    number = {each.login: each.collaboration.id for each in (sender, reader, stranger)}
    theirs = f"{OWN}/c{number[sender.login]}"
    for session in (OWN, OWN.title(), f"{OWN}/d17", f"{OWN}/w3", theirs, f"{theirs}/d18", f"{theirs}/w4"):
        assert senders.addresses(session) == {OWN}, session
    assert senders.addresses(other.login) == {other.login}
    nobodys = (
        f"{OWN}/c{number[reader.login]}",
        f"{OWN}/c{number[stranger.login]}",
        f"{OWN}/c0",
        f"{OWN}/d1/c1",
        f"carla/{OWN}",
        "nobody@example.org",
        "",
        "/",
        f"{OWN}\n",
        "anna@example.org' OR '1' = '1",
    )
    assert [session for session in nobodys if senders.addresses(session)] == []


@pytest.mark.parametrize("state", [Account.SUSPENDED, Account.LOCKED, Account.DISABLED, Account.PENDING])
def test_who_is_shut_out_writes_as_nobody(people, anna, state):
    carla = people.add_collaborator(anna, "carla", Collaboration.READ | Collaboration.SEND)
    Account.update(state=state).where(anna.itself()).execute()
    for session in (OWN, f"{OWN}/d1", carla.session_name):
        assert senders.refusal_of_envelope(session, OWN) == "This login may not send mail."
        assert senders.refusal_of_headers(session, [("From", OWN)]) == "This login may not send mail."


def test_the_envelope(anna):
    assert senders.refusal_of_envelope(OWN, OWN) == senders.refusal_of_envelope(f"{OWN}/d3", "Anna@Example.ORG") == ""
    assert senders.refusal_of_envelope(OWN, "") == ""
    others = ("eve@example.org", "anna@example.com", "xanna@example.org", "anna", "@example.org", "anna@example.org.")
    for sender in others:
        assert senders.refusal_of_envelope(OWN, sender) == f"Mail of this login may be sent as {OWN} only."


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([("To", "eve@example.net")], "The message has no From"),
        ([("From", OWN), ("from ", OWN)], "The message says more than once who wrote it"),
        ([("From", OWN)] + [("Resent-From", OWN)] * 20, "The message says more than once who wrote it"),
        ([("From", "eve@example.net")], "From names somebody else"),
        ([("From", OWN), ("RESENT-SENDER", "eve@example.net")], "Resent-Sender names somebody else"),
        ([("From", OWN), ("Resent-From", OWN), ("Sender", OWN)], ""),
    ],
)
def test_each_header_that_names_an_author(anna, headers, sentence):
    expected = sentence and f"{sentence}: this login may write as {OWN} only."
    assert senders.refusal_of_headers(OWN, headers) == expected


def test_what_only_looks_like_the_mailbox_is_another_address():
    lookalikes = (
        "аnna@example.org",  # noqa: RUF001 - Cyrillic
        "ann\u00aa@example.org",
        "anna @example.org",
        "anna@example.org.",
        '"anna"@example.org',
        "an(x)na@example.org",
        "anna@example.org\x00",
        "anna@example.org\r",
        "anna@example.org\nX: y",
        "anna@example.org;",
        "Anna anna@example.org",
        "anna@example.org <>",
        "<anna@example.org",
        "((Anna)) <anna@example.org",
        "=?utf-8?q?anna=40example.org?=",
        "=?utf-8?q?x?=@example.org",
        f"{'x' * 3000} <{OWN}>",
    )
    taken = [each for each in lookalikes if not _author_headers.wrong_header([("From", each)], frozenset([OWN]))]
    assert taken == []


def test_a_domain_is_the_same_in_both_of_its_spellings():
    allowed = frozenset(["anna@xn--bcher-kva.example"])
    for written in ("anna@bücher.example", "Anna <ANNA@BÜCHER.example>", "anna@xn--bcher-kva.example"):
        assert _author_headers.wrong_header([("From", written)], allowed) == ""


def test_an_odd_header_takes_no_time():
    """Ten thousand signs of any kind are refused by their number, and 2,000 read in one go."""
    for sign in 'a"(<@,:\\ =?':
        assert _author_headers.wrong_header([("From", sign * 10_000)], frozenset([OWN]))
        assert _author_headers.wrong_header([("From", sign * 2_000)], frozenset([OWN]))
