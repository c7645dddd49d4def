"""What the configuration of this machine's Postfix says, by its own `postconf`."""

import socket
import subprocess
from dataclasses import dataclass

from adapters.programs import path_of

# Seconds.
PATIENCE = 5


class PostfixUnknown(Exception):
    """Nothing is known of Postfix. The text is a sentence that says why."""


@dataclass(frozen=True)
class Service:
    """A service of master.cf that listens on a port, and what holds for it, whichever file says so."""

    name: str
    parameters: dict[str, str]


def services(ports: set[int], *parameters: str) -> list[Service]:
    """The services on these ports, each with the values of these parameters. Raises `PostfixUnknown`."""
    names = [line.split()[0] for line in _postconf("-M").splitlines() if line.split()[1:2] == ["inet"]]
    everywhere = dict(zip(parameters, _postconf("-xh", *parameters).split("\n"), strict=False))
    overridden = [line.partition(" = ") for line in _postconf("-P").splitlines()]
    own = {place: value for place, _, value in overridden}
    return [
        Service(name, {each: own.get(f"{name}/inet/{each}", everywhere.get(each, "")).strip() for each in parameters})
        for name in names
        if _port(name) in ports
    ]


def _postconf(*words: str) -> str:
    command = path_of("postconf")
    if not command:
        raise PostfixUnknown("Postfix is not installed on this machine.")
    try:
        done = subprocess.run(  # noqa: S603 - nothing in it comes from outside
            [command, *words], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise PostfixUnknown("Postfix's configuration on this machine cannot be read.") from None
    return done.stdout


def _port(service: str) -> int | None:
    """The port that a service is called after, such as `submission` or `127.0.0.1:587`."""
    name = service.rpartition(":")[2]
    try:
        return int(name) if name.isdigit() else socket.getservbyname(name, "tcp")
    except OSError:
        return None
