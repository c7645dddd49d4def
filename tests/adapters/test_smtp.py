"""How an e-mail is handed over: which answer counts, what no answer means, and with what it signs in."""

import pytest

from actions.ground.ports import MailerUnavailable, MessageRefused, PerhapsDelivered, RecipientRefused
from adapters import smtp
from adapters.smtp import SmtpMailer
from lab.servers import ScriptedSmtp

SENDER, ANNA = "postern@example.org", "anna@example.org"
MESSAGE = b"Subject: Hello\r\n\r\n.From a point\r\nFrom a word\r\n"
INTERNATIONAL = "250-here\r\n250-8BITMIME\r\n250 SMTPUTF8"


def send(server: ScriptedSmtp, recipient: str = ANNA, message: bytes = MESSAGE) -> None:
    SmtpMailer(server.url, SENDER).send(message, recipient)


# --- which answer counts ---


def test_a_message_arrives_byte_for_byte():
    with ScriptedSmtp() as server:
        send(server)
    assert server.handed == [MESSAGE.replace(b"\r\n.", b"\r\n..")]
    assert server.commands[1:3] == [f"mail FROM:<{SENDER}> size={len(MESSAGE)}", f"rcpt TO:<{ANNA}>"]


@pytest.mark.parametrize("answer", [None, "500 what?", "nonsense", "silence"])
def test_what_was_accepted_is_delivered_however_the_connection_ends(monkeypatch, answer):
    monkeypatch.setattr(smtp, "FAREWELL_SECONDS", 0.2)
    with ScriptedSmtp() as server:
        server.answers["QUIT"] = server.silence if answer == "silence" else answer
        send(server)
    assert len(server.handed) == 1


@pytest.mark.parametrize("answer", [None, "nonsense", "354 go on", "silence"])
def test_without_an_answer_it_is_perhaps_delivered(monkeypatch, answer):
    monkeypatch.setattr(smtp, "ACCEPTANCE_SECONDS", 0.2)
    with ScriptedSmtp() as server:
        server.answers["."] = server.silence if answer == "silence" else answer
        with pytest.raises(PerhapsDelivered):
            send(server)
    assert len(server.handed) == 1


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", [None, "nonsense", "421 come back", "silence"])
def test_without_an_answer_before_it_was_handed_over_it_is_not(monkeypatch, step, answer):
    monkeypatch.setattr(smtp, "COMMAND_SECONDS", 0.2)
    monkeypatch.setattr(smtp, "FAREWELL_SECONDS", 0.2)
    with ScriptedSmtp() as server:
        server.answers[step] = server.silence if answer == "silence" else answer
        with pytest.raises(MailerUnavailable):
            send(server)
    assert server.handed == []


@pytest.mark.parametrize(("answer", "outcome"), [("451 later", MailerUnavailable), ("552 never", MessageRefused)])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "."])
def test_a_refusal_is_for_now_or_for_good(step, answer, outcome):
    with ScriptedSmtp() as server, pytest.raises(outcome, match=answer):
        server.answers[step] = answer
        send(server)


@pytest.mark.parametrize("step", ["greeting", "EHLO", "AUTH"])
def test_a_server_that_refuses_us_says_nothing_about_the_message(step):
    with ScriptedSmtp() as server, pytest.raises(MailerUnavailable):
        # Who refuses EHLO knows HELO perhaps, which stands for no word of its own here.
        server.answers |= {step: "554 no", "HELO": "554 no"}
        server.url = server.url.replace("://", "://user:password@")
        send(server)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("550 5.1.1 nobody here", "5.1.1"),
        ("552 5.2.2 full", "5.2.2"),
        ("550-5.1.1 nobody\r\n550 5.1.1 here", "5.1.1"),
        ("550 nobody here", "5.1.0"),
        ("553 nobody here", "5.1.0"),
        ("554 5.7.1 Relay access denied", None),
        ("553 5.7.1 Sender address rejected: not owned by user", None),
        ("550 5.1.8 Sender address rejected: Domain not found", None),
        ("554 no", None),
        ("530 5.7.0 Authentication required", None),
        ("503 5.5.1 What?", None),
    ],
)
def test_a_refusal_is_of_the_address_or_of_us(answer, status):
    with ScriptedSmtp(RCPT=answer) as server, pytest.raises(MessageRefused) as refusal:
        send(server)
    assert getattr(refusal.value, "status", None) == status
    assert getattr(refusal.value, "recipient", ANNA) == ANNA


