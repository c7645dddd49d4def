"""Debian's Kannel with its fake SMSC, on free loopback ports in a directory of its own.

`with Kannel() as kannel:` runs bearerbox, smsbox and fakesmsc. `kannel.url` is the setting `POSTERN_SMS_URL` for it,
`kannel.wait_for(1)` the messages that reached the phone network. Only what was started here is ended.
"""

import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from tests.mailhost.servers import HOST, STOP_SECONDS, _directory, _program, free_port, is_listening, wait_until

FAKE_SMSC = "/usr/lib/kannel/test/fakesmsc"
# On its standard output Kannel says everything, texts included, unless it is told not to.
QUIET = ("-v", "4")
# What fakesmsc says of each line that it gets, and what such a line is: sender, receiver, kind, for a part of a long
# message its header and kind, and the data. A text with several lines makes several lines that begin otherwise.
GOT = re.compile(rb"Got message \d+: <(.*)>$", re.MULTILINE)
ARRIVED = re.compile(rb"(.+) (\+?[0-9]+) (?:udh (?P<header>\S+) )?(?P<kind>text|data|ucs-2) (?P<data>.*)")
# The lines that docs/operating.md tells the operator to write, so that no log and no file has a message's text.
CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = "{host}"
admin-password = {admin_password}
admin-allow-ip = "{host}"
smsbox-port = {smsbox}
smsbox-interface = "{host}"
box-allow-ip = "{host}"
log-file = "{directory}/bearerbox.log"
log-level = 2
access-log = "{directory}/access.log"
access-log-format = "%t %l [SMSC:%i] [ACT:%A] [from:%p] [to:%P] [flags:%m:%c:%d] [msg:%L]"
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
our-host = "{host}"
connect-allow-ip = "{host}"

group = smsbox
bearerbox-host = "{host}"
bearerbox-port = {smsbox}
sendsms-port = {sendsms}
sendsms-interface = "{host}"
global-sender = 13013
log-file = "{directory}/smsbox.log"
log-level = 2
mo-recode = false

group = sendsms-user
username = {user}
password = "{password}"
max-messages = 10
concatenation = true
"""


@dataclass(frozen=True)
class Arrived:
    """A message, or a part of a long one, as the phone network got it."""

    sender: str
    receiver: str
    text: str
    # Of a part: five bytes that say "part of a message", its number, how many parts there are, which one this is.
    header: bytes = b""


class Kannel:
    """A gateway that is started and stopped at will; ports and directory stay the same."""

    def __init__(self):
        self.directory = _directory("kannel")
        self.user, self.password = "postern", f"ke:y@{secrets.token_hex(8)}"
        self._configuration = self.directory / "kannel.conf"
        self._ports = {name: free_port() for name in ("admin", "smsbox", "sendsms", "smsc")}
        self._processes: list[subprocess.Popen] = []

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
        self._run(_program("bearerbox"), *QUIET, str(self._configuration))
        self._wait_for_port("smsbox")
        self._wait_for_port("smsc")
        # It wants a message that phones would send, and sends none of them.
        self._run(FAKE_SMSC, "-H", HOST, "-r", str(self._ports["smsc"]), "-m", "0", "1 2 text none")
        self._run(_program("smsbox"), *QUIET, str(self._configuration))
        self._wait_for_port("sendsms")

    def stop(self) -> None:
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def arrived(self) -> list[Arrived]:
        """What reached the phone network since the first start."""
        messages: list[Arrived] = []
        for line in GOT.findall((self.directory / "fakesmsc.out").read_bytes()):
            found = ARRIVED.fullmatch(line)
            if found:
                messages.append(_read(found))
            else:
                messages[-1] = replace(messages[-1], text=f"{messages[-1].text}\n{line.decode()}")
        return messages

    def wait_for(self, count: int, seconds: float = 10) -> list[Arrived]:
        """The messages as soon as there are at least `count`; raises `TimeoutError`."""
        wait_until(lambda: len(self.arrived()) >= count, f"{count} text messages arrive", seconds)
        return self.arrived()

    def written(self) -> str:
        """All that Kannel wrote into files: logs and, but for the configuration, whatever else there is."""
        files = [file for file in self.directory.iterdir() if file.suffix == ".log" or file.name == "bearerbox.out"]
        return "\n".join(file.read_text(errors="replace") for file in files)

    def _write_configuration(self) -> None:
        values = {"host": HOST, "directory": self.directory, "user": self.user, "password": self.password}
        text = CONFIGURATION.format(admin_password=secrets.token_hex(8), **values, **self._ports)
        self._configuration.write_text(text)

    def _run(self, program: str, *arguments: str) -> None:
        name = Path(program).name
        with (self.directory / f"{name}.out").open("ab") as out:
            self._processes.append(
                subprocess.Popen(
                    [program, *arguments], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out
                )
            )

    def _wait_for_port(self, name: str) -> None:
        wait_until(lambda: is_listening(self._ports[name]), f"Kannel's {name} listens")


def _read(found: re.Match) -> Arrived:
    data = found["data"] if found["kind"] == b"text" else _decoded(found["data"])
    text = data.decode("utf-16-be" if found["kind"] == b"ucs-2" else "utf-8", "replace")
    return Arrived(found[1].decode(), found[2].decode(), text, _decoded(found["header"] or b""))


def _decoded(data: bytes) -> bytes:
    return unquote_to_bytes(data.replace(b"+", b" "))
