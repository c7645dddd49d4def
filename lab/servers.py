"""Real servers for tests, each on free loopback ports in a directory of its own: MariaDB, Dovecot, Postfix and an SMTP
sink.

Nothing is started through the system's service manager, and only what was started here is ended. It works as root and
as an ordinary user; an ordinary user needs `sudo -n` for Dovecot and Postfix, whose processes change their system user.
"""

import base64
import contextlib
import getpass
import imaplib
import poplib
import random
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import BinaryIO, ClassVar, Self, TypeVar
from urllib.parse import urlsplit

import pymysql
from aiosmtpd.controller import Controller

from adapters.dovecot import config as dovecot_config
from lab import dovecots
from lab.programs import IS_ROOT, as_root, program
from settings import Settings

Result = TypeVar("Result")

HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 20
CLIENT_SECONDS = 30

# Below Linux's ephemeral range (32768 and up): no outgoing connection can take the port while its server is stopped.
# They are claimed some at a time: each claim is an open file, and a long run needs more ports than a process may have.
_FIRST_PORTS, _PORTS_AT_ONCE = range(18000, 32000, 50), 50
# A name in Linux's abstract namespace has one holder, needs no file, and is free again when its process ends.
_claims: list[socket.socket] = []
_claimed: list[int] = []


def free_port() -> int:
    """A loopback port that nobody listens on, and that is this process's as long as it runs: no other call, also in
    another process, gets it while its server is stopped for a moment."""
    while True:
        if not _claimed:
            claim_ports(random.choice(_FIRST_PORTS))
        with contextlib.suppress(IndexError):
            if _is_free(port := _claimed.pop()):
                return port


def claim_ports(port: int) -> bool:
    """Claim the ports that are claimed together with this one; False when somebody has them."""
    first = port - port % _PORTS_AT_ONCE
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0postern-ports-{first}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    _claimed.extend(random.sample(range(first, first + _PORTS_AT_ONCE), _PORTS_AT_ONCE))
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def wait_until(condition: Callable[[], Result], what: str, seconds: float = START_SECONDS) -> Result:
    """Poll a condition; what it gave at last. Raises `TimeoutError` that says what was waited for."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {seconds} s")
        time.sleep(0.02)
    return result


def new_directory(purpose: str) -> Path:
    """A short path (Unix sockets have 108 characters) that servers' own users may pass through."""
    directory = Path(tempfile.mkdtemp(prefix=f"postern-{purpose}-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


# --- MariaDB ---


class MariaDB:
    """Debian's MariaDB server with a data directory, a socket and a port of its own."""

    def __init__(self):
        self.port = free_port()
        self.directory = new_directory("mariadb")
        self.data = self.directory / "data"
        self.socket = self.directory / "s"
        self.log = self.directory / "log"
        self.password = secrets.token_hex(12)
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        try:
            self._install()
            self.start()
            self._create_account()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("mariadbd"), *self._options()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, "MariaDB answers")

    def stop(self) -> None:
        if self._process:
            self.thaw()
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, connections are made as ever and nothing answers: as when its disk hangs."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def create_database(self) -> str:
        """A fresh, empty database; its URL for `POSTERN_DATABASE_URL`. A test opens it again: without TLS, for which
        Python reads all the certificates of the machine each time."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql://postern:{self.password}@{HOST}:{self.port}/{name}?ssl_disabled=yes"

    def drop_database(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path.strip('/')}")

    def execute(self, *statements: str) -> None:
        """Run statements as the database's administrator."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def connect(self) -> pymysql.Connection:
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)

    def _install(self) -> None:
        if IS_ROOT:
            shutil.chown(self.directory, "mysql")
        subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *self._user(),
            ],
            check=True,
            capture_output=True,
        )

    def _options(self) -> list[str]:
        """`--no-defaults` first. Durability is given up: nothing in a test outlives the server."""
        return [
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            f"--bind-address={HOST}",
            f"--pid-file={self.directory / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--sync-frm=0",
            "--innodb-buffer-pool-size=32M",
            "--skip-name-resolve",
            *self._user(),
        ]

    def _user(self) -> list[str]:
        return ["--user=mysql"] if IS_ROOT else []

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"MariaDB ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def _create_account(self) -> None:
        account = f"'postern'@'{HOST}'"
        self.execute(
            f"CREATE USER {account} IDENTIFIED BY '{self.password}'",
            f"GRANT ALL ON `test\\_%`.* TO {account}",
        )


