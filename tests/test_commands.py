"""Commands about services, domains, mailboxes, managers, devices and collaborators: what they do, print and refuse."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actions.authority import permissions
from actions.collaborations import collaborations
from actions.devices import device_passwords, devices, invitations
from actions.devices.devices import WantedDevice
from actions.ground.actor import OPERATOR, Actor
from actions.ground.ports import Connection, Quota
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords
from actions.services import user_list
from actions.services.user_list import WantedUsers
from database import in_pieces
from lab.actors import acting
from models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    DeviceInvitation,
    Domain,
    Mailbox,
    OneTimeLink,
    PasswordChange,
    WebSession,
)
from tests.conftest import PASSWORD
from tests.test_docs import our_commands, rows

ROOT = Path(__file__).parents[1]
NEW = "Another-Horse-8"
FALLING = WantedUsers(descending=True)

# Every view that changes something, and the command by which the operator does the same.
DONE_BY = {
    "account.end_others POST": "account logout",
    "account.end_program POST": "account logout",
    "account.end_session POST": "account logout",
    "account.end_webmail POST": "account logout",
    "account.change_password POST": "mailbox change",
    "account.save_name POST": "mailbox change",
    "account.save_preferences POST": "account change",
    "account.test_contact POST": "account test-contact",
    "collaborations.change_permissions POST": "collaborator change",
    "collaborations.create POST": "collaborator add",
    "collaborations.disable POST": "collaborator disable",
    "collaborations.remove POST": "collaborator remove",
    "collaborations.reset POST": "collaborator reset",
    "collaborations.send_link_again POST": "collaborator link",
    "devices.change_password POST": "device change",
    "devices.create POST": "device add",
    "devices.disconnect POST": "device remove",
    "devices.disconnect_all POST": "device remove",
    "devices.rename POST": "device change",
    "devices.require POST": "mailbox change",
    "invitations.withdraw POST": "device withdraw",
    "offboarding.end POST": "mailbox offboard",
    "password_changes.cancel POST": "password-change cancel",
    "password_changes.send_letter_again POST": "password-change send-again",
    "password_changes.send_message_again POST": "password-change send-again",
    "services.add_user POST": "mailbox add",
    "services.end_forwarding POST": "mailbox end-forwarding",
    "services.remove POST": "mailbox remove",
    "services.rename POST": "mailbox rename",
    "services.resume POST": "mailbox resume",
    "services.save_user POST": "mailbox change",
    "services.send_link POST": "mailbox link",
    "services.suspend POST": "mailbox suspend",
    "several.act POST": "mailbox suspend",
    "links.lock POST": "account lock",
    "links.end_device POST": "device remove",
    "links.set_password POST": "mailbox change",
    "sign_in.send_link POST": "mailbox link",
    "user_collaborations.change_permissions POST": "collaborator change",
    "user_collaborations.disable POST": "collaborator disable",
    "user_collaborations.remove POST": "collaborator remove",
    "user_collaborations.reset POST": "collaborator reset",
    "user_collaborations.send_link_again POST": "collaborator link",
    "user_devices.disconnect POST": "device remove",
    "user_devices.disconnect_all POST": "device remove",
    "user_devices.rename POST": "device change",
    "user_invitations.withdraw POST": "device withdraw",
    # One command reads, checks and adds; what is not wanted was not kept.
    "user_imports.begin POST": "mailbox import",
    "user_imports.make POST": "mailbox import",
    "user_imports.discard POST": "mailbox import",
}
# What changes nothing, or what only a person can do, and why.
NO_COMMAND = {
    "looks at what was typed": (
        "account.check_password POST",
        "account.everywhere POST",
        "account.suggest_password POST",
        "collaborations.back_to_person POST",
        "collaborations.check_person POST",
        "collaborations.check_user_name POST",
        "collaborations.implied POST",
        "collaborations.take_proposal POST",
        "links.check_password POST",
        "password_changes.choose POST",
        "password_changes.count POST",
        "services.check_password POST",
        "services.suggest_password POST",
        "several.pick POST",
        "user_collaborations.implied POST",
    ),
    "a person proves that an address is theirs; “mailbox change” takes the operator's word": (
        "account.cancel_contact POST",
        "account.change_contact POST",
        "links.confirm_contact POST",
        "links.put_contact_back POST",
    ),
    "a session of a browser": (
        "undo.take_back POST",
        "handoff.arrive POST",
        "handoff.go_on POST",
        "panel.choose_language POST",
        "sign_in.confirmed POST",
        "sign_in.enter POST",
        "sign_in.sign_out POST",
    ),
    "other programs ask": (
        "discovery.outlook POST",
        "mail_policy.answer POST",
        "password_changes.report POST",
        "webmail.end DELETE",
        "webmail.make POST",
        "webmail.note_fallback POST",
        "webmail.state_of POST",
    ),
    "a person answers for whom they invite, and sees the code; “device add” hands a device out": (
        "invitations.create POST",
        "invitations.resend POST",
        "user_invitations.create POST",
        "user_invitations.resend POST",
        "set_up.accept POST",
        "set_up.profile POST",
        "set_up.prove POST",
        "set_up.send_code POST",
        "devices.download_profile POST",
    ),
    "archive and key go to a manager's own e-mail and phone": (
        "password_changes.preview POST",
        "password_changes.start POST",
    ),
}


@pytest.fixture
def run(app):
    """Run a command; its exit code, what it printed, and what it said about errors."""

    def run(*words, given=None):
        result = app.test_cli_runner().invoke(args=list(words), input=given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def succeed(run):
    def succeed(*words, given=None):
        code, said, errors = run(*words, given=given)
        assert (code, errors) == (0, "")
        return said

    return succeed


@pytest.fixture
def ask(succeed):
    """What a command prints as JSON."""
    return lambda *words: json.loads(succeed(*words, "--json"))


@pytest.fixture
def refuse(run):
    """A refusal: a sentence, exit code 1, and nothing printed as if it had been done."""

    def refuse(*words, given=None):
        code, said, errors = run(*words, given=given)
        assert code == 1
        assert errors.startswith("Error: ")
        return errors + said

    return refuse


@pytest.fixture
def phone(ports, anna):
    return devices.make(UnitOfWork(ports, acting(anna)), anna, WantedDevice("Phone", "smartphone", 5), "form").device


@pytest.fixture
def carla(people, anna):
    return people.add_collaborator(anna, "carla")


def reread(account):
    return Account.get_by_id(account.id)


def test_every_view_that_changes_something_has_a_command_or_a_reason(app):
    found = {(rule.endpoint, method) for rule in app.url_map.iter_rules() for method in rule.methods}
    changing = {f"{endpoint} {method}" for endpoint, method in found if method not in ("GET", "HEAD", "OPTIONS")}
    without = {each for reason in NO_COMMAND.values() for each in reason}
    assert sorted(changing ^ (set(DONE_BY) | without)) == []
    assert not set(DONE_BY) & without
    known = {" ".join(words) for words in our_commands()}
    assert sorted(set(DONE_BY.values()) - known) == []


@pytest.fixture
def everything(people, anna, phone, carla, manager, ports):
    """One of each, for the commands that list and show."""
    keeper = UnitOfWork(ports, acting(anna))
    invitations.invite(keeper, anna, WantedDevice("Tablet", "tablet", 1), "x@example.net", mailed=False)
    PasswordChange.create(
        service=people.service, domain=people.domain, manager=manager, manager_login=manager.login, phone="",
        kind=PasswordChange.LINKS, archive_format="zip", full_name="", email="m@example.org", state=PasswordChange.DONE,
    )  # fmt: skip
    return {"ADDRESS": anna.login, "LOGIN": anna.login, "MANAGER": manager.login, "DEVICE": str(phone.id)}


SHOWN = {
    "service list": (),
    "service show": ("Mail Light",),
    "domain list": (),
    "domain show": ("example.org",),
    "mailbox list": (),
    "mailbox show": ("ADDRESS",),
    "mailbox access": ("ADDRESS",),
    "manager list": (),
    "manager show": ("MANAGER",),
    "account sessions": ("LOGIN",),
    "device list": ("ADDRESS",),
    "device show": ("ADDRESS", "DEVICE"),
    "device invitations": ("ADDRESS",),
    "collaborator list": ("ADDRESS",),
    "collaborator show": ("carla/anna@example.org",),
    "password-change list": ("Mail Light",),
    "activity": (),
}


def test_the_keys_of_the_json_are_the_documented_ones_and_nothing_in_it_is_secret(ask, succeed, everything):
    secrets = [
        *(each.password_hash for each in Account.select()),
        *(secret for each in Device.select() for secret in (each.verifier, each.selector)),
        *(each.token_hash for table in (WebSession, OneTimeLink, DeviceInvitation) for each in table.select()),
    ]
    found, told = {}, ""
    for words, arguments in SHOWN.items():
        call = (*words.split(), *(everything.get(each, each) for each in arguments))
        answer = ask(*call)
        found[words] = list(answer[0] if isinstance(answer, list) else answer)
        told += json.dumps(answer) + succeed(*call)
    documented = {cells[0].strip("`"): re.findall(r"`(\w+)`", cells[1]) for cells in rows("JSON of the commands")}
    assert documented == found
    assert [each for each in secrets if each in told] == []
    assert len(secrets) > 5
    assert {words for words, command in our_commands().items() if "as_json" in {p.name for p in command.params}} == {
        tuple(words.split()) for words in (*SHOWN, "device add", "device change", "doctor")
    }


def test_a_list_of_nothing_is_an_empty_one(ask, succeed, people):
    assert ask("mailbox", "list") == ask("manager", "list") == []
    assert succeed("mailbox", "list") == ""


def test_mailboxes_are_found_as_on_the_page(ask, people, anna, boris, ports):
    Account.update(state=Account.SUSPENDED).where(Account.id == boris.id).execute()
    other = Domain.create(service=people.service, name="xn--bcher-kva.example")

    def found(*words):
        return [each["address"] for each in ask("mailbox", "list", *words)]

    assert found() == found("--service", "Mail Light") == [anna.login, boris.login]
    assert found("--state", "suspended") == [boris.login]
    assert found("--text", "kell") == [anna.login]
    assert found("--domain", "Bücher.example") == []
    assert found("--organisation", "None") == ask("domain", "list", "--organisation", "None") == []
    assert len(found("--organisation", "Example Ltd")) == len(ask("domain", "list", "--organisation", "Example Ltd"))
    assert ask("domain", "show", "bücher.example")["name"] == other.name
    assert ask("domain", "show", other.name)["name_readable"] == "bücher.example"


def test_a_long_list_is_read_piece_by_piece_and_each_once(people, monkeypatch):
    monkeypatch.setattr(user_list, "READ_AT_A_TIME", 2)
    every = {people.add(f"p{number}", first_name="Pat").login for number in range(7)}
    Account.update(state=Account.LOCKED).where(Account.login == "p3@example.org").execute()
    for wanted in (
        WantedUsers(),
        WantedUsers(domain="example.org", order=user_list.NAME),
        WantedUsers(descending=True),
    ):
        read = [each.address for each in user_list.every(people.service, wanted)]
        assert (set(read), len(read)) == (every, 7)
    found = [each.address for each in user_list.every(people.service, WantedUsers(text="pat"))]
    assert sorted(found) == sorted(every)
    assert [each.login for each in in_pieces(Account.select(), Account.login, 2)] == sorted(every)


def test_a_table_is_aligned_and_nothing_in_it_commands_the_terminal(succeed, people, anna, boris):
    WebSession.create(account=anna, token_hash="0" * 64, user_agent="evil\x1b[2J\x9b", address="192.0.2.1")
    lines = succeed("mailbox", "list").splitlines()
    assert len({line.index(word) for line, word in zip(lines, ("FIRST", "Anna"), strict=False)}) == 1
    said = succeed("account", "sessions", anna.login)
    assert "evil" in said
    assert all(each.isprintable() for line in said.splitlines() for each in line)


def test_a_mailbox_is_changed_where_it_is_said_and_nowhere_else(succeed, refuse, ask, anna, settings):
    succeed("mailbox", "change", "ANNA@example.org", "--last-name", "Rossi", "--quota", "5", "--device-passwords")
    facts = ask("mailbox", "show", anna.login)
    assert (facts["first_name"], facts["last_name"], facts["quota_bytes"]) == ("Anna", "Rossi", 5 * 1024**2)
    assert facts["contact_email"] == anna.contact_email
    assert facts["device_passwords_only"]
    succeed("mailbox", "change", anna.login, "--own-passwords", "--contact", "")
    assert (reread(anna).contact_email, Mailbox.get().device_passwords_only) == ("", False)
    refuse("mailbox", "change", anna.login, "--contact", anna.login)
    refuse("mailbox", "change", "nobody@example.org", "--quota", "1")
    refuse("mailbox", "change", anna.login, "--password-stdin", given="x\n")
    assert passwords.verify(settings, reread(anna).password_hash, PASSWORD)


def test_a_new_password_ends_sessions_and_unlocks(succeed, anna, settings):
    acting(anna)
    Account.update(state=Account.LOCKED).where(Account.id == anna.id).execute()
    said = succeed("mailbox", "change", anna.login, "--password-stdin", given=f"{NEW}\n")
    present = reread(anna)
    assert passwords.verify(settings, present.password_hash, NEW)
    assert (present.state, present.must_change_password, WebSession.select().count()) == (Account.ACTIVE, True, 0)
    assert NEW not in said


def test_a_mailbox_is_suspended_resumed_and_sent_a_link(succeed, refuse, anna, carla):
    succeed("mailbox", "suspend", anna.login)
    assert reread(anna).state == Account.SUSPENDED
    refuse("mailbox", "link", anna.login)
    succeed("mailbox", "resume", anna.login)
    assert reread(anna).state == Account.ACTIVE
    assert anna.contact_email in succeed("mailbox", "link", anna.login)
    assert OneTimeLink.get().account == anna


def test_a_mailbox_is_removed_or_offboarded_only_when_that_is_said(succeed, refuse, ask, anna, boris, phone, carla):
    said = succeed("mailbox", "remove", anna.login)
    assert "Phone" in said
    assert carla.login in said
    assert "Phone" in succeed("mailbox", "offboard", anna.login)
    assert Device.select().count() == Account.select().where(Account.login == anna.login).count() == 1
    succeed("mailbox", "offboard", anna.login, "--yes")
    assert ask("mailbox", "access", anna.login)["is_shut"]
    assert reread(anna).password_hash is None
    assert reread(boris).password_hash
    succeed("mailbox", "remove", anna.login, "--yes")
    refuse("mailbox", "show", anna.login)
    assert [each.address for each in Mailbox.select()] == [boris.login]


def test_storage_in_use_is_shown_as_the_mail_server_counts_it(ask, anna, mail_server):
    mail_server.held[anna.login] = Quota(77, 0)
    assert ask("mailbox", "show", anna.login)["used_bytes"] == 77
    mail_server.is_down = True
    assert ask("mailbox", "show", anna.login)["used_bytes"] is None
    assert ask("account", "sessions", anna.login)["programs"] is None


def test_an_account_is_signed_out_everywhere_and_only_that_one(succeed, ask, anna, boris, mail_server):
    for account in (anna, boris):
        acting(account)
        mail_server.connected.append(Connection(account.login, "imap", "192.0.2.9"))
    assert ask("account", "sessions", anna.login)["programs"][0]["protocol"] == "imap"
    succeed("account", "logout", anna.login)
    assert [each.account_id for each in WebSession.select()] == [boris.id]
    assert [each.user for each in mail_server.connected] == [boris.login]
    assert reread(anna).password_hash == anna.password_hash


def test_preferences_and_a_test_of_the_contact_address(succeed, refuse, anna):
    succeed("account", "change", anna.login, "--language", "ru", "--timezone", "Europe/Rome")
    succeed("account", "change", anna.login, "--language", "")
    assert (reread(anna).language, reread(anna).timezone) == ("", "Europe/Rome")
    succeed("account", "change", anna.login, "--theme", "dark")
    assert (reread(anna).theme, reread(anna).timezone) == ("dark", "Europe/Rome")
    refuse("account", "change", anna.login, "--timezone", "Mars/Base")
    assert anna.contact_email in succeed("account", "test-contact", anna.login)


def test_a_manager_is_changed(succeed, refuse, ask, manager, anna, run):
    acting(manager)
    succeed("manager", "change", manager.login, "--role", "administrator", "--contact", "m@example.net")
    facts = ask("manager", "show", manager.login)
    assert (facts["role"], facts["contact_email"]) == ("administrator", "m@example.net")
    assert WebSession.select().count() == 0
    assert [each["login"] for each in ask("manager", "list", "--role", "administrator")] == [manager.login]
    assert ask("manager", "list", "--organisation", "None") == []
    refuse("manager", "change", anna.login, "--first-name", "X")
    assert run("manager", "change", manager.login, "--role", "operator")[0] == 2
    succeed("manager", "add", anna.login)
    refuse("manager", "change", anna.login, "--first-name", "X")
    succeed("manager", "add", "o@example.net", "--role", "operator")
    refuse("manager", "change", "o@example.net", "--role", "owner")


def test_a_devices_password_is_printed_once_and_never_where_nobody_asked(succeed, refuse, ask, anna):
    refuse("device", "add", anna.login, "Phone")
    assert Device.select().count() == 0
    made = json.loads(succeed("device", "add", anna.login, "Phone", "--print-password", "--json"))
    device = Device.get()
    assert device_passwords.is_right(made["password"], device.verifier)
    assert (device.created_by, device.created_by_login) == (None, "")
    assert made["password"] not in succeed("device", "show", anna.login, "Phone")
    refuse("device", "change", anna.login, "Phone", "--new-password")
    assert Device.get().verifier == device.verifier
    again = succeed("device", "change", anna.login, str(device.id), "--new-password", "--print-password")
    assert made["password"] not in again
    assert not device_passwords.is_right(made["password"], Device.get().verifier)
    recorded = [f"{each.details}" for each in AuditEvent.select()]
    assert not any(made["password"] in each for each in recorded)


def test_devices_are_renamed_and_removed(succeed, refuse, ask, run, anna, boris, phone, ports):
    assert ask("device", "change", anna.login, "Phone", "--name", "Old phone")["name"] == "Old phone"
    assert Device.get().name == "Old phone"
    refuse("device", "remove", boris.login, str(phone.id), "--yes")
    assert run("device", "remove", anna.login)[0] == 2
    assert "Old phone" in succeed("device", "remove", anna.login, "Old phone")
    assert Device.select().count() == 1
    succeed("device", "remove", anna.login, "Old phone", "--yes")
    assert Device.select().count() == 0
    keeper = UnitOfWork(ports, acting(anna))
    for name in ("One", "Two"):
        invitations.invite(keeper, anna, WantedDevice(name, "tablet", 1), "x@example.net", mailed=False)
    first, second = ask("device", "invitations", anna.login)
    refuse("device", "withdraw", boris.login, str(first["number"]))
    succeed("device", "withdraw", anna.login, str(first["number"]))
    assert ask("device", "invitations", anna.login) == [second]
    succeed("device", "remove", anna.login, "--all", "--yes")
    assert ask("device", "invitations", anna.login) == []


def test_the_operator_hands_out_no_more_than_the_account_may_do(refuse, succeed, carla):
    refuse("device", "add", carla.login, "Phone", "--print-password")
    succeed("collaborator", "change", carla.login, "--permission", "imap")
    succeed("device", "add", carla.login, "Phone", "--print-password")
    refuse("device", "add", carla.login, "Old", "--protocol", "pop3", "--print-password")


def test_a_collaborator_from_the_invitation_to_the_end(succeed, refuse, ask, anna, mailer):
    words = ("--first-name", "Carla", "--last-name", "Rossi", "--reference", "c@example.net")
    succeed("collaborator", "add", anna.login, "carla", *words, "--permission", "send")
    login = f"carla/{anna.login}"
    facts = ask("collaborator", "show", login)
    assert (facts["state"], facts["permissions"]) == ("pending", ["read", "write", "send"])
    refuse("collaborator", "add", anna.login, "carla", *words)
    refuse("collaborator", "add", anna.login, "karl", *words[:-1], anna.login)
    succeed("collaborator", "link", login)
    succeed("collaborator", "change", login, "--permission", "read")
    assert Collaboration.get().permissions == Collaboration.READ
    Account.update(state=Account.ACTIVE, password_hash="x").where(Account.login == login).execute()
    refuse("collaborator", "remove", login, "--yes")
    succeed("collaborator", "reset", login)
    assert Account.by_login(login).password_hash == "x"
    succeed("collaborator", "reset", login, "--yes")
    assert Account.by_login(login).password_hash is None
    succeed("collaborator", "disable", login, "--yes")
    assert ask("collaborator", "list", anna.login)[0]["state"] == "disabled"
    succeed("collaborator", "remove", login, "--yes")
    assert Account.by_login(login) is None
    refuse("collaborator", "show", anna.login)


@pytest.mark.parametrize("nobody", [Actor(), Actor(address="192.0.2.1")], ids=["from nowhere", "from somewhere"])
def test_nobody_is_taken_for_the_operator(ports, anna, phone, carla, nobody):
    """A visitor whose address and browser are unknown equals the operator, and is another one."""
    unit = UnitOfWork(ports, nobody)
    wanted = WantedDevice("Mine", "smartphone", Device.IMAP)
    with pytest.raises(Refused):
        devices.make(unit, anna, wanted, "f2")
    for act in (devices.change_password, devices.disconnect):
        with pytest.raises(Refused):
            act(unit, phone)
    with pytest.raises(Refused):
        devices.require(unit, anna.mailbox, True)
    for act in (collaborations.reset, collaborations.disable):
        with pytest.raises(Refused):
            act(unit, carla.collaboration)
    with pytest.raises(Refused):
        collaborations.change_permissions(unit, carla.collaboration, permissions.ALL)
    with pytest.raises(Refused):
        invitations.invite(UnitOfWork(ports, OPERATOR), anna, wanted, "x@example.net", mailed=False)
    assert (Device.select().count(), DeviceInvitation.select().count()) == (1, 0)


def test_the_trail_is_listed_with_its_filters(succeed, ask, anna, boris):
    succeed("mailbox", "suspend", anna.login)
    succeed("mailbox", "suspend", boris.login)
    assert [each["about"] for each in ask("activity")] == [boris.login, anna.login]
    assert [each["event"] for each in ask("activity", "--about", "Anna@example.org")] == ["web:user:suspended"]
    assert ask("activity", "--until", "2001-01-01") == []


def test_a_change_of_passwords_is_cancelled(succeed, refuse, ask, everything):
    change = PasswordChange.get()
    change.write(state=PasswordChange.PREPARING)
    (listed,) = ask("password-change", "list", "Mail Light")
    succeed("password-change", "cancel", str(listed["number"]))
    assert PasswordChange.get().state == PasswordChange.CANCELLED
    refuse("password-change", "cancel", "999999")


@pytest.fixture
def completed(environment, people, anna, tmp_path):
    """What Bash offers after these words, with the script that a command of the installation printed."""
    wrapper = tmp_path / "postern"
    flask = f"{sys.executable} -m flask --app wsgi"
    wrapper.write_text(f'#!/bin/sh\ncd {ROOT} && exec {flask} "$@"\n')
    wrapper.chmod(0o755)
    ours = os.environ | environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    completion = subprocess.run(
        [wrapper, "completion", "bash"], env=ours, capture_output=True, text=True, check=True
    ).stdout

    def complete(*words):
        script = (
            f'{completion}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
            ' _postern_completion "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        command = ["bash", "-c", script, "bash", "postern", *words]
        done = subprocess.run(command, env=ours, capture_output=True, text=True, check=True)
        return done.stdout.split("\n")[:-1]

    return complete


@pytest.mark.parametrize("module_database_url", ["sqlite"], indirect=True)
def test_bash_completes_nouns_verbs_options_and_names(completed):
    assert {"mailbox", "manager"} <= set(completed("ma"))
    assert completed("mailbox", "sus") == ["suspend"]
    assert completed("mailbox", "list", "--dom") == ["--domain"]
    assert completed("mailbox", "list", "--domain", "exa") == ["example.org"]
    assert completed("mailbox", "show", "anna@e") == ["anna@example.org"]
    assert completed("service", "show", "Mail") == ["'Mail Light'"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask_the_same_command(succeed, shell, people):
    script = succeed("completion", shell, "--command", "postern")
    assert f"_POSTERN_COMPLETE={shell}_complete" in script
    assert f"postern completion {shell}" in script
