"""`flask setup` below a directory: what it writes, that it can be run again, killed at each write, and undone."""

import json
import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from adapters.dovecot import config as dovecot_config
from setup_host import app, record
from setup_host.command import setup
from setup_host.host import Host
from setup_host.record import DIRECTORY

MAIN_CF = """# The operator's own.
myhostname = mail.example.org
mydestination = $myhostname, example.org, localhost
inet_interfaces = all
recipient_delimiter = +
"""
MASTER_CF = """smtp      inet  n       -       y       -       -       smtpd
# A comment.
pipe      unix  -       n       n       -       -       pipe
  user=nobody
"""
EVERYBODY = {"postern", "postern-sender-check", "systemd", "dovecot", "postfix", "nginx", "fail2ban"}
DEFAULT_SITE = "server {\n    listen 80 default_server;\n}\n"
ANSWERS = {
    "base-url": "https://account.example.org",
    "mail-host": "mail.example.org",
    "domain": "example.org",
    "organisation": "Example Ltd",
    "manager": "manager@example.com",
    "mailbox": "anna@example.org",
    "certificate": "/etc/ssl/chain.pem",
    "key": "/etc/ssl/key.pem",
    "webmail": "https://webmail.example.org",
    "webmail-host": "192.0.2.10",
}


@pytest.fixture(params=["12", "13"], ids=lambda release: f"debian-{release}")
def root(request, tmp_path) -> Path:
    """What a Debian with the packages has, as far as setup reads it."""
    release = f'ID=debian\nVERSION_ID="{request.param}"\n'
    for name, text in {
        "etc/os-release": release,
        "etc/postfix/main.cf": MAIN_CF,
        "etc/postfix/master.cf": MASTER_CF,
        "etc/nginx/sites-available/default": DEFAULT_SITE,
        "etc/dovecot/dovecot.conf": "# Debian's\n",
        "etc/fail2ban/jail.conf": "[DEFAULT]\n",
        "var/lib/dpkg/status": "",
    }.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    enabled = tmp_path / "root/etc/nginx/sites-enabled"
    enabled.mkdir()
    (enabled / "default").symlink_to("/etc/nginx/sites-available/default")
    (tmp_path / "root/etc/postfix/main.cf").chmod(0o640)
    return tmp_path / "root"


@pytest.fixture(autouse=True)
def nobody_waits_for_the_disk(monkeypatch):
    """A process that is killed loses nothing that it has written; only a machine without power would."""
    monkeypatch.setattr(record.os, "fsync", lambda _descriptor: None)


def options(root: Path, *more: str, **changed: str) -> list[str]:
    answers = ANSWERS | {name.replace("_", "-"): value for name, value in changed.items()}
    words = [word for name, value in answers.items() if value for word in (f"--{name}", value)]
    return ["setup", "--root", str(root), "--yes", *words, *more]


def run(root: Path, *more: str, **changed: str) -> str:
    done = app.test_cli_runner().invoke(args=options(root, *more, **changed))
    assert done.exit_code == 0, done.output
    return done.output


def refused(root: Path, *more: str, **changed: str) -> str:
    done = app.test_cli_runner().invoke(args=options(root, *more, **changed))
    assert done.exit_code == 1
    return done.output


def undo(root: Path) -> str:
    done = app.test_cli_runner().invoke(args=["setup", "--root", str(root), "--yes", "--undo"])
    assert done.exit_code == 0, done.output
    return done.output


