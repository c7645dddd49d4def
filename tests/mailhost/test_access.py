"""Who gets in, what each "End" ends, and what is known of the last use: a table each, the same for both Dovecots on
both databases. A test lists where the servers differ from its table."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from actions.authority.permissions import IMAP, POP3, READ, SEND, SETTINGS, WRITE
from actions.collaborations import collaborations
from actions.devices import device_passwords, devices
from actions.devices.devices import MadeDevice, WantedDevice
from actions.ground.actor import OPERATOR
from actions.ground.unit_of_work import UnitOfWork
from actions.passwords import passwords, recovery
from actions.revocation import revocation
from actions.sessions import links, sessions
from actions.users import managers, offboarding, renaming, users
from actions.webmails import webmail_credentials, webmails
from actions.webmails.webmail_credentials import MadeCredential
from lab.accounts import CHEAP
from lab.actors import acting
from lab.html_tree import words
from lab.mail_host import ELSEWHERE, OWN_PASSWORD, WAYS, WEBMAIL, Login, MailHost
from lab.servers import HOST, Idle, wait_until
from models import (
    Account,
    Collaboration,
    Device,
    Domain,
    LastLogin,
    Mailbox,
    OneTimeLink,
    Service,
    Webmail,
    WebmailCredential,
    now,
)
from tests.client import Client
from tests.conftest import app_of

pytestmark = pytest.mark.every_pair

PERSON_AT = "198.51.100.7"
EVERYTHING = Device.IMAP | Device.POP3 | Device.SENDING
HOUR = 3600
AT_ONCE = 20

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def host(mail_host: MailHost) -> Iterator[MailHost]:
    """Its database is this thread's as long as the module's tests run."""
    with mail_host.accounts.connected():
        yield mail_host


class Owner(Login):
    """Somebody with a mailbox and what opens it."""

    def __init__(self, host: MailHost, domain: Domain | None = None):
        domain = domain or host.accounts.domain
        super().__init__(host, f"owner{next(numbers)}@{domain.name}")
        hashed, organisation = CHEAP.hash(OWN_PASSWORD), domain.service.organisation
        account = Account.create(login=self.address, password_hash=hashed, organisation=organisation)
        Mailbox.create(domain=domain, account=account, address=self.address, home=f"{domain.name}/{self.address}")

    @property
    def mailbox(self) -> Mailbox:
        return self.account.mailbox

    @property
    def unit(self) -> UnitOfWork:
        """What they do themselves."""
        return UnitOfWork(self.host.ports, self.actor)

    def become(self, state: str) -> None:
        self.account.write(state=state)

    def device(self, name: str = "Phone", protocols: int = EVERYTHING) -> MadeDevice:
        protocols &= devices.protocols_for(self.account)
        return devices.make(self.unit, self.account, WantedDevice(name, "smartphone", protocols), f"{next(numbers)}")

    def credential(self, webmail: Webmail, expires_at: int = 0) -> MadeCredential:
        """As `webmail_credentials.make` writes it, without the cost of verifying the password."""
        password = device_passwords.new_password()
        row = WebmailCredential.create(
            account=self.account,
            webmail=webmail,
            webmail_session=f"session {next(numbers)}",
            selector=password.selector,
            verifier=password.verifier(),
            address=PERSON_AT,
            network=PERSON_AT,
            user_agent="Firefox",
            expires_at=expires_at or now() + HOUR,
        )
        return MadeCredential(row, password.text)


class Guest(Owner):
    """A collaborator of an owner."""

    def __init__(self, owner: Owner, granted: int, user_name: str = "carla"):
        Login.__init__(self, owner.host, f"{user_name}/{owner.address}")
        mailbox = owner.mailbox
        account = Account.create(
            login=self.address,
            role=Account.COLLABORATOR,
            organisation=mailbox.account.organisation_id,
            contact_email="far@example.net",
            password_hash=CHEAP.hash(OWN_PASSWORD),
        )
        Collaboration.create(account=account, mailbox=mailbox, permissions=granted, created_by_login=owner.address)


def new_webmail(unit: UnitOfWork) -> Webmail:
    return webmails.add(unit, f"https://webmail{next(numbers)}.example.org", None, Webmail.EDDSA).webmail


def at_once(function: Callable, arguments: list[tuple]) -> list:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: function(*each), arguments))


# --- who gets in ---

# What a secret opens from anywhere, and what from the webmail's host: IMAP, POP3, submission (Dovecot's and Postfix's),
# ManageSieve.
LETTERS = {"imap": "I", "pop3": "P", "submission": "S", "postfix": "S", "sieve": "M"}
ALL, PROGRAMS, SESSION = "IPSM", "IPS", "ISM"
NOTHING = ("", "")
# What a login, an owner's unless it says otherwise, opens by each secret.
OF_OWNER = {"password": (ALL, ALL), "device": (PROGRAMS, PROGRAMS), "credential": ("", SESSION)}
OF_NOBODY = dict.fromkeys(OF_OWNER, NOTHING)
DEVICES_NEEDED = OF_OWNER | {"password": ("", ALL)}
OF_GUEST = {"password": (PROGRAMS, PROGRAMS), "device": (PROGRAMS, PROGRAMS), "credential": ("", "IS")}
IN_WEBMAIL_ONLY = {"password": ("", "I"), "credential": ("", "I")}
WITHOUT_PASSWORD = dict.fromkeys(("nothing", "the word None", "password", "link"), NOTHING)

SENDING = READ | WRITE | SEND
MAIL_PROGRAMS = SENDING | IMAP | POP3
GRANTED = {
    "guest who reads": (READ, IN_WEBMAIL_ONLY),
    "guest who writes": (READ | WRITE, IN_WEBMAIL_ONLY),
    "guest who sends": (SENDING, {"password": ("", "IS"), "credential": ("", "IS")}),
    "guest with IMAP": (SENDING | IMAP, OF_GUEST | {"password": ("IS", "IS"), "device": ("IS", "IS")}),
    "guest with POP3": (SENDING | POP3, OF_GUEST | {"password": ("PS", "IPS"), "device": ("PS", "PS")}),
    "guest with settings": (MAIL_PROGRAMS | SETTINGS, OF_GUEST),
}
STATES = (Account.PENDING, Account.SUSPENDED, Account.LOCKED, Account.DISABLED)

TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "owner": OF_OWNER,
    "owner, by one protocol": {"I device": ("I", "I"), "P device": ("P", "P"), "S device": ("S", "S")},
    "owner, by what is over": dict.fromkeys(
        (
            "former password",
            "nothing",
            "link",
            "expired device",
            "disconnected device",
            "former password of a device",
            "expired credential",
            "ended credential",
            "credential of a removed webmail",
        ),
        NOTHING,
    ),
    "owner, by what is another owner's": OF_NOBODY,
    "owner, by what is a guest's": OF_NOBODY,
    "OWNER IN CAPITALS": OF_OWNER,
    "owner who is a manager": OF_OWNER,
    "manager without a mailbox": {"password": NOTHING},
    "owner whose mailbox needs devices": DEVICES_NEEDED,
    "owner whose service needs devices": DEVICES_NEEDED,
    "owner at the former address": OF_NOBODY,
    # Webmails' sessions end, because what they call the mailbox is its former address.
    "owner at the new address": OF_OWNER | {"credential": NOTHING},
    "suspended owner": OF_NOBODY,
    "locked owner": OF_NOBODY,
    "removed owner": OF_NOBODY,
    "owner whose service is suspended": OF_NOBODY,
    "invited owner": WITHOUT_PASSWORD,
    **{name: opened for name, (_, opened) in GRANTED.items()},
    "guest": OF_GUEST,
    "guest, by what is the owner's": OF_NOBODY,
    "guest, by what is another guest's": OF_NOBODY,
    "guest whose mailbox needs devices": OF_GUEST | {"password": ("", PROGRAMS)},
    **{f"{state} guest": OF_NOBODY for state in STATES},
    "removed guest": OF_NOBODY,
    "guest of a suspended owner": OF_NOBODY,
    "guest of a locked owner": OF_NOBODY,
    "guest whose service is suspended": OF_NOBODY,
    "invited guest": WITHOUT_PASSWORD,
    "guest whose invitation expired": WITHOUT_PASSWORD,
}


class Company:
    """Everybody of the table with their secrets."""

    def __init__(self, host: MailHost):
        self.host, self.unit = host, UnitOfWork(host.ports, OPERATOR)
        self.webmail = new_webmail(self.unit)
        self.known: dict[str, tuple[Login, dict[str, str]]] = {}
        self._add_owners()
        self._add_past()
        self._add_services()
        self._add_guests()
        self._add_invited()

    def owner(self, name: str = "", domain: Domain | None = None) -> Owner:
        return self._with_secrets(name, Owner(self.host, domain))

    def guest(self, name: str = "", owner: Owner | None = None, granted: int = MAIL_PROGRAMS) -> Guest:
        return self._with_secrets(name, Guest(owner or Owner(self.host), granted))

    def _with_secrets(self, name: str, login: Owner) -> Owner:
        self.known[name] = login, {"password": OWN_PASSWORD, "credential": login.credential(self.webmail).password}
        if devices.protocols_for(login.account):
            self.known[name][1]["device"] = login.device().password
        return login

    def _add_owners(self) -> None:
        owner, another = self.owner("owner"), self.owner("another")
        guest = self.guest("a guest of it", owner)
        self._tries("owner, by what is another owner's", owner, "another", another)
        self._tries("owner, by what is a guest's", owner, "a guest of it", guest)
        bits = {"I": Device.IMAP, "P": Device.POP3, "S": Device.SENDING}
        one_each = {f"{letter} device": owner.device(letter, bit).password for letter, bit in bits.items()}
        self.known["owner, by one protocol"] = owner, one_each
        capitals = self.owner("OWNER IN CAPITALS")
        capitals.address = capitals.address.upper()
        self.owner("owner who is a manager").account.write(role=Account.ADMINISTRATOR)
        manager = Login(self.host, f"manager{next(numbers)}@example.org")
        Account.create(login=manager.address, role=Account.OWNER, password_hash=CHEAP.hash(OWN_PASSWORD))
        self.known["manager without a mailbox"] = manager, {"password": OWN_PASSWORD}
        careful = self.owner("owner whose mailbox needs devices")
        self.guest("guest whose mailbox needs devices", careful)
        devices.require(careful.unit, careful.mailbox, True)
        self.owner("suspended owner").become(Account.SUSPENDED)
        self.owner("locked owner").become(Account.LOCKED)
        removed = self.owner("removed owner")
        users.remove(self.unit, removed.mailbox, removed.address)

    def _tries(self, name: str, login: Login, of: str, whose: Login) -> None:
        """This login with somebody else's secrets, of which the password is another one than its own."""
        whose.account.write(password_hash=CHEAP.hash(f"{OWN_PASSWORD} of another"))
        secrets = self.known[of][1]
        secrets["password"] = f"{OWN_PASSWORD} of another"
        self.known[name] = login, secrets

    def _add_past(self) -> None:
        owner = self.owner()
        owner.account.write(password_hash=CHEAP.hash("The-Next-Secret-2"))
        expired, disconnected, changed = owner.device(), owner.device(), owner.device()
        expired.device.write(expires_at=now() - 1)
        devices.disconnect(owner.unit, disconnected.device)
        devices.change_password(owner.unit, changed.device)
        ended, former_webmail = owner.credential(self.webmail), new_webmail(self.unit)
        of_former = owner.credential(former_webmail)
        webmail_credentials.end(owner.unit, ended.credential)
        webmails.remove(self.unit, former_webmail.origin)
        self.known["owner, by what is over"] = (
            owner,
            {
                "former password": OWN_PASSWORD,
                "nothing": "",
                "link": links.create(owner.account, links.RESET),
                "expired device": expired.password,
                "disconnected device": disconnected.password,
                "former password of a device": changed.password,
                "expired credential": owner.credential(self.webmail, now() - 1).password,
                "ended credential": ended.password,
                "credential of a removed webmail": of_former.password,
            },
        )
        moved = self.owner("owner at the former address")
        present = renaming.rename(
            self.unit, moved.mailbox, moved.account.revision, f"moved{next(numbers)}@{moved.mailbox.domain.name}"
        )
        self.known["owner at the new address"] = (
            Login(self.host, present.login),
            self.known["owner at the former address"][1],
        )

    def _add_services(self) -> None:
        for name, rule in (
            ("needs devices", {"device_passwords_only": True}),
            ("is suspended", {"state": Service.SUSPENDED}),
        ):
            organisation = self.host.accounts.service.organisation
            service = Service.create(organisation=organisation, name=f"Service {next(numbers)}")
            domain = Domain.create(service=service, name=f"domain{next(numbers)}.example.org")
            owner = self.owner(f"owner whose service {name}", domain)
            self.guest(f"guest whose service {name}", owner)
            service.write(**rule)

    def _add_guests(self) -> None:
        for name, (granted, _) in GRANTED.items():
            self.guest(name, granted=granted)
        owner = self.owner("owner of a guest")
        guest, another = self.guest("guest", owner), Guest(owner, MAIL_PROGRAMS, "dario")
        self._with_secrets("another guest", another)
        self._tries("guest, by what is another guest's", guest, "another guest", another)
        self._tries("guest, by what is the owner's", guest, "owner of a guest", owner)
        for state in STATES:
            self.guest(f"{state} guest").become(state)
        removed = self.guest("removed guest")
        collaborations.disable(self.unit, removed.account.collaboration)
        collaborations.remove(self.unit, removed.account.collaboration)
        for state in (Account.SUSPENDED, Account.LOCKED):
            owner = self.owner()
            self.guest(f"guest of a {state} owner", owner)
            owner.become(state)

    def _add_invited(self) -> None:
        owner, guest, late = Owner(self.host), Guest(Owner(self.host), EVERYTHING), Guest(Owner(self.host), EVERYTHING)
        for name, login in {
            "invited owner": owner,
            "invited guest": guest,
            "guest whose invitation expired": late,
        }.items():
            state = Account.PENDING if isinstance(login, Guest) else Account.ACTIVE
            login.account.write(password_hash=None, state=state)
            link = links.create(login.account, links.WELCOME)
            secrets = {"nothing": "", "the word None": "None", "password": OWN_PASSWORD, "link": link}
            self.known[name] = login, secrets
        OneTimeLink.update(expires_at=now() - 1).where(OneTimeLink.account == late.account).execute()


