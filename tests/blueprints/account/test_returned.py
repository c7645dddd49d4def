"""What the pages say about a contact address that takes no e-mails."""

import pytest

import worker
from actions.outbox import outbox
from lab.html_tree import words
from models import Account, now
from tests.client import Client
from tests.conftest import PASSWORD

COME_BACK = "E-mails to anna@elsewhere.example.com come back (the mailbox is full)"


@pytest.fixture
def returned(anna: Account) -> Account:
    anna.write(bounced_address=anna.contact_email, bounce_status="5.2.2", bounced_at=now())
    return anna


@pytest.fixture
def managers(client: Client, manager: Account) -> Client:
    client.sign_in(manager.login, PASSWORD)
    return client


@pytest.mark.parametrize("page", ["/account/password", "/account/preferences", "/account/contact-test"])
def test_the_accounts_pages_say_so(signed_in: Client, anna: Account, page: str):
    assert "come back" not in words(signed_in.open(page).tree).replace("comes back", "")
    anna.write(bounced_address=anna.contact_email, bounce_status="5.2.2", bounced_at=now())
    assert COME_BACK in words(signed_in.open(page).tree)


def test_a_test_e_mail_is_sent_from_there(signed_in: Client, returned: Account, ports, mailer):
    page = signed_in.open("/account/password").follow("Check the address").press("Send the test e-mail")
    assert (page.path, page.status) == ("/account/password", 200)
    assert "A test e-mail is on its way to anna@elsewhere.example.com." in words(page.tree)
    assert COME_BACK not in words(page.tree)
    outbox.deliver_due(ports, worker.HANDLERS)
    ((recipient, message),) = mailer.sent
    assert recipient == returned.contact_email
    assert "A test e-mail for anna@example.org" in message["Subject"]


def test_without_a_contact_address_there_is_no_button(signed_in: Client, anna: Account):
    anna.write(contact_email="")
    page = signed_in.open("/account/contact-test")
    assert "There is no contact e-mail." in words(page.tree)
    assert "Send the test e-mail" not in words(page.tree)


@pytest.mark.parametrize("page", ["", "/link"])
def test_the_manager_is_told_before(managers: Client, returned: Account, page: str):
    mailbox = returned.mailbox
    address = f"/services/{mailbox.domain.service_id}/mailboxes/{mailbox.id}{page}"
    assert COME_BACK in words(managers.open(address).tree)
    returned.write(contact_email="new@example.net")
    assert "come back" not in words(managers.open(address).tree)


def test_the_list_of_users_marks_them(managers: Client, people, returned: Account):
    people.add("boris")
    page = managers.open(f"/services/{people.service.id}/mailboxes/")
    assert words(page.tree).count("E-mails come back") == 1


def test_the_owner_is_told_about_a_collaborator(signed_in: Client, people, anna: Account):
    carla = people.add_collaborator(anna)
    carla.write(bounced_address=carla.contact_email, bounce_status="5.7.1", bounced_at=now())
    for page in ("", "/reset"):
        told = words(signed_in.open(f"/collaborations/{carla.collaboration.id}{page}").tree)
        assert f"E-mails to {carla.contact_email} come back (the mail server refuses them)" in told


def test_what_a_server_says_stays_text(signed_in: Client, anna: Account):
    anna.write(contact_email="a<b>@example.net", bounced_address="a<b>@example.net", bounce_status="<b>", bounced_at=1)
    told = "E-mails to a<b>@example.net come back (they cannot be delivered)"
    assert told in words(signed_in.open("/account/password").tree)
