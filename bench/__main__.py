"""Measure everything and print a table. A missed aim is printed as such: it is a finding, not a failure."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import devices, page, password_changes, server, webmail
from bench.measure import Ratio


@dataclass(frozen=True)
class Line:
    """One result: what was measured, how much it may be at most or at least, how much it is, and what is behind it."""

    what: str
    aim: float
    result: float
    detail: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        is_met = self.result >= self.aim if self.at_least else self.result <= self.aim
        verdict = "met" if is_met else "MISSED"
        return f"{self.what:<64} {self.aim:>6g} {self.result:>7.2f}  {verdict:<7} {self.detail}".rstrip()


def main() -> None:
    print(f"{'':<64} {'aim':>6} {'result':>7}")
    for line in lines():
        print(line, flush=True)


def lines() -> Iterator[Line]:
    change, shown = "change of password / argon2 verify + hash", "password page / bare Flask route"
    yield ratio(f"{change}, in process", 1.2, server.change_in_process)
    yield ratio(f"{change}, uWSGI", 1.2, server.change_through_uwsgi)
    yield ratio(f"{change}, doveadm", 1.2, server.change_everywhere_with_dovecot)
    yield ratio(f"{shown}, in process", 4, server.page_in_process)
    yield ratio(f"{shown}, uWSGI", 4, server.page_through_uwsgi)
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        load = page.cold_load(Path(directory))
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        speeds = devices.speeds(Path(directory))
    yield Line("cold load of the password page, requests", 8, len(load.requests))
    yield Line("cold load of the password page, KB on the wire", 80, load.bytes / 1000)
    logins = "IMAP logins/s with a device password"
    yield Line(f"{logins} / with a passwd-file", 0.8, speeds.over_passwd_file, str(speeds), at_least=True)
    yield Line(f"{logins}, 50 devices / 1 device", 0.95, speeds.fifty_over_one, str(speeds), at_least=True)
    yield from in_roundcube()
    yield from several_passwords()


def several_passwords() -> Iterator[Line]:
    many, few = password_changes.run(), password_changes.run(password_changes.FEW)
    pages = password_changes.pages()
    memory = f"{many.memory:.0f} MB / {few.memory:.0f} MB"
    yield Line("5,000 passwords changed / 5,000 hashes on all cores", 1.15, many.over_hashing, str(many))
    yield Line("the worker's memory at most, 5,000 / 500 mailboxes", 1.1, many.memory / few.memory, memory)
    yield Line("password page meanwhile / idle, 95th percentile", 2, pages.busy_over_idle, str(pages))


def in_roundcube() -> Iterator[Line]:
    with webmail.mail_host() as host:
        views, mail_list = webmail.views(host), webmail.mail_list(host)
    own = "Password in Roundcube / Roundcube's own plugin"
    yield Line(f"{own}, click to usable form", 1.5, views.seconds.value, times(views.seconds))
    yield Line(f"{own}, KB more on the first view", 60, views.first_bytes / 1000)
    yield Line(f"{own}, KB more on the next", 8, views.next_bytes / 1000)
    yield Line("Roundcube's mail list, credential / argon2 password", 0.5, mail_list.value, times(mail_list))


def ratio(what: str, aim: float, measure: Callable[[Path], Ratio]) -> Line:
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        result = measure(Path(directory))
    return Line(what, aim, result.value, times(result))


def times(result: Ratio) -> str:
    return f"{result.subject * 1000:.2f} ms / {result.base * 1000:.2f} ms"


if __name__ == "__main__":
    main()