def opened(ways: set[str]) -> str:
    """In the letters of the table, where Dovecot's submission and Postfix's are one."""
    if ("submission" in ways) != ("postfix" in ways):
        return f"{'+'.join(sorted(ways))}"
    return "".join(dict.fromkeys(LETTERS[way] for way in WAYS if way in ways))


def test_each_login_opens_with_each_secret_what_the_table_says(host: MailHost):
    known = Company(host).known
    rows = [(who, secret, source) for who, secrets in TABLE.items() for secret in secrets for source in (HOST, WEBMAIL)]
    tries = [(known[who][0], known[who][1][secret], source) for who, secret, source in rows]
    seen = at_once(lambda login, secret, source: opened(login.openings(secret, source)), tries)
    expected = [TABLE[who][secret][source == WEBMAIL] for who, secret, source in rows]
    assert [each for each in zip(rows, seen, expected, strict=True) if each[1] != each[2]] == []


# --- what ends ---

NEW_PASSWORD = "Vex!ng-Garden-8"
OWN, WEBMAILS, DEVICES = {"own", "own elsewhere"}, {"webmail", "another webmail"}, {"phone", "laptop"}
CARLAS = {"Carla's", "Carla's phone"}
GUESTS = CARLAS | {"Dario's"}


class Cast:
    """An owner and two collaborators, connected by every kind of secret."""

    def __init__(self, host: MailHost):
        self.host, self.operator = host, UnitOfWork(host.ports, OPERATOR)
        self.anna = Owner(host)
        self.carla, self.dario = (Guest(self.anna, MAIL_PROGRAMS, name) for name in ("carla", "dario"))
        self.phone, self.laptop, self.carlas_phone = self.anna.device(), self.anna.device("Laptop"), self.carla.device()
        self.webmail = new_webmail(self.operator)
        self.in_webmail = self.anna.credential(self.webmail)
        in_another = self.anna.credential(new_webmail(self.operator))
        self.secrets = {
            "own": (self.anna, OWN_PASSWORD, HOST),
            "own elsewhere": (self.anna, OWN_PASSWORD, ELSEWHERE),
            "phone": (self.anna, self.phone.password, HOST),
            "laptop": (self.anna, self.laptop.password, HOST),
            "webmail": (self.anna, self.in_webmail.password, WEBMAIL),
            "another webmail": (self.anna, in_another.password, WEBMAIL),
            "Carla's": (self.carla, OWN_PASSWORD, HOST),
            "Carla's phone": (self.carla, self.carlas_phone.password, HOST),
            "Dario's": (self.dario, OWN_PASSWORD, HOST),
        }
        self.waiting: dict[str, Idle] = {}

    @property
    def signed_in(self) -> UnitOfWork:
        """What Anna does in a browser."""
        return UnitOfWork(self.host.ports, acting(self.anna.account))

    def connect(self, name: str) -> None:
        login, password, source = self.secrets[name]
        self.waiting[name] = login.waits_in_idle(password, source=source)

    @property
    def counted(self) -> int:
        """How many of their connections Dovecot knows of: a moment after it has let them in."""
        names = [login.account.session_name for login in (self.anna, self.carla, self.dario)]
        return sum(each.count for name in names for each in self.host.ports.mail_server.connections(name))

    def link(self, purpose: str, device: Device | None = None) -> OneTimeLink:
        token = links.create(self.anna.account, purpose, device)
        return OneTimeLink.get(OneTimeLink.token_hash == links.digest(token))

    def change(self, **chosen: bool) -> None:
        passwords.change(self.signed_in, OWN_PASSWORD, NEW_PASSWORD, **chosen)

    def set_password(self) -> None:
        account = self.anna.account
        profile = users.Profile(**{name: getattr(account, name) for name in users.PROFILE})
        users.edit(self.operator, account.mailbox, account.revision, profile, users.Password(NEW_PASSWORD))

    def rename(self) -> None:
        account = self.anna.account
        renaming.rename(self.operator, account.mailbox, account.revision, f"moved{next(numbers)}@example.org")