# --- Dovecot ---


def mail_settings(database_url: str, instance: Path, **changes: object) -> Settings:
    """Settings for a Dovecot of one test: free loopback ports, no TLS, and directories below `instance`.

    Base directory and mail root stay empty: `Dovecot` puts them into a directory of its own.
    """
    ports = {name: free_port() for name in ("imap", "pop3", "submission", "sieve", "lmtp")}
    values = {
        "instance": instance,
        "database_url": database_url,
        "secret_key": secrets.token_hex(32),
        "doveadm_url": f"http://{HOST}:{free_port()}",
        "doveadm_key": secrets.token_hex(32),
        "mail_user": "mail" if IS_ROOT else getpass.getuser(),
        "mail_listen": HOST,
        "mail_ports": dict.fromkeys(("imaps", "pop3s", "submissions"), 0) | ports,
        "submission_relay": f"{HOST}:{free_port()}",
        "dovecot_base_dir": "",
    }
    return Settings(**(values | changes))


# For a Dovecot whose refusals are not what is tested: they take 2 s in what is shipped.
REFUSE_QUICKLY = "auth_failure_delay = 0"


class Dovecot:
    """A Dovecot that runs the very configuration which `adapters.dovecot.config` writes: of the version that the
    settings name, or else this machine's own.

    Only `local.conf`, which belongs to the operator, is added: a log file, and debugging, so that tests can see that
    even then no password is logged. The database must exist already.
    """

    def __init__(self, settings: Settings, local_conf: str = ""):
        self.directory = new_directory("dovecot")
        self.settings = replace(
            settings,
            dovecot_base_dir=str(self.directory / "run"),
            dovecot_version=settings.dovecot_version or dovecots.native_version(),
            mail_root=self.directory / "mail",
        )
        self.conf = self.directory / "conf" / "dovecot.conf"
        self.log_file = self.directory / "dovecot.log"
        self.local_conf = local_conf
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():  # what Dovecot's own users wrote
            subprocess.run(as_root("rm", "-rf", "--one-file-system", str(self.directory)), check=False)

    def port(self, name: str) -> int:
        """The port of one listener, such as `imap`; `doveadm` for the HTTP API."""
        if name == "doveadm":
            return urlsplit(self.settings.doveadm_url).port
        return self.settings.mail_ports[name]

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("dovecot", "-F", "-c", str(self.conf)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: Ctrl-C goes to the process that started it, which then ends it in order.
                start_new_session=True,
            )
        wait_until(self._answers, "Dovecot listens")

    def stop(self) -> None:
        """End it and every connection; the ports stay reserved for the next `start`."""
        if self._process:
            if self._process.poll() is None:
                subprocess.run(as_root("kill", "-TERM", self._master_pid()), check=True)
            self._process.wait(STOP_SECONDS)
            self._process = None
            wait_until(lambda: not is_listening(self.port("imap")), "Dovecot's listeners are closed")

    def doveadm(self, *arguments: str) -> str:
        """The output of one `doveadm` command."""
        command = self._command("doveadm", "-c", str(self.conf), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _command(self, name: str, *arguments: str) -> list[str]:
        return dovecots.command(self.settings.dovecot_version, name, *arguments)

    def _prepare(self) -> None:
        self.log_file.touch()
        self.settings.mail_root.mkdir()
        if IS_ROOT:
            shutil.chown(self.settings.mail_root, self.settings.mail_user)
        self.configure()

    def configure(self) -> None:
        """Write its configuration, which it reads when it starts, and at `doveadm reload`."""
        files = self._files()
        dovecot_config.write(files, self.conf.parent)
        shared = [str(self.conf.parent / name) for name in dovecot_config.GROUP_FILES & files.keys()]
        if shared and not IS_ROOT:
            subprocess.run(as_root("chgrp", dovecot_config.DOVECOT_GROUP, *shared), check=True)
            subprocess.run(as_root("chmod", "640", *shared), check=True)
        (self.conf.parent / "local.conf").write_text(
            f"log_path = {self.log_file}\nauth_debug = yes\n{self.local_conf}\n"
        )

    def _files(self) -> dict[str, str]:
        return dovecot_config.render(self.settings, self.settings.dovecot_version, self.conf.parent)

    def _master_pid(self) -> str:
        return subprocess.run(
            as_root("cat", f"{self.settings.dovecot_base_dir}/master.pid"), check=True, capture_output=True, text=True
        ).stdout.strip()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"Dovecot ended:\n{self.log[-3000:]}")
        ports = [port for port in self.settings.mail_ports.values() if port]
        return all(map(is_listening, [*ports, self.port("doveadm")]))


