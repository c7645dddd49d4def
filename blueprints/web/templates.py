"""What every template can use."""

from typing import NamedTuple

from flask import Flask, current_app, request, session, url_for

from actions.authority import authority
from actions.devices.devices import looked_after
from actions.ground.refusals import N_
from models import Account
from settings import LANGUAGES, Settings

from . import assets, frame, guards, of_user, readable_names, reauthentication, returns, words
from .forms import xmlattr
from .icons import icon, icon_again, icon_symbols
from .security_headers import csp_nonce
from .visitor import current_user


class Section(NamedTuple):
    """An entry of the panel's navigation; the template translates its label."""

    endpoint: str
    address: str
    label: str
    icon: str
    current: bool


def init_app(app: Flask, settings: Settings) -> None:
    readable_names.init_app(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals |= {"icon": icon, "csp_nonce": csp_nonce, "asset_url": asset_url, "moment": words.moment}
    app.jinja_env.globals |= {"way_back": returns.to}
    app.jinja_env.globals |= {"password_change_to_tell": frame.password_change_to_tell}
    app.jinja_env.globals |= {"reauthentication_asked": reauthentication.asked}
    app.jinja_env.filters |= {"relative_time": words.relative_time, "exact_time": words.exact_time}
    app.jinja_env.filters |= {"day": words.day, "short_date": words.short_date}
    app.jinja_env.filters |= {"duration": words.duration}
    app.jinja_env.globals |= {"icon_again": icon_again, "icon_symbols": icon_symbols}
    app.jinja_env.filters["xmlattr"] = xmlattr
    app.jinja_env.filters |= {"size": words.size, "number": words.number}
    app.jinja_env.globals |= {"address_of": of_user.address_of, "named_user": of_user.mailbox, "TABS": of_user.TABS}
    app.jinja_env.globals |= {"languages": LANGUAGES, "this_page": guards.way_back}

    @app.context_processor
    def panel() -> dict:
        # While the database is in trouble nobody can be told what is theirs; nor who was signed out by this request.
        is_here = current_user.is_authenticated and not session.trouble and not session.ended
        account = current_user.account if is_here else None
        return {
            "account": account,
            "navigation": navigation(account) if account else [],
            "webmails": frame.webmails(settings),
            "look": frame.look(),
            "theme": frame.theme(account),
            "language": words.language(),
            "product_name": settings.product_name,
            "shows_outbox": settings.keeps_mail,
        }


def navigation(account: Account) -> list[Section]:
    """The sections that the signed-in account can open."""
    devices = [("devices.list_devices", N_("Devices"), "smartphone")]
    collaborations = [("collaborations.list_collaborations", N_("Collaborations"), "users")]
    orders = [("services.list_services", N_("Active orders"), "package")]
    own_permissions = [("account.show_permissions", N_("My permissions"), "list-checks")]
    sections = (
        ("overview.show", N_("Overview"), "house"),
        *(orders if account.is_manager else []),
        *(own_permissions if account.is_collaborator else []),
        ("account.password", N_("Password"), "key-round"),
        *(devices if looked_after(account) else []),
        *(collaborations if authority.may_keep_mailbox(account) else []),
        ("account.list_sessions", N_("Sessions"), "monitor-smartphone"),
        ("account.activity", N_("Activity"), "history"),
        ("account.show_preferences", N_("Preferences"), "settings-2"),
    )
    here, address_of = request.path, current_app.url_for
    addressed = ((address_of(endpoint), endpoint, label, icon) for endpoint, label, icon in sections)
    return [Section(endpoint, to, label, icon, _is_current(to, here)) for to, endpoint, label, icon in addressed]


def asset_url(name: str) -> str:
    """The address of "app.css", "early.js" or "app.js"."""
    return url_for("panel.asset", name=assets.hashed_name(name))


def _is_current(address: str, page: str) -> bool:
    """Whether the page is the section's own, or below it."""
    return page == address or (address.endswith("/") and page.startswith(address))
