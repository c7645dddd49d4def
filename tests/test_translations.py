"""The catalogues hold every sentence in every language, and the panel speaks them."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from actions.trail.events import Event
from models import Account
from settings import LANGUAGES
from tests.client import Client
from tests.conftest import PASSWORD, People
from tests.glossary import FILES, PLACEHOLDER, forbidden, forms_of, glossary, missing

ROOT = Path(__file__).parents[1]
CATALOGUES = ROOT / "translations"
PLUGIN_TEXTS = ROOT / "integrations" / "roundcube" / "postern" / "localization"
TRANSLATED = sorted(set(LANGUAGES) - {"en"})
ENGLISH = re.compile(r"\b(the|and|with|you|your|this|is|been)\b", re.IGNORECASE)
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


def forms_of_message(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def translations(language: str) -> Iterator[tuple[str, str]]:
    """Each sentence in English (its plural, where it has one) with each form of its translation."""
    for message in messages(language):
        for form in forms_of_message(message.string):
            yield forms_of_message(message.id)[-1], form


# Roundcube knows the Portuguese of Portugal, which has words of its own; the panel speaks that of Brazil.
OF_NO_CATALOGUE = ("pt_PT",)


def labels(locale: str) -> dict[str, str]:
    text = (PLUGIN_TEXTS / f"{locale}.inc").read_text("utf-8")
    return dict(re.findall(r"^\$labels\['(\w+)'\] = '(.+)';$", text, re.MULTILINE))


def plugin_texts() -> dict[str, dict[str, str]]:
    """What Roundcube's plugin says in each language: its label and the text."""
    locales = {path.stem for path in PLUGIN_TEXTS.glob("*.inc")} - set(OF_NO_CATALOGUE)
    return {locale.partition("_")[0]: labels(locale) for locale in locales}


def texts_for_roundcube(language: str) -> list[tuple[str, str]]:
    texts = plugin_texts()
    return [(english, texts[language][label]) for label, english in texts["en"].items()]


def in_the_catalogue(language: str, sentence: str) -> str:
    return catalogue(language).get(sentence).string


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in CATALOGUES.rglob("*") if path.is_file()}


def test_catalogues_are_up_to_date_and_a_check_changes_nothing():
    before = contents()
    check = subprocess.run([ROOT / "scripts" / "translations", "--check"], capture_output=True, text=True, timeout=120)
    assert check.returncode == 0, check.stderr
    assert contents() == before


def test_each_language_that_can_be_chosen_has_a_catalogue_a_glossary_and_texts_for_roundcube_and_no_other():
    assert sorted(path.parent.name for path in CATALOGUES.glob("*/LC_MESSAGES")) == TRANSLATED
    assert sorted(path.stem for path in FILES.iterdir()) == sorted(LANGUAGES)
    assert set(plugin_texts()) >= set(LANGUAGES)


@each_language
def test_every_message_is_translated(language: str):
    assert [message.id for message in messages(language) if not all(forms_of_message(message.string))] == []


@each_language
def test_every_event_has_words(language: str):
    words = {message.id: message.string for message in messages(language)}
    assert [event.code for event in Event if not words.get(event.sentence)] == []


@each_language
def test_plurals_have_the_forms_of_the_language(language: str):
    plurals = [message for message in messages(language) if message.pluralizable]
    assert plurals
    forms = get_plural(language).num_plurals
    assert [message.id for message in plurals if len(message.string) != forms] == []


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
    allowed = glossary("en")["borrowed"] + glossary(language)["borrowed"]
    assert [form for sentence, form in translations(language) if form == sentence and sentence not in allowed] == []
    assert [form for _, form in translations(language) if ENGLISH.search(PLACEHOLDER.sub("", form))] == []


def test_every_language_has_a_word_for_each_term():
    terms = glossary("en")["terms"].keys()
    assert {code: glossary(code)["terms"].keys() ^ terms for code in LANGUAGES} == dict.fromkeys(LANGUAGES, set())
    assert [
        (code, term["word"])
        for code in LANGUAGES
        for term in glossary(code)["terms"].values()
        if not re.search(forms_of(term), term["word"], re.IGNORECASE)
    ] == []


def test_an_exception_is_made_for_a_sentence_that_is_there():
    sentences = {sentence for sentence, _ in translations("it")}
    assert {code: set(glossary(code).get("exceptions", {})) - sentences for code in LANGUAGES} == dict.fromkeys(
        LANGUAGES, set()
    )


def test_english_says_no_forbidden_word():
    sentences = [form for message in messages("it") for form in forms_of_message(message.id)]
    sentences += plugin_texts()["en"].values()
    assert [(sentence, instead) for sentence in sentences if (instead := forbidden("en", sentence))] == []


@each_language
def test_no_translation_says_a_forbidden_word(language: str):
    said = [form for _, form in translations(language)] + list(plugin_texts()[language].values())
    assert [(form, instead) for form in said if (instead := forbidden(language, form))] == []


@each_language
def test_translations_have_the_one_word_for_each_term(language: str):
    pairs = [*translations(language), *texts_for_roundcube(language)]
    assert [(s, form, words) for s, form in pairs if (words := missing(language, s, form))] == []


@each_language
def test_the_webmail_calls_the_pages_what_the_panel_calls_them(language: str):
    said = {message.id: message.string for message in messages(language)}
    assert [(s, text) for s, text in texts_for_roundcube(language) if said.get(s, text) != text] == []


@pytest.mark.parametrize("locale", OF_NO_CATALOGUE)
def test_the_webmail_says_everything_in_the_portuguese_of_portugal_too_and_no_word_of_brazil(locale: str):
    said, english = labels(locale), labels("en_US")
    brazilian = re.compile(r"\b(usuário|senha|acessa|abas?\b|salva|contato|tela\b|você)", re.IGNORECASE)
    assert said.keys() == english.keys()
    assert [text for text in said.values() if brazilian.search(text)] == []
    assert [
        label for label, text in said.items() if re.findall(r"\$\w+", text) != re.findall(r"\$\w+", english[label])
    ] == []


@each_language
def test_sign_in_page_speaks_the_language_of_the_browser(language: str, client: Client):
    page = client.open("/sign-in", Accept_Language=f"{language},en;q=0.5")
    assert page.tree.find("html").get("lang") == language
    assert page.title == in_the_catalogue(language, "Sign in")


@each_language
def test_password_page_speaks_the_language_of_the_browser(language: str, anna: Account, client: Client):
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/account/password", Accept_Language=language)
    assert page.tree.find("html").get("lang") == language
    assert page.title == in_the_catalogue(language, "Password")
    assert page.value(in_the_catalogue(language, "New password")) == ""


@each_language
def test_the_language_of_the_account_goes_before_the_browser(
    language: str, people: People, new_client: Callable[..., Client]
):
    anna = people.add("anna", language=language)
    client = new_client()
    client.sign_in(anna.login, PASSWORD)
    page = client.open("/account/password", Accept_Language="en")
    assert page.tree.find("html").get("lang") == language
    assert page.title == in_the_catalogue(language, "Password")