# What is pressed, and which connections end.
ENDS: dict[str, tuple[Callable[[Cast], object], set[str]]] = {
    "End, of a mail program": (lambda cast: sessions.end_program(cast.signed_in, 0, ELSEWHERE), {"own elsewhere"}),
    "End, of a device's": (lambda cast: sessions.end_program(cast.signed_in, cast.phone.device.id, HOST), {"phone"}),
    "End, of a webmail's session": (
        lambda cast: webmail_credentials.end(cast.signed_in, cast.in_webmail.credential),
        {"webmail"},
    ),
    "Sign out in the webmail": (
        lambda cast: webmail_credentials.sign_out(cast.host.ports, cast.webmail, cast.in_webmail.password),
        {"webmail"},
    ),
    "End all others": (lambda cast: revocation.end_others(cast.signed_in), OWN | WEBMAILS | DEVICES),
    "Disconnect": (lambda cast: devices.disconnect(cast.signed_in, cast.phone.device), {"phone"}),
    "Change a device's password": (lambda cast: devices.change_password(cast.signed_in, cast.phone.device), {"phone"}),
    "“Not my device”": (
        lambda cast: devices.disown(cast.signed_in, cast.link(links.DISOWN_DEVICE, cast.phone.device)),
        {"phone"},
    ),
    "Disconnect all": (lambda cast: devices.disconnect_all(cast.signed_in, cast.anna.account), DEVICES),
    "Require device passwords": (
        lambda cast: devices.require(cast.signed_in, cast.anna.mailbox, True),
        OWN | WEBMAILS,
    ),
    "Change the password": (lambda cast: cast.change(), set()),
    "… and log out from everywhere": (lambda cast: cast.change(everywhere=True), OWN | WEBMAILS),
    "… with the device passwords": (
        lambda cast: cast.change(everywhere=True, devices_too=True),
        OWN | WEBMAILS | DEVICES,
    ),
    "A link sets the password": (
        lambda cast: recovery.set_password(cast.operator, cast.link(links.RESET), NEW_PASSWORD),
        OWN | WEBMAILS,
    ),
    "“This wasn't me”": (
        lambda cast: recovery.lock(cast.operator, cast.link(links.DISOWN)),
        OWN | WEBMAILS | DEVICES | GUESTS,
    ),
    "A manager sets the password": (lambda cast: cast.set_password(), OWN | WEBMAILS),
    "A manager signs the user out": (
        lambda cast: offboarding.sign_out(cast.operator, cast.anna.account),
        OWN | WEBMAILS | DEVICES,
    ),
    "Suspend": (lambda cast: users.suspend(cast.operator, cast.anna.mailbox), OWN | WEBMAILS | DEVICES | GUESTS),
    "End all access": (
        lambda cast: offboarding.end(cast.operator, cast.anna.mailbox),
        OWN | WEBMAILS | DEVICES | GUESTS,
    ),
    "Remove the user": (
        lambda cast: users.remove(cast.operator, cast.anna.mailbox, cast.anna.address),
        OWN | WEBMAILS | DEVICES | GUESTS,
    ),
    "Change the address": (lambda cast: cast.rename(), OWN | WEBMAILS | DEVICES | GUESTS),
    "Make a manager": (
        lambda cast: managers.add(cast.operator, cast.anna.address, None, Account.ADMINISTRATOR),
        set(),
    ),
    "Remove a webmail": (lambda cast: webmails.remove(cast.operator, cast.webmail.origin), {"webmail"}),
    "Reset a collaborator": (
        lambda cast: collaborations.reset(cast.signed_in, cast.carla.account.collaboration),
        CARLAS,
    ),
    "Disable a collaborator": (
        lambda cast: collaborations.disable(cast.signed_in, cast.carla.account.collaboration),
        CARLAS,
    ),
    "Change a collaborator's permissions": (
        lambda cast: collaborations.change_permissions(cast.signed_in, cast.carla.account.collaboration, READ),
        CARLAS,
    ),
    "A collaborator ends all others": (lambda cast: revocation.end_others(cast.carla.unit), CARLAS),
    "A collaborator's device is disconnected": (
        lambda cast: devices.disconnect(cast.carla.unit, cast.carlas_phone.device),
        {"Carla's phone"},
    ),
}


