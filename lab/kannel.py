"""Debian's Kannel with its fake SMSC, on free loopback ports in a directory of its own.

`with Kannel() as kannel:` runs bearerbox, smsbox and fakesmsc. `kannel.url` is the setting `POSTERN_SMS_URL` for it,
`kannel.wait_for(1)` the messages that reached the phone network. Only what was started here is ended.
"""

import re
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote_to_bytes

import requests

from lab.servers import HOST, STOP_SECONDS, free_port, is_listening, wait_until

BEARERBOX, SMSBOX = "/usr/sbin/bearerbox", "/usr/sbin/smsbox"
FAKE_SMSC = "/usr/lib/kannel/test/fakesmsc"
# Kannel writes everything to its standard output, texts included, unless an option forbids it.
QUIET = ("-v", "4")
# What fakesmsc says of each line that it gets, and what such a line is: sender, receiver, kind, for a part of a long
# message its header and kind, and the data. A text with several lines makes several lines that begin otherwise.
GOT = re.compile(rb"Got message \d+: <(.*)>$", re.MULTILINE)
ARRIVED = re.compile(rb"(.+) (\+?[0-9]+) (?:udh (?P<header>\S+) )?(?P<kind>text|data|ucs-2) (?P<data>.*)")
SHIPPED = Path(__file__).parents[1] / "integrations" / "kannel" / "postern.conf"
PHONE_NETWORK = """black-list-regex = "^{refused}$"

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
our-host = "{host}"
connect-allow-ip = "{host}"
"""


@dataclass(frozen=True)
class Arrived:
    """A message as the phone network got it. A long one arrives in parts, whose `header` but for its last byte, the
    part's number, is the same; a phone shows them as one."""

    sender: str
    receiver: str
    text: str
    header: bytes = b""
    parts: int = 1

    def is_continued_by(self, other: "Arrived") -> bool:
        return bool(other.header) and (self.receiver, self.header[:-1]) == (other.receiver, other.header[:-1])


class Kannel:
    """A gateway that is started and stopped at will; ports and directory stay the same.

    It refuses `refused_number`, as an operator's black list would.
    """

    refused_number = "+3906000000"

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="postern-kannel-"))
        self.user, self.password = "postern", f"ke:y@{secrets.token_hex(8)}"
        self._admin_password = secrets.token_hex(8)
        self._configuration = self.directory / "kannel.conf"
        self._ports = {name: free_port() for name in ("admin", "smsbox", "sendsms", "smsc")}
        self._boxes: list[subprocess.Popen] = []
        self._network: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def port(self) -> int:
        """Where it takes messages."""
        return self._ports["sendsms"]

    @property
    def url(self) -> str:
        return f"kannel://{self.user}:{quote(self.password, safe='')}@{HOST}:{self.port}/"

    def start(self) -> None:
        self._write_configuration()
        self._boxes.append(self._run(BEARERBOX, *QUIET, str(self._configuration)))
        self.start_network()
        self._boxes.append(self._run(SMSBOX, *QUIET, str(self._configuration)))
        # Its port opens before it knows its users, and a message before it has reached bearerbox makes it die.
        self._wait_for("smsbox:")

    def stop(self) -> None:
        self.stop_network()
        while self._boxes:
            _end(self._boxes.pop())

    def start_network(self) -> None:
        """The phone network: what it gets, phones show."""
        # It wants a message that phones would send, and sends none of them.
        wait_until(lambda: is_listening(self._ports["smsc"]), "bearerbox listens for the phone network")
        self._network = self._run(FAKE_SMSC, "-H", HOST, "-r", str(self._ports["smsc"]), "-m", "0", "1 2 text none")
        self._wait_for("(online")

    def stop_network(self) -> None:
        """Kannel queues what it gets meanwhile; when it tries again, after `start_network`, is its own affair."""
        if self._network:
            _end(self._network)
            self._network = None
            self._wait_for("(re-connecting")

    def arrived(self) -> list[Arrived]:
        """What reached the phone network since the first start, as phones show it."""
        messages: list[Arrived] = []
        for line in GOT.findall((self.directory / "fakesmsc.out").read_bytes()):
            found = ARRIVED.fullmatch(line)
            if not found:
                messages[-1] = replace(messages[-1], text=f"{messages[-1].text}\n{line.decode()}")
                continue
            message = _read(found)
            earlier = next((each for each in messages if each.is_continued_by(message)), None)
            if earlier:
                longer = replace(earlier, text=earlier.text + message.text, parts=earlier.parts + 1)
                messages[messages.index(earlier)] = longer
            else:
                messages.append(message)
        return messages

    def wait_for(self, count: int, seconds: float = 10) -> list[Arrived]:
        """The messages as soon as there are at least `count`; raises `TimeoutError`."""
        wait_until(lambda: len(self.arrived()) >= count, f"{count} text messages arrive", seconds)
        return self.arrived()

    def status(self) -> str:
        """What bearerbox says about itself; nothing while it does not answer."""
        address = f"http://{HOST}:{self._ports['admin']}/status.txt?password={self._admin_password}"
        try:
            return requests.get(address, timeout=5).text
        except requests.RequestException:
            return ""

    def written(self) -> str:
        """All that Kannel wrote: its logs, and whatever else there is but its configuration and the phones."""
        files = [file for file in self.directory.iterdir() if file.name not in ("kannel.conf", "fakesmsc.out")]
        return "\n".join(file.read_text(errors="replace") for file in files)

    def _write_configuration(self) -> None:
        """The shipped one with ports, passwords and a directory of our own, and the fake phone network."""
        text = SHIPPED.read_text().replace("/var/log/kannel", str(self.directory))
        for shipped, own in (
            ("13000", self._ports["admin"]),
            ("13001", self._ports["smsbox"]),
            ("sendsms-port = 13013", f"sendsms-port = {self.port}"),
            ("choose-a-password", self._admin_password),
            ("choose-another-one", f'"{self.password}"'),
        ):
            assert shipped in text
            text = text.replace(shipped, str(own))
        refused = self.refused_number.replace("+", "[+]")
        # An empty line ends a group: the first line of ours still belongs to Postern's login.
        self._configuration.write_text(
            text + PHONE_NETWORK.format(refused=refused, smsc=self._ports["smsc"], host=HOST)
        )

    def _run(self, program: str, *arguments: str) -> subprocess.Popen:
        with (self.directory / f"{Path(program).name}.out").open("ab") as out:
            return subprocess.Popen(
                [program, *arguments], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def _wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.status(), f"bearerbox says “{words}”")


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(found: re.Match) -> Arrived:
    data = found["data"] if found["kind"] == b"text" else _decoded(found["data"])
    # fakesmsc does not tell a part's alphabet: in UCS-2, Latin and Cyrillic have bytes that no text has.
    is_ucs2 = found["kind"] == b"ucs-2" or any(byte < 10 for byte in data)
    text = data.decode("utf-16-be" if is_ucs2 else "utf-8", "replace")
    return Arrived(found[1].decode(), found[2].decode(), text, _decoded(found["header"] or b""))


def _decoded(data: bytes) -> bytes:
    return unquote_to_bytes(data.replace(b"+", b" "))
