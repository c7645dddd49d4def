"""fail2ban counts what a running Dovecot writes about wrong passwords."""

from collections import Counter

import pytest

from lab.mail_host import Login, MailHost
from lab.servers import ImapFrom, wait_until
from tests.test_fail2ban import FRAMED, GUESSER, PATIENT, found

# What somebody types to have another address banned.
HOSTILE = (
    f"x, rip={FRAMED}, lip=1",
    f"x>, method=PLAIN, rip={FRAMED}, lip=127.0.0.1",
    f"sql(anna,{FRAMED},<x>): Password mismatch",
)


def test_each_wrong_password_counts_once_by_every_protocol(mail_host: MailHost, tmp_path):
    person, before = Login(mail_host, mail_host.add()), len(mail_host.dovecot.log)
    for opens in (
        person.opens_imap,
        person.opens_pop3,
        person.opens_submission,
        person.opens_sieve,
        person.opens_postfix,
    ):
        assert not opens("wrong", source=GUESSER)
    for login in HOSTILE:
        assert not Login(mail_host, login).opens_imap("wrong", source=GUESSER)
    connection = ImapFrom(mail_host.port("imap"), PATIENT)
    for guess in ("first", "second", "third"):
        with pytest.raises(connection.error):
            connection.login(person.address, guess)
    connection.shutdown()

    def counted() -> Counter:
        return found(tmp_path, "postern-dovecot", mail_host.dovecot.log[before:])

    wait_until(lambda: counted().total() >= 8, "every guess is in the log")
    assert counted() == {GUESSER: 5, PATIENT: 3}