def test_each_end_ends_the_connections_that_it_names_and_no_other(host: MailHost):
    casts = {name: Cast(host) for name in ENDS}
    at_once(Cast.connect, [(cast, name) for cast in casts.values() for name in cast.secrets])
    for cast in casts.values():
        wait_until(lambda cast=cast: cast.counted == len(cast.secrets), "Dovecot counts whom it has let in")
    for name, (press, _) in ENDS.items():
        press(casts[name])
    rows = [(name, kind) for name, cast in casts.items() for kind in cast.secrets]
    ended = at_once(lambda name, kind: _ends(casts[name].waiting[kind], kind in ENDS[name][1]), rows)
    differences = [row for row, is_ended in zip(rows, ended, strict=True) if is_ended != (row[1] in ENDS[row[0]][1])]
    assert differences == []


def _ends(waiting: Idle, expected: bool) -> bool:
    """Whether it has ended. What is to end may do so a moment later."""
    return not waiting.is_open(5 if expected else 0.3)


# --- the last use ---

SHOWN = {"imap": "IMAP", "pop3": "POP3", "submission": "SMTP", "postfix": "SMTP"}
# What Dovecot writes down: of Postfix "smtp", and ManageSieve under a name of the version's own.
SERVICES = {"postfix": "smtp"}
MANAGESIEVE = {"2.3": "managesieve", "2.4": "sieve"}