def test_an_address_that_is_refused_for_now_is_not_refused():
    for answer in ("450 4.1.1 later", "450 5.1.1 what?"):
        with ScriptedSmtp(RCPT=answer) as server, pytest.raises(MailerUnavailable):
            send(server)


def test_a_refusal_of_the_sender_or_of_the_message_is_not_of_the_address():
    for step in ("MAIL", "DATA", "."):
        with ScriptedSmtp(**{step: "550 5.1.1 no"}) as server, pytest.raises(MessageRefused) as refusal:
            send(server)
        assert not isinstance(refusal.value, RecipientRefused)


def test_it_is_returned_to_the_address_that_is_given():
    with ScriptedSmtp() as server:
        SmtpMailer(server.url, SENDER).send(MESSAGE, ANNA, "bounces+x@example.org")
    assert server.commands[1].startswith("mail FROM:<bounces+x@example.org> ")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, ""),
        ({"RCPT": "550 5.1.1 nobody here"}, "550 5.1.1 nobody here"),
        ({"RCPT": "450 4.1.1 later"}, "450 4.1.1 later"),
        ({"MAIL": "553 5.7.1 not yours"}, "553 5.7.1 not yours"),
    ],
)
def test_whether_it_takes_mail_can_be_asked_without_sending_any(answers, said):
    with ScriptedSmtp(**answers) as server:
        assert SmtpMailer(server.url, SENDER).refusal_of("a@example.org", ANNA) == said
    assert server.handed == []
    assert not [command for command in server.commands if command.upper().startswith("DATA")]


def test_it_waits_as_long_as_the_protocol_says():
    """RFC 5321, 4.5.3.2."""
    assert smtp.COMMAND_SECONDS >= 300
    assert smtp.ACCEPTANCE_SECONDS >= 600


# --- addresses that are not ASCII ---


def test_an_address_that_the_server_cannot_take_is_refused_at_once():
    with ScriptedSmtp() as server, pytest.raises(MessageRefused, match="SMTPUTF8"):
        send(server, "пётр@example.org")
    assert not [command for command in server.commands if command.startswith("mail")]


def test_where_the_server_takes_it_it_is_sent():
    with ScriptedSmtp(EHLO=INTERNATIONAL) as server:
        send(server, "пётр@example.org")
    assert server.commands[1:3] == [f"mail FROM:<{SENDER}> SMTPUTF8 BODY=8BITMIME", "rcpt TO:<пётр@example.org>"]


@pytest.mark.parametrize(("answer", "speaks"), [(INTERNATIONAL, True), (ScriptedSmtp.USUAL["EHLO"], False)])
def test_whether_it_takes_them_can_be_asked(answer, speaks):
    with ScriptedSmtp(EHLO=answer) as server:
        assert SmtpMailer(server.url, SENDER).takes_every_address() == speaks


# --- with what it signs in ---


@pytest.mark.parametrize(
    ("password", "typed"), [("secret", "secret"), ("pässword", "pässword"), ("p%C3%A4ss%40word%3A", "päss@word:")]
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_it_signs_in_with_any_password(password, typed, mechanism):
    with ScriptedSmtp(EHLO=f"250-here\r\n250 AUTH {mechanism}") as server:
        url = server.url.replace("://", f"://üser%40example.org:{password}@")
        SmtpMailer(url, SENDER).send(MESSAGE, ANNA)
    user, typed = "üser@example.org".encode(), typed.encode()
    expected = {"PLAIN": [b"PLAIN", b"\0" + user + b"\0" + typed], "LOGIN": [b"LOGIN", user, typed]}
    assert server.logins == expected[mechanism]
    assert len(server.handed) == 1


def test_a_wrong_password_and_a_server_without_a_way_to_sign_in_are_told():
    for answers in ({"AUTH": "535 no"}, {"EHLO": "250 here"}, {"EHLO": "250-here\r\n250 AUTH CRAM-MD5"}):
        with ScriptedSmtp(**answers) as server, pytest.raises(MailerUnavailable):
            SmtpMailer(server.url.replace("://", "://user:pässword@"), SENDER).send(MESSAGE, ANNA)
