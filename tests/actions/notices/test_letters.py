"""Every e-mail, filled with what hostile people write."""

import functools
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import Environment, meta

import worker
from actions.ground.actor import Actor
from actions.ground.unit_of_work import UnitOfWork
from actions.notices import notices
from actions.outbox import mail, outbox
from actions.passwords import recovery
from actions.sessions import links
from adapters import letters
from adapters.letters import TemplateLetters
from lab import geoip
from lab.html_tree import TreeReader, words
from lab.installation import environment_of
from models import Account, OutboxItem
from settings import LANGUAGES, Settings

MESSAGES = Path(__file__).parents[3] / "templates" / "messages"
NAMES = sorted(path.stem for path in MESSAGES.glob("*.jinja"))
HOSTILE = [
    "x\r\nBcc: everybody@example.com\r\n\r\nbody",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "%(secret)s %s %d %%",
    "\u202egnp.exe",
    "javascript:alert(1)",
    "",
]
# No picture, nothing that is fetched from elsewhere, nothing that runs.
ELEMENTS = {"html", "head", "meta", "title", "style", "body", "table", "tr", "td", "th", "div", "p", "a", "br", "span"}
ELEMENTS |= {"strong", "ul", "li"}
SECRET = "the-secret-token"
PANEL = environment_of(Path(), "")["POSTERN_BASE_URL"]


OURS = {"_", "ngettext", "layout", "blocks", "panel"}


@functools.cache
def asked():
    """Every name that the e-mails ask for."""
    source = Environment(extensions=["jinja2.ext.i18n"])
    source.filters |= dict.fromkeys(("moment", "place", "translate"), str)
    texts = [(MESSAGES / f"{name}.jinja").read_text(encoding="utf-8") for name in NAMES]
    return set().union(*(meta.find_undeclared_variables(source.parse(text)) for text in texts)) - OURS


def facts_of(text):
    """Everything that any e-mail asks for."""
    known = {
        "at": 0,
        "count": 3,
        "days": 7,
        "hours": 3,
        "minutes": 10,
        "everywhere": True,
        "uses_mail_programs": True,
        "timezone": "Europe/Rome",
    }
    facts = dict.fromkeys(asked() - {"more"}, text) | known | {"link": f"{PANEL}/links/{SECRET}"}
    return facts | {"more": [facts | {"link": f"{PANEL}/links/{SECRET}-2"}]}


@pytest.fixture
def writer(tmp_path):
    return TemplateLetters(Settings.load(environment_of(tmp_path, "sqlite:///unused.db")))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("name", NAMES)
def test_what_people_write_stays_text(writer, name, text):
    facts = facts_of(text)
    letter = writer.write(name, "", facts)
    assert letter.subject.isprintable() or "\u202e" in letter.subject
    assert "49" not in letter.subject + letter.text
    tree = TreeReader().tree(letter.html)
    elements = {element.tag for element in tree.iter()} - {"document"}
    assert elements <= ELEMENTS
    assert {link.get("href") for link in tree.iter("a")} <= {facts["link"], facts["more"][0]["link"], PANEL}
    assert not [each for element in tree.iter() for each in element.attrib if each.startswith("on")]
    assert "undefined" not in (letter.text + letter.html).lower()


@pytest.mark.parametrize("language", ["", *LANGUAGES])
def test_no_secret_stands_in_a_subject_and_every_letter_says_something(writer, language):
    facts = facts_of("anna@example.org")
    for name in NAMES:
        letter = writer.write(name, language, facts)
        assert letter.subject.strip()
        assert SECRET not in letter.subject
        assert letter.text.strip()
        assert (SECRET in letter.text) == (SECRET in letter.html)


def words_of_html(html):
    """What the HTML says, without its head, which names the host as the foot does again."""
    body = TreeReader().tree(html).find("html/body")
    (head,) = (cell for cell in body.iter("td") if cell.get("id") == "head")
    head.text = ""
    return words_of_text(words(body))


def words_of_text(text):
    """What the plain text says, without the marks of list and signature."""
    return [word for word in text.split() if word not in ("-", "--")]


@pytest.mark.parametrize("language", ["", *LANGUAGES])
@pytest.mark.parametrize("text", ["O'Hara & <b>Sons</b>", ""], ids=ascii)
def test_text_and_html_say_the_same_and_the_text_is_not_escaped(writer, text, language):
    facts = facts_of(text) | {"link": f"{PANEL}/links/{SECRET}?one=1&two=2"}
    written = {name: writer.write(name, language, facts) for name in NAMES}
    titles = {name: TreeReader().tree(each.html).find("html/head/title") for name, each in written.items()}
    assert not [name for name, each in written.items() if words_of_text(each.text) != words_of_html(each.html)]
    assert not [name for name, each in written.items() if words(titles[name]) != each.subject]
    # The address of each button stands in the text as well.
    for letter in written.values():
        assert {link.get("href") for link in TreeReader().tree(letter.html).iter("a")} <= set(letter.text.split())


