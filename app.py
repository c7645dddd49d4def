"""The composition: settings, database, ports, blueprints. Nothing else."""

from flask import Flask
from flask_babel import Babel
from htmx_flask import Htmx

import adapters
import commands
from actions.ground.encryption import derived_key
from actions.ground.ports import Ports
from blueprints.account.routes import blueprint as account
from blueprints.account.user_activity import blueprint as user_activity
from blueprints.collaborations.routes import blueprint as collaborations
from blueprints.collaborations.user_collaborations import blueprint as user_collaborations
from blueprints.demo.routes import blueprint as demo
from blueprints.devices.invitations import blueprint as invitations
from blueprints.devices.recipient import blueprint as set_up
from blueprints.devices.routes import blueprint as devices
from blueprints.devices.user_devices import blueprint as user_devices
from blueprints.devices.user_invitations import blueprint as user_invitations
from blueprints.discovery.routes import blueprint as discovery
from blueprints.handoff.routes import blueprint as handoff
from blueprints.links.routes import blueprint as links
from blueprints.mail_policy.routes import blueprint as mail_policy
from blueprints.offboarding.routes import blueprint as offboarding
from blueprints.overview.routes import blueprint as overview
from blueprints.panel.routes import home, panel
from blueprints.password_changes.routes import blueprint as password_changes
from blueprints.services.routes import blueprint as services
from blueprints.services.several import blueprint as several
from blueprints.sign_in.routes import blueprint as sign_in
from blueprints.undo.routes import blueprint as undo
from blueprints.user_imports.routes import blueprint as user_imports
from blueprints.web import (
    addresses,
    browser_session,
    compression,
    errors,
    form_tokens,
    guards,
    host_face,
    hosts,
    hx,
    proxies,
    reauthentication,
    security_headers,
    templates,
    words,
)
from blueprints.webmail.routes import blueprint as webmail
from database import open_database, release_connection
from settings import Settings

__version__ = "0.1.0"

LARGEST_FORM = 256 * 1024


def create_app(settings: Settings | None = None, ports: Ports | None = None) -> Flask:
    """The panel with these settings (the environment's by default) and ports (the real ones by default).

    Raises `SettingsError` when it cannot start safely.
    """
    settings = settings or Settings.load()
    app = errors.Panel(__name__, static_folder="static")
    app.config.update(
        SECRET_KEY=derived_key(settings.secret_key, "visitor cookies"),
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        BABEL_TRANSLATION_DIRECTORIES=str(words.TRANSLATIONS),
        BABEL_DEFAULT_LOCALE=settings.default_language,
        BABEL_DEFAULT_TIMEZONE=settings.default_timezone,
    )
    app.extensions["ports"] = ports or adapters.build(settings)
    app.session_interface = browser_session.DatabaseSessions(settings)
    open_database(settings.database_url)
    app.teardown_appcontext(lambda _error: release_connection())

    addresses.init_app(app)
    compression.init_app(app)
    Htmx(app)
    Babel(app, locale_selector=words.choose_locale, timezone_selector=words.choose_timezone)
    proxies.init_app(app, settings)
    hosts.init_app(app, settings)
    hx.init_app(app)
    errors.init_app(app)
    form_tokens.init_app(app, settings)
    guards.init_app(app, reauthentication.ask)
    security_headers.init_app(app, settings)
    templates.init_app(app, settings)
    host_face.init_app(app, settings)
    words.init_app(app)

    app.add_url_rule("/", "home", home)
    for blueprint in (
        panel,
        sign_in,
        overview,
        account,
        collaborations,
        devices,
        invitations,
        set_up,
        links,
        demo,
        discovery,
        password_changes,
        services,
        several,
        offboarding,
        user_imports,
        user_devices,
        user_invitations,
        user_collaborations,
        user_activity,
        undo,
    ):
        app.register_blueprint(blueprint)
    for blueprint in (handoff, webmail, mail_policy):
        app.register_blueprint(blueprint)
    commands.init_app(app)
    return app
