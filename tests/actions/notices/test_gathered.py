"""Several devices that are made at once are one e-mail, which comes soon, and says everything once."""

import pytest

import worker
from actions.devices import devices
from actions.devices.devices import WantedDevice
from actions.ground.unit_of_work import UnitOfWork
from actions.outbox import mail, outbox
from actions.sessions import links
from lab.actors import acting
from lab.html_tree import TreeReader
from models import Device, OutboxItem

HOSTILE = "<img src=x>"


@pytest.fixture
def make(ports, anna, clock):
    """`make("name", …)` makes devices of Anna's."""
    count = iter(range(1000))

    def make(*names: str) -> None:
        for name in names:
            wanted = WantedDevice(name, "smartphone", Device.IMAP)
            devices.make(UnitOfWork(ports, acting(anna)), anna, wanted, f"form {next(count)}")

    return make


@pytest.fixture
def letters(ports, mailer, anna, clock):
    """`letters()` delivers what is due; the e-mails to Anna's mailbox since the last call."""

    def letters():
        outbox.deliver_due(ports, worker.HANDLERS)
        found = [message for recipient, message in mailer.sent if recipient == anna.login]
        assert len(mailer.sent) == 2 * len(found)
        mailer.sent.clear()
        return found

    return letters


def told(message) -> list[str]:
    lines = message.get_body(("plain",)).get_content().splitlines()
    return [line.removeprefix("Device: ") for line in lines if line.startswith("Device: ")]


def test_three_devices_made_at_once_are_one_e_mail(ports, anna, make, letters, clock):
    make("Phone")
    clock.pass_by(mail.GATHERED_FOR - 1)
    make(HOSTILE, "Laptop")
    assert letters() == []
    clock.pass_by(1)
    (letter,) = letters()
    assert told(letter) == ["Phone", HOSTILE, "Laptop"]
    assert letter["Subject"] == f"Several device passwords were created for {anna.login}"
    tree = TreeReader().tree(letter.get_body(("html",)).get_content())
    assert not list(tree.iter("img"))
    assert [name.text for name in tree.iter("strong")] == ["Phone", HOSTILE, "Laptop"]
    # The button beneath each of them is about this one.
    buttons = [link.get("href") for link in tree.iter("a") if link.text == "This wasn't me"]
    for address, name in zip(buttons, ["Phone", HOSTILE, "Laptop"], strict=True):
        link = links.find(address.rpartition("/")[2], (links.DISOWN_DEVICE,))
        assert devices.disowned(link).name == name
    clock.pass_by(mail.GATHERED_FOR)
    assert letters() == []


def test_a_warning_is_no_later_than_two_minutes_however_many_follow(make, letters, clock):
    make("Phone")
    clock.pass_by(60)
    make("Laptop")
    clock.pass_by(60)
    assert [told(each) for each in letters()] == [["Phone", "Laptop"]]
    make("Tablet")
    clock.pass_by(120)
    (letter,) = letters()
    assert told(letter) == ["Tablet"]
    assert letter["Subject"].startswith("A device password was created")


def test_what_somebody_delivers_takes_nothing_more(ports, mailer, make, letters, clock):
    """It may be written already: the next device is told of by another e-mail, in which nobody is told twice."""
    make("Phone")
    clock.pass_by(120)
    mailer.is_down = True
    assert letters() == []
    make("Laptop")
    mailer.is_down = False
    clock.pass_by(120)
    assert sorted(map(told, letters())) == [["Laptop"], ["Phone"]]


def test_what_is_taken_while_it_is_being_joined_is_not_joined(ports, anna, make):
    make("Phone")

    def joined(payload):
        for item in OutboxItem.select():
            item.lease(outbox.LEASE)
        return payload

    before = {item.payload for item in OutboxItem.select()}
    assert not outbox.join(ports, "mail", anna, joined)
    assert {item.payload for item in OutboxItem.select()} == before


def test_one_e_mail_holds_so_many_and_no_more(make, letters, clock):
    names = [f"Device {number}" for number in range(mail.MOST_MORE + 2)]
    make(*names)
    clock.pass_by(120)
    assert [len(told(each)) for each in letters()] == [mail.MOST_MORE + 1, 1]


def test_devices_of_others_are_told_to_others(ports, people, anna, make, mailer, clock):
    boris = people.add("boris")
    make("Phone")
    wanted = WantedDevice("Tablet", "tablet", Device.IMAP)
    devices.make(UnitOfWork(ports, acting(boris)), boris, wanted, "form")
    clock.pass_by(120)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert {recipient: told(message) for recipient, message in mailer.sent} == {
        anna.login: ["Phone"],
        anna.contact_email: ["Phone"],
        boris.login: ["Tablet"],
        boris.contact_email: ["Tablet"],
    }
