"""One transaction, and what follows its commit."""

import pytest
from peewee import OperationalError

from actions.ground.actor import Actor
from actions.ground.refusals import Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from database import database as db
from models import Account

DEADLOCK = 1213


@pytest.fixture
def unit(ports) -> UnitOfWork:
    return UnitOfWork(ports)


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def later(done):
    """Has something done after the commit, which notes what it was and whether a transaction was open."""

    def leave(unit: UnitOfWork, what: str, succeeds: bool = True) -> None:
        def effect() -> bool:
            done.append(f"{what}, inside" if db.in_transaction() else what)
            return succeeds

        unit.after_commit(effect)

    return leave


def test_what_is_left_to_be_done_is_done_in_order_once_the_outermost_is_committed(unit, later, done):
    @unit_of_work
    def inner(unit):
        later(unit, "inner")

    @unit_of_work
    def outer(unit):
        later(unit, "first")
        inner(unit.by(Actor(address="192.0.2.1")))
        later(unit, "last")
        return list(done)

    assert outer(unit) == []
    assert done == ["first", "inner", "last"]
    assert outer(unit) == ["first", "inner", "last"]
    assert done == ["first", "inner", "last"] * 2


def test_what_is_refused_leaves_nothing_to_be_done(unit, later, done):
    @unit_of_work
    def refused(unit):
        later(unit, "refused")
        raise Refused("No.")

    @unit_of_work
    def outer(unit):
        later(unit, "before")
        with pytest.raises(Refused):
            refused(unit)
        later(unit, "after")

    with pytest.raises(Refused):
        refused(unit)
    outer(unit)
    assert done == ["before", "after"]


def test_a_transaction_that_is_lost_is_begun_again_and_followed_once(unit, later, done, anna):
    tries = []

    @unit_of_work
    def inner(unit):
        later(unit, "inner")
        if len(tries) < 3:
            raise OperationalError(DEADLOCK, "Deadlock found when trying to get lock")

    @unit_of_work
    def outer(unit):
        tries.append(anna.first_name)
        anna.write(first_name="Zoe")
        later(unit, "outer")
        inner(unit)

    name = anna.first_name
    outer(unit)
    assert tries == [name] * 3
    assert Account.get_by_id(anna.id).first_name == anna.first_name == "Zoe"
    assert done == ["outer", "inner"]


def test_what_could_not_be_done_is_pending(unit, later, ports):
    @unit_of_work
    def act(unit, succeeds):
        later(unit, "", succeeds)

    act(unit, True)
    assert not unit.is_pending
    act(unit, False)
    act(unit, True)
    assert unit.is_pending
    assert unit.by(Actor()).is_pending
    assert not UnitOfWork(ports).is_pending
