"""Mail programs during an upgrade. Dovecot asks what version 008 made it ask, while `flask db upgrade` brings the
database of that version to the present one; then it gets the present configuration."""

import imaplib
import re
import smtplib
from collections.abc import Callable

import pytest

import database as db
from adapters.dovecot import config as dovecot_config
from lab.accounts import DOVECOT_ACCOUNT
from lab.installation import environment_of
from lab.servers import HOST, REFUSE_QUICKLY, Dovecot, idle, imap_accepts, imap_login, mail_settings, wait_until
from settings import Settings
from tests.conftest import app_of, ports_of
from tests.test_old_version import ANNA, NOTES, PASSWORD, fill
from tests.test_upgrades import CHANGES

pytestmark = pytest.mark.every_pair

# All that Dovecot asks today and did not ask in version 008.
LATER_VIEW = "mail_former_address"
LATER_QUERY = re.compile(r" \\\n *UNION ALL SELECT (?:[^\n]*\\\n)*[^\n]*")
RECORDED = re.compile(r'INSERT INTO ["`]migratehistory')

# An account's password, devices, and a collaborator's device.
LOGINS = [(ANNA, PASSWORD), *((each["login"], each["password"]) for each in NOTES["devices"].values())]


class DovecotOfBefore(Dovecot):
    """It asks what version 008 made it ask, until its operator writes the configuration again."""

    is_of_before = True

    def _files(self) -> dict[str, str]:
        files = super()._files()
        return {name: LATER_QUERY.sub("", text) for name, text in files.items()} if self.is_of_before else files

    def become_present(self) -> None:
        self.is_of_before = False
        self.configure()
        self.doveadm("reload")

    def let_in(self, login: str, password: str) -> None:
        """A connection that ends before an answer, as some do while Dovecot loads its configuration again, is tried
        again, as a mail program does; any refusal raises."""
        wait_until(lambda: self._lets_in(login, password), f"{login} comes in")

    def _lets_in(self, login: str, password: str) -> bool:
        try:
            imap_login(self.port("imap"), login, password).shutdown()
        except imaplib.IMAP4.abort:
            return False
        return True

    def deliver(self, address: str) -> None:
        """A message by LMTP. What is refused for now is tried again, as Postfix does; any other refusal raises."""
        wait_until(lambda: self._takes(address), f"mail to {address} is taken")

    def _takes(self, address: str) -> bool:
        try:
            with smtplib.LMTP(HOST, self.port("lmtp"), timeout=10) as lmtp:
                lmtp.sendmail("far@example.net", [address], b"Subject: meanwhile\r\n\r\nHello\r\n")
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as refused:
            if max(_codes(refused)) >= 500:
                raise
            return False
        return True


def _codes(refused: smtplib.SMTPException) -> list[int]:
    if isinstance(refused, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in refused.recipients.values()]
    return [refused.smtp_code]


class MailProgram:
    """Signed in before the upgrade, and never again."""

    def __init__(self, dovecot: Dovecot, login: str, password: str):
        self._connection = imap_login(dovecot.port("imap"), login, password)

    def messages(self) -> int:
        assert self._connection.noop()[0] == "OK"
        answer, [count] = self._connection.select("INBOX")
        assert answer == "OK"
        return int(count)


@pytest.fixture
def old_settings(request, tmp_path, database_url, dovecot_version) -> Settings:
    """Those of a mail host whose database is as version 008 left it, down to the rights of Dovecot's account."""
    fill(database_url, tmp_path)
    with db.open_database(database_url).connection_context():
        # As every version of the panel has opened it.
        pass
    settings = mail_settings(
        database_url,
        tmp_path / "instance",
        dovecot_version=dovecot_version,
        secret_key=NOTES["secret_key"],
        **DOVECOT_ACCOUNT,
    )
    if database_url.startswith("mysql:"):
        grant(request, settings, with_later_view=False)
    return settings


def grant(request, settings: Settings, with_later_view: bool) -> None:
    """What the SQL of `dovecot config` gives Dovecot's account; of version 008, with what there was to be read."""
    statements = filter(str.strip, dovecot_config.grants(settings).split(";"))
    server = request.getfixturevalue("mariadb_server")
    server.execute(*(each for each in statements if with_later_view or LATER_VIEW not in each))


def upgrade(settings: Settings, ports, in_each_step: Callable[[], None], monkeypatch) -> None:
    """`flask db upgrade`; in the middle of each step, after the first statement that changes something, something else
    happens."""
    app = app_of(settings, ports)
    opened = db.database.obj
    plain, is_begun = opened.execute_sql, [False]

    def execute(statement, *arguments, **named):
        cursor = plain(statement, *arguments, **named)
        if RECORDED.match(statement):
            is_begun[0] = False
        elif CHANGES.match(statement) and not is_begun[0]:
            is_begun[0] = True
            in_each_step()
        return cursor

    with monkeypatch.context() as patched:
        patched.setattr(opened, "execute_sql", execute)
        done = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert done.exit_code == 0, done.output
    assert "009_numbers_that_never_come_again" in done.output


def test_mail_programs_go_on_and_come_in_while_the_database_is_upgraded(
    request, old_settings, tmp_path, mail_server, mailer, monkeypatch
):
    environment = environment_of(tmp_path / "instance", old_settings.database_url)
    settings = Settings.load(environment)
    seen = []
    with DovecotOfBefore(old_settings, REFUSE_QUICKLY) as dovecot:
        assert not [text for text in dovecot._files().values() if LATER_VIEW in text]
        connected = [MailProgram(dovecot, *each) for each in LOGINS]
        waiting = idle(imap_login(dovecot.port("imap"), *LOGINS[0]))

        def use() -> None:
            """Others come in, strangers do not, and who is in reads what has arrived."""
            for each in LOGINS:
                dovecot.let_in(*each)
            assert not imap_accepts(dovecot.port("imap"), ANNA, "wrong")
            dovecot.deliver(ANNA)
            seen.append([each.messages() for each in connected])

        use()
        upgrade(settings, ports_of(settings, mail_server, mailer), use, monkeypatch)
        use()
        if old_settings.database_url.startswith("mysql:"):
            grant(request, old_settings, with_later_view=True)
        dovecot.become_present()
        use()
        assert len(seen) > 8
        assert seen == [[count] * len(LOGINS) for count in range(1, len(seen) + 1)]
        assert waiting.is_open()