# --- Postfix ---

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
inet_interfaces = {host}
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
mynetworks =
alias_maps =
relayhost = [{host}]:{relay}
smtp_dns_support_level = disabled
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
"""

LOCAL_DOMAIN = "example.net"
DELIVERY_CF = """
smtpd_sasl_auth_enable = no
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = example.net
virtual_transport = lmtp:inet:{host}:{lmtp}
"""

MASTER_CF = """
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Debian's Postfix with a configuration, a queue and a port of its own. It asks `sasl_path` (Dovecot) about every
    login, lets nobody send without one, and hands what it accepted to the relay.

    With `lmtp_port`, programs on this machine send without a login, and mail for `LOCAL_DOMAIN` goes there. `local_cf`
    is added to main.cf, `services` to master.cf.
    """

    def __init__(
        self,
        sasl_path: str,
        relay_port: int,
        lmtp_port: int = 0,
        local_cf: str = "",
        port: int = 0,
        services: str = "",
    ):
        self.port = port or free_port()
        self.directory = new_directory("postfix")
        self.conf = self.directory / "conf"
        self._places = {
            "directory": self.directory,
            "host": HOST,
            "port": self.port,
            "relay": relay_port,
            "sasl": sasl_path,
            "lmtp": lmtp_port,
        }
        self._delivers = bool(lmtp_port)
        self._local_cf = local_cf
        self._services = services

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._run("start")
            wait_until(lambda: is_listening(self.port), "Postfix listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("stop")
        subprocess.run(as_root("rm", "-rf", "--one-file-system", str(self.directory)), check=False)

    @property
    def log(self) -> str:
        return subprocess.run(
            as_root("cat", str(self.directory / "log")), check=True, capture_output=True, text=True
        ).stdout

    def _prepare(self) -> None:
        for name in ("conf", "queue", "data"):
            (self.directory / name).mkdir()
        main_cf = (MAIN_CF + (DELIVERY_CF if self._delivers else "")).format(**self._places) + self._local_cf
        (self.conf / "main.cf").write_text(_each_once(main_cf))
        (self.conf / "master.cf").write_text(MASTER_CF.format(**self._places) + self._services)
        subprocess.run(as_root("chown", "-R", "root", str(self.directory)), check=True)
        subprocess.run(as_root("chown", "postfix", str(self.directory / "data")), check=True)

    def _run(self, command: str) -> None:
        subprocess.run(
            as_root(program("postfix"), "-c", str(self.conf), command),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _each_once(main_cf: str) -> str:
    """The last of what stands twice. Postfix takes that one too, but warns so much of it that its log can jam."""
    pairs = (line.partition("=") for line in main_cf.splitlines() if line)
    return "".join(
        f"{name} = {value}\n" for name, value in {pair[0].strip(): pair[2].strip() for pair in pairs}.items()
    )


# --- SMTP ---


@dataclass(frozen=True)
class ReceivedMessage:
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    content: bytes


class MailSink:
    """An SMTP server that keeps what it gets. Stop and start it to play an outage; the port stays the same.

    `refusal`, such as "550 5.1.1 nobody here", is the answer to the next messages instead of keeping them.
    """

    def __init__(self):
        self.port = free_port()
        self.messages: list[ReceivedMessage] = []
        self.refusal = ""
        self._arrival = threading.Condition()
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"smtp://{HOST}:{self.port}"

    def start(self) -> None:
        self._controller = Controller(self, hostname=HOST, port=self.port, decode_data=False)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def wait_for(self, count: int, seconds: float = 10) -> list[ReceivedMessage]:
        """The messages as soon as there are at least `count`; raises `TimeoutError`."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.messages) >= count, seconds):
                raise TimeoutError(f"{count} messages within {seconds} s; {len(self.messages)} came")
            return list(self.messages)

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if self.refusal:
            return self.refusal
        message = message_from_bytes(envelope.content, policy=policy.default)
        with self._arrival:
            self.messages.append(
                ReceivedMessage(envelope.mail_from, tuple(envelope.rcpt_tos), message, envelope.content)
            )
            self._arrival.notify_all()
        return "250 2.0.0 kept"


