"""From a backup to people who get in: Dovecot judges what a restore made of nothing, on SQLite and on MariaDB."""

import shutil
from dataclasses import replace

import pytest

import upgrades
from backups import _envelope, _rows, backup, restore
from database import database, is_sqlite, sqlite_file
from lab import dovecots
from lab.mail_host import OWN_PASSWORD, MailHost, running_mail_host
from settings import Settings
from tests.mailhost.test_devices import new_person

PASSPHRASE, LATER = "quiet harbour nine", "Later-Horse-1"


@pytest.fixture
def host(request, database_url, tmp_path):
    """With the Dovecot of this machine."""
    server = request.getfixturevalue("mariadb_server") if database_url.startswith("mysql:") else None
    (tmp_path / "instance").mkdir(mode=0o700)
    version = dovecots.native_version()
    with running_mail_host(database_url, server, tmp_path / "instance", dovecot_version=version) as host:
        yield host


def purge(settings: Settings) -> None:
    """Whatever an installation knows is gone: the database and the instance directory."""
    if is_sqlite():
        database.close()
        file = sqlite_file(settings.database_url)
        for each in file.parent.glob(f"{file.name}*"):
            each.unlink()
    else:
        _rows.drop_all()
        database.close_all()
    shutil.rmtree(settings.instance)
    settings.instance.mkdir(mode=0o700)


def restore_on_a_new_host(settings: Settings, file) -> None:
    """Its keys were made when it was set up, and are those of the backup from now on."""
    new = replace(settings, secret_key="n" * 64, doveadm_key="d" * 64)
    for name, key in (("secret.key", new.secret_key), ("doveadm.key", new.doveadm_key)):
        (new.instance / name).write_text(key)
    found = restore.look(file, PASSPHRASE)
    with upgrades.while_nothing_runs():
        restore.refuse_what_does_not_fit(new, found)
        restore.carry_out(new, file, PASSPHRASE, found, print)
    kept = [(new.instance / name).read_text() for name in ("secret.key", "doveadm.key")]
    assert kept == [settings.secret_key, settings.doveadm_key]


def test_after_a_purge_and_a_restore_the_same_people_get_in_with_the_same_devices(
    host: MailHost, tmp_path, monkeypatch
):
    monkeypatch.setattr(_envelope, "COST", 4)
    settings, file = host.dovecot.settings, tmp_path / "postern.backup"
    anna, boris = new_person(host), new_person(host)
    phone, lost = anna.make(), anna.make()
    anna.disconnect(lost)
    with host.accounts.connected():
        backup.write(settings, file, PASSPHRASE)
    later = anna.make()
    host.accounts.set_password(boris.address, LATER)
    assert (anna.opens_imap(later.password), boris.opens_imap(LATER)) == (True, True)

    host.dovecot.stop()
    purge(settings)
    restore_on_a_new_host(settings, file)
    host.dovecot.start()

    assert anna.opens_imap(OWN_PASSWORD)
    assert anna.opens_imap(phone.password)
    assert anna.opens_pop3(phone.password)
    assert anna.opens_submission(phone.password)
    assert boris.opens_imap(OWN_PASSWORD)
    assert not anna.opens_imap(lost.password)
    assert not anna.opens_imap(later.password)
    assert not boris.opens_imap(LATER)
