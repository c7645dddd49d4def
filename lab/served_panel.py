"""The demo as it is deployed: a real uWSGI with its worker, whose processes can be killed; and people who use it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import requests

from lab.sandbox import CONFINED
from lab.servers import HOST, free_port, wait_until

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
PASSWORD = "First-Secret-1"
REQUEST_SECONDS = 30
STOP_SECONDS = 5
CHEAP_HASHES = {"POSTERN_ARGON2_MEMORY": "7168", "POSTERN_ARGON2_TIME": "1"}


class ServedPanel:
    """A running demo on a free loopback port. `settings` are further `POSTERN_…` variables."""

    def __init__(self, instance: Path, **settings: str):
        self.instance = instance
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.environment = _without_settings(os.environ) | {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "HOST": HOST,
            "PORT": str(self.port),
            "POSTERN_INSTANCE": str(instance),
            "POSTERN_BASE_URL": self.url,
            "POSTERN_DEMO": "yes",
            "POSTERN_DEMO_PASSWORD": PASSWORD,
            **settings,
        }
        self._master: subprocess.Popen | None = None

    @property
    def database(self) -> Path:
        return self.instance / "postern.db"

    def __enter__(self) -> Self:
        self.flask("demo")
        self.start()
        return self

    def __exit__(self, *_error) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; returns when the panel says that it is well."""
        with (self.instance / "uwsgi.log").open("ab") as log:
            self._master = subprocess.Popen(
                [*CONFINED, "uwsgi", "--ini", "wsgi.ini"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.is_well, "the panel answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End as a service manager does: ask, and kill what does not listen, such as a process that just starts. The
        worker may outlive its master by the item in hand."""
        if self._master:
            descendants = list(_descendants(self._master.pid))
            self._master.terminate()
            try:
                self._master.wait(STOP_SECONDS)
                wait_until(lambda: not any(map(_command, descendants)), "its processes end", STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill_everything()
            except TimeoutError:
                for process in descendants:
                    _kill(process)
            self._master = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, connections are made as ever and nothing answers: it is very slow."""
        os.killpg(self._master.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._master.pid, signal.SIGCONT)

    def flask(self, *words: str) -> str:
        """What one of the operator's commands prints."""
        return self.run("flask", "--app", "wsgi", *words)

    def run(self, *command: str, typed: str = "") -> str:
        """What a program prints that runs beside the panel, with its settings; raises `RuntimeError` when it fails."""
        ran = subprocess.run(command, cwd=ROOT, env=self.environment, input=typed, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def is_well(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=REQUEST_SECONDS).ok
        except requests.RequestException:
            return False

    def web_processes(self) -> list[int]:
        """uWSGI's processes that answer requests."""
        return [child for child in _children(self._master.pid) if b"flask" not in _command(child)]

    def worker_process(self) -> int:
        """The process that delivers, and changes passwords of several mailboxes."""
        # uWSGI starts it through a shell.
        return [each for each in _descendants(self._master.pid) if b"flask" in _command(each)][-1]

    def kill_web_process(self, number: int) -> None:
        """`kill -9` one process that answers requests; uWSGI begins another one in its place."""
        processes = self.web_processes()
        if processes:
            _kill(processes[number % len(processes)])

    def kill_everything(self) -> None:
        """`kill -9` every process at once, the worker among them, as when the machine loses its power."""
        master, self._master = self._master, None
        descendants = list(_descendants(master.pid))
        os.killpg(master.pid, signal.SIGKILL)
        for process in descendants:
            _kill(process)
        master.wait(STOP_SECONDS)


class Person:
    """Somebody with a mailbox and a browser without JavaScript. Raises `requests.ConnectionError` when cut off."""

    def __init__(self, url: str, login: str, password: str = PASSWORD):
        self.login, self.password = login, password
        self._url = url
        self._browser = requests.Session()
        self._browser.trust_env = False

    @property
    def cookies(self) -> str:
        """What the browser sends with a request."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._browser.cookies)

    def sign_in(self) -> bool:
        """Whether the password opens the panel."""
        return self._send("/sign-in", login=self.login, password=self.password).status_code == 303

    def is_signed_in(self) -> bool:
        return self._get("/account/password").status_code == 200

    def change_password(self, new: str, **choices: str) -> requests.Response:
        """Press “Change”, or with `everywhere="yes"` the other button; the answer as it comes, before any redirect."""
        fields = {"current_password": self.password, "new_password": new, "confirm_password": new}
        return self._send("/account/password", **fields, **choices)

    def _get(self, path: str) -> requests.Response:
        return self._browser.get(self._url + path, timeout=REQUEST_SECONDS, allow_redirects=False)

    def _send(self, path: str, **fields: str) -> requests.Response:
        """Fill in the form of a page and press its button."""
        page = self._get(path)
        if page.status_code != 200:
            return page
        content = {"csrf_token": csrf_token(page.text)} | fields
        return self._browser.post(self._url + path, content, timeout=REQUEST_SECONDS, allow_redirects=False)


def csrf_token(page: str) -> str:
    """The token of a page's form."""
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]


def _without_settings(environment) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("POSTERN_", "UWSGI_"))}


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _descendants(process: int) -> Iterator[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _command(process: int) -> bytes:
    """What a process was started as; nothing for one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