def test_the_text_is_blocks_with_one_empty_line_between_them(writer):
    texts = {name: writer.write(name, "", facts_of("Anna")).text for name in NAMES}
    assert not [name for name, text in texts.items() if re.search(r"^\s|\n +|\n{3}|\n{2}\Z", text)]


def test_times_are_told_in_the_recipients_zone(writer):
    moment = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp())
    facts = {"login": "anna@example.org", "at": moment, "address": "192.0.2.1", "timezone": "Europe/Rome"}
    told = {
        "en": "1 July 2026, 14:00 (UTC+2)",
        "it": "1 luglio 2026, 14:00 (UTC+2)",
        "ru": "1 июля 2026\u202fг., 14:00 (UTC+2)",
    }
    for language, sentence in told.items():
        assert sentence in writer.write("account_locked", language, facts).text
    in_newfoundland = facts | {"timezone": "America/St_Johns"}
    assert "1 July 2026, 09:30 (UTC-2:30)" in writer.write("account_locked", "en", in_newfoundland).text


NOON = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp())


@pytest.fixture
def in_rome(ports):
    """The ports of a host in Rome."""
    settings = replace(ports.settings, default_timezone="Europe/Rome")
    return replace(ports, settings=settings, letters=TemplateLetters(settings))


def lock_at_noon(on, account, stranger, clock):
    clock.moment = NOON
    recovery.lock(UnitOfWork(on, stranger), links.find(links.create(account, links.DISOWN), (links.DISOWN,)))
    outbox.deliver_due(on, worker.HANDLERS)


@pytest.mark.parametrize(
    ("chosen", "hour"), [("", "14"), ("UTC", "12"), ("America/New_York", "08")], ids=["none", "UTC", "New York"]
)
def test_every_time_is_in_the_persons_zone_or_the_hosts(in_rome, mailer, anna, manager, stranger, clock, chosen, hour):
    """The e-mails to the person and to the managers that an account is locked as well."""
    Account.update(timezone=chosen).execute()
    lock_at_noon(in_rome, Account.get_by_id(anna.id), stranger, clock)
    texts = [message.get_body(("plain",)).get_content() for _, message in mailer.sent]
    assert {manager.login, anna.login} <= {recipient for recipient, _ in mailer.sent}
    assert [text for text in texts if not re.search(rf"\b{hour}:00", text)] == []


def test_every_e_mail_with_a_time_is_told_the_zone(writer, tmp_path):
    """Where nobody says a zone it is the host's, whatever the e-mail."""
    host = Settings.load(environment_of(tmp_path, "sqlite:///unused.db") | {"POSTERN_DEFAULT_TIMEZONE": "Asia/Tokyo"})
    facts = facts_of("x") | {"at": NOON, "timezone": "", "more": []}
    texts = {name: TemplateLetters(host).write(name, "en", facts).text for name in NAMES}
    assert [name for name, text in texts.items() if "UTC" in text.replace("21:00 (UTC+9)", "")] == []
    assert sum("21:00 (UTC+9)" in text for text in texts.values()) >= 9


def test_a_hostile_browser_writes_no_letter_of_its_own(ports, mailer, anna):
    notices.password_changed(
        UnitOfWork(ports, Actor(address="192.0.2.1", user_agent="x" * 20_000)), anna, everywhere=True
    )
    outbox.deliver_due(ports, worker.HANDLERS)
    for _, message in mailer.sent:
        assert "x" * 256 not in message.get_body(("plain",)).get_content()


def test_a_letter_has_one_recipient_and_says_that_a_machine_sent_it(ports, settings, mailer, anna, stranger):
    recovery.lock(UnitOfWork(ports, stranger), links.find(links.create(anna, links.DISOWN), (links.DISOWN,)))
    outbox.deliver_due(ports, worker.HANDLERS)
    for recipient, message in mailer.sent:
        assert message.get_all("To") == [recipient]
        assert message.get_all("From") == [f"Postern <{settings.mail_from}>"]
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Cc"] is message["Bcc"] is None


def test_the_name_in_the_settings_is_the_senders(ports, settings, mailer, anna):
    named = replace(ports, settings=replace(settings, mail_from="Müller, Söhne <postern@example.org>"))
    notices.password_guessed(UnitOfWork(named, Actor()), anna)
    outbox.deliver_due(named, worker.HANDLERS)
    for _, message in mailer.sent:
        assert message["From"].addresses[0].display_name == "Müller, Söhne"
        assert message["From"].addresses[0].addr_spec == "postern@example.org"
        assert re.fullmatch(r"<outbox\.\d+\.\d+@example\.org>", message["Message-ID"])


def test_a_recipient_with_a_line_break_reaches_no_header(ports, mailer, database):
    mail.put(ports, "key", "account_locked", "a@example.org\r\nBcc: b@example.org", "", facts_of("x"), None)
    outbox.deliver_due(ports, worker.HANDLERS)
    assert mailer.sent == []
    assert OutboxItem.get().delivered_at is None


