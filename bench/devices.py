"""IMAP logins per second with a device password, over the same Dovecot with a passwd-file.

Both run the generated configuration; the second finds passwords of the same scheme, homes and quotas in a passwd-file
instead of the database, and writes no last login. Both start their processes as Dovecot does by default.
"""

import contextlib
import re
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import database as db
from actions.devices.device_passwords import DevicePassword, new_password
from lab.servers import HOST, Dovecot, mail_settings
from models import Account, Device, Domain, Mailbox, Organisation, Service
from settings import Settings

MAILBOXES = 100_000
MOST_DEVICES = 50
# Many short turns, so that whatever else the machine does falls on all alike.
TURNS, LOGINS_A_TURN, CLIENTS = 60, 12, 4
LONGEST_SECONDS = 60


@dataclass(frozen=True)
class Turn:
    """Logins per second, measured one after another."""

    passwd_file: float
    one_device: float
    fifty_devices: float


@dataclass(frozen=True)
class Speeds:
    """All turns. Ratios are taken within each, where the machine was equally busy, and then their median."""

    turns: list[Turn]

    @property
    def over_passwd_file(self) -> float:
        """How fast a device opens its mailbox, over a passwd-file: the slower of one device and fifty."""
        one = median(turn.one_device / turn.passwd_file for turn in self.turns)
        fifty = median(turn.fifty_devices / turn.passwd_file for turn in self.turns)
        return min(one, fifty)

    @property
    def fifty_over_one(self) -> float:
        return median(turn.fifty_devices / turn.one_device for turn in self.turns)

    def __str__(self) -> str:
        passwd_file, one, fifty = (median(column) for column in zip(*map(astuple, self.turns), strict=True))
        return f"passwd-file {passwd_file:.0f}/s, 1 device {one:.0f}/s, 50 devices {fifty:.0f}/s"


@dataclass(frozen=True)
class Login:
    """A mail program's way in."""

    address: str
    password: DevicePassword


@dataclass(frozen=True)
class Entrance:
    """A login at one Dovecot."""

    dovecot: Dovecot
    login: Login

    def logins_per_second(self, clients: ThreadPoolExecutor) -> float:
        started = time.perf_counter()
        list(clients.map(self._open, range(LOGINS_A_TURN)))
        return LOGINS_A_TURN / (time.perf_counter() - started)

    def _open(self, _number: int) -> None:
        """Log in and out. Bare, because the clients take their time from the same processors."""
        with (
            socket.create_connection((HOST, self.dovecot.port("imap")), 30) as connection,
            connection.makefile("rwb") as stream,
        ):
            stream.readline()
            stream.write(f"a LOGIN {self.login.address} {self.login.password.text}\r\nb LOGOUT\r\n".encode())
            stream.flush()
            answers = stream.read()
        assert b"a OK " in answers, answers


class PasswdFileDovecot(Dovecot):
    """The same Dovecot, which finds everything in a passwd-file."""

    def __init__(self, settings: Settings, login: Login):
        super().__init__(settings, "plugin {\n  last_login_dict =\n}")
        self._login = login

    def _prepare(self) -> None:
        super()._prepare()
        file = self.conf.with_name("passwd")
        home, verifier = self.settings.mail_root / "example.org/file", self._login.password.verifier()
        file.write_text(f"{self._login.address}:{verifier}::::{home}::userdb_quota_rule=*:bytes=0\n")
        text = self.conf.read_text()
        text, count = re.subn(r"driver = sql\n  args = .*", f"driver = passwd-file\n  args = {file}", text)
        assert count == 2, "the password and the user database"
        self.conf.write_text(text.replace(" last_login\n", "\n"))


def speeds(directory: Path) -> Speeds:
    """Measure on SQLite with 100,000 mailboxes, each with a device, for at most a minute or so."""
    # The passwd-file is put into the configuration of 2.3.
    settings = mail_settings(f"sqlite:///{directory / 'postern.db'}", directory, dovecot_version="2.3")
    in_file = Login("file@example.org", new_password())
    one, fifty = fill(settings.database_url)
    others = mail_settings(settings.database_url, directory, dovecot_version="2.3")
    with Dovecot(settings) as dovecot, PasswdFileDovecot(others, in_file) as plain, clients() as pool:
        entrances = [Entrance(plain, in_file), Entrance(dovecot, one), Entrance(dovecot, fifty)]
        deadline = time.monotonic() + LONGEST_SECONDS
        turns = []
        while len(turns) <= TURNS and time.monotonic() < deadline:
            turns.append(Turn(*[entrance.logins_per_second(pool) for entrance in entrances]))
        return Speeds(turns[1:])


@contextlib.contextmanager
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield pool


def fill(database_url: str) -> tuple[Login, Login]:
    """Make the mailboxes, each with a device; the logins of one with a single device and of one with fifty."""
    db.open_database(database_url)
    with db.database.connection_context():
        db.router().run()
        service = Service.create(organisation=Organisation.create(name="Example Ltd"), name="Mail Light")
        domain = Domain.create(service=service, name="example.org")
        password = new_password()
        logins = [Login(f"number{number}@example.org", password) for number in range(1, MAILBOXES + 1)]
        with db.database.atomic():
            insert([Account(id=number, login=login.address) for number, login in enumerate(logins, 1)])
            insert([mailbox(domain, number, login) for number, login in enumerate(logins, 1)])
            insert([device(number, password) for number in range(1, MAILBOXES + 1)])
            insert([device(MAILBOXES, new_password()) for _ in range(MOST_DEVICES - 1)])
    return logins[0], logins[-1]


def insert(records: list[db.Table]) -> None:
    """All at once, past Peewee, which would take a minute for them."""
    table = records[0]._meta
    columns = ", ".join(table.fields[name].column_name for name in records[0].__data__)
    places = ", ".join("?" for _ in records[0].__data__)
    statement = f"INSERT INTO {table.table_name} ({columns}) VALUES ({places})"
    db.database.connection().executemany(statement, [tuple(each.__data__.values()) for each in records])


def mailbox(domain: Domain, number: int, login: Login) -> Mailbox:
    return Mailbox(domain=domain, account=number, address=login.address, home=f"example.org/{number}")


def device(account: int, password: DevicePassword) -> Device:
    return Device(
        account=account,
        name="Phone",
        icon="smartphone",
        created_by_login="",
        protocols=Device.IMAP,
        selector=password.selector,
        verifier=password.verifier(),
        request_id=secrets.token_hex(32),
    )


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="postern-bench-") as place:
        measured = speeds(Path(place))
    print(f"{measured.over_passwd_file:.2f} {measured.fifty_over_one:.2f} ({measured})")
