"""Words for people: sentences in their language, times in their zone."""

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import flask_babel
from babel import Locale, support
from babel.dates import format_skeleton
from flask import Flask, current_app, flash, g, request
from flask_babel import (
    Domain,
    format_date,
    format_datetime,
    format_decimal,
    format_timedelta,
    get_locale,
    gettext,
)
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from actions.ground import sizes
from actions.ground.addresses import trimmed
from actions.ground.domain_names import readable
from actions.ground.refusals import Listed
from actions.passwords import password_strength, policy
from models import Account
from settings import LANGUAGES

from . import days, frame, guards
from .visitor import current_user

LOCALES = {language: Locale.parse(language) for language in LANGUAGES}
TRANSLATIONS = Path(__file__).parents[2] / "translations"


class Line(NamedTuple):
    """A line of the checklist."""

    text: str
    met: bool | None


class Catalogues(Domain):
    """The sentences in the language of the request, without asking for that once more at each of them."""

    def get_translations(self) -> support.NullTranslations:
        try:
            spoken = language()
        except RuntimeError:
            # Nobody is being answered.
            return support.NullTranslations()
        if spoken not in self.cache:
            self.cache[spoken] = super().get_translations()
        return self.cache[spoken]


def init_app(app: Flask) -> None:
    """Babel has been set up."""
    app.extensions["babel"].instance.domain_instance = Catalogues()
    app.extensions["strength budget"] = password_strength.Budget()


def choose_locale() -> Locale:
    """What Babel asks for."""
    return LOCALES[_choose_language()]


def _choose_language() -> str:
    """The webmail's language in its frame, or the account's, the one that was chosen in this browser, the first of the
    browser's that we speak, the host's."""
    chosen = frame.language() or (current_user.account.language if current_user.is_authenticated else "")
    if chosen in LANGUAGES:
        return chosen
    if chosen := current_app.session_interface.chosen_language(request):
        return chosen
    return _asked_for(request.headers.get("Accept-Language", "")) or guards.ports().settings.default_language


@lru_cache(maxsize=128)
def _asked_for(header: str) -> str | None:
    """The first of the languages that a browser asks for which is ours."""
    return parse_accept_header(header, LanguageAccept).best_match(LANGUAGES)


def choose_timezone() -> str:
    """The account's zone, or the host's."""
    chosen = current_user.account.timezone if current_user.is_authenticated else ""
    return chosen or guards.ports().settings.default_timezone


def translated(message) -> str:
    """An action's message (`sentence` and `facts`, which may hold further messages) in the person's language."""
    if isinstance(message, Listed):
        return Listed.joined(map(translated, message))
    if not message.facts:
        return gettext(message.sentence)
    facts = {name: translated(fact) if _is_message(fact) else fact for name, fact in message.facts.items()}
    return gettext(message.sentence, **facts)


def _is_message(fact: object) -> bool:
    return hasattr(fact, "sentence") or isinstance(fact, Listed)


def moment(seconds: int) -> datetime:
    """Seconds since the epoch as a moment that templates can show."""
    return datetime.fromtimestamp(seconds, UTC)


def relative_time(at: datetime) -> str:
    """“3 minutes ago”, “just now”."""
    past = at - datetime.now(UTC)
    if abs(past.total_seconds()) < 45:
        return gettext("just now")
    return format_timedelta(past, add_direction=True)


def duration(seconds: int) -> str:
    """“2 minutes”, “1 hour”."""
    return format_timedelta(timedelta(seconds=seconds), threshold=1.2)


def exact_time(at: datetime) -> str:
    """The whole date and time in the person's zone."""
    return format_datetime(at, "full")


def day(at: datetime) -> str:
    """The date in the person's zone: “Nov 30, 2026”."""
    return format_date(at, "medium")


def day_in_words(seconds: int) -> str:
    """“Today”, “Yesterday”, or the whole date of a moment, in the person's zone."""
    that, today = days.day_of(seconds), days.day_of(int(datetime.now(UTC).timestamp()))
    if that == today:
        return gettext("Today")
    return gettext("Yesterday") if that == today - timedelta(days=1) else format_date(that, "full")


def short_date(day: date) -> str:
    """The day and the month."""
    return format_skeleton("MMMd", day, locale=get_locale())


def size(amount: int) -> str:
    """A number of bytes for people: “1.5 GB”, “300 MB”."""
    if amount >= sizes.GIGABYTE:
        return gettext("%(amount)s GB", amount=format_decimal(amount / sizes.GIGABYTE, "#,##0.#"))
    return gettext("%(amount)s MB", amount=format_decimal(amount / sizes.MEGABYTE, "#,##0.#"))


def number(count: int) -> str:
    """A number as it is written in the person's language."""
    return format_decimal(count)


def language() -> str:
    """The language of this answer, as in `lang`."""
    here = g._get_current_object()
    if "language" not in here:
        here.language = str(get_locale())
    return here.language


def refresh() -> None:
    """Choose language and time zone of this answer once more: the account's have changed."""
    g.pop("language", None)
    flask_babel.refresh()


def checklist(account: Account, typed: str, policy_name: str = "") -> dict:
    """What the live checklist shows for what was typed: all requirements, and how hard it is to guess; and the policy
    for password managers. The policy is the account's own if none is named."""
    policy_name = policy_name or account.password_policy
    checked = {"password_rules": policy.PASSWORD_RULES[policy_name]}
    if not typed:
        return checked | {"rules": _before_typing(policy_name, language()), "strength": None}
    required = policy.requirements(account, typed, guards.ports().settings.password_blocklist, policy_name)
    strength = _strength(account, typed, all(each.met for each in required))
    return checked | {"rules": _lines(required), "strength": strength}


@cache
def _before_typing(policy_name: str, _language: str) -> list[Line]:
    """The checklist of an empty field, which is the same for everybody who reads this language."""
    return _lines(policy.requirements(Account(login=""), "", policy=policy_name))


def _lines(required: list[policy.Rule]) -> list[Line]:
    return [Line(translated(each), each.met) for each in required]


def _strength(account: Account, typed: str, is_accepted: bool) -> dict | None:
    """What the meter shows: nothing to a person who asks all the time. It never praises what is refused, and says of
    what is accepted that it is."""
    asking = current_user.account if current_user.is_authenticated else account
    if not current_app.extensions["strength budget"].spend(asking.id):
        return None
    strength = password_strength.of(account, typed)
    return {
        "score": strength.score if is_accepted else min(strength.score, password_strength.LOW),
        "word": gettext(strength.word if is_accepted else password_strength.NOT_ACCEPTED),
        "advice": gettext(strength.advice) if strength.advice else "",
    }


def masked(login: str) -> str:
    """`anna@example.org` as `a•••@e•••.org`: made of what was typed, so that it tells nothing about the account."""
    local_part, at, domain = readable(trimmed(login)).partition("@")
    host, dot, suffix = domain.rpartition(".")
    return f"{local_part[:1]}•••{at}{(host or domain)[:1]}•••{dot}{suffix if dot else ''}" if at else f"{login[:1]}•••"


def flash_pending() -> None:
    """Say what is still to happen when the mail server did not answer."""
    if guards.unit().is_pending:
        flash(
            gettext(
                "The mail server does not answer. Mail programs that are still connected will be disconnected as"
                " soon as it answers. They cannot connect again with the old password."
            ),
            "warning",
        )