def tree(root: Path) -> dict[str, tuple]:
    """Everything below a directory, without what setup keeps for itself."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if name.startswith(DIRECTORY):
            continue
        facts = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[name] = (stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid, content)
    return found


def without_data(found: dict[str, tuple]) -> dict[str, tuple]:
    """Without the directories of the data, the keys and the settings, which undo leaves; and their parents."""
    data = ("/var/lib/postern", "/var/vmail")
    return {name: facts for name, facts in found.items() if not name.startswith(data)}


def due(root: Path) -> set[str]:
    """Who has to hear of new files. A server that did not hear of its own would go on with the former one."""
    return set(json.loads(text(root, f"{DIRECTORY.lstrip('/')}/manifest.json"))["due"])


def text(root: Path, name: str) -> str:
    return (root / name).read_text()


# --- what is written ---


def test_the_units_of_the_package_are_used_and_not_covered_by_copies(root):
    packaged = root / "usr/lib/systemd/system"
    packaged.mkdir(parents=True)
    for unit in ("postern", "postern-sender-check"):
        (packaged / f"{unit}.service").write_text("[Service]\n")
    run(root)

    assert list(root.glob("etc/systemd/system/postern*")) == []
    # Both are enabled and started all the same: their settings are new.
    assert {"postern", "postern-sender-check"} <= due(root)


def test_every_file_has_the_names_that_were_said(root):
    run(root)

    site = text(root, "etc/nginx/conf.d/postern.conf")
    assert "server_name account.example.org;" in site
    assert "ssl_certificate /etc/ssl/chain.pem;" in site
    assert "ssl_certificate_key /etc/ssl/key.pem;" in site
    assert "default_server" in site
    assert not os.path.lexists(root / "etc/nginx/sites-enabled/default")
    assert "ignoreip = 127.0.0.0/8 ::1 192.0.2.10\n" in text(root, "etc/fail2ban/jail.d/postern.conf")
    assert "ExecStart=/opt/postern/.venv/bin/uwsgi" in text(root, "etc/systemd/system/postern.service")
    toml = text(root, "var/lib/postern/postern.toml")
    assert 'base_url = "https://account.example.org"\n' in toml
    assert 'webmail_origins = ["https://webmail.example.org"]\n' in toml
    assert 'submission_relay = "127.0.0.1:10587"\n' in toml


def test_dovecots_files_are_those_of_its_own_command_for_the_debians_version(root):
    run(root)

    version = Host(root).dovecot_version()
    written = text(root, "etc/dovecot/dovecot.conf")
    assert written.startswith(f"{dovecot_config.WRITTEN} for Dovecot {version}")
    assert text(root, "var/lib/postern/doveadm.key").strip() in text(root, "etc/dovecot/postern-secrets.conf")


def test_postfix_keeps_its_own_lines_and_gets_ours_once(root):
    run(root)

    main, master = text(root, "etc/postfix/main.cf"), text(root, "etc/postfix/master.cf")
    assert main.startswith("# The operator's own.\nmyhostname = mail.example.org\n")
    assert main.count("virtual_mailbox_domains = example.org\n") == 1
    assert main.count("smtpd_recipient_restrictions =") == 1
    assert "transport_maps" not in main
    assert master.startswith(MASTER_CF)
    assert master.count("127.0.0.1:10587 inet") == 1


def test_the_domains_mail_does_not_go_to_users_of_the_system(root):
    run(root)

    assert "mydestination = $myhostname, localhost\n" in text(root, "etc/postfix/main.cf")


def test_domains_that_postfix_has_already_stay(root):
    with (root / "etc/postfix/main.cf").open("a") as main:
        main.write("virtual_mailbox_domains = example.net,\n  example.com\n")
    run(root)

    written = text(root, "etc/postfix/main.cf")
    assert "virtual_mailbox_domains = example.net, example.com, example.org\n" in written
    assert "\n  example.com" not in written


def test_a_postfix_that_has_its_domains_from_elsewhere_is_left_alone(root):
    with (root / "etc/postfix/main.cf").open("a") as main:
        main.write("virtual_mailbox_domains = hash:/etc/postfix/domains\n")
    before = tree(root)

    assert "virtual_mailbox_domains" in refused(root)
    assert tree(root) == before


def test_default_servers_of_the_operator_stay_the_only_ones(root):
    own = root / "etc/nginx/sites-enabled/own"
    own.write_text("server {\n    listen 443 ssl default_server;\n}\n")
    run(root)

    assert "listen 443 ssl default_server" not in text(root, "etc/nginx/conf.d/postern.conf")
    assert "server_name account.example.org;" in text(root, "etc/nginx/conf.d/postern.conf")
    assert os.path.lexists(root / "etc/nginx/sites-enabled/default")


def test_secrets_are_for_their_owners_only(root):
    run(root)

    for name in ("secret.key", "doveadm.key", "postern.toml"):
        assert stat.S_IMODE((root / "var/lib/postern" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "etc/dovecot/postern-secrets.conf").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "var/lib/postern").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / DIRECTORY.lstrip("/")).stat().st_mode) == 0o700
    kept = [file for file in (root / DIRECTORY.lstrip("/")).rglob("*") if file.is_file()]
    assert kept
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}


@pytest.mark.parametrize("database", ["sqlite", "mariadb", "mysql://postern:very-secret@192.0.2.1/postern"])
def test_nothing_that_is_printed_is_a_secret(root, database):
    said = run(root, "--dry-run", database=database) + run(root, database=database) + run(root, "--dry-run")

    instance = root / "var/lib/postern"
    secrets = [(instance / name).read_text().strip() for name in ("secret.key", "doveadm.key")]
    lines = (instance / "postern.toml").read_text().splitlines()
    secrets += [line.partition("= ")[2].strip('"') for line in lines if line.startswith("dovecot_mysql_password")]
    assert not [secret for secret in [*secrets, "very-secret"] if secret in said]
    assert "very-secret" not in text(root, f"{DIRECTORY.lstrip('/')}/answers.json")


def test_the_passwords_of_a_database_that_setup_makes_stay(root):
    run(root, database="mariadb")
    before = text(root, "var/lib/postern/postern.toml")
    run(root, database="mariadb")

    assert text(root, "var/lib/postern/postern.toml") == before
    assert 'dovecot_mysql_user = "dovecot"' in before


def test_certbots_proofs_are_served_where_certbot_makes_the_certificate(root):
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/certbot").touch()
    said = run(root, certificate="", key="")

    site = text(root, "etc/nginx/conf.d/postern.conf")
    assert "certbot certonly" in said
    assert "server_name account.example.org mail.example.org;\n" in site
    assert "location /.well-known/acme-challenge/ {\n        root /var/www/html;\n" in site
    assert "ssl_certificate /etc/letsencrypt/live/postern/fullchain.pem;" in site
    assert site.count("{") == site.count("}")


# --- what is refused ---


@pytest.mark.parametrize(
    "changed",
    [
        {"base_url": "http://account.example.org"},
        {"base_url": "https://account.example.org:8443"},
        {"base_url": "https://account.example.org/panel"},
        {"mail_host": "mail.example.org; evil"},
        {"mailbox": "anna@example.net"},
        {"certificate": "/etc/ssl/a b.pem"},
        {"certificate": "relative.pem"},
        {"key": ""},
        {"certificate": "", "key": ""},
        {"database": "postgresql://"},
        {"organisation": ""},
        {"webmail": "https://webmail.example.org/path"},
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_is_refused_and_changes_nothing(root, changed):
    before = tree(root)

    assert refused(root, **changed)
    assert tree(root) == before


def test_another_system_is_refused(root):
    (root / "etc/os-release").write_text("ID=ubuntu\nVERSION_ID=24.04\n")

    assert "Debian 12 and 13 only" in refused(root)


def test_a_link_in_the_place_of_a_key_is_not_followed(root, tmp_path):
    """Postern's own user owns the directory, and root reads what is in it."""
    secret = tmp_path / "shadow"
    secret.write_text("root:secret\n")
    instance = root / "var/lib/postern"
    instance.mkdir(parents=True)
    (instance / "secret.key").symlink_to(secret)

    assert "is a link" in refused(root)
    assert not [file for file in root.rglob("*") if file.is_file() and b"root:secret" in file.read_bytes()
                and not file.is_symlink()]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories to others")