# --- the host's own ---

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
def of_host(tmp_path):
    """`of_host(accent="#…", …)` is the writer of e-mails of a host with these settings."""

    def of_host(**changes: object) -> TemplateLetters:
        settings = Settings.load(environment_of(tmp_path, "sqlite:///unused.db"))
        return TemplateLetters(replace(settings, **{name: str(value) for name, value in changes.items()}))

    return of_host


def test_a_letter_has_the_hosts_name_colour_help_and_foot(of_host):
    help_page = "https://help.example.org/?a=1&b=2"
    host = of_host(
        product_name="Müller & <b>Söhne</b>",
        accent="#123456",
        support_url=help_page,
        support_phone="+39 06 0000",
        mail_foot="Example Ltd, <i>Rome</i>\n\nVAT 0",
    )
    for name in NAMES:
        letter = host.write(name, "", facts_of("Anna"))
        assert f"Help: {help_page} · +39 06 0000\nExample Ltd, <i>Rome</i>\nVAT 0\n" in letter.text
        assert words_of_text(letter.text) == words_of_html(letter.html)
        tree = TreeReader().tree(letter.html)
        assert help_page in [link.get("href") for link in tree.iter("a")]
        assert not list(tree.iter("i")) + list(tree.iter("b"))
        assert "border-top:4px solid #123456" in letter.html


@pytest.mark.parametrize(
    ("accent", "fill"), [("#0b6e6e", "#0b6e6e"), ("#000000", "#000000"), ("#ffffff", "#737373"), ("#ffff00", "#737300")]
)
def test_a_button_can_be_read_whatever_the_hosts_colour(accent, fill):
    """White on #737373 has a contrast of 4.74, and on #808080, the next lighter one, of 3.95."""
    assert letters.under_white(accent) == fill


def test_the_logo_travels_with_the_letter_and_nothing_is_fetched(of_host, tmp_path):
    (tmp_path / "logo.png").write_bytes(PNG)
    letter = of_host(logo=tmp_path / "logo.png", product_name="Example Mail").write(
        "password_changed", "", facts_of("x")
    )
    (picture,) = TreeReader().tree(letter.html).iter("img")
    assert (letter.picture.media_type, letter.picture.content) == ("image/png", PNG)
    assert picture.get("src") == f"cid:{letter.picture.content_id}"
    # With images off, it is the name.
    assert picture.get("alt") == "Example Mail"
    assert not re.search(r"url\(|@import|<link|<script|srcset|background=", letter.html)


@pytest.mark.parametrize("content", [b"<svg/>", PNG + bytes(letters.LARGEST_LOGO), b""], ids=["svg", "large", "empty"])
def test_a_logo_that_mail_programs_do_not_show_is_left_out(of_host, tmp_path, content):
    (tmp_path / "logo").write_bytes(content)
    letter = of_host(logo=tmp_path / "logo").write("password_changed", "", facts_of("x"))
    assert letter.picture is None
    assert "<img" not in letter.html


def test_a_place_stands_beside_its_address(of_host, tmp_path):
    file = geoip.write(tmp_path / "places.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "IT"}}})
    facts = facts_of("192.0.2.7")
    texts = {name: of_host(geoip_file=file).write(name, "en", facts).text for name in NAMES}
    told = {name for name, text in texts.items() if "Approximate place: Italy" in text}
    assert told >= {name for name, text in texts.items() if "From the address:" in text} >= {"device_made"}
    assert told >= {"password_reset", "device_code"}


def test_what_waits_in_the_outbox_since_the_version_before_is_written(writer):
    """It knew neither names, except of those whom it greeted, nor more devices than one."""
    greeted = ("collaboration_", "credentials", "password_link")
    for name in set(NAMES) - {"devices_made"}:
        facts = facts_of("anna@example.org")
        del facts["more"]
        if not name.startswith(greeted):
            del facts["name"]
        assert "anna@example.org" in writer.write(name, "", facts).text


def test_subjects_say_what_it_is(writer):
    facts = facts_of("x") | {"login": "anna@example.org", "by": "boss@example.org", "domain": "example.org"}
    assert writer.write("credentials", "en", facts).subject == "Encrypted credentials for example.org"
    changed = writer.write("done_by_another", "en", facts)
    assert changed.subject == "Your mailbox anna@example.org was changed by boss@example.org"


def test_nobody_is_greeted_by_a_name_at_an_address_that_is_not_proven(ports, mailer, people):
    """A name may say anything, and whoever typed the address in may be a stranger to its owner."""
    anna = people.add("anna", first_name="Call +39 06 0000 now")
    notices.contact_confirmation(UnitOfWork(ports, Actor()), anna, "eve@elsewhere.example.com", "token")
    outbox.deliver_due(ports, worker.HANDLERS)
    assert "06 0000" not in mailer.sent[0][1].as_string()
