"""`flask account …`: accounts of any kind, by their logins."""

from collections.abc import Sequence

import click
from flask.cli import AppGroup

from actions.ground.domain_names import readable
from actions.notices import bounces
from actions.passwords import recovery
from actions.services import mailboxes
from actions.sessions import connections, sessions
from actions.sessions.connections import Connected
from actions.users import offboarding, preferences
from models import WebSession
from settings import LANGUAGES

from .output import JSON, Facts, both, moment, shown
from .shared import LOGIN, in_sentences, ports, sentence_and_pending, unit

account = AppGroup("account", help="Accounts of any kind.")


@account.command("sessions")
@LOGIN
@JSON
@in_sentences
def show_sessions(login, as_json):
    """Show the browsers, webmails and mail programs that are signed in to the account LOGIN."""
    found = mailboxes.account_named(login)
    signed_in = sessions.living(found)
    open_now = in_use(signed_in, sessions.in_webmails(found, signed_in), connections.of(ports(), found))
    shown(both("login", found.login) | open_now, as_json)


def in_use(browsers: Sequence[WebSession], webmails: Sequence[sessions.InWebmail], connected: Connected) -> Facts:
    """What is signed in now. The programs are None while the mail server does not answer."""
    programs = [
        {"protocol": each.protocol, "network_address": each.address, "device": each.device_id or None}
        for each in connected.programs
    ]
    return {
        "browsers": [_browser(each) for each in browsers if each.webmail_id is None],
        "webmails": [{"webmail": each.host, "used_at": moment(each.used_at)} for each in webmails],
        "programs": None if connected.unknown else programs,
    }


def _browser(session: WebSession) -> Facts:
    return {
        "browser": session.user_agent,
        "network_address": session.address,
        "signed_in_at": moment(session.created_at),
        "used_at": moment(session.seen_at),
    }


@account.command("logout")
@LOGIN
@in_sentences
def sign_out(login):
    """Sign the account LOGIN out of all browsers and webmails, and cut its mail programs. The passwords stay."""
    doing, found = unit(), mailboxes.account_named(login)
    offboarding.sign_out(doing, found)
    click.echo(sentence_and_pending(f"{readable(found.login)} is signed out everywhere.", doing))


@account.command("change")
@LOGIN
@click.option("--language", type=click.Choice(("", *LANGUAGES)), help="Empty for the browser's.")
@click.option("--timezone", help="Such as Europe/Rome; empty for the mail service's.")
@click.option("--theme", type=click.Choice(("", *preferences.THEMES)), help="Empty for the system's.")
@in_sentences
def change_account(login, language, timezone, theme):
    """Change the language, time zone and theme in which the panel speaks to LOGIN. What is not named stays."""
    found = mailboxes.account_named(login)
    language = found.language if language is None else language
    preferences.save(unit(), language, found.timezone if timezone is None else timezone, found, theme)
    click.echo(f"{readable(found.login)} is saved.")


@account.command("test-contact")
@LOGIN
@in_sentences
def test_contact(login):
    """Send a test e-mail to the contact e-mail of LOGIN, and forget that e-mails to it came back."""
    address = bounces.send_test(unit(), mailboxes.account_named(login))
    click.echo(f"A test e-mail is on its way to {readable(address)}.")


@account.command("link")
@LOGIN
@in_sentences
def make_link(login):
    """Print a one-time link for the owner of LOGIN to set a new password; it also unlocks a locked account."""
    click.echo(mailboxes.make_link(unit(), login))


@account.command("lock")
@LOGIN
@in_sentences
def lock(login):
    """Lock the account LOGIN: end all access, and let nobody in until a link of “account link” is used."""
    doing = unit()
    recovery.lock_by_operator(doing, mailboxes.account_named(login))
    click.echo(sentence_and_pending(f"{readable(login)} is locked.", doing))