def test_somebody_elses_mail_is_not_taken(root):
    (root / "etc/passwd").write_text("vmail:x:4000:4000::/var/vmail:/bin/false\n")
    message = root / "var/vmail/example.org/message"
    message.parent.mkdir(parents=True)
    message.touch()

    assert "/var/vmail is somebody else's" in refused(root)
    assert message.parent.parent.stat().st_uid == 0


# --- again, and back ---


def test_a_dry_run_shows_differences_and_changes_nothing(root):
    before = tree(root)
    said = run(root, "--dry-run")

    assert tree(root) == before
    assert not (root / DIRECTORY.lstrip("/")).exists()
    assert "+virtual_mailbox_domains = example.org" in said
    assert "-mydestination = $myhostname, example.org, localhost" in said
    assert "adduser --system --group --home /var/lib/postern postern" in said
    assert "systemctl restart dovecot" in said


def test_a_second_run_changes_nothing(root):
    run(root)
    before = tree(root)
    said = run(root)

    assert tree(root) == before
    assert "wrote" not in said


def test_a_second_run_needs_no_answers(root):
    run(root)
    before = tree(root)
    done = app.test_cli_runner().invoke(args=["setup", "--root", str(root), "--yes"])

    assert done.exit_code == 0, done.output
    assert tree(root) == before


