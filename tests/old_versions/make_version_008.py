"""What made `version_008.sql` and `version_008.json`: the actions of the version before migration 009, and its pages.

It ran in a checkout of that version (a811eb4, the last one whose migrations end with 008_whose_events), as
`OLD_VERSION=<directory to write to> pytest tests/actions/make_version_008.py`, and is kept to show what stands in the
files. It imports nothing of today.
"""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from postern import models
from postern.actions import (
    audit,
    collaborations,
    devices,
    handoffs,
    imports,
    invitations,
    links,
    mailboxes,
    notices,
    offboarding,
    outbox,
    password_changes,
    passwords,
    permissions,
    recovery,
    sessions,
    sign_in,
    users,
    webmail_credentials,
)
from postern.actions.actor import OPERATOR, Actor
from postern.actions.encryption import unseal
from postern.actions.events import SENTENCES
from postern.actions.handoffs import Arrival
from postern.actions.mailboxes import NewMailbox
from postern.actions.password_changes import Choice
from postern.actions.text import Refused
from postern.actions.throttle import TooManyAttempts
from postern.actions.webmail_tokens import NotAccepted
from postern.models import (
    Account,
    AuditEvent,
    Collaboration,
    Device,
    LastLogin,
    OutboxItem,
    PasswordChange,
    UserImport,
    now,
)

from tests.actions.conftest import acting
from tests.actions.office import WANTED, Office
from tests.conftest import PASSWORD, environment_of
from tests.signing import ORIGIN, SigningWebmail, base64url

NEW = "Other-Garden-8"
SECRET_KEY = "the secret key of an installation that is long gone"
HOME, AWAY = Actor(address="192.0.2.1", user_agent="Firefox"), Actor(address="203.0.113.9", user_agent="curl")
HEADER = "address,first_name,last_name,contact_email,quota_mb,language\r\n"


@pytest.fixture(scope="module", params=["sqlite"])
def module_database_url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('database') / 'postern.db'}"


@pytest.fixture
def environment(tmp_path, module_database_url):
    changes = {"POSTERN_SECRET_KEY": SECRET_KEY, "POSTERN_WEBMAIL_ORIGINS": ORIGIN}
    return environment_of(tmp_path / "instance", module_database_url, **changes)


@pytest.fixture
def notes() -> dict:
    return {"secret_key": SECRET_KEY, "password": PASSWORD, "links": {}, "devices": {}, "sessions": {}}


