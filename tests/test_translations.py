"""The catalogues hold every sentence in every language, and the panel speaks them."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from actions.trail.events import Event
from models import Account
from settings import LANGUAGES
from tests.client import Client
from tests.conftest import PASSWORD, People

ROOT = Path(__file__).parents[1]
CATALOGUES = ROOT / "translations"
TRANSLATED = sorted(set(LANGUAGES) - {"en"})
PLACEHOLDER = re.compile(r"%\(\w+\)s")
ENGLISH = re.compile(r"\b(the|and|with|you|your|this|is|was)\b", re.IGNORECASE)
# What a language says as English does: protocols, products, and words that it borrowed.
EVERYWHERE = {"IMAP", "POP3", "Outlook", "GB", "MB", "%(amount)s GB", "%(amount)s MB"}
BORROWED = {
    "it": {
        "Account",
        "Browser",
        "Computer",
        "E-mail",
        "File",
        "Info",
        "Password",
        "Quota",
        "Server",
        "Smartphone",
        "Tablet",
        "Webmail",
    },
    "es": {"Panel", "Webmail", "Webmails"},
    "ru": set(),
    "tr": {"Panel", "Port", "Tablet"},
}
PLURAL_FORMS = {"it": 2, "es": 2, "ru": 3, "tr": 1}
# What pages do not say: people say who, again, account password, e-mail, revoke, immediately.
NOT_PLAIN = re.compile(
    r"\b(whoever|anew|your own password|any more|taken? back|at once[:,.]|stands? in|is told)\b"
    r"|\b(the|that) letters?\b(?! a to z)|^Letter$",
    re.IGNORECASE,
)
# One form of address in each language, and one word for one thing: what would be the other.
OTHER_WORDS = {
    "it": re.compile(r"\b(Lei|Suo|Sua|Suoi|Sue|scelga|inserisca|acceda|rimuova|ricarichi|collegamento)\b"),
    "es": re.compile(r"\b(tú|tu|tus|te|puedes|elige|establécela|cartas?|correo web)\b", re.IGNORECASE),
    "ru": re.compile(r"\b(ты|тебя|твой|учётн(ая|ую|ой) запис\w+|сервис\w*)\b", re.IGNORECASE),
    "tr": re.compile(r"\b(sen|senin|aygıt\w*|mektup\w*|(?<!e-)posta program\w*)\b", re.IGNORECASE),
}
SIGN_IN = {"it": "Accedi", "es": "Iniciar sesión", "ru": "Войти", "tr": "Oturum aç"}
PASSWORD_PAGE = {"it": "Password", "es": "Contraseña", "ru": "Пароль", "tr": "Parola"}
NEW_PASSWORD = {"it": "Nuova password", "es": "Contraseña nueva", "ru": "Новый пароль", "tr": "Yeni parola"}

each_language = pytest.mark.parametrize("language", TRANSLATED)


@pytest.fixture(scope="module")
def module_database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Which storage it is makes no difference to what a page says."""
    return f"sqlite:///{tmp_path_factory.mktemp('database')}/postern.db"


def catalogue(language: str) -> Catalog:
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def messages(language: str) -> list[Message]:
    """Every message but the header."""
    found = [message for message in catalogue(language) if message.id]
    assert found
    return found


def forms_of(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def translations(language: str) -> Iterator[tuple[str, str]]:
    """Each sentence in English (its plural, where it has one) with each form of its translation."""
    for message in messages(language):
        for form in forms_of(message.string):
            yield forms_of(message.id)[-1], form


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in CATALOGUES.rglob("*") if path.is_file()}


def test_catalogues_are_up_to_date_and_a_check_changes_nothing():
    before = contents()
    check = subprocess.run([ROOT / "scripts" / "translations", "--check"], capture_output=True, text=True, timeout=120)
    assert check.returncode == 0, check.stderr
    assert contents() == before


def test_each_language_that_can_be_chosen_has_a_catalogue_and_no_other():
    assert sorted(path.name for path in CATALOGUES.iterdir() if path.is_dir()) == TRANSLATED


@each_language
def test_every_message_is_translated(language: str):
    assert [message.id for message in messages(language) if not all(forms_of(message.string))] == []


@each_language
def test_every_event_has_words(language: str):
    words = {message.id: message.string for message in messages(language)}
    assert [event.code for event in Event if not words.get(event.sentence)] == []


@each_language
def test_plurals_have_the_forms_of_the_language(language: str):
    plurals = [message for message in messages(language) if message.pluralizable]
    assert plurals
    assert [message.id for message in plurals if len(message.string) != PLURAL_FORMS[language]] == []


@each_language
def test_no_translation_is_a_guess_or_left_over(language: str):
    assert [message.id for message in messages(language) if message.fuzzy] == []
    assert list(catalogue(language).obsolete) == []


@each_language
def test_every_form_has_the_placeholders_of_its_sentence(language: str):
    def placeholders(text: str) -> Counter:
        return Counter(PLACEHOLDER.findall(text))

    assert [(s, form) for s, form in translations(language) if placeholders(s) != placeholders(form)] == []


@each_language
def test_a_percent_sign_only_begins_a_placeholder(language: str):
    assert [form for _, form in translations(language) if "%" in PLACEHOLDER.sub("", form)] == []


@each_language
def test_translations_hold_no_markup(language: str):
    assert [form for _, form in translations(language) if re.search(r"[<>&]", form)] == []


@each_language
def test_translations_begin_and_end_without_a_space(language: str):
    assert [form for _, form in translations(language) if form != form.strip()] == []


@each_language
def test_nothing_is_left_in_english(language: str):
    allowed = EVERYWHERE | BORROWED[language]
    assert [form for sentence, form in translations(language) if form == sentence and sentence not in allowed] == []
    assert [form for _, form in translations(language) if ENGLISH.search(PLACEHOLDER.sub("", form))] == []


def test_english_is_plain():
    sentences = [form for message in messages("it") for form in forms_of(message.id)]
    assert [sentence for sentence in sentences if NOT_PLAIN.search(sentence)] == []


@each_language
def test_translations_have_one_form_of_address_and_one_word_for_one_thing(language: str):
    assert [form for _, form in translations(language) if OTHER_WORDS[language].search(form)] == []


@each_language
def test_sign_in_page_speaks_the_language_of_the_browser(language: str, client: Client):
    page = client.open("/sign-in", Accept_Language=f"{language},en;q=0.5")
    assert page.tree.find("html").get("lang") == language
    assert page.title == SIGN_IN[language]


@each_language
def test_password_page_speaks_the_language_of_the_browser(language: str, anna: Account, client: Client):
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/account/password", Accept_Language=language)
    assert page.tree.find("html").get("lang") == language
    assert page.title == PASSWORD_PAGE[language]
    assert page.value(NEW_PASSWORD[language]) == ""


@each_language
def test_the_language_of_the_account_goes_before_the_browser(
    language: str, people: People, new_client: Callable[..., Client]
):
    anna = people.add("anna", language=language)
    client = new_client()
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/account/password", Accept_Language="en")
    assert page.tree.find("html").get("lang") == language
    assert page.title == PASSWORD_PAGE[language]