class ScriptedSmtp:
    """An SMTP server that answers as `answers` says, by command ("greeting", "EHLO", "MAIL", … and "." for a message):
    with a line, with nothing but the end of the connection (None), or with what a function gives, which may wait.

    `handed` holds the messages whose final dot came, `logins` what was sent to sign in, without base64.
    """

    USUAL: ClassVar[dict[str, str]] = {
        "greeting": "220 here",
        "EHLO": "250-here\r\n250-SIZE 10000000\r\n250 AUTH PLAIN LOGIN",
        "AUTH": "235 welcome",
        "MAIL": "250 yes",
        "RCPT": "250 yes",
        "DATA": "354 go on",
        ".": "250 kept",
        "QUIT": "221 bye",
    }

    def __init__(self, **answers: object):
        self.answers: dict[str, object] = self.USUAL | answers
        self.commands: list[str] = []
        self.handed: list[bytes] = []
        self.logins: list[bytes] = []
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.url = f"smtp://{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._receive, daemon=True).start()
        return self

    def __exit__(self, *_error) -> None:
        self._ended.set()
        # Wakes the thread that waits for the next visitor.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def silence(self) -> None:
        """The answer that does not come as long as the server runs."""
        self._ended.wait()

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._attend, args=(self._listener.accept()[0],), daemon=True).start()

    def _attend(self, visitor: socket.socket) -> None:
        with contextlib.suppress(OSError), visitor, visitor.makefile("rwb") as stream:
            name, goes_on = "greeting", self._answer(stream, "greeting")
            while goes_on and name != "QUIT" and (line := stream.readline()):
                name = line.split()[0].decode().upper()
                self.commands.append(line.decode().strip())
                goes_on = self._take_login(stream, line) if name == "AUTH" else self._answer(stream, name)
                if goes_on.startswith("354"):
                    goes_on = self._take_message(stream)

    def _answer(self, stream: BinaryIO, name: str) -> str:
        """What was answered; nothing at the end of the connection."""
        answer = self.answers.get(name, "502 what?")
        answer = answer() if callable(answer) else answer
        if answer:
            stream.write(f"{answer}\r\n".encode())
            stream.flush()
        return answer or ""

    def _take_message(self, stream: BinaryIO) -> str:
        lines = []
        while (line := stream.readline()) != b".\r\n":
            if not line:
                return ""  # the visitor went away
            lines.append(line)
        self.handed.append(b"".join(lines))
        return self._answer(stream, ".")

    def _take_login(self, stream: BinaryIO, line: bytes) -> str:
        _, mechanism, *initial = line.split()
        self.logins += [mechanism, *map(base64.b64decode, initial)]
        for _ in range((2 if mechanism == b"LOGIN" else 1) - len(initial)):
            stream.write(b"334 \r\n")
            stream.flush()
            self.logins.append(base64.b64decode(stream.readline()))
        return self._answer(stream, "AUTH")


class BlackHole:
    """A listener that accepts connections and never says a word, on the given port or a free one."""

    def __init__(self, port: int = 0):
        self.port = port or free_port()

    def __enter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, self.port))
        self._socket.listen(16)  # the kernel completes the handshakes; nobody ever reads
        return self

    def __exit__(self, *_error) -> None:
        self._socket.close()


