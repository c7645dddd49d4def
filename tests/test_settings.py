"""Settings: what is missing, misspelt or unsafe is refused at the start, all at once, in sentences."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab.installation import environment_of
from settings import MAIL_PORTS, PREFIX, Settings, SettingsError, face, is_loopback_host, unknown_variables

ROOT = Path(__file__).parent.parent


@pytest.fixture
def environment(tmp_path):
    return environment_of(tmp_path / "instance", f"sqlite:///{tmp_path / 'postern.db'}")


def findings(environment):
    try:
        Settings.load(environment)
    except SettingsError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("base_url", "asked_at"),
    [
        ("https://account.example.org", "http://127.0.0.1:8100"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
    ],
)
def test_dovecot_asks_nginx_or_the_panels_own_port(environment, base_url, asked_at):
    asking = environment | {"POSTERN_BASE_URL": base_url, "POSTERN_DOVECOT_POLICY_URL": ""}
    assert Settings.load(asking).dovecot_policy_url == asked_at


def test_a_complete_installation_starts(environment):
    settings = Settings.load(environment)
    assert (settings.argon2_memory, settings.is_loopback, settings.is_https) == (7168, True, False)
    assert settings.mail_ports == MAIL_PORTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "http://account.example.org"),
        ("BASE_URL", "account.example.org"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "https://["),
        ("BASE_URL", "https://account.example.org:port"),
        ("BASE_URL", "ftp://account.example.org"),
        ("BASE_URL", "http://127.0.0.1.evil.example"),
        ("DATABASE_URL", "postgres://x"),
        ("BOUNCE_ADDRESS", "bounces"),
        ("BOUNCE_ADDRESS", "bounces+x@example.org"),
        ("BOUNCE_ADDRESS", "Postern <bounces@example.org>"),
        ("BOUNCE_ADDRESS", "b" * 24 + "@example.org"),
        ("BOUNCE_ADDRESS", "bäume@example.org"),
        ("DATABASE_URL", "postern.db"),
        ("SECRET_KEY", "short"),
        ("SMTP_URL", "demo:"),
        ("SMTP_URL", "http://127.0.0.1"),
        ("SMTP_URL", "smtp://host:port"),
        # Latin-1, and a character that ends a login (RFC 4616).
        ("SMTP_URL", "smtp://postern:p%E4ssword@127.0.0.1"),
        ("SMTP_URL", "smtp://postern:p%00ssword@127.0.0.1"),
        ("ACCENT", "teal"),
        ("ACCENT", "#fff"),
        ("LOGO", "/nonexistent/logo.png"),
        ("SUPPORT_URL", "help.example.org"),
        ("SUPPORT_URL", "javascript:alert(1)"),
        ("GEOIP_FILE", "/nonexistent/places.mmdb"),
        ("MAIL_FROM", "postern"),
        ("MAIL_FROM", "пост@example.org"),
        ("MAIL_FROM", "postern@ü..example"),
        ("DOVEADM_URL", ""),
        ("DOVEADM_URL", "127.0.0.1:8080"),
        ("DOVECOT_POLICY_URL", "http://192.0.2.1:8100"),
        ("DOVECOT_POLICY_URL", "127.0.0.1:8100"),
        ("DOVECOT_POLICY_URL", "off"),
        ("CROSS_SITE", "yes"),
        ("CROSS_SITE", "perhaps"),
        ("DEMO", "si"),
        ("WEBMAIL_ORIGINS", "https://mail.example.org/path"),
        ("WEBMAIL_ORIGINS", "mail.example.org"),
        ("WEBMAIL_ORIGINS", "*"),
        ("WEBMAIL_ORIGINS", "https://mail.example.org;script-src"),
        ("WEBMAIL_ORIGINS", "javascript://mail.example.org"),
        ("ARGON2_MEMORY", "1024"),
        ("ARGON2_MEMORY", "999999999"),
        ("ARGON2_MEMORY", "64 MiB"),
        ("ARGON2_TIME", "0"),
        ("ARGON2_PARALLELISM", "-1"),
        ("PROXIES", "-1"),
        ("PROXIES", "all"),
        ("TLS_KEY", "/key.pem"),
        ("TLS_CERTIFICATE", "/certificate.pem"),
        ("PASSWORD_BLOCKLIST", "/nonexistent/list"),
        ("MAIL_PORTS", "imap=99999"),
        ("MAIL_PORTS", "gopher=70"),
        ("MAIL_PORTS", "imap"),
        ("MAIL_CONNECTIONS", "0"),
        ("MAIL_CONNECTIONS", "many"),
        ("RECIPIENT_DELIMITER", "++"),
        ("RECIPIENT_DELIMITER", "x"),
        ("RECIPIENT_DELIMITER", "}"),
        ("ACCENT", "teal"),
        ("ACCENT", "#0b6e6"),
        ("ACCENT", "#0b6e6e;}"),
        ("ACCENT_DARK", "#zzzzzz"),
        ("LOGO", "/nonexistent/logo.svg"),
        ("LOGO", __file__),
        ("SUPPORT_URL", "javascript:alert(1)"),
        ("SUPPORT_URL", "http://help.example.org"),
        ("SUPPORT_URL", "mailto:help"),
        ("SUPPORT_PHONE", "call us"),
        ("WEBMAIL_URL", "webmail.example.org"),
        ("IMPRINT_URL", "mailto:imprint@example.org"),
        ("PRIVACY_URL", "https://example.org/a b"),
        ("DEFAULT_LANGUAGE", "zz"),
        ("DEFAULT_TIMEZONE", "Mars/Base"),
    ],
)
def test_what_is_unsafe_or_impossible_is_refused(environment, name, value):
    told = findings(environment | {PREFIX + name: value})
    assert len(told) == 1
    assert PREFIX + name in told[0]


@pytest.mark.parametrize(
    ("name", "colour", "ratio", "better"),
    [
        # White on #777777 is the usual example of 4.48 (WCAG 2.x), which must not read like 4.5.
        ("ACCENT", "#777777", "4.47:1", "darker"),
        ("ACCENT", "#FFCC00", "1.51:1", "darker"),
        ("ACCENT_DARK", "#0b6e6e", "2.08:1", "lighter"),
    ],
)
def test_a_colour_that_cannot_be_read_is_refused_with_its_contrast(environment, name, colour, ratio, better):
    [told] = findings(environment | {PREFIX + name: colour})
    assert f"{PREFIX}{name} {colour} has a contrast of {ratio} " in told
    assert told.endswith(f"text needs 4.5:1. Choose a {better} colour.")


def test_the_hosts_own_face_is_accepted(environment, tmp_path):
    logo = tmp_path / "logo.svg"
    logo.write_text('<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>')
    written = {
        "ACCENT": "#767676",
        "ACCENT_DARK": "#9ecbff",
        "LOGO": str(logo),
        "SUPPORT_URL": "mailto:help@example.org",
        "SUPPORT_PHONE": "+39 06 123 (45) 67",
        "WEBMAIL_URL": "https://webmail.example.org/mail/",
        "IMPRINT_URL": "http://127.0.0.1:8000/imprint",
        "PRIVACY_URL": "https://example.org/privacy?of=mail",
    }
    settings = Settings.load(environment | {PREFIX + name: value for name, value in written.items()})
    assert {name: getattr(settings, name.lower()) for name in written} == written


def test_a_logo_that_is_too_large_is_refused(environment, tmp_path):
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(256 * 1024))
    assert findings(environment | {"POSTERN_LOGO": str(logo)}) == [
        f"POSTERN_LOGO names {logo}, which is too large: 256 KB at most."
    ]


@pytest.mark.parametrize("accent", ["#0b6e6e", "#000000", "#000060", "#c2185b", "#7b1fa2", "#767676", "#006400"])
def test_a_button_in_the_dark_theme_can_be_seen_and_read(accent):
    fill = face.fill_in_dark(accent)
    assert face.contrast(fill, face.DARK_CARD) >= 3
    assert face.contrast(fill, "#ffffff") >= 4.5


@pytest.mark.parametrize(("written", "sign"), [("", "+"), ("+", "+"), ("-", "-"), ("no", "")])
def test_the_delimiter_of_recipients(environment, written, sign):
    assert Settings.load(environment | {"POSTERN_RECIPIENT_DELIMITER": written}).recipient_delimiter == sign


@pytest.mark.parametrize(
    ("mail_from", "name"),
    [
        ("postern@example.org", "Mail of\tExample"),
        ("Example Support <postern@example.org>", "Example Support"),
        ('"Müller, Söhne" <postern@example.org>', "Müller, Söhne"),
    ],
)
def test_who_sends_e_mails(environment, mail_from, name):
    named = {"POSTERN_MAIL_FROM": mail_from, "POSTERN_PRODUCT_NAME": "Mail of\tExample"}
    settings = Settings.load(environment | named)
    assert (settings.sender_name, settings.sender_address) == (" ".join(name.split()), "postern@example.org")


def test_a_demo_is_shown_on_this_machine_only(environment):
    assert findings(environment | {"POSTERN_DEMO": "yes", "POSTERN_BASE_URL": "https://account.example.org"})


def test_a_demo_needs_neither_mail_server_nor_smtp(environment):
    demo = environment | {"POSTERN_DEMO": "yes", "POSTERN_DOVEADM_URL": ""}
    settings = Settings.load(demo)
    assert (settings.has_mail_server, settings.keeps_mail) == (False, True)


def test_everything_that_is_wrong_is_told_at_once(environment):
    assert len(findings(environment | {"POSTERN_PROXIES": "x", "POSTERN_DEMO": "x"})) == 2
    assert len(findings(environment | {"POSTERN_BASE_URL": "x", "POSTERN_SMTP_URL": "x"})) == 2


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["BASE_URL", "DATABASE_URL", "SMTP_URL", "DOVEADM_URL", "WEBMAIL_ORIGINS", "MAIL_PORTS", "PROXIES"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
    | st.from_regex(r"(https?|smtp)://[\[\]:@/a1]{1,8}"),
)
def test_whatever_is_set_is_taken_or_refused_in_sentences(environment, name, value):
    assert all(sentence.endswith(".") for sentence in findings(environment | {PREFIX + name: value}))


def test_a_file_sets_what_the_environment_does_not(environment):
    settings = Settings.load(environment)
    file = settings.instance / "postern.toml"
    file.write_text(
        'product_name = "Door"\nproxies = 2\ndefault_language = "it"\nwebmail_origins = ["https://a.example.org", "https://b.example.org"]\n'
        "pwned_passwords = true\n[mail_ports]\nimap = 1143\n"
    )
    file.chmod(0o600)
    settings = Settings.load(environment | {"POSTERN_PROXIES": "1"})
    assert (settings.product_name, settings.proxies, settings.default_language) == ("Door", 1, "it")
    assert settings.webmail_origins == ("https://a.example.org", "https://b.example.org")
    assert settings.pwned_passwords
    assert settings.mail_ports["imap"] == 1143


@pytest.mark.parametrize("content", ["nonsense", 'secret_kei = "x"\n', b"\xff\xfe", "[table\n"])
def test_a_file_that_cannot_be_understood_is_refused(environment, content):
    file = Settings.load(environment).instance / "postern.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    assert findings(environment)


@pytest.mark.parametrize("name", ["secret.key", "doveadm.key", "postern.toml"])
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_secrets_that_others_may_read_or_change_are_refused(environment, name, mode):
    file = Settings.load(environment).instance / name
    if not file.exists():
        file.write_text("proxies = 0\n")
    file.chmod(mode)
    (told,) = findings(environment)
    assert f"chmod 600 {file}" in told


def test_secrets_are_made_once_and_for_the_owner_only(environment):
    first, second = Settings.load(environment), Settings.load(environment)
    assert (first.secret_key, first.doveadm_key) == (second.secret_key, second.doveadm_key)
    assert len(first.secret_key) >= 64
    assert first.secret_key != first.doveadm_key
    assert stat.S_IMODE(first.instance.stat().st_mode) == 0o700
    for name in ("secret.key", "doveadm.key"):
        assert stat.S_IMODE((first.instance / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in first.instance.iterdir()) == ["doveadm.key", "secret.key"]


def test_an_instance_directory_that_cannot_be_is_refused(environment, tmp_path):
    (tmp_path / "file").write_text("")
    assert findings(environment | {"POSTERN_INSTANCE": str(tmp_path / "file" / "below")})


def test_settings_never_print_their_secrets(environment):
    settings = Settings.load(environment)
    assert settings.secret_key not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("localhost.example.org", False),
        ("", False),
        ("0.0.0.0", False),
        ("192.0.2.1", False),
    ],
)
def test_only_this_machine_is_loopback(host, loopback):
    assert is_loopback_host(host) == loopback


def test_the_web_server_says_in_sentences_why_it_does_not_start(tmp_path):
    environment = {"POSTERN_INSTANCE": str(tmp_path / "instance"), "POSTERN_DATABASE_URL": "x", "POSTERN_BASE_URL": "y"}
    started = subprocess.run([sys.executable, "wsgi.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert started.returncode == 1
    assert "POSTERN_DATABASE_URL" in started.stderr
    assert "POSTERN_BASE_URL" in started.stderr
    assert "Traceback" not in started.stderr


def test_what_only_looks_like_a_setting_does_not_stop_the_start(environment):
    strange = environment | {"POSTERN_NONSENSE": "x"}
    assert findings(strange) == []
    assert unknown_variables(strange) == ["POSTERN_NONSENSE"]


@pytest.mark.parametrize(
    ("changes", "sender"),
    [
        ({"MAIL_FROM": "postern@bücher.example"}, "postern@xn--bcher-kva.example"),
        (
            {"BASE_URL": "https://konto.bücher.example", "MAIL_HOST": "mail.example.org"},
            "postern@konto.xn--bcher-kva.example",
        ),
        ({"BASE_URL": "http://[::1]:8000"}, "postern@::1"),
        ({"SMTP_URL": "smtp://postern:pässword@127.0.0.1"}, "postern@127.0.0.1"),
        ({"SMTP_URL": "smtp://postern:p%C3%A4ss%20word@127.0.0.1"}, "postern@127.0.0.1"),
    ],
)
def test_the_sender_is_an_address_that_every_server_takes(environment, changes, sender):
    named = {f"POSTERN_{name}": value for name, value in ({"MAIL_FROM": ""} | changes).items()}
    assert Settings.load(environment | named).mail_from == sender