def test_the_last_use_by_each_of_five_protocols_is_known_with_its_address(host: MailHost):
    anna, unused = Owner(host), "127.0.6.9"
    written, shown = {(0, MANAGESIEVE[host.ports.mail_server.version()], "127.0.6.5")}, {}
    for number, (way, word) in enumerate(SHOWN.items(), 1):
        made, source = anna.device(way), f"127.0.6.{number}"
        assert getattr(anna, f"opens_{way}")(made.password, source=source)
        written.add((made.device.id, SERVICES.get(way, way), source))
        shown[made.device.id] = f"{word}, {source}"
    # No device may change filters.
    assert anna.opens_sieve(OWN_PASSWORD, source="127.0.6.5")
    never = anna.device("never", Device.POP3)
    assert not any((anna.opens_imap(never.password, source=unused), anna.opens_sieve(never.password, source=unused)))
    wait_until(lambda: len(last_uses(anna)) >= len(written), "each use is written down")
    assert last_uses(anna) == written

    settings = replace(host.ports.settings, base_url="http://127.0.0.1:8123")
    browser = Client(app_of(settings, replace(host.ports, settings=settings)), settings.base_url)
    browser.sign_in(anna.address, OWN_PASSWORD)
    page = browser.open("/devices/")
    cells = {row.get("id"): words(row[2]) for row in page.tree.iter("tr") if row.get("id")}
    assert cells.pop(f"device-{never.device.id}") == "Never"
    assert {name: cell.split(" ago ")[-1].removeprefix("just now ") for name, cell in cells.items()} == {
        f"device-{number}": text for number, text in shown.items()
    }


def last_uses(login: Login) -> set[tuple[int, str, str]]:
    """Device, protocol and address of each."""
    rows = LastLogin.select().where(LastLogin.login_id == login.account.id)
    return {(row.device_id, row.service, row.ip) for row in rows}