class Doorway:
    """A port that leads to another one while it is open; closed, it cannot be reached. Who is inside stays."""

    def __init__(self, to_port: int):
        self.port = free_port()
        self._to_port = to_port
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    def open(self) -> None:
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._receive, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        if self._listener:
            # Wakes the thread that waits for the next visitor.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _receive(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._lead, args=(listener.accept()[0],), daemon=True).start()

    def _lead(self, visitor: socket.socket) -> None:
        with contextlib.suppress(OSError), visitor, socket.create_connection((HOST, self._to_port)) as inside:
            threading.Thread(target=_pass_on, args=(inside, visitor), daemon=True).start()
            _pass_on(visitor, inside)


def _pass_on(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)


# --- clients ---


class ImapFrom(imaplib.IMAP4):
    """A client at another address of this machine."""

    def __init__(self, port: int, source: str):
        self._source = source
        super().__init__(HOST, port, timeout=CLIENT_SECONDS)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, source_address=(self._source, 0))


def imap_login(
    port: int, user: str | bytes, password: str | bytes, source: str = HOST, originating_ip: str = ""
) -> imaplib.IMAP4:
    """A signed-in connection; raises `imaplib.IMAP4.error` with the server's text. Bytes are sent as they are.

    As a webmail does, it can tell first for whose address it speaks.
    """
    connection = ImapFrom(port, source)
    try:
        if originating_ip:
            connection.xatom("ID", f'("x-originating-ip" "{originating_ip}")')
        connection.authenticate("PLAIN", lambda _: b"\0" + _bytes(user) + b"\0" + _bytes(password))
    except BaseException:
        connection.shutdown()
        raise
    return connection


def imap_accepts(port: int, user: str | bytes, password: str | bytes, **named: str) -> bool:
    """Whether this password opens IMAP now. Any other answer than yes or no is an error."""
    try:
        imap_login(port, user, password, **named).logout()
    except imaplib.IMAP4.error as error:
        # ALERT: somebody guessed too often.
        if not any(code in str(error) for code in ("AUTHENTICATIONFAILED", "CONTACTADMIN", "ALERT")):
            raise
        return False
    return True


class Pop3From(poplib.POP3):
    """A client at another address of this machine."""

    def __init__(self, port: int, source: str):
        self._source = source
        super().__init__(HOST, port, timeout=CLIENT_SECONDS)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, source_address=(self._source, 0))


def pop3_login(port: int, user: str, password: str) -> poplib.POP3:
    """A signed-in connection; raises `poplib.error_proto` with the server's text."""
    connection = poplib.POP3(HOST, port, timeout=CLIENT_SECONDS)
    try:
        connection.user(user)
        connection.pass_(password)
    except BaseException:
        connection.close()
        raise
    return connection


class Idle:
    """An IMAP connection in IDLE, as of a mail program that waits for new mail."""

    def __init__(self, connection: imaplib.IMAP4):
        self.connection = connection
        connection.select("INBOX")
        connection.send(b"idle IDLE\r\n")
        while not (line := connection.readline()).startswith(b"+"):
            if not line:
                raise ConnectionError("the server hung up before IDLE began")

    def seconds_until_dropped(self, timeout: float) -> float:
        """How long the server kept the connection from now on; raises `TimeoutError`."""
        started = time.monotonic()
        while (left := started + timeout - time.monotonic()) > 0:
            if select.select([self.connection.sock], [], [], left)[0] and self._has_ended():
                return time.monotonic() - started
        raise TimeoutError(f"the connection is still open after {timeout} s")

    def is_open(self, seconds: float = 0.3) -> bool:
        """Whether the server keeps the connection for this long."""
        try:
            self.seconds_until_dropped(seconds)
        except TimeoutError:
            return True
        return False

    def _has_ended(self) -> bool:
        try:
            return not self.connection.sock.recv(4096)
        except ConnectionResetError:
            return True


def idle(connection: imaplib.IMAP4) -> Idle:
    """Put a signed-in connection into IDLE: `idle(connection).seconds_until_dropped(2)`."""
    return Idle(connection)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
