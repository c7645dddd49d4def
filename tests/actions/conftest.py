"""What the tests of the actions share."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

import database as db
from actions.ground.actor import Actor
from actions.ground.ports import Ports
from lab.actors import acting
from models import Account
from tests.actions.office import NAMES, Office
from tests.conftest import Clock, People

LONGEST_WAIT = 30


def at_the_same_instant(*calls: Callable[[], object]) -> list[object]:
    """What each call returned or raised, all of them begun at once, each in a thread with a connection of its own."""
    outcomes: list[object] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int) -> None:
        with db.database.connection_context():
            start.wait(LONGEST_WAIT)
            try:
                outcomes[place] = calls[place]()
            except Exception as raised:
                outcomes[place] = raised

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_WAIT)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


@pytest.fixture(autouse=True)
def _time_stands_still(clock: Clock) -> None:
    """However slow the machine is, no attempt is forgiven and nothing grows old while a test runs."""


@pytest.fixture
def office(ports: Ports, people: People, manager: Account) -> Office:
    """A manager of three mailboxes on a host that has a gateway for text messages."""
    for name in NAMES:
        people.add(name)
    with_gateway = replace(ports, settings=replace(ports.settings, sms_url="demo:"))
    return Office(with_gateway, people.domain, acting(manager))


@pytest.fixture
def mara(office: Office) -> Actor:
    """The manager, who acts."""
    return office.actor