def test_undo_puts_back_what_was_there(root):
    before = tree(root)
    run(root)
    undo(root)

    assert without_data(tree(root)) == without_data(before)
    assert (root / "var/lib/postern/secret.key").exists()
    assert "replaced nothing" in undo(root)


def test_undo_after_other_answers_puts_back_what_was_there_before_the_first(root):
    before = tree(root)
    run(root)
    run(root, base_url="https://panel.example.org", domain="example.net", mailbox="boris@example.net")
    assert "server_name panel.example.org;" in text(root, "etc/nginx/conf.d/postern.conf")
    undo(root)

    assert without_data(tree(root)) == without_data(before)


def test_undo_leaves_what_the_operator_changed_and_says_so(root):
    run(root)
    site = root / "etc/nginx/conf.d/postern.conf"
    main = root / "etc/postfix/main.cf"
    site.write_text(site.read_text() + "# mine\n")
    main.write_text(main.read_text() + "# mine\n")
    said = undo(root)

    assert site.read_text().endswith("# mine\n")
    assert main.read_text().endswith("# mine\n")
    assert "/etc/nginx/conf.d/postern.conf is left alone" in said
    (kept,) = [word for word in said.split() if word.endswith("/etc/postfix/main.cf") and word.startswith(DIRECTORY)]
    assert text(root, kept.lstrip("/")) == MAIN_CF


def test_settings_of_the_operator_stay_and_are_put_back(root):
    toml = root / "var/lib/postern/postern.toml"
    toml.parent.mkdir(parents=True)
    toml.write_text('# mine\nproduct_name = "Mail"\nbase_url = "https://old.example.org"\n')
    toml.chmod(0o600)
    run(root)

    assert toml.read_text().startswith('# mine\nproduct_name = "Mail"\nbase_url = "https://account.example.org"\n')
    undo(root)
    assert toml.read_text() == '# mine\nproduct_name = "Mail"\nbase_url = "https://old.example.org"\n'


def test_what_the_operator_changed_is_kept_when_setup_replaces_it_again(root):
    run(root)
    site = root / "etc/nginx/conf.d/postern.conf"
    site.write_text("# mine\n")
    run(root)

    kept = [file.read_text() for file in (root / DIRECTORY.lstrip("/")).rglob("postern.conf")]
    assert "# mine\n" in kept


# --- killed ---


def killed_at(write: int, root: Path, arguments: list[str]) -> bool:
    """Run setup in a process that is killed before its n-th write; False if it came to its end."""
    child = os.fork()
    if child == 0:
        left, replace = [write], os.replace

        def counted(*names):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*names)

        record.os.replace = counted
        setup.main(arguments[1:], standalone_mode=False)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


# The first write counts most; after it every seventh, and in the long run every one.
EACH_WRITE = pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)], ids=["some", "every"])


def copy_of(root: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(root, place, symlinks=True)
    return place


@EACH_WRITE
@pytest.mark.parametrize("root", ["13"], indirect=True)
def test_whenever_it_is_killed_it_can_be_run_again_and_undone(root, stride, tmp_path, capfd):
    before = tree(root)
    write = 1 - stride
    while True:
        write += stride
        place = copy_of(root, tmp_path / "killed")
        if not killed_at(write, place, options(place)):
            break
        torn = copy_of(place, tmp_path / "torn")
        undo(torn)
        assert without_data(tree(torn)) == without_data(before), write
        run(place)
        assert due(place) == EVERYBODY, write
        assert "wrote" not in run(place), write
        undo(place)
        assert without_data(tree(place)) == without_data(before), write
    assert write > 20


@EACH_WRITE
@pytest.mark.parametrize("root", ["13"], indirect=True)
def test_whenever_undo_is_killed_it_can_be_run_again(root, stride, tmp_path, capfd):
    before = tree(root)
    run(root)
    write = 1 - stride
    while True:
        write += stride
        place = copy_of(root, tmp_path / "killed")
        if not killed_at(write, place, ["setup", "--root", str(place), "--yes", "--undo"]):
            break
        undo(place)
        assert without_data(tree(place)) == without_data(before), write
    assert write > 20
