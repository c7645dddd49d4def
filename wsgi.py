"""The application for uWSGI and for `flask …`."""

import logging

from app import create_app
from settings import SettingsError

# The log names the product in each line, whichever module wrote it.
logging.basicConfig(format="%(asctime)s postern %(levelname)s %(message)s")

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"Postern cannot start:\n{error}") from None
