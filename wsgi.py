"""The application for uWSGI and for `flask …`."""

import logging

import click

import upgrades
from app import create_app
from settings import SettingsError

# The log names the product in each line, whichever module wrote it.
logging.basicConfig(format="%(asctime)s postern %(levelname)s %(message)s")

try:
    app = create_app()
    # A command decides for itself: the doctor examines any database.
    if click.get_current_context(silent=True) is None:
        upgrades.refuse_to_start_on_newer()
except (SettingsError, upgrades.UnusableDatabase) as error:
    raise SystemExit(f"Postern cannot start:\n{error}") from None