def test_make_it(ports, mail_server, mailer, people, new_client, settings, monkeypatch, notes):
    ports = replace(ports, settings=replace(ports.settings, sms_url="demo:"))
    mail_server.is_down = mailer.is_down = True

    def person(name: str, **columns: object) -> Account:
        return people.add(name, first_name=name.title(), last_name="Keller", **columns)

    def sent(letter: str) -> list[dict]:
        """The facts of all letters of this name, the newest last."""
        found = []
        for item in OutboxItem.select().where(OutboxItem.kind == "mail").order_by(OutboxItem.id):
            payload = unseal(settings.secret_key, "outbox", item.payload)
            found += [payload["facts"]] if payload["letter"] == letter else []
        return found

    def token_of(letter: str) -> str:
        return sent(letter)[-1]["link"].rpartition("/")[2]

    # --- the operator's words ---
    mailboxes.add_service(OPERATOR, "Example Ltd", "Mail Plus")
    mailboxes.add_domain(OPERATOR, "example.net", "Mail Plus")
    mailboxes.add_domain(OPERATOR, "example.com", "Mail Plus")
    mailboxes.change_service(OPERATOR, "Mail Plus", most_mailboxes=500, quota_bytes=0)
    for address in ("nina@example.net", "nora@example.net", "otto@example.com", "olga@example.com"):
        new = NewMailbox(
            address, "Vera", "Lind", f"{address.replace('@', '.')}@elsewhere.example.com", password=PASSWORD
        )
        mailboxes.add_mailbox(ports, OPERATOR, new)
    mailboxes.add_manager(ports, OPERATOR, "admin@example.org", "Example Ltd", Account.ADMINISTRATOR, PASSWORD)
    manager = people.add_manager(contact_email="manager@elsewhere.example.com")
    mara = acting(manager)

    # --- signed in by the panel's own pages ---
    anna = person("anna")
    for name, account in (("anna", anna), ("manager", manager)):
        browser = new_client()
        browser.sign_in(account.login, PASSWORD)
        notes["sessions"][name] = browser.cookies()
    here = acting(anna)

    # --- devices, of each kind, and one that is used in a new network ---
    for name, protocols in (("Phone", 5), ("Reader", 3), ("Old laptop", 1)):
        made = devices.make(ports, here, anna, devices.Wanted(name, "smartphone", protocols), f"form {name}")
        notes["devices"][name] = {"login": anna.login, "password": made.password, "protocols": protocols}
        notes["links"].setdefault(links.DISOWN_DEVICE, token_of("device_made"))
    phone, reader, laptop = Device.select().order_by(Device.id)
    made, _ = devices.change_password(ports, here, reader)
    notes["devices"]["Reader"]["password"] = made.password
    for ip in ("192.0.2.1", "198.51.100.7"):
        LastLogin.create(login_id=anna.id, device_id=phone.id, service="imap", ip=ip, last_access=now())
        devices.NetworkWatch().look(ports)
    devices.rename(ports, here, phone, "Anna's phone", "smartphone")
    notes["devices"]["Anna's phone"] = notes["devices"].pop("Phone")
    devices.require(ports, here, anna.mailbox, True)
    devices.require(ports, here, anna.mailbox, False)

    # --- links of each purpose ---
    boris, chiara = person("boris"), person("chiara")
    recovery.ask_for_link(ports, HOME, boris.login)
    outbox.deliver_due(ports, ("forgotten",))
    notes["links"][links.RESET] = token_of("password_reset")
    recovery.ask_for_link(ports, HOME, chiara.login)
    users.add(
        ports,
        mara,
        people.service,
        "dora@example.org",
        users.Profile("Dora", "Neri", "dora@elsewhere.example.com"),
        None,
    )
    notes["links"][links.WELCOME] = token_of("password_link")
    egon = acting(person("egon"))
    passwords.change(ports, egon, PASSWORD, NEW, everywhere=False)
    notes["links"][links.DISOWN] = token_of("password_changed")
    filip = person("filip")
    passwords.change(ports, acting(filip), PASSWORD, NEW, everywhere=True)
    recovery.lock(ports, HOME, links.find(token_of("password_changed"), (links.DISOWN,)))
    users.send_link(ports, mara, Account.by_login(filip.login).mailbox)
    notes["links"][links.RECOVER] = token_of("password_link")
    gerd = person("gerd")
    recovery.lock_by_operator(ports, OPERATOR, gerd)
    notes["links"]["operator's"] = mailboxes.make_link(ports, OPERATOR, gerd.login).rpartition("/")[2]

    # --- collaborators in every state ---
    def collaborator(name: str, chosen: int) -> Collaboration:
        wanted = collaborations.Person(name.title(), "Rossi", f"{name}@elsewhere.example.com", name)
        return collaborations.make(ports, here, anna.mailbox, wanted, chosen)

    carla = collaborator("carla", permissions.ALL)
    recovery.set_password(ports, HOME, links.find(token_of("collaboration_invitation"), links.SETS_PASSWORD), PASSWORD)
    carla_acts = acting(Account.get_by_id(carla.account_id))
    made = devices.make(ports, carla_acts, carla_acts.account, devices.Wanted("Carla's", "laptop", 1), "form of Carla")
    notes["devices"]["Carla's"] = {"login": carla.account.login, "password": made.password, "protocols": 1}
    dario = collaborator("dario", permissions.READ)
    collaborations.send_link_again(ports, here, dario)
    notes["links"]["collaborator's first"] = token_of("collaboration_invitation")
    elena = collaborator("elena", permissions.READ | permissions.SEND)
    recovery.set_password(ports, HOME, links.find(token_of("collaboration_invitation"), links.SETS_PASSWORD), PASSWORD)
    collaborations.change_permissions(ports, here, elena, permissions.READ | permissions.IMAP)
    collaborations.reset(ports, here, Collaboration.get_by_id(elena.id))
    notes["links"]["collaborator's reset"] = token_of("collaboration_reset")
    fabio = collaborator("fabio", permissions.READ)
    recovery.set_password(ports, HOME, links.find(token_of("collaboration_invitation"), links.SETS_PASSWORD), PASSWORD)
    collaborations.disable(ports, here, Collaboration.get_by_id(fabio.id))
    gone = collaborator("gina", permissions.READ)
    collaborations.disable(ports, here, gone)
    collaborations.remove(ports, here, Collaboration.get_by_id(gone.id))
    LastLogin.create(login_id=carla.account_id, device_id=0, service="imap", ip="192.0.2.1", last_access=now())
    collaborations.AccessWatch().look(ports)

    # --- invitations: proved by the code that was shown, or by the one that was sent; withdrawn; accepted ---
    def invite(name: str, mailed: bool) -> invitations.Invited:
        wanted = devices.Wanted(name, "tablet", Device.IMAP)
        return invitations.invite(ports, here, anna, wanted, f"{name.lower()}@elsewhere.example.com", mailed)

    shown, mailed, accepted, withdrawn = (
        invite("Shown", False),
        invite("Sent", True),
        invite("Taken", False),
        invite("Back", True),
    )
    invitations.resend(ports, here, withdrawn.invitation, mailed=True)
    invitations.withdraw(here, withdrawn.invitation)
    invitations.accept(ports, HOME, accepted.invitation, proved=True)
    invitations.send_code(ports, HOME, mailed.invitation)
    link = [facts for facts in sent("device_invitation") if "Sent" in str(facts)][0]["link"]
    notes["invitations"] = {
        "shown": {"token": shown.link.rpartition("/")[2], "code": shown.code},
        "sent": {"token": link.rpartition("/")[2], "code": sent("device_code")[-1]["code"]},
    }
    guessed = invite("Guessed", False)
    for _ in range(21):
        with pytest.raises((Refused, TooManyAttempts)):
            invitations.prove(ports, HOME, guessed.invitation, "wrong")

    # --- webmails, what their sessions hold, and what was not accepted ---
    webmail = SigningWebmail(ports)
    notes["webmail"] = {"origin": webmail.origin, "key": base64url(webmail.key)}
    wanted = webmail_credentials.Wanted(anna.login, PASSWORD, "session-1", "192.0.2.1", "Firefox")
    credential = webmail_credentials.make(ports, webmail.row, wanted)
    notes["webmail"]["credential"] = {"login": anna.login, "password": credential.password}
    frame = Arrival(webmail.origin, "iframe")
    framed, brought = (
        new_client(),
        {"token": webmail.handoff(anna.login, locale="it_IT", theme="dark"), "next": "/devices/"},
    )
    framed.request("POST", "/handoff", brought, Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe", Origin=ORIGIN)
    notes["sessions"]["in the frame"] = framed.cookies()
    used = webmail.handoff(anna.login, sid="session-2")
    handoffs.enter(HOME, handoffs.examine(ports, HOME, used, frame))
    with pytest.raises(NotAccepted):
        handoffs.enter(HOME, handoffs.examine(ports, HOME, used, frame))
    for sid, end in (("session-3", "here"), ("session-4", "there")):
        other = webmail_credentials.make(ports, webmail.row, replace(wanted, webmail_session=sid))
        if end == "here":
            webmail_credentials.end(ports, here, other.credential)
        else:
            webmail_credentials.sign_out(ports, webmail.row, other.password)

    # --- guesses that are waited for ---
    for _ in range(6):
        with pytest.raises((Refused, TooManyAttempts)):
            sign_in.sign_in(ports, AWAY, chiara.login, "wrong", None)

    # --- a manager's day ---
    hanna = person("hanna")
    profile = users.Profile("Hanna", "Neri", "hanna@elsewhere.example.com", quota_bytes=10**9)
    users.edit(ports, mara, hanna.mailbox, hanna.revision, profile, users.Password(NEW, must_change=True))
    ivan = person("ivan")
    users.suspend(ports, mara, ivan.mailbox)
    karl = person("karl")
    users.suspend(ports, mara, karl.mailbox)
    users.resume(ports, mara, karl.mailbox)
    leaver = person("leaver")
    users.remove(ports, mara, leaver.mailbox, leaver.login)
    lena = person("lena")
    collaborations.make(
        ports, acting(lena), lena.mailbox, collaborations.Person("Z", "Z", "z@elsewhere.example.com", "z"), 1
    )
    offboarding.end(ports, mara, lena.mailbox)

    # --- several passwords at once: a draft, one at each stage, one that handed links out ---
    def office(domain: str) -> Office:
        return Office(ports, models.Domain.get(models.Domain.name == domain), acting(manager))

    def ids(*logins: str) -> list[int]:
        return [Account.by_login(login).mailbox.id for login in logins]

    mail_server.is_down = mailer.is_down = False
    waiting = [item.id for item in OutboxItem.open_items()]
    greta = person("greta")
    here_office = office("example.org")
    done = here_office.start(replace(WANTED, kind=PasswordChange.LINKS), Choice(mailbox_ids=ids(greta.login)))
    here_office.until(done, PasswordChange.DONE)
    table = here_office.archive
    notes["links"][links.HANDED_OUT] = next(iter(table.values())).rpartition("/")[2]
    # Only the archive and its key went out meanwhile.
    assert {item.id for item in OutboxItem.open_items()} >= set(waiting)
    ports.sms.sent.clear()
    there = office("example.com")
    changing = there.start(WANTED, Choice(mailbox_ids=ids("otto@example.com", "olga@example.com")))
    there.until(changing, PasswordChange.CHANGING)
    notes["changing"] = {"passwords": there.archive, "report": ports.sms.sent[-1].report_url}
    mail_server.is_down = mailer.is_down = True
    other = office("example.net")
    sending = other.start(WANTED, Choice(mailbox_ids=ids("nina@example.net")))
    while PasswordChange.get_by_id(sending.id).state != PasswordChange.SENDING:
        other.step()
    stopped = here_office.start(WANTED, Choice(mailbox_ids=ids(hanna.login)))
    password_changes.cancel(here_office.actor, PasswordChange.get_by_id(stopped.id))
    draft = other.draft(WANTED, Choice(mailbox_ids=ids("nora@example.net")))
    notes["changes"] = {"draft": draft.id, "sending": sending.id, "changing": changing.id}

    # --- files of users: half read, half checked, wanted, and made but not told ---
    monkeypatch.setattr(imports, "AT_ONCE", 2)
    monkeypatch.setattr(imports, "LARGEST_PART", 250)
    monkeypatch.setattr(imports, "CHECKED_AT_A_TIME", 3)
    monkeypatch.setattr(imports, "FINISHED_AT_A_TIME", 3)

    def lines(name: str, count: int = 9):
        yield HEADER
        for n in range(count):
            yield f"{name}{n}@example.org,First{n},Last{n},{name}{n}@elsewhere.example.com,10,it\r\n"

    def uploaded(name: str) -> UserImport:
        return imports.begin(ports, mara, people.service, lines(name), f"{name}.csv", invites=True)

    def broken(name: str):
        yield from lines(name)
        raise KeyboardInterrupt

    def go_on(each: UserImport, state: str) -> UserImport:
        while UserImport.get_by_id(each.id).state != state:
            UserImport.update(leased_until=0).execute()
            imports._go_on(ports, each.id)
        UserImport.update(leased_until=0).execute()
        return UserImport.get_by_id(each.id)

    with pytest.raises(KeyboardInterrupt):
        imports.begin(ports, mara, people.service, broken("cut"), "cut.csv", invites=True)
    half = uploaded("half")
    assert half.state == UserImport.CHECKING
    imports._go_on(ports, half.id)
    assert UserImport.get_by_id(half.id).state == UserImport.CHECKING
    checked = go_on(uploaded("checked"), UserImport.CHECKED)
    wanted_one = go_on(uploaded("wanted"), UserImport.CHECKED)
    imports._want(mara, wanted_one)
    told = go_on(uploaded("told"), UserImport.CHECKED)
    imports._want(mara, told)
    told = go_on(told, UserImport.FINISHING)
    imports._go_on(ports, told.id)
    UserImport.update(leased_until=0).execute()
    assert UserImport.get_by_id(told.id).state == UserImport.FINISHING
    notes["imports"] = {"half": half.id, "checked": checked.id, "wanted": wanted_one.id, "told": told.id}

    # --- what did not come by itself ---
    notices.passwords_issued(ports, mara, [Account.by_login("nora@example.net")], is_link=False)
    ended = sessions.start(anna, "192.0.2.77", "Firefox")[0]
    sessions.end(here, ended)
    sessions.end_program(ports, here, 0, "192.0.2.1")
    other_browser = acting(karl)
    sessions.sign_out(other_browser)
    sessions.end_others(ports, acting(karl))
    devices.disconnect(ports, here, laptop)
    del notes["devices"]["Old laptop"]
    for action in sorted(set(SENTENCES) - {event.action for event in AuditEvent.select(AuditEvent.action)}):
        audit.record(mara, action, karl)
        notes.setdefault("events recorded by their code alone", []).append(action)

    # --- written down ---
    notes["letters"] = sorted(
        {
            unseal(settings.secret_key, "outbox", item.payload)["letter"]
            for item in OutboxItem.open_items()
            if item.kind == "mail"
        }
    )
    notes["waiting"] = {
        kind: OutboxItem.open_items().where(OutboxItem.kind == kind).count() for kind in sorted(outbox.HANDLERS)
    }
    notes["moment"] = now()
    for token in notes["links"].values():
        purposes = tuple(links.PATHS)
        assert links.find(token, purposes), [name for name, each in notes["links"].items() if each == token]
    target = Path(os.environ["OLD_VERSION"])
    models.database.close()
    with sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as database:
        (target / "version_008.sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
    (target / "version_008.json").write_text(json.dumps(notes, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
